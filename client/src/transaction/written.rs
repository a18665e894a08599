//! When what a transaction sees was written: by which commit, or by itself. And the number that it goes by where rows say
//! who has written them.

use bytes::Bytes;
use env::task::boxed;
use keys::sql::branch_of;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Get, operation};

use super::read::mismatch;
use super::{REROUTES_MAX, Transaction};
use crate::sender::Failure;
use crate::{CommitTimestamp, Result};

/// When the version of a key was written that somebody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was committed at this timestamp.
    At(CommitTimestamp),
    /// This branch ([`crate::BranchRow`]) has it from what lies below.
    Below(u64),
    /// The transaction itself has written it; once some of what it has written has left its memory, it may have.
    Here,
}

/// When a version was committed that was found under a key; 0: none was.
fn committed(key: &[u8], timestamp: CommitTimestamp) -> Written {
    match branch_of(key) {
        Some(branch) if timestamp == 0 => Written::Below(branch),
        _ => Written::At(timestamp),
    }
}

impl Transaction {
    /// A number of the transaction's own, the same from its first use to its end. It is drawn by lot: hardly another has it, nor
    /// has another attempt.
    pub fn number(&mut self) -> u64 {
        self.id().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// When the newest version was written of a key that is locked.
    pub fn written_locked(&self, key: &[u8]) -> Written {
        if self.flushed.is_some() || self.buffer.get(key, None).is_some() {
            return Written::Here;
        }
        committed(key, self.held.get(key).map_or(0, |held| held.newest))
    }

    /// When the versions of keys were written that reads of the statement under way see: keys under which they see something.
    /// What was not locked is asked for once more; the transaction relies on no more than it does already.
    #[boxed]
    pub async fn written(&mut self, keys: &[Bytes]) -> Result<Vec<Written>> {
        let at = self.read_timestamp().await?;
        let position = self.position();
        let mut written = vec![Written::Here; keys.len()];
        let mut missing: Vec<usize> = Vec::new();
        for (place, (key, written)) in keys.iter().zip(&mut written).enumerate() {
            if self.flushed.is_some() || self.buffer.get(key, position).is_some() {
                continue;
            }
            if self.sees_held(key) {
                *written = committed(key, self.held.get(key).map_or(0, |held| held.newest));
            } else {
                missing.push(place);
            }
        }
        let mut reroutes = 0;
        while !missing.is_empty() {
            let mut left = Vec::new();
            let mut rerouted = false;
            for (route, places) in self.by_range(keys, &missing).await? {
                let at = self.gated(&route, at).await?;
                let wanted = || places.iter().filter_map(|place| keys.get(*place)).cloned().collect();
                let build = || operation::Operation::Get(Get { keys: wanted(), at });
                match self.client.sender.send(&route, &self.call(), build).await {
                    Ok(Answer::Get(got)) if (1..=places.len()).contains(&got.versions.len()) => {
                        // The range may have answered for the first of them only.
                        let (answered, rest) = places.split_at(got.versions.len());
                        left.extend_from_slice(rest);
                        for (place, version) in answered.iter().zip(got.versions) {
                            if let (Some(own), Some(key)) = (written.get_mut(*place), keys.get(*place)) {
                                *own = committed(key, version.value.map_or(0, |_| version.timestamp));
                            }
                        }
                    }
                    Ok(_) => return Err(mismatch()),
                    Err(Failure::Rerouted) => {
                        rerouted = true;
                        left.extend(places);
                    }
                    Err(failure) => return Err(self.fail(failure)),
                }
            }
            reroutes += u32::from(rerouted);
            if reroutes > REROUTES_MAX {
                return Err(self.fail(Failure::Rerouted));
            }
            missing = left;
        }
        Ok(written)
    }
}

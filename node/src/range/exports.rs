//! Files of backups: how many a node writes at a time, and how fast.
//!
//! Whoever wants one waits for a turn, and is told in time to ask again where it has not come: how many turns have ended meanwhile says
//! whether there is any progress. Each file that was written is paid for by the time that its bytes may take: the next begins no
//! sooner. So a backup takes no more of a node's disk, and of its network, than leaves others what they need ([`rate`]), however many ranges it
//! leads.

mod rate;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backup::{Place, Places};
use env::clock::{self, Instant};
use env::disk::Disk;
use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use self::rate::{Proposals, Rate};
use super::refusal::Refusal;

/// So many files are read for, made and written at a time: while one waits for the place another is read.
const UNDER_WAY_MAX: usize = 4;

/// Lets files of backups be written.
pub(crate) struct Exports {
    disk: Arc<dyn Disk>,
    /// Where they may lie.
    allowed: Places,
    /// The place that was written to last.
    last: Mutex<Option<Place>>,
    turns: Arc<Semaphore>,
    ended: Arc<AtomicU64>,
    proposals: Proposals,
    pace: Mutex<Pace>,
}

/// A turn, until it is dropped.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    ended: Arc<AtomicU64>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// How fast it goes.
#[derive(Debug, Default)]
struct Pace {
    /// When what was written is paid for.
    paid: Option<Instant>,
    rate: Rate,
}

impl Exports {
    /// To places that are allowed, directories of a disk among them.
    pub(crate) fn new(disk: Arc<dyn Disk>, allowed: Places) -> Self {
        let turns = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        let (proposals, pace) = (Proposals::default(), Mutex::default());
        Self { disk, allowed, last: Mutex::new(None), turns, ended: Arc::default(), proposals, pace }
    }

    /// A proposal has taken so long: what others wait for.
    pub(crate) fn note_proposal(&self, took: Duration) {
        self.proposals.note(took);
    }

    /// The place that a URL names, if files may be written there.
    pub(crate) fn place(&self, url: &str) -> backup::Result<Place> {
        let mut last = self.last.lock();
        if let Some(place) = last.as_ref().filter(|place| place.url() == url) {
            return Ok(place.clone());
        }
        let place = self.allowed.place(self.disk.clone(), url)?;
        *last = Some(place.clone());
        Ok(place)
    }

    /// Waits for a turn, which ends when it is dropped: by whoever writes the file, be it that nobody waits for that any more. So a
    /// place that does not answer takes no more threads than there are turns. None: it has not come by the middle of the time that is
    /// left; the rest is for the file of one that comes.
    pub(crate) async fn turn(&self, deadline: Option<Instant>) -> Result<Option<Turn>, Refusal> {
        let turn = async {
            let turn = self.turns.clone().acquire_owned().await?;
            let paid = self.pace.lock().paid;
            if let Some(paid) = paid {
                clock::sleep_until(paid).await;
            }
            Ok::<_, AcquireError>(Turn { _turn: turn, ended: self.ended.clone() })
        };
        let turn = match deadline {
            None => turn.await,
            Some(deadline) => {
                let patience = deadline.saturating_duration_since(clock::now()) / 2;
                match clock::timeout(patience, turn).await {
                    Ok(turn) => turn,
                    Err(_) => return Ok(None),
                }
            }
        };
        let stopping = |_: AcquireError| Refusal::Unavailable("the node is stopping".to_owned());
        turn.map(Some).map_err(stopping)
    }

    /// How many turns have ended.
    pub(crate) fn turns_ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// So many bytes were written, of which no more than `most` are to be in a second; 0: that nobody has said.
    pub(crate) fn pay(&self, bytes: u64, most: u64) {
        let now = clock::now();
        let mut pace = self.pace.lock();
        let bytes_per_second = pace.rate.at(now, &self.proposals, most);
        let takes = Duration::from_micros(bytes.saturating_mul(1_000_000) / bytes_per_second.max(1));
        pace.paid = Some(pace.paid.map_or(now, |paid| paid.max(now)) + takes);
    }
}

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn files_are_written_no_faster_than_is_said() {
        let exports = Exports::new(Arc::new(MemoryDisk::new()), Places::default());
        let began = clock::now();
        for _ in 0..8 {
            let _turn = exports.turn(None).await.unwrap().unwrap();
            exports.pay(4 << 20, 16 << 20);
        }
        assert!(clock::now() - began >= Duration::from_millis(1_700));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_how_many_turns_have_ended_meanwhile() {
        let exports = Exports::new(Arc::new(MemoryDisk::new()), Places::default());
        let mut turns = Vec::new();
        for _ in 0..UNDER_WAY_MAX {
            turns.push(exports.turn(None).await.unwrap().unwrap());
        }
        let began = clock::now();
        let within = |time: Duration| Some(clock::now() + time);
        assert!(exports.turn(within(Duration::from_secs(100))).await.unwrap().is_none());
        let waited = clock::now() - began;
        assert!(
            waited >= Duration::from_secs(49) && waited < Duration::from_secs(60),
            "half of it: {waited:?}"
        );
        assert_eq!(exports.turns_ended(), 0);
        turns.pop();
        assert_eq!(exports.turns_ended(), 1);
        assert!(exports.turn(within(Duration::from_secs(1))).await.unwrap().is_some());
    }
}

//! Intents that a read sees: those of its own large transaction, and those of one that is committed and not resolved yet.

use std::iter::Peekable;

use bytes::Bytes;
use proto::v1::{Span, Version};

use super::Evaluation;
use crate::range::intents::Intent;
use crate::range::refusal::Refusal;
use crate::range::version::{self, Header};

/// What stands on a key: a version, or an intent that counts as one.
pub(super) struct Seen {
    pub(super) key: Bytes,
    /// None: deleted.
    pub(super) value: Option<Bytes>,
    /// When it was committed; 0: it is the reader's own and is not.
    pub(super) timestamp: u64,
    /// When its transaction began; 0: a deletion does not say.
    pub(super) start_timestamp: u64,
    /// It is an intent that the reader does not see: it counts as looked at, no more.
    pub(super) is_foreign: bool,
}

impl Seen {
    pub(super) fn version(found: lsm::VersionedEntry) -> Result<Self, Refusal> {
        let Found { start_timestamp, value } = Found::of(found.value, &found.note)?;
        let timestamp = found.timestamp;
        Ok(Self { key: found.key, value, timestamp, start_timestamp, is_foreign: false })
    }
}

/// What a version holds.
pub(super) struct Found {
    /// When its transaction began; 0: a deletion does not say.
    pub(super) start_timestamp: u64,
    /// None: deleted.
    pub(super) value: Option<Bytes>,
}

impl Found {
    /// What is stored of a value, or noted of a deletion.
    pub(super) fn of(stored: Option<Bytes>, note: &lsm::Note) -> Result<Self, Refusal> {
        let Some(stored) = stored else {
            let start_timestamp = Header::decode(note.as_bytes()).map_or(0, |header| header.start_timestamp);
            return Ok(Self { start_timestamp, value: None });
        };
        let (header, value) = version::decode(stored)?;
        Ok(Self { start_timestamp: header.start_timestamp, value: Some(value) })
    }
}

/// Intents that are seen, in the order of a scan.
pub(super) type SeenIntents = Peekable<Box<dyn Iterator<Item = Result<Seen, Refusal>> + Send>>;

impl Evaluation<'_> {
    /// The start of the transaction, if it reads what it has flushed.
    fn own_intents(&self) -> Option<u64> {
        self.header.sees_intents.then_some(self.header.start_timestamp)
    }

    /// The intent on a key that a read at `at` sees, and when it was committed.
    pub(super) fn seen_intent(&self, key: &[u8], at: u64) -> Result<Option<(Option<u64>, Intent)>, Refusal> {
        let intents = &self.serving.intents;
        let seen = intents.large.seen(key, None, at, self.own_intents());
        if seen.is_empty() {
            return Ok(None);
        }
        let Some(intent) = intents.row(key)? else { return Ok(None) };
        let of = seen.into_iter().find(|(start, _)| *start == intent.start_timestamp);
        Ok(of.map(|(_, committed)| (committed, intent)))
    }

    /// What a read of a key at `at` finds.
    pub(super) fn version_at(&self, key: &[u8], at: u64) -> Result<Version, Refusal> {
        // Before the version: one that is resolved meanwhile is seen either way.
        let seen = self.seen_intent(key, at)?;
        let found = self.db().get_at(key, at)?.map_or_else(|| Ok(Version::default()), to_version)?;
        Ok(match seen {
            Some((committed, intent)) => {
                Version { value: intent.value, timestamp: committed.unwrap_or(found.timestamp) }
            }
            None => found,
        })
    }

    /// The intents of a span that a read at `at` sees; None if there are none.
    pub(super) fn seen_intents(
        &self,
        span: &Span,
        at: u64,
        reverse: bool,
    ) -> Result<Option<SeenIntents>, Refusal> {
        let intents = &self.serving.intents;
        let seen = intents.large.seen(&span.start, Some(&span.end), at, self.own_intents());
        if seen.is_empty() {
            return Ok(None);
        }
        let within = keys::Span { start: span.start.clone(), end: span.end.clone() };
        let rows = intents.rows(&within, reverse)?;
        let rows = rows.map(move |row| {
            let (key, intent) = row?;
            let of = seen.iter().find(|(start, _)| *start == intent.start_timestamp);
            Ok(match of {
                Some((_, committed)) => {
                    let (timestamp, start_timestamp) = (committed.unwrap_or(0), intent.start_timestamp);
                    Seen { key, value: intent.value, timestamp, start_timestamp, is_foreign: false }
                }
                None => Seen { key, value: None, timestamp: 0, start_timestamp: 0, is_foreign: true },
            })
        });
        let boxed: Box<dyn Iterator<Item = Result<Seen, Refusal>> + Send> = Box::new(rows);
        Ok(Some(boxed.peekable()))
    }
}

/// The next of both, the intent where both have the key.
pub(super) fn next(
    versions: &mut Peekable<impl Iterator<Item = Result<Seen, Refusal>>>,
    intents: &mut Option<SeenIntents>,
    reverse: bool,
) -> Result<Option<Seen>, Refusal> {
    let Some(intents) = intents else { return versions.next().transpose() };
    let (version, intent) = match (versions.peek(), intents.peek()) {
        (Some(Ok(version)), Some(Ok(intent))) => (&version.key, &intent.key),
        (_, None) | (Some(Err(_)), _) => return versions.next().transpose(),
        (None, _) | (_, Some(Err(_))) => return intents.next().transpose(),
    };
    match if reverse { intent.cmp(version) } else { version.cmp(intent) } {
        std::cmp::Ordering::Less => versions.next().transpose(),
        std::cmp::Ordering::Greater => intents.next().transpose(),
        std::cmp::Ordering::Equal if intents.peek().is_some_and(is_foreign) => {
            drop(intents.next());
            versions.next().transpose()
        }
        std::cmp::Ordering::Equal => {
            drop(versions.next());
            intents.next().transpose()
        }
    }
}

fn is_foreign(seen: &Result<Seen, Refusal>) -> bool {
    seen.as_ref().is_ok_and(|seen| seen.is_foreign)
}

/// A version as it travels.
pub(super) fn to_version(found: lsm::Versioned) -> Result<Version, Refusal> {
    let value = match found.value {
        Some(stored) => Some(version::decode(stored)?.1),
        None => None,
    };
    Ok(Version { value, timestamp: found.timestamp })
}

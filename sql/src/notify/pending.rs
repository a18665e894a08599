//! What a session's transaction wants of notifications, until it commits; functions write to it while a statement runs.
//!
//! # Invariants
//! - No notification stands there twice.
//! - What stands there takes no more than [`PENDING_BYTES_MAX`], and what a session listens to no more than
//!   [`CHANNELS_BYTES_MAX`], what its transaction wants to listen to counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::notification::Notification;
use crate::error::{Error, Result};

/// The longest name of a channel, and the longest payload, as in PostgreSQL.
const CHANNEL_BYTES_MAX: usize = 63;
const PAYLOAD_BYTES_MAX: usize = 7999;

/// The bytes of notifications that one transaction sends at most.
const PENDING_BYTES_MAX: usize = 8 << 20;

/// The bytes of channels that a session listens to at most, or changes in one transaction.
const CHANNELS_BYTES_MAX: usize = 1 << 20;

/// A notification that is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    pub(crate) channel: Arc<str>,
    pub(crate) payload: Arc<str>,
}

impl Said {
    /// About how many bytes it takes, here and in the queue.
    pub(super) fn bytes(&self) -> usize {
        Notification::bytes_of(&self.channel, &self.payload)
    }
}

/// A change of what the session listens to.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Listen(Arc<str>),
    Unlisten(Arc<str>),
    UnlistenAll,
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Listen(channel) | Self::Unlisten(channel) => Notification::bytes_of(channel, ""),
            Self::UnlistenAll => Notification::bytes_of("", ""),
        }
    }
}

/// How much stood there at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PendingMark {
    changes: usize,
    said: usize,
}

/// What a session's transaction wants of notifications.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Whether it may want anything.
    is_used: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    changes: Vec<Change>,
    changes_bytes: usize,
    said: Vec<Said>,
    known: BTreeSet<Said>,
    said_bytes: usize,
    /// What the session listens to, whatever the transaction wants.
    channels: Arc<BTreeSet<Arc<str>>>,
    channels_bytes: usize,
}

impl Pending {
    /// NOTIFY, `pg_notify`
    ///
    /// # Errors
    /// 22023: there is no such channel, or the payload is too long; 54000: it is too much for a transaction.
    pub(crate) fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        let refused = |message: &str| Err(Error::new("22023", message));
        if channel.is_empty() {
            return refused("channel name cannot be empty");
        }
        if channel.len() > CHANNEL_BYTES_MAX {
            return refused("channel name too long");
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            return refused("payload string too long");
        }
        let said = Said { channel: channel.into(), payload: payload.into() };
        let mut inner = self.inner.lock();
        if inner.known.contains(&said) {
            return Ok(());
        }
        let bytes = inner.said_bytes.saturating_add(said.bytes());
        if bytes > PENDING_BYTES_MAX {
            return Err(full());
        }
        inner.said_bytes = bytes;
        inner.known.insert(said.clone());
        inner.said.push(said);
        self.is_used.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// LISTEN
    ///
    /// # Errors
    /// 54000: that is more than a session listens to.
    pub(crate) fn listen(&self, channel: &str) -> Result<()> {
        self.change(Change::Listen(channel.into()))
    }

    /// UNLISTEN; `None`: *
    ///
    /// # Errors
    /// 54000: there are too many of them in one transaction.
    pub(crate) fn unlisten(&self, channel: Option<&str>) -> Result<()> {
        self.change(channel.map_or(Change::UnlistenAll, |channel| Change::Unlisten(channel.into())))
    }

    fn change(&self, change: Change) -> Result<()> {
        let mut inner = self.inner.lock();
        let bytes = inner.changes_bytes.saturating_add(change.bytes());
        if bytes.saturating_add(inner.channels_bytes) > CHANNELS_BYTES_MAX
            && matches!(change, Change::Listen(_))
            || bytes > CHANNELS_BYTES_MAX
        {
            return Err(Error::new("54000", "too many channels to listen to")
                .detail(format!("Their names may have {CHANNELS_BYTES_MAX} bytes in all.")));
        }
        inner.changes_bytes = bytes;
        inner.changes.push(change);
        self.is_used.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// How much stands there: a mark for [`Pending::rollback_to`].
    pub(crate) fn mark(&self) -> PendingMark {
        if !self.is_used() {
            return PendingMark::default();
        }
        let inner = self.inner.lock();
        PendingMark { changes: inner.changes.len(), said: inner.said.len() }
    }

    /// Forgets what came later.
    pub(crate) fn rollback_to(&self, mark: PendingMark) {
        if !self.is_used() {
            return;
        }
        let mut inner = self.inner.lock();
        while inner.said.len() > mark.said
            && let Some(said) = inner.said.pop()
        {
            inner.said_bytes = inner.said_bytes.saturating_sub(said.bytes());
            inner.known.remove(&said);
        }
        while inner.changes.len() > mark.changes
            && let Some(change) = inner.changes.pop()
        {
            inner.changes_bytes = inner.changes_bytes.saturating_sub(change.bytes());
        }
        if inner.said.is_empty() && inner.changes.is_empty() {
            self.is_used.store(false, Ordering::Relaxed);
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        self.rollback_to(PendingMark::default());
    }

    /// Whether there may be anything.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// What is to be sent.
    pub(super) fn said(&self) -> Vec<Said> {
        self.inner.lock().said.clone()
    }

    /// What the session will listen to, if that changes.
    pub(super) fn channels_after(&self) -> Option<BTreeSet<Arc<str>>> {
        let inner = self.inner.lock();
        if inner.changes.is_empty() {
            return None;
        }
        let mut channels = BTreeSet::clone(&inner.channels);
        for change in &inner.changes {
            match change {
                Change::Listen(channel) => {
                    channels.insert(channel.clone());
                }
                Change::Unlisten(channel) => {
                    channels.remove(channel);
                }
                Change::UnlistenAll => channels.clear(),
            }
        }
        (channels != *inner.channels).then_some(channels)
    }

    /// What the session listens to.
    pub(crate) fn channels(&self) -> Arc<BTreeSet<Arc<str>>> {
        self.inner.lock().channels.clone()
    }

    /// From now on the session listens to these.
    pub(super) fn set_channels(&self, channels: BTreeSet<Arc<str>>) {
        let mut inner = self.inner.lock();
        inner.channels_bytes = channels.iter().map(|channel| Notification::bytes_of(channel, "")).sum();
        inner.channels = Arc::new(channels);
    }
}

/// 54000: there is no room.
pub(super) fn full() -> Error {
    Error::new("54000", "too many notifications in the NOTIFY queue")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pending: &Pending) -> Vec<String> {
        pending.said().iter().map(|said| format!("{} {}", said.channel, said.payload)).collect()
    }

    #[test]
    fn what_is_said_twice_is_sent_once_and_what_is_taken_back_is_not() {
        let pending = Pending::default();
        pending.notify("a", "1").unwrap();
        let mark = pending.mark();
        pending.notify("a", "1").unwrap();
        pending.notify("a", "2").unwrap();
        pending.listen("a").unwrap();
        assert_eq!(texts(&pending), ["a 1", "a 2"]);
        pending.rollback_to(mark);
        assert_eq!(texts(&pending), ["a 1"]);
        assert_eq!(pending.channels_after(), None);
        pending.notify("a", "2").unwrap();
        assert_eq!(texts(&pending), ["a 1", "a 2"]);
        pending.forget();
        assert!(!pending.is_used() && texts(&pending).is_empty());
        pending.notify("a", "1").unwrap();
        assert_eq!(texts(&pending), ["a 1"]);
    }

    #[test]
    fn what_is_listened_to_in_the_end_counts() {
        let pending = Pending::default();
        pending.listen("a").unwrap();
        pending.unlisten(None).unwrap();
        assert_eq!(pending.channels_after(), None);
        pending.listen("b").unwrap();
        let after = pending.channels_after().unwrap();
        assert_eq!(after.iter().map(|channel| &**channel).collect::<Vec<_>>(), ["b"]);
        pending.set_channels(after);
        pending.forget();
        pending.listen("b").unwrap();
        assert_eq!(pending.channels_after(), None);
        pending.unlisten(Some("b")).unwrap();
        assert_eq!(pending.channels_after(), Some(BTreeSet::new()));
    }

    #[test]
    fn what_no_transaction_may_send_is_refused() {
        let pending = Pending::default();
        let refused = |channel: &str, payload: &str| pending.notify(channel, payload).unwrap_err().sqlstate;
        assert_eq!(refused("", "x"), "22023");
        assert_eq!(refused(&"c".repeat(64), "x"), "22023");
        assert_eq!(refused("c", &"x".repeat(8000)), "22023");
        let mut number = 0;
        let error = loop {
            number += 1;
            if let Err(error) = pending.notify("c", &format!("{number:7999}")) {
                break error;
            }
        };
        assert_eq!(error.sqlstate, "54000");
        assert_eq!(number, PENDING_BYTES_MAX / (7999 + 1 + 64) + 1);
        let error = (0..).find_map(|number| pending.listen(&format!("{number}")).err()).unwrap();
        assert_eq!(error.sqlstate, "54000");
    }
}

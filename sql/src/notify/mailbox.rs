//! What was sent to a session and its client has not taken yet.
//!
//! # Invariants
//! - A mailbox holds no more than [`MAILBOX_BYTES_MAX`], and those of a gateway no more than [`MAILBOXES_BYTES_MAX`]: what would
//!   go beyond ends the session that it is for.
//! - Notifications are taken in the order in which they came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures::task::AtomicWaker;
use parking_lot::Mutex;

use super::notification::Notification;
use crate::activity::{Lost, Signals};

/// The bytes that wait for one session at most.
const MAILBOX_BYTES_MAX: usize = 8 << 20;

/// The bytes that wait for all of a gateway's at most.
const MAILBOXES_BYTES_MAX: usize = 128 << 20;

/// What waits for all sessions of a gateway.
#[derive(Debug, Default)]
pub(super) struct Waiting(AtomicUsize);

impl Waiting {
    fn add(&self, bytes: usize) -> bool {
        let fits = |held: usize| held.checked_add(bytes).filter(|held| *held <= MAILBOXES_BYTES_MAX);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A session's mailbox.
pub struct Mailbox {
    letters: Mutex<Letters>,
    waker: AtomicWaker,
    waiting: Arc<Waiting>,
    signals: Box<dyn Signals>,
}

#[derive(Default)]
struct Letters {
    queue: VecDeque<Arc<Notification>>,
    bytes: usize,
    /// The session is to end: nothing is kept for it any more.
    is_over: bool,
}

impl Mailbox {
    pub(super) fn new(signals: Box<dyn Signals>, waiting: Arc<Waiting>) -> Self {
        Self { letters: Mutex::default(), waker: AtomicWaker::new(), waiting, signals }
    }

    /// Puts one in; ends the session if there is no room.
    pub(super) fn put(&self, notification: &Arc<Notification>) {
        let bytes = notification.bytes();
        let mut letters = self.letters.lock();
        if letters.is_over {
            return;
        }
        if letters.bytes.saturating_add(bytes) > MAILBOX_BYTES_MAX || !self.waiting.add(bytes) {
            drop(letters);
            self.end(Lost::Unread);
            return;
        }
        letters.bytes = letters.bytes.saturating_add(bytes);
        letters.queue.push_back(notification.clone());
        drop(letters);
        self.waker.wake();
    }

    /// Ends the session: it cannot be given what it was promised.
    pub(super) fn end(&self, why: Lost) {
        let mut letters = self.letters.lock();
        self.waiting.remove(letters.bytes);
        *letters = Letters { is_over: true, ..Letters::default() };
        drop(letters);
        self.signals.lose(why);
    }

    /// Takes about so many bytes of what is there, and at least one if there is any.
    pub(crate) fn take(&self, bytes_max: usize) -> Vec<Arc<Notification>> {
        let mut letters = self.letters.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0_usize);
        while bytes < bytes_max
            && let Some(next) = letters.queue.pop_front()
        {
            bytes = bytes.saturating_add(next.bytes());
            taken.push(next);
        }
        letters.bytes = letters.bytes.saturating_sub(bytes);
        if letters.queue.is_empty() {
            letters.queue = VecDeque::new();
        }
        self.waiting.remove(bytes);
        taken
    }

    /// Throws away what is of other channels.
    pub(super) fn keep(&self, is_wanted: impl Fn(&str) -> bool) {
        let mut letters = self.letters.lock();
        let before = letters.bytes;
        letters.queue.retain(|letter| is_wanted(&letter.channel));
        letters.bytes = letters.queue.iter().map(|letter| letter.bytes()).sum();
        self.waiting.remove(before.saturating_sub(letters.bytes));
    }

    /// Completes once there is something in it. Only one task may wait for that.
    pub async fn filled(&self) {
        std::future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.letters.lock().queue.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.waiting.remove(self.letters.get_mut().bytes);
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("bytes", &self.letters.lock().bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Ended(Arc<Mutex<Option<Lost>>>);

    impl Signals for Ended {
        fn cancel(&self) {}

        fn terminate(&self) {}

        fn lose(&self, why: Lost) {
            *self.0.lock() = Some(why);
        }

        fn waits(&self) -> bool {
            false
        }
    }

    fn letter(channel: &str, bytes: usize) -> Arc<Notification> {
        Arc::new(Notification { channel: channel.into(), payload: "x".repeat(bytes).into(), pid: 1 })
    }

    #[test]
    fn who_does_not_take_what_is_sent_is_ended_and_nothing_is_kept() {
        let (ended, waiting) = (Ended::default(), Arc::<Waiting>::default());
        let mailbox = Mailbox::new(Box::new(ended.clone()), waiting.clone());
        let mut count = 0;
        while ended.0.lock().is_none() {
            mailbox.put(&letter("a", 7000));
            count += 1;
            assert!(waiting.0.load(Ordering::Relaxed) <= MAILBOX_BYTES_MAX);
        }
        assert_eq!(*ended.0.lock(), Some(Lost::Unread));
        assert_eq!(count, MAILBOX_BYTES_MAX / (7000 + 1 + 64) + 1);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
        mailbox.put(&letter("a", 1));
        assert!(mailbox.take(1).is_empty());
    }

    #[test]
    fn what_is_taken_or_not_wanted_any_more_makes_room() {
        let waiting = Arc::<Waiting>::default();
        let mailbox = Mailbox::new(Box::new(Ended::default()), waiting.clone());
        for channel in ["a", "b", "a", "c"] {
            mailbox.put(&letter(channel, 100));
        }
        mailbox.keep(|channel| channel != "b");
        let taken = mailbox.take(150);
        assert_eq!(taken.iter().map(|letter| &*letter.channel).collect::<Vec<_>>(), ["a"]);
        let taken = mailbox.take(10_000);
        assert_eq!(taken.iter().map(|letter| &*letter.channel).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
        mailbox.put(&letter("a", 100));
        drop(mailbox);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
    }
}

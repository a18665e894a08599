//! Transactions that see the past: all that had been committed up to a moment of their caller's choosing, and nothing else.
//!
//! The moment lies at or below a timestamp that was handed out, so that the ranges that answer remember that they were read
//! there: nothing is committed at or below it any more. What is seen there stays as it is, and nothing has to be relied on.
//! So what lies back far enough the nearest replica may answer, whoever leads.
//! The schema of then is not the one that a statement is planned under; whoever reads looks it up there, too.

use super::Transaction;
use crate::moment::{about_now, ms_between};
use crate::{Client, CommitTimestamp, Isolation, Timestamp, TransactionOptions};

impl Client {
    /// A transaction that reads at a timestamp, at most [`Client::newest_timestamp`], and changes nothing. It does not keep
    /// history from being forgotten: what is kept no more is [`crate::Error::SnapshotTooOld`], what was
    /// erased [`crate::Error::HistoryErased`].
    pub fn past(&self, at: CommitTimestamp) -> Transaction {
        let options = TransactionOptions {
            isolation: Isolation::RepeatableRead,
            read_only: true,
            timeout: self.options().timeout,
            ..TransactionOptions::default()
        };
        let mut transaction = Transaction::new(self.clone(), options);
        let newest = self.newest_timestamp().max(about_now());
        transaction.of_past = true;
        transaction.from_followers = ms_between(at, newest) >= self.follower_age().as_millis() as u64;
        transaction.start_at(Timestamp { timestamp: at.max(1), catalog_version: 0 });
        transaction
    }
}

impl Transaction {
    /// From now on only the ranges' leaders are asked, also for what others could answer.
    pub fn ask_leaders(&mut self) {
        self.from_followers = false;
    }
}

//! Views: what the transaction sees at one moment, its own writes up to then included.
//!
//! Whoever reads through a view later does not see what the transaction has written since. Others' commits it sees as the
//! transaction does: under READ COMMITTED up to the timestamp of its statement; else up to the transaction's, which moves
//! only if nothing that was read has changed.

use std::sync::Arc;

use super::Transaction;
use crate::{Isolation, Result};
use env::task::boxed;

/// What a transaction has seen at a moment. Its writes since are kept apart until the view is dropped.
#[derive(Clone, Debug)]
pub struct ReadView {
    /// How many of the writes that are kept apart came before.
    position: usize,
    timestamp: u64,
    _kept: Arc<()>,
}

/// The view that reads go through, and what they would see without it.
#[derive(Debug)]
pub(super) struct Looking {
    pub(super) position: usize,
    timestamp: u64,
    stale: bool,
}

impl Transaction {
    /// What the statement under way sees.
    #[boxed]
    pub async fn view(&mut self) -> Result<ReadView> {
        self.open()?;
        self.pristine = false;
        if !self.has_timestamp() {
            self.take_timestamp().await?;
        }
        let (position, kept) = self.buffer.keep_apart();
        Ok(ReadView { position, timestamp: self.timestamp, _kept: kept })
    }

    /// From now on reads see what the view has seen, until [`Transaction::look_at_all`] or the next statement.
    pub fn look_through(&mut self, view: &ReadView) {
        self.look_at_all();
        self.looking =
            Some(Looking { position: view.position, timestamp: self.timestamp, stale: self.stale });
        if self.options.isolation == Isolation::ReadCommitted {
            (self.timestamp, self.stale) = (view.timestamp, false);
        }
    }

    /// Reads see everything again.
    pub fn look_at_all(&mut self) {
        if let Some(Looking { timestamp, stale, .. }) = self.looking.take()
            && self.options.isolation == Isolation::ReadCommitted
        {
            (self.timestamp, self.stale) = (timestamp, stale);
        }
    }

    /// The writes that reads see: those before this position; `None`: all.
    pub(super) fn position(&self) -> Option<usize> {
        self.looking.as_ref().map(|looking| looking.position)
    }
}

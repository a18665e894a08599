//! What a statement answers is tried before it commits by itself.
//!
//! In a block, and in a series of messages, a row that cannot be sent fails the transaction as any error does. A statement that is
//! alone would be committed by then; so its answer is tried before, with what has it sent later ([`super::Sending`]), and by the
//! settings that are in force then: those that it has itself asked for (`set_config`) among them. Rows of a plain query need none
//! of that: each is sent before the next is read, and the commit comes behind the last.

use expr::{Row, SessionContext};

use super::Session;
use super::portal::Portal;
use super::transaction::Block;
use crate::error::Result;

/// So many rows are tried between two looks at whether the statement is to go on.
const ROWS: usize = 64;

impl Portal {
    /// Whether rows of it can be sent.
    pub(super) fn try_rows(&self, context: &SessionContext, rows: &[Row]) -> Result<()> {
        match (&self.sending, self.columns()) {
            (Some(sending), Some(columns)) => (sending.try_rows)(context, columns, &sending.formats, rows),
            _ => Ok(()),
        }
    }

    /// Whether its columns can be told, if they have yet to be.
    fn try_columns(&self, context: &SessionContext) -> Result<()> {
        match (&self.sending, self.columns()) {
            (Some(sending), Some(columns)) if sending.describes => (sending.try_columns)(context, columns),
            _ => Ok(()),
        }
    }
}

impl Session {
    /// What values are written by once the session has done what its statement has asked for; `None`: what they are written by now.
    pub(super) fn foreseen(&self) -> Result<Option<SessionContext>> {
        self.settings.foreseen(&self.context, self.transaction.block == Block::Idle)
    }

    /// Whether the client can be sent these rows, as many of them as it has asked for.
    ///
    /// # Errors
    /// 22P05, or whatever keeps one of them from being sent; the transaction is then to be rolled back.
    pub(super) async fn try_answer(&mut self, portal: &Portal, rows: &[Row], rows_max: usize) -> Result<()> {
        if self.transaction.block != Block::Idle || portal.sending.is_none() {
            return Ok(());
        }
        let foreseen = self.foreseen()?;
        let context = foreseen.as_ref().unwrap_or(&self.context);
        portal.try_columns(context)?;
        let asked = if rows_max == 0 { rows.len() } else { rows_max.min(rows.len()) };
        for rows in rows.get(..asked).unwrap_or_default().chunks(ROWS) {
            portal.try_rows(context, rows)?;
            self.cancel.check()?;
            if env::pool::turn_is_over() == Some(true) {
                env::task::yield_now().await;
            }
        }
        Ok(())
    }
}

//! What stands before a statement: whether the client may run one more now, and its place among those that run.

use std::pin::pin;

use futures::future::{Either, select};
use sql::{Error, Statement};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use super::statement::LAST_WORDS;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Counts a statement that is to begin.
    ///
    /// # Errors
    /// 53400: it is one too many in this second, or too much has been sent or received. 54000: its text is too long.
    pub(super) fn count_statement(&mut self, statement: &Statement) -> Result<(), Error> {
        self.count_text(statement.text(), statement.ends_block())
    }

    /// The same of a statement of which no more is known than its text, and whether it `must` begin.
    pub(super) fn count_text(&mut self, text: &str, must: bool) -> Result<(), Error> {
        let bytes = self.wire.take_moved();
        self.turn.count(&self.session, bytes, must, &self.shared.metrics)?;
        self.session.limits().check_text(text)
    }

    /// Counts the bytes that have come and gone.
    pub(super) fn note_moved(&mut self) {
        let bytes = self.wire.take_moved();
        self.turn.count_bytes(&self.session, bytes);
    }

    /// Has the session wait for its turn, unless it has its place already. A client that hangs up meanwhile waits no longer.
    ///
    /// # Errors
    /// 53300: its turn has not come in time. 57014: it was cancelled meanwhile, or `statement_timeout` has passed.
    pub(super) async fn take_place(&mut self) -> Result<(), Error> {
        if self.turn.take_at_once() {
            return Ok(());
        }
        let cancel = self.session.cancel_handle();
        let taken = pin!(self.turn.wait(&mut self.session, &self.shared.metrics));
        let gone = pin!(async {
            self.wire.closed().await;
            env::clock::sleep(LAST_WORDS).await;
        });
        match select(taken, gone).await {
            Either::Left((taken, _)) => taken,
            Either::Right(((), taken)) => {
                cancel.cancel();
                taken.await
            }
        }
    }
}

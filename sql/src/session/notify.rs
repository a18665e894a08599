//! What a commit does about notifications: before it, and once it is known how it has ended.

use std::sync::Arc;

use super::Session;
use super::run::guard;
use super::transaction::Block;
use crate::activity::Signals;
use crate::error::{Error, Result};
use crate::notify::{self, Mailbox, Notification, Outgoing, Wanted};
use crate::plan::Notifying;

impl Session {
    /// NOTIFY, LISTEN, UNLISTEN: takes effect at the commit, which outside of a block is now.
    pub(super) async fn note(&mut self, notifying: &Notifying) -> Result<&'static str> {
        let pending = self.listening.pending();
        let tag = match notifying {
            Notifying::Listen(channel) => {
                pending.listen(channel)?;
                "LISTEN"
            }
            Notifying::Notify { channel, payload } => {
                pending.notify(channel, payload)?;
                "NOTIFY"
            }
            Notifying::Unlisten(channel) => {
                pending.unlisten(channel.as_deref())?;
                "UNLISTEN"
            }
        };
        if self.transaction.block == Block::Idle {
            self.commit(Block::Idle).await?;
        }
        Ok(tag)
    }

    /// Puts what the transaction has said into the queue, as part of it, and subscribes to what it wants to listen to.
    pub(super) async fn prepare_notifications(&mut self, wanted: Wanted) -> Result<Outgoing> {
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let said = wanted.said.clone();
        let client = self.engine.client().clone();
        let signals = || Box::new(cancel.clone()) as Box<dyn Signals>;
        let mut outgoing = guard(&cancel, deadline, self.listening.prepare(&client, wanted, signals)).await?;
        if said.is_empty() {
            return Ok(outgoing);
        }
        match self.post(&said).await {
            Ok(number) => {
                outgoing.posted = Some(number);
                Ok(outgoing)
            }
            Err(error) => {
                self.listening.abandon(outgoing);
                Err(error)
            }
        }
    }

    /// Puts notifications into the queue: in the transaction that is open, or, if that writes nothing, in one of their own,
    /// which then is all that it has done.
    async fn post(&mut self, said: &[notify::Said]) -> Result<u64> {
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let engine = self.engine.clone();
        let from = self.listening.speaker(self.context.backend_pid);
        let (client, tail) = (engine.client(), engine.bulletin().tail());
        if let Some(open) = &mut self.transaction.open
            && !open.kv.options().read_only
        {
            let posting = notify::post(client, &mut open.kv, tail, said, from);
            return guard(&cancel, deadline, posting).await;
        }
        let mut attempt = 0;
        loop {
            let options = client::TransactionOptions {
                lock_timeout: self.settings.hot().lock_timeout,
                ..notify::writing()
            };
            let mut transaction = client.begin(options);
            let posting = notify::post(client, &mut transaction, tail, said, from);
            let posted = match guard(&cancel, deadline, posting).await {
                Ok(number) => transaction.commit().await.map(|_| number).map_err(Error::from),
                Err(error) => {
                    transaction.rollback().await;
                    Err(error)
                }
            };
            let error = match posted {
                Ok(number) => return Ok(number),
                Err(error) => error,
            };
            attempt += 1;
            if !notify::try_again(&error, attempt).await {
                return Err(error);
            }
        }
    }

    /// The commit has succeeded.
    pub(super) async fn finish_notifications(&mut self, outgoing: Outgoing) {
        let engine = self.engine.clone();
        self.listening.finish(engine.client(), outgoing).await;
    }

    /// It has not.
    pub(super) fn abandon_notifications(&mut self, outgoing: Option<Outgoing>) {
        self.listening.pending().forget();
        if let Some(outgoing) = outgoing {
            self.listening.abandon(outgoing);
        }
    }

    /// Where notifications wait for the client, if it listens to any.
    pub fn mailbox(&self) -> Option<Arc<Mailbox>> {
        self.listening.mailbox().cloned()
    }

    /// About so many bytes of the notifications that wait for the client, which gets them only between its transactions.
    pub fn take_notifications(&self, bytes_max: usize) -> Vec<Arc<Notification>> {
        if self.has_transaction() { Vec::new() } else { self.listening.take(bytes_max) }
    }
}

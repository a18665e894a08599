//! What a session listens to, and what a commit makes of what its transaction wants.

use std::collections::BTreeSet;
use std::sync::Arc;

use client::Client;

use super::bulletin::{Bulletin, Seat};
use super::mailbox::Mailbox;
use super::notification::{Notification, Speaker};
use super::pending::{Pending, PendingMark, Said};
use crate::activity::Signals;
use crate::error::Result;

/// A session's part in notifications.
///
/// # Invariants
/// - There is a mailbox and a seat as long as it listens to anything, and subscriptions to exactly those channels.
pub(crate) struct Listening {
    bulletin: Arc<Bulletin>,
    database: u32,
    pending: Arc<Pending>,
    /// How much was pending when the statement under way began.
    statement: PendingMark,
    ears: Option<Ears>,
}

struct Ears {
    mailbox: Arc<Mailbox>,
    _seat: Seat,
}

/// What a transaction wants, at its commit.
pub(crate) struct Wanted {
    /// What is to be sent.
    pub(crate) said: Vec<Said>,
    channels: Option<BTreeSet<Arc<str>>>,
}

/// What is to be done once it has committed, or has not.
pub(crate) struct Outgoing {
    channels: Option<BTreeSet<Arc<str>>>,
    /// What was subscribed to ahead: nothing that the commit itself sends is to be missed.
    added: Vec<Arc<str>>,
    /// The last row that it has put into the queue.
    pub(crate) posted: Option<u64>,
    said: Vec<Said>,
}

impl Listening {
    /// Of a session of this database.
    pub(crate) fn new(bulletin: Arc<Bulletin>, database: u32) -> Self {
        Self { bulletin, database, pending: Arc::default(), statement: PendingMark::default(), ears: None }
    }

    /// The session as who notifies, by its number.
    pub(crate) fn speaker(&self, pid: i32) -> Speaker {
        Speaker { pid, database: self.database }
    }

    /// What the transaction under way wants.
    pub(crate) fn pending(&self) -> &Arc<Pending> {
        &self.pending
    }

    /// A statement begins.
    pub(crate) fn begin_statement(&mut self) {
        self.statement = self.pending.mark();
    }

    /// The statement is begun anew.
    pub(crate) fn forget_statement(&self) {
        self.pending.rollback_to(self.statement);
    }

    /// What the transaction wants, if it is anything.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        if !self.pending.is_used() {
            return None;
        }
        Some(Wanted { said: self.pending.said(), channels: self.pending.channels_after() })
    }

    /// Before the commit: subscribes to what is to be listened to after it.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(crate) async fn prepare(
        &mut self,
        client: &Client,
        wanted: Wanted,
        signals: impl FnOnce() -> Box<dyn Signals>,
    ) -> Result<Outgoing> {
        let Wanted { said, channels } = wanted;
        let known = self.pending.channels();
        let new = channels.iter().flatten().filter(|channel| !known.contains(*channel)).cloned();
        let added: Vec<Arc<str>> = new.collect();
        if !added.is_empty() {
            let after = match self.ears {
                Some(_) => self.bulletin.newest(client).await?,
                None => {
                    let (seat, after) = self.bulletin.join(client).await?;
                    self.ears = Some(Ears { mailbox: self.bulletin.mailbox(signals()), _seat: seat });
                    after
                }
            };
            if let Some(ears) = &self.ears {
                for channel in &added {
                    self.bulletin.subscribe((self.database, channel.clone()), ears.mailbox.clone(), after);
                }
            }
        }
        Ok(Outgoing { channels, added, posted: None, said })
    }

    /// It has committed.
    pub(crate) async fn finish(&mut self, client: &Client, outgoing: Outgoing) {
        self.pending.forget();
        if let Some(channels) = outgoing.channels {
            self.listen_to(channels);
        }
        if let Some(number) = outgoing.posted {
            let channels = self.pending.channels();
            let hears_itself = outgoing.said.iter().any(|said| channels.contains(&said.channel));
            self.bulletin.posted(client, number, hears_itself).await;
        }
    }

    /// It has not committed.
    pub(crate) fn abandon(&mut self, outgoing: Outgoing) {
        if !outgoing.added.is_empty() {
            let channels = BTreeSet::clone(&self.pending.channels());
            if let Some(ears) = &self.ears {
                let added = outgoing.added.into_iter().map(|channel| (self.database, channel));
                added.for_each(|channel| self.bulletin.unsubscribe(&channel, &ears.mailbox));
            }
            self.listen_to(channels);
        }
    }

    /// From now on the session listens to these, all of which are subscribed to.
    fn listen_to(&mut self, channels: BTreeSet<Arc<str>>) {
        if let Some(ears) = &self.ears {
            for channel in self.pending.channels().difference(&channels) {
                self.bulletin.unsubscribe(&(self.database, channel.clone()), &ears.mailbox);
            }
            ears.mailbox.keep(|channel| channels.contains(channel));
        }
        if channels.is_empty() {
            self.ears = None;
        }
        self.pending.set_channels(channels);
    }

    /// UNLISTEN *, now.
    pub(crate) fn unlisten_all(&mut self) {
        self.listen_to(BTreeSet::new());
    }

    /// Where what is sent to the session waits for it, if it listens.
    pub(crate) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.ears.as_ref().map(|ears| &ears.mailbox)
    }

    /// About so many bytes of what waits for it.
    pub(crate) fn take(&self, bytes_max: usize) -> Vec<Arc<Notification>> {
        self.mailbox().map(|mailbox| mailbox.take(bytes_max)).unwrap_or_default()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.unlisten_all();
    }
}

//! Erasures of the history of the lists. Once one is acknowledged nobody reads what a list was before, by whatever way, and what it was at
//! the moment itself is there, until another one comes, or history is kept no more. That what is read at other moments was there then
//! `lists` shows.

use std::sync::Arc;

use client::{Client, CommitTimestamp, Error, KeptHistory, RowVersion, VersionsLeft};
use env::random;
use parking_lot::Mutex;

use super::lists;
use super::report::Tally;
use super::scenario::Scenario;
use super::signals::Signals;

/// So far back moments lie, as a difference of timestamps: three seconds.
const BACK_MAX: u64 = 3_000 << 18;

/// For how long the history of the lists is kept: for longer than all other, so that what was erased would be there.
const KEPT_MS: u64 = 20_000;

/// The longest pause between two steps: whoever has begun before an erasure of now has to begin anew.
const PAUSE_MS_MAX: u64 = 1_000;

/// So many erasures are looked at again.
const REMEMBERED_MAX: usize = 100;

/// An erasure that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Erased {
    /// Of this list; none: of all.
    list: Option<u32>,
    before: CommitTimestamp,
}

/// See the module.
pub(super) struct Erasures {
    lists: u32,
    tally: Tally,
    done: Mutex<Vec<Erased>>,
}

/// What a read of the past came to, unless that is kept no more or was erased.
fn kept<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Error::HistoryErased { .. } | Error::SnapshotTooOld { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Erasures {
    pub(super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        Self { lists: scenario.lists, tally, done: Mutex::default() }
    }

    /// Erases, and looks at what was erased, until told to stop.
    pub(super) async fn eraser(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_write(PAUSE_MS_MAX).await {
            let outcome = match random::below(8) {
                // Gateways tell what the catalog says, which is nothing of the lists.
                0 => self.keep(&client).await,
                1..=3 => self.erase(&client).await,
                _ => self.look_again(&client).await,
            };
            match outcome {
                Ok(()) => self.tally.read(),
                Err(error) => self.tally.failed(&error),
            }
        }
    }

    async fn keep(&self, client: &Client) -> Result<(), Error> {
        let version = client.timestamp().await?.timestamp;
        let kept = KeptHistory { span: lists::all(), history_ms: KEPT_MS, held_until_ms: 0, below: false };
        client.keep_history(version, &[kept]).await.map(drop)
    }

    async fn erase(&self, client: &Client) -> Result<(), Error> {
        let newest = client.timestamp().await?.timestamp;
        let before = newest.saturating_sub(random::below(BACK_MAX) >> (4 * random::below(4)));
        let list = (random::below(3) > 0).then(|| self.any());
        let span = list.map_or_else(lists::all, lists::only);
        client.erase_history(vec![span], before).await?;
        let erased = Erased { list, before };
        self.tally.erased();
        self.remember(erased);
        self.look(client, erased).await
    }

    fn remember(&self, erased: Erased) {
        let mut done = self.done.lock();
        if done.len() < REMEMBERED_MAX {
            done.push(erased);
        }
    }

    /// One of those that were acknowledged.
    fn remembered(&self) -> Option<Erased> {
        let done = self.done.lock();
        let any = random::below(done.len().max(1) as u64) as usize;
        done.get(any).copied()
    }

    async fn look_again(&self, client: &Client) -> Result<(), Error> {
        match self.remembered() {
            Some(erased) => self.look(client, erased).await,
            None => Ok(()),
        }
    }

    fn any(&self) -> u32 {
        random::below(u64::from(self.lists)) as u32
    }

    /// That nothing is told of what was before, and that what was there at the moment is.
    async fn look(&self, client: &Client, erased: Erased) -> Result<(), Error> {
        let Erased { list, before } = erased;
        let list = list.unwrap_or_else(|| self.any());
        let at = before.saturating_sub(1 + random::below(BACK_MAX)).max(1);
        if let Some(was) = kept(self.read(client, list, at).await)? {
            self.tally
                .violation(format!("list {list} was erased before {before}, and at {at} it was {was:?}"));
        }
        let told = self.told(client, list, before).await?;
        if told.len() > 1 {
            let times: Vec<CommitTimestamp> = told.iter().map(|version| version.timestamp).collect();
            self.tally.violation(format!(
                "list {list} was erased before {before}, and versions of {times:?} are told of"
            ));
        }
        // What can be read there now could be when the versions were asked for, too.
        let Some(then) = kept(self.read(client, list, before).await)? else { return Ok(()) };
        let told = told.into_iter().next().and_then(|version| version.value);
        if told != then {
            self.tally.violation(format!(
                "at {before}, before which it was erased, list {list} was {then:?}, its versions say {told:?}"
            ));
        }
        Ok(())
    }

    /// A list as it was. The leader is asked: who does not lead may not have heard of an erasure.
    async fn read(
        &self,
        client: &Client,
        list: u32,
        at: CommitTimestamp,
    ) -> Result<Option<bytes::Bytes>, Error> {
        let mut past = client.past(at);
        past.ask_leaders();
        let read = past.get(lists::key(list)).await;
        past.rollback().await;
        read
    }

    /// The versions of a list that are told of and are not younger than this; page by page.
    async fn told(
        &self,
        client: &Client,
        list: u32,
        until: CommitTimestamp,
    ) -> Result<Vec<RowVersion>, Error> {
        let newest = client.timestamp().await?.timestamp;
        let mut left = Some(VersionsLeft::all(lists::only(list)));
        let mut told = Vec::new();
        while let Some(wanted) = left.take() {
            let bytes_max = 1 + random::below(4096) as usize;
            let page = client.versions(wanted, 0, newest, bytes_max).await?;
            told.extend(page.versions.into_iter().filter(|version| version.timestamp <= until));
            left = page.left;
        }
        Ok(told)
    }
}

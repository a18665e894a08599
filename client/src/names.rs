//! Locks on names that outlive transactions: whoever has taken one keeps it until it is given back, or its holder is gone.
//!
//! A name is a key under which nothing is ever written, locked at the range that holds it as a row is: waits queue there,
//! deadlocks are found, and what is not reported alive any more ([`crate::heartbeat`]) is let go. Nothing is read, so no
//! history is kept for a name that is locked for days.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::{
    clock, random,
    task::{self, boxed},
};
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Lock, Release, operation};

use crate::heartbeat::Holding;
use crate::sender::{Call, Failure, Kind, Sender};
use crate::{Client, Error, Result, Strength, WaitPolicy};

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

/// How long giving back is tried before what was held is left to expire.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a name that is given back is waited for.
const RELEASE_WAIT: Duration = Duration::from_millis(500);

/// The names that one holder has locked.
///
/// Invariants: what is in `held` was granted and not given back; dropping this gives all of it back in the background. No
/// lock is asked for while one that this id has given back may be under way: it would take away what was granted since.
pub struct NameLocks {
    client: Client,
    id: Bytes,
    holding: Option<Arc<Holding>>,
    held: BTreeMap<Bytes, Strength>,
    /// What is being given back.
    releasing: Vec<task::JoinHandle<()>>,
}

impl Client {
    /// A holder that has locked nothing yet; costs nothing until it does.
    pub fn name_locks(&self) -> NameLocks {
        NameLocks {
            client: self.clone(),
            id: Bytes::from_owner(random::id()),
            holding: None,
            held: BTreeMap::new(),
            releasing: Vec::new(),
        }
    }
}

impl NameLocks {
    /// Locks a name, which may be held already: more strongly then.
    ///
    /// # Errors
    /// [`Error::LockNotAvailable`] where others hold it and nobody is to wait, or after `timeout`; [`Error::Deadlock`].
    #[boxed]
    pub async fn lock(
        &mut self,
        name: &Bytes,
        strength: Strength,
        wait: WaitPolicy,
        timeout: Option<Duration>,
    ) -> Result<()> {
        if self
            .held
            .get(name)
            .is_some_and(|held| *held == Strength::Exclusive || strength == Strength::Shared)
        {
            return Ok(());
        }
        self.released().await;
        let sender = self.client.sender.clone();
        let call = self.call();
        let until = timeout.map(|timeout| clock::now() + timeout);
        let Self { client, id, holding, held, releasing } = self;
        // Of a request that nobody waits for any more nobody knows whether it was granted.
        let name_unanswered = (!held.contains_key(name)).then(|| name.clone());
        let mut unanswered = Unanswered { sender: &sender, call: &call, name: name_unanswered, releasing };
        for _ in 0..REROUTES_MAX {
            let route = sender.route(name, call.timeout).await?;
            holding
                .get_or_insert_with(|| client.heartbeats.begin(&client.sender, id.clone()))
                .expect(route.range_id(), name);
            let wait_ms = |until: clock::Instant| {
                (until.saturating_duration_since(clock::now()).as_millis() as u64).max(1)
            };
            let build = || {
                operation::Operation::Lock(Lock {
                    keys: vec![name.clone()],
                    strength: strength.into(),
                    wait: wait.into(),
                    wait_ms_max: until.map_or(0, wait_ms),
                })
            };
            match sender.send(&route, &call, build).await {
                Ok(Answer::Lock(_)) => {
                    unanswered.name = None;
                    held.insert(name.clone(), strength);
                    if let Some(holding) = holding {
                        holding.keep(name, strength);
                    }
                    return Ok(());
                }
                Err(Failure::Rerouted) => {}
                Ok(_) => {
                    let message = "a range answered something else than it was asked".to_owned();
                    return Err(Error::Invalid { message });
                }
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(Failure::Rerouted.into_error())
    }

    /// Gives a name back.
    #[boxed]
    pub async fn unlock(&mut self, name: &Bytes) {
        if self.held.remove(name).is_none() {
            return;
        }
        if let Some(holding) = &self.holding {
            holding.let_go(name);
        }
        if self.held.is_empty() {
            self.unlock_all().await;
            return;
        }
        let names = vec![(name.clone(), vec![name.clone()])];
        self.releasing.extend(give_back(self.client.sender.clone(), self.call(), names));
        if clock::timeout(RELEASE_WAIT, self.released()).await.is_err() {
            tracing::debug!("a name is given back later");
        }
    }

    /// Waits until nothing is being given back any more.
    async fn released(&mut self) {
        while let Some(releasing) = self.releasing.last_mut() {
            let _ended = releasing.await;
            self.releasing.pop();
        }
    }

    /// Gives all names back.
    #[boxed]
    pub async fn unlock_all(&mut self) {
        if let Some(released) = self.end()
            && clock::timeout(RELEASE_WAIT, released).await.is_err()
        {
            tracing::debug!("names are given back later");
        }
    }

    fn end(&mut self) -> Option<task::JoinHandle<()>> {
        self.held.clear();
        let holding = self.holding.take()?;
        holding.let_go_of_all();
        let keys = holding.keys();
        let call = self.call();
        // What is taken from now on is another holder's: however late the old one's is given back, that stays.
        self.id = Bytes::from_owner(random::id());
        self.releasing.clear();
        // Without names, all that the holder has in a range.
        let ranges = keys.into_iter().map(|key| (key, Vec::new())).collect();
        give_back(self.client.sender.clone(), call, ranges)
    }

    fn call(&self) -> Call {
        let timeout = self.client.options().timeout;
        let priority = crate::moment::about_now();
        Call { txn_id: self.id.clone(), priority, kind: Kind::Wait, ..Call::of_nobody(timeout) }
    }
}

impl Drop for NameLocks {
    fn drop(&mut self) {
        let _in_background = self.end();
    }
}

/// A request whose answer nobody has heard, and that may be granted.
struct Unanswered<'a> {
    sender: &'a Arc<Sender>,
    call: &'a Call,
    name: Option<Bytes>,
    releasing: &'a mut Vec<task::JoinHandle<()>>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            let names = vec![(name.clone(), vec![name])];
            self.releasing.extend(give_back(self.sender.clone(), self.call.clone(), names));
        }
    }
}

/// Gives names back at the ranges of these keys; of none, all that is held there.
fn give_back(
    sender: Arc<Sender>,
    call: Call,
    ranges: Vec<(Bytes, Vec<Bytes>)>,
) -> Option<task::JoinHandle<()>> {
    // Outside of a runtime, as when a process ends, the locks expire.
    if ranges.is_empty() || tokio::runtime::Handle::try_current().is_err() {
        return None;
    }
    let call = Call { timeout: RELEASE_TIMEOUT, kind: Kind::Read, ..call };
    Some(task::spawn(async move {
        for (key, names) in ranges {
            for _ in 0..REROUTES_MAX {
                let Some(route) = sender.router.route(&key) else { break };
                let build = || operation::Operation::Release(Release { keys: names.clone() });
                match sender.send(&route, &call, build).await {
                    Err(Failure::Rerouted) => {}
                    Ok(_) => break,
                    Err(failure) => {
                        tracing::debug!(range = route.range_id(), ?failure, "names are left to expire");
                        break;
                    }
                }
            }
        }
    }))
}

impl std::fmt::Debug for NameLocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameLocks").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

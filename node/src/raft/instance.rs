//! The openraft instance of a replica; or, where nobody has used that for long, what was last known of it.
//!
//! An instance reserves rings of a mebibyte and a half, of which all becomes memory that a busy replica has once gone round, and has
//! tasks and histograms of its own. So whoever has slept for long [gives it back](super::shutting), and whoever uses the replica next
//! has another one made:
//!
//! ```text
//!            nobody uses it, it has slept for long
//!   open ──────────────────▶ closing ──▶ closed
//!    ▲                          │ wanted   │ wanted
//!    └──────────── opening ◀────┴──────────┘        any ── removed, restarted, cannot be opened ──▶ ended
//! ```
//! Who only looks finds what the last one has published. What a replica is to do by itself is kept here, and told to each instance.
//!
//! # Invariants
//!
//! - One instance at a time: the next one is made after the last one has ended, and its state machine writes nothing any more.
//! - None is closed that somebody uses: who uses one holds a [`Using`], and one that is being closed is closed, then opened, for who comes
//!   later. Nobody waits for that longer than for an election.
//! - Whoever follows the instances ([`Runs`]) sees one only once it publishes what it is, and is not told that a replica has stopped
//!   where its instance was closed.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use env::watch;
use futures::FutureExt as _;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::{Raft, RaftMetrics};
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::machine::{Machine, Tenure};
use super::making::{Making, Running};
use super::runtime::EnvReceiver;
use super::sleepers::Place;
use super::types::Types;

/// How long after a failure it is tried once more to open an instance.
const AGAIN: Duration = Duration::from_secs(1);

/// Why there is no instance.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NotOpen {
    /// It may come still.
    #[error("the replica has slept, and was not opened in time")]
    Late,
    /// The replica has stopped.
    #[error("{0}")]
    Ended(String),
}

/// An instance that is not closed as long as this lives.
pub(super) struct Using(Arc<Running>);

impl Deref for Using {
    type Target = Raft<Types, Machine>;

    fn deref(&self) -> &Self::Target {
        &self.0.raft
    }
}

enum Phase {
    Open(Arc<Running>),
    Closing {
        /// Somebody waits for the next one.
        wanted: bool,
    },
    Closed,
    Opening,
    Ended,
}

struct State {
    phase: Phase,
    /// How many there were.
    count: u64,
    /// What the one that is open publishes, or what the last one did.
    known: EnvReceiver<RaftMetrics<Types>>,
    tenure: Arc<Tenure>,
}

/// One of a replica's instances, as it is followed.
#[derive(Clone)]
pub(super) struct Run {
    number: u64,
    pub(super) metrics: WatchReceiverOf<Types, RaftMetrics<Types>>,
    pub(super) server: WatchReceiverOf<Types, RaftServerMetrics<Types>>,
}

impl Run {
    fn new(number: u64, running: &Running) -> Self {
        Self { number, metrics: running.raft.metrics(), server: running.raft.server_metrics() }
    }
}

enum Course {
    Open(Run),
    Closed,
    Ended,
}

/// Follows a replica's instances, one after the other. Keeps none of them.
pub(super) struct Runs(watch::Receiver<Course>);

impl Runs {
    /// The one that is open, once one is; none once none will be.
    pub(super) async fn next(&mut self) -> Option<Run> {
        let course = self.0.wait_for(|course| !matches!(course, Course::Closed)).await.ok()?;
        match &*course {
            Course::Open(run) => Some(run.clone()),
            Course::Closed | Course::Ended => None,
        }
    }

    /// Whether one that has ended was closed.
    pub(super) fn is_closed(&self, run: &Run) -> bool {
        match &*self.0.borrow() {
            Course::Open(now) => now.number != run.number,
            Course::Closed => true,
            Course::Ended => false,
        }
    }
}

/// What a replica does by itself, whichever instance it has.
struct Timers {
    tick: AtomicBool,
    elect: AtomicBool,
    heartbeat: AtomicBool,
    /// The next instance asks for votes as soon as it is open.
    campaigns: AtomicBool,
}

impl Timers {
    fn tell(&self, raft: &Raft<Types, Machine>) {
        let config = raft.runtime_config();
        config.elect(self.elect.load(Ordering::SeqCst));
        config.heartbeat(self.heartbeat.load(Ordering::SeqCst));
        config.tick(self.tick.load(Ordering::SeqCst));
    }
}

/// See the module.
pub(super) struct Instance {
    making: Making,
    state: RwLock<State>,
    timers: Timers,
    course: watch::Sender<Course>,
    /// Why it could not be opened again.
    failure: OnceLock<String>,
    /// Where the store's looks find out whether it is closed.
    place: Arc<Place>,
    /// Told when it is open, closed, or has ended.
    changed: Notify,
}

impl Instance {
    /// That of a replica which was started just now. It campaigns by itself if it may `elect`.
    pub(super) async fn first(
        making: Making,
        machine: Machine,
        elect: bool,
        place: Arc<Place>,
    ) -> Result<Arc<Self>, String> {
        let running = making.first(machine, elect).await?;
        let (known, tenure) = (running.raft.metrics(), Arc::clone(&running.tenure));
        let course = watch::Sender::new(Course::Open(Run::new(1, &running)));
        let phase = Phase::Open(Arc::new(running));
        let state = RwLock::new(State { phase, count: 1, known, tenure });
        let timers = Timers {
            tick: AtomicBool::new(true),
            elect: AtomicBool::new(elect),
            heartbeat: AtomicBool::new(true),
            campaigns: AtomicBool::new(false),
        };
        let (failure, changed) = (OnceLock::new(), Notify::new());
        Ok(Arc::new(Self { making, state, timers, course, failure, place, changed }))
    }

    /// It, opened if it is closed. Waits for that no longer than for an election.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Using, NotOpen> {
        if let Some(using) = self.if_open() {
            return Ok(using);
        }
        // Apart, for those who find it open are many, and need no room for this.
        let patience = self.making.ground.timing.election_max;
        env::clock::timeout(patience, self.wait_open()).boxed().await.unwrap_or(Err(NotOpen::Late))
    }

    async fn wait_open(self: &Arc<Self>) -> Result<Using, NotOpen> {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = self.want() {
                return found;
            }
            changed.await;
        }
    }

    /// It, if it is open.
    pub(super) fn if_open(&self) -> Option<Using> {
        match &self.state.read().phase {
            Phase::Open(running) => Some(Using(Arc::clone(running))),
            Phase::Closing { .. } | Phase::Closed | Phase::Opening | Phase::Ended => None,
        }
    }

    /// Has it opened, if it is closed, and does not wait for that. What it is; none before it is open or has ended.
    pub(super) fn want(self: &Arc<Self>) -> Option<Result<Using, NotOpen>> {
        {
            let mut state = self.state.write();
            let phase = &mut state.phase;
            match phase {
                Phase::Open(running) => return Some(Ok(Using(Arc::clone(running)))),
                Phase::Closing { wanted } => {
                    *wanted = true;
                    return None;
                }
                Phase::Opening => return None,
                Phase::Ended => {
                    let why = self.failure.get().cloned();
                    return Some(Err(NotOpen::Ended(why.unwrap_or_else(|| "stopped".to_owned()))));
                }
                Phase::Closed => *phase = Phase::Opening,
            }
        }
        let opening = Opening { instance: Arc::clone(self), done: false };
        drop(self.making.ground.spawn(opening.run()));
        None
    }

    /// Runs `work` if it is closed, and keeps it so meanwhile.
    pub(super) fn while_closed<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let state = self.state.read();
        matches!(state.phase, Phase::Closed).then(work)
    }

    /// What it publishes, or has published last.
    pub(super) fn metrics(&self) -> WatchReceiverOf<Types, RaftMetrics<Types>> {
        self.state.read().known.clone()
    }

    /// Follows what becomes of it.
    pub(super) fn runs(&self) -> Runs {
        Runs(self.course.subscribe())
    }

    /// Why it could not be opened, if it could not.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Whether its state machine writes nothing any more.
    #[cfg(test)]
    pub(super) fn has_ended(&self) -> bool {
        self.state.read().tenure.has_ended()
    }

    /// Whether it uses its timers.
    pub(super) fn tick(&self, on: bool) {
        self.timers.tick.store(on, Ordering::SeqCst);
        if let Some(raft) = self.if_open() {
            raft.runtime_config().tick(on);
        }
    }

    /// Whether it campaigns by itself.
    pub(super) fn elect(&self, on: bool) {
        self.timers.elect.store(on, Ordering::SeqCst);
        if let Some(raft) = self.if_open() {
            raft.runtime_config().elect(on);
        }
    }

    /// Whether it sends heartbeats, where it leads.
    pub(super) fn heartbeat(&self, on: bool) {
        self.timers.heartbeat.store(on, Ordering::SeqCst);
        if let Some(raft) = self.if_open() {
            raft.runtime_config().heartbeat(on);
        }
    }

    /// Its leader is gone. One that is open campaigns with its next tick, for it has heard of nobody for long; to one that is made anew
    /// that would seem to be just now.
    pub(super) fn campaign_once_open(&self) {
        let state = self.state.read();
        self.timers.campaigns.store(!matches!(state.phase, Phase::Open(_)), Ordering::SeqCst);
    }

    /// Begins to close it if it is open, nobody uses it, and `may` says so, while nobody can begin to. It is closed once that is
    /// [finished](Shutting::finish).
    pub(super) fn begin_closing(self: &Arc<Self>, may: impl FnOnce() -> bool) -> Option<Shutting> {
        let mut state = self.state.write();
        let Phase::Open(running) = &state.phase else { return None };
        if Arc::strong_count(running) != 1 || !may() {
            return None;
        }
        let running = Arc::clone(running);
        let last = state.known.borrow_watched().clone();
        state.known = EnvReceiver::of(last);
        state.phase = Phase::Closing { wanted: false };
        self.timers.campaigns.store(false, Ordering::SeqCst);
        self.course.send_replace(Course::Closed);
        Some(Shutting { instance: Arc::clone(self), running })
    }

    /// Ends it for good, whatever is done with it now.
    pub(super) async fn end(&self) {
        let running = loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state.write();
                match std::mem::replace(&mut state.phase, Phase::Ended) {
                    Phase::Open(running) => break Some(running),
                    Phase::Closed | Phase::Ended => break None,
                    busy @ (Phase::Opening | Phase::Closing { .. }) => state.phase = busy,
                }
            }
            changed.await;
        };
        if let Some(running) = running {
            // An error means that it has stopped already.
            let _ = running.raft.shutdown().await;
            // openraft's worker may be at work still, and has more to do.
            let tenure = Arc::clone(&running.tenure);
            let _ = env::task::blocking(move || tenure.end()).await;
        }
        self.has_become(Course::Ended);
    }

    fn has_become(&self, course: Course) {
        self.course.send_replace(course);
        self.changed.notify_waiters();
    }

    fn has_opened(&self, running: Running) {
        self.place.set_closed(false);
        {
            let mut state = self.state.write();
            state.count += 1;
            state.known = running.raft.metrics();
            state.tenure = Arc::clone(&running.tenure);
            self.timers.tell(&running.raft);
            self.course.send_replace(Course::Open(Run::new(state.count, &running)));
            state.phase = Phase::Open(Arc::new(running));
        }
        self.changed.notify_waiters();
    }

    fn has_failed(&self, why: String) {
        let _ = self.failure.set(why);
        self.state.write().phase = Phase::Ended;
        self.has_become(Course::Ended);
    }
}

/// An opening on its way. Where that is given up the replica has ended.
struct Opening {
    instance: Arc<Instance>,
    done: bool,
}

impl Opening {
    async fn run(mut self) {
        let Instance { making, timers, .. } = &*self.instance;
        let (range_id, replica_id) = (making.log.range_id(), making.log.replica_id());
        let mut made = making.next().await;
        if let Err(why) = &made {
            tracing::error!(range_id, replica_id, %why, "a replica that has slept cannot be opened; it is tried again");
            env::clock::sleep(AGAIN).await;
            made = making.next().await;
        }
        match made {
            Ok(running) => {
                if timers.campaigns.swap(false, Ordering::SeqCst) && timers.elect.load(Ordering::SeqCst) {
                    // An error means that it has stopped already, which is noticed.
                    let _ = running.raft.trigger().elect(true).await;
                }
                self.instance.has_opened(running);
            }
            Err(why) => {
                tracing::error!(range_id, replica_id, %why, "the replica cannot be opened and is given up");
                metrics::counter!("nunatak_replicas_stopped_total").increment(1);
                self.instance.has_failed(format!("it cannot be opened again: {why}"));
            }
        }
        self.done = true;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if !self.done {
            self.instance.has_failed("its opening was given up".to_owned());
        }
    }
}

/// A closing that has begun.
pub(super) struct Shutting {
    instance: Arc<Instance>,
    running: Arc<Running>,
}

impl Shutting {
    /// Ends the instance, and has the next one made if somebody waits for it by then.
    pub(super) async fn finish(self) {
        let Self { instance, running } = self;
        // An error means that it has stopped already: the next one begins with what is on the disk.
        let _ = running.raft.shutdown().await;
        // All is applied, so that nobody is waited for.
        running.tenure.end();
        drop(running);
        instance.place.set_closed(true);
        let is_wanted = {
            let mut state = instance.state.write();
            let is_wanted = matches!(state.phase, Phase::Closing { wanted: true });
            state.phase = Phase::Closed;
            is_wanted
        };
        if is_wanted {
            let _ = instance.want();
        }
        instance.changed.notify_waiters();
    }
}

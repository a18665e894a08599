//! What a run came to.

use std::fmt;
use std::sync::Arc;

use client::Error;
use parking_lot::Mutex;
use proto::simulated::Counts;

use super::faults::Faults;
use super::scenario::Scenario;

/// More violations than this of one run are not written down.
const VIOLATIONS_MAX: usize = 20;

/// What workers have seen. Clones share it.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    commits: u64,
    large_commits: u64,
    reads: u64,
    aborts: u64,
    ambiguous: u64,
    unavailable: u64,
    too_old: u64,
    divided: u64,
    watched: u64,
    erased: u64,
    taken: u64,
    branched: u64,
    violations: Vec<String>,
}

/// How a transaction failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may be run again.
    Conflict,
    /// Whether it took place is not known.
    Ambiguous,
    /// It did not take place, for it did not reach the cluster in time.
    Unavailable,
    /// It read a snapshot that is older than the history that is kept.
    TooOld,
    /// It did not take place, for its keys are in several ranges by now.
    Divided,
    /// For a reason that no fault explains.
    Unexpected(String),
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::Serialization { .. } | Error::Deadlock { .. } | Error::LockNotAvailable { .. } => {
                Self::Conflict
            }
            Error::Ambiguous { .. } => Self::Ambiguous,
            Error::Unavailable { .. } | Error::Timeout { .. } => Self::Unavailable,
            Error::SnapshotTooOld { .. } | Error::HistoryErased { .. } => Self::TooOld,
            Error::Unsupported { message } if message.contains("several ranges") => Self::Divided,
            unexpected => Self::Unexpected(format!("{unexpected:?}")),
        }
    }
}

impl Tally {
    /// A transaction with writes was acknowledged.
    pub(super) fn committed(&self) {
        self.0.lock().commits += 1;
    }

    /// A transaction with rows of megabytes was acknowledged.
    pub(super) fn hauled(&self) {
        self.0.lock().large_commits += 1;
    }

    /// A transaction that only reads was finished.
    pub(super) fn read(&self) {
        self.0.lock().reads += 1;
    }

    /// So many changes that a watch was told of were found to be committed.
    pub(super) fn watched(&self, changes: u64) {
        self.0.lock().watched += changes;
    }

    /// An erasure of history was acknowledged.
    pub(super) fn erased(&self) {
        self.0.lock().erased += 1;
    }

    /// So many jobs of the queue were taken by a transaction that was acknowledged.
    pub(super) fn taken(&self, jobs: u64) {
        self.0.lock().taken += jobs;
    }

    /// A branch was made, changed, and flashed back.
    pub(super) fn branched(&self) {
        self.0.lock().branched += 1;
    }

    /// A transaction ended with an error. One that no fault explains is a violation.
    pub(super) fn failed(&self, failure: impl Into<Failure>) {
        let mut seen = self.0.lock();
        match failure.into() {
            Failure::Conflict => seen.aborts += 1,
            Failure::Ambiguous => seen.ambiguous += 1,
            Failure::Unavailable => seen.unavailable += 1,
            Failure::TooOld => seen.too_old += 1,
            Failure::Divided => seen.divided += 1,
            Failure::Unexpected(error) => note(&mut seen, format!("unexpected error: {error}")),
        }
    }

    /// Something that must not happen.
    pub(super) fn violation(&self, violation: String) {
        note(&mut self.0.lock(), violation);
    }

    pub(super) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().violations)
    }
}

fn note(seen: &mut Seen, violation: String) {
    if seen.violations.len() < VIOLATIONS_MAX {
        seen.violations.push(violation);
    }
}

/// What happened in a run. Two runs of a seed have equal reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The scenario's name.
    pub scenario: String,
    /// Seconds that passed in the simulation.
    pub seconds: u64,
    /// Transactions with writes that were acknowledged.
    pub commits: u64,
    /// Those with rows of megabytes, which are not among them.
    pub large_commits: u64,
    /// Transactions that only read.
    pub reads: u64,
    /// Conflicts and deadlocks.
    pub aborts: u64,
    /// Commits whose outcome stayed unknown.
    pub ambiguous: u64,
    /// Transactions that did not reach the cluster in time.
    pub unavailable: u64,
    /// Reads that were refused because history is not kept that long.
    pub too_old: u64,
    /// Transactions that were refused because their keys are in several ranges.
    pub divided: u64,
    /// Requests that replicas have answered that did not lead.
    pub follower_reads: u64,
    /// Changes that watchers were told of, and found to be committed.
    pub watched: u64,
    /// Erasures of history that were acknowledged.
    pub erased: u64,
    /// Jobs of the queue that were taken.
    pub taken: u64,
    /// Branches that were made, changed, and flashed back.
    pub branched: u64,
    /// What the nemesis did.
    pub faults: Faults,
    /// Changes of leaders after the start, over all ranges.
    pub failovers: u64,
    /// What the network did, and the trace.
    pub network: Counts,
}

impl Report {
    /// Of a run in which nothing happened.
    pub(super) fn new(seed: u64, scenario: &Scenario) -> Self {
        Self::from_tally(seed, scenario, &Tally::default())
    }

    pub(super) fn from_tally(seed: u64, scenario: &Scenario, tally: &Tally) -> Self {
        let seen = tally.0.lock();
        Self {
            seed,
            scenario: scenario.name.clone(),
            seconds: 0,
            commits: seen.commits,
            large_commits: seen.large_commits,
            reads: seen.reads,
            aborts: seen.aborts,
            ambiguous: seen.ambiguous,
            unavailable: seen.unavailable,
            too_old: seen.too_old,
            divided: seen.divided,
            follower_reads: 0,
            watched: seen.watched,
            erased: seen.erased,
            taken: seen.taken,
            branched: seen.branched,
            faults: Faults::default(),
            failovers: 0,
            network: Counts::default(),
        }
    }

    /// What of the scenario's floors was not reached: how much was committed, which what is broken may hold up, and what
    /// else a run is to have met with, which says nothing against who was met.
    pub fn below_floors(&self, scenario: &Scenario, met: bool) -> Vec<String> {
        let floors = &scenario.floors;
        let commits = ("commits", self.commits, floors.commits);
        let floors = [
            ("large commits", self.large_commits, floors.large_commits),
            ("faults", self.faults.total(), floors.faults),
            ("operations", self.faults.operations(), floors.operations),
            ("merges", self.faults.merges, floors.merges),
            ("reads by followers", self.follower_reads, floors.follower_reads),
            ("faults while ranges slept", self.faults.asleep, floors.asleep),
            ("changes watched", self.watched, floors.watched),
            ("erasures", self.erased, floors.erased),
            ("jobs taken", self.taken, floors.taken),
            ("branches", self.branched, floors.branched),
        ];
        let spurious = (scenario.history_ms.is_none() && self.too_old > 0)
            .then(|| format!("{} snapshots were too old, and history is kept for long", self.too_old));
        let undivided = (scenario.faults.divide + scenario.faults.merge == 0 && self.divided > 0)
            .then(|| format!("{} transactions found several ranges, and none was divided", self.divided));
        let floors = std::iter::once(commits).chain(floors.into_iter().filter(|_| met));
        let missed = floors.filter(|(_, reached, floor)| reached < floor);
        let missed = missed.map(|(what, reached, floor)| format!("{reached} {what}, the floor is {floor}"));
        missed.chain(spurious).chain(undivided).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {:>4} {:<10} {:>4} s: {:>5} commits {:>3} large {:>5} reads {:>4} aborts {:>3} ambiguous {:>3} unavailable {:>3} too old {:>3} divided {:>5} by followers {:>5} watched {:>3} erased {:>4} taken {:>3} branched; \
             {:>2} crashes {:>2} stops {:>2} cuts {:>2} clocks {:>2} hangs {:>2} freezes {:>2} divisions {:>2} merges {:>2} transfers {:>2} moves {:>2} resizes {:>2} drains {:>2} decommissions {:>2} gateways, {:>4} lost {:>4} slow {:>4} twice; {:>2} failovers; trace {:016x}",
            self.seed,
            self.scenario,
            self.seconds,
            self.commits,
            self.large_commits,
            self.reads,
            self.aborts,
            self.ambiguous,
            self.unavailable,
            self.too_old,
            self.divided,
            self.follower_reads,
            self.watched,
            self.erased,
            self.taken,
            self.branched,
            self.faults.crashes,
            self.faults.stops,
            self.faults.cuts,
            self.faults.clocks,
            self.faults.hangs,
            self.faults.freezes,
            self.faults.divisions,
            self.faults.merges,
            self.faults.transfers,
            self.faults.moves,
            self.faults.resizes,
            self.faults.drains,
            self.faults.decommissions,
            self.faults.gateways,
            self.network.lost,
            self.network.slow,
            self.network.duplicated,
            self.failovers,
            self.network.trace,
        )
    }
}

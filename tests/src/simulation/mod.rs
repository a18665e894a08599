//! The whole cluster in one thread, with one seed for all chance: nodes on disks that forget, two gateways on a
//! network that fails, and histories that are checked.
//!
//! [`run`] plays one [`Scenario`] under one seed. Time is tokio's paused clock, which jumps from event to event, so a
//! minute of a cluster's life takes seconds, and the same seed lives it again, exactly: a run's [`Report`] carries a
//! hash over every message delivered.
//!
//! A run: start the nodes and join them (`cluster`), write the first state, let workers of each gateway transfer money
//! (`bank`), append to lists (`lists`), which others watch (`watches`) and whose history they erase (`erasures`), write rows of megabytes (`hoard`), and put jobs into a queue and take them (`queue`), by keys and values or by SQL (`sessions`, which also make branches of the past), some by the doors beside SQL's,
//! while the scenario's faults come and go (`nemesis`), heal everything, wait for the cluster to serve again, and check: sums, acknowledged writes,
//! dependency cycles (`cycles`) in the lists' `history`, what was read as of moments of the past, what became of each job (`jobs`), that every key has one range (`coverage`), that the replicas are alike, that nothing panicked.

mod bank;
mod borders;
mod cluster;
mod coverage;
mod cycles;
mod erasures;
mod faults;
mod gateway;
mod history;
mod hoard;
mod jobs;
mod lists;
mod nemesis;
mod operator;
mod panics;
mod queue;
mod quiet;
mod report;
mod scenario;
mod sessions;
mod signals;
mod snapshots;
mod watches;
mod workload;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use env::{clock, simulation};

use self::cluster::Cluster;
use self::gateway::Gateway;
use self::operator::Operator;
pub use self::quiet::{Quiet, RoundTrips, quiet, quiet_over, quiet_with};
pub use self::report::{Report, Tally};
pub use self::scenario::Scenario;
use self::signals::Signals;
use self::workload::Workload;

/// How long the cluster may take, once all faults are over, until it serves again.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long after that the workers may take to finish what they have begun.
const FINISH: Duration = Duration::from_secs(120);

/// What a run came to, if it came to an end.
#[derive(Debug)]
pub struct Outcome {
    /// What happened.
    pub report: Report,
    /// What must not happen, and did.
    pub violations: Vec<String>,
}

/// Plays `scenario` under `seed` on this thread.
pub fn run(seed: u64, scenario: &Scenario) -> Outcome {
    let panics = panics::watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread");
    let mut outcome = runtime.block_on(async {
        let _simulation = simulation::enter(seed);
        play(seed, scenario).await
    });
    drop(runtime);
    outcome.violations.extend(panics.seen().into_iter().map(|panic| format!("panic: {panic}")));
    outcome
}

async fn play(seed: u64, scenario: &Scenario) -> Outcome {
    let began = clock::now();
    let tally = Tally::default();
    let mut cluster = Cluster::new(scenario);
    if let Err(why) = cluster.form().await {
        return Outcome {
            report: Report::new(seed, scenario),
            violations: vec![format!("no cluster: {why}")],
        };
    }
    let gateways: Vec<Gateway> = (1..=2).map(|number| Gateway::new(number, &cluster)).collect();
    let workload = Workload::new(scenario, &tally);
    let mut violations = workload.open(scenario, &gateways[0]).await;
    let terms = cluster.terms().await;

    let signals: Vec<Signals> = gateways.iter().map(|_| Signals::default()).collect();
    let mut workers = Vec::new();
    for (gateway, signals) in gateways.iter().zip(&signals) {
        workers.extend(workload.start(scenario, gateway, signals));
    }
    let faults = Rc::new(Cell::new(faults::Faults::default()));
    let tormented = nemesis::torment(&mut cluster, scenario, &gateways, &workload, &signals, &faults);
    violations.extend(tormented.await);
    gateways.iter().for_each(Gateway::thaw);

    violations.extend(cluster.heal().await);
    if scenario.faults.operates() {
        let operator = Operator::of(&cluster);
        violations.extend(operator.restore().await);
        violations.extend(operator.trim().await);
    }
    let served = clock::timeout(RECOVERY, cluster.wait_serving(gateways[0].client())).await;
    if served.is_err() {
        violations.push(format!("the cluster did not serve within {RECOVERY:?} after the last fault"));
    }
    signals.iter().for_each(Signals::stop);
    for worker in workers {
        if clock::timeout(FINISH, worker).await.is_err() {
            violations.push(format!("a worker did not finish within {FINISH:?} after the last fault"));
        }
    }
    if served.is_ok() {
        violations.extend(workload.settle(&gateways[1]).await);
        violations.extend(cluster.settle_replicas().await);
        violations.extend(cluster.settle_coverage().await);
        if !cluster.collects().await {
            violations.push("the safe point does not move".to_owned());
        }
        violations.extend(cluster.unfinished().await);
        violations.extend(cluster.compare_replicas().await);
        violations.extend(cluster.comes_to_rest().await);
        violations.extend(cluster.settle_sleep().await);
        violations.extend(cluster.wakes_at_once(gateways[1].client()).await);
    }
    violations.extend(tally.take_violations());
    let failovers = cluster.terms().await.saturating_sub(terms);
    let report = Report {
        faults: faults.get(),
        failovers,
        follower_reads: gateways.iter().map(|gateway| gateway.client().follower_reads()).sum(),
        network: cluster.network_counts(),
        seconds: clock::now().duration_since(began).as_secs(),
        ..Report::from_tally(seed, scenario, &tally)
    };
    cluster.end();
    Outcome { report, violations }
}

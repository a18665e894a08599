//! The deterministic simulation: seeds, floors, replay.
//!
//! `NUNATAK_SIMULATION_SEEDS` says how many seeds are played (20 if it does not), each of them twice, for a seed is one
//! run and no other. They take turns with the scenarios, unless `NUNATAK_SIMULATION_SCENARIO` names one for all.
//! `NUNATAK_SIMULATION_SEED` replays one, with the log that `NUNATAK_SIMULATION_LOG` asks for (as
//! `nunatak=info,openraft=warn`). With the package's feature `canaries` the test is that for each defect on purpose a seed
//! goes wrong; `NUNATAK_CANARY` picks some of them, with commas between.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nunatak_tests::simulation::{Outcome, Scenario, run};

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// More wall time than this for one seed is a hang.
const SEED_MAX: Duration = Duration::from_secs(300);

/// The scenario that all seeds play, where a canary has one that it shows in.
static SCENARIO: Mutex<Option<&'static str>> = Mutex::new(None);

/// The scenario that a seed plays.
fn scenario(seed: u64) -> Scenario {
    let asked = std::env::var("NUNATAK_SIMULATION_SCENARIO").ok();
    let Some(name) = asked.or_else(|| SCENARIO.lock().unwrap().map(str::to_owned)) else {
        return Scenario::of_seed(seed);
    };
    let named = Scenario::all().into_iter().find(|scenario| scenario.name == name);
    named.unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// Plays a seed; its report, and what is wrong with it.
fn play(seed: u64) -> (String, Vec<String>) {
    let scenario = scenario(seed);
    let Outcome { report, mut violations } = run(seed, &scenario);
    violations.extend(report.below_floors(&scenario));
    (report.to_string(), violations)
}

/// Plays a seed, and again: it must be the same run.
fn play_twice(seed: u64) -> (String, Vec<String>) {
    let (report, mut violations) = play(seed);
    let (again, _) = play(seed);
    if again != report {
        violations.push(format!("played again it is another run: {again}"));
    }
    (report, violations)
}

/// Plays the seeds `0..count` on all cores; those that went wrong. With `stop`, none is begun after the first of them.
fn play_all(count: u64, stop: bool) -> Vec<u64> {
    let next = AtomicU64::new(0);
    let wrong = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || (stop && !wrong.lock().unwrap().is_empty()) {
                        return;
                    }
                    let began = Instant::now();
                    let (report, violations) = watched(seed);
                    println!("{report} ({:.1} s)", began.elapsed().as_secs_f64());
                    if !violations.is_empty() {
                        println!("seed {seed} WENT WRONG; replay: NUNATAK_SIMULATION_SEED={seed} cargo test -p nunatak-tests --test simulation");
                        for violation in violations {
                            println!("  {violation}");
                        }
                        wrong.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

/// Plays a seed on a thread of its own, and ends the process if it hangs.
fn watched(seed: u64) -> (String, Vec<String>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let playing = std::thread::Builder::new()
        .name(format!("seed-{seed}"))
        .stack_size(16 << 20)
        .spawn(move || sender.send(if cfg!(feature = "canaries") { play(seed) } else { play_twice(seed) }))
        .expect("a thread");
    match receiver.recv_timeout(SEED_MAX) {
        Ok(played) => played,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
            eprintln!("seed {seed} hangs: no end after {SEED_MAX:?}");
            std::process::abort();
        }
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            let panic = playing.join().err();
            let why = panic.and_then(|panic| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            (format!("seed {seed:>4}"), vec![format!("the run itself panicked: {why}")])
        }
    }
}

/// Replays the seed that was asked for, if one was.
fn replay() -> bool {
    let Some(seed) = number("NUNATAK_SIMULATION_SEED") else { return false };
    log();
    let (report, violations) = play(seed);
    println!("{report}");
    assert!(violations.is_empty(), "seed {seed}:\n  {}", violations.join("\n  "));
    true
}

#[cfg(not(feature = "canaries"))]
#[test]
fn every_seed_keeps_its_promises() {
    if replay() {
        return;
    }
    let wrong = play_all(number("NUNATAK_SIMULATION_SEEDS").unwrap_or(20), false);
    assert!(wrong.is_empty(), "these seeds went wrong: {wrong:?}");
}

/// The scenario with the faults that bring a canary to light; none if any does.
#[cfg(feature = "canaries")]
fn shows_in(canary: env::canary::Canary) -> Option<&'static str> {
    use env::canary::Canary;
    match canary {
        Canary::SkipValidation => None,
        Canary::NoFsync => Some("crashes"),
        Canary::LeaseWithoutFence => Some("leases"),
        Canary::ForgetReadsOnRollbackTo => Some("sessions"),
        Canary::SkipUnreadable => Some("disks"),
        Canary::JointForEver => Some("moves"),
        Canary::SkipSafePoint => Some("history"),
    }
}

/// With a canary in the product, a seed must go wrong; soon, or the checkers are asleep.
#[cfg(feature = "canaries")]
#[test]
fn defects_on_purpose_are_found() {
    use env::canary::{Canary, pick};
    if replay() {
        return;
    }
    let seeds = number("NUNATAK_SIMULATION_SEEDS").unwrap_or(200);
    let asked = std::env::var("NUNATAK_CANARY").ok();
    let named = asked.map(|names| {
        let named = |name| Canary::named(name).unwrap_or_else(|| panic!("there is no canary {name}"));
        names.split(',').map(named).collect::<Vec<_>>()
    });
    let mut unseen = Vec::new();
    for canary in named.as_deref().unwrap_or(Canary::ALL) {
        println!("canary {}", canary.name());
        pick(Some(*canary));
        *SCENARIO.lock().unwrap() = shows_in(*canary);
        if play_all(seeds, true).is_empty() {
            unseen.push(canary.name());
        }
    }
    assert!(unseen.is_empty(), "{seeds} seeds did not find {unseen:?}");
}

fn log() {
    let Ok(filter) = std::env::var("NUNATAK_SIMULATION_LOG") else { return };
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_timer(SimulatedTime);
    subscriber.init();
}

/// Seconds since the simulation began.
struct SimulatedTime;

impl tracing_subscriber::fmt::time::FormatTime for SimulatedTime {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        // Every simulation begins at midnight.
        let ms = env::clock::wall_us() / 1000 % 86_400_000;
        write!(w, "{:>8}.{:03}", ms / 1000, ms % 1000)
    }
}

//! Plays the simulation's seeds: all of them on all cores, or one again.
//!
//! They take turns with the scenarios, unless `NUNATAK_SIMULATION_SCENARIO` names one for all, or a file (`….toml`) with one.
//! `NUNATAK_SIMULATION_SEED` asks for a single one, with the log that `NUNATAK_SIMULATION_LOG` wants (as
//! `nunatak=info,openraft=warn`).

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::simulation::{Outcome, Scenario, run};

/// More wall time than this for one seed is a hang.
const SEED_MAX: Duration = Duration::from_secs(300);

/// Which seeds are played, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seeds {
    /// The seeds below this.
    pub count: u64,
    /// So many of them are played twice: a seed is one run and no other.
    pub twice: u64,
    /// Whether none is begun once one has gone wrong.
    pub stop: bool,
    /// The scenario that all of them play, if the environment names none.
    pub scenario: Option<&'static str>,
    /// Whether something is broken on purpose: then a run has not gone wrong that has only met with too little.
    pub broken: bool,
}

impl Seeds {
    /// Plays them on all cores; those that went wrong.
    pub fn play(self) -> Vec<u64> {
        let next = AtomicU64::new(0);
        let wrong = Mutex::new(Vec::new());
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.count || (self.stop && !wrong.lock().unwrap().is_empty()) {
                            return;
                        }
                        if !self.play_one(seed) {
                            wrong.lock().unwrap().push(seed);
                        }
                    }
                });
            }
        });
        wrong.into_inner().unwrap()
    }

    /// Plays a seed and tells of it; whether all was well.
    fn play_one(self, seed: u64) -> bool {
        let began = Instant::now();
        let (report, violations) = self.watched(seed);
        println!("{report} ({:.1} s)", began.elapsed().as_secs_f64());
        if violations.is_empty() {
            return true;
        }
        println!(
            "seed {seed} WENT WRONG; replay: NUNATAK_SIMULATION_SEED={seed} cargo test --workspace --test simulation seeds"
        );
        for violation in violations {
            println!("  {violation}");
        }
        false
    }

    /// Plays a seed on a thread of its own, and ends the process if it hangs.
    fn watched(self, seed: u64) -> (String, Vec<String>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let playing = std::thread::Builder::new()
            .name(format!("seed-{seed}"))
            .stack_size(16 << 20)
            .spawn(move || {
                let scenario = scenario(seed, self.scenario);
                let (report, mut violations) = play(seed, &scenario, !self.broken);
                if seed < self.twice {
                    let (again, _) = play(seed, &scenario, true);
                    if again != report {
                        violations.push(format!("played again it is another run: {again}"));
                    }
                }
                sender.send((report, violations))
            })
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
}

/// Replays the seed that was asked for, if one was, and panics where it goes wrong.
pub fn replay() -> bool {
    let Some(seed) = number("NUNATAK_SIMULATION_SEED") else { return false };
    log();
    let (report, violations) = play(seed, &scenario(seed, None), true);
    println!("{report}");
    assert!(violations.is_empty(), "seed {seed}:\n  {}", violations.join("\n  "));
    true
}

/// The number that an environment variable holds, if it is set.
pub fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// The scenario that a seed plays.
fn scenario(seed: u64, all: Option<&str>) -> Scenario {
    let asked = std::env::var("NUNATAK_SIMULATION_SCENARIO").ok();
    let Some(name) = asked.or_else(|| all.map(str::to_owned)) else { return Scenario::of_seed(seed) };
    if name.ends_with(".toml") {
        return Scenario::read(Path::new(&name));
    }
    let named = Scenario::all().into_iter().find(|scenario| scenario.name == name);
    named.unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// Plays a seed; its report, and what is wrong with it, also if it has `met` with too little.
fn play(seed: u64, scenario: &Scenario, met: bool) -> (String, Vec<String>) {
    let Outcome { report, mut violations } = run(seed, scenario);
    violations.extend(report.below_floors(scenario, met));
    (report.to_string(), violations)
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

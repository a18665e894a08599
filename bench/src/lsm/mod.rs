//! `nunatak-bench lsm`: our storage engine beside RocksDB and fjall.
//!
//! Every measurement is a process of its own ([`measure`]): memory begins fresh and its peak can be told, and where
//! 'cold' is said a memory cgroup bounds engine and page cache together. A round visits each workload and, within it,
//! each engine, so that drift of the machine meets all alike. Workloads that read start from a settled tree, which is
//! loaded once per engine; those that change it get a copy.
//!
//! The peers stand behind the cargo feature `peers`, since RocksDB takes minutes to compile and needs libclang.

mod data;
mod latency;
mod machine;
mod measure;
mod nunatak;
mod outcome;
#[cfg(feature = "peers")]
mod peer_fjall;
#[cfg(feature = "peers")]
mod peer_rocksdb;
mod report;
mod setting;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::failure::{Failure, Result};
use machine::MemoryGroup;
pub(crate) use measure::run as run_task;
use outcome::{Outcome, Outcomes};
pub(crate) use setting::Task;
use setting::{CACHE_BYTES, COLD_MEMORY_BYTES, Engine, KEYS_FULL, Start, Workload};
use store::on_file;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// 2 million keys instead of 20, and 5 s for each workload that is timed instead of 20.
    #[arg(long)]
    quick: bool,
    /// Also write the medians, tab-separated, to this file.
    #[arg(long, value_name = "FILE")]
    tsv: Option<PathBuf>,
    /// Also draw the throughputs into this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only these workloads, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// Only these engines, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    engines: Vec<Engine>,
    /// Keys (default: 20 million, quick: 2 million).
    #[arg(long)]
    keys: Option<u64>,
    /// Interleaved rounds.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Seconds of each workload that is timed (default: 20, quick: 5).
    #[arg(long)]
    seconds: Option<f64>,
    /// Threads of the workloads that read.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where the engines keep their files (default: a temporary directory). Settled trees that lie there are used
    /// again, and stay.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bench = Bench::new(options)?;
    let all = |engine: &Engine| engine.is_built();
    let engines: Vec<Engine> = if options.engines.is_empty() {
        Engine::value_variants().iter().copied().filter(all).collect()
    } else {
        options.engines.clone()
    };
    if options.engines.is_empty() && engines.len() == 1 {
        eprintln!(
            "the peers are not built in: this measures nunatak alone. For RocksDB and fjall install libclang and a \
             C++ compiler and build with --features peers"
        );
    }
    if let Some(engine) = engines.iter().find(|engine| !engine.is_built()) {
        return Err(Failure::NotBuilt(engine.name()));
    }
    let workloads: Vec<Workload> = if options.workloads.is_empty() {
        Workload::value_variants().iter().copied().filter(|workload| *workload != Workload::Load).collect()
    } else {
        options.workloads.clone()
    };
    println!(
        "{} keys of {} B, values of {} B, {} rounds, {} s where timed, {} reading threads",
        bench.keys,
        setting::KEY_BYTES,
        setting::VALUE_BYTES,
        options.rounds,
        bench.seconds,
        bench.threads
    );
    let mut outcomes = Outcomes::default();
    let mut unbounded = Vec::new();
    for round in 1..=options.rounds {
        for &workload in &workloads {
            for &engine in engines.iter().filter(|engine| workload.is_for(**engine)) {
                eprintln!("round {round}/{}: {} on {}", options.rounds, workload.name(), engine.name());
                let (outcome, bounded) = bench.measure(engine, workload, round)?;
                if !bounded && !unbounded.contains(&workload) {
                    unbounded.push(workload);
                }
                eprintln!("    {:.0} ops/s, p99.9 {:.1} us", outcome.ops_per_s, outcome.p999_us);
                outcomes.add(workload, engine, outcome);
            }
        }
    }
    print!("{}", report::table(&outcomes, &unbounded));
    if !unbounded.is_empty() {
        println!("* no memory cgroup could be made: engine and page cache were NOT bounded");
    }
    if let Some(path) = &options.tsv {
        machine::write(path, &report::tsv(&outcomes))?;
    }
    if let Some(path) = &options.svg {
        machine::write(path, &report::svg(&outcomes))?;
    }
    Ok(())
}

/// A run of the benchmark.
struct Bench {
    keys: u64,
    seconds: f64,
    threads: usize,
    dir: PathBuf,
    /// Removed with all that is in it when dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let (dir, temporary) = match &options.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let made = tempfile::tempdir().map_err(on_file(&std::env::temp_dir()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        Ok(Self {
            keys: options.keys.unwrap_or(if options.quick { KEYS_FULL / 10 } else { KEYS_FULL }),
            seconds: options.seconds.unwrap_or(if options.quick { 5.0 } else { 20.0 }),
            threads: options.threads,
            dir,
            _temporary: temporary,
        })
    }

    /// One measurement, and whether its memory was bounded if it should have been.
    fn measure(&self, engine: Engine, workload: Workload, round: u64) -> Result<(Outcome, bool)> {
        let own = self.dir.join("measured");
        remove(&own)?;
        let dir = match workload.start() {
            Start::Empty => own.clone(),
            Start::Settled => self.settled(engine)?,
            Start::Copy => {
                machine::copy(&self.settled(engine)?, &own)?;
                own.clone()
            }
        };
        if workload.start() != Start::Settled {
            fs::create_dir_all(&dir).map_err(on_file(&dir))?;
        }
        let mut task = Task {
            engine,
            workload,
            dir,
            keys: self.keys,
            seconds: self.seconds,
            cache_bytes: CACHE_BYTES,
            threads: self.threads,
            seed: round,
            cgroup: None,
        };
        let group = if workload == Workload::ReadrandomCold { Some(self.bound(&mut task)) } else { None };
        let bounded = !matches!(group, Some(None));
        let outcome = child(&task);
        drop(group);
        remove(&own)?;
        Ok((outcome?, bounded))
    }

    /// Bounds the memory of a task in proportion to its keys; None, and said aloud, where that cannot be done.
    fn bound(&self, task: &mut Task) -> Option<MemoryGroup> {
        let share = |bytes: u64| (bytes as f64 * (self.keys as f64 / KEYS_FULL as f64).min(1.0)) as u64;
        task.cache_bytes = share(CACHE_BYTES).max(8 << 20);
        let bytes = share(COLD_MEMORY_BYTES).max(96 << 20);
        match MemoryGroup::create(bytes) {
            Ok(group) => {
                eprintln!(
                    "    in a memory cgroup of {} MiB, cache {} MiB",
                    bytes >> 20,
                    task.cache_bytes >> 20
                );
                task.cgroup = Some(group.path.clone());
                Some(group)
            }
            Err(failure) => {
                eprintln!(
                    "NO MEMORY CGROUP: {failure}; the page cache is dropped once and then grows freely"
                );
                None
            }
        }
    }

    /// The directory of an engine's settled tree; it is loaded if it is not there yet.
    fn settled(&self, engine: Engine) -> Result<PathBuf> {
        let dir = self.dir.join(format!("settled-{}-{}", engine.name(), self.keys));
        if dir.exists() {
            return Ok(dir);
        }
        eprintln!("loading {}", engine.name());
        let loading = self.dir.join("loading");
        remove(&loading)?;
        fs::create_dir_all(&loading).map_err(on_file(&loading))?;
        child(&Task {
            engine,
            workload: Workload::Load,
            dir: loading.clone(),
            keys: self.keys,
            seconds: self.seconds,
            cache_bytes: CACHE_BYTES,
            threads: 1,
            seed: 0,
            cgroup: None,
        })?;
        fs::rename(&loading, &dir).map_err(on_file(&dir))?;
        Ok(dir)
    }
}

fn remove(dir: &Path) -> Result<()> {
    if dir.exists() { fs::remove_dir_all(dir).map_err(on_file(dir)) } else { Ok(()) }
}

/// Runs a task in a process of its own.
fn child(task: &Task) -> Result<Outcome> {
    let program = std::env::current_exe().map_err(on_file(Path::new("the running program")))?;
    let mut command = Command::new(&program);
    command.arg("lsm-task");
    command.args(["--engine", task.engine.name(), "--workload", &task.workload.name()]);
    command.arg("--dir").arg(&task.dir);
    for (flag, value) in [
        ("--keys", task.keys.to_string()),
        ("--seconds", task.seconds.to_string()),
        ("--cache-bytes", task.cache_bytes.to_string()),
        ("--threads", task.threads.to_string()),
        ("--seed", task.seed.to_string()),
    ] {
        command.args([flag, &value]);
    }
    if let Some(cgroup) = &task.cgroup {
        command.arg("--cgroup").arg(cgroup);
    }
    let program = program.to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { program: program.clone(), source })?;
    if !output.status.success() {
        return Err(Failure::Program { program, output: output.status.to_string() });
    }
    let line = String::from_utf8_lossy(&output.stdout);
    Outcome::decode(&line).ok_or(Failure::Missing { program, what: "outcome" })
}

//! One measurement, in a process of its own: prepare, run, settle, tell.

use std::time::{Duration, Instant};

use super::data::{Random, Values, Zipf, key, missing_key, shuffled};
use super::latency::Latencies;
use super::machine;
use super::nunatak::{Nunatak, VERSIONED_PREFIX};
use super::outcome::Outcome;
use super::setting::{Engine, KEY_BYTES, NEXTS, Task, VALUE_BYTES, Workload};
use super::store::{self, Store};
use crate::failure::{Failure, Result};

const ENTRY_BYTES: u64 = (KEY_BYTES + VALUE_BYTES) as u64;
/// Entries that a consumer of the queue takes at once, after as many were pushed.
const QUEUE_BATCH: u64 = 100;
/// Entries in the queue when it is measured.
const QUEUE_LENGTH: u64 = 1000;

/// When a workload is over.
#[derive(Debug, Clone, Copy)]
enum Until {
    Count(u64),
    Seconds(f64),
}

/// One thread of a workload.
struct Worker {
    random: Random,
    values: Values,
    /// Its number, from 0.
    number: u64,
}

/// What a workload did.
#[derive(Debug, Default)]
struct Done {
    latencies: Latencies,
    seconds: f64,
    /// Processor time of its threads.
    cpu_s: f64,
}

/// Measures as told and prints the outcome on standard output.
pub(crate) fn run(task: &Task) -> Result<()> {
    if let Some(cgroup) = &task.cgroup {
        machine::enter_group(cgroup)?;
    }
    if task.workload == Workload::ReadrandomCold {
        machine::drop_page_cache(&task.dir)?;
    }
    let outcome = match task.workload.old_versions() {
        Some(old) => versions(task, old)?,
        None => single_versions(task)?,
    };
    println!("{}", outcome.encode());
    Ok(())
}

fn single_versions(task: &Task) -> Result<Outcome> {
    let store = store::open(task)?;
    let store = store.as_ref();
    prepare(task, store)?;
    let before = machine::bytes_written();
    let done = perform(task, store)?;
    let count = done.latencies.count();
    let written = written_entries(task.workload, count);
    let settling = now();
    let mut outcome = done.outcome();
    if written > 0.0 {
        settle(store)?;
        outcome.settle_s = settling.elapsed().as_secs_f64();
        outcome.write_amp = (machine::bytes_written() - before) / (written * ENTRY_BYTES as f64);
    }
    if let Some(live) = live_entries(task, count) {
        outcome.space_amp = machine::bytes_on_disk(&task.dir)? / (live * ENTRY_BYTES) as f64;
    }
    outcome.rss_mib = machine::peak_memory_mib();
    Ok(outcome)
}

/// Entries written, on average.
fn written_entries(workload: Workload, operations: u64) -> f64 {
    let operations = operations as f64;
    match workload {
        Workload::Load | Workload::Fillseq | Workload::Fillrandom | Workload::Overwrite => operations,
        Workload::Fillsync1 | Workload::Fillsync16 | Workload::Queue => operations,
        Workload::YcsbA | Workload::YcsbF => operations * 0.5,
        Workload::YcsbB | Workload::YcsbE => operations * 0.05,
        _ => 0.0,
    }
}

/// Entries that a reader can see in the end, where that is known.
fn live_entries(task: &Task, operations: u64) -> Option<u64> {
    match task.workload {
        Workload::Fillsync1 | Workload::Fillsync16 | Workload::Queue | Workload::YcsbE => None,
        Workload::Fillseq => Some(operations),
        _ => Some(task.keys),
    }
}

/// Fills and warms what the workload finds.
fn prepare(task: &Task, store: &dyn Store) -> Result<()> {
    match task.workload {
        Workload::Readrandom => {
            let (first, count) = cached_range(task);
            store.scan(&key(first), false, count, &mut |_, _| {})?;
            for index in first..first + count {
                must_exist(store.get(&key(index))?)?;
            }
        }
        Workload::Readmissing | Workload::Seekrandom | Workload::SeekrandomReverse | Workload::YcsbC => {
            let mut random = Random::new(task.seed + 1000);
            for _ in 0..task.keys / 10 {
                must_exist(store.get(&key(random.below(task.keys)))?)?;
            }
        }
        Workload::Queue => {
            let mut worker = Worker::new(task, 0);
            for index in 0..QUEUE_LENGTH {
                store.put(&key(index), worker.value(), false)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// First index and number of the keys that fill half of the block cache.
fn cached_range(task: &Task) -> (u64, u64) {
    let count = (task.cache_bytes / 2 / ENTRY_BYTES).min(task.keys);
    ((task.keys - count) / 2, count)
}

fn must_exist(value: Option<usize>) -> Result<()> {
    if value == Some(VALUE_BYTES) {
        Ok(())
    } else {
        Err(Failure::Wrong("a key that was written is not found"))
    }
}

/// Runs the measured part.
fn perform(task: &Task, store: &dyn Store) -> Result<Done> {
    let keys = task.keys;
    let seconds = Until::Seconds(task.seconds);
    match task.workload {
        Workload::Fillseq => {
            repeat(task, 1, Until::Count(keys), |worker, step| store.put(&key(step), worker.value(), false))
        }
        Workload::Fillrandom | Workload::Load => repeat(task, 1, Until::Count(3 * keys), |worker, step| {
            // Every key once, so that all exist, then at random.
            let index = if step < keys { shuffled(step, keys) } else { worker.random.below(keys) };
            store.put(&key(index), worker.value(), false)
        }),
        Workload::Overwrite => repeat(task, 1, Until::Count(3 * keys), |worker, _| {
            let index = worker.random.below(keys);
            store.put(&key(index), worker.value(), false)
        }),
        Workload::Fillsync1 => repeat(task, 1, seconds, |worker, _| synced(store, worker, keys)),
        // As many writes by each engine: who writes more in the same time would be charged for compacting more.
        Workload::Fillsync16 => {
            repeat(task, 16, Until::Count((keys / 10).max(1)), |worker, _| synced(store, worker, keys))
        }
        Workload::Readrandom => {
            let (first, count) = cached_range(task);
            repeat(task, task.threads, seconds, |worker, _| {
                must_exist(store.get(&key(first + worker.random.below(count)))?)
            })
        }
        Workload::ReadrandomCold => repeat(task, task.threads, seconds, |worker, _| {
            must_exist(store.get(&key(worker.random.below(keys)))?)
        }),
        Workload::Readmissing => repeat(task, task.threads, seconds, |worker, _| {
            match store.get(&missing_key(worker.random.below(keys)))? {
                None => Ok(()),
                Some(_) => Err(Failure::Wrong("a key is found that was never written")),
            }
        }),
        Workload::Seekrandom => {
            repeat(task, task.threads, seconds, |worker, _| seek(store, worker, keys, false))
        }
        Workload::SeekrandomReverse => {
            repeat(task, task.threads, seconds, |worker, _| seek(store, worker, keys, true))
        }
        Workload::Scan => scan_all(task, store),
        Workload::Queue => repeat(task, 1, seconds, |worker, step| queue(store, worker, step)),
        _ => ycsb(task, store),
    }
}

fn synced(store: &dyn Store, worker: &mut Worker, keys: u64) -> Result<()> {
    let index = worker.random.below(keys);
    store.put(&key(index), worker.value(), true)
}

fn seek(store: &dyn Store, worker: &mut Worker, keys: u64, reverse: bool) -> Result<()> {
    let mut touched = 0u64;
    store.scan(&key(worker.random.below(keys)), reverse, NEXTS + 1, &mut |key, value| {
        touched +=
            u64::from(key.last().copied().unwrap_or(0)) + u64::from(value.first().copied().unwrap_or(0));
    })?;
    std::hint::black_box(touched);
    Ok(())
}

/// Scans everything over and over; an operation is one entry, and the percentiles are of a thousand at a time.
fn scan_all(task: &Task, store: &dyn Store) -> Result<Done> {
    let mut done = Done::default();
    let begin = now();
    let cpu_before = machine::thread_cpu_s();
    while done.seconds < task.seconds {
        let mut last = now();
        let mut entries = 0u64;
        let found = store.scan(&key(0), false, u64::MAX, &mut |key, value| {
            std::hint::black_box((key.last(), value.last()));
            entries += 1;
            if entries.is_multiple_of(1000) {
                let next = now();
                let ns = (next - last).as_nanos() as u64 / 1000;
                (0..1000).for_each(|_| done.latencies.add(ns));
                last = next;
            }
        })?;
        if found != task.keys {
            return Err(Failure::Wrong("a scan has not found every key"));
        }
        done.seconds = begin.elapsed().as_secs_f64();
    }
    done.cpu_s = machine::thread_cpu_s() - cpu_before;
    Ok(done)
}

fn queue(store: &dyn Store, worker: &mut Worker, step: u64) -> Result<()> {
    store.put(&key(QUEUE_LENGTH + step), worker.value(), false)?;
    if step % QUEUE_BATCH == QUEUE_BATCH - 1 {
        let mut taken = Vec::with_capacity(QUEUE_BATCH as usize);
        store.scan(&key(0), false, QUEUE_BATCH, &mut |key, _| taken.push(key.to_vec()))?;
        if taken.first().map(Vec::as_slice) != Some(key(step + 1 - QUEUE_BATCH).as_slice()) {
            return Err(Failure::Wrong("the queue does not begin where it should"));
        }
        for key in taken {
            store.delete(&key)?;
        }
    }
    Ok(())
}

fn ycsb(task: &Task, store: &dyn Store) -> Result<Done> {
    let zipf = Zipf::new(task.keys);
    let inserted = std::sync::atomic::AtomicU64::new(task.keys);
    repeat(task, task.threads, Until::Seconds(task.seconds), |worker, _| {
        let key = key(zipf.next(&mut worker.random));
        let percent = worker.random.below(100);
        match task.workload {
            Workload::YcsbA if percent >= 50 => store.put(&key, worker.value(), false),
            Workload::YcsbB if percent >= 95 => store.put(&key, worker.value(), false),
            Workload::YcsbF if percent >= 50 => {
                must_exist(store.get(&key)?)?;
                store.put(&key, worker.value(), false)
            }
            Workload::YcsbE if percent >= 95 => {
                let index = inserted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                store.put(&super::data::key(index), worker.value(), false)
            }
            Workload::YcsbE => {
                let limit = 1 + worker.random.below(100);
                let mut touched = 0;
                store.scan(&key, false, limit, &mut |_, value| {
                    touched += u64::from(value.first().copied().unwrap_or(0));
                })?;
                std::hint::black_box(touched);
                Ok(())
            }
            _ => must_exist(store.get(&key)?),
        }
    })
}

/// Reads at 'now' over old versions.
fn versions(task: &Task, old: u64) -> Result<Outcome> {
    if task.engine != Engine::Nunatak {
        return Err(Failure::Wrong("only our engine has versions"));
    }
    let keys = (task.keys / 100).max(1);
    let versioned = |index: u64| {
        let mut key = key(index);
        if let Some(prefix) = key.first_mut() {
            *prefix = VERSIONED_PREFIX;
        }
        key
    };
    let store = Nunatak::open(task)?;
    let mut worker = Worker::new(task, 0);
    for timestamp in 1..=old + 1 {
        for step in 0..keys {
            store.put_at(&versioned(shuffled(step, keys)), timestamp, worker.value())?;
        }
    }
    settle(&store)?;
    for index in 0..keys {
        must_exist(store.get_now(&versioned(index))?)?;
    }
    let done = repeat(task, task.threads, Until::Seconds(task.seconds), |worker, _| {
        must_exist(store.get_now(&versioned(worker.random.below(keys)))?)
    })?;
    Ok(Outcome {
        space_amp: machine::bytes_on_disk(&task.dir)? / (keys * (old + 1) * ENTRY_BYTES) as f64,
        rss_mib: machine::peak_memory_mib(),
        ..done.outcome()
    })
}

impl Done {
    fn outcome(&self) -> Outcome {
        Outcome {
            ops_per_s: self.latencies.count() as f64 / self.seconds,
            p50_us: self.latencies.percentile_us(0.5),
            p99_us: self.latencies.percentile_us(0.99),
            p999_us: self.latencies.percentile_us(0.999),
            cpu_us: self.cpu_s * 1e6 / self.latencies.count() as f64,
            ..Outcome::default()
        }
    }
}

impl Worker {
    fn new(task: &Task, number: u64) -> Self {
        let mut random = Random::new(task.seed * 100 + number);
        let values = Values::new(&mut random);
        Self { random, values, number }
    }

    fn value(&mut self) -> &[u8] {
        self.values.next(&mut self.random)
    }
}

/// Repeats an operation on each of `threads` threads, timing every one. The operation is given its number.
fn repeat(
    task: &Task,
    threads: usize,
    until: Until,
    operation: impl Fn(&mut Worker, u64) -> Result<()> + Sync,
) -> Result<Done> {
    let mut workers: Vec<Worker> = (0..threads as u64).map(|number| Worker::new(task, number)).collect();
    let begin = now();
    let results: Vec<Result<(Latencies, f64)>> = std::thread::scope(|scope| {
        let handles: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(|| {
                    let cpu_before = machine::thread_cpu_s();
                    let latencies = repeat_here(worker, threads as u64, until, &operation)?;
                    Ok((latencies, machine::thread_cpu_s() - cpu_before))
                })
            })
            .collect();
        let ended = |handle: std::thread::ScopedJoinHandle<'_, _>| {
            handle.join().unwrap_or(Err(Failure::Wrong("a thread of the workload has panicked")))
        };
        handles.into_iter().map(ended).collect()
    });
    let mut done = Done { seconds: begin.elapsed().as_secs_f64(), ..Done::default() };
    for result in results {
        let (latencies, cpu_s) = result?;
        done.latencies.merge(&latencies);
        done.cpu_s += cpu_s;
    }
    Ok(done)
}

fn repeat_here(
    worker: &mut Worker,
    threads: u64,
    until: Until,
    operation: &(impl Fn(&mut Worker, u64) -> Result<()> + Sync),
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    let begin = now();
    let mut last = begin;
    let mut step = worker.number;
    loop {
        let over = match until {
            Until::Count(count) => step >= count,
            Until::Seconds(seconds) => (last - begin).as_secs_f64() >= seconds,
        };
        if over {
            return Ok(latencies);
        }
        operation(worker, step)?;
        let next = now();
        latencies.add((next - last).as_nanos() as u64);
        last = next;
        step += threads;
    }
}

/// Has the engine write out and compact, and waits until it really does nothing any more: the same for all.
fn settle(store: &dyn Store) -> Result<()> {
    store.settle()?;
    let mut quiet = 0;
    let mut before = machine::cpu_ticks();
    while quiet < 5 {
        #[expect(clippy::disallowed_methods, reason = "a benchmark waits in real time")]
        std::thread::sleep(Duration::from_millis(200));
        let ticks = machine::cpu_ticks();
        quiet = if ticks <= before + 1 { quiet + 1 } else { 0 };
        before = ticks;
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulated clock's door would cost as much as some operations"
)]
fn now() -> Instant {
    Instant::now()
}

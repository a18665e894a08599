//! `nunatak-bench kv`: single gets and puts through three nodes, beside three members of etcd.
//!
//! Both replicate to three processes on loopback and sync every put to the same disk. Clients run in this process, in a
//! closed loop each: ours are those that a gateway is made of, etcd's speak its own gRPC to its leader. Gets are
//! linearizable on both sides.

mod etcd;
mod load;
mod nunatak;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::Runtime;

use crate::cluster::{DiskWork, binary};
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::processor;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One round of 2 s instead of five of 5 s
    #[arg(long)]
    quick: bool,
    /// Also write the tables, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Concurrent clients
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,64,256")]
    clients: Vec<u32>,
    /// What they do
    #[arg(long, value_name = "WORK,…", value_delimiter = ',', default_value = "put,get")]
    work: Vec<Work>,
    /// Keys that are read and overwritten
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 256)]
    value_bytes: usize,
    /// Rounds (default: 5, quick: 1)
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds of one measurement (default: 5, quick: 2)
    #[arg(long)]
    seconds: Option<u32>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// What a client does, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Work {
    /// Writes a key.
    Put,
    /// Reads a key, as of now.
    Get,
}

/// What clients use. An error is text: it is counted and told.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    async fn put(&self, key: Bytes, value: Bytes) -> Result<(), String>;
    async fn get(&self, key: Bytes) -> Result<Option<Bytes>, String>;
}

/// Three processes under measurement.
pub(crate) trait Server {
    fn name(&self) -> &'static str;
    fn store(&self) -> Arc<dyn Store>;
    fn processes(&self) -> Vec<u32>;
    fn disk_work(&self) -> Result<DiskWork>;
    /// What they have sent each other, if they count it.
    fn raft_messages(&self) -> Result<Option<f64>>;
}

/// Medians by work, clients and server, then by figure.
type Outcomes = BTreeMap<(Work, u32, &'static str), BTreeMap<&'static str, Figures>>;

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 5 });
    let seconds = options.seconds.unwrap_or(if options.quick { 2 } else { 5 });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Start { program: "the clients".to_owned(), source })?;
    let servers = start(options, folder.path(), &runtime)?;
    let heading = format!(
        "{} keys, values of {} bytes, {rounds} rounds of {seconds} s, fsync on everywhere",
        options.keys, options.value_bytes
    );
    println!("{heading}");
    let value = Bytes::from(vec![b'v'; options.value_bytes]);
    for server in &servers {
        eprintln!("loading {}", server.name());
        runtime.block_on(load::fill(server.store(), options.keys, value.clone()))?;
    }
    let mut outcomes = Outcomes::new();
    for round in 1..=rounds {
        for work in &options.work {
            for clients in &options.clients {
                for server in &servers {
                    eprintln!("round {round}/{rounds}: {work:?} by {clients} on {}", server.name());
                    let load = load::Load {
                        work: *work,
                        clients: *clients,
                        keys: options.keys,
                        value: value.clone(),
                    };
                    measure(&mut outcomes, server.as_ref(), &load, seconds, &runtime)?;
                }
            }
        }
    }
    let tables = report::markdown(&outcomes);
    print!("{tables}");
    if let Some(path) = &options.markdown {
        let page = format!("# Single keys beside etcd\n\n{heading}\n{tables}");
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        std::fs::write(path, page).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

fn start(options: &Options, folder: &Path, runtime: &Runtime) -> Result<Vec<Box<dyn Server>>> {
    let binary = binary(options.binary.as_deref())?;
    let mut servers: Vec<Box<dyn Server>> = vec![Box::new(nunatak::Nodes::start(&binary, folder, runtime)?)];
    match etcd::version() {
        Some(version) => {
            eprintln!("{version}");
            servers.push(Box::new(etcd::Members::start(folder, runtime)?));
        }
        None => {
            eprintln!(
                "etcd is not installed (Debian: apt-get install etcd-server): Nunatak alone is measured"
            )
        }
    }
    Ok(servers)
}

fn measure(
    outcomes: &mut Outcomes,
    server: &dyn Server,
    load: &load::Load,
    seconds: u32,
    runtime: &Runtime,
) -> Result<()> {
    let busy_us = || server.processes().into_iter().map(processor::tree_us).sum::<f64>();
    runtime.block_on(load.run(server.store(), 1))?;
    let (disk, messages) = (server.disk_work()?, server.raft_messages()?);
    let (busy, own) = (busy_us(), processor::own_us());
    let done = runtime.block_on(load.run(server.store(), seconds))?;
    let (busy, own) = (busy_us() - busy, processor::own_us() - own);
    let (disk_after, messages_after) = (server.disk_work()?, server.raft_messages()?);
    let operations = (done.operations as f64).max(1.0);
    let messages = messages_after.zip(messages).map_or(f64::NAN, |(after, before)| after - before);
    let syscalls = syscalls_each(&server.processes(), load, server.store(), runtime)?;
    let figures = outcomes.entry((load.work, load.clients, server.name())).or_default();
    for (figure, value) in [
        ("ops", done.operations as f64 / done.seconds),
        ("p50_us", done.p50_us),
        ("p99_us", done.p99_us),
        ("failed", done.failed as f64),
        ("server_cpu_us", busy / operations),
        ("client_cpu_us", own / operations),
        ("fsyncs", (disk_after.fsyncs - disk.fsyncs) / operations),
        ("bytes", (disk_after.bytes_written - disk.bytes_written) / operations),
        ("messages", messages / operations),
        ("syscalls", syscalls),
    ] {
        figures.entry(figure).or_default().add(value);
    }
    Ok(())
}

/// System calls of the servers for each operation, in a short run of its own, since counting costs; NaN where `perf` is
/// missing or may not.
fn syscalls_each(
    processes: &[u32],
    load: &load::Load,
    store: Arc<dyn Store>,
    runtime: &Runtime,
) -> Result<f64> {
    const SECONDS: u32 = 1;
    let ids: Vec<String> = processes.iter().map(u32::to_string).collect();
    let counting = Command::new("perf")
        .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &ids.join(",")])
        .args(["sleep", &SECONDS.to_string()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let Ok(counting) = counting else { return Ok(f64::NAN) };
    let done = runtime.block_on(load.run(store, SECONDS))?;
    let Ok(output) = counting.wait_with_output() else { return Ok(f64::NAN) };
    let printed = String::from_utf8_lossy(&output.stderr);
    let calls = printed.lines().find(|line| line.contains("sys_enter"));
    let calls = calls.and_then(|line| line.split(',').next()?.parse::<f64>().ok());
    Ok(calls.map_or(f64::NAN, |calls| calls / (done.operations as f64).max(1.0)))
}

//! Benchmarks against real peers in the same run.
//!
//! A benchmark is not a test: it asserts nothing about speed, it prints figures, each a median of interleaved runs with
//! its spread, so that a reader can judge them on the machine at hand.

mod cluster;
mod doors;
mod failure;
mod figures;
mod history;
mod kv;
mod link;
mod lsm;
mod marks;
mod overload;
mod process;
mod processor;
mod ranges;
mod rpc;
mod sql;
mod tls;
mod tpcc;
mod tpch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Nunatak beside its peers, on this machine, in one run.
#[derive(Parser)]
#[command(name = "nunatak-bench", version)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// pgbench and sysbench against one node and three, beside PostgreSQL alone and with two synchronous standbys.
    Sql(sql::Options),
    /// What TLS and passwords cost, beside PostgreSQL's own.
    Tls(tls::Options),
    /// What a hundred old versions cost reads of now, and what reads of then cost.
    History(history::Options),
    /// What many ranges cost: transactions over them, scans, and ranges that nobody asks anything.
    Ranges(ranges::Options),
    /// What a node does that is asked for thrice as much as it can, beside PostgreSQL.
    Overload(overload::Options),
    /// The transactions of TPC-C with one range and with many, beside PostgreSQL, what is stored checked.
    Tpcc(tpcc::Options),
    /// The 22 queries of TPC-H beside PostgreSQL, their answers compared.
    Tpch(tpch::Options),
    /// Single keys through three nodes, beside three members of etcd.
    Kv(kv::Options),
    /// Single objects and pairs through each door of a node, beside SQL's.
    Doors(doors::Options),
    /// The storage engine beside RocksDB and fjall.
    Lsm(lsm::Options),
    /// What a call between two processes costs.
    Rpc(rpc::Options),
    /// The node that `rpc` asks.
    #[command(hide = true)]
    RpcTask(rpc::Task),
    /// One measurement of the storage engine, in this process.
    #[command(hide = true)]
    LsmTask(lsm::Task),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().benchmark {
        Benchmark::Sql(options) => sql::run(&options),
        Benchmark::History(options) => history::run(&options),
        Benchmark::Ranges(options) => ranges::run(&options),
        Benchmark::Tls(options) => tls::run(&options),
        Benchmark::Overload(options) => overload::run(&options),
        Benchmark::Tpcc(options) => tpcc::run(&options),
        Benchmark::Tpch(options) => tpch::run(&options),
        Benchmark::Kv(options) => kv::run(&options),
        Benchmark::Doors(options) => doors::run(&options),
        Benchmark::Lsm(options) => lsm::run(&options),
        Benchmark::Rpc(options) => rpc::run(&options),
        Benchmark::RpcTask(task) => rpc::run_task(&task),
        Benchmark::LsmTask(task) => lsm::run_task(&task),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("nunatak-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

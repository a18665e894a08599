//! `nunatak-bench tls`: what being safe costs, on one node and on PostgreSQL 15, both with the same certificate and TLS 1.3.
//!
//! pgbench runs the same work in plain text and encrypted, and with a connection for each transaction that is believed or
//! proves a password by SCRAM. What counts is how much of its own work a server keeps: the ratio of the two, beside the
//! other's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::binary;
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::process::{output, query};
use crate::processor;
use crate::sql::{
    Postgres, Server, Single, Standbys, load_pgbench, number_after, pgbench_command, postgres_programs,
};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// pgbench's scale factor: 100 000 accounts each
    #[arg(long, default_value_t = 5)]
    scale: u32,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Also write the table, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// How clients come.
#[derive(Debug, Clone, Copy)]
struct Way {
    user: &'static str,
    sslmode: &'static str,
}

/// Believed, in plain text.
const PLAIN: Way = Way { user: "postgres", sslmode: "disable" };
/// Believed, encrypted.
const ENCRYPTED: Way = Way { user: "postgres", sslmode: "require" };
/// With a password, in plain text.
const PROVEN: Way = Way { user: "scram", sslmode: "disable" };
/// With a password, encrypted and bound to the channel.
const BOTH: Way = Way { user: "scram", sslmode: "require" };

/// The role's, on both servers.
const PASSWORD: &str = "pencil";

/// The same work by two ways.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    clients: u32,
    safe: Way,
}

const CASES: [Case; 5] = [
    Case { name: "-S prepared/8: TLS", arguments: &["-S", "-M", "prepared"], clients: 8, safe: ENCRYPTED },
    Case { name: "TPC-B prepared/8: TLS", arguments: &["-M", "prepared"], clients: 8, safe: ENCRYPTED },
    Case { name: "-S -C/8: SCRAM", arguments: &["-S", "-C"], clients: 8, safe: PROVEN },
    Case { name: "-S -C/8: TLS", arguments: &["-S", "-C"], clients: 8, safe: ENCRYPTED },
    Case { name: "-S -C/8: TLS and SCRAM", arguments: &["-S", "-C"], clients: 8, safe: BOTH },
];

/// Transactions a second, and processor time of the server per transaction in microseconds.
#[derive(Default)]
struct Cost {
    tps: Figures,
    cpu_us: Figures,
}

/// By case, server and whether it was safe.
type Costs = BTreeMap<(&'static str, &'static str, bool), Cost>;

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let programs = postgres_programs().ok_or(Failure::NotInstalled("PostgreSQL 15"))?;
    let binary = binary(options.binary.as_deref())?;
    let certs = make_files(&binary, folder.path())?;
    let ours = Single::start_with(&binary, folder.path(), &our_arguments(&certs))?;
    let theirs = Postgres::start_with(&programs, folder.path(), Standbys::None, &their_settings(&certs))?;
    let servers = [&ours as &dyn Server, &theirs];
    for server in servers {
        eprintln!("loading {}", server.name());
        let port = port(server)?;
        load_pgbench(port, options.scale)?;
        query(port, &format!("create role scram login password '{PASSWORD}'"))?;
        query(port, "grant select on all tables in schema public to scram")?;
    }
    let mut costs = Costs::new();
    for round in 1..=options.rounds {
        for case in &CASES {
            for server in servers {
                for (is_safe, way) in [(false, PLAIN), (true, case.safe)] {
                    eprintln!(
                        "round {round}/{}: {} on {}, {way:?}",
                        options.rounds,
                        case.name,
                        server.name()
                    );
                    let (tps, cpu_us) = measure(server, case, way, options.seconds)?;
                    let cost = costs.entry((case.name, server.name(), is_safe)).or_default();
                    cost.tps.add(tps);
                    cost.cpu_us.add(cpu_us);
                }
            }
        }
    }
    let table = markdown(&costs);
    print!("{table}");
    if let Some(path) = &options.markdown {
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        fs::write(path, table).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

fn port(server: &dyn Server) -> Result<u16> {
    let ports = server.ports()?;
    ports.first().copied().ok_or(Failure::Missing { program: server.name().to_owned(), what: "port" })
}

fn measure(server: &dyn Server, case: &Case, way: Way, seconds: u32) -> Result<(f64, f64)> {
    let busy_us = || server.processes().iter().map(|process| processor::tree_us(process.1)).sum::<f64>();
    let mut command = pgbench_command(port(server)?, way.user);
    command.args(case.arguments).args(["-n", "-c", &case.clients.to_string(), "-j", "2"]);
    command.args(["-T", &seconds.to_string(), "postgres"]);
    command.env("PGSSLMODE", way.sslmode).env("PGPASSWORD", PASSWORD);
    let before = busy_us();
    let printed = output(&mut command)?;
    let busy = busy_us() - before;
    let transactions = number_after(&printed, "number of transactions actually processed: ")?;
    Ok((number_after(&printed, "tps = ")?, busy / transactions.max(1.0)))
}

/// A certificate, with its key once for each server, and rules of access that both understand.
fn make_files(binary: &Path, folder: &Path) -> Result<PathBuf> {
    let certs = folder.join("certs");
    for arguments in [&["create-ca"][..], &["create-gateway", "localhost", "127.0.0.1"][..]] {
        output(Command::new(binary).arg("cert").args(arguments).arg("--dir").arg(&certs))?;
    }
    let (key, copy) = (certs.join("gateway.key"), certs.join("peer.key"));
    output(Command::new("cp").arg("-p").arg(key).arg(&copy))?;
    // PostgreSQL's user, where that is not this one.
    output(Command::new("chown").arg("postgres").arg(&copy)).or_else(|_| Ok(String::new()))?;
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all scram 127.0.0.1/32 scram-sha-256\n";
    let path = certs.join("hba.conf");
    #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
    fs::write(&path, rules).map_err(|source| Failure::File { path, source })?;
    Ok(certs)
}

fn our_arguments(certs: &Path) -> Vec<String> {
    [("--tls-cert", "gateway.crt"), ("--tls-key", "gateway.key"), ("--hba", "hba.conf")]
        .into_iter()
        .flat_map(|(flag, file)| [flag.to_owned(), certs.join(file).display().to_string()])
        .collect()
}

fn their_settings(certs: &Path) -> Vec<String> {
    let files = [("ssl_cert_file", "gateway.crt"), ("ssl_key_file", "peer.key"), ("hba_file", "hba.conf")];
    let files = files.into_iter().map(|(setting, file)| format!("{setting}={}", certs.join(file).display()));
    ["ssl=on", "ssl_min_protocol_version=TLSv1.3"].map(str::to_owned).into_iter().chain(files).collect()
}

/// What each server keeps of its own, and how ours does beside the other.
fn markdown(costs: &Costs) -> String {
    let median = |case: &Case, server, is_safe| {
        let cost = costs.get(&(case.name, server, is_safe));
        cost.map_or((f64::NAN, f64::NAN), |cost| (cost.tps.median(), cost.cpu_us.median()))
    };
    let mut out = "# What being safe costs\n\n\
        | work/clients: what is added | server | tps without | tps with | kept | CPU µs/txn without | with |\n\
        |---|---|--:|--:|--:|--:|--:|\n"
        .to_owned();
    let mut ratios = String::new();
    for case in &CASES {
        let mut kept = Vec::new();
        for server in ["nunatak-1", "postgres"] {
            let ((plain, plain_us), (safe, safe_us)) =
                (median(case, server, false), median(case, server, true));
            kept.push(safe / plain);
            out += &format!(
                "| {} | {server} | {plain:.0} | {safe:.0} | {:.2} | {plain_us:.1} | {safe_us:.1} |\n",
                case.name,
                safe / plain
            );
        }
        if let [ours, theirs] = kept.as_slice() {
            ratios += &format!("- {}: {:.2} of what PostgreSQL keeps\n", case.name, ours / theirs);
        }
    }
    format!("{out}\n{ratios}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_what_each_keeps() {
        let mut costs = Costs::new();
        let name = CASES[0].name;
        for (server, is_safe, tps) in [
            ("nunatak-1", false, 100.0),
            ("nunatak-1", true, 90.0),
            ("postgres", false, 200.0),
            ("postgres", true, 100.0),
        ] {
            let cost = costs.entry((name, server, is_safe)).or_default();
            cost.tps.add(tps);
            cost.cpu_us.add(1.0);
        }
        let table = markdown(&costs);
        assert!(table.contains(&format!("| {name} | nunatak-1 | 100 | 90 | 0.90 | 1.0 | 1.0 |")), "{table}");
        assert!(table.contains(&format!("- {name}: 1.80 of what PostgreSQL keeps")), "{table}");
    }
}

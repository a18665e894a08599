//! `nunatak-bench overload`: a node that is asked for thrice as much as it can do goes on doing about as much as ever.
//!
//! 200 clients of pgbench find the peak; then the same are to send three times that (`-R`), and what they get done is
//! compared. PostgreSQL 15 stands beside it, where it is installed.

use std::path::PathBuf;

use crate::cluster::binary;
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::process::output;
use crate::sql::{
    Postgres, Server, Single, Standbys, load_pgbench, number_after, pgbench_command, postgres_programs,
};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Clients
    #[arg(long, default_value_t = 200)]
    clients: u32,
    /// pgbench's scale factor: 100 000 accounts each
    #[arg(long, default_value_t = 5)]
    scale: u32,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Also write the table, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// So many times its peak is asked of a server.
const TIMES: f64 = 3.0;

/// So much of the peak is to be done then: the mark.
const KEPT_MIN: f64 = 0.8;

/// pgbench skips what is later than this when its turn comes, in milliseconds: it could not send it.
const LATE_MS: &str = "1000";

/// The scripts, as pgbench calls them.
const SCRIPTS: [(&str, &str); 2] = [("select only", "-S"), ("simple update", "-N")];

/// What one script on one server has shown.
#[derive(Default)]
struct Outcome {
    peak: Figures,
    peak_ms: Figures,
    done: Figures,
    done_ms: Figures,
    failed: Figures,
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let mut servers: Vec<Box<dyn Server>> =
        vec![Box::new(Single::start(&binary(options.binary.as_deref())?, folder.path())?)];
    match postgres_programs() {
        Some(programs) => {
            servers.push(Box::new(Postgres::start(&programs, folder.path(), Standbys::None)?));
        }
        None => eprintln!("PostgreSQL 15 is not installed (Debian: postgresql-15): it is left out"),
    }
    let mut outcomes = Vec::new();
    for server in &servers {
        eprintln!("loading {}", server.name());
        let port = server.ports()?.first().copied();
        let port = port.ok_or(Failure::Missing { program: server.name().to_owned(), what: "port" })?;
        load_pgbench(port, options.scale)?;
        for (name, script) in SCRIPTS {
            let mut outcome = Outcome::default();
            for round in 1..=options.rounds {
                eprintln!("round {round}/{}: {name} on {}", options.rounds, server.name());
                measure(&mut outcome, options, port, script)?;
            }
            outcomes.push((name, server.name(), outcome));
        }
    }
    let table = markdown(options.clients, &outcomes);
    print!("{table}");
    if let Some(path) = &options.markdown {
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        std::fs::write(path, table).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

fn measure(outcome: &mut Outcome, options: &Options, port: u16, script: &str) -> Result<()> {
    let pgbench = |more: &[&str]| {
        let mut command = pgbench_command(port, "postgres");
        command.args(["-n", "-M", "prepared", script, "-c", &options.clients.to_string(), "-j", "2"]);
        command.args(["-T", &options.seconds.to_string()]).args(more).arg("postgres");
        output(&mut command)
    };
    let peak = pgbench(&[])?;
    let most = number_after(&peak, "tps = ")?;
    outcome.peak.add(most);
    outcome.peak_ms.add(number_after(&peak, "latency average = ")?);
    let over = pgbench(&["-R", &format!("{:.0}", most * TIMES), "-L", LATE_MS])?;
    outcome.done.add(number_after(&over, "tps = ")?);
    // What is late before it is sent is pgbench's own.
    let late = number_after(&over, "rate limit schedule lag: avg ")?;
    outcome.done_ms.add(number_after(&over, "latency average = ")? - late);
    outcome.failed.add(number_after(&over, "number of failed transactions: ")?);
    Ok(())
}

fn markdown(clients: u32, outcomes: &[(&str, &str, Outcome)]) -> String {
    let mut out = format!(
        "# Asked for {TIMES} times its peak, {clients} clients\n\n\
        | work | server | peak tps | ms | done then | ms | failed | kept |\n|---|---|--:|--:|--:|--:|--:|---|\n"
    );
    for (name, server, outcome) in outcomes {
        let (peak, done) = (outcome.peak.median(), outcome.done.median());
        let kept = done / peak;
        let mark = match (*server == "nunatak-1", kept >= KEPT_MIN) {
            (true, true) => format!(" (≥ {KEPT_MIN}: held)"),
            (true, false) => format!(" (≥ {KEPT_MIN}: **missed**)"),
            (false, _) => String::new(),
        };
        out += &format!(
            "| {name} | {server} | {peak:.0} | {:.1} | {done:.0} | {:.1} | {:.0} | {kept:.2}{mark} |\n",
            outcome.peak_ms.median(),
            outcome.done_ms.median(),
            outcome.failed.median()
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_held_or_missed() {
        let outcome = |done| {
            let mut outcome = Outcome::default();
            outcome.peak.add(100.0);
            outcome.done.add(done);
            outcome
        };
        let outcomes = [
            ("a", "nunatak-1", outcome(80.0)),
            ("b", "nunatak-1", outcome(79.0)),
            ("c", "postgres", outcome(9.0)),
        ];
        let table = markdown(200, &outcomes);
        for said in ["0.80 (≥ 0.8: held) |", "0.79 (≥ 0.8: **missed**) |", "0.09 |"] {
            assert!(table.contains(said), "{said}: {table}");
        }
    }
}

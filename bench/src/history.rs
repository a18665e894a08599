//! `nunatak-bench history`: what history costs, on one node that keeps all of it. Two tables hold the same rows; one of them has been
//! updated whole, again and again, its index with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::binary;
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::marks::{Row, markdown};
use crate::process::{output, pause, query, timed};
use crate::sql::{Server, Single, pgbench_command, run_script};

/// Makes a script of the name of a table.
type Script<'a> = &'a dyn Fn(&str) -> String;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Ten old versions instead of a hundred, and less of everything
    #[arg(long)]
    quick: bool,
    /// Rows of each table
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1000..=1_000_000))]
    rows: u32,
    /// Also write the table, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// The marks. Reads of now beside those of rows without history: parts of the throughput, and multiples of a scan's time.
const READS_MIN: f64 = 0.9;
const SCAN_MAX: f64 = 1.1;
/// Reads of then beside those of now, of the same rows.
const THEN_READS_MIN: f64 = 0.5;
const THEN_SCAN_MAX: f64 = 2.0;
/// What a version of a key with ten times as many costs, as a multiple.
const VERSION_MAX: f64 = 1.5;

const CLIENTS: u32 = 8;
const SCANS: u32 = 9;
const SCAN_SECONDS: u32 = 300;

/// More than a memtable holds: what was written before it is in tables afterwards.
const FILLER_ROWS: u32 = 100_000;

/// Keys with so many versions.
const VERSIONS: [u32; 3] = [100, 1000, 10_000];

/// A node, and how it is measured.
struct Bench<'a> {
    port: u16,
    folder: &'a Path,
    seconds: u32,
    rows: u32,
    /// How often the rows with history were updated.
    updates: u32,
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let history = ["--history".to_owned(), "forever".to_owned()];
    let node = Single::start_with(&binary(options.binary.as_deref())?, folder.path(), &history)?;
    let port = node.ports()?.first().copied();
    let bench = Bench {
        port: port.ok_or(Failure::Missing { program: node.name().to_owned(), what: "port" })?,
        folder: folder.path(),
        seconds: if options.quick { 3 } else { 15 },
        rows: options.rows,
        updates: if options.quick { 10 } else { 100 },
    };
    let then = bench.load()?;
    let mut rows = bench.reads_of_now()?;
    rows.extend(bench.reads_of_then(&then)?);
    rows.extend(bench.versions_of_keys()?);
    let title = format!("What {} old versions of {} rows cost", bench.updates, bench.rows);
    let table = markdown(&title, &rows);
    print!("{table}");
    if let Some(path) = &options.markdown {
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        std::fs::write(path, table).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

impl Bench<'_> {
    fn run(&self, sql: &str) -> Result<()> {
        query(self.port, sql).map(drop)
    }

    /// Makes the tables; the moment at which both held the first versions, as a system timestamp.
    fn load(&self) -> Result<String> {
        let (rows, updates) = (self.rows, self.updates);
        for (table, first) in [("updated", 0), ("fresh", updates)] {
            self.run(&format!(
                "create table {table} (k int primary key, v int not null, filler text not null)"
            ))?;
            self.run(&format!("create index on {table} (v)"))?;
            self.run(&format!(
                "insert into {table} select g, g + {first}, repeat('x', 100) from generate_series(1, {rows}) g"
            ))?;
        }
        pause(Duration::from_secs(1));
        // As a number: what follows a colon is a variable to pgbench.
        let then = query(self.port, "select (extract(epoch from now()) * 1000)::bigint * 262144")?;
        pause(Duration::from_secs(1));
        for update in 1..=updates {
            eprintln!("update {update}/{updates}");
            self.run("update updated set v = v + 1")?;
        }
        self.run("create table filler (k int primary key, v text not null)")?;
        self.run(&format!(
            "insert into filler select g, repeat('x', 1000) from generate_series(1, {FILLER_ROWS}) g"
        ))?;
        for table in ["updated", "fresh"] {
            self.run(&format!("analyze {table}"))?;
        }
        // Compactions come to an end.
        pause(Duration::from_secs(20));
        Ok(then)
    }

    fn reads_of_now(&self) -> Result<Vec<Row>> {
        let (rows, updates) = (self.rows, self.updates);
        let point = |table: &str| format!("\\set k random(1, {rows})\nselect v from {table} where k = :k;\n");
        let index = |table: &str| {
            format!("\\set v random(1, {rows}) + {updates}\nselect k from {table} where v = :v;\n")
        };
        let mut out = Vec::new();
        let scripts: [(&str, Script<'_>); 2] = [("point reads", &point), ("reads by index", &index)];
        for (what, script) in scripts {
            let (updated, fresh) = (self.per_second(&script("updated"))?, self.per_second(&script("fresh"))?);
            let what = format!("{what}/s with history ({updated:.0}) / without ({fresh:.0})");
            out.push(Row::at_least(what, updated / fresh, READS_MIN, ""));
        }
        let (updated, fresh) =
            (self.scan_ms("select sum(v) from updated")?, self.scan_ms("select sum(v) from fresh")?);
        let what = format!("a scan with history ({updated:.1} ms) / without ({fresh:.1} ms)");
        out.push(Row::at_most(what, updated / fresh, SCAN_MAX, " ×"));
        Ok(out)
    }

    fn reads_of_then(&self, then: &str) -> Result<Vec<Row>> {
        let rows = self.rows;
        let at = format!("for system_time as of {then}");
        let point =
            |of: &str| format!("\\set k random(1, {rows})\nselect v from updated {of} where k = :k;\n");
        // The values of then, and those of now: each finds one row.
        let index = |of: &str, more: u32| {
            format!("\\set v random(1, {rows}) + {more}\nselect k from updated {of} where v = :v;\n")
        };
        let (old, new) = (self.per_second(&point(&at))?, self.per_second(&point(""))?);
        let (old_by_index, new_by_index) =
            (self.per_second(&index(&at, 0))?, self.per_second(&index("", self.updates))?);
        let (old_ms, new_ms) = (
            self.scan_ms(&format!("select sum(v) from updated {at}"))?,
            self.scan_ms("select sum(v) from updated")?,
        );
        Ok(vec![
            Row::at_least(
                format!("point reads/s of then ({old:.0}) / of now ({new:.0})"),
                old / new,
                THEN_READS_MIN,
                "",
            ),
            Row::at_least(
                format!("reads by index/s of then ({old_by_index:.0}) / of now ({new_by_index:.0})"),
                old_by_index / new_by_index,
                THEN_READS_MIN,
                "",
            ),
            Row::at_most(
                format!("a scan of then ({old_ms:.1} ms) / of now ({new_ms:.1} ms)"),
                old_ms / new_ms,
                THEN_SCAN_MAX,
                " ×",
            ),
        ])
    }

    /// What all versions of one key cost, for keys with more and more of them.
    fn versions_of_keys(&self) -> Result<Vec<Row>> {
        self.run("create table versions (k int primary key, v int not null)")?;
        let mut out = Vec::new();
        let mut before: Option<f64> = None;
        for versions in VERSIONS {
            eprintln!("{versions} versions of a key");
            self.run(&format!("insert into versions values ({versions}, 0)"))?;
            let update = format!("update versions set v = v + 1 where k = {versions};\n");
            let path = self.script(&update)?;
            let mut command = pgbench_command(self.port, "postgres");
            command.args(["-n", "-M", "prepared", "-c", "1", "-t", &(versions - 1).to_string(), "-f"]);
            output(command.arg(path).arg("postgres"))?;
            let all = format!("select count(v) from versions for system_time all where k = {versions}");
            let found = query(self.port, &all)?;
            if found != versions.to_string() {
                let output = format!("{found} of {versions} versions were found");
                return Err(Failure::Program { program: "nunatak".to_owned(), output });
            }
            let each_us = self.scan_ms(&all)? * 1000.0 / f64::from(versions);
            let what = format!("a version of a key with {versions}");
            match before {
                None => out.push(Row::plain(what, format!("{each_us:.2} µs"))),
                Some(before) => {
                    let what = format!("{what} ({each_us:.2} µs) / of one with a tenth ({before:.2} µs)");
                    out.push(Row::at_most(what, each_us / before, VERSION_MAX, " ×"));
                }
            }
            before = Some(each_us);
        }
        Ok(out)
    }

    /// Transactions of a script in a second.
    fn per_second(&self, script: &str) -> Result<f64> {
        let path = self.script(script)?;
        run_script(self.port, CLIENTS, self.seconds, self.folder, &path).map(|measured| measured.tps)
    }

    fn script(&self, text: &str) -> Result<PathBuf> {
        let path = self.folder.join("history.sql");
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        std::fs::write(&path, text).map_err(|source| Failure::File { path: path.clone(), source })?;
        Ok(path)
    }

    /// The median time of a statement.
    fn scan_ms(&self, sql: &str) -> Result<f64> {
        let mut figures = Figures::default();
        // The first warms up.
        for round in 0..=SCANS {
            let (_, took) = timed(self.port, sql, SCAN_SECONDS)?;
            if round > 0 {
                figures.add(took);
            }
        }
        Ok(figures.median())
    }
}

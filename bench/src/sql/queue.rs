//! A queue of jobs in a table, from which all clients take, by pgbench with a script of its own.

use std::fs;

use super::pgbench;
use super::workload::{Measured, Run};
use crate::failure::{Failure, Result};
use crate::process::query;

/// More than are taken in a measurement.
const JOBS: u32 = 100_000;

const SCRIPT: &str = "update jobs set state = 'done', taken = taken + 1 where id = (select id from jobs \
                      where state = 'new' order by prio limit 1 for update skip locked) returning id;\n";

/// Makes the jobs.
pub(crate) fn load(port: u16) -> Result<()> {
    query(port, "drop table if exists jobs")?;
    query(
        port,
        "create table jobs (id int primary key, prio int not null, state text not null, taken int not null)",
    )?;
    query(port, "create index on jobs (state, prio)")?;
    let jobs = format!(
        "insert into jobs select g, g::bigint * 7919 % 100003, 'new', 0 from generate_series(1, {JOBS}) g"
    );
    query(port, &jobs)?;
    query(port, "analyze jobs").map(drop)
}

/// Takes jobs, each once.
pub(crate) fn run(run: &Run<'_>) -> Result<Measured> {
    let port = run.ports.first().copied().unwrap_or(0);
    load(port)?;
    let script = run.folder.join("queue.sql");
    #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
    fs::write(&script, SCRIPT).map_err(|source| Failure::File { path: script.clone(), source })?;
    let measured = pgbench::run(run, &["-M", "prepared", "-f", &script.to_string_lossy()])?;
    let failed = |output: String| Err(Failure::Program { program: "pgbench".to_owned(), output });
    // From an empty queue everybody takes nothing, and fast.
    if query(port, "select count(*) from jobs where state = 'new'")? == "0" {
        return failed("all jobs were taken before the end".to_owned());
    }
    let wrong = query(port, "select count(*) from jobs where taken > 1 or (taken = 1) <> (state = 'done')")?;
    if wrong == "0" { Ok(measured) } else { failed(format!("{wrong} jobs were taken twice")) }
}

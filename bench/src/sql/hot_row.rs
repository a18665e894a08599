//! One row that all clients update, by pgbench with a script of its own.

use std::fs;

use super::pgbench;
use super::workload::{Measured, Run};
use crate::failure::{Failure, Result};
use crate::process::query;

const SCRIPT: &str = "update hot_row set n = n + 1 where id = 1;\n";

/// Makes the row.
pub(crate) fn load(port: u16) -> Result<()> {
    query(port, "create table if not exists hot_row (id int primary key, n bigint not null)")?;
    query(port, "insert into hot_row values (1, 0) on conflict do nothing").map(drop)
}

/// Updates it.
pub(crate) fn run(run: &Run<'_>) -> Result<Measured> {
    let script = run.folder.join("hot_row.sql");
    #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
    fs::write(&script, SCRIPT).map_err(|source| Failure::File { path: script.clone(), source })?;
    pgbench::run(run, &["-M", "prepared", "-f", &script.to_string_lossy()])
}

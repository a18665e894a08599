//! Rows like those of the doors, by SQL: pgbench with scripts of its own, prepared.

use std::fs;
use std::path::Path;

use super::{Done, Work};
use crate::failure::{Failure, Result};
use crate::process::query;
use crate::sql::run_script;

/// Makes them.
pub(super) fn load(port: u16, keys: u64) -> Result<()> {
    query(port, "create table rows_of_doors (key text primary key, value jsonb)")?;
    let rows = format!("select n::text, to_jsonb(n) from generate_series(0, {}) n", keys.saturating_sub(1));
    query(port, &format!("insert into rows_of_doors {rows}")).map(drop)
}

/// Reads or writes them.
pub(super) fn run(
    port: u16,
    work: Work,
    clients: u32,
    keys: u64,
    seconds: u32,
    folder: &Path,
) -> Result<Done> {
    let key = format!("\\set k random(0, {})\n", keys.saturating_sub(1));
    let statement = match work {
        Work::Read => "select value from rows_of_doors where key = :k;\n",
        Work::Write => {
            "insert into rows_of_doors values (:k, :k) \
             on conflict (key) do update set value = excluded.value;\n"
        }
    };
    let script = folder.join("rows.sql");
    #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
    fs::write(&script, key + statement).map_err(|source| Failure::File { path: script.clone(), source })?;
    let measured = run_script(port, clients, seconds, folder, &script)?;
    Ok(Done {
        per_second: measured.tps,
        p50_us: measured.p50_ms * 1000.0,
        p99_us: measured.p99_ms * 1000.0,
        failed: measured.failed,
    })
}

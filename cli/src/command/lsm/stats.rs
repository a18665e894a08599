//! `nunatak lsm stats`: the shape of the tree, and how much of it is what.

use std::io::Write;

use serde_json::{Value, json};

use super::{OutputFormat, Problem, data_key};
use crate::table::{Alignment, Table};

/// Prints the figures of a store.
pub(super) fn print(
    store: &node::OfflineStore,
    format: OutputFormat,
    out: &mut dyn Write,
) -> Result<(), Problem> {
    let stats = store.db().stats();
    let encryption = store.db().encryption()?;
    let (raft_segments, raft_bytes) = store.raft_log();
    match format {
        OutputFormat::Table => {
            write!(out, "{}", levels(&stats))?;
            let (space, read) = amplification(&stats);
            writeln!(out, "tables: {} bytes", stats.table_bytes())?;
            writeln!(out, "space amplification: {space:.2} (bytes of all levels over those of the last)")?;
            writeln!(out, "read amplification: {read} (sorted runs of the keyspace with the most)")?;
            writeln!(out, "raft log: {raft_bytes} bytes in {raft_segments} segments")?;
            match encryption {
                None => writeln!(out, "encryption: none")?,
                Some(status) => {
                    writeln!(out, "encryption: data key {}", data_key(status.active))?;
                    for used in &status.keys {
                        let (key, files, bytes) = (data_key(used.data_key), used.files, used.bytes);
                        writeln!(out, "data key {key}: {files} files, {bytes} bytes")?;
                    }
                    writeln!(out, "not encrypted: {} bytes", status.plain_bytes)?;
                }
            }
        }
        OutputFormat::Json => {
            let (space, read) = amplification(&stats);
            let encryption = encryption.map(|status| {
                let keys = status.keys.iter().map(|used| {
                    json!({ "data_key": data_key(used.data_key), "files": used.files, "bytes": used.bytes })
                });
                json!({
                    "active": data_key(status.active),
                    "keys": keys.collect::<Vec<_>>(),
                    "plain_bytes": status.plain_bytes,
                })
            });
            let answer = json!({
                "sequence": stats.sequence,
                "levels": json_levels(&stats),
                "table_bytes": stats.table_bytes(),
                "space_amplification": space,
                "read_amplification": read,
                "raft_log": { "segments": raft_segments, "bytes": raft_bytes },
                "encryption": encryption,
            });
            writeln!(out, "{answer:#}")?;
        }
    }
    Ok(())
}

fn used_levels(stats: &lsm::Stats) -> impl Iterator<Item = (&'static str, usize, lsm::LevelStats)> {
    stats.keyspaces.iter().flat_map(|keyspace| {
        let levels = keyspace.levels.iter().enumerate().filter(|(_, level)| level.tables > 0);
        levels.map(|(number, level)| (keyspace.name, number, *level))
    })
}

fn levels(stats: &lsm::Stats) -> Table {
    let mut table = Table::new(&[
        ("keyspace", Alignment::Left),
        ("level", Alignment::Right),
        ("tables", Alignment::Right),
        ("bytes", Alignment::Right),
        ("entries", Alignment::Right),
        ("history", Alignment::Right),
        ("deletes", Alignment::Right),
    ]);
    for (keyspace, number, level) in used_levels(stats) {
        table.row([
            keyspace.to_owned(),
            number.to_string(),
            level.tables.to_string(),
            level.bytes.to_string(),
            level.entries.to_string(),
            level.history.to_string(),
            level.deletes.to_string(),
        ]);
    }
    table
}

fn json_levels(stats: &lsm::Stats) -> Vec<Value> {
    let level = |(keyspace, number, level): (&str, usize, lsm::LevelStats)| {
        json!({
            "keyspace": keyspace,
            "level": number,
            "tables": level.tables,
            "bytes": level.bytes,
            "entries": level.entries,
            "history": level.history,
            "deletes": level.deletes,
        })
    };
    used_levels(stats).map(level).collect()
}

/// Bytes of all levels over those of each keyspace's last one; the most sorted runs that a read of one key may ask.
fn amplification(stats: &lsm::Stats) -> (f64, usize) {
    let last = stats.keyspaces.iter().map(|keyspace| {
        keyspace.levels.iter().rev().find(|level| level.tables > 0).map_or(0, |level| level.bytes)
    });
    let last: u64 = last.sum();
    let runs = stats.keyspaces.iter().map(|keyspace| {
        let level0 = keyspace.levels.first().map_or(0, |level| level.tables);
        level0 + keyspace.levels.iter().skip(1).filter(|level| level.tables > 0).count()
    });
    let space = if last == 0 { 1.0 } else { stats.table_bytes() as f64 / last as f64 };
    (space, runs.max().unwrap_or(0))
}

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
            writeln!(out, "tables: {} bytes", stats.table_bytes())?;
            for keyspace in used_keyspaces(&stats) {
                let (space, read) = (keyspace.space_amplification(), keyspace.read_amplification());
                writeln!(
                    out,
                    "{}: space amplification {space:.2} (bytes of all levels over those of the last), \
                     read amplification {read} (sorted runs)",
                    keyspace.name
                )?;
            }
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
            let amplification = used_keyspaces(&stats).map(|keyspace| {
                json!({
                    "keyspace": keyspace.name,
                    "space": keyspace.space_amplification(),
                    "read": keyspace.read_amplification(),
                })
            });
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
                "amplification": amplification.collect::<Vec<_>>(),
                "raft_log": { "segments": raft_segments, "bytes": raft_bytes },
                "encryption": encryption,
            });
            writeln!(out, "{answer:#}")?;
        }
    }
    Ok(())
}

fn used_keyspaces(stats: &lsm::Stats) -> impl Iterator<Item = &lsm::KeyspaceStats> {
    stats.keyspaces.iter().filter(|keyspace| keyspace.read_amplification() > 0)
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

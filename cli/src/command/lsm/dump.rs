//! `nunatak lsm dump`: tables, blocks and entries for people, or as lines of JSON.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{OutputFormat, Problem, Span, data_key, line};
use crate::escape::escape;

/// Bytes of a value that are shown to people.
const VALUE_BYTES_SHOWN: usize = 80;

/// What is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Dump {
    /// Only the table with this number
    #[arg(long, value_name = "NUMBER")]
    table: Option<u64>,

    #[command(flatten)]
    span: Span,

    /// Only these, instead of everything
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<What>,
}

/// A kind of thing to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Tables with their bounds and numbers
    Tables,
    /// Blocks of entries
    Blocks,
    /// Entries with key, timestamp and value
    Entries,
}

impl Dump {
    fn shows(&self, what: What) -> bool {
        self.only.is_empty() || self.only.contains(&what)
    }

    /// Prints what lies in the span, table by table.
    pub(super) fn print(
        &self,
        db: &lsm::Db,
        format: OutputFormat,
        out: &mut dyn Write,
    ) -> Result<(), Problem> {
        let mut tables = db.tables()?;
        if let Some(wanted) = self.table {
            tables.retain(|table| table.id == wanted);
            if tables.is_empty() {
                let what = format!("no table has the number {wanted}");
                return Err(Problem::Failure(crate::failure::Failure::usage(what)));
            }
        }
        let span = self.span.bounds();
        tables.retain(|table| span.is_none_or(|(start, end)| *table.start < *end && *start < *table.end));
        for table in &tables {
            if self.shows(What::Tables) {
                print_table(table, format, out)?;
            }
            if self.shows(What::Blocks) {
                for block in db.table_blocks(table.id)? {
                    if span.is_none_or(|(start, end)| *block.first < *end && *start <= *block.last) {
                        print_block(table.id, &block, format, out)?;
                    }
                }
            }
            if self.shows(What::Entries) {
                let mut printed = Ok(());
                db.table_entries(table.id, span, |entry| {
                    printed = print_entry(table.id, &entry, format, out);
                    printed.is_ok()
                })?;
                printed?;
            }
        }
        Ok(())
    }
}

fn print_table(table: &lsm::TableInfo, format: OutputFormat, out: &mut dyn Write) -> std::io::Result<()> {
    let (start, end) = (escape(&table.start), escape(&table.end));
    let sealed = table.data_key.map(data_key);
    match format {
        OutputFormat::Table => {
            let lsm::TableInfo { id, keyspace, level, bytes, entries, history, deletes, .. } = table;
            let sealed = sealed.map_or_else(|| "not encrypted".to_owned(), |key| format!("data key {key}"));
            writeln!(out, "table {id}: {keyspace}, level {level}, {bytes} bytes, {sealed}")?;
            writeln!(out, "  keys [{start}, {end})")?;
            write!(out, "  {entries} entries, {history} of them history, {deletes} deletions")?;
            match table.timestamps {
                Some((min, max)) => writeln!(out, ", timestamps {min} to {max}")?,
                None => writeln!(out)?,
            }
            for (start, end) in &table.range_deletes {
                writeln!(out, "  deletes [{}, {})", escape(start), escape(end))?;
            }
            Ok(())
        }
        OutputFormat::Json => {
            let deletes = table.range_deletes.iter().map(|(start, end)| [escape(start), escape(end)]);
            line(
                out,
                &json!({ "table": {
                    "id": table.id,
                    "path": table.path.display().to_string(),
                    "keyspace": table.keyspace,
                    "level": table.level,
                    "bytes": table.bytes,
                    "start": start,
                    "end": end,
                    "entries": table.entries,
                    "history": table.history,
                    "deletes": table.deletes,
                    "range_deletes": deletes.collect::<Vec<_>>(),
                    "timestamps": table.timestamps,
                    "data_key": sealed,
                }}),
            )
        }
    }
}

fn print_block(
    table: u64,
    block: &lsm::BlockInfo,
    format: OutputFormat,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let (first, last) = (escape(&block.first), escape(&block.last));
    let lsm::BlockInfo { offset, length, memory_bytes, entries, .. } = block;
    match format {
        OutputFormat::Table => {
            let section = if block.history { "history" } else { "current" };
            writeln!(
                out,
                "  block at {offset}: {section}, {length} bytes ({memory_bytes} in memory), {entries} entries, {first} to {last}"
            )
        }
        OutputFormat::Json => line(
            out,
            &json!({ "block": {
                "table": table,
                "history": block.history,
                "offset": offset,
                "length": length,
                "memory_bytes": memory_bytes,
                "entries": entries,
                "first": first,
                "last": last,
            }}),
        ),
    }
}

fn print_entry(
    table: u64,
    entry: &lsm::VersionedEntry,
    format: OutputFormat,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let (key, timestamp) = (escape(&entry.key), entry.timestamp);
    match format {
        OutputFormat::Table => match &entry.value {
            None => writeln!(out, "  {key} @ {timestamp}: deleted"),
            Some(value) => {
                let shown = value.get(..VALUE_BYTES_SHOWN).unwrap_or(value);
                let more = if shown.len() < value.len() { "…" } else { "" };
                writeln!(out, "  {key} @ {timestamp}: {} bytes {}{more}", value.len(), escape(shown))
            }
        },
        OutputFormat::Json => {
            let value = entry.value.as_ref().map(|value| escape(value));
            line(
                out,
                &json!({ "entry": { "table": table, "key": key, "timestamp": timestamp, "value": value } }),
            )
        }
    }
}

//! Whether all is well: blocks and records by their checksums, numbers of events, events against documents. What differs is
//! mended by events more, never by taking one away.

use std::path::Path;
use std::sync::Arc;

use expr::functions::quote::identifier;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::talk::failed;
use crate::failure::{Failure, chain};
use crate::output::outln;
use crate::process::refused;

/// The tables of documents: schema, name, field of the key.
const TABLES: &str = "SELECT n.nspname, c.relname, a.attname FROM pg_class c \
    JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_class e ON e.relnamespace = c.relnamespace AND e.relname = c.relname || '_drift' \
    JOIN pg_attribute m ON m.attrelid = e.oid AND m.attname = 'counted' \
    JOIN pg_attribute h ON h.attrelid = c.oid AND h.attname = 'deleted' \
    JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1 \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) \
    WHERE c.relkind = 'r' ORDER BY 1, 2";

/// Reads every file of a directory that no process uses.
pub(super) fn check_files(directory: &Path) -> Result<(), Failure> {
    let disk: Arc<dyn env::disk::Disk> = Arc::new(env::disk::RealDisk::new());
    let store = node::OfflineStore::open(disk, directory, None).map_err(|error| refused(&error))?;
    let (mut tables, mut damaged) = (0_usize, Vec::new());
    store.db().verify_tables(|_, verified| {
        tables = tables.saturating_add(1);
        if let Err(error) = verified {
            damaged.push(chain(&error));
        }
    })?;
    if let Some(first) = damaged.first() {
        let count = damaged.len();
        return Err(Failure::failed(format!("{count} of {tables} files are damaged: {first}")));
    }
    let (segments, _) = store.raft_log();
    outln!("files: {tables} tables and {segments} segments of the log are as they were written");
    Ok(())
}

/// Looks at all tables of documents.
pub(super) async fn check_tables(client: &Client) -> Result<(), Failure> {
    client.batch_execute("SET dialect = sql").await.map_err(|error| failed(&error))?;
    let mut wrong = 0_usize;
    for row in rows(client, TABLES).await? {
        let [Some(schema), Some(name), Some(key)] = [row.get(0), row.get(1), row.get(2)] else { continue };
        let name_of =
            |ending: &str| format!("{}.{}", identifier(schema), identifier(&format!("{name}{ending}")));
        let table = Checked {
            rows: name_of(""),
            events: name_of("_drift"),
            snapshots: name_of("_drift_snapshots"),
            key: identifier(key),
        };
        wrong = wrong.saturating_add(table.check(client).await?);
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("{wrong} tables have lost events, which nothing can mend"))),
    }
}

struct Checked {
    rows: String,
    events: String,
    snapshots: String,
    key: String,
}

impl Checked {
    /// How many of its troubles cannot be mended: 0 or 1. Nobody else changes documents meanwhile.
    async fn check(&self, client: &Client) -> Result<usize, Failure> {
        let Self { rows: table, events, snapshots, .. } = self;
        changed(client, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        let lock = format!("SELECT e.seq FROM {events} AS e WHERE e.seq = 0 FOR UPDATE");
        let was_counted = !rows(client, &lock).await?.is_empty();
        let counted = changed(client, &self.counted_again()).await?;
        let differing = changed(client, &self.recorded()).await?;
        // Of a number that was given nothing may be left but that it was.
        let counts = format!(
            "SELECT count(*) - 1, max(e.counted), max(e.counted) - count(*) + 1 FROM {events} AS e WHERE e.seq >= 0"
        );
        let counts = rows(client, &counts).await?;
        let count = |place: usize| counts.first().and_then(|row| row.get(place)).unwrap_or("0").to_owned();
        let (there, last, missing) = (count(0), count(1), count(2));
        let is_whole = missing == "0";
        let forgotten = match is_whole && differing > 0 {
            // They may hold what no event said, and can be made again.
            true => changed(client, &format!("DELETE FROM {snapshots}")).await?,
            false => 0,
        };
        changed(client, "COMMIT").await?;
        if !was_counted {
            outln!("{table}: the row that counts was gone, with what ADD COLUMN had said; it counts again");
        } else if counted > 0 {
            outln!("{table}: it counted wrongly; it does no more");
        }
        if differing > 0 {
            outln!(
                "{table}: {differing} documents were not what their events say; what they are is an event now"
            );
        }
        if forgotten > 0 {
            outln!("{table}: its snapshots are forgotten, SNAPSHOT makes one");
        }
        match is_whole {
            true => outln!("{table}: {there} events, the last is {last}"),
            false => outln!("{table}: {missing} of {last} events are missing"),
        }
        Ok(usize::from(!is_whole))
    }

    /// The row that counts is there, and knows the last event. It is never set back: a number beyond the last event was given to one
    /// that is missing.
    fn counted_again(&self) -> String {
        let Self { events, .. } = self;
        format!(
            "INSERT INTO {events} AS c (seq, event, \"time\", counted) \
            SELECT 0, 'CREATE', coalesce(max(e.\"time\"), clock_timestamp()), coalesce(max(e.seq), 0) \
            FROM {events} AS e WHERE e.seq > 0 \
            ON CONFLICT (seq) DO UPDATE SET counted = greatest(c.counted, excluded.counted), \
            \"time\" = greatest(c.\"time\", excluded.\"time\") \
            WHERE c.counted IS NULL OR c.counted < excluded.counted \
            OR excluded.counted > 0 AND c.\"time\" < excluded.\"time\""
        )
    }

    /// An event for each document that is not what its last event says; those that are gone come back, hidden.
    fn recorded(&self) -> String {
        let Self { rows, events, key, .. } = self;
        let shown = "CASE WHEN NOT x.deleted THEN x.document END";
        format!(
            "WITH h AS (SELECT DISTINCT ON (e.key) e.key, e.document FROM {events} AS e WHERE e.seq > 0 \
            ORDER BY e.key, e.seq DESC), \
            d AS (SELECT coalesce(x.{key}, h.key) AS key, {shown} AS now, h.document AS was, x.{key} IS NULL AS gone \
            FROM {rows} AS x FULL JOIN h ON x.{key} = h.key WHERE {shown} IS DISTINCT FROM h.document), \
            n AS (UPDATE {events} AS e SET counted = e.counted + k.many, \
            \"time\" = greatest(e.\"time\", clock_timestamp()) FROM (SELECT count(*) AS many FROM d) AS k \
            WHERE e.seq = 0 RETURNING e.counted - k.many AS before, e.\"time\"), \
            b AS (INSERT INTO {rows} ({key}, document, deleted) SELECT d.key, d.was, true FROM d WHERE d.gone) \
            INSERT INTO {events} (seq, event, key, \"time\", content, document) \
            SELECT n.before + row_number() OVER (ORDER BY d.key), \
            CASE WHEN d.now IS NULL THEN 'SOFT_DELETE' WHEN d.was IS NULL THEN 'INSERT' ELSE 'PATCH' END, \
            d.key, n.\"time\", CASE WHEN d.was IS NOT NULL THEN d.now END, d.now FROM d, n"
        )
    }
}

async fn rows(client: &Client, text: &str) -> Result<Vec<SimpleQueryRow>, Failure> {
    let messages = client.simple_query(text).await.map_err(|error| failed(&error))?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// How many rows a statement has changed.
async fn changed(client: &Client, text: &str) -> Result<u64, Failure> {
    let messages = client.simple_query(text).await.map_err(|error| failed(&error))?;
    let count = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::CommandComplete(count) => Some(*count),
        _ => None,
    };
    Ok(messages.iter().find_map(count).unwrap_or(0))
}

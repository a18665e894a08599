//! The statements that DriftQL's stand for, as texts. What stands for values in them is `$n`, as the caller has numbered them.

use expr::functions::quote::{identifier, literal};

use crate::error::Error;
use crate::parse::ast::Name;

/// What the table of events is called behind the name of its table.
pub(super) const EVENTS: &str = "_drift";

/// The same of that of snapshots.
pub(super) const SNAPSHOTS: &str = "_drift_snapshots";

/// The longest name in bytes that has room for these.
pub(super) const NAME_BYTES_MAX: usize = KEY_BYTES_MAX - SNAPSHOTS.len();

/// The longest name in bytes that is not cut. What is cut would be another field than the documents have.
pub(super) const KEY_BYTES_MAX: usize = 63;

/// The columns of the documents beside that of their keys.
pub(super) const COLUMNS: [&str; 2] = ["document", "deleted"];

/// A table of documents.
pub(super) struct Kept {
    /// Its name, as messages say it.
    pub(super) name: String,
    /// The field that documents are told apart by.
    pub(super) key: String,
    pub(super) rows: String,
    pub(super) events: String,
    pub(super) snapshots: String,
}

impl Kept {
    pub(super) fn of(schema: &str, name: &str, key: &str) -> Self {
        let table =
            |ending: &str| format!("{}.{}", identifier(schema), identifier(&format!("{name}{ending}")));
        Self {
            name: name.to_owned(),
            key: key.to_owned(),
            rows: table(""),
            events: table(EVENTS),
            snapshots: table(SNAPSHOTS),
        }
    }

    /// The column with the keys.
    fn column(&self) -> String {
        identifier(&self.key)
    }

    /// The query of WITH that counts one more change: `n` has its number and time, and what documents get that come.
    fn next(&self) -> String {
        format!(
            "n AS (UPDATE {} AS e SET counted = e.counted + 1, \"time\" = greatest(e.\"time\", clock_timestamp()) \
            WHERE e.seq = 0 RETURNING e.counted, e.\"time\", e.document)",
            self.events
        )
    }

    /// The tables, and what is in them at first.
    pub(super) fn definitions(&self, indexed: &[Name]) -> Vec<String> {
        let Self { rows, events, snapshots, .. } = self;
        let mut texts = vec![
            format!(
                "CREATE TABLE {rows} ({} text PRIMARY KEY, document jsonb NOT NULL, \
                deleted boolean NOT NULL DEFAULT false)",
                self.column()
            ),
            format!(
                "CREATE TABLE {events} (seq bigint PRIMARY KEY, event text NOT NULL, key text, \
                \"time\" timestamptz NOT NULL, content jsonb, document jsonb, counted bigint)"
            ),
            format!("CREATE INDEX ON {events} (key, seq)"),
            format!(
                "CREATE TABLE {snapshots} (seq bigint, key text, document jsonb NOT NULL, PRIMARY KEY (seq, key))"
            ),
            format!(
                "INSERT INTO {events} (seq, event, \"time\", counted) VALUES (0, 'CREATE', clock_timestamp(), 0)"
            ),
        ];
        let others = indexed.iter().filter(|field| field.value != self.key);
        texts.extend(others.map(|field| self.index(std::slice::from_ref(field))));
        texts
    }

    pub(super) fn index(&self, fields: &[Name]) -> String {
        let part = |field: &Name| match field.value == self.key {
            true => self.column(),
            false => format!("(jsonb_canonical(document -> {}))", literal(&field.value)),
        };
        let parts: Vec<String> = fields.iter().map(part).collect();
        format!("CREATE INDEX ON {} ({})", self.rows, parts.join(", "))
    }

    pub(super) fn insert(&self, key: &str, document: &str) -> String {
        let Self { rows, events, .. } = self;
        format!(
            "WITH {next}, r AS (INSERT INTO {rows} AS x ({column}, document, deleted) \
            SELECT {key}, coalesce(n.document, '{{}}'::jsonb) || {document}, false FROM n \
            ON CONFLICT ({column}) DO UPDATE SET document = excluded.document, deleted = false WHERE x.deleted \
            RETURNING x.document) \
            INSERT INTO {events} (seq, event, key, \"time\", document) \
            SELECT n.counted, 'INSERT', {key}, n.\"time\", r.document FROM n, r",
            next = self.next(),
            column = self.column(),
        )
    }

    /// A change of the document with a key: `set` is what of its row becomes what, `content` and `document` what its event
    /// holds.
    pub(super) fn change(&self, event: &str, key: &str, set: &str, content: &str, document: &str) -> String {
        let Self { rows, events, .. } = self;
        format!(
            "WITH {next}, r AS (UPDATE {rows} AS x SET {set} FROM n \
            WHERE x.{column} = {key} AND NOT x.deleted RETURNING x.document) \
            INSERT INTO {events} (seq, event, key, \"time\", content, document) \
            SELECT n.counted, '{event}', {key}, n.\"time\", {content}, {document} FROM n, r",
            next = self.next(),
            column = self.column(),
        )
    }

    /// The same change of all documents that `which` holds of, and of what documents get that come. The row that counts is locked
    /// by a statement before: what this one finds is all that there is, for nobody else can add to it.
    pub(super) fn change_all(&self, which: &str, patched: &str, defaults: &str, patch: &str) -> Vec<String> {
        let Self { rows, events, .. } = self;
        vec![
            format!("SELECT e.seq FROM {events} AS e WHERE e.seq = 0 FOR UPDATE"),
            format!(
                "WITH r AS (UPDATE {rows} AS x SET document = {patched} WHERE NOT x.deleted AND {which} \
                RETURNING x.{column} AS key, x.document), \
                n AS (UPDATE {events} AS e SET counted = e.counted + k.many, document = {defaults}, \
                \"time\" = greatest(e.\"time\", clock_timestamp()) FROM (SELECT count(*) AS many FROM r) AS k \
                WHERE e.seq = 0 RETURNING e.counted - k.many AS before, e.\"time\") \
                INSERT INTO {events} (seq, event, key, \"time\", content, document) \
                SELECT n.before + row_number() OVER (ORDER BY r.key), 'PATCH', r.key, n.\"time\", {patch}, r.document \
                FROM n, r",
                column = self.column(),
            ),
        ]
    }

    pub(super) fn snapshot(&self) -> String {
        let Self { rows, events, snapshots, .. } = self;
        format!(
            "INSERT INTO {snapshots} (seq, key, document) SELECT e.counted, x.{column}, x.document \
            FROM {events} AS e, {rows} AS x WHERE e.seq = 0 AND NOT x.deleted ON CONFLICT (seq, key) DO NOTHING",
            column = self.column(),
        )
    }

    pub(super) fn compact(&self) -> String {
        format!(
            "WITH g AS (DELETE FROM {snapshots} AS s \
            WHERE s.seq < (SELECT e.counted FROM {events} AS e WHERE e.seq = 0)) {snapshot}",
            snapshots = self.snapshots,
            events = self.events,
            snapshot = self.snapshot(),
        )
    }

    /// The documents of now.
    pub(super) fn now(&self, conditions: &[(String, String)], key: Option<&str>) -> String {
        let key = key.map(|key| format!(" AND x.{} = {key}", self.column())).unwrap_or_default();
        format!(
            "SELECT x.document FROM {} AS x WHERE NOT x.deleted{key}{} ORDER BY x.{}",
            self.rows,
            met("x", conditions),
            self.column(),
        )
    }

    /// The documents after so many changes: the newest snapshot before, and what came since.
    pub(super) fn then(&self, upto: &str, conditions: &[(String, String)], key: Option<&str>) -> String {
        let Self { events, snapshots, .. } = self;
        let of = |alias: &str| key.map(|key| format!(" AND {alias}.key = {key}")).unwrap_or_default();
        format!(
            "WITH b AS (SELECT coalesce(max(s.seq), 0) AS seq FROM {snapshots} AS s WHERE s.seq <= {upto}) \
            SELECT c.document FROM (SELECT DISTINCT ON (h.key) h.key, h.document FROM (\
            SELECT s.seq, s.key, s.document FROM {snapshots} AS s \
            WHERE s.seq = (SELECT b.seq FROM b){of_snapshot} UNION ALL \
            SELECT e.seq, e.key, e.document FROM {events} AS e \
            WHERE e.seq > 0 AND e.seq > (SELECT b.seq FROM b) AND e.seq <= {upto}{of_event}) AS h \
            ORDER BY h.key, h.seq DESC) AS c WHERE c.document IS NOT NULL{conditions} ORDER BY c.key",
            of_snapshot = of("s"),
            of_event = of("e"),
            conditions = met("c", conditions),
        )
    }

    /// The rows after so many changes, with those that were hidden by then.
    pub(super) fn numbered(&self, number: i64) -> String {
        format!(
            "SELECT c.key AS {column}, coalesce(c.document, (SELECT b.document FROM {events} AS b \
            WHERE b.key = c.key AND b.seq < c.seq AND b.document IS NOT NULL ORDER BY b.seq DESC LIMIT 1)) AS document, \
            c.document IS NULL AS deleted FROM (SELECT DISTINCT ON (e.key) e.key, e.seq, e.document FROM {events} AS e \
            WHERE e.seq > 0 AND e.seq <= {number} ORDER BY e.key, e.seq DESC) AS c",
            column = self.column(),
            events = self.events,
        )
    }

    /// The number of the last change up to a time.
    pub(super) fn upto(&self, time: &str) -> String {
        format!(
            "(SELECT e.seq FROM {} AS e WHERE e.seq > 0 AND e.\"time\" <= {time} ORDER BY e.seq DESC LIMIT 1)",
            self.events
        )
    }

    pub(super) fn history(&self, key: &str) -> String {
        format!(
            "SELECT e.seq, e.event, e.\"time\", coalesce(e.content, e.document) AS content \
            FROM {} AS e WHERE e.key = {key} ORDER BY e.seq",
            self.events
        )
    }

    pub(super) fn missing(&self, key: &str) -> Error {
        Error::new("P0002", format!("\"{}\" has no document with the key \"{key}\"", self.name))
    }
}

/// Conditions about fields of the documents of an item of FROM.
fn met(alias: &str, conditions: &[(String, String)]) -> String {
    let equal = |(field, wanted): &(String, String)| {
        format!(" AND jsonb_canonical({alias}.document -> {field}) = jsonb_canonical({wanted})")
    };
    conditions.iter().map(equal).collect()
}

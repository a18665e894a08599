//! Pairs in their table.

use bytes::Bytes;
use expr::Datum;
use tonic::Status;

use super::status;

/// What makes the table.
pub(super) const TABLES: &[&str] = &[
    "CREATE SCHEMA IF NOT EXISTS kv",
    r#"CREATE TABLE IF NOT EXISTS kv.pairs ("key" bytea PRIMARY KEY, "value" bytea NOT NULL)"#,
];

// The types are said: whatever has become of the table, bytes are never taken for something else.
pub(super) const GET: &str = r#"SELECT "value" FROM kv.pairs WHERE "key" = $1::bytea"#;
pub(super) const SET: &str = r#"INSERT INTO kv.pairs ("key", "value") VALUES ($1::bytea, $2::bytea)
    ON CONFLICT ("key") DO UPDATE SET "value" = excluded."value""#;
pub(super) const DELETE: &str = r#"DELETE FROM kv.pairs WHERE "key" = $1::bytea"#;

const FROM: &str =
    r#"SELECT "key", "value" FROM kv.pairs WHERE "key" >= $1::bytea ORDER BY "key" LIMIT $2::bigint"#;
const BETWEEN: &str = r#"SELECT "key", "value" FROM kv.pairs WHERE "key" >= $1::bytea AND "key" < $3::bytea ORDER BY "key" LIMIT $2::bigint"#;
const FROM_REVERSE: &str =
    r#"SELECT "key", "value" FROM kv.pairs WHERE "key" >= $1::bytea ORDER BY "key" DESC LIMIT $2::bigint"#;
const BETWEEN_REVERSE: &str = r#"SELECT "key", "value" FROM kv.pairs WHERE "key" >= $1::bytea AND "key" < $3::bytea ORDER BY "key" DESC LIMIT $2::bigint"#;

/// Of the first key, how many, and the key behind the last where there is an end.
pub(super) fn scan(has_end: bool, reverse: bool) -> &'static str {
    match (has_end, reverse) {
        (false, false) => FROM,
        (true, false) => BETWEEN,
        (false, true) => FROM_REVERSE,
        (true, true) => BETWEEN_REVERSE,
    }
}

/// Versions of some pairs that were current at some moment from one on up to another, and from when until when each was.
pub(super) const WATCH: &str = r#"SELECT "key", "value", system_start::bigint, system_end::bigint
    FROM kv.pairs FOR SYSTEM_TIME BETWEEN $1::bigint AND $2::bigint WHERE "key" = ANY ($3::bytea[])"#;

pub(super) const BEGIN_READ_ONLY: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY";
pub(super) const BEGIN_READ_WRITE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// All that may be asked within a transaction: nothing of it is to be prepared there for the first time.
pub(super) const WITHIN: &[&str] =
    &[GET, SET, DELETE, FROM, BETWEEN, FROM_REVERSE, BETWEEN_REVERSE, COMMIT, ROLLBACK];

/// Longer keys are none.
const KEY_BYTES_MAX: usize = 64 << 10;

/// A key that may be one.
pub(super) fn key(key: Bytes) -> Result<Datum, Status> {
    if key.len() > KEY_BYTES_MAX {
        let message = format!("a key has at most {} bytes", KEY_BYTES_MAX);
        return Err(status::refusal("22023", &message));
    }
    Ok(Datum::Bytea(key))
}

/// The bytes of a column.
pub(super) fn bytes(value: Option<Datum>) -> Result<Bytes, Status> {
    match value {
        Some(Datum::Bytea(bytes)) => Ok(bytes),
        // Somebody has made another table of it.
        _ => {
            Err(status::refusal("42804", "the table kv.pairs is not one of a key and a value of type bytea"))
        }
    }
}

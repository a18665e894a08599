//! Objects in their table: each request is one transaction of the client's role.
//!
//! A GET that follows links reads all that it answers at one moment. A SET locks the row, or proves at its commit that there
//! still is none, so that what it answers is what it has replaced. After a conflict with others a request is run again:
//! nothing of it has been answered.

use std::collections::HashMap;

use expr::{Array, Datum, Row};

use super::links::{Wanted, followed};
use super::object::Object;
use super::stored::{HasNul, Unsayable, from_json, to_json};
use crate::door::{Full, Retries, Room, Share, Work};

/// What makes the table.
pub(super) const TABLES: &[&str] = &[
    "CREATE SCHEMA IF NOT EXISTS objects",
    r#"CREATE TABLE IF NOT EXISTS objects.objects ("key" text PRIMARY KEY, "value" jsonb)"#,
];

// The types are said: whatever has become of the table, what is told is never taken for something else.
pub(super) const GET: &str = r#"SELECT "value" FROM objects.objects WHERE "key" = $1::text"#;
const GET_SOME: &str = r#"SELECT "key", "value" FROM objects.objects WHERE "key" = ANY ($1::text[])"#;
/// Versions of some objects that were current at some moment from one on up to another, and from when until when each was.
pub(super) const WATCH: &str = r#"SELECT "key", "value", system_start::bigint, system_end::bigint
    FROM objects.objects FOR SYSTEM_TIME BETWEEN $1::bigint AND $2::bigint WHERE "key" = ANY ($3::text[])"#;
const LOCK: &str = r#"SELECT "value" FROM objects.objects WHERE "key" = $1::text FOR UPDATE"#;
pub(super) const PUT: &str = r#"INSERT INTO objects.objects ("key", "value") VALUES ($1::text, $2::jsonb)
    ON CONFLICT ("key") DO UPDATE SET "value" = excluded."value""#;
pub(super) const DELETE: &str = r#"DELETE FROM objects.objects WHERE "key" = $1::text RETURNING "value""#;

/// Keys that are asked for at once where links are followed, and rows of them that are there at once.
const KEYS_AT_ONCE: usize = 256;
const ROWS_AT_ONCE: usize = 16;

/// Bytes of objects that one request reads at most by following links, and of how many keys.
const FOLLOWED_BYTES_MAX: usize = 8 << 20;
const FOLLOWED_MAX: usize = 10_000;

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{} ({})", .0.message, .0.sqlstate)]
    Sql(#[from] sql::Error),
    #[error(transparent)]
    HasNul(#[from] HasNul),
    #[error(transparent)]
    Unsayable(#[from] Unsayable),
    #[error(transparent)]
    Full(#[from] Full),
    #[error("the links lead to more objects than one answer may hold")]
    LeadsTooFar,
}

impl Refused {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Sql(error) if Retries::help(error))
    }
}

/// The object of a key, its links followed to this depth, and its share of the room: to be kept until it has been sent.
pub(super) async fn get(
    work: &mut Work,
    room: &Room,
    key: &str,
    depth: u8,
) -> Result<(Object, Share), Refused> {
    let (object, share) = read(work, room, key).await?;
    if Wanted::of(key, &object, depth).is_empty() {
        return Ok((followed(key, object, depth, &mut HashMap::new()), share));
    }
    // Nobody has a share while waiting for another.
    drop((object, share));
    let share = room.share(FOLLOWED_BYTES_MAX).await?;
    env::pool::go_to_pool().await;
    let mut retries = Retries::default();
    loop {
        work.begin(&[GET, GET_SOME]).await?;
        let outcome = read_all(work, key, depth).await;
        match work.end(outcome).await {
            Err(refused) if refused.is_conflict() && retries.are_left() => retries.pause().await,
            outcome => return outcome.map(|object| (object, share)),
        }
    }
}

/// The object of a key, and its share of the room. One that is large is read again once it has that: nobody holds it while
/// waiting.
async fn read(work: &mut Work, room: &Room, key: &str) -> Result<(Object, Share), Refused> {
    let (mut share, mut shared_bytes) = (None, 0);
    loop {
        let (rows, _) = work.once(GET, vec![text(key)?]).await?;
        let bytes = rows.iter().flatten().map(Datum::size_bytes).sum::<usize>();
        if Room::is_small(bytes) {
            return Ok((only(rows)?, share));
        }
        if bytes <= shared_bytes {
            env::pool::go_to_pool().await;
            return Ok((only(rows)?, share));
        }
        drop((rows, share.take()));
        share = room.share(bytes).await?;
        shared_bytes = bytes;
    }
}

/// Puts an object in place of another; the other.
pub(super) async fn set(work: &mut Work, key: &str, object: &Object) -> Result<Object, Refused> {
    let (key, json) = (text(key)?, Datum::json(to_json(object)?));
    let mut retries = Retries::default();
    loop {
        work.begin(&[LOCK, PUT]).await?;
        let outcome = replace(work, &key, &json).await;
        match work.end(outcome).await {
            Err(refused) if refused.is_conflict() && retries.are_left() => retries.pause().await,
            Err(refused) => return Err(refused),
            Ok(before) => return only(before),
        }
    }
}

/// Removes an object; what it was.
pub(super) async fn delete(work: &mut Work, key: &str) -> Result<Object, Refused> {
    let (rows, _) = work.once(DELETE, vec![text(key)?]).await?;
    only(rows)
}

/// The row before, and the new one in its place.
async fn replace(work: &mut Work, key: &Datum, json: &Datum) -> Result<Vec<Row>, Refused> {
    let (before, _) = work.run(LOCK, vec![key.clone()]).await?;
    work.run(PUT, vec![key.clone(), json.clone()]).await?;
    Ok(before)
}

/// An object with all that its links lead to, within the transaction that is open.
async fn read_all(work: &mut Work, key: &str, depth: u8) -> Result<Object, Refused> {
    let (rows, _) = work.run(GET, vec![text(key)?]).await?;
    let object = only(rows)?;
    let mut wanted = Wanted::of(key, &object, depth);
    let (mut found, mut bytes, mut asked) = (HashMap::new(), 0, 0);
    while let Some((depth, keys)) = wanted.take(KEYS_AT_ONCE) {
        // Those that lead nowhere as well: each is looked for.
        asked += keys.len();
        if asked > FOLLOWED_MAX {
            return Err(Refused::LeadsTooFar);
        }
        let keys = keys.iter().map(|key| text(key)).collect::<Result<Array, _>>()?;
        let mut run = work.start(GET_SOME, vec![Datum::Array(keys)]).await?;
        while let Some(rows) = work.next(&mut run, ROWS_AT_ONCE).await? {
            bytes += rows.iter().flatten().map(Datum::size_bytes).sum::<usize>();
            if bytes > FOLLOWED_BYTES_MAX {
                work.leave(run).await?;
                return Err(Refused::LeadsTooFar);
            }
            for row in rows {
                let [key, value] = <[Datum; 2]>::try_from(row).map_err(|_| wrong_row())?;
                let object = of_datum(&value)?;
                wanted.add(&object, depth);
                found.insert(key.as_str().ok_or_else(wrong_row)?.to_owned(), object);
            }
        }
    }
    Ok(followed(key, object, depth, &mut found))
}

/// A text that can be stored.
pub(super) fn text(text: &str) -> Result<Datum, HasNul> {
    if text.contains('\0') { Err(HasNul) } else { Ok(Datum::text(text)) }
}

/// The object of the only row; null if there is none.
fn only(rows: Vec<Row>) -> Result<Object, Refused> {
    match rows.first().and_then(|row| row.first()) {
        Some(value) => of_datum(value),
        None => Ok(Object::Null),
    }
}

pub(super) fn of_datum(value: &Datum) -> Result<Object, Refused> {
    match value {
        Datum::Null => Ok(Object::Null),
        Datum::Json(json) => Ok(from_json(json)?),
        _ => Err(wrong_row().into()),
    }
}

/// Somebody has made another table of it.
fn wrong_row() -> sql::Error {
    sql::Error::new(
        "42804",
        "the table objects.objects is not one of a key of type text and a value of type jsonb",
    )
}

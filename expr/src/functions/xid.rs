//! Functions of numbers of transactions, and of snapshots.

use super::arguments::{integer, mismatch};
use crate::compare::compare;
use crate::datum::Datum;
use crate::error::Result;
use crate::lsn;
use crate::work;
use crate::xid::Snapshot;

/// How a number is held: as a `xid8`, or as the bigint that its older functions take and return.
pub(super) type Held = fn(u64) -> Datum;

pub(super) fn as_bigint(number: u64) -> Datum {
    Datum::Int8(number as i64)
}

/// Whether a `xid` has the bits of an integer.
pub(super) fn equals_integer(xid: &Datum, number: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(integer(xid)? as u32 == integer(number)? as u32))
}

pub(super) fn differs_from_integer(xid: &Datum, number: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(integer(xid)? as u32 != integer(number)? as u32))
}

/// `xid8cmp`
pub(super) fn order(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(compare(left, right) as i32))
}

/// `xid(xid8)`
pub(super) fn lower_half(number: &Datum) -> Result<Datum> {
    Ok(Datum::Oid(lsn::of(number)? as u32))
}

pub(super) fn xmin(snapshot: &Datum, held: Held) -> Result<Datum> {
    Ok(held(Snapshot::of(snapshot)?.xmin))
}

pub(super) fn xmax(snapshot: &Datum, held: Held) -> Result<Datum> {
    Ok(held(Snapshot::of(snapshot)?.xmax))
}

/// Those that run.
pub(super) fn running(args: &[Datum], held: Held) -> Result<Vec<Datum>> {
    let snapshot = Snapshot::of(args.first().ok_or_else(mismatch)?)?;
    work::items(snapshot.running.into_iter().map(held))
}

/// `pg_visible_in_snapshot`
pub(super) fn is_seen(number: &Datum, snapshot: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(Snapshot::of(snapshot)?.sees(lsn::of(number)?)))
}

/// `txid_visible_in_snapshot`
pub(super) fn is_bigint_seen(number: &Datum, snapshot: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(Snapshot::of(snapshot)?.sees(integer(number)? as u64)))
}

//! OVERLAPS: whether two periods, each between two times or from one for a while, have a time in common.

use std::cmp::Ordering;

use super::arguments::exactly;
use super::{time, time_of_day};
use crate::datum::Datum;
use crate::error::Result;
use crate::session::SessionContext;

/// (a, b) OVERLAPS (c, d), of values of one type that are ordered by their numbers. A period contains its begin and not
/// its end, unless they are one. NULL if it hangs on an end that is not known.
fn overlap(first: [Option<i64>; 2], second: [Option<i64>; 2]) -> Datum {
    // Of each what is known first, the smaller of both.
    let ordered = |[start, end]: [Option<i64>; 2]| match (start, end) {
        (None, end) => [end, None],
        (Some(start), Some(end)) if start > end => [Some(end), Some(start)],
        both => [both.0, both.1],
    };
    let ([Some(a), b], [Some(c), d]) = (ordered(first), ordered(second)) else { return Datum::Null };
    // The period that begins later, at `start`, and that before it.
    let later = |start: i64, end: Option<i64>, before: Option<i64>| match before {
        None => None,
        Some(before) if start < before => Some(true),
        Some(_) => end.map(|_| false),
    };
    let answer = match a.cmp(&c) {
        Ordering::Greater => later(a, b, d),
        Ordering::Less => later(c, d, b),
        Ordering::Equal => b.and(d).map(|_| true),
    };
    answer.map_or(Datum::Null, Datum::Bool)
}

fn number(value: &Datum) -> Option<i64> {
    match value {
        Datum::Timestamp(value) | Datum::Timestamptz(value) | Datum::Int8(value) => Some(*value),
        _ => None,
    }
}

/// The end of a period that is given by how long it takes.
fn end(start: &Datum, end: &Datum, session: &SessionContext) -> Result<Datum> {
    match (start, end) {
        (Datum::Null, Datum::Interval(_)) => Ok(Datum::Null),
        (Datum::Timestamp(_), Datum::Interval(_)) => time::timestamp_plus_interval(start, end),
        (Datum::Timestamptz(_), Datum::Interval(_)) => {
            time::timestamptz_plus_interval(&[start.clone(), end.clone()], session)
        }
        (Datum::Int8(_), Datum::Interval(_)) => time_of_day::plus(start, end),
        _ => Ok(end.clone()),
    }
}

pub(super) fn overlaps(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [a, b, c, d] = exactly(args)?;
    let (b, d) = (end(a, b, session)?, end(c, d, session)?);
    Ok(overlap([number(a), number(&b)], [number(c), number(&d)]))
}

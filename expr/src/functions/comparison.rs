//! Comparison operators. One function serves all types whose values compare by [`compare`].

use std::cmp::Ordering;

use super::arguments::mismatch;
use crate::calendar::{date_to_timestamp, zone};
use crate::compare::{compare, compare_padded};
use crate::datum::Datum;
use crate::error::Result;
use crate::session::SessionContext;

/// The order of times of which one has a zone: the other counts in the session's.
fn compare_zoned(args: &[Datum], session: &SessionContext) -> Result<Ordering> {
    let instant = |value: &Datum| match value {
        Datum::Timestamptz(micros) => Ok(*micros),
        Datum::Timestamp(micros) => zone::to_instant(*micros, &session.time_zone),
        Datum::Date(days) => zone::to_instant(date_to_timestamp(*days)?, &session.time_zone),
        _ => Err(mismatch()),
    };
    match args {
        [left, right] => Ok(instant(left)?.cmp(&instant(right)?)),
        _ => Err(mismatch()),
    }
}

macro_rules! comparisons {
    ($($plain:ident, $blank:ident, $zoned:ident: $test:ident;)*) => {$(
        pub(super) fn $plain(left: &Datum, right: &Datum) -> Result<Datum> {
            Ok(Datum::Bool(compare(left, right).$test()))
        }

        pub(super) fn $blank(left: &Datum, right: &Datum) -> Result<Datum> {
            Ok(Datum::Bool(compare_padded(left, right).$test()))
        }

        pub(super) fn $zoned(args: &[Datum], session: &SessionContext) -> Result<Datum> {
            Ok(Datum::Bool(compare_zoned(args, session)?.$test()))
        }
    )*};
}

comparisons! {
    equal, blank_equal, zoned_equal: is_eq;
    not_equal, blank_not_equal, zoned_not_equal: is_ne;
    less, blank_less, zoned_less: is_lt;
    less_or_equal, blank_less_or_equal, zoned_less_or_equal: is_le;
    greater, blank_greater, zoned_greater: is_gt;
    greater_or_equal, blank_greater_or_equal, zoned_greater_or_equal: is_ge;
}

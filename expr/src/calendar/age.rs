//! age(): the difference of two times in years, months, days and time.

use super::interval::make;
use super::{Civil, days_in_month, timestamp_is_finite};
use crate::datum::Interval;
use crate::error::{Error, Result};

/// left - right by the fields of the calendar: `43 years 9 mons 27 days`. 22008 if one is infinite.
pub fn between(left: i64, right: i64) -> Result<Interval> {
    if !timestamp_is_finite(left) || !timestamp_is_finite(right) {
        return Err(Error::new("22008", "timestamp out of range"));
    }
    let (later, earlier) = (Civil::from_micros(left.max(right)), Civil::from_micros(left.min(right)));
    let mut years = later.year - earlier.year;
    let mut months = later.month - earlier.month;
    let mut days = later.day - earlier.day;
    let mut micros = later.time_micros() - earlier.time_micros();
    if micros < 0 {
        micros += super::MICROS_PER_DAY;
        days -= 1;
    }
    while days < 0 {
        days += days_in_month(earlier.year, earlier.month);
        months -= 1;
    }
    while months < 0 {
        months += 12;
        years -= 1;
    }
    let sign = if left < right { -1 } else { 1 };
    make(sign * (years * 12 + months), sign * days, sign * micros)
}

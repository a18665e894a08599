//! Days, times and intervals: the arithmetic behind date, timestamp, timestamptz and interval.
//!
//! Days and microseconds count from 2000-01-01 in the proleptic Gregorian calendar; years are astronomical: 0 is
//! 1 BC. The outermost values are the infinities.

mod abbreviations;
pub mod age;
pub mod field;
pub mod interval;
pub mod zone;
pub mod zoned_time;

use crate::error::{Error, Result};

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
pub const UNIX_EPOCH_DISTANCE_MICROS: i64 = 946_684_800_000_000;
/// Microseconds of a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
/// Microseconds of an hour.
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// The Julian day of 2000-01-01.
pub const JULIAN_EPOCH: i64 = 2_451_545;

/// date's -infinity.
pub const DATE_MINUS_INFINITY: i32 = i32::MIN;
/// date's infinity.
pub const DATE_INFINITY: i32 = i32::MAX;
/// -infinity of timestamp and timestamptz.
pub const TIMESTAMP_MINUS_INFINITY: i64 = i64::MIN;
/// infinity of timestamp and timestamptz.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;

/// The first date: Julian day 0.
const DATE_MIN: i64 = -JULIAN_EPOCH;
/// The last date: 5874897-12-31.
const DATE_MAX: i64 = 2_147_483_493 - JULIAN_EPOCH;
/// The first timestamp: midnight of Julian day 0.
const TIMESTAMP_MIN: i64 = DATE_MIN * MICROS_PER_DAY;
/// The end of all timestamps: 294277-01-01.
const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;

/// A point in time by the fields of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Civil {
    /// Astronomical: 0 is 1 BC.
    pub year: i64,
    /// 1..=12
    pub month: i64,
    /// 1..=31
    pub day: i64,
    /// 0..=23
    pub hour: i64,
    /// 0..=59
    pub minute: i64,
    /// 0..=59
    pub second: i64,
    /// 0..=999999
    pub micros: i64,
}

impl Civil {
    /// Of microseconds since 2000-01-01.
    pub fn from_micros(micros: i64) -> Self {
        let time = micros.rem_euclid(MICROS_PER_DAY);
        let (year, month, day) = civil_from_days(micros.div_euclid(MICROS_PER_DAY));
        Self {
            year,
            month,
            day,
            hour: time / MICROS_PER_HOUR,
            minute: time / MICROS_PER_MINUTE % 60,
            second: time / MICROS_PER_SECOND % 60,
            micros: time % MICROS_PER_SECOND,
        }
    }

    /// Days since 2000-01-01.
    pub fn days(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// Microseconds since midnight.
    pub fn time_micros(&self) -> i64 {
        self.hour * MICROS_PER_HOUR
            + self.minute * MICROS_PER_MINUTE
            + self.second * MICROS_PER_SECOND
            + self.micros
    }

    /// Microseconds since 2000-01-01; None beyond what timestamps hold.
    pub fn to_micros(&self) -> Option<i64> {
        let micros = self.days().checked_mul(MICROS_PER_DAY)?.checked_add(self.time_micros())?;
        timestamp_in_range(micros).then_some(micros)
    }
}

/// Days from 2000-01-01 to a date. Months beyond 1..=12 and days beyond the month count on.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    // Years that begin in March, in eras of 400 (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 730_425
}

/// Year, month and day of a date.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 730_425;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Whether a year has 366 days.
pub fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The number of days of a month.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Whether a timestamp that is not infinite is one that PostgreSQL holds.
pub fn timestamp_in_range(micros: i64) -> bool {
    (TIMESTAMP_MIN..TIMESTAMP_END).contains(&micros)
}

/// Whether this is neither of the infinities of timestamp and timestamptz.
pub fn timestamp_is_finite(micros: i64) -> bool {
    micros != TIMESTAMP_INFINITY && micros != TIMESTAMP_MINUS_INFINITY
}

/// Whether this is neither of date's infinities.
pub fn date_is_finite(days: i32) -> bool {
    days != DATE_INFINITY && days != DATE_MINUS_INFINITY
}

/// A timestamp that was computed, checked. 22008 beyond the range.
pub fn checked_timestamp(micros: Option<i64>) -> Result<i64> {
    micros
        .filter(|micros| timestamp_in_range(*micros))
        .ok_or_else(|| Error::new("22008", "timestamp out of range"))
}

/// A date that was computed, checked. 22008 beyond the range.
pub fn checked_date(days: i64) -> Result<i32> {
    match (DATE_MIN..=DATE_MAX).contains(&days) {
        true => i32::try_from(days).map_err(|_| Error::new("22008", "date out of range")),
        false => Err(Error::new("22008", "date out of range")),
    }
}

/// Midnight of a date.
pub fn date_to_timestamp(days: i32) -> Result<i64> {
    match days {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_MINUS_INFINITY => Ok(TIMESTAMP_MINUS_INFINITY),
        days => i64::from(days)
            .checked_mul(MICROS_PER_DAY)
            .filter(|micros| timestamp_in_range(*micros))
            .ok_or_else(|| Error::new("22008", "date out of range for timestamp")),
    }
}

/// The date of a timestamp.
pub fn timestamp_to_date(micros: i64) -> i32 {
    match micros {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_MINUS_INFINITY => DATE_MINUS_INFINITY,
        micros => micros.div_euclid(MICROS_PER_DAY) as i32,
    }
}

/// Rounds a timestamp's seconds to so many digits, half away from zero.
pub fn round_micros(micros: i64, precision: i32) -> i64 {
    let unit = 10_i64.pow(6u32.saturating_sub(precision.clamp(0, 6) as u32));
    if unit == 1 || !timestamp_is_finite(micros) {
        return micros;
    }
    let half = unit / 2;
    match micros >= 0 {
        true => micros.saturating_add(half) / unit * unit,
        false => -((-micros).saturating_add(half) / unit * unit),
    }
}

/// The ISO 8601 week and its year, by days since 2000-01-01.
pub fn iso_week(days: i64) -> (i64, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = days - (iso_day_of_week(days) - 4);
    let (year, _, _) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// 1 = Monday … 7 = Sunday. (2000-01-01 was a Saturday.)
pub fn iso_day_of_week(days: i64) -> i64 {
    (days + 5).rem_euclid(7) + 1
}

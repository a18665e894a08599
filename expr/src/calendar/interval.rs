//! Arithmetic of intervals, and of timestamps with them.

use jiff::tz::TimeZone;

use super::{
    Civil, MICROS_PER_DAY, checked_timestamp, civil_from_days, days_from_civil, days_in_month,
    timestamp_is_finite, zone,
};
use crate::datum::Interval;
use crate::error::{Error, Result};

/// Days that a month counts where there is no calendar.
const DAYS_PER_MONTH: i64 = 30;
const SECONDS_PER_DAY: f64 = 86_400.0;

fn out_of_range() -> Error {
    Error::new("22008", "interval out of range")
}

/// The interval from microseconds alone, whole days made days.
pub fn from_micros(micros: i64) -> Interval {
    justify_hours(Interval { months: 0, days: 0, micros }).unwrap_or(Interval { months: 0, days: 0, micros })
}

impl Interval {
    /// Its length with months of 30 days and days of 24 hours: what intervals compare by.
    pub fn span_micros(&self) -> i128 {
        let days = i128::from(self.months) * i128::from(DAYS_PER_MONTH) + i128::from(self.days);
        days * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

/// -value
pub fn negate(value: Interval) -> Result<Interval> {
    let negated = || {
        Some(Interval {
            months: value.months.checked_neg()?,
            days: value.days.checked_neg()?,
            micros: value.micros.checked_neg()?,
        })
    };
    negated().ok_or_else(out_of_range)
}

/// left + right, field by field
pub fn add(left: Interval, right: Interval) -> Result<Interval> {
    let sum = || {
        Some(Interval {
            months: left.months.checked_add(right.months)?,
            days: left.days.checked_add(right.days)?,
            micros: left.micros.checked_add(right.micros)?,
        })
    };
    sum().ok_or_else(out_of_range)
}

/// left - right, field by field
pub fn subtract(left: Interval, right: Interval) -> Result<Interval> {
    let difference = || {
        Some(Interval {
            months: left.months.checked_sub(right.months)?,
            days: left.days.checked_sub(right.days)?,
            micros: left.micros.checked_sub(right.micros)?,
        })
    };
    difference().ok_or_else(out_of_range)
}

/// value × factor; fractions of months become days, those of days become time.
pub fn multiply(value: Interval, factor: f64) -> Result<Interval> {
    scale(value, |field| field * factor)
}

/// value / divisor; 22012 if it is zero.
pub fn divide(value: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(Error::division_by_zero());
    }
    scale(value, |field| field / divisor)
}

/// Rounds to microseconds, as PostgreSQL does between the units.
fn round_micros(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

fn to_i32(value: f64) -> Result<i32> {
    match value.is_finite() && value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX) {
        true => Ok(value as i32),
        false => Err(out_of_range()),
    }
}

fn scale(value: Interval, by: impl Fn(f64) -> f64) -> Result<Interval> {
    let months_exact = by(f64::from(value.months));
    let days_exact = by(f64::from(value.days));
    let months = to_i32(months_exact)?;
    let mut days = to_i32(days_exact)?;
    let days_of_months = round_micros((months_exact - f64::from(months)) * DAYS_PER_MONTH as f64);
    let mut seconds = round_micros(
        (days_exact - f64::from(days) + days_of_months - days_of_months.trunc()) * SECONDS_PER_DAY,
    );
    if seconds.abs() >= SECONDS_PER_DAY {
        let whole = (seconds / SECONDS_PER_DAY).trunc();
        days = days.checked_add(whole as i32).ok_or_else(out_of_range)?;
        seconds -= whole * SECONDS_PER_DAY;
    }
    days = days.checked_add(days_of_months as i32).ok_or_else(out_of_range)?;
    let micros = (by(value.micros as f64) + seconds * 1e6).round_ties_even();
    if !(micros.is_finite() && micros >= i64::MIN as f64 && micros < i64::MAX as f64) {
        return Err(out_of_range());
    }
    Ok(Interval { months, days, micros: micros as i64 })
}

/// Whole days of the time made days, all of one sign.
pub fn justify_hours(value: Interval) -> Result<Interval> {
    let whole = value.micros / MICROS_PER_DAY;
    let mut micros = value.micros % MICROS_PER_DAY;
    let mut days = i64::from(value.days) + whole;
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval { months: value.months, days: i32::try_from(days).map_err(|_| out_of_range())?, micros })
}

/// Each 30 days made a month, both of one sign.
pub fn justify_days(value: Interval) -> Result<Interval> {
    let days = i64::from(value.days);
    let mut months = i64::from(value.months) + days / DAYS_PER_MONTH;
    let mut days = days % DAYS_PER_MONTH;
    if months > 0 && days < 0 {
        days += DAYS_PER_MONTH;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= DAYS_PER_MONTH;
        months += 1;
    }
    Ok(Interval {
        months: i32::try_from(months).map_err(|_| out_of_range())?,
        days: days as i32,
        micros: value.micros,
    })
}

/// Time made days, days made months, all of one sign.
pub fn justify_interval(value: Interval) -> Result<Interval> {
    let mut days = i64::from(value.days) + value.micros / MICROS_PER_DAY;
    let mut micros = value.micros % MICROS_PER_DAY;
    let mut months = i64::from(value.months) + days / DAYS_PER_MONTH;
    days %= DAYS_PER_MONTH;
    if months > 0 && (days < 0 || days == 0 && micros < 0) {
        days += DAYS_PER_MONTH;
        months -= 1;
    } else if months < 0 && (days > 0 || days == 0 && micros > 0) {
        days -= DAYS_PER_MONTH;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval { months: i32::try_from(months).map_err(|_| out_of_range())?, days: days as i32, micros })
}

/// Months and days added to a local time: months keep the day unless the month is shorter.
fn add_calendar(micros: i64, interval: Interval) -> Option<i64> {
    let mut days = micros.div_euclid(MICROS_PER_DAY);
    let time = micros.rem_euclid(MICROS_PER_DAY);
    if interval.months != 0 {
        let (year, month, day) = civil_from_days(days);
        let months = year * 12 + month - 1 + i64::from(interval.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        days = days_from_civil(year, month, day.min(days_in_month(year, month)));
    }
    days.checked_add(i64::from(interval.days))?.checked_mul(MICROS_PER_DAY)?.checked_add(time)
}

/// timestamp + interval; infinities stay. 22008 beyond the range.
pub fn add_to_timestamp(micros: i64, interval: Interval) -> Result<i64> {
    if !timestamp_is_finite(micros) {
        return Ok(micros);
    }
    checked_timestamp(add_calendar(micros, interval).and_then(|sum| sum.checked_add(interval.micros)))
}

/// timestamptz + interval: months and days count in the zone's local time, the rest in absolute time.
pub fn add_to_timestamptz(micros: i64, interval: Interval, time_zone: &TimeZone) -> Result<i64> {
    if !timestamp_is_finite(micros) {
        return Ok(micros);
    }
    let mut instant = micros;
    if interval.months != 0 || interval.days != 0 {
        let local = checked_timestamp(add_calendar(zone::to_local(micros, time_zone), interval))?;
        instant = zone::to_instant(local, time_zone)?;
    }
    checked_timestamp(instant.checked_add(interval.micros))
}

/// left - right of timestamps, as days and time. 22008 if one is infinite.
pub fn between(left: i64, right: i64) -> Result<Interval> {
    if !timestamp_is_finite(left) || !timestamp_is_finite(right) {
        return Err(Error::new("22008", "cannot subtract infinite timestamps"));
    }
    justify_hours(Interval { months: 0, days: 0, micros: left.checked_sub(right).ok_or_else(out_of_range)? })
}

/// An interval of these fields. 22008 beyond the range.
pub fn make(months: i64, days: i64, micros: i64) -> Result<Interval> {
    Ok(Interval {
        months: i32::try_from(months).map_err(|_| out_of_range())?,
        days: i32::try_from(days).map_err(|_| out_of_range())?,
        micros,
    })
}

/// The fields of an interval's time.
pub(crate) fn time_fields(micros: i64) -> Civil {
    Civil {
        hour: micros / super::MICROS_PER_HOUR,
        minute: micros / super::MICROS_PER_MINUTE % 60,
        second: micros / super::MICROS_PER_SECOND % 60,
        micros: micros % super::MICROS_PER_SECOND,
        ..Civil::default()
    }
}

//! The fields of times that EXTRACT and date_trunc name.

use super::{
    Civil, JULIAN_EPOCH, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
    UNIX_EPOCH_DISTANCE_MICROS, days_from_civil, interval::time_fields, iso_day_of_week, iso_week,
};
use crate::datum::Interval;
use crate::error::Error;

/// A field of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// microseconds
    Microseconds,
    /// milliseconds
    Milliseconds,
    /// second
    Second,
    /// minute
    Minute,
    /// hour
    Hour,
    /// day
    Day,
    /// week of the ISO year
    Week,
    /// month
    Month,
    /// quarter
    Quarter,
    /// year
    Year,
    /// decade
    Decade,
    /// century
    Century,
    /// millennium
    Millennium,
    /// epoch: seconds since 1970
    Epoch,
    /// dow: 0 = Sunday
    DayOfWeek,
    /// isodow: 7 = Sunday
    IsoDayOfWeek,
    /// isoyear
    IsoYear,
    /// doy
    DayOfYear,
    /// julian
    Julian,
    /// timezone
    Timezone,
    /// timezone_hour
    TimezoneHour,
    /// timezone_minute
    TimezoneMinute,
}

impl Field {
    /// The field of this name, in any case; None if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds"
            | "microsecon" => Field::Microseconds,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds"
            | "millisecon" => Field::Milliseconds,
            "s" | "sec" | "secs" | "second" | "seconds" => Field::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Field::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Field::Hour,
            "d" | "day" | "days" => Field::Day,
            "w" | "week" | "weeks" => Field::Week,
            "mon" | "mons" | "month" | "months" => Field::Month,
            "qtr" | "quarter" => Field::Quarter,
            "y" | "yr" | "yrs" | "year" | "years" => Field::Year,
            "dec" | "decs" | "decade" | "decades" => Field::Decade,
            "c" | "cent" | "century" | "centuries" => Field::Century,
            "mil" | "mils" | "millennia" | "millennium" => Field::Millennium,
            "epoch" => Field::Epoch,
            "dow" => Field::DayOfWeek,
            "isodow" => Field::IsoDayOfWeek,
            "isoyear" => Field::IsoYear,
            "doy" => Field::DayOfYear,
            "julian" => Field::Julian,
            "timezone" => Field::Timezone,
            "timezone_h" | "timezone_hour" => Field::TimezoneHour,
            "timezone_m" | "timezone_minute" => Field::TimezoneMinute,
            _ => return None,
        })
    }
}

/// 22023: no field of a type has this name.
pub fn not_recognized(name: &str, type_name: &str) -> Error {
    Error::new("22023", format!("unit \"{}\" not recognized for type {type_name}", name.to_ascii_lowercase()))
}

/// 0A000: a type has no such field.
pub fn not_supported(name: &str, type_name: &str) -> Error {
    Error::unsupported(format!("unit \"{}\" not supported for type {type_name}", name.to_ascii_lowercase()))
}

/// The value of a field: a decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// unscaled / 10^scale
    Decimal {
        /// The digits.
        unscaled: i128,
        /// How many of them stand behind the point.
        scale: u8,
    },
    /// Days and a fraction of a day in microseconds: `julian`.
    Days {
        /// Whole days.
        days: i64,
        /// Of the day.
        micros: i64,
    },
    /// Of an infinite time, a field that grows without bound.
    Infinity {
        /// -Infinity
        negative: bool,
    },
    /// Of an infinite time, a field that comes round.
    Null,
}

fn integer(value: i64) -> Option<Value> {
    Some(Value::Decimal { unscaled: i128::from(value), scale: 0 })
}

fn decimal(unscaled: i128, scale: u8) -> Option<Value> {
    Some(Value::Decimal { unscaled, scale })
}

/// A field of an infinite time.
pub fn of_infinity(field: Field, negative: bool) -> Value {
    match field {
        Field::Year
        | Field::Decade
        | Field::Century
        | Field::Millennium
        | Field::Julian
        | Field::IsoYear
        | Field::Epoch => Value::Infinity { negative },
        _ => Value::Null,
    }
}

/// A year as people count: no year 0.
fn display_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// A field that only the date decides; None if the time does.
pub fn of_date(field: Field, days: i64) -> Option<Value> {
    let (year, month, day) = super::civil_from_days(days);
    match field {
        Field::Day => integer(day),
        Field::Month => integer(month),
        Field::Quarter => integer((month - 1) / 3 + 1),
        Field::Week => integer(iso_week(days).1),
        Field::Year => integer(display_year(year)),
        Field::Decade => integer(if year >= 0 { year / 10 } else { -((8 - (year - 1)) / 10) }),
        Field::Century => integer(if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }),
        Field::Millennium => {
            integer(if year > 0 { (year + 999) / 1000 } else { -((999 - (year - 1)) / 1000) })
        }
        Field::Julian => integer(days + JULIAN_EPOCH),
        Field::IsoYear => integer(display_year(iso_week(days).0)),
        Field::DayOfWeek => integer(iso_day_of_week(days) % 7),
        Field::IsoDayOfWeek => integer(iso_day_of_week(days)),
        Field::DayOfYear => integer(days - days_from_civil(year, 1, 1) + 1),
        Field::Epoch => integer(days * 86_400 + UNIX_EPOCH_DISTANCE_MICROS / MICROS_PER_SECOND),
        _ => None,
    }
}

/// A field of a local time; the offset of its zone in seconds east, if it has one. None if it has no such field.
pub fn of_timestamp(field: Field, local: i64, offset: Option<i64>) -> Option<Value> {
    let civil = Civil::from_micros(local);
    match (field, offset) {
        (Field::Microseconds, _) => integer(civil.second * MICROS_PER_SECOND + civil.micros),
        (Field::Milliseconds, _) => decimal(i128::from(civil.second * MICROS_PER_SECOND + civil.micros), 3),
        (Field::Second, _) => decimal(i128::from(civil.second * MICROS_PER_SECOND + civil.micros), 6),
        (Field::Minute, _) => integer(civil.minute),
        (Field::Hour, _) => integer(civil.hour),
        (Field::Epoch, _) => {
            let instant = i128::from(local) - i128::from(offset.unwrap_or(0) * MICROS_PER_SECOND);
            decimal(instant + i128::from(UNIX_EPOCH_DISTANCE_MICROS), 6)
        }
        (Field::Julian, _) => {
            Some(Value::Days { days: civil.days() + JULIAN_EPOCH, micros: civil.time_micros() })
        }
        (Field::Timezone, Some(offset)) => integer(offset),
        (Field::TimezoneHour, Some(offset)) => integer(offset / 3600),
        (Field::TimezoneMinute, Some(offset)) => integer(offset / 60 % 60),
        _ => of_date(field, civil.days()),
    }
}

/// A field of an interval; None if it has no such field.
pub fn of_interval(field: Field, interval: Interval) -> Option<Value> {
    let time = time_fields(interval.micros);
    let years = i64::from(interval.months / 12);
    match field {
        Field::Microseconds => integer(time.second * MICROS_PER_SECOND + time.micros),
        Field::Milliseconds => decimal(i128::from(time.second * MICROS_PER_SECOND + time.micros), 3),
        Field::Second => decimal(i128::from(time.second * MICROS_PER_SECOND + time.micros), 6),
        Field::Minute => integer(time.minute),
        Field::Hour => integer(time.hour),
        Field::Day => integer(i64::from(interval.days)),
        Field::Month => integer(i64::from(interval.months % 12)),
        Field::Quarter => integer(i64::from(interval.months % 12 / 3 + 1)),
        Field::Year => integer(years),
        Field::Decade => integer(years / 10),
        Field::Century => integer(years / 100),
        Field::Millennium => integer(years / 1000),
        Field::Epoch => {
            // A year counts 365.25 days here.
            let days_times_four = i128::from(years) * 1461
                + i128::from(interval.months % 12) * 120
                + i128::from(interval.days) * 4;
            decimal(days_times_four * i128::from(MICROS_PER_DAY / 4) + i128::from(interval.micros), 6)
        }
        _ => None,
    }
}

/// The first year of a group of so many that counts from 1.
fn first_year_of(year: i64, size: i64) -> i64 {
    if year > 0 {
        (year + size - 1) / size * size - size + 1
    } else {
        -((size - 1 - (year - 1)) / size) * size + 1
    }
}

/// A local time with everything below the field set to its least value; None if it has no such field.
pub fn truncate(field: Field, local: i64) -> Option<i64> {
    let civil = Civil::from_micros(local);
    let unit = match field {
        Field::Microseconds => 1,
        Field::Milliseconds => 1000,
        Field::Second => MICROS_PER_SECOND,
        Field::Minute => MICROS_PER_MINUTE,
        Field::Hour => MICROS_PER_HOUR,
        Field::Day => MICROS_PER_DAY,
        _ => 0,
    };
    if unit > 0 {
        return Some(local.div_euclid(unit) * unit);
    }
    let days = match field {
        Field::Week => civil.days() - (iso_day_of_week(civil.days()) - 1),
        Field::Month => days_from_civil(civil.year, civil.month, 1),
        Field::Quarter => days_from_civil(civil.year, (civil.month - 1) / 3 * 3 + 1, 1),
        Field::Year => days_from_civil(civil.year, 1, 1),
        Field::Decade => {
            let year =
                if civil.year > 0 { civil.year / 10 * 10 } else { -((8 - (civil.year - 1)) / 10) * 10 };
            days_from_civil(year, 1, 1)
        }
        Field::Century => days_from_civil(first_year_of(civil.year, 100), 1, 1),
        Field::Millennium => days_from_civil(first_year_of(civil.year, 1000), 1, 1),
        _ => return None,
    };
    days.checked_mul(MICROS_PER_DAY)
}

/// An interval with everything below the field set to zero; None if it has no such field.
pub fn truncate_interval(field: Field, interval: Interval) -> Option<Interval> {
    let months = |unit: i32| Interval { months: interval.months / unit * unit, days: 0, micros: 0 };
    let micros = |unit: i64| Interval { micros: interval.micros / unit * unit, ..interval };
    Some(match field {
        Field::Microseconds => interval,
        Field::Milliseconds => micros(1000),
        Field::Second => micros(MICROS_PER_SECOND),
        Field::Minute => micros(MICROS_PER_MINUTE),
        Field::Hour => micros(MICROS_PER_HOUR),
        Field::Day => Interval { micros: 0, ..interval },
        Field::Month => months(1),
        Field::Quarter => months(3),
        Field::Year => months(12),
        Field::Decade => months(120),
        Field::Century => months(1200),
        Field::Millennium => months(12_000),
        _ => return None,
    })
}

//! Dates, times and intervals as text, in ISO style.

use std::fmt::Write;

use jiff::tz::TimeZone;

use crate::calendar::interval::time_fields;
use crate::calendar::{
    Civil, DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY, civil_from_days,
    zone,
};
use crate::datum::Interval;
use crate::session::IntervalStyle;

// Writing to a string cannot fail, so the results of `write!` are dropped throughout.

fn write_day(year: i64, month: i64, day: i64, out: &mut String) {
    let shown = if year > 0 { year } else { 1 - year };
    let _ = write!(out, "{shown:04}-{month:02}-{day:02}");
}

fn write_seconds(second: i64, micros: i64, out: &mut String) {
    let _ = write!(out, "{second:02}");
    write_fraction(micros, out);
}

fn write_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

fn write_era(year: i64, out: &mut String) {
    if year <= 0 {
        out.push_str(" BC");
    }
}

/// Appends a date.
pub fn write_date(days: i32, out: &mut String) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_MINUS_INFINITY => out.push_str("-infinity"),
        days => {
            let (year, month, day) = civil_from_days(i64::from(days));
            write_day(year, month, day, out);
            write_era(year, out);
        }
    }
}

/// Appends a time of day.
pub fn write_time(micros: i64, out: &mut String) {
    let civil = time_fields(micros);
    let _ = write!(out, "{:02}:{:02}:", civil.hour, civil.minute);
    write_seconds(civil.second, civil.micros, out);
}

fn write_civil(civil: &Civil, out: &mut String) {
    write_day(civil.year, civil.month, civil.day, out);
    let _ = write!(out, " {:02}:{:02}:", civil.hour, civil.minute);
    write_seconds(civil.second, civil.micros, out);
}

fn write_infinity(micros: i64, out: &mut String) -> bool {
    match micros {
        TIMESTAMP_INFINITY => out.push_str("infinity"),
        TIMESTAMP_MINUS_INFINITY => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

/// Appends a timestamp.
pub fn write_timestamp(micros: i64, out: &mut String) {
    if !write_infinity(micros, out) {
        let civil = Civil::from_micros(micros);
        write_civil(&civil, out);
        write_era(civil.year, out);
    }
}

/// Appends a timestamptz in the local time of a zone, with its offset.
pub fn write_timestamptz(micros: i64, time_zone: &TimeZone, out: &mut String) {
    if write_infinity(micros, out) {
        return;
    }
    let offset = zone::offset_at(micros, time_zone);
    let civil = Civil::from_micros(zone::to_local(micros, time_zone));
    write_civil(&civil, out);
    write_offset(offset, out);
    write_era(civil.year, out);
}

fn write_offset(offset: i64, out: &mut String) {
    out.push(if offset < 0 { '-' } else { '+' });
    let offset = offset.abs();
    let _ = write!(out, "{:02}", offset / 3600);
    if offset % 3600 != 0 {
        let _ = write!(out, ":{:02}", offset / 60 % 60);
    }
    if offset % 60 != 0 {
        let _ = write!(out, ":{:02}", offset % 60);
    }
}

/// Appends an interval.
pub fn write_interval(interval: Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => write_interval_postgres(interval, out),
        IntervalStyle::Iso8601 => write_interval_iso(interval, out),
    }
}

fn write_interval_postgres(interval: Interval, out: &mut String) {
    let mut zero = true;
    // A sign is written where it differs from that of the field before.
    let mut before_negative = false;
    let date_fields = [
        (i64::from(interval.months / 12), "year"),
        (i64::from(interval.months % 12), "mon"),
        (i64::from(interval.days), "day"),
    ];
    for (value, unit) in date_fields.into_iter().filter(|(value, _)| *value != 0) {
        let space = if zero { "" } else { " " };
        let plus = if before_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        before_negative = value < 0;
        zero = false;
    }
    if !zero && interval.micros == 0 {
        return;
    }
    let time = time_fields(interval.micros);
    if !zero {
        out.push(' ');
    }
    if interval.micros < 0 {
        out.push('-');
    } else if before_negative {
        out.push('+');
    }
    let _ = write!(out, "{:02}:{:02}:", time.hour.abs(), time.minute.abs());
    write_seconds(time.second.abs(), time.micros.abs(), out);
}

fn write_interval_iso(interval: Interval, out: &mut String) {
    if interval == Interval::default() {
        return out.push_str("PT0S");
    }
    out.push('P');
    let mut put = |value: i64, unit: char| {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    };
    put(i64::from(interval.months / 12), 'Y');
    put(i64::from(interval.months % 12), 'M');
    put(i64::from(interval.days), 'D');
    if interval.micros == 0 {
        return;
    }
    let time = time_fields(interval.micros);
    out.push('T');
    let mut put = |value: i64, unit: char| {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    };
    put(time.hour, 'H');
    put(time.minute, 'M');
    if time.second != 0 || time.micros != 0 {
        if interval.micros < 0 {
            out.push('-');
        }
        let _ = write!(out, "{}", time.second.abs());
        write_fraction(time.micros.abs(), out);
        out.push('S');
    }
}

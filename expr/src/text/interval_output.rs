//! interval as text, in the styles that `IntervalStyle` names (`src/backend/utils/adt/datetime.c`, `EncodeInterval`).

use std::fmt::Write;

use super::time::{write_fraction, write_seconds};
use crate::calendar::Civil;
use crate::calendar::interval::time_fields;
use crate::datum::Interval;
use crate::session::IntervalStyle;

// Writing to a string cannot fail, so the results of `write!` are dropped throughout.

/// Appends an interval.
pub fn write_interval(interval: Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => write_postgres(interval, out),
        IntervalStyle::PostgresVerbose => write_verbose(interval, out),
        IntervalStyle::SqlStandard => write_sql_standard(interval, out),
        IntervalStyle::Iso8601 => write_iso(interval, out),
    }
}

fn years_and_months(interval: Interval) -> (i64, i64) {
    (i64::from(interval.months / 12), i64::from(interval.months % 12))
}

fn write_postgres(interval: Interval, out: &mut String) {
    let mut zero = true;
    // A sign is written where it differs from that of the field before.
    let mut before_negative = false;
    let (years, months) = years_and_months(interval);
    let date_fields = [(years, "year"), (months, "mon"), (i64::from(interval.days), "day")];
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

/// The first field that is not zero has no sign: `ago` says that it is negative, and the others have theirs turned around.
fn write_verbose(interval: Interval, out: &mut String) {
    let (years, months) = years_and_months(interval);
    let time = time_fields(interval.micros);
    let fields = [
        (years, "year"),
        (months, "mon"),
        (i64::from(interval.days), "day"),
        (time.hour, "hour"),
        (time.minute, "min"),
    ];
    let mut is_before = None;
    out.push('@');
    for (value, unit) in fields.into_iter().filter(|(value, _)| *value != 0) {
        let value = if *is_before.get_or_insert(value < 0) { -value } else { value };
        let _ = write!(out, " {value} {unit}{}", if value == 1 { "" } else { "s" });
    }
    if time.second != 0 || time.micros != 0 {
        let is_negative = time.second < 0 || time.micros < 0;
        let minus = if *is_before.get_or_insert(is_negative) == is_negative { "" } else { "-" };
        let _ = write!(out, " {minus}{}", time.second.abs());
        write_fraction(time.micros.abs(), out);
        out.push_str(if time.second.abs() == 1 && time.micros == 0 { " sec" } else { " secs" });
    }
    match is_before {
        None => out.push_str(" 0"),
        Some(true) => out.push_str(" ago"),
        Some(false) => {}
    }
}

fn write_sql_standard(interval: Interval, out: &mut String) {
    let parts = [i64::from(interval.months), i64::from(interval.days), interval.micros];
    let has_negative = parts.iter().any(|part| *part < 0);
    let has_positive = parts.iter().any(|part| *part > 0);
    let has_day_time = interval.days != 0 || interval.micros != 0;
    if !has_negative && !has_positive {
        return out.push('0');
    }
    let (years, months) = years_and_months(interval);
    let (years, months, days) = (years.abs(), months.abs(), i64::from(interval.days).abs());
    let time = time_fields(interval.micros);
    let is_standard = !(has_negative && has_positive) && (interval.months == 0 || !has_day_time);
    if !is_standard {
        // What the standard does not know has all its signs.
        let sign = |part: i64| if part < 0 { '-' } else { '+' };
        let [year_sign, day_sign, time_sign] = parts.map(sign);
        let _ = write!(out, "{year_sign}{years}-{months} {day_sign}{days} {time_sign}");
        return write_hours(&time, out);
    }
    if has_negative {
        out.push('-');
    }
    if interval.months != 0 {
        let _ = write!(out, "{years}-{months}");
        return;
    }
    if days != 0 {
        let _ = write!(out, "{days} ");
    }
    write_hours(&time, out);
}

/// Appends `4:05:06`, without a sign.
fn write_hours(time: &Civil, out: &mut String) {
    let _ = write!(out, "{}:{:02}:", time.hour.abs(), time.minute.abs());
    write_seconds(time.second.abs(), time.micros.abs(), out);
}

fn write_iso(interval: Interval, out: &mut String) {
    if interval == Interval::default() {
        return out.push_str("PT0S");
    }
    out.push('P');
    let put = |value: i64, unit: char, out: &mut String| {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    };
    let (years, months) = years_and_months(interval);
    put(years, 'Y', out);
    put(months, 'M', out);
    put(i64::from(interval.days), 'D', out);
    if interval.micros == 0 {
        return;
    }
    let time = time_fields(interval.micros);
    out.push('T');
    put(time.hour, 'H', out);
    put(time.minute, 'M', out);
    if time.second != 0 || time.micros != 0 {
        if interval.micros < 0 {
            out.push('-');
        }
        let _ = write!(out, "{}", time.second.abs());
        write_fraction(time.micros.abs(), out);
        out.push('S');
    }
}

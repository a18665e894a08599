//! Dates and times as text, in the styles that `DateStyle` names (`src/backend/utils/adt/datetime.c`, `EncodeDateTime`).

use std::fmt::Write;

use jiff::tz::TimeZone;

use crate::calendar::interval::time_fields;
use crate::calendar::zoned_time::ZonedTime;
use crate::calendar::{
    self, Civil, DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
    civil_from_days, zone,
};
use crate::session::{DateOrder, DateStyle, SessionContext};

// Writing to a string cannot fail, so the results of `write!` are dropped throughout.

/// How dates are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dates {
    /// The form.
    pub style: DateStyle,
    /// The order of day and month, where the form leaves it open.
    pub order: DateOrder,
}

impl Dates {
    /// As a session writes them.
    pub fn of(session: &SessionContext) -> Self {
        Self { style: session.date_style, order: session.date_order }
    }

    /// Appends the fields of a day, without the era.
    fn write_day(self, year: i64, month: i64, day: i64, out: &mut String) {
        let shown = if year > 0 { year } else { 1 - year };
        let (first, second) = match self.order {
            DateOrder::Dmy => (day, month),
            DateOrder::Mdy | DateOrder::Ymd => (month, day),
        };
        let _ = match self.style {
            DateStyle::Iso => write!(out, "{shown:04}-{month:02}-{day:02}"),
            DateStyle::Sql => write!(out, "{first:02}/{second:02}/{shown:04}"),
            DateStyle::Postgres => write!(out, "{first:02}-{second:02}-{shown:04}"),
            DateStyle::German => write!(out, "{day:02}.{month:02}.{shown:04}"),
        };
    }
}

pub(super) fn write_seconds(second: i64, micros: i64, out: &mut String) {
    let _ = write!(out, "{second:02}");
    write_fraction(micros, out);
}

pub(super) fn write_fraction(micros: i64, out: &mut String) {
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
pub fn write_date(days: i32, dates: Dates, out: &mut String) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_MINUS_INFINITY => out.push_str("-infinity"),
        days => {
            let (year, month, day) = civil_from_days(i64::from(days));
            dates.write_day(year, month, day, out);
            write_era(year, out);
        }
    }
}

/// Appends a time of day.
pub fn write_time(micros: i64, out: &mut String) {
    write_clock(&time_fields(micros), out);
}

/// Appends a time of day with the offset of its zone.
pub fn write_zoned_time(time: ZonedTime, out: &mut String) {
    write_time(time.local, out);
    write_offset(time.offset, out);
}

/// Appends `04:05:06.789`.
fn write_clock(civil: &Civil, out: &mut String) {
    let _ = write!(out, "{:02}:{:02}:", civil.hour, civil.minute);
    write_seconds(civil.second, civil.micros, out);
}

fn write_civil(civil: &Civil, dates: Dates, out: &mut String) {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if dates.style != DateStyle::Postgres {
        dates.write_day(civil.year, civil.month, civil.day, out);
        out.push(' ');
        return write_clock(civil, out);
    }
    let name = |names: &[&'static str], number: i64| {
        usize::try_from(number - 1).ok().and_then(|place| names.get(place)).copied().unwrap_or_default()
    };
    let weekday = name(&DAYS, calendar::iso_day_of_week(civil.days()));
    let (month, day) = (name(&MONTHS, civil.month), civil.day);
    let _ = match dates.order {
        DateOrder::Dmy => write!(out, "{weekday} {day:02} {month} "),
        DateOrder::Mdy | DateOrder::Ymd => write!(out, "{weekday} {month} {day:02} "),
    };
    write_clock(civil, out);
    let year = if civil.year > 0 { civil.year } else { 1 - civil.year };
    let _ = write!(out, " {year:04}");
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
pub fn write_timestamp(micros: i64, dates: Dates, out: &mut String) {
    if !write_infinity(micros, out) {
        let civil = Civil::from_micros(micros);
        write_civil(&civil, dates, out);
        write_era(civil.year, out);
    }
}

/// Appends a timestamptz in the local time of a zone, with its offset, or in other styles than ISO its zone's abbreviation.
pub fn write_timestamptz(micros: i64, time_zone: &TimeZone, dates: Dates, out: &mut String) {
    if write_infinity(micros, out) {
        return;
    }
    let civil = Civil::from_micros(zone::to_local(micros, time_zone));
    write_civil(&civil, dates, out);
    if dates.style == DateStyle::Iso {
        write_offset(zone::offset_at(micros, time_zone), out);
    } else {
        out.push(' ');
        out.push_str(&zone::abbreviation_at(micros, time_zone));
    }
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

//! to_char of times: what the fields of a template ([`super::time_pattern`]) show of one.

use std::fmt::Write;

use super::arguments::{exactly, interval, micros, text};
use super::time_pattern::{Field, Node, Pattern, nodes};
use crate::calendar::{
    self, Civil, interval::time_fields, iso_day_of_week, iso_week, timestamp_is_finite, zone,
};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const MONTHS_SHORT: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const DAYS_SHORT: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
pub(super) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A time as patterns see it.
struct Shown {
    civil: Civil,
    /// Seconds east and abbreviation of its zone.
    zone: Option<(i64, String)>,
    is_interval: bool,
}

pub(super) fn timestamp_to_char(args: &[Datum], _: &SessionContext) -> Result<Datum> {
    let [value, template] = exactly(args)?;
    let time = micros(value)?;
    match timestamp_is_finite(time) {
        true => {
            let shown = Shown { civil: Civil::from_micros(time), zone: None, is_interval: false };
            render(text(template)?, &shown)
        }
        false => Ok(Datum::Null),
    }
}

pub(super) fn timestamptz_to_char(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [value, template] = exactly(args)?;
    let time = micros(value)?;
    if !timestamp_is_finite(time) {
        return Ok(Datum::Null);
    }
    let civil = Civil::from_micros(zone::to_local(time, &session.time_zone));
    let offset = zone::offset_at(time, &session.time_zone);
    let abbreviation = zone::abbreviation_at(time, &session.time_zone);
    render(text(template)?, &Shown { civil, zone: Some((offset, abbreviation)), is_interval: false })
}

pub(super) fn interval_to_char(args: &[Datum], _: &SessionContext) -> Result<Datum> {
    let [value, template] = exactly(args)?;
    let interval = interval(value)?;
    let civil = Civil {
        year: i64::from(interval.months / 12),
        month: i64::from(interval.months % 12),
        day: i64::from(interval.days),
        ..time_fields(interval.micros)
    };
    render(text(template)?, &Shown { civil, zone: None, is_interval: true })
}

fn render(template: &str, shown: &Shown) -> Result<Datum> {
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let mut out = String::new();
    for node in nodes(template) {
        match node {
            Node::Character { character, .. } => out.push(character),
            Node::Pattern(pattern) => {
                let start = out.len();
                push_field(&pattern, shown, &mut out)?;
                let is_number = pattern.field.is_number() && pattern.field != Field::ZoneMinute;
                if let Some(suffix) = pattern.ordinal.filter(|_| is_number) {
                    let ordinal = ordinal(out.get(start..).unwrap_or_default());
                    out.push_str(&if suffix == "TH" {
                        ordinal.to_ascii_uppercase()
                    } else {
                        ordinal.to_owned()
                    });
                }
            }
        }
    }
    Ok(Datum::from(out))
}

fn ordinal(number: &str) -> &'static str {
    let digits = number.trim();
    match digits.as_bytes() {
        [.., b'1', _] => "th",
        [.., b'1'] => "st",
        [.., b'2'] => "nd",
        [.., b'3'] => "rd",
        _ => "th",
    }
}

fn push_field(pattern: &Pattern<'_>, shown: &Shown, out: &mut String) -> Result<()> {
    let civil = &shown.civil;
    let days = || civil.days();
    let year = if shown.is_interval || civil.year > 0 { civil.year } else { 1 - civil.year };
    let iso_year = || {
        let year = iso_week(days()).0;
        if year > 0 { year } else { 1 - year }
    };
    // Months of an interval have thirty days.
    let day_of_year = || match shown.is_interval {
        true => (civil.year * 12 + civil.month) * 30 + civil.day,
        false => days() - calendar::days_from_civil(civil.year, 1, 1) + 1,
    };
    let weekday = || iso_day_of_week(days()) as usize % 7;
    let twelve = if civil.hour % 12 == 0 { 12 } else { civil.hour % 12 };
    // Numbers have leading zeros and names trailing blanks, unless FM says otherwise.
    let number = |value: i64, width: usize, out: &mut String| {
        let width = if pattern.is_tight { 0 } else { width };
        // Writing to a string cannot fail.
        let _ = match value < 0 {
            true => write!(out, "-{:0width$}", -value),
            false => write!(out, "{value:0width$}"),
        };
    };
    // The sign of some counts as a digit.
    let signed_number = |value: i64, width: usize, out: &mut String| {
        let width = if pattern.is_tight { 0 } else { width };
        let _ = write!(out, "{value:0width$}");
    };
    let name = |value: &str, width: usize, out: &mut String| {
        let value = cased(value, pattern.word);
        let width = if pattern.is_tight { 0 } else { width };
        let _ = write!(out, "{value:width$}");
    };
    // A name of another language has its own width.
    let name_width = if pattern.is_translated { 0 } else { 9 };
    let month_name = |names: &[&'static str; 12]| {
        usize::try_from(civil.month - 1).ok().and_then(|place| names.get(place)).copied().unwrap_or_default()
    };
    let day_name = |names: &[&'static str; 7]| names.get(weekday()).copied().unwrap_or_default();
    if shown.is_interval && is_of_calendar(pattern.field) {
        return Err(Error::new("22007", "invalid format specification for an interval value")
            .with_hint("Intervals are not tied to specific calendar dates."));
    }
    match pattern.field {
        Field::Year { digits: 4 } => number(year, 4, out),
        Field::Year { digits } => number(year % 10_i64.pow(digits), digits as usize, out),
        Field::YearWithComma => {
            let _ = write!(out, "{},{:03}", year / 1000, year % 1000);
        }
        Field::IsoYear { digits: 4 } => number(iso_year(), 4, out),
        Field::IsoYear { digits } => number(iso_year() % 10_i64.pow(digits), digits as usize, out),
        Field::Month => number(civil.month, 2, out),
        Field::MonthName => name(month_name(&MONTHS), name_width, out),
        Field::MonthNameShort => name(month_name(&MONTHS_SHORT), 0, out),
        // An interval without months has none, and is in no quarter.
        Field::MonthRoman | Field::Quarter if civil.month == 0 && civil.year == 0 => {}
        // Whole years of an interval end in December; what is before them counts back from there.
        Field::MonthRoman if civil.month == 0 && civil.year > 0 => name("XII", 4, out),
        Field::MonthRoman if civil.month == 0 => name("I", 4, out),
        Field::MonthRoman if civil.month < 0 => {
            let back = civil.month.saturating_add(13);
            let found = usize::try_from(back - 1).ok().and_then(|place| ROMAN.get(place));
            name(found.copied().unwrap_or_default(), 4, out);
        }
        Field::MonthRoman => name(month_name(&ROMAN), 4, out),
        Field::DayName => name(day_name(&DAYS), name_width, out),
        Field::DayNameShort => name(day_name(&DAYS_SHORT), 0, out),
        Field::DayOfYear => signed_number(day_of_year(), 3, out),
        Field::IsoDayOfYear => {
            let (_, week) = iso_week(days());
            number((week - 1) * 7 + iso_day_of_week(days()), 3, out);
        }
        Field::Day => signed_number(civil.day, 2, out),
        Field::DayOfWeek => number(weekday() as i64 + 1, 1, out),
        Field::IsoDayOfWeek => number(iso_day_of_week(days()), 1, out),
        Field::Week => signed_number((day_of_year() - 1) / 7 + 1, 2, out),
        Field::WeekOfMonth => number((civil.day - 1) / 7 + 1, 1, out),
        Field::IsoWeek => number(iso_week(days()).1, 2, out),
        Field::Century if shown.is_interval => number(civil.year / 100, 2, out),
        Field::Century => {
            number(if civil.year > 0 { (civil.year - 1) / 100 + 1 } else { civil.year / 100 - 1 }, 2, out)
        }
        Field::Quarter => number((civil.month - 1) / 3 + 1, 1, out),
        Field::Julian => number(days() + calendar::JULIAN_EPOCH, 1, out),
        Field::Hour24 => number(civil.hour, 2, out),
        Field::Hour12 => number(twelve, 2, out),
        Field::Minute => number(civil.minute, 2, out),
        Field::Second => number(civil.second, 2, out),
        Field::Millis => signed_number(civil.micros / 1000, 3, out),
        Field::Micros => signed_number(civil.micros, 6, out),
        Field::Fraction(digits) => {
            signed_number(civil.micros / 10_i64.pow(6_u32.saturating_sub(digits)), digits as usize, out)
        }
        Field::SecondOfDay => number(civil.time_micros() / calendar::MICROS_PER_SECOND, 1, out),
        Field::Meridiem { is_dotted } => {
            let is_afternoon = civil.hour % 24 >= 12;
            name(either(is_dotted, is_afternoon, ["AM", "PM", "A.M.", "P.M."]), 0, out);
        }
        Field::Era { is_dotted } => {
            name(either(is_dotted, civil.year <= 0, ["AD", "BC", "A.D.", "B.C."]), 0, out);
        }
        Field::ZoneName => name(shown.zone.as_ref().map_or("", |(_, name)| name), 0, out),
        Field::ZoneHour | Field::ZoneMinute | Field::Offset => push_offset(
            pattern.field,
            !pattern.is_tight,
            shown.zone.as_ref().map_or(0, |(offset, _)| *offset),
            out,
        ),
        Field::Exact => {}
    }
    Ok(())
}

/// Whether it shows where in the calendar a time is, which an interval is not.
fn is_of_calendar(field: Field) -> bool {
    matches!(
        field,
        Field::DayOfWeek
            | Field::IsoDayOfWeek
            | Field::IsoWeek
            | Field::IsoYear { .. }
            | Field::DayName
            | Field::DayNameShort
            | Field::MonthName
            | Field::MonthNameShort
            | Field::ZoneName
            | Field::ZoneHour
            | Field::ZoneMinute
            | Field::Offset
            | Field::Era { .. }
    )
}

/// A name in the case of the pattern that shows it; the name's own, if that is mixed.
fn cased(name: &str, pattern: &str) -> String {
    if pattern.bytes().all(|byte| !byte.is_ascii_lowercase()) {
        name.to_ascii_uppercase()
    } else if pattern.bytes().all(|byte| !byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase()
    } else {
        name.to_owned()
    }
}

/// One of two words, with points or without.
fn either(is_dotted: bool, is_second: bool, words: [&'static str; 4]) -> &'static str {
    let [first, second, first_dotted, second_dotted] = words;
    match (is_dotted, is_second) {
        (false, false) => first,
        (false, true) => second,
        (true, false) => first_dotted,
        (true, true) => second_dotted,
    }
}

fn push_offset(field: Field, fill: bool, offset: i64, out: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
    let _ = match field {
        Field::ZoneHour => write!(out, "{sign}{hours:02}"),
        Field::ZoneMinute => write!(out, "{minutes:02}"),
        _ => {
            let width = if fill { 2 } else { 0 };
            match minutes {
                0 => write!(out, "{sign}{hours:0width$}"),
                _ => write!(out, "{sign}{hours:0width$}:{minutes:02}"),
            }
        }
    };
}

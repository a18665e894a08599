//! to_char of times: the template patterns of the manual's table 9.27, as far as they are in common use.

use std::fmt::Write;

use super::arguments::{exactly, interval, micros, text};
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
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const DAYS_SHORT: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Longest first, so that the first that fits is the right one.
const PATTERNS: &[&str] = &[
    "SSSSS", "MONTH", "Month", "month", "Y,YYY", "IYYY", "YYYY", "SSSS", "HH24", "HH12", "A.M.", "P.M.",
    "a.m.", "p.m.", "B.C.", "A.D.", "b.c.", "a.d.", "DAY", "Day", "day", "MON", "Mon", "mon", "DDD", "IDDD",
    "IYY", "YYY", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "AM", "PM", "am", "pm", "BC", "AD",
    "bc", "ad", "DY", "Dy", "dy", "DD", "ID", "HH", "MI", "MM", "SS", "MS", "US", "YY", "IY", "WW", "IW",
    "CC", "RM", "rm", "TZ", "tz", "OF", "TH", "th", "Y", "I", "Q", "D", "J", "W",
];

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
    let mut out = String::new();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let mut characters = rest.char_indices().skip(1);
            let mut end = rest.len();
            while let Some((at, c)) = characters.next() {
                match c {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => out.extend(characters.next().map(|(_, c)| c)),
                    c => out.push(c),
                }
            }
            rest = rest.get(end..).unwrap_or_default();
            continue;
        }
        let (fill, body) = match rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            Some(body) => (false, body),
            None => (true, rest),
        };
        let found = PATTERNS.iter().find(|pattern| body.starts_with(**pattern)).or_else(|| {
            let upper = body.get(..body.len().min(5)).unwrap_or(body).to_ascii_uppercase();
            PATTERNS.iter().find(|pattern| {
                upper.starts_with(**pattern) && pattern.bytes().all(|b| !b.is_ascii_lowercase())
            })
        });
        match found {
            Some(pattern) => {
                rest = body.get(pattern.len()..).unwrap_or_default();
                let start = out.len();
                push_field(pattern, fill, shown, &mut out)?;
                for (suffix, upper) in [("TH", true), ("th", false)] {
                    if let Some(after) = rest.strip_prefix(suffix) {
                        let ordinal = ordinal(out.get(start..).unwrap_or_default());
                        out.push_str(&if upper { ordinal.to_ascii_uppercase() } else { ordinal.to_owned() });
                        rest = after;
                    }
                }
            }
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
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

fn push_field(pattern: &str, fill: bool, shown: &Shown, out: &mut String) -> Result<()> {
    let civil = &shown.civil;
    let days = || civil.days();
    let year = if shown.is_interval || civil.year > 0 { civil.year } else { 1 - civil.year };
    let iso_year = || iso_week(days()).0;
    let day_of_year = || days() - calendar::days_from_civil(civil.year, 1, 1) + 1;
    let weekday = || iso_day_of_week(days()) as usize % 7;
    let twelve = if civil.hour % 12 == 0 { 12 } else { civil.hour % 12 };
    // Numbers have leading zeros and names trailing blanks, unless FM says otherwise.
    let number = |value: i64, width: usize, out: &mut String| {
        let width = if fill { width } else { 0 };
        // Writing to a string cannot fail.
        let _ = match value < 0 {
            true => write!(out, "-{:0width$}", -value),
            false => write!(out, "{value:0width$}"),
        };
    };
    let name = |value: &str, width: usize, out: &mut String| {
        let width = if fill { width } else { 0 };
        let _ = write!(out, "{value:width$}");
    };
    let cased = |value: &str| match pattern {
        pattern if pattern.bytes().all(|byte| byte.is_ascii_uppercase()) => value.to_ascii_uppercase(),
        pattern if pattern.bytes().all(|byte| byte.is_ascii_lowercase()) => value.to_ascii_lowercase(),
        _ => value.to_owned(),
    };
    let month_name = |names: &[&'static str; 12]| {
        usize::try_from(civil.month - 1).ok().and_then(|place| names.get(place)).copied().unwrap_or_default()
    };
    if shown.is_interval
        && matches!(
            pattern,
            "D" | "ID" | "IW" | "IYYY" | "IYY" | "IY" | "I" | "WW" | "W" | "TZ" | "tz" | "BC" | "AD"
        )
    {
        return Err(Error::new("22007", "invalid format specification for an interval value")
            .with_hint("Intervals are not tied to specific calendar dates."));
    }
    match pattern {
        "YYYY" => number(year, 4, out),
        "YYY" => number(year % 1000, 3, out),
        "YY" => number(year % 100, 2, out),
        "Y" => number(year % 10, 1, out),
        "Y,YYY" => {
            let _ = write!(out, "{},{:03}", year / 1000, year % 1000);
        }
        "IYYY" => number(iso_year(), 4, out),
        "IYY" => number(iso_year() % 1000, 3, out),
        "IY" => number(iso_year() % 100, 2, out),
        "I" => number(iso_year() % 10, 1, out),
        "MM" => number(civil.month, 2, out),
        "MONTH" | "Month" | "month" => name(&cased(month_name(&MONTHS)), 9, out),
        "MON" | "Mon" | "mon" => out.push_str(&cased(month_name(&MONTHS_SHORT))),
        "RM" | "rm" => name(&cased(month_name(&ROMAN)), 4, out),
        "DAY" | "Day" | "day" => name(&cased(DAYS.get(weekday()).copied().unwrap_or_default()), 9, out),
        "DY" | "Dy" | "dy" => out.push_str(&cased(DAYS_SHORT.get(weekday()).copied().unwrap_or_default())),
        "DDD" => number(if shown.is_interval { civil.day } else { day_of_year() }, 3, out),
        "IDDD" => {
            let (_, week) = iso_week(days());
            number((week - 1) * 7 + iso_day_of_week(days()), 3, out);
        }
        "DD" => number(civil.day, 2, out),
        "D" => number(weekday() as i64 + 1, 1, out),
        "ID" => number(iso_day_of_week(days()), 1, out),
        "WW" => number((day_of_year() - 1) / 7 + 1, 2, out),
        "W" => number((civil.day - 1) / 7 + 1, 1, out),
        "IW" => number(iso_week(days()).1, 2, out),
        "CC" => {
            number(if civil.year > 0 { (civil.year - 1) / 100 + 1 } else { civil.year / 100 - 1 }, 2, out)
        }
        "Q" => number((civil.month - 1) / 3 + 1, 1, out),
        "J" => number(days() + calendar::JULIAN_EPOCH, 1, out),
        "HH24" => number(civil.hour, 2, out),
        "HH" | "HH12" => number(twelve, 2, out),
        "MI" => number(civil.minute, 2, out),
        "SS" => number(civil.second, 2, out),
        "MS" | "FF3" => number(civil.micros / 1000, 3, out),
        "US" | "FF6" => number(civil.micros, 6, out),
        "FF1" => number(civil.micros / 100_000, 1, out),
        "FF2" => number(civil.micros / 10_000, 2, out),
        "FF4" => number(civil.micros / 100, 4, out),
        "FF5" => number(civil.micros / 10, 5, out),
        "SSSS" | "SSSSS" => number(civil.time_micros() / calendar::MICROS_PER_SECOND, 1, out),
        "AM" | "PM" => out.push_str(if civil.hour % 24 >= 12 { "PM" } else { "AM" }),
        "am" | "pm" => out.push_str(if civil.hour % 24 >= 12 { "pm" } else { "am" }),
        "A.M." | "P.M." => out.push_str(if civil.hour % 24 >= 12 { "P.M." } else { "A.M." }),
        "a.m." | "p.m." => out.push_str(if civil.hour % 24 >= 12 { "p.m." } else { "a.m." }),
        "BC" | "AD" => out.push_str(if civil.year > 0 { "AD" } else { "BC" }),
        "bc" | "ad" => out.push_str(if civil.year > 0 { "ad" } else { "bc" }),
        "B.C." | "A.D." => out.push_str(if civil.year > 0 { "A.D." } else { "B.C." }),
        "b.c." | "a.d." => out.push_str(if civil.year > 0 { "a.d." } else { "b.c." }),
        "TZ" => out.push_str(shown.zone.as_ref().map_or("", |(_, name)| name)),
        "tz" => {
            out.push_str(&shown.zone.as_ref().map_or(String::new(), |(_, name)| name.to_ascii_lowercase()))
        }
        "TZH" | "TZM" | "OF" => {
            push_offset(pattern, shown.zone.as_ref().map_or(0, |(offset, _)| *offset), out)
        }
        _ => out.push_str(pattern),
    }
    Ok(())
}

fn push_offset(pattern: &str, offset: i64, out: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
    let _ = match pattern {
        "TZH" => write!(out, "{sign}{hours:02}"),
        "TZM" => write!(out, "{minutes:02}"),
        _ if minutes != 0 => write!(out, "{sign}{hours:02}:{minutes:02}"),
        _ => write!(out, "{sign}{hours:02}"),
    };
}

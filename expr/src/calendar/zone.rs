//! Time zones by name, and the offsets that they have.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::{Civil, MICROS_PER_SECOND, UNIX_EPOCH_DISTANCE_MICROS, checked_timestamp, timestamp_is_finite};
use crate::error::{Error, Result};

/// The zone that SET names: a number of hours east of Greenwich, or what [`named`] knows.
pub fn find(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    if let Ok(hours) = name.parse::<f64>() {
        return offset_seconds((hours * 3600.0) as i32);
    }
    named(name)
}

/// The zone of this name: one of the IANA database, or a POSIX rule, whose name may be left out and whose sign is
/// reversed: `UTC+3`, `+3` and `+03:00` are west of Greenwich.
fn named(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    if name.is_empty() || name.eq_ignore_ascii_case("posixrules") {
        return None;
    }
    TimeZone::get(name).ok().or_else(|| posix(name))
}

/// A zone of a fixed offset in seconds east of Greenwich.
pub fn offset_seconds(seconds: i32) -> Option<TimeZone> {
    Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

/// A POSIX rule. One that is nothing but an offset has the sign of such rules, too: `+03` is west of Greenwich.
fn posix(name: &str) -> Option<TimeZone> {
    TimeZone::posix(name).ok().or_else(|| offset_seconds(-bare_offset(name)?))
}

/// Seconds of `+hh`, `+hh:mm` or `+hh:mm:ss`, less than 25 hours; an odd number of seconds is none, as in PostgreSQL.
fn bare_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0;
    let mut parts = rest.split(':');
    for (unit, max) in [(3600, 24), (60, 59), (1, 59)] {
        let Some(part) = parts.next() else { break };
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse::<i32>().ok().filter(|number| digits && *number <= max)?;
        seconds += unit * number;
    }
    (parts.next().is_none() && seconds % 60 == 0).then_some(sign * seconds)
}

/// The zone that `AT TIME ZONE` and a timestamp's text name: an abbreviation or what [`find`] knows. 22023 otherwise.
pub fn find_or_abbreviation(name: &str) -> Result<TimeZone> {
    abbreviation(name)
        .and_then(|seconds| offset_seconds(seconds as i32))
        .or_else(|| named(name))
        .ok_or_else(|| Error::new("22023", format!("time zone \"{name}\" not recognized")))
}

/// Seconds east of Greenwich of the common abbreviations of PostgreSQL's default set.
pub fn abbreviation(name: &str) -> Option<i64> {
    let hours_and_minutes = match name.to_ascii_uppercase().as_str() {
        "UTC" | "GMT" | "Z" | "ZULU" | "UT" | "WET" => (0, 0),
        "BST" | "CET" | "WEST" | "MET" => (1, 0),
        "CEST" | "CETDST" | "EET" | "SAST" | "IST" | "MEST" | "METDST" => (2, 0),
        "EEST" | "EETDST" | "EAT" | "IDT" => (3, 0),
        "PKT" => (5, 0),
        "HKT" => (8, 0),
        "JST" | "KST" => (9, 0),
        "ACST" => (9, 30),
        "AEST" => (10, 0),
        "ACDT" => (10, 30),
        "AEDT" => (11, 0),
        "NZST" => (12, 0),
        "NZDT" => (13, 0),
        "NST" => (-3, -30),
        "NDT" => (-2, -30),
        "ADT" | "BRT" | "ART" => (-3, 0),
        "AST" | "EDT" => (-4, 0),
        "EST" | "CDT" => (-5, 0),
        "CST" | "MDT" => (-6, 0),
        "MST" | "PDT" => (-7, 0),
        "PST" | "AKDT" => (-8, 0),
        "AKST" => (-9, 0),
        "HST" => (-10, 0),
        _ => return None,
    };
    Some(i64::from(hours_and_minutes.0) * 3600 + i64::from(hours_and_minutes.1) * 60)
}

/// Seconds east of Greenwich at an instant (microseconds since 2000-01-01 UTC).
pub fn offset_at(micros: i64, zone: &TimeZone) -> i64 {
    let unix = micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_DISTANCE_MICROS / MICROS_PER_SECOND;
    let clamped = unix.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(clamped).map_or(0, |instant| i64::from(zone.to_offset(instant).seconds()))
}

/// Whether a zone's clocks are never changed.
pub fn is_fixed(zone: &TimeZone) -> bool {
    zone.following(Timestamp::MIN).next().is_none()
}

/// The abbreviation of the zone's name at an instant.
pub fn abbreviation_at(micros: i64, zone: &TimeZone) -> String {
    let unix = micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_DISTANCE_MICROS / MICROS_PER_SECOND;
    let clamped = unix.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(clamped)
        .map_or_else(|_| String::new(), |instant| zone.to_offset_info(instant).abbreviation().to_owned())
}

/// Whether a zone's clocks show summer time at an instant.
pub fn is_summer_at(micros: i64, zone: &TimeZone) -> bool {
    let unix = micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_DISTANCE_MICROS / MICROS_PER_SECOND;
    let clamped = unix.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(clamped).is_ok_and(|instant| zone.to_offset_info(instant).dst().is_dst())
}

/// The names of all zones.
pub fn names() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect()
}

/// Seconds east of Greenwich at a local time. A time that a clock skips counts by the offset before it; one that a
/// clock shows twice is the second.
pub fn offset_at_local(local: i64, zone: &TimeZone) -> i64 {
    let civil = Civil::from_micros(local);
    let year = civil.year.clamp(-9998, 9998);
    let date_time = DateTime::new(
        year as i16,
        civil.month as i8,
        civil.day.min(super::days_in_month(year, civil.month)) as i8,
        civil.hour as i8,
        civil.minute as i8,
        civil.second as i8,
        0,
    );
    let Ok(date_time) = date_time else { return 0 };
    let offset = match zone.to_ambiguous_timestamp(date_time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    };
    i64::from(offset.seconds())
}

/// The local time of an instant, in microseconds since 2000-01-01; infinities stay.
pub fn to_local(micros: i64, zone: &TimeZone) -> i64 {
    match timestamp_is_finite(micros) {
        true => micros.saturating_add(offset_at(micros, zone) * MICROS_PER_SECOND),
        false => micros,
    }
}

/// The instant of a local time; infinities stay. 22008 beyond the range.
pub fn to_instant(local: i64, zone: &TimeZone) -> Result<i64> {
    match timestamp_is_finite(local) {
        true => checked_timestamp(local.checked_sub(offset_at_local(local, zone) * MICROS_PER_SECOND)),
        false => Ok(local),
    }
}

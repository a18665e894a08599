//! Time zones by name, and the offsets that they have.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::abbreviations::{self, Meaning};
use super::{Civil, MICROS_PER_SECOND, UNIX_EPOCH_DISTANCE_MICROS, checked_timestamp, timestamp_is_finite};
use crate::error::{Error, Result};

/// The zone that SET names: a number of hours east of Greenwich, or what [`named`] knows.
pub fn find(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    match name.parse::<f64>() {
        Ok(hours) if hours.is_nan() => None,
        Ok(hours) => offset_seconds((hours * 3600.0) as i32),
        Err(_) => named(name),
    }
}

/// What a zone that SET names so is called from then on: a number of hours as a rule, one of the database in its own spelling.
pub fn settled_name(name: &str) -> String {
    let asked = name.trim();
    let rule = asked.parse::<f64>().ok().map(|hours| rule_of((hours * 3600.0) as i32));
    let own = || match TimeZone::get(asked) {
        Ok(zone) => {
            zone.iana_name().filter(|own| own.eq_ignore_ascii_case(asked)).unwrap_or(asked).to_owned()
        }
        Err(_) => asked.to_ascii_uppercase(),
    };
    rule.filter(|rule| find(rule).is_some()).unwrap_or_else(own)
}

/// The POSIX rule of so many seconds east of Greenwich: `<+05:30>-05:30`.
fn rule_of(seconds: i32) -> String {
    let (east, west) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    let seconds = seconds.unsigned_abs();
    let mut shown = format!("{:02}", seconds / 3600);
    for part in [seconds / 60 % 60, seconds % 60] {
        // Seconds stand behind minutes, even behind none.
        if !seconds.is_multiple_of(60) || part != 0 {
            shown.push_str(&format!(":{part:02}"));
        }
    }
    format!("<{east}{shown}>{west}{shown}")
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

/// A POSIX rule. One that is nothing but an offset has the sign of such rules, too: `+03` is west of Greenwich; one that names
/// summer time without saying when that is has it when the United States do.
fn posix(name: &str) -> Option<TimeZone> {
    let ruled = || TimeZone::posix(&format!("{name},M3.2.0,M11.1.0")).ok();
    let offset =
        name.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(name, |(_, offset)| offset);
    TimeZone::posix(name).ok().or_else(ruled).or_else(|| offset_seconds(-bare_offset(offset)?))
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

/// The zone that `AT TIME ZONE` names: an abbreviation or what [`find`] knows. 22023 otherwise.
pub fn find_or_abbreviation(name: &str) -> Result<TimeZone> {
    let found = match abbreviation(name) {
        Some(Abbreviation::Offset(seconds)) => offset_seconds(seconds),
        Some(Abbreviation::OfZone(zone)) => Some(zone),
        None => named(name),
    };
    found.ok_or_else(|| not_recognized(name))
}

fn not_recognized(name: &str) -> Error {
    Error::new("22023", format!("time zone \"{name}\" not recognized"))
}

/// What an abbreviation stands for.
#[derive(Debug, Clone)]
pub enum Abbreviation {
    /// Seconds east of Greenwich.
    Offset(i32),
    /// What this zone's clocks show at the time.
    OfZone(TimeZone),
}

/// What the abbreviations of PostgreSQL's default set stand for.
pub fn abbreviation(name: &str) -> Option<Abbreviation> {
    match abbreviations::meaning(name)? {
        Meaning::Offset(seconds) => Some(Abbreviation::Offset(seconds)),
        Meaning::Zone(zone) => named(zone).map(Abbreviation::OfZone),
    }
}

/// Whether an abbreviation of a fixed offset is of summer time.
pub fn is_summer(name: &str) -> bool {
    abbreviations::is_summer(name)
}

/// Seconds east of Greenwich at a local time that an abbreviation of the zone stands behind: a time that a clock skips is
/// already of the offset behind that.
pub fn offset_of_abbreviated(local: i64, zone: &TimeZone) -> i64 {
    let before = offset_at_local(local, zone);
    offset_at(local.saturating_sub(before.saturating_mul(MICROS_PER_SECOND)), zone)
}

/// The instant of a local time in the zone, or by the abbreviation, of this name; infinities stay. 22008 beyond the range, 22023
/// if there is none.
pub fn to_instant_in(local: i64, name: &str) -> Result<i64> {
    if let Some(Abbreviation::OfZone(zone)) = abbreviation(name)
        && timestamp_is_finite(local)
    {
        return checked_timestamp(local.checked_sub(offset_of_abbreviated(local, &zone) * MICROS_PER_SECOND));
    }
    to_instant(local, &find_or_abbreviation(name)?)
}

/// Seconds east of Greenwich of `+5`, `-05:30`, `+0530` and their like; `None`: it is of another form. 22023 if it is out of range.
pub fn numeric_offset(text: &str) -> Result<Option<i64>> {
    let out_of_range = || Error::new("22023", format!("numeric time zone \"{text}\" out of range"));
    let Some(digits) = text.strip_prefix(['+', '-']) else { return Ok(None) };
    let take = |text: &str| -> Result<(i64, String)> {
        let count = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at_checked(count).unwrap_or((text, ""));
        let value = if number.is_empty() { Ok(0) } else { number.parse::<i32>() };
        Ok((value.map(i64::from).map_err(|_| out_of_range())?, rest.to_owned()))
    };
    let (mut hours, mut rest) = take(digits)?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(tail) = rest.strip_prefix(':') {
        let (value, tail) = take(tail)?;
        (minutes, rest) = (value, tail);
        if let Some(tail) = rest.strip_prefix(':') {
            (seconds, rest) = take(tail)?;
        }
    } else if rest.is_empty() && digits.len() > 2 {
        (hours, minutes) = (hours / 100, hours % 100);
    }
    if !(0..=15).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
        return Err(out_of_range());
    }
    if !rest.is_empty() {
        return Ok(None);
    }
    let offset = hours * 3600 + minutes * 60 + seconds;
    Ok(Some(if text.starts_with('-') { -offset } else { offset }))
}

/// Seconds since 1970, moved by whole periods of the calendar into what is known of zones: their rules do not end.
fn known_second(micros: i64) -> i64 {
    /// 400 years.
    const PERIOD: i64 = 146_097 * 86_400;
    let unix = micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_DISTANCE_MICROS / MICROS_PER_SECOND;
    let last = Timestamp::MAX.as_second();
    let periods = (unix - last).max(0).div_euclid(PERIOD) + i64::from(unix > last);
    (unix - periods * PERIOD).max(Timestamp::MIN.as_second())
}

/// Seconds east of Greenwich at an instant (microseconds since 2000-01-01 UTC).
pub fn offset_at(micros: i64, zone: &TimeZone) -> i64 {
    Timestamp::from_second(known_second(micros))
        .map_or(0, |instant| i64::from(zone.to_offset(instant).seconds()))
}

/// Whether a zone's clocks are never changed.
pub fn is_fixed(zone: &TimeZone) -> bool {
    zone.following(Timestamp::MIN).next().is_none()
}

/// The abbreviation of the zone's name at an instant.
pub fn abbreviation_at(micros: i64, zone: &TimeZone) -> String {
    Timestamp::from_second(known_second(micros))
        .map_or_else(|_| String::new(), |instant| zone.to_offset_info(instant).abbreviation().to_owned())
}

/// Whether a zone's clocks show summer time at an instant.
pub fn is_summer_at(micros: i64, zone: &TimeZone) -> bool {
    Timestamp::from_second(known_second(micros))
        .is_ok_and(|instant| zone.to_offset_info(instant).dst().is_dst())
}

/// The names of all zones.
pub fn names() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect()
}

/// Seconds east of Greenwich at a local time. A time that a clock skips counts by the offset before it; one that a
/// clock shows twice is the second.
pub fn offset_at_local(local: i64, zone: &TimeZone) -> i64 {
    let civil = Civil::from_micros(local);
    // Beyond what is known of zones as 400 years before, again and again.
    let beyond = (civil.year - 9998).max(0);
    let year = (civil.year - (beyond + 399) / 400 * 400).max(-9998);
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

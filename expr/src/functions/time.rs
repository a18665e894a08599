//! Arithmetic and construction of dates, timestamps and intervals.

use super::arguments::{date, exactly, float, integer, interval, micros, mismatch, text};
use crate::calendar::{
    self, Civil, MICROS_PER_DAY, MICROS_PER_SECOND, UNIX_EPOCH_DISTANCE_MICROS, age as calendar_age,
    date_is_finite, interval as arithmetic, timestamp_is_finite, zone,
};
use crate::datum::{Datum, Interval};
use crate::error::{Error, Result};
use crate::session::{IntervalStyle, SessionContext};
use crate::text::write_interval;

pub(super) fn date_plus_days(left: &Datum, right: &Datum) -> Result<Datum> {
    let (days, more) = match (left, right) {
        (Datum::Date(days), more) => (*days, integer(more)?),
        (more, Datum::Date(days)) => (*days, integer(more)?),
        _ => return Err(mismatch()),
    };
    shift_date(days, more)
}

pub(super) fn date_minus_days(left: &Datum, right: &Datum) -> Result<Datum> {
    shift_date(date(left)?, -integer(right)?)
}

fn shift_date(days: i32, more: i64) -> Result<Datum> {
    match date_is_finite(days) {
        true => calendar::checked_date(i64::from(days) + more).map(Datum::Date),
        false => Ok(Datum::Date(days)),
    }
}

pub(super) fn date_minus_date(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (date(left)?, date(right)?);
    if !date_is_finite(left) || !date_is_finite(right) {
        return Err(Error::new("22008", "cannot subtract infinite dates"));
    }
    left.checked_sub(right).map(Datum::Int4).ok_or_else(|| Error::out_of_range("integer"))
}

/// A timestamp, a date at midnight.
fn local(value: &Datum) -> Result<i64> {
    match value {
        Datum::Date(days) => calendar::date_to_timestamp(*days),
        other => micros(other),
    }
}

pub(super) fn timestamp_plus_interval(left: &Datum, right: &Datum) -> Result<Datum> {
    let (time, interval) = match (left, right) {
        (Datum::Interval(interval), time) => (local(time)?, *interval),
        (time, other) => (local(time)?, self::interval(other)?),
    };
    arithmetic::add_to_timestamp(time, interval).map(Datum::Timestamp)
}

pub(super) fn timestamp_minus_interval(left: &Datum, right: &Datum) -> Result<Datum> {
    let negated = arithmetic::negate(interval(right)?)?;
    arithmetic::add_to_timestamp(local(left)?, negated).map(Datum::Timestamp)
}

pub(super) fn timestamptz_plus_interval(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let (time, interval) = match args {
        [Datum::Interval(interval), time] => (micros(time)?, *interval),
        [time, other] => (micros(time)?, self::interval(other)?),
        _ => return Err(mismatch()),
    };
    arithmetic::add_to_timestamptz(time, interval, &session.time_zone).map(Datum::Timestamptz)
}

pub(super) fn timestamptz_minus_interval(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [time, interval] = exactly(args)?;
    let negated = arithmetic::negate(self::interval(interval)?)?;
    arithmetic::add_to_timestamptz(micros(time)?, negated, &session.time_zone).map(Datum::Timestamptz)
}

pub(super) fn timestamp_minus_timestamp(left: &Datum, right: &Datum) -> Result<Datum> {
    arithmetic::between(micros(left)?, micros(right)?).map(Datum::Interval)
}

pub(super) fn interval_plus(left: &Datum, right: &Datum) -> Result<Datum> {
    arithmetic::add(interval(left)?, interval(right)?).map(Datum::Interval)
}

pub(super) fn interval_minus(left: &Datum, right: &Datum) -> Result<Datum> {
    arithmetic::subtract(interval(left)?, interval(right)?).map(Datum::Interval)
}

pub(super) fn interval_negate(value: &Datum) -> Result<Datum> {
    arithmetic::negate(interval(value)?).map(Datum::Interval)
}

pub(super) fn interval_times(left: &Datum, right: &Datum) -> Result<Datum> {
    match (left, right) {
        (Datum::Interval(interval), factor) => arithmetic::multiply(*interval, float(factor)?),
        (factor, other) => arithmetic::multiply(self::interval(other)?, float(factor)?),
    }
    .map(Datum::Interval)
}

pub(super) fn interval_divide(left: &Datum, right: &Datum) -> Result<Datum> {
    arithmetic::divide(interval(left)?, float(right)?).map(Datum::Interval)
}

pub(super) fn justify_hours(value: &Datum) -> Result<Datum> {
    arithmetic::justify_hours(interval(value)?).map(Datum::Interval)
}

pub(super) fn justify_days(value: &Datum) -> Result<Datum> {
    arithmetic::justify_days(interval(value)?).map(Datum::Interval)
}

pub(super) fn justify_interval(value: &Datum) -> Result<Datum> {
    arithmetic::justify_interval(interval(value)?).map(Datum::Interval)
}

pub(super) fn is_finite(value: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(match value {
        Datum::Date(days) => date_is_finite(*days),
        Datum::Interval(_) => true,
        other => timestamp_is_finite(micros(other)?),
    }))
}

pub(super) fn timestamp_age(left: &Datum, right: &Datum) -> Result<Datum> {
    calendar_age::between(micros(left)?, micros(right)?).map(Datum::Interval)
}

pub(super) fn timestamptz_age(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [left, right] = exactly(args)?;
    let local = |value: &Datum| micros(value).map(|micros| zone::to_local(micros, &session.time_zone));
    calendar_age::between(local(left)?, local(right)?).map(Datum::Interval)
}

/// age(x): from x to midnight of today.
pub(super) fn age_today(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [value] = exactly(args)?;
    let now = zone::to_local(session.transaction_timestamp, &session.time_zone);
    let today = now.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY;
    let then = match value {
        Datum::Timestamptz(micros) => zone::to_local(*micros, &session.time_zone),
        other => micros(other)?,
    };
    calendar_age::between(today, then).map(Datum::Interval)
}

pub(super) fn now(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Timestamptz(session.transaction_timestamp))
}

pub(super) fn follower_read_timestamp(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Timestamptz(session.follower_read_timestamp(session.statement_timestamp)))
}

pub(super) fn statement_timestamp(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Timestamptz(session.statement_timestamp))
}

pub(super) fn clock_timestamp(_: &[Datum], _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Timestamptz(crate::session::now_micros()))
}

fn field_out_of_range(message: String) -> Error {
    Error::new("22008", message)
}

fn make_days(year: i64, month: i64, day: i64) -> Option<i64> {
    let astronomical = match year {
        0 => return None,
        year if year < 0 => year + 1,
        year => year,
    };
    let valid =
        (1..=12).contains(&month) && (1..=calendar::days_in_month(astronomical, month)).contains(&day);
    valid.then(|| calendar::days_from_civil(astronomical, month, day))
}

pub(super) fn make_date(args: &[Datum]) -> Result<Datum> {
    let [year, month, day] = exactly(args)?;
    let (year, month, day) = (integer(year)?, integer(month)?, integer(day)?);
    let days = make_days(year, month, day).ok_or_else(|| {
        field_out_of_range(format!("date field value out of range: {year}-{month:02}-{day:02}"))
    })?;
    calendar::checked_date(days)
        .map(Datum::Date)
        .map_err(|_| field_out_of_range(format!("date out of range: {year}-{month:02}-{day:02}")))
}

fn make_local(args: &[Datum]) -> Result<i64> {
    let [year, month, day, hour, minute, second] = exactly(args)?;
    let (year, month, day) = (integer(year)?, integer(month)?, integer(day)?);
    let (hour, minute, second) = (integer(hour)?, integer(minute)?, float(second)?);
    let days = make_days(year, month, day).ok_or_else(|| {
        field_out_of_range(format!("date field value out of range: {year}-{month:02}-{day:02}"))
    })?;
    let valid = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=60.0).contains(&second)
        && (hour < 24 || minute == 0 && second == 0.0);
    if !valid {
        return Err(field_out_of_range(format!(
            "time field value out of range: {hour}:{minute:02}:{second:02}"
        )));
    }
    let time = (hour * 3600 + minute * 60) * MICROS_PER_SECOND + (second * 1e6).round_ties_even() as i64;
    calendar::checked_timestamp(days.checked_mul(MICROS_PER_DAY).and_then(|days| days.checked_add(time)))
}

pub(super) fn make_timestamp(args: &[Datum]) -> Result<Datum> {
    make_local(args).map(Datum::Timestamp)
}

pub(super) fn make_timestamptz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let instant = match args {
        [fields @ .., Datum::Text(name)] => instant_of(make_local(fields)?, name),
        fields => zone::to_instant(make_local(fields)?, &session.time_zone),
    };
    instant.map(Datum::Timestamptz)
}

/// The instant of a local time in a zone that is a number, an abbreviation or a name.
fn instant_of(local: i64, name: &str) -> Result<i64> {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        let message = format!("invalid input syntax for type numeric time zone: \"{name}\"");
        return Err(Error::new("22023", message)
            .with_hint("Numeric time zones must have \"-\" or \"+\" as first character."));
    }
    match zone::numeric_offset(name)? {
        Some(seconds) => crate::calendar::checked_timestamp(local.checked_sub(seconds * MICROS_PER_SECOND)),
        None => zone::to_instant_in(local, name),
    }
}

/// make_interval(years, months, weeks, days, hours, mins, secs), all of which default to 0.
pub(super) fn make_interval(args: &[Datum]) -> Result<Datum> {
    let count = |place: usize| args.get(place).map_or(Ok(0), integer);
    let out_of_range = || Error::new("22008", "interval out of range");
    let months = count(0)?.checked_mul(12).and_then(|years| years.checked_add(count(1).ok()?));
    let days = count(2)?.checked_mul(7).and_then(|weeks| weeks.checked_add(count(3).ok()?));
    let seconds = args.get(6).map_or(Ok(0.0), float)?;
    let micros = (seconds * 1e6).round_ties_even();
    if !micros.is_finite() || micros.abs() >= i64::MAX as f64 {
        return Err(out_of_range());
    }
    let whole = (count(4)? * 3600 + count(5)? * 60).checked_mul(MICROS_PER_SECOND);
    let micros = whole.and_then(|whole| whole.checked_add(micros as i64)).ok_or_else(out_of_range)?;
    arithmetic::make(months.ok_or_else(out_of_range)?, days.ok_or_else(out_of_range)?, micros)
        .map(Datum::Interval)
}

/// to_timestamp(seconds since 1970)
pub(super) fn from_epoch(value: &Datum) -> Result<Datum> {
    let seconds = float(value)?;
    let invalid = || Error::new("22008", format!("timestamp out of range: \"{}\"", briefly(seconds)));
    if seconds.is_nan() {
        return Err(Error::new("22008", "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(Datum::Timestamptz(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
    }
    let micros = (seconds - (UNIX_EPOCH_DISTANCE_MICROS / MICROS_PER_SECOND) as f64) * 1e6;
    if micros.abs() >= i64::MAX as f64 {
        return Err(invalid());
    }
    calendar::checked_timestamp(Some(micros.round_ties_even() as i64))
        .map(Datum::Timestamptz)
        .map_err(|_| invalid())
}

/// A number to six digits, as C's `%g` writes it.
fn briefly(value: f64) -> String {
    let exact = format!("{value:.5e}");
    let (digits, exponent) = exact.split_once('e').unwrap_or((&exact, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        return trimmed(&format!("{value:.*}", usize::try_from(5 - exponent).unwrap_or(0)));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.unsigned_abs())
}

/// timezone(zone, timestamp): the instant at which a clock of that zone shows it.
pub(super) fn zone_of_timestamp(zone_name: &Datum, value: &Datum) -> Result<Datum> {
    let local = micros(value)?;
    let instant = match zone_name {
        Datum::Text(name) => zone::to_instant_in(local, name),
        offset => zone::to_instant(local, &named_zone(offset)?),
    };
    instant.map(Datum::Timestamptz)
}

/// timezone(zone, timestamptz): what a clock of that zone shows.
pub(super) fn zone_of_timestamptz(zone_name: &Datum, value: &Datum) -> Result<Datum> {
    Ok(Datum::Timestamp(zone::to_local(micros(value)?, &named_zone(zone_name)?)))
}

fn zone_out_of_range() -> Error {
    Error::new("22023", "interval time zone out of range")
}

/// Seconds east of Greenwich that an interval says. 22023 if it has months or days, or is that of no zone at all.
pub(super) fn offset_of(offset: Interval) -> Result<i32> {
    if offset.months == 0 && offset.days == 0 {
        let seconds = i32::try_from(offset.micros / MICROS_PER_SECOND).ok();
        return seconds.filter(|seconds| *seconds > i32::MIN).ok_or_else(zone_out_of_range);
    }
    let mut shown = String::new();
    write_interval(offset, IntervalStyle::default(), &mut shown);
    let message = format!("interval time zone \"{shown}\" must not include months or days");
    Err(Error::new("22023", message))
}

fn named_zone(value: &Datum) -> Result<jiff::tz::TimeZone> {
    match value {
        Datum::Interval(interval) => {
            zone::offset_seconds(offset_of(*interval)?).ok_or_else(zone_out_of_range)
        }
        name => zone::find_or_abbreviation(text(name)?),
    }
}

/// date_bin(stride, source, origin): the start of the bin of that stride that the source lies in.
pub(super) fn date_bin(args: &[Datum]) -> Result<Datum> {
    let [stride, source, origin] = exactly(args)?;
    let (stride, at, origin) = (interval(stride)?, micros(source)?, micros(origin)?);
    if !timestamp_is_finite(at) {
        return Ok(source.clone());
    }
    if !timestamp_is_finite(origin) {
        return Err(Error::new("22008", "origin out of range"));
    }
    if stride.months != 0 {
        return Err(Error::unsupported(
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let stride =
        i64::try_from(stride.span_micros()).map_err(|_| Error::new("22008", "interval out of range"))?;
    if stride <= 0 {
        return Err(Error::new("22008", "stride must be greater than zero"));
    }
    let distance = at.checked_sub(origin).ok_or_else(|| Error::new("22008", "interval out of range"))?;
    let start = origin.checked_add(distance.div_euclid(stride) * stride);
    let start = calendar::checked_timestamp(start)?;
    Ok(match source {
        Datum::Timestamptz(_) => Datum::Timestamptz(start),
        _ => Datum::Timestamp(start),
    })
}

pub(super) fn timeofday(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    let now = crate::session::now_micros();
    let civil = Civil::from_micros(zone::to_local(now, &session.time_zone));
    let weekday = calendar::iso_day_of_week(civil.days());
    Ok(Datum::from(format!(
        "{} {} {:02} {:02}:{:02}:{:02}.{:06} {:04} {}",
        super::time_format::DAYS_SHORT.get(weekday as usize % 7).copied().unwrap_or_default(),
        super::time_format::MONTHS_SHORT.get(civil.month as usize - 1).copied().unwrap_or_default(),
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
        civil.micros,
        civil.year,
        zone::abbreviation_at(now, &session.time_zone)
    )))
}

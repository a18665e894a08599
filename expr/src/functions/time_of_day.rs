//! Functions of `time`: microseconds since midnight, of which 24:00:00 is one.

use super::arguments::{date, exactly, float, int4, integer, interval, mismatch, text};
use crate::calendar::field::{self, Field, Value};
use crate::calendar::{
    self, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY, zone,
};
use crate::datum::{Datum, Interval};
use crate::error::{Error, Result};
use crate::session::SessionContext;

const TYPE: &str = "time without time zone";

fn around(micros: i64) -> Datum {
    Datum::Int8(micros.rem_euclid(MICROS_PER_DAY))
}

pub(super) fn plus(time: &Datum, added: &Datum) -> Result<Datum> {
    Ok(around(integer(time)? + interval(added)?.micros % MICROS_PER_DAY))
}

pub(super) fn plus_to(added: &Datum, time: &Datum) -> Result<Datum> {
    plus(time, added)
}

pub(super) fn minus(time: &Datum, taken: &Datum) -> Result<Datum> {
    Ok(around(integer(time)? - interval(taken)?.micros % MICROS_PER_DAY))
}

pub(super) fn between(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Interval(Interval { months: 0, days: 0, micros: integer(left)? - integer(right)? }))
}

pub(super) fn at_date(day: &Datum, time: &Datum) -> Result<Datum> {
    match calendar::date_to_timestamp(date(day)?)? {
        infinite @ (TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY) => Ok(Datum::Timestamp(infinite)),
        midnight => calendar::checked_timestamp(midnight.checked_add(integer(time)?)).map(Datum::Timestamp),
    }
}

/// That time of the day in the session's time zone.
pub(super) fn at_date_in_zone(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [day, time] = exactly(args)?;
    match at_date(day, time)? {
        Datum::Timestamp(local @ (TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY)) => {
            Ok(Datum::Timestamptz(local))
        }
        Datum::Timestamp(local) => zone::to_instant(local, &session.time_zone).map(Datum::Timestamptz),
        _ => Err(mismatch()),
    }
}

pub(super) fn of_date(time: &Datum, day: &Datum) -> Result<Datum> {
    at_date(day, time)
}

/// make_time(hour, minute, second)
pub(super) fn make(args: &[Datum]) -> Result<Datum> {
    let [hour, minute, second] = exactly(args)?;
    let (hour, minute, second) = (i64::from(int4(hour)?), i64::from(int4(minute)?), float(second)?);
    let is_midnight = hour == 24 && minute == 0 && second == 0.0;
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    if !is_time && !is_midnight {
        let message = format!("time field value out of range: {hour}:{minute:02}:{second:02}");
        return Err(Error::new("22008", message));
    }
    let micros = (second * MICROS_PER_SECOND as f64).round_ties_even() as i64;
    Ok(Datum::Int8(hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + micros))
}

fn field_of(name: &Datum, time: &Datum) -> Result<Value> {
    let name = text(name)?;
    let wanted = Field::from_name(name).ok_or_else(|| field::not_recognized(name, TYPE))?;
    let has = matches!(
        wanted,
        Field::Microseconds
            | Field::Milliseconds
            | Field::Second
            | Field::Minute
            | Field::Hour
            | Field::Epoch
    );
    let since_midnight = Interval { months: 0, days: 0, micros: integer(time)? };
    let value = if has { field::of_interval(wanted, since_midnight) } else { None };
    value.ok_or_else(|| field::not_supported(name, TYPE))
}

pub(super) fn extract(name: &Datum, time: &Datum) -> Result<Datum> {
    super::time_field::to_numeric(field_of(name, time)?)
}

pub(super) fn part(name: &Datum, time: &Datum) -> Result<Datum> {
    field_of(name, time).map(super::time_field::to_float)
}

//! EXTRACT, date_part and date_trunc.

use super::arguments::{date, exactly, interval, micros, text};
use crate::calendar::field::{self, Field, Value};
use crate::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, timestamp_is_finite, zone};
use crate::datum::{Datum, Numeric};
use crate::error::{Error, Result};
use crate::numeric;
use crate::session::SessionContext;

const DATE: &str = "date";
const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";
const INTERVAL: &str = "interval";

/// The field of this name; 22023 if there is none.
fn named(name: &str, type_name: &str) -> Result<Field> {
    Field::from_name(name).ok_or_else(|| field::not_recognized(name, type_name))
}

fn of_timestamp(name: &str, time: i64) -> Result<Value> {
    let wanted = named(name, TIMESTAMP)?;
    if !timestamp_is_finite(time) {
        return Ok(field::of_infinity(wanted, time < 0));
    }
    field::of_timestamp(wanted, time, None).ok_or_else(|| field::not_supported(name, TIMESTAMP))
}

fn of_timestamptz(name: &str, time: i64, session: &SessionContext) -> Result<Value> {
    let wanted = named(name, TIMESTAMPTZ)?;
    if !timestamp_is_finite(time) {
        return Ok(field::of_infinity(wanted, time < 0));
    }
    let offset = zone::offset_at(time, &session.time_zone);
    let local = zone::to_local(time, &session.time_zone);
    field::of_timestamp(wanted, local, Some(offset)).ok_or_else(|| field::not_supported(name, TIMESTAMPTZ))
}

fn of_date(name: &str, days: i32) -> Result<Value> {
    let wanted = named(name, DATE)?;
    // Not even an infinite date has a time.
    let value = field::of_date(wanted, i64::from(days)).ok_or_else(|| field::not_supported(name, DATE))?;
    Ok(match calendar::date_is_finite(days) {
        true => value,
        false => field::of_infinity(wanted, days < 0),
    })
}

fn of_interval(name: &str, value: &Datum) -> Result<Value> {
    let wanted = named(name, INTERVAL)?;
    field::of_interval(wanted, interval(value)?).ok_or_else(|| field::not_supported(name, INTERVAL))
}

pub(super) fn to_numeric(value: Value) -> Result<Datum> {
    Ok(Datum::Numeric(match value {
        Value::Decimal { unscaled, scale } => Numeric::finite(unscaled, i64::from(scale)),
        Value::Days { days, micros } => {
            let fraction = numeric::divide(&Numeric::from(micros), &Numeric::from(MICROS_PER_DAY))?;
            numeric::add(&Numeric::from(days), &fraction)?
        }
        Value::Infinity { negative: false } => Numeric::Infinity,
        Value::Infinity { negative: true } => Numeric::NegativeInfinity,
        Value::Null => return Ok(Datum::Null),
    }))
}

pub(super) fn to_float(value: Value) -> Datum {
    Datum::Float8(match value {
        Value::Decimal { unscaled, scale } => unscaled as f64 / 10_f64.powi(i32::from(scale)),
        Value::Days { days, micros } => days as f64 + micros as f64 / MICROS_PER_DAY as f64,
        Value::Infinity { negative: false } => f64::INFINITY,
        Value::Infinity { negative: true } => f64::NEG_INFINITY,
        Value::Null => return Datum::Null,
    })
}

pub(super) fn extract_date(name: &Datum, value: &Datum) -> Result<Datum> {
    to_numeric(of_date(text(name)?, date(value)?)?)
}

pub(super) fn extract_timestamp(name: &Datum, value: &Datum) -> Result<Datum> {
    to_numeric(of_timestamp(text(name)?, micros(value)?)?)
}

pub(super) fn extract_timestamptz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [name, value] = exactly(args)?;
    to_numeric(of_timestamptz(text(name)?, micros(value)?, session)?)
}

pub(super) fn extract_interval(name: &Datum, value: &Datum) -> Result<Datum> {
    to_numeric(of_interval(text(name)?, value)?)
}

pub(super) fn part_of_date(name: &Datum, value: &Datum) -> Result<Datum> {
    Ok(to_float(of_timestamp(text(name)?, calendar::date_to_timestamp(date(value)?)?)?))
}

pub(super) fn part_of_timestamp(name: &Datum, value: &Datum) -> Result<Datum> {
    Ok(to_float(of_timestamp(text(name)?, micros(value)?)?))
}

pub(super) fn part_of_timestamptz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [name, value] = exactly(args)?;
    Ok(to_float(of_timestamptz(text(name)?, micros(value)?, session)?))
}

pub(super) fn part_of_interval(name: &Datum, value: &Datum) -> Result<Datum> {
    Ok(to_float(of_interval(text(name)?, value)?))
}

/// A field that something can be cut off below. 22023 for those that only EXTRACT knows.
fn named_unit(name: &str, type_name: &str) -> Result<Field> {
    match named(name, type_name)? {
        Field::Epoch
        | Field::DayOfWeek
        | Field::IsoDayOfWeek
        | Field::IsoYear
        | Field::DayOfYear
        | Field::Julian => Err(field::not_recognized(name, type_name)),
        unit => Ok(unit),
    }
}

fn truncated(name: &str, local: i64, type_name: &str) -> Result<i64> {
    let wanted = named_unit(name, type_name)?;
    field::truncate(wanted, local).ok_or_else(|| field::not_supported(name, type_name))
}

pub(super) fn truncate_timestamp(name: &Datum, value: &Datum) -> Result<Datum> {
    // Of what has no end nothing is cut off, whatever unit is named.
    if !timestamp_is_finite(micros(value)?) {
        return Ok(value.clone());
    }
    let local = truncated(text(name)?, micros(value)?, TIMESTAMP)?;
    calendar::checked_timestamp(Some(local)).map(Datum::Timestamp)
}

/// Whether what is cut off is less than a day.
fn is_within_day(unit: Field) -> bool {
    matches!(unit, Field::Hour | Field::Minute | Field::Second | Field::Milliseconds | Field::Microseconds)
}

pub(super) fn truncate_timestamptz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    if let [_, value, ..] = args
        && !timestamp_is_finite(micros(value)?)
    {
        return Ok(value.clone());
    }
    let (name, value, named) = match args {
        [name, value] => (text(name)?, micros(value)?, None),
        _ => {
            let [name, value, zone_name] = exactly(args)?;
            (text(name)?, micros(value)?, Some(zone::find_or_abbreviation(text(zone_name)?)?))
        }
    };
    let time_zone = named.as_ref().unwrap_or(&session.time_zone);
    let local = truncated(name, zone::to_local(value, time_zone), TIMESTAMPTZ)?;
    if is_within_day(named_unit(name, TIMESTAMPTZ)?) {
        // The offset of then, not of the local time: in the hour that a clock shows twice they differ.
        let offset = zone::offset_at(value, time_zone) * MICROS_PER_SECOND;
        return calendar::checked_timestamp(local.checked_sub(offset)).map(Datum::Timestamptz);
    }
    zone::to_instant(local, time_zone).map(Datum::Timestamptz)
}

pub(super) fn truncate_interval(name: &Datum, value: &Datum) -> Result<Datum> {
    let (name, value) = (text(name)?, interval(value)?);
    let wanted = named_unit(name, INTERVAL)?;
    field::truncate_interval(wanted, value).map(Datum::Interval).ok_or_else(|| {
        let error: Error = field::not_supported(name, INTERVAL);
        match wanted {
            Field::Week => error.with_detail("Months usually have fractional weeks."),
            _ => error,
        }
    })
}

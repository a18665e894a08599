//! Functions of `time with time zone`.

use super::arguments::{date, exactly, int4, interval, text};
use crate::calendar::field::{self, Field, Value};
use crate::calendar::zoned_time::ZonedTime;
use crate::calendar::{
    self, MICROS_PER_SECOND, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY, timestamp_in_range, zone,
};
use crate::datum::{Datum, Interval};
use crate::error::{Error, Result};
use crate::session::SessionContext;

const TYPE: &str = "time with time zone";

pub(super) fn plus(time: &Datum, added: &Datum) -> Result<Datum> {
    Ok(ZonedTime::of(time)?.plus(interval(added)?).to_datum())
}

pub(super) fn plus_to(added: &Datum, time: &Datum) -> Result<Datum> {
    plus(time, added)
}

pub(super) fn minus(time: &Datum, taken: &Datum) -> Result<Datum> {
    let mut taken = interval(taken)?;
    taken.micros = -(taken.micros % calendar::MICROS_PER_DAY);
    Ok(ZonedTime::of(time)?.plus(taken).to_datum())
}

pub(super) fn at_date(day: &Datum, time: &Datum) -> Result<Datum> {
    let time = ZonedTime::of(time)?;
    Ok(Datum::Timestamptz(match calendar::date_to_timestamp(date(day)?)? {
        infinite @ (TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY) => infinite,
        midnight => midnight
            .checked_add(time.universal())
            .filter(|instant| timestamp_in_range(*instant))
            .ok_or_else(|| Error::new("22008", "date out of range for timestamp"))?,
    }))
}

pub(super) fn of_date(time: &Datum, day: &Datum) -> Result<Datum> {
    at_date(day, time)
}

/// `timetz(time, precision)`
pub(super) fn rounded(time: &Datum, precision: &Datum) -> Result<Datum> {
    let time = ZonedTime::of(time)?;
    Ok(match int4(precision)? {
        precision @ 0..=6 => time.rounded(precision).to_datum(),
        _ => time.to_datum(),
    })
}

/// timezone(zone, time): what a clock of that zone shows, by the offset that it has now.
pub(super) fn in_zone(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [name, time] = exactly(args)?;
    let named = zone::find_or_abbreviation(text(name)?)?;
    let offset = zone::offset_at(session.transaction_timestamp, &named);
    Ok(ZonedTime::of(time)?.moved_to(offset).to_datum())
}

pub(super) fn at_offset(offset: &Datum, time: &Datum) -> Result<Datum> {
    let offset = super::time::offset_of(interval(offset)?)?;
    Ok(ZonedTime::of(time)?.moved_to(i64::from(offset)).to_datum())
}

/// The value of the field of a name; None of the epoch.
fn field_of(name: &Datum, time: ZonedTime) -> Result<Option<Value>> {
    let name = text(name)?;
    let wanted = Field::from_name(name).ok_or_else(|| field::not_recognized(name, TYPE))?;
    let value = match wanted {
        Field::Epoch => return Ok(None),
        Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour => {
            let since_midnight = Interval { months: 0, days: 0, micros: time.local };
            field::of_interval(wanted, since_midnight)
        }
        Field::Timezone | Field::TimezoneHour | Field::TimezoneMinute => {
            field::of_timestamp(wanted, time.local, Some(time.offset))
        }
        _ => None,
    };
    value.map(Some).ok_or_else(|| field::not_supported(name, TYPE))
}

pub(super) fn extract(name: &Datum, time: &Datum) -> Result<Datum> {
    let time = ZonedTime::of(time)?;
    let epoch = Value::Decimal { unscaled: i128::from(time.universal()), scale: 6 };
    super::time_field::to_numeric(field_of(name, time)?.unwrap_or(epoch))
}

pub(super) fn part(name: &Datum, time: &Datum) -> Result<Datum> {
    let time = ZonedTime::of(time)?;
    Ok(match field_of(name, time)? {
        Some(value) => super::time_field::to_float(value),
        None => Datum::Float8(time.local as f64 / MICROS_PER_SECOND as f64 - time.offset as f64),
    })
}

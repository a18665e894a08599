//! Values of date, time, timetz, timestamp and timestamptz from text: what was read, within the range of its type.

use crate::calendar::zoned_time::ZonedTime;
use crate::calendar::{
    self, DATE_INFINITY, DATE_MINUS_INFINITY, MICROS_PER_DAY, MICROS_PER_SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY, UNIX_EPOCH_DISTANCE_MICROS, zone,
};
use crate::error::{Error, Result};
use crate::session::SessionContext;

use super::time_failure::Failure;
use super::time_fields::Zone;
use super::time_only;
use super::time_whole::{self, Whole};

/// Reads a date; a time behind it is read and ignored.
pub fn parse_date(text: &str, session: &SessionContext) -> Result<i32> {
    match time_whole::read(text, session).map_err(|failure| failure.into_error(text, "date"))? {
        Whole::Infinity => Ok(DATE_INFINITY),
        Whole::MinusInfinity => Ok(DATE_MINUS_INFINITY),
        Whole::Epoch => Ok(calendar::timestamp_to_date(-UNIX_EPOCH_DISTANCE_MICROS)),
        Whole::Local { days, .. } => calendar::checked_date(days)
            .map_err(|_| Error::new("22008", format!("date out of range: \"{text}\""))),
    }
}

/// Reads a time of day; a zone and a date before it are read and ignored.
pub fn parse_time(text: &str, session: &SessionContext) -> Result<i64> {
    let read = || {
        let read = time_only::read(text, session)?;
        // Without a date nobody knows what a clock that is changed shows.
        offset_of(&read, session)?;
        Ok(read.micros)
    };
    read().map_err(|failure: Failure| failure.into_error(text, "time"))
}

/// Reads a time of day in a zone; without one it is in the session's, as of the date that is given, or of today.
pub fn parse_zoned_time(text: &str, session: &SessionContext) -> Result<ZonedTime> {
    let read = || {
        let read = time_only::read(text, session)?;
        Ok(ZonedTime { local: read.micros, offset: offset_of(&read, session)? })
    };
    read().map_err(|failure: Failure| failure.into_error(text, "time with time zone"))
}

/// Seconds east of Greenwich where a time of day is.
fn offset_of(read: &time_only::TimeOfDay, session: &SessionContext) -> Result<i64, Failure> {
    let today =
        || zone::to_local(session.transaction_timestamp, &session.time_zone).div_euclid(MICROS_PER_DAY);
    let local = |days: i64| days.saturating_mul(MICROS_PER_DAY).saturating_add(read.micros);
    Ok(match &read.zone {
        Zone::Offset(seconds) => *seconds,
        Zone::Named(named) => match read.days {
            Some(days) => zone::offset_at_local(local(days), named),
            None if zone::is_fixed(named) => zone::offset_at_local(read.micros, named),
            None => return Err(Failure::Syntax),
        },
        Zone::Abbreviated(named) => {
            zone::offset_of_abbreviated(local(read.days.unwrap_or_else(today)), named)
        }
        Zone::Unsaid => zone::offset_at_local(local(read.days.unwrap_or_else(today)), &session.time_zone),
    })
}

/// Reads a timestamp; a zone is read and ignored.
pub fn parse_timestamp(text: &str, session: &SessionContext) -> Result<i64> {
    match time_whole::read(text, session).map_err(|failure| failure.into_error(text, "timestamp"))? {
        Whole::Infinity => Ok(TIMESTAMP_INFINITY),
        Whole::MinusInfinity => Ok(TIMESTAMP_MINUS_INFINITY),
        Whole::Epoch => Ok(-UNIX_EPOCH_DISTANCE_MICROS),
        Whole::Local { days, micros, .. } => checked(local(days, micros), text),
    }
}

/// Reads a timestamptz; without a zone it is in the session's.
pub fn parse_timestamptz(text: &str, session: &SessionContext) -> Result<i64> {
    let read = time_whole::read(text, session)
        .map_err(|failure| failure.into_error(text, "timestamp with time zone"))?;
    match read {
        Whole::Infinity => Ok(TIMESTAMP_INFINITY),
        Whole::MinusInfinity => Ok(TIMESTAMP_MINUS_INFINITY),
        Whole::Epoch => Ok(-UNIX_EPOCH_DISTANCE_MICROS),
        Whole::Local { days, micros, zone } => {
            let local = local(days, micros).ok_or_else(|| out_of_range(text))?;
            let offset = match zone {
                Zone::Offset(seconds) => seconds,
                Zone::Named(named) => zone::offset_at_local(local, &named),
                Zone::Abbreviated(named) => zone::offset_of_abbreviated(local, &named),
                Zone::Unsaid => zone::offset_at_local(local, &session.time_zone),
            };
            checked(local.checked_sub(offset * MICROS_PER_SECOND), text)
        }
    }
}

fn local(days: i64, micros: i64) -> Option<i64> {
    days.checked_mul(MICROS_PER_DAY)?.checked_add(micros)
}

fn checked(micros: Option<i64>, text: &str) -> Result<i64> {
    micros.filter(|micros| calendar::timestamp_in_range(*micros)).ok_or_else(|| out_of_range(text))
}

fn out_of_range(text: &str) -> Error {
    Error::new("22008", format!("timestamp out of range: \"{text}\""))
}

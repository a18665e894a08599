//! Functions of places in a write-ahead log.

use super::arguments::numeric;
use crate::datum::{Datum, Numeric};
use crate::error::{Error, Result};
use crate::lsn;
use crate::numeric as number;

/// The place that a number says, rounded. 0A000 if it is none that is finite, 22023 beyond what there is.
fn of(value: &Numeric) -> Result<Datum> {
    let refused = |what: &str| Error::new("0A000", format!("cannot convert {what} to pg_lsn"));
    match value {
        Numeric::NaN => return Err(refused("NaN")),
        Numeric::Infinity | Numeric::NegativeInfinity => return Err(refused("infinity")),
        Numeric::Small { .. } | Numeric::Large(_) => {}
    }
    let rounded = number::round(value, 0)?.unscaled();
    let place = rounded.and_then(|rounded| u64::try_from(rounded).ok());
    place.map(lsn::datum).ok_or_else(|| Error::new("22023", "pg_lsn out of range"))
}

/// `pg_lsn(number)`
pub(super) fn of_number(value: &Datum) -> Result<Datum> {
    of(numeric(value)?)
}

/// How many bytes lie between two places.
pub(super) fn distance(left: &Datum, right: &Datum) -> Result<Datum> {
    let distance = i128::from(lsn::of(left)?) - i128::from(lsn::of(right)?);
    Ok(Datum::Numeric(Numeric::finite(distance, 0)))
}

/// The place so many bytes on. 0A000 for no number.
pub(super) fn plus(place: &Datum, bytes: &Datum) -> Result<Datum> {
    let bytes = numeric(bytes)?;
    if matches!(bytes, Numeric::NaN) {
        return Err(Error::new("0A000", "cannot add NaN to pg_lsn"));
    }
    of(&number::add(&Numeric::finite(lsn::of(place)?, 0), bytes)?)
}

/// The same, the other way round.
pub(super) fn number_plus(bytes: &Datum, place: &Datum) -> Result<Datum> {
    plus(place, bytes)
}

/// The place so many bytes before. 0A000 for no number.
pub(super) fn minus(place: &Datum, bytes: &Datum) -> Result<Datum> {
    let bytes = numeric(bytes)?;
    if matches!(bytes, Numeric::NaN) {
        return Err(Error::new("0A000", "cannot subtract NaN from pg_lsn"));
    }
    of(&number::subtract(&Numeric::finite(lsn::of(place)?, 0), bytes)?)
}

//! Functions of money.

use super::arguments::{float, integer};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::money;

fn checked(amount: Option<i64>) -> Result<Datum> {
    amount.map(Datum::Int8).ok_or_else(|| Error::out_of_range("money"))
}

/// The nearest amount, ties to even.
fn nearest(amount: f64) -> Result<Datum> {
    let rounded = amount.round_ties_even();
    let fits = rounded >= i64::MIN as f64 && rounded < i64::MAX as f64;
    checked(fits.then_some(rounded as i64))
}

pub(super) fn plus(left: &Datum, right: &Datum) -> Result<Datum> {
    checked(integer(left)?.checked_add(integer(right)?))
}

pub(super) fn minus(left: &Datum, right: &Datum) -> Result<Datum> {
    checked(integer(left)?.checked_sub(integer(right)?))
}

/// Of an amount and an integer, in whichever order.
pub(super) fn times_integer(left: &Datum, right: &Datum) -> Result<Datum> {
    checked(integer(left)?.checked_mul(integer(right)?))
}

pub(super) fn divided_by_integer(amount: &Datum, by: &Datum) -> Result<Datum> {
    match integer(by)? {
        0 => Err(Error::division_by_zero()),
        by => checked(integer(amount)?.checked_div(by)),
    }
}

pub(super) fn times_float(amount: &Datum, factor: &Datum) -> Result<Datum> {
    nearest(integer(amount)? as f64 * float(factor)?)
}

pub(super) fn float_times(factor: &Datum, amount: &Datum) -> Result<Datum> {
    times_float(amount, factor)
}

pub(super) fn divided_by_float(amount: &Datum, by: &Datum) -> Result<Datum> {
    match float(by)? {
        0.0 => Err(Error::division_by_zero()),
        by => nearest(integer(amount)? as f64 / by),
    }
}

/// How many times one amount is another.
pub(super) fn ratio(left: &Datum, right: &Datum) -> Result<Datum> {
    match integer(right)? {
        0 => Err(Error::division_by_zero()),
        right => Ok(Datum::Float8(integer(left)? as f64 / right as f64)),
    }
}

pub(super) fn in_words(amount: &Datum) -> Result<Datum> {
    Ok(Datum::from(money::in_words(integer(amount)?)))
}

//! Trigonometry in degrees: exact where the answer is, at multiples of 30 and 45.
//!
//! Sines below 30 degrees and cosines below 60 are scaled by what they are at those; the others follow from them.

use std::f64::consts::PI;

use super::arguments::float;
use crate::datum::Datum;
use crate::error::{Error, Result};

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

/// From 0 to 90.
fn sine(degrees: f64) -> f64 {
    match degrees <= 30.0 {
        true => radians(degrees).sin() / radians(30.0).sin() / 2.0,
        false => cosine(90.0 - degrees),
    }
}

/// From 0 to 90.
fn cosine(degrees: f64) -> f64 {
    match degrees <= 60.0 {
        true => 1.0 - (1.0 - radians(degrees).cos()) / (1.0 - radians(60.0).cos()) / 2.0,
        false => sine(90.0 - degrees),
    }
}

/// From 0 to 1.
fn arc_sine(value: f64) -> f64 {
    match value <= 0.5 {
        true => value.asin() / 0.5_f64.asin() * 30.0,
        false => 90.0 - value.acos() / 0.5_f64.acos() * 60.0,
    }
}

/// From 0 to 1.
fn arc_cosine(value: f64) -> f64 {
    match value <= 0.5 {
        true => 90.0 - value.asin() / 0.5_f64.asin() * 30.0,
        false => value.acos() / 0.5_f64.acos() * 60.0,
    }
}

fn arc_tangent(value: f64) -> f64 {
    value / 1.0_f64.atan() * 45.0
}

/// A function of an angle, by its values of 0 to 90 degrees; NaN goes through.
///
/// # Errors
/// 22003: the angle is infinite.
fn of_angle(value: &Datum, function: impl Fn(Angle) -> f64) -> Result<Datum> {
    let degrees = float(value)?;
    if degrees.is_nan() {
        return Ok(Datum::Float8(degrees));
    }
    if degrees.is_infinite() {
        return Err(Error::new("22003", "input is out of range"));
    }
    let mut angle = Angle { degrees: degrees % 360.0, is_negative: false, is_behind: false };
    if angle.degrees < 0.0 {
        (angle.degrees, angle.is_negative) = (-angle.degrees, true);
    }
    if angle.degrees > 180.0 {
        (angle.degrees, angle.is_negative) = (360.0 - angle.degrees, !angle.is_negative);
    }
    if angle.degrees > 90.0 {
        (angle.degrees, angle.is_behind) = (180.0 - angle.degrees, true);
    }
    Ok(Datum::Float8(function(angle)))
}

/// An angle brought to between 0 and 90 degrees.
struct Angle {
    degrees: f64,
    /// Below the axis.
    is_negative: bool,
    /// To the left of it.
    is_behind: bool,
}

fn signed(value: f64, is_negative: bool) -> f64 {
    // There is no zero below zero.
    if is_negative && value != 0.0 { -value } else { value + 0.0 }
}

pub(super) fn sind(value: &Datum) -> Result<Datum> {
    of_angle(value, |angle| {
        let value = sine(angle.degrees);
        if angle.is_negative { -value } else { value }
    })
}

pub(super) fn cosd(value: &Datum) -> Result<Datum> {
    of_angle(value, |angle| {
        let value = cosine(angle.degrees);
        if angle.is_behind { -value } else { value }
    })
}

pub(super) fn tand(value: &Datum) -> Result<Datum> {
    let at_45 = sine(45.0) / cosine(45.0);
    of_angle(value, |angle| {
        let tangent = sine(angle.degrees) / cosine(angle.degrees) / at_45;
        signed(tangent, angle.is_negative != angle.is_behind)
    })
}

pub(super) fn cotd(value: &Datum) -> Result<Datum> {
    let at_45 = cosine(45.0) / sine(45.0);
    of_angle(value, |angle| {
        let cotangent = cosine(angle.degrees) / sine(angle.degrees) / at_45;
        signed(cotangent, angle.is_negative != angle.is_behind)
    })
}

/// The argument of an inverse function; NaN goes through.
fn within_one(value: &Datum, function: fn(f64) -> f64) -> Result<Datum> {
    let value = float(value)?;
    match value.abs() > 1.0 {
        true => Err(Error::new("22003", "input is out of range")),
        false if value.is_nan() => Ok(Datum::Float8(value)),
        false => Ok(Datum::Float8(function(value))),
    }
}

pub(super) fn asind(value: &Datum) -> Result<Datum> {
    within_one(value, |value| if value >= 0.0 { arc_sine(value) } else { -arc_sine(-value) })
}

pub(super) fn acosd(value: &Datum) -> Result<Datum> {
    within_one(value, |value| if value >= 0.0 { arc_cosine(value) } else { 90.0 + arc_sine(-value) })
}

pub(super) fn atand(value: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(arc_tangent(float(value)?.atan())))
}

pub(super) fn atan2d(y: &Datum, x: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(arc_tangent(float(y)?.atan2(float(x)?))))
}

//! Functions of vectors, as the extension `vector` has them.

use super::arguments::{exactly, int4, integer, mismatch};
use crate::bits::Bits;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::vector::{self, Vector};

/// The sum of the squares of how far the reals are apart.
fn squares(left: &Datum, right: &Datum) -> Result<f64> {
    let apart = |one: f32, other: f32| (one - other) * (one - other);
    Vector::of(left)?.sum_with(Vector::of(right)?, apart).map(f64::from)
}

fn product(left: &Datum, right: &Datum) -> Result<f64> {
    Vector::of(left)?.sum_with(Vector::of(right)?, |one, other| one * other).map(f64::from)
}

pub(super) fn l2_distance(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(squares(left, right)?.sqrt()))
}

pub(super) fn l2_squared_distance(left: &Datum, right: &Datum) -> Result<Datum> {
    squares(left, right).map(Datum::Float8)
}

pub(super) fn inner_product(left: &Datum, right: &Datum) -> Result<Datum> {
    product(left, right).map(Datum::Float8)
}

pub(super) fn negative_inner_product(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(-product(left, right)?))
}

/// NaN if either has no length.
pub(super) fn cosine_distance(left: &Datum, right: &Datum) -> Result<Datum> {
    let similarity = product(left, right)? / (product(left, left)? * product(right, right)?).sqrt();
    // What is computed may be a little more than what can be. NaN stays.
    Ok(Datum::Float8(1.0 - similarity.clamp(-1.0, 1.0)))
}

/// The angle between two vectors of length 1, in parts of half a turn.
pub(super) fn spherical_distance(left: &Datum, right: &Datum) -> Result<Datum> {
    let angle = product(left, right)?.clamp(-1.0, 1.0).acos();
    Ok(Datum::Float8(angle / std::f64::consts::PI))
}

pub(super) fn l1_distance(left: &Datum, right: &Datum) -> Result<Datum> {
    let apart = |one: f32, other: f32| (one - other).abs();
    Vector::of(left)?.sum_with(Vector::of(right)?, apart).map(f64::from).map(Datum::Float8)
}

pub(super) fn dimensions(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(Vector::of(value)?.dimensions() as i32))
}

fn length(vector: Vector<'_>) -> f64 {
    vector.reals().map(f64::from).map(|real| real * real).sum::<f64>().sqrt()
}

pub(super) fn norm(value: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(length(Vector::of(value)?)))
}

/// The vector of length 1 in the same direction; of one without length itself.
pub(super) fn l2_normalize(value: &Datum) -> Result<Datum> {
    let vector = Vector::of(value)?;
    let length = length(vector);
    match length > 0.0 {
        true => vector::of_results(vector.reals().map(|real| (f64::from(real) / length) as f32)),
        false => vector::of_reals(vector.reals().map(|_| 0.0)),
    }
}

/// A bit of each real: whether it is above 0.
pub(super) fn binary_quantize(value: &Datum) -> Result<Datum> {
    let bits: String = Vector::of(value)?.reals().map(|real| if real > 0.0 { '1' } else { '0' }).collect();
    Bits::parse(&bits)?.into_datum()
}

/// So many reals from this place on, counted from 1; those that there are. 22000 for none.
pub(super) fn part(args: &[Datum]) -> Result<Datum> {
    let [value, start, count] = exactly(args)?;
    let (vector, start, count) = (Vector::of(value)?, integer(start)?, integer(count)?);
    let end = start.saturating_add(count.max(0));
    let places = 1_i64..;
    let within = places.zip(vector.reals()).filter(|(place, _)| (start..end).contains(place));
    vector::of_reals(within.map(|(_, real)| real))
}

/// Each pair of reals made into one. 22003 for what is too large.
fn each(left: &Datum, right: &Datum, made: impl Fn(f32, f32) -> f32) -> Result<Datum> {
    let pairs = Vector::of(left)?.with(Vector::of(right)?)?;
    vector::of_results(pairs.map(|(one, other)| made(one, other)))
}

pub(super) fn add(left: &Datum, right: &Datum) -> Result<Datum> {
    each(left, right, |one, other| one + other)
}

pub(super) fn subtract(left: &Datum, right: &Datum) -> Result<Datum> {
    each(left, right, |one, other| one - other)
}

/// 22003 also for what is too small, but not 0.
pub(super) fn multiply(left: &Datum, right: &Datum) -> Result<Datum> {
    let vanishes = |(one, other): (f32, f32)| one * other == 0.0 && one != 0.0 && other != 0.0;
    let product = each(left, right, |one, other| one * other)?;
    match Vector::of(left)?.with(Vector::of(right)?)?.any(vanishes) {
        true => Err(Error::new("22003", "value out of range: underflow")),
        false => Ok(product),
    }
}

pub(super) fn concatenate(left: &Datum, right: &Datum) -> Result<Datum> {
    vector::of_reals(Vector::of(left)?.reals().chain(Vector::of(right)?.reals()))
}

pub(super) fn compare(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(crate::compare::compare(left, right) as i32))
}

/// What the casts' functions are called with beside a value: the type's modifier, and whether they were written.
fn fitted(value: Datum, rest: &[Datum]) -> Result<Datum> {
    match rest {
        [modifier, _] => vector::fit(value, int4(modifier)?),
        _ => Err(mismatch()),
    }
}

pub(super) fn to_vector(args: &[Datum]) -> Result<Datum> {
    let (value, rest) = args.split_first().ok_or_else(mismatch)?;
    fitted(value.clone(), rest)
}

pub(super) fn array_to_vector(args: &[Datum]) -> Result<Datum> {
    let (value, rest) = args.split_first().ok_or_else(mismatch)?;
    fitted(vector::of_array(value)?, rest)
}

pub(super) fn vector_to_array(args: &[Datum]) -> Result<Datum> {
    vector::to_array(args.first().ok_or_else(mismatch)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(text: &str) -> Datum {
        vector::parse(text).unwrap()
    }

    fn shown(value: Result<Datum>) -> String {
        let mut out = String::new();
        match value {
            Ok(value) => Vector::of(&value).unwrap().write(&mut out),
            Err(error) => out = format!("{} {}", error.sqlstate, error.message),
        }
        out
    }

    fn distance(of: fn(&Datum, &Datum) -> Result<Datum>, left: &str, right: &str) -> f64 {
        match of(&vector(left), &vector(right)).unwrap() {
            Datum::Float8(distance) => distance,
            other => panic!("{other:?} is no distance"),
        }
    }

    #[test]
    fn distances_are_those_of_the_extension() {
        assert_eq!(distance(l2_distance, "[0,0]", "[3,4]"), 5.0);
        assert_eq!(distance(l2_distance, "[3e38]", "[-3e38]"), f64::INFINITY);
        assert_eq!(distance(l1_distance, "[0,0]", "[3,4]"), 7.0);
        assert_eq!(distance(inner_product, "[1,2]", "[3,4]"), 11.0);
        assert_eq!(distance(negative_inner_product, "[1,2]", "[3,4]"), -11.0);
        assert_eq!(distance(cosine_distance, "[1,2]", "[2,4]"), 0.0);
        assert_eq!(distance(cosine_distance, "[1,0]", "[0,2]"), 1.0);
        assert_eq!(distance(cosine_distance, "[1,1]", "[-1,-1]"), 2.0);
        assert!(distance(cosine_distance, "[1,2]", "[0,0]").is_nan());
        let long = format!("[{}]", vec!["1"; 19].join(","));
        assert_eq!(distance(inner_product, &long, &long), 19.0);
        let error = l2_distance(&vector("[1,2]"), &vector("[3]")).unwrap_err();
        assert_eq!(error.message, "different vector dimensions 2 and 1");
    }

    #[test]
    fn parts_are_cut_at_the_ends() {
        let part = |start, count| {
            shown(super::part(&[vector("[1,2,3,4,5]"), Datum::Int4(start), Datum::Int4(count)]))
        };
        assert_eq!(part(1, 3), "[1,2,3]");
        assert_eq!(part(-1, 3), "[1]");
        assert_eq!(part(3, 9), "[3,4,5]");
        assert_eq!(part(3, i32::MAX), "[3,4,5]");
        assert_eq!(part(-2_147_483_644, i32::MAX), "[1,2]");
        for (start, count) in [(1, 0), (3, -1), (-1, 2), (i32::MAX, 10)] {
            assert_eq!(part(start, count), "22000 vector must have at least 1 dimension");
        }
    }

    #[test]
    fn what_is_computed_stays_within_the_reals() {
        assert_eq!(shown(add(&vector("[1,2]"), &vector("[4,5]"))), "[5,7]");
        assert_eq!(shown(add(&vector("[3e38]"), &vector("[3e38]"))), "22003 value out of range: overflow");
        let tiny = vector("[1e-37]");
        assert_eq!(shown(multiply(&tiny, &tiny)), "22003 value out of range: underflow");
        assert_eq!(shown(l2_normalize(&vector("[3,4]"))), "[0.6,0.8]");
        assert_eq!(shown(l2_normalize(&vector("[0,0]"))), "[0,0]");
        assert_eq!(shown(l2_normalize(&vector("[3e38]"))), "[1]");
    }
}

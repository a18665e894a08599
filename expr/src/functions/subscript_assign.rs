//! `SET a[1] = …`, `SET a[2:3] = …`, `SET j['key'] = …`: a container with a part of it replaced (PostgreSQL's manual, 8.15.4 and
//! 8.14.5).

use super::arguments::{array, exactly, integer, json, mismatch, text};
use super::{Body, Function, FunctionId, FunctionKind, Volatility};
use crate::datum::array::{Array, Dimension};
use crate::datum::json::{Json, place};
use crate::datum::{Datum, array};
use crate::error::{Error, Result};
use crate::types::TypeKind;
use crate::work;

/// Of an array, the new value, the lower and the upper bounds (NULL: single elements), and which of them are given: a bit for
/// each lower and each upper one, in turn.
pub const ARRAY: FunctionId = FunctionId(&INTO_ARRAY);
/// Of a document, the new value, the subscripts, and whether the first of them is a number.
pub const DOCUMENT: FunctionId = FunctionId(&INTO_DOCUMENT);

static INTO_ARRAY: Function = assigner(6179, "array_subscript_handler", into_array);
static INTO_DOCUMENT: Function = assigner(6098, "jsonb_subscript_handler", into_document);

const fn assigner(oid: u32, name: &'static str, body: fn(&[Datum]) -> Result<Datum>) -> Function {
    Function {
        oid,
        name,
        extension: None,
        args: &[TypeKind::Any],
        defaults: 0,
        variadic: true,
        result: TypeKind::Any,
        output: None,
        columns: &[],
        kind: FunctionKind::Scalar,
        volatility: Volatility::Immutable,
        strict: false,
        body: Body::Many(body),
    }
}

fn subscript_error(message: &str) -> Error {
    Error::new("2202E", message)
}

fn wrong_number() -> Error {
    subscript_error("wrong number of array subscripts")
}

/// What stands between brackets for one dimension.
#[derive(Clone, Copy)]
struct Bounds {
    lower: Option<i32>,
    upper: Option<i32>,
}

/// The bounds that are given, by dimension.
fn bounds(lower: &Datum, upper: &Datum, given: i64) -> Result<Vec<Bounds>> {
    let upper: &[Datum] = if let Datum::Array(upper) = upper { upper } else { &[] };
    let one = |bound: Option<&Datum>, bit: usize| match bound {
        _ if given & 1 << bit == 0 => Ok(None),
        Some(Datum::Int4(bound)) => Ok(Some(*bound)),
        _ => Err(Error::new("22004", "array subscript in assignment must not be null")),
    };
    let lower: &[Datum] = array(lower)?;
    let pair = |(number, bound)| {
        Ok(Bounds { lower: one(Some(bound), 2 * number)?, upper: one(upper.get(number), 2 * number + 1)? })
    };
    lower.iter().enumerate().map(pair).collect()
}

fn into_array(args: &[Datum]) -> Result<Datum> {
    let [old, new, lower, upper, given] = exactly(args)?;
    let is_slice = matches!(upper, Datum::Array(_));
    let bounds = bounds(lower, upper, integer(given)?)?;
    let empty = Array::default();
    let old = if let Datum::Array(old) = old { old } else { &empty };
    let changed = match (is_slice, new) {
        (true, Datum::Null) => old.clone(),
        (true, new) => with_slice(old, array(new)?, &bounds)?,
        (false, new) => {
            let places: Option<Vec<i32>> = bounds.iter().map(|bound| bound.lower).collect();
            with_element(old, new, &places.ok_or_else(mismatch)?)?
        }
    };
    work::spend(changed.len() * size_of::<Datum>())?;
    Ok(Datum::Array(changed))
}

fn with_element(old: &Array, new: &Datum, places: &[i32]) -> Result<Array> {
    if old.dimension_count() == 0 {
        let dimensions: Vec<_> = places.iter().map(|lower| Dimension { length: 1, lower: *lower }).collect();
        return Array::shaped(vec![new.clone()], &dimensions);
    }
    if old.dimension_count() != places.len() {
        return Err(wrong_number());
    }
    if let ([place], Some(dimension)) = (places, old.dimension(0)) {
        return extended(old, dimension, *place, std::slice::from_ref(new));
    }
    let corners: Vec<_> = places.iter().map(|place| (*place, *place)).collect();
    overwritten(old, &corners, std::slice::from_ref(new))
}

fn with_slice(old: &Array, new: &Array, bounds: &[Bounds]) -> Result<Array> {
    let reversed = || subscript_error("upper bound cannot be less than lower bound");
    let small = || subscript_error("source array too small");
    if old.dimension_count() == 0 {
        let mut dimensions = Vec::with_capacity(bounds.len());
        let mut count = 1_i64;
        for bounds in bounds {
            let (Some(lower), Some(upper)) = (bounds.lower, bounds.upper) else {
                return Err(subscript_error("array slice subscript must provide both boundaries")
                    .with_detail("When assigning to a slice of an empty array value, slice boundaries must be fully specified."));
            };
            let length = i64::from(upper) - i64::from(lower) + 1;
            if length < 0 {
                return Err(reversed());
            }
            let length = i32::try_from(length).map_err(|_| array::too_large())?;
            count = count.saturating_mul(i64::from(length));
            dimensions.push(Dimension { length, lower });
        }
        let taken = usize::try_from(count).ok().and_then(|count| new.get(..count)).ok_or_else(small)?;
        return Array::shaped(taken.to_vec(), &dimensions);
    }
    if old.dimension_count() < bounds.len() {
        return Err(wrong_number());
    }
    let corner = |(number, dimension): (usize, Dimension)| {
        let given = bounds.get(number).copied().unwrap_or(Bounds { lower: None, upper: None });
        let lower = given.lower.unwrap_or(dimension.lower);
        let upper = given.upper.unwrap_or(dimension.upper());
        if lower > upper { Err(reversed()) } else { Ok((lower, upper)) }
    };
    let corners = old.dimensions().enumerate().map(corner).collect::<Result<Vec<_>>>()?;
    let mut count = 1_usize;
    for (lower, upper) in &corners {
        let length = usize::try_from(i64::from(*upper) - i64::from(*lower) + 1).unwrap_or(usize::MAX);
        count = count.saturating_mul(length);
    }
    let taken = new.get(..count).ok_or_else(small)?;
    if let ([(lower, _)], Some(dimension)) = (corners.as_slice(), old.dimension(0)) {
        return extended(old, dimension, *lower, taken);
    }
    overwritten(old, &corners, taken)
}

/// An array of one dimension with elements from `place` on replaced, made longer by NULLs where it does not reach.
fn extended(old: &Array, dimension: Dimension, place: i32, new: &[Datum]) -> Result<Array> {
    let lower = dimension.lower.min(place);
    let before = i64::from(dimension.lower) - i64::from(lower);
    let from = i64::from(place) - i64::from(lower);
    let size = |count: i64| usize::try_from(count).map_err(|_| array::too_large());
    let (before, from) = (size(before)?, size(from)?);
    let length = (before + old.len()).max(from + new.len());
    if length > array::ELEMENTS_MAX {
        return Err(array::too_large());
    }
    work::spend(length * size_of::<Datum>())?;
    let mut items = vec![Datum::Null; length];
    for (item, value) in items.iter_mut().skip(before).zip(old.iter()) {
        item.clone_from(value);
    }
    for (item, value) in items.iter_mut().skip(from).zip(new) {
        item.clone_from(value);
    }
    let length = i32::try_from(length).map_err(|_| array::too_large())?;
    Array::shaped(items, &[Dimension { length, lower }])
}

/// An array with the elements between corners, both inclusive, replaced.
fn overwritten(old: &Array, corners: &[(i32, i32)], new: &[Datum]) -> Result<Array> {
    let mut places = vec![0_usize];
    for (dimension, (lower, upper)) in old.dimensions().zip(corners) {
        if *lower < dimension.lower || *upper > dimension.upper() {
            return Err(subscript_error("array subscript out of range"));
        }
        let size = |count: i64| usize::try_from(count).map_err(|_| array::too_large());
        let first = size(i64::from(*lower) - i64::from(dimension.lower))?;
        let last = size(i64::from(*upper) - i64::from(dimension.lower))?;
        let width = size(i64::from(dimension.length))?;
        places =
            places.into_iter().flat_map(|at| (first..=last).map(move |next| at * width + next)).collect();
    }
    let mut items = old.to_vec();
    for (place, value) in places.into_iter().zip(new) {
        if let Some(item) = items.get_mut(place) {
            item.clone_from(value);
        }
    }
    let dimensions: Vec<_> = old.dimensions().collect();
    Array::shaped(items, &dimensions)
}

fn into_document(args: &[Datum]) -> Result<Datum> {
    let [old, new, path, is_number] = exactly(args)?;
    let new = if new.is_null() { Json::Null } else { json(new)?.clone() };
    let path: &[Datum] = array(path)?;
    let mut keys = Vec::with_capacity(path.len());
    for key in path {
        match key {
            Datum::Null => return Err(Error::new("22004", "jsonb subscript in assignment must not be null")),
            key => keys.push(text(key)?),
        }
    }
    let mut document = match old {
        Datum::Null if matches!(is_number, Datum::Bool(true)) => Json::Array(Vec::new()),
        Datum::Null => Json::Object(Vec::new()),
        old => json(old)?.clone(),
    };
    set(&mut document, &keys, 1, new)?;
    work::spend(document.size_bytes())?;
    document.checked().map(Datum::json)
}

fn set(json: &mut Json, path: &[&str], level: usize, new: Json) -> Result<()> {
    let Some((key, rest)) = path.split_first() else {
        *json = new;
        return Ok(());
    };
    match json {
        Json::Object(members) => match members.iter_mut().find(|(known, _)| **known == **key) {
            Some((_, value)) => set(value, rest, level + 1, new)?,
            None => {
                let mut members = std::mem::take(members);
                members.push(((*key).into(), nested(rest, new)?));
                *json = Json::object(members);
            }
        },
        Json::Array(items) => {
            let index: i32 = key.trim().parse().map_err(|_| {
                let message = format!("path element at position {level} is not an integer: \"{key}\"");
                Error::new("22P02", message)
            })?;
            match place(i64::from(index), items.len()).filter(|at| *at < items.len()) {
                Some(at) => {
                    if let Some(item) = items.get_mut(at) {
                        set(item, rest, level + 1, new)?;
                    }
                }
                None if index < 0 => {
                    let message = format!("path element at position {level} is out of range: {index}");
                    return Err(Error::new("22023", message));
                }
                None => {
                    let new = nested(rest, new)?;
                    fill(items, index, new)?;
                }
            }
        }
        _ => {
            return Err(Error::new("22023", "cannot replace existing key")
                .with_detail("The path assumes key is a composite object, but it is a scalar value."));
        }
    }
    Ok(())
}

/// Puts an element at an index, behind as many nulls as are missing there.
fn fill(items: &mut Vec<Json>, index: i32, new: Json) -> Result<()> {
    let missing = usize::try_from(index).unwrap_or(0).saturating_sub(items.len());
    work::fits(missing.saturating_mul(size_of::<Json>()))?;
    work::spend(missing.saturating_mul(size_of::<Json>()))?;
    items.extend(std::iter::repeat_with(|| Json::Null).take(missing));
    items.push(new);
    Ok(())
}

/// What holds a value below a path that leads nowhere yet: arrays for numbers, objects for other keys.
fn nested(path: &[&str], new: Json) -> Result<Json> {
    let mut nested = new;
    for key in path.iter().rev() {
        nested = match key.parse::<i32>() {
            Ok(index) => {
                let mut items = Vec::new();
                fill(&mut items, index, nested)?;
                Json::Array(items)
            }
            Err(_) => Json::object(vec![((*key).into(), nested)]),
        };
    }
    Ok(nested)
}

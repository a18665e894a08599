//! Functions and operators of arrays.

use super::arguments::{array, exactly, integer, mismatch};
use crate::codec;
use crate::compare::{Comparison, compare};
use crate::datum::Datum;
use crate::datum::array::{self as shape, Array, DIMENSIONS_MAX, Dimension};
use crate::dissimilar;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};
use crate::work;

/// What is asked of one dimension, by its number from 1.
fn of_dimension(args: &[Datum], answer: impl FnOnce(Dimension) -> i32) -> Result<Datum> {
    let [value, number] = exactly(args)?;
    let number = usize::try_from(integer(number)?).ok().and_then(|number| number.checked_sub(1));
    let dimension = match number {
        Some(number) => array(value)?.dimension(number),
        None => None,
    };
    Ok(dimension.map(answer).into())
}

pub(super) fn length(args: &[Datum]) -> Result<Datum> {
    of_dimension(args, |dimension| dimension.length)
}

pub(super) fn lower(args: &[Datum]) -> Result<Datum> {
    of_dimension(args, |dimension| dimension.lower)
}

pub(super) fn upper(args: &[Datum]) -> Result<Datum> {
    of_dimension(args, |dimension| dimension.upper())
}

pub(super) fn dimensions(value: &Datum) -> Result<Datum> {
    let count = array(value)?.dimension_count();
    Ok((count > 0).then_some(count as i32).into())
}

pub(super) fn dimensions_text(value: &Datum) -> Result<Datum> {
    let array = array(value)?;
    if array.is_empty() {
        return Ok(Datum::Null);
    }
    let mut text = String::new();
    codec::write_bounds(array, &mut text);
    Ok(Datum::from(text))
}

pub(super) fn cardinality(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(array(value)?.len() as i32))
}

/// The array; an empty one for NULL, which appending and prepending take for it.
fn one_dimension(value: &Datum) -> Result<Array> {
    if value.is_null() {
        return Ok(Array::default());
    }
    let array = array(value)?;
    match array.dimension_count() {
        0 | 1 => Ok(array.clone()),
        _ => Err(Error::new("22000", "argument must be empty or one-dimensional array")),
    }
}

fn lower_of(array: &Array) -> i32 {
    array.dimension(0).map_or(1, |dimension| dimension.lower)
}

pub(super) fn append(args: &[Datum]) -> Result<Datum> {
    let [value, item] = exactly(args)?;
    let array = one_dimension(value)?;
    joined(array.iter().chain([item]), lower_of(&array))
}

pub(super) fn prepend(args: &[Datum]) -> Result<Datum> {
    let [item, value] = exactly(args)?;
    let array = one_dimension(value)?;
    joined([item].into_iter().chain(array.iter()), lower_of(&array))
}

fn joined<'a>(items: impl Iterator<Item = &'a Datum>, lower: i32) -> Result<Datum> {
    let dimension = |length: usize| Dimension { length: i32::try_from(length).unwrap_or(i32::MAX), lower };
    let items = work::items(items.cloned())?;
    let length = items.len();
    Array::shaped(items, &[dimension(length)]).map(Datum::Array)
}

pub(super) fn concatenate(args: &[Datum]) -> Result<Datum> {
    let [left, right] = exactly(args)?;
    match (left, right) {
        (Datum::Null, other) | (other, Datum::Null) => return Ok(other.clone()),
        _ => {}
    }
    let (left, right) = (array(left)?, array(right)?);
    if left.is_empty() || right.is_empty() {
        return Ok(Datum::Array(if left.is_empty() { right } else { left }.clone()));
    }
    let refused = |what: &str| {
        Error::new("2202E", "cannot concatenate incompatible arrays")
            .with_detail(format!("Arrays with {what} are not compatible for concatenation."))
    };
    let (mut first, second): (Vec<_>, Vec<_>) = (left.dimensions().collect(), right.dimensions().collect());
    let lengths =
        |dimensions: &[Dimension]| dimensions.iter().map(|d| (d.length, d.lower)).collect::<Vec<_>>();
    let inner = |dimensions: &[Dimension]| lengths(dimensions.get(1..).unwrap_or_default());
    let added = |dimension: Option<&mut Dimension>, length: i32| {
        if let Some(dimension) = dimension {
            dimension.length = dimension.length.saturating_add(length);
        }
    };
    if first.len() == second.len() {
        if inner(&first) != inner(&second) {
            return Err(refused("differing element dimensions"));
        }
        added(first.first_mut(), second.first().map_or(0, |dimension| dimension.length));
    } else if first.len() == second.len() + 1 {
        if inner(&first) != lengths(&second) {
            return Err(refused("differing dimensions"));
        }
        added(first.first_mut(), 1);
    } else if second.len() == first.len() + 1 {
        if lengths(&first) != inner(&second) {
            return Err(refused("differing dimensions"));
        }
        first = second;
        added(first.first_mut(), 1);
    } else {
        let detail = format!(
            "Arrays of {} and {} dimensions are not compatible for concatenation.",
            first.len(),
            second.len()
        );
        return Err(Error::new("2202E", "cannot concatenate incompatible arrays").with_detail(detail));
    }
    let items = work::items(left.iter().chain(right.iter()).cloned())?;
    Array::shaped(items, &first).map(Datum::Array)
}

/// Whether two elements are equal, NULLs too.
fn is_same(one: &Datum, other: &Datum) -> Result<bool> {
    dissimilar::holds(Comparison::Equal, one, other)
}

pub(super) fn remove(args: &[Datum]) -> Result<Datum> {
    let [value, unwanted] = exactly(args)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let array = array(value)?;
    if array.dimension_count() > 1 {
        return Err(Error::unsupported("removing elements from multidimensional arrays is not supported"));
    }
    let mut kept = Vec::with_capacity(array.len());
    for item in array.iter() {
        if !is_same(item, unwanted)? {
            kept.push(item.clone());
        }
    }
    Ok(Datum::Array(Array::from_lower(kept, lower_of(array))))
}

pub(super) fn replace(args: &[Datum]) -> Result<Datum> {
    let [value, from, to] = exactly(args)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let replaced = |item: &Datum| -> Result<Datum> {
        let is_replaced = is_same(item, from)?;
        Ok(if is_replaced { to.clone() } else { item.clone() })
    };
    array(value)?.map(replaced).map(Datum::Array)
}

fn searched(value: &Datum) -> Result<&Array> {
    let array = array(value)?;
    match array.dimension_count() {
        0 | 1 => Ok(array),
        _ => Err(Error::unsupported("searching for elements in multidimensional arrays is not supported")),
    }
}

pub(super) fn position(args: &[Datum]) -> Result<Datum> {
    let (value, wanted, start) = match args {
        [value, wanted] => (value, wanted, None),
        _ => {
            let [value, wanted, start] = exactly(args)?;
            if start.is_null() {
                return Err(Error::new("22004", "initial position must not be null"));
            }
            (value, wanted, Some(integer(start)?))
        }
    };
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let array = searched(value)?;
    let first = i64::from(lower_of(array));
    let skip = usize::try_from(start.unwrap_or(first) - first).unwrap_or(0);
    for (at, item) in array.iter().enumerate().skip(skip) {
        if is_same(wanted, item)? {
            return Ok(Datum::Int4((at as i64 + first) as i32));
        }
    }
    Ok(Datum::Null)
}

/// width_bucket(value, thresholds): how many of them are not above it.
pub(super) fn width_bucket(value: &Datum, thresholds: &Datum) -> Result<Datum> {
    let Datum::Array(thresholds) = thresholds else { return Err(mismatch()) };
    if thresholds.dimension_count() > 1 {
        return Err(Error::new("2202E", "thresholds must be one-dimensional array"));
    }
    if thresholds.iter().any(Datum::is_null) {
        return Err(Error::new("22004", "thresholds array must not contain NULLs"));
    }
    Ok(Datum::Int4(thresholds.partition_point(|threshold| compare(threshold, value).is_le()) as i32))
}

pub(super) fn positions(args: &[Datum]) -> Result<Datum> {
    let [value, wanted] = exactly(args)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let array = searched(value)?;
    let mut found = Vec::new();
    for (at, item) in array.iter().enumerate() {
        if is_same(wanted, item)? {
            found.push(Datum::Int4(at as i32 + lower_of(array)));
        }
    }
    Ok(Datum::Array(found.into()))
}

/// array_to_string(array, delimiter [, text of NULL])
pub(super) fn to_string(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let (Some(value), Some(Datum::Text(delimiter))) = (args.first(), args.get(1)) else {
        return Ok(Datum::Null);
    };
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let null = args.get(2).and_then(Datum::as_str);
    let element = types.first().and_then(Type::element).unwrap_or(Type::plain(TypeKind::Text));
    let mut out = String::new();
    let mut first = true;
    for item in array(value)?.iter() {
        let shown = match (item.is_null(), null) {
            (true, None) => continue,
            (true, Some(null)) => null.to_owned(),
            (false, _) => codec::output(item, element, session)?,
        };
        let added = shown.len().saturating_add(delimiter.len());
        work::step(added)?;
        work::fits(out.len().saturating_add(added))?;
        if !std::mem::take(&mut first) {
            out.push_str(delimiter);
        }
        out.push_str(&shown);
    }
    Ok(Datum::from(out))
}

fn holds(items: &[Datum], wanted: &Datum) -> Result<bool> {
    work::step(size_of_val(items))?;
    if wanted.is_null() {
        return Ok(false);
    }
    for item in items {
        if is_same(wanted, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn contains_all(outer: &[Datum], inner: &[Datum]) -> Result<Datum> {
    for wanted in inner {
        if !holds(outer, wanted)? {
            return Ok(Datum::Bool(false));
        }
    }
    Ok(Datum::Bool(true))
}

pub(super) fn contains(left: &Datum, right: &Datum) -> Result<Datum> {
    contains_all(array(left)?, array(right)?)
}

pub(super) fn contained(left: &Datum, right: &Datum) -> Result<Datum> {
    contains_all(array(right)?, array(left)?)
}

pub(super) fn overlaps(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (array(left)?, array(right)?);
    for wanted in left.iter() {
        if holds(right, wanted)? {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(Datum::Bool(false))
}

/// The numbers of an array of integers that says something of dimensions.
fn numbers(value: &Datum, null: &str) -> Result<Vec<i32>> {
    let array = array(value)?;
    if array.dimension_count() > 1 {
        return Err(Error::new("2202E", "wrong number of array subscripts")
            .with_detail("Dimension array must be one dimensional."));
    }
    let number = |item: &Datum| match item {
        Datum::Int4(number) => Ok(*number),
        Datum::Null => Err(Error::new("22004", null)),
        _ => Err(mismatch()),
    };
    array.iter().map(number).collect()
}

/// array_fill(value, lengths [, lower bounds])
pub(super) fn fill(args: &[Datum]) -> Result<Datum> {
    const NULL: &str = "dimension values cannot be null";
    let [value, lengths, rest @ ..] = args else { return Err(mismatch()) };
    if lengths.is_null() || rest.iter().any(Datum::is_null) {
        return Err(Error::new("22004", "dimension array or low bound array cannot be null"));
    }
    let lengths = numbers(lengths, NULL)?;
    if lengths.len() > DIMENSIONS_MAX {
        return Err(shape::too_many_dimensions(lengths.len()));
    }
    let lowers = match rest.first() {
        Some(lowers) => numbers(lowers, NULL)?,
        None => vec![1; lengths.len()],
    };
    if lowers.len() != lengths.len() {
        return Err(Error::new("2202E", "wrong number of array subscripts")
            .with_detail("Low bound array has different size than dimensions array."));
    }
    let mut count = usize::from(!lengths.is_empty());
    for length in &lengths {
        let length = usize::try_from(*length).unwrap_or(0);
        count = count
            .checked_mul(length)
            .filter(|count| *count <= shape::ELEMENTS_MAX)
            .ok_or_else(shape::too_large)?;
    }
    work::fits(count.saturating_mul(size_of::<Datum>()))?;
    let dimensions: Vec<Dimension> =
        lengths.into_iter().zip(lowers).map(|(length, lower)| Dimension { length, lower }).collect();
    Array::shaped(vec![value.clone(); count], &dimensions).map(Datum::Array)
}

/// The names of argument types, of an oidvector: `oidvectortypes`.
pub(super) fn type_names(args: &[Datum], _: &[Type], session: &SessionContext) -> Result<Datum> {
    let items = array(args.first().ok_or_else(mismatch)?)?;
    let names: Vec<String> = items
        .iter()
        .map(|item| codec::output(item, TypeKind::Regtype.into(), session))
        .collect::<Result<_>>()?;
    Ok(Datum::from(names.join(", ")))
}

pub(super) fn trim(args: &[Datum]) -> Result<Datum> {
    let [value, count] = exactly(args)?;
    let array = array(value)?;
    let first = array.dimension(0).unwrap_or(Dimension { length: 0, lower: 1 });
    match i32::try_from(integer(count)?).ok().filter(|count| (0..=first.length).contains(count)) {
        Some(count) => {
            let kept = array.slice(&[(first.lower, first.upper() - count)]);
            Ok(Datum::Array(kept.unwrap_or_default()))
        }
        None => Err(Error::new(
            "2202E",
            format!("number of elements to trim must be between 0 and {}", first.length),
        )),
    }
}

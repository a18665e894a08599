//! Functions and operators of arrays, which have one dimension.

use std::sync::Arc;

use super::arguments::{array, exactly, integer, mismatch};
use crate::compare::compare;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::text as text_format;
use crate::types::{Type, TypeKind};
use crate::work;

fn of_dimension(args: &[Datum], of_items: impl FnOnce(&[Datum]) -> i32) -> Result<Datum> {
    let [value, dimension] = exactly(args)?;
    let items = array(value)?;
    match integer(dimension)? == 1 && !items.is_empty() {
        true => Ok(Datum::Int4(of_items(items))),
        false => Ok(Datum::Null),
    }
}

/// The index of the first element, which is 0 in the vectors of the catalogs.
fn first(types: &[Type]) -> i32 {
    types.first().map_or(1, |ty| ty.kind.first_subscript())
}

pub(super) fn length(args: &[Datum]) -> Result<Datum> {
    of_dimension(args, |items| items.len() as i32)
}

pub(super) fn lower(args: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
    of_dimension(args, |_| first(types))
}

pub(super) fn upper(args: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
    of_dimension(args, |items| items.len() as i32 - 1 + first(types))
}

pub(super) fn dimensions(value: &Datum) -> Result<Datum> {
    Ok((!array(value)?.is_empty()).then_some(1i32).into())
}

pub(super) fn cardinality(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(array(value)?.len() as i32))
}

/// The items; none of NULL, which appending and prepending treat as an empty array.
fn items_or_none(value: &Datum) -> Result<&[Datum]> {
    if value.is_null() { Ok(&[]) } else { array(value) }
}

pub(super) fn append(args: &[Datum]) -> Result<Datum> {
    let [value, item] = exactly(args)?;
    work::array(items_or_none(value)?.iter().chain([item]).cloned())
}

pub(super) fn prepend(args: &[Datum]) -> Result<Datum> {
    let [item, value] = exactly(args)?;
    work::array([item].into_iter().chain(items_or_none(value)?).cloned())
}

pub(super) fn concatenate(args: &[Datum]) -> Result<Datum> {
    match exactly(args)? {
        [Datum::Null, other] | [other, Datum::Null] => Ok(other.clone()),
        [left, right] => work::array(array(left)?.iter().chain(array(right)?).cloned()),
    }
}

pub(super) fn remove(args: &[Datum]) -> Result<Datum> {
    let [value, unwanted] = exactly(args)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    Ok(Datum::Array(array(value)?.iter().filter(|item| compare(item, unwanted).is_ne()).cloned().collect()))
}

pub(super) fn replace(args: &[Datum]) -> Result<Datum> {
    let [value, from, to] = exactly(args)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let replaced = array(value)?.iter().map(|item| if compare(item, from).is_eq() { to } else { item });
    Ok(Datum::Array(replaced.cloned().collect()))
}

pub(super) fn position(args: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
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
    let first = i64::from(first(types));
    let skip = usize::try_from(start.unwrap_or(first) - first).unwrap_or(0);
    let found = array(value)?.iter().skip(skip).position(|item| compare(item, wanted).is_eq());
    Ok(found.map(|at| (at + skip) as i32 + first as i32).into())
}

pub(super) fn positions(args: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
    let [value, wanted] = exactly(args)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let found = array(value)?.iter().enumerate().filter(|(_, item)| compare(item, wanted).is_eq());
    Ok(Datum::Array(found.map(|(at, _)| Datum::Int4(at as i32 + first(types))).collect()))
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
    let element = types.first().and_then(|ty| ty.kind.element()).unwrap_or(TypeKind::Text);
    let mut out = String::new();
    let mut first = true;
    for item in array(value)? {
        let shown = match (item.is_null(), null) {
            (true, None) => continue,
            (true, Some(null)) => null.to_owned(),
            (false, _) => text_format::output(item, element.into(), session),
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
    Ok(!wanted.is_null() && items.iter().any(|item| compare(item, wanted).is_eq()))
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
    for wanted in left {
        if holds(right, wanted)? {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(Datum::Bool(false))
}

pub(super) fn dimensions_text(args: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
    let items = array(args.first().ok_or_else(mismatch)?)?;
    let first = first(types);
    match items.is_empty() {
        true => Ok(Datum::Null),
        false => Ok(Datum::from(format!("[{first}:{}]", items.len() as i32 - 1 + first))),
    }
}

pub(super) fn fill(args: &[Datum]) -> Result<Datum> {
    let [value, lengths] = exactly(args)?;
    match array(lengths)? {
        [Datum::Null, ..] => Err(Error::new("22004", "dimension values cannot be null")),
        [] => Ok(Datum::Array([].into())),
        [length] => {
            let length = usize::try_from(integer(length)?).unwrap_or(0);
            if length > (1 << 27) {
                return Err(Error::new("54000", "array size exceeds the maximum allowed (134217727)"));
            }
            work::fits(length.saturating_mul(size_of::<Datum>()))?;
            Ok(Datum::Array(Arc::from(vec![value.clone(); length])))
        }
        _ => Err(Error::unsupported("arrays of more than one dimension")),
    }
}

/// The names of argument types, of an oidvector: `oidvectortypes`.
pub(super) fn type_names(args: &[Datum], _: &[Type], session: &SessionContext) -> Result<Datum> {
    let items = array(args.first().ok_or_else(mismatch)?)?;
    let names: Vec<String> =
        items.iter().map(|item| text_format::output(item, TypeKind::Regtype.into(), session)).collect();
    Ok(Datum::from(names.join(", ")))
}

pub(super) fn trim(args: &[Datum]) -> Result<Datum> {
    let [value, count] = exactly(args)?;
    let items = array(value)?;
    let kept = usize::try_from(integer(count)?).ok().and_then(|count| items.len().checked_sub(count));
    match kept.and_then(|kept| items.get(..kept)) {
        Some(kept) => Ok(Datum::Array(kept.into())),
        None => Err(Error::new(
            "2202E",
            format!("number of elements to trim must be between 0 and {}", items.len()),
        )),
    }
}

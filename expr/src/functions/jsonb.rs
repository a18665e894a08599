//! Functions and operators of `jsonb`.

use super::arguments::{array, boolean, exactly, integer, json, mismatch, text};
use crate::datum::Datum;
use crate::datum::json::{Json, place};
use crate::error::{Error, Result};
use crate::json::write;
use crate::numeric;
use crate::work;

fn refused(message: &str) -> Error {
    Error::new("22023", message)
}

/// A part as `jsonb`; NULL if there is none.
fn part(found: Option<&Json>) -> Datum {
    found.map_or(Datum::Null, |json| Datum::json(json.clone()))
}

/// A part as text: strings without their quotes, null as NULL.
pub(super) fn part_text(found: Option<&Json>) -> Datum {
    match found {
        None | Some(Json::Null) => Datum::Null,
        Some(Json::String(text)) => Datum::text(text.as_ref()),
        Some(json) => Datum::from(shown(json)),
    }
}

pub(super) fn shown(json: &Json) -> String {
    let mut out = String::new();
    write::compact(json, &mut out);
    out
}

pub(super) fn field(value: &Datum, key: &Datum) -> Result<Datum> {
    Ok(part(json(value)?.field(text(key)?)))
}

pub(super) fn field_text(value: &Datum, key: &Datum) -> Result<Datum> {
    Ok(part_text(json(value)?.field(text(key)?)))
}

pub(super) fn element(value: &Datum, index: &Datum) -> Result<Datum> {
    Ok(part(json(value)?.element(integer(index)?)))
}

pub(super) fn element_text(value: &Datum, index: &Datum) -> Result<Datum> {
    Ok(part_text(json(value)?.element(integer(index)?)))
}

/// The steps of a path: an array's elements, or the arguments behind the document.
pub(super) fn steps(rest: &[Datum]) -> Result<&[Datum]> {
    match rest {
        [Datum::Array(steps)] => Ok(steps),
        steps => Ok(steps),
    }
}

fn at_path(args: &[Datum]) -> Result<Option<&Json>> {
    let (value, rest) = args.split_first().ok_or_else(mismatch)?;
    let mut at = json(value)?;
    for step in steps(rest)? {
        let Datum::Text(step) = step else { return Ok(None) };
        match at.step(step) {
            Some(part) => at = part,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

pub(super) fn extract_path(args: &[Datum]) -> Result<Datum> {
    at_path(args).map(part)
}

pub(super) fn extract_path_text(args: &[Datum]) -> Result<Datum> {
    at_path(args).map(part_text)
}

pub(super) fn contains(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(json(left)?.contains(json(right)?)))
}

pub(super) fn contained(left: &Datum, right: &Datum) -> Result<Datum> {
    contains(right, left)
}

pub(super) fn exists(value: &Datum, key: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(json(value)?.has(text(key)?)))
}

pub(super) fn exists_any(value: &Datum, keys: &Datum) -> Result<Datum> {
    let json = json(value)?;
    Ok(Datum::Bool(array(keys)?.iter().filter_map(Datum::as_str).any(|key| json.has(key))))
}

pub(super) fn exists_all(value: &Datum, keys: &Datum) -> Result<Datum> {
    let json = json(value)?;
    Ok(Datum::Bool(array(keys)?.iter().filter_map(Datum::as_str).all(|key| json.has(key))))
}

pub(super) fn type_of(value: &Datum) -> Result<Datum> {
    Ok(Datum::text(json(value)?.type_name()))
}

pub(super) fn array_length(value: &Datum) -> Result<Datum> {
    match json(value)? {
        Json::Array(items) => Ok(Datum::Int4(items.len() as i32)),
        Json::Object(_) => Err(refused("cannot get array length of a non-array")),
        _ => Err(refused("cannot get array length of a scalar")),
    }
}

pub(super) fn pretty(value: &Datum) -> Result<Datum> {
    let mut out = String::new();
    write::pretty(json(value)?, 0, &mut out);
    Ok(Datum::from(out))
}

pub(super) fn strip_nulls(value: &Datum) -> Result<Datum> {
    Ok(Datum::json(without_nulls(json(value)?)))
}

fn without_nulls(json: &Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.iter().map(without_nulls).collect()),
        Json::Object(members) => Json::Object(
            members
                .iter()
                .filter(|(_, value)| !matches!(value, Json::Null))
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        scalar => scalar.clone(),
    }
}

pub(super) fn concatenate(left: &Datum, right: &Datum) -> Result<Datum> {
    let items = |json: &Json| match json {
        Json::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let joined = match (json(left)?, json(right)?) {
        (Json::Object(members), Json::Object(more)) => {
            Json::object(members.iter().chain(more).cloned().collect())
        }
        (left, right) => Json::Array(items(left).into_iter().chain(items(right)).collect()),
    };
    joined.checked().map(Datum::json)
}

/// jsonb_merge_patch(target, patch): the target as RFC 7396 says that a patch leaves it.
pub(super) fn merge_patch(target: &Datum, patch: &Datum) -> Result<Datum> {
    merged(Some(json(target)?), json(patch)?).checked().map(Datum::json)
}

fn merged(target: Option<&Json>, patch: &Json) -> Json {
    let Json::Object(changes) = patch else { return patch.clone() };
    let members = match target {
        Some(Json::Object(members)) => members.as_slice(),
        _ => &[],
    };
    let kept = members.iter().filter(|(key, _)| patch.field(key).is_none()).cloned();
    let changed = changes
        .iter()
        .filter(|(_, value)| !matches!(value, Json::Null))
        .map(|(key, value)| (key.clone(), merged(target.and_then(|target| target.field(key)), value)));
    Json::object(kept.chain(changed).collect())
}

/// jsonb_canonical(value): its text, the same of values that are equal. Unlike `jsonb` it can be a part of an index.
pub(super) fn canonical(value: &Datum) -> Result<Datum> {
    Ok(Datum::from(shown(&with_shortest_numbers(json(value)?)?)))
}

/// The value without the zeros at the ends of its numbers.
fn with_shortest_numbers(json: &Json) -> Result<Json> {
    Ok(match json {
        Json::Number(number) => Json::Number(numeric::trim_scale(number)?),
        Json::Array(items) => Json::Array(items.iter().map(with_shortest_numbers).collect::<Result<_>>()?),
        Json::Object(members) => {
            let mut shortened = Vec::with_capacity(members.len());
            for (key, value) in members {
                shortened.push((key.clone(), with_shortest_numbers(value)?));
            }
            Json::Object(shortened)
        }
        other => other.clone(),
    })
}

/// jsonb - text
pub(super) fn delete_key(value: &Datum, key: &Datum) -> Result<Datum> {
    without_keys(json(value)?, &[text(key)?])
}

/// jsonb - text[]
pub(super) fn delete_keys(args: &[Datum]) -> Result<Datum> {
    let (value, keys) = args.split_first().ok_or_else(mismatch)?;
    let keys: Vec<&str> = steps(keys)?.iter().filter_map(Datum::as_str).collect();
    without_keys(json(value)?, &keys)
}

fn without_keys(json: &Json, keys: &[&str]) -> Result<Datum> {
    let is_named = |value: &Json| matches!(value, Json::String(text) if keys.contains(&&**text));
    Ok(Datum::json(match json {
        Json::Object(members) => {
            Json::Object(members.iter().filter(|(key, _)| !keys.contains(&&**key)).cloned().collect())
        }
        Json::Array(items) => Json::Array(items.iter().filter(|item| !is_named(item)).cloned().collect()),
        _ => return Err(refused("cannot delete from scalar")),
    }))
}

/// jsonb - int4
pub(super) fn delete_element(value: &Datum, index: &Datum) -> Result<Datum> {
    match json(value)? {
        Json::Array(items) => {
            let mut items = items.clone();
            if let Some(at) = place(integer(index)?, items.len()) {
                items.remove(at);
            }
            Ok(Datum::json(Json::Array(items)))
        }
        Json::Object(_) => Err(refused("cannot delete from object using integer index")),
        _ => Err(refused("cannot delete from scalar")),
    }
}

/// What is done where a path ends.
#[derive(Clone, Copy)]
enum Change<'a> {
    Set { new: &'a Json, creates: bool },
    Insert { new: &'a Json, after: bool },
    Delete,
}

/// jsonb_set(target, path, value [, create])
pub(super) fn set(args: &[Datum]) -> Result<Datum> {
    let [value, path, new, rest @ ..] = args else { return Err(mismatch()) };
    let creates = rest.first().map(boolean).transpose()?.unwrap_or(true);
    changed(value, path, Change::Set { new: json(new)?, creates }, "cannot set path in scalar")
}

/// jsonb_set_lax(target, path, value [, creates [, treatment of NULL]])
pub(super) fn set_lax(args: &[Datum]) -> Result<Datum> {
    let [value, path, new, rest @ ..] = args else { return Err(mismatch()) };
    let creates = rest.first().cloned().unwrap_or(Datum::Bool(true));
    if value.is_null() || path.is_null() || creates.is_null() {
        return Ok(Datum::Null);
    }
    let unknown = || {
        let message = "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"";
        Error::new("22023", message)
    };
    let treatment = match rest.get(1) {
        None => "use_json_null",
        Some(treatment) => treatment.as_str().ok_or_else(unknown)?,
    };
    if !new.is_null() {
        return set(&[value.clone(), path.clone(), new.clone(), creates]);
    }
    match treatment {
        "raise_exception" => Err(Error::new("22004", "JSON value must not be null")
            .with_detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .with_hint(
                "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
            )),
        "use_json_null" => set(&[value.clone(), path.clone(), Datum::json(Json::Null), creates]),
        "delete_key" => delete_path(value, path),
        "return_target" => Ok(value.clone()),
        _ => Err(unknown()),
    }
}

/// jsonb_insert(target, path, value [, after])
pub(super) fn insert(args: &[Datum]) -> Result<Datum> {
    let [value, path, new, rest @ ..] = args else { return Err(mismatch()) };
    let after = rest.first().map(boolean).transpose()?.unwrap_or(false);
    changed(value, path, Change::Insert { new: json(new)?, after }, "cannot set path in scalar")
}

/// jsonb #- text[]
pub(super) fn delete_path(value: &Datum, path: &Datum) -> Result<Datum> {
    changed(value, path, Change::Delete, "cannot delete path in scalar")
}

fn changed(value: &Datum, path: &Datum, change: Change<'_>, scalar: &str) -> Result<Datum> {
    let path = array(path)?;
    if path.dimension_count() > 1 {
        return Err(Error::new("2202E", "wrong number of array subscripts"));
    }
    let mut document = json(value)?.clone();
    if !matches!(document, Json::Array(_) | Json::Object(_)) {
        return Err(refused(scalar));
    }
    change_at(&mut document, path, 1, change)?;
    document.checked().map(Datum::json)
}

fn change_at(json: &mut Json, path: &[Datum], level: usize, change: Change<'_>) -> Result<()> {
    let Some((step, rest)) = path.split_first() else { return Ok(()) };
    let Datum::Text(step) = step else {
        return Err(Error::new("22004", format!("path element at position {level} is null")));
    };
    match json {
        Json::Object(_) if rest.is_empty() => change_member(json, step, change),
        Json::Object(members) => match members.iter_mut().find(|(key, _)| key.as_ref() == &**step) {
            Some((_, value)) => change_at(value, rest, level + 1, change),
            None => Ok(()),
        },
        Json::Array(items) => {
            let index: i64 = step.trim().parse::<i32>().map(i64::from).map_err(|_| {
                let message = format!("path element at position {level} is not an integer: \"{step}\"");
                Error::new("22P02", message)
            })?;
            if rest.is_empty() {
                change_element(items, index, change);
                return Ok(());
            }
            match place(index, items.len()).and_then(|at| items.get_mut(at)) {
                Some(value) => change_at(value, rest, level + 1, change),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn change_member(json: &mut Json, key: &str, change: Change<'_>) -> Result<()> {
    let Json::Object(members) = json else { return Ok(()) };
    let known = members.iter().position(|(known, _)| key == known.as_ref());
    match (change, known) {
        (Change::Delete, Some(at)) => drop(members.remove(at)),
        (Change::Set { new, .. }, Some(at)) => {
            if let Some((_, value)) = members.get_mut(at) {
                *value = new.clone();
            }
        }
        (Change::Insert { .. }, Some(_)) => {
            return Err(refused("cannot replace existing key")
                .with_hint("Try using the function jsonb_set to replace key value."));
        }
        (Change::Set { new, creates: true } | Change::Insert { new, .. }, None) => {
            members.push((key.into(), new.clone()));
            *json = Json::object(std::mem::take(members));
        }
        (Change::Delete | Change::Set { .. }, None) => {}
    }
    Ok(())
}

fn change_element(items: &mut Vec<Json>, index: i64, change: Change<'_>) {
    let known = place(index, items.len());
    match (change, known) {
        (Change::Delete, Some(at)) => drop(items.remove(at)),
        (Change::Set { new, .. }, Some(at)) => {
            if let Some(item) = items.get_mut(at) {
                *item = new.clone();
            }
        }
        (Change::Insert { new, after }, Some(at)) => items.insert(at + usize::from(after), new.clone()),
        (Change::Set { new, creates: true } | Change::Insert { new, .. }, None) => {
            let at = if index < 0 { 0 } else { items.len() };
            items.insert(at, new.clone());
        }
        (Change::Delete | Change::Set { .. }, None) => {}
    }
}

/// The elements of an array, one for a row.
pub(super) fn elements(args: &[Datum]) -> Result<Vec<Datum>> {
    items(args, |item| Datum::json(item.clone()))
}

pub(super) fn elements_text(args: &[Datum]) -> Result<Vec<Datum>> {
    items(args, |item| part_text(Some(item)))
}

fn items(args: &[Datum], row: impl Fn(&Json) -> Datum) -> Result<Vec<Datum>> {
    let [value] = exactly(args)?;
    match json(value)? {
        Json::Array(items) => work::items(items.iter().map(row)),
        Json::Object(_) => Err(refused("cannot extract elements from an object")),
        _ => Err(refused("cannot extract elements from a scalar")),
    }
}

/// The keys of an object, one for a row.
pub(super) fn keys(args: &[Datum]) -> Result<Vec<Datum>> {
    let [value] = exactly(args)?;
    match json(value)? {
        Json::Object(members) => work::items(members.iter().map(|(key, _)| Datum::text(key.as_ref()))),
        Json::Array(_) => Err(refused("cannot call jsonb_object_keys on an array")),
        _ => Err(refused("cannot call jsonb_object_keys on a scalar")),
    }
}

/// jsonb_object(text[]), jsonb_object(text[], text[])
pub(super) fn object(args: &[Datum]) -> Result<Datum> {
    let value = |value: &Datum| value.as_str().map_or(Json::Null, |text| Json::String(text.into()));
    let members = pairs(args)?.into_iter().map(|(key, item)| (key.into(), value(item))).collect();
    Ok(Datum::json(Json::object(members)))
}

/// The keys and values of one array of both, or of one of each.
pub(super) fn pairs(args: &[Datum]) -> Result<Vec<(&str, &Datum)>> {
    let wrong = || Error::new("2202E", "wrong number of array subscripts");
    let found: Vec<(&Datum, &Datum)> = match args {
        [both] => {
            let both = array(both)?;
            match (both.dimension_count(), both.dimension(1)) {
                (0, _) => Vec::new(),
                (1, _) if both.len() % 2 == 1 => {
                    return Err(Error::new("2202E", "array must have even number of elements"));
                }
                (2, Some(inner)) if inner.length != 2 => {
                    return Err(Error::new("2202E", "array must have two columns"));
                }
                (1 | 2, _) => {
                    both.chunks_exact(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?))).collect()
                }
                _ => return Err(wrong()),
            }
        }
        [keys, values] => {
            let (keys, values) = (array(keys)?, array(values)?);
            if keys.dimension_count() > 1 || values.dimension_count() > 1 {
                return Err(wrong());
            }
            if keys.len() != values.len() {
                return Err(Error::new("2202E", "mismatched array dimensions"));
            }
            keys.iter().zip(values.iter()).collect()
        }
        _ => return Err(mismatch()),
    };
    found
        .into_iter()
        .map(|(name, value)| {
            let key = name.as_str();
            Ok((key.ok_or_else(|| Error::new("22004", "null value not allowed for object key"))?, value))
        })
        .collect()
}

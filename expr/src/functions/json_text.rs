//! Functions and operators of `json`, whose documents stay as they were written.

use super::arguments::{exactly, integer, mismatch, text};
use super::jsonb::{pairs, steps};
use crate::datum::Datum;
use crate::datum::json::place;
use crate::error::{Error, Result};
use crate::json::{parse, write};
use crate::work;

pub(super) type Members<'a> = Vec<(Option<String>, &'a str)>;

fn refused(message: impl Into<String>) -> Error {
    Error::new("22023", message)
}

/// Whether the document is an object, an array (and their members), or a scalar.
pub(super) enum Parts<'a> {
    Object(Members<'a>),
    Array(Members<'a>),
    Scalar,
}

pub(super) fn parts(text: &str) -> Result<Parts<'_>> {
    let is_object = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    Ok(match parse::members(text)? {
        Some(members) if is_object => Parts::Object(members),
        Some(items) => Parts::Array(items),
        None => Parts::Scalar,
    })
}

/// The part that a key leads to: the last of equal ones.
fn field_of<'a>(document: &'a str, key: &str) -> Result<Option<&'a str>> {
    match parts(document)? {
        Parts::Object(members) => {
            let found = members.into_iter().rev().find(|(known, _)| known.as_deref() == Some(key));
            Ok(found.map(|(_, value)| value))
        }
        _ => Ok(None),
    }
}

fn element_of(document: &str, index: i64) -> Result<Option<&str>> {
    match parts(document)? {
        Parts::Array(items) => {
            Ok(place(index, items.len()).and_then(|at| items.get(at)).map(|(_, value)| *value))
        }
        _ => Ok(None),
    }
}

fn part(found: Option<&str>) -> Datum {
    found.map_or(Datum::Null, Datum::text)
}

/// A part as text: strings without their quotes, null as NULL.
pub(super) fn part_text(found: Option<&str>) -> Result<Datum> {
    match found {
        None | Some("null") => Ok(Datum::Null),
        Some(document) => Ok(match parse::string(document)? {
            Some(text) => Datum::from(text),
            None => Datum::text(document),
        }),
    }
}

pub(super) fn field(value: &Datum, key: &Datum) -> Result<Datum> {
    field_of(text(value)?, text(key)?).map(part)
}

pub(super) fn field_text(value: &Datum, key: &Datum) -> Result<Datum> {
    part_text(field_of(text(value)?, text(key)?)?)
}

pub(super) fn element(value: &Datum, index: &Datum) -> Result<Datum> {
    element_of(text(value)?, integer(index)?).map(part)
}

pub(super) fn element_text(value: &Datum, index: &Datum) -> Result<Datum> {
    part_text(element_of(text(value)?, integer(index)?)?)
}

fn at_path(args: &[Datum]) -> Result<Option<&str>> {
    let (value, rest) = args.split_first().ok_or_else(mismatch)?;
    let mut at = text(value)?;
    for step in steps(rest)? {
        let Datum::Text(step) = step else { return Ok(None) };
        let found = match at.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
            true => match step.trim().parse::<i32>() {
                Ok(index) => element_of(at, i64::from(index))?,
                Err(_) => None,
            },
            false => field_of(at, step)?,
        };
        match found {
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
    part_text(at_path(args)?)
}

pub(super) fn type_of(value: &Datum) -> Result<Datum> {
    let first = text(value)?.trim_start_matches([' ', '\t', '\n', '\r']).bytes().next();
    Ok(Datum::text(match first {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }))
}

pub(super) fn array_length(value: &Datum) -> Result<Datum> {
    match parts(text(value)?)? {
        Parts::Array(items) => Ok(Datum::Int4(items.len() as i32)),
        Parts::Object(_) => Err(refused("cannot get array length of a non-array")),
        Parts::Scalar => Err(refused("cannot get array length of a scalar")),
    }
}

pub(super) fn strip_nulls(value: &Datum) -> Result<Datum> {
    let mut out = String::new();
    strip(text(value)?, &mut out)?;
    Ok(Datum::from(out))
}

fn strip(document: &str, out: &mut String) -> Result<()> {
    let (members, open, close) = match parts(document)? {
        Parts::Object(members) => (members, '{', '}'),
        Parts::Array(items) => (items, '[', ']'),
        Parts::Scalar => {
            out.push_str(document.trim_matches([' ', '\t', '\n', '\r']));
            return Ok(());
        }
    };
    out.push(open);
    let kept = members.into_iter().filter(|(key, value)| key.is_none() || *value != "null");
    for (place, (key, value)) in kept.enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        if let Some(key) = key {
            write::string(&key, out);
            out.push(':');
        }
        strip(value, out)?;
    }
    out.push(close);
    Ok(())
}

/// The elements of an array, one for a row.
pub(super) fn elements(args: &[Datum]) -> Result<Vec<Datum>> {
    work::items(items(args, "json_array_elements")?.into_iter().map(|(_, item)| Datum::text(item)))
}

pub(super) fn elements_text(args: &[Datum]) -> Result<Vec<Datum>> {
    let items = items(args, "json_array_elements_text")?;
    work::rows(items.into_iter().map(|(_, item)| part_text(Some(item))), Datum::size_bytes)
}

fn items<'a>(args: &'a [Datum], name: &str) -> Result<Members<'a>> {
    let [value] = exactly(args)?;
    match parts(text(value)?)? {
        Parts::Array(items) => Ok(items),
        Parts::Object(_) => Err(refused(format!("cannot call {name} on a non-array"))),
        Parts::Scalar => Err(refused(format!("cannot call {name} on a scalar"))),
    }
}

/// The keys of an object, one for a row.
pub(super) fn keys(args: &[Datum]) -> Result<Vec<Datum>> {
    let [value] = exactly(args)?;
    match parts(text(value)?)? {
        Parts::Object(members) => {
            work::items(members.into_iter().filter_map(|(key, _)| key).map(Datum::from))
        }
        Parts::Array(_) => Err(refused("cannot call json_object_keys on an array")),
        Parts::Scalar => Err(refused("cannot call json_object_keys on a scalar")),
    }
}

/// json_object(text[]), json_object(text[], text[])
pub(super) fn object(args: &[Datum]) -> Result<Datum> {
    let mut out = String::from("{");
    for (place, (key, value)) in pairs(args)?.into_iter().enumerate() {
        out.push_str(if place > 0 { ", " } else { "" });
        write::string(key, &mut out);
        out.push_str(" : ");
        match value.as_str() {
            Some(text) => write::string(text, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(Datum::from(out))
}

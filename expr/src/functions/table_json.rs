//! JSON as rows of several columns: `json_each`, `json_to_recordset` and their like.

use std::collections::HashMap;

use super::arguments::{exactly, json, text};
use super::json_text::{Parts, part_text, parts};
use super::jsonb;
use crate::codec;
use crate::datum::record::Shape;
use crate::datum::{Datum, Row};
use crate::error::{Error, Result};
use crate::json::parse;
use crate::session::SessionContext;
use crate::types::{Form, Type, TypeKind};
use crate::work;

fn refused(message: impl Into<String>) -> Error {
    Error::new("22023", message)
}

/// The keys and values of an object of type json.
fn members(args: &[Datum]) -> Result<Vec<(String, &str)>> {
    let [value] = exactly(args)?;
    match parts(text(value)?)? {
        Parts::Object(members) => {
            Ok(members.into_iter().filter_map(|(key, value)| Some((key?, value))).collect())
        }
        Parts::Array(_) => Err(refused("cannot deconstruct an array as an object")),
        Parts::Scalar => Err(refused("cannot deconstruct a scalar")),
    }
}

/// `json_each`
pub(super) fn each(args: &[Datum], _: &Shape, _: &SessionContext) -> Result<Vec<Row>> {
    let pairs = members(args)?.into_iter();
    table(pairs.map(|(key, value)| Ok(vec![Datum::from(key), Datum::text(value)])))
}

/// `json_each_text`
pub(super) fn each_text(args: &[Datum], _: &Shape, _: &SessionContext) -> Result<Vec<Row>> {
    let pairs = members(args)?.into_iter();
    table(pairs.map(|(key, value)| Ok(vec![Datum::from(key), part_text(Some(value))?])))
}

fn document_members<'a>(
    args: &'a [Datum],
    name: &str,
) -> Result<impl Iterator<Item = (&'a str, &'a crate::datum::json::Json)>> {
    let [value] = exactly(args)?;
    match json(value)? {
        crate::datum::json::Json::Object(members) => {
            Ok(members.iter().map(|(key, value)| (key.as_ref(), value)))
        }
        _ => Err(refused(format!("cannot call {name} on a non-object"))),
    }
}

/// `jsonb_each`
pub(super) fn document_each(args: &[Datum], _: &Shape, _: &SessionContext) -> Result<Vec<Row>> {
    let pairs = document_members(args, "jsonb_each")?;
    table(pairs.map(|(key, value)| Ok(vec![Datum::text(key), Datum::json(value.clone())])))
}

/// `jsonb_each_text`
pub(super) fn document_each_text(args: &[Datum], _: &Shape, _: &SessionContext) -> Result<Vec<Row>> {
    let pairs = document_members(args, "jsonb_each_text")?;
    table(pairs.map(|(key, value)| Ok(vec![Datum::text(key), jsonb::part_text(Some(value))])))
}

/// The text of a document of either type.
fn document(value: &Datum) -> Result<String> {
    match value {
        Datum::Json(json) => Ok(jsonb::shown(json)),
        value => text(value).map(str::to_owned),
    }
}

/// `json_to_record`, `jsonb_to_record`
pub(super) fn record(args: &[Datum], shape: &Shape, session: &SessionContext) -> Result<Vec<Row>> {
    let [value] = exactly(args)?;
    let document = document(value)?;
    match parts(&document)? {
        Parts::Object(members) => Ok(vec![fields(&members, shape, session)?]),
        Parts::Array(_) => Err(refused("cannot call populate_composite on an array")),
        Parts::Scalar => Err(refused("cannot call populate_composite on a scalar")),
    }
}

/// `json_to_recordset`, `jsonb_to_recordset`
pub(super) fn record_set(args: &[Datum], shape: &Shape, session: &SessionContext) -> Result<Vec<Row>> {
    let [value] = exactly(args)?;
    let is_binary = matches!(value, Datum::Json(_));
    let name = if is_binary { "jsonb_to_recordset" } else { "json_to_recordset" };
    let document = document(value)?;
    let Parts::Array(items) = parts(&document)? else {
        let what = if is_binary { "a non-array" } else { "an object" };
        return Err(refused(format!("cannot call {name} on {what}")));
    };
    table(items.into_iter().map(|(_, item)| match parts(item)? {
        Parts::Object(members) => fields(&members, shape, session),
        _ => Err(refused(format!("argument of {name} must be an array of objects"))),
    }))
}

/// The fields that an object has, as values of their types.
fn fields(members: &[(Option<String>, &str)], shape: &Shape, session: &SessionContext) -> Result<Row> {
    // The last of equal ones.
    let parts: HashMap<&str, &str> =
        members.iter().filter_map(|(key, part)| Some((key.as_deref()?, *part))).collect();
    let values = shape.fields().map(|(name, ty)| match parts.get(name) {
        Some(part) => value(part, ty, session),
        None => Ok(Datum::Null),
    });
    work::rows(values, Datum::size_bytes)
}

/// Rows, counted as they grow.
fn table(rows: impl Iterator<Item = Result<Row>>) -> Result<Vec<Row>> {
    let size_bytes =
        |row: &Row| row.iter().map(Datum::size_bytes).sum::<usize>().saturating_add(size_of::<Row>());
    work::rows(rows, size_bytes)
}

/// A part of a document as a value of a type.
fn value(part: &str, ty: Type, session: &SessionContext) -> Result<Datum> {
    if part == "null" {
        return Ok(Datum::Null);
    }
    if matches!(ty.kind, TypeKind::Json | TypeKind::Jsonb) {
        return codec::input(part, ty, session);
    }
    if ty.kind.form() == Form::Array && part.starts_with('[') {
        return array(part, ty, session);
    }
    match parse::string(part)? {
        Some(text) => codec::input(&text, ty, session),
        None => codec::input(part, ty, session),
    }
}

/// An array of a document as one of a type: its elements, or arrays of them.
fn array(part: &str, ty: Type, session: &SessionContext) -> Result<Datum> {
    let element = ty.element().ok_or_else(|| Error::internal("an array without elements"))?;
    let Parts::Array(items) = parts(part)? else { return Err(refused("expected JSON array")) };
    let nested = items.first().is_some_and(|(_, item)| item.starts_with('['));
    let mut values = Vec::with_capacity(items.len());
    for (_, item) in items {
        values.push(if nested && item.starts_with('[') {
            array(item, ty, session)?
        } else {
            value(item, element, session)?
        });
    }
    if nested {
        return crate::datum::array::Array::stacked(&values).map(Datum::Array);
    }
    Ok(Datum::Array(values.into()))
}

//! JSON as records, and as rows of several columns: `json_each`, `json_to_recordset`, `json_populate_record` and their like.

use std::collections::HashMap;
use std::sync::Arc;

use super::arguments::{exactly, json, mismatch, text};
use super::json_text::{Parts, part_text, parts};
use super::jsonb;
use crate::codec;
use crate::datum::record::{Record, Shape};
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
    Ok(vec![object(&document(value)?, shape, &[], session)?])
}

/// The fields of an object; those that it lacks are as they were before, if there are any.
fn object(document: &str, shape: &Shape, before: &[Datum], session: &SessionContext) -> Result<Row> {
    match parts(document)? {
        Parts::Object(members) => fields(&members, shape, before, session),
        Parts::Array(_) => Err(refused("cannot call populate_composite on an array")),
        Parts::Scalar => Err(refused("cannot call populate_composite on a scalar")),
    }
}

/// `json_populate_record`, `jsonb_populate_record`: a record whose fields are those of an object.
pub(super) fn populate(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let [before, value, ..] = args else { return Err(mismatch()) };
    let kind = types.first().map_or(TypeKind::Unknown, |ty| ty.kind);
    let shape = match before {
        Datum::Record(record) => Some(codec::shape_of(record, kind, session)?),
        _ => session.catalog.attributes(kind),
    };
    let is_binary = matches!(value, Datum::Json(_));
    let name = if is_binary { "jsonb_populate_record" } else { "json_populate_record" };
    let Some(shape) = shape else { return Err(shapeless(kind, name)) };
    if value.is_null() {
        return Ok(before.clone());
    }
    let fields = object(&document(value)?, &shape, fields_of(before), session)?;
    let record = match kind.is_composite() {
        true => Record::composite(fields)?,
        false => Record::new(shape, fields)?,
    };
    Ok(Datum::Record(Arc::new(record)))
}

fn fields_of(value: &Datum) -> &[Datum] {
    if let Datum::Record(record) = value { record.fields() } else { &[] }
}

/// Why it is not known what fields a record is to have.
fn shapeless(kind: TypeKind, name: &str) -> Error {
    if kind != TypeKind::Record {
        return Error::new("42804", format!("first argument of {name} must be a row type"));
    }
    Error::new("0A000", format!("could not determine row type for result of {name}")).with_hint(
        "Provide a non-null record argument, or call the function in the FROM clause using a column definition list.",
    )
}

/// `json_to_recordset`, `jsonb_to_recordset`
pub(super) fn record_set(args: &[Datum], shape: &Shape, session: &SessionContext) -> Result<Vec<Row>> {
    let [value] = exactly(args)?;
    let is_binary = matches!(value, Datum::Json(_));
    let name = if is_binary { "jsonb_to_recordset" } else { "json_to_recordset" };
    objects(value, name, shape, &[], session)
}

/// `json_populate_recordset`, `jsonb_populate_recordset`
pub(super) fn populate_set(args: &[Datum], shape: &Shape, session: &SessionContext) -> Result<Vec<Row>> {
    let [before, value, ..] = args else { return Err(mismatch()) };
    let is_binary = matches!(value, Datum::Json(_));
    let name = if is_binary { "jsonb_populate_recordset" } else { "json_populate_recordset" };
    if shape.is_empty() {
        return Err(Error::new("42804", format!("first argument of {name} must be a row type")));
    }
    match value.is_null() {
        true => Ok(Vec::new()),
        false => objects(value, name, shape, fields_of(before), session),
    }
}

/// A row of each object in an array.
fn objects(
    value: &Datum,
    name: &str,
    shape: &Shape,
    before: &[Datum],
    session: &SessionContext,
) -> Result<Vec<Row>> {
    let is_binary = matches!(value, Datum::Json(_));
    let document = document(value)?;
    let Parts::Array(items) = parts(&document)? else {
        let what = if is_binary { "a non-array" } else { "an object" };
        return Err(refused(format!("cannot call {name} on {what}")));
    };
    table(items.into_iter().map(|(_, item)| match parts(item)? {
        Parts::Object(members) => fields(&members, shape, before, session),
        _ => Err(refused(format!("argument of {name} must be an array of objects"))),
    }))
}

/// The fields that an object has, as values of their types.
fn fields(
    members: &[(Option<String>, &str)],
    shape: &Shape,
    before: &[Datum],
    session: &SessionContext,
) -> Result<Row> {
    // The last of equal ones.
    let parts: HashMap<&str, &str> =
        members.iter().filter_map(|(key, part)| Some((key.as_deref()?, *part))).collect();
    let is_there = !before.is_empty();
    let values = shape.fields().enumerate().map(|(place, (name, ty))| {
        let before = before.get(place).unwrap_or(&Datum::Null);
        match parts.get(name) {
            Some(part) => value(part, ty, Some(name), before, session),
            None if is_there => Ok(before.clone()),
            None => codec::judged(Datum::Null, ty.kind, session),
        }
    });
    work::rows(values, Datum::size_bytes)
}

/// Rows, counted as they grow.
fn table(rows: impl Iterator<Item = Result<Row>>) -> Result<Vec<Row>> {
    let size_bytes =
        |row: &Row| row.iter().map(Datum::size_bytes).sum::<usize>().saturating_add(size_of::<Row>());
    work::rows(rows, size_bytes)
}

/// A part of a document as a value of a type; of one of a composite type the fields that it lacks are as they were before. `key`
/// is the one that it is found by.
fn value(part: &str, ty: Type, key: Option<&str>, before: &Datum, session: &SessionContext) -> Result<Datum> {
    if let Some(over) = codec::over(ty.kind, session) {
        return codec::judged(value(part, over, key, before, session)?, ty.kind, session);
    }
    if part == "null" {
        return Ok(Datum::Null);
    }
    if matches!(ty.kind, TypeKind::Json | TypeKind::Jsonb) {
        return codec::input(part, ty, session);
    }
    if ty.kind.form() == Form::Array && part.starts_with('[') {
        return array(part, ty, key, &[], session);
    }
    match parse::string(part)? {
        Some(text) => codec::input(&text, ty, session),
        None if ty.kind.form() == Form::Array => Err(not_an_array(key, &[])),
        None if ty.kind.is_composite() => {
            let attributes = codec::attributes(ty.kind, session)?;
            let fields = object(part, &attributes, fields_of(before), session)?;
            Ok(Datum::Record(Arc::new(Record::composite(fields)?)))
        }
        None => codec::input(part, ty, session),
    }
}

/// What is no array where one is wanted: the value of a key, or, where there are such, the element at these places.
fn not_an_array(key: Option<&str>, places: &[usize]) -> Error {
    let error = Error::new("22P02", "expected JSON array");
    let places: String = places.iter().map(|place| format!("[{place}]")).collect();
    match (key, places.as_str()) {
        (None, "") => error,
        (None, places) => error.with_hint(format!("See the array element {places}.")),
        (Some(key), "") => error.with_hint(format!("See the value of key \"{key}\".")),
        (Some(key), places) => error.with_hint(format!("See the array element {places} of key \"{key}\".")),
    }
}

/// An array of a document as one of a type: its elements, or arrays of them. It is what stands at `outer` of the key's value.
fn array(
    part: &str,
    ty: Type,
    key: Option<&str>,
    outer: &[usize],
    session: &SessionContext,
) -> Result<Datum> {
    let element = ty.element().ok_or_else(|| Error::internal("an array without elements"))?;
    let Parts::Array(items) = parts(part)? else { return Err(refused("expected JSON array")) };
    let nested = items.first().is_some_and(|(_, item)| item.starts_with('['));
    let mut values = Vec::with_capacity(items.len());
    for (place, (_, item)) in items.into_iter().enumerate() {
        let inner = || [outer, [place].as_slice()].concat();
        values.push(match nested {
            true if item.starts_with('[') => array(item, ty, key, &inner(), session)?,
            true => return Err(not_an_array(key, &inner())),
            false => value(item, element, None, &Datum::Null, session)?,
        });
    }
    if nested {
        let stacked = crate::datum::array::Array::stacked(&values).map(Datum::Array);
        return stacked.map_err(|error| match error.sqlstate {
            "2202E" => Error::new("22P02", "malformed JSON array")
                .with_detail("Multidimensional arrays must have sub-arrays with matching dimensions."),
            _ => error,
        });
    }
    Ok(Datum::Array(values.into()))
}

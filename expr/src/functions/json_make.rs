//! JSON made of other values: `to_json`, `to_jsonb`, `json_build_object` and their like.

use super::arguments::{exactly, mismatch};
use crate::codec;
use crate::datum::Datum;
use crate::datum::json::Json;
use crate::error::{Error, Result};
use crate::json::{parse, write};
use crate::session::SessionContext;
use crate::text::{self, Dates};
use crate::types::{Category, Form, Type, TypeKind};
use crate::work;

/// What a value becomes.
enum Shape {
    Bare,
    Quoted,
}

/// Whether values of a type are numbers in a document, too.
fn is_number(kind: TypeKind) -> bool {
    let is_text = kind.is_reg() || matches!(kind, TypeKind::Oid | TypeKind::Money);
    kind.category() == Category::Numeric && !is_text
}

/// A scalar's text, and whether it stands bare in a document.
fn scalar(value: &Datum, ty: Type, session: &SessionContext) -> Result<(String, Shape)> {
    let mut shown = match value {
        // A document has them in one form, whatever DateStyle says.
        Datum::Date(_) | Datum::Timestamp(_) | Datum::Timestamptz(_) => iso_date(value, session),
        value => codec::output(value, ty, session)?,
    };
    let shape = match value {
        Datum::Bool(truth) => {
            shown = truth.to_string();
            Shape::Bare
        }
        _ if ty.kind == TypeKind::Json => Shape::Bare,
        Datum::Json(_) => Shape::Bare,
        // Infinity and NaN are no numbers of JSON.
        _ if is_number(ty.kind.base()) => {
            if shown.ends_with(|c: char| c.is_ascii_digit()) {
                Shape::Bare
            } else {
                Shape::Quoted
            }
        }
        _ => Shape::Quoted,
    };
    if matches!(ty.kind.form(), Form::Timestamp | Form::Timestamptz) {
        shown = iso(&shown, ty.kind.form() == Form::Timestamptz);
    }
    Ok((shown, shape))
}

/// A date or a time as ISO 8601 has it but for the `T`.
fn iso_date(value: &Datum, session: &SessionContext) -> String {
    let mut shown = String::new();
    match value {
        Datum::Date(days) => text::write_date(*days, Dates::default(), &mut shown),
        Datum::Timestamp(micros) => text::write_timestamp(*micros, Dates::default(), &mut shown),
        Datum::Timestamptz(micros) => {
            text::write_timestamptz(*micros, &session.time_zone, Dates::default(), &mut shown);
        }
        _ => {}
    }
    shown
}

/// `2020-01-01 00:00:00+00` as ISO 8601 has it.
fn iso(shown: &str, zoned: bool) -> String {
    let mut text = shown.replacen(' ', "T", 1);
    let zone = text.rfind(['+', '-']).filter(|at| zoned && *at > 10);
    if let Some(at) = zone
        && let Some(end) = text.get(at..).map(|zone| at + zone.find(' ').unwrap_or(zone.len()))
        && end - at == 3
    {
        text.insert_str(end, ":00");
    }
    text
}

/// Appends a value as `json`.
pub(super) fn append(value: &Datum, ty: Type, session: &SessionContext, out: &mut String) -> Result<()> {
    match value {
        Datum::Null => out.push_str("null"),
        Datum::Array(items) if !ty.kind.is_vector() => {
            let element = ty.element().ok_or_else(mismatch)?;
            let lengths: Vec<usize> = items.dimensions().map(|dimension| dimension.length as usize).collect();
            append_items(items, &lengths, element, session, out)?;
        }
        Datum::Record(record) => {
            let shape = codec::shape_of(record, ty.kind, session)?;
            out.push('{');
            for (place, (name, ty, field)) in shape.of(record).enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                write::string(name, out);
                out.push(':');
                append(field, ty, session, out)?;
            }
            out.push('}');
        }
        scalar_value => match scalar(scalar_value, ty, session)? {
            (shown, Shape::Bare) => out.push_str(&shown),
            (shown, Shape::Quoted) => write::string(&shown, out),
        },
    }
    work::fits(out.len())?;
    Ok(())
}

fn append_items(
    items: &[Datum],
    lengths: &[usize],
    element: Type,
    session: &SessionContext,
    out: &mut String,
) -> Result<()> {
    out.push('[');
    match lengths {
        [] => {}
        [_] => {
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                append(item, element, session, out)?;
            }
        }
        [length, inner @ ..] => {
            for (place, part) in items.chunks(items.len() / (*length).max(1)).enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                append_items(part, inner, element, session, out)?;
            }
        }
    }
    out.push(']');
    Ok(())
}

/// A value as `jsonb`.
fn document(value: &Datum, ty: Type, session: &SessionContext) -> Result<Json> {
    match value {
        Datum::Null => Ok(Json::Null),
        Datum::Bool(value) => Ok(Json::Bool(*value)),
        Datum::Numeric(number) if number.is_finite() => Ok(Json::Number(number.clone())),
        Datum::Json(json) => Ok(json.as_ref().clone()),
        value => {
            let mut text = String::new();
            append(value, ty, session, &mut text)?;
            parse::parse(&text)
        }
    }
}

fn type_at(types: &[Type], place: usize) -> Type {
    types.get(place).copied().unwrap_or(Type::plain(TypeKind::Text))
}

pub(super) fn to_json(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let [value] = exactly(args)?;
    let mut out = String::new();
    append(value, type_at(types, 0), session, &mut out)?;
    Ok(Datum::from(out))
}

/// `array_to_json(array [, pretty])`
pub(super) fn array_to_json(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let Some(Datum::Array(items)) = args.first() else { return Err(mismatch()) };
    let element = type_at(types, 0).element().unwrap_or(Type::plain(TypeKind::Text));
    let lengths: Vec<usize> = items.dimensions().map(|dimension| dimension.length as usize).collect();
    let mut out = String::new();
    match (args.get(1).is_some_and(Datum::is_true), lengths.as_slice()) {
        (true, [length, inner @ ..]) => {
            // Each part of the first dimension on a line of its own.
            for (place, part) in items.chunks((items.len() / (*length).max(1)).max(1)).enumerate() {
                out.push_str(if place > 0 { ",\n " } else { "[" });
                match (inner, part) {
                    ([], [item]) => append(item, element, session, &mut out)?,
                    _ => append_items(part, inner, element, session, &mut out)?,
                }
            }
            out.push(']');
        }
        _ => append_items(items, &lengths, element, session, &mut out)?,
    }
    work::fits(out.len())?;
    Ok(Datum::from(out))
}

/// `row_to_json(record, pretty)`
pub(super) fn row_to_json(args: &[Datum], _: &[Type], session: &SessionContext) -> Result<Datum> {
    let [value, pretty] = exactly(args)?;
    let Datum::Record(record) = value else { return Err(mismatch()) };
    let shape = codec::shape_of(record, TypeKind::Record, session)?;
    let mut out = String::from("{");
    for (place, (name, ty, field)) in shape.of(record).enumerate() {
        out.push_str(match place {
            0 => "",
            _ if pretty.is_true() => ",\n ",
            _ => ",",
        });
        write::string(name, &mut out);
        out.push(':');
        append(field, ty, session, &mut out)?;
    }
    out.push('}');
    Ok(Datum::from(out))
}

pub(super) fn to_jsonb(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let [value] = exactly(args)?;
    document(value, type_at(types, 0), session).map(Datum::json)
}

/// The text of a key.
fn key(value: &Datum, ty: Type, session: &SessionContext) -> Result<String> {
    let kind = ty.kind.base();
    let is_scalar = !matches!(kind, TypeKind::Json | TypeKind::Jsonb)
        && !matches!(value, Datum::Array(_) | Datum::Record(_) | Datum::Json(_));
    if !is_scalar {
        return Err(Error::new("22023", "key value must be scalar, not array, composite, or json"));
    }
    Ok(scalar(value, ty, session)?.0)
}

fn check_even(args: &[Datum], name: &str) -> Result<()> {
    if args.len().is_multiple_of(2) {
        return Ok(());
    }
    Err(Error::new("22023", "argument list must have even number of elements")
        .with_hint(format!("The arguments of {name}() must consist of alternating keys and values.")))
}

pub(super) fn build_object(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    check_even(args, "json_build_object")?;
    let mut out = String::from("{");
    for (place, pair) in args.chunks_exact(2).enumerate() {
        let [name, value] = exactly(pair)?;
        if name.is_null() {
            return Err(Error::new("22023", format!("argument {} cannot be null", 2 * place + 1))
                .with_hint("Object keys should be text."));
        }
        out.push_str(if place > 0 { ", " } else { "" });
        write::string(&key(name, type_at(types, 2 * place), session)?, &mut out);
        out.push_str(" : ");
        append(value, type_at(types, 2 * place + 1), session, &mut out)?;
    }
    out.push('}');
    Ok(Datum::from(out))
}

pub(super) fn build_array(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let mut out = String::from("[");
    for (place, value) in args.iter().enumerate() {
        out.push_str(if place > 0 { ", " } else { "" });
        append(value, type_at(types, place), session, &mut out)?;
    }
    out.push(']');
    Ok(Datum::from(out))
}

pub(super) fn build_jsonb_object(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    check_even(args, "jsonb_build_object")?;
    let mut members = Vec::with_capacity(args.len() / 2);
    for (place, pair) in args.chunks_exact(2).enumerate() {
        let [name, value] = exactly(pair)?;
        if name.is_null() {
            return Err(Error::new("22023", format!("argument {}: key must not be null", 2 * place + 1)));
        }
        let key = key(name, type_at(types, 2 * place), session)?;
        members.push((key.into(), document(value, type_at(types, 2 * place + 1), session)?));
    }
    Json::object(members).checked().map(Datum::json)
}

pub(super) fn build_jsonb_array(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let items = args.iter().enumerate().map(|(place, value)| document(value, type_at(types, place), session));
    Json::Array(items.collect::<Result<_>>()?).checked().map(Datum::json)
}

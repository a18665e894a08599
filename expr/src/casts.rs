//! Casts: PostgreSQL's `pg_cast`, the casts through text that every type has, and length coercion.

use crate::calendar::{self, zone};
use crate::datum::{Datum, Numeric};
use crate::error::{Error, Result};
use crate::functions::Volatility;
use crate::numeric;
use crate::session::SessionContext;
use crate::text;
use crate::types::{Category, Type, TypeKind};

pub use crate::length::coerce as coerce_length;

/// Where a cast may be used; a wider context allows what a narrower one does (`pg_cast.castcontext`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// When a value is stored in a column.
    Assignment,
    /// Only where it is written: `CAST`, `::`.
    Explicit,
}

/// How a cast is done (`pg_cast.castmethod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastMethod {
    /// Both types have the same values.
    Binary,
    /// By a function of its own.
    Function,
    /// By writing text and reading it.
    Text,
}

/// A cast between two types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// From.
    pub from: TypeKind,
    /// To.
    pub to: TypeKind,
    /// Where it may be used.
    pub context: CastContext,
    /// How it is done.
    pub method: CastMethod,
}

/// The cast from one type to another, if there is one. A type to itself is binary and implicit; from unknown, whose
/// values are literals, everything can be read; and string types convert to and from everything through text.
pub fn find(from: TypeKind, to: TypeKind) -> Option<Cast> {
    use CastContext::{Assignment, Explicit, Implicit};
    use CastMethod::{Binary, Function, Text};
    let cast = |context, method| Some(Cast { from, to, context, method });
    if from == to {
        return cast(Implicit, Binary);
    }
    if from == TypeKind::Unknown {
        return cast(Implicit, Text);
    }
    if let Some((context, method)) = listed(from, to) {
        return cast(context, method);
    }
    if let (Some(from_element), Some(to_element)) = (from.element(), to.element())
        && !matches!(to, TypeKind::Int2Vector | TypeKind::OidVector)
    {
        // Elements convert one by one.
        let context = match find(from_element, to_element)? {
            Cast { method: Binary, context: Implicit, .. } => return cast(Implicit, Binary),
            element => element.context,
        };
        return cast(context, Function);
    }
    match (from.category(), to.category()) {
        (Category::Pseudo, _) | (_, Category::Pseudo | Category::Unknown) => None,
        // Everything may be written into a string, and a string read as everything where that is asked for.
        (_, Category::String) if to != TypeKind::Name => cast(Assignment, Text),
        (_, Category::String) => cast(Explicit, Text),
        (Category::String, _) => cast(Explicit, Text),
        _ => None,
    }
}

/// The rows of `pg_cast`.
fn listed(from: TypeKind, to: TypeKind) -> Option<(CastContext, CastMethod)> {
    use CastContext::{Assignment, Explicit, Implicit};
    use CastMethod::{Binary, Function};
    use TypeKind::*;
    Some(match (from, to) {
        (Int2, Int4 | Int8 | Float4 | Float8 | Numeric) => (Implicit, Function),
        (Int4, Int8 | Float4 | Float8 | Numeric) => (Implicit, Function),
        (Int8, Float4 | Float8 | Numeric) => (Implicit, Function),
        (Int4, Int2) | (Int8, Int2 | Int4) => (Assignment, Function),
        (Float4, Float8) | (Numeric, Float4 | Float8) => (Implicit, Function),
        (Float4 | Float8 | Numeric, Int2 | Int4 | Int8) => (Assignment, Function),
        (Float4 | Float8, Numeric) | (Float8, Float4) => (Assignment, Function),
        (Bool, Int4) | (Int4, Bool) => (Explicit, Function),
        (Bool, Text | Varchar | Bpchar) => (Assignment, Function),
        (Int4, Oid) => (Implicit, Binary),
        (Int4, kind) if kind.is_reg() => (Implicit, Binary),
        (Int2 | Int8, Oid) => (Implicit, Function),
        (Int2 | Int8, kind) if kind.is_reg() => (Implicit, Function),
        (Oid, Int4) => (Assignment, Binary),
        (Oid, Int8) => (Assignment, Function),
        (Oid, kind) if kind.is_reg() => (Implicit, Binary),
        (kind, Oid) if kind.is_reg() => (Implicit, Binary),
        (kind, Int4) if kind.is_reg() => (Assignment, Binary),
        (kind, Int8) if kind.is_reg() => (Assignment, Function),
        (Text | Varchar, Regclass) => (Implicit, Function),
        (Text, Varchar | Bpchar) | (Varchar, Text | Bpchar) => (Implicit, Binary),
        (Bpchar, Text | Varchar | Name) | (Text | Varchar, Name) | (Name, Text) => (Implicit, Function),
        (Name, Varchar | Bpchar) => (Assignment, Function),
        (QuotedChar, Text) => (Implicit, Function),
        (QuotedChar, Varchar | Bpchar) | (Text | Varchar | Bpchar, QuotedChar) => (Assignment, Function),
        (QuotedChar, Int4) | (Int4, QuotedChar) => (Explicit, Function),
        (Date, Timestamp | Timestamptz) | (Timestamp, Timestamptz) => (Implicit, Function),
        (Timestamp, Date) | (Timestamptz, Date | Timestamp) => (Assignment, Function),
        _ => return None,
    })
}

/// All rows of `pg_cast` between supported types.
pub fn all() -> impl Iterator<Item = Cast> {
    TypeKind::ALL.iter().flat_map(|from| {
        TypeKind::ALL.iter().filter_map(move |to| {
            listed(*from, *to).map(|(context, method)| Cast { from: *from, to: *to, context, method })
        })
    })
}

/// Whether the value may be used as the other type without a change: the same type or a binary-coercible one.
pub fn is_binary_coercible(from: TypeKind, to: TypeKind) -> bool {
    find(from, to)
        .is_some_and(|cast| cast.method == CastMethod::Binary && cast.context == CastContext::Implicit)
}

/// Whether a value of one type is, as a datum, one of the other: nothing needs to be done.
pub fn is_relabel(from: TypeKind, to: TypeKind) -> bool {
    use TypeKind::{Bpchar, Name, Oid, Text, Unknown, Varchar};
    match to {
        _ if from == to => true,
        Text | Varchar | Bpchar => matches!(from, Text | Varchar | Name | Unknown),
        Oid => from.is_reg(),
        to => to.is_reg() && (from == Oid || from.is_reg()),
    }
}

/// How much a cast's result depends on the session: on its time zone and the names in its catalog.
pub fn volatility(from: TypeKind, to: TypeKind) -> Volatility {
    match (from.element(), to.element()) {
        (Some(from), Some(to)) => return volatility(from, to),
        (Some(from), None) if to.is_string() => return volatility(from, to),
        (None, Some(to)) if from.is_string() || from == TypeKind::Unknown => return volatility(from, to),
        _ => {}
    }
    let zoned = |kind: TypeKind| matches!(kind, TypeKind::Timestamptz | TypeKind::TimestamptzArray);
    let from_text = from.is_string() || from == TypeKind::Unknown;
    let depends = from != to
        && (zoned(from)
            || zoned(to)
            || from.is_reg() && to.is_string()
            || from_text && (to.is_reg() || matches!(to.category(), Category::DateTime))
            || to.is_string()
                && matches!(
                    from,
                    TypeKind::Bytea | TypeKind::Interval | TypeKind::Float4 | TypeKind::Float8
                ));
    if depends { Volatility::Stable } else { Volatility::Immutable }
}

/// Casts a value, length coercion to the target's modifier included. `explicit` casts cut off what is too long
/// where others refuse it (22001).
pub fn apply(value: Datum, from: Type, to: Type, explicit: bool, session: &SessionContext) -> Result<Datum> {
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let converted = convert(value, from.kind, to.kind, session)?;
    coerce_length(converted, to, explicit)
}

fn convert(value: Datum, from: TypeKind, to: TypeKind, session: &SessionContext) -> Result<Datum> {
    if from == to {
        return Ok(value);
    }
    match (&value, to) {
        (Datum::Text(_), _) => return convert_text(value, from, to, session),
        (Datum::Array(_), _) => return convert_array(value, from, to, session),
        _ => {}
    }
    Ok(match to {
        TypeKind::Int2 => Datum::Int2(narrow(to_i64(&value, "smallint")?, "smallint")?),
        TypeKind::Int4 => Datum::Int4(match value {
            Datum::Oid(oid) => oid as i32,
            other => narrow(to_i64(&other, "integer")?, "integer")?,
        }),
        TypeKind::Int8 => Datum::Int8(to_i64(&value, "bigint")?),
        TypeKind::Float4 => Datum::Float4(to_f32(&value)?),
        TypeKind::Float8 => Datum::Float8(to_f64(&value)?),
        TypeKind::Numeric => Datum::Numeric(to_numeric(&value)?),
        TypeKind::Bool => Datum::Bool(value.as_i64().ok_or_else(|| impossible(from, to))? != 0),
        TypeKind::QuotedChar => {
            let code = value.as_i64().and_then(|code| i8::try_from(code).ok());
            let code = code.ok_or_else(|| Error::out_of_range("\"char\""))?;
            match u8::try_from(code) {
                Ok(0) => Datum::text(""),
                Ok(code) => Datum::from(char::from(code).to_string()),
                Err(_) => return Err(Error::unsupported("\"char\" values beyond ASCII")),
            }
        }
        TypeKind::Date => Datum::Date(match value {
            Datum::Timestamp(micros) => calendar::timestamp_to_date(micros),
            Datum::Timestamptz(micros) => {
                calendar::timestamp_to_date(zone::to_local(micros, &session.time_zone))
            }
            _ => return Err(impossible(from, to)),
        }),
        TypeKind::Timestamp => Datum::Timestamp(match value {
            Datum::Date(days) => calendar::date_to_timestamp(days)?,
            Datum::Timestamptz(micros) => zone::to_local(micros, &session.time_zone),
            _ => return Err(impossible(from, to)),
        }),
        TypeKind::Timestamptz => Datum::Timestamptz(match value {
            Datum::Date(days) => zone::to_instant(calendar::date_to_timestamp(days)?, &session.time_zone)?,
            Datum::Timestamp(micros) => zone::to_instant(micros, &session.time_zone)?,
            _ => return Err(impossible(from, to)),
        }),
        to if to == TypeKind::Oid || to.is_reg() => Datum::Oid(match value {
            Datum::Oid(oid) => oid,
            // int4 and int2 are taken bit by bit.
            Datum::Int4(v) => v as u32,
            Datum::Int2(v) => i32::from(v) as u32,
            Datum::Int8(v) => u32::try_from(v).map_err(|_| Error::new("22003", "OID out of range"))?,
            _ => return Err(impossible(from, to)),
        }),
        to if to.is_string() => match value {
            Datum::Bool(v) => Datum::text(if v { "true" } else { "false" }),
            other => Datum::from(text::output(&other, from.into(), session)),
        },
        to => return Err(impossible(from, to)),
    })
}

fn impossible(from: TypeKind, to: TypeKind) -> Error {
    Error::new("42846", format!("cannot cast type {} to {}", from.display_name(), to.display_name()))
}

fn convert_text(value: Datum, from: TypeKind, to: TypeKind, session: &SessionContext) -> Result<Datum> {
    let Datum::Text(text) = value else { return Ok(value) };
    match to {
        TypeKind::Int4 if from == TypeKind::QuotedChar => {
            Ok(Datum::Int4(text.bytes().next().map_or(0, |byte| i32::from(byte as i8))))
        }
        // Blanks at the end mean something only in char(n).
        _ if from == TypeKind::Bpchar && to.is_string() => Ok(Datum::text(text.trim_end_matches(' '))),
        TypeKind::Text | TypeKind::Varchar | TypeKind::Bpchar | TypeKind::Name => Ok(Datum::Text(text)),
        _ => text::input(&text, to.into(), session),
    }
}

fn convert_array(value: Datum, from: TypeKind, to: TypeKind, session: &SessionContext) -> Result<Datum> {
    let Datum::Array(items) = &value else { return Ok(value) };
    let (Some(from_element), Some(to_element)) = (from.element(), to.element()) else {
        return match to.is_string() {
            true => Ok(Datum::from(text::output(&value, from.into(), session))),
            false => Err(impossible(from, to)),
        };
    };
    let converted: Result<Vec<_>> = items
        .iter()
        .map(|item| apply(item.clone(), from_element.into(), to_element.into(), true, session))
        .collect();
    Ok(Datum::Array(converted?.into()))
}

fn narrow<T: TryFrom<i64>>(value: i64, type_name: &str) -> Result<T> {
    T::try_from(value).map_err(|_| Error::out_of_range(type_name))
}

/// A number as an integer: floats to the nearest, ties to even; numeric half away from zero.
fn to_i64(value: &Datum, type_name: &str) -> Result<i64> {
    let from_float = |v: f64| {
        let rounded = v.round_ties_even();
        match rounded >= i64::MIN as f64 && rounded < i64::MAX as f64 {
            true => Ok(rounded as i64),
            false => Err(Error::out_of_range(type_name)),
        }
    };
    match value {
        Datum::Float4(v) => from_float(f64::from(*v)),
        Datum::Float8(v) => from_float(*v),
        Datum::Numeric(v) => numeric::to_i64_rounded(v, type_name),
        Datum::Bool(v) => Ok(i64::from(*v)),
        other => other.as_i64().ok_or_else(|| Error::internal("cast of what is no number")),
    }
}

fn to_f64(value: &Datum) -> Result<f64> {
    match value {
        Datum::Float4(v) => Ok(f64::from(*v)),
        Datum::Float8(v) => Ok(*v),
        Datum::Numeric(v) => checked_float(numeric::to_f64(v), v, "double precision"),
        other => other.as_i64().map(|v| v as f64).ok_or_else(|| Error::internal("cast of what is no number")),
    }
}

fn checked_float(converted: f64, from: &Numeric, type_name: &str) -> Result<f64> {
    let overflow = converted.is_infinite() && from.is_finite();
    let underflow = converted == 0.0 && from.signum() != 0;
    if overflow || underflow {
        let mut text = String::new();
        numeric::write(from, &mut text);
        return Err(Error::new("22003", format!("\"{text}\" is out of range for type {type_name}")));
    }
    Ok(converted)
}

fn to_f32(value: &Datum) -> Result<f32> {
    match value {
        Datum::Float4(v) => Ok(*v),
        Datum::Float8(v) => {
            let converted = *v as f32;
            if converted.is_infinite() && !v.is_infinite() {
                return Err(Error::new("22003", "value out of range: overflow"));
            }
            if converted == 0.0 && *v != 0.0 {
                return Err(Error::new("22003", "value out of range: underflow"));
            }
            Ok(converted)
        }
        Datum::Numeric(v) => {
            let wide = checked_float(numeric::to_f64(v), v, "real")?;
            checked_float(f64::from(wide as f32), v, "real").map(|v| v as f32)
        }
        other => other.as_i64().map(|v| v as f32).ok_or_else(|| Error::internal("cast of what is no number")),
    }
}

fn to_numeric(value: &Datum) -> Result<Numeric> {
    match value {
        Datum::Float4(v) => numeric::from_f32(*v),
        Datum::Float8(v) => numeric::from_f64(*v),
        Datum::Numeric(v) => Ok(v.clone()),
        other => {
            other.as_i64().map(Numeric::from).ok_or_else(|| Error::internal("cast of what is no number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datum::arbitrary::datum_of;

    const KINDS: [TypeKind; 15] = [
        TypeKind::Bool,
        TypeKind::Int2,
        TypeKind::Int4,
        TypeKind::Int8,
        TypeKind::Oid,
        TypeKind::Float4,
        TypeKind::Float8,
        TypeKind::Numeric,
        TypeKind::Text,
        TypeKind::Bytea,
        TypeKind::Date,
        TypeKind::Timestamp,
        TypeKind::Timestamptz,
        TypeKind::Interval,
        TypeKind::Uuid,
    ];

    proptest! {
        #[test]
        fn every_cast_there_is_can_be_done(
            (from, value) in prop::sample::select(KINDS.to_vec()).prop_flat_map(|kind| (Just(kind), datum_of(kind))),
            to in prop::sample::select(KINDS.to_vec()),
        ) {
            if find(from, to).is_none() {
                return Ok(());
            }
            let session = SessionContext::default();
            if let Err(error) = apply(value, from.into(), to.into(), true, &session) {
                prop_assert!(!matches!(error.sqlstate, "XX000" | "42846"), "{:?} to {:?}: {}", from, to, error);
            }
        }
    }

    #[test]
    fn the_rules_of_pg_cast_hold() {
        use CastContext::{Assignment, Explicit, Implicit};
        let context = |from, to| find(from, to).map(|cast| cast.context);
        assert_eq!(context(TypeKind::Int4, TypeKind::Int8), Some(Implicit));
        assert_eq!(context(TypeKind::Int8, TypeKind::Int4), Some(Assignment));
        assert_eq!(context(TypeKind::Bool, TypeKind::Int4), Some(Explicit));
        assert_eq!(context(TypeKind::Int4, TypeKind::Text), Some(Assignment));
        assert_eq!(context(TypeKind::Text, TypeKind::Int4), Some(Explicit));
        assert_eq!(context(TypeKind::Bool, TypeKind::Int8), None);
        assert_eq!(context(TypeKind::Uuid, TypeKind::Bytea), None);
        assert!(is_binary_coercible(TypeKind::Varchar, TypeKind::Text));
    }
}

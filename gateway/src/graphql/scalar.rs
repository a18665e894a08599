//! Values of SQL as values of GraphQL, both ways.
//!
//! | Scalar | Types of SQL | In answers |
//! |---|---|---|
//! | `Int` | `smallint`, `integer` | a number |
//! | `BigInt` | `bigint` | a string of digits: numbers of many clients end at 2^53 |
//! | `Decimal` | `numeric` | a string |
//! | `Float` | `real`, `double precision` | a number |
//! | `Boolean` | `boolean` | `true`, `false` |
//! | `Json` | `json`, `jsonb` | the document itself |
//! | `Timestamp` | `timestamptz` | RFC 3339, in UTC |
//! | `LocalTimestamp` | `timestamp` | the same without an offset |
//! | `String` | all others | as PostgreSQL writes them |

use expr::json::quoted;
use expr::{Datum, SessionContext, Type, TypeKind, codec};

use super::document::Value;
use super::refusal::Refused;

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scalar {
    Int,
    BigInt,
    Decimal,
    Float,
    Boolean,
    Text,
    Json,
    Timestamp,
    LocalTimestamp,
}

impl Scalar {
    pub(super) const ALL: [Self; 9] = [
        Self::Int,
        Self::BigInt,
        Self::Decimal,
        Self::Float,
        Self::Boolean,
        Self::Text,
        Self::Json,
        Self::Timestamp,
        Self::LocalTimestamp,
    ];

    /// How values of a type are shown.
    pub(super) fn of(kind: TypeKind) -> Self {
        match kind.base() {
            TypeKind::Int2 | TypeKind::Int4 => Self::Int,
            TypeKind::Int8 => Self::BigInt,
            TypeKind::Numeric => Self::Decimal,
            TypeKind::Float4 | TypeKind::Float8 => Self::Float,
            TypeKind::Bool => Self::Boolean,
            TypeKind::Json | TypeKind::Jsonb => Self::Json,
            TypeKind::Timestamptz => Self::Timestamp,
            TypeKind::Timestamp => Self::LocalTimestamp,
            _ => Self::Text,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Int => "Int",
            Self::BigInt => "BigInt",
            Self::Decimal => "Decimal",
            Self::Float => "Float",
            Self::Boolean => "Boolean",
            Self::Text => "String",
            Self::Json => "Json",
            Self::Timestamp => "Timestamp",
            Self::LocalTimestamp => "LocalTimestamp",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Int => "A whole number of 32 bits.",
            Self::BigInt => "A whole number of 64 bits, as a string.",
            Self::Decimal => "A decimal number, as a string.",
            Self::Float => "A number of IEEE 754.",
            Self::Boolean => "true or false.",
            Self::Text => "A text, or any other value as PostgreSQL writes it.",
            Self::Json => "A JSON document.",
            Self::Timestamp => "A moment, as RFC 3339 has it.",
            Self::LocalTimestamp => "A date and a time of day, without an offset.",
        }
    }

    /// The text of a value that a client has sent, as SQL reads it.
    pub(super) fn text_of(self, value: &Value<'_>) -> Result<String, Refused> {
        let text = match (self, value) {
            (Self::Int, Value::Int(text)) => {
                Some(text).filter(|text| text.parse::<i32>().is_ok()).map(ToString::to_string)
            }
            (Self::BigInt, Value::Int(text)) => Some(text.to_string()),
            (Self::Decimal | Self::Float, Value::Int(text) | Value::Float(text)) => Some(text.to_string()),
            (
                Self::BigInt | Self::Decimal | Self::Text | Self::Timestamp | Self::LocalTimestamp,
                Value::Text(text),
            ) => Some(text.clone()),
            (Self::Boolean, Value::Bool(value)) => Some(value.to_string()),
            (Self::Json, value) => {
                let mut text = String::new();
                write_json(value, &mut text)?;
                Some(text)
            }
            _ => None,
        };
        let text = text.ok_or_else(|| Refused::new(format!("this is no value of type {}", self.name())))?;
        if text.contains('\0') {
            return Err(sql::Error::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00").into());
        }
        Ok(text)
    }
}

/// A value as a document of JSON.
fn write_json(value: &Value<'_>, out: &mut String) -> Result<(), Refused> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(text) | Value::Float(text) => out.push_str(text),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            for (number, item) in items.iter().enumerate() {
                out.push(if number == 0 { '[' } else { ',' });
                write_json(item, out)?;
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(members) => {
            for (number, (name, member)) in members.iter().enumerate() {
                out.push(if number == 0 { '{' } else { ',' });
                out.push_str(&quoted(name));
                out.push(':');
                write_json(member, out)?;
            }
            out.push_str(if members.is_empty() { "{}" } else { "}" });
        }
        Value::Variable(_) | Value::Enum(_) => {
            return Err(Refused::new(
                "variables and names cannot stand within a document: send all of it as one variable",
            ));
        }
    }
    Ok(())
}

/// Appends a value of SQL as one of JSON.
pub(super) fn write(
    value: &Datum,
    kind: TypeKind,
    context: &SessionContext,
    out: &mut String,
) -> Result<(), Refused> {
    if value.is_null() {
        out.push_str("null");
        return Ok(());
    }
    let scalar = Scalar::of(kind);
    let mut text = String::new();
    codec::write(value, kind, context, &mut text)?;
    match (scalar, value) {
        (Scalar::Boolean, Datum::Bool(value)) => out.push_str(if *value { "true" } else { "false" }),
        (Scalar::Int, _) | (Scalar::Json, _) => out.push_str(&text),
        (Scalar::Float, _) => match text.as_str() {
            "NaN" | "Infinity" | "-Infinity" => {
                return Err(sql::Error::new("22003", format!("{text} is no number of JSON")).into());
            }
            _ => out.push_str(&text),
        },
        (Scalar::Timestamp, _) => out.push_str(&quoted(&rfc_3339(text, "+00", "Z"))),
        (Scalar::LocalTimestamp, _) => out.push_str(&quoted(&rfc_3339(text, "", ""))),
        _ => out.push_str(&quoted(&text)),
    }
    Ok(())
}

/// A moment of the years 1 to 9999 as RFC 3339 has it; any other, and `infinity`, as PostgreSQL does.
fn rfc_3339(text: String, offset: &str, instead: &str) -> String {
    let stem = text.strip_suffix(offset);
    let is_usual = |stem: &&str| {
        stem.as_bytes().get(4) == Some(&b'-')
            && stem.as_bytes().get(10) == Some(&b' ')
            && !stem.ends_with("BC")
    };
    match stem.filter(is_usual) {
        Some(stem) => stem.replacen(' ', "T", 1) + instead,
        None => text,
    }
}

/// A text that a client has sent as a value of a type. Lengths of types are asked where it is stored.
pub(super) fn read(text: &str, kind: TypeKind, context: &SessionContext) -> Result<Datum, Refused> {
    Ok(codec::input(text, Type::plain(kind), context)?)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn shown(text: &str, kind: TypeKind) -> String {
        let context = SessionContext::default();
        let mut out = String::new();
        write(&read(text, kind, &context).unwrap(), kind, &context, &mut out).unwrap();
        out
    }

    #[test]
    fn values_are_shown_so_that_no_client_changes_them() {
        for (text, kind, expected) in [
            ("42", TypeKind::Int4, "42"),
            ("9007199254740993", TypeKind::Int8, r#""9007199254740993""#),
            ("1.50", TypeKind::Numeric, r#""1.50""#),
            ("1.5", TypeKind::Float8, "1.5"),
            ("t", TypeKind::Bool, "true"),
            ("a\"b", TypeKind::Text, r#""a\"b""#),
            ("2026-01-02 03:04:05.678+02", TypeKind::Timestamptz, r#""2026-01-02T01:04:05.678Z""#),
            ("2026-01-02 03:04:05", TypeKind::Timestamp, r#""2026-01-02T03:04:05""#),
            ("infinity", TypeKind::Timestamptz, r#""infinity""#),
            ("2026-01-02", TypeKind::Date, r#""2026-01-02""#),
            (r#"{"a": [1, null]}"#, TypeKind::Json, r#"{"a": [1, null]}"#),
        ] {
            assert_eq!(shown(text, kind), expected);
        }
        let context = SessionContext::default();
        assert!(write(&Datum::Float8(f64::NAN), TypeKind::Float8, &context, &mut String::new()).is_err());
    }

    #[test]
    fn what_clients_send_is_checked_by_its_scalar() {
        let int = |text: &'static str| Value::Int(Cow::Borrowed(text));
        assert_eq!(Scalar::Int.text_of(&int("-5")).unwrap(), "-5");
        assert!(Scalar::Int.text_of(&int("2147483648")).is_err());
        assert_eq!(Scalar::BigInt.text_of(&int("2147483648")).unwrap(), "2147483648");
        assert!(Scalar::Text.text_of(&int("1")).is_err());
        assert!(Scalar::Boolean.text_of(&Value::Text("true".to_owned())).is_err());
        assert!(Scalar::Text.text_of(&Value::Text("a\0".to_owned())).is_err());
        let document = Value::Object(vec![(Cow::Borrowed("a"), Value::List(vec![int("1"), Value::Null]))]);
        assert_eq!(Scalar::Json.text_of(&document).unwrap(), r#"{"a":[1,null]}"#);
        assert_eq!(Scalar::Json.text_of(&Value::List(Vec::new())).unwrap(), "[]");
        assert!(Scalar::Json.text_of(&Value::Enum("RED")).is_err());
    }
}

//! Objects as `jsonb`, and back.
//!
//! ```text
//! null, text, boolean, list, map   the same of JSON
//! integer                          a number without a fraction: 42
//! float                            a number with one: 42.0   or {"$float": "NaN" │ "Infinity" │ "-Infinity" │ "-0"}
//! link                             {"$link": "key"}
//! ```
//!
//! A map whose only name is `$link` or `$float`, with any more `$` before it, is kept with one more `$`, and read without
//! it; so every object is told from every other. What SQL has written is read by the same rules, one that has the name
//! but no such value as the map that it is. Three things JSON holds and the protocol does not say: integers beyond 64
//! bits, fractions that no float stands for, and strings or lists of more than 65535 bytes or elements.

use expr::datum::json::Json;
use expr::{Numeric, json, numeric};

use super::object::Object;

const LINK: &str = "link";
const FLOAT: &str = "float";

/// The object has a character that `jsonb` does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("U+0000 cannot be stored")]
pub(crate) struct HasNul;

/// The document holds what no object says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsayable {
    /// A number that is neither an integer of 64 bits nor a float.
    #[error("the number is neither an integer of 64 bits nor exactly what a float says")]
    Number,
}

/// The document that stands for an object.
pub(crate) fn to_json(object: &Object) -> Result<Json, HasNul> {
    Ok(match object {
        Object::Null => Json::Null,
        Object::Boolean(value) => Json::Bool(*value),
        Object::Integer(value) => Json::Number(Numeric::from(*value)),
        Object::Float(value) => match number(*value) {
            Some(number) => Json::Number(number),
            None => special(FLOAT, Json::String(name(*value).into())),
        },
        Object::Text(value) => Json::String(text(value)?),
        Object::Link(key) => special(LINK, Json::String(text(key)?)),
        Object::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Object::Map(members) => {
            let members = members.iter().map(|(name, value)| Ok::<_, HasNul>((text(name)?, to_json(value)?)));
            match Json::object(members.collect::<Result<_, HasNul>>()?) {
                Json::Object(members) => escaped(members),
                other => other,
            }
        }
    })
}

/// The object that a document stands for.
pub(crate) fn from_json(json: &Json) -> Result<Object, Unsayable> {
    Ok(match json {
        Json::Null => Object::Null,
        Json::Bool(value) => Object::Boolean(*value),
        Json::Number(value) => from_number(value)?,
        Json::String(value) => Object::Text(value.to_string()),
        Json::Array(items) => Object::List(items.iter().map(from_json).collect::<Result<_, _>>()?),
        Json::Object(members) => match members.as_slice() {
            [(name, value)] => alone(name, value)?,
            members => {
                let read = |(name, value): &(Box<str>, Json)| Ok((name.to_string(), from_json(value)?));
                Object::Map(members.iter().map(read).collect::<Result<_, Unsayable>>()?)
            }
        },
    })
}

fn special(name: &str, value: Json) -> Json {
    Json::Object(vec![(format!("${name}").into(), value)])
}

fn text(text: &str) -> Result<Box<str>, HasNul> {
    if text.contains('\0') { Err(HasNul) } else { Ok(text.into()) }
}

/// What a name is without its `$`, if that is one of those that mean more, and it has at least one.
fn meaning(name: &str) -> Option<&str> {
    let bare = name.trim_start_matches('$');
    (bare.len() < name.len() && matches!(bare, LINK | FLOAT)).then_some(bare)
}

fn escaped(members: Vec<(Box<str>, Json)>) -> Json {
    match <[_; 1]>::try_from(members) {
        Ok([(name, value)]) if meaning(&name).is_some() => {
            Json::Object(vec![(format!("${name}").into(), value)])
        }
        Ok(members) => Json::Object(members.into()),
        Err(members) => Json::Object(members),
    }
}

/// The object of a document with one name.
fn alone(name: &str, value: &Json) -> Result<Object, Unsayable> {
    let said = meaning(name);
    let map = |name: &str| Ok::<_, Unsayable>(Object::Map(vec![(name.to_owned(), from_json(value)?)]));
    match (said, name.strip_prefix('$'), value) {
        (None, ..) | (_, None, _) => map(name),
        // There was a `$` before it already.
        (Some(_), Some(rest), _) if rest.starts_with('$') => map(rest),
        (Some(LINK), _, Json::String(key)) if !key.is_empty() => Ok(Object::Link(key.to_string())),
        (Some(FLOAT), _, Json::String(text)) => match of_name(text) {
            Some(value) => Ok(Object::Float(value)),
            None => map(name),
        },
        _ => map(name),
    }
}

/// The number that a float is, with a fraction; none if it is not finite, or is -0.
fn number(value: f64) -> Option<Numeric> {
    if !value.is_finite() || (value == 0.0 && value.is_sign_negative()) {
        return None;
    }
    // The shortest digits that are read as this float, all of them written out.
    let mut digits = value.to_string();
    if !digits.contains('.') {
        digits.push_str(".0");
    }
    match json::parse(&digits) {
        Ok(Json::Number(number)) => Some(number),
        _ => None,
    }
}

fn name(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "Infinity"
    } else if value == f64::NEG_INFINITY {
        "-Infinity"
    } else {
        "-0"
    }
}

fn of_name(name: &str) -> Option<f64> {
    match name {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        "-0" => Some(-0.0),
        _ => None,
    }
}

fn from_number(value: &Numeric) -> Result<Object, Unsayable> {
    if value.scale() == Some(0) {
        let mut digits = String::new();
        numeric::write(value, &mut digits);
        return digits.parse().map(Object::Integer).map_err(|_| Unsayable::Number);
    }
    let float = numeric::to_f64(value);
    match number(float) {
        Some(same) if numeric::cmp(&same, value).is_eq() => Ok(Object::Float(float)),
        _ => Err(Unsayable::Number),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::object::tests::any_object;
    use super::*;

    /// As jsonb keeps the names of maps: by length and bytes, of equal ones the last.
    fn ordered(object: Object) -> Object {
        match object {
            Object::List(items) => Object::List(items.into_iter().map(ordered).collect()),
            Object::Map(members) => {
                let mut kept: Vec<(String, Object)> = Vec::new();
                for (name, value) in members {
                    kept.retain(|(known, _)| *known != name);
                    kept.push((name, ordered(value)));
                }
                kept.sort_by(|(left, _), (right, _)| left.len().cmp(&right.len()).then(left.cmp(right)));
                Object::Map(kept)
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn an_object_is_what_it_was(object in any_object()) {
            let json = to_json(&object).unwrap();
            // Debug tells -0 from 0, as equality does not.
            prop_assert_eq!(format!("{:?}", from_json(&json).unwrap()), format!("{:?}", ordered(object)));
        }
    }

    fn read(text: &str) -> Result<Object, Unsayable> {
        from_json(&json::parse(text).unwrap())
    }

    #[test]
    fn documents_of_sql_are_read_by_the_same_rules() {
        let map = |name: &str, value| Object::Map(vec![(name.to_owned(), value)]);
        for (text, object) in [
            (r#"{"$link": "k"}"#, Object::Link("k".to_owned())),
            (r#"{"$$link": "k"}"#, map("$link", Object::Text("k".to_owned()))),
            (r#"{"$link": ""}"#, map("$link", Object::Text(String::new()))),
            (r#"{"$link": 5}"#, map("$link", Object::Integer(5))),
            (r#"{"$float": "-0"}"#, Object::Float(-0.0)),
            (r#"{"$float": "5"}"#, map("$float", Object::Text("5".to_owned()))),
            (r#"{"$other": "k"}"#, map("$other", Object::Text("k".to_owned()))),
            ("1", Object::Integer(1)),
            ("1.0", Object::Float(1.0)),
            ("1.50", Object::Float(1.5)),
            ("0.1", Object::Float(0.1)),
            ("-9223372036854775808", Object::Integer(i64::MIN)),
        ] {
            assert_eq!(read(text), Ok(object), "{text}");
        }
    }

    #[test]
    fn numbers_that_have_no_bytes_are_not_rounded() {
        for text in ["9223372036854775808", "0.1000000000000000000001", "1e-400", "12345678901234567890.5"] {
            assert_eq!(read(text), Err(Unsayable::Number), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_kept_all_the_same() {
        let kept = from_json(&to_json(&Object::Float(f64::NAN)).unwrap());
        assert!(matches!(kept, Ok(Object::Float(value)) if value.is_nan()));
        for value in [1e300, 5e-324, f64::MAX, -1.0, 123_456_789.0] {
            assert_eq!(from_json(&to_json(&Object::Float(value)).unwrap()), Ok(Object::Float(value)));
        }
    }

    #[test]
    fn jsonb_has_no_nul() {
        for object in [
            Object::Text("a\0".to_owned()),
            Object::Link("\0".to_owned()),
            Object::Map(vec![("\0".to_owned(), Object::Null)]),
        ] {
            assert_eq!(to_json(&object).err(), Some(HasNul));
        }
    }
}

//! JSON: documents read from text and written, their order, what contains what. [`parse`](mod@parse) reads text, also that of
//! `json`, which stays as it was written; [`binary`] is the form in rows.

pub(crate) mod binary;
pub(crate) mod parse;
pub(crate) mod path;
pub(crate) mod write;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::datum::Numeric;
use crate::datum::json::Json;
use crate::numeric;

pub use parse::{parse, parse_within};

/// A text as a string of JSON, between quotes.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    write::string(text, &mut quoted);
    quoted
}

impl Json {
    /// `@>`: an object holds one whose members it has, an array one whose elements it has, and a scalar.
    pub fn contains(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Array(items), Json::Array(wanted)) => {
                wanted.iter().all(|wanted| items.iter().any(|item| item.holds(wanted)))
            }
            (Json::Array(items), Json::Object(_)) if items.is_empty() => false,
            (Json::Array(_), Json::Object(_)) => false,
            (Json::Array(items), scalar) => items.iter().any(|item| item.compare_nested(scalar).is_eq()),
            _ => self.holds(other),
        }
    }

    /// As [`Json::contains`], below the top, where an array holds no scalar.
    fn holds(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(_), Json::Object(wanted)) => {
                wanted.iter().all(|(key, wanted)| self.field(key).is_some_and(|value| value.holds(wanted)))
            }
            (Json::Array(items), Json::Array(wanted)) => {
                wanted.iter().all(|wanted| items.iter().any(|item| item.holds(wanted)))
            }
            (Json::Array(_) | Json::Object(_), _) | (_, Json::Array(_) | Json::Object(_)) => false,
            _ => self.compare_nested(other).is_eq(),
        }
    }

    /// Where a kind of value stands among the others.
    fn rank(&self) -> u8 {
        match self {
            Json::Null => 0,
            Json::String(_) => 1,
            Json::Number(_) => 2,
            Json::Bool(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        }
    }

    /// The order of `jsonb`: objects, arrays, booleans, numbers, strings, null downwards; of arrays and objects first that
    /// with more members. An empty array at the top comes before everything, as in PostgreSQL.
    pub fn compare(&self, other: &Json) -> Ordering {
        let empty = |json: &Json| matches!(json, Json::Array(items) if items.is_empty());
        let is_object = |json: &Json| matches!(json, Json::Object(_));
        match (empty(self) && !is_object(other), empty(other) && !is_object(self)) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => self.compare_nested(other),
        }
    }

    fn compare_nested(&self, other: &Json) -> Ordering {
        match (self, other) {
            (Json::Bool(left), Json::Bool(right)) => left.cmp(right),
            (Json::Number(left), Json::Number(right)) => numeric::cmp(left, right),
            (Json::String(left), Json::String(right)) => left.cmp(right),
            (Json::Array(left), Json::Array(right)) => left.len().cmp(&right.len()).then_with(|| {
                let orders = left.iter().zip(right).map(|(left, right)| left.compare_nested(right));
                first_unequal(orders)
            }),
            (Json::Object(left), Json::Object(right)) => left.len().cmp(&right.len()).then_with(|| {
                first_unequal(left.iter().zip(right).map(|((key, value), (other_key, other))| {
                    key.cmp(other_key).then_with(|| value.compare_nested(other))
                }))
            }),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Feeds the hasher so that equal documents hash alike.
    pub(crate) fn hash_with(&self, hasher: &mut impl Hasher, number: &impl Fn(&Numeric, &mut dyn Hasher)) {
        hasher.write_u8(self.rank());
        match self {
            Json::Null => {}
            Json::Bool(value) => value.hash(hasher),
            Json::Number(value) => number(value, hasher),
            Json::String(text) => text.hash(hasher),
            Json::Array(items) => {
                items.iter().for_each(|item| item.hash_with(hasher, number));
                hasher.write_usize(items.len());
            }
            Json::Object(members) => {
                for (key, value) in members {
                    key.hash(hasher);
                    value.hash_with(hasher, number);
                }
                hasher.write_usize(members.len());
            }
        }
    }
}

fn first_unequal(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        parse(text).unwrap()
    }

    fn shown(text: &str) -> String {
        let mut out = String::new();
        write::compact(&json(text), &mut out);
        out
    }

    #[test]
    fn objects_keep_the_last_of_equal_keys_by_length_and_bytes() {
        assert_eq!(shown(r#"{"bb":1,"a":2,"bb":3,"c":1.00}"#), r#"{"a": 2, "c": 1.00, "bb": 3}"#);
        assert_eq!(shown(r#" [1e2, -0, "\u00e9\n\ud83d\ude00", {}, []] "#), "[100, 0, \"é\\n😀\", {}, []]");
    }

    #[test]
    fn documents_have_an_order() {
        let ascending =
            ["[]", "null", "\"a\"", "1", "1.5", "false", "true", "[1]", "[1, 2]", "{}", r#"{"a": 1}"#];
        for (place, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(json(left).compare(&json(right)), place.cmp(&other), "{left} {right}");
            }
        }
        assert!(json("1.0").compare(&json("1.00")).is_eq());
    }

    #[test]
    fn containment_is_postgresqls() {
        let holds = |left: &str, right: &str| json(left).contains(&json(right));
        assert!(holds(r#"{"a": {"b": 1, "c": 2}}"#, r#"{"a": {"b": 1}}"#));
        assert!(holds("[1, 2, 3]", "[3, 1, 1]"));
        assert!(holds("[1, 2]", "1"));
        assert!(!holds("1", "[1]"));
        assert!(!holds("[1, [1, 3]]", "[1, 3]"));
        assert!(holds("[1, [1, 3]]", "[[1]]"));
        assert!(!holds(r#"{"a": [1]}"#, r#"{"a": 1}"#));
    }
}

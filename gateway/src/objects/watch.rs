//! What a client that watches is told, as objects: a map for each change, and one for each moment up to which all was told.

use expr::{Datum, TypeKind};

use super::object::Object;
use super::store;
use super::stored::HasNul;
use crate::door::{Seen, Subject, Wanted};

/// The table of objects.
pub(super) static OBJECTS: Subject = Subject {
    door: "objects",
    schema: "objects",
    table: "objects",
    key: TypeKind::Text,
    statement: store::WATCH,
};

/// What a request asks for: the key, or all that begin with it.
pub(super) fn wanted(text: &str, is_prefix: bool, since: u64) -> Result<Wanted, HasNul> {
    let end = match is_prefix {
        true => behind_prefix(text),
        false => Some(format!("{text}\0")),
    };
    Ok(Wanted { start: store::text(text)?, end: end.map(Datum::text), since })
}

/// The least text behind all that begin with this one; none if nothing is. Texts are in the order of their characters.
fn behind_prefix(prefix: &str) -> Option<String> {
    let mut behind = prefix.to_owned();
    while let Some(last) = behind.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last).saturating_add(1)),
        };
        if let Some(next) = next {
            behind.push(next);
            return Some(behind);
        }
    }
    None
}

/// A change. What SQL has written that is no object is told as that.
pub(super) fn change(seen: &Seen) -> Object {
    let value = seen.value.as_ref().map(|value| match store::of_datum(value) {
        Ok(object) => ("value".to_owned(), object),
        Err(refused) => ("error".to_owned(), Object::Text(refused.to_string())),
    });
    Object::Map(head(seen).into_iter().chain(value).collect())
}

/// The same where the value is longer than the protocol can say.
pub(super) fn unsayable_change(seen: &Seen) -> Object {
    let error =
        ("error".to_owned(), Object::Text("the object is longer than the protocol can say".to_owned()));
    Object::Map(head(seen).into_iter().chain([error]).collect())
}

fn head(seen: &Seen) -> [(String, Object); 2] {
    let key = String::from_utf8_lossy(&seen.key).into_owned();
    [("key".to_owned(), Object::Text(key)), ("timestamp".to_owned(), number(seen.timestamp))]
}

/// A moment up to which all was told.
pub(super) fn resolved(timestamp: u64) -> Object {
    Object::Map(vec![("resolved".to_owned(), number(timestamp))])
}

fn number(timestamp: u64) -> Object {
    Object::Integer(i64::try_from(timestamp).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_behind_all_that_begin_with_it() {
        for (prefix, behind) in [
            ("ab", Some("ac")),
            ("\u{bf}", Some("\u{c0}")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(behind_prefix(prefix).as_deref(), behind);
        }
        assert!(wanted("a\0", true, 0).is_err());
    }

    #[test]
    fn a_change_says_the_value_unless_it_was_removed() {
        let seen = |value| Seen { key: "k".into(), value, timestamp: 7 };
        let head =
            || vec![("key".to_owned(), Object::Text("k".to_owned())), ("timestamp".to_owned(), number(7))];
        assert_eq!(change(&seen(None)), Object::Map(head()));
        let null = [head(), vec![("value".to_owned(), Object::Null)]].concat();
        assert_eq!(change(&seen(Some(Datum::Null))), Object::Map(null));
        let Object::Map(wrong) = change(&seen(Some(Datum::Int4(1)))) else { panic!("a map") };
        assert_eq!(wrong[2].0, "error");
    }
}

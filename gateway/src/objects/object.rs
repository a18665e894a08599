//! Objects, and their bytes.
//!
//! ```text
//! object   type u8 │ data
//! 0 null   1 integer: i64   2 text: string   3 list: count u16, objects   4 map: count u16, (string, object)…
//! 5 link: string (a key, not empty)   6 boolean: u8 (0, 1)   7 float: IEEE 754, 8 bytes
//! string   length u16 │ UTF-8
//! ```
//!
//! Everything is big-endian. What is read nests at most [`NESTING_MAX`] deep and has at most [`VALUES_MAX`] values, whatever
//! its bytes promise: room is made for what has come, and never for a count.

use bytes::{BufMut as _, BytesMut};

/// How deep an object nests at most.
pub(crate) const NESTING_MAX: usize = 256;

/// So many values an object has at most, itself among them.
pub(crate) const VALUES_MAX: usize = 1 << 18;

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Object {
    Null,
    Integer(i64),
    Text(String),
    List(Vec<Object>),
    /// No order is kept, and of equal names the last counts.
    Map(Vec<(String, Object)>),
    /// The key of another object.
    Link(String),
    Boolean(bool),
    Float(f64),
}

/// The bytes are no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The object has more than the protocol has numbers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} of more than 65535 cannot be sent")]
pub(crate) struct TooMany(&'static str);

/// Bytes that are read from the front.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, values: 0 }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (front, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*front)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        self.take().map(u64::from_be_bytes)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        self.take().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        let (front, rest) = self.rest.split_at_checked(length).ok_or(Malformed("a string ends too early"))?;
        self.rest = rest;
        std::str::from_utf8(front).map_err(|_| Malformed("a string is not UTF-8"))
    }

    /// A string that is not empty.
    pub(crate) fn key(&mut self) -> Result<&'a str, Malformed> {
        match self.string()? {
            "" => Err(Malformed("a key is empty")),
            key => Ok(key),
        }
    }

    /// The object at the front; what stands behind it is left.
    pub(crate) fn object(&mut self) -> Result<Object, Malformed> {
        self.nested(NESTING_MAX)
    }

    fn nested(&mut self, levels: usize) -> Result<Object, Malformed> {
        let levels = levels.checked_sub(1).ok_or(Malformed("it nests too deep"))?;
        self.values = self.values.saturating_add(1);
        if self.values > VALUES_MAX {
            return Err(Malformed("it has too many values"));
        }
        Ok(match self.byte()? {
            0 => Object::Null,
            1 => Object::Integer(i64::from_be_bytes(self.take()?)),
            2 => Object::Text(self.string()?.to_owned()),
            3 => {
                let mut items = Vec::new();
                for _ in 0..self.length()? {
                    items.push(self.nested(levels)?);
                }
                Object::List(items)
            }
            4 => {
                let mut members = Vec::new();
                for _ in 0..self.length()? {
                    members.push((self.string()?.to_owned(), self.nested(levels)?));
                }
                Object::Map(members)
            }
            5 => Object::Link(self.key()?.to_owned()),
            6 => match self.byte()? {
                0 => Object::Boolean(false),
                1 => Object::Boolean(true),
                _ => return Err(Malformed("a boolean is neither 0 nor 1")),
            },
            7 => Object::Float(f64::from_be_bytes(self.take()?)),
            _ => return Err(Malformed("there is no such type of objects")),
        })
    }
}

impl Object {
    /// Appends its bytes. If it cannot be said, a part of them may have been appended.
    pub(crate) fn put(&self, output: &mut BytesMut) -> Result<(), TooMany> {
        match self {
            Self::Null => output.put_u8(0),
            Self::Integer(value) => {
                output.put_u8(1);
                output.put_i64(*value);
            }
            Self::Text(text) => {
                output.put_u8(2);
                put_string(text, output)?;
            }
            Self::List(items) => {
                output.put_u8(3);
                put_length(items.len(), "a list", output)?;
                for item in items {
                    item.put(output)?;
                }
            }
            Self::Map(members) => {
                output.put_u8(4);
                put_length(members.len(), "a map", output)?;
                for (name, value) in members {
                    put_string(name, output)?;
                    value.put(output)?;
                }
            }
            Self::Link(key) => {
                output.put_u8(5);
                put_string(key, output)?;
            }
            Self::Boolean(value) => {
                output.put_u8(6);
                output.put_u8(u8::from(*value));
            }
            Self::Float(value) => {
                output.put_u8(7);
                output.put_f64(*value);
            }
        }
        Ok(())
    }
}

fn put_length(length: usize, what: &'static str, output: &mut BytesMut) -> Result<(), TooMany> {
    output.put_u16(u16::try_from(length).map_err(|_| TooMany(what))?);
    Ok(())
}

fn put_string(text: &str, output: &mut BytesMut) -> Result<(), TooMany> {
    put_length(text.len(), "a string", output)?;
    output.put_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any object whose strings hold no U+0000.
    pub(crate) fn any_object() -> impl Strategy<Value = Object> {
        let text = || "[^\\x00]{0,8}|\\$+(link|float)";
        let leaf = prop_oneof![
            Just(Object::Null),
            any::<i64>().prop_map(Object::Integer),
            text().prop_map(Object::Text),
            "[^\\x00]{1,8}".prop_map(Object::Link),
            any::<bool>().prop_map(Object::Boolean),
            any::<f64>().prop_filter("NaN is not itself", |value| !value.is_nan()).prop_map(Object::Float),
            prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY)]
                .prop_map(Object::Float),
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Object::List),
                prop::collection::vec((text(), inner), 0..4).prop_map(Object::Map),
            ]
        })
    }

    fn bytes(object: &Object) -> BytesMut {
        let mut output = BytesMut::new();
        object.put(&mut output).unwrap();
        output
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(object in any_object()) {
            let bytes = bytes(&object);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.object(), Ok(object));
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn no_part_of_an_object_is_one(object in any_object(), cut in any::<prop::sample::Index>()) {
            let bytes = bytes(&object);
            let cut = &bytes[..cut.index(bytes.len())];
            prop_assert!(Reader::new(cut).object().is_err());
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(object) = Reader::new(&bytes).object() {
                prop_assert!(object.put(&mut BytesMut::new()).is_ok());
            }
        }
    }

    #[test]
    fn every_type_has_its_bytes() {
        let text = |text: &str| Object::Text(text.to_owned());
        for (object, golden) in [
            (Object::Null, &b"\0"[..]),
            (Object::Integer(42), b"\x01\0\0\0\0\0\0\0\x2a"),
            (Object::Integer(-1), b"\x01\xff\xff\xff\xff\xff\xff\xff\xff"),
            (text(""), b"\x02\0\0"),
            (text("\u{e9}"), b"\x02\0\x02\xc3\xa9"),
            (Object::List(vec![]), b"\x03\0\0"),
            (Object::List(vec![Object::Null, text("a")]), b"\x03\0\x02\0\x02\0\x01a"),
            (Object::Map(vec![("k".to_owned(), Object::Null)]), b"\x04\0\x01\0\x01k\0"),
            (Object::Link("k".to_owned()), b"\x05\0\x01k"),
            (Object::Boolean(true), b"\x06\x01"),
            (Object::Boolean(false), b"\x06\0"),
            (Object::Float(1.5), b"\x07\x3f\xf8\0\0\0\0\0\0"),
        ] {
            assert_eq!(bytes(&object), golden, "{object:?}");
            assert_eq!(Reader::new(golden).object(), Ok(object));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for broken in [
            &b""[..],
            b"\x08",
            b"\xff",
            b"\x01\0\0\0",
            b"\x02\0\x02a",
            b"\x02\0\x01\xff",
            b"\x03\xff\xff\0",
            b"\x04\0\x01\0\x01k",
            b"\x05\0\0",
            b"\x06\x02",
            b"\x07\0",
        ] {
            assert!(Reader::new(broken).object().is_err(), "{broken:?}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |levels: usize| [b"\x03\0\x01".repeat(levels), vec![0]].concat();
        assert!(Reader::new(&nested(NESTING_MAX - 1)).object().is_ok());
        assert!(Reader::new(&nested(NESTING_MAX)).object().is_err());
        assert!(Reader::new(&nested(1_000_000)).object().is_err());
        let mut wide = b"\x03\0\x05".to_vec();
        for _ in 0..5 {
            wide.extend_from_slice(b"\x03\xff\xff");
            wide.resize(wide.len() + 0xffff, 0);
        }
        assert_eq!(Reader::new(&wide).object(), Err(Malformed("it has too many values")));
    }

    #[test]
    fn what_has_no_number_is_not_sent() {
        let long = "x".repeat(0x1_0000);
        for object in
            [Object::Text(long.clone()), Object::Link(long), Object::List(vec![Object::Null; 0x1_0000])]
        {
            assert!(object.put(&mut BytesMut::new()).is_err());
        }
    }
}

//! Documents in rows.
//!
//! ```text
//! 0 null   1 false   2 true   3 number: length (varint), its text   4 string: length (varint), UTF-8
//! 5 array: number of elements (varint), elements   6 object: number of members (varint), (length of key (varint), key, value)…
//! ```

use crate::datum::json::{DEPTH_MAX, Json};
use crate::numeric;

pub(crate) fn put(json: &Json, out: &mut Vec<u8>) {
    match json {
        Json::Null => out.push(0),
        Json::Bool(value) => out.push(if *value { 2 } else { 1 }),
        Json::Number(number) => {
            let mut text = String::new();
            numeric::write(number, &mut text);
            out.push(3);
            put_text(&text, out);
        }
        Json::String(text) => {
            out.push(4);
            put_text(text, out);
        }
        Json::Array(items) => {
            out.push(5);
            put_length(items.len(), out);
            items.iter().for_each(|item| put(item, out));
        }
        Json::Object(members) => {
            out.push(6);
            put_length(members.len(), out);
            for (key, value) in members {
                put_text(key, out);
                put(value, out);
            }
        }
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Reads what [`put`] wrote; None if it is no such thing.
pub(crate) fn take(bytes: &[u8]) -> Option<Json> {
    let mut rest = bytes;
    let json = value(&mut rest, 0)?;
    rest.is_empty().then_some(json)
}

fn value(rest: &mut &[u8], depth: usize) -> Option<Json> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (kind, tail) = rest.split_first()?;
    *rest = tail;
    Some(match kind {
        0 => Json::Null,
        1 => Json::Bool(false),
        2 => Json::Bool(true),
        3 => Json::Number(numeric::parse(text(rest)?).ok()?),
        4 => Json::String(text(rest)?.into()),
        5 => {
            let count = length(rest)?;
            let mut items = Vec::with_capacity(count.min(rest.len()));
            for _ in 0..count {
                items.push(value(rest, depth + 1)?);
            }
            Json::Array(items)
        }
        6 => {
            let count = length(rest)?;
            let mut members = Vec::with_capacity(count.min(rest.len()));
            for _ in 0..count {
                members.push((text(rest)?.into(), value(rest, depth + 1)?));
            }
            Json::Object(members)
        }
        _ => return None,
    })
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = length(rest)?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    std::str::from_utf8(head).ok()
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0usize;
    for shift in (0..56).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

//! bytea and uuid as text.

use std::fmt::Write;

use crate::error::{Error, Result};

/// Reads a bytea in hex (`\x…`) or escape form.
pub fn parse_bytea(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(hex) => parse_hex(hex),
        None => parse_escape(text),
    }
}

/// Reads pairs of hexadecimal digits, blanks between the pairs. 22023 otherwise.
pub fn parse_hex(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut characters = text.chars();
    let digit = |c: char| {
        c.to_digit(16).ok_or_else(|| Error::new("22023", format!("invalid hexadecimal digit: \"{c}\"")))
    };
    while let Some(high) = characters.find(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')) {
        let high = digit(high)?;
        let low = characters
            .next()
            .ok_or_else(|| Error::new("22023", "invalid hexadecimal data: odd number of digits"))?;
        bytes.push((high << 4 | digit(low)?) as u8);
    }
    Ok(bytes)
}

/// Reads the escape form: `\\` and `\ooo`.
pub fn parse_escape(text: &str) -> Result<Vec<u8>> {
    let invalid = || Error::new("22P02", "invalid input syntax for type bytea");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => return Err(invalid()),
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// Appends lower-case hexadecimal digits.
pub fn write_hex(bytes: &[u8], out: &mut String) {
    out.reserve(bytes.len() * 2);
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
}

/// Appends the escape form: printable ASCII as it is, backslashes doubled, the rest as `\ooo`.
pub fn write_escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
}

/// Appends a uuid: lower-case digits, with hyphens.
pub fn write_uuid(value: [u8; 16], out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{}", uuid::Uuid::from_bytes(value).hyphenated());
}

/// Reads a uuid: 32 hexadecimal digits, hyphens allowed after every fourth, braces around allowed.
pub fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let invalid = || Error::invalid_text("uuid", text);
    let body = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    let mut value = [0; 16];
    let mut rest = body.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    for (place, byte) in value.iter_mut().enumerate() {
        let [high, low, tail @ ..] = rest else { return Err(invalid()) };
        *byte = digit(*high).ok_or_else(invalid)? << 4 | digit(*low).ok_or_else(invalid)?;
        rest = match tail {
            [b'-', after @ ..] if place % 2 == 1 && place < 15 => after,
            _ => tail,
        };
    }
    if rest.is_empty() { Ok(value) } else { Err(invalid()) }
}

//! Keys and values as text: printable ASCII as it is, all else as `\xNN`, a backslash as `\\`.

use std::fmt::Write;

/// A key as given on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Key(pub(crate) Vec<u8>);

/// The key that a text stands for.
pub(crate) fn parse_key(text: &str) -> Result<Key, String> {
    unescape(text).map(Key)
}

/// Bytes as text.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing to a string never fails.
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text
}

/// The bytes that a text stands for.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("'{text}' is no key: a backslash begins \\xNN or \\\\");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        rest = if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            after
        } else {
            let digits = after.strip_prefix('x').and_then(|digits| digits.split_at_checked(2));
            let (digits, after) = digits.ok_or_else(wrong)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            after
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_and_other_backslashes_are_refused() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&all)).unwrap(), all);
        assert_eq!(escape(b"d/a\\\x00\xff"), "d/a\\\\\\x00\\xff");
        for wrong in ["\\", "\\n", "\\x1", "\\xg0", "\\x\u{e9}"] {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
    }
}

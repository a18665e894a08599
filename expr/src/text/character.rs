//! "char": one byte, of which those beyond ASCII are held, and written, as a backslash and three octal digits.

/// The text that stands for a byte; the empty one for 0.
pub fn of_byte(byte: u8) -> String {
    match byte {
        0 => String::new(),
        1..=0x7f => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

/// The byte that a text means: the one that its octal digits say, or its first.
pub fn byte_of(text: &str) -> u8 {
    let digit = |byte: u8| matches!(byte, b'0'..=b'7').then(|| u32::from(byte - b'0'));
    if let [b'\\', first, second, third] = text.as_bytes()
        && let (Some(first), Some(second), Some(third)) = (digit(*first), digit(*second), digit(*third))
    {
        // What is above 8 bits is lost.
        return ((first << 6) | (second << 3) | third) as u8;
    }
    text.bytes().next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_read_back() {
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(&of_byte(byte)), byte);
        }
        assert_eq!(
            [byte_of("\\101"), byte_of("\\777"), byte_of("é"), byte_of("\\8"), byte_of("")],
            [b'A', 0xff, 0xc3, b'\\', 0]
        );
    }
}

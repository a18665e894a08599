//! Hardware addresses: the values of `macaddr` and `macaddr8`, which are held as their six or eight bytes.

use crate::datum::Datum;
use crate::error::{Error, Result};

/// What stands in the middle of eight bytes that six have become (EUI-64).
const MIDDLE: [u8; 2] = [0xff, 0xfe];

/// The bytes that a value holds. XX000 if it holds not as many.
pub(crate) fn octets<const N: usize>(value: &Datum) -> Result<[u8; N]> {
    let held = match value {
        Datum::Bytea(held) => held.as_ref().try_into().ok(),
        _ => None,
    };
    held.ok_or_else(|| Error::internal("a hardware address that is none"))
}

/// The value that holds these bytes.
pub(crate) fn datum<const N: usize>(octets: [u8; N]) -> Datum {
    Datum::Bytea(octets.to_vec().into())
}

/// Appends the bytes in hexadecimal digits with colons between them.
pub(crate) fn write(value: &Datum, out: &mut String) {
    let Datum::Bytea(held) = value else { return };
    let shown: Vec<String> = held.iter().map(|octet| format!("{octet:02x}")).collect();
    out.push_str(&shown.join(":"));
}

/// Eight bytes of six.
pub(crate) fn widened(octets: [u8; 6]) -> [u8; 8] {
    let [a, b, c, d, e, f] = octets;
    let [x, y] = MIDDLE;
    [a, b, c, x, y, d, e, f]
}

/// The six bytes that eight were made of. 22003 if they were not.
pub(crate) fn narrowed(octets: [u8; 8]) -> Result<[u8; 6]> {
    match octets {
        [a, b, c, x, y, d, e, f] if [x, y] == MIDDLE => Ok([a, b, c, d, e, f]),
        _ => Err(Error::new("22003", "macaddr8 data out of range to convert to macaddr").with_hint(
            "Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, for example \
             xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.",
        )),
    }
}

/// How six numbers stand in a text: with at most so many digits, and after each so many of them a separator.
struct Layout {
    digits: usize,
    every: usize,
    separator: u8,
}

const LAYOUTS: [Layout; 7] = [
    Layout { digits: usize::MAX, every: 1, separator: b':' },
    Layout { digits: usize::MAX, every: 1, separator: b'-' },
    Layout { digits: 2, every: 3, separator: b':' },
    Layout { digits: 2, every: 3, separator: b'-' },
    Layout { digits: 2, every: 2, separator: b'.' },
    Layout { digits: 2, every: 2, separator: b'-' },
    Layout { digits: 2, every: 6, separator: b':' },
];

/// Reads a `macaddr` in any of its layouts. 22P02 if it has none of them, 22003 for a number that is no byte.
pub(crate) fn parse_six(text: &str) -> Result<[u8; 6]> {
    let read = LAYOUTS.iter().find_map(|layout| laid_out(text.as_bytes(), layout));
    let numbers = read.ok_or_else(|| Error::invalid_text("macaddr", text))?;
    let mut octets = [0; 6];
    for (octet, number) in octets.iter_mut().zip(numbers) {
        *octet = number.ok_or_else(|| {
            Error::new("22003", format!("invalid octet value in \"macaddr\" value: \"{text}\""))
        })?;
    }
    Ok(octets)
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// The numbers of a text in a layout, None for one that is no byte; blanks may stand before each and at the end.
fn laid_out(text: &[u8], layout: &Layout) -> Option<[Option<u8>; 6]> {
    let mut numbers = [None; 6];
    let mut rest = text;
    for (place, number) in numbers.iter_mut().enumerate() {
        if place > 0 && place % layout.every == 0 {
            rest = rest.strip_prefix(&[layout.separator])?;
        }
        rest = without_blanks(rest);
        let count = rest.iter().take(layout.digits).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, behind) = rest.split_at_checked(count)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.is_empty())?;
        *number = u8::from_str_radix(digits, 16).ok();
        rest = behind;
    }
    without_blanks(rest).is_empty().then_some(numbers)
}

/// Reads a `macaddr8`: six or eight bytes of two digits each, with one kind of separator between any of them. 22P02 if it is
/// none.
pub(crate) fn parse_eight(text: &str) -> Result<[u8; 8]> {
    let octets =
        pairs(without_blanks(text.as_bytes())).ok_or_else(|| Error::invalid_text("macaddr8", text))?;
    match (<[u8; 6]>::try_from(octets.as_slice()), <[u8; 8]>::try_from(octets.as_slice())) {
        (Ok(six), _) => Ok(widened(six)),
        (_, Ok(eight)) => Ok(eight),
        _ => Err(Error::invalid_text("macaddr8", text)),
    }
}

/// The bytes of a text, at most eight; a character that is left over at the end is none.
fn pairs(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut octets = Vec::new();
    let mut separator = None;
    let mut rest = text;
    while let [high, low, behind @ ..] = rest {
        octets.push(digit(*high)? << 4 | digit(*low)?);
        rest = behind;
        if let [found @ (b':' | b'-' | b'.'), behind @ ..] = rest {
            if *separator.get_or_insert(*found) != *found {
                return None;
            }
            rest = behind;
        }
        if octets.len() > 8 {
            return None;
        }
        if matches!(octets.len(), 6 | 8) && rest.first().is_some_and(|byte| is_blank(*byte)) {
            return without_blanks(rest).is_empty().then_some(octets);
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<const N: usize>(octets: [u8; N]) -> String {
        let mut out = String::new();
        write(&datum(octets), &mut out);
        out
    }

    #[test]
    fn six_bytes_stand_in_any_layout() {
        for text in [
            "08:00:2b:01:02:03",
            "08-00-2b-01-02-03",
            "08002b:010203",
            "08002b-010203",
            "0800.2b01.0203",
            "0800-2b01-0203",
            "08002b010203",
            " 8:0:2B:1:2:3 ",
        ] {
            assert_eq!(shown(parse_six(text).unwrap()), "08:00:2b:01:02:03", "{text}");
        }
        for text in [
            "",
            "08:00:2b:01:02",
            "08:00:2b:01:02:03:04",
            "08:00:2b:01:02:0g",
            "0800:2b01:0203",
            "8 :0:2b:1:2:3",
        ] {
            assert_eq!(parse_six(text).unwrap_err().sqlstate, "22P02", "{text}");
        }
        assert_eq!(parse_six("08:00:2b:01:02:100").unwrap_err().sqlstate, "22003");
    }

    #[test]
    fn eight_bytes_may_be_six() {
        for text in
            ["08:00:2b:01:02:03:04:05", "08002b:0102030405", "0800.2b01.0203.0405", " 08002b0102030405 "]
        {
            assert_eq!(shown(parse_eight(text).unwrap()), "08:00:2b:01:02:03:04:05", "{text}");
        }
        assert_eq!(shown(parse_eight("08002b010203").unwrap()), "08:00:2b:ff:fe:01:02:03");
        for text in ["", "08:00:2b:01:02:03:04", "08:00-2b:01:02:03", "8:0:2b:1:2:3:4:5", "08002b010203 0405"]
        {
            assert!(parse_eight(text).is_err(), "{text}");
        }
        assert_eq!(narrowed(widened([1, 2, 3, 4, 5, 6])).unwrap(), [1, 2, 3, 4, 5, 6]);
        assert!(narrowed([0; 8]).is_err());
    }
}

//! Places in a write-ahead log: the values of `pg_lsn`, numbers of 64 bits without a sign.
//!
//! A value is held as a bigint that is 2^63 less, so that it orders, is stored and stands in keys as any other.

use crate::datum::Datum;
use crate::error::{Error, Result};

/// So many digits at most stand before the slash, and behind it.
const DIGITS_MAX: usize = 8;

/// The place that a value holds. XX000 if it holds none.
pub(crate) fn of(value: &Datum) -> Result<u64> {
    match value {
        Datum::Int8(held) => Ok((held ^ i64::MIN) as u64),
        _ => Err(Error::internal("a place in a log that is none")),
    }
}

/// The value that holds it.
pub(crate) fn datum(place: u64) -> Datum {
    Datum::Int8(place as i64 ^ i64::MIN)
}

/// Reads `16/B374D848`: the upper and the lower half in hexadecimal digits. 22P02 if it is none.
pub(crate) fn parse(text: &str) -> Result<u64> {
    let half = |digits: &str| {
        let fits =
            (1..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| fits)
    };
    text.split_once('/')
        .and_then(|(upper, lower)| Some(u64::from(half(upper)?) << 32 | u64::from(half(lower)?)))
        .ok_or_else(|| Error::invalid_text("pg_lsn", text))
}

/// Appends it as it is read, without zeros in front.
pub(crate) fn write(place: u64, out: &mut String) {
    out.push_str(&format!("{:X}/{:X}", place >> 32, place as u32));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;

    fn shown(place: u64) -> String {
        let mut out = String::new();
        write(place, &mut out);
        out
    }

    proptest! {
        #[test]
        fn places_read_back_and_order_as_numbers(one in any::<u64>(), other in any::<u64>()) {
            prop_assert_eq!(parse(&shown(one)).unwrap(), one);
            prop_assert_eq!(of(&datum(one)).unwrap(), one);
            prop_assert_eq!(compare(&datum(one), &datum(other)), one.cmp(&other));
        }
    }

    #[test]
    fn halves_are_hexadecimal() {
        assert_eq!(shown(parse("16/b374D848").unwrap()), "16/B374D848");
        assert_eq!(shown(parse("00000000/0000000A").unwrap()), "0/A");
        assert_eq!(shown(u64::MAX), "FFFFFFFF/FFFFFFFF");
        for text in [
            "",
            "0",
            "/",
            "0/",
            "/0",
            "G/0",
            "-1/0",
            "+1/0",
            " 0/12345678",
            "16AE7F7",
            "ABCD/ABCD ",
            "123456789/0",
            "1/2/3",
        ] {
            assert_eq!(parse(text).unwrap_err().sqlstate, "22P02", "{text}");
        }
    }
}

//! Money: amounts in hundredths, written as the C locale's `lc_monetary` has PostgreSQL write them.

use crate::error::{Error, Result};

/// How many digits stand behind the point.
pub(crate) const DIGITS: i64 = 2;

/// How many hundredths a unit has.
pub(crate) const UNIT: i64 = 100;

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// What stands behind blanks, perhaps a `$`, and more blanks.
fn behind_symbol(text: &[u8]) -> &[u8] {
    let text = without_blanks(text);
    text.strip_prefix(b"$").map_or(text, without_blanks)
}

/// Reads an amount: digits, commas anywhere between them, a point; a sign before or behind, or parentheses, which say that
/// it is below zero; `$`. Further digits are rounded. 22P02 and 22003.
pub(crate) fn parse(text: &str) -> Result<i64> {
    let invalid = || Error::invalid_text("money", text);
    let out_of_range = || Error::new("22003", format!("value \"{text}\" is out of range for type money"));
    let rest = behind_symbol(text.as_bytes());
    let (mut negative, rest) = match rest {
        [b'-' | b'(', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut rest = behind_symbol(rest);
    // The amount below zero: there is one more of those.
    let (mut amount, mut decimals) = (0_i64, None);
    let append = |amount: i64, digit: i64| amount.checked_mul(10)?.checked_sub(digit);
    while let [byte, behind @ ..] = rest {
        match byte {
            b'0'..=b'9' if decimals.is_none_or(|count| count < DIGITS) => {
                amount = append(amount, i64::from(byte - b'0')).ok_or_else(out_of_range)?;
                decimals = decimals.map(|count| count + 1);
            }
            b'.' if decimals.is_none() => decimals = Some(0),
            b',' => {}
            _ => break,
        }
        rest = behind;
    }
    if let [b'5'..=b'9', ..] = rest {
        amount = amount.checked_sub(1).ok_or_else(out_of_range)?;
    }
    for _ in decimals.unwrap_or(0)..DIGITS {
        amount = append(amount, 0).ok_or_else(out_of_range)?;
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    for byte in rest.iter().skip(digits) {
        match byte {
            b'-' => negative = true,
            b')' | b'+' | b'$' => {}
            byte if is_blank(*byte) => {}
            _ => return Err(invalid()),
        }
    }
    if negative { Ok(amount) } else { amount.checked_neg().ok_or_else(out_of_range) }
}

/// Appends `-$1,234.50`.
pub(crate) fn write(amount: i64, out: &mut String) {
    let hundredths = amount.unsigned_abs();
    let units = (hundredths / UNIT.unsigned_abs()).to_string();
    out.push_str(if amount < 0 { "-$" } else { "$" });
    for (place, digit) in units.chars().enumerate() {
        if place > 0 && (units.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(&format!(".{:02}", hundredths % UNIT.unsigned_abs()));
}

/// Below twenty, and twenty.
const SMALL: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

const TENS: [&str; 10] =
    ["", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Thousands and their powers, the greatest first.
const POWERS: [(u64, &str); 5] = [
    (1_000_000_000_000_000, "quadrillion"),
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];

/// A number below a thousand in words.
fn number_in_words(number: u64) -> String {
    let word = |words: &[&'static str], place: u64| {
        usize::try_from(place).ok().and_then(|place| words.get(place)).copied().unwrap_or_default()
    };
    let rest = number % 100;
    let tens = match (word(&SMALL, rest), rest % 10) {
        (small, _) if !small.is_empty() => small.to_owned(),
        (_, 0) => word(&TENS, rest / 10).to_owned(),
        (_, ones) => format!("{} {}", word(&TENS, rest / 10), word(&SMALL, ones)),
    };
    match (number / 100, rest) {
        (0, _) => tens,
        (hundreds, 0) => format!("{} hundred", word(&SMALL, hundreds)),
        (hundreds, 1..=19) => format!("{} hundred and {tens}", word(&SMALL, hundreds)),
        (hundreds, _) => format!("{} hundred {tens}", word(&SMALL, hundreds)),
    }
}

/// `One dollar and twenty three cents`
pub(crate) fn in_words(amount: i64) -> String {
    let hundredths = amount.unsigned_abs();
    let (dollars, cents) = (hundredths / UNIT.unsigned_abs(), hundredths % UNIT.unsigned_abs());
    let mut words = String::new();
    for (power, name) in POWERS {
        if let count @ 1.. = dollars / power % 1000 {
            words.push_str(&format!("{} {name} ", number_in_words(count)));
        }
    }
    match dollars % 1000 {
        0 if dollars > 0 => {}
        rest => words.push_str(&number_in_words(rest)),
    }
    let dollar = if dollars == 1 { "dollar" } else { "dollars" };
    let cent = if cents == 1 { "cent" } else { "cents" };
    let sign = if amount < 0 { "minus " } else { "" };
    let whole = format!("{sign}{words} {dollar} and {} {cent}", number_in_words(cents));
    let mut characters = whole.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn amounts_read_back(amount in prop_oneof![any::<i64>(), -1000i64..1000, Just(i64::MIN), Just(i64::MAX)]) {
            let mut text = String::new();
            write(amount, &mut text);
            prop_assert_eq!(parse(&text).unwrap(), amount);
        }

        #[test]
        fn garbage_is_an_error_or_an_amount_but_never_a_panic(text in "[-+$(). ,0-9]{0,24}") {
            let _ = parse(&text);
            in_words(text.len() as i64 * 12_345);
        }
    }

    #[test]
    fn amounts_are_read_as_postgresql_does() {
        for (text, amount) in [
            ("", 0),
            ("$1,234.567", 123_457),
            ("($5.01)", -501),
            ("$-5", -500),
            ("-5.005", -501),
            ("5-", -500),
            ("1,2,3", 12_300),
            ("  $ 12  ", 1200),
            ("5.1,29", 513),
            ("(1", -100),
            ("1.5)-", -150),
            ("-92233720368547758.084", i64::MIN),
        ] {
            assert_eq!(parse(text).unwrap(), amount, "{text}");
        }
        for text in ["abc", "12x", "1.2.3", "--5", "5.12 9", "1-1"] {
            assert_eq!(parse(text).unwrap_err().sqlstate, "22P02", "{text}");
        }
        for text in ["92233720368547758.08", "92233720368547758.075", "-92233720368547758.085"] {
            assert_eq!(parse(text).unwrap_err().sqlstate, "22003", "{text}");
        }
    }

    #[test]
    fn amounts_have_words() {
        assert_eq!(in_words(123), "One dollar and twenty three cents");
        assert_eq!(
            in_words(-123_456_789),
            "Minus one million two hundred thirty four thousand five hundred sixty seven dollars and eighty nine cents"
        );
        assert_eq!(in_words(100_000_000), "One million  dollars and zero cents");
        assert_eq!(in_words(11_580), "One hundred and fifteen dollars and eighty cents");
        assert_eq!(in_words(0), "Zero dollars and zero cents");
    }
}

//! Unicode: escapes of code points, and normal forms (Unicode Standard Annex 15, by the crate unicode-normalization).

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::{is_nfc, is_nfd, is_nfkc, is_nfkd};

use super::arguments::text;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::work;

fn invalid_escape() -> Error {
    Error::new("42601", "invalid Unicode escape")
        .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
}

fn invalid_pair() -> Error {
    Error::new("42601", "invalid Unicode surrogate pair")
}

/// The number behind a backslash and what is left of the text.
fn escaped(rest: &str) -> Result<(u32, &str)> {
    let (digits, skip) = match rest.chars().next() {
        Some('+') => (6, 1),
        Some('u') => (4, 1),
        Some('U') => (8, 1),
        _ => (4, 0),
    };
    let digits = rest.get(skip..skip + digits).filter(|all| all.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let digits = digits.ok_or_else(invalid_escape)?;
    let number = u32::from_str_radix(digits, 16).map_err(|_| invalid_escape())?;
    Ok((number, rest.get(skip + digits.len()..).unwrap_or_default()))
}

/// The text with its escapes of code points replaced by those.
pub(super) fn unistr(value: &Datum) -> Result<Datum> {
    let mut rest = text(value)?;
    let mut out = String::with_capacity(rest.len());
    let mut high: Option<u32> = None;
    while let Some((plain, behind)) = rest.split_once('\\') {
        if high.is_some() && !plain.is_empty() {
            return Err(invalid_pair());
        }
        out.push_str(plain);
        if let Some(behind) = behind.strip_prefix('\\') {
            if high.is_some() {
                return Err(invalid_pair());
            }
            out.push('\\');
            rest = behind;
            continue;
        }
        let (number, behind) = escaped(behind)?;
        rest = behind;
        let number = match (high.take(), number) {
            (None, 0xD800..=0xDBFF) => {
                high = Some(number);
                continue;
            }
            (Some(high), 0xDC00..=0xDFFF) => 0x1_0000 + ((high - 0xD800) << 10) + (number - 0xDC00),
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => return Err(invalid_pair()),
            (None, number) => number,
        };
        let invalid = || Error::new("22023", format!("invalid Unicode code point: {number:04X}"));
        out.push(char::from_u32(number).filter(|c| *c != '\0').ok_or_else(invalid)?);
    }
    if high.is_some() {
        return Err(invalid_pair());
    }
    out.push_str(rest);
    Ok(Datum::from(out))
}

/// The text, and the form that is meant: by default NFC.
fn with_form(args: &[Datum]) -> Result<(&str, String)> {
    let value = text(args.first().unwrap_or(&Datum::Null))?;
    let form = args.get(1).map_or(Ok("NFC"), text)?;
    work::step(value.len())?;
    Ok((value, form.to_ascii_uppercase()))
}

fn invalid_form(args: &[Datum]) -> Error {
    let form = args.get(1).and_then(Datum::as_str).unwrap_or_default();
    Error::new("22023", format!("invalid normalization form: {form}"))
}

pub(super) fn normalize(args: &[Datum]) -> Result<Datum> {
    let (value, form) = with_form(args)?;
    let normal: String = match form.as_str() {
        "NFC" => value.nfc().collect(),
        "NFD" => value.nfd().collect(),
        "NFKC" => value.nfkc().collect(),
        "NFKD" => value.nfkd().collect(),
        _ => return Err(invalid_form(args)),
    };
    work::fits(normal.len())?;
    Ok(Datum::from(normal))
}

pub(super) fn is_normalized(args: &[Datum]) -> Result<Datum> {
    let (value, form) = with_form(args)?;
    let is_normal = match form.as_str() {
        "NFC" => is_nfc(value),
        "NFD" => is_nfd(value),
        "NFKC" => is_nfkc(value),
        "NFKD" => is_nfkd(value),
        _ => return Err(invalid_form(args)),
    };
    Ok(Datum::Bool(is_normal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_code_points() {
        let of = |escaped: &str| match unistr(&Datum::text(escaped)) {
            Ok(value) => value.as_str().unwrap().to_owned(),
            Err(error) => error.message.to_string(),
        };
        assert_eq!(of(r"d\0061t\+000061 \u00e4\U0001F600\\"), "data ä😀\\");
        assert_eq!(of(r"\D83D\DE00"), "😀");
        assert_eq!(of(r"\D83D"), "invalid Unicode surrogate pair");
        assert_eq!(of(r"\D83Dx\DE00"), "invalid Unicode surrogate pair");
        assert_eq!(of(r"\DE00"), "invalid Unicode surrogate pair");
        assert_eq!(of(r"\00"), "invalid Unicode escape");
        assert_eq!(of(r"\U00110000"), "invalid Unicode code point: 110000");
    }

    #[test]
    fn forms_differ_in_what_is_put_together() {
        let normal = |value: &str, form: &str| {
            let normal = normalize(&[Datum::text(value), Datum::text(form)]).unwrap();
            normal.as_str().unwrap().to_owned()
        };
        assert_eq!(normal("a\u{308}", "nfc"), "ä");
        assert_eq!(normal("ä", "NFD"), "a\u{308}");
        assert_eq!(normal("ﬁ", "NFC"), "ﬁ");
        assert_eq!(normal("ﬁ", "NFKD"), "fi");
        assert!(is_normalized(&[Datum::text("ä")]).unwrap().is_true());
        assert!(!is_normalized(&[Datum::text("ä"), Datum::text("NFD")]).unwrap().is_true());
    }
}

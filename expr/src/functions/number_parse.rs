//! to_number: a number read from text by a template ([`super::number_format`]), in the C locale.
//!
//! Each part of the template stands for one character of the text, roughly: a place takes a digit if there is one and skips
//! what else there is; signs, groups and literals are skipped where they are.

use super::arguments::text;
use super::number_format::{Part, Template};
use crate::datum::{Datum, Numeric};
use crate::error::{Error, Result};
use crate::numeric;
use crate::work;

/// No blank that a template allows for swallows one of these.
const DATA: &[u8] = b"0123456789.,+-";

pub(super) fn to_number(source: &Datum, format: &Datum) -> Result<Datum> {
    let (source, format) = (text(source)?, text(format)?);
    if format.is_empty() {
        return Ok(Datum::Null);
    }
    work::spend(source.len().saturating_add(format.len()))?;
    let template = Template::of(format)?;
    if template.has_exponent {
        return Err(Error::unsupported("\"EEEE\" not supported for input"));
    }
    if template.parts.iter().any(|part| matches!(part, Part::Roman { .. })) {
        return Err(Error::unsupported("\"RN\" not supported for input"));
    }
    let mut reader = Reader::new(&template, source);
    for part in &template.parts {
        if reader.rest().is_empty() {
            break;
        }
        reader.part(part);
    }
    let number = reader.number()?;
    if !template.has_shift {
        return Ok(Datum::Numeric(number));
    }
    let shift = i64::try_from(template.shift).unwrap_or(i64::MAX).saturating_neg();
    let unit = numeric::power(&Numeric::from(10_i64), &Numeric::from(shift))?;
    numeric::multiply(&number, &unit).map(Datum::Numeric)
}

/// A text on its way through a template. A place stands for one byte, as in PostgreSQL, so what is left may begin within a
/// character.
struct Reader<'t> {
    template: &'t Template,
    source: &'t [u8],
    /// What is read, in bytes.
    at: usize,
    sign: Option<u8>,
    /// The digits and the point.
    digits: String,
    /// Digits before the point, and behind it.
    whole: usize,
    fraction: usize,
    has_point: bool,
}

impl<'t> Reader<'t> {
    fn new(template: &'t Template, source: &'t str) -> Self {
        Self {
            template,
            source: source.as_bytes(),
            at: 0,
            sign: None,
            digits: String::new(),
            whole: 0,
            fraction: 0,
            has_point: false,
        }
    }

    fn rest(&self) -> &'t [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.source.len());
    }

    /// Skips a character, by what its first byte says of its length.
    fn skip_character(&mut self) {
        self.skip(match self.next() {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf7) => 4,
            _ => 1,
        });
    }

    /// Skips so many characters, unless they say something about the number.
    fn skip_other(&mut self, characters: usize) {
        for _ in 0..characters {
            if self.next().is_none_or(|byte| DATA.contains(&byte)) {
                break;
            }
            self.skip_character();
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Digit { .. } => self.place(true),
            Part::Point => self.place(false),
            // Of a tight number groups are no part.
            Part::Comma if self.template.is_tight => {}
            Part::Comma => self.skip(usize::from(self.next() == Some(b','))),
            Part::Literal(literal) => {
                for _ in literal.chars() {
                    self.skip_character();
                }
            }
            Part::Currency => self.skip_other(1),
            // What has a point has no ordinal.
            Part::Ordinal { .. } if self.template.has_point => {}
            Part::Ordinal { .. } => self.skip_other(2),
            Part::Minus => self.sign_or_other(b"-"),
            Part::Plus => self.sign_or_other(b"+"),
            Part::Sign => self.sign_or_other(b"+-"),
            Part::Roman { .. } => {}
        }
    }

    /// Takes a sign, if it is one of these.
    fn sign_or_other(&mut self, signs: &[u8]) {
        match self.next().filter(|next| signs.contains(next)) {
            Some(sign) => {
                self.sign = Some(sign);
                self.skip(1);
            }
            None => self.skip_other(1),
        }
    }

    fn has_begun(&self) -> bool {
        self.whole > 0 || self.fraction > 0
    }

    /// Takes what stands at a place for a digit, or for the point, and the sign beside it.
    fn place(&mut self, is_digit: bool) {
        if self.next() == Some(b' ') {
            self.skip(1);
        }
        if self.sign.is_none() && is_digit && !self.has_begun() {
            self.leading_sign();
        }
        // A place for what the text is too short for.
        let Some(next) = self.next() else { return };
        let mut has_read = false;
        if next.is_ascii_digit() {
            if self.has_point && self.fraction == self.template.fraction {
                self.skip(1);
                return;
            }
            self.digits.push(char::from(next));
            let count = if self.has_point { &mut self.fraction } else { &mut self.whole };
            *count = count.saturating_add(1);
            has_read = true;
        } else if next == b'.' && self.template.has_point && !self.has_point {
            self.digits.push('.');
            self.has_point = true;
            has_read = true;
        }
        if self.sign.is_none() && self.has_begun() {
            self.trailing_sign(has_read);
        }
        self.skip(1);
    }

    fn leading_sign(&mut self) {
        let is_bracketed = self.template.has_brackets && !self.has_sign_before();
        let sign = match self.next() {
            Some(b'-') => b'-',
            Some(b'+') => b'+',
            Some(b'<') if is_bracketed => b'-',
            _ => return,
        };
        self.sign = Some(sign);
        self.skip(1);
    }

    /// S stands before the places.
    fn has_sign_before(&self) -> bool {
        self.template.anchored_at.is_some_and(|at| at != self.template.whole)
    }

    /// A sign behind the last digit: by S just behind it; by MI, PL and SG also in the
    /// place of one digit more.
    fn trailing_sign(&mut self, has_read: bool) {
        let is_sign = |byte: Option<u8>| byte.filter(|byte| matches!(byte, b'+' | b'-'));
        if self.template.anchored_at.is_some() {
            if let Some(sign) = is_sign(self.rest().get(1).copied()).filter(|_| has_read) {
                self.sign = Some(sign);
                self.skip(1);
            }
        } else if !has_read && (self.template.has_plus || self.template.has_minus) {
            self.sign = is_sign(self.next());
        }
    }

    /// The number, of no more digits than there are places before the point.
    fn number(self) -> Result<Numeric> {
        let sign = char::from(self.sign.unwrap_or(b' '));
        let digits = self.digits.strip_suffix('.').unwrap_or(&self.digits);
        let number = numeric::parse(&format!("{sign}{digits}"))?;
        let places = self.template.whole.saturating_add(self.template.shift).saturating_add(self.fraction);
        let limit = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        numeric::fit(number, limit(places), limit(self.fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::session::SessionContext;
    use crate::types::{Type, TypeKind};

    /// What PostgreSQL 15 says: text, template, and the number or error.
    const NUMBERS: &[(&str, &str, &str)] = &[
        ("", "9", "22P02 invalid input syntax for type numeric: \" \""),
        ("1", "", "<NULL>"),
        ("1,234.5", "9G999D9", "1234.5"),
        ("1,234", "FM9,999", "123"),
        ("a1b2", "9999", "12"),
        (
            "123",
            "99.9",
            "22003 numeric field overflow | A field with precision 2, scale 0 must round to an absolute value less than 10^2.",
        ),
        ("1.23", "99.9", "1.2"),
        (".5", "9.9", "0.5"),
        ("12-", "99S", "-12"),
        ("12 -", "99S", "12"),
        ("12-", "999", "12"),
        ("1.5-", "FM9.999MI", "-1.5"),
        ("<1.5>", "9.9PR", "-1.5"),
        ("-1.5", "SG9.9", "-1.5"),
        ("$12", "L99", "12"),
        ("-12", "L99", "-12"),
        ("22nd5", "99th9", "225"),
        ("12345", "99V999", "12.3450000000000000"),
        ("1x2", "9\"y\"9", "12"),
        ("I", "RN", "0A000 \"RN\" not supported for input"),
        ("1", "9EEEE", "0A000 \"EEEE\" not supported for input"),
        ("1", "S9S", "42601 cannot use \"S\" twice"),
        ("-", "S9", "22P02 invalid input syntax for type numeric: \"-\""),
        ("1 2", "99", "12"),
        ("- 12", "99", "-1"),
    ];

    fn shown(result: Result<Datum>, session: &SessionContext) -> String {
        match result {
            Ok(Datum::Null) => "<NULL>".to_owned(),
            Ok(value) => codec::output(&value, Type::plain(TypeKind::Numeric), session).unwrap(),
            Err(error) => {
                let message = format!("{} {}", error.sqlstate, error.message);
                [Some(message), error.detail, error.hint]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" | ")
            }
        }
    }

    #[test]
    fn numbers_are_read_as_postgresql_reads_them() {
        let session = SessionContext::default();
        for (source, template, expected) in NUMBERS {
            let number = to_number(&Datum::text(*source), &Datum::text(*template));
            assert_eq!(shown(number, &session), *expected, "{source:?} by {template:?}");
        }
    }
}

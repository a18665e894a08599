//! to_char of numbers: templates of the manual's table 9.29, in the C locale.
//!
//! A template is read into a [`Template`]: places for digits, and what stands between them. Of the number, rounded to as many
//! digits behind the point as there are places for, each place then shows a digit, a zero, a blank or nothing.

use super::arguments::{exactly, mismatch, text};
use crate::datum::{Datum, Numeric};
use crate::error::{Error, Result};
use crate::numeric;
use crate::work;

/// The keywords, longer ones before those that they begin with.
const KEYWORDS: [&str; 20] = [
    "EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "V", "S", "L", "G", "D", "B", "C", "9", "0", ",",
    ".",
];

/// How many digits a double, and a real, has.
const DOUBLE_DIGITS: usize = 15;
const REAL_DIGITS: usize = 6;

/// The width of roman numbers.
const ROMAN_WIDTH: usize = 15;

/// What stands in a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// 9, or 0.
    Digit {
        is_zero: bool,
    },
    Point,
    Comma,
    /// L
    Currency,
    Literal(String),
    /// MI
    Minus,
    /// PL
    Plus,
    /// SG
    Sign,
    /// RN, rn
    Roman {
        upper: bool,
    },
    /// TH, th
    Ordinal {
        upper: bool,
    },
}

/// Where S stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Before,
    Behind,
}

/// A template, read.
#[derive(Debug, Default)]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
    /// Places before the point, and behind it.
    pub(super) whole: usize,
    pub(super) fraction: usize,
    /// The first place before the point that is a 0.
    zero_from: Option<usize>,
    /// So many places there are up to the last 0.
    zeros_to: usize,
    /// FM
    pub(super) is_tight: bool,
    pub(super) has_point: bool,
    /// S, and how many places stood before it.
    pub(super) anchored_at: Option<usize>,
    pub(super) has_minus: bool,
    pub(super) has_plus: bool,
    /// PR
    pub(super) has_brackets: bool,
    /// V, and how many 9s stand behind it.
    pub(super) has_shift: bool,
    pub(super) shift: usize,
    /// EEEE
    pub(super) has_exponent: bool,
}

fn wrong(message: &str) -> Error {
    Error::new("42601", message.to_owned())
}

impl Template {
    pub(super) fn of(format: &str) -> Result<Self> {
        let mut template = Self::default();
        let mut rest = format;
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                rest = template.quoted(rest.get(1..).unwrap_or_default());
                continue;
            }
            let is_next = |keyword: &&&str| {
                let word = rest.get(..keyword.len());
                word.is_some_and(|word| word == **keyword || word == keyword.to_lowercase())
            };
            let Some(keyword) = KEYWORDS.iter().find(is_next) else {
                let escaped = rest.strip_prefix("\\\"").map(|rest| ("\"", rest));
                let (literal, behind) = escaped.unwrap_or_else(|| rest.split_at(first.len_utf8()));
                template.parts.push(Part::Literal(literal.to_owned()));
                rest = behind;
                continue;
            };
            let upper = rest.starts_with(*keyword);
            template.keyword(keyword, upper)?;
            rest = rest.get(keyword.len()..).unwrap_or_default();
        }
        Ok(template)
    }

    /// Text between double quotes; what stands behind it.
    fn quoted<'f>(&mut self, format: &'f str) -> &'f str {
        let mut literal = String::new();
        let mut characters = format.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.parts.push(Part::Literal(literal));
                    return format.get(at.saturating_add(1)..).unwrap_or_default();
                }
                '\\' => literal.extend(characters.next().map(|(_, character)| character)),
                character => literal.push(character),
            }
        }
        self.parts.push(Part::Literal(literal));
        ""
    }

    fn keyword(&mut self, keyword: &str, upper: bool) -> Result<()> {
        if self.has_exponent && keyword != "EEEE" {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        match keyword {
            "9" | "0" => self.digit(keyword == "0")?,
            "." | "D" => {
                if self.has_point {
                    return Err(wrong("multiple decimal points"));
                }
                if self.has_shift {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.has_point = true;
                self.parts.push(Part::Point);
            }
            "," | "G" => self.parts.push(Part::Comma),
            "FM" => self.is_tight = true,
            "S" => {
                if self.anchored_at.is_some() {
                    return Err(wrong("cannot use \"S\" twice"));
                }
                if self.has_plus || self.has_minus || self.has_brackets {
                    return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
                }
                self.anchored_at = Some(self.whole);
            }
            "MI" | "PL" | "SG" => {
                if self.anchored_at.is_some() {
                    return Err(wrong(&format!("cannot use \"S\" and \"{keyword}\" together")));
                }
                self.has_minus |= keyword != "PL";
                self.has_plus |= keyword != "MI";
                self.parts.push(match keyword {
                    "MI" => Part::Minus,
                    "PL" => Part::Plus,
                    _ => Part::Sign,
                });
            }
            "PR" => {
                if self.anchored_at.is_some() || self.has_plus || self.has_minus {
                    return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
                }
                self.has_brackets = true;
            }
            "V" => {
                if self.has_point {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.has_shift = true;
            }
            "EEEE" => {
                if self.has_exponent {
                    return Err(wrong("cannot use \"EEEE\" twice"));
                }
                let has_other = self.is_tight
                    || self.anchored_at.is_some()
                    || self.has_brackets
                    || self.has_minus
                    || self.has_plus
                    || self.has_shift
                    || self.parts.iter().any(|part| matches!(part, Part::Roman { .. }));
                if has_other {
                    return Err(wrong("\"EEEE\" is incompatible with other formats").with_detail(
                        "\"EEEE\" may only be used together with digit and decimal point patterns.",
                    ));
                }
                self.has_exponent = true;
            }
            "RN" => self.parts.push(Part::Roman { upper }),
            "TH" => self.parts.push(Part::Ordinal { upper }),
            "L" => self.parts.push(Part::Currency),
            _ => {}
        }
        Ok(())
    }

    fn digit(&mut self, is_zero: bool) -> Result<()> {
        if self.has_brackets {
            let digit = if is_zero { "0" } else { "9" };
            return Err(wrong(&format!("\"{digit}\" must be ahead of \"PR\"")));
        }
        if is_zero && !self.has_point {
            self.zero_from.get_or_insert(self.whole);
        }
        // A 0 behind V is a place like those before it.
        if self.has_shift && !is_zero {
            self.shift = self.shift.saturating_add(1);
        } else if self.has_point {
            self.fraction = self.fraction.saturating_add(1);
        } else {
            self.whole = self.whole.saturating_add(1);
        }
        if is_zero {
            self.zeros_to = self.whole.saturating_add(self.fraction);
        }
        self.parts.push(Part::Digit { is_zero });
        Ok(())
    }

    /// Places before the point, those behind V included.
    fn places(&self) -> usize {
        self.whole.saturating_add(self.shift)
    }

    fn anchor(&self) -> Option<Anchor> {
        let at = self.anchored_at?;
        Some(if at == self.places() { Anchor::Behind } else { Anchor::Before })
    }
}

pub(super) fn numeric_to_char(value: &Datum, format: &Datum) -> Result<Datum> {
    let Datum::Numeric(value) = value else { return Err(mismatch()) };
    let template = Template::of(text(format)?)?;
    if let Some(roman) = roman_of(&template, numeric::to_f64(value)) {
        let whole = numeric::to_i64_rounded(value, "integer")?;
        return i32::try_from(whole).map(|_| roman).map_err(|_| Error::out_of_range("integer"));
    }
    if template.has_exponent {
        return Ok(scientific(&template, value));
    }
    let shifted = match template.shift {
        0 => value.clone(),
        shift => {
            let factor = numeric::power(&Numeric::from(10_i64), &Numeric::from(shift as i64))?;
            numeric::multiply(value, &factor)?
        }
    };
    let rounded = numeric::round(&shifted, i32::try_from(template.fraction).unwrap_or(i32::MAX))?;
    shown(&template, &digits_of(&rounded), template.fraction)
}

pub(super) fn integer_to_char(value: &Datum, format: &Datum) -> Result<Datum> {
    let value = value.as_i64().ok_or_else(mismatch)?;
    numeric_to_char(&Datum::Numeric(Numeric::from(value)), format)
}

pub(super) fn float_to_char(args: &[Datum]) -> Result<Datum> {
    let [value, format] = exactly(args)?;
    let (value, digits) = match value {
        Datum::Float4(value) => (f64::from(*value), REAL_DIGITS),
        Datum::Float8(value) => (*value, DOUBLE_DIGITS),
        _ => return Err(mismatch()),
    };
    let template = Template::of(text(format)?)?;
    if let Some(roman) = roman_of(&template, value) {
        return Ok(roman);
    }
    if template.has_exponent {
        return Ok(match value.is_finite() {
            true => scientific_double(&template, value),
            false => scientific(&template, &numeric::from_f64(value)?),
        });
    }
    let shifted = value * 10_f64.powi(i32::try_from(template.shift).unwrap_or(i32::MAX));
    let written = |value: f64, fraction: usize| match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => (if value > 0.0 { "Infinity" } else { "-Infinity" }).to_owned(),
        value => format!("{value:.fraction$}"),
    };
    let whole = written(shifted.abs(), 0).len();
    let fraction = template.fraction.min(digits.saturating_sub(whole));
    shown(&template, &written(shifted, fraction), fraction)
}

/// What RN shows of a number.
fn roman_of(template: &Template, value: f64) -> Option<Datum> {
    let upper = template.parts.iter().find_map(|part| match part {
        Part::Roman { upper } => Some(*upper),
        _ => None,
    })?;
    let number = value.round();
    let roman = match (1.0..4000.0).contains(&number) {
        true => roman(number as u32),
        false => return Some(Datum::from("#".repeat(ROMAN_WIDTH))),
    };
    let roman = if upper { roman } else { roman.to_lowercase() };
    Some(Datum::from(if template.is_tight { roman } else { format!("{roman:>ROMAN_WIDTH$}") }))
}

fn roman(mut number: u32) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut roman = String::new();
    for (value, sign) in SIGNS {
        while number >= value {
            roman.push_str(sign);
            number -= value;
        }
    }
    roman
}

/// With an exponent; `#` of what is no finite number.
fn scientific(template: &Template, value: &Numeric) -> Datum {
    let fraction = template.fraction;
    let Some(digits) = value.is_finite().then(|| digits_of(value)) else {
        let whole = "#".repeat(template.places());
        return Datum::from(format!(" {whole}.{}", "#".repeat(fraction + 4)));
    };
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => (" ", digits.as_str()),
    };
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let all: Vec<u8> = whole.bytes().chain(behind.bytes()).map(|digit| digit.wrapping_sub(b'0')).collect();
    let first = all.iter().position(|digit| *digit != 0);
    let mut exponent = first.map_or(0, |first| whole.len() as i64 - 1 - first as i64);
    let mut kept: Vec<u8> = all.iter().copied().skip(first.unwrap_or(0)).collect();
    kept.resize(kept.len().max(fraction + 2), 0);
    // Rounded half away from zero.
    let is_up = kept.get(fraction + 1).is_some_and(|digit| *digit >= 5) && first.is_some();
    kept.truncate(fraction + 1);
    if is_up {
        let mut carries = true;
        for digit in kept.iter_mut().rev() {
            if carries {
                carries = *digit == 9;
                *digit = if carries { 0 } else { *digit + 1 };
            }
        }
        if carries {
            kept.insert(0, 1);
            kept.truncate(fraction + 1);
            exponent += 1;
        }
    }
    let text: String = kept.iter().map(|digit| char::from(b'0'.wrapping_add(*digit))).collect();
    let (one, more) = text.split_at(1.min(text.len()));
    let point = if fraction > 0 { "." } else { "" };
    let sign_of_exponent = if exponent < 0 { '-' } else { '+' };
    Datum::from(format!("{sign}{one}{point}{more}e{sign_of_exponent}{:02}", exponent.abs()))
}

/// EEEE of a double: all of its digits count, not only those that surely survive.
fn scientific_double(template: &Template, value: f64) -> Datum {
    let exact = format!("{value:.*e}", template.fraction);
    let (digits, exponent) = exact.split_once('e').unwrap_or((&exact, "0"));
    let sign = if digits.starts_with('-') { "" } else { " " };
    let (sign_of_exponent, exponent) =
        exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    Datum::from(format!("{sign}{digits}e{sign_of_exponent}{exponent:0>2}"))
}

/// A number as text.
fn digits_of(value: &Numeric) -> String {
    let mut text = String::new();
    numeric::write(value, &mut text);
    text
}

/// A number in its template, of which so many places behind the point count.
fn shown(template: &Template, number: &str, fraction: usize) -> Result<Datum> {
    let (is_negative, digits) = match number.strip_prefix('-') {
        // What is rounded to nothing has no sign.
        Some(digits) => (digits.bytes().any(|digit| digit != b'0' && digit != b'.'), digits),
        None => (false, number),
    };
    let places = template.places();
    let whole = digits.find('.').unwrap_or(digits.len());
    let digits: Vec<char> = if whole > places {
        let filled = std::iter::repeat_n('#', places).chain(['.']);
        filled.chain(std::iter::repeat_n('#', fraction)).collect()
    } else {
        digits.chars().collect()
    };
    work::fits(template.parts.len().saturating_add(digits.len()))?;
    let mut writer = Writer::new(template, digits, whole.min(places), is_negative);
    for part in &template.parts {
        if !writer.part(part) {
            break;
        }
    }
    Ok(Datum::from(writer.out))
}

/// A number on its way into its template.
struct Writer<'t> {
    template: &'t Template,
    digits: Vec<char>,
    is_negative: bool,
    /// Places that the number leaves in front.
    blank: usize,
    /// FM: the last digit that says something; the point, if none behind it does.
    last: Option<usize>,
    has_brackets: bool,
    anchor: Option<Anchor>,
    /// The sign is written, or stands elsewhere.
    has_sign: bool,
    /// The number of the place behind the last.
    end: usize,
    /// The place that comes next, and the digit.
    place: usize,
    next: usize,
    /// A digit was written.
    has_begun: bool,
    out: String,
}

impl<'t> Writer<'t> {
    fn new(template: &'t Template, digits: Vec<char>, whole: usize, is_negative: bool) -> Self {
        let blank = template.places().saturating_sub(whole);
        let anchor = template.anchor();
        let apart = template.has_minus || template.has_plus;
        let has_sign = match apart {
            true => template.has_minus,
            false => !is_negative && template.is_tight && anchor.is_none(),
        };
        let mut end = template.fraction.saturating_add(template.places());
        if has_sign && blank == 0 {
            end = end.saturating_sub(1);
        }
        end = end.saturating_add(usize::from(template.has_point));
        Self {
            last: last_digit(template, &digits, blank),
            has_brackets: template.has_brackets && (is_negative || !template.is_tight),
            template,
            digits,
            is_negative,
            blank,
            anchor,
            has_sign,
            end,
            place: 0,
            next: 0,
            has_begun: false,
            out: String::new(),
        }
    }

    /// Writes what a part of the template shows; false if nothing more is shown at all.
    fn part(&mut self, part: &Part) -> bool {
        let is_tight = self.template.is_tight;
        let blank = if is_tight { "" } else { " " };
        match part {
            Part::Digit { is_zero } => return self.digit(*is_zero),
            Part::Point => return self.digit(false),
            Part::Comma if self.has_begun => self.out.push(','),
            Part::Comma => self.out.push_str(blank),
            Part::Literal(literal) => self.out.push_str(literal),
            // There is no currency.
            Part::Currency => self.out.push(' '),
            Part::Minus => self.out.push_str(if self.is_negative { "-" } else { blank }),
            Part::Plus => self.out.push_str(if self.is_negative { blank } else { "+" }),
            Part::Sign => self.out.push(self.sign()),
            Part::Ordinal { upper } => self.ordinal(*upper),
            Part::Roman { .. } => {}
        }
        true
    }

    fn sign(&self) -> char {
        if self.is_negative { '-' } else { '+' }
    }

    /// Whether the digit that comes next is the 0 before a point that nobody asks for.
    fn is_lone_zero(&self) -> bool {
        self.template.zero_from.is_none()
            && self.next == 0
            && self.digits.first() == Some(&'0')
            && self.template.fraction != 0
    }

    fn shows_nothing_behind_point(&self) -> bool {
        self.last.and_then(|last| self.digits.get(last)) == Some(&'.')
    }

    fn digit(&mut self, is_zero: bool) -> bool {
        let zero_from = self.template.zero_from;
        let begins = self.place >= self.blank || zero_from == Some(self.place);
        if !self.has_sign && begins && (!self.is_lone_zero() || self.shows_nothing_behind_point()) {
            self.write_sign();
        }
        let is_tight = self.template.is_tight;
        if self.place < self.blank {
            if zero_from.is_some_and(|from| from <= self.place) {
                self.out.push('0');
                self.has_begun = true;
            } else if !is_tight {
                self.out.push(' ');
            }
        } else {
            let Some(digit) = self.digits.get(self.next).copied() else { return false };
            if digit == '.' {
                if is_tight || !self.shows_nothing_behind_point() {
                    self.out.push('.');
                }
            } else if self.last.is_some_and(|last| self.next > last) && !is_zero {
                // Zeros at the end that are not asked for.
            } else if self.is_lone_zero() {
                if !is_tight {
                    self.out.push(' ');
                } else if self.shows_nothing_behind_point() {
                    self.out.push('0');
                }
            } else {
                self.out.push(digit);
                self.has_begun = true;
            }
            self.next = self.next.saturating_add(1);
        }
        let end = if self.last == Some(self.next) { self.place } else { self.end };
        if self.place.saturating_add(1) == end {
            if self.has_sign && self.has_brackets {
                self.out.push(if self.is_negative { '>' } else { ' ' });
            } else if self.anchor == Some(Anchor::Behind) {
                self.out.push(self.sign());
            }
        }
        self.place = self.place.saturating_add(1);
        true
    }

    fn write_sign(&mut self) {
        match self.anchor {
            Some(Anchor::Before) => self.out.push(self.sign()),
            Some(Anchor::Behind) => return,
            None if self.has_brackets => self.out.push(if self.is_negative { '<' } else { ' ' }),
            None if self.is_negative => self.out.push('-'),
            None if !self.template.is_tight => self.out.push(' '),
            None => {}
        }
        self.has_sign = true;
    }

    fn ordinal(&mut self, upper: bool) {
        let last = self.digits.last().filter(|digit| digit.is_ascii_digit());
        let Some(last) = last else { return };
        if self.is_negative || self.template.has_point {
            return;
        }
        let tens = self.digits.len().checked_sub(2).and_then(|place| self.digits.get(place));
        let suffix = match last {
            _ if tens == Some(&'1') => "th",
            '1' => "st",
            '2' => "nd",
            '3' => "rd",
            _ => "th",
        };
        self.out.push_str(&if upper { suffix.to_uppercase() } else { suffix.to_owned() });
    }
}

/// The last digit behind the point that FM shows: the last that is not 0, or that a 0 of the template asks for.
fn last_digit(template: &Template, digits: &[char], blank: usize) -> Option<usize> {
    if !template.is_tight || !template.has_point {
        return None;
    }
    let point = digits.iter().position(|digit| *digit == '.')?;
    let behind = digits.iter().skip(point.saturating_add(1)).rposition(|digit| *digit != '0');
    let last = behind.map_or(point, |behind| point.saturating_add(1).saturating_add(behind));
    let asked = template.zeros_to.checked_sub(blank).filter(|asked| *asked > 0);
    Some(asked.map_or(last, |asked| last.max(asked.min(digits.len().saturating_sub(1)))))
}

//! `to_date` and `to_timestamp`: a time read from text by a template ([`super::time_pattern`]).
//!
//! The template's parts take what stands before them from the text, one after the other, until either ends; what the fields
//! have read makes a time ([`super::time_found`]).

use super::arguments::{exactly, text};
use super::time_format::{DAYS, DAYS_SHORT, MONTHS, MONTHS_SHORT, ROMAN};
use super::time_found::Found;
use super::time_pattern::{Field, Node, Pattern, Role, is_blank, is_separator, nodes};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::work;

const ERAS: [&str; 2] = ["AD", "BC"];
const ERAS_DOTTED: [&str; 2] = ["A.D.", "B.C."];
const MERIDIEMS: [&str; 2] = ["AM", "PM"];
const MERIDIEMS_DOTTED: [&str; 2] = ["A.M.", "P.M."];

/// Years of less than four digits are those next to 2020.
const NEAR_YEARS: [(i32, i32); 4] = [(70, 2000), (100, 1900), (520, 2000), (1000, 1000)];

const TRY_TIGHT: &str = "If your source string is not fixed-width, try using the \"FM\" modifier.";

pub(super) fn to_date(source: &Datum, template: &Datum) -> Result<Datum> {
    let source = text(source)?;
    read(source, text(template)?, false)?.date(source).map(Datum::Date)
}

pub(super) fn to_timestamp(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [source, template] = exactly(args)?;
    let source = text(source)?;
    read(source, text(template)?, false)?.instant(source, &session.time_zone).map(Datum::Timestamptz)
}

/// Reads a text by a template. `strictly`, as SQL/JSON wants it: what stands between fields has to be the same, and both end together.
pub(super) fn read(source: &str, template: &str, strictly: bool) -> Result<Found> {
    work::spend(source.len().saturating_add(template.len()))?;
    let mut nodes = nodes(template).peekable();
    let mut reader = Reader { source, at: 0, is_exact: strictly, extra: 0, found: Found::default() };
    let mut is_first = true;
    while let Some(node) = nodes.next() {
        if reader.rest().is_empty() {
            if strictly {
                return Err(Error::new("22007", "input string is too short for datetime format"));
            }
            break;
        }
        let skips = match node {
            Node::Pattern(pattern) => pattern.field != Field::Exact,
            Node::Character { .. } => is_first,
        };
        if skips && !reader.is_exact {
            reader.skip_blanks();
        }
        match node {
            Node::Character { character, role } if strictly => reader.same_character(character, role)?,
            Node::Character { role, .. } => reader.character(role),
            Node::Pattern(pattern) => reader.field(&pattern, nodes.peek())?,
        }
        is_first = false;
    }
    if strictly && blanks_before(reader.rest()) < reader.rest().len() {
        let message = "trailing characters remain in input string after datetime format";
        return Err(Error::new("22007", message));
    }
    Ok(reader.found)
}

/// A text on its way through a template.
struct Reader<'s> {
    source: &'s str,
    /// What is read, in bytes.
    at: usize,
    /// FX was read.
    is_exact: bool,
    /// So many more characters than the template has were skipped since the last field.
    extra: i32,
    found: Found,
}

impl<'s> Reader<'s> {
    fn rest(&self) -> &'s [u8] {
        self.source.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn skip_character(&mut self) {
        let next = self.source.get(self.at..).and_then(|rest| rest.chars().next());
        self.skip(next.map_or(0, char::len_utf8));
    }

    fn skip_blanks(&mut self) {
        let blanks = blanks_before(self.rest());
        self.skip(blanks);
        self.extra = self.extra.saturating_add(i32::try_from(blanks).unwrap_or(i32::MAX));
    }

    /// Takes what stands for a character of the template, which need not be the same.
    fn character(&mut self, role: Role) {
        if self.is_exact {
            self.skip_character();
        } else if role == Role::Text {
            // What was skipped may have been this character already, and the next one part of a field.
            match self.extra > 0 {
                true => self.extra = self.extra.saturating_sub(1),
                false => self.skip_character(),
            }
        } else {
            let next = self.rest().first().map(|next| char::from(*next));
            match next.is_some_and(|next| is_blank(next) || is_separator(next)) {
                true => self.skip_character(),
                false => self.extra = self.extra.saturating_sub(1),
            }
        }
    }

    /// Takes a character of the template, which has to be there.
    fn same_character(&mut self, wanted: char, role: Role) -> Result<()> {
        let next = self.source.get(self.at..).and_then(|rest| rest.chars().next());
        if next != Some(wanted) {
            let kind = if role == Role::Text { "character" } else { "separator" };
            return Err(Error::new("22007", format!("unmatched format {kind} \"{wanted}\"")));
        }
        self.skip(wanted.len_utf8());
        Ok(())
    }

    /// Takes a field; `next` is what follows it in the template.
    fn field(&mut self, pattern: &Pattern<'_>, next: Option<&Node<'_>>) -> Result<()> {
        self.found.follow(pattern.field.convention())?;
        self.value(pattern, next)?;
        let is_zone = matches!(pattern.field, Field::ZoneHour | Field::ZoneMinute);
        if pattern.ordinal.is_some() && pattern.field.is_number() && !is_zone {
            self.skip_character();
            self.skip_character();
        }
        if !self.is_exact {
            self.extra = 0;
            self.skip_blanks();
        }
        Ok(())
    }

    fn value(&mut self, pattern: &Pattern<'_>, next: Option<&Node<'_>>) -> Result<()> {
        let word = pattern.word;
        let ends = pattern.is_tight || pattern.ordinal.is_some() || ends_number(next);
        let number = |width: usize| Number { word, width, ends };
        if let Some((width, place)) = place_of(pattern) {
            return self.number(&number(width), place).map(|_| ());
        }
        let found = &mut self.found;
        match pattern.field {
            Field::Exact => self.is_exact = true,
            Field::Hour12 => {
                found.is_twelve_hours = true;
                self.number(&number(2), |found| &mut found.hour)?;
            }
            Field::Millis => self.fraction(&number(3), 3, |found| &mut found.millis)?,
            Field::Micros => self.fraction(&number(6), 6, |found| &mut found.micros)?,
            Field::Fraction(digits) => {
                found.fraction_digits = Some(digits);
                self.fraction(&number(digits as usize), 6, |found| &mut found.micros)?;
            }
            Field::IsoDayOfWeek => {
                self.number(&number(1), |found| &mut found.day_of_week)?;
                // From Monday = 1 to Sunday = 1.
                let day = self.found.day_of_week.wrapping_add(1);
                self.found.day_of_week = if day > 7 { 1 } else { day };
            }
            // A quarter says nothing about the day; it is read, and that is all.
            Field::Quarter => {
                number(1).read(self)?;
            }
            Field::Year { digits } | Field::IsoYear { digits } => {
                let length = self.number(&number(digits as usize), |found| &mut found.year)?;
                if digits < 4 && length < 4 {
                    self.found.year = near_year(self.found.year);
                }
                self.found.year_digits = digits;
            }
            Field::YearWithComma => self.year_with_comma(word)?,
            Field::Era { is_dotted } => {
                let place = self.name(if is_dotted { &ERAS_DOTTED } else { &ERAS }, word)?;
                set(&mut self.found.before_christ, place, word)?;
            }
            Field::Meridiem { is_dotted } => {
                let place = self.name(if is_dotted { &MERIDIEMS_DOTTED } else { &MERIDIEMS }, word)?;
                set(&mut self.found.afternoon, place, word)?;
                self.found.is_twelve_hours = true;
            }
            Field::MonthName => self.month_name(&MONTHS, word)?,
            Field::MonthNameShort => self.month_name(&MONTHS_SHORT, word)?,
            Field::MonthRoman => {
                // The longer of two that begin alike is the later.
                let places = ROMAN.iter().rev().zip((1..=12).rev());
                let place = self.one_of(places.map(|(name, month)| (*name, month)), word)?;
                set(&mut self.found.month, place, word)?;
            }
            Field::DayName => self.day_name(&DAYS, word)?,
            Field::DayNameShort => self.day_name(&DAYS_SHORT, word)?,
            Field::ZoneHour => {
                self.found.zone_sign = Some(self.zone_sign());
                self.number(&number(2), |found| &mut found.zone_hour)?;
            }
            Field::ZoneMinute => {
                found.zone_sign.get_or_insert(1);
                self.number(&number(2), |found| &mut found.zone_minute)?;
            }
            // Those whose number is all that they say were read above.
            _ => {
                return Err(Error::unsupported(format!(
                    "formatting field \"{word}\" is only supported in to_char"
                )));
            }
        }
        Ok(())
    }

    /// Takes a number for this place; its length.
    fn number(&mut self, number: &Number<'_>, place: Place) -> Result<usize> {
        let read = number.read(self)?;
        set(place(&mut self.found), read.value, number.word)?;
        Ok(read.length)
    }

    /// Takes a number as the first digits of a fraction of so many.
    fn fraction(&mut self, number: &Number<'_>, digits: usize, place: Place) -> Result<()> {
        let missing = digits.saturating_sub(self.number(number, place)?);
        let place = place(&mut self.found);
        *place = (0..missing).fold(*place, |value, _| value.wrapping_mul(10));
        Ok(())
    }

    /// The sign of a zone, which may have been skipped as a separator that the template does not have.
    fn zone_sign(&mut self) -> i32 {
        let before = self.source.as_bytes().get(..self.at).unwrap_or_default();
        let sign = match self.rest().first() {
            Some(b'-') => -1,
            Some(b'+' | b' ') => 1,
            _ => return if self.extra > 0 && before.ends_with(b"-") { -1 } else { 1 },
        };
        self.skip(1);
        sign
    }

    /// Thousands, a comma and up to three digits.
    fn year_with_comma(&mut self, word: &str) -> Result<()> {
        let wrong = || Error::new("22007", "invalid input string for \"Y,YYY\"");
        let rest = self.rest();
        let (thousands, behind) = scanned(rest, usize::MAX).ok_or_else(wrong)?;
        let behind = behind.strip_prefix(b",").ok_or_else(wrong)?;
        let (years, behind) = scanned(behind, 3).ok_or_else(wrong)?;
        set(&mut self.found.year, years.wrapping_add(thousands.wrapping_mul(1000)), word)?;
        self.found.year_digits = 4;
        self.skip(rest.len().saturating_sub(behind.len()));
        Ok(())
    }

    fn month_name(&mut self, names: &[&'static str; 12], word: &str) -> Result<()> {
        let month = self.name(names, word)?.saturating_add(1);
        set(&mut self.found.month, month, word)
    }

    fn day_name(&mut self, names: &[&'static str; 7], word: &str) -> Result<()> {
        let place = self.name(names, word)?;
        set(&mut self.found.day_of_week, place, word)?;
        self.found.day_of_week = self.found.day_of_week.saturating_add(1);
        Ok(())
    }

    /// Takes one of these names, in whatever case; the number of its place.
    fn name(&mut self, names: &[&'static str], word: &str) -> Result<i32> {
        self.one_of(names.iter().copied().zip(0..), word)
    }

    fn one_of(&mut self, mut names: impl Iterator<Item = (&'static str, i32)>, word: &str) -> Result<i32> {
        let rest = self.rest();
        let begins = |name: &str| {
            rest.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes()))
        };
        let Some((name, place)) = names.find(|(name, _)| begins(name)) else {
            let shown = rest.split(|byte| is_blank(char::from(*byte))).next().unwrap_or_default();
            return Err(invalid(shown, word)
                .with_detail("The given value did not match any of the allowed values for this field."));
        };
        self.skip(name.len());
        Ok(place)
    }
}

/// Where a number is kept.
type Place = fn(&mut Found) -> &mut i32;

/// The width and the place of a number that is kept as it is read.
fn place_of(pattern: &Pattern<'_>) -> Option<(usize, Place)> {
    fn of(width: usize, place: Place) -> Option<(usize, Place)> {
        Some((width, place))
    }
    match pattern.field {
        Field::Hour24 => of(2, |found| &mut found.hour),
        Field::Minute => of(2, |found| &mut found.minute),
        Field::Second => of(2, |found| &mut found.second),
        Field::SecondOfDay => of(pattern.word.len(), |found| &mut found.second_of_day),
        Field::Century => of(2, |found| &mut found.century),
        Field::DayOfYear | Field::IsoDayOfYear => of(3, |found| &mut found.day_of_year),
        Field::Day => of(2, |found| &mut found.day),
        Field::DayOfWeek => of(1, |found| &mut found.day_of_week),
        Field::Julian => of(1, |found| &mut found.julian),
        Field::Month => of(2, |found| &mut found.month),
        Field::Week | Field::IsoWeek => of(2, |found| &mut found.week),
        Field::WeekOfMonth => of(1, |found| &mut found.week_of_month),
        _ => None,
    }
}

/// How a number is to be read.
struct Number<'t> {
    word: &'t str,
    width: usize,
    /// As many digits as there are make it, rather than as many as it is wide.
    ends: bool,
}

/// A number that was read.
struct Digits {
    value: i32,
    /// In bytes, its sign and the blanks before it included.
    length: usize,
}

impl Number<'_> {
    fn read(&self, reader: &mut Reader<'_>) -> Result<Digits> {
        let Self { word, width, ends } = *self;
        let blanks = blanks_before(reader.rest());
        let rest = reader.rest().get(blanks..).unwrap_or_default();
        let shown = rest.get(..width).unwrap_or(rest);
        if !ends && rest.len() < width {
            return Err(Error::new(
                "22007",
                format!("source string too short for \"{word}\" formatting field"),
            )
            .with_detail(format!("Field requires {width} characters, but only {} remain.", rest.len()))
            .with_hint(TRY_TIGHT));
        }
        let (value, length) = leading_integer(if ends { rest } else { shown });
        if !ends && length > 0 && length < width {
            return Err(invalid(shown, word)
                .with_detail(format!("Field requires {width} characters, but only {length} could be parsed."))
                .with_hint(TRY_TIGHT));
        }
        // A fixed width of blanks is 0, if it is not read to its end.
        if length == 0 && (ends || blanks == 0) {
            return Err(invalid(shown, word).with_detail("Value must be an integer."));
        }
        let value = i32::try_from(value).map_err(|_| {
            Error::new("22008", format!("value for \"{word}\" in source string is out of range"))
                .with_detail(format!("Value must be in the range {} to {}.", i32::MIN, i32::MAX))
        })?;
        let length = blanks.saturating_add(length);
        reader.skip(length);
        Ok(Digits { value, length })
    }
}

/// Whether a number must end before this part of a template, whatever its width.
fn ends_number(next: Option<&Node<'_>>) -> bool {
    match next {
        Some(Node::Pattern(pattern)) => !pattern.field.is_number(),
        Some(Node::Character { character, .. }) => !character.is_ascii_digit(),
        None => true,
    }
}

/// The integer that a text begins with, at the ends of the range if it is beyond them, and its length; none has the length 0.
fn leading_integer(text: &[u8]) -> (i64, usize) {
    let (is_negative, unsigned) = match text {
        [b'-', unsigned @ ..] => (true, unsigned),
        [b'+', unsigned @ ..] => (false, unsigned),
        unsigned => (false, unsigned),
    };
    let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit());
    let (magnitude, count) = digits.fold((0_i64, 0_usize), |(value, count), digit| {
        let value = value.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0')));
        (value, count.saturating_add(1))
    });
    if count == 0 {
        return (0, 0);
    }
    let value = if is_negative { magnitude.saturating_neg() } else { magnitude };
    (value, text.len().saturating_sub(unsigned.len()).saturating_add(count))
}

/// The integer behind blanks, of at most so many characters and cut to 32 bits, and what follows it.
fn scanned(text: &[u8], length_max: usize) -> Option<(i32, &[u8])> {
    let text = text.get(blanks_before(text)..)?;
    let (value, length) = leading_integer(text.get(..length_max).unwrap_or(text));
    (length > 0).then_some((value as i32, text.get(length..)?))
}

fn blanks_before(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_blank(char::from(**byte))).count()
}

/// The year that one of less than four digits stands for.
fn near_year(year: i32) -> i32 {
    let near = NEAR_YEARS.iter().find(|(below, _)| year < *below);
    near.map_or(year, |(_, added)| year.wrapping_add(*added))
}

fn invalid(value: &[u8], word: &str) -> Error {
    let value = String::from_utf8_lossy(value);
    Error::new("22007", format!("invalid value \"{value}\" for \"{word}\""))
}

/// Sets what may have been set to the same before.
fn set(place: &mut i32, value: i32, word: &str) -> Result<()> {
    if *place != 0 && *place != value {
        return Err(Error::new(
            "22007",
            format!("conflicting values for \"{word}\" field in formatting string"),
        )
        .with_detail("This value contradicts a previous setting for the same field type."));
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::types::{Type, TypeKind};

    /// What PostgreSQL 15 says in New York: text, template, and the time or error.
    const TIMES: &[(&str, &str, &str)] = &[
        ("2003-04-02 15:06:07", "YYYY-MM-DD HH24:MI:SS", "2003-04-02 15:06:07-05"),
        (
            "2003-07-02 3 pm",
            "YYYY-MM-DD HH A.M.",
            "22007 invalid value \"pm\" for \"A.M.\" | The given value did not match any of the allowed values for this field.",
        ),
        ("69 70", "YY DD", "22008 date/time field value out of range: \"69 70\""),
        ("520", "YYY", "1520-01-01 00:00:00-04:56:02"),
        ("2,003", "Y,YYY", "2003-01-01 00:00:00-05"),
        ("x", "y,yyy", "22007 invalid input string for \"Y,YYY\""),
        ("44 BC", "YYYY BC", "0044-01-01 00:00:00-04:56:02 BC"),
        ("6 00 BC", "CC YY BC", "0600-01-01 00:00:00-04:56:02 BC"),
        ("20 50", "CC YY", "1950-01-01 00:00:00-05"),
        ("2003 May 05", "YYYY Mon DD", "2003-05-05 00:00:00-04"),
        ("2003 VIII 1", "YYYY RM DD", "2003-08-01 00:00:00-04"),
        (
            "2003 Mai 1",
            "YYYY Mon DD",
            "22007 invalid value \"Mai\" for \"Mon\" | The given value did not match any of the allowed values for this field.",
        ),
        ("2003-02-30", "YYYY-MM-DD", "22008 date/time field value out of range: \"2003-02-30\""),
        ("02-30", "MM-DD", "0001-03-01 00:00:00-04:56:02 BC"),
        ("2004 366", "YYYY DDD", "2004-12-31 00:00:00-05"),
        ("366", "DDD", "22007 cannot calculate day of year without year information"),
        ("2003 54", "YYYY WW", "22008 date/time field value out of range: \"2003 54\""),
        ("2003 05 2", "YYYY MM W", "2003-05-08 00:00:00-04"),
        ("2004 53 5", "IYYY IW ID", "2004-12-31 00:00:00-05"),
        ("2003 10 sunday", "IYYY IW Day", "2003-03-09 00:00:00-05"),
        ("2003 371", "IYYY IDDD", "2004-01-04 00:00:00-05"),
        (
            "2003 05",
            "IYYY MM",
            "22007 invalid combination of date conventions | Do not mix Gregorian and ISO week date conventions in a formatting template.",
        ),
        ("2451545", "J", "2000-01-01 00:00:00-05"),
        (
            "03 04",
            "YY YY",
            "22007 conflicting values for \"YY\" field in formatting string | This value contradicts a previous setting for the same field type.",
        ),
        (
            "2003 13",
            "YYYY HH",
            "22007 hour \"13\" is invalid for the 12-hour clock | Use the 24-hour clock, or give an hour between 1 and 12.",
        ),
        ("2003 24", "YYYY HH24", "22008 date/time field value out of range: \"2003 24\""),
        ("2003 1.5", "YYYY SS.MS", "2003-01-01 00:00:01.5-05"),
        ("2003 1.999999", "YYYY SS.FF2", "2003-01-01 00:00:02-05"),
        ("2003 1.1234567", "YYYY SS.US", "22008 date/time field value out of range: \"2003 1.1234567\""),
        ("2003 86399", "YYYY SSSS", "2003-01-01 23:59:59-05"),
        ("2003 +02:30", "YYYY TZH:TZM", "2002-12-31 16:30:00-05"),
        ("2003 -2", "YYYY TZH", "2002-12-31 21:00:00-05"),
        ("2003  -2", "YYYY TZH", "2002-12-31 21:00:00-05"),
        ("2003 --2", "YYYY-TZH", "2002-12-31 21:00:00-05"),
        ("2003 +16", "YYYY TZH", "22009 time zone displacement out of range: \"2003 +16\""),
        ("2003 UTC", "YYYY TZ", "0A000 formatting field \"TZ\" is only supported in to_char"),
        ("2003/JUN", "YYYY MON", "2003-06-01 00:00:00-04"),
        (
            "2003//JUN",
            "YYYY/MON",
            "22007 invalid value \"/JUN\" for \"MON\" | The given value did not match any of the allowed values for this field.",
        ),
        (
            "2003  JUN",
            "FXYYYY MON",
            "22007 invalid value \"\" for \"MON\" | The given value did not match any of the allowed values for this field.",
        ),
        ("2003 xx05", "YYYY\"xx\"MM", "22007 invalid value \"x0\" for \"MM\" | Value must be an integer."),
        ("2003 5", "YYYYMM", "2003-05-01 00:00:00-04"),
        ("2003x", "FXYYYYDD", "22007 invalid value \"x\" for \"DD\" | Value must be an integer."),
        ("2003 5th 6", "YYYY MMTH DD", "2003-05-06 00:00:00-04"),
        ("20035", "FMYYYYMM", "20035-01-01 00:00:00-05"),
        ("", "YYYY", "0001-01-01 00:00:00-04:56:02 BC"),
        ("2003", "YYYY-MM", "2003-01-01 00:00:00-05"),
        (
            "2003 99999999999",
            "YYYY MM",
            "22008 value for \"MM\" in source string is out of range | Value must be in the range -2147483648 to 2147483647.",
        ),
        ("294277-01-01", "YYYY-MM-DD", "22008 timestamp out of range"),
        ("4714-11-23 BC", "YYYY-MM-DD BC", "22008 timestamp out of range"),
        ("2147483647", "CC", "0200-01-01 00:00:00-04:56:02 BC"),
    ];

    fn shown(result: Result<Datum>, session: &SessionContext) -> String {
        match result {
            Ok(Datum::Null) => "<NULL>".to_owned(),
            Ok(value) => codec::output(&value, Type::plain(TypeKind::Timestamptz), session).unwrap(),
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
    fn times_are_read_as_postgresql_reads_them() {
        let mut session = SessionContext::default();
        session.set_time_zone("America/New_York").unwrap();
        for (source, template, expected) in TIMES {
            let args = [Datum::text(*source), Datum::text(*template)];
            assert_eq!(
                shown(to_timestamp(&args, &session), &session),
                *expected,
                "{source:?} by {template:?}"
            );
        }
    }
}

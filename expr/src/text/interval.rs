//! interval from text: `1 year 2 mons 3 days 04:05:06`, `1-2 3 4:05:06`, `P1Y2M3DT4H5M6S`, as PostgreSQL reads it
//! (`DecodeInterval` of its `datetime.c`): from the end to the beginning, so that a unit is known before its number.

use super::interval_iso;
use super::interval_sums::{Failure, Number, Sums};
use super::interval_token::{Kind, tokenize};
use crate::calendar::field::Field;
use crate::calendar::interval;
use crate::datum::Interval;
use crate::error::{Error, Result};
use crate::session::IntervalStyle;
use crate::types::IntervalFields;

/// How much of a unit's name counts.
const UNIT_BYTES_MAX: usize = 10;

/// Reads an interval, a sign before all of it as the style has it, and a number without a unit as the fields have it that
/// the interval is restricted to. 22007, 22008, 22015.
pub fn parse(text: &str, style: IntervalStyle, fields: Option<IntervalFields>) -> Result<Interval> {
    let read = match parse_words(text, style, fields) {
        Err(Failure::Syntax) => interval_iso::parse(text),
        read => read,
    };
    match read {
        Ok(sums) => interval::make(sums.years * 12 + sums.months, sums.days, sums.micros),
        Err(Failure::Syntax) => {
            Err(Error::new("22007", format!("invalid input syntax for type interval: \"{text}\"")))
        }
        Err(Failure::Overflow) => {
            Err(Error::new("22015", format!("interval field value out of range: \"{text}\"")))
        }
    }
}

/// What the next number to the left is of.
enum Unit {
    /// Nothing has said it.
    Unsaid,
    Of(Field),
    /// Of nothing: a number is wrong here.
    None,
}

/// A number, or years and months, with a sign or without.
enum Amount {
    Number(Number),
    Months(i64),
}

fn parse_words(
    text: &str,
    style: IntervalStyle,
    restricted: Option<IntervalFields>,
) -> Result<Sums, Failure> {
    let tokens = tokenize(text).ok_or(Failure::Syntax)?;
    let is_signed = |(kind, _): &(Kind, String)| *kind == Kind::Signed;
    // The standard has one sign before all fields.
    let is_negative = style == IntervalStyle::SqlStandard
        && tokens.first().is_some_and(|(_, text)| text.starts_with('-'))
        && !tokens.iter().skip(1).any(is_signed);
    let mut sums = Sums::default();
    let mut seen: Vec<Field> = Vec::new();
    let mut unit = Unit::Unsaid;
    let mut turns = false;
    for (kind, text) in tokens.iter().rev() {
        let time = match kind {
            Kind::Time => Some((time_micros(text, restricted)?, false)),
            Kind::Signed if text.contains(':') => {
                let micros = time_micros(text.get(1..).unwrap_or_default(), restricted).ok();
                micros.map(|micros| (micros, text.starts_with('-')))
            }
            _ => None,
        };
        let read: &[Field] = match (time, kind) {
            (Some((micros, is_turned)), _) => {
                let micros = if is_turned { micros.checked_neg().ok_or(Failure::Overflow)? } else { micros };
                sums.micros = if is_negative && micros > 0 { -micros } else { micros };
                unit = Unit::Of(Field::Day);
                &[Field::Hour, Field::Minute, Field::Second, Field::Milliseconds, Field::Microseconds]
            }
            (None, Kind::Word) => {
                unit = match text.as_str() {
                    "ago" => {
                        turns = true;
                        Unit::None
                    }
                    word => {
                        let word = word.get(..word.len().min(UNIT_BYTES_MAX)).unwrap_or_default();
                        Unit::Of(Field::from_name(word).ok_or(Failure::Syntax)?)
                    }
                };
                continue;
            }
            (None, _) => {
                let field = match unit {
                    Unit::Of(field) => field,
                    Unit::Unsaid => restricted.map_or(Field::Second, last_of),
                    Unit::None => return Err(Failure::Syntax),
                };
                let (number, field) = match amount(text)? {
                    Amount::Number(number) => (number, field),
                    Amount::Months(months) => (Number::whole(months), Field::Month),
                };
                let number = if is_negative { below_zero(number) } else { number };
                sums.add(number, field)?;
                // The number to the left of hours is of days.
                unit = Unit::Of(if field == Field::Hour { Field::Day } else { field });
                match field {
                    Field::Microseconds => &[Field::Microseconds],
                    Field::Milliseconds => &[Field::Milliseconds],
                    Field::Second if number.fraction != 0.0 => {
                        &[Field::Second, Field::Milliseconds, Field::Microseconds]
                    }
                    Field::Second => &[Field::Second],
                    Field::Minute => &[Field::Minute],
                    Field::Hour => &[Field::Hour],
                    Field::Day => &[Field::Day],
                    Field::Week => &[Field::Week],
                    Field::Month => &[Field::Month],
                    Field::Year => &[Field::Year],
                    Field::Decade => &[Field::Decade],
                    Field::Century => &[Field::Century],
                    _ => &[Field::Millennium],
                }
            }
        };
        if read.iter().any(|field| seen.contains(field)) {
            return Err(Failure::Syntax);
        }
        seen.extend(read);
    }
    match seen.is_empty() {
        true => Err(Failure::Syntax),
        false if turns => sums.turned(),
        false => Ok(sums),
    }
}

/// The last of the fields, which a number is of that nothing else is said of.
fn last_of(fields: IntervalFields) -> Field {
    use IntervalFields as Fields;
    match fields {
        Fields::Year => Field::Year,
        Fields::Month | Fields::YearToMonth => Field::Month,
        Fields::Day => Field::Day,
        Fields::Hour | Fields::DayToHour => Field::Hour,
        Fields::Minute | Fields::DayToMinute | Fields::HourToMinute => Field::Minute,
        Fields::Second | Fields::DayToSecond | Fields::HourToSecond | Fields::MinuteToSecond => Field::Second,
    }
}

fn below_zero(number: Number) -> Number {
    Number { whole: number.whole.min(number.whole.saturating_neg()), fraction: -number.fraction.abs() }
}

/// The digits, with a sign or without, that a text begins with, and what follows them. 0 if there are none.
fn take_whole(text: &str) -> Result<(i64, &str), Failure> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let unsigned = text.get(sign..).unwrap_or_default();
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at_checked(sign + digits).unwrap_or((text, ""));
    match digits {
        0 => Ok((0, text)),
        _ => Ok((whole.parse().map_err(|_| Failure::Overflow)?, rest)),
    }
}

/// `-12.5`, `1-2`
fn amount(text: &str) -> Result<Amount, Failure> {
    let (whole, rest) = take_whole(text)?;
    let is_negative = text.starts_with('-');
    if let Some(months) = rest.strip_prefix('-') {
        let (months, end) = take_whole(months)?;
        if !(0..12).contains(&months) {
            return Err(Failure::Overflow);
        }
        if !end.is_empty() {
            return Err(Failure::Syntax);
        }
        let months = if is_negative { -months } else { months };
        let all = whole.checked_mul(12).and_then(|years| years.checked_add(months));
        return all.map(Amount::Months).ok_or(Failure::Overflow);
    }
    let fraction = match rest.is_empty() {
        true => 0.0,
        false => fraction(rest)?,
    };
    Ok(Amount::Number(Number { whole, fraction: if is_negative { -fraction } else { fraction } }))
}

/// `.25`, or a point alone.
fn fraction(text: &str) -> Result<f64, Failure> {
    match text.strip_prefix('.') {
        Some("") => Ok(0.0),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("0.{digits}").parse().map_err(|_| Failure::Syntax)
        }
        _ => Err(Failure::Syntax),
    }
}

/// As [`take_whole_part`], of what has to fit into 32 bits.
fn take_narrow_part(part: &str) -> Result<(i64, &str), Failure> {
    let (value, rest) = take_whole_part(part)?;
    if i32::try_from(value).is_err() {
        return Err(Failure::Overflow);
    }
    Ok((value, rest))
}

/// `h:mm`, `h:mm:ss.ff` or `mm:ss.ff`, in microseconds; `mm:ss` where an interval is restricted to those.
fn time_micros(text: &str, restricted: Option<IntervalFields>) -> Result<i64, Failure> {
    let (first, rest) = take_whole_part(text)?;
    let (second, rest) = take_narrow_part(rest.strip_prefix(':').ok_or(Failure::Syntax)?)?;
    let is_narrow = i32::try_from(first).is_ok();
    let (hours, minutes, seconds, rest) = match rest.as_bytes().first() {
        None if restricted == Some(IntervalFields::MinuteToSecond) => (0, first, second, rest),
        None => (first, second, 0, rest),
        // Without an hour, whatever it is restricted to.
        Some(b'.') => (0, first, second, rest),
        Some(b':') => {
            let (third, rest) = take_narrow_part(rest.get(1..).unwrap_or_default())?;
            (first, second, third, rest)
        }
        Some(_) => return Err(Failure::Syntax),
    };
    let micros = match rest.is_empty() {
        true => 0,
        false => (fraction(rest)? * 1e6).round_ties_even() as i64,
    };
    if hours != first && !is_narrow || !(0..60).contains(&minutes) || !(0..=60).contains(&seconds) {
        return Err(Failure::Overflow);
    }
    let mut sums = Sums { micros, ..Sums::default() };
    for (value, field) in [(hours, Field::Hour), (minutes, Field::Minute), (seconds, Field::Second)] {
        sums.add(Number::whole(value), field)?;
    }
    Ok(sums.micros)
}

/// Digits of a time, or nothing.
fn take_whole_part(text: &str) -> Result<(i64, &str), Failure> {
    if text.starts_with(['-', '+']) {
        return Err(Failure::Syntax);
    }
    take_whole(text)
}

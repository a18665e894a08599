//! interval from text: `1 year 2 mons 3 days 04:05:06`, `1-2 3 4:05:06`, `P1Y2M3DT4H5M6S`.

use crate::calendar::field::Field;
use crate::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, interval};
use crate::datum::Interval;
use crate::error::{Error, Result};
use crate::session::IntervalStyle;

/// Why text is no interval.
enum Failure {
    Syntax,
    Overflow,
}

/// Reads an interval, a sign before all of it as the style has it. 22007, 22015.
pub fn parse(text: &str, style: IntervalStyle) -> Result<Interval> {
    let sums = match super::number::trim(text).strip_prefix(['P', 'p']) {
        Some(iso) => parse_iso(iso),
        None => parse_words(text, style),
    };
    let (sums, negate) = match sums {
        Ok(parsed) => parsed,
        Err(Failure::Syntax) => {
            return Err(Error::new("22007", format!("invalid input syntax for type interval: \"{text}\"")));
        }
        Err(Failure::Overflow) => {
            return Err(Error::new("22015", format!("interval field value out of range: \"{text}\"")));
        }
    };
    let value = interval::make(sums.years * 12 + sums.months, sums.days, sums.micros)?;
    if negate { interval::negate(value) } else { Ok(value) }
}

/// What the fields read so far add up to.
#[derive(Default)]
struct Sums {
    years: i64,
    months: i64,
    days: i64,
    micros: i64,
}

impl Sums {
    fn add_years(&mut self, years: Option<i64>) -> Result<(), Failure> {
        self.years = add_narrow(self.years, years)?;
        Ok(())
    }

    fn add_months(&mut self, months: Option<i64>) -> Result<(), Failure> {
        self.months = add_narrow(self.months, months)?;
        Ok(())
    }

    fn add_days(&mut self, days: Option<i64>) -> Result<(), Failure> {
        self.days = add_narrow(self.days, days)?;
        Ok(())
    }

    fn add_micros(&mut self, micros: Option<i64>) -> Result<(), Failure> {
        self.micros = micros.and_then(|micros| self.micros.checked_add(micros)).ok_or(Failure::Overflow)?;
        Ok(())
    }

    /// A fraction of so many microseconds, rounded.
    fn add_fraction(&mut self, fraction: f64, unit_micros: i64) -> Result<(), Failure> {
        let exact = fraction * unit_micros as f64;
        let mut whole = exact.trunc();
        let rest = exact - whole;
        if rest.abs() > 0.5 {
            whole += rest.signum();
        }
        self.add_micros(Some(whole as i64))
    }

    /// A fraction of so many days.
    fn add_fraction_days(&mut self, fraction: f64, unit_days: i64) -> Result<(), Failure> {
        let exact = fraction * unit_days as f64;
        self.add_days(Some(exact.trunc() as i64))?;
        self.add_fraction(exact - exact.trunc(), MICROS_PER_DAY)
    }

    /// No field is positive any more.
    fn make_negative(&mut self) {
        for field in [&mut self.years, &mut self.months, &mut self.days, &mut self.micros] {
            *field = -field.saturating_abs();
        }
    }

    /// So many of a unit.
    fn add(&mut self, number: Number, unit: Field) -> Result<(), Failure> {
        let Number { whole, fraction } = number;
        let years = |years: i64| whole.checked_mul(years);
        let fraction_years = |years: f64| Some((fraction * years * 12.0).round_ties_even() as i64);
        match unit {
            Field::Microseconds => {
                self.add_micros(Some(whole))?;
                self.add_fraction(fraction, 1)
            }
            Field::Milliseconds => {
                self.add_micros(whole.checked_mul(1000))?;
                self.add_fraction(fraction, 1000)
            }
            Field::Second => {
                self.add_micros(whole.checked_mul(MICROS_PER_SECOND))?;
                self.add_fraction(fraction, MICROS_PER_SECOND)
            }
            Field::Minute => {
                self.add_micros(whole.checked_mul(MICROS_PER_MINUTE))?;
                self.add_fraction(fraction, MICROS_PER_MINUTE)
            }
            Field::Hour => {
                self.add_micros(whole.checked_mul(MICROS_PER_HOUR))?;
                self.add_fraction(fraction, MICROS_PER_HOUR)
            }
            Field::Day => {
                self.add_days(Some(whole))?;
                self.add_fraction(fraction, MICROS_PER_DAY)
            }
            Field::Week => {
                self.add_days(whole.checked_mul(7))?;
                self.add_fraction_days(fraction, 7)
            }
            Field::Month => {
                self.add_months(Some(whole))?;
                self.add_fraction_days(fraction, 30)
            }
            Field::Year => {
                self.add_years(years(1))?;
                self.add_months(fraction_years(1.0))
            }
            Field::Decade => {
                self.add_years(years(10))?;
                self.add_months(fraction_years(10.0))
            }
            Field::Century => {
                self.add_years(years(100))?;
                self.add_months(fraction_years(100.0))
            }
            Field::Millennium => {
                self.add_years(years(1000))?;
                self.add_months(fraction_years(1000.0))
            }
            _ => Err(Failure::Syntax),
        }
    }
}

/// A sum that each field, but that of the time, must hold in 32 bits.
fn add_narrow(sum: i64, more: Option<i64>) -> Result<i64, Failure> {
    let sum = more.and_then(|more| sum.checked_add(more));
    sum.filter(|sum| i32::try_from(*sum).is_ok()).ok_or(Failure::Overflow)
}

/// A decimal number, its fraction of the number's sign.
#[derive(Clone, Copy)]
struct Number {
    whole: i64,
    fraction: f64,
}

/// Takes `-12.5` from the front.
fn take_number(input: &str) -> Result<(Number, &str), Failure> {
    let unsigned = input.strip_prefix(['-', '+']).unwrap_or(input);
    let negative = input.starts_with('-');
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (whole, rest) = unsigned.split_at(digits);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => {
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            after.split_at(digits)
        }
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(Failure::Syntax);
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Failure::Overflow)? };
    let fraction: f64 = if fraction.is_empty() {
        0.0
    } else {
        format!("0.{fraction}").parse().map_err(|_| Failure::Syntax)?
    };
    let number = match negative {
        true => Number { whole: -whole, fraction: -fraction },
        false => Number { whole, fraction },
    };
    Ok((number, rest))
}

/// `h:mm`, `h:mm:ss.ff` or `mm:ss.ff`, with a sign; in microseconds.
fn parse_time(text: &str) -> Result<i64, Failure> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let parts: Vec<&str> = unsigned.split(':').collect();
    let number = |part: &str| part.parse::<i64>().map_err(|_| Failure::Syntax);
    let seconds = |part: &str| -> Result<i64, Failure> {
        let (number, rest) = take_number(part)?;
        let micros = (number.fraction * 1e6).round_ties_even() as i64;
        match rest.is_empty() && (0..=60).contains(&number.whole) {
            true => Ok(number.whole * MICROS_PER_SECOND + micros),
            false => Err(Failure::Overflow),
        }
    };
    let (hours, minutes, micros) = match parts.as_slice() {
        [minutes, second] if second.contains('.') => (0, number(minutes)?, seconds(second)?),
        [hours, minutes] => (number(hours)?, number(minutes)?, 0),
        [hours, minutes, second] => (number(hours)?, number(minutes)?, seconds(second)?),
        _ => return Err(Failure::Syntax),
    };
    if !(0..60).contains(&minutes) {
        return Err(Failure::Overflow);
    }
    let micros = hours
        .checked_mul(MICROS_PER_HOUR)
        .and_then(|hours| hours.checked_add(minutes * MICROS_PER_MINUTE + micros))
        .ok_or(Failure::Overflow)?;
    Ok(if text.starts_with('-') { -micros } else { micros })
}

/// `y-m`, with a sign; in months.
fn parse_years_and_months(text: &str) -> Result<i64, Failure> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (years, months) = unsigned.split_once('-').ok_or(Failure::Syntax)?;
    let years: i64 = years.parse().map_err(|_| Failure::Syntax)?;
    let months: i64 = months.parse().map_err(|_| Failure::Syntax)?;
    if !(0..12).contains(&months) {
        return Err(Failure::Overflow);
    }
    let total = years.checked_mul(12).and_then(|years| years.checked_add(months)).ok_or(Failure::Overflow)?;
    Ok(if text.starts_with('-') { -total } else { total })
}

fn parse_words(text: &str, style: IntervalStyle) -> Result<(Sums, bool), Failure> {
    let mut sums = Sums::default();
    let mut negate = false;
    let mut seen: Vec<Field> = Vec::new();
    let mut once = |field: Field| match seen.contains(&field) {
        true => Err(Failure::Syntax),
        false => {
            seen.push(field);
            Ok(())
        }
    };
    // A sign may stand apart from its number; '@' and commas mean nothing.
    let text = text.to_ascii_lowercase().replace(['@', ','], " ");
    let mut words: Vec<String> = Vec::new();
    let mut pending = String::new();
    for word in text.split(|c: char| c.is_ascii_whitespace() || c == '\x0b').filter(|word| !word.is_empty()) {
        match word {
            "+" | "-" => pending = word.to_owned(),
            word => words.push(std::mem::take(&mut pending) + word),
        }
    }
    if words.is_empty() || !pending.is_empty() {
        return Err(Failure::Syntax);
    }
    let all = words;
    let mut words = all.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
        if word == "ago" {
            negate = true;
            if words.peek().is_some() {
                return Err(Failure::Syntax);
            }
        } else if word.contains(':') {
            once(Field::Hour)?;
            sums.add_micros(Some(parse_time(word)?))?;
        } else if unsigned.contains('-') {
            once(Field::Year)?;
            once(Field::Month)?;
            sums.add_months(Some(parse_years_and_months(word)?))?;
        } else {
            let (number, rest) = take_number(word)?;
            let unit = match (rest, words.peek().copied()) {
                ("", Some(next)) if Field::from_name(next).is_some() => {
                    words.next();
                    Field::from_name(next)
                }
                ("", Some(next)) if next.contains(':') => Some(Field::Day),
                ("", None) => Some(Field::Second),
                ("", Some("ago")) => Some(Field::Second),
                (rest, _) => Field::from_name(rest),
            };
            let unit = unit.ok_or(Failure::Syntax)?;
            once(unit)?;
            sums.add(number, unit)?;
        }
    }
    // The standard has one sign before all fields.
    let is_signed = |word: &String| word.starts_with(['-', '+']);
    if style == IntervalStyle::SqlStandard
        && all.first().is_some_and(|word| word.starts_with('-'))
        && !all.iter().skip(1).any(is_signed)
    {
        sums.make_negative();
    }
    Ok((sums, negate))
}

/// What follows the `P`: numbers with designators, or the alternative form `yyyy-mm-ddThh:mm:ss`.
fn parse_iso(text: &str) -> Result<(Sums, bool), Failure> {
    let mut sums = Sums::default();
    let (date, time) = match text.find(['T', 't']) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    if date.is_empty() && time.is_none_or(str::is_empty) {
        return Err(Failure::Syntax);
    }
    let mut rest = date;
    while !rest.is_empty() {
        let (number, tail) = take_number(rest)?;
        let designator = tail.chars().next().ok_or(Failure::Syntax)?;
        let unit = match designator {
            'Y' | 'y' => Field::Year,
            'M' | 'm' => Field::Month,
            'W' | 'w' => Field::Week,
            'D' | 'd' => Field::Day,
            _ => return parse_iso_alternative(date, time),
        };
        sums.add(number, unit)?;
        rest = tail.get(1..).unwrap_or_default();
    }
    let mut rest = time.unwrap_or_default();
    if rest.contains(':') {
        sums.add_micros(Some(parse_time(rest)?))?;
        return Ok((sums, false));
    }
    while !rest.is_empty() {
        let (number, tail) = take_number(rest)?;
        let unit = match tail.chars().next() {
            Some('H' | 'h') => Field::Hour,
            Some('M' | 'm') => Field::Minute,
            Some('S' | 's') => Field::Second,
            _ => return Err(Failure::Syntax),
        };
        sums.add(number, unit)?;
        rest = tail.get(1..).unwrap_or_default();
    }
    Ok((sums, false))
}

fn parse_iso_alternative(date: &str, time: Option<&str>) -> Result<(Sums, bool), Failure> {
    let mut sums = Sums::default();
    let parts: Vec<&str> = date.split('-').collect();
    let [years, months, days] = parts.as_slice() else { return Err(Failure::Syntax) };
    for (part, unit) in [(years, Field::Year), (months, Field::Month), (days, Field::Day)] {
        let (number, rest) = take_number(part)?;
        if !rest.is_empty() {
            return Err(Failure::Syntax);
        }
        sums.add(number, unit)?;
    }
    if let Some(time) = time {
        sums.add_micros(Some(parse_time(time)?))?;
    }
    Ok((sums, false))
}

//! `P1Y2M3DT4H5M6S`, `P0001-02-03T04:05:06`, `P00010203T040506`: intervals as ISO 8601 has them (4.4.3.2 and 4.4.3.3), and as
//! PostgreSQL reads them: numbers may be negative, have fractions and exponents.

use super::interval_sums::{Failure, Number, Sums};
use crate::calendar::field::Field;

/// The largest number that a field may have, below which all whole ones are exact.
const NUMBER_MAX: f64 = 1.0e15;

/// What follows the `P`.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    /// The next character, taken; `None` at the end.
    fn next(&mut self) -> Option<u8> {
        let first = *self.rest.as_bytes().first()?;
        self.rest = self.rest.get(1..).unwrap_or_default();
        Some(first)
    }

    /// A number, and how many digits it begins with.
    fn number(&mut self) -> Result<(Number, usize), Failure> {
        let bytes = self.rest.as_bytes();
        let digits_from = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let sign = usize::from(bytes.first() == Some(&b'-'));
        let width = digits_from(sign);
        let mut end = sign + width;
        let mut digits = width;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits_from(end + 1);
            digits += fraction;
            end += 1 + fraction;
        }
        if digits == 0 {
            return Err(Failure::Syntax);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits_from(end + 1 + signed);
            if exponent > 0 {
                end += 1 + signed + exponent;
            }
        }
        let (text, rest) = self.rest.split_at_checked(end).ok_or(Failure::Syntax)?;
        let value: f64 = text.parse().map_err(|_| Failure::Syntax)?;
        self.rest = rest;
        if !(-NUMBER_MAX..=NUMBER_MAX).contains(&value) {
            return Err(Failure::Overflow);
        }
        Ok((Number { whole: value.trunc() as i64, fraction: value - value.trunc() }, width))
    }
}

/// Reads an interval that begins with `P`.
pub(super) fn parse(text: &str) -> Result<Sums, Failure> {
    let rest = text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(Failure::Syntax)?;
    let mut reader = Reader { rest };
    let mut sums = Sums::default();
    if date(&mut reader, &mut sums)? {
        time(&mut reader, &mut sums)?;
    }
    Ok(sums)
}

/// Reads what stands before a `T`, and that; whether a time follows.
fn date(reader: &mut Reader<'_>, sums: &mut Sums) -> Result<bool, Failure> {
    let mut is_first = true;
    while !reader.rest.is_empty() {
        if reader.rest.starts_with('T') {
            reader.next();
            return Ok(true);
        }
        let (number, width) = reader.number()?;
        let unit = match reader.next() {
            Some(b'Y') => Field::Year,
            Some(b'M') => Field::Month,
            Some(b'W') => Field::Week,
            Some(b'D') => Field::Day,
            end @ (None | Some(b'T')) if width == 8 && is_first => {
                sums.add(Number::whole(number.whole / 10_000), Field::Year)?;
                sums.add(Number::whole(number.whole / 100 % 100), Field::Month)?;
                let day = Number { whole: number.whole % 100, fraction: number.fraction };
                sums.add(day, Field::Day)?;
                return Ok(end.is_some());
            }
            end @ (None | Some(b'T' | b'-')) if is_first => {
                sums.add(number, Field::Year)?;
                return match end {
                    Some(b'-') => month_and_day(reader, sums),
                    end => Ok(end.is_some()),
                };
            }
            _ => return Err(Failure::Syntax),
        };
        sums.add(number, unit)?;
        is_first = false;
    }
    Ok(false)
}

/// What follows `yyyy-`; whether a time follows that.
fn month_and_day(reader: &mut Reader<'_>, sums: &mut Sums) -> Result<bool, Failure> {
    for (unit, is_last) in [(Field::Month, false), (Field::Day, true)] {
        let (number, _) = reader.number()?;
        sums.add(number, unit)?;
        match reader.next() {
            None => return Ok(false),
            Some(b'T') => return Ok(true),
            Some(b'-') if !is_last => {}
            Some(_) => return Err(Failure::Syntax),
        }
    }
    Err(Failure::Syntax)
}

/// Reads what stands behind a `T`.
fn time(reader: &mut Reader<'_>, sums: &mut Sums) -> Result<(), Failure> {
    let mut is_first = true;
    while !reader.rest.is_empty() {
        // Another one changes nothing.
        if reader.rest.starts_with('T') {
            reader.next();
            is_first = true;
            continue;
        }
        let (number, width) = reader.number()?;
        let unit = match reader.next() {
            Some(b'H') => Field::Hour,
            Some(b'M') => Field::Minute,
            Some(b'S') => Field::Second,
            None if width == 6 && is_first => {
                sums.add(Number::whole(number.whole / 10_000), Field::Hour)?;
                sums.add(Number::whole(number.whole / 100 % 100), Field::Minute)?;
                sums.add(Number::whole(number.whole % 100), Field::Second)?;
                // So PostgreSQL takes what stands behind the point.
                let fraction = Number { whole: 0, fraction: number.fraction };
                return sums.add(fraction, Field::Microseconds);
            }
            end @ (None | Some(b':')) if is_first => {
                sums.add(number, Field::Hour)?;
                return match end {
                    Some(_) => minute_and_second(reader, sums),
                    None => Ok(()),
                };
            }
            _ => return Err(Failure::Syntax),
        };
        sums.add(number, unit)?;
        is_first = false;
    }
    Ok(())
}

/// What follows `hh:`.
fn minute_and_second(reader: &mut Reader<'_>, sums: &mut Sums) -> Result<(), Failure> {
    let (minutes, _) = reader.number()?;
    sums.add(minutes, Field::Minute)?;
    match reader.next() {
        None => return Ok(()),
        Some(b':') => {}
        Some(_) => return Err(Failure::Syntax),
    }
    let (seconds, _) = reader.number()?;
    sums.add(seconds, Field::Second)?;
    if reader.rest.is_empty() { Ok(()) } else { Err(Failure::Syntax) }
}

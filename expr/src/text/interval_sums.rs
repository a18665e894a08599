//! What the fields of an interval's text add up to, before it is one.

use crate::calendar::field::Field;
use crate::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// Why text is no interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Syntax,
    Overflow,
}

/// A number in front of a unit, its fraction of the number's sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) whole: i64,
    pub(super) fraction: f64,
}

impl Number {
    pub(super) fn whole(whole: i64) -> Self {
        Self { whole, fraction: 0.0 }
    }
}

/// What the fields read so far add up to.
///
/// # Invariants
/// - Years, months and days are within 32 bits, each.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) years: i64,
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i64,
}

/// So many of a unit that has to be within 32 bits beside what there is.
fn add_narrow(sum: &mut i64, number: i64, units: i64) -> Result<(), Failure> {
    let more = number.checked_mul(units).filter(|more| is_narrow(*more) && is_narrow(number));
    *sum = more.map(|more| *sum + more).filter(|sum| is_narrow(*sum)).ok_or(Failure::Overflow)?;
    Ok(())
}

fn is_narrow(number: i64) -> bool {
    i32::try_from(number).is_ok()
}

impl Sums {
    fn add_micros(&mut self, number: i64, unit_micros: i64) -> Result<(), Failure> {
        let more = number.checked_mul(unit_micros);
        self.micros = more.and_then(|more| self.micros.checked_add(more)).ok_or(Failure::Overflow)?;
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
        self.add_micros(whole as i64, 1)
    }

    /// A fraction of so many days.
    fn add_fraction_days(&mut self, fraction: f64, unit_days: i64) -> Result<(), Failure> {
        let exact = fraction * unit_days as f64;
        add_narrow(&mut self.days, exact.trunc() as i64, 1)?;
        self.add_fraction(exact - exact.trunc(), MICROS_PER_DAY)
    }

    fn add_time(&mut self, number: Number, unit_micros: i64) -> Result<(), Failure> {
        self.add_micros(number.whole, unit_micros)?;
        self.add_fraction(number.fraction, unit_micros)
    }

    fn add_years(&mut self, number: Number, unit_years: i64) -> Result<(), Failure> {
        add_narrow(&mut self.years, number.whole, unit_years)?;
        let months = (number.fraction * unit_years as f64 * 12.0).round_ties_even();
        add_narrow(&mut self.months, months as i64, 1)
    }

    /// So many of a unit. A syntax error if it is none of an interval.
    pub(super) fn add(&mut self, number: Number, unit: Field) -> Result<(), Failure> {
        match unit {
            Field::Microseconds => self.add_time(number, 1),
            Field::Milliseconds => self.add_time(number, 1000),
            Field::Second => self.add_time(number, MICROS_PER_SECOND),
            Field::Minute => self.add_time(number, MICROS_PER_MINUTE),
            Field::Hour => self.add_time(number, MICROS_PER_HOUR),
            Field::Day => {
                add_narrow(&mut self.days, number.whole, 1)?;
                self.add_fraction(number.fraction, MICROS_PER_DAY)
            }
            Field::Week => {
                add_narrow(&mut self.days, number.whole, 7)?;
                self.add_fraction_days(number.fraction, 7)
            }
            Field::Month => {
                add_narrow(&mut self.months, number.whole, 1)?;
                self.add_fraction_days(number.fraction, 30)
            }
            Field::Year => self.add_years(number, 1),
            Field::Decade => self.add_years(number, 10),
            Field::Century => self.add_years(number, 100),
            Field::Millennium => self.add_years(number, 1000),
            _ => Err(Failure::Syntax),
        }
    }

    /// All of it the other way.
    pub(super) fn turned(self) -> Result<Self, Failure> {
        let narrow = |value: i64| value.checked_neg().filter(|value| is_narrow(*value));
        let turned = || {
            Some(Self {
                years: narrow(self.years)?,
                months: narrow(self.months)?,
                days: narrow(self.days)?,
                micros: self.micros.checked_neg()?,
            })
        };
        turned().ok_or(Failure::Overflow)
    }
}

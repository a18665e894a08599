//! What text is a date, with or without a time (`src/backend/utils/adt/datetime.c`, `DecodeDateTime`; manual, appendix B.1).

use crate::session::SessionContext;

use super::time_failure::Failure;
use super::time_fields::{Fields, Zone};
use super::time_part::Parts;
use super::time_token::{Kind, Token, tokenize};
use super::time_word::{Reserved, Unit, Word, meaning};

/// What text stands for.
pub(super) enum Whole {
    Infinity,
    MinusInfinity,
    /// 1970-01-01, whatever the zone.
    Epoch,
    /// Fields of the calendar.
    Local {
        /// Since 2000-01-01.
        days: i64,
        /// Since midnight, which may be more than a day.
        micros: i64,
        zone: Zone,
    },
}

/// Reads a date and, if there is one, a time.
pub(super) fn read(text: &str, session: &SessionContext) -> Result<Whole, Failure> {
    let tokens = tokenize(text).ok_or(Failure::Syntax)?;
    let mut reading = Reading { fields: Fields::default(), unit: None, special: None, session };
    for (place, token) in tokens.iter().enumerate() {
        let next = tokens.get(place + 1);
        if let Some(parts) = reading.token(token, next)? {
            reading.fields.add(parts)?;
        }
    }
    reading.finish()
}

/// What has been read.
struct Reading<'a> {
    fields: Fields,
    /// What the word before says that the next number is.
    unit: Option<Unit>,
    special: Option<Whole>,
    session: &'a SessionContext,
}

impl Reading<'_> {
    /// What a token adds; None: nothing.
    fn token(&mut self, token: &Token, next: Option<&Token>) -> Result<Option<Parts>, Failure> {
        let order = self.session.date_order;
        let text = token.text.as_str();
        match token.kind {
            Kind::Date => self.date(text).map(Some),
            Kind::Time => {
                if self.unit.take().is_some_and(|unit| unit != Unit::Time) {
                    return Err(Failure::Syntax);
                }
                let parts = self.fields.time(text)?;
                if !self.fields.time_fits_a_day() {
                    return Err(Failure::Field);
                }
                Ok(Some(parts))
            }
            Kind::Offset => self.fields.offset(text).map(Some),
            Kind::Number => {
                if let Some(unit) = self.unit.take() {
                    self.special = None;
                    return self.fields.written(text, unit).map(Some);
                }
                let seen = self.fields.seen;
                let point = text.find('.');
                let parts = if point.is_some() && !seen.has_any(Parts::DATE) {
                    self.fields.date(text, order)
                } else if point.is_some_and(|digits| digits > 2)
                    || text.len() >= 6 && (!seen.has_any(Parts::DATE) || !seen.has_any(Parts::TIME))
                {
                    self.fields.concatenated(text, seen)
                } else {
                    let month_is_text = self.fields.month_is_text;
                    self.fields.number(text, month_is_text, seen, order)
                };
                parts.map(Some)
            }
            Kind::Word | Kind::SignedWord => self.word(text, next),
        }
    }

    /// `1999-01-08`; behind a date `040506-08` or the name of a zone.
    fn date(&mut self, text: &str) -> Result<Parts, Failure> {
        let seen = self.fields.seen;
        let unit = self.unit.take();
        if unit == Some(Unit::Julian) {
            let (date, rest) = self.fields.julian(text)?;
            return Ok(date | Parts::TIME | self.fields.offset(rest)?);
        }
        if unit.is_none() && !seen.has(Parts::MONTH | Parts::DAY) {
            return self.fields.date(text, self.session.date_order);
        }
        if unit.is_some_and(|unit| unit != Unit::Time) {
            return Err(Failure::Syntax);
        }
        if unit.is_some() || text.starts_with(|sign: char| sign.is_ascii_digit()) {
            return self.fields.time_with_offset(text, seen);
        }
        self.fields.zone(text, Failure::Zone(text.to_owned()))
    }

    fn word(&mut self, word: &str, next: Option<&Token>) -> Result<Option<Parts>, Failure> {
        if let Some(parts) = self.fields.abbreviation(word) {
            return Ok(Some(parts));
        }
        let Some(meaning) = meaning(word) else {
            return self.fields.zone(word, Failure::Syntax).map(Some);
        };
        Ok(Some(match meaning {
            Word::Filler => return Ok(None),
            Word::Month(month) => self.fields.month_by_name(month),
            Word::Weekday => Parts::WEEKDAY,
            Word::HalfDay(afternoon) => self.fields.half_of_day(afternoon),
            Word::Era(before_christ) => self.fields.era(before_christ),
            Word::Summer => self.fields.summer(),
            Word::Written(unit) => {
                self.unit = Some(unit);
                return Ok(None);
            }
            Word::IsoTime => {
                let leads = next.is_some_and(Token::may_be_time);
                if !leads || !self.fields.seen.has(Parts::DATE) {
                    return Err(Failure::Syntax);
                }
                self.unit = Some(Unit::Time);
                return Ok(None);
            }
            Word::Stands(reserved) => self.reserved(reserved),
        }))
    }

    fn reserved(&mut self, reserved: Reserved) -> Parts {
        // The last one counts.
        self.special = None;
        match reserved {
            Reserved::Now => self.fields.now(self.session),
            Reserved::Yesterday => self.fields.day_from_now(-1, self.session),
            Reserved::Today => self.fields.day_from_now(0, self.session),
            Reserved::Tomorrow => self.fields.day_from_now(1, self.session),
            Reserved::Midnight => self.fields.midnight(),
            Reserved::Epoch => self.stands_for(Whole::Epoch),
            Reserved::Infinity => self.stands_for(Whole::Infinity),
            Reserved::MinusInfinity => self.stands_for(Whole::MinusInfinity),
        }
    }

    fn stands_for(&mut self, special: Whole) -> Parts {
        self.special = Some(special);
        Parts::RESERVED
    }

    fn finish(self) -> Result<Whole, Failure> {
        let mut fields = self.fields;
        // Of what else there is nobody asks then.
        if let Some(special) = self.special {
            return Ok(special);
        }
        fields.settle()?;
        if !fields.seen.has(Parts::DATE) {
            return Err(Failure::Syntax);
        }
        let (days, micros) = (fields.days(), fields.time_of_day());
        Ok(Whole::Local { days, micros, zone: fields.place()? })
    }
}

//! What text is a time of day, alone or, where its zone asks for one, with a date (`src/backend/utils/adt/datetime.c`,
//! `DecodeTimeOnly`).

use crate::session::SessionContext;

use super::time_failure::Failure;
use super::time_fields::{Fields, Zone};
use super::time_part::Parts;
use super::time_token::{Kind, Token, tokenize};
use super::time_word::{Reserved, Unit, Word, meaning};

/// A time of day.
pub(super) struct TimeOfDay {
    /// Since midnight: at most a day.
    pub(super) micros: i64,
    /// Of the date, in days since 2000-01-01, if there is one.
    pub(super) days: Option<i64>,
    pub(super) zone: Zone,
}

/// Reads a time of day.
pub(super) fn read(text: &str, session: &SessionContext) -> Result<TimeOfDay, Failure> {
    let tokens = tokenize(text).ok_or(Failure::Syntax)?;
    let mut reading = Reading { fields: Fields::default(), unit: None, session };
    for (place, token) in tokens.iter().enumerate() {
        if let Some(parts) = reading.token(token, place, &tokens)? {
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
    session: &'a SessionContext,
}

impl Reading<'_> {
    /// What the token of a place among all tokens adds; None: nothing.
    fn token(&mut self, token: &Token, place: usize, tokens: &[Token]) -> Result<Option<Parts>, Failure> {
        let text = token.text.as_str();
        let order = self.session.date_order;
        // A date may stand before all, if something with such signs ends the text or a time follows at once.
        let before_all = place == 0 && tokens.len() >= 2;
        let date_ends = tokens.last().is_some_and(|last| last.kind == Kind::Date);
        let seen = self.fields.seen | Parts::DATE;
        match token.kind {
            Kind::Date
                if before_all && (date_ends || tokens.get(1).is_some_and(|next| next.kind == Kind::Time)) =>
            {
                self.fields.date(text, order)
            }
            Kind::Date if text.starts_with(|sign: char| sign.is_ascii_digit()) => {
                self.fields.time_with_offset(text, seen)
            }
            Kind::Date => self.fields.zone(text, Failure::Zone(text.to_owned())),
            Kind::Time => self.fields.time(text),
            Kind::Offset => self.fields.offset(text),
            Kind::Number => match (self.unit.take(), text.find('.')) {
                (Some(unit), _) => self.fields.written(text, unit),
                (None, Some(_)) if before_all && date_ends => self.fields.date(text, order),
                (None, Some(point)) if point > 2 => self.fields.concatenated(text, seen),
                (None, Some(_)) => Err(Failure::Syntax),
                (None, None) if text.len() > 4 => self.fields.concatenated(text, seen),
                (None, None) => self.fields.number(text, false, seen, order),
            },
            Kind::Word | Kind::SignedWord => return self.word(text, tokens.get(place + 1)),
        }
        .map(Some)
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
            Word::HalfDay(afternoon) => self.fields.half_of_day(afternoon),
            Word::Era(before_christ) => self.fields.era(before_christ),
            Word::Summer => self.fields.summer(),
            Word::Written(unit) => {
                self.unit = Some(unit);
                return Ok(None);
            }
            Word::IsoTime if next.is_some_and(Token::may_be_time) => {
                self.unit = Some(Unit::Time);
                return Ok(None);
            }
            Word::Stands(Reserved::Now) => self.fields.time_now(self.session),
            Word::Stands(Reserved::Midnight) => self.fields.midnight(),
            Word::Month(_) | Word::Weekday | Word::IsoTime | Word::Stands(_) => return Err(Failure::Syntax),
        }))
    }

    fn finish(self) -> Result<TimeOfDay, Failure> {
        let mut fields = self.fields;
        fields.settle()?;
        if !fields.time_fits_a_day() {
            return Err(Failure::Field);
        }
        if !fields.seen.has(Parts::TIME) {
            return Err(Failure::Syntax);
        }
        let (seen, micros) = (fields.seen, fields.time_of_day());
        let days = seen.has(Parts::DATE).then(|| fields.days());
        let zone = fields.place()?;
        // Half a date is none.
        match zone {
            Zone::Abbreviated(_) | Zone::Unsaid if days.is_none() && seen.has_any(Parts::DATE) => {
                Err(Failure::Syntax)
            }
            zone => Ok(TimeOfDay { micros, days, zone }),
        }
    }
}

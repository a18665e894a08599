//! date, timestamp and timestamptz from text: PostgreSQL's free-form reading (`src/backend/utils/adt/datetime.c`;
//! manual, appendix B.1), in two steps: text into tokens, tokens into fields.

use jiff::tz::TimeZone;

use crate::calendar::zoned_time::ZonedTime;
use crate::calendar::{
    self, Civil, DATE_INFINITY, DATE_MINUS_INFINITY, JULIAN_EPOCH, MICROS_PER_DAY, MICROS_PER_SECOND,
    TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY, UNIX_EPOCH_DISTANCE_MICROS, zone,
};
use crate::error::{Error, Result};
use crate::session::{DateOrder, SessionContext};

use super::time_failure::Failure;
use super::time_token::{Token, is_weekday, month, tokenize};

/// Reads a date.
pub fn parse_date(text: &str, session: &SessionContext) -> Result<i32> {
    let parsed = parse(text, session).map_err(|failure| failure.into_error(text, "date"))?;
    match parsed {
        Parsed::Infinity => Ok(DATE_INFINITY),
        Parsed::MinusInfinity => Ok(DATE_MINUS_INFINITY),
        Parsed::Epoch => Ok(calendar::timestamp_to_date(-UNIX_EPOCH_DISTANCE_MICROS)),
        Parsed::Instant(micros) => {
            Ok(calendar::timestamp_to_date(zone::to_local(micros, &session.time_zone)))
        }
        Parsed::Local { civil, .. } => calendar::checked_date(civil.days())
            .map_err(|_| Error::new("22008", format!("date out of range: \"{text}\""))),
    }
}

/// Reads a time of day; a zone and a date before it are read and ignored.
pub fn parse_time(text: &str, session: &SessionContext) -> Result<i64> {
    match time_of_day(text, session).map_err(|failure| failure.into_error(text, "time"))? {
        TimeOfDay::Now => Ok(ZonedTime::at(session.transaction_timestamp, &session.time_zone).local),
        TimeOfDay::Read { time, .. } => Ok(time),
    }
}

/// Reads a time of day in a zone; without one it is in the session's, as of the date that is given, or of today.
pub fn parse_zoned_time(text: &str, session: &SessionContext) -> Result<ZonedTime> {
    let read = || match time_of_day(text, session)? {
        TimeOfDay::Now => Ok(ZonedTime::at(session.transaction_timestamp, &session.time_zone)),
        TimeOfDay::Read { time, midnight, zone } => {
            let offset = match (&zone, midnight) {
                (Some(Zone::Offset(seconds)), _) => *seconds,
                (Some(Zone::Named(named)), _) => zone::offset_at_local(midnight.unwrap_or(0) + time, named),
                (Some(Zone::Abbreviated(named)), Some(midnight)) => {
                    zone::offset_of_abbreviated(midnight + time, named)
                }
                (Some(Zone::Abbreviated(named)), None) => {
                    zone::offset_at(session.transaction_timestamp, named)
                }
                (None, Some(midnight)) => zone::offset_at_local(midnight + time, &session.time_zone),
                (None, None) => {
                    ZonedTime::today(time, session.transaction_timestamp, &session.time_zone).offset
                }
            };
            Ok(ZonedTime { local: time, offset })
        }
    };
    read().map_err(|failure: Failure| failure.into_error(text, "time with time zone"))
}

/// What text without a date, or with one that matters to its zone alone, stands for.
enum TimeOfDay {
    Now,
    Read {
        /// Microseconds since midnight.
        time: i64,
        /// Of the date, if there is one.
        midnight: Option<i64>,
        zone: Option<Zone>,
    },
}

fn time_of_day(text: &str, session: &SessionContext) -> Result<TimeOfDay, Failure> {
    let lower = text.to_ascii_lowercase();
    if ["today", "tomorrow", "yesterday"].iter().any(|day| lower.contains(day)) {
        return Err(Failure::Syntax);
    }
    // As if a date had been read; what has one is read again.
    let without_date = Fields { relative: Some(0), ..Fields::default() };
    let (parsed, has_time, has_date) = match parse_after(without_date, text, session) {
        Err(Failure::Syntax) => {
            let (parsed, has_time) = parse_after(Fields::default(), text, session)?;
            (parsed, has_time, true)
        }
        read => read.map(|(parsed, has_time)| (parsed, has_time, false))?,
    };
    match parsed {
        Parsed::Instant(_) => Ok(TimeOfDay::Now),
        // Without a date nobody knows what a clock that is changed shows.
        Parsed::Local { zone: Some(Zone::Named(named)), .. } if !has_date && !zone::is_fixed(&named) => {
            Err(Failure::Syntax)
        }
        Parsed::Local { civil, zone } if has_time => {
            let local = civil.to_micros().ok_or(Failure::Syntax)?;
            // Midnight may be the end of the day that was given.
            let ends = local == MICROS_PER_DAY && !has_date;
            let time = if ends { MICROS_PER_DAY } else { local.rem_euclid(MICROS_PER_DAY) };
            Ok(TimeOfDay::Read { time, midnight: has_date.then_some(local - time), zone })
        }
        _ => Err(Failure::Syntax),
    }
}

/// Reads a timestamp; a zone is read and ignored.
pub fn parse_timestamp(text: &str, session: &SessionContext) -> Result<i64> {
    let parsed = parse(text, session).map_err(|failure| failure.into_error(text, "timestamp"))?;
    match parsed {
        Parsed::Infinity => Ok(TIMESTAMP_INFINITY),
        Parsed::MinusInfinity => Ok(TIMESTAMP_MINUS_INFINITY),
        Parsed::Epoch => Ok(-UNIX_EPOCH_DISTANCE_MICROS),
        Parsed::Instant(micros) => Ok(zone::to_local(micros, &session.time_zone)),
        Parsed::Local { civil, .. } => civil.to_micros().ok_or_else(|| out_of_range(text)),
    }
}

/// Reads a timestamptz; without a zone it is in the session's.
pub fn parse_timestamptz(text: &str, session: &SessionContext) -> Result<i64> {
    let parsed =
        parse(text, session).map_err(|failure| failure.into_error(text, "timestamp with time zone"))?;
    match parsed {
        Parsed::Infinity => Ok(TIMESTAMP_INFINITY),
        Parsed::MinusInfinity => Ok(TIMESTAMP_MINUS_INFINITY),
        Parsed::Epoch => Ok(-UNIX_EPOCH_DISTANCE_MICROS),
        Parsed::Instant(micros) => Ok(micros),
        Parsed::Local { civil, zone } => {
            let local = civil
                .days()
                .checked_mul(MICROS_PER_DAY)
                .and_then(|days| days.checked_add(civil.time_micros()))
                .ok_or_else(|| out_of_range(text))?;
            let offset = match zone {
                Some(Zone::Offset(seconds)) => seconds,
                Some(Zone::Named(named)) => zone::offset_at_local(local, &named),
                Some(Zone::Abbreviated(named)) => zone::offset_of_abbreviated(local, &named),
                None => zone::offset_at_local(local, &session.time_zone),
            };
            local
                .checked_sub(offset * MICROS_PER_SECOND)
                .filter(|micros| calendar::timestamp_in_range(*micros))
                .ok_or_else(|| out_of_range(text))
        }
    }
}

fn out_of_range(text: &str) -> Error {
    Error::new("22008", format!("timestamp out of range: \"{text}\""))
}

/// What text stands for.
enum Parsed {
    Infinity,
    MinusInfinity,
    /// `now`: microseconds since 2000-01-01 UTC.
    Instant(i64),
    /// `epoch`: 1970-01-01, whatever the zone.
    Epoch,
    /// Fields of the calendar, in a zone if one was named.
    Local {
        civil: Civil,
        zone: Option<Zone>,
    },
}

enum Zone {
    /// Seconds east of Greenwich.
    Offset(i64),
    Named(TimeZone),
    /// By an abbreviation that it has had with one offset and another.
    Abbreviated(TimeZone),
}

/// The fields read so far.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    /// The year was written with at most two digits.
    year_is_short: bool,
    month: Option<i64>,
    month_is_text: bool,
    day: Option<i64>,
    day_of_year: Option<i64>,
    /// Microseconds since midnight.
    time: Option<i64>,
    afternoon: Option<bool>,
    before_christ: bool,
    zone: Option<Zone>,
    /// `today` and its like: the date in days.
    relative: Option<i64>,
}

fn parse(text: &str, session: &SessionContext) -> Result<Parsed, Failure> {
    parse_after(Fields::default(), text, session).map(|(parsed, _)| parsed)
}

/// What text stands for behind fields that were read before; and whether a time was among what was read.
fn parse_after(fields: Fields, text: &str, session: &SessionContext) -> Result<(Parsed, bool), Failure> {
    let tokens = tokenize(text).ok_or(Failure::Syntax)?;
    let mut fields = fields;
    let mut special = None;
    let mut julian = false;
    let mut iso_time = false;
    let single = tokens.len() == 1;
    for (place, token) in tokens.iter().enumerate() {
        match token {
            Token::Number(number) if julian => {
                julian = false;
                fields.set_julian(number)?;
            }
            Token::Number(number) if iso_time && !number.contains('.') && number.len() <= 2 => {
                iso_time = false;
                fields.set_time(number.parse().map_err(|_| Failure::Syntax)?, 0, 0, 0)?;
            }
            Token::Number(number) => fields.number(number, session.date_order)?,
            Token::Date(date) if julian => {
                julian = false;
                let (days, west) = date.split_once('-').ok_or(Failure::Syntax)?;
                fields.set_julian(days)?;
                fields.offset(&format!("-{west}"), session.date_order)?;
            }
            Token::Date(date) => fields.date(date, session.date_order)?,
            Token::Time(time) => fields.time(time)?,
            Token::Offset(offset) => fields.offset(offset, session.date_order)?,
            Token::Word(word) => match word.as_str() {
                "infinity" | "+infinity" if single => special = Some(Parsed::Infinity),
                "-infinity" if single => special = Some(Parsed::MinusInfinity),
                "epoch" if single => special = Some(Parsed::Epoch),
                "now" if single => special = Some(Parsed::Instant(session.transaction_timestamp)),
                "today" => fields.relative_day(0, session)?,
                "tomorrow" => fields.relative_day(1, session)?,
                "yesterday" => fields.relative_day(-1, session)?,
                "allballs" => {
                    fields.set_time(0, 0, 0, 0)?;
                    fields.zone = Some(Zone::Offset(0));
                }
                "t" if fields.has_date() => iso_time = true,
                "j" | "jd" | "julian"
                    if matches!(tokens.get(place + 1), Some(Token::Number(_) | Token::Date(_))) =>
                {
                    julian = true
                }
                word => fields.word(word, session)?,
            },
        }
    }
    let has_time = fields.time.is_some();
    match special {
        Some(special) => Ok((special, has_time)),
        None => Ok((fields.finish()?, has_time)),
    }
}

impl Fields {
    fn has_date(&self) -> bool {
        self.relative.is_some()
            || self.day_of_year.is_some() && self.year.is_some()
            || self.year.is_some() && self.month.is_some() && self.day.is_some()
    }

    fn set_time(&mut self, hour: i64, minute: i64, second: i64, micros: i64) -> Result<(), Failure> {
        let in_range = (0..=24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second)
            && (hour < 24 || minute == 0 && second == 0 && micros == 0);
        if self.time.is_some() {
            return Err(Failure::Syntax);
        }
        if !in_range {
            return Err(Failure::Field);
        }
        let time = (hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND + micros;
        if time > MICROS_PER_DAY {
            return Err(Failure::Field);
        }
        self.time = Some(time);
        Ok(())
    }

    /// `12:34`, `12:34:56.789`
    fn time(&mut self, text: &str) -> Result<(), Failure> {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let hour = whole(next().ok_or(Failure::Syntax)?)?;
        let minute = next().ok_or(Failure::Syntax)?;
        match next() {
            Some(second) => {
                let (second, micros) = seconds(second)?;
                self.set_time(hour, whole(minute)?, second, micros)
            }
            // `mm:ss.ff` has no hour.
            None if minute.contains('.') => {
                let (second, micros) = seconds(minute)?;
                self.set_time(0, hour, second, micros)
            }
            None => self.set_time(hour, whole(minute)?, 0, 0),
        }
    }

    /// `20:00`, `0530`, `5`, `5:30:15` behind a sign.
    fn offset(&mut self, text: &str, order: DateOrder) -> Result<(), Failure> {
        // Before a time there is no zone: `1-1` with a blank, `jan -8 1999`.
        let (sign, digits) = text.split_at(1);
        if self.time.is_none() && !self.has_date() && self.relative.is_none() {
            return self.number(digits, order);
        }
        let (hour, minute, second) = if digits.contains(':') {
            let mut parts = digits.splitn(3, ':');
            let mut next = || parts.next().map_or(Ok(0), whole);
            (next()?, next()?, next()?)
        } else {
            let value = whole(digits)?;
            match digits.len() {
                0..=2 => (value, 0, 0),
                3 | 4 => (value / 100, value % 100, 0),
                5 | 6 => (value / 10_000, value / 100 % 100, value % 100),
                _ => return Err(Failure::Syntax),
            }
        };
        if hour > 15 || minute > 59 || second > 59 {
            return Err(Failure::Offset);
        }
        let seconds = hour * 3600 + minute * 60 + second;
        // Behind a name with a zone of its own, `utc+3`, the sign is reversed and the sum counts.
        if self.zone.is_some() {
            return Err(Failure::Syntax);
        }
        self.zone = Some(Zone::Offset(if sign == "-" { -seconds } else { seconds }));
        Ok(())
    }

    fn set_julian(&mut self, number: &str) -> Result<(), Failure> {
        let (days, fraction) = number.split_once('.').unwrap_or((number, ""));
        let days: i64 = days.parse().map_err(|_| Failure::Field)?;
        self.relative = Some(days - JULIAN_EPOCH);
        if !fraction.is_empty() {
            let fraction: f64 = format!("0.{fraction}").parse().map_err(|_| Failure::Syntax)?;
            self.time = Some((fraction * MICROS_PER_DAY as f64) as i64);
        }
        Ok(())
    }

    fn relative_day(&mut self, days: i64, session: &SessionContext) -> Result<(), Failure> {
        let local = zone::to_local(session.transaction_timestamp, &session.time_zone);
        self.relative = Some(local.div_euclid(MICROS_PER_DAY) + days);
        Ok(())
    }

    fn word(&mut self, word: &str, session: &SessionContext) -> Result<(), Failure> {
        if let Some(month) = month(word) {
            // `08 jan 1999`: a number that was taken for the month was the day.
            if let Some(number) = self.month {
                if self.month_is_text || self.day.is_some() {
                    return Err(Failure::Syntax);
                }
                self.day = Some(number);
            }
            self.month = Some(month);
            self.month_is_text = true;
            return Ok(());
        }
        match word {
            "am" | "pm" => self.afternoon = Some(word == "pm"),
            "bc" | "b.c." => self.before_christ = true,
            "ad" | "at" | "on" | "a.d." => {}
            "dst" => return Err(Failure::Syntax),
            word if is_weekday(word) => {}
            word => return self.zone_name(word, session),
        }
        Ok(())
    }

    fn zone_name(&mut self, word: &str, _session: &SessionContext) -> Result<(), Failure> {
        if self.zone.is_some() {
            return Err(Failure::Syntax);
        }
        self.zone = Some(match zone::abbreviation(word) {
            Some(zone::Abbreviation::Offset(seconds)) => Zone::Offset(i64::from(seconds)),
            Some(zone::Abbreviation::OfZone(named)) => Zone::Abbreviated(named),
            None => match (word.len() > 1).then(|| zone::find(word)).flatten() {
                Some(named) => Zone::Named(named),
                None if word.contains(|letter: char| !letter.is_ascii_alphabetic()) => {
                    return Err(Failure::Zone(word.to_owned()));
                }
                None => return Err(Failure::Syntax),
            },
        });
        Ok(())
    }

    /// `1999-01-08`, `1/8/1999`, `08-jan-1999`, `jan-08-1999`
    fn date(&mut self, text: &str, order: DateOrder) -> Result<(), Failure> {
        // Behind a date: `040506-08`.
        if self.has_date()
            && self.time.is_none()
            && let Some((time, west)) = text.split_once('-')
            && west.bytes().all(|byte| byte.is_ascii_digit())
        {
            self.number(time, order)?;
            return self.offset(&format!("-{west}"), order);
        }
        // A time may stand before a date only if that is written without separators.
        if self.has_date() || self.time.is_some() {
            return Err(Failure::Syntax);
        }
        let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
        if parts.len() > 3 {
            return Err(Failure::Syntax);
        }
        // A month's name counts first, wherever it stands.
        for part in parts.iter().filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic())) {
            self.month = Some(month(part).filter(|_| !self.month_is_text).ok_or(Failure::Syntax)?);
            self.month_is_text = true;
        }
        for part in parts.iter().filter(|part| !part.starts_with(|c: char| c.is_ascii_alphabetic())) {
            if part.is_empty() {
                return Err(Failure::Syntax);
            }
            self.date_number(part, order)?;
        }
        if self.has_date() { Ok(()) } else { Err(Failure::Syntax) }
    }

    /// One number of a date: which field it is depends on those before it, its length and the DateStyle.
    fn date_number(&mut self, digits: &str, order: DateOrder) -> Result<(), Failure> {
        let value = whole(digits)?;
        let length = digits.len();
        if self.day_of_year.is_some() {
            return Err(Failure::Syntax);
        }
        if length == 3 && self.year.is_some() && self.month.is_none() && self.day.is_none() {
            if !(1..=366).contains(&value) {
                return Err(Failure::Field);
            }
            self.day_of_year = Some(value);
            return Ok(());
        }
        match (self.year, self.month, self.day) {
            (None, None, None) if length >= 3 || order == DateOrder::Ymd => self.set_year(value, length),
            (None, None, None) if order == DateOrder::Dmy => self.day = Some(value),
            (None, None, None) => self.month = Some(value),
            (Some(_), None, None) => self.month = Some(value),
            (None, Some(_), None) if self.month_is_text && (length >= 3 || order == DateOrder::Ymd) => {
                self.set_year(value, length);
            }
            (None, Some(_), None) => self.day = Some(value),
            (Some(year), Some(_), None) if self.month_is_text && length >= 3 && self.year_is_short => {
                self.day = Some(year);
                self.set_year(value, length);
            }
            (Some(_), Some(_), None) => self.day = Some(value),
            (None, None, Some(_)) => self.month = Some(value),
            (None, Some(_), Some(_)) => self.set_year(value, length),
            _ => return Err(Failure::Syntax),
        }
        Ok(())
    }

    fn set_year(&mut self, year: i64, digits: usize) {
        self.year = Some(year);
        self.year_is_short = digits <= 2;
    }

    /// A number that stands alone: part of a date, a whole date `19990108`, or a time `040506`.
    fn number(&mut self, text: &str, order: DateOrder) -> Result<(), Failure> {
        let (digits, fraction) =
            text.split_once('.').map_or((text, None), |(digits, rest)| (digits, Some(rest)));
        if let Some(fraction) = fraction {
            if !self.has_date() && self.year.is_none() && fraction.len() == 3 && digits.len() >= 3 {
                // Year and day of the year.
                self.set_year(whole(digits)?, digits.len());
                return self.date_number(fraction, order);
            }
            return match digits.len() {
                6 if self.has_date() => self.concatenated_time(digits, micros_of_fraction(fraction)?),
                _ => Err(Failure::Syntax),
            };
        }
        let wants_date = !self.has_date();
        let has_part = self.year.is_some() || self.month.is_some() || self.day.is_some();
        // Behind a part of a date and a time it is the year.
        if digits.len() >= 6 && (wants_date && !has_part || self.time.is_none()) {
            if wants_date {
                let (rest, day) = digits.split_at(digits.len() - 2);
                let (year, month) = rest.split_at(rest.len() - 2);
                self.set_year(whole(year)?, year.len());
                self.month = Some(whole(month)?);
                self.day = Some(whole(day)?);
                return Ok(());
            }
            return self.concatenated_time(digits, 0);
        }
        if !wants_date && self.time.is_none() && digits.len() == 4 {
            return self.concatenated_time(digits, 0);
        }
        self.date_number(digits, order)
    }

    /// `hhmmss` or `hhmm`
    fn concatenated_time(&mut self, digits: &str, micros: i64) -> Result<(), Failure> {
        let value = whole(digits)?;
        match digits.len() {
            6 => self.set_time(value / 10_000, value / 100 % 100, value % 100, micros),
            4 => self.set_time(value / 100, value % 100, 0, 0),
            _ => Err(Failure::Syntax),
        }
    }

    fn finish(self) -> Result<Parsed, Failure> {
        let mut time = self.time.unwrap_or(0);
        if let Some(afternoon) = self.afternoon {
            let hour = time / calendar::MICROS_PER_HOUR;
            if self.time.is_none() {
                return Err(Failure::Syntax);
            }
            if hour > 12 {
                return Err(Failure::Field);
            }
            let half_day = 12 * calendar::MICROS_PER_HOUR;
            time = time % half_day + if afternoon { half_day } else { 0 };
        }
        let mut days = match self.relative {
            Some(days) => days,
            None => self.days()?,
        };
        // 24:00:00 and :60 are the next day's, or the next minute's.
        days += time / MICROS_PER_DAY;
        time %= MICROS_PER_DAY;
        let (year, month, day) = calendar::civil_from_days(days);
        let civil = Civil { year, month, day, ..Civil::from_micros(time) };
        Ok(Parsed::Local { civil: Civil { year, month, day, ..civil }, zone: self.zone })
    }

    fn days(&self) -> Result<i64, Failure> {
        let mut year = self.year.ok_or(Failure::Syntax)?;
        if self.before_christ {
            if year <= 0 {
                return Err(Failure::Field);
            }
            year = 1 - year;
        } else if self.year_is_short {
            year += if year < 70 { 2000 } else { 1900 };
        } else if year <= 0 {
            return Err(Failure::Field);
        }
        if year > 5_874_898 {
            return Err(Failure::Field);
        }
        if let Some(day_of_year) = self.day_of_year {
            return Ok(calendar::days_from_civil(year, 1, 1) + day_of_year - 1);
        }
        let (Some(month), Some(day)) = (self.month, self.day) else { return Err(Failure::Syntax) };
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Failure::MonthOrDay);
        }
        if day > calendar::days_in_month(year, month) {
            return Err(Failure::Field);
        }
        Ok(calendar::days_from_civil(year, month, day))
    }
}

fn whole(digits: &str) -> Result<i64, Failure> {
    match digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Err(Failure::Syntax),
        false => digits.parse::<i32>().map(i64::from).map_err(|_| Failure::Field),
    }
}

/// `56.789`: whole seconds and microseconds.
fn seconds(text: &str) -> Result<(i64, i64), Failure> {
    let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
    Ok((whole(second)?, micros_of_fraction(fraction)?))
}

fn micros_of_fraction(digits: &str) -> Result<i64, Failure> {
    if digits.is_empty() {
        return Ok(0);
    }
    let fraction: f64 = format!("0.{digits}").parse().map_err(|_| Failure::Syntax)?;
    Ok((fraction * 1e6).round_ties_even() as i64)
}

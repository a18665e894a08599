//! The fields of dates and times: what one token adds to what was read before it (`src/backend/utils/adt/datetime.c`,
//! `DecodeDate` and its like). What it is depends on its form, its length, what is there already and the DateStyle.

use jiff::tz::TimeZone;

use crate::calendar::{self, JULIAN_EPOCH, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_SECOND, zone};
use crate::session::{DateOrder, SessionContext};

use super::time_failure::Failure;
use super::time_part::Parts;
use super::time_word::{Unit, Word, meaning};

/// How many parts a date may have.
const DATE_PARTS_MAX: usize = 25;

/// The fields read so far.
///
/// # Invariants
/// - A field without its part in `seen` counts as nothing, but those of a time: they are 0 until they are read.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) seen: Parts,
    /// As written; astronomical behind `is_julian` and [`Fields::settle`].
    pub(super) year: i64,
    /// The year was written with at most two digits.
    year_is_short: bool,
    /// The date was a Julian day.
    is_julian: bool,
    pub(super) month: i64,
    pub(super) month_is_text: bool,
    pub(super) day: i64,
    day_of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    afternoon: Option<bool>,
    before_christ: bool,
    /// Seconds east of Greenwich.
    offset: i64,
    named: Option<TimeZone>,
    /// By an abbreviation that it has had with one offset and another.
    abbreviated: Option<TimeZone>,
}

/// Where a date or time is.
#[derive(Debug)]
pub(super) enum Zone {
    /// Seconds east of Greenwich.
    Offset(i64),
    Named(TimeZone),
    /// By an abbreviation that it has had with one offset and another.
    Abbreviated(TimeZone),
    /// In the session's: none was named.
    Unsaid,
}

impl Fields {
    /// Takes in what a token has added. A part may be read once.
    pub(super) fn add(&mut self, parts: Parts) -> Result<(), Failure> {
        if self.seen.has_any(parts) {
            return Err(Failure::Syntax);
        }
        self.seen |= parts;
        Ok(())
    }

    /// Microseconds since midnight, which may be more than a day.
    pub(super) fn time_of_day(&self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * MICROS_PER_SECOND + self.micros
    }

    /// Days since 2000-01-01.
    pub(super) fn days(&self) -> i64 {
        calendar::days_from_civil(self.year, self.month, self.day)
    }

    /// 24:00:00 and 23:59:60 are the last of all times.
    pub(super) fn time_fits_a_day(&self) -> bool {
        self.hour <= 24 && self.minute < 60 && self.second <= 60 && self.time_of_day() <= MICROS_PER_DAY
    }

    /// `1999-01-08`, `1/8/1999`, `08-jan-1999`, `1999.008`
    pub(super) fn date(&mut self, text: &str, order: DateOrder) -> Result<Parts, Failure> {
        let mut parts: Vec<&str> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() && parts.len() < DATE_PARTS_MAX {
            rest = rest.trim_start_matches(|sign: char| !sign.is_ascii_alphanumeric());
            let digits = rest.starts_with(|sign: char| sign.is_ascii_digit());
            let goes_on = |sign: char| match digits {
                true => sign.is_ascii_digit(),
                false => sign.is_ascii_alphabetic(),
            };
            let end = rest.find(|sign: char| !goes_on(sign)).unwrap_or(rest.len());
            let (part, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            if part.is_empty() {
                return Err(Failure::Syntax);
            }
            parts.push(part);
            // One sign behind it is dropped, whatever it is.
            let mut signs = behind.chars();
            signs.next();
            rest = signs.as_str();
        }
        let before = self.seen;
        let mut seen = before;
        // A month's name counts first, wherever it stands.
        let mut month_is_text = false;
        for part in parts.iter().filter(|part| is_text(part)) {
            let Some(Word::Month(month)) = meaning(part) else { return Err(Failure::Syntax) };
            if seen.has(Parts::MONTH) {
                return Err(Failure::Syntax);
            }
            self.month = month;
            month_is_text = true;
            seen |= Parts::MONTH;
        }
        for part in parts.iter().filter(|part| !is_text(part)) {
            let added = self.number(part, month_is_text, seen, order)?;
            if seen.has_any(added) {
                return Err(Failure::Syntax);
            }
            seen |= added;
        }
        match seen.without(Parts::DAY_OF_YEAR | Parts::ZONE) == Parts::DATE {
            true => Ok(seen.without(before)),
            false => Err(Failure::Syntax),
        }
    }

    /// `12:34`, `12:34:56.789`; `mm:ss.ff` has no hour.
    pub(super) fn time(&mut self, text: &str) -> Result<Parts, Failure> {
        let (first, rest) = leading(text).ok_or(Failure::Field)?;
        let rest = rest.strip_prefix(':').ok_or(Failure::Syntax)?;
        let (second, rest) = leading(rest).ok_or(Failure::Field)?;
        let (hour, minute, second, micros) = if rest.is_empty() {
            (first, second, 0, 0)
        } else if let Some(rest) = rest.strip_prefix(':') {
            let (third, rest) = leading(rest).ok_or(Failure::Field)?;
            (first, second, third, fraction(rest)?)
        } else {
            (0, first, second, fraction(rest)?)
        };
        if hour < 0 || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
            return Err(Failure::Field);
        }
        (self.hour, self.minute, self.second, self.micros) = (hour, minute, second, micros);
        Ok(Parts::TIME)
    }

    /// `+20:00`, `-0530`, `+5`, `-5:30:15`: seconds east of Greenwich.
    pub(super) fn offset(&mut self, text: &str) -> Result<Parts, Failure> {
        let Some(digits) = text.strip_prefix(['+', '-']) else { return Err(Failure::Syntax) };
        let (mut hour, mut rest) = leading(digits).ok_or(Failure::Offset)?;
        let (mut minute, mut second) = (0, 0);
        if let Some(behind) = rest.strip_prefix(':') {
            (minute, rest) = leading(behind).ok_or(Failure::Offset)?;
            if let Some(behind) = rest.strip_prefix(':') {
                (second, rest) = leading(behind).ok_or(Failure::Offset)?;
            }
        } else if rest.is_empty() && digits.len() > 2 {
            (hour, minute) = (hour / 100, hour % 100);
        }
        if !(0..=15).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
            return Err(Failure::Offset);
        }
        if !rest.is_empty() {
            return Err(Failure::Syntax);
        }
        let seconds = hour * 3600 + minute * 60 + second;
        self.offset = if text.starts_with('-') { -seconds } else { seconds };
        Ok(Parts::ZONE)
    }

    /// `040506-08`: a time and, from its first `-` on, where it is. Fields of `seen` are there already.
    pub(super) fn time_with_offset(&mut self, text: &str, seen: Parts) -> Result<Parts, Failure> {
        if self.seen.has(Parts::TIME) {
            return Err(Failure::Syntax);
        }
        let at = text.find('-').ok_or(Failure::Syntax)?;
        let (time, offset) = text.split_at_checked(at).ok_or(Failure::Syntax)?;
        let zone = self.offset(offset)?;
        Ok(self.concatenated(time, seen)? | zone)
    }

    /// A Julian day and what stands behind it.
    pub(super) fn julian<'a>(&mut self, text: &'a str) -> Result<(Parts, &'a str), Failure> {
        let (days, rest) = leading(text).filter(|(days, _)| *days >= 0).ok_or(Failure::Field)?;
        self.set_day(days - JULIAN_EPOCH);
        self.is_julian = true;
        Ok((Parts::DATE, rest))
    }

    /// The part of a day behind a Julian day: `.5`
    pub(super) fn part_of_day(&mut self, text: &str) -> Result<Parts, Failure> {
        let time = (fraction_of_one(text)? * MICROS_PER_DAY as f64) as i64;
        self.set_time_of_day(time);
        Ok(Parts::TIME)
    }

    /// A number that a word before it says the meaning of.
    pub(super) fn written(&mut self, text: &str, unit: Unit) -> Result<Parts, Failure> {
        let (value, rest) = leading(text).ok_or(Failure::Field)?;
        let may_have_fraction = matches!(unit, Unit::Julian | Unit::Time | Unit::Second);
        let is_fraction = may_have_fraction && rest.starts_with('.');
        if !rest.is_empty() && !is_fraction {
            return Err(Failure::Syntax);
        }
        match unit {
            Unit::Year => {
                self.year = value;
                Ok(Parts::YEAR)
            }
            // Behind an hour it is the minute.
            Unit::Month if self.seen.has(Parts::MONTH | Parts::HOUR) => {
                self.minute = value;
                Ok(Parts::MINUTE)
            }
            Unit::Month => {
                self.month = value;
                Ok(Parts::MONTH)
            }
            Unit::Day => {
                self.day = value;
                Ok(Parts::DAY)
            }
            Unit::Hour => {
                self.hour = value;
                Ok(Parts::HOUR)
            }
            Unit::Minute => {
                self.minute = value;
                Ok(Parts::MINUTE)
            }
            Unit::Second if rest.is_empty() => {
                self.second = value;
                Ok(Parts::SECOND)
            }
            Unit::Second => {
                self.second = value;
                self.micros = fraction(rest)?;
                Ok(Parts::SECONDS)
            }
            Unit::Julian => {
                let (date, rest) = self.julian(text)?;
                Ok(if rest.is_empty() { date } else { date | self.part_of_day(rest)? })
            }
            Unit::Time => match self.concatenated(text, self.seen | Parts::DATE)? {
                Parts::TIME => Ok(Parts::TIME),
                _ => Err(Failure::Syntax),
            },
            Unit::Other => Err(Failure::Syntax),
        }
    }

    /// One number of a date, or behind a date a time. Fields of `seen` are there already.
    pub(super) fn number(
        &mut self,
        text: &str,
        month_is_text: bool,
        seen: Parts,
        order: DateOrder,
    ) -> Result<Parts, Failure> {
        let (value, rest) = leading(text).ok_or(Failure::Field)?;
        let length = text.len();
        if rest.len() == length {
            return Err(Failure::Syntax);
        }
        if !rest.is_empty() {
            if rest.starts_with('.') && length - rest.len() > 2 {
                return self.concatenated(text, seen | Parts::DATE);
            }
            self.micros = fraction(rest)?;
        }
        let date = seen.of_date();
        if length == 3 && date == Parts::YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(Parts::DAY_OF_YEAR | Parts::MONTH | Parts::DAY);
        }
        let year_first = length >= 3 || order == DateOrder::Ymd;
        let part = if date == Parts::NONE {
            match order {
                _ if year_first => Parts::YEAR,
                DateOrder::Dmy => Parts::DAY,
                DateOrder::Mdy | DateOrder::Ymd => Parts::MONTH,
            }
        } else if date == Parts::YEAR || date == Parts::DAY {
            Parts::MONTH
        } else if date == Parts::MONTH {
            if month_is_text && year_first { Parts::YEAR } else { Parts::DAY }
        } else if date == Parts::YEAR | Parts::MONTH {
            if month_is_text && length >= 3 && self.year_is_short {
                // What was taken for the year was the day.
                (self.day, self.year, self.year_is_short) = (self.year, value, false);
                return Ok(Parts::DAY);
            }
            Parts::DAY
        } else if date == Parts::MONTH | Parts::DAY {
            Parts::YEAR
        } else if date == Parts::DATE {
            return self.concatenated(text, seen);
        } else {
            return Err(Failure::Syntax);
        };
        if part == Parts::YEAR {
            self.year = value;
            self.year_is_short = length <= 2;
        } else if part == Parts::MONTH {
            self.month = value;
        } else {
            self.day = value;
        }
        Ok(part)
    }

    /// A whole date `19990108`, or a time `040506` or `0405`. Fields of `seen` are there already.
    pub(super) fn concatenated(&mut self, text: &str, seen: Parts) -> Result<Parts, Failure> {
        let split_off = |text: &str, count: usize| {
            let at = text.len().saturating_sub(count);
            let (rest, last) = text.split_at_checked(at).unwrap_or((text, ""));
            (rest.len(), digits(last))
        };
        let front = |length: usize| text.get(..length).unwrap_or_default();
        let mut length = text.len();
        if let Some(point) = text.find('.') {
            self.micros =
                (fraction_of_one(text.get(point..).unwrap_or_default())? * 1e6).round_ties_even() as i64;
            length = point;
        } else if !seen.has(Parts::DATE) && length >= 6 {
            let (rest, day) = split_off(text, 2);
            let (rest, month) = split_off(front(rest), 2);
            (self.year, self.month, self.day) = (digits(front(rest)), month, day);
            self.year_is_short |= rest == 2;
            return Ok(Parts::DATE);
        }
        if seen.has(Parts::TIME) || !matches!(length, 4 | 6) {
            return Err(Failure::Syntax);
        }
        self.second = 0;
        if length == 6 {
            (length, self.second) = split_off(front(length), 2);
        }
        let (length, minute) = split_off(front(length), 2);
        (self.hour, self.minute) = (digits(front(length)), minute);
        Ok(Parts::TIME)
    }

    /// A month by its name.
    pub(super) fn month_by_name(&mut self, month: i64) -> Parts {
        let mut part = Parts::MONTH;
        // `08 jan 1999`: a number that was taken for the month was the day.
        if self.seen.has(Parts::MONTH)
            && !self.month_is_text
            && !self.seen.has(Parts::DAY)
            && (1..=31).contains(&self.month)
        {
            self.day = self.month;
            part = Parts::DAY;
        }
        self.month = month;
        self.month_is_text = true;
        part
    }

    /// `am` and `pm`.
    pub(super) fn half_of_day(&mut self, afternoon: bool) -> Parts {
        self.afternoon = Some(afternoon);
        Parts::HALF_DAY
    }

    /// `ad` and `bc`.
    pub(super) fn era(&mut self, before_christ: bool) -> Parts {
        self.before_christ = before_christ;
        Parts::ERA
    }

    /// `dst`: an hour more than the zone has.
    pub(super) fn summer(&mut self) -> Parts {
        self.offset += 3600;
        Parts::SUMMER | Parts::SUMMER_ZONE
    }

    /// `allballs`: midnight in Greenwich.
    pub(super) fn midnight(&mut self) -> Parts {
        (self.hour, self.minute, self.second, self.offset) = (0, 0, 0, 0);
        Parts::TIME | Parts::ZONE
    }

    /// Today, or so many days later, in the session's zone.
    pub(super) fn day_from_now(&mut self, days: i64, session: &SessionContext) -> Parts {
        let local = zone::to_local(session.transaction_timestamp, &session.time_zone);
        self.set_day(local.div_euclid(MICROS_PER_DAY) + days);
        Parts::DATE
    }

    /// What clocks show now in the session's zone.
    pub(super) fn time_now(&mut self, session: &SessionContext) -> Parts {
        let local = zone::to_local(session.transaction_timestamp, &session.time_zone);
        self.set_time_of_day(local.rem_euclid(MICROS_PER_DAY));
        Parts::TIME
    }

    /// Now.
    pub(super) fn now(&mut self, session: &SessionContext) -> Parts {
        self.offset = zone::offset_at(session.transaction_timestamp, &session.time_zone);
        self.day_from_now(0, session) | self.time_now(session) | Parts::ZONE
    }

    /// The abbreviation of a zone, if it is one.
    pub(super) fn abbreviation(&mut self, word: &str) -> Option<Parts> {
        match zone::abbreviation(word)? {
            zone::Abbreviation::Offset(seconds) => {
                self.offset = i64::from(seconds);
                let summer = if zone::is_summer(word) { Parts::SUMMER_ZONE } else { Parts::NONE };
                Some(Parts::ZONE | summer)
            }
            zone::Abbreviation::OfZone(zone) => {
                self.abbreviated = Some(zone);
                Some(Parts::ZONE)
            }
        }
    }

    /// The name of a zone; `missing`: why none is what is no such name.
    pub(super) fn zone(&mut self, name: &str, missing: Failure) -> Result<Parts, Failure> {
        self.named = Some((name.len() > 1).then(|| zone::find(name)).flatten().ok_or(missing)?);
        Ok(Parts::ZONE)
    }

    /// Checks the date, as far as there is one, and makes its year astronomical; 12 hours become 24.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        if self.seen.has(Parts::YEAR) && !self.is_julian {
            if self.year <= 0 && (self.before_christ || !self.year_is_short) {
                return Err(Failure::Field);
            }
            if self.before_christ {
                self.year = 1 - self.year;
            } else if self.year_is_short && self.year < 100 {
                self.year += if self.year < 70 { 2000 } else { 1900 };
            }
        }
        if self.seen.has(Parts::DAY_OF_YEAR) {
            self.set_day(calendar::days_from_civil(self.year, 1, 1) + self.day_of_year - 1);
        }
        if self.seen.has(Parts::MONTH) && !(1..=12).contains(&self.month)
            || self.seen.has(Parts::DAY) && !(1..=31).contains(&self.day)
        {
            return Err(Failure::MonthOrDay);
        }
        if self.seen.has(Parts::DATE) && self.day > calendar::days_in_month(self.year, self.month) {
            return Err(Failure::Field);
        }
        match self.afternoon {
            Some(_) if self.hour > 12 => return Err(Failure::Field),
            Some(false) if self.hour == 12 => self.hour = 0,
            Some(true) if self.hour != 12 => self.hour += 12,
            _ => {}
        }
        Ok(())
    }

    /// Where it is; `dst` is of an offset only.
    pub(super) fn place(self) -> Result<Zone, Failure> {
        let zone = match (self.abbreviated, self.named) {
            (Some(zone), _) => Zone::Abbreviated(zone),
            (None, Some(zone)) => Zone::Named(zone),
            (None, None) if self.seen.has(Parts::ZONE) => return Ok(Zone::Offset(self.offset)),
            (None, None) => Zone::Unsaid,
        };
        if self.seen.has(Parts::SUMMER) { Err(Failure::Syntax) } else { Ok(zone) }
    }

    fn set_day(&mut self, days: i64) {
        (self.year, self.month, self.day) = calendar::civil_from_days(days);
    }

    fn set_time_of_day(&mut self, micros: i64) {
        self.hour = micros / MICROS_PER_HOUR;
        self.minute = micros / (60 * MICROS_PER_SECOND) % 60;
        self.second = micros / MICROS_PER_SECOND % 60;
        self.micros = micros % MICROS_PER_SECOND;
    }
}

/// Whether a part of a date is a word.
fn is_text(part: &str) -> bool {
    part.starts_with(|sign: char| sign.is_ascii_alphabetic())
}

/// The whole number that a text begins with, 0 if there is none, and what is behind it. None beyond 32 bits.
fn leading(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let count = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = unsigned.split_at_checked(count)?;
    if digits.is_empty() {
        return Some((0, text));
    }
    let value = i64::from(digits.parse::<i32>().ok()?);
    Some((if text.starts_with('-') { -value } else { value }, rest))
}

/// The number that a text of digits is, cut to 32 bits as C's `atoi` does.
fn digits(text: &str) -> i64 {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    let digits = text.get(..count).unwrap_or_default();
    if digits.is_empty() { 0 } else { i64::from(digits.parse::<i64>().unwrap_or(i64::MAX) as i32) }
}

/// Microseconds of `.789`; nothing is none.
fn fraction(text: &str) -> Result<i64, Failure> {
    match text.is_empty() {
        true => Ok(0),
        false => Ok((fraction_of_one(text)? * 1e6).round_ties_even() as i64),
    }
}

/// `.789`; a point alone is 0.
fn fraction_of_one(text: &str) -> Result<f64, Failure> {
    let digits = text.strip_prefix('.').ok_or(Failure::Syntax)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::Syntax);
    }
    match digits.is_empty() {
        true => Ok(0.0),
        false => format!("0.{digits}").parse().map_err(|_| Failure::Syntax),
    }
}

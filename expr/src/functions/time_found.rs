//! What `to_date` and `to_timestamp` have read, and the time that it makes.
//!
//! Fields that were not read are 0, and those that were read as 0 count as not read: so it is in PostgreSQL, whose 32-bit
//! arithmetic wraps, too.

use jiff::tz::TimeZone;

use super::time_pattern::Convention;
use crate::calendar::{self, JULIAN_EPOCH, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, zone};
use crate::error::{Error, Result};

/// The hours of a zone are at most so many.
const ZONE_HOURS_MAX: i32 = 15;

/// The first day of PostgreSQL's Julian days: -4800-03-01, by which it counts modulo 2³².
const JULIAN_SHIFT: u32 = 32_044;

/// The fields that were read.
#[derive(Debug, Default)]
pub(super) struct Found {
    convention: Option<Convention>,
    pub(super) hour: i32,
    /// The hour is one of a clock that has twelve.
    pub(super) is_twelve_hours: bool,
    pub(super) afternoon: i32,
    pub(super) minute: i32,
    pub(super) second: i32,
    pub(super) second_of_day: i32,
    pub(super) millis: i32,
    pub(super) micros: i32,
    /// FF: to so many digits seconds are rounded.
    pub(super) fraction_digits: Option<u32>,
    /// 1 = Sunday … 7 = Saturday.
    pub(super) day_of_week: i32,
    pub(super) day: i32,
    pub(super) day_of_year: i32,
    pub(super) month: i32,
    pub(super) year: i32,
    /// So many digits the pattern of the year has.
    pub(super) year_digits: u32,
    pub(super) before_christ: i32,
    pub(super) century: i32,
    pub(super) julian: i32,
    pub(super) week: i32,
    pub(super) week_of_month: i32,
    /// 1 is east of Greenwich.
    pub(super) zone_sign: Option<i32>,
    pub(super) zone_hour: i32,
    pub(super) zone_minute: i32,
}

/// A date on its way to be one, and which of its fields were given.
struct Date {
    year: i32,
    month: i32,
    day: i32,
    has_year: bool,
    has_month: bool,
    has_day: bool,
}

fn out_of_range(source: &str) -> Error {
    Error::new("22008", format!("date/time field value out of range: \"{source}\""))
}

impl Found {
    /// Notes the calendar that a field belongs to. 22007 if another field belongs to the other.
    pub(super) fn follow(&mut self, convention: Option<Convention>) -> Result<()> {
        if convention.is_some_and(|convention| *self.convention.get_or_insert(convention) != convention) {
            return Err(Error::new("22007", "invalid combination of date conventions")
                .with_hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
        }
        Ok(())
    }

    /// The date, in days since 2000-01-01; `source` is what was read.
    pub(super) fn date(&self, source: &str) -> Result<i32> {
        let (days, _) = self.checked(source)?;
        calendar::checked_date(days)
            .map_err(|_| Error::new("22008", format!("date out of range: \"{source}\"")))
    }

    /// The time, in microseconds since 2000-01-01 UTC, in its own zone or in this one.
    pub(super) fn instant(&self, source: &str, time_zone: &TimeZone) -> Result<i64> {
        let (days, time) = self.checked(source)?;
        let local = days.checked_mul(calendar::MICROS_PER_DAY).and_then(|day| day.checked_add(time));
        let local = local.ok_or_else(|| Error::new("22008", "timestamp out of range"))?;
        let instant = match self.zone_offset(source)? {
            Some(seconds) => {
                calendar::checked_timestamp(local.checked_sub(seconds.saturating_mul(MICROS_PER_SECOND)))?
            }
            None => zone::to_instant(local, time_zone)?,
        };
        let digits = self.fraction_digits.and_then(|digits| i32::try_from(digits).ok());
        Ok(digits.map_or(instant, |digits| calendar::round_micros(instant, digits)))
    }

    /// Days since 2000-01-01, microseconds since midnight, and seconds east of Greenwich, if a zone was read.
    pub(super) fn parts(&self, source: &str) -> Result<(i64, i64, Option<i64>)> {
        let (days, time) = self.checked(source)?;
        Ok((days, time, self.zone_offset(source)?))
    }

    /// To so many digits seconds are rounded.
    pub(super) fn digits(&self) -> i32 {
        self.fraction_digits.and_then(|digits| i32::try_from(digits).ok()).unwrap_or(6)
    }

    /// Days, and microseconds since midnight.
    fn checked(&self, source: &str) -> Result<(i64, i64)> {
        let time = self.time()?;
        let date = self.civil_date()?;
        date.check(source)?;
        let time = time.ok_or_else(|| out_of_range(source))?;
        self.zone_offset(source)?;
        Ok((calendar::days_from_civil(date.year.into(), date.month.into(), date.day.into()), time))
    }

    /// Microseconds since midnight; none where a field is beyond its range.
    fn time(&self) -> Result<Option<i64>> {
        let given = |field: i32, else_: i32| if field != 0 { field } else { else_ };
        let of_day = self.second_of_day;
        let mut hour = given(self.hour, of_day / 3600);
        let minute = given(self.minute, of_day % 3600 / 60);
        let second = given(self.second, of_day % 60);
        if self.is_twelve_hours {
            if !(1..=12).contains(&hour) {
                return Err(Error::new("22007", format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = hour % 12 + if self.afternoon != 0 { 12 } else { 0 };
        }
        let micros = self.millis.wrapping_mul(1000).wrapping_add(self.micros);
        let is_within = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..MICROS_PER_SECOND).contains(&i64::from(micros));
        Ok(is_within.then_some(
            i64::from(hour) * MICROS_PER_HOUR
                + i64::from(minute) * MICROS_PER_MINUTE
                + i64::from(second) * MICROS_PER_SECOND
                + i64::from(micros),
        ))
    }

    /// Seconds east of Greenwich, if a zone was read.
    fn zone_offset(&self, source: &str) -> Result<Option<i64>> {
        let Some(sign) = self.zone_sign else { return Ok(None) };
        if !(0..=ZONE_HOURS_MAX).contains(&self.zone_hour) || !(0..60).contains(&self.zone_minute) {
            return Err(Error::new("22009", format!("time zone displacement out of range: \"{source}\"")));
        }
        let seconds = i64::from(self.zone_hour) * 3600 + i64::from(self.zone_minute) * 60;
        Ok(Some(i64::from(sign) * seconds))
    }

    fn is_before_christ(&self) -> bool {
        self.before_christ != 0
    }

    /// The astronomical year, if there is one.
    fn civil_year(&self) -> Option<i32> {
        let century = if self.is_before_christ() { self.century.wrapping_neg() } else { self.century };
        if self.year != 0 && self.century != 0 && self.year_digits <= 2 {
            // Two digits are of the century, whose last year is that of 00.
            let year = self.year % 100;
            return Some(match (year, century) {
                (0, century) => century.wrapping_mul(100).wrapping_add(i32::from(century < 0)),
                // Before Christ they count on to the past, and 1 BC is 0.
                (year, ..0) => century.wrapping_add(1).wrapping_mul(100).wrapping_sub(year).wrapping_add(1),
                (year, 0..) => year.wrapping_add(century.wrapping_sub(1).wrapping_mul(100)),
            });
        }
        if self.year != 0 {
            let year = if self.is_before_christ() { self.year.wrapping_neg() } else { self.year };
            return Some(if year < 0 { year.wrapping_add(1) } else { year });
        }
        (self.century != 0).then(|| {
            let century = if century >= 0 { century.wrapping_sub(1) } else { century };
            century.wrapping_mul(100).wrapping_add(1)
        })
    }

    /// The date that the fields say. What is more special wins: a week over a Julian day, a day over a week.
    fn civil_date(&self) -> Result<Date> {
        let year = self.civil_year();
        let mut date = Date {
            year: year.unwrap_or_default(),
            month: 1,
            day: 1,
            has_year: year.is_some(),
            has_month: false,
            has_day: false,
        };
        let is_iso = self.convention == Some(Convention::IsoWeek);
        let mut day_of_year = self.day_of_year;
        if self.julian != 0 {
            date.set_julian(self.julian);
        }
        if self.week != 0 && is_iso {
            let monday = iso_week_start(date.year, self.week);
            date.set_julian(match self.day_of_week {
                0 => monday,
                // Sunday is the last day of such a week.
                ..=1 => monday.wrapping_add(6),
                day => monday.wrapping_add(day).wrapping_sub(2),
            });
        } else if self.week != 0 {
            day_of_year = self.week.wrapping_sub(1).wrapping_mul(7).wrapping_add(1);
        }
        let day = match self.week_of_month {
            0 => self.day,
            week => week.wrapping_sub(1).wrapping_mul(7).wrapping_add(1),
        };
        if day != 0 {
            (date.day, date.has_day) = (day, true);
        }
        if self.month != 0 {
            (date.month, date.has_month) = (self.month, true);
        }
        if day_of_year != 0 && (date.month <= 1 || date.day <= 1) {
            if date.year == 0 && !self.is_before_christ() {
                return Err(Error::new("22007", "cannot calculate day of year without year information"));
            }
            match is_iso {
                true => {
                    let before = iso_week_start(date.year, 1).wrapping_sub(1);
                    date.set_julian(before.wrapping_add(day_of_year));
                }
                false => date.set_day_of_year(day_of_year),
            }
        }
        Ok(date)
    }
}

impl Date {
    fn set_julian(&mut self, day: i32) {
        let day = i64::from((day as u32).wrapping_add(JULIAN_SHIFT)) - i64::from(JULIAN_SHIFT);
        let (year, month, day) = calendar::civil_from_days(day - JULIAN_EPOCH);
        // A Julian day of 32 bits is of a year, month and day of less.
        (self.year, self.month, self.day) = (year as i32, month as i32, day as i32);
        (self.has_year, self.has_month, self.has_day) = (true, true, true);
    }

    /// Sets the month and the day, unless they say something already.
    fn set_day_of_year(&mut self, day: i32) {
        let mut before = 0_i32;
        let mut month = 1_i32;
        while month <= 12 {
            let length = calendar::days_in_month(self.year.into(), month.into()) as i32;
            if day <= before.saturating_add(length) {
                break;
            }
            before = before.saturating_add(length);
            month = month.saturating_add(1);
        }
        if self.month <= 1 {
            self.month = month;
        }
        if self.day <= 1 {
            self.day = day.saturating_sub(before);
        }
        (self.has_month, self.has_day) = (true, true);
    }

    /// Checks what was given; the rest is within its range, or counts on.
    fn check(&self, source: &str) -> Result<()> {
        let month_is_wrong = self.has_month && !(1..=12).contains(&self.month);
        let day_max = match self.has_year && self.has_month && self.has_day {
            true => calendar::days_in_month(self.year.into(), self.month.into()),
            false => 31,
        };
        let day_is_wrong = self.has_day && !(1..=day_max).contains(&i64::from(self.day));
        if month_is_wrong || day_is_wrong { Err(out_of_range(source)) } else { Ok(()) }
    }
}

/// The Julian day of a week's Monday.
fn iso_week_start(year: i32, week: i32) -> i32 {
    let fourth = calendar::days_from_civil(year.into(), 1, 4);
    let first = fourth - calendar::iso_day_of_week(fourth) + 1 + JULIAN_EPOCH;
    (first as i32).wrapping_add(week.wrapping_sub(1).wrapping_mul(7))
}

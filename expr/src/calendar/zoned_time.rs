//! Times of day in a zone: the values of `time with time zone`.
//!
//! A value is held as bytes that order as PostgreSQL orders such times: by what a clock in Greenwich shows, which may be
//! of the day before or after, and where that is the same from the east to the west.
//!
//! ```text
//! microseconds since midnight in Greenwich (i64, its sign bit inverted)   seconds west of Greenwich (i32, the same)
//! ```

use jiff::tz::TimeZone;

use super::{MICROS_PER_DAY, MICROS_PER_SECOND, round_micros, zone};
use crate::datum::{Datum, Interval};
use crate::error::{Error, Result};

/// How far from Greenwich no zone is any more, in seconds.
const OFFSET_END: i64 = 16 * 3600;

/// A time of day, and where a clock shows it.
///
/// # Invariants
/// - `local` is not below 0 and not above a day: 24:00:00 is a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZonedTime {
    /// Microseconds since midnight.
    pub local: i64,
    /// Seconds east of Greenwich.
    pub offset: i64,
}

impl ZonedTime {
    /// The time of the clock in a zone that today is.
    pub fn today(local: i64, now: i64, time_zone: &TimeZone) -> Self {
        let midnight = zone::to_local(now, time_zone).div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY;
        Self { local, offset: zone::offset_at_local(midnight.saturating_add(local), time_zone) }
    }

    /// What a clock in a zone shows at an instant that is not infinite.
    pub fn at(instant: i64, time_zone: &TimeZone) -> Self {
        let local = zone::to_local(instant, time_zone).rem_euclid(MICROS_PER_DAY);
        Self { local, offset: zone::offset_at(instant, time_zone) }
    }

    /// The time that a value holds. XX000 if it holds none.
    pub fn of(value: &Datum) -> Result<Self> {
        let mismatch = || Error::internal("a time with a zone that is none");
        let Datum::Bytea(held) = value else { return Err(mismatch()) };
        let (universal, west) = held.split_first_chunk::<8>().ok_or_else(mismatch)?;
        let west: [u8; 4] = west.try_into().map_err(|_| mismatch())?;
        let universal = u64::from_be_bytes(*universal) ^ (1 << 63);
        let offset = -i64::from((u32::from_be_bytes(west) ^ (1 << 31)) as i32);
        Ok(Self { local: (universal as i64).saturating_add(offset * MICROS_PER_SECOND), offset })
    }

    /// The value that holds it.
    pub fn to_datum(self) -> Datum {
        let universal = self.universal() as u64 ^ (1 << 63);
        let west = (-self.offset) as i32 as u32 ^ (1 << 31);
        let held: Vec<u8> = universal.to_be_bytes().into_iter().chain(west.to_be_bytes()).collect();
        Datum::Bytea(held.into())
    }

    /// Microseconds since midnight in Greenwich, which may be below 0 or above a day.
    pub fn universal(self) -> i64 {
        self.local - self.offset * MICROS_PER_SECOND
    }

    /// The time after an interval, of which neither months nor days count; after 23:59 it is 0:00.
    #[must_use]
    pub fn plus(self, added: Interval) -> Self {
        let local = self.local + added.micros % MICROS_PER_DAY;
        Self { local: local.rem_euclid(MICROS_PER_DAY), ..self }
    }

    /// What a clock elsewhere shows at that time.
    #[must_use]
    pub fn moved_to(self, offset: i64) -> Self {
        let local = self.universal() + offset * MICROS_PER_SECOND;
        Self { local: local.rem_euclid(MICROS_PER_DAY), offset }
    }

    /// The time to so many digits of a second.
    #[must_use]
    pub fn rounded(self, precision: i32) -> Self {
        Self { local: round_micros(self.local, precision), ..self }
    }

    /// The time if there is one. 22008 and 22009 if there is not.
    pub fn checked(self) -> Result<Self> {
        if !(0..=MICROS_PER_DAY).contains(&self.local) {
            return Err(Error::new("22008", "time out of range"));
        }
        match self.offset.abs() < OFFSET_END {
            true => Ok(self),
            false => Err(Error::new("22009", "time zone displacement out of range")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;

    fn time() -> impl Strategy<Value = ZonedTime> {
        (prop_oneof![0i64..24, Just(24)], -15i64..16)
            .prop_map(|(hour, east)| ZonedTime { local: hour * 3_600_000_000, offset: east * 3600 })
    }

    proptest! {
        #[test]
        fn times_order_by_greenwich_and_then_from_east_to_west(left in time(), right in time()) {
            let expected = (left.universal(), -left.offset).cmp(&(right.universal(), -right.offset));
            prop_assert_eq!(compare(&left.to_datum(), &right.to_datum()), expected);
            prop_assert_eq!(ZonedTime::of(&left.to_datum()).unwrap(), left);
        }
    }

    #[test]
    fn a_day_has_an_end() {
        let noon = ZonedTime { local: 12 * 3_600_000_000, offset: 3600 };
        let hours = |hours: i64| Interval { months: 1, days: 1, micros: hours * 3_600_000_000 };
        assert_eq!(noon.plus(hours(13)).local, 3_600_000_000);
        assert_eq!(noon.moved_to(-12 * 3600), ZonedTime { local: 23 * 3_600_000_000, offset: -12 * 3600 });
        let last = ZonedTime { local: MICROS_PER_DAY - 1, offset: 0 };
        assert_eq!(last.rounded(0).local, MICROS_PER_DAY);
    }
}

//! A timestamp as people read it: the moment in UTC.

use std::fmt;

/// How many bits of a timestamp count within a millisecond.
const LOGICAL_BITS: u32 = 18;

/// About the timestamp that the oracle would hand out now, as far as this process's clock can tell.
pub(crate) fn about_now() -> u64 {
    env::clock::wall_ms() << LOGICAL_BITS
}

/// How many milliseconds lie between two timestamps.
pub(crate) fn ms_between(earlier: u64, later: u64) -> u64 {
    (later >> LOGICAL_BITS).saturating_sub(earlier >> LOGICAL_BITS)
}

/// A timestamp so many milliseconds after another.
pub(crate) fn later(timestamp: u64, ms: u64) -> u64 {
    timestamp.saturating_add(ms.saturating_mul(1 << LOGICAL_BITS))
}

/// A timestamp so many milliseconds before another.
pub(crate) fn earlier(timestamp: u64, ms: u64) -> u64 {
    timestamp.saturating_sub(ms << LOGICAL_BITS)
}

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Shows a timestamp of the oracle as `2024-01-31 12:00:00.000 UTC`.
#[derive(Clone, Copy, Debug)]
pub struct Moment(
    /// The timestamp.
    pub u64,
);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 >> LOGICAL_BITS;
        let (year, month, day) = date(ms / DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03} UTC", ms % 1000)
    }
}

/// The date so many days after 1970-01-01 ("chrono-Compatible Low-Level Date Algorithms", Hinnant): years that begin in
/// March, in eras of 400.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_in_utc() {
        let shown = |ms: u64| Moment(ms << LOGICAL_BITS).to_string();
        assert_eq!(shown(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(shown(951_782_400_000), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(shown(1_704_067_199_999), "2023-12-31 23:59:59.999 UTC");
        assert_eq!(shown(1_709_251_200_000), "2024-03-01 00:00:00.000 UTC");
    }
}

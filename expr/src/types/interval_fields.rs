//! The fields that an interval may be restricted to: `interval day to second`, and how `atttypmod` has them.

/// The fields of a restricted interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalFields {
    /// year
    Year,
    /// month
    Month,
    /// day
    Day,
    /// hour
    Hour,
    /// minute
    Minute,
    /// second
    Second,
    /// year to month
    YearToMonth,
    /// day to hour
    DayToHour,
    /// day to minute
    DayToMinute,
    /// day to second
    DayToSecond,
    /// hour to minute
    HourToMinute,
    /// hour to second
    HourToSecond,
    /// minute to second
    MinuteToSecond,
}

const MONTH: i32 = 1 << 1;
const YEAR: i32 = 1 << 2;
const DAY: i32 = 1 << 3;
const HOUR: i32 = 1 << 10;
const MINUTE: i32 = 1 << 11;
const SECOND: i32 = 1 << 12;

/// Each with its bits in a modifier, and its name.
const ALL: [(IntervalFields, i32, &str); 13] = [
    (IntervalFields::Year, YEAR, "year"),
    (IntervalFields::Month, MONTH, "month"),
    (IntervalFields::Day, DAY, "day"),
    (IntervalFields::Hour, HOUR, "hour"),
    (IntervalFields::Minute, MINUTE, "minute"),
    (IntervalFields::Second, SECOND, "second"),
    (IntervalFields::YearToMonth, YEAR | MONTH, "year to month"),
    (IntervalFields::DayToHour, DAY | HOUR, "day to hour"),
    (IntervalFields::DayToMinute, DAY | HOUR | MINUTE, "day to minute"),
    (IntervalFields::DayToSecond, DAY | HOUR | MINUTE | SECOND, "day to second"),
    (IntervalFields::HourToMinute, HOUR | MINUTE, "hour to minute"),
    (IntervalFields::HourToSecond, HOUR | MINUTE | SECOND, "hour to second"),
    (IntervalFields::MinuteToSecond, MINUTE | SECOND, "minute to second"),
];

impl IntervalFields {
    /// Those of a name in lower case.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, _, own)| *own == name).map(|(fields, _, _)| *fields)
    }

    /// Those of such bits.
    pub(super) fn of_bits(bits: i64) -> Option<Self> {
        ALL.iter().find(|(_, own, _)| i64::from(*own) == bits).map(|(fields, _, _)| *fields)
    }

    /// Their bits.
    pub fn bits(self) -> i32 {
        ALL.iter().find(|(fields, _, _)| *fields == self).map_or(0, |(_, bits, _)| *bits)
    }

    /// Their name.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(fields, _, _)| *fields == self).map_or("", |(_, _, name)| name)
    }
}

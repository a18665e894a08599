//! Which parts of a date or time have been read.

use std::ops::{BitOr, BitOrAssign};

/// A set of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parts(u32);

impl Parts {
    pub(super) const NONE: Self = Self(0);
    pub(super) const YEAR: Self = Self(1);
    pub(super) const MONTH: Self = Self(1 << 1);
    pub(super) const DAY: Self = Self(1 << 2);
    pub(super) const DAY_OF_YEAR: Self = Self(1 << 3);
    pub(super) const HOUR: Self = Self(1 << 4);
    pub(super) const MINUTE: Self = Self(1 << 5);
    pub(super) const SECOND: Self = Self(1 << 6);
    pub(super) const FRACTION: Self = Self(1 << 7);
    pub(super) const ZONE: Self = Self(1 << 8);
    /// A zone's abbreviation for summer time, or one that was made so.
    pub(super) const SUMMER_ZONE: Self = Self(1 << 9);
    /// `dst` behind a zone.
    pub(super) const SUMMER: Self = Self(1 << 10);
    pub(super) const HALF_DAY: Self = Self(1 << 11);
    pub(super) const ERA: Self = Self(1 << 12);
    pub(super) const WEEKDAY: Self = Self(1 << 13);
    /// What stands for a point in time without fields.
    pub(super) const RESERVED: Self = Self(1 << 14);

    pub(super) const DATE: Self = Self(0b111);
    pub(super) const SECONDS: Self = Self(Self::SECOND.0 | Self::FRACTION.0);
    pub(super) const TIME: Self = Self(Self::HOUR.0 | Self::MINUTE.0 | Self::SECONDS.0);

    /// Whether all of these are among them.
    pub(super) fn has(self, parts: Self) -> bool {
        self.0 & parts.0 == parts.0
    }

    /// Whether any of these is among them.
    pub(super) fn has_any(self, parts: Self) -> bool {
        self.0 & parts.0 != 0
    }

    /// Those of a date.
    pub(super) fn of_date(self) -> Self {
        Self(self.0 & Self::DATE.0)
    }

    /// All others.
    pub(super) fn without(self, parts: Self) -> Self {
        Self(self.0 & !parts.0)
    }
}

impl BitOr for Parts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Parts {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

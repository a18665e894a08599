//! Dates and times within a walk along a path: what `.datetime()` makes of strings. How they are read and compared is for whoever
//! starts the walk to say, which knows templates and zones.

use std::cmp::Ordering;

use super::Walked;
use crate::datum::Datum;

/// Which kind of time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MomentKind {
    Date,
    Time,
    Timetz,
    Timestamp,
    Timestamptz,
}

impl MomentKind {
    /// As `.type()` names it.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::Timetz => "time with time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::Timestamptz => "timestamp with time zone",
        }
    }
}

/// A date or time.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) kind: MomentKind,
    /// A value of the type of this kind.
    pub(crate) value: Datum,
    /// As a string of JSON has it.
    pub(crate) text: Box<str>,
}

/// Reads and compares dates and times.
pub(crate) trait Moments {
    /// What a string says, by a template or by one of those of ISO 8601.
    fn read(&self, text: &str, template: Option<&str>) -> Walked<Moment>;

    /// Their order; `None`: they are of kinds that are not compared.
    fn compare(&self, left: &Moment, right: &Moment) -> Walked<Option<Ordering>>;
}

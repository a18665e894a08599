//! The words of dates and times, but for the names of zones.

use Reserved::{Epoch, Infinity, Midnight, MinusInfinity, Now, Today, Tomorrow, Yesterday};
use Word::{Era, Filler, HalfDay, IsoTime, Month, Stands, Summer, Weekday, Written};

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing: `at`, `on`.
    Filler,
    /// By its number.
    Month(i64),
    /// Which one, nobody asks.
    Weekday,
    /// Whether it is the second.
    HalfDay(bool),
    /// Whether it is that before Christ.
    Era(bool),
    /// That clocks show summer time: an hour more.
    Summer,
    /// What the number behind it is.
    Written(Unit),
    /// `t`: a time is behind it.
    IsoTime,
    /// A point in time of its own.
    Stands(Reserved),
}

/// What a number is that has a word before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// A Julian day.
    Julian,
    /// `040506` behind `t`.
    Time,
    /// Nothing that is read.
    Other,
}

/// What stands for a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved {
    Now,
    Yesterday,
    Today,
    Tomorrow,
    /// In Greenwich: `allballs`.
    Midnight,
    Epoch,
    Infinity,
    MinusInfinity,
}

const WORDS: &[(&str, Word)] = &[
    ("-infinity", Stands(MinusInfinity)),
    ("ad", Era(false)),
    ("allballs", Stands(Midnight)),
    ("am", HalfDay(false)),
    ("apr", Month(4)),
    ("april", Month(4)),
    ("at", Filler),
    ("aug", Month(8)),
    ("august", Month(8)),
    ("bc", Era(true)),
    ("d", Written(Unit::Day)),
    ("dec", Month(12)),
    ("december", Month(12)),
    ("dow", Written(Unit::Other)),
    ("doy", Written(Unit::Other)),
    ("dst", Summer),
    ("epoch", Stands(Epoch)),
    ("feb", Month(2)),
    ("february", Month(2)),
    ("fri", Weekday),
    ("friday", Weekday),
    ("h", Written(Unit::Hour)),
    ("infinity", Stands(Infinity)),
    ("isodow", Written(Unit::Other)),
    ("isoyear", Written(Unit::Other)),
    ("j", Written(Unit::Julian)),
    ("jan", Month(1)),
    ("january", Month(1)),
    ("jd", Written(Unit::Julian)),
    ("jul", Month(7)),
    ("julian", Written(Unit::Julian)),
    ("july", Month(7)),
    ("jun", Month(6)),
    ("june", Month(6)),
    ("m", Written(Unit::Month)),
    ("mar", Month(3)),
    ("march", Month(3)),
    ("may", Month(5)),
    ("mm", Written(Unit::Minute)),
    ("mon", Weekday),
    ("monday", Weekday),
    ("nov", Month(11)),
    ("november", Month(11)),
    ("now", Stands(Now)),
    ("oct", Month(10)),
    ("october", Month(10)),
    ("on", Filler),
    ("pm", HalfDay(true)),
    ("s", Written(Unit::Second)),
    ("sat", Weekday),
    ("saturday", Weekday),
    ("sep", Month(9)),
    ("sept", Month(9)),
    ("september", Month(9)),
    ("sun", Weekday),
    ("sunday", Weekday),
    ("t", IsoTime),
    ("thu", Weekday),
    ("thur", Weekday),
    ("thurs", Weekday),
    ("thursday", Weekday),
    ("today", Stands(Today)),
    ("tomorrow", Stands(Tomorrow)),
    ("tue", Weekday),
    ("tues", Weekday),
    ("tuesday", Weekday),
    ("wed", Weekday),
    ("wednesday", Weekday),
    ("weds", Weekday),
    ("y", Written(Unit::Year)),
    ("yesterday", Stands(Yesterday)),
];

/// What a word in lower case means.
pub(super) fn meaning(word: &str) -> Option<Word> {
    let at = WORDS.binary_search_by_key(&word, |(known, _)| *known).ok()?;
    WORDS.get(at).map(|(_, word)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stand_in_order() {
        assert!(WORDS.is_sorted_by(|(one, _), (other, _)| one < other));
        assert_eq!(meaning("sept"), Some(Month(9)));
        assert_eq!(meaning("noon"), None);
    }
}

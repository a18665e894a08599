//! The templates of `to_char`, `to_date` and `to_timestamp`: the patterns of the manual's table 9.27, and how a template is read.
//!
//! A template is a row of [`Node`]s: fields, each by a pattern with its modifiers, and the characters between them.

/// What a pattern shows, or reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// BC, AD; with points or without.
    Era {
        is_dotted: bool,
    },
    /// AM, PM; with points or without.
    Meridiem {
        is_dotted: bool,
    },
    /// CC
    Century,
    /// DAY, and DY
    DayName,
    DayNameShort,
    /// DDD, and IDDD
    DayOfYear,
    IsoDayOfYear,
    /// DD
    Day,
    /// D, and ID
    DayOfWeek,
    IsoDayOfWeek,
    /// FF1 to FF6
    Fraction(u32),
    /// FX, that shows nothing.
    Exact,
    /// HH24
    Hour24,
    /// HH, HH12
    Hour12,
    /// J
    Julian,
    /// MI
    Minute,
    /// MM
    Month,
    /// MONTH, MON and RM
    MonthName,
    MonthNameShort,
    MonthRoman,
    /// MS
    Millis,
    /// OF
    Offset,
    /// Q
    Quarter,
    /// SS
    Second,
    /// SSSS, SSSSS
    SecondOfDay,
    /// TZ, TZH and TZM
    ZoneName,
    ZoneHour,
    ZoneMinute,
    /// US
    Micros,
    /// WW, IW and W
    Week,
    IsoWeek,
    WeekOfMonth,
    /// YYYY to Y, and IYYY to I, by their digits.
    Year {
        digits: u32,
    },
    IsoYear {
        digits: u32,
    },
    /// Y,YYY
    YearWithComma,
}

/// The calendar whose part a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    Gregorian,
    /// Years of ISO 8601's weeks.
    IsoWeek,
}

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimePart {
    Date,
    Clock,
    Zone,
}

impl Field {
    /// Whether it is digits that it reads: where such a field follows, a number before it ends at its width.
    pub(super) fn is_number(self) -> bool {
        use Field::{
            DayName, DayNameShort, Era, Exact, Meridiem, MonthName, MonthNameShort, MonthRoman, Offset,
            ZoneHour, ZoneName,
        };
        !matches!(
            self,
            Era { .. }
                | Meridiem { .. }
                | DayName
                | DayNameShort
                | Exact
                | MonthName
                | MonthNameShort
                | MonthRoman
                | Offset
                | ZoneHour
                | ZoneName
        )
    }

    /// The part of a time that it is of, if it shows or reads any.
    pub(super) fn part(self) -> Option<TimePart> {
        match self {
            Self::Exact => None,
            Self::Meridiem { .. }
            | Self::Fraction(_)
            | Self::Hour24
            | Self::Hour12
            | Self::Minute
            | Self::Millis
            | Self::Second
            | Self::SecondOfDay
            | Self::Micros => Some(TimePart::Clock),
            Self::Offset | Self::ZoneName | Self::ZoneHour | Self::ZoneMinute => Some(TimePart::Zone),
            _ => Some(TimePart::Date),
        }
    }

    /// The calendar that it belongs to, if it does not belong to both.
    pub(super) fn convention(self) -> Option<Convention> {
        match self {
            Self::DayOfYear
            | Self::Day
            | Self::DayOfWeek
            | Self::Month
            | Self::MonthName
            | Self::MonthNameShort
            | Self::MonthRoman
            | Self::Week
            | Self::WeekOfMonth
            | Self::Year { .. }
            | Self::YearWithComma => Some(Convention::Gregorian),
            Self::IsoDayOfYear | Self::IsoDayOfWeek | Self::IsoWeek | Self::IsoYear { .. } => {
                Some(Convention::IsoWeek)
            }
            _ => None,
        }
    }
}

/// The patterns, longer ones before those that they begin with. Each is also known in lower case.
const PATTERNS: [(&str, Field); 58] = [
    ("A.D.", Field::Era { is_dotted: true }),
    ("A.M.", Field::Meridiem { is_dotted: true }),
    ("AD", Field::Era { is_dotted: false }),
    ("AM", Field::Meridiem { is_dotted: false }),
    ("B.C.", Field::Era { is_dotted: true }),
    ("BC", Field::Era { is_dotted: false }),
    ("CC", Field::Century),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("DY", Field::DayNameShort),
    ("Day", Field::DayName),
    ("Dy", Field::DayNameShort),
    ("D", Field::DayOfWeek),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("FX", Field::Exact),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear { digits: 4 }),
    ("IYY", Field::IsoYear { digits: 3 }),
    ("IY", Field::IsoYear { digits: 2 }),
    ("I", Field::IsoYear { digits: 1 }),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MONTH", Field::MonthName),
    ("MON", Field::MonthNameShort),
    ("MS", Field::Millis),
    ("Month", Field::MonthName),
    ("Mon", Field::MonthNameShort),
    ("OF", Field::Offset),
    ("P.M.", Field::Meridiem { is_dotted: true }),
    ("PM", Field::Meridiem { is_dotted: false }),
    ("Q", Field::Quarter),
    ("RM", Field::MonthRoman),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("TZH", Field::ZoneHour),
    ("TZM", Field::ZoneMinute),
    ("TZ", Field::ZoneName),
    ("US", Field::Micros),
    ("WW", Field::Week),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year { digits: 4 }),
    ("YYY", Field::Year { digits: 3 }),
    ("YY", Field::Year { digits: 2 }),
    ("Y", Field::Year { digits: 1 }),
];

/// A pattern in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern<'t> {
    pub(super) field: Field,
    /// As the template writes it.
    pub(super) word: &'t str,
    /// FM
    pub(super) is_tight: bool,
    /// TM
    pub(super) is_translated: bool,
    /// TH or th, as the template writes it.
    pub(super) ordinal: Option<&'t str>,
}

/// What a character between fields stands for where a template is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Blank,
    /// Printable, and neither a letter nor a digit.
    Separator,
    /// Any other, and all in quotes.
    Text,
}

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node<'t> {
    Pattern(Pattern<'t>),
    Character { character: char, role: Role },
}

/// Whether C calls it a space.
pub(super) fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// Whether it separates fields: printable, and neither a letter nor a digit nor a space.
pub(super) fn is_separator(character: char) -> bool {
    character.is_ascii_punctuation()
}

/// A template's parts, one after the other: a long template is not to take memory many times its own.
#[derive(Debug, Clone)]
pub(super) struct Nodes<'t> {
    rest: &'t str,
    /// A quote was opened that is not closed yet.
    is_quoted: bool,
}

/// A template's parts.
pub(super) fn nodes(template: &str) -> Nodes<'_> {
    Nodes { rest: template, is_quoted: false }
}

impl<'t> Iterator for Nodes<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        loop {
            if self.is_quoted {
                match self.character()? {
                    '"' => self.is_quoted = false,
                    '\\' => {
                        let character = self.character().unwrap_or('\\');
                        return Some(Node::Character { character, role: Role::Text });
                    }
                    character => return Some(Node::Character { character, role: Role::Text }),
                }
                continue;
            }
            let prefix = ["FM", "fm", "TM", "tm"].into_iter().find(|prefix| self.rest.starts_with(prefix));
            self.rest = prefix.and_then(|prefix| self.rest.strip_prefix(prefix)).unwrap_or(self.rest);
            if let Some((word, field)) = pattern(self.rest) {
                return Some(Node::Pattern(self.modified(word, field, prefix)));
            }
            // Outside of quotes a backslash says something only before one.
            let is_escaped = self.rest.starts_with("\\\"");
            if is_escaped {
                self.character();
            }
            let character = self.character()?;
            if character == '"' && !is_escaped {
                self.is_quoted = true;
                continue;
            }
            let role = match character {
                character if is_separator(character) => Role::Separator,
                character if is_blank(character) => Role::Blank,
                _ => Role::Text,
            };
            return Some(Node::Character { character, role });
        }
    }
}

impl<'t> Nodes<'t> {
    /// Whether the character that came last stands in quotes.
    pub(super) fn is_quoted(&self) -> bool {
        self.is_quoted
    }

    fn character(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    /// The pattern of this word, that comes next, with its modifiers.
    fn modified(&mut self, word: &'t str, field: Field, prefix: Option<&str>) -> Pattern<'t> {
        let behind = self.rest.get(word.len()..).unwrap_or_default();
        // SP, a number in words, is read and has no meaning.
        let suffix = behind.get(..2).filter(|suffix| matches!(*suffix, "TH" | "th" | "SP"));
        self.rest = suffix.and_then(|suffix| behind.strip_prefix(suffix)).unwrap_or(behind);
        Pattern {
            field,
            word,
            is_tight: matches!(prefix, Some("FM" | "fm")),
            is_translated: matches!(prefix, Some("TM" | "tm")),
            ordinal: suffix.filter(|suffix| *suffix != "SP"),
        }
    }
}

/// The pattern that begins here.
fn pattern(template: &str) -> Option<(&str, Field)> {
    PATTERNS.iter().find_map(|(name, field)| {
        let word = template.get(..name.len())?;
        let is_lower =
            || word.bytes().all(|byte| !byte.is_ascii_uppercase()) && word.eq_ignore_ascii_case(name);
        (word == *name || is_lower()).then_some((word, *field))
    })
}

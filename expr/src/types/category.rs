//! The groups of types that type resolution thinks in.

/// `pg_type.typcategory`: what decides between candidates when types must be guessed (manual, table 52.65).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// `A`
    Array,
    /// `V`: strings of bits
    BitString,
    /// `B`
    Boolean,
    /// `C`: composite types
    Composite,
    /// `D`: dates and times
    DateTime,
    /// `E`
    Enumerated,
    /// `I`: network addresses
    Network,
    /// `N`
    Numeric,
    /// `P`: any, anyelement, void
    Pseudo,
    /// `R`
    Range,
    /// `S`
    String,
    /// `T`: intervals
    Timespan,
    /// `U`: user-defined, as bytea and uuid count
    User,
    /// `X`: unknown
    Unknown,
    /// `Z`: internal use
    Internal,
}

impl Category {
    /// The letter in `pg_type.typcategory`.
    pub fn letter(self) -> char {
        match self {
            Category::Array => 'A',
            Category::BitString => 'V',
            Category::Boolean => 'B',
            Category::Composite => 'C',
            Category::DateTime => 'D',
            Category::Enumerated => 'E',
            Category::Network => 'I',
            Category::Numeric => 'N',
            Category::Pseudo => 'P',
            Category::Range => 'R',
            Category::String => 'S',
            Category::Timespan => 'T',
            Category::User => 'U',
            Category::Unknown => 'X',
            Category::Internal => 'Z',
        }
    }
}

//! How much the result of a function, or cast, depends on more than its arguments.

/// How often the same arguments give the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// Always.
    Immutable,
    /// Within a statement.
    Stable,
    /// Never.
    Volatile,
}

impl Volatility {
    /// The letter in `pg_proc.provolatile`.
    pub fn letter(self) -> char {
        match self {
            Volatility::Immutable => 'i',
            Volatility::Stable => 's',
            Volatility::Volatile => 'v',
        }
    }
}

//! In which form a client wants the values of a portal.

/// A value's form on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PostgreSQL's text representation.
    Text,
    /// PostgreSQL's binary representation.
    Binary,
}

/// The formats of a row's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnFormats {
    /// The same for all.
    Uniform(Format),
    /// One for each.
    Each(Vec<Format>),
}

impl ColumnFormats {
    /// The format of column `index`.
    pub fn of(&self, index: usize) -> Format {
        match self {
            Self::Uniform(format) => *format,
            Self::Each(formats) => formats.get(index).copied().unwrap_or(Format::Text),
        }
    }

    /// About how many bytes they hold beyond their own size.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Uniform(_) => 0,
            Self::Each(formats) => formats.len(),
        }
    }
}

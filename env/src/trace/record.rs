//! What becomes of a span.

/// So much of a text is kept.
const TEXT_BYTES_MAX: usize = 1024;

/// What part a span has in a call between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// None.
    Internal,
    /// It asks.
    Client,
    /// It answers.
    Server,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A text, the beginning of it.
    Text(String),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(beginning(value).to_owned())
    }
}

/// As much of a text as is kept.
pub(super) fn beginning(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which trace it belongs to.
    pub trace_id: [u8; 16],
    /// Its own id.
    pub span_id: [u8; 8],
    /// The span that it is under, if it is under any.
    pub parent_id: Option<[u8; 8]>,
    /// What was done.
    pub name: &'static str,
    /// What part it has in a call.
    pub kind: Kind,
    /// When it began, in nanoseconds since 1970.
    pub started_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it came to nothing, if it did.
    pub failure: Option<String>,
}

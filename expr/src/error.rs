//! Errors of evaluation and conversion, each with its SQLSTATE.

/// The result of evaluating or converting something.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error as PostgreSQL would report it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Five characters, as in PostgreSQL's appendix A.
    pub sqlstate: &'static str,
    /// The primary message, in PostgreSQL's words where there is such an error there.
    pub message: String,
    /// DETAIL
    pub detail: Option<String>,
    /// HINT
    pub hint: Option<String>,
    /// Where in the statement: a byte offset, from 0.
    pub position: Option<usize>,
}

impl Error {
    /// An error of this SQLSTATE and message.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None }
    }
}

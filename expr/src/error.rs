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
    /// The constraint that is violated.
    pub constraint: Option<Box<str>>,
}

impl Error {
    /// An error of this SQLSTATE and message.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None, constraint: None }
    }

    /// The error with a DETAIL.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The error with a HINT.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error with the name of the constraint that is violated.
    #[must_use]
    pub fn with_constraint(mut self, constraint: &str) -> Self {
        self.constraint = Some(constraint.into());
        self
    }

    /// The error with a byte offset in the statement, unless it has one.
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.position.get_or_insert(position);
        self
    }

    /// 0A000: PostgreSQL has this and we do not.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new("0A000", message)
    }

    /// XX000: what the binder and the type rules should have made impossible.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("XX000", message)
    }

    /// 22P02: text that is no value of the type.
    pub fn invalid_text(type_name: &str, text: &str) -> Self {
        Self::new("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
    }

    /// 22003: a number beyond the type named.
    pub fn out_of_range(type_name: &str) -> Self {
        Self::new("22003", format!("{type_name} out of range"))
    }

    /// 22012
    pub fn division_by_zero() -> Self {
        Self::new("22012", "division by zero")
    }
}

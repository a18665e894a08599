//! The one error type of the SQL layer, and the one table that gives every error below it a SQLSTATE.
//!
//! An [`Error`] holds what PostgreSQL's ErrorResponse and NoticeResponse hold. The table is the set of `From`
//! implementations at the end of this file: `expr` errors bring their SQLSTATE along, `client` errors answer it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The result of anything in the SQL layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How grave a report is, in PostgreSQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// Something is likely wrong.
    Warning,
    /// Something worth knowing.
    Notice,
    /// Details that were asked for.
    Info,
}

impl Severity {
    /// The word of the protocol's fields `S` and `V`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
        }
    }
}

/// The fields of an error or a notice.
#[derive(Debug, Clone)]
pub struct Report {
    /// How grave.
    pub severity: Severity,
    /// Five characters, as in PostgreSQL's appendix A.
    pub sqlstate: &'static str,
    /// The primary message.
    pub message: String,
    /// DETAIL
    pub detail: Option<String>,
    /// HINT
    pub hint: Option<String>,
    /// Where in the query string: in characters, from 1.
    pub position: Option<usize>,
    /// CONTEXT: what was under way, such as the line of a COPY.
    pub context: Option<String>,
    /// Names of what a constraint violation is about: schema, table, column, constraint.
    pub names: ObjectNames,
    /// The function of PostgreSQL's that reports the like, where clients tell errors of one SQLSTATE apart by it.
    pub routine: Option<&'static str>,
}

/// The names that errors about constraints carry in fields of their own.
#[derive(Debug, Clone, Default)]
pub struct ObjectNames {
    /// Schema of the table.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The constraint.
    pub constraint: Option<String>,
}

/// A notice or a warning, on its way to the client.
pub type Notice = Report;

/// A statement's error: boxed, because it is rare and large.
#[derive(Debug, Clone)]
pub struct Error {
    report: Box<Report>,
    /// Set where the transaction layer's own advice matters: may the statement be run again?
    cause: Cause,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What the session has to know about an error beyond its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cause {
    /// The statement or the data.
    #[default]
    Statement,
    /// Another transaction got in the way: the same statement may succeed in a new transaction.
    Conflict,
    /// The statement was planned under a schema that is no longer in force.
    StaleCatalog,
}

impl Error {
    /// An error of this SQLSTATE and message.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            report: Box::new(Report {
                severity: Severity::Error,
                sqlstate,
                message: message.into(),
                detail: None,
                hint: None,
                position: None,
                context: None,
                names: ObjectNames::default(),
                routine: None,
            }),
            cause: Cause::Statement,
            source: None,
        }
    }

    /// 0A000: something that is not supported.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new("0A000", format!("{what} is not supported"))
    }

    /// 0A000 in these words.
    pub fn unsupported_as(message: impl Into<String>) -> Self {
        Self::new("0A000", message)
    }

    /// XX000: a state that the code rules out.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("XX000", message)
    }

    /// Adds DETAIL.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.report.detail = Some(detail.into());
        self
    }

    /// Adds HINT.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.report.hint = Some(hint.into());
        self
    }

    /// Adds CONTEXT.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.report.context = Some(context.into());
        self
    }

    /// Points at the byte `offset` of `sql`, the whole query string.
    #[must_use]
    pub fn at_byte(mut self, sql: &str, offset: usize) -> Self {
        self.report.position =
            Some(sql.char_indices().take_while(|(byte, _)| *byte < offset).count().saturating_add(1));
        self
    }

    /// Points at the character `position` (from 1) of the query string.
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.report.position = Some(position);
        self
    }

    /// Names the table and the constraint or column.
    #[must_use]
    pub fn names(mut self, names: ObjectNames) -> Self {
        self.report.names = names;
        self
    }

    /// Names the function of PostgreSQL's that reports the like.
    #[must_use]
    pub fn routine(mut self, routine: &'static str) -> Self {
        self.report.routine = Some(routine);
        self
    }

    /// The same with another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.report.severity = severity;
        self
    }

    /// Says what the session may do about it.
    #[must_use]
    pub fn cause_is(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// The fields to send.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What the session may do about it.
    pub fn cause(&self) -> Cause {
        self.cause
    }
}

impl Deref for Error {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Report {
        &mut self.report
    }
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        *error.report
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// After these the same may succeed, as a new transaction and a little later: others were in its way, or took what it needs, or it met a
/// gateway or a cluster that could not just then; and nothing of it was done. All else would fail again as it is, or has to be
/// looked into first: what was cancelled or took too long (57014) would take as long, a disk that is full (53100) is for its operator, and of
/// 08007 nobody knows whether it was done.
const RETRYABLE: [&str; 10] = [
    "25P01", // there is no such transaction any more: whoever held it open begins another
    "40001", // a conflict
    "40P01", // a deadlock
    "53200", // memory is full
    "53300", // too many are connected, or at work
    "53400", // more than a limit lets be in a second
    "55P03", // a lock was not to be had
    "57P01", // the gateway ends
    "57P02", // the same
    "57P03", // the cluster does not answer
];

impl Report {
    /// Whether the same may succeed as a new transaction: what programs are told of an error at every door.
    pub fn is_retryable(&self) -> bool {
        RETRYABLE.contains(&self.sqlstate)
    }

    /// A notice (severity NOTICE) of this SQLSTATE.
    pub fn notice(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Error::new(sqlstate, message).severity(Severity::Notice).into()
    }

    /// A warning of this SQLSTATE.
    pub fn warning(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Error::new(sqlstate, message).severity(Severity::Warning).into()
    }
}

// ------------------------------------------------------------------------------------ the table of SQLSTATEs

impl From<expr::Error> for Error {
    /// `expr` errors speak PostgreSQL already. Their position counts bytes and needs the query string, which only
    /// the binder has: see [`Error::at_byte`].
    fn from(error: expr::Error) -> Self {
        let mut converted = Self::new(error.sqlstate, error.message.clone());
        converted.report.detail.clone_from(&error.detail);
        converted.report.hint.clone_from(&error.hint);
        converted.report.names.constraint = error.constraint.as_deref().map(str::to_owned);
        converted.source = Some(Arc::new(error));
        converted
    }
}

impl From<backup::Error> for Error {
    /// What is wrong with a backup, or with where it is to be.
    fn from(error: backup::Error) -> Self {
        use backup::Error as Of;
        let sqlstate = match &error {
            Of::Location { .. } | Of::Key(_) => "22023",
            Of::NotAllowed(_) => "42501",
            Of::Unsupported(_) | Of::Newer { .. } => "0A000",
            Of::Io { .. } => "58030",
            Of::Missing(_) => "58P01",
            Of::Damaged { .. } => "XX001",
            Of::NotCovered(_) | Of::Exists(_) => "55000",
        };
        let mut converted = Self::new(sqlstate, error.to_string());
        if matches!(error, Of::NotAllowed(_)) {
            converted = converted
                .hint("Who runs gateways and nodes lets backups lie at a place: --backup-place URL.");
        }
        converted.source = Some(Arc::new(error));
        converted
    }
}

impl From<client::Error> for Error {
    /// The transaction layer knows its SQLSTATEs; a conflict or a stale plan is for the session to run again.
    fn from(error: client::Error) -> Self {
        let mut converted = match &error {
            client::Error::Deadlock { cycle } if !cycle.is_empty() => {
                Self::new(error.sqlstate(), error.to_string()).detail(cycle.clone())
            }
            // With NOWAIT the scan says which table; what is left is lock_timeout.
            client::Error::LockNotAvailable { .. } => {
                Self::new(error.sqlstate(), "canceling statement due to lock timeout")
            }
            client::Error::Finished => Self::new(
                error.sqlstate(),
                "current transaction is aborted, commands ignored until end of transaction block",
            ),
            client::Error::Serialization { .. } => Self::new(error.sqlstate(), error.to_string())
                .hint("The transaction might succeed if retried."),
            _ => Self::new(error.sqlstate(), error.to_string()),
        };
        converted.cause = match &error {
            client::Error::StaleCatalog { .. } => Cause::StaleCatalog,
            other if other.is_retryable() => Cause::Conflict,
            _ => Cause::Statement,
        };
        converted.source = Some(Arc::new(error));
        converted
    }
}

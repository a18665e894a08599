//! The table of settings: names, defaults, what values they take, what `pg_settings` tells of them.
//!
//! Settings that PostgreSQL has and that mean nothing here are listed only where clients are known to set or read
//! them; they are kept and shown, and `docs/sql.md` says that they have no effect.

mod planner;

use crate::parse::Dialect;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// on or off
    Bool,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// A whole number within bounds.
    Integer { min: i64, max: i64 },
    /// Milliseconds, with units ms, s, min, h, d.
    Milliseconds,
    /// The same, or -1: never.
    MillisecondsOrNever,
    /// Kilobytes, with units B, kB, MB, GB, TB; at least so many, or -1: no bound.
    Kilobytes { min: i64 },
    /// A number.
    Real { min: f64, max: f64 },
    /// Any text.
    Text,
    /// `DateStyle`
    DateStyle,
    /// `TimeZone`
    TimeZone,
    /// `client_encoding`
    Encoding,
    /// `search_path`: a list of names
    SearchPath,
    /// A list of classes of statements.
    AuditClasses,
}

impl Kind {
    /// `vartype` of `pg_settings`.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Enum(_) => "enum",
            Self::Integer { .. }
            | Self::Milliseconds
            | Self::MillisecondsOrNever
            | Self::Kilobytes { .. } => "integer",
            Self::Real { .. } => "real",
            Self::Text
            | Self::DateStyle
            | Self::TimeZone
            | Self::Encoding
            | Self::SearchPath
            | Self::AuditClasses => "string",
        }
    }
}

impl Context {
    /// `context` of `pg_settings`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::User => "user",
            Self::Superuser => "superuser",
        }
    }
}

/// Who may change a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Nobody: 55P02.
    Internal,
    /// Any user at any time.
    User,
    /// Superusers at any time; others: 42501.
    Superuser,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Its name as SHOW ALL spells it.
    pub name: &'static str,
    /// Its value at first.
    pub default: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Who may change it.
    pub context: Context,
    /// Whether changes are reported to the client (ParameterStatus).
    pub reported: bool,
    /// `short_desc` of `pg_settings`.
    pub description: &'static str,
}

pub(super) const ISOLATION: Kind =
    Kind::Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]);

const fn user(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    description: &'static str,
) -> Definition {
    Definition { name, default, kind, context: Context::User, reported: false, description }
}

const fn reported(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    description: &'static str,
) -> Definition {
    Definition { name, default, kind, context: Context::User, reported: true, description }
}

const fn superuser(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    description: &'static str,
) -> Definition {
    Definition { name, default, kind, context: Context::Superuser, reported: false, description }
}

const fn fixed(name: &'static str, default: &'static str, description: &'static str) -> Definition {
    Definition { name, default, kind: Kind::Text, context: Context::Internal, reported: false, description }
}

const fn fixed_reported(name: &'static str, default: &'static str, description: &'static str) -> Definition {
    Definition { name, default, kind: Kind::Text, context: Context::Internal, reported: true, description }
}

/// The version of PostgreSQL whose behaviour is followed.
pub const SERVER_VERSION: &str = "15.8";

/// Which statements of a session are recorded in the audit log.
pub(crate) const AUDIT: &str = "nunatak.audit";

/// A part of all.
pub(super) const RATIO: Kind = Kind::Real { min: 0.0, max: 1.0 };

/// Of what a role may do so much of in a second, or a statement in all: 0 is no bound.
const AMOUNT: Kind = Kind::Integer { min: 0, max: 1 << 40 };

/// All settings, by name in the order of the alphabet (case folded).
const DEFINITIONS: &[Definition] = &[
    reported(
        "application_name",
        "",
        Kind::Text,
        "Sets the application name to be reported in statistics and logs.",
    ),
    Definition {
        name: "authentication_timeout",
        default: "15s",
        kind: Kind::Milliseconds,
        context: Context::Internal,
        reported: false,
        description: "Sets the maximum allowed time to complete client authentication.",
    },
    user(
        "backslash_quote",
        "safe_encoding",
        Kind::Enum(&["safe_encoding", "on", "off"]),
        "Sets whether \"\\'\" is allowed in string literals.",
    ),
    fixed("block_size", "8192", "Shows the size of a disk block."),
    user("bytea_output", "hex", Kind::Enum(&["escape", "hex"]), "Sets the output format for bytea."),
    user(
        "check_function_bodies",
        "on",
        Kind::Bool,
        "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE.",
    ),
    reported("client_encoding", "UTF8", Kind::Encoding, "Sets the client's character set encoding."),
    user(
        "client_min_messages",
        "notice",
        Kind::Enum(&["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"]),
        "Sets the message levels that are sent to the client.",
    ),
    reported("DateStyle", "ISO, MDY", Kind::DateStyle, "Sets the display format for date and time values."),
    user(
        "default_table_access_method",
        "heap",
        Kind::Text,
        "Sets the default table access method for new tables.",
    ),
    user(
        "default_tablespace",
        "",
        Kind::Text,
        "Sets the default tablespace to create tables and indexes in.",
    ),
    user(
        "default_transaction_deferrable",
        "off",
        Kind::Bool,
        "Sets the default deferrable status of new transactions.",
    ),
    user(
        "default_transaction_isolation",
        "serializable",
        ISOLATION,
        "Sets the transaction isolation level of each new transaction.",
    ),
    reported(
        "default_transaction_read_only",
        "off",
        Kind::Bool,
        "Sets the default read-only status of new transactions.",
    ),
    user(
        "default_transaction_use_follower_reads",
        "off",
        Kind::Bool,
        "Has read-only transactions read as of follower_read_timestamp(), which any replica can answer.",
    ),
    user(
        "dialect",
        "sql",
        Kind::Enum(Dialect::WORDS),
        "Sets the language that statements are read in: SQL, or DriftQL with SQL beside it.",
    ),
    user(
        "escape_string_warning",
        "on",
        Kind::Bool,
        "Warn about backslash escapes in ordinary string literals.",
    ),
    user(
        "extra_float_digits",
        "1",
        Kind::Integer { min: -15, max: 3 },
        "Sets the number of digits displayed for floating-point values.",
    ),
    user(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Milliseconds,
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    user(
        "idle_session_timeout",
        "0",
        Kind::Milliseconds,
        "Sets the maximum allowed idle time between queries, when not in a transaction.",
    ),
    fixed_reported("in_hot_standby", "off", "Shows whether hot standby is currently active."),
    fixed_reported("integer_datetimes", "on", "Shows whether datetimes are integer based."),
    reported(
        "IntervalStyle",
        "postgres",
        Kind::Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "Sets the display format for interval values.",
    ),
    fixed_reported("is_superuser", "on", "Shows whether the current user is a superuser."),
    fixed("lc_collate", "C", "Shows the collation order locale."),
    fixed("lc_ctype", "C", "Shows the character classification and case conversion locale."),
    user("lc_messages", "C", Kind::Text, "Sets the language in which messages are displayed."),
    user("lc_monetary", "C", Kind::Text, "Sets the locale for formatting monetary amounts."),
    user("lc_numeric", "C", Kind::Text, "Sets the locale for formatting numbers."),
    user("lc_time", "C", Kind::Text, "Sets the locale for formatting date and time values."),
    user(
        "lock_timeout",
        "0",
        Kind::Milliseconds,
        "Sets the maximum allowed duration of any wait for a lock.",
    ),
    Definition {
        name: "log_min_duration_statement",
        default: "-1",
        kind: Kind::MillisecondsOrNever,
        context: Context::Superuser,
        reported: false,
        description: "Sets the minimum execution time above which all statements will be logged.",
    },
    fixed("max_connections", "2000", "Sets the maximum number of concurrent connections."),
    fixed("max_identifier_length", "63", "Shows the maximum identifier length."),
    fixed("max_index_keys", "32", "Shows the maximum number of index keys."),
    fixed(
        "max_prepared_transactions",
        "0",
        "Sets the maximum number of simultaneously prepared transactions.",
    ),
    Definition {
        name: AUDIT,
        default: "none",
        kind: Kind::AuditClasses,
        context: Context::Superuser,
        reported: false,
        description: "Sets which classes of statements are recorded in the audit log.",
    },
    superuser(
        "nunatak.bytes_per_second",
        "0",
        AMOUNT,
        "Sets how many bytes a second the sessions of a role may send and be sent.",
    ),
    superuser(
        "nunatak.connections_per_second",
        "0",
        AMOUNT,
        "Sets how many times a second one may connect as a role.",
    ),
    user(
        "nunatak.follower_read_ms",
        "5000",
        Kind::Integer { min: 500, max: 3_600_000 },
        "Sets how many milliseconds follower_read_timestamp() lies before the statement.",
    ),
    user(
        "nunatak.history_columns",
        "now",
        Kind::Enum(&["now", "then"]),
        "Sets which columns tables of the past have: those of now, or those that they had then.",
    ),
    superuser("nunatak.rows_max", "0", AMOUNT, "Sets how many rows a statement may answer or change."),
    superuser("nunatak.statement_bytes_max", "0", AMOUNT, "Sets how long the text of a statement may be."),
    superuser(
        "nunatak.statements_per_second",
        "0",
        AMOUNT,
        "Sets how many statements a second the sessions of a role may run.",
    ),
    fixed("port", "5432", "Sets the TCP port the server listens on."),
    fixed("role", "none", "Sets the current role."),
    user("row_security", "on", Kind::Bool, "Enable row security."),
    user(
        "search_path",
        "\"$user\", public",
        Kind::SearchPath,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    fixed_reported("server_encoding", "UTF8", "Shows the server (database) character set encoding."),
    fixed_reported("server_version", SERVER_VERSION, "Shows the server version."),
    fixed("server_version_num", "150008", "Shows the server version as an integer."),
    fixed_reported("session_authorization", "", "Sets the current user name."),
    fixed("ssl", "off", "Enables SSL connections."),
    Definition {
        name: "standard_conforming_strings",
        default: "on",
        kind: Kind::Bool,
        context: Context::User,
        reported: true,
        description: "Causes '...' strings to treat backslashes literally.",
    },
    user("statement_timeout", "0", Kind::Milliseconds, "Sets the maximum allowed duration of any statement."),
    fixed(
        "superuser_reserved_connections",
        "3",
        "Sets the number of connection slots reserved for superusers.",
    ),
    user(
        "synchronous_commit",
        "on",
        Kind::Enum(&["local", "remote_write", "remote_apply", "on", "off"]),
        "Sets the current transaction's synchronization level.",
    ),
    user("synchronize_seqscans", "on", Kind::Bool, "Enable synchronized sequential scans."),
    superuser(
        "temp_file_limit",
        "-1",
        Kind::Kilobytes { min: -1 },
        "Limits the total size of all temporary files used by each statement.",
    ),
    reported(
        "TimeZone",
        "UTC",
        Kind::TimeZone,
        "Sets the time zone for displaying and interpreting time stamps.",
    ),
    user("trace", "off", Kind::Bool, "Traces all statements of the session."),
    superuser(
        "trace_min_duration",
        "-1",
        Kind::MillisecondsOrNever,
        "Sets the minimum execution time above which all statements will be traced.",
    ),
    superuser("trace_ratio", "0", RATIO, "Sets which part of all statements is traced."),
    user(
        "transaction_deferrable",
        "off",
        Kind::Bool,
        "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures.",
    ),
    user(
        "transaction_isolation",
        "serializable",
        ISOLATION,
        "Sets the current transaction's isolation level.",
    ),
    user("transaction_read_only", "off", Kind::Bool, "Sets the current transaction's read-only status."),
    user(
        "transaction_timeout",
        "0",
        Kind::Milliseconds,
        "Sets the maximum allowed duration of any transaction within a session.",
    ),
    user(
        "work_mem",
        // As much as there is for each: that depends on the gateway, and on what else it does.
        "-1",
        Kind::Kilobytes { min: 64 },
        "Sets the maximum memory to be used for query workspaces.",
    ),
    user(
        "xmloption",
        "content",
        Kind::Enum(&["content", "document"]),
        "Sets whether XML data in implicit parsing and serialization operations is to be considered as documents or content fragments.",
    ),
];

/// All settings.
pub(super) fn all() -> impl Iterator<Item = &'static Definition> {
    DEFINITIONS.iter().chain(planner::DEFINITIONS)
}

/// The definition of a setting; names are not case sensitive.
pub(super) fn find(name: &str) -> Option<&'static Definition> {
    all().find(|definition| definition.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_say_of_every_setting_whether_it_acts() {
        let docs = include_str!("../../../docs/sql.md");
        let settable = all().filter(|definition| definition.context != Context::Internal);
        let missing: Vec<&str> = settable
            .map(|definition| definition.name)
            .filter(|name| !docs.contains(&format!("`{name}`")))
            .collect();
        assert!(missing.is_empty(), "docs/sql.md does not name {missing:?}");
    }
}

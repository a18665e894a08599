//! Settings in the forms in which statements use them, derived anew whenever one of them has changed.

use std::num::NonZeroU64;
use std::time::Duration;

use audit::Classes;
use client::Isolation;
use expr::SessionContext;
use expr::encoding::Encoding;
use expr::session::{ByteaOutput, DateOrder, DateStyle, IntervalStyle};

use super::definitions::AUDIT;
use super::{NO_ROLE, Settings, isolation, value};
use crate::catalog::{SearchPath, schema};
use crate::error::{Error, Result};
use crate::parse::{Dialect, StringRules};

/// Settings in the form in which statements use them.
#[derive(Debug, Clone)]
pub struct Hot {
    /// `statement_timeout`; `None`: no bound.
    pub statement_timeout: Option<Duration>,
    /// `transaction_timeout`; `None`: no bound.
    pub transaction_timeout: Option<Duration>,
    /// `lock_timeout`; `None`: no bound.
    pub lock_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`; `None`: no bound.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// `idle_session_timeout`; `None`: no bound.
    pub idle_session_timeout: Option<Duration>,
    /// `log_min_duration_statement`; `None`: no statement is logged for being slow.
    pub log_statements_over: Option<Duration>,
    /// `nunatak.audit`
    pub audit: Classes,
    /// `default_transaction_isolation`
    pub default_isolation: Isolation,
    /// Whether that was set as READ UNCOMMITTED, which is READ COMMITTED.
    pub default_uncommitted: bool,
    /// `default_transaction_read_only`
    pub default_read_only: bool,
    /// `default_transaction_deferrable`
    pub default_deferrable: bool,
    /// `default_transaction_use_follower_reads`
    pub use_follower_reads: bool,
    /// `search_path`, with the acting role's name for `"$user"`.
    pub search_path: SearchPath,
    /// `dialect`
    pub dialect: Dialect,
    /// `standard_conforming_strings`, `escape_string_warning`, `backslash_quote`
    pub strings: StringRules,
    /// `row_security`
    pub row_security: bool,
    /// `nunatak.history_columns`: whether tables of the past have the columns that they had then.
    pub has_columns_then: bool,
    /// `is_superuser`
    pub is_superuser: bool,
    /// Rank of `client_min_messages`: what is below is not sent.
    pub sends_notices: bool,
    /// Whether warnings are sent.
    pub sends_warnings: bool,
    /// What the session's role may do in a second, and what a statement may.
    pub limits: SessionLimits,
    /// Which of its statements are traced.
    pub traced: Traced,
    /// `work_mem`, in bytes; as many as there are if it is not set.
    pub work_bytes: usize,
    /// `temp_file_limit`, in bytes; `None`: no bound.
    pub temporary_bytes_max: Option<u64>,
}

/// Which statements of a session are traced.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traced {
    /// `trace`: all of them.
    pub all: bool,
    /// `trace_ratio`: this part of them.
    pub ratio: f64,
    /// `trace_min_duration`: those that take so long.
    pub over: Option<Duration>,
}

/// How much a role may do in a second at a gateway, all its sessions together, and how much each statement; `None`: no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// `nunatak.statements_per_second`
    pub statements_per_second: Option<NonZeroU64>,
    /// `nunatak.connections_per_second`
    pub connections_per_second: Option<NonZeroU64>,
    /// `nunatak.bytes_per_second`
    pub bytes_per_second: Option<NonZeroU64>,
    /// `nunatak.statement_bytes_max`
    pub statement_bytes_max: Option<NonZeroU64>,
    /// `nunatak.rows_max`
    pub rows_max: Option<NonZeroU64>,
}

impl SessionLimits {
    /// 54000: the text of a statement is too long.
    ///
    /// # Errors
    /// That it is.
    pub fn check_text(&self, text: &str) -> Result<()> {
        let Some(most) = self.statement_bytes_max.filter(|most| text.len() as u64 > most.get()) else {
            return Ok(());
        };
        let message = format!("a statement of {} bytes is too long", text.len());
        Err(Error::new("54000", message)
            .detail(format!("nunatak.statement_bytes_max is {most}."))
            .hint("Let a driver send values as parameters."))
    }

    /// 53400: a statement answers or changes so many rows, and may not.
    ///
    /// # Errors
    /// That it is.
    pub(crate) fn check_rows(&self, rows: u64) -> Result<()> {
        let Some(most) = self.rows_max.filter(|most| rows > most.get()) else { return Ok(()) };
        Err(Error::new("53400", "the statement answers or changes too many rows")
            .detail(format!("nunatak.rows_max is {most}."))
            .hint("Ask for fewer rows, with LIMIT for example."))
    }
}

impl Settings {
    fn timeout(&self, key: &str) -> Option<Duration> {
        let ms = value::parse_milliseconds(&self.text(key)).and_then(|ms| u64::try_from(ms).ok())?;
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    fn amount(&self, key: &str) -> Option<NonZeroU64> {
        self.text(key).parse().ok().and_then(NonZeroU64::new)
    }

    /// Bytes of a setting in kilobytes; `None`: no bound.
    fn bytes(&self, key: &str) -> Option<u64> {
        let kilobytes = value::parse_kilobytes(&self.text(key)).and_then(|kb| u64::try_from(kb).ok())?;
        Some(kilobytes.saturating_mul(1 << 10))
    }

    pub(super) fn derive(&mut self, context: &mut SessionContext) {
        context.session_user = self.text("session_authorization");
        let role = self.text("role");
        context.current_user = if &*role == NO_ROLE { context.session_user.clone() } else { role };
        let messages = self.text("client_min_messages");
        self.hot = Hot {
            statement_timeout: self.timeout("statement_timeout"),
            transaction_timeout: self.timeout("transaction_timeout"),
            lock_timeout: self.timeout("lock_timeout"),
            idle_in_transaction_timeout: self.timeout("idle_in_transaction_session_timeout"),
            idle_session_timeout: self.timeout("idle_session_timeout"),
            log_statements_over: value::parse_milliseconds(&self.text("log_min_duration_statement"))
                .and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis),
            // It was valid when it was set.
            audit: Classes::parse(&self.text(AUDIT), Classes::ALL).unwrap_or(Classes::ALL),
            default_isolation: isolation(&self.text("default_transaction_isolation")),
            default_uncommitted: &*self.text("default_transaction_isolation") == "read uncommitted",
            default_read_only: &*self.text("default_transaction_read_only") == "on",
            default_deferrable: &*self.text("default_transaction_deferrable") == "on",
            use_follower_reads: &*self.text("default_transaction_use_follower_reads") == "on",
            search_path: SearchPath::new(
                value::parse_search_path(&self.text("search_path")).into_iter().filter_map(|name| {
                    match name.as_str() {
                        // A role that is called like a schema of the system does not work in that.
                        "$user" => {
                            Some(context.current_user.to_string()).filter(|name| !schema::is_system(name))
                        }
                        _ => Some(name),
                    }
                }),
            ),
            dialect: Dialect::of_word(&self.text("dialect")),
            strings: StringRules {
                conforming: &*self.text("standard_conforming_strings") != "off",
                warns: &*self.text("escape_string_warning") != "off",
                // In no encoding that clients may have is a backslash part of another character.
                quotes: &*self.text("backslash_quote") != "off",
            },
            row_security: &*self.text("row_security") != "off",
            has_columns_then: &*self.text("nunatak.history_columns") == "then",
            is_superuser: &*self.text("is_superuser") == "on",
            sends_notices: !matches!(&*messages, "warning" | "error"),
            sends_warnings: &*messages != "error",
            limits: SessionLimits {
                statements_per_second: self.amount("nunatak.statements_per_second"),
                connections_per_second: self.amount("nunatak.connections_per_second"),
                bytes_per_second: self.amount("nunatak.bytes_per_second"),
                statement_bytes_max: self.amount("nunatak.statement_bytes_max"),
                rows_max: self.amount("nunatak.rows_max"),
            },
            traced: Traced {
                all: &*self.text("trace") == "on",
                ratio: self.text("trace_ratio").parse().unwrap_or(0.0),
                over: value::parse_milliseconds(&self.text("trace_min_duration"))
                    .and_then(|ms| u64::try_from(ms).ok())
                    .map(Duration::from_millis),
            },
            work_bytes: self
                .bytes("work_mem")
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(usize::MAX),
            temporary_bytes_max: self.bytes("temp_file_limit"),
        };
        let date_style = self.text("datestyle");
        let (style, order) = value::date_style_parts(&date_style);
        context.date_style = match style {
            "SQL" => DateStyle::Sql,
            "Postgres" => DateStyle::Postgres,
            "German" => DateStyle::German,
            _ => DateStyle::Iso,
        };
        context.date_order = match order {
            "DMY" => DateOrder::Dmy,
            "YMD" => DateOrder::Ymd,
            _ => DateOrder::Mdy,
        };
        context.interval_style = match &*self.text("intervalstyle") {
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        };
        context.bytea_output =
            if &*self.text("bytea_output") == "escape" { ByteaOutput::Escape } else { ByteaOutput::Hex };
        context.client_encoding = Encoding::find(&self.text("client_encoding")).unwrap_or_default();
        context.follower_read_ms = self.text("nunatak.follower_read_ms").parse().unwrap_or(5000);
        context.extra_float_digits = self.text("extra_float_digits").parse().unwrap_or(1);
        self.publish();
    }
}

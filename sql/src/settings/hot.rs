//! Settings in the forms in which statements use them, derived anew whenever one of them has changed.

use std::time::Duration;

use audit::Classes;
use client::Isolation;
use expr::SessionContext;
use expr::encoding::Encoding;
use expr::session::{ByteaOutput, DateOrder, DateStyle, IntervalStyle};

use super::definitions::AUDIT;
use super::{NO_ROLE, Settings, isolation, value};
use crate::catalog::{SearchPath, schema};

/// Settings in the form in which statements use them.
#[derive(Debug, Clone)]
pub struct Hot {
    /// `statement_timeout`; `None`: no bound.
    pub statement_timeout: Option<Duration>,
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
    /// `search_path`, with the acting role's name for `"$user"`.
    pub search_path: SearchPath,
    /// `row_security`
    pub row_security: bool,
    /// Rank of `client_min_messages`: what is below is not sent.
    pub sends_notices: bool,
    /// Whether warnings are sent.
    pub sends_warnings: bool,
}

impl Settings {
    fn timeout(&self, key: &str) -> Option<Duration> {
        let ms = value::parse_milliseconds(&self.text(key)).and_then(|ms| u64::try_from(ms).ok())?;
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    pub(super) fn derive(&mut self, context: &mut SessionContext) {
        context.session_user = self.text("session_authorization");
        let role = self.text("role");
        context.current_user = if &*role == NO_ROLE { context.session_user.clone() } else { role };
        let messages = self.text("client_min_messages");
        self.hot = Hot {
            statement_timeout: self.timeout("statement_timeout"),
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
            row_security: &*self.text("row_security") != "off",
            sends_notices: !matches!(&*messages, "warning" | "error"),
            sends_warnings: &*messages != "error",
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
        context.extra_float_digits = self.text("extra_float_digits").parse().unwrap_or(1);
        self.publish();
    }
}

//! What of a session the meaning of values and functions may depend on.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::datum::Datum;
use crate::datum::record::Shape;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::random::RandomNumbers;
use crate::types::{Type, TypeKind};

/// The functions and types whose answers stand in the catalog. The session's owner implements it; the registry
/// of [`crate::functions`] declares the signatures (`pg_table_is_visible(oid)`, `format_type(oid, int4)`, …).
pub trait CatalogFunctions: Send + Sync + std::fmt::Debug {
    /// The value of the function of this name. Strict functions are never called with a NULL.
    fn call(&self, name: &str, arguments: &[Datum]) -> Result<Datum>;

    /// The text of a regclass, regtype, regproc, regnamespace or regrole; None if there is no such object.
    fn reg_name(&self, kind: TypeKind, oid: u32) -> Option<String>;

    /// The OID that the text of a regclass and its like stands for; 42P01, 42704, … if there is none.
    fn reg_oid(&self, kind: TypeKind, name: &str) -> Result<u32>;

    /// The value that a label of an enum stands for. 22P02 if it has none such, 55P04 if nobody may use it yet.
    fn enum_value(&self, kind: TypeKind, label: &str) -> Result<Datum>;

    /// The label of an enum's value.
    fn enum_label(&self, kind: TypeKind, key: &[u8]) -> Option<Arc<str>>;

    /// All values of an enum, in order. 55P04 if nobody may use one of them yet.
    fn enum_values(&self, kind: TypeKind) -> Result<Vec<Datum>>;

    /// The attributes of a composite type.
    fn attributes(&self, kind: TypeKind) -> Option<Arc<Shape>>;

    /// The type that a domain is over at last, with its modifier; None: it is no domain that is known.
    fn over(&self, domain: TypeKind) -> Option<Type>;

    /// Judges a value that is to be one of a domain, and of those that it is over. 23502: it is NULL and must not be; 23514: a
    /// condition is false.
    fn judge(&self, domain: TypeKind, value: &Datum, session: &SessionContext) -> Result<()>;

    /// The type of this OID, built in or made.
    fn type_of_oid(&self, oid: u32) -> Option<TypeKind>;
}

/// A session without a catalog: every function of it is refused.
#[derive(Debug, Default)]
pub struct NoCatalog;

impl CatalogFunctions for NoCatalog {
    fn call(&self, name: &str, _arguments: &[Datum]) -> Result<Datum> {
        Err(Error::unsupported(format!("function {name} is not supported")))
    }

    fn reg_name(&self, _kind: TypeKind, _oid: u32) -> Option<String> {
        None
    }

    fn reg_oid(&self, kind: TypeKind, name: &str) -> Result<u32> {
        Err(Error::new("42704", format!("{} \"{name}\" does not exist", kind.display_name())))
    }

    fn enum_value(&self, kind: TypeKind, label: &str) -> Result<Datum> {
        Err(Error::new("22P02", format!("invalid input value for enum {}: \"{label}\"", kind.display_name())))
    }

    fn enum_label(&self, _kind: TypeKind, _key: &[u8]) -> Option<Arc<str>> {
        None
    }

    fn enum_values(&self, _kind: TypeKind) -> Result<Vec<Datum>> {
        Ok(Vec::new())
    }

    fn attributes(&self, _kind: TypeKind) -> Option<Arc<Shape>> {
        None
    }

    fn over(&self, _domain: TypeKind) -> Option<Type> {
        None
    }

    fn judge(&self, _domain: TypeKind, _value: &Datum, _session: &SessionContext) -> Result<()> {
        Ok(())
    }

    fn type_of_oid(&self, oid: u32) -> Option<TypeKind> {
        TypeKind::from_oid(oid)
    }
}

/// How dates and times are written (the first half of `DateStyle`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateStyle {
    /// `2001-12-31 04:05:06+01`
    #[default]
    Iso,
    /// `12/31/2001 04:05:06 CET`
    Sql,
    /// `Mon Dec 31 04:05:06 2001 CET`
    Postgres,
    /// `31.12.2001 04:05:06 CET`
    German,
}

/// The order of fields in a date that is written as three numbers (the second half of `DateStyle`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// `bytea_output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteaOutput {
    /// `\x0123`
    #[default]
    Hex,
    /// Printable bytes as they are, others as `\ooo`.
    Escape,
}

/// `IntervalStyle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`
    Iso8601,
}

/// What of a session evaluation sees.
#[derive(Debug, Clone)]
pub struct SessionContext {
    /// `now()`: when the transaction began, in microseconds since 2000-01-01 UTC.
    pub transaction_timestamp: i64,
    /// `statement_timestamp()`, same unit.
    pub statement_timestamp: i64,
    /// `nunatak.follower_read_ms`: how far `follower_read_timestamp()` lies before that.
    pub follower_read_ms: i64,
    /// `TimeZone`.
    pub time_zone: TimeZone,
    /// `TimeZone` as it was set.
    pub time_zone_name: Arc<str>,
    /// `DateStyle`'s form of what is written.
    pub date_style: DateStyle,
    /// `DateStyle`'s order of fields.
    pub date_order: DateOrder,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `bytea_output`.
    pub bytea_output: ByteaOutput,
    /// `client_encoding`: what the client's texts are in.
    pub client_encoding: Encoding,
    /// `extra_float_digits`: above 0 prints the shortest text that reads back exactly.
    pub extra_float_digits: i32,
    /// `current_user`.
    pub current_user: Arc<str>,
    /// `session_user`.
    pub session_user: Arc<str>,
    /// `current_database()`.
    pub database: Arc<str>,
    /// `current_schema()`: the first schema of the search path that exists.
    pub schema: Option<Arc<str>>,
    /// `pg_backend_pid()`.
    pub backend_pid: i32,
    /// What `version()` answers.
    pub version: Arc<str>,
    /// Where the catalog's functions are answered.
    pub catalog: Arc<dyn CatalogFunctions>,
    /// `random()`, `setseed()`.
    pub random: Arc<RandomNumbers>,
}

impl Default for SessionContext {
    fn default() -> Self {
        let now = now_micros();
        let user: Arc<str> = "postgres".into();
        Self {
            transaction_timestamp: now,
            statement_timestamp: now,
            follower_read_ms: 5000,
            time_zone: TimeZone::UTC,
            time_zone_name: "UTC".into(),
            date_style: DateStyle::default(),
            date_order: DateOrder::default(),
            interval_style: IntervalStyle::default(),
            bytea_output: ByteaOutput::default(),
            client_encoding: Encoding::UTF8,
            extra_float_digits: 1,
            current_user: user.clone(),
            session_user: user.clone(),
            database: user,
            schema: Some("public".into()),
            backend_pid: 0,
            version: concat!("PostgreSQL 15.0 (Nunatak ", env!("CARGO_PKG_VERSION"), ")").into(),
            catalog: Arc::new(NoCatalog),
            random: Arc::default(),
        }
    }
}

impl SessionContext {
    /// A moment that lies so far before another one that any replica can answer what is read as of then, in microseconds since
    /// 2000-01-01 UTC. `follower_read_timestamp()` is that of the statement.
    pub const fn follower_read_timestamp(&self, before: i64) -> i64 {
        before.saturating_sub(self.follower_read_ms.saturating_mul(1000))
    }

    /// Sets `TimeZone`: a name of the IANA database, `UTC`, `+02:00`, an abbreviation. 22023 if there is none such.
    pub fn set_time_zone(&mut self, name: &str) -> Result<()> {
        self.time_zone = time_zone(name)?;
        self.time_zone_name = name.into();
        Ok(())
    }
}

/// The wall clock in microseconds since 2000-01-01 UTC.
pub fn now_micros() -> i64 {
    env::clock::wall_us() as i64 - crate::calendar::UNIX_EPOCH_DISTANCE_MICROS
}

/// What the zone of this name is called once it is set.
///
/// # Errors
/// 22023: there is none.
pub fn settled_time_zone(name: &str) -> Result<String> {
    time_zone(name).map(|_| crate::calendar::zone::settled_name(name))
}

/// The zone of this name as `SET TIME ZONE` reads it.
pub fn time_zone(name: &str) -> Result<TimeZone> {
    crate::calendar::zone::find(name)
        .ok_or_else(|| Error::new("22023", format!("invalid value for parameter \"TimeZone\": \"{name}\"")))
}

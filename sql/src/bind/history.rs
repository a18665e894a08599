//! How long history is kept: `SET (history = …)` of tables and databases, SHOW HISTORY, SHOW CLONES.

use expr::{Datum, TypeKind, codec};

use super::Binder;
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};
use crate::moment;
use crate::parse::ast::{HistoryOf, HistoryStatement, Name};
use crate::plan::{KeepHistory, KeepOf, SessionCommand};

/// The least history that is said, in ms.
const HISTORY_MS_MIN: i64 = 60_000;

/// The most: what a timestamp can hold.
const HISTORY_MS_MAX: i64 = 1 << 45;

/// What a day and a month are where nothing says which.
const DAY_MS: i64 = 24 * 3600 * 1000;
const MONTH_MS: i64 = 30 * DAY_MS;

impl Binder<'_> {
    pub(super) fn history(&self, statement: &HistoryStatement) -> Result<SessionCommand> {
        let HistoryStatement::Keep { of, options } = statement else {
            debug_assert!(statement.is_for_session(), "the others are bound elsewhere");
            return Ok(match statement {
                HistoryStatement::Clones => SessionCommand::ShowClones,
                _ => SessionCommand::ShowHistory,
            });
        };
        let of = match of {
            HistoryOf::Cluster => KeepOf::Cluster,
            HistoryOf::Table(name) => {
                let table = self.table(name)?;
                check_kind(&table).map_err(|error| error.at(name.name.at))?;
                KeepOf::Table(self.catalog.database_oid(), table)
            }
            HistoryOf::Database(name) => {
                let missing =
                    || Error::new("3D000", format!("database \"{}\" does not exist", name.value)).at(name.at);
                KeepOf::Database(self.catalog.databases().meant(&name.value).ok_or_else(missing)?.oid)
            }
        };
        let mut keep = KeepHistory { of, history_ms: None, held_until_ms: None };
        for (name, value) in options {
            let given = match name.value.as_str() {
                "history" => &mut keep.history_ms,
                _ => &mut keep.held_until_ms,
            };
            let value = value.as_deref().map(|value| self.history_option(name, value)).transpose()?;
            if given.replace(value).is_some() {
                let message = format!("parameter \"{}\" specified more than once", name.value);
                return Err(Error::new("22023", message).at(name.at));
            }
        }
        Ok(SessionCommand::KeepHistory(Box::new(keep)))
    }

    /// A time of a minute at least, in ms; `None`: it is none.
    pub(super) fn period_ms(&self, text: &str) -> Option<u64> {
        let read = codec::input(text, TypeKind::Interval.into(), self.settings.context);
        let Ok(Datum::Interval(interval)) = read else { return None };
        let (months, days) = (i64::from(interval.months), i64::from(interval.days));
        let ms = months.saturating_mul(MONTH_MS).saturating_add(days.saturating_mul(DAY_MS));
        let ms = ms.saturating_add(interval.micros / 1000);
        let ms = Some(ms).filter(|ms| (HISTORY_MS_MIN..HISTORY_MS_MAX).contains(ms));
        ms.and_then(|ms| u64::try_from(ms).ok())
    }

    /// The value of an option in ms.
    fn history_option(&self, name: &Name, value: &str) -> Result<u64> {
        let wrong = |hint: &str| {
            let message = format!("invalid value for \"{}\": \"{value}\"", name.value);
            Error::new("22023", message).hint(hint).at(name.at)
        };
        if name.value == "history" {
            let wrong = || wrong("It is a time of a minute at least, such as '30 days', or 'forever'.");
            if value.eq_ignore_ascii_case("forever") {
                return Ok(0);
            }
            return self.period_ms(value).ok_or_else(wrong);
        }
        let read = codec::input(value, TypeKind::Timestamptz.into(), self.settings.context);
        let Ok(Datum::Timestamptz(micros)) = read else {
            return Err(wrong("It is a moment, such as '2030-01-01 00:00:00+00'."));
        };
        Ok(moment::unix_ms(micros))
    }
}

/// 0A000 if nothing is kept of the table's rows.
pub(super) fn check_kind(table: &TableDescriptor) -> Result<()> {
    if table.is_temporary() {
        return Err(Error::unsupported("the history of a temporary table"));
    }
    if table.kind.is_stored() {
        return Ok(());
    }
    Err(Error::new("42809", format!("\"{}\" is not a table or materialized view", table.name)))
}

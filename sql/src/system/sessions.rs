//! Views of what the session itself holds.

use std::sync::Arc;

use super::World;
use super::record::{Records, Value};
use crate::catalog::Oid;
use crate::questions::AdvisoryName;

/// What views show of a session, as it was when the statement began.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Its cursors.
    pub(crate) cursors: Vec<ShownCursor>,
    /// Its prepared statements that have names.
    pub(crate) statements: Arc<[ShownStatement]>,
    /// The advisory locks of the gateway's sessions.
    pub(crate) locks: Vec<ShownLock>,
}

/// A row of `pg_cursors`.
#[derive(Debug)]
pub(crate) struct ShownCursor {
    pub(crate) name: String,
    pub(crate) statement: Arc<str>,
    pub(crate) is_holdable: bool,
    pub(crate) is_binary: bool,
    pub(crate) is_scrollable: bool,
    /// Microseconds since 2000.
    pub(crate) created: i64,
}

/// A row of `pg_prepared_statements`.
#[derive(Debug)]
pub(crate) struct ShownStatement {
    pub(crate) name: String,
    pub(crate) statement: Arc<str>,
    /// Microseconds since 2000.
    pub(crate) prepared: i64,
    /// The types of its parameters.
    pub(crate) parameters: Vec<Oid>,
    /// PREPARE has made it, not the protocol.
    pub(crate) from_sql: bool,
}

/// A row of `pg_locks`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShownLock {
    pub(crate) database: Oid,
    pub(crate) name: AdvisoryName,
    pub(crate) pid: i32,
    pub(crate) is_exclusive: bool,
    pub(crate) is_granted: bool,
}

/// Plans are not counted.
pub(super) fn pg_prepared_statements(world: &World<'_>, records: &mut Records<'_>) {
    for own in world.shown.statements.iter() {
        records.push(&[
            ("name", own.name.as_str().into()),
            ("statement", (&*own.statement).into()),
            ("prepare_time", Value::Moment(own.prepared)),
            ("parameter_types", Value::Ints(own.parameters.iter().map(|oid| i64::from(*oid)).collect())),
            ("from_sql", own.from_sql.into()),
        ]);
    }
}

pub(super) fn pg_cursors(world: &World<'_>, records: &mut Records<'_>) {
    for cursor in &world.shown.cursors {
        records.push(&[
            ("name", cursor.name.as_str().into()),
            ("statement", (&*cursor.statement).into()),
            ("is_holdable", cursor.is_holdable.into()),
            ("is_binary", cursor.is_binary.into()),
            ("is_scrollable", cursor.is_scrollable.into()),
            ("creation_time", Value::Moment(cursor.created)),
        ]);
    }
}

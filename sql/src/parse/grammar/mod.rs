//! PostgreSQL's grammar of queries, of statements that write, and of definitions, by recursive descent.
//!
//! ```text
//! definition    CREATE TABLE, DROP, TRUNCATE
//! alter         ALTER TABLE
//! object        schemas, sequences, identity columns, COMMENT
//! view          CREATE VIEW, ALTER VIEW
//! made_type     CREATE TYPE, ALTER TYPE
//! domain        CREATE DOMAIN, ALTER DOMAIN
//! function      CREATE FUNCTION, ALTER FUNCTION, DROP FUNCTION
//! constraint    PRIMARY KEY, UNIQUE, CHECK, FOREIGN KEY
//! index         CREATE INDEX, REINDEX
//! modify        INSERT, UPDATE, DELETE
//! merge         MERGE
//! query         WITH, SELECT, VALUES, set operations, ORDER BY, LIMIT, locks
//! from          tables, subqueries, functions, joins
//! backup        BACKUP, RESTORE, SHOW BACKUPS
//! past          FOR SYSTEM_TIME, AS OF SYSTEM TIME, FLASHBACK, DIFF
//! group         GROUP BY
//! expression    operators by precedence
//! primary       what operators stand between; parentheses
//! call          functions, and what the SQL standard writes like one
//! window        OVER and WINDOW
//! persistence   TEMPORARY, ON COMMIT
//! types         names of types
//! ```
//!
//! What PostgreSQL has and we do not is 0A000, named, at its place; what it does not have either is 42601.

mod alter;
mod backup;
mod call;
mod constraint;
mod definition;
mod domain;
mod expression;
mod from;
mod function;
mod group;
mod index;
mod made_type;
mod merge;
mod modify;
mod object;
mod past;
mod persistence;
mod policy;
mod primary;
mod query;
mod types;
mod view;
mod window;

pub(super) use self::backup::{
    backup, create_schedule, drop_schedule, is_about_schedules, restore, show_backups, show_schedules,
};
pub(super) use alter::alter;
pub(super) use definition::{create, drop, truncate};
pub(super) use expression::{expression, expressions};
pub(super) use function::function_name;
pub(super) use index::reindex;
pub(super) use object::{comment, refresh};
pub(super) use past::{
    accept_as_of, as_of, changes, diff, erase, flashback, keep_history, keeps_history, undrop,
};
pub(super) use query::query;
pub(super) use types::type_name;

use super::ast::{Body, CreateTableAs};
use super::cursor::{Cursor, Destination};
use crate::error::Result;

/// The same where SELECT … INTO may stand: that is CREATE TABLE … AS.
pub(super) fn query_or_into(cursor: &mut Cursor<'_>) -> Result<Body> {
    let body = match cursor.keyword() {
        "with" => query::statement_with(cursor, true)?,
        _ => {
            cursor.into = Destination::Allowed;
            preparable(cursor)?
        }
    };
    match (std::mem::take(&mut cursor.into), body) {
        (Destination::Table(name, persistence), Body::Query(query)) => {
            Ok(Body::CreateTableAs(Box::new(CreateTableAs {
                name,
                if_not_exists: false,
                columns: Vec::new(),
                query: *query,
                with_data: true,
                view: None,
                persistence,
                on_commit: None,
            })))
        }
        (_, body) => Ok(body),
    }
}

/// A query, INSERT, UPDATE, DELETE or MERGE: what PREPARE, EXPLAIN and COPY take.
pub(super) fn preparable(cursor: &mut Cursor<'_>) -> Result<Body> {
    match cursor.keyword() {
        "with" => query::statement_with(cursor, false),
        "insert" => modify::insert(cursor),
        "update" => modify::update(cursor),
        "delete" => modify::delete(cursor),
        "merge" => merge::merge(cursor),
        _ if query::is_query(cursor) => Ok(Body::Query(Box::new(query::query(cursor)?))),
        _ => Err(cursor.error()),
    }
}

//! The temporary objects of one session.
//!
//! They stand in no row of the catalog: a session keeps them, and puts them beside the catalog that everybody sees
//! (the module `overlay`). So its statements are bound, planned and run over them as over any others,
//! and nobody else hears of them. Rows under `/sys` would be transactional by themselves; but each such change raises the
//! catalog version, which keeps all other DDL of the cluster waiting until its transaction ends, makes every gateway read the
//! catalog anew, and fails all transactions that are under way under the old one. PostgreSQL's users make temporary tables
//! within long transactions, and often.
//!
//! What they hold are ordinary rows under index ids of the cluster's own, in ordinary transactions: locks, savepoints, indexes
//! and plans are as ever. Those ids are written down for whoever has to give the room back once the session is gone
//! (the module `keeper`).
//!
//! # Invariants
//! - All of them are in the schema [`super::schema::TEMPORARY`], and all that is in that schema is among them.
//! - Nothing that is not temporary depends on them.
//! - A value is immutable: DDL makes another, which savepoints and the transaction's end keep or give up.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::Type;

use super::access::{Object, ObjectRights};
use super::comment::Commented;
use super::object::ObjectDescriptor;
use super::{ColumnId, Oid, TableDescriptor};

/// What becomes of a temporary table's rows at each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCommit {
    /// They stay.
    #[default]
    PreserveRows,
    /// They go.
    DeleteRows,
    /// They go, and the table with them.
    Drop,
}

/// The temporary objects of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Temporary {
    /// The schema that they are in.
    pub(super) schema: Arc<ObjectDescriptor>,
    pub(super) tables: Vec<Arc<TableDescriptor>>,
    /// Sequences and views.
    pub(super) objects: Vec<Arc<ObjectDescriptor>>,
    pub(super) rights: Vec<(Object, Arc<ObjectRights>)>,
    pub(super) comments: Vec<(Commented, Arc<str>)>,
    /// The columns that views read, and of which types they are.
    pub(super) read: BTreeMap<(Oid, ColumnId), Type>,
    /// The composite types that values in the tables are of, as they are.
    pub(super) composites: Vec<Arc<ObjectDescriptor>>,
    pub(super) on_commit: Arc<BTreeMap<Oid, OnCommit>>,
}

impl Temporary {
    /// Whether anything is to be done about them at each commit.
    pub fn ends_at_commit(&self) -> bool {
        !self.on_commit.is_empty()
    }
}

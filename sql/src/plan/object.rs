//! Plans that change schemas and sequences, or what tables have in common with them.

use std::sync::Arc;

use super::sequence::{NewSequence, SequenceSetting};
use crate::catalog::comment::Commented;
use crate::catalog::depend::Address;
use crate::catalog::object::{ObjectDescriptor, ViewDescriptor};
use crate::catalog::{Oid, SearchPath, TableDescriptor};
use crate::parse::ast::RoleReference;

/// A change of an object of the catalog.
#[derive(Debug, Clone)]
pub enum ObjectChange {
    /// CREATE SEQUENCE
    CreateSequence {
        /// The sequence.
        sequence: Box<NewSequence>,
    },
    /// ALTER SEQUENCE
    AlterSequence {
        /// Which.
        sequence: Arc<ObjectDescriptor>,
        /// What changes.
        settings: Vec<SequenceSetting>,
    },
    /// CREATE VIEW
    CreateView {
        /// The view in whose place it is put.
        oid: Option<Oid>,
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
        /// What it is.
        view: Box<ViewDescriptor>,
    },
    /// CREATE SCHEMA
    CreateSchema {
        /// Its name, if it is not its owner's.
        name: Option<String>,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// AUTHORIZATION
        owner: Option<RoleReference>,
    },
    /// COMMENT ON
    Comment {
        /// What.
        on: Commented,
        /// What one has to own to do so; `None`: the database.
        owned: Option<Target>,
        /// The comment.
        text: Option<String>,
    },
    /// ALTER … RENAME TO
    Rename {
        /// What.
        object: Target,
        /// The new name.
        to: String,
        /// The command tag.
        tag: &'static str,
    },
    /// ALTER … SET SCHEMA
    SetSchema {
        /// What.
        relation: Arc<TableDescriptor>,
        /// Where to.
        schema: String,
        /// The command tag.
        tag: &'static str,
    },
    /// DROP
    Drop {
        /// What.
        targets: Vec<Target>,
        /// CASCADE
        cascade: bool,
        /// What need not be qualified in messages.
        path: SearchPath,
        /// The command tag.
        tag: &'static str,
    },
}

/// An object that a statement names.
#[derive(Debug, Clone)]
pub enum Target {
    /// A table, sequence or view.
    Relation(Arc<TableDescriptor>),
    /// A schema.
    Schema {
        /// Which.
        oid: Oid,
        /// Its name.
        name: String,
    },
    /// An index.
    Index {
        /// Its table.
        table: Arc<TableDescriptor>,
        /// Which.
        oid: Oid,
        /// Its name.
        name: String,
    },
}

impl Target {
    /// What others depend on.
    pub fn address(&self) -> Address {
        match self {
            Self::Relation(relation) => Address::Relation(relation.oid),
            Self::Schema { oid, .. } => Address::Schema(*oid),
            Self::Index { table, oid, .. } => Address::Index(table.oid, *oid),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Relation(relation) => &relation.name,
            Self::Schema { name, .. } | Self::Index { name, .. } => name,
        }
    }
}

impl ObjectChange {
    /// The command, as its tag and errors name it.
    pub fn command(&self) -> &'static str {
        match self {
            Self::CreateSequence { .. } => "CREATE SEQUENCE",
            Self::CreateView { .. } => "CREATE VIEW",
            Self::Comment { .. } => "COMMENT",
            Self::AlterSequence { .. } => "ALTER SEQUENCE",
            Self::CreateSchema { .. } => "CREATE SCHEMA",
            Self::Rename { tag, .. } | Self::SetSchema { tag, .. } | Self::Drop { tag, .. } => tag,
        }
    }
}

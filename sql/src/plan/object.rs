//! Plans that change schemas and sequences, or what tables have in common with them.

use std::collections::BTreeSet;
use std::sync::Arc;

use expr::TypeKind;

use super::modify::RowCheck;
use super::past::Moment;
use super::sequence::{NewSequence, SequenceSetting};
use crate::catalog::comment::Commented;
use crate::catalog::depend::Address;
use crate::catalog::object::{FunctionDescriptor, ObjectDescriptor, TypeDescriptor, ViewDescriptor};
use crate::catalog::{ColumnId, Oid, SearchPath, TableDescriptor};
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
    /// ALTER VIEW
    AlterView {
        /// Which.
        relation: Arc<TableDescriptor>,
        /// What it becomes.
        view: Box<ViewDescriptor>,
        /// The command tag.
        tag: &'static str,
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
    /// CREATE EXTENSION
    CreateExtension {
        /// The schema that it is said to be in.
        schema: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// CREATE TYPE, ALTER TYPE
    Type(TypeChange),
    /// CREATE FUNCTION, ALTER FUNCTION
    Function(FunctionChange),
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
    /// CREATE TABLE … CLONE
    Clone {
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
        /// What it lies over.
        of: Arc<TableDescriptor>,
        /// As of when; None: now.
        moment: Option<Box<Moment>>,
    },
    /// FLASHBACK TABLE by the catalog alone
    FlashBack {
        /// Which.
        table: Arc<TableDescriptor>,
        /// The timestamp that it goes back to.
        at: u64,
    },
    /// UNDROP TABLE
    Undrop {
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
    },
    /// DROP
    Drop {
        /// What.
        targets: Vec<Target>,
        /// CASCADE
        cascade: bool,
        /// CONCURRENTLY: not in a transaction block.
        concurrently: bool,
        /// What need not be qualified in messages.
        path: SearchPath,
        /// The command tag.
        tag: &'static str,
    },
}

/// A change of a type.
#[derive(Debug, Clone)]
pub enum TypeChange {
    /// CREATE TYPE
    Create {
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
        /// What it is.
        made: TypeDescriptor,
    },
    /// ALTER TYPE … ADD VALUE
    Alter {
        /// Which.
        oid: Oid,
        /// What it becomes.
        made: TypeDescriptor,
    },
    /// ALTER TYPE … RENAME VALUE
    RenameLabel {
        /// Which.
        oid: Oid,
        /// What it becomes.
        made: TypeDescriptor,
        /// The label.
        from: String,
        /// What it becomes.
        to: String,
    },
    /// ALTER DOMAIN
    AlterDomain {
        /// Which.
        oid: Oid,
        /// What it becomes.
        made: TypeDescriptor,
        /// The tables with columns of it, and what has to be found true of their rows.
        verify: Vec<DomainColumns>,
    },
    /// ALTER TYPE … SET SCHEMA
    Move {
        /// Which.
        oid: Oid,
        /// Where to.
        schema: String,
        /// The command tag.
        tag: &'static str,
    },
}

/// A change of a function.
#[derive(Debug, Clone)]
pub enum FunctionChange {
    /// CREATE FUNCTION
    Create {
        /// The function in whose place it is put.
        oid: Option<Oid>,
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
        /// What it is.
        function: Box<FunctionDescriptor>,
    },
    /// ALTER FUNCTION
    Alter {
        /// Which.
        oid: Oid,
        /// The schema that it is in then.
        schema: String,
        /// What it is called then.
        name: String,
        /// What it is then.
        function: Box<FunctionDescriptor>,
        /// Whether it gets another place, by its name or its schema.
        moves: bool,
    },
}

/// The columns of a table that are of a domain.
#[derive(Debug, Clone)]
pub struct DomainColumns {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// Those that must hold no NULL.
    pub not_null: BTreeSet<ColumnId>,
    /// Conditions that must not be false, named by their columns.
    pub checks: Vec<RowCheck>,
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
    /// A type.
    Type {
        /// Which.
        kind: TypeKind,
    },
    /// An extension.
    Extension {
        /// Which.
        oid: Oid,
        /// Its name.
        name: String,
    },
    /// A function.
    Function {
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
            Self::Type { kind } => Address::Type(kind.oid()),
            Self::Extension { oid, .. } => Address::Extension(*oid),
            Self::Function { oid, .. } => Address::Function(*oid),
            Self::Index { table, oid, .. } => Address::Index(table.oid, *oid),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Relation(relation) => &relation.name,
            Self::Type { kind } => kind.display_name(),
            Self::Schema { name, .. }
            | Self::Index { name, .. }
            | Self::Extension { name, .. }
            | Self::Function { name, .. } => name,
        }
    }
}

impl ObjectChange {
    /// The command, as its tag and errors name it.
    pub fn command(&self) -> &'static str {
        match self {
            Self::CreateSequence { .. } => "CREATE SEQUENCE",
            Self::CreateView { .. } => "CREATE VIEW",
            Self::CreateExtension { .. } => "CREATE EXTENSION",
            Self::Type(TypeChange::Create { made: TypeDescriptor::Domain(_), .. }) => "CREATE DOMAIN",
            Self::Type(TypeChange::Create { .. }) => "CREATE TYPE",
            Self::Type(TypeChange::AlterDomain { .. }) => "ALTER DOMAIN",
            Self::Type(TypeChange::Move { tag, .. }) => tag,
            Self::Type(_) => "ALTER TYPE",
            Self::Function(FunctionChange::Create { .. }) => "CREATE FUNCTION",
            Self::Function(FunctionChange::Alter { .. }) => "ALTER FUNCTION",
            Self::Comment { .. } => "COMMENT",
            Self::AlterSequence { .. } => "ALTER SEQUENCE",
            Self::CreateSchema { .. } => "CREATE SCHEMA",
            Self::Clone { .. } => "CREATE TABLE",
            Self::FlashBack { .. } => "FLASHBACK TABLE",
            Self::Undrop { .. } => "UNDROP TABLE",
            Self::AlterView { tag, .. }
            | Self::Rename { tag, .. }
            | Self::SetSchema { tag, .. }
            | Self::Drop { tag, .. } => tag,
        }
    }
}

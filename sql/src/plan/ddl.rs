//! Plans that change the catalog. Descriptors of what is new carry no ids yet: the executor allocates them.

use std::sync::Arc;

use crate::catalog::{Column, IndexColumn, Oid, TableDescriptor};
use crate::parse::ast::{AccessStatement, GrantObjects, RoleReference, RoleStatement};

/// Changes the catalog.
#[derive(Debug, Clone)]
pub enum Ddl {
    /// CREATE TABLE
    CreateTable(CreateTable),
    /// DROP TABLE
    DropTables(DropTables),
    /// TRUNCATE
    Truncate(Truncate),
    /// CREATE INDEX
    CreateIndex(CreateIndex),
    /// DROP INDEX
    DropIndexes(DropIndexes),
    /// ALTER TABLE … ADD PRIMARY KEY
    AddPrimaryKey(AddPrimaryKey),
    /// CREATE ROLE, GRANT and the like.
    Access(AccessChange),
    /// The object is already as wished (IF EXISTS, IF NOT EXISTS); only the statement's notices are due.
    Nothing {
        /// The command tag.
        tag: &'static str,
    },
}

/// A change of roles or rights. Names of roles are looked up when it is made: under the catalog that it was planned under.
#[derive(Debug, Clone)]
pub struct AccessChange {
    /// What to do.
    pub statement: AccessStatement,
    /// The tables that it names, in order.
    pub tables: Vec<Arc<TableDescriptor>>,
}

/// A new table.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// Its schema.
    pub schema: String,
    /// Its name: free in the catalog that the statement was bound under.
    pub name: String,
    /// Its columns with ids from 1; the hidden row id, last, if there is no primary key.
    pub columns: Vec<Column>,
    /// Its indexes: the primary first. An index over the hidden row id has an empty name.
    pub indexes: Vec<NewIndex>,
    /// Where its name stands, for the error that the schema takes no table of this role.
    pub at: usize,
}

/// A new index.
#[derive(Debug, Clone)]
pub struct NewIndex {
    /// Its name: chosen, and free.
    pub name: String,
    /// What it is for.
    pub kind: NewIndexKind,
    /// Its key.
    pub columns: Vec<IndexColumn>,
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewIndexKind {
    /// Over the hidden row id.
    RowId,
    /// PRIMARY KEY
    PrimaryKey,
    /// UNIQUE as a constraint
    UniqueConstraint,
    /// CREATE UNIQUE INDEX
    Unique,
    /// CREATE INDEX
    Plain,
}

impl NewIndexKind {
    /// Whether the index holds the rows.
    pub const fn is_primary(self) -> bool {
        matches!(self, Self::RowId | Self::PrimaryKey)
    }

    /// Whether no two rows may have equal keys.
    pub const fn is_unique(self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Whether it enforces a constraint that the catalog lists.
    pub const fn is_constraint(self) -> bool {
        matches!(self, Self::PrimaryKey | Self::UniqueConstraint)
    }
}

/// Tables to drop, all or none.
#[derive(Debug, Clone)]
pub struct DropTables {
    /// Which.
    pub tables: Vec<Arc<TableDescriptor>>,
}

/// Tables to empty: each of their indexes gets a new id.
#[derive(Debug, Clone)]
pub struct Truncate {
    /// Which.
    pub tables: Vec<Arc<TableDescriptor>>,
}

/// An index to build.
#[derive(Debug, Clone)]
pub struct CreateIndex {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The index.
    pub index: NewIndex,
}

impl CreateIndex {
    /// The command that asked for it, as its tag and errors name it.
    pub fn command(&self) -> &'static str {
        match self.index.kind {
            NewIndexKind::UniqueConstraint => "ALTER TABLE",
            _ => "CREATE INDEX",
        }
    }
}

/// Indexes to drop; none enforces a constraint.
#[derive(Debug, Clone)]
pub struct DropIndexes {
    /// The tables and the oids of their indexes.
    pub indexes: Vec<(Arc<TableDescriptor>, Oid)>,
}

/// A primary key for a table that has none: its rows move from under the row id to under the key. The key's columns
/// become NOT NULL (23502 if a row has NULL there), the hidden column goes; 23505 if keys are not distinct.
#[derive(Debug, Clone)]
pub struct AddPrimaryKey {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The index.
    pub index: NewIndex,
}

impl AccessChange {
    /// The command, as its tag and errors name it.
    pub fn command(&self) -> &'static str {
        match &self.statement {
            AccessStatement::Role(RoleStatement::Create { .. }) => "CREATE ROLE",
            AccessStatement::Role(RoleStatement::Alter { .. } | RoleStatement::Rename { .. }) => "ALTER ROLE",
            AccessStatement::Role(RoleStatement::Drop { .. }) => "DROP ROLE",
            AccessStatement::Membership(grant) if grant.revoke => "REVOKE ROLE",
            AccessStatement::Membership(_) => "GRANT ROLE",
            AccessStatement::Rights(grant) if grant.revoke => "REVOKE",
            AccessStatement::Rights(_) => "GRANT",
            AccessStatement::Owner { .. } => "ALTER TABLE",
        }
    }

    /// The names of the roles and objects that it is about.
    pub fn subjects(&self) -> Vec<String> {
        let shown = |reference: &RoleReference| match reference {
            RoleReference::Named(name) => name.value.clone(),
            RoleReference::Public(_) => "public".to_owned(),
            RoleReference::CurrentUser => "current_user".to_owned(),
            RoleReference::SessionUser => "session_user".to_owned(),
        };
        let mut subjects: Vec<String> = self.tables.iter().map(|table| table.name.clone()).collect();
        match &self.statement {
            AccessStatement::Role(RoleStatement::Create { name, .. }) => subjects.push(name.value.clone()),
            AccessStatement::Role(RoleStatement::Alter { role, .. }) => subjects.push(shown(role)),
            AccessStatement::Role(RoleStatement::Rename { role, to }) => {
                subjects.extend([role.value.clone(), to.value.clone()]);
            }
            AccessStatement::Role(RoleStatement::Drop { roles, .. }) => {
                subjects.extend(roles.iter().map(shown))
            }
            AccessStatement::Membership(grant) => {
                subjects.extend(grant.roles.iter().map(|role| role.value.clone()));
                subjects.extend(grant.members.iter().map(shown));
            }
            AccessStatement::Rights(grant) => {
                if let GrantObjects::TablesIn(names)
                | GrantObjects::Schemas(names)
                | GrantObjects::Databases(names) = &grant.objects
                {
                    subjects.extend(names.iter().map(|name| name.value.clone()));
                }
                subjects.extend(grant.grantees.iter().map(shown));
            }
            AccessStatement::Owner { owner, .. } => subjects.push(shown(owner)),
        }
        subjects
    }
}

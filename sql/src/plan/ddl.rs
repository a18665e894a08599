//! Plans that change the catalog. Descriptors of what is new carry no ids yet: the executor allocates them.

use std::collections::BTreeSet;
use std::sync::Arc;

use audit::Classes;
use expr::Expr;

use super::object::ObjectChange;
use super::sequence::{NewSequence, SequenceSetting};
use super::{Assignment, Node, RowCheck};
use crate::catalog::depend::Address;
use crate::catalog::object::{Identity, ObjectDescriptor};
use crate::catalog::{
    Check, Column, ColumnId, ForeignKey, IndexColumn, IndexDescriptor, IndexOptions, Materialised, Oid,
    OnCommit, ROW_ID_COLUMN, TableDescriptor, schema,
};
use crate::parse::ast::{
    AccessStatement, DatabaseStatement, FunctionName, GrantObjects, Name, ObjectKind, RoleReference,
    RoleStatement, SettingChange,
};

/// Changes the catalog.
#[derive(Debug, Clone)]
pub enum Ddl {
    /// CREATE TABLE
    CreateTable(CreateTable),
    /// CREATE TABLE … AS
    CreateTableAs(CreateTableAs),
    /// TRUNCATE
    Truncate(Truncate),
    /// CREATE INDEX
    CreateIndex(CreateIndex),
    /// REFRESH MATERIALIZED VIEW
    Refresh(Refresh),
    /// REINDEX
    Reindex(Reindex),
    /// ALTER TABLE
    AlterTable(Box<AlterTable>),
    /// Schemas, sequences, DROP and what tables have in common with them.
    Object(ObjectChange),
    /// CREATE ROLE, GRANT and the like.
    Access(AccessChange),
    /// The object is already as wished (IF EXISTS, IF NOT EXISTS); only the statement's notices are due.
    Nothing {
        /// The command tag.
        tag: &'static str,
    },
}

impl Ddl {
    /// Whether it makes something temporary.
    pub fn makes_temporary(&self) -> bool {
        match self {
            Self::CreateTable(create) | Self::CreateTableAs(CreateTableAs { create, .. }) => {
                create.schema == schema::TEMPORARY
            }
            Self::Object(ObjectChange::CreateSequence { sequence }) => sequence.schema == schema::TEMPORARY,
            Self::Object(ObjectChange::CreateView { schema: own, .. }) => own == schema::TEMPORARY,
            _ => false,
        }
    }

    /// What the statement is called if it cannot run in a transaction block.
    pub fn apart(&self) -> Option<&'static str> {
        match self {
            Self::CreateIndex(create) if create.concurrently => Some("CREATE INDEX CONCURRENTLY"),
            Self::Reindex(reindex) => reindex.apart,
            Self::Access(change) if change.is_always_alone() => Some(change.command()),
            Self::Object(ObjectChange::Clone { .. }) => Some("CREATE TABLE … CLONE"),
            Self::Object(ObjectChange::Drop { concurrently: true, .. }) => Some("DROP INDEX CONCURRENTLY"),
            _ => None,
        }
    }
}

/// A change of roles or rights. Names of roles are looked up when it is made: under the catalog that it was planned under.
#[derive(Debug, Clone)]
pub struct AccessChange {
    /// What to do.
    pub statement: AccessStatement,
    /// The tables and sequences that it names, in order.
    pub tables: Vec<Arc<TableDescriptor>>,
    /// The types that it names.
    pub types: Vec<Oid>,
    /// The functions that it names.
    pub functions: Vec<Oid>,
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
    /// The sequences that make values for its columns.
    pub sequences: Vec<NewSequence>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// Its foreign keys. Those that reference the table itself name no oids.
    pub foreign_keys: Vec<ForeignKey>,
    /// What its rows come from, if it is a materialised view.
    pub materialised: Option<Materialised>,
    /// What of it is recorded in the audit log.
    pub audit: Classes,
    /// Comments on parts of it.
    pub comments: Vec<(NewComment, String)>,
    /// What becomes of its rows at each commit, if it is temporary.
    pub on_commit: OnCommit,
    /// Where its name stands, for the error that the schema takes no table of this role.
    pub at: usize,
}

/// What a comment is on that comes with a new table.
#[derive(Debug, Clone)]
pub enum NewComment {
    /// A column.
    Column(ColumnId),
    /// The constraint of this name.
    Constraint(String),
}

/// A new table and its rows.
#[derive(Debug, Clone)]
pub struct CreateTableAs {
    /// The table.
    pub create: CreateTable,
    /// Its rows, all columns each, a NULL in place of a hidden row id; `None`: it has none.
    pub source: Option<Box<Node>>,
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
    /// What else was said of it.
    pub options: IndexOptions,
}

impl NewIndex {
    /// The one that holds the rows of a table without primary key.
    pub fn over_row_id() -> Self {
        let columns = vec![IndexColumn::ascending(ROW_ID_COLUMN)];
        Self { name: String::new(), kind: NewIndexKind::RowId, columns, options: IndexOptions::default() }
    }
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

/// Tables to empty: each of their indexes gets a new id.
#[derive(Debug, Clone)]
pub struct Truncate {
    /// Which.
    pub tables: Vec<Arc<TableDescriptor>>,
    /// How many of them the statement names; CASCADE adds the others.
    pub named: usize,
    /// RESTART IDENTITY
    pub restart: bool,
}

/// An index to build.
#[derive(Debug, Clone)]
pub struct CreateIndex {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The index.
    pub index: NewIndex,
    /// CONCURRENTLY: not in a transaction block.
    pub concurrently: bool,
}

/// A materialised view that gets new rows.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// Which.
    pub table: Arc<TableDescriptor>,
    /// Its rows, all columns each, a NULL in place of the hidden row id; `None`: it has none, and cannot be read.
    pub source: Option<Box<Node>>,
}

/// Indexes to build anew.
#[derive(Debug, Clone)]
pub struct Reindex {
    /// Which, by table.
    pub indexes: Vec<(Arc<TableDescriptor>, Vec<Oid>)>,
    /// What the statement is called where it cannot run in a transaction block.
    pub apart: Option<&'static str>,
}

/// A change of one table.
///
/// # Invariants
/// - Of `to`, what is new has no ids yet: the executor gives them.
/// - Where rows are written anew all columns of `to` hold what `rewrite` makes of the old row.
#[derive(Debug, Clone)]
pub struct AlterTable {
    /// The table as it is.
    pub from: Arc<TableDescriptor>,
    /// As it becomes.
    pub to: TableDescriptor,
    /// The values of new columns in rows that are not written anew: computed once.
    pub missing: Vec<(ColumnId, Expr)>,
    /// The values of all columns of `to` over the old row, if rows are written anew; NULL for a new row id.
    pub rewrite: Option<Vec<Expr>>,
    /// The new generated columns of rows that are written anew, over the row of `to`.
    pub generated: Vec<Assignment>,
    /// What has to be found true of all rows.
    pub verify: Verify,
    /// What goes with what goes of it, dependents first; nothing of it stands in the table's own descriptor.
    pub removed: Vec<Address>,
    /// New sequences of its columns. Those of new columns fill them.
    pub sequences: Vec<NewSequence>,
    /// Changes of sequences of identity columns.
    pub identities: Vec<IdentityChange>,
    /// The new owner.
    pub owner: Option<RoleReference>,
    /// Whether nothing changes but names, or who sees what: then rows that are owed something do not matter.
    pub only_renames: bool,
    /// What the statement answers when it is done.
    pub tag: &'static str,
}

/// A change of an identity column's sequence.
#[derive(Debug, Clone)]
pub struct IdentityChange {
    /// The sequence.
    pub sequence: Arc<ObjectDescriptor>,
    /// When it makes values, if that changes.
    pub identity: Option<Identity>,
    /// Options of the sequence.
    pub settings: Vec<SequenceSetting>,
}

impl AlterTable {
    /// A change that touches no row and nothing beside the table.
    pub fn plain(from: Arc<TableDescriptor>, to: TableDescriptor) -> Self {
        Self {
            from,
            to,
            missing: Vec::new(),
            rewrite: None,
            generated: Vec::new(),
            verify: Verify::default(),
            removed: Vec::new(),
            sequences: Vec::new(),
            identities: Vec::new(),
            owner: None,
            only_renames: false,
            tag: "ALTER TABLE",
        }
    }

    /// Whether all rows are read.
    pub fn reads_rows(&self) -> bool {
        self.rewrite.is_some()
            || !self.verify.is_empty()
            || self.to.indexes.iter().any(|index| index.oid == NO_OID)
    }

    /// The index of a unique constraint, where that is all that is new.
    pub fn adds_unique_alone(&self) -> Option<CreateIndex> {
        let Self {
            from, to, missing, rewrite, generated, verify, removed, sequences, identities, owner, ..
        } = self;
        let (made, kept) = to.indexes.split_last()?;
        let is_unique = made.oid == NO_OID && made.unique && !made.primary;
        let is_alone = is_unique
            && made.constraint.is_some_and(|constraint| !constraint.primary_key)
            && missing.is_empty()
            && rewrite.is_none()
            && generated.is_empty()
            && verify.is_empty()
            && removed.is_empty()
            && sequences.is_empty()
            && identities.is_empty()
            && owner.is_none();
        if !is_alone || (TableDescriptor { indexes: kept.to_vec(), ..to.clone() }) != **from {
            return None;
        }
        let index = NewIndex {
            name: made.name.clone(),
            kind: NewIndexKind::UniqueConstraint,
            columns: made.columns.clone(),
            options: made.options.clone(),
        };
        Some(CreateIndex { table: from.clone(), index, concurrently: false })
    }

    /// Whether there are indexes or sequences afterwards that people can name and that are new.
    pub fn makes_relations(&self) -> bool {
        let is_new = |index: &IndexDescriptor| index.oid == NO_OID && !index.name.is_empty();
        !self.sequences.is_empty() || self.to.indexes.iter().any(is_new)
    }
}

/// What has to be found true of all rows of a table, once it is as it becomes.
#[derive(Debug, Clone, Default)]
pub struct Verify {
    /// Columns that must hold no NULL.
    pub not_null: BTreeSet<ColumnId>,
    /// Checks that must not be false.
    pub checks: Vec<RowCheck>,
    /// The names of foreign keys whose parents must be there.
    pub foreign_keys: Vec<String>,
}

impl Verify {
    /// Whether there is nothing to verify.
    pub fn is_empty(&self) -> bool {
        self.not_null.is_empty() && self.checks.is_empty() && self.foreign_keys.is_empty()
    }
}

/// The oid of what has none yet.
pub const NO_OID: Oid = 0;

/// So many names are told of a statement at most.
const SUBJECTS_MAX: usize = 1000;

impl AccessChange {
    /// The command, as its tag and errors name it.
    pub fn command(&self) -> &'static str {
        match &self.statement {
            AccessStatement::Role(RoleStatement::Create { .. }) => "CREATE ROLE",
            AccessStatement::Role(RoleStatement::Alter { .. } | RoleStatement::Rename { .. }) => "ALTER ROLE",
            AccessStatement::Role(RoleStatement::Drop { .. }) => "DROP ROLE",
            AccessStatement::Database(statement) => match statement {
                DatabaseStatement::Create { .. } => "CREATE DATABASE",
                DatabaseStatement::Drop { .. } => "DROP DATABASE",
                DatabaseStatement::Flashback { .. } => "FLASHBACK DATABASE",
                DatabaseStatement::Alter { .. }
                | DatabaseStatement::Rename { .. }
                | DatabaseStatement::Owner { .. } => "ALTER DATABASE",
            },
            AccessStatement::ClusterSetting { value: Some(_), .. } => "SET CLUSTER SETTING",
            AccessStatement::ClusterSetting { value: None, .. } => "RESET CLUSTER SETTING",
            AccessStatement::Defaults(defaults) if defaults.is_of_role => "ALTER ROLE",
            AccessStatement::Defaults(_) => "ALTER DATABASE",
            AccessStatement::Membership(grant) if grant.revoke => "REVOKE ROLE",
            AccessStatement::Membership(_) => "GRANT ROLE",
            AccessStatement::Rights(grant) if grant.revoke => "REVOKE",
            AccessStatement::Rights(_) => "GRANT",
            AccessStatement::DefaultPrivileges(_) => "ALTER DEFAULT PRIVILEGES",
            AccessStatement::Owner { object, .. } => match object.kind {
                ObjectKind::Table => "ALTER TABLE",
                ObjectKind::Sequence => "ALTER SEQUENCE",
                ObjectKind::View => "ALTER VIEW",
                ObjectKind::MaterialisedView => "ALTER MATERIALIZED VIEW",
                ObjectKind::Schema => "ALTER SCHEMA",
                ObjectKind::Index => "ALTER INDEX",
                ObjectKind::Type => "ALTER TYPE",
                ObjectKind::Domain => "ALTER DOMAIN",
                ObjectKind::Extension => "ALTER EXTENSION",
            },
            AccessStatement::FunctionOwner { .. } => "ALTER FUNCTION",
        }
    }

    /// Whether it runs in no transaction block, as what it does cannot be taken back for whoever has seen it.
    pub fn is_always_alone(&self) -> bool {
        use DatabaseStatement::{Create, Drop, Flashback};
        matches!(&self.statement, AccessStatement::Database(Create { .. } | Drop { .. } | Flashback { .. }))
    }

    /// What it is about beside tables: what sort of thing each is, and its name; of very many not all.
    pub fn subjects(&self) -> Vec<(&'static str, String)> {
        let role = |reference: &RoleReference| {
            let name = match reference {
                RoleReference::Named(name) => name.value.clone(),
                RoleReference::Public(_) => "public".to_owned(),
                RoleReference::CurrentUser => "current_user".to_owned(),
                RoleReference::SessionUser => "session_user".to_owned(),
            };
            ("role", name)
        };
        let named = |kind: &'static str, name: &Name| (kind, name.value.clone());
        let named_role = |name: &Name| named("role", name);
        let database = |name: &Name| named("database", name);
        match &self.statement {
            AccessStatement::Role(statement) => match statement {
                RoleStatement::Create { name, .. } => vec![named_role(name)],
                RoleStatement::Alter { role: altered, .. } => vec![role(altered)],
                RoleStatement::Rename { role, to } => vec![named_role(role), named_role(to)],
                RoleStatement::Drop { roles, .. } => roles.iter().map(role).take(SUBJECTS_MAX).collect(),
            },
            AccessStatement::Database(statement) => match statement {
                DatabaseStatement::Create { name, .. }
                | DatabaseStatement::Drop { name, .. }
                | DatabaseStatement::Flashback { name, .. }
                | DatabaseStatement::Alter { name, .. } => vec![database(name)],
                DatabaseStatement::Rename { name, to } => vec![database(name), database(to)],
                DatabaseStatement::Owner { name, owner } => vec![database(name), role(owner)],
            },
            AccessStatement::ClusterSetting { name, .. } => vec![named("setting", name)],
            AccessStatement::Defaults(defaults) => {
                let whose = defaults.role.iter().map(role).chain(defaults.database.iter().map(database));
                let setting = match &defaults.change {
                    SettingChange::Set(name, _)
                    | SettingChange::SetFromCurrent(name)
                    | SettingChange::Reset(Some(name)) => Some(("setting", name.clone())),
                    SettingChange::Reset(None) => None,
                };
                whose.chain(setting).collect()
            }
            AccessStatement::Membership(grant) => {
                let named = grant.roles.iter().map(named_role).chain(grant.members.iter().map(role));
                named.take(SUBJECTS_MAX).collect()
            }
            AccessStatement::Rights(grant) => {
                let (kind, names): (_, &[Name]) = match &grant.objects {
                    GrantObjects::TablesIn(names)
                    | GrantObjects::SequencesIn(names)
                    | GrantObjects::FunctionsIn(names)
                    | GrantObjects::Schemas(names) => ("schema", names),
                    GrantObjects::Databases(names) => ("database", names),
                    _ => ("", &[]),
                };
                let functions: &[FunctionName] = match &grant.objects {
                    GrantObjects::Functions(functions) => functions,
                    _ => &[],
                };
                let functions = functions.iter().map(|own| named("function", &own.name.name));
                let objects = names.iter().map(|name| named(kind, name)).chain(functions);
                objects.chain(grant.grantees.iter().map(role)).take(SUBJECTS_MAX).collect()
            }
            AccessStatement::DefaultPrivileges(change) => {
                let schemas = change.schemas.iter().map(|name| named("schema", name));
                let named =
                    change.roles.iter().map(role).chain(schemas).chain(change.grantees.iter().map(role));
                named.take(SUBJECTS_MAX).collect()
            }
            AccessStatement::Owner { object, owner } => {
                let kind = match object.kind {
                    ObjectKind::Schema => Some("schema"),
                    ObjectKind::Type | ObjectKind::Domain => Some("type"),
                    _ => None,
                };
                let object = kind.map(|kind| named(kind, &object.name.name));
                object.into_iter().chain([role(owner)]).collect()
            }
            AccessStatement::FunctionOwner { function, owner } => {
                vec![named("function", &function.name.name), role(owner)]
            }
        }
    }
}

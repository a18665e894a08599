//! Views: a query by its text, and what the names in it meant when it was written.
//!
//! The text stays as it was, but for literals of regclass, which hold oids; the relations that it names are found by oid, and
//! their columns are those of then, by the names of then. So nothing that is renamed, moved or added later changes what a view
//! means.

use expr::Type;

use super::{ColumnId, Oid};

/// A view.
///
/// # Invariants
/// - It has a query and at least as many relations as the query names; no two of them have one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDescriptor {
    /// Its columns.
    pub columns: Vec<ViewColumn>,
    /// Its query.
    pub query: String,
    /// What the query names.
    pub relations: Vec<ViewRelation>,
    /// The constraints, by their tables, without which the query would be wrong: columns that GROUP BY does not name are the
    /// same within a group because a primary key is grouped by.
    pub grouped_by: Vec<(Oid, Oid)>,
    /// How it is read and written.
    pub options: ViewOptions,
    /// The made types that its columns have or its query names.
    pub types: Vec<Oid>,
    /// The relations and indexes that literals of regclass in its query name.
    pub pinned: Vec<Oid>,
}

/// How a view is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViewOptions {
    /// `security_invoker`: whoever reads it needs the rights on what it reads, rather than its owner.
    pub invoker: bool,
    /// `security_barrier`: nothing that a statement asks of its rows is computed of rows that it hides.
    pub barrier: bool,
    /// `check_option`: what is written through it can be seen through it.
    pub check: Option<CheckOption>,
}

/// Of which views what is written has to be a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOption {
    /// Of this one.
    Local,
    /// Of those too that it stands on.
    Cascaded,
}

impl CheckOption {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cascaded => "cascaded",
        }
    }
}

impl ViewOptions {
    /// Those that are set, as `pg_class` has them.
    pub fn texts(&self) -> Vec<String> {
        let flags = [("security_barrier", self.barrier), ("security_invoker", self.invoker)];
        let set = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| format!("{name}=true"));
        set.chain(self.check.map(|check| format!("check_option={}", check.word()))).collect()
    }
}

impl ViewDescriptor {
    /// Whether it depends on more than the relations and types that it names: what older code does not heed.
    pub fn has_other_ties(&self) -> bool {
        !self.pinned.is_empty() || !self.grouped_by.is_empty()
    }

    /// Whether it says how its rows are hidden or changed: what older code does not heed either.
    pub fn rules_writes(&self) -> bool {
        let ViewOptions { invoker: _, barrier, check } = self.options;
        barrier || check.is_some() || self.columns.iter().any(|column| column.default.is_some())
    }
}

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// What an INSERT through the view puts there that gives it nothing: SQL text, as of a table's column.
    pub default: Option<String>,
}

/// A relation that a view's query names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRelation {
    /// The schema, if the query names it.
    pub schema: Option<String>,
    /// The name as the query has it.
    pub name: String,
    /// What it meant.
    pub oid: Oid,
    /// The columns that it had, by the names that they had.
    pub columns: Vec<(ColumnId, String)>,
    /// Those of them that the query reads.
    pub read: Vec<ColumnId>,
}

impl ViewDescriptor {
    /// The relation that a name in the query means.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Option<&ViewRelation> {
        self.relations.iter().find(|relation| relation.schema.as_deref() == schema && relation.name == name)
    }

    pub(in crate::catalog) fn check(&self) -> Result<(), &'static str> {
        if self.query.is_empty() {
            return Err("it has no query");
        }
        for (place, relation) in self.relations.iter().enumerate() {
            let same = |other: &ViewRelation| other.schema == relation.schema && other.name == relation.name;
            if self.relations.iter().take(place).any(same) {
                return Err("two of its relations have one name");
            }
        }
        Ok(())
    }
}

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
    /// `security_invoker`: whoever reads it needs the rights on what it reads, rather than its owner.
    pub invoker: bool,
    /// The made types that its columns have or its query names.
    pub types: Vec<Oid>,
    /// The relations and indexes that literals of regclass in its query name.
    pub pinned: Vec<Oid>,
}

impl ViewDescriptor {
    /// Whether it depends on more than the relations and types that it names: what older code does not heed.
    pub fn has_other_ties(&self) -> bool {
        !self.pinned.is_empty() || !self.grouped_by.is_empty()
    }
}

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
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

//! All objects of a catalog, found by oid, schemas by name and identity columns by table.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Identity, ObjectBody, ObjectDescriptor};
use crate::catalog::{ColumnId, INFORMATION_SCHEMA_OID, Oid, PG_CATALOG_OID, PUBLIC_OID, schema};

/// The schemas that there are from the beginning.
const FIRST_SCHEMAS: [(&str, Oid); 3] = [
    (schema::PG_CATALOG, PG_CATALOG_OID),
    (schema::PUBLIC, PUBLIC_OID),
    (schema::INFORMATION_SCHEMA, INFORMATION_SCHEMA_OID),
];

/// The objects of a catalog.
///
/// Invariants: names of schemas are distinct; a column has one identity sequence at most.
#[derive(Debug, Clone)]
pub struct Objects {
    by_oid: BTreeMap<Oid, Arc<ObjectDescriptor>>,
    schemas: BTreeMap<String, Oid>,
    identities: BTreeMap<(Oid, ColumnId), Oid>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            by_oid: BTreeMap::new(),
            schemas: FIRST_SCHEMAS.iter().map(|(name, oid)| ((*name).to_owned(), *oid)).collect(),
            identities: BTreeMap::new(),
        }
    }
}

impl Objects {
    /// Adds an object, or puts it in place of the one with its oid.
    pub(in crate::catalog) fn put(&mut self, object: Arc<ObjectDescriptor>) {
        self.remove(object.oid);
        match &object.body {
            ObjectBody::Schema => {
                self.schemas.insert(object.name.clone(), object.oid);
            }
            ObjectBody::Gone | ObjectBody::View(_) => {}
            ObjectBody::Sequence(sequence) => {
                if let Some(owner) = sequence.owner.filter(|owner| owner.identity.is_some()) {
                    self.identities.insert((owner.table, owner.column), object.oid);
                }
            }
        }
        self.by_oid.insert(object.oid, object);
    }

    /// Removes an object.
    pub(in crate::catalog) fn remove(&mut self, oid: Oid) {
        self.schemas.retain(|_, other| *other != oid);
        self.identities.retain(|_, other| *other != oid);
        self.by_oid.remove(&oid);
    }

    /// The object of this oid.
    pub fn get(&self, oid: Oid) -> Option<&Arc<ObjectDescriptor>> {
        self.by_oid.get(&oid).filter(|object| object.body != ObjectBody::Gone)
    }

    /// All of them, by oid.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ObjectDescriptor>> {
        self.by_oid.values().filter(|object| object.body != ObjectBody::Gone)
    }

    /// The schemas by name.
    pub fn schemas(&self) -> impl Iterator<Item = (&str, Oid)> {
        self.schemas.iter().map(|(name, oid)| (name.as_str(), *oid))
    }

    /// The oid of a schema.
    pub fn schema_oid(&self, name: &str) -> Option<Oid> {
        self.schemas.get(name).copied()
    }

    /// The name of a schema.
    pub fn schema_name(&self, oid: Oid) -> Option<&str> {
        self.schemas().find(|(_, other)| *other == oid).map(|(name, _)| name)
    }

    /// The sequence of an identity column, and when it makes the column's values.
    pub fn identity(&self, table: Oid, column: ColumnId) -> Option<(Identity, &Arc<ObjectDescriptor>)> {
        let object = self.by_oid.get(self.identities.get(&(table, column))?)?;
        Some((object.sequence()?.owner?.identity?, object))
    }

    /// The sequences that go with a column of a table, or with any.
    pub fn owned_by(
        &self,
        table: Oid,
        column: Option<ColumnId>,
    ) -> impl Iterator<Item = &Arc<ObjectDescriptor>> {
        self.by_oid.values().filter(move |object| {
            let owner = object.sequence().and_then(|sequence| sequence.owner);
            owner.is_some_and(|owner| {
                owner.table == table && column.is_none_or(|column| column == owner.column)
            })
        })
    }
}

//! All objects of a catalog, found by oid, schemas by name and identity columns by table.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::TypeKind;

use super::types::{DomainDescriptor, EnumDescriptor, array_name};
use super::{Identity, Kinds, ObjectBody, ObjectDescriptor, TypeDescriptor};
use crate::catalog::layered::Layered;
use crate::catalog::{
    ColumnId, INFORMATION_SCHEMA_OID, NUNATAK_OID, Oid, PG_CATALOG_OID, PUBLIC_OID, schema,
};

/// The schemas that there are from the beginning.
const FIRST_SCHEMAS: [(&str, Oid); 4] = [
    (schema::PG_CATALOG, PG_CATALOG_OID),
    (schema::PUBLIC, PUBLIC_OID),
    (schema::INFORMATION_SCHEMA, INFORMATION_SCHEMA_OID),
    (schema::NUNATAK, NUNATAK_OID),
];

/// The objects of a catalog.
///
/// Invariants: names of schemas are distinct, and those of types within one; a column has one identity sequence at most.
#[derive(Debug, Clone)]
pub struct Objects {
    by_oid: Layered<Oid, Arc<ObjectDescriptor>>,
    schemas: BTreeMap<String, Oid>,
    /// That of the session's temporary objects, which is one of them.
    temporary: Option<Oid>,
    identities: Layered<(Oid, ColumnId), Oid>,
    kinds: Arc<Kinds>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            by_oid: Layered::default(),
            schemas: FIRST_SCHEMAS.iter().map(|(name, oid)| ((*name).to_owned(), *oid)).collect(),
            temporary: None,
            identities: Layered::default(),
            kinds: Arc::default(),
        }
    }
}

/// The identity column that a sequence makes the values of, if it does.
fn identity_column(object: &ObjectDescriptor) -> Option<(Oid, ColumnId)> {
    let owner = object.sequence()?.owner.filter(|owner| owner.identity.is_some())?;
    Some((owner.table, owner.column))
}

impl Objects {
    /// Adds an object, or puts it in place of the one with its oid.
    pub(in crate::catalog) fn put(&mut self, object: Arc<ObjectDescriptor>) {
        self.remove(object.oid);
        match &object.body {
            ObjectBody::Schema => {
                self.schemas.insert(object.name.clone(), object.oid);
            }
            ObjectBody::TemporarySchema => {
                self.schemas.insert(object.name.clone(), object.oid);
                self.temporary = Some(object.oid);
            }
            ObjectBody::Gone | ObjectBody::View(_) | ObjectBody::Extension(_) => {}
            ObjectBody::Type(_) => {
                object.kind().into_iter().for_each(|kind| Arc::make_mut(&mut self.kinds).put(kind));
            }
            ObjectBody::Sequence(_) => {
                if let Some(column) = identity_column(&object) {
                    match object.is_temporary() {
                        true => self.identities.insert_own(column, object.oid),
                        false => self.identities.insert(column, object.oid),
                    }
                }
            }
        }
        match object.is_temporary() {
            true => self.by_oid.insert_own(object.oid, object),
            false => self.by_oid.insert(object.oid, object),
        }
    }

    /// Removes an object.
    pub(in crate::catalog) fn remove(&mut self, oid: Oid) {
        self.schemas.retain(|_, other| *other != oid);
        self.temporary = self.temporary.filter(|other| *other != oid);
        let Some(gone) = self.by_oid.remove(&oid) else { return };
        if let Some(column) = identity_column(&gone)
            && self.identities.get(&column) == Some(&oid)
        {
            self.identities.remove(&column);
        }
        if gone.made_type().is_some() {
            Arc::make_mut(&mut self.kinds).remove(oid);
        }
    }

    /// The type of this oid, built in or made.
    pub fn kind(&self, oid: Oid) -> Option<TypeKind> {
        self.kinds.find(oid)
    }

    /// The types that were made.
    pub fn types(&self) -> impl Iterator<Item = (&Arc<ObjectDescriptor>, &TypeDescriptor)> {
        self.iter().filter_map(|object| Some((object, object.made_type()?)))
    }

    /// The type of this name in this schema, or of arrays by what `pg_type` calls them; built-in types are not looked for.
    pub fn type_named(&self, schema: &str, name: &str) -> Option<TypeKind> {
        let own = || self.types().filter(move |(object, _)| object.schema == schema);
        own()
            .find(|(object, _)| object.name == name)
            .and_then(|(object, _)| object.kind())
            .or_else(|| own().find(|(object, _)| array_name(&object.name) == name)?.0.kind()?.array())
    }

    /// The extension of this name.
    pub fn extension(&self, name: &str) -> Option<&Arc<ObjectDescriptor>> {
        self.extensions().find(|(object, _)| object.name == name).map(|(object, _)| object)
    }

    /// The extensions, with their versions.
    pub fn extensions(&self) -> impl Iterator<Item = (&Arc<ObjectDescriptor>, &str)> {
        self.iter().filter_map(|object| match &object.body {
            ObjectBody::Extension(version) => Some((object, version.as_str())),
            _ => None,
        })
    }

    /// The enum that a type is.
    pub fn enumerated(&self, kind: TypeKind) -> Option<&EnumDescriptor> {
        match self.by_oid.get(&kind.oid())?.made_type()? {
            TypeDescriptor::Enum(own) => Some(own),
            TypeDescriptor::Domain(_) => None,
        }
    }

    /// The domain that a type is.
    pub fn domain(&self, kind: TypeKind) -> Option<&DomainDescriptor> {
        match self.by_oid.get(&kind.oid())?.made_type()? {
            TypeDescriptor::Domain(own) => Some(own),
            TypeDescriptor::Enum(_) => None,
        }
    }

    /// Whether something was added to enums.
    pub(in crate::catalog) fn is_unsettled(&self) -> bool {
        self.types().any(|(_, made)| match made {
            TypeDescriptor::Enum(own) => own.is_fresh(),
            TypeDescriptor::Domain(_) => false,
        })
    }

    /// What was added to enums is committed.
    pub(in crate::catalog) fn settle(&mut self) {
        for object in self.by_oid.values_mut() {
            if let ObjectBody::Type(TypeDescriptor::Enum(own)) = &object.body
                && own.is_fresh()
                && let ObjectBody::Type(TypeDescriptor::Enum(own)) = &mut Arc::make_mut(object).body
            {
                own.settle();
            }
        }
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
        match name {
            schema::TEMPORARY => self.temporary,
            name => self.schemas.get(name).copied(),
        }
    }

    /// The schema of the session's temporary objects, if there is any.
    pub fn temporary_schema(&self) -> Option<&Arc<ObjectDescriptor>> {
        self.by_oid.get(&self.temporary?)
    }

    /// What a schema is called by what is in it.
    pub fn kept_schema<'a>(&self, name: &'a str) -> &'a str {
        match self.temporary_schema() {
            Some(own) if own.name == name => schema::TEMPORARY,
            _ => name,
        }
    }

    /// What a schema that something is in is called in views of the catalog.
    pub fn shown_schema<'a>(&'a self, name: &'a str) -> &'a str {
        match self.temporary_schema() {
            Some(own) if name == schema::TEMPORARY => &own.name,
            _ => name,
        }
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

//! All objects of a catalog, found by oid, schemas by name and identity columns by table.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::{Shape, Type, TypeKind};

use super::types::{CompositeDescriptor, DomainDescriptor, EnumDescriptor, RangeDescriptor, array_name};
use super::{FunctionDescriptor, Identity, Kinds, ObjectBody, ObjectDescriptor, TypeDescriptor};
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
/// Functions are found by name as long as they are there.
#[derive(Debug, Clone)]
pub struct Objects {
    by_oid: Layered<Oid, Arc<ObjectDescriptor>>,
    schemas: BTreeMap<String, Oid>,
    /// That of the session's temporary objects, which is one of them.
    temporary: Option<Oid>,
    identities: Layered<(Oid, ColumnId), Oid>,
    kinds: Arc<Kinds>,
    /// Those that are called so, the oldest first.
    functions: Arc<BTreeMap<String, Vec<Oid>>>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            by_oid: Layered::default(),
            schemas: FIRST_SCHEMAS.iter().map(|(name, oid)| ((*name).to_owned(), *oid)).collect(),
            temporary: None,
            identities: Layered::default(),
            kinds: Arc::default(),
            functions: Arc::default(),
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
        let was = self.kind(object.oid);
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
            ObjectBody::Function(_) => {
                let own = Arc::make_mut(&mut self.functions).entry(object.name.clone()).or_default();
                own.push(object.oid);
                own.sort_unstable();
            }
            ObjectBody::Type(_) => {
                if let Some(kind) = object.kind() {
                    Arc::make_mut(&mut self.kinds).put(kind);
                    if was.is_some_and(|was| was != kind) {
                        self.rename_attributes(kind);
                    }
                }
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

    /// Attributes know what their types are called, domains what they are over is, and ranges what their bounds are of.
    fn rename_attributes(&mut self, renamed: TypeKind) {
        let array = renamed.array();
        let now = |ty: Type| {
            let same = [Some(renamed), array].into_iter().flatten().find(|kind| kind.is_same(ty.kind));
            Type { kind: same.unwrap_or(ty.kind), ..ty }
        };
        let is_other = |object: &&Arc<ObjectDescriptor>| match object.made_type() {
            Some(TypeDescriptor::Composite(own)) => own.attributes.types().iter().any(|ty| now(*ty) != *ty),
            Some(TypeDescriptor::Domain(own)) => now(own.base) != own.base,
            Some(TypeDescriptor::Range(own)) => now(own.subtype.into()).kind != own.subtype,
            _ => false,
        };
        let others: Vec<Oid> = self.by_oid.values().filter(is_other).map(|object| object.oid).collect();
        for oid in others {
            let Some(mut object) = self.by_oid.get(&oid).cloned() else { continue };
            match &mut Arc::make_mut(&mut object).body {
                ObjectBody::Type(TypeDescriptor::Composite(own)) => {
                    let fields: Vec<_> =
                        own.attributes.fields().map(|(name, ty)| (name.to_owned(), now(ty))).collect();
                    own.attributes = Arc::new(Shape::new(fields));
                }
                ObjectBody::Type(TypeDescriptor::Domain(own)) => own.base = now(own.base),
                ObjectBody::Type(TypeDescriptor::Range(own)) => own.subtype = now(own.subtype.into()).kind,
                _ => {}
            }
            let (was, kind) = (self.kind(oid), object.kind());
            // No type is temporary.
            self.by_oid.insert(oid, object);
            if let Some(kind) = kind.filter(|kind| was != Some(*kind)) {
                Arc::make_mut(&mut self.kinds).put(kind);
                self.rename_attributes(kind);
            }
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
        if gone.function().is_some() {
            let functions = Arc::make_mut(&mut self.functions);
            if let Some(own) = functions.get_mut(&gone.name) {
                own.retain(|other| *other != oid);
                if own.is_empty() {
                    functions.remove(&gone.name);
                }
            }
        }
    }

    /// The type of this oid, built in or made.
    pub fn kind(&self, oid: Oid) -> Option<TypeKind> {
        self.kinds.find(oid)
    }

    /// All types by oid.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The types that were made.
    pub fn types(&self) -> impl Iterator<Item = (&Arc<ObjectDescriptor>, &TypeDescriptor)> {
        self.iter().filter_map(|object| Some((object, object.made_type()?)))
    }

    /// The type of this name in this schema, or of arrays by what `pg_type` calls them; types that are always there are not
    /// looked for.
    pub fn type_named(&self, schema: &str, name: &str) -> Option<TypeKind> {
        let own = || self.types().filter(move |(object, _)| object.schema == schema);
        own()
            .find(|(object, _)| object.name == name)
            .and_then(|(object, _)| object.kind())
            .or_else(|| own().find(|(object, _)| array_name(&object.name) == name)?.0.kind()?.array())
            .or_else(|| self.type_brought(name).filter(|(_, by)| by.schema == schema).map(|(kind, _)| kind))
    }

    /// The type that an extension has brought, and the extension. No other type is called like that, in whichever schema.
    pub fn type_brought(&self, name: &str) -> Option<(TypeKind, &Arc<ObjectDescriptor>)> {
        let (kind, extension) = TypeKind::of_extension(name)?;
        Some((kind, self.extension(extension)?))
    }

    /// The extension that has brought a type.
    pub fn bringer(&self, kind: TypeKind) -> Option<&Arc<ObjectDescriptor>> {
        self.extension(kind.extension()?)
    }

    /// The functions of this name that were made, in whichever schema.
    pub fn functions_named(&self, name: &str) -> impl Iterator<Item = &Arc<ObjectDescriptor>> {
        let oids = self.functions.get(name).map(Vec::as_slice).unwrap_or_default();
        oids.iter().filter_map(|oid| self.by_oid.get(oid))
    }

    /// All functions that were made, by oid.
    pub fn functions(&self) -> impl Iterator<Item = (&Arc<ObjectDescriptor>, &FunctionDescriptor)> {
        self.iter().filter_map(|object| Some((object, object.function()?)))
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
            TypeDescriptor::Domain(_) | TypeDescriptor::Composite(_) | TypeDescriptor::Range(_) => None,
        }
    }

    /// The domain that a type is.
    pub fn domain(&self, kind: TypeKind) -> Option<&DomainDescriptor> {
        match self.by_oid.get(&kind.oid())?.made_type()? {
            TypeDescriptor::Domain(own) => Some(own),
            TypeDescriptor::Enum(_) | TypeDescriptor::Composite(_) | TypeDescriptor::Range(_) => None,
        }
    }

    /// The type that a domain is over at last, with its modifier; `None`: it is no domain.
    pub fn over(&self, kind: TypeKind) -> Option<Type> {
        let mut over = self.domain(kind)?.base;
        while let Some(own) = self.domain(over.kind) {
            over = own.base;
        }
        Some(over)
    }

    /// The type that a domain is over at last; any other type itself.
    pub(super) fn held(&self, kind: TypeKind) -> TypeKind {
        self.over(kind).map_or(kind, |over| over.kind)
    }

    /// The composite type that a type is.
    pub fn composite(&self, kind: TypeKind) -> Option<&CompositeDescriptor> {
        match self.by_oid.get(&kind.oid())?.made_type()? {
            TypeDescriptor::Composite(own) => Some(own),
            TypeDescriptor::Enum(_) | TypeDescriptor::Domain(_) | TypeDescriptor::Range(_) => None,
        }
    }

    /// The range that a type is.
    pub fn range(&self, kind: TypeKind) -> Option<&RangeDescriptor> {
        match self.by_oid.get(&kind.oid())?.made_type()? {
            TypeDescriptor::Range(own) => Some(own),
            TypeDescriptor::Enum(_) | TypeDescriptor::Domain(_) | TypeDescriptor::Composite(_) => None,
        }
    }

    /// The range whose multirange has this name, in this schema or in any.
    pub fn range_of_multirange(&self, schema: Option<&str>, name: &str) -> Option<TypeKind> {
        let is_meant = |object: &ObjectDescriptor, made: &TypeDescriptor| {
            let is_named = matches!(made, TypeDescriptor::Range(own) if own.multirange == name);
            is_named && schema.is_none_or(|schema| schema == object.schema)
        };
        self.types().find(|(object, made)| is_meant(object, made))?.0.kind()
    }

    /// The attributes of a composite type, or of that which a domain is over.
    pub fn attributes(&self, kind: TypeKind) -> Option<Arc<Shape>> {
        self.composite(self.held(kind)).map(|own| own.attributes.clone())
    }

    /// The composite types that types are made of.
    pub fn composites_in(&self, kinds: impl IntoIterator<Item = TypeKind>) -> Vec<Arc<ObjectDescriptor>> {
        let mut found = BTreeMap::new();
        let mut left: Vec<TypeKind> = kinds.into_iter().collect();
        while let Some(kind) = left.pop() {
            let oid = kind.made_oid().unwrap_or_default();
            let Some(object) = self.get(oid).filter(|_| !found.contains_key(&oid)) else { continue };
            match object.made_type() {
                Some(TypeDescriptor::Composite(own)) => {
                    left.extend(own.attributes.types().iter().map(|ty| ty.kind));
                    found.insert(oid, object.clone());
                }
                Some(TypeDescriptor::Domain(own)) => left.push(own.base.kind),
                // Bounds are of no composite type.
                Some(TypeDescriptor::Enum(_) | TypeDescriptor::Range(_)) | None => {}
            }
        }
        found.into_values().collect()
    }

    /// Whether values of a type that were stored when these objects were there are values of it now: the composite types that
    /// it is made of begin with attributes of the same types. Those that are gone are not asked about.
    pub fn reads_as_then(&self, kind: TypeKind, then: &[Arc<ObjectDescriptor>]) -> bool {
        let begins = |now: &Shape, was: &Shape| {
            now.len() >= was.len() && now.types().iter().zip(was.types()).all(|(now, was)| now.is_same(was))
        };
        self.are_as_then(kind, then, begins)
    }

    /// The same, and whether the attributes are all of them, and called as then: what texts say of them holds still.
    pub fn is_as_then(&self, kind: TypeKind, then: &[Arc<ObjectDescriptor>]) -> bool {
        let is_same = |((name, now), (was_called, was)): ((&str, Type), (&str, Type))| {
            name == was_called && now.is_same(&was)
        };
        let are_same =
            |now: &Shape, was: &Shape| now.len() == was.len() && now.fields().zip(was.fields()).all(is_same);
        self.are_as_then(kind, then, are_same)
    }

    fn are_as_then(
        &self,
        kind: TypeKind,
        then: &[Arc<ObjectDescriptor>],
        fits: impl Fn(&Shape, &Shape) -> bool,
    ) -> bool {
        let attributes = |object: &ObjectDescriptor| match object.made_type()? {
            TypeDescriptor::Composite(own) => Some(own.attributes.clone()),
            TypeDescriptor::Enum(_) | TypeDescriptor::Domain(_) | TypeDescriptor::Range(_) => None,
        };
        self.composites_in([kind]).iter().all(|now| {
            let was = then.iter().find(|object| object.oid == now.oid);
            let both = attributes(now).zip(was.and_then(|was| attributes(was)));
            both.is_some_and(|(now, was)| fits(&now, &was))
        })
    }

    /// Whether something was added to enums.
    pub(in crate::catalog) fn is_unsettled(&self) -> bool {
        self.types().any(|(_, made)| match made {
            TypeDescriptor::Enum(own) => own.is_fresh(),
            TypeDescriptor::Domain(_) | TypeDescriptor::Composite(_) | TypeDescriptor::Range(_) => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn composite(oid: Oid, name: &str, fields: &[(&str, TypeKind)]) -> Arc<ObjectDescriptor> {
        let fields = fields.iter().map(|(name, kind)| ((*name).to_owned(), Type::plain(*kind)));
        let own = CompositeDescriptor { relation: 1, attributes: Arc::new(Shape::new(fields)) };
        let body = ObjectBody::Type(TypeDescriptor::Composite(own));
        Arc::new(ObjectDescriptor { oid, schema: schema::PUBLIC.to_owned(), name: name.to_owned(), body })
    }

    fn types_of(objects: &Objects, kind: TypeKind) -> Vec<TypeKind> {
        let attributes = objects.attributes(kind).unwrap();
        attributes.types().iter().map(|ty| ty.kind).collect()
    }

    #[test]
    fn attributes_follow_what_their_types_are_called() {
        let mut objects = Objects::default();
        objects.put(composite(20_000, "inner", &[("a", TypeKind::Int4)]));
        let inner = objects.kind(20_000).unwrap();
        let outer = composite(
            20_010,
            "outer",
            &[("i", inner), ("is", inner.array().unwrap()), ("n", TypeKind::Int4)],
        );
        objects.put(outer);
        let before = objects.clone();
        objects.put(composite(20_000, "renamed", &[("a", TypeKind::Int4)]));
        let (inner, outer) = (objects.kind(20_000).unwrap(), objects.kind(20_010).unwrap());
        assert_eq!(inner.display_name(), "renamed");
        assert_eq!(types_of(&objects, outer), [inner, inner.array().unwrap(), TypeKind::Int4]);
        assert_ne!(types_of(&before, outer), types_of(&objects, outer));
    }

    fn domain(oid: Oid, name: &str, over: TypeKind) -> Arc<ObjectDescriptor> {
        let base = Type::plain(over);
        let own = DomainDescriptor { base, default: None, not_null: false, checks: Vec::new() };
        let body = ObjectBody::Type(TypeDescriptor::Domain(own));
        Arc::new(ObjectDescriptor { oid, schema: schema::PUBLIC.to_owned(), name: name.to_owned(), body })
    }

    #[test]
    fn domains_follow_what_that_is_called_which_they_are_over() {
        let mut objects = Objects::default();
        objects.put(composite(20_000, "inner", &[("a", TypeKind::Int4)]));
        objects.put(domain(20_010, "d", objects.kind(20_000).unwrap()));
        objects.put(domain(20_020, "dd", objects.kind(20_010).unwrap()));
        objects.put(composite(20_030, "outer", &[("d", objects.kind(20_020).unwrap())]));
        objects.put(composite(20_000, "renamed", &[("a", TypeKind::Int4)]));
        let kind = |oid| objects.kind(oid).unwrap();
        for own in [kind(20_010), kind(20_020)] {
            assert!(own.is_domain() && !own.is_composite() && own.is_record());
            assert_eq!(own.base(), kind(20_000));
            assert_eq!(own.array().unwrap().element(), Some(own));
            assert_eq!(own.array().unwrap().base(), kind(20_000).array().unwrap());
            assert_eq!(objects.over(own), Some(Type::plain(kind(20_000))));
            assert_eq!(objects.attributes(own), objects.attributes(kind(20_000)));
        }
        assert_eq!(types_of(&objects, kind(20_030)), [kind(20_020)]);
        assert_eq!(objects.composites_in([kind(20_030)]).len(), 2);
    }

    fn range(oid: Oid, name: &str, subtype: TypeKind) -> Arc<ObjectDescriptor> {
        let multirange = format!("{name}_multirange");
        let own = RangeDescriptor { subtype, class: None, collation: None, diff: 0, multirange };
        let body = ObjectBody::Type(TypeDescriptor::Range(own));
        Arc::new(ObjectDescriptor { oid, schema: schema::PUBLIC.to_owned(), name: name.to_owned(), body })
    }

    #[test]
    fn ranges_follow_what_that_is_called_which_their_bounds_are_of() {
        let mut objects = Objects::default();
        objects.put(domain(20_000, "d", TypeKind::Int4));
        objects.put(range(20_010, "r", objects.kind(20_000).unwrap()));
        objects.put(domain(20_020, "over", objects.kind(20_010).unwrap()));
        objects.put(domain(20_000, "renamed", TypeKind::Int4));
        let kind = |oid| objects.kind(oid).unwrap();
        let own = kind(20_010);
        assert!(own.is_made_range() && !own.is_domain() && own.base() == own);
        for range in [own, kind(20_020), own.array().unwrap().element().unwrap()] {
            assert_eq!(range.subtype().unwrap().display_name(), "renamed");
        }
        assert!(kind(20_020).is_domain() && kind(20_020).base() == own);
        assert_eq!(own.array().unwrap().subtype(), None);
        assert_eq!(objects.range_of_multirange(None, "r_multirange"), Some(own));
        assert_eq!(objects.range_of_multirange(Some("s"), "r_multirange"), None);
    }

    #[test]
    fn values_are_as_then_while_attributes_keep_their_types() {
        let mut objects = Objects::default();
        objects.put(composite(20_000, "inner", &[("a", TypeKind::Int4)]));
        let inner = objects.kind(20_000).unwrap();
        objects.put(composite(20_010, "outer", &[("is", inner.array().unwrap())]));
        let outer = objects.kind(20_010).unwrap();
        let then: Vec<Arc<ObjectDescriptor>> = objects.iter().cloned().collect();
        objects.put(composite(20_000, "renamed", &[("b", TypeKind::Int4)]));
        assert!(objects.reads_as_then(outer, &then) && objects.reads_as_then(TypeKind::Int4, &then));
        assert!(!objects.is_as_then(outer, &then) && objects.is_as_then(TypeKind::Int4, &then));
        objects.put(composite(20_000, "renamed", &[("b", TypeKind::Int8)]));
        assert!(!objects.reads_as_then(outer, &then));
        objects.put(composite(20_000, "renamed", &[("b", TypeKind::Int4), ("c", TypeKind::Int4)]));
        assert!(objects.reads_as_then(outer, &then));
        let then: Vec<Arc<ObjectDescriptor>> = objects.iter().cloned().collect();
        assert!(objects.is_as_then(outer, &then));
        objects.put(composite(20_000, "renamed", &[("b", TypeKind::Int4)]));
        assert!(!objects.reads_as_then(outer.array().unwrap(), &then));
    }
}

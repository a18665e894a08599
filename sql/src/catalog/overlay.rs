//! A session's temporary objects beside the catalog that everybody sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::Type;

use super::access::{Access, BOOTSTRAP_OID, Object, ObjectRights};
use super::comment::{Commented, Comments};
use super::object::{ObjectDescriptor, Objects};
use super::snapshot::Relation;
use super::{CatalogSnapshot, ColumnId, Oid, OnCommit, TableDescriptor, Temporary, ViewDescriptor, schema};

impl CatalogSnapshot {
    /// The same catalog with a session's temporary objects beside it.
    ///
    /// Those that are made of what is there no more, because another session has dropped or changed it, are left out: nobody
    /// else knows of them, so that nothing has kept it from that.
    #[must_use]
    pub fn with_temporary(&self, own: &Temporary) -> Self {
        let mut both = self.clone();
        both.put_object(own.schema.clone());
        let tables = own.tables.iter().filter_map(|table| settled_table(self, table, own));
        tables.for_each(|table| both.insert(table));
        let (mut views, others): (Vec<_>, Vec<_>) =
            own.objects.iter().cloned().partition(|object| object.view().is_some());
        others.into_iter().for_each(|object| both.put_object(object));
        // Views may read views, in any order.
        loop {
            let before = views.len();
            let (whole, lacking): (Vec<_>, Vec<_>) =
                views.into_iter().partition(|object| is_whole(&both, object, own));
            whole.into_iter().for_each(|object| both.put_object(object));
            views = lacking;
            if views.is_empty() || views.len() == before {
                break;
            }
        }
        if !own.rights.is_empty() {
            let access = Arc::make_mut(&mut both.access);
            for (object, rights) in &own.rights {
                access.put_object(*object, ObjectRights::clone(rights));
            }
        }
        if !own.comments.is_empty() {
            let comments = Arc::make_mut(&mut both.comments);
            own.comments.iter().for_each(|(on, text)| comments.put(*on, Some(text)));
        }
        both.on_commit = own.on_commit.clone();
        both
    }

    /// The temporary objects that are in it; `None`: there is not even a schema for them.
    pub fn temporary(&self) -> Option<Temporary> {
        let schema = self.objects().temporary_schema()?.clone();
        let (mut tables, mut objects) = (Vec::new(), Vec::new());
        let mut rights = vec![Object::Schema(schema.oid)];
        let mut comments: Vec<Commented> = self.comments().of(Commented::SCHEMA, schema.oid).collect();
        for relation in self.temporary_relations() {
            rights.push(Object::of(relation));
            comments.extend(commented(self.comments(), relation));
            match self.objects().get(relation.oid) {
                Some(object) => objects.push(object.clone()),
                None => tables.push(relation.clone()),
            }
        }
        let at_first = ObjectRights::of_owner(BOOTSTRAP_OID);
        let rights = rights.into_iter().map(|object| (object, self.access().object(object)));
        let rights = rights.filter(|(_, rights)| **rights != at_first).collect();
        let text = |on| Some((on, self.comments().get(on)?.clone()));
        let comments = comments.into_iter().filter_map(text).collect();
        let read = objects.iter().filter_map(|object| object.view()).flat_map(|view| read_by(self, view));
        let (read, on_commit) = (read.collect(), self.on_commit.clone());
        let columns = tables.iter().flat_map(|table| &table.columns);
        let composites = self.objects().composites_in(columns.map(|column| column.ty.kind));
        Some(Temporary { schema, tables, objects, rights, comments, read, composites, on_commit })
    }

    /// The catalog that everybody sees.
    #[must_use]
    pub fn without_temporary(&self) -> Self {
        let Some(schema) = self.objects().temporary_schema() else { return self.clone() };
        let relations: Vec<Arc<TableDescriptor>> = self.temporary_relations().cloned().collect();
        let mut shared = self.clone();
        let objects: &mut Objects = Arc::make_mut(&mut shared.objects);
        objects.remove(schema.oid);
        relations.iter().for_each(|relation| objects.remove(relation.oid));
        let access: &mut Access = Arc::make_mut(&mut shared.access);
        access.remove_object(Object::Schema(schema.oid));
        relations.iter().for_each(|relation| access.remove_object(Object::of(relation)));
        let gone: Vec<Commented> = relations
            .iter()
            .flat_map(|relation| commented(self.comments(), relation))
            .chain(self.comments().of(Commented::SCHEMA, schema.oid))
            .collect();
        if !gone.is_empty() {
            let comments = Arc::make_mut(&mut shared.comments);
            gone.into_iter().for_each(|on| comments.put(on, None));
        }
        relations.iter().for_each(|relation| shared.remove(relation.oid));
        shared.on_commit = Arc::default();
        shared
    }

    /// Tables, sequences and views that are temporary.
    pub fn temporary_relations(&self) -> impl Iterator<Item = &Arc<TableDescriptor>> {
        let names = self.names(schema::TEMPORARY).into_iter().flat_map(BTreeMap::values);
        names.filter_map(|relation| match relation {
            Relation::Table(oid) => self.table_by_oid(*oid),
            Relation::Index { .. } => None,
        })
    }

    /// What becomes of a temporary table's rows at each commit.
    pub fn on_commit(&self, table: Oid) -> OnCommit {
        self.on_commit.get(&table).copied().unwrap_or_default()
    }

    /// The same catalog where that is to become of a temporary table's rows.
    #[must_use]
    pub fn with_on_commit(&self, table: Oid, wanted: OnCommit) -> Self {
        if self.on_commit(table) == wanted {
            return self.clone();
        }
        let mut changed = self.clone();
        let all = Arc::make_mut(&mut changed.on_commit);
        match wanted {
            OnCommit::PreserveRows => all.remove(&table),
            wanted => all.insert(table, wanted),
        };
        changed
    }
}

/// Whether what a temporary table is made of is there, and reads its values, and what its types are called now.
fn settled_table(
    catalog: &CatalogSnapshot,
    table: &Arc<TableDescriptor>,
    own: &Temporary,
) -> Option<Arc<TableDescriptor>> {
    if table.columns.iter().all(|column| column.ty.kind.is_built_in()) {
        return Some(table.clone());
    }
    let mut now = TableDescriptor::clone(table);
    for column in now.columns.iter_mut().filter(|column| !column.ty.kind.is_built_in()) {
        let kind = catalog.objects().kind(column.ty.kind.oid())?;
        column.ty.kind = Some(kind).filter(|kind| catalog.objects().reads_as_then(*kind, &own.composites))?;
    }
    Some(Arc::new(now))
}

/// The columns that a view reads, and their types.
fn read_by(catalog: &CatalogSnapshot, view: &ViewDescriptor) -> Vec<((Oid, ColumnId), Type)> {
    let columns =
        view.relations.iter().flat_map(|relation| relation.read.iter().map(|id| (relation.oid, *id)));
    columns.filter_map(|(table, id)| Some(((table, id), column_type(catalog, table, id)?))).collect()
}

fn column_type(catalog: &CatalogSnapshot, table: Oid, id: ColumnId) -> Option<Type> {
    let table = catalog.table_by_oid(table)?;
    table.columns.iter().find(|column| column.id == id).map(|column| column.ty)
}

/// Whether all that a temporary view's query names is there, and is of the types that it was of.
fn is_whole(catalog: &CatalogSnapshot, object: &ObjectDescriptor, own: &Temporary) -> bool {
    let Some(view) = object.view() else { return true };
    let types = view.columns.iter().map(|column| column.ty.kind).filter(|kind| !kind.is_built_in());
    let mut types = types.map(expr::TypeKind::oid).chain(view.types.iter().copied());
    let is_there = |oid: Oid| catalog.objects().get(oid).is_some() || catalog.objects().kind(oid).is_some();
    let is_same = |now: Type, then: Type| now.kind.oid() == then.kind.oid() && now.modifier == then.modifier;
    let reads = view.relations.iter().all(|relation| {
        let is_as_read = |id: &ColumnId| {
            let now = column_type(catalog, relation.oid, *id);
            now.is_some_and(|now| own.read.get(&(relation.oid, *id)).is_none_or(|then| is_same(now, *then)))
        };
        catalog.table_by_oid(relation.oid).is_some() && relation.read.iter().all(is_as_read)
    });
    reads && types.all(is_there)
}

/// What of a relation and its parts is commented on.
fn commented(comments: &Comments, relation: &TableDescriptor) -> Vec<Commented> {
    let relations = std::iter::once(relation.oid).chain(relation.indexes.iter().map(|index| index.oid));
    let constraints = relation.constraint_names().map(|(oid, _)| oid);
    relations
        .flat_map(|oid| comments.of(Commented::RELATION, oid))
        .chain(constraints.flat_map(|oid| comments.of(Commented::CONSTRAINT, oid)))
        .collect()
}

#[cfg(test)]
mod tests {
    use expr::{Shape, TypeKind};

    use super::*;
    use crate::catalog::depend::Address;
    use crate::catalog::object::types::{CompositeDescriptor, DomainDescriptor};
    use crate::catalog::object::{ObjectBody, TypeDescriptor};
    use crate::catalog::{Column, Constraints, IndexColumn, IndexDescriptor, IndexOptions, IndexState};
    use crate::catalog::{RowSecurity, SearchPath, TableKind, removal};

    fn table(oid: Oid, schema: &str) -> Arc<TableDescriptor> {
        let column = Column {
            id: 1,
            name: "a".into(),
            ty: TypeKind::Int4.into(),
            not_null: true,
            default: None,
            hidden: false,
            missing: None,
            generated: None,
        };
        let key = IndexDescriptor {
            oid: oid + 1,
            id: u64::from(oid),
            name: "t_pkey".into(),
            primary: true,
            unique: true,
            columns: vec![IndexColumn::ascending(1)],
            options: IndexOptions::default(),
            constraint: None,
            state: IndexState::Public,
        };
        Arc::new(TableDescriptor {
            oid,
            schema: schema.into(),
            name: "t".into(),
            kind: TableKind::Base,
            columns: vec![column],
            indexes: vec![key],
            constraints: Constraints::default(),
            row_security: RowSecurity::default(),
            audit: audit::Classes::NONE,
            materialised: None,
            next_column_id: 2,
            schema_version: 1,
        })
    }

    /// A schema of temporary objects.
    fn own_schema() -> Arc<ObjectDescriptor> {
        let body = ObjectBody::TemporarySchema;
        Arc::new(ObjectDescriptor { oid: 30_000, schema: String::new(), name: "pg_temp_3".into(), body })
    }

    #[test]
    fn nothing_that_lasts_goes_with_what_is_temporary() {
        // Another session has made it, over a sequence of its own by this number.
        let domain = DomainDescriptor {
            base: TypeKind::Int8.into(),
            default: Some("nextval('30001'::regclass)".to_owned()),
            not_null: false,
            checks: Vec::new(),
        };
        let body = ObjectBody::Type(TypeDescriptor::Domain(domain));
        let domain = ObjectDescriptor { oid: 20_500, schema: schema::PUBLIC.into(), name: "d".into(), body };
        let shared = CatalogSnapshot::new(7, [], [table(20_000, schema::PUBLIC)]);
        let shared = shared.with_object(Arc::new(domain));
        let both = shared.with_object(own_schema()).with_table(table(30_001, schema::TEMPORARY));
        let wanted = [Address::Relation(30_001)];
        let removal = removal::removal(&both, &wanted);
        assert!(removal.order.contains(&wanted[0]));
        assert!(removal.order.iter().all(|address| [30_001, 30_002].contains(&address.oid())));
        assert_eq!(removal::temporary_removal(&both, &wanted).order, removal.order);
    }

    #[test]
    fn a_temporary_table_goes_when_its_values_are_read_no_more() {
        let made = |fields: &[(&str, TypeKind)]| {
            let fields = fields.iter().map(|(name, kind)| ((*name).to_owned(), Type::plain(*kind)));
            let own = CompositeDescriptor { relation: 20_502, attributes: Arc::new(Shape::new(fields)) };
            let body = ObjectBody::Type(TypeDescriptor::Composite(own));
            let (schema, name) = (schema::PUBLIC.to_owned(), "pair".to_owned());
            Arc::new(ObjectDescriptor { oid: 20_500, schema, name, body })
        };
        let shared = CatalogSnapshot::new(7, [], []).with_object(made(&[("a", TypeKind::Int4)]));
        let mut own = TableDescriptor::clone(&table(30_001, schema::TEMPORARY));
        own.columns[0].ty = shared.objects().kind(20_500).unwrap().array().unwrap().into();
        let temporary = shared.with_object(own_schema()).with_table(Arc::new(own)).temporary().unwrap();
        let is_there = |fields: &[(&str, TypeKind)]| {
            shared.with_object(made(fields)).with_temporary(&temporary).table_by_oid(30_001).is_some()
        };
        assert!(is_there(&[("a", TypeKind::Int4)]) && is_there(&[("renamed", TypeKind::Int4)]));
        assert!(is_there(&[("a", TypeKind::Int4), ("added", TypeKind::Int4)]));
        assert!(!is_there(&[("a", TypeKind::Int8)]) && !is_there(&[]));
    }

    #[test]
    fn temporary_objects_come_and_go_as_a_whole() {
        let shared = CatalogSnapshot::new(7, [], [table(20_000, schema::PUBLIC)]);
        assert_eq!(shared.temporary(), None);
        let on = Commented { class: Commented::RELATION, oid: 30_001, column: 1 };
        let mut comments = Comments::default();
        comments.put(on, Some("said"));
        let both = shared
            .with_object(own_schema())
            .with_table(table(30_001, schema::TEMPORARY))
            .with_comments(Arc::new(comments))
            .with_on_commit(30_001, OnCommit::DeleteRows);
        let path = SearchPath::default();
        let found = |catalog: &CatalogSnapshot| catalog.find_table(&path, "t").map(|table| table.oid);
        assert_eq!(found(&both), Some(30_001));
        assert_eq!(both.table("pg_temp_3", "t").map(|table| table.oid), Some(30_001));
        assert_eq!(both.objects().schema_oid(schema::TEMPORARY), Some(30_000));
        assert_eq!(both.objects().shown_schema(schema::TEMPORARY), "pg_temp_3");
        let temporary = both.temporary().unwrap();
        assert!(temporary.ends_at_commit());
        let without = both.without_temporary();
        assert_eq!(found(&without), Some(20_000));
        assert_eq!(without.temporary(), None);
        assert_eq!(without.comments().get(on), None);
        assert_eq!(without.objects().schema_oid("pg_temp_3"), None);
        let again = without.with_temporary(&temporary);
        assert_eq!(again.temporary(), Some(temporary));
        assert_eq!(found(&again), Some(30_001));
        assert_eq!(again.on_commit(30_001), OnCommit::DeleteRows);
    }
}

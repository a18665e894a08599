//! Views of tables, columns, indexes and constraints.

use std::collections::BTreeSet;
use std::sync::Arc;

use expr::{Type, TypeKind};

use super::operator_classes::{class_oid, method_oid};
use super::record::{Records, Value};
use super::{AM_HEAP_OID, World, columns, deparse, roles, statistics};
use crate::catalog::access::Object;
use crate::catalog::comment::Commented;
use crate::catalog::depend::{self, Address, Tie};
use crate::catalog::object::types::CompositeDescriptor;
use crate::catalog::object::{Identity, ObjectDescriptor, TypeDescriptor, ViewDescriptor};
use crate::catalog::{
    CatalogSnapshot, Column, IndexDescriptor, IndexPart, TableDescriptor, TableKind, named, spelled,
};

/// The indexes that users can know of: those with a name.
pub(super) fn named_indexes(table: &TableDescriptor) -> impl Iterator<Item = &IndexDescriptor> {
    table.indexes.iter().filter(|index| !index.name.is_empty())
}

pub(super) fn schema_oid(world: &World<'_>, table: &TableDescriptor) -> u32 {
    world.catalog.objects().schema_oid(&table.schema).unwrap_or(0)
}

fn all_indexes<'a>(
    world: &'a World<'_>,
) -> impl Iterator<Item = (&'a Arc<TableDescriptor>, &'a IndexDescriptor)> {
    world.catalog.tables().flat_map(|table| named_indexes(table).map(move |index| (table, index)))
}

pub(super) fn pg_namespace(world: &World<'_>, records: &mut Records<'_>) {
    for (name, oid) in world.catalog.objects().schemas() {
        let object = Object::Schema(oid);
        records.push(&[
            ("oid", oid.into()),
            ("nspname", name.into()),
            ("nspowner", world.catalog.access().object(object).owner.into()),
            ("nspacl", roles::acl(world.catalog, object)),
        ]);
    }
}

pub(super) fn pg_class(world: &World<'_>, records: &mut Records<'_>) {
    // PostgreSQL keeps foreign keys by triggers on both sides.
    let keys = |table: &Arc<TableDescriptor>| {
        let (own, keys) = (table.oid, table.constraints.foreign_keys.clone());
        keys.into_iter().flat_map(move |key| [own, key.parent])
    };
    let linked: BTreeSet<u32> = world.catalog.tables().flat_map(keys).collect();
    for table in world.catalog.tables() {
        let kind = match table.kind {
            TableKind::Sequence => "S",
            TableKind::View => "v",
            TableKind::Materialised => "m",
            TableKind::Virtual if columns::is_view(table) => "v",
            TableKind::Base | TableKind::Virtual => "r",
        };
        let access = if matches!(kind, "r" | "m") { AM_HEAP_OID } else { 0 };
        records.push(&[
            ("oid", table.oid.into()),
            ("relname", (&table.name).into()),
            ("relnamespace", schema_oid(world, table).into()),
            ("relowner", roles::owner(world.catalog, table).into()),
            ("relam", access.into()),
            ("relfilenode", table.oid.into()),
            ("reltuples", statistics::rows(world, table)),
            ("relhasindex", named_indexes(table).next().is_some().into()),
            ("relhasrules", matches!(kind, "v" | "m").into()),
            ("relpersistence", persistence(table).into()),
            ("relkind", kind.into()),
            // Columns that are gone keep their numbers.
            ("relnatts", table.next_column_id.saturating_sub(1).into()),
            ("relhastriggers", linked.contains(&table.oid).into()),
            ("relrowsecurity", table.row_security.enabled.into()),
            ("relforcerowsecurity", table.row_security.forced.into()),
            ("relchecks", table.constraints.checks.len().into()),
            ("relispopulated", table.materialised.as_ref().is_none_or(|own| own.is_populated).into()),
            ("relreplident", if table.kind.is_stored() { "d" } else { "n" }.into()),
            ("relacl", roles::acl(world.catalog, Object::of(table))),
            ("reloptions", options(world, table)),
        ]);
    }
    for (object, kind, own) in composites(world) {
        let schema = world.catalog.objects().schema_oid(&object.schema).unwrap_or_default();
        records.push(&[
            ("oid", own.relation.into()),
            ("relname", (&object.name).into()),
            ("relnamespace", schema.into()),
            ("reltype", kind.oid().into()),
            ("relowner", world.catalog.access().object(Object::Type(object.oid)).owner.into()),
            ("relpersistence", "p".into()),
            ("relkind", "c".into()),
            ("relnatts", own.attributes.len().into()),
            ("relispopulated", true.into()),
            ("relreplident", "n".into()),
        ]);
    }
    for (table, index) in all_indexes(world) {
        records.push(&[
            ("oid", index.oid.into()),
            ("relname", (&index.name).into()),
            ("relnamespace", schema_oid(world, table).into()),
            ("relowner", roles::owner(world.catalog, table).into()),
            ("relam", method_oid(index.options.method).into()),
            ("relfilenode", index.oid.into()),
            ("relpersistence", persistence(table).into()),
            ("relkind", "i".into()),
            ("relnatts", index.columns.len().saturating_add(index.options.included.len()).into()),
            ("relispopulated", true.into()),
            ("relreplident", "n".into()),
        ]);
    }
}

/// `pg_class.relpersistence`
fn persistence(table: &TableDescriptor) -> &'static str {
    if table.is_temporary() { "t" } else { "p" }
}

/// The storage parameters that act.
fn options(world: &World<'_>, table: &TableDescriptor) -> Value {
    if table.kind == TableKind::View {
        let view = world.catalog.objects().get(table.oid).and_then(|object| object.view());
        let texts = view.map(|view| view.options.texts()).unwrap_or_default();
        return if texts.is_empty() { Value::Null } else { Value::Texts(texts) };
    }
    match table.audit.is_empty() {
        true => Value::Null,
        false => Value::Texts(vec![format!("audit={}", table.audit)]),
    }
}

pub(super) fn pg_attribute(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables() {
        for (_, column) in table.visible() {
            let acl = roles::column_acl(world.catalog, table.oid, column.id);
            let identity =
                world.catalog.objects().identity(table.oid, column.id).map(|(identity, _)| identity);
            // What a query says has no dimensions.
            let is_declared = matches!(table.kind, TableKind::Base | TableKind::Virtual);
            let relation = (table.oid, is_declared);
            push_attribute(records, relation, column.id, column, column.not_null, identity, acl);
        }
        if table.kind.is_stored() {
            SYSTEM_COLUMNS.iter().for_each(|own| push_system_attribute(records, table.oid, *own));
        }
    }
    for (_, _, own) in composites(world) {
        for (number, (name, ty)) in (1u32..).zip(own.attributes.fields()) {
            let relation = (own.relation, true);
            push_attribute(records, relation, number, &bare(number, name, ty), false, None, Value::Null);
        }
    }
    for (table, index) in all_indexes(world) {
        let types = index.columns.iter().map(|key| table.key_type(key));
        let included = index.options.included.iter();
        let included = included.map(|id| Some(table.columns.get(table.column_by_id(*id)?)?.ty));
        let names = crate::bind::index_column_names(table, index);
        for ((number, name), ty) in (1u32..).zip(names).zip(types.chain(included)) {
            let Some(ty) = ty else { continue };
            let relation = (index.oid, true);
            push_attribute(records, relation, number, &bare(number, &name, ty), false, None, Value::Null);
        }
    }
}

/// A column of a name and a type, and no more.
fn bare(number: u32, name: &str, ty: Type) -> Column {
    Column {
        id: number,
        name: name.to_owned(),
        ty,
        not_null: false,
        default: None,
        generated: None,
        hidden: false,
        missing: None,
    }
}

/// The composite types that were made.
fn composites<'a>(
    world: &'a World<'_>,
) -> impl Iterator<Item = (&'a Arc<ObjectDescriptor>, TypeKind, &'a CompositeDescriptor)> {
    world.catalog.objects().types().filter_map(|(object, made)| match made {
        TypeDescriptor::Composite(own) => Some((object, object.kind()?, own)),
        TypeDescriptor::Enum(_) | TypeDescriptor::Domain(_) | TypeDescriptor::Range(_) => None,
    })
}

/// The system columns that can be named of every table: `attnum`, `attname`, `atttypid`.
const SYSTEM_COLUMNS: [(i32, &str, TypeKind); 3] =
    [(-2, "xmin", TypeKind::Xid), (-4, "xmax", TypeKind::Xid), (-6, "tableoid", TypeKind::Oid)];

fn push_system_attribute(
    records: &mut Records<'_>,
    relation: u32,
    (number, name, kind): (i32, &str, TypeKind),
) {
    records.push(&[
        ("attrelid", relation.into()),
        ("attname", name.into()),
        ("atttypid", kind.oid().into()),
        ("attlen", i32::from(kind.length()).into()),
        ("attnum", number.into()),
        ("attcacheoff", (-1).into()),
        ("atttypmod", (-1).into()),
        ("attbyval", true.into()),
        ("attalign", super::types::alignment(kind).into()),
        ("attstorage", super::types::storage(kind).into()),
        ("attnotnull", true.into()),
        ("attgenerated", "".into()),
        ("attidentity", "".into()),
        ("attislocal", true.into()),
        ("attcollation", super::types::collation(kind).into()),
    ]);
}

fn push_attribute(
    records: &mut Records<'_>,
    (relation, is_declared): (u32, bool),
    number: u32,
    column: &crate::catalog::Column,
    not_null: bool,
    identity: Option<Identity>,
    acl: Value,
) {
    let kind = column.ty.kind;
    let length = kind.length();
    // How many pairs of brackets were written is not kept.
    let has_dimensions = is_declared && kind.element().is_some() && !kind.is_domain() && !kind.is_vector();
    records.push(&[
        ("attrelid", relation.into()),
        ("attname", (&column.name).into()),
        ("atttypid", kind.oid().into()),
        ("attstattarget", (-1).into()),
        ("attlen", i32::from(length).into()),
        ("attnum", number.into()),
        ("attndims", i32::from(has_dimensions).into()),
        ("attcacheoff", (-1).into()),
        ("atttypmod", column.ty.modifier.into()),
        ("attbyval", matches!(length, 1 | 2 | 4 | 8).into()),
        ("attalign", super::types::alignment(kind).into()),
        ("attstorage", super::types::storage(kind).into()),
        ("attnotnull", not_null.into()),
        ("atthasdef", (column.default.is_some() || column.generated.is_some()).into()),
        ("attgenerated", if column.generated.is_some() { "s" } else { "" }.into()),
        (
            "attidentity",
            match identity {
                None => "",
                Some(Identity::Always) => "a",
                Some(Identity::ByDefault) => "d",
            }
            .into(),
        ),
        ("atthasmissing", column.missing.is_some().into()),
        ("attislocal", true.into()),
        ("attcollation", super::types::collation(kind).into()),
        ("attacl", acl),
    ]);
}

pub(super) fn pg_attrdef(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables() {
        for (_, column) in table.visible() {
            let generated = column.generated.as_ref().map(|generated| &generated.text);
            let Some(text) = column.default.as_ref().or(generated) else { continue };
            records.push(&[
                ("oid", default_oid(table.oid, column.id).into()),
                ("adrelid", table.oid.into()),
                ("adnum", column.id.into()),
                ("adbin", text.into()),
            ]);
        }
    }
}

/// Defaults have no oid of their own; this one is distinct enough for clients that join by it.
fn default_oid(table: u32, column: u32) -> u32 {
    table.rotate_left(12) ^ column ^ 0x8000_0000
}

pub(super) fn pg_index(world: &World<'_>, records: &mut Records<'_>) {
    for (table, index) in all_indexes(world) {
        let keys = index.columns.iter().map(|key| key.column().unwrap_or(0));
        let numbers = keys.chain(index.options.included.iter().copied()).map(i64::from).collect();
        let text = deparse::KeyText { table, catalog: world.catalog, sparing: None };
        let expressions: Vec<&str> =
            index.expressions().map(|expression| expression.kept.text.as_str()).collect();
        let expressions = (!expressions.is_empty()).then(|| expressions.join(", "));
        let options = index
            .columns
            .iter()
            .map(|key| i64::from(key.descending) | i64::from(key.nulls_first) << 1)
            .collect();
        let classes = index.columns.iter().map(|key| i64::from(class_oid(table, index, key))).collect();
        let collation = |part: &IndexPart| match part {
            IndexPart::Column(id) => {
                table.columns.iter().find(|column| column.id == *id).map(|column| column.ty.kind)
            }
            IndexPart::Expression(expression) => Some(expression.ty.kind),
        };
        let collations = index
            .columns
            .iter()
            .map(|key| collation(&key.part).map_or(0, |kind| i64::from(super::types::collation(kind))));
        let is_primary = index.constraint.is_some_and(|constraint| constraint.primary_key);
        records.push(&[
            ("indexrelid", index.oid.into()),
            ("indrelid", table.oid.into()),
            ("indnatts", index.columns.len().saturating_add(index.options.included.len()).into()),
            ("indnkeyatts", index.columns.len().into()),
            ("indisunique", index.unique.into()),
            ("indisprimary", is_primary.into()),
            ("indimmediate", true.into()),
            ("indisvalid", (index.state == crate::catalog::IndexState::Public).into()),
            ("indisready", true.into()),
            ("indislive", true.into()),
            ("indkey", Value::Ints(numbers)),
            ("indcollation", Value::Ints(collations.collect())),
            ("indclass", Value::Ints(classes)),
            ("indoption", Value::Ints(options)),
            ("indnullsnotdistinct", index.options.nulls_not_distinct.into()),
            ("indexprs", expressions.into()),
            ("indpred", text.predicate(index).into()),
        ]);
    }
}

pub(super) fn pg_tables(world: &World<'_>, records: &mut Records<'_>) {
    let is_table = |table: &&Arc<TableDescriptor>| {
        matches!(table.kind, TableKind::Base | TableKind::Virtual) && !columns::is_view(table)
    };
    for table in world.catalog.tables().filter(is_table) {
        let access = world.catalog.access();
        let owner = access.role(roles::owner(world.catalog, table));
        records.push(&[
            ("schemaname", world.schema(&table.schema).into()),
            ("tablename", (&table.name).into()),
            ("tableowner", owner.map(|owner| &owner.name).into()),
            ("hasindexes", named_indexes(table).next().is_some().into()),
            ("hasrules", false.into()),
            ("hastriggers", false.into()),
            ("rowsecurity", table.row_security.enabled.into()),
        ]);
    }
}

pub(super) fn pg_indexes(world: &World<'_>, records: &mut Records<'_>) {
    for (table, index) in all_indexes(world).filter(|(table, _)| table.kind.is_stored()) {
        records.push(&[
            ("schemaname", world.schema(&table.schema).into()),
            ("tablename", (&table.name).into()),
            ("indexname", (&index.name).into()),
            ("indexdef", {
                let text = deparse::KeyText { table, catalog: world.catalog, sparing: None };
                let by_name = |oid| world.session.catalog.reg_name(expr::TypeKind::Regclass, oid);
                let text = named::shown(&deparse::index(table, index, false, &text), by_name);
                spelled::by_name(world.catalog, &world.settings.hot().search_path, &text).into()
            }),
        ]);
    }
}

fn views<'a>(world: &'a World<'_>) -> impl Iterator<Item = (&'a ObjectDescriptor, &'a ViewDescriptor)> {
    world.catalog.objects().iter().filter_map(|object| Some((object.as_ref(), object.view()?)))
}

fn definition(world: &World<'_>, view: &ViewDescriptor) -> Value {
    deparse::view(view, world.catalog, &world.settings.hot().search_path, false).into()
}

pub(super) fn pg_views(world: &World<'_>, records: &mut Records<'_>) {
    let access = world.catalog.access();
    for (object, view) in views(world) {
        let owner = access.role(access.object(Object::Table(object.oid)).owner);
        records.push(&[
            ("schemaname", world.schema(&object.schema).into()),
            ("viewname", (&object.name).into()),
            ("viewowner", owner.map(|owner| &owner.name).into()),
            ("definition", definition(world, view)),
        ]);
    }
}

pub(super) fn pg_matviews(world: &World<'_>, records: &mut Records<'_>) {
    let access = world.catalog.access();
    for table in world.catalog.tables() {
        let Some(materialised) = &table.materialised else { continue };
        let owner = access.role(roles::owner(world.catalog, table));
        records.push(&[
            ("schemaname", world.schema(&table.schema).into()),
            ("matviewname", (&table.name).into()),
            ("matviewowner", owner.map(|owner| &owner.name).into()),
            ("hasindexes", named_indexes(table).next().is_some().into()),
            ("ispopulated", materialised.is_populated.into()),
            ("definition", definition(world, &materialised.view)),
        ]);
    }
}

/// The rules that views are in PostgreSQL.
pub(super) fn pg_rewrite(world: &World<'_>, records: &mut Records<'_>) {
    let plain = views(world).map(|(object, _)| object.oid);
    let stored = world.catalog.tables().filter(|table| table.materialised.is_some());
    for oid in plain.chain(stored.map(|table| table.oid)) {
        records.push(&[
            ("oid", oid.into()),
            ("rulename", "_RETURN".into()),
            ("ev_class", oid.into()),
            ("ev_type", "1".into()),
            ("ev_enabled", "O".into()),
            ("is_instead", true.into()),
        ]);
    }
}

/// `pg_class`, `pg_attrdef`, `pg_namespace`, `pg_constraint`: what objects are rows of.
const CLASS_OID: u32 = 1259;
const CONSTRAINT_OID: u32 = 2606;
/// `pg_policy`
const POLICY_OID: u32 = 3256;
const ATTRDEF_OID: u32 = 2604;
const NAMESPACE_OID: u32 = 2615;

/// The view's words for an object: its catalog, oid and column.
fn place(catalog: &CatalogSnapshot, address: Address) -> (u32, u32, u32) {
    match address {
        Address::Schema(oid) => (NAMESPACE_OID, oid, 0),
        Address::Relation(oid) => (CLASS_OID, oid, 0),
        Address::Type(oid) => (Commented::TYPE, oid, 0),
        Address::Attribute(oid, number) => {
            let kind = catalog.objects().kind(oid);
            let own = kind.and_then(|kind| catalog.objects().composite(kind));
            (CLASS_OID, own.map_or(0, |own| own.relation), number)
        }
        Address::Extension(oid) => (Commented::EXTENSION, oid, 0),
        Address::Function(oid) => (Commented::FUNCTION, oid, 0),
        Address::Column(table, column) => (CLASS_OID, table, column),
        Address::Default(table, column) => (ATTRDEF_OID, default_oid(table, column), 0),
        Address::Index(_, oid) => (CLASS_OID, oid, 0),
        Address::Constraint(_, oid) => (CONSTRAINT_OID, oid, 0),
        Address::Policy(_, oid) => (POLICY_OID, oid, 0),
    }
}

pub(super) fn pg_depend(world: &World<'_>, records: &mut Records<'_>) {
    for dependency in depend::dependencies(world.catalog) {
        let (class, oid, sub) = place(world.catalog, dependency.of);
        let (on_class, on, on_sub) = place(world.catalog, dependency.on);
        records.push(&[
            ("classid", class.into()),
            ("objid", oid.into()),
            ("objsubid", sub.into()),
            ("refclassid", on_class.into()),
            ("refobjid", on.into()),
            ("refobjsubid", on_sub.into()),
            (
                "deptype",
                match dependency.tie {
                    Tie::Normal => "n",
                    Tie::Auto => "a",
                    Tie::Internal => "i",
                }
                .into(),
            ),
        ]);
    }
}

/// Comments on all but the database.
pub(super) fn pg_description(world: &World<'_>, records: &mut Records<'_>) {
    for (on, text) in world.catalog.comments().iter().filter(|(on, _)| on.class != Commented::DATABASE) {
        records.push(&[
            ("objoid", on.oid.into()),
            ("classoid", on.class.into()),
            ("objsubid", on.column.into()),
            ("description", (&**text).into()),
        ]);
    }
}

/// The comment on the database.
pub(super) fn pg_shdescription(world: &World<'_>, records: &mut Records<'_>) {
    for (on, text) in world.catalog.comments().iter().filter(|(on, _)| on.class == Commented::DATABASE) {
        records.push(&[
            ("objoid", on.oid.into()),
            ("classoid", on.class.into()),
            ("description", (&**text).into()),
        ]);
    }
}

//! What depends on what, and what therefore goes with what is dropped.
//!
//! Dependencies stand in the descriptors themselves (a sequence says which column it goes with, a default which sequence it
//! draws from, a foreign key what it references, everything its schema), and are gathered from there: they cannot disagree
//! with what they are about. `DROP … RESTRICT` and `CASCADE` of whole objects and of parts of tables ([`super::removal`]), and
//! `pg_depend`, look at the same list.

use std::collections::BTreeSet;
use std::sync::Arc;

use expr::TypeKind;

use super::object::{FunctionDescriptor, ObjectDescriptor, TypeDescriptor};
use super::{CatalogSnapshot, ColumnId, Oid, TableDescriptor, TableKind, ViewDescriptor};

/// Something that others may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A schema.
    Schema(Oid),
    /// A table, sequence or view.
    Relation(Oid),
    /// A type.
    Type(Oid),
    /// An extension.
    Extension(Oid),
    /// A function.
    Function(Oid),
    /// An attribute of a composite type, by its number from 1.
    Attribute(Oid, u32),
    /// A column of a table.
    Column(Oid, ColumnId),
    /// The default of a column.
    Default(Oid, ColumnId),
    /// An index of a table: the table's oid and its own.
    Index(Oid, Oid),
    /// A constraint of a table: the table's oid and its own.
    Constraint(Oid, Oid),
    /// A policy of a table: the table's oid and its own.
    Policy(Oid, Oid),
}

impl Address {
    /// The object's oid, or that of the table whose part it is.
    pub fn oid(self) -> Oid {
        self.age().0
    }

    /// What tells the older from the younger.
    pub(super) fn age(self) -> (Oid, ColumnId) {
        match self {
            Self::Schema(oid)
            | Self::Relation(oid)
            | Self::Type(oid)
            | Self::Extension(oid)
            | Self::Function(oid)
            | Self::Index(_, oid)
            | Self::Constraint(_, oid)
            | Self::Policy(_, oid) => (oid, 0),
            Self::Attribute(oid, number) | Self::Column(oid, number) | Self::Default(oid, number) => {
                (oid, number)
            }
        }
    }

    /// The table whose descriptor it stands in, if it is not all of that.
    pub fn table(self) -> Option<Oid> {
        match self {
            Self::Schema(_)
            | Self::Relation(_)
            | Self::Type(_)
            | Self::Extension(_)
            | Self::Function(_)
            | Self::Attribute(..) => None,
            Self::Column(table, _)
            | Self::Default(table, _)
            | Self::Index(table, _)
            | Self::Constraint(table, _)
            | Self::Policy(table, _) => Some(table),
        }
    }

    /// The table, sequence or view that it is, or is a part of.
    fn relation(self) -> Option<Oid> {
        match self {
            Self::Relation(oid) => Some(oid),
            part => part.table(),
        }
    }

    /// What it is a part of.
    pub(super) fn whole(self) -> Option<Self> {
        match self {
            Self::Column(table, _) => Some(Self::Relation(table)),
            Self::Attribute(own, _) => Some(Self::Type(own)),
            _ => None,
        }
    }
}

/// How a dependent goes when what it depends on does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// With CASCADE alone, and it is said.
    Normal,
    /// Always, in silence.
    Auto,
    /// As Auto; and it cannot be dropped by itself.
    Internal,
}

/// That something depends on something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// What depends.
    pub of: Address,
    /// On what.
    pub on: Address,
    /// How.
    pub tie: Tie,
}

/// All dependencies of a catalog, but for those of the system's own objects.
pub fn dependencies(catalog: &CatalogSnapshot) -> Vec<Dependency> {
    let mut found = gathered(catalog, catalog.tables(), catalog.objects().iter());
    let own: BTreeSet<Oid> = catalog.temporary_relations().map(|relation| relation.oid).collect();
    if !own.is_empty() {
        // Nothing that lasts depends on what is temporary: where a text seems to, the oid in it is another session's.
        let is_own = |address: Address| address.relation().is_some_and(|relation| own.contains(&relation));
        found.retain(|dependency| !is_own(dependency.on) || is_own(dependency.of));
    }
    found
}

/// Whether anything depends on a type, so that there may be values of it, or texts that name its parts.
pub fn is_used(catalog: &CatalogSnapshot, oid: Oid) -> bool {
    let own = Address::Type(oid);
    dependencies(catalog).iter().any(|one| one.on == own && one.of.whole() != Some(own))
}

/// Whether rows or keys that are stored hold what a function answers: those of an index or of a generated column, which may
/// call another whose default calls it.
pub fn is_stored(catalog: &CatalogSnapshot, function: Oid) -> bool {
    let all = dependencies(catalog);
    let mut known = BTreeSet::from([function]);
    let mut open = vec![function];
    while let Some(next) = open.pop() {
        for one in all.iter().filter(|one| one.on == Address::Function(next)) {
            match one.of {
                Address::Index(..) | Address::Column(..) => return true,
                Address::Function(other) if known.insert(other) => open.push(other),
                _ => {}
            }
        }
    }
    false
}

/// Those of the session's temporary objects. Nothing else is looked at.
pub fn temporary_dependencies(catalog: &CatalogSnapshot) -> Vec<Dependency> {
    let objects = catalog.temporary_relations().filter_map(|relation| catalog.objects().get(relation.oid));
    gathered(catalog, catalog.temporary_relations(), objects)
}

/// Those of some of the catalog's relations, and of some of its other objects.
fn gathered<'a>(
    catalog: &CatalogSnapshot,
    relations: impl Iterator<Item = &'a Arc<TableDescriptor>>,
    objects: impl Iterator<Item = &'a Arc<ObjectDescriptor>>,
) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut note = |of, on, tie| found.push(Dependency { of, on, tie });
    for table in relations.filter(|table| table.kind != TableKind::Virtual) {
        let relation = Address::Relation(table.oid);
        if let Some(schema) = catalog.objects().schema_oid(&table.schema) {
            note(relation, Address::Schema(schema), Tie::Normal);
        }
        for column in &table.columns {
            if let Some(brought) = type_of(catalog, column.ty.kind).filter(|_| table.kind.is_stored()) {
                note(Address::Column(table.oid, column.id), brought, Tie::Normal);
            }
            let default = Address::Default(table.oid, column.id);
            if let Some(generated) = &column.generated {
                let own = Address::Column(table.oid, column.id);
                // Without what it is made of there is no column.
                of_text(catalog, own, &generated.text, &mut note);
                note(default, own, Tie::Internal);
                for base in &generated.columns {
                    note(own, Address::Column(table.oid, *base), Tie::Normal);
                }
            }
            let Some(text) = &column.default else { continue };
            of_text(catalog, default, text, &mut note);
            note(default, Address::Column(table.oid, column.id), Tie::Auto);
        }
        if let Some(materialised) = &table.materialised {
            of_query(catalog, relation, &materialised.view, &mut note);
        }
        of_keys(table, &mut note);
        of_constraints(table, &mut note);
        for check in &table.constraints.checks {
            of_text(catalog, Address::Constraint(table.oid, check.oid), &check.expression, &mut note);
        }
        for policy in &table.row_security.policies {
            let own = Address::Policy(table.oid, policy.oid);
            note(own, relation, Tie::Auto);
            for condition in policy.conditions() {
                of_query(catalog, own, &condition.written, &mut note);
                for column in &condition.read {
                    note(own, Address::Column(table.oid, *column), Tie::Normal);
                }
            }
        }
        for index in &table.indexes {
            for expression in index.all_expressions() {
                of_text(catalog, Address::Index(table.oid, index.oid), &expression.kept.text, &mut note);
            }
        }
    }
    for object in objects {
        if let Some(owner) = object.sequence().and_then(|sequence| sequence.owner) {
            let tie = if owner.identity.is_some() { Tie::Internal } else { Tie::Auto };
            note(Address::Relation(object.oid), Address::Column(owner.table, owner.column), tie);
        }
        if object.made_type().is_some()
            && let Some(schema) = catalog.objects().schema_oid(&object.schema)
        {
            note(Address::Type(object.oid), Address::Schema(schema), Tie::Normal);
        }
        if let Some(TypeDescriptor::Domain(own)) = object.made_type()
            && let Some(base) = type_of(catalog, own.base.kind)
        {
            note(Address::Type(object.oid), base, Tie::Normal);
        }
        if let Some(TypeDescriptor::Range(own)) = object.made_type()
            && let Some(subtype) = type_of(catalog, own.subtype)
        {
            note(Address::Type(object.oid), subtype, Tie::Normal);
        }
        if let Some(TypeDescriptor::Composite(own)) = object.made_type() {
            for (number, ty) in (1..).zip(own.attributes.types()) {
                let Some(of_type) = type_of(catalog, ty.kind) else { continue };
                let attribute = Address::Attribute(object.oid, number);
                note(attribute, Address::Type(object.oid), Tie::Auto);
                note(attribute, of_type, Tie::Normal);
            }
        }
        if let Some(TypeDescriptor::Domain(own)) = object.made_type() {
            for oid in own.default.iter().flat_map(|text| super::named::relations_in(text)) {
                note(Address::Type(object.oid), named(catalog, oid), Tie::Normal);
            }
        }
        if let Some(function) = object.function() {
            of_function(catalog, object, function, &mut note);
        }
        if let Some(view) = object.view() {
            of_query(catalog, Address::Relation(object.oid), view, &mut note);
        }
    }
    found
}

/// Of a function: what a body says that is a string is found out when it is called.
fn of_function(
    catalog: &CatalogSnapshot,
    object: &ObjectDescriptor,
    function: &FunctionDescriptor,
    note: &mut impl FnMut(Address, Address, Tie),
) {
    let own = Address::Function(object.oid);
    if let Some(schema) = catalog.objects().schema_oid(&object.schema) {
        note(own, Address::Schema(schema), Tie::Normal);
    }
    let types: BTreeSet<Address> = function.kinds().filter_map(|kind| type_of(catalog, kind)).collect();
    for of_type in types {
        note(own, of_type, Tie::Normal);
    }
    if let Some(relation) = function.row_of {
        note(own, Address::Relation(relation), Tie::Normal);
    }
    for default in function.parameters.iter().filter_map(|parameter| parameter.default.as_ref()) {
        of_text(catalog, own, default, note);
    }
    if let Some(query) = function.query() {
        of_query(catalog, own, query, note);
    }
}

/// What a kept text calls: a function, or the constructor of a range.
fn made(catalog: &CatalogSnapshot, oid: Oid) -> Address {
    let is_type = catalog.objects().get(oid).is_some_and(|object| object.made_type().is_some());
    if is_type { Address::Type(oid) } else { Address::Function(oid) }
}

/// Of the text of an expression: the relations, the made types and the functions, made or of extensions, that it names.
fn of_text(
    catalog: &CatalogSnapshot,
    own: Address,
    text: &str,
    note: &mut impl FnMut(Address, Address, Tie),
) {
    for extension in called(catalog, text) {
        note(own, Address::Extension(extension), Tie::Normal);
    }
    for function in super::called::functions_in(text) {
        note(own, made(catalog, function), Tie::Normal);
    }
    for kind in catalog.objects().types().filter_map(|(object, _)| object.kind()) {
        if super::spelled::names(text, kind.display_name()) {
            note(own, Address::Type(kind.oid()), Tie::Normal);
        }
    }
    for oid in super::named::relations_in(text) {
        note(own, named(catalog, oid), Tie::Normal);
    }
}

/// Of a view, or of a policy's condition.
fn of_query(
    catalog: &CatalogSnapshot,
    own: Address,
    view: &ViewDescriptor,
    note: &mut impl FnMut(Address, Address, Tie),
) {
    for extension in called(catalog, &view.query) {
        note(own, Address::Extension(extension), Tie::Normal);
    }
    for function in super::called::functions_in(&view.query) {
        note(own, made(catalog, function), Tie::Normal);
    }
    for named in &view.types {
        let is_extension = catalog.objects().extensions().any(|(object, _)| object.oid == *named);
        let on = if is_extension { Address::Extension(*named) } else { Address::Type(*named) };
        note(own, on, Tie::Normal);
    }
    for relation in &view.relations {
        note(own, Address::Relation(relation.oid), Tie::Normal);
        for column in &relation.read {
            note(own, Address::Column(relation.oid, *column), Tie::Normal);
        }
    }
    for oid in &view.pinned {
        note(own, named(catalog, *oid), Tie::Normal);
    }
    for (table, constraint) in &view.grouped_by {
        note(own, Address::Constraint(*table, *constraint), Tie::Normal);
    }
}

/// What a type is of that is not always there: the type that was made, or the extension that has brought it.
fn type_of(catalog: &CatalogSnapshot, kind: TypeKind) -> Option<Address> {
    let extension = || catalog.objects().bringer(kind).map(|object| Address::Extension(object.oid));
    kind.made_oid().map(Address::Type).or_else(extension)
}

/// The extensions whose functions a text calls, or whose types it names.
fn called(catalog: &CatalogSnapshot, text: &str) -> Vec<Oid> {
    let of = |object: &ObjectDescriptor| {
        let extension = Some(object.name.as_str());
        let functions = expr::functions::all().filter(|function| function.extension == extension);
        // Others have functions of the same name.
        let own = |name: &&str| expr::functions::by_name(name).iter().all(|own| own.extension.is_some());
        let mut types = TypeKind::all().filter(|kind| kind.extension() == extension);
        functions.map(|function| function.name).filter(own).any(|name| super::spelled::calls(text, name))
            || types.any(|kind| super::spelled::names(text, kind.display_name()))
    };
    catalog.objects().extensions().filter(|(object, _)| of(object)).map(|(object, _)| object.oid).collect()
}

/// What a literal of regclass names.
fn named(catalog: &CatalogSnapshot, oid: Oid) -> Address {
    match catalog.table_by_oid(oid) {
        Some(_) => Address::Relation(oid),
        None => catalog
            .index_by_oid(oid)
            .map_or(Address::Relation(oid), |(table, _)| Address::Index(table.oid, oid)),
    }
}

/// Of indexes, and of the constraints that they enforce.
fn of_keys(table: &TableDescriptor, note: &mut impl FnMut(Address, Address, Tie)) {
    for index in table.indexes.iter().filter(|index| !index.name.is_empty()) {
        let own = Address::Index(table.oid, index.oid);
        let on_columns = match index.constraint {
            Some(constraint) => {
                let constraint = Address::Constraint(table.oid, constraint.oid);
                note(own, constraint, Tie::Internal);
                constraint
            }
            None => own,
        };
        for column in index.all_columns() {
            note(on_columns, Address::Column(table.oid, column), Tie::Auto);
        }
    }
}

/// Of checks and foreign keys.
fn of_constraints(table: &TableDescriptor, note: &mut impl FnMut(Address, Address, Tie)) {
    for check in &table.constraints.checks {
        let own = Address::Constraint(table.oid, check.oid);
        if check.columns.is_empty() {
            note(own, Address::Relation(table.oid), Tie::Auto);
        }
        for column in &check.columns {
            note(own, Address::Column(table.oid, *column), Tie::Auto);
        }
    }
    for key in &table.constraints.foreign_keys {
        let own = Address::Constraint(table.oid, key.oid);
        for column in &key.columns {
            note(own, Address::Column(table.oid, *column), Tie::Auto);
        }
        for column in &key.parent_columns {
            note(own, Address::Column(key.parent, *column), Tie::Normal);
        }
        note(own, Address::Index(key.parent, key.parent_index), Tie::Normal);
    }
}

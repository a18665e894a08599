//! CREATE TYPE … AS (…), and what ALTER TYPE does to attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expr::types::Order;
use expr::{Shape, Type, TypeKind};

use super::{Bound, change, nothing, unplaced};
use crate::bind::Binder;
use crate::bind::from::shown;
use crate::catalog::depend::{Address, dependencies, is_used};
use crate::catalog::object::TypeDescriptor;
use crate::catalog::object::types::CompositeDescriptor;
use crate::catalog::{Column, ColumnId, IndexDescriptor, Oid};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{AttributeAction, AttributeDefinition, Name, QualifiedName};
use crate::plan::{NO_OID, ObjectChange, Target, TypeChange};

/// So many attributes a type may have.
const ATTRIBUTES_MAX: usize = 1600;
/// How deep composite types stand in each other: whoever reads a value goes as deep.
const DEPTH_MAX: usize = 32;

/// The attributes of a type that is made or altered.
type Fields = Vec<(String, Type)>;

impl Binder<'_> {
    pub(super) fn create_composite(
        &mut self,
        name: &QualifiedName,
        attributes: &[AttributeDefinition],
    ) -> Result<Bound> {
        let schema = self.type_schema(name).map_err(unplaced)?;
        let name = &name.name.value;
        self.check_type_name(&schema, name)?;
        if self.catalog.table(&schema, name).is_some() {
            return Err(super::made_type::taken(name));
        }
        let mut fields = Fields::with_capacity(attributes.len());
        for definition in attributes {
            if place(&fields, &definition.name).is_some() {
                let message = format!("column \"{}\" specified more than once", definition.name.value);
                return Err(Error::new("42701", message));
            }
            fields.push((definition.name.value.clone(), self.attribute_type(definition)?));
        }
        check_count(&fields)?;
        let attributes = Arc::new(Shape::new(fields));
        let made = TypeDescriptor::Composite(CompositeDescriptor { relation: NO_OID, attributes });
        change(ObjectChange::Type(TypeChange::Create { schema, name: name.clone(), made }))
    }

    /// The type of an attribute.
    fn attribute_type(&self, definition: &AttributeDefinition) -> Result<Type> {
        let ty = self.column_type(&definition.ty, &definition.name.value).map_err(unplaced)?;
        let held = self.held(ty);
        // Fields compare with their blanks: of char(n) all have as many.
        if held.kind.order() == Order::BlankPadded && held.modifier < 0 {
            return Err(
                Error::unsupported("an attribute of type bpchar without a length").at(definition.ty.at)
            );
        }
        if self.depth(held.kind, &mut BTreeMap::new()) >= DEPTH_MAX {
            return Err(too_deep().at(definition.ty.at));
        }
        Ok(ty)
    }

    /// What values of a type are made of, or their elements: domains are what they are over.
    fn held(&self, ty: Type) -> Type {
        let over = self.beneath(ty);
        match over.element() {
            Some(element) => self.held(element),
            None => over,
        }
    }

    /// How many composite types stand in each other, from this one on; `known` are those that were looked at.
    fn depth(&self, kind: TypeKind, known: &mut BTreeMap<Oid, usize>) -> usize {
        let Some(attributes) = self.catalog.objects().attributes(kind) else { return 0 };
        if let Some(depth) = known.get(&kind.oid()) {
            return *depth;
        }
        let mut inner = 0;
        for ty in attributes.types() {
            inner = inner.max(self.depth(self.held(*ty).kind, known));
        }
        let depth = inner.saturating_add(1);
        known.insert(kind.oid(), depth);
        depth
    }

    /// The composite type of this name, with its attributes.
    fn composite_named(&self, name: &QualifiedName) -> Result<(TypeKind, CompositeDescriptor)> {
        let missing = || Error::new("42P01", format!("relation \"{}\" does not exist", shown(name)));
        let Target::Type { kind } = self.type_target(name).map_err(|error| match error.sqlstate {
            "42704" if self.table(name).is_ok() => {
                Error::new("42809", format!("\"{}\" is not a composite type", name.name.value))
            }
            "42704" => missing(),
            _ => error,
        })?
        else {
            return Err(Error::internal("a type that is none"));
        };
        match self.catalog.objects().composite(kind) {
            Some(own) => Ok((kind, own.clone())),
            None => Err(missing()),
        }
    }

    pub(super) fn alter_attributes(
        &mut self,
        name: &QualifiedName,
        actions: &[AttributeAction],
    ) -> Result<Bound> {
        let (kind, mut own) = self.composite_named(name)?;
        let called = own_name(name);
        let before: Fields = own.attributes.fields().map(|(name, ty)| (name.to_owned(), ty)).collect();
        let mut fields = before.clone();
        // Attributes are dropped first, and added last, in whatever order it is said.
        let mut ordered: Vec<&AttributeAction> = actions.iter().collect();
        ordered.sort_by_key(|action| match action {
            AttributeAction::Drop { .. } => 0,
            AttributeAction::Alter(_) | AttributeAction::Rename { .. } => 1,
            AttributeAction::Add(_) => 2,
        });
        for action in ordered {
            self.alter_attribute((kind, called), &mut fields, action)?;
        }
        if fields == before {
            return nothing("ALTER TYPE");
        }
        check_count(&fields)?;
        if actions.iter().all(|action| matches!(action, AttributeAction::Rename { .. })) {
            self.check_not_named(kind, &format!("renaming an attribute of type {called}"))?;
        } else if actions.iter().all(|action| matches!(action, AttributeAction::Add(_))) {
            self.check_extended(kind, called, fields.get(before.len()..).unwrap_or_default())?;
        } else {
            self.check_unused(kind, called, actions)?;
        }
        own.attributes = Arc::new(Shape::new(fields));
        let made = TypeDescriptor::Composite(own);
        change(ObjectChange::Type(TypeChange::Alter { oid: kind.oid(), made }))
    }

    fn alter_attribute(
        &mut self,
        (kind, called): (TypeKind, &str),
        fields: &mut Fields,
        action: &AttributeAction,
    ) -> Result<()> {
        let taken = |name: &Name| {
            Error::new("42701", format!("column \"{}\" of relation \"{called}\" already exists", name.value))
        };
        let missing =
            |name: &Name| format!("column \"{}\" of relation \"{called}\" does not exist", name.value);
        match action {
            AttributeAction::Add(definition) => {
                if place(fields, &definition.name).is_some() {
                    return Err(taken(&definition.name));
                }
                fields.push((definition.name.value.clone(), self.typed_within(kind, definition)?));
            }
            AttributeAction::Drop { name, if_exists } => match place(fields, name) {
                Some(place) => {
                    fields.remove(place);
                }
                None if *if_exists => {
                    let message = format!("{}, skipping", missing(name));
                    self.notices.push(Notice::notice("00000", message));
                }
                None => return Err(Error::new("42703", missing(name))),
            },
            AttributeAction::Alter(definition) => {
                let found = place(fields, &definition.name).and_then(|place| fields.get_mut(place));
                let found = found.ok_or_else(|| Error::new("42703", missing(&definition.name)))?;
                found.1 = self.typed_within(kind, definition)?;
            }
            AttributeAction::Rename { from, to } => {
                let is_taken = place(fields, to).is_some();
                let found = place(fields, from).and_then(|place| fields.get_mut(place));
                let found = found.ok_or_else(|| {
                    Error::new("42703", format!("column \"{}\" does not exist", from.value))
                })?;
                if is_taken {
                    return Err(taken(to));
                }
                found.0.clone_from(&to.value);
            }
        }
        Ok(())
    }

    /// The type of an attribute of a composite type that is there.
    fn typed_within(&self, kind: TypeKind, definition: &AttributeDefinition) -> Result<Type> {
        let ty = self.attribute_type(definition)?;
        let (held, around) = (self.held(ty).kind, self.around(kind));
        if around.contains(&held.oid()) {
            let message = format!("composite type {} cannot be made a member of itself", kind.display_name());
            return Err(Error::new("42P16", message));
        }
        // What it stands in becomes deeper by no more than that.
        let mut known = BTreeMap::new();
        let outer = around.iter().filter_map(|oid| self.catalog.objects().kind(*oid));
        let deepest = outer.map(|kind| self.depth(kind, &mut known)).max().unwrap_or(0);
        if around.len() > 1 && deepest.saturating_add(self.depth(held, &mut known)) > DEPTH_MAX {
            return Err(too_deep().at(definition.ty.at));
        }
        Ok(ty)
    }

    /// A label of an enum cannot be renamed where a text that is kept may hold it within a literal of a composite type, or
    /// beside a field of one.
    pub(super) fn check_no_literals_of(&self, enumerated: TypeKind) -> Result<()> {
        let mut around = self.around(enumerated);
        around.remove(&enumerated.oid());
        around
            .iter()
            .filter_map(|oid| self.catalog.objects().kind(*oid))
            .try_for_each(|kind| self.check_not_viewed(kind))?;
        // Literals of domains over it are renamed where they stand.
        let is_itself = |kind: TypeKind| kind.base().oid() == enumerated.oid();
        around.retain(|oid| !self.catalog.objects().kind(*oid).is_some_and(is_itself));
        let is_of = |address: Address| matches!(address, Address::Type(oid) if around.contains(&oid));
        if self.is_in_texts(is_of) {
            let what = "renaming a label of an enum that a literal of a composite type may hold";
            return Err(Error::unsupported(what));
        }
        Ok(())
    }

    /// The oids of a type, of the composite types and ranges that it stands in, and of the domains over either.
    fn around(&self, kind: TypeKind) -> BTreeSet<Oid> {
        let mut around = BTreeSet::from([kind.oid()]);
        loop {
            let before = around.len();
            for (object, made) in self.catalog.objects().types() {
                let is_around = |oid: Oid| around.contains(&oid);
                let stands = match made {
                    TypeDescriptor::Composite(own) => own.made_of().any(|(_, oid)| is_around(oid)),
                    TypeDescriptor::Domain(own) => own.base.kind.made_oid().is_some_and(is_around),
                    TypeDescriptor::Range(own) => own.subtype.made_oid().is_some_and(is_around),
                    TypeDescriptor::Enum(_) => false,
                };
                if stands {
                    around.insert(object.oid);
                }
            }
            if around.len() == before {
                return around;
            }
        }
    }

    /// Whether a text that is kept names any of these.
    fn is_in_texts(&self, is_of: impl Fn(Address) -> bool) -> bool {
        dependencies(self.catalog).iter().any(|one| is_of(one.on) && self.is_by_text(one.of, one.on))
    }

    /// Whether what depends on a type, or on a column, does so by a text that is kept.
    fn is_by_text(&self, of: Address, on: Address) -> bool {
        let table = of.table().and_then(|table| self.catalog.table_by_oid(table));
        match of {
            Address::Attribute(..) => false,
            // It names no column: it goes with its own.
            Address::Default(..) => matches!(on, Address::Type(_)),
            Address::Column(_, id) => table.is_some_and(|table| {
                table.columns.iter().any(|column| column.id == id && column.generated.is_some())
            }),
            Address::Constraint(_, oid) => {
                table.is_some_and(|table| table.constraints.checks.iter().any(|check| check.oid == oid))
            }
            Address::Index(_, oid) => table.is_some_and(|table| {
                let own = table.indexes.iter().find(|index| index.oid == oid);
                own.is_some_and(|index| index.all_expressions().next().is_some())
            }),
            _ => true,
        }
    }

    /// Values that are stored lack what is added, be they within others: it is NULL. Texts that make values do not give it.
    fn check_extended(&self, kind: TypeKind, called: &str, added: &[(String, Type)]) -> Result<()> {
        let what = format!("adding an attribute to type {called}");
        let around = self.around(kind);
        let is_own = |column: &Column| column.ty.kind.made_oid().is_some_and(|oid| around.contains(&oid));
        let is_made = |column: &Column| column.default.is_some() || column.generated.is_some();
        let has_keys = added.iter().all(|(_, ty)| self.can_be_key(ty.kind));
        for table in self.catalog.tables() {
            let own: Vec<&Column> = table.columns.iter().filter(|column| is_own(column)).collect();
            if own.iter().any(|column| is_made(column)) {
                return Err(Error::unsupported(format!(
                    "{what} where a column of it has a default or is generated"
                )));
            }
            let is_key = |index: &IndexDescriptor| {
                let keys = index.all_columns();
                own.iter().any(|column| keys.contains(&column.id))
            };
            if !has_keys && table.indexes.iter().any(is_key) {
                return Err(Error::unsupported(format!(
                    "{what} of which there are keys, which cannot hold it"
                )));
            }
        }
        self.check_not_named(kind, &what)
    }

    /// Values keep no names of attributes, but texts do.
    fn check_not_named(&self, kind: TypeKind, what: &str) -> Result<()> {
        let around = self.around(kind);
        let is_column_of = |table: Oid, id: ColumnId| {
            let table = self.catalog.table_by_oid(table);
            let column = table.and_then(|table| table.columns.iter().find(|column| column.id == id));
            column.and_then(|column| column.ty.kind.made_oid()).is_some_and(|oid| around.contains(&oid))
        };
        let is_of = |address: Address| match address {
            Address::Type(oid) => around.contains(&oid),
            Address::Column(table, id) => is_column_of(table, id),
            _ => false,
        };
        if self.is_in_texts(is_of) {
            let texts = "where a view, policy, constraint, index, default or generated column may name it";
            return Err(Error::unsupported(format!("{what} {texts}")));
        }
        Ok(())
    }

    /// Values of the type that are stored stay as they are, and texts that name its attributes.
    fn check_unused(&self, kind: TypeKind, called: &str, actions: &[AttributeAction]) -> Result<()> {
        if !is_used(self.catalog, kind.oid()) {
            return Ok(());
        }
        let of_kind = |ty: Type| ty.kind.made_oid() == Some(kind.oid());
        let columns = self.catalog.tables().filter_map(|table| {
            let column = table.columns.iter().find(|column| of_kind(column.ty))?;
            Some((table.oid, format!("{}.{}", table.name, column.name)))
        });
        let first = columns.min();
        let is_typed = actions.iter().any(|action| matches!(action, AttributeAction::Alter(_)));
        Err(match first.filter(|_| is_typed) {
            Some((_, column)) => {
                let message = format!("cannot alter type \"{called}\" because column \"{column}\" uses it");
                Error::new("0A000", message)
            }
            None => Error::unsupported(format!("altering attributes of type {called}, which is in use,")),
        })
    }
}

fn too_deep() -> Error {
    Error::unsupported(format!("composite types that stand in each other more than {DEPTH_MAX} deep"))
}

fn own_name(name: &QualifiedName) -> &str {
    &name.name.value
}

/// The place of an attribute.
fn place(fields: &[(String, Type)], name: &Name) -> Option<usize> {
    fields.iter().position(|(own, _)| *own == name.value)
}

fn check_count(fields: &[(String, Type)]) -> Result<()> {
    if fields.len() <= ATTRIBUTES_MAX {
        return Ok(());
    }
    Err(Error::new("54011", format!("tables can have at most {ATTRIBUTES_MAX} columns")))
}

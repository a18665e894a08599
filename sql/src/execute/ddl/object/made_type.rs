//! Types: made, altered, renamed, dropped; and the texts that name them.

use std::sync::Arc;

use expr::{Datum, SessionContext, Shape, TypeKind};

use super::Change;
use crate::catalog::access::Object;
use crate::catalog::depend::is_used;
use crate::catalog::object::{ObjectBody, ObjectDescriptor, TypeDescriptor};
use crate::catalog::spelled::{self, Spelled};
use crate::catalog::{IndexDescriptor, Oid, TableDescriptor};
use crate::error::{Error, Result};
use crate::execute::ddl::changed;
use crate::plan::{AlterTable, DomainColumns, NO_OID, TypeChange, Verify};

impl Change<'_, '_> {
    pub(super) async fn change_type(&mut self, change: &TypeChange) -> Result<()> {
        match change {
            TypeChange::Create { schema, name, made } => self.create_type(schema, name, made).await,
            TypeChange::Alter { oid, made } => {
                let made = self.with_oids(made).await?;
                self.put_type(*oid, |object| object.body = ObjectBody::Type(made))
            }
            TypeChange::AlterDomain { oid, made, verify } => {
                for columns in verify {
                    self.alter_table(&looked_through(columns))
                        .await
                        .map_err(|error| reworded(error, &columns.table))?;
                }
                let made = self.with_oids(made).await?;
                self.put_type(*oid, |object| object.body = ObjectBody::Type(made))
            }
            TypeChange::RenameLabel { oid, made, from, to } => {
                let made = made.clone();
                self.put_type(*oid, |object| object.body = ObjectBody::Type(made))?;
                self.names_of_enum(*oid)?.into_iter().try_for_each(|name| {
                    self.respell(name, |spelled| (renamed_label(spelled, from, to), name.to_owned()))
                })
            }
            TypeChange::Move { oid, schema, .. } => self.place_type(*oid, schema, None),
        }
    }

    async fn create_type(&mut self, schema: &str, name: &str, made: &TypeDescriptor) -> Result<()> {
        let oid = self.pair_of_oids().await?;
        let made = self.with_oids(made).await?;
        let (schema, name) = (schema.to_owned(), name.to_owned());
        self.put_object(ObjectDescriptor { oid, schema, name, body: ObjectBody::Type(made) })?;
        self.own(Object::Type(oid), None)
    }

    /// An oid whose next is free too: for the type, and that of its arrays.
    async fn pair_of_oids(&mut self) -> Result<Oid> {
        let mut first = self.oid().await?;
        loop {
            let next = self.oid().await?;
            if first.checked_add(1) == Some(next) {
                return Ok(first);
            }
            first = next;
        }
    }

    /// Its parts get the oids that they lack.
    async fn with_oids(&mut self, made: &TypeDescriptor) -> Result<TypeDescriptor> {
        let mut made = made.clone();
        match &mut made {
            TypeDescriptor::Enum(own) => {
                for label in own.labels_mut().filter(|label| label.oid == NO_OID) {
                    label.oid = self.oid().await?;
                }
            }
            TypeDescriptor::Domain(own) => {
                for check in own.checks.iter_mut().filter(|check| check.oid == NO_OID) {
                    check.oid = self.oid().await?;
                }
            }
            TypeDescriptor::Composite(own) if own.relation == NO_OID => own.relation = self.oid().await?,
            TypeDescriptor::Composite(_) | TypeDescriptor::Range(_) => {}
        }
        Ok(made)
    }

    fn put_type(&mut self, oid: Oid, change: impl FnOnce(&mut ObjectDescriptor)) -> Result<()> {
        let object = self.catalog.objects().get(oid).ok_or_else(|| Error::internal("a type is gone"))?;
        let mut object = ObjectDescriptor::clone(object);
        change(&mut object);
        self.put_object(object)
    }

    fn type_name(&self, oid: Oid) -> Result<&'static str> {
        let kind = self.catalog.objects().kind(oid).ok_or_else(|| Error::internal("a type is gone"))?;
        Ok(kind.display_name())
    }

    /// What literals of an enum's values are cast to: itself, and the domains over it.
    fn names_of_enum(&self, oid: Oid) -> Result<Vec<&'static str>> {
        let own = self.type_name(oid)?;
        let kinds = self.catalog.objects().types().filter_map(|(object, _)| object.kind());
        let domains = kinds.filter(|kind| kind.is_domain() && kind.base().oid() == oid);
        Ok(std::iter::once(own).chain(domains.map(TypeKind::display_name)).collect())
    }

    /// Gives a type another schema, and another name if there is one.
    pub(super) fn place_type(&mut self, oid: Oid, schema: &str, name: Option<&str>) -> Result<()> {
        let before = self.type_name(oid)?;
        self.put_type(oid, |object| {
            schema.clone_into(&mut object.schema);
            if let Some(name) = name {
                name.clone_into(&mut object.name);
            }
        })?;
        let after = self.type_name(oid)?;
        self.respell(before, |_| (None, after.to_owned()))
    }

    /// Changes the texts that name a type.
    fn respell(
        &mut self,
        name: &str,
        change: impl Fn(Spelled<'_>) -> (Option<String>, String),
    ) -> Result<()> {
        let of = |table: &TableDescriptor| {
            let mut table = table.clone();
            let mut is_changed = false;
            let mut respell = |text: &mut String| {
                if spelled::names(text, name) {
                    *text = spelled::changed(text, name, &change);
                    is_changed = true;
                }
            };
            for column in &mut table.columns {
                column.default.iter_mut().for_each(&mut respell);
                column.generated.iter_mut().for_each(|generated| respell(&mut generated.text));
            }
            table.constraints.checks.iter_mut().for_each(|check| respell(&mut check.expression));
            for policy in &mut table.row_security.policies {
                let conditions = policy.using.iter_mut().chain(&mut policy.check);
                // What one with subqueries names is not renamed, as with a view.
                conditions
                    .filter(|condition| !condition.asks)
                    .for_each(|condition| respell(&mut condition.written.query));
            }
            for expression in table.indexes.iter_mut().flat_map(IndexDescriptor::expressions_mut) {
                respell(&mut expression.kept.text);
            }
            is_changed.then_some(table)
        };
        let tables: Vec<TableDescriptor> = self.catalog.tables().filter_map(|table| of(table)).collect();
        tables.into_iter().try_for_each(|table| self.put_table(changed(table)))?;
        // So are the defaults of functions' parameters.
        let of_function = |object: &ObjectDescriptor| {
            let mut object = object.clone();
            let ObjectBody::Function(function) = &mut object.body else { return None };
            let mut is_changed = false;
            for text in function.parameters.iter_mut().filter_map(|own| own.default.as_mut()) {
                if spelled::names(text, name) {
                    *text = spelled::changed(text, name, &change);
                    is_changed = true;
                }
            }
            is_changed.then_some(object)
        };
        let functions: Vec<ObjectDescriptor> =
            self.catalog.objects().functions().filter_map(|(object, _)| of_function(object)).collect();
        functions.into_iter().try_for_each(|object| self.put_object(object))
    }

    /// Drops an attribute of a composite type, as what its type is goes.
    ///
    /// # Errors
    /// 0A000: there may be values of the composite type, which have a field for it.
    pub(super) fn drop_attribute(&mut self, oid: Oid, number: u32) -> Result<()> {
        let kind = self.catalog.objects().kind(oid).ok_or_else(|| Error::internal("a type is gone"))?;
        if is_used(&self.catalog, oid) {
            let what = format!(
                "a type that goes with an attribute of type {}, which is in use,",
                kind.display_name()
            );
            return Err(Error::unsupported(what));
        }
        self.put_type(oid, |object| {
            if let ObjectBody::Type(TypeDescriptor::Composite(own)) = &mut object.body {
                let numbered = (1_u32..).zip(own.attributes.fields());
                let left =
                    numbered.filter(|(own, _)| *own != number).map(|(_, (name, ty))| (name.to_owned(), ty));
                own.attributes = Arc::new(Shape::new(left.collect::<Vec<_>>()));
            }
        })
    }

    pub(super) fn drop_type(&mut self, oid: Oid) -> Result<()> {
        self.remove_object(oid);
        self.disown(Object::Type(oid));
        Ok(())
    }
}

/// The table as it is, with its rows looked through.
fn looked_through(columns: &DomainColumns) -> AlterTable {
    let DomainColumns { table, not_null, checks } = columns.clone();
    let verify = Verify { not_null, checks, foreign_keys: Vec::new() };
    let to = TableDescriptor::clone(&table);
    AlterTable { verify, ..AlterTable::plain(table, to) }
}

/// What is wrong of a table's rows, as PostgreSQL says it of a domain's values.
fn reworded(error: Error, table: &TableDescriptor) -> Error {
    let column = match error.sqlstate {
        "23502" => error.names.column.clone(),
        "23514" => error.names.constraint.clone(),
        _ => None,
    };
    let Some(column) = column else { return error };
    let what = match error.sqlstate {
        "23502" => "null values",
        _ => "values that violate the new constraint",
    };
    Error::new(error.sqlstate, format!("column \"{column}\" of table \"{}\" contains {what}", table.name))
}

/// A literal that holds a label, with the label renamed.
fn renamed_label(spelled: Spelled<'_>, from: &str, to: &str) -> Option<String> {
    let literal = spelled.literal?;
    if !spelled.is_array {
        return (literal == from).then(|| to.to_owned());
    }
    // Read and written as texts, arrays of labels look alike.
    let session = SessionContext::default();
    let Ok(Datum::Array(labels)) = expr::codec::input(literal, TypeKind::TextArray.into(), &session) else {
        return None;
    };
    let rename = |label: &Datum| match label.as_str() {
        Some(label) if label == from => Datum::text(to),
        _ => label.clone(),
    };
    let dimensions: Vec<_> = labels.dimensions().collect();
    let labels = expr::Array::shaped(labels.iter().map(rename).collect::<Vec<_>>(), &dimensions).ok()?;
    expr::codec::output(&Datum::Array(labels), TypeKind::TextArray.into(), &session).ok()
}

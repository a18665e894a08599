//! DROP: what goes is taken out of the catalog.

use std::collections::BTreeSet;

use super::Change;
use crate::catalog::access::Object;
use crate::catalog::comment::Commented;
use crate::catalog::depend::Address;
use crate::catalog::object::{ObjectBody, ObjectDescriptor};
use crate::catalog::{ColumnId, Oid, PUBLIC_OID, SearchPath, TableDescriptor, TableKind, removal};
use crate::error::{Error, Result};
use crate::execute::ddl::changed;
use crate::plan::Target;

impl Change<'_, '_> {
    pub(super) fn drop_objects(
        &mut self,
        targets: &[Target],
        cascade: bool,
        path: &SearchPath,
    ) -> Result<()> {
        let wanted: Vec<Address> = targets.iter().map(Target::address).collect();
        let removal = removal::removal(&self.catalog, &wanted);
        self.notices.extend(removal.judge(&self.catalog, path, &wanted, cascade)?);
        self.take_away(&removal.order)
    }

    /// Drops what is listed, dependents first.
    pub(in crate::execute::ddl) fn take_away(&mut self, order: &[Address]) -> Result<()> {
        let goes = |table: Oid| order.contains(&Address::Relation(table));
        for address in order {
            match *address {
                Address::Schema(oid) => self.drop_schema(oid)?,
                Address::Relation(oid) => self.drop_relation(oid)?,
                Address::Type(oid) => self.drop_type(oid)?,
                // Below: the numbers of those behind it change.
                Address::Attribute(..) => {}
                Address::Extension(oid) => {
                    self.remove_object(oid);
                    self.disown(Object::Extension(oid));
                }
                Address::Function(oid) => self.drop_function(oid),
                // Parts go with their tables.
                part if part.table().is_some_and(goes) => {}
                part => self.drop_part(part)?,
            }
        }
        let attributes = order.iter().filter_map(|address| match *address {
            Address::Attribute(own, number) if !order.contains(&Address::Type(own)) => Some((own, number)),
            _ => None,
        });
        let attributes: BTreeSet<(Oid, u32)> = attributes.collect();
        attributes.into_iter().rev().try_for_each(|(own, number)| self.drop_attribute(own, number))
    }

    fn drop_schema(&mut self, oid: Oid) -> Result<()> {
        self.remove_object(oid);
        self.disown(Object::Schema(oid));
        self.forget_default_acls_in(oid);
        if oid == PUBLIC_OID {
            // It was there without a row.
            let name = crate::catalog::schema::PUBLIC.to_owned();
            self.put_object(ObjectDescriptor { oid, schema: String::new(), name, body: ObjectBody::Gone })?;
        }
        Ok(())
    }

    /// Drops a table or a sequence.
    pub(super) fn drop_relation(&mut self, oid: Oid) -> Result<()> {
        let Some(relation) = self.catalog.table_by_oid(oid).cloned() else { return Ok(()) };
        let Some(object) = self.catalog.objects().get(oid).cloned() else {
            return self.drop_table(&relation);
        };
        if let Some(sequence) = object.sequence() {
            // What goes with a table's column may be wanted back with the table.
            match sequence.owner {
                Some(owner) => self.give_up_of(relation.is_temporary(), owner.table, sequence.state),
                None => self.give_up(relation.is_temporary(), sequence.state),
            }
        }
        self.remove_object(oid);
        self.disown(Object::of(&relation));
        Ok(())
    }

    /// Drops a part of a table that stays. What a statement says of columns ALTER TABLE does; here they go with their type.
    fn drop_part(&mut self, part: Address) -> Result<()> {
        let Some(table) = part.table().and_then(|table| self.catalog.table_by_oid(table)) else {
            return Ok(());
        };
        let mut table = TableDescriptor::clone(table);
        match part {
            Address::Default(view, column) if table.kind == TableKind::View => {
                return self.drop_view_default(view, column);
            }
            Address::Default(_, column) => {
                for own in table.columns.iter_mut().filter(|own| own.id == column) {
                    own.default = None;
                }
            }
            Address::Index(_, oid) => {
                if let Some(index) = table.indexes.iter().find(|index| index.oid == oid) {
                    self.give_up_of(table.is_temporary(), table.oid, index.id);
                }
                self.forget_comments(Commented::RELATION, oid);
                table.indexes.retain(|index| index.oid != oid);
            }
            Address::Constraint(_, oid) => {
                self.forget_comments(Commented::CONSTRAINT, oid);
                table.constraints.checks.retain(|check| check.oid != oid);
                table.constraints.foreign_keys.retain(|key| key.oid != oid);
            }
            Address::Policy(_, oid) => table.row_security.policies.retain(|policy| policy.oid != oid),
            Address::Column(_, column) => {
                let is_key = table.primary().is_some_and(|key| key.all_columns().contains(&column));
                if is_key {
                    let message =
                        format!("dropping the type of a column of the primary key of \"{}\"", table.name);
                    return Err(Error::unsupported(message));
                }
                table.columns.retain(|own| own.id != column);
                self.forget_comment(Commented { class: Commented::RELATION, oid: table.oid, column });
                self.disown_columns(&table);
            }
            Address::Relation(_)
            | Address::Schema(_)
            | Address::Type(_)
            | Address::Extension(_)
            | Address::Function(_)
            | Address::Attribute(..) => {
                return Ok(());
            }
        }
        self.put_table(changed(table))
    }

    fn drop_view_default(&mut self, view: Oid, column: ColumnId) -> Result<()> {
        let Some(mut object) = self.catalog.objects().get(view).map(|object| object.as_ref().clone()) else {
            return Ok(());
        };
        if let ObjectBody::View(view) = &mut object.body {
            for (_, own) in (1..).zip(&mut view.columns).filter(|(id, _)| *id == column) {
                own.default = None;
            }
        }
        self.put_object(object)
    }
}

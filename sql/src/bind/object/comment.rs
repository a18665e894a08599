//! COMMENT ON: what a statement means by the names of what it comments on.

use super::{Bound, change, unplaced};
use crate::bind::Binder;
use crate::catalog::comment::Commented;
use crate::catalog::{TableDescriptor, TableKind, schema};
use crate::error::{Error, Result};
use crate::parse::ast::{CommentTarget, Name, ObjectKind};
use crate::plan::{ObjectChange, Target};

impl Binder<'_> {
    pub(super) fn comment(&mut self, on: &CommentTarget, text: Option<&str>) -> Result<Bound> {
        let (on, owned) = self.commented(on)?;
        let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
        change(ObjectChange::Comment { on, owned, text })
    }

    /// What is commented on, and what one has to own to do so; `None`: the database.
    fn commented(&mut self, on: &CommentTarget) -> Result<(Commented, Option<Target>)> {
        let of = |class, oid, column| Commented { class, oid, column };
        match on {
            CommentTarget::Object(object) if object.kind == ObjectKind::Schema => {
                let name = &object.name.name;
                if name.value == schema::TEMPORARY {
                    // It is a word for one, where things are looked for in it.
                    return Err(Error::new("3F000", "schema \"pg_temp\" does not exist"));
                }
                let target = self.schema(name)?;
                let Target::Schema { oid, .. } = target else {
                    return Err(Error::internal("a schema that is none"));
                };
                Ok((of(Commented::SCHEMA, oid, 0), Some(target)))
            }
            CommentTarget::Object(object) if object.kind == ObjectKind::Index => {
                match self.index_named(&object.name) {
                    Some(Target::Index { table, oid, .. }) => {
                        Ok((of(Commented::RELATION, oid, 0), Some(Target::Relation(table))))
                    }
                    _ => {
                        let relation = self.table(&object.name).map_err(unplaced)?;
                        Err(Error::new("42809", format!("\"{}\" is not an index", relation.name)))
                    }
                }
            }
            CommentTarget::Object(object) if object.kind == ObjectKind::Extension => {
                let target = self.extension(&object.name.name)?;
                Ok((of(Commented::EXTENSION, target.address().oid(), 0), Some(target)))
            }
            CommentTarget::Object(object) if object.kind.is_type() => {
                let kind = self.altered_type(object)?;
                Ok((of(Commented::TYPE, kind.oid(), 0), Some(Target::Type { kind })))
            }
            CommentTarget::Object(object) => {
                let relation =
                    self.altered(object)?.ok_or_else(|| Error::internal("nothing to comment on"))?;
                if object.kind == ObjectKind::Table && relation.kind != TableKind::Base {
                    return Err(Error::new("42809", format!("\"{}\" is not a table", relation.name)));
                }
                Ok((of(Commented::RELATION, relation.oid, 0), Some(Target::Relation(relation))))
            }
            CommentTarget::Column(table, column) => {
                let relation = self.table(table).map_err(unplaced)?;
                let number = column_number(&relation, column)?;
                Ok((of(Commented::RELATION, relation.oid, number), Some(Target::Relation(relation))))
            }
            CommentTarget::Constraint { name, table } => {
                let relation = self.table(table).map_err(unplaced)?;
                let constraint = relation.constraint_named(&name.value).ok_or_else(|| {
                    let message = format!(
                        "constraint \"{}\" for table \"{}\" does not exist",
                        name.value, relation.name
                    );
                    Error::new("42704", message)
                })?;
                Ok((of(Commented::CONSTRAINT, constraint, 0), Some(Target::Relation(relation))))
            }
            CommentTarget::Function(name) => {
                let object = self.function_named(name)?;
                let target = Target::Function { oid: object.oid, name: object.name.clone() };
                Ok((of(Commented::FUNCTION, object.oid, 0), Some(target)))
            }
            CommentTarget::Database(name) => match self.catalog.databases().named(&name.value) {
                Some(database) => Ok((of(Commented::DATABASE, database.oid, 0), None)),
                None => Err(Error::new("3D000", format!("database \"{}\" does not exist", name.value))),
            },
        }
    }
}

fn column_number(relation: &TableDescriptor, name: &Name) -> Result<u32> {
    let found = relation.visible().find(|(_, own)| own.name == name.value);
    found.map(|(_, own)| own.id).ok_or_else(|| {
        let message = format!("column \"{}\" of relation \"{}\" does not exist", name.value, relation.name);
        Error::new("42703", message)
    })
}

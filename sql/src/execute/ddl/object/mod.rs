//! Changes of schemas and sequences, and of what tables have in common with them.

mod function;
mod made_type;
mod removal;
mod sequence;

use std::sync::Arc;

use super::{Change, changed};
use crate::catalog::access::Object;
use crate::catalog::comment::{self, Commented, Comments};
use crate::catalog::object::{ObjectBody, ObjectDescriptor, ViewDescriptor, stored};
use crate::catalog::{Oid, TableDescriptor};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::RoleReference;
use crate::plan::{ObjectChange, Target};
use futures::FutureExt as _;

impl Change<'_, '_> {
    /// Changes an object.
    pub(super) async fn object(&mut self, change: &ObjectChange) -> Result<&'static str> {
        match change {
            ObjectChange::CreateSequence { sequence, .. } => {
                self.create_sequence(sequence, None).await?;
            }
            ObjectChange::AlterSequence { sequence, settings } => {
                self.alter_sequence(sequence, settings, None).await?;
            }
            ObjectChange::CreateView { oid, schema, name, view, .. } => {
                self.create_view(*oid, schema, name, view).await?;
            }
            ObjectChange::AlterView { relation, view, .. } => {
                self.create_view(Some(relation.oid), &relation.schema, &relation.name, view).await?;
            }
            ObjectChange::CreateSchema { name, if_not_exists, owner } => {
                self.create_schema(name.as_deref(), *if_not_exists, owner.as_ref()).await?;
            }
            ObjectChange::CreateExtension { schema, name, version } => {
                let oid = self.oid().await?;
                let (schema, name) = (schema.clone(), name.clone());
                let body = ObjectBody::Extension(version.clone());
                self.put_object(ObjectDescriptor { oid, schema, name, body })?;
                self.own(Object::Extension(oid), None)?;
            }
            ObjectChange::Type(change) => self.change_type(change).await?,
            ObjectChange::Function(change) => self.change_function(change).await?,
            ObjectChange::Comment { on, text, .. } => self.put_comment(*on, text.as_deref()),
            ObjectChange::Rename { object, to, .. } => match object {
                Target::Schema { oid, name } => self.rename_schema(*oid, name, to)?,
                Target::Relation(relation) => {
                    self.place_relation(relation.oid, &relation.schema, Some(to))?
                }
                Target::Index { table, oid, .. } => self.rename_index(table, *oid, to)?,
                Target::Extension { .. } | Target::Function { .. } => {
                    return Err(Error::internal("what cannot be renamed so"));
                }
                Target::Type { kind } => {
                    let object = self.catalog.objects().get(kind.oid()).cloned();
                    let object = object.ok_or_else(|| Error::internal("a type is gone"))?;
                    self.place_type(kind.oid(), &object.schema, Some(to))?;
                }
            },
            ObjectChange::SetSchema { relation, schema, .. } => {
                self.place_relation(relation.oid, schema, None)?;
                let owned: Vec<_> = self.catalog.objects().owned_by(relation.oid, None).cloned().collect();
                for sequence in owned {
                    self.place_relation(sequence.oid, schema, None)?;
                }
            }
            ObjectChange::Clone { schema, name, of, moment } => {
                // Boxed: few statements do.
                self.clone_table((schema.as_str(), name.as_str()), of, moment.as_deref()).boxed().await?;
            }
            // Boxed, too.
            ObjectChange::FlashBack { table, at } => Box::pin(self.flash_back(table, *at)).await?,
            ObjectChange::Undrop { schema, name } => self.undrop(schema, name).await?,
            ObjectChange::Drop { targets, cascade, path, .. } => {
                self.drop_objects(targets, *cascade, path)?
            }
        }
        Ok(change.command())
    }

    pub(super) fn put_object(&mut self, object: ObjectDescriptor) -> Result<()> {
        if object.is_temporary() {
            self.keep_object(&object)?;
        } else {
            self.check_lasting_object(&object)?;
            let value = stored::encode_object(&object)?;
            self.put(stored::object_key(self.catalog.home(), object.oid), value);
        }
        self.catalog = self.catalog.with_object(Arc::new(object));
        Ok(())
    }

    pub(super) fn put_comment(&mut self, on: Commented, text: Option<&str>) {
        if !self.is_own(on.oid) {
            let key = on.key(self.catalog.home());
            match text {
                Some(text) => self.put(key, comment::encode(on, text)),
                None => self.delete(key),
            }
        }
        let mut comments = Comments::clone(self.catalog.comments());
        comments.put(on, text);
        self.catalog = self.catalog.with_comments(Arc::new(comments));
    }

    /// Nothing is said any more of one thing that is gone.
    pub(super) fn forget_comment(&mut self, on: Commented) {
        if self.catalog.comments().get(on).is_some() {
            self.put_comment(on, None);
        }
    }

    /// Nothing is said any more of what is gone.
    pub(super) fn forget_comments(&mut self, class: Oid, oid: Oid) {
        let gone: Vec<Commented> = self.catalog.comments().of(class, oid).collect();
        for on in gone {
            self.put_comment(on, None);
        }
    }

    fn remove_object(&mut self, oid: Oid) {
        self.forget_comments(Commented::RELATION, oid);
        self.forget_comments(Commented::SCHEMA, oid);
        self.forget_comments(Commented::TYPE, oid);
        self.forget_comments(Commented::EXTENSION, oid);
        if !self.is_own(oid) {
            self.delete(stored::object_key(self.catalog.home(), oid));
        }
        self.catalog = self.catalog.without_object(oid);
    }

    async fn create_view(
        &mut self,
        known: Option<Oid>,
        schema: &str,
        name: &str,
        view: &ViewDescriptor,
    ) -> Result<()> {
        self.make_own_schema(schema).await?;
        let oid = match known {
            Some(oid) => oid,
            None => self.oid().await?,
        };
        self.put_object(ObjectDescriptor {
            oid,
            schema: schema.to_owned(),
            name: name.to_owned(),
            body: ObjectBody::View(view.clone()),
        })?;
        if known.is_none() { self.own(Object::Table(oid), None) } else { Ok(()) }
    }

    async fn create_schema(
        &mut self,
        name: Option<&str>,
        if_not_exists: bool,
        owner: Option<&RoleReference>,
    ) -> Result<()> {
        let owner = match owner {
            Some(owner) => Some(self.owner_to_be(owner)?),
            None => None,
        };
        let name = match (name, &owner) {
            (Some(name), _) => name.to_owned(),
            (None, Some(owner)) => owner.name.clone(),
            (None, None) => return Err(Error::internal("a schema without a name")),
        };
        if self.catalog.objects().schema_oid(&name).is_some() {
            let message = format!("schema \"{name}\" already exists");
            if !if_not_exists {
                return Err(Error::new("42P06", message));
            }
            self.notices.push(Notice::notice("42P06", format!("{message}, skipping")));
            return Ok(());
        }
        let oid = self.oid().await?;
        self.put_object(ObjectDescriptor { oid, schema: String::new(), name, body: ObjectBody::Schema })?;
        self.own(Object::Schema(oid), owner.map(|owner| owner.oid))
    }

    /// Everything in the schema is written anew: rows name schemas.
    fn rename_schema(&mut self, oid: Oid, from: &str, to: &str) -> Result<()> {
        let renamed =
            ObjectDescriptor { oid, schema: String::new(), name: to.to_owned(), body: ObjectBody::Schema };
        self.put_object(renamed)?;
        let inside: Vec<Oid> = self
            .catalog
            .tables()
            .filter(|relation| relation.schema == from)
            .map(|relation| relation.oid)
            .collect();
        for oid in inside {
            self.place_relation(oid, to, None)?;
        }
        let types: Vec<Oid> = {
            let types = self.catalog.objects().types().filter(|(object, _)| object.schema == from);
            types.map(|(object, _)| object.oid).collect()
        };
        for oid in types {
            self.place_type(oid, to, None)?;
        }
        let functions: Vec<Oid> = {
            let functions = self.catalog.objects().functions().filter(|(object, _)| object.schema == from);
            functions.map(|(object, _)| object.oid).collect()
        };
        functions.into_iter().try_for_each(|oid| self.place_function(oid, to))
    }

    fn rename_index(&mut self, table: &TableDescriptor, oid: Oid, to: &str) -> Result<()> {
        let mut table = table.clone();
        for index in table.indexes.iter_mut().filter(|index| index.oid == oid) {
            to.clone_into(&mut index.name);
        }
        self.put_table(changed(table))
    }

    /// Gives a table or sequence another schema, and another name if there is one.
    fn place_relation(&mut self, oid: Oid, schema: &str, name: Option<&str>) -> Result<()> {
        if let Some(object) = self.catalog.objects().get(oid) {
            let mut object = ObjectDescriptor::clone(object);
            schema.clone_into(&mut object.schema);
            if let Some(name) = name {
                name.clone_into(&mut object.name);
            }
            return self.put_object(object);
        }
        let table = self.catalog.table_by_oid(oid).ok_or_else(|| Error::internal("a relation is gone"))?;
        let mut table = TableDescriptor::clone(table);
        schema.clone_into(&mut table.schema);
        if let Some(name) = name {
            name.clone_into(&mut table.name);
        }
        self.put_table(changed(table))
    }
}

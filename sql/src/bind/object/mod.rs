//! Schemas, sequences and views: CREATE, ALTER, DROP, and the identity columns that sequences make values for.

mod comment;
mod composite;
mod domain;
mod extension;
mod function;
mod identity;
mod made_type;
mod materialised;
mod range;
mod sequence;
mod view;

use std::sync::Arc;

pub(crate) use domain::{domains_of, judges, sparing_domain_condition};
pub(crate) use function::function_text;
pub(super) use identity::{check_type, serial};
pub(super) use view::WithinView;

use super::Binder;
use super::from::shown;
use crate::catalog::{TableDescriptor, TableKind, schema};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{Name, ObjectKind, ObjectName, ObjectStatement, QualifiedName};
use crate::plan::{Ddl, ObjectChange, OutputColumn, Plan, Target};

/// A plan and the columns that it returns.
type Bound = (Plan, Option<Vec<OutputColumn>>);

fn change(change: ObjectChange) -> Result<Bound> {
    Ok((Plan::Ddl(Box::new(Ddl::Object(change))), None))
}

fn nothing(tag: &'static str) -> Result<Bound> {
    Ok((Plan::Ddl(Box::new(Ddl::Nothing { tag })), None))
}

impl ObjectKind {
    /// What messages call it.
    const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Sequence => "sequence",
            Self::View => "view",
            Self::MaterialisedView => "materialized view",
            Self::Schema => "schema",
            Self::Index => "index",
            Self::Type => "type",
            Self::Domain => "domain",
            Self::Extension => "extension",
        }
    }

    /// Whether it is one of types.
    pub(super) const fn is_type(self) -> bool {
        matches!(self, Self::Type | Self::Domain)
    }

    /// Whether a relation is one.
    fn fits(self, relation: &TableDescriptor) -> bool {
        match self {
            Self::Table => matches!(relation.kind, TableKind::Base | TableKind::Virtual),
            Self::Sequence => relation.kind == TableKind::Sequence,
            Self::View => relation.kind == TableKind::View,
            Self::MaterialisedView => relation.kind == TableKind::Materialised,
            Self::Schema | Self::Index | Self::Type | Self::Domain | Self::Extension => false,
        }
    }

    const fn altered(self) -> &'static str {
        match self {
            Self::Table => "ALTER TABLE",
            Self::Sequence => "ALTER SEQUENCE",
            Self::View => "ALTER VIEW",
            Self::MaterialisedView => "ALTER MATERIALIZED VIEW",
            Self::Schema => "ALTER SCHEMA",
            Self::Index => "ALTER INDEX",
            Self::Type => "ALTER TYPE",
            Self::Domain => "ALTER DOMAIN",
            Self::Extension => "ALTER EXTENSION",
        }
    }

    const fn dropped(self) -> &'static str {
        match self {
            Self::Table => "DROP TABLE",
            Self::Sequence => "DROP SEQUENCE",
            Self::View => "DROP VIEW",
            Self::MaterialisedView => "DROP MATERIALIZED VIEW",
            Self::Schema => "DROP SCHEMA",
            Self::Index => "DROP INDEX",
            Self::Type => "DROP TYPE",
            Self::Domain => "DROP DOMAIN",
            Self::Extension => "DROP EXTENSION",
        }
    }
}

impl Binder<'_> {
    /// A statement about an object of the catalog.
    pub(super) fn object(&mut self, statement: &ObjectStatement) -> Result<Bound> {
        match statement {
            ObjectStatement::CreateSequence { name, if_not_exists, options, persistence } => {
                self.create_sequence(name, *if_not_exists, options, *persistence)
            }
            ObjectStatement::AlterSequence { name, if_exists, options } => {
                let object =
                    ObjectName { kind: ObjectKind::Sequence, name: name.clone(), if_exists: *if_exists };
                self.alter_sequence(&object, options)
            }
            ObjectStatement::CreateSchema { name, if_not_exists, owner } => {
                if let Some(name) = name {
                    self.check_new_schema(name)?;
                }
                change(ObjectChange::CreateSchema {
                    name: name.as_ref().map(|name| name.value.clone()),
                    if_not_exists: *if_not_exists,
                    owner: owner.clone(),
                })
            }
            ObjectStatement::CreateView(create) => self.create_view(create),
            ObjectStatement::RenameViewColumn { object, from, to } => {
                self.rename_view_column(object, from, to)
            }
            ObjectStatement::SetViewOptions { object, options } => self.set_view_options(object, options),
            ObjectStatement::SetViewDefault { object, column, default } => {
                self.set_view_default(object, column, default.as_ref(), "ALTER VIEW")
            }
            ObjectStatement::CreateExtension { name, if_not_exists, schema } => {
                self.create_extension(name, *if_not_exists, schema.as_ref())
            }
            ObjectStatement::CreateFunction(create) => self.create_function(create),
            ObjectStatement::AlterFunction { function, action } => self.alter_function(function, action),
            ObjectStatement::DropFunctions { names, if_exists, cascade } => {
                self.drop_functions(names, *if_exists, *cascade)
            }
            ObjectStatement::Policy(statement) => self.policy_statement(statement),
            ObjectStatement::Type(statement) => self.type_statement(statement),
            ObjectStatement::Rename { object, to } if object.kind.is_type() => self.rename_type(object, to),
            ObjectStatement::SetSchema { object, schema } if object.kind.is_type() => {
                self.move_type(object, schema)
            }
            ObjectStatement::Rename { object, to } => self.rename(object, to),
            ObjectStatement::Comment { on, text } => self.comment(on, text.as_deref()),
            ObjectStatement::Refresh { name, concurrently, with_data } => {
                self.refresh(name, *concurrently, *with_data)
            }
            ObjectStatement::SetSchema { object, schema } => self.set_schema(object, schema),
            ObjectStatement::Drop { kind, names, if_exists, cascade, concurrently } => {
                self.drop_objects(*kind, names, *if_exists, (*cascade, *concurrently))
            }
        }
    }

    /// Names that begin so are the system's own.
    fn check_new_schema(&self, name: &Name) -> Result<()> {
        if name.value.starts_with("pg_") {
            return Err(Error::new("42939", format!("unacceptable schema name \"{}\"", name.value))
                .detail("The prefix \"pg_\" is reserved for system schemas."));
        }
        Ok(())
    }

    /// 0A000 if a schema is that of the session's temporary objects.
    fn check_not_own(&self, name: &Name, what: &str) -> Result<()> {
        match self.catalog.objects().kept_schema(&name.value) {
            schema::TEMPORARY => Err(Error::unsupported(format!("{what} a temporary schema"))),
            _ => Ok(()),
        }
    }

    /// The schema of this name.
    pub(super) fn schema(&self, name: &Name) -> Result<Target> {
        let missing = || Error::new("3F000", format!("schema \"{}\" does not exist", name.value));
        let oid = self.catalog.objects().schema_oid(&name.value).ok_or_else(missing)?;
        Ok(Target::Schema { oid, name: name.value.clone() })
    }

    /// The relation that ALTER names: of that kind, or any that ALTER TABLE takes. `None`: there is none, which is told.
    pub(super) fn altered(&mut self, object: &ObjectName) -> Result<Option<Arc<TableDescriptor>>> {
        let relation = match self.table(&object.name) {
            Ok(relation) => relation,
            Err(error) if object.if_exists && error.sqlstate == "42P01" => {
                let message = format!("relation \"{}\" does not exist, skipping", shown(&object.name));
                self.notices.push(Notice::notice("00000", message));
                return Ok(None);
            }
            Err(error) => return Err(unplaced(error)),
        };
        if relation.kind == TableKind::Virtual {
            let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
            return Err(Error::new("42501", message));
        }
        let any = matches!(object.kind, ObjectKind::Table | ObjectKind::Index);
        if !any && !object.kind.fits(&relation) {
            let message = format!("\"{}\" is not a {}", relation.name, object.kind.word());
            return Err(Error::new("42809", message));
        }
        Ok(Some(relation))
    }

    /// The index of this name.
    pub(super) fn index_named(&self, name: &QualifiedName) -> Option<Target> {
        let find = |schema: &str| {
            let (table, index) = self.catalog.index(schema, &name.name.value)?;
            Some(Target::Index { table: table.clone(), oid: index.oid, name: index.name.clone() })
        };
        match &name.schema {
            Some(schema) => find(&schema.value),
            None => self.settings.search_path.lookup(self.catalog.objects()).find_map(find),
        }
    }

    fn rename(&mut self, object: &ObjectName, to: &Name) -> Result<Bound> {
        let tag = object.kind.altered();
        if object.kind == ObjectKind::Schema {
            let target = self.schema(&object.name.name)?;
            if is_of_system(&object.name.name) {
                return Err(Error::unsupported("renaming a schema of the system"));
            }
            self.check_not_own(&object.name.name, "renaming")?;
            self.check_new_schema(to)?;
            if self.catalog.objects().schema_oid(&to.value).is_some() {
                return Err(Error::new("42P06", format!("schema \"{}\" already exists", to.value)));
            }
            return change(ObjectChange::Rename { object: target, to: to.value.clone(), tag });
        }
        // ALTER TABLE takes an index, and ALTER INDEX a table.
        let index = match object.kind {
            ObjectKind::Table | ObjectKind::Index => self.index_named(&object.name),
            _ => None,
        };
        let (target, schema) = match index {
            Some(Target::Index { table, oid, name }) => {
                let schema = table.schema.clone();
                (Target::Index { table, oid, name }, schema)
            }
            _ => {
                let Some(relation) = self.altered(object)? else { return nothing(tag) };
                let schema = relation.schema.clone();
                (Target::Relation(relation), schema)
            }
        };
        if self.catalog.is_taken(&schema, &to.value) {
            return Err(Error::new("42P07", format!("relation \"{}\" already exists", to.value)));
        }
        if let Target::Relation(relation) = &target
            && relation.kind != TableKind::Sequence
        {
            self.check_type_name(&schema, &to.value)?;
        }
        change(ObjectChange::Rename { object: target, to: to.value.clone(), tag })
    }

    fn set_schema(&mut self, object: &ObjectName, schema: &Name) -> Result<Bound> {
        let tag = object.kind.altered();
        let Some(relation) = self.altered(object)? else { return nothing(tag) };
        let Target::Schema { name, .. } = self.schema(schema)? else {
            return Err(Error::internal("a schema that is none"));
        };
        if let Some(owner) = self.owner_of(&relation) {
            let message = "cannot move an owned sequence into another schema";
            let detail = format!("Sequence \"{}\" is linked to table \"{}\".", relation.name, owner.name);
            return Err(Error::new("0A000", message).detail(detail));
        }
        if name == relation.schema {
            return nothing(tag);
        }
        if relation.is_temporary() {
            return Err(Error::new("0A000", "cannot move objects into or out of temporary schemas"));
        }
        self.check_creation_schema(schema)?;
        for moved in self.moved_names(&relation) {
            if self.catalog.is_taken(&name, &moved) {
                let message = format!("relation \"{moved}\" already exists in schema \"{name}\"");
                return Err(Error::new("42P07", message));
            }
        }
        if relation.kind != TableKind::Sequence && self.check_type_name(&name, &relation.name).is_err() {
            let message = format!("type \"{}\" already exists in schema \"{name}\"", relation.name);
            return Err(Error::new("42710", message));
        }
        change(ObjectChange::SetSchema { relation, schema: name, tag })
    }

    /// The names that move with a relation.
    fn moved_names(&self, relation: &TableDescriptor) -> Vec<String> {
        let indexes = relation.indexes.iter().filter(|index| !index.name.is_empty());
        let owned = self.catalog.objects().owned_by(relation.oid, None);
        std::iter::once(relation.name.clone())
            .chain(indexes.map(|index| index.name.clone()))
            .chain(owned.map(|sequence| sequence.name.clone()))
            .collect()
    }

    /// The table that a sequence goes with.
    fn owner_of(&self, relation: &TableDescriptor) -> Option<&Arc<TableDescriptor>> {
        let owner = self.catalog.objects().get(relation.oid)?.sequence()?.owner?;
        self.catalog.table_by_oid(owner.table)
    }

    fn drop_objects(
        &mut self,
        kind: ObjectKind,
        names: &[QualifiedName],
        if_exists: bool,
        (cascade, concurrently): (bool, bool),
    ) -> Result<Bound> {
        if concurrently && cascade {
            return Err(Error::new("0A000", "DROP INDEX CONCURRENTLY does not support CASCADE"));
        }
        if concurrently && names.len() > 1 {
            let message = "DROP INDEX CONCURRENTLY does not support dropping multiple objects";
            return Err(Error::new("0A000", message));
        }
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            let found = match kind {
                ObjectKind::Schema => self.dropped_schema(&name.name, if_exists)?,
                ObjectKind::Extension => match self.extension(&name.name) {
                    Ok(target) => Some(target),
                    Err(error) => self.not_there(error, if_exists)?,
                },
                ObjectKind::Type | ObjectKind::Domain => self.dropped_type(kind, name, if_exists)?,
                _ => self.dropped_relation(kind, name, if_exists)?,
            };
            let Some(target) = found else { continue };
            if !targets.iter().any(|other| other.address() == target.address()) {
                targets.push(target);
            }
        }
        if targets.is_empty() {
            return nothing(kind.dropped());
        }
        let path = self.settings.search_path.clone();
        change(ObjectChange::Drop { targets, cascade, concurrently, path, tag: kind.dropped() })
    }

    fn dropped_schema(&mut self, name: &Name, if_exists: bool) -> Result<Option<Target>> {
        match self.schema(name) {
            Err(error) => self.not_there(error, if_exists),
            Ok(target) => {
                if is_of_system(name) {
                    let message = format!(
                        "cannot drop schema {} because it is required by the database system",
                        name.value
                    );
                    return Err(Error::new("2BP01", message));
                }
                self.check_not_own(name, "dropping")?;
                Ok(Some(target))
            }
        }
    }

    fn dropped_relation(
        &mut self,
        kind: ObjectKind,
        name: &QualifiedName,
        if_exists: bool,
    ) -> Result<Option<Target>> {
        let hint =
            |word: &str| format!("Use DROP {} to remove {} {word}.", word.to_uppercase(), article(word));
        let wrong = |word: &str| {
            let message = format!("\"{}\" is not {} {}", name.name.value, article(kind.word()), kind.word());
            Error::new("42809", message).hint(hint(word))
        };
        if kind == ObjectKind::Index
            && let Some(target) = self.index_named(name)
        {
            return Ok(Some(target));
        }
        match self.table(name) {
            Ok(relation) if relation.kind == TableKind::Virtual => {
                let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
                Err(Error::new("42501", message))
            }
            Ok(relation) if !kind.fits(&relation) => Err(wrong(relation.kind.word())),
            Ok(relation) => Ok(Some(Target::Relation(relation))),
            Err(error) if error.sqlstate == "42P01" => {
                let schema = name.schema.as_ref();
                if let Some(schema) =
                    schema.filter(|schema| self.catalog.objects().schema_oid(&schema.value).is_none())
                {
                    let message = format!("schema \"{}\" does not exist", schema.value);
                    return self.not_there(Error::new("3F000", message), if_exists);
                }
                let message = format!("{} \"{}\" does not exist", kind.word(), shown(name));
                let sqlstate = if kind == ObjectKind::Index { "42704" } else { "42P01" };
                self.not_there(Error::new(sqlstate, message), if_exists)
            }
            Err(error) if error.sqlstate == "42809" => Err(wrong("index")),
            Err(error) => Err(error),
        }
    }

    /// What is to be dropped is not there: an error, or a notice if that is no matter.
    fn not_there(&mut self, error: Error, if_exists: bool) -> Result<Option<Target>> {
        if !if_exists {
            return Err(error);
        }
        self.notices.push(Notice::notice("00000", format!("{}, skipping", error.message)));
        Ok(None)
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with('i') { "an" } else { "a" }
}

/// PostgreSQL names no place in errors about what these statements are done to.
fn unplaced(mut error: Error) -> Error {
    error.position = None;
    error
}

/// Whether a schema holds what the system makes up.
fn is_of_system(name: &Name) -> bool {
    schema::is_system(&name.value)
}

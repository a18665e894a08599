//! CREATE TYPE, ALTER TYPE, and the types that other statements are about.

use expr::TypeKind;

use super::{Bound, change, nothing, unplaced};
use crate::bind::Binder;
use crate::bind::from::shown;
use crate::catalog::object::types::{EnumDescriptor, EnumPlace, array_name};
use crate::catalog::object::{ObjectDescriptor, TypeDescriptor};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{Name, ObjectKind, ObjectName, QualifiedName, TypeStatement};
use crate::plan::{ObjectChange, Target, TypeChange};

impl Binder<'_> {
    pub(super) fn type_statement(&mut self, statement: &TypeStatement) -> Result<Bound> {
        match statement {
            TypeStatement::CreateEnum { name, labels } => {
                let schema = self.type_schema(name).map_err(unplaced)?;
                let name = &name.name.value;
                self.check_type_name(&schema, name)?;
                if self.catalog.table(&schema, name).is_some() {
                    return Err(taken(name));
                }
                let made = TypeDescriptor::Enum(EnumDescriptor::new(labels)?);
                change(ObjectChange::Type(TypeChange::Create { schema, name: name.clone(), made }))
            }
            TypeStatement::CreateComposite { name, attributes } => self.create_composite(name, attributes),
            TypeStatement::CreateRange(create) => self.create_range(create),
            TypeStatement::AlterAttributes { name, actions } => self.alter_attributes(name, actions),
            TypeStatement::CreateDomain(create) => self.create_domain(create),
            TypeStatement::AlterDomain(alter) => self.alter_domain(alter),
            TypeStatement::AddLabel { name, label, if_not_exists, beside } => {
                let (kind, mut own) = self.enum_named(name)?;
                let place = match beside {
                    None => EnumPlace::Last,
                    Some((true, beside)) => EnumPlace::Before(beside.clone()),
                    Some((false, beside)) => EnumPlace::After(beside.clone()),
                };
                match own.add(label, &place) {
                    Err(error) if *if_not_exists && error.sqlstate == "42710" => {
                        self.notices.push(Notice::notice("42710", format!("{}, skipping", error.message)));
                        return nothing("ALTER TYPE");
                    }
                    outcome => outcome?,
                }
                let change_of = TypeChange::Alter { oid: kind.oid(), made: TypeDescriptor::Enum(own) };
                change(ObjectChange::Type(change_of))
            }
            TypeStatement::RenameLabel { name, from, to } => {
                let (kind, mut own) = self.enum_named(name)?;
                own.rename(from, to)?;
                self.check_not_viewed(kind)?;
                self.check_no_literals_of(kind)?;
                let (from, to) = (from.clone(), to.clone());
                let made = TypeDescriptor::Enum(own);
                change(ObjectChange::Type(TypeChange::RenameLabel { oid: kind.oid(), made, from, to }))
            }
        }
    }

    /// The type that a statement is about.
    pub(super) fn type_target(&self, name: &QualifiedName) -> Result<Target> {
        let schema = name.schema.as_ref().map(|schema| schema.value.as_str());
        let missing = || match self.catalog.objects().range_of_multirange(schema, &name.name.value) {
            Some(_) => Error::unsupported(format!("multirange {}", shown(name))),
            None => Error::new("42704", format!("type \"{}\" does not exist", shown(name))),
        };
        let kind = self.type_named(schema, &name.name.value)?.ok_or_else(missing)?;
        Ok(Target::Type { kind })
    }

    /// A type that can be altered: one that was made, and no array.
    pub(in crate::bind) fn altered_type(&self, object: &ObjectName) -> Result<TypeKind> {
        let Target::Type { kind } = self.type_target(&object.name)? else {
            return Err(Error::internal("a type that is none"));
        };
        if object.kind == ObjectKind::Domain && !kind.is_domain() {
            return Err(Error::new("42809", format!("{} is not a domain", kind.display_name())));
        }
        if kind.is_built_in() {
            return Err(Error::new("42501", format!("must be owner of type {}", kind.display_name())));
        }
        if kind.made_oid() != Some(kind.oid()) {
            let message = format!("cannot alter array type {}", kind.display_name());
            let element = kind.element().map_or("", TypeKind::display_name);
            let hint = format!("You can alter type {element}, which will alter the array type as well.");
            return Err(Error::new("42809", message).hint(hint));
        }
        Ok(kind)
    }

    fn enum_named(&self, name: &QualifiedName) -> Result<(TypeKind, EnumDescriptor)> {
        let Target::Type { kind } = self.type_target(name)? else {
            return Err(Error::internal("a type that is none"));
        };
        match self.catalog.objects().enumerated(kind) {
            Some(own) => Ok((kind, own.clone())),
            None => Err(Error::new("42809", format!("{} is not an enum", kind.display_name()))),
        }
    }

    /// That no type has the name, and no multirange.
    pub(super) fn check_type_name(&self, schema: &str, name: &str) -> Result<()> {
        let objects = self.catalog.objects();
        let found = objects.type_named(schema, name).or_else(|| Some(objects.type_brought(name)?.0));
        match found.or_else(|| objects.range_of_multirange(Some(schema), name)) {
            Some(_) => Err(taken(name)),
            None => Ok(()),
        }
    }

    /// That the types that an extension brings can have their names: there is one of each, in whichever schema.
    pub(super) fn check_types_brought(&self, extension: &str, schema: &str) -> Result<()> {
        let brought = TypeKind::all().filter(|kind| kind.extension() == Some(extension));
        for name in brought.map(TypeKind::name) {
            let is_called =
                |object: &ObjectDescriptor| object.name == name || array_name(&object.name) == name;
            let is_taken = self.catalog.objects().types().any(|(object, _)| is_called(object));
            if is_taken || self.catalog.table(schema, name).is_some() {
                return Err(taken(name));
            }
        }
        Ok(())
    }

    /// That a relation, which brings a type of its name along, can have the name.
    pub(in crate::bind) fn check_row_type_name(&self, schema: &str, name: &str) -> Result<()> {
        self.check_type_name(schema, name).map_err(|error| {
            error.hint(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.",
            )
        })
    }

    /// Where the text of a view's query, or of a policy that asks one, has to stay as it is, what it names cannot be
    /// renamed.
    pub(super) fn check_not_viewed(&self, kind: TypeKind) -> Result<()> {
        let asking =
            self.catalog.tables().flat_map(|table| &table.row_security.policies).flat_map(|policy| {
                let conditions = policy.conditions().filter(|condition| condition.asks);
                conditions.map(|condition| ("policy", policy.name.as_str(), &condition.written))
            });
        for (word, name, view) in self.catalog.queries().chain(asking) {
            let reads = view.relations.iter().any(|relation| {
                let columns =
                    self.catalog.table_by_oid(relation.oid).into_iter().flat_map(|table| &table.columns);
                columns
                    .filter(|column| relation.read.contains(&column.id))
                    .any(|column| column.ty.kind.made_oid() == Some(kind.oid()))
            });
            if reads || view.types.contains(&kind.oid()) {
                let message = format!(
                    "renaming what {word} \"{name}\" may name: type {} or a value of it",
                    kind.display_name()
                );
                return Err(Error::unsupported(message));
            }
        }
        Ok(())
    }

    pub(super) fn rename_type(&mut self, object: &ObjectName, to: &Name) -> Result<Bound> {
        let kind = self.altered_type(object)?;
        let schema = self.schema_of_type(kind)?;
        self.check_type_name(&schema, &to.value)?;
        if self.catalog.table(&schema, &to.value).is_some() {
            return Err(taken(&to.value));
        }
        self.check_not_viewed(kind)?;
        let tag = object.kind.altered();
        change(ObjectChange::Rename { object: Target::Type { kind }, to: to.value.clone(), tag })
    }

    pub(super) fn move_type(&mut self, object: &ObjectName, to: &Name) -> Result<Bound> {
        let kind = self.altered_type(object)?;
        let tag = object.kind.altered();
        let Target::Schema { name: schema, .. } = self.schema(to)? else {
            return Err(Error::internal("a schema that is none"));
        };
        let from = self.schema_of_type(kind)?;
        if schema == from {
            return nothing(tag);
        }
        self.check_creation_schema(to)?;
        let own =
            self.catalog.objects().get(kind.oid()).map(|object| object.name.clone()).unwrap_or_default();
        if self.catalog.objects().type_named(&schema, &own).is_some()
            || self.catalog.table(&schema, &own).is_some()
        {
            let message = format!("type \"{own}\" already exists in schema \"{schema}\"");
            return Err(Error::new("42710", message));
        }
        self.check_not_viewed(kind)?;
        change(ObjectChange::Type(TypeChange::Move { oid: kind.oid(), schema, tag }))
    }

    fn schema_of_type(&self, kind: TypeKind) -> Result<String> {
        let object = self.catalog.objects().get(kind.oid());
        object.map(|object| object.schema.clone()).ok_or_else(|| Error::internal("a type without a row"))
    }

    /// The type that DROP names.
    pub(super) fn dropped_type(
        &mut self,
        wanted: ObjectKind,
        name: &QualifiedName,
        if_exists: bool,
    ) -> Result<Option<Target>> {
        let within = name.schema.as_ref().map(|schema| schema.value.as_str());
        let range = self.catalog.objects().range_of_multirange(within, &name.name.value);
        let target = match (self.type_target(name), range) {
            (Err(error), Some(range)) if error.sqlstate == "0A000" => {
                let range = range.display_name();
                let message = format!("cannot drop type {} because type {range} requires it", shown(name));
                let hint = format!("You can drop type {range} instead.");
                return Err(Error::new("2BP01", message).hint(hint));
            }
            (Err(error), _) => return self.not_there(error, if_exists),
            (Ok(target), _) => target,
        };
        let Target::Type { kind } = &target else { return Ok(None) };
        if wanted == ObjectKind::Domain && !kind.is_domain() {
            return Err(Error::new("42809", format!("\"{}\" is not a domain", shown(name))));
        }
        if let Some(extension) = kind.extension().filter(|_| kind.is_built_in()) {
            let (name, hint) = (kind.display_name(), format!("You can drop extension {extension} instead."));
            let message = format!("cannot drop type {name} because extension {extension} requires it");
            return Err(Error::new("2BP01", message).hint(hint));
        }
        if kind.is_built_in() {
            let message = format!(
                "cannot drop type {} because it is required by the database system",
                kind.display_name()
            );
            return Err(Error::new("2BP01", message));
        }
        if kind.made_oid() != Some(kind.oid()) {
            let element = kind.element().map_or("", TypeKind::display_name);
            let message =
                format!("cannot drop type {} because type {element} requires it", kind.display_name());
            let hint = format!("You can drop type {element} instead.");
            return Err(Error::new("2BP01", message).hint(hint));
        }
        Ok(Some(target))
    }
}

pub(super) fn taken(name: &str) -> Error {
    Error::new("42710", format!("type \"{name}\" already exists"))
}

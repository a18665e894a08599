//! Names of types.

use std::sync::Arc;

use expr::types::{Form, Order};
use expr::{Type, TypeKind};

use super::Binder;
use crate::catalog::{SearchPath, TableDescriptor, schema};
use crate::error::{Error, Result};
use crate::parse::ast::TypeName;

/// 42883 if values of the type cannot be compared: `an equality` or `an ordering` is what is asked for.
pub(super) fn comparable(ty: Type, operator: &str, at: usize) -> Result<()> {
    let is_there = match operator {
        "an ordering" => ty.kind.is_ordered(),
        _ => ty.kind.order() != Order::None,
    };
    if is_there || ty.kind.form() == Form::None {
        return Ok(());
    }
    let message = format!("could not identify {operator} operator for type {}", ty.kind.display_name());
    let error = Error::new("42883", message).at(at);
    Err(match operator {
        "an ordering" => error.hint("Use an explicit ordering operator or modify the query."),
        _ => error,
    })
}

/// 42883 if values of the type, of which an aggregate takes each once, have no order.
pub(super) fn sortable(ty: Type, at: usize) -> Result<()> {
    if ty.kind.order() != Order::Hashed {
        return Ok(());
    }
    let message = format!("could not identify an ordering operator for type {}", ty.kind.display_name());
    let detail = "Aggregates with DISTINCT must be able to sort their inputs.";
    Err(Error::new("42883", message).detail(detail).at(at))
}

/// 42883 if nothing tells which of two values of the type is the greater.
pub(super) fn sorted_by_a_function(ty: Type) -> Result<()> {
    if ty.kind.is_ordered() || ty.kind.form() == Form::None {
        return Ok(());
    }
    let shown = ty.kind.display_name();
    Err(Error::new("42883", format!("could not identify a comparison function for type {shown}")))
}

/// 42804 if values of the type have no collation.
pub(super) fn collatable(ty: Type, at: usize) -> Result<()> {
    let is_text = |kind: TypeKind| {
        matches!(
            kind.base(),
            TypeKind::Text | TypeKind::Varchar | TypeKind::Bpchar | TypeKind::Name | TypeKind::Citext
        )
    };
    if is_text(ty.kind.base().element().unwrap_or(ty.kind)) || ty.kind == TypeKind::Unknown {
        return Ok(());
    }
    let message = format!("collations are not supported by type {}", ty.kind.display_name());
    Err(Error::new("42804", message).at(at))
}

impl Binder<'_> {
    /// The type of this name.
    pub(super) fn type_of(&self, name: &TypeName) -> Result<Type> {
        let shown = match &name.schema {
            Some(schema) => format!("{schema}.{}", name.name),
            None => name.name.clone(),
        };
        let is_multirange = || {
            let range = self.catalog.objects().range_of_multirange(name.schema.as_deref(), &name.name);
            range.is_some()
        };
        let missing = || match self.relation_called(name) {
            Some(_) => Error::unsupported(format!("the row type of relation \"{shown}\"")).at(name.at),
            None if is_multirange() => Error::unsupported(format!("multirange {shown}")).at(name.at),
            None => Error::new("42704", format!("type \"{shown}\" does not exist")).at(name.at),
        };
        let kind = self.type_named(name.schema.as_deref(), &name.name).map_err(|error| error.at(name.at))?;
        let kind = kind.ok_or_else(missing)?;
        self.note_type(name.schema.as_deref(), (name.name.as_str(), name.at), kind);
        let brought = self.catalog.objects().bringer(kind).map(|extension| extension.oid);
        self.types_named.borrow_mut().extend(kind.made_oid().or(brought));
        let kind = match name.array {
            true => kind.array().ok_or_else(|| match kind.is_domain() || kind.is_vector() {
                true => Error::unsupported(format!("arrays of type {shown}")).at(name.at),
                false => missing(),
            })?,
            false => kind,
        };
        let element = kind.element().unwrap_or(kind);
        let modifier = element.modifier(&name.modifiers).map_err(|error| Error::from(error).at(name.at))?;
        Ok(Type { kind, modifier })
    }

    /// The type that a domain is over at last, with its modifier; any other type itself.
    pub(super) fn beneath(&self, ty: Type) -> Type {
        self.catalog.objects().over(ty.kind).unwrap_or(ty)
    }

    /// The relation whose rows are of the type of this name.
    pub(super) fn relation_called(&self, name: &TypeName) -> Option<&Arc<TableDescriptor>> {
        match &name.schema {
            Some(schema) => self.catalog.table(schema, &name.name),
            None => self.catalog.find_table(self.settings.search_path, &name.name),
        }
    }

    /// The type that a name means: along the search path, or in a view's query what it meant then.
    ///
    /// # Errors
    /// 3F000: there is no such schema.
    pub(super) fn type_named(&self, schema: Option<&str>, name: &str) -> Result<Option<TypeKind>> {
        let objects = self.catalog.objects();
        let within = |schema: &str| match schema {
            schema::PG_CATALOG => TypeKind::from_name(name),
            schema => objects.type_named(schema, name),
        };
        let brought = || objects.type_brought(name).map(|(kind, _)| kind);
        let viewed = self.viewed_types();
        let is_viewed = |kind: &TypeKind| kind.made_oid().is_some_and(|oid| viewed.contains(&oid));
        let usual = || SearchPath::default().lookup(objects).find_map(within);
        let meant = || {
            let meant = viewed.iter().filter_map(move |oid| objects.get(*oid));
            meant.filter(move |object| object.name == name).filter_map(|object| object.kind())
        };
        match schema {
            Some(schema) => {
                let found = within(schema);
                if !found.as_ref().is_some_and(is_viewed) {
                    // Its schema may be called otherwise now than when a view's query was made.
                    let moved = meant().find(|kind| !usual().is_some_and(|usual| usual.is_same(*kind)));
                    if let Some(kind) = moved.or_else(|| meant().next()) {
                        return Ok(Some(kind));
                    }
                }
                match objects.schema_oid(schema) {
                    Some(_) => Ok(found),
                    None => Err(Error::new("3F000", format!("schema \"{schema}\" does not exist"))),
                }
            }
            // What an extension has brought is called there as if it were always in sight.
            None if self.reads_kept => Ok(usual().or_else(brought)),
            None => {
                // What was meant then is no other type of that name now. Of two of one name the other one has its schema before it.
                let known = match viewed.is_empty() {
                    true => None,
                    false => usual().filter(is_viewed).or_else(|| meant().next()),
                };
                Ok(known.or_else(|| match self.is_within_known() {
                    true => usual().or_else(brought),
                    false => self.settings.search_path.lookup(objects).find_map(within),
                }))
            }
        }
    }

    /// What is bound of a text that the catalog keeps. Whatever the session's search path: types are called there what one
    /// who has not changed it calls them, and a call by name is of what is built in, whoever has made another since.
    pub(super) fn of_kept<T>(&mut self, bind: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.reads_kept, true);
        let calls = std::mem::replace(&mut self.calls_kept, true);
        let bound = bind(self);
        self.calls_kept = calls;
        self.reads_kept = before;
        bound
    }

    /// The type of this name, if a table's column may have it.
    pub(super) fn column_type(&self, name: &TypeName, column: &str) -> Result<Type> {
        let ty = self.type_of(name)?;
        if ty.kind.is_storable() {
            return Ok(ty);
        }
        let shown = ty.display_name();
        Err(Error::new("42P16", format!("column \"{column}\" has pseudo-type {shown}")))
    }
}

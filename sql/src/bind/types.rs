//! Names of types.

use expr::{Type, TypeKind};

use super::Binder;
use crate::catalog::schema;
use crate::error::{Error, Result};
use crate::parse::ast::TypeName;

impl Binder<'_> {
    /// The type of this name.
    pub(super) fn type_of(&self, name: &TypeName) -> Result<Type> {
        let shown = match &name.schema {
            Some(schema) => format!("{schema}.{}", name.name),
            None => name.name.clone(),
        };
        let missing = || Error::new("42704", format!("type \"{shown}\" does not exist")).at(name.at);
        if name.schema.as_deref().is_some_and(|given| given != schema::PG_CATALOG) {
            return Err(missing());
        }
        let kind = TypeKind::from_name(&name.name).ok_or_else(missing)?;
        let kind = if name.array { kind.array().ok_or_else(missing)? } else { kind };
        let element = kind.element().unwrap_or(kind);
        let modifier = element.modifier(&name.modifiers).map_err(|error| Error::from(error).at(name.at))?;
        // An array's elements are not cut to length: 0A000 rather than a wrong value.
        if name.array && modifier != -1 && !(element == TypeKind::Bpchar && name.modifiers == [1]) {
            return Err(Error::unsupported("an array of a type with a modifier").at(name.at));
        }
        Ok(Type { kind, modifier: if name.array { -1 } else { modifier } })
    }

    /// The type of this name, if a table's column may have it.
    pub(super) fn column_type(&self, name: &TypeName, column: &str) -> Result<Type> {
        let ty = self.type_of(name)?;
        if ty.kind.is_storable() {
            return Ok(ty);
        }
        let shown = ty.display_name();
        match ty.kind.element() {
            Some(_) => Err(Error::unsupported(format!("a column of type {shown}")).at(name.at)),
            None => Err(Error::new("42P16", format!("column \"{column}\" has pseudo-type {shown}"))),
        }
    }
}

//! Names of types.

use expr::types::{Form, Order};
use expr::{Type, TypeKind};

use super::Binder;
use crate::catalog::schema;
use crate::error::{Error, Result};
use crate::parse::ast::TypeName;

/// 42883 if values of the type cannot be compared: `an equality` or `an ordering` is what is asked for.
pub(super) fn comparable(ty: Type, operator: &str, at: usize) -> Result<()> {
    if ty.kind.order() != Order::None || ty.kind.form() == Form::None {
        return Ok(());
    }
    let message = format!("could not identify {operator} operator for type {}", ty.kind.display_name());
    let error = Error::new("42883", message).at(at);
    Err(match operator {
        "an ordering" => error.hint("Use an explicit ordering operator or modify the query."),
        _ => error,
    })
}

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
        Ok(Type { kind, modifier })
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

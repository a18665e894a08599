//! What the values of made types are, for sessions that know no more of the catalog: those in which the texts that it keeps
//! are read and printed, the same for everybody.

use std::sync::Arc;

use expr::session::CatalogFunctions;
use expr::{Datum, Error, Result, SessionContext, Shape, Type, TypeKind};

use super::Objects;
use super::types::EnumLabel;

/// The made types of a catalog.
#[derive(Debug)]
pub(in crate::catalog) struct Known(pub(in crate::catalog) Arc<Objects>);

impl Objects {
    /// The value of an enum's label; `name` is what the session calls the enum.
    ///
    /// # Errors
    /// 22P02: it has no such label; 55P04: nobody may use it yet.
    pub fn enum_value(&self, kind: TypeKind, label: &str, name: impl FnOnce() -> String) -> Result<Datum> {
        match self.enumerated(self.held(kind)).and_then(|own| own.label(label)) {
            Some(found) => usable(found, name),
            None => Err(Error::new("22P02", format!("invalid input value for enum {}: \"{label}\"", name()))),
        }
    }

    /// The label of an enum's value.
    pub fn enum_label(&self, kind: TypeKind, key: &[u8]) -> Option<Arc<str>> {
        Some(self.enumerated(self.held(kind))?.stored(key)?.label.as_str().into())
    }

    /// All values of an enum, in order.
    ///
    /// # Errors
    /// 55P04: nobody may use one of them yet.
    pub fn enum_values(&self, kind: TypeKind, name: impl Fn() -> String) -> Result<Vec<Datum>> {
        let labels = self.enumerated(self.held(kind)).map(|own| own.labels()).unwrap_or_default();
        labels.iter().map(|label| usable(label, &name)).collect()
    }
}

/// A label's value, if what added it is committed.
fn usable(label: &EnumLabel, name: impl FnOnce() -> String) -> Result<Datum> {
    if !label.is_fresh {
        return Ok(Datum::Bytea(label.key.clone()));
    }
    let message = format!("unsafe use of new value \"{}\" of enum type {}", label.label, name());
    Err(Error::new("55P04", message).with_hint("New enum values must be committed before they can be used."))
}

impl CatalogFunctions for Known {
    fn call(&self, name: &str, _: &[Datum]) -> Result<Datum> {
        Err(Error::unsupported(format!("function {name} is not supported")))
    }

    fn reg_name(&self, _: TypeKind, _: u32) -> Option<String> {
        None
    }

    fn reg_oid(&self, kind: TypeKind, name: &str) -> Result<u32> {
        Err(Error::new("42704", format!("{} \"{name}\" does not exist", kind.display_name())))
    }

    fn enum_value(&self, kind: TypeKind, label: &str) -> Result<Datum> {
        self.0.enum_value(kind, label, || kind.display_name().to_owned())
    }

    fn enum_label(&self, kind: TypeKind, key: &[u8]) -> Option<Arc<str>> {
        self.0.enum_label(kind, key)
    }

    fn enum_values(&self, kind: TypeKind) -> Result<Vec<Datum>> {
        self.0.enum_values(kind, || kind.display_name().to_owned())
    }

    fn attributes(&self, kind: TypeKind) -> Option<Arc<Shape>> {
        self.0.attributes(kind)
    }

    fn over(&self, domain: TypeKind) -> Option<Type> {
        self.0.over(domain)
    }

    /// What stands in a text that is kept was judged when that was made.
    fn judge(&self, _: TypeKind, _: &Datum, _: &SessionContext) -> Result<()> {
        Ok(())
    }

    fn type_of_oid(&self, oid: u32) -> Option<TypeKind> {
        self.0.kind(oid)
    }
}

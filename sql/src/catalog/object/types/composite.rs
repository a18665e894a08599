//! Composite types: attributes side by side.

use std::sync::Arc;

use expr::Shape;

use crate::catalog::Oid;

/// A composite type.
///
/// # Invariants
/// - Its attributes have distinct names, and types that values can be stored of.
/// - Where anything depends on it, its attributes keep their order and types; values that were stored before one was added
///   lack it, and it is NULL there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompositeDescriptor {
    /// What it is in `pg_class`.
    pub relation: Oid,
    /// Its attributes.
    pub attributes: Arc<Shape>,
}

impl CompositeDescriptor {
    /// The made types that its attributes are of, by the number of each.
    pub fn made_of(&self) -> impl Iterator<Item = (u32, Oid)> {
        let numbered = (1..).zip(self.attributes.types());
        numbered.filter_map(|(number, ty)| Some((number, ty.kind.made_oid()?)))
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        for (place, (name, ty)) in self.attributes.fields().enumerate() {
            if self.attributes.place(name) != Some(place) {
                return Err("two of its attributes have one name");
            }
            if !ty.kind.is_storable() {
                return Err("it has an attribute of a type that cannot be one");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expr::{Type, TypeKind};

    use super::*;

    fn of(fields: &[(&str, TypeKind)]) -> CompositeDescriptor {
        let fields = fields.iter().map(|(name, kind)| ((*name).to_owned(), Type::plain(*kind)));
        CompositeDescriptor { relation: 20_000, attributes: Arc::new(Shape::new(fields)) }
    }

    #[test]
    fn attributes_have_names_of_their_own_and_types_that_are_stored() {
        of(&[]).check().unwrap();
        of(&[("a", TypeKind::Int4), ("b", TypeKind::TextArray)]).check().unwrap();
        assert!(of(&[("a", TypeKind::Int4), ("a", TypeKind::Text)]).check().is_err());
        assert!(of(&[("a", TypeKind::Record)]).check().is_err());
    }
}

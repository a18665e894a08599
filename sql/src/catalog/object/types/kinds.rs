//! The types that a catalog knows, by oid.

use std::collections::BTreeMap;

use expr::TypeKind;

use crate::catalog::Oid;

/// Types that were made, and those of their arrays, beside the built-in ones.
#[derive(Debug, Clone, Default)]
pub struct Kinds(BTreeMap<Oid, TypeKind>);

impl Kinds {
    /// The type of this oid.
    pub fn find(&self, oid: Oid) -> Option<TypeKind> {
        TypeKind::from_oid(oid).or_else(|| self.0.get(&oid).copied())
    }

    /// Adds a type with that of its arrays.
    pub(in crate::catalog) fn put(&mut self, kind: TypeKind) {
        for kind in [Some(kind), kind.array()].into_iter().flatten() {
            self.0.insert(kind.oid(), kind);
        }
    }

    /// Removes a type with that of its arrays.
    pub(in crate::catalog) fn remove(&mut self, oid: Oid) {
        self.0.retain(|_, kind| kind.made_oid() != Some(oid));
    }
}

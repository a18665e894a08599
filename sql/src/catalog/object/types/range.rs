//! Ranges: what lies between two values of a type.

use expr::TypeKind;
use expr::functions::range_made;

/// A range.
///
/// # Invariants
/// - The type of its bounds is an older one, built in, an enum, or a domain over either; its values can be bounds
///   ([`range_made::can_bound`]).
/// - No type of its schema has the name of its multirange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeDescriptor {
    /// What its bounds are of.
    pub subtype: TypeKind,
    /// The operator class by which they are ordered, if that is not the one that the type has anyway; all order alike.
    pub class: Option<String>,
    /// The collation, if it is not that of the type: `C` or `POSIX`.
    pub collation: Option<String>,
    /// The function that says how far bounds are apart, by its oid in PostgreSQL; 0 = none. Nothing calls it.
    pub diff: u32,
    /// What its multirange is called. There is no such type, but no other has the name.
    pub multirange: String,
}

impl RangeDescriptor {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if !range_made::can_bound(self.subtype) || !self.subtype.is_storable() {
            return Err("it is a range of a type that has no ranges");
        }
        match self.multirange.is_empty() {
            true => Err("its multirange has no name"),
            false => Ok(()),
        }
    }
}

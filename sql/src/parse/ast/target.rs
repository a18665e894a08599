//! Objects of the catalog as statements name them.

use super::QualifiedName;

/// What kind of object a statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A table.
    Table,
    /// A sequence.
    Sequence,
    /// A view.
    View,
    /// A materialised view.
    MaterialisedView,
    /// A schema.
    Schema,
    /// An index.
    Index,
    /// A type.
    Type,
    /// A domain.
    Domain,
    /// An extension.
    Extension,
}

/// An object as ALTER names it.
#[derive(Debug, Clone)]
pub struct ObjectName {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: QualifiedName,
    /// IF EXISTS
    pub if_exists: bool,
}

//! Objects of the catalog that are no tables: schemas, sequences, views, types and functions.
//!
//! Each has an oid, a name and a row of its own ([`stored`]). Sequences and views are relations as well: they share
//! the names of tables, and can be read like them. What depends on what is in [`super::depend`].

mod function;
mod known;
mod sequence;
mod set;
pub mod stored;
pub mod types;
mod view;

pub use super::view::{CheckOption, ViewColumn, ViewDescriptor, ViewOptions, ViewRelation};
pub use function::{FunctionBody, FunctionDescriptor, Parallel, Parameter, ParameterMode};
pub(super) use known::Known;
pub use sequence::{Identity, SequenceDescriptor, SequenceOwner, SequenceState};
pub use set::Objects;
pub use types::{Kinds, TypeDescriptor};

use expr::TypeKind;

use super::{Oid, TableDescriptor};

/// An object that is no table.
///
/// Invariants, checked by [`ObjectDescriptor::check`] whenever one is read or written: it has a name; all but schemas have a
/// schema; what it is satisfies its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDescriptor {
    /// Its identity. Survives renaming.
    pub oid: Oid,
    /// The schema's name; empty of a schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub body: ObjectBody,
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectBody {
    /// A schema.
    Schema,
    /// The schema of a session's temporary objects. It stands in no row.
    TemporarySchema,
    /// The schema that was there from the beginning, and is gone: there is no object of this oid and name.
    Gone,
    /// A sequence.
    Sequence(SequenceDescriptor),
    /// A view.
    View(ViewDescriptor),
    /// A type.
    Type(TypeDescriptor),
    /// An extension, by its version: its functions are there.
    Extension(String),
    /// A function.
    Function(Box<FunctionDescriptor>),
}

impl ObjectDescriptor {
    /// Whether it is of one session alone.
    pub fn is_temporary(&self) -> bool {
        self.body == ObjectBody::TemporarySchema || self.schema == super::schema::TEMPORARY
    }

    /// The sequence, if it is one.
    pub fn sequence(&self) -> Option<&SequenceDescriptor> {
        match &self.body {
            ObjectBody::Sequence(sequence) => Some(sequence),
            _ => None,
        }
    }

    /// The type, if it is one.
    pub fn made_type(&self) -> Option<&TypeDescriptor> {
        match &self.body {
            ObjectBody::Type(made) => Some(made),
            _ => None,
        }
    }

    /// The type, for expressions, if it is one.
    pub fn kind(&self) -> Option<TypeKind> {
        Some(self.made_type()?.kind(self.oid, &self.schema, &self.name))
    }

    /// The function, if it is one.
    pub fn function(&self) -> Option<&FunctionDescriptor> {
        match &self.body {
            ObjectBody::Function(function) => Some(function),
            _ => None,
        }
    }

    /// The query that it is kept by, if names in it mean what they meant then: a view's, or a function's.
    pub fn kept_query(&self) -> Option<&ViewDescriptor> {
        match &self.body {
            ObjectBody::View(view) => Some(view),
            ObjectBody::Function(function) => function.query(),
            _ => None,
        }
    }

    /// The view, if it is one.
    pub fn view(&self) -> Option<&ViewDescriptor> {
        match &self.body {
            ObjectBody::View(view) => Some(view),
            _ => None,
        }
    }

    /// The relation that it is read as, if it can be.
    pub(super) fn relation(&self) -> Option<TableDescriptor> {
        match &self.body {
            ObjectBody::Schema
            | ObjectBody::TemporarySchema
            | ObjectBody::Gone
            | ObjectBody::Type(_)
            | ObjectBody::Extension(_)
            | ObjectBody::Function(_) => None,
            ObjectBody::Sequence(_) => Some(sequence::relation(self.oid, &self.schema, &self.name)),
            ObjectBody::View(view) => Some(view::relation(self.oid, &self.schema, &self.name, view)),
        }
    }

    /// What is wrong with the descriptor, if anything is.
    pub fn check(&self) -> Result<(), String> {
        let complain = |what: &str| Err(format!("object {} ({}): {what}", self.name, self.oid));
        if self.name.is_empty() {
            return complain("it has no name");
        }
        match &self.body {
            ObjectBody::Schema | ObjectBody::TemporarySchema | ObjectBody::Gone
                if !self.schema.is_empty() =>
            {
                complain("a schema in a schema")
            }
            ObjectBody::Schema | ObjectBody::TemporarySchema | ObjectBody::Gone => Ok(()),
            _ if self.schema.is_empty() => complain("it has no schema"),
            ObjectBody::Sequence(sequence) => sequence.check().or_else(complain),
            ObjectBody::View(view) => view.check().or_else(complain),
            ObjectBody::Type(made) => made.check().or_else(complain),
            ObjectBody::Extension(_) => Ok(()),
            ObjectBody::Function(function) => function.check().or_else(complain),
        }
    }
}

//! Types that users have made. Each brings the type of its arrays along, whose oid is the one behind its own.

mod composite;
mod domain;
mod enumerated;
mod kinds;
mod range;

pub use composite::CompositeDescriptor;
pub use domain::{DomainCheck, DomainDescriptor};
pub use enumerated::{EnumDescriptor, EnumLabel, EnumPlace};
pub use kinds::Kinds;
pub use range::RangeDescriptor;

use expr::TypeKind;
use expr::types::Symbol;

use crate::catalog::{Oid, schema};

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeDescriptor {
    /// An enum.
    Enum(EnumDescriptor),
    /// A domain.
    Domain(DomainDescriptor),
    /// A composite type.
    Composite(CompositeDescriptor),
    /// A range.
    Range(RangeDescriptor),
}

impl TypeDescriptor {
    /// The type whose values are held alike.
    pub fn like(&self) -> TypeKind {
        match self {
            Self::Enum(_) => TypeKind::Enum,
            Self::Domain(own) => own.like(),
            Self::Composite(_) => TypeKind::Record,
            Self::Range(_) => TypeKind::MadeRange,
        }
    }

    /// The type, for expressions.
    pub fn kind(&self, oid: Oid, schema: &str, name: &str) -> TypeKind {
        let spelled = spelled(schema, name);
        match self {
            Self::Domain(own) => TypeKind::domain(oid, own.like(), &spelled),
            Self::Range(own) => TypeKind::range(oid, own.subtype, &spelled),
            Self::Enum(_) | Self::Composite(_) => TypeKind::made(oid, self.like(), Symbol::of(&spelled)),
        }
    }

    /// Whether it is a domain over what was made, or has attributes of domains.
    pub(super) fn has_domains_within(&self) -> bool {
        let is_domain = |kind: TypeKind| kind.is_domain() || kind.element().is_some_and(TypeKind::is_domain);
        match self {
            Self::Enum(_) | Self::Range(_) => false,
            Self::Domain(own) => !own.like().is_built_in(),
            Self::Composite(own) => own.attributes.types().iter().any(|ty| is_domain(ty.kind)),
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Enum(own) => own.check(),
            Self::Domain(own) => own.check(),
            Self::Composite(own) => own.check(),
            Self::Range(own) => own.check(),
        }
    }
}

/// What SQL calls a type, as one who has not changed the search path sees it.
fn spelled(schema: &str, name: &str) -> String {
    let is_built_in = TypeKind::from_name(name).is_some();
    let name = expr::functions::quote::identifier(name);
    match schema {
        schema::PUBLIC if !is_built_in => name,
        schema => format!("{}.{name}", expr::functions::quote::identifier(schema)),
    }
}

/// What `pg_type` calls the arrays of a type.
pub fn array_name(name: &str) -> String {
    /// The longest name in bytes.
    const NAME_BYTES_MAX: usize = 63;
    let mut array = format!("_{name}");
    while array.len() > NAME_BYTES_MAX {
        array.pop();
    }
    array
}

//! Domains: a type, with a default and what its values have to be.

use expr::{Type, TypeKind};

use crate::catalog::Oid;

/// A domain.
///
/// # Invariants
/// - The type that it is over is no pseudo-type, and none that is made of it; names of checks are distinct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainDescriptor {
    /// What it is over.
    pub base: Type,
    /// Its default as SQL text.
    pub default: Option<String>,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Conditions on `VALUE`.
    pub checks: Vec<DomainCheck>,
}

/// A condition on the values of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainCheck {
    /// Its identity.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// The condition as SQL text.
    pub expression: String,
    /// Whether all values that are there have been found right.
    pub validated: bool,
}

impl DomainDescriptor {
    /// The type that it is over at last.
    pub fn like(&self) -> TypeKind {
        self.base.kind.base()
    }

    /// The check of this name.
    pub fn check_named(&self, name: &str) -> Option<&DomainCheck> {
        self.checks.iter().find(|check| check.name == name)
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        for (place, check) in self.checks.iter().enumerate() {
            if self.checks.iter().take(place).any(|other| other.name == check.name) {
                return Err("two of its checks have one name");
            }
        }
        Ok(())
    }
}

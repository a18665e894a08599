//! CREATE, ALTER and DROP POLICY.

use super::{DefaultDefinition, Name, QualifiedName, RoleReference};
use crate::catalog::PolicyCommand;

/// A statement about a policy.
#[derive(Debug, Clone)]
pub struct PolicyStatement {
    /// Its name.
    pub name: Name,
    /// Its table.
    pub table: QualifiedName,
    /// What is done.
    pub action: PolicyAction,
}

/// What is done with a policy.
#[derive(Debug, Clone)]
pub enum PolicyAction {
    /// CREATE
    Create {
        /// AS PERMISSIVE, which is the default, rather than RESTRICTIVE.
        permissive: bool,
        /// FOR
        command: PolicyCommand,
        /// TO; nobody: everybody.
        roles: Vec<RoleReference>,
        /// What it asks.
        conditions: PolicyConditions,
    },
    /// ALTER
    Alter {
        /// TO
        roles: Option<Vec<RoleReference>>,
        /// What it asks, as far as that changes.
        conditions: PolicyConditions,
    },
    /// RENAME TO
    Rename {
        /// The new name.
        to: Name,
    },
    /// DROP
    Drop {
        /// IF EXISTS
        if_exists: bool,
    },
}

/// What a policy asks.
#[derive(Debug, Clone, Default)]
pub struct PolicyConditions {
    /// USING
    pub using: Option<DefaultDefinition>,
    /// WITH CHECK
    pub check: Option<DefaultDefinition>,
}

/// ENABLE, DISABLE, FORCE, NO FORCE ROW LEVEL SECURITY
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSecurityChange {
    /// ENABLE
    Enable,
    /// DISABLE
    Disable,
    /// FORCE
    Force,
    /// NO FORCE
    NoForce,
}

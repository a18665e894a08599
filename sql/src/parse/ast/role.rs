//! Roles as statements name them.

use super::Name;

/// A role as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleReference {
    /// By its name.
    Named(Name),
    /// PUBLIC: everybody.
    Public(usize),
    /// CURRENT_USER, CURRENT_ROLE
    CurrentUser,
    /// SESSION_USER
    SessionUser,
}

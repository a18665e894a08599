//! Row-level security of a table: its policies, and whether they are in force.
//!
//! A policy says which rows of its table some roles see and write: `USING` of rows that are there, `WITH CHECK` of rows that are
//! to be. Its conditions are kept as text, like a view's query, with what their names meant when they were written
//! ([`super::ViewRelation`]): so renaming changes nothing of them. What is asked of a statement's rows is put together when
//! it is bound.

use super::{ColumnId, Oid, ViewDescriptor};

/// What a table has of row-level security.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSecurity {
    /// ENABLE ROW LEVEL SECURITY
    pub enabled: bool,
    /// FORCE ROW LEVEL SECURITY: its owner is bound, too.
    pub forced: bool,
    /// The policies, by name.
    pub policies: Vec<Policy>,
}

impl RowSecurity {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        !self.enabled && !self.forced && self.policies.is_empty()
    }

    /// The policy of this name.
    pub fn named(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }

    /// Adds a policy, or puts it in place of the one of its name.
    pub fn put(&mut self, policy: Policy) {
        self.policies.retain(|own| own.name != policy.name);
        let place = self.policies.partition_point(|own| own.name < policy.name);
        self.policies.insert(place, policy);
    }
}

/// What a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyCommand {
    /// ALL
    All,
    /// SELECT
    Select,
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
}

impl PolicyCommand {
    /// All of them, each with its keyword and `polcmd`.
    pub const TABLE: [(Self, &'static str, &'static str); 5] = [
        (Self::All, "ALL", "*"),
        (Self::Select, "SELECT", "r"),
        (Self::Insert, "INSERT", "a"),
        (Self::Update, "UPDATE", "w"),
        (Self::Delete, "DELETE", "d"),
    ];

    fn row(self) -> (&'static str, &'static str) {
        let found = Self::TABLE.iter().find(|(own, ..)| *own == self);
        found.map_or(("ALL", "*"), |(_, keyword, letter)| (keyword, letter))
    }

    /// Its keyword.
    pub fn keyword(self) -> &'static str {
        self.row().0
    }

    /// `polcmd`
    pub fn letter(self) -> &'static str {
        self.row().1
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its identity.
    pub oid: Oid,
    /// Its name, distinct within the table.
    pub name: String,
    /// PERMISSIVE: one of those has to let a row pass; RESTRICTIVE: each of those has to.
    pub permissive: bool,
    /// What it is about.
    pub command: PolicyCommand,
    /// Whom it binds; [`super::access::PUBLIC_ROLE`] alone for everybody.
    pub roles: Vec<Oid>,
    /// USING
    pub using: Option<PolicyCondition>,
    /// WITH CHECK
    pub check: Option<PolicyCondition>,
}

impl Policy {
    /// Its conditions.
    pub fn conditions(&self) -> impl Iterator<Item = &PolicyCondition> {
        self.using.iter().chain(&self.check)
    }

    /// Whether it is about a command.
    pub fn is_about(&self, command: PolicyCommand) -> bool {
        self.command == PolicyCommand::All || self.command == command
    }
}

/// A condition of a policy, over a row of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyCondition {
    /// As it is written, what its subqueries name, and the made types that it names; it has no columns.
    pub written: ViewDescriptor,
    /// What the table was called then.
    pub table: String,
    /// What its columns were called then.
    pub columns: Vec<(ColumnId, String)>,
    /// Which of them it reads.
    pub read: Vec<ColumnId>,
    /// Whether it has subqueries, or names the row as a whole: what is kept is its text, as it was written.
    pub asks: bool,
}

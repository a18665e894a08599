//! Roles and who is a member of which.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::Oid;

/// Everybody, where rights are granted to roles.
pub const PUBLIC_ROLE: Oid = 0;
/// The superuser that is there from the beginning and cannot go; it owns what nobody else does.
pub const BOOTSTRAP_OID: Oid = 10;
/// The superusers that are there from the beginning: as PostgreSQL's tools expect it, and as `nunatak` connects.
pub const BOOTSTRAP_ROLES: [(Oid, &str); 2] = [(BOOTSTRAP_OID, "postgres"), (16383, "nunatak")];

/// Its members may end what others but superusers run.
pub const PG_SIGNAL_BACKEND_OID: Oid = 4200;
/// Its members see what all sessions do.
pub const PG_READ_ALL_STATS_OID: Oid = 3375;
/// Its members may read all tables, views and sequences.
pub const PG_READ_ALL_DATA_OID: Oid = 6181;
/// Its members may write all tables, views and sequences.
pub const PG_WRITE_ALL_DATA_OID: Oid = 6182;

/// PG_MONITOR
const PG_MONITOR_OID: Oid = 3373;

/// The roles that stand for something to be allowed, as in PostgreSQL. There is no row of them, and they do not change.
const PREDEFINED_ROLES: [(Oid, &str); 12] = [
    (PG_MONITOR_OID, "pg_monitor"),
    (3374, "pg_read_all_settings"),
    (PG_READ_ALL_STATS_OID, "pg_read_all_stats"),
    (3377, "pg_stat_scan_tables"),
    (PG_SIGNAL_BACKEND_OID, "pg_signal_backend"),
    (4544, "pg_checkpoint"),
    (4569, "pg_read_server_files"),
    (4570, "pg_write_server_files"),
    (4571, "pg_execute_server_program"),
    (6171, "pg_database_owner"),
    (PG_READ_ALL_DATA_OID, "pg_read_all_data"),
    (PG_WRITE_ALL_DATA_OID, "pg_write_all_data"),
];

/// A role.
#[derive(Clone, PartialEq, Eq)]
pub struct RoleDescriptor {
    /// Its identity.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// Nothing is denied to it.
    pub superuser: bool,
    /// It has the rights of the roles that it is a member of without becoming them.
    pub inherit: bool,
    /// It may make, change and drop roles.
    pub create_role: bool,
    /// It may make databases.
    pub create_database: bool,
    /// It may log in.
    pub login: bool,
    /// REPLICATION: kept, without effect.
    pub replication: bool,
    /// BYPASSRLS: no policy binds it.
    pub bypass_rls: bool,
    /// So many connections at once; -1: as many as there may be.
    pub connection_limit: i32,
    /// What its password is proven against; the password itself is kept nowhere.
    pub verifier: Option<Arc<str>>,
    /// Until when the password is good, in microseconds since 2000; `i64::MAX` is infinity.
    pub valid_until: Option<i64>,
}

impl std::fmt::Debug for RoleDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleDescriptor")
            .field("oid", &self.oid)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl RoleDescriptor {
    /// Whether it is one of those that there are always, and of which there is no row.
    pub fn is_predefined(&self) -> bool {
        PREDEFINED_ROLES.iter().any(|(oid, _)| *oid == self.oid)
    }

    /// A role without powers.
    pub fn new(oid: Oid, name: &str) -> Self {
        Self {
            oid,
            name: name.to_owned(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_database: false,
            login: false,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            verifier: None,
            valid_until: None,
        }
    }
}

/// The roles that are there from the beginning.
pub(super) fn bootstrap() -> [RoleDescriptor; 2] {
    BOOTSTRAP_ROLES.map(|(oid, name)| RoleDescriptor {
        superuser: true,
        create_role: true,
        create_database: true,
        login: true,
        replication: true,
        bypass_rls: true,
        ..RoleDescriptor::new(oid, name)
    })
}

/// The roles that stand for something to be allowed.
pub(super) fn predefined() -> [RoleDescriptor; PREDEFINED_ROLES.len()] {
    PREDEFINED_ROLES.map(|(oid, name)| RoleDescriptor::new(oid, name))
}

/// What they are members of.
pub(super) fn predefined_memberships() -> [Membership; 3] {
    let (member, grantor, admin) = (PG_MONITOR_OID, BOOTSTRAP_OID, false);
    [3374, PG_READ_ALL_STATS_OID, 3377].map(|role| Membership { role, member, grantor, admin })
}

/// That a role is a member of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub role: Oid,
    /// Who is in it.
    pub member: Oid,
    /// Who said so.
    pub grantor: Oid,
    /// ADMIN OPTION: it may let others in.
    pub admin: bool,
}

/// All memberships. There is no circle among them.
#[derive(Debug, Clone, Default)]
pub struct Memberships(BTreeMap<(Oid, Oid), Membership>);

impl Memberships {
    /// All of them, by role and member.
    pub fn iter(&self) -> impl Iterator<Item = &Membership> {
        self.0.values()
    }

    /// The one of this member in this role.
    pub fn get(&self, role: Oid, member: Oid) -> Option<&Membership> {
        self.0.get(&(role, member))
    }

    /// Adds or replaces one.
    pub fn put(&mut self, membership: Membership) {
        self.0.insert((membership.role, membership.member), membership);
    }

    /// Removes one.
    pub fn remove(&mut self, role: Oid, member: Oid) -> Option<Membership> {
        self.0.remove(&(role, member))
    }

    /// A role, and all that it is a member of directly or by others; membership passes only through roles that
    /// `passes` says so of.
    pub fn reached_from(&self, role: Oid, passes: impl Fn(Oid) -> bool) -> BTreeSet<Oid> {
        let mut reached = BTreeSet::from([role]);
        let mut open = vec![role];
        while let Some(member) = open.pop() {
            if !passes(member) {
                continue;
            }
            for membership in self.0.values().filter(|membership| membership.member == member) {
                if reached.insert(membership.role) {
                    open.push(membership.role);
                }
            }
        }
        reached
    }
}

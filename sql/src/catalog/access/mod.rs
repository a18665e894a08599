//! Who there is and who may do what: roles, their memberships, owners and rights, as of one catalog version.
//!
//! [`role`] says what roles are and how membership passes rights on, [`acl`] what one object grants to whom, [`stored`]
//! how all of it is kept: as rows of the catalog beside those of tables, so that a change of rights raises the catalog
//! version, and whatever was planned before is judged anew before it runs.

mod acl;
mod default_acl;
mod rights;
mod role;
pub mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use acl::{Acl, AclItem};
pub use default_acl::{DefaultAcl, DefaultAclKey, DefaultAclKind};
pub use rights::{Right, Rights};
pub use role::{
    BOOTSTRAP_OID, BOOTSTRAP_ROLES, Membership, Memberships, PG_READ_ALL_DATA_OID, PG_READ_ALL_STATS_OID,
    PG_SIGNAL_BACKEND_OID, PG_WRITE_ALL_DATA_OID, PUBLIC_ROLE, RoleDescriptor,
};

use super::{ColumnId, FIRST_USER_OID, Oid, TableDescriptor, TableKind};

/// What rights are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A table or system view.
    Table(Oid),
    /// A sequence.
    Sequence(Oid),
    /// A schema.
    Schema(Oid),
    /// A type.
    Type(Oid),
    /// An extension: only its owner counts.
    Extension(Oid),
    /// A function.
    Function(Oid),
    /// A database.
    Database(Oid),
}

impl Object {
    /// What rights on a relation are about.
    pub const fn of(relation: &TableDescriptor) -> Self {
        match relation.kind {
            TableKind::Base | TableKind::Virtual | TableKind::View | TableKind::Materialised => {
                Self::Table(relation.oid)
            }
            TableKind::Sequence => Self::Sequence(relation.oid),
        }
    }

    /// Its number.
    pub const fn oid(self) -> Oid {
        match self {
            Self::Table(oid)
            | Self::Sequence(oid)
            | Self::Schema(oid)
            | Self::Type(oid)
            | Self::Extension(oid)
            | Self::Function(oid)
            | Self::Database(oid) => oid,
        }
    }
}

/// Who owns an object, and what its owner has granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRights {
    /// The owner.
    pub owner: Oid,
    /// What is granted on the whole; `None`: what every such object grants at first.
    pub acl: Option<Acl>,
    /// What is granted on columns.
    pub columns: BTreeMap<ColumnId, Acl>,
}

impl ObjectRights {
    /// Those of a new object.
    pub const fn of_owner(owner: Oid) -> Self {
        Self { owner, acl: None, columns: BTreeMap::new() }
    }
}

/// Roles and rights as of one catalog version.
#[derive(Debug, Clone, Default)]
pub struct Access {
    roles: BTreeMap<Oid, Arc<RoleDescriptor>>,
    by_name: BTreeMap<String, Oid>,
    memberships: Memberships,
    objects: BTreeMap<Object, Arc<ObjectRights>>,
    default_acls: default_acl::AllDefaultAcls,
    secret: Option<Vec<u8>>,
}

impl Access {
    /// What there is before any role is made or changed.
    pub fn initial() -> Self {
        let mut access = Self::default();
        role::bootstrap().into_iter().for_each(|role| access.put_role(role));
        access.put_predefined();
        access
    }

    /// Adds the roles of which there are no rows.
    fn put_predefined(&mut self) {
        role::predefined().into_iter().for_each(|role| self.put_role(role));
        role::predefined_memberships().into_iter().for_each(|membership| self.memberships.put(membership));
    }

    /// The role of this name.
    pub fn role_named(&self, name: &str) -> Option<&Arc<RoleDescriptor>> {
        self.roles.get(self.by_name.get(name)?)
    }

    /// The role of this oid.
    pub fn role(&self, oid: Oid) -> Option<&Arc<RoleDescriptor>> {
        self.roles.get(&oid)
    }

    /// All roles, by oid.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<RoleDescriptor>> {
        self.roles.values()
    }

    /// Who is a member of what.
    pub fn memberships(&self) -> &Memberships {
        &self.memberships
    }

    /// The same to change.
    pub fn memberships_mut(&mut self) -> &mut Memberships {
        &mut self.memberships
    }

    /// Adds a role, or puts it in place of the one with its oid.
    pub fn put_role(&mut self, role: RoleDescriptor) {
        self.remove_role(role.oid);
        self.by_name.insert(role.name.clone(), role.oid);
        self.roles.insert(role.oid, Arc::new(role));
    }

    /// Removes a role.
    pub fn remove_role(&mut self, oid: Oid) {
        if let Some(role) = self.roles.remove(&oid) {
            self.by_name.remove(&role.name);
        }
    }

    /// What the salts of roles that do not exist follow from, once there is one.
    pub fn secret(&self) -> Option<&[u8]> {
        self.secret.as_deref()
    }

    /// Sets that.
    pub fn set_secret(&mut self, secret: Vec<u8>) {
        self.secret = Some(secret);
    }

    /// The owner of an object and what it grants.
    pub fn object(&self, object: Object) -> Arc<ObjectRights> {
        self.objects.get(&object).cloned().unwrap_or_else(|| Arc::new(ObjectRights::of_owner(BOOTSTRAP_OID)))
    }

    /// The objects whose owner or rights were set.
    pub fn objects(&self) -> impl Iterator<Item = (Object, &Arc<ObjectRights>)> {
        self.objects.iter().map(|(object, rights)| (*object, rights))
    }

    /// Sets the owner of an object and what it grants.
    pub fn put_object(&mut self, object: Object, rights: ObjectRights) {
        self.objects.insert(object, Arc::new(rights));
    }

    /// Forgets the rights on all other objects than these.
    pub(super) fn retain_objects(&mut self, keep: impl Fn(Object) -> bool) {
        self.objects.retain(|object, _| keep(*object));
    }

    /// An object is gone.
    pub fn remove_object(&mut self, object: Object) {
        self.objects.remove(&object);
    }

    /// What an object grants on the whole.
    pub fn acl(&self, object: Object, kind: Option<TableKind>) -> Acl {
        let rights = self.object(object);
        rights.acl.clone().unwrap_or_else(|| initial_acl(object, kind, rights.owner))
    }

    /// Whether the role is, or may do what, the owner may.
    pub fn owns(&self, powers: &Powers, object: Object) -> bool {
        powers.has(self.object(object).owner)
    }

    /// Whether the policies of a table bind the role.
    pub fn heeds_policies(&self, powers: &Powers, table: &TableDescriptor) -> bool {
        let security = &table.row_security;
        let bypasses = self.role(powers.role).is_some_and(|role| role.superuser || role.bypass_rls);
        security.enabled && !bypasses && (security.forced || !self.owns(powers, Object::of(table)))
    }

    /// What of `wanted` the role may do with an object as a whole.
    pub fn granted(
        &self,
        powers: &Powers,
        object: Object,
        kind: Option<TableKind>,
        wanted: Rights,
    ) -> Rights {
        if powers.is_superuser {
            return wanted;
        }
        // Owners are granted all at first, and can take it from themselves.
        let held = self.acl(object, kind).held_by(&powers.roles);
        held.or(by_predefined_roles(powers, object)).and(wanted)
    }

    /// What of `wanted` the role may do with a column of a table, beside what it may with the whole.
    pub fn granted_on_column(&self, powers: &Powers, table: Oid, column: ColumnId, wanted: Rights) -> Rights {
        if powers.is_superuser {
            return wanted;
        }
        let rights = self.object(Object::Table(table));
        rights.columns.get(&column).map_or(Rights::NONE, |acl| acl.held_by(&powers.roles)).and(wanted)
    }

    /// What a role may do as itself and by what it is a member of.
    pub fn powers(&self, role: Oid) -> Powers {
        let is_superuser = self.role(role).is_some_and(|role| role.superuser);
        let inherits = |oid: Oid| self.role(oid).is_some_and(|role| role.inherit);
        Powers { role, is_superuser, roles: self.memberships.reached_from(role, inherits) }
    }

    /// Whether a role may become another by SET ROLE, or drop what it owns: by any chain of memberships.
    pub fn is_member(&self, member: Oid, of: Oid) -> bool {
        member == of
            || self.role(member).is_some_and(|role| role.superuser)
            || self.memberships.reached_from(member, |_| true).contains(&of)
    }

    /// Whether a role may admit others to another, and expel them.
    pub fn is_admin(&self, member: Oid, of: Oid) -> bool {
        self.role(member).is_some_and(|role| role.superuser)
            || member != of
                && self.memberships.reached_from(member, |_| true).iter().any(|through| {
                    self.memberships.get(of, *through).is_some_and(|membership| membership.admin)
                })
    }
}

/// A role and all whose rights it has.
#[derive(Debug, Clone)]
pub struct Powers {
    /// The role.
    pub role: Oid,
    /// Whether nothing is denied to it.
    pub is_superuser: bool,
    roles: std::collections::BTreeSet<Oid>,
}

impl Powers {
    /// Whether it has the rights of this role.
    pub fn has(&self, role: Oid) -> bool {
        self.is_superuser || self.roles.contains(&role)
    }

    /// The roles whose rights it has, itself among them.
    pub fn roles(&self) -> impl Iterator<Item = Oid> {
        self.roles.iter().copied()
    }
}

/// What an object grants before anything is granted.
fn initial_acl(object: Object, kind: Option<TableKind>, owner: Oid) -> Acl {
    let public = match object {
        Object::Table(oid) if kind == Some(TableKind::Virtual) && !SECRET_TABLES.contains(&oid) => {
            Rights::of(Right::Select)
        }
        Object::Table(_) | Object::Sequence(_) => Rights::NONE,
        // Those of the beginning are everybody's to look into.
        Object::Schema(oid) if oid < FIRST_USER_OID => Rights::of(Right::Usage),
        Object::Schema(_) => Rights::NONE,
        Object::Type(_) => Rights::of(Right::Usage),
        Object::Extension(_) => Rights::NONE,
        Object::Function(_) => Rights::of(Right::Execute),
        Object::Database(_) => Rights::of(Right::Connect).or(Rights::of(Right::Temporary)),
    };
    Acl::initial(owner, Rights::all_of(object), public)
}

/// What those may do with any object that predefined roles let.
fn by_predefined_roles(powers: &Powers, object: Object) -> Rights {
    let (reads, writes) = (powers.has(PG_READ_ALL_DATA_OID), powers.has(PG_WRITE_ALL_DATA_OID));
    let mut rights = Rights::NONE;
    match object {
        Object::Table(_) | Object::Sequence(_) => {
            if reads {
                rights = rights.or(Rights::of(Right::Select));
            }
            if writes {
                rights = rights.or(Rights::of_all(&[Right::Insert, Right::Update, Right::Delete]));
            }
        }
        Object::Schema(_) if reads || writes => rights = Rights::of(Right::Usage),
        Object::Schema(_)
        | Object::Database(_)
        | Object::Type(_)
        | Object::Extension(_)
        | Object::Function(_) => {}
    }
    if let Object::Table(oid) = object
        && CLUSTER_TABLES.contains(&oid)
        && powers.has(PG_READ_ALL_STATS_OID)
    {
        rights = rights.or(Rights::of(Right::Select));
    }
    rights
}

/// `nunatak.nodes` and `nunatak.ranges`: where ranges begin tells what others' rows are.
const CLUSTER_TABLES: [Oid; 2] = [13913, 13914];

/// `pg_authid`, `pg_user_mapping`, `pg_statistic`, and what is of the whole cluster: not for everybody.
const SECRET_TABLES: [Oid; 5] = [1260, 1418, 2619, 13913, 13914];

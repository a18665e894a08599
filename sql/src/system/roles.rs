//! Views of roles and memberships, and lists of rights as they are shown.

use super::record::{Records, Value};
use super::{World, deparse};
use crate::catalog::access::{Access, Acl, Membership, Object, RoleDescriptor};
use crate::catalog::defaults::Scope;
use crate::catalog::{CatalogSnapshot, ColumnId, Oid, TableDescriptor};

/// What is shown instead of what a password is proven against.
const HIDDEN: &str = "********";

fn valid_until(role: &RoleDescriptor) -> Value {
    role.valid_until.map_or(Value::Null, Value::Moment)
}

pub(super) fn pg_roles(world: &World<'_>, records: &mut Records<'_>) {
    for role in world.catalog.access().roles() {
        records.push(&[
            ("oid", role.oid.into()),
            ("rolname", (&role.name).into()),
            ("rolsuper", role.superuser.into()),
            ("rolinherit", role.inherit.into()),
            ("rolcreaterole", role.create_role.into()),
            ("rolcreatedb", role.create_database.into()),
            ("rolcanlogin", role.login.into()),
            ("rolreplication", role.replication.into()),
            ("rolconnlimit", role.connection_limit.into()),
            ("rolpassword", HIDDEN.into()),
            ("rolvaliduntil", valid_until(role)),
            ("rolbypassrls", role.bypass_rls.into()),
            ("rolconfig", config(world, 0, role.oid)),
        ]);
    }
}

pub(super) fn pg_db_role_setting(world: &World<'_>, records: &mut Records<'_>) {
    for (scope, _) in world.catalog.defaults().iter() {
        records.push(&[
            ("setdatabase", scope.database.into()),
            ("setrole", scope.role.into()),
            ("setconfig", config(world, scope.database, scope.role)),
        ]);
    }
}

/// What settings are at first in exactly these sessions.
fn config(world: &World<'_>, database: Oid, role: Oid) -> Value {
    let said = world.catalog.defaults().of(Scope { database, role });
    if said.is_empty() {
        return Value::Null;
    }
    Value::Texts(said.iter().map(|(name, value)| format!("{name}={value}")).collect())
}

pub(super) fn pg_authid(world: &World<'_>, records: &mut Records<'_>) {
    for role in world.catalog.access().roles() {
        records.push(&[
            ("oid", role.oid.into()),
            ("rolname", (&role.name).into()),
            ("rolsuper", role.superuser.into()),
            ("rolinherit", role.inherit.into()),
            ("rolcreaterole", role.create_role.into()),
            ("rolcreatedb", role.create_database.into()),
            ("rolcanlogin", role.login.into()),
            ("rolreplication", role.replication.into()),
            ("rolbypassrls", role.bypass_rls.into()),
            ("rolconnlimit", role.connection_limit.into()),
            ("rolpassword", role.verifier.as_deref().into()),
            ("rolvaliduntil", valid_until(role)),
        ]);
    }
}

pub(super) fn pg_user(world: &World<'_>, records: &mut Records<'_>) {
    for role in world.catalog.access().roles().filter(|role| role.login) {
        records.push(&[
            ("usename", (&role.name).into()),
            ("usesysid", role.oid.into()),
            ("usecreatedb", role.create_database.into()),
            ("usesuper", role.superuser.into()),
            ("userepl", role.replication.into()),
            ("usebypassrls", role.bypass_rls.into()),
            ("passwd", HIDDEN.into()),
            ("valuntil", valid_until(role)),
            ("useconfig", config(world, 0, role.oid)),
        ]);
    }
}

pub(super) fn pg_group(world: &World<'_>, records: &mut Records<'_>) {
    let access = world.catalog.access();
    for role in access.roles().filter(|role| !role.login) {
        let is_of = |membership: &&Membership| membership.role == role.oid;
        let members = access.memberships().iter().filter(is_of);
        records.push(&[
            ("groname", (&role.name).into()),
            ("grosysid", role.oid.into()),
            ("grolist", Value::Ints(members.map(|membership| i64::from(membership.member)).collect())),
        ]);
    }
}

pub(super) fn pg_auth_members(world: &World<'_>, records: &mut Records<'_>) {
    for membership in world.catalog.access().memberships().iter() {
        records.push(&[
            ("roleid", membership.role.into()),
            ("member", membership.member.into()),
            ("grantor", membership.grantor.into()),
            ("admin_option", membership.admin.into()),
        ]);
    }
}

pub(super) fn pg_default_acl(world: &World<'_>, records: &mut Records<'_>) {
    let access = world.catalog.access();
    for (key, own) in access.default_acls() {
        records.push(&[
            ("oid", own.oid.into()),
            ("defaclrole", key.role.into()),
            ("defaclnamespace", key.schema.unwrap_or(0).into()),
            ("defaclobjtype", key.kind.letter().into()),
            ("defaclacl", texts(access, Some(&own.acl))),
        ]);
    }
}

/// The name of a role in lists of rights.
fn shown(access: &Access, role: Oid) -> String {
    access.role(role).map_or_else(|| role.to_string(), |role| deparse::quote_name(&role.name))
}

fn texts(access: &Access, acl: Option<&Acl>) -> Value {
    match acl {
        Some(acl) => Value::Texts(acl.texts(|role| shown(access, role))),
        None => Value::Null,
    }
}

/// The list of rights on an object; NULL if nothing was granted or taken back.
pub(super) fn acl(catalog: &CatalogSnapshot, object: Object) -> Value {
    texts(catalog.access(), catalog.access().object(object).acl.as_ref())
}

/// The same of a column.
pub(super) fn column_acl(catalog: &CatalogSnapshot, table: Oid, column: ColumnId) -> Value {
    let rights = catalog.access().object(Object::Table(table));
    texts(catalog.access(), rights.columns.get(&column))
}

/// The owner of a table or sequence.
pub(super) fn owner(catalog: &CatalogSnapshot, relation: &TableDescriptor) -> Oid {
    catalog.access().object(Object::of(relation)).owner
}

/// The name of a schema's owner.
pub(super) fn schema_owner(catalog: &CatalogSnapshot, name: &str) -> Option<String> {
    let object = Object::Schema(catalog.objects().schema_oid(name)?);
    let access = catalog.access();
    access.role(access.object(object).owner).map(|role| role.name.clone())
}

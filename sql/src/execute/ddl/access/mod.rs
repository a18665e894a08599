//! Changes of roles and rights: who may make them, and the rows that they write.

mod database;
mod default_privileges;
mod defaults;
mod grants;
mod membership;
mod roles;
mod template;

use std::sync::Arc;

use keys::sql::TENANT_DEFAULT;

use super::Change;
use crate::catalog::Oid;
use crate::catalog::access::{
    Access, Membership, Object, ObjectRights, PUBLIC_ROLE, Powers, RoleDescriptor, stored,
};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{AccessStatement, Name, ObjectKind, RoleReference, RoleStatement};
use crate::plan::AccessChange;

/// The bytes of the secret that the salts of unknown roles follow from.
const SECRET_BYTES: usize = 32;

impl Change<'_, '_> {
    /// Changes roles or rights.
    pub(super) async fn access(&mut self, change: &AccessChange) -> Result<&'static str> {
        if self.raised {
            self.write_first_roles();
        }
        match &change.statement {
            AccessStatement::Role(RoleStatement::Create { name, login, options }) => {
                let oid = self.oid().await?;
                self.create_role(oid, name, *login, options)?;
            }
            AccessStatement::Role(RoleStatement::Alter { role, options }) => {
                self.alter_role(role, options)?
            }
            AccessStatement::Role(RoleStatement::Rename { role, to }) => self.rename_role(role, to)?,
            AccessStatement::Role(RoleStatement::Drop { roles, if_exists }) => {
                self.drop_roles(roles, *if_exists).await?;
            }
            AccessStatement::Database(statement) => self.database(statement).await?,
            AccessStatement::Defaults(statement) => self.set_defaults(statement)?,
            AccessStatement::ClusterSetting { name, value } => {
                self.set_cluster(&name.value, value.as_deref())?;
            }
            AccessStatement::Membership(grant) => self.grant_roles(grant)?,
            AccessStatement::Rights(grant) => self.grant_rights(grant, change)?,
            AccessStatement::DefaultPrivileges(change) => self.alter_default_privileges(change).await?,
            AccessStatement::Owner { object, owner } => {
                for table in &change.tables {
                    self.change_owner(table, owner)?;
                    self.check_settled(table, "ALTER TABLE")?;
                }
                for oid in &change.types {
                    self.change_type_owner(*oid, owner)?;
                }
                if object.kind == ObjectKind::Schema {
                    self.change_schema_owner(&object.name.name, owner)?;
                }
            }
            AccessStatement::FunctionOwner { owner, .. } => {
                change.functions.iter().try_for_each(|oid| self.change_function_owner(*oid, owner))?;
            }
        }
        Ok(change.command())
    }

    /// What a new object's owner is: whoever makes it, if no other is named.
    pub(super) fn own(&mut self, object: Object, owner: Option<Oid>) -> Result<()> {
        let owner = match owner {
            Some(owner) => owner,
            None => self.acting()?.role,
        };
        let access = self.catalog.access();
        let acl = access.new_acl(object, owner, self.schema_of(object));
        let rights = ObjectRights { acl, ..ObjectRights::of_owner(owner) };
        if *access.object(object) != rights {
            self.put_rights(object, rights);
        }
        Ok(())
    }

    /// The schema that an object is in.
    fn schema_of(&self, object: Object) -> Option<Oid> {
        let schema = match object {
            Object::Table(oid) | Object::Sequence(oid) => &self.catalog.table_by_oid(oid)?.schema,
            Object::Type(_)
            | Object::Schema(_)
            | Object::Extension(_)
            | Object::Function(_)
            | Object::Database(_) => return None,
        };
        self.catalog.objects().schema_oid(schema)
    }

    /// Nobody has rights on what is gone.
    pub(super) fn disown(&mut self, object: Object) {
        if self.catalog.access().objects().any(|(other, _)| other == object) {
            if !self.is_own(object.oid()) {
                self.delete(stored::rights_key(self.catalog.home(), object));
            }
            self.change_access(|access| access.remove_object(object));
        }
    }

    /// Nobody has rights on columns that are gone.
    pub(super) fn disown_columns(&mut self, table: &crate::catalog::TableDescriptor) {
        let object = Object::Table(table.oid);
        let mut rights = ObjectRights::clone(&self.catalog.access().object(object));
        let before = rights.columns.len();
        rights.columns.retain(|id, _| table.column_by_id(*id).is_some());
        if rights.columns.len() < before {
            self.put_rights(object, rights);
        }
    }

    /// The roles of the beginning become rows as soon as there is any other: from then on rows are all there is.
    fn write_first_roles(&mut self) {
        if self.catalog.access().secret().is_some() {
            return;
        }
        let roles: Vec<_> = self.catalog.access().roles().cloned().collect();
        for role in roles.into_iter().filter(|role| !role.is_predefined()) {
            self.put_role(RoleDescriptor::clone(&role));
        }
        let mut secret = vec![0; SECRET_BYTES];
        env::random::fill(&mut secret);
        self.put(stored::secret_key(TENANT_DEFAULT), secret.clone().into());
        self.change_access(|access| access.set_secret(secret));
    }

    fn change_access(&mut self, change: impl FnOnce(&mut Access)) {
        let mut access = Access::clone(self.catalog.access());
        change(&mut access);
        self.catalog = self.catalog.with_access(Arc::new(access));
    }

    fn put_role(&mut self, role: RoleDescriptor) {
        self.put(stored::role_key(TENANT_DEFAULT, role.oid), stored::encode_role(&role));
        self.change_access(|access| access.put_role(role));
    }

    fn remove_role(&mut self, oid: Oid) {
        self.delete(stored::role_key(TENANT_DEFAULT, oid));
        self.change_access(|access| access.remove_role(oid));
    }

    fn put_membership(&mut self, membership: Membership) {
        let key = stored::membership_key(TENANT_DEFAULT, membership.role, membership.member);
        self.put(key, stored::encode_membership(&membership));
        self.change_access(|access| access.memberships_mut().put(membership));
    }

    fn remove_membership(&mut self, role: Oid, member: Oid) {
        self.delete(stored::membership_key(TENANT_DEFAULT, role, member));
        self.change_access(|access| {
            access.memberships_mut().remove(role, member);
        });
    }

    fn put_rights(&mut self, object: Object, rights: ObjectRights) {
        if !self.is_own(object.oid()) {
            let key = stored::rights_key(self.catalog.home(), object);
            self.put(key, stored::encode_rights(object, &rights));
        }
        self.change_access(|access| access.put_object(object, rights));
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// The role that acts, and what it may do.
    pub(super) fn acting(&self) -> Result<Powers> {
        let role = self.role_named(&self.cx.session.current_user)?;
        Ok(self.catalog.access().powers(role.oid))
    }

    fn role_named(&self, name: &str) -> Result<Arc<RoleDescriptor>> {
        self.catalog.access().role_named(name).cloned().ok_or_else(|| no_such_role(name))
    }

    /// The role that a statement names; PUBLIC is none.
    fn role_of(&self, reference: &RoleReference) -> Result<Arc<RoleDescriptor>> {
        match reference {
            RoleReference::Named(name) => self.role_named(&name.value),
            RoleReference::CurrentUser => self.role_named(&self.cx.session.current_user),
            RoleReference::SessionUser => self.role_named(&self.cx.session.session_user),
            RoleReference::Public(_) => Err(no_such_role("public")),
        }
    }

    /// The same where PUBLIC is everybody.
    fn grantee(&self, reference: &RoleReference) -> Result<Oid> {
        match reference {
            RoleReference::Public(_) => Ok(PUBLIC_ROLE),
            other => Ok(self.role_of(other)?.oid),
        }
    }

    /// The role that an object is to belong to: one that the acting role is a member of.
    pub(super) fn owner_to_be(&self, owner: &RoleReference) -> Result<Arc<RoleDescriptor>> {
        let acting = self.acting()?;
        let owner = self.role_of(owner)?;
        if !acting.is_superuser && !self.catalog.access().is_member(acting.role, owner.oid) {
            return Err(forbidden(format!("must be member of role \"{}\"", owner.name)));
        }
        Ok(owner)
    }

    fn may_create_roles(&self, acting: &Powers) -> bool {
        acting.is_superuser || self.catalog.access().role(acting.role).is_some_and(|role| role.create_role)
    }
}

fn no_such_role(name: &str) -> Error {
    Error::new("42704", format!("role \"{name}\" does not exist"))
}

fn forbidden(message: impl Into<String>) -> Error {
    Error::new("42501", message)
}

/// Names that begin so are the system's own.
fn check_new_name(name: &Name) -> Result<()> {
    if name.value.starts_with("pg_") {
        return Err(Error::new("42939", format!("role name \"{}\" is reserved", name.value))
            .detail("Role names starting with \"pg_\" are reserved."));
    }
    Ok(())
}

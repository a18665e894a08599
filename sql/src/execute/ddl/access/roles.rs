//! CREATE, ALTER and DROP ROLE, with PostgreSQL 15's rules of who may.

use std::sync::Arc;

use expr::{Datum, Type, TypeKind};

use super::super::{Change, store};
use super::{check_new_name, forbidden, no_such_role};
use crate::catalog::access::{BOOTSTRAP_OID, Object, Powers, RoleDescriptor};
use crate::catalog::home::Home;
use crate::catalog::{ColumnId, Oid, Policy, SearchPath, TableDescriptor, called};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{Name, Password, RoleOption, RoleReference};

impl Change<'_, '_> {
    pub(super) fn create_role(
        &mut self,
        oid: Oid,
        name: &Name,
        login: bool,
        options: &[RoleOption],
    ) -> Result<()> {
        let acting = self.acting()?;
        if !acting.is_superuser {
            let wants = |wanted: &RoleOption| options.iter().any(|option| same_and_on(option, wanted));
            if wants(&RoleOption::Superuser(true)) {
                return Err(forbidden("must be superuser to create superusers"));
            }
            if wants(&RoleOption::Replication(true)) {
                return Err(forbidden("must be superuser to create replication users"));
            }
            if wants(&RoleOption::BypassRls(true)) {
                return Err(forbidden("must be superuser to create bypassrls users"));
            }
            if !self.may_create_roles(&acting) {
                return Err(forbidden("permission denied to create role"));
            }
        }
        check_new_name(name)?;
        self.check_free(name)?;
        let mut role = RoleDescriptor { login, ..RoleDescriptor::new(oid, &name.value) };
        self.apply(&mut role, options)?;
        self.put_role(role);
        for option in options {
            match option {
                RoleOption::InRole(groups) => {
                    for group in groups {
                        let group = self.role_of(group)?;
                        self.check_may_admit(&acting, &group)?;
                        self.admit(&group, oid, acting.role, false)?;
                    }
                }
                RoleOption::Members(members) => self.admit_all(oid, members, acting.role, false)?,
                RoleOption::Admins(members) => self.admit_all(oid, members, acting.role, true)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn admit_all(&mut self, group: Oid, members: &[RoleReference], grantor: Oid, admin: bool) -> Result<()> {
        for member in members {
            let member = self.role_of(member)?.oid;
            if let Some(group) = self.catalog.access().role(group).cloned() {
                self.admit(&group, member, grantor, admin)?;
            }
        }
        Ok(())
    }

    fn check_free(&self, name: &Name) -> Result<()> {
        match self.catalog.access().role_named(&name.value) {
            Some(_) => Err(Error::new("42710", format!("role \"{}\" already exists", name.value))),
            None => Ok(()),
        }
    }

    pub(super) fn alter_role(&mut self, reference: &RoleReference, options: &[RoleOption]) -> Result<()> {
        let acting = self.acting()?;
        let mut role = RoleDescriptor::clone(&*self.role_of(reference)?);
        if role.is_predefined() {
            return Err(reserved(&role.name));
        }
        let gives = |kind: &RoleOption| {
            options.iter().any(|option| std::mem::discriminant(option) == std::mem::discriminant(kind))
        };
        if !acting.is_superuser {
            if role.superuser || gives(&RoleOption::Superuser(true)) {
                let message = "must be superuser to alter superuser roles or change superuser attribute";
                return Err(forbidden(message));
            }
            if role.replication || gives(&RoleOption::Replication(true)) {
                let message = "must be superuser to alter replication roles or change replication attribute";
                return Err(forbidden(message));
            }
            if gives(&RoleOption::BypassRls(true)) {
                return Err(forbidden("must be superuser to change bypassrls attribute"));
            }
            let own_password = role.oid == acting.role
                && options.iter().all(|option| matches!(option, RoleOption::Password(_)));
            if !self.may_create_roles(&acting) && !own_password {
                return Err(forbidden("permission denied"));
            }
        }
        self.apply(&mut role, options)?;
        if role.oid == BOOTSTRAP_OID && !role.superuser {
            return Err(forbidden("permission denied to alter role")
                .detail("The bootstrap user must have the SUPERUSER attribute."));
        }
        let oid = role.oid;
        self.put_role(role);
        for option in options {
            if let RoleOption::Members(members) = option {
                self.admit_all(oid, members, acting.role, false)?;
            }
        }
        Ok(())
    }

    pub(super) fn rename_role(&mut self, name: &Name, to: &Name) -> Result<()> {
        let acting = self.acting()?;
        let mut role = RoleDescriptor::clone(&*self.role_named(&name.value)?);
        if role.is_predefined() {
            return Err(reserved(&role.name));
        }
        if role.name == *self.cx.session.session_user {
            return Err(Error::new("0A000", "session user cannot be renamed"));
        }
        if role.oid == acting.role {
            return Err(Error::new("0A000", "current user cannot be renamed"));
        }
        check_new_name(to)?;
        self.check_free(to)?;
        if role.superuser && !acting.is_superuser {
            return Err(forbidden("must be superuser to rename superusers"));
        }
        if !self.may_create_roles(&acting) {
            return Err(forbidden("permission denied to rename role"));
        }
        role.name.clone_from(&to.value);
        self.put_role(role);
        Ok(())
    }

    pub(super) async fn drop_roles(&mut self, roles: &[RoleReference], if_exists: bool) -> Result<()> {
        let acting = self.acting()?;
        if !self.may_create_roles(&acting) {
            return Err(forbidden("permission denied to drop role"));
        }
        for reference in roles {
            let RoleReference::Named(name) = reference else {
                return Err(Error::new("22023", "cannot use special role specifier in DROP ROLE"));
            };
            let Some(role) = self.catalog.access().role_named(&name.value).cloned() else {
                if !if_exists {
                    return Err(no_such_role(&name.value));
                }
                let message = format!("role \"{}\" does not exist, skipping", name.value);
                self.notice(Notice::notice("00000", message));
                continue;
            };
            let elsewhere = self.dependents_elsewhere(&role).await?;
            self.check_droppable(&acting, &role, elsewhere)?;
            let memberships: Vec<_> = self.catalog.access().memberships().iter().copied().collect();
            for membership in memberships {
                if membership.role == role.oid || membership.member == role.oid {
                    self.remove_membership(membership.role, membership.member);
                }
            }
            self.forget_defaults(role.oid);
            self.remove_role(role.oid);
        }
        Ok(())
    }

    /// How many objects of other databases belong to a role, grant it anything or bind it, by database.
    async fn dependents_elsewhere(&mut self, role: &RoleDescriptor) -> Result<Vec<String>> {
        let mut dependents = Vec::new();
        let here = self.catalog.database_oid();
        let databases = self.catalog.databases().clone();
        for database in databases.iter().filter(|database| database.oid != here) {
            let home = Home::of(database.oid);
            let rights = store::load_rights(self.cx.transaction, home).await?;
            let (kinds, _) = store::load_objects(self.cx.transaction, home).await?;
            let tables = store::load_tables(self.cx.transaction, home, &kinds).await?;
            let named = rights.iter().filter(|row| row.names(role.oid)).count();
            let count = named.saturating_add(policies_of(tables.iter(), role).len());
            if count > 0 {
                let objects = if count == 1 { "object" } else { "objects" };
                dependents.push(format!("{count} {objects} in database {}", database.name));
            }
        }
        Ok(dependents)
    }

    fn check_droppable(&self, acting: &Powers, role: &RoleDescriptor, elsewhere: Vec<String>) -> Result<()> {
        if role.oid == acting.role {
            return Err(Error::new("55006", "current user cannot be dropped"));
        }
        if role.name == *self.cx.session.session_user {
            return Err(Error::new("55006", "session user cannot be dropped"));
        }
        if role.superuser && !acting.is_superuser {
            return Err(forbidden("must be superuser to drop superusers"));
        }
        if role.oid == BOOTSTRAP_OID || role.is_predefined() {
            let message =
                format!("cannot drop role {} because it is required by the database system", role.name);
            return Err(Error::new("2BP01", message));
        }
        // The oldest first.
        let mut dependents = Vec::new();
        for (object, rights) in self.catalog.access().objects() {
            let (oid, shown) = (object.oid(), self.describe(object));
            if rights.owner == role.oid {
                dependents.push((oid, format!("owner of {shown}")));
                continue;
            }
            if rights.acl.as_ref().is_some_and(|acl| acl.names(role.oid)) {
                dependents.push((oid, format!("privileges for {shown}")));
            }
            for (column, _) in rights.columns.iter().filter(|(_, acl)| acl.names(role.oid)) {
                let name = self.column_name(object, *column);
                dependents.push((oid, format!("privileges for column {name} of {shown}")));
            }
        }
        dependents.extend(policies_of(self.catalog.tables(), role));
        dependents.sort_by_key(|(oid, _)| *oid);
        let mut dependents: Vec<String> = dependents.into_iter().map(|(_, told)| told).collect();
        dependents.extend(self.default_acls_of(role));
        dependents.extend(elsewhere);
        if dependents.is_empty() {
            return Ok(());
        }
        let message = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
        Err(Error::new("2BP01", message).detail(dependents.join("\n")))
    }

    fn column_name(&self, object: Object, column: ColumnId) -> &str {
        let Object::Table(oid) = object else { return "" };
        let columns =
            self.catalog.table_by_oid(oid).map(|table| table.columns.as_slice()).unwrap_or_default();
        columns.iter().find(|own| own.id == column).map_or("", |own| own.name.as_str())
    }

    /// An object as messages name it.
    pub(super) fn describe(&self, object: Object) -> String {
        match object {
            Object::Table(oid) => {
                let table = self.catalog.table_by_oid(oid);
                format!("table {}", table.map_or_else(|| oid.to_string(), |table| table.name.clone()))
            }
            Object::Sequence(oid) => {
                let sequence = self.catalog.table_by_oid(oid);
                format!("sequence {}", sequence.map_or_else(|| oid.to_string(), |found| found.name.clone()))
            }
            Object::Schema(oid) => {
                format!("schema {}", self.catalog.objects().schema_name(oid).unwrap_or("?"))
            }
            Object::Type(oid) => {
                let kind = self.catalog.objects().kind(oid);
                format!("type {}", kind.map_or("?", expr::TypeKind::display_name))
            }
            Object::Extension(oid) => {
                let found = self.catalog.objects().get(oid);
                format!("extension {}", found.map_or("?", |found| found.name.as_str()))
            }
            Object::Function(oid) => match self.catalog.objects().get(oid) {
                Some(found) => {
                    let path = SearchPath::default();
                    format!("function {}", called::signature(&self.catalog, &path, found))
                }
                None => format!("function {oid}"),
            },
            Object::Database(oid) => {
                let database = self.catalog.databases().get(oid);
                format!("database {}", database.map_or_else(|| oid.to_string(), |found| found.name.clone()))
            }
        }
    }

    fn apply(&mut self, role: &mut RoleDescriptor, options: &[RoleOption]) -> Result<()> {
        for option in options {
            match option {
                RoleOption::Superuser(on) => role.superuser = *on,
                RoleOption::Inherit(on) => role.inherit = *on,
                RoleOption::CreateRole(on) => role.create_role = *on,
                RoleOption::CreateDatabase(on) => role.create_database = *on,
                RoleOption::Login(on) => role.login = *on,
                RoleOption::Replication(on) => role.replication = *on,
                RoleOption::BypassRls(on) => role.bypass_rls = *on,
                RoleOption::ConnectionLimit(limit) => {
                    role.connection_limit = i32::try_from(*limit)
                        .ok()
                        .filter(|limit| *limit >= -1)
                        .ok_or_else(|| Error::new("22023", format!("invalid connection limit: {limit}")))?;
                }
                RoleOption::Password(None) => role.verifier = None,
                RoleOption::Password(Some(password)) => {
                    let verifier = verifier_of(password)?;
                    if verifier.is_none() {
                        let message = "empty string is not a valid password, clearing password";
                        self.notice(Notice::notice("00000", message));
                    }
                    role.verifier = verifier.map(|verifier| verifier.to_string().into());
                }
                RoleOption::ValidUntil(text) => role.valid_until = Some(self.moment(text)?),
                RoleOption::SystemId => {
                    self.notice(Notice::notice("00000", "SYSID can no longer be specified"));
                }
                RoleOption::InRole(_) | RoleOption::Members(_) | RoleOption::Admins(_) => {}
            }
        }
        Ok(())
    }

    fn moment(&self, text: &str) -> Result<i64> {
        let (from, to) = (Type::plain(TypeKind::Text), Type::plain(TypeKind::Timestamptz));
        match expr::casts::apply(Datum::Text(text.into()), from, to, true, self.cx.session)? {
            Datum::Timestamptz(moment) => Ok(moment),
            _ => Err(Error::internal("a moment is none")),
        }
    }
}

/// The policies of some tables that bind a role, each with its number.
fn policies_of<'t>(
    tables: impl Iterator<Item = &'t Arc<TableDescriptor>>,
    role: &RoleDescriptor,
) -> Vec<(Oid, String)> {
    let mut policies = Vec::new();
    for table in tables {
        let bound = table.row_security.policies.iter().filter(|policy| policy.roles.contains(&role.oid));
        let told = |policy: &Policy| format!("target of policy {} on table {}", policy.name, table.name);
        policies.extend(bound.map(|policy| (policy.oid, told(policy))));
    }
    policies
}

fn reserved(name: &str) -> Error {
    Error::new("42939", format!("role name \"{name}\" is reserved")).detail("Cannot alter reserved roles.")
}

/// What is kept of a password: nothing of the empty one.
fn verifier_of(password: &Password) -> Result<Option<scram::Verifier>> {
    let text = password.0.as_str();
    if text.is_empty() {
        return Ok(None);
    }
    if scram::Verifier::is_md5(text) {
        return Err(Error::unsupported("a password hashed by MD5")
            .hint("Give the password itself, or a SCRAM-SHA-256 verifier."));
    }
    let verifier = match text.parse() {
        Ok(verifier) => verifier,
        Err(scram::WrongVerifier::Malformed) => scram::Verifier::of_password(text),
        Err(asks_too_much @ scram::WrongVerifier::AsksTooMuch) => {
            return Err(Error::unsupported(asks_too_much));
        }
    };
    Ok(if verifier.fits("") { None } else { Some(verifier) })
}

/// Whether an option of a role is the wanted one, turned on.
fn same_and_on(option: &RoleOption, wanted: &RoleOption) -> bool {
    let is_on = matches!(
        option,
        RoleOption::Superuser(true) | RoleOption::Replication(true) | RoleOption::BypassRls(true)
    );
    is_on && std::mem::discriminant(option) == std::mem::discriminant(wanted)
}

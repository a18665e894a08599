//! Who acts: the role that logged in, and those that SET ROLE and SET SESSION AUTHORIZATION put in its place.
//!
//! Roles go by their names here, and are looked up in the catalog that each statement runs under: one that has been
//! dropped meanwhile may do nothing more.

use std::sync::Arc;

use super::Session;
use super::prepared::Planned;
use crate::catalog::CatalogSnapshot;
use crate::catalog::access::{Access, Powers, RoleDescriptor};
use crate::error::{Error, Result};
use crate::execute::rights;
use crate::plan::audited::is_audited_in;
use crate::settings::{NO_ROLE, Scope};

/// What the acting role may do, and under which roles that was found out.
pub(super) struct Acting {
    access: Arc<Access>,
    name: Arc<str>,
    powers: Powers,
}

impl Session {
    /// 42501 if the acting role may not run the statement under the catalog that it is planned under.
    pub(super) fn check_rights(&mut self, planned: &Arc<Planned>) -> Result<()> {
        let access = planned.catalog.access();
        let is_known = self.acting.as_ref().is_some_and(|acting| {
            Arc::ptr_eq(&acting.access, access) && acting.name == self.context.current_user
        });
        if !is_known {
            let role = find(access, &self.context.current_user)?;
            self.acting = Some(Acting {
                access: access.clone(),
                name: self.context.current_user.clone(),
                powers: access.powers(role.oid),
            });
        }
        let Some(acting) = &self.acting else { return Err(Error::internal("nobody acts")) };
        rights::check(&planned.bound, &planned.catalog, &acting.powers)?;
        let is_superuser = acting.powers.is_superuser;
        self.heed_superuser(is_superuser)?;
        self.check_newest_rights(planned)
    }

    /// The same of a command of the session that looks beyond it, under the roles and rights of now.
    pub(super) async fn check_command(&mut self, planned: &Planned) -> Result<()> {
        let catalog = match self.engine.cached_catalog(&mut self.newest, self.database) {
            Some(catalog) => catalog,
            None => self.engine.refresh_catalog(self.database).await?,
        };
        let catalog = self.own.beside(&catalog, self.transaction.open.as_ref());
        let role = find(catalog.access(), &self.context.current_user)?;
        rights::check(&planned.bound, &catalog, &catalog.access().powers(role.oid))
    }

    /// A transaction goes on reading its snapshot after rights were taken: not beyond what this gateway has heard of that.
    fn check_newest_rights(&mut self, planned: &Arc<Planned>) -> Result<()> {
        let Some(open) = self.transaction.open.as_ref().filter(|open| !open.raised) else { return Ok(()) };
        let version = open.catalog.version();
        match self.engine.cached_catalog(&mut self.newest, self.database) {
            Some(newest) if newest.version() > version => {
                let newest = self.own.beside(&newest, self.transaction.open.as_ref());
                if is_audited_in(&planned.bound, &newest) {
                    self.audit_due(planned);
                }
                let role = find(newest.access(), &self.context.current_user)?;
                let powers = newest.access().powers(role.oid);
                rights::check(&planned.bound, &newest, &powers)?;
                self.heed_superuser(powers.is_superuser)
            }
            _ => Ok(()),
        }
    }

    /// SET ROLE; `None` is NONE.
    pub(super) async fn set_role(&mut self, role: Option<&str>, local: bool) -> Result<()> {
        if local {
            self.outside_block("SET LOCAL");
        }
        let catalog = self.roles().await?;
        let access = catalog.access();
        if let Some(name) = role {
            let session = find(access, &self.context.session_user)?;
            let role = access
                .role_named(name)
                .ok_or_else(|| Error::new("22023", format!("role \"{name}\" does not exist")))?;
            if !access.is_member(session.oid, role.oid) {
                return Err(Error::new("42501", format!("permission denied to set role \"{name}\"")));
            }
        }
        self.assign("role", role.unwrap_or(NO_ROLE), local)?;
        self.tell_superuser(access, local)
    }

    /// SET SESSION AUTHORIZATION; `None` is DEFAULT.
    pub(super) async fn set_session_authorization(&mut self, role: Option<&str>, local: bool) -> Result<()> {
        if local {
            self.outside_block("SET LOCAL");
        }
        let name: Arc<str> = role.map_or_else(|| self.authenticated.clone(), Into::into);
        if role.is_none() && name == self.context.current_user && name == self.context.session_user {
            return Ok(());
        }
        let catalog = self.roles().await?;
        let access = catalog.access();
        if role.is_some() {
            access
                .role_named(&name)
                .ok_or_else(|| Error::new("22023", format!("role \"{name}\" does not exist")))?;
            let may = *name == *self.authenticated || find(access, &self.authenticated)?.superuser;
            if !may {
                return Err(Error::new("42501", "permission denied to set session authorization"));
            }
        }
        self.assign("session_authorization", &name, local)?;
        self.assign("role", NO_ROLE, local)?;
        self.tell_superuser(access, local)
    }

    /// What only superusers may set is for whom the roles of now call one, whatever it was when it connected.
    pub(super) async fn heed_role(&mut self) -> Result<()> {
        let catalog = match self.engine.cached_catalog(&mut self.newest, self.database) {
            Some(catalog) => catalog,
            None => self.engine.refresh_catalog(self.database).await?,
        };
        let role = catalog.access().role_named(&self.context.current_user);
        role.map_or(Ok(()), |role| self.heed_superuser(role.superuser))
    }

    fn heed_superuser(&mut self, is_superuser: bool) -> Result<()> {
        if self.settings.hot().is_superuser == is_superuser {
            return Ok(());
        }
        self.assign("is_superuser", if is_superuser { "on" } else { "off" }, false)
    }

    fn tell_superuser(&mut self, access: &Access, local: bool) -> Result<()> {
        let is_superuser = access.role_named(&self.context.current_user).is_some_and(|role| role.superuser);
        self.assign("is_superuser", if is_superuser { "on" } else { "off" }, local)
    }

    fn assign(&mut self, name: &str, value: &str, local: bool) -> Result<()> {
        let scope = if local { Scope::Local } else { Scope::Session };
        self.settings.assign(name, value, scope, &mut self.context)?;
        self.keep_settings();
        Ok(())
    }

    /// The catalog whose roles are in force: the open transaction's, or that of now.
    async fn roles(&mut self) -> Result<Arc<CatalogSnapshot>> {
        match &self.transaction.open {
            Some(open) if open.raised => Ok(open.catalog.clone()),
            _ => self.engine.refresh_catalog(self.database).await,
        }
    }
}

fn find<'a>(access: &'a Access, name: &str) -> Result<&'a Arc<RoleDescriptor>> {
    access.role_named(name).ok_or_else(|| Error::new("28000", format!("role \"{name}\" does not exist")))
}

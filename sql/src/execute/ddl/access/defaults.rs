//! ALTER ROLE … SET and ALTER DATABASE … SET, with PostgreSQL 15's rules of who may; SET CLUSTER SETTING.

use std::sync::Arc;

use super::super::Change;
use super::forbidden;
use crate::catalog::Oid;
use crate::catalog::cluster_settings::{self, ClusterSettings};
use crate::catalog::defaults::{self, Said, Scope, SettingDefaults, say};
use crate::error::Result;
use crate::parse::ast::{DefaultsStatement, SettingChange, SettingValue};
use crate::settings;

impl Change<'_, '_> {
    pub(super) fn set_defaults(&mut self, statement: &DefaultsStatement) -> Result<()> {
        let acting = self.acting()?;
        let database = match &statement.database {
            Some(name) if statement.is_of_role => self.database_named(&name.value)?.oid,
            Some(name) => self.owned_database(&name.value)?.oid,
            None => 0,
        };
        let role = match &statement.role {
            Some(reference) => {
                let role = self.role_of(reference)?;
                if role.superuser && !acting.is_superuser {
                    return Err(forbidden("must be superuser to alter superusers"));
                }
                if role.oid != acting.role && !self.may_create_roles(&acting) {
                    return Err(forbidden("permission denied"));
                }
                role.oid
            }
            None if statement.is_of_role && !acting.is_superuser => {
                return Err(forbidden("must be superuser to alter settings globally"));
            }
            None => 0,
        };
        let scope = Scope { database, role };
        let mut said = self.catalog.defaults().of(scope);
        match &statement.change {
            SettingChange::Set(name, SettingValue::Values(values)) => {
                let value = settings::join_values(name, values)?;
                let (name, value) = settings::check_default(name, Some(value), acting.is_superuser)?;
                say(&mut said, name, value);
            }
            SettingChange::SetFromCurrent(name) => {
                let value = self.cx.settings.show(name)?.to_string();
                let (name, value) = settings::check_default(name, Some(value), acting.is_superuser)?;
                say(&mut said, name, value);
            }
            SettingChange::Set(name, SettingValue::Default) | SettingChange::Reset(Some(name)) => {
                let (name, _) = settings::check_default(name, None, acting.is_superuser)?;
                said.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            }
            SettingChange::Reset(None) if acting.is_superuser => said.clear(),
            // What one may not set one may not reset.
            SettingChange::Reset(None) => {
                said.retain(|(known, _)| settings::check_default(known, None, false).is_err())
            }
        }
        self.put_defaults(scope, said);
        Ok(())
    }

    /// Sets a setting of the cluster; without a value it is what it is unless it is set.
    pub(super) fn set_cluster(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        if !self.acting()?.is_superuser {
            return Err(forbidden("must be superuser to change settings of the cluster"));
        }
        let setting = settings::find_cluster(name)?;
        let value = value.map(|value| settings::normalise_cluster(setting, value)).transpose()?;
        let mut set = ClusterSettings::clone(self.catalog.cluster_settings());
        set.put(setting.name, value.as_deref());
        self.put(cluster_settings::key(), set.encode());
        self.catalog = self.catalog.with_cluster_settings(Arc::new(set));
        Ok(())
    }

    /// Forgets what is said for sessions of a role or of a database that is gone.
    pub(super) fn forget_defaults(&mut self, gone: Oid) {
        let scopes: Vec<Scope> = self.catalog.defaults().iter().map(|(scope, _)| scope).collect();
        for scope in scopes.into_iter().filter(|scope| scope.database == gone || scope.role == gone) {
            self.put_defaults(scope, Said::new());
        }
    }

    /// What is said for sessions of a database is said for those of another, too.
    pub(super) fn copy_defaults(&mut self, from: Oid, to: Oid) {
        let all = self.catalog.defaults().clone();
        for (scope, said) in all.iter().filter(|(scope, _)| scope.database == from) {
            self.put_defaults(Scope { database: to, ..scope }, said.clone());
        }
    }

    fn put_defaults(&mut self, scope: Scope, said: Said) {
        match said.is_empty() {
            true => self.delete(defaults::key(scope)),
            false => self.put(defaults::key(scope), defaults::encode(scope, &said)),
        }
        let mut all = SettingDefaults::clone(self.catalog.defaults());
        all.put(scope, said);
        self.catalog = self.catalog.with_defaults(Arc::new(all));
    }
}

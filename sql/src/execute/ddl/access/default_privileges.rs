//! ALTER DEFAULT PRIVILEGES: of the database at hand.

use super::super::Change;
use super::forbidden;
use super::grants::{OfObject, wanted};
use crate::catalog::access::{
    DefaultAcl, DefaultAclKey, DefaultAclKind, PUBLIC_ROLE, Rights, RoleDescriptor, stored,
};
use crate::catalog::{Oid, schema};
use crate::error::{Error, Result};
use crate::parse::ast::DefaultPrivileges;

impl Change<'_, '_> {
    pub(super) async fn alter_default_privileges(&mut self, change: &DefaultPrivileges) -> Result<()> {
        let acting = self.acting()?;
        let mut grantees = Vec::new();
        for grantee in &change.grantees {
            grantees.push(self.grantee(grantee)?);
        }
        if change.rights.iter().any(|right| !right.columns.is_empty()) {
            return Err(Error::new("0LP01", "default privileges cannot be set for columns"));
        }
        let (rights, _) = wanted(OfObject::new(change.kind.example()), &change.rights)?;
        let mut roles = Vec::new();
        for role in &change.roles {
            let role = self.role_of(role)?;
            if !self.catalog.access().is_member(acting.role, role.oid) {
                return Err(forbidden(format!("must be member of role \"{}\"", role.name)));
            }
            roles.push(role.oid);
        }
        if roles.is_empty() {
            roles.push(acting.role);
        }
        if change.kind == DefaultAclKind::Schemas && !change.schemas.is_empty() {
            return Err(Error::new(
                "0LP01",
                "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS",
            ));
        }
        let mut schemas: Vec<Option<Oid>> = Vec::new();
        for name in &change.schemas {
            let oid = self.schema_itself(name)?;
            if self.catalog.objects().kept_schema(&name.value) == schema::TEMPORARY {
                return Err(Error::unsupported("default privileges in a temporary schema"));
            }
            schemas.push(Some(oid));
        }
        if schemas.is_empty() {
            schemas.push(None);
        }
        if change.option && !change.revoke && grantees.contains(&PUBLIC_ROLE) {
            return Err(Error::new("0LP01", "grant options can only be granted to roles"));
        }
        for role in roles {
            for schema in &schemas {
                let key = DefaultAclKey { role, schema: *schema, kind: change.kind };
                self.change_default_acl(key, change, &grantees, rights).await?;
            }
        }
        Ok(())
    }

    async fn change_default_acl(
        &mut self,
        key: DefaultAclKey,
        change: &DefaultPrivileges,
        grantees: &[Oid],
        rights: Rights,
    ) -> Result<()> {
        let initial = key.initial();
        let known = self.catalog.access().default_acl(key).cloned();
        let mut acl = known.as_ref().map_or_else(|| initial.clone(), |known| known.acl.clone());
        for grantee in grantees {
            if change.revoke {
                acl.remove(*grantee, key.role, key.role, rights, change.option, change.cascade).map_err(
                    |_dependent| {
                        Error::new("2BP01", "dependent privileges exist")
                            .hint("Use CASCADE to revoke them too.")
                    },
                )?;
            } else {
                acl.add(*grantee, key.role, rights, if change.option { rights } else { Rights::NONE });
            }
        }
        if acl.is_same(&initial) {
            self.forget_default_acl(key);
            return Ok(());
        }
        let oid = match known {
            Some(known) => known.oid,
            None => self.oid().await?,
        };
        let own = DefaultAcl { oid, acl: acl.sorted() };
        let value = stored::encode_default_acl(key, &own);
        self.put(stored::default_acl_key(self.catalog.home(), key), value);
        self.change_access(|access| access.put_default_acl(key, Some(own)));
        Ok(())
    }

    fn forget_default_acl(&mut self, key: DefaultAclKey) {
        if self.catalog.access().default_acl(key).is_some() {
            self.delete(stored::default_acl_key(self.catalog.home(), key));
            self.change_access(|access| access.put_default_acl(key, None));
        }
    }

    /// There are no defaults in a schema that is gone.
    pub(in crate::execute::ddl) fn forget_default_acls_in(&mut self, schema: Oid) {
        let keys: Vec<DefaultAclKey> = self.catalog.access().default_acls().map(|(key, _)| key).collect();
        for key in keys.into_iter().filter(|key| key.schema == Some(schema)) {
            self.forget_default_acl(key);
        }
    }

    /// The defaults that a role has, or is named in.
    pub(super) fn default_acls_of(&self, role: &RoleDescriptor) -> Vec<String> {
        let access = self.catalog.access();
        let mut told = Vec::new();
        for (key, own) in access.default_acls() {
            let owner = access.role(key.role).map_or("", |owner| owner.name.as_str());
            let schema = key.schema.and_then(|schema| self.catalog.objects().schema_name(schema));
            let within = schema.map(|schema| format!(" in schema {schema}")).unwrap_or_default();
            let shown =
                format!("default privileges on new {} belonging to role {owner}{within}", key.kind.word());
            if key.role == role.oid {
                told.push((own.oid, format!("owner of {shown}")));
            } else if own.acl.names(role.oid) {
                told.push((own.oid, format!("privileges for {shown}")));
            }
        }
        told.sort_unstable();
        told.into_iter().map(|(_, told)| told).collect()
    }
}

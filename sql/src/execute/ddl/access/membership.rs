//! GRANT role TO role, REVOKE role FROM role.

use super::super::Change;
use super::forbidden;
use crate::catalog::Oid;
use crate::catalog::access::{Membership, Powers, RoleDescriptor};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::GrantRoles;

impl Change<'_, '_> {
    pub(super) fn grant_roles(&mut self, grant: &GrantRoles) -> Result<()> {
        let acting = self.acting()?;
        let grantor = match &grant.grantor {
            None => acting.role,
            Some(grantor) => self.role_of(grantor)?.oid,
        };
        if grantor != acting.role && !acting.is_superuser {
            return Err(forbidden("must be superuser to set grantor"));
        }
        let mut members = Vec::new();
        for member in &grant.members {
            members.push(self.role_of(member)?.oid);
        }
        for name in &grant.roles {
            let role = self.role_named(&name.value)?;
            self.check_may_admit(&acting, &role)?;
            for member in &members {
                match grant.revoke {
                    false => self.admit(&role, *member, grantor, grant.admin)?,
                    true => self.expel(&role, *member, grant.admin),
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_may_admit(&self, acting: &Powers, role: &RoleDescriptor) -> Result<()> {
        if acting.is_superuser {
            return Ok(());
        }
        if role.superuser {
            return Err(forbidden("must be superuser to alter superusers"));
        }
        if self.may_create_roles(acting) || self.catalog.access().is_admin(acting.role, role.oid) {
            return Ok(());
        }
        Err(forbidden(format!("must have admin option on role \"{}\"", role.name)))
    }

    pub(super) fn admit(
        &mut self,
        role: &RoleDescriptor,
        member: Oid,
        grantor: Oid,
        admin: bool,
    ) -> Result<()> {
        let access = self.catalog.access().clone();
        let name = access.role(member).map_or("", |member| member.name.as_str());
        // Whether the group is in the member already, by whatever way; superusers count for what they are.
        if access.memberships().reached_from(role.oid, |_| true).contains(&member) {
            let message = format!("role \"{}\" is a member of role \"{name}\"", role.name);
            return Err(Error::new("0LP01", message));
        }
        if let Some(known) = access.memberships().get(role.oid, member)
            && (known.admin || !admin)
        {
            let message = format!("role \"{name}\" is already a member of role \"{}\"", role.name);
            self.notice(Notice::notice("00000", message));
            return Ok(());
        }
        self.put_membership(Membership { role: role.oid, member, grantor, admin });
        Ok(())
    }

    fn expel(&mut self, role: &RoleDescriptor, member: Oid, only_admin: bool) {
        let access = self.catalog.access().clone();
        match access.memberships().get(role.oid, member) {
            None => {
                let name = access.role(member).map_or("", |member| member.name.as_str());
                let message = format!("role \"{name}\" is not a member of role \"{}\"", role.name);
                self.notice(Notice::warning("01000", message));
            }
            Some(known) if only_admin => self.put_membership(Membership { admin: false, ..*known }),
            Some(_) => self.remove_membership(role.oid, member),
        }
    }
}

//! What one object grants to whom.

use std::collections::BTreeSet;

use super::rights::Rights;
use super::role::PUBLIC_ROLE;
use crate::catalog::Oid;

/// What one role has been granted by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AclItem {
    /// To whom; [`PUBLIC_ROLE`] is everybody.
    pub grantee: Oid,
    /// By whom.
    pub grantor: Oid,
    /// What.
    pub rights: Rights,
    /// What of it may be granted on.
    pub grantable: Rights,
}

/// All that is granted on an object.
///
/// # Invariants
/// - No two items have one grantee and one grantor; none is without rights; what is grantable is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl(Vec<AclItem>);

impl Acl {
    /// Of items that were stored.
    pub fn of_items(items: Vec<AclItem>) -> Self {
        Self(items)
    }

    /// What a new object of this owner grants.
    pub fn initial(owner: Oid, all: Rights, public: Rights) -> Self {
        let mut acl = Self::default();
        acl.add(PUBLIC_ROLE, owner, public, Rights::NONE);
        acl.add(owner, owner, all, Rights::NONE);
        acl
    }

    /// Its items.
    pub fn items(&self) -> &[AclItem] {
        &self.0
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same in the order in which PostgreSQL keeps defaults.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by_key(|item| (item.grantee, item.grantor));
        self
    }

    /// Whether both grant the same, in whatever order.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|item| other.0.contains(item))
    }

    /// What everybody and these roles together have.
    pub fn held_by(&self, roles: &BTreeSet<Oid>) -> Rights {
        let own = |item: &&AclItem| item.grantee == PUBLIC_ROLE || roles.contains(&item.grantee);
        self.0.iter().filter(own).fold(Rights::NONE, |all, item| all.or(item.rights))
    }

    /// What a role may grant on, of what it was granted itself; an owner may all.
    pub fn grantable_by(&self, role: Oid, owner: Oid, all: Rights) -> Rights {
        if role == owner {
            return all;
        }
        let own = self.0.iter().filter(|item| item.grantee == role);
        own.fold(Rights::NONE, |grantable, item| grantable.or(item.grantable))
    }

    /// Grants.
    pub fn add(&mut self, grantee: Oid, grantor: Oid, rights: Rights, grantable: Rights) {
        if rights.is_empty() {
            return;
        }
        let grantable = grantable.and(rights);
        match self.0.iter_mut().find(|item| item.grantee == grantee && item.grantor == grantor) {
            Some(item) => {
                item.rights = item.rights.or(rights);
                item.grantable = item.grantable.or(grantable);
            }
            None => self.0.push(AclItem { grantee, grantor, rights, grantable }),
        }
    }

    /// Takes back what a role has granted another: the right itself, or only that it may be granted on. What can no
    /// longer have been granted on then goes too if `cascade`; else there must be none. `Err`: there is.
    pub fn remove(
        &mut self,
        grantee: Oid,
        grantor: Oid,
        owner: Oid,
        rights: Rights,
        only_grantable: bool,
        cascade: bool,
    ) -> Result<(), Dependent> {
        let Some(item) = self.0.iter_mut().find(|item| item.grantee == grantee && item.grantor == grantor)
        else {
            return Ok(());
        };
        item.grantable = item.grantable.without(rights);
        if !only_grantable {
            item.rights = item.rights.without(rights);
        }
        self.0.retain(|item| !item.rights.is_empty());
        // An owner may grant whatever it has; what others may grant on may have come from more than one.
        let left = self.grantable_by(grantee, owner, rights);
        let lost = rights.without(left);
        let dependents: Vec<AclItem> = self
            .0
            .iter()
            .filter(|item| item.grantor == grantee && !item.rights.and(lost).is_empty())
            .copied()
            .collect();
        if !dependents.is_empty() && !cascade {
            return Err(Dependent);
        }
        for item in dependents {
            self.remove(item.grantee, item.grantor, owner, item.rights.and(lost), false, true)?;
        }
        Ok(())
    }

    /// Another owner: what the old one had and granted is the new one's.
    pub fn change_owner(&mut self, from: Oid, to: Oid) {
        let items = std::mem::take(&mut self.0);
        let changed = |role: Oid| if role == from { to } else { role };
        for item in items {
            self.add(changed(item.grantee), changed(item.grantor), item.rights, item.grantable);
        }
    }

    /// Whether a role has been granted something or has granted it.
    pub fn names(&self, role: Oid) -> bool {
        self.0.iter().any(|item| item.grantee == role || item.grantor == role)
    }

    /// The items as lists show them: `ann=r*w/postgres`, with roles' names by `name`.
    pub fn texts(&self, name: impl Fn(Oid) -> String) -> Vec<String> {
        let shown = |item: &AclItem| {
            let grantee = if item.grantee == PUBLIC_ROLE { String::new() } else { name(item.grantee) };
            format!("{grantee}={}/{}", item.rights.letters(item.grantable), name(item.grantor))
        };
        self.0.iter().map(shown).collect()
    }
}

/// Others have been granted what is to be taken back.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependent;

#[cfg(test)]
mod tests {
    use super::super::rights::Right;
    use super::*;

    const SELECT: Rights = Rights::of(Right::Select);

    fn granted_on() -> Acl {
        let mut acl = Acl::initial(1, SELECT, Rights::NONE);
        acl.add(2, 1, SELECT, SELECT);
        acl.add(3, 2, SELECT, SELECT);
        acl.add(4, 3, SELECT, Rights::NONE);
        acl
    }

    #[test]
    fn what_was_granted_on_goes_with_what_it_came_from() {
        assert_eq!(granted_on().remove(2, 1, 1, SELECT, false, false), Err(Dependent));
        let mut acl = granted_on();
        acl.remove(2, 1, 1, SELECT, false, true).unwrap();
        assert_eq!(acl, Acl::initial(1, SELECT, Rights::NONE));
        let mut acl = granted_on();
        acl.remove(2, 1, 1, SELECT, true, true).unwrap();
        assert_eq!(acl.texts(|oid| oid.to_string()), ["1=r/1", "2=r/1"]);
    }

    #[test]
    fn what_came_from_two_stays_when_one_takes_it_back() {
        let mut acl = granted_on();
        acl.add(3, 1, SELECT, SELECT);
        acl.remove(3, 2, 1, SELECT, false, false).unwrap();
        assert_eq!(acl.texts(|oid| oid.to_string()), ["1=r/1", "2=r*/1", "4=r/3", "3=r*/1"]);
    }

    #[test]
    fn grants_in_a_circle_end() {
        let mut acl = granted_on();
        acl.add(2, 3, SELECT, SELECT);
        acl.remove(2, 1, 1, SELECT, false, true).unwrap();
        assert!(acl.items().len() <= 4);
    }
}

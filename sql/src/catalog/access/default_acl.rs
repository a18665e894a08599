//! ALTER DEFAULT PRIVILEGES: what new objects grant that a role makes in a database.
//!
//! What is kept of a role without a schema stands in the place of what every such object grants at first; what is kept of a
//! schema comes on top of that.

use std::collections::BTreeMap;

use super::acl::Acl;
use super::{Access, Object, initial_acl};
use crate::catalog::{FIRST_USER_OID, Oid};

/// What sort of objects defaults are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefaultAclKind {
    /// Tables and views.
    Tables,
    /// Sequences.
    Sequences,
    /// Schemas.
    Schemas,
}

impl DefaultAclKind {
    /// All of them, each with its keyword, `defaclobjtype`, and what messages call them.
    pub const TABLE: [(Self, &'static str, &'static str, &'static str); 3] = [
        (Self::Tables, "tables", "r", "relations"),
        (Self::Sequences, "sequences", "S", "sequences"),
        (Self::Schemas, "schemas", "n", "schemas"),
    ];

    /// Those that an object is one of.
    pub const fn of(object: Object) -> Option<Self> {
        match object {
            Object::Table(_) => Some(Self::Tables),
            Object::Sequence(_) => Some(Self::Sequences),
            Object::Schema(_) => Some(Self::Schemas),
            // There are no rights on types but what everybody has; those on functions are granted one by one.
            Object::Type(_) | Object::Extension(_) | Object::Function(_) | Object::Database(_) => None,
        }
    }

    /// An object that is one of them, as new as any.
    pub const fn example(self) -> Object {
        match self {
            Self::Tables => Object::Table(FIRST_USER_OID),
            Self::Sequences => Object::Sequence(FIRST_USER_OID),
            Self::Schemas => Object::Schema(FIRST_USER_OID),
        }
    }

    fn row(self) -> (&'static str, &'static str) {
        let found = Self::TABLE.iter().find(|(own, ..)| *own == self);
        found.map_or(("r", "relations"), |(_, _, letter, word)| (letter, word))
    }

    /// `defaclobjtype`
    pub fn letter(self) -> &'static str {
        self.row().0
    }

    /// What messages call them.
    pub fn word(self) -> &'static str {
        self.row().1
    }
}

/// Whose defaults they are, where, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefaultAclKey {
    /// Who makes the objects.
    pub role: Oid,
    /// The schema that they are made in; `None`: any.
    pub schema: Option<Oid>,
    /// What they are.
    pub kind: DefaultAclKind,
}

impl DefaultAclKey {
    /// What there is before anything is granted or taken back.
    pub fn initial(self) -> Acl {
        match self.schema {
            None => initial_acl(self.kind.example(), None, self.role),
            Some(_) => Acl::default(),
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultAcl {
    /// Its identity.
    pub oid: Oid,
    /// What is granted.
    pub acl: Acl,
}

/// All defaults.
pub(super) type AllDefaultAcls = BTreeMap<DefaultAclKey, DefaultAcl>;

impl Access {
    /// The defaults that were set.
    pub fn default_acls(&self) -> impl Iterator<Item = (DefaultAclKey, &DefaultAcl)> {
        self.default_acls.iter().map(|(key, own)| (*key, own))
    }

    /// Those of a key.
    pub fn default_acl(&self, key: DefaultAclKey) -> Option<&DefaultAcl> {
        self.default_acls.get(&key)
    }

    /// Sets them, or, where there are none, takes them away.
    pub fn put_default_acl(&mut self, key: DefaultAclKey, own: Option<DefaultAcl>) {
        match own {
            Some(own) => self.default_acls.insert(key, own),
            None => self.default_acls.remove(&key),
        };
    }

    /// Forgets those of a database, for another.
    pub(super) fn forget_default_acls(&mut self) {
        self.default_acls.clear();
    }

    /// What a new object grants that a role makes in a schema; `None`: what every such object does.
    pub fn new_acl(&self, object: Object, role: Oid, schema: Option<Oid>) -> Option<Acl> {
        let kind = DefaultAclKind::of(object)?;
        let key = |schema| DefaultAclKey { role, schema, kind };
        let general = self.default_acl(key(None));
        let own = schema.and_then(|schema| self.default_acl(key(Some(schema))));
        if general.is_none() && own.is_none() {
            return None;
        }
        let initial = key(None).initial();
        let mut acl = general.map_or_else(|| initial.clone(), |defaults| defaults.acl.clone());
        for item in own.iter().flat_map(|defaults| defaults.acl.items()) {
            acl.add(item.grantee, item.grantor, item.rights, item.grantable);
        }
        (!acl.is_same(&initial)).then(|| acl.sorted())
    }
}

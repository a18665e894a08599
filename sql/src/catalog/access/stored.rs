//! The durable form of roles and rights: rows of the catalog beside those of tables.
//!
//! ```text
//! role         index 16, oid (u32), suffix 0                  protobuf RoleRecord
//! membership   index 17, role (u32), member (u32), suffix 0   protobuf MembershipRecord
//! rights       index 18, kind (u32), oid (u32), suffix 0      protobuf RightsRecord; kind 0 table, 1 schema, 2 database, 3 sequence, 4 type, 5 extension, 7 function
//! to be        index 18, 6 (u32), role, schema, kind (u32 each), suffix 0   protobuf RightsRecord: ALTER DEFAULT PRIVILEGES
//! secret       index 19, suffix 0                             32 random bytes
//! ```
//!
//! A row of rights has version 1, 2 if it is of another database than the first, or 3 if it is of objects to be. Those of
//! databases stand with roles; all others in the home of the database that they are of.
//!
//! Before the first change there is no row; the first change of roles writes those that were there from the beginning.
//! An object without a row belongs to the first of them and grants what every such object grants at first.

use std::collections::BTreeMap;

use bytes::Bytes;
use keys::Span;
use keys::sql::SUFFIX_ROW;
use prost::Message;

use super::acl::{Acl, AclItem};
use super::rights::Rights;
use super::role::{Membership, RoleDescriptor};
use super::{Access, DefaultAcl, DefaultAclKey, DefaultAclKind, Object, ObjectRights};
use crate::catalog::home::Home;
use crate::catalog::{FIRST_DATABASE_OID, Oid};
use crate::error::{Error, Result};

const ROLES: u64 = 16;
const MEMBERSHIPS: u64 = 17;
const RIGHTS: u64 = 18;
const SECRET: u64 = 19;

/// The version of rows that no newer kind of right is in: the newest of roles and memberships that this code reads.
const VERSION: u32 = 1;
/// The version of a row of rights on another database than the first, which older code would take for rights on the first.
const VERSION_DATABASES: u32 = 2;
/// The newest version of a row of rights that this code reads: that of rights of objects to be, which older code would not
/// heed.
const VERSION_DEFAULTS: u32 = 3;

/// The kind of rights on databases, which are of the whole cluster.
const DATABASE_KIND: u32 = 2;
/// The kind of rights of objects to be.
const DEFAULTS_KIND: u32 = 6;
/// The kind of functions.
const FUNCTION_KIND: u32 = 7;

fn key(tenant: u8, index: u64, parts: &[u32]) -> Bytes {
    let mut key = keys::sql::index_prefix(tenant, index).to_vec();
    parts.iter().for_each(|part| key.extend_from_slice(&part.to_be_bytes()));
    key.push(SUFFIX_ROW);
    key.into()
}

/// The key of a role's row.
pub fn role_key(tenant: u8, oid: Oid) -> Bytes {
    key(tenant, ROLES, &[oid])
}

/// The key of a membership's row.
pub fn membership_key(tenant: u8, role: Oid, member: Oid) -> Bytes {
    key(tenant, MEMBERSHIPS, &[role, member])
}

/// The key of the row of an object's rights.
pub fn rights_key(home: Home, object: Object) -> Bytes {
    let (kind, oid) = numbers(object);
    let home = if kind == DATABASE_KIND { Home::FIRST } else { home };
    home.key(RIGHTS, &[kind, oid])
}

/// What a row says of the object: its kind and oid.
fn numbers(object: Object) -> (u32, Oid) {
    match object {
        Object::Table(oid) => (0, oid),
        Object::Schema(oid) => (1, oid),
        // As it was when there was no other.
        Object::Database(FIRST_DATABASE_OID) => (DATABASE_KIND, 0),
        Object::Database(oid) => (DATABASE_KIND, oid),
        Object::Sequence(oid) => (3, oid),
        Object::Type(oid) => (4, oid),
        Object::Extension(oid) => (5, oid),
        Object::Function(oid) => (FUNCTION_KIND, oid),
    }
}

/// The key of the row of what objects to be grant.
pub fn default_acl_key(home: Home, of: DefaultAclKey) -> Bytes {
    home.key(RIGHTS, &[DEFAULTS_KIND, of.role, of.schema.unwrap_or(0), number(of.kind)])
}

fn number(kind: DefaultAclKind) -> u32 {
    (0..).zip(DefaultAclKind::TABLE).find(|(_, (own, ..))| *own == kind).map_or(0, |(number, _)| number)
}

/// The key of the secret.
pub fn secret_key(tenant: u8) -> Bytes {
    key(tenant, SECRET, &[])
}

/// The keys of the rows of rights on what is in a database.
pub fn rights_span(home: Home) -> Span {
    home.span(RIGHTS)
}

/// The keys of all these rows, of the first database.
pub fn span(tenant: u8) -> Span {
    Span { start: keys::sql::index_span(tenant, ROLES).start, end: keys::sql::index_span(tenant, SECRET).end }
}

#[derive(Clone, PartialEq, Message)]
struct RoleRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    oid: u32,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(bool, tag = "4")]
    superuser: bool,
    #[prost(bool, tag = "5")]
    inherit: bool,
    #[prost(bool, tag = "6")]
    create_role: bool,
    #[prost(bool, tag = "7")]
    create_database: bool,
    #[prost(bool, tag = "8")]
    login: bool,
    #[prost(bool, tag = "9")]
    replication: bool,
    #[prost(bool, tag = "10")]
    bypass_rls: bool,
    #[prost(sint32, tag = "11")]
    connection_limit: i32,
    #[prost(string, optional, tag = "12")]
    verifier: Option<String>,
    #[prost(sint64, optional, tag = "13")]
    valid_until: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct MembershipRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    role: u32,
    #[prost(uint32, tag = "3")]
    member: u32,
    #[prost(uint32, tag = "4")]
    grantor: u32,
    #[prost(bool, tag = "5")]
    admin: bool,
}

#[derive(Clone, PartialEq, Message)]
struct RightsRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(uint32, tag = "3")]
    oid: u32,
    #[prost(uint32, tag = "4")]
    owner: u32,
    #[prost(bool, tag = "5")]
    has_acl: bool,
    #[prost(message, repeated, tag = "6")]
    acl: Vec<ItemRecord>,
    #[prost(message, repeated, tag = "7")]
    columns: Vec<ColumnRightsRecord>,
    /// Of objects to be: their schema, or 0.
    #[prost(uint32, tag = "8")]
    schema: u32,
    /// Of objects to be: what they are, by its place in [`DefaultAclKind::TABLE`].
    #[prost(uint32, tag = "9")]
    of: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ColumnRightsRecord {
    #[prost(uint32, tag = "1")]
    column: u32,
    #[prost(message, repeated, tag = "2")]
    acl: Vec<ItemRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ItemRecord {
    #[prost(uint32, tag = "1")]
    grantee: u32,
    #[prost(uint32, tag = "2")]
    grantor: u32,
    #[prost(uint32, tag = "3")]
    rights: u32,
    #[prost(uint32, tag = "4")]
    grantable: u32,
}

/// The value of a role's row.
pub fn encode_role(role: &RoleDescriptor) -> Bytes {
    let record = RoleRecord {
        version: VERSION,
        oid: role.oid,
        name: role.name.clone(),
        superuser: role.superuser,
        inherit: role.inherit,
        create_role: role.create_role,
        create_database: role.create_database,
        login: role.login,
        replication: role.replication,
        bypass_rls: role.bypass_rls,
        connection_limit: role.connection_limit,
        verifier: role.verifier.as_deref().map(str::to_owned),
        valid_until: role.valid_until,
    };
    record.encode_to_vec().into()
}

/// The value of a membership's row.
pub fn encode_membership(membership: &Membership) -> Bytes {
    let Membership { role, member, grantor, admin } = *membership;
    MembershipRecord { version: VERSION, role, member, grantor, admin }.encode_to_vec().into()
}

/// The value of the row of an object's rights.
pub fn encode_rights(object: Object, rights: &ObjectRights) -> Bytes {
    let (kind, oid) = numbers(object);
    let columns =
        rights.columns.iter().map(|(column, acl)| ColumnRightsRecord { column: *column, acl: items(acl) });
    let record = RightsRecord {
        version: match object {
            Object::Database(oid) if oid != FIRST_DATABASE_OID => VERSION_DATABASES,
            _ => VERSION,
        },
        kind,
        oid,
        owner: rights.owner,
        has_acl: rights.acl.is_some(),
        acl: rights.acl.as_ref().map(items).unwrap_or_default(),
        columns: columns.collect(),
        schema: 0,
        of: 0,
    };
    record.encode_to_vec().into()
}

/// The value of the row of what objects to be grant.
pub fn encode_default_acl(key: DefaultAclKey, own: &DefaultAcl) -> Bytes {
    let record = RightsRecord {
        version: VERSION_DEFAULTS,
        kind: DEFAULTS_KIND,
        oid: own.oid,
        owner: key.role,
        has_acl: true,
        acl: items(&own.acl),
        columns: Vec::new(),
        schema: key.schema.unwrap_or(0),
        of: number(key.kind),
    };
    record.encode_to_vec().into()
}

fn default_acl(record: RightsRecord) -> Option<(DefaultAclKey, DefaultAcl)> {
    let (kind, ..) = DefaultAclKind::TABLE.get(usize::try_from(record.of).ok()?)?;
    let schema = (record.schema != 0).then_some(record.schema);
    let key = DefaultAclKey { role: record.owner, schema, kind: *kind };
    Some((key, DefaultAcl { oid: record.oid, acl: acl(record.acl) }))
}

fn items(acl: &Acl) -> Vec<ItemRecord> {
    let record = |item: &AclItem| ItemRecord {
        grantee: item.grantee,
        grantor: item.grantor,
        rights: item.rights.bits(),
        grantable: item.grantable.bits(),
    };
    acl.items().iter().map(record).collect()
}

fn acl(items: Vec<ItemRecord>) -> Acl {
    let item = |record: ItemRecord| AclItem {
        grantee: record.grantee,
        grantor: record.grantor,
        rights: Rights::from_bits(record.rights),
        grantable: Rights::from_bits(record.grantable),
    };
    Acl::of_items(items.into_iter().map(item).collect())
}

/// Reads roles and rights row by row, in any order.
#[derive(Default)]
pub struct Reader {
    access: Access,
    has_roles: bool,
}

impl Reader {
    /// Takes a row of rights on what is in a database. XX001 if it is damaged, 0A000 if it is newer than this code.
    pub fn take_rights(&mut self, value: &[u8]) -> Result<()> {
        match decode_rights(value)? {
            RightsRow::Object(object, rights) => self.access.put_object(object, rights),
            RightsRow::Default(key, own) => self.access.put_default_acl(key, Some(own)),
        }
        Ok(())
    }

    /// Forgets rights on what is in the first database, or is to be, for another.
    pub fn leave_shared(&mut self) {
        self.access.retain_objects(|object| matches!(object, Object::Database(_)));
        self.access.forget_default_acls();
    }

    /// Takes one of the rows in [`span`]. XX001 if it is damaged, 0A000 if it is newer than this code.
    pub fn take(&mut self, tenant: u8, key: &[u8], value: &[u8]) -> Result<()> {
        let is_of = |index: u64| key.starts_with(keys::sql::index_prefix(tenant, index).as_ref());
        if is_of(ROLES) {
            let record = RoleRecord::decode(value).map_err(damaged)?;
            check(record.version)?;
            self.has_roles = true;
            self.access.put_role(RoleDescriptor {
                oid: record.oid,
                name: record.name,
                superuser: record.superuser,
                inherit: record.inherit,
                create_role: record.create_role,
                create_database: record.create_database,
                login: record.login,
                replication: record.replication,
                bypass_rls: record.bypass_rls,
                connection_limit: record.connection_limit,
                verifier: record.verifier.map(Into::into),
                valid_until: record.valid_until,
            });
        } else if is_of(MEMBERSHIPS) {
            let record = MembershipRecord::decode(value).map_err(damaged)?;
            check(record.version)?;
            let MembershipRecord { role, member, grantor, admin, .. } = record;
            self.access.memberships_mut().put(Membership { role, member, grantor, admin });
        } else if is_of(RIGHTS) {
            self.take_rights(value)?;
        } else if is_of(SECRET) {
            self.access.set_secret(value.to_vec());
        }
        Ok(())
    }

    /// All that was read.
    pub fn finish(self) -> Access {
        let mut access = self.access;
        if !self.has_roles {
            super::role::bootstrap().into_iter().for_each(|role| access.put_role(role));
        }
        access.put_predefined();
        access
    }
}

/// What a row of rights says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightsRow {
    /// The owner of an object, and what it grants.
    Object(Object, ObjectRights),
    /// What objects to be grant.
    Default(DefaultAclKey, DefaultAcl),
}

impl RightsRow {
    /// Its key among the rows of a database.
    pub fn key(&self, home: Home) -> Bytes {
        match self {
            Self::Object(object, _) => rights_key(home, *object),
            Self::Default(key, _) => default_acl_key(home, *key),
        }
    }

    /// Whether it is of the whole cluster.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Object(Object::Database(_), _))
    }

    /// Whether a role owns what it is about, or is granted anything.
    pub fn names(&self, role: Oid) -> bool {
        match self {
            Self::Object(_, rights) => {
                rights.owner == role
                    || rights.acl.iter().chain(rights.columns.values()).any(|acl| acl.names(role))
            }
            Self::Default(key, own) => key.role == role || own.acl.names(role),
        }
    }
}

/// What a row of rights says. XX001 if it is damaged, 0A000 if it is newer than this code.
pub fn decode_rights(value: &[u8]) -> Result<RightsRow> {
    let record = RightsRecord::decode(value).map_err(damaged)?;
    check_up_to(record.version, VERSION_DEFAULTS)?;
    let object = match record.kind {
        0 => Object::Table(record.oid),
        1 => Object::Schema(record.oid),
        DATABASE_KIND if record.oid == 0 => Object::Database(FIRST_DATABASE_OID),
        DATABASE_KIND => Object::Database(record.oid),
        3 => Object::Sequence(record.oid),
        4 => Object::Type(record.oid),
        5 => Object::Extension(record.oid),
        FUNCTION_KIND => Object::Function(record.oid),
        DEFAULTS_KIND => {
            let (key, own) = default_acl(record)
                .ok_or_else(|| damaged("what objects to be grant is of what is unknown"))?;
            return Ok(RightsRow::Default(key, own));
        }
        other => return Err(damaged(format!("rights on an object of kind {other}"))),
    };
    let columns: BTreeMap<_, _> =
        record.columns.into_iter().map(|column| (column.column, acl(column.acl))).collect();
    let whole = record.has_acl.then(|| acl(record.acl));
    Ok(RightsRow::Object(object, ObjectRights { owner: record.owner, acl: whole, columns }))
}

fn check(version: u32) -> Result<()> {
    check_up_to(version, VERSION)
}

fn check_up_to(version: u32, newest: u32) -> Result<()> {
    if version > newest {
        let message = format!("a row of roles or rights was written by a newer version (format {version})");
        return Err(Error::new("0A000", message));
    }
    Ok(())
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::new("XX001", format!("the catalog's row of a role or of rights is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::rights::Right;
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let mut role = RoleDescriptor::new(20000, "ann");
        role.login = true;
        role.connection_limit = 3;
        role.verifier = Some("SCRAM-SHA-256$…".into());
        role.valid_until = Some(-5);
        let membership = Membership { role: 10, member: 20000, grantor: 10, admin: true };
        let mut rights = ObjectRights::of_owner(20000);
        rights.acl = Some(Acl::initial(20000, Rights::of(Right::Select), Rights::of(Right::Insert)));
        rights.columns.insert(2, Acl::initial(10, Rights::of(Right::Update), Rights::NONE));
        let key = DefaultAclKey { role: 20000, schema: Some(2200), kind: DefaultAclKind::Schemas };
        let own = DefaultAcl { oid: 20001, acl: Acl::initial(10, Rights::of(Right::Usage), Rights::NONE) };
        let mut reader = Reader::default();
        let rows = [
            (default_acl_key(Home::FIRST, key), encode_default_acl(key, &own)),
            (role_key(1, 20000), encode_role(&role)),
            (membership_key(1, 10, 20000), encode_membership(&membership)),
            (rights_key(Home::FIRST, Object::Table(7)), encode_rights(Object::Table(7), &rights)),
            (secret_key(1), Bytes::from_static(b"secret")),
        ];
        for (key, value) in rows {
            let span = span(1);
            assert!(key >= span.start && key < span.end);
            reader.take(1, &key, &value).unwrap();
        }
        let access = reader.finish();
        assert_eq!(**access.role_named("ann").unwrap(), role);
        assert_eq!(access.memberships().get(10, 20000), Some(&membership));
        assert_eq!(*access.object(Object::Table(7)), rights);
        assert_eq!(access.default_acls().collect::<Vec<_>>(), [(key, &own)]);
        assert_eq!(access.secret(), Some(b"secret".as_slice()));
    }

    #[test]
    fn what_objects_to_be_grant_is_a_database_s_own() {
        let key = DefaultAclKey { role: 20000, schema: None, kind: DefaultAclKind::Tables };
        let own =
            DefaultAcl { oid: 20001, acl: Acl::initial(20000, Rights::of(Right::Select), Rights::NONE) };
        let value = encode_default_acl(key, &own);
        let row = decode_rights(&value).unwrap();
        assert!(!row.is_shared() && row.names(20000) && !row.names(20002));
        assert_eq!(row.key(Home::FIRST), default_acl_key(Home::FIRST, key));
        assert!(rights_span(Home::of(20003)).contains(&row.key(Home::of(20003))));
        assert!(!rights_span(Home::of(20004)).contains(&row.key(Home::of(20003))));
        let mut reader = Reader::default();
        reader.take(1, &row.key(Home::FIRST), &value).unwrap();
        reader.leave_shared();
        assert_eq!(reader.finish().default_acls().count(), 0);
    }

    #[test]
    fn newer_rows_are_refused() {
        let mut record = RightsRecord { version: VERSION_DEFAULTS + 1, ..RightsRecord::default() };
        assert_eq!(decode_rights(&record.encode_to_vec()).unwrap_err().sqlstate, "0A000");
        // An object's own rights are read as they were, whatever came since.
        for version in [VERSION, VERSION_DATABASES] {
            record.version = version;
            assert!(matches!(
                decode_rights(&record.encode_to_vec()),
                Ok(RightsRow::Object(Object::Table(0), _))
            ));
        }
    }

    #[test]
    fn without_rows_there_are_the_roles_of_the_beginning() {
        let access = Reader::default().finish();
        assert!(access.role_named("postgres").is_some_and(|role| role.superuser && role.login));
        assert!(access.role_named("nunatak").is_some());
        assert_eq!(access.object(Object::Database(FIRST_DATABASE_OID)).owner, 10);
    }
}

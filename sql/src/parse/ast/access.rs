//! Statements about roles and rights.

use super::target::ObjectName;
use super::{DatabaseStatement, DefaultsStatement, FunctionName, Name, QualifiedName, RoleReference};
use crate::catalog::access::DefaultAclKind;

/// A statement about roles or rights.
#[derive(Debug, Clone)]
pub enum AccessStatement {
    /// CREATE, ALTER and DROP of roles.
    Role(RoleStatement),
    /// CREATE, ALTER and DROP of databases.
    Database(DatabaseStatement),
    /// What settings are at first.
    Defaults(DefaultsStatement),
    /// SET CLUSTER SETTING; RESET without a value.
    ClusterSetting {
        /// Which.
        name: Name,
        /// Its value; `None`: what it is unless it is set.
        value: Option<String>,
    },
    /// GRANT role TO role, REVOKE role FROM role
    Membership(GrantRoles),
    /// GRANT and REVOKE of rights on objects.
    Rights(Grant),
    /// ALTER DEFAULT PRIVILEGES
    DefaultPrivileges(DefaultPrivileges),
    /// ALTER … OWNER TO
    Owner {
        /// What.
        object: ObjectName,
        /// The new owner.
        owner: RoleReference,
    },
    /// ALTER FUNCTION … OWNER TO
    FunctionOwner {
        /// Which.
        function: FunctionName,
        /// The new owner.
        owner: RoleReference,
    },
}

/// A statement about roles themselves.
#[derive(Debug, Clone)]
pub enum RoleStatement {
    /// CREATE ROLE, USER, GROUP
    Create {
        /// Its name.
        name: Name,
        /// CREATE USER: it may log in unless an option says otherwise.
        login: bool,
        /// Its options in order.
        options: Vec<RoleOption>,
    },
    /// ALTER ROLE, USER
    Alter {
        /// Which.
        role: RoleReference,
        /// What changes.
        options: Vec<RoleOption>,
    },
    /// ALTER ROLE … RENAME TO
    Rename {
        /// Which.
        role: Name,
        /// The new name.
        to: Name,
    },
    /// DROP ROLE, USER, GROUP
    Drop {
        /// Which.
        roles: Vec<RoleReference>,
        /// IF EXISTS
        if_exists: bool,
    },
}

/// A password as it was given. It is shown nowhere, and forgotten with the statement.
#[derive(Clone)]
pub struct Password(pub zeroize::Zeroizing<String>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// An option of a role.
#[derive(Debug, Clone)]
pub enum RoleOption {
    /// SUPERUSER
    Superuser(bool),
    /// INHERIT
    Inherit(bool),
    /// CREATEROLE
    CreateRole(bool),
    /// CREATEDB
    CreateDatabase(bool),
    /// LOGIN
    Login(bool),
    /// REPLICATION
    Replication(bool),
    /// BYPASSRLS
    BypassRls(bool),
    /// CONNECTION LIMIT
    ConnectionLimit(i64),
    /// PASSWORD; NULL is `None`.
    Password(Option<Password>),
    /// VALID UNTIL
    ValidUntil(String),
    /// IN ROLE, IN GROUP: roles that it becomes a member of.
    InRole(Vec<RoleReference>),
    /// ROLE, USER: who becomes a member of it.
    Members(Vec<RoleReference>),
    /// ADMIN: who becomes a member of it with ADMIN OPTION.
    Admins(Vec<RoleReference>),
    /// SYSID: taken without effect.
    SystemId,
}

/// GRANT role TO role, REVOKE role FROM role.
#[derive(Debug, Clone)]
pub struct GrantRoles {
    /// REVOKE
    pub revoke: bool,
    /// The roles to be members of.
    pub roles: Vec<Name>,
    /// Who becomes or ceases to be a member.
    pub members: Vec<RoleReference>,
    /// WITH ADMIN OPTION, ADMIN OPTION FOR
    pub admin: bool,
    /// GRANTED BY
    pub grantor: Option<RoleReference>,
}

/// A right by its name, and of which columns.
#[derive(Debug, Clone)]
pub struct NamedRight {
    /// ALL is `None`.
    pub right: Option<Name>,
    /// Of these columns alone; empty: of the whole.
    pub columns: Vec<Name>,
}

/// What rights are granted on.
#[derive(Debug, Clone)]
pub enum GrantObjects {
    /// Tables.
    Tables(Vec<QualifiedName>),
    /// ALL TABLES IN SCHEMA
    TablesIn(Vec<Name>),
    /// Sequences.
    Sequences(Vec<QualifiedName>),
    /// ALL SEQUENCES IN SCHEMA
    SequencesIn(Vec<Name>),
    /// Schemas.
    Schemas(Vec<Name>),
    /// Databases.
    Databases(Vec<Name>),
    /// Functions.
    Functions(Vec<FunctionName>),
    /// ALL FUNCTIONS IN SCHEMA
    FunctionsIn(Vec<Name>),
}

/// ALTER DEFAULT PRIVILEGES
#[derive(Debug, Clone)]
pub struct DefaultPrivileges {
    /// FOR ROLE; nobody: who acts.
    pub roles: Vec<RoleReference>,
    /// IN SCHEMA; none: anywhere.
    pub schemas: Vec<Name>,
    /// REVOKE
    pub revoke: bool,
    /// What.
    pub rights: Vec<NamedRight>,
    /// On what.
    pub kind: DefaultAclKind,
    /// To or from whom.
    pub grantees: Vec<RoleReference>,
    /// WITH GRANT OPTION, GRANT OPTION FOR
    pub option: bool,
    /// REVOKE … CASCADE
    pub cascade: bool,
}

/// GRANT and REVOKE of rights on objects.
#[derive(Debug, Clone)]
pub struct Grant {
    /// REVOKE
    pub revoke: bool,
    /// What.
    pub rights: Vec<NamedRight>,
    /// On what.
    pub objects: GrantObjects,
    /// To or from whom.
    pub grantees: Vec<RoleReference>,
    /// WITH GRANT OPTION, GRANT OPTION FOR
    pub option: bool,
    /// GRANTED BY
    pub grantor: Option<RoleReference>,
    /// REVOKE … CASCADE
    pub cascade: bool,
}

//! Statements about databases.

use super::{Name, RoleReference, SettingValue};

/// A statement about a database.
#[derive(Debug, Clone)]
pub enum DatabaseStatement {
    /// CREATE DATABASE
    Create {
        /// Its name.
        name: Name,
        /// Its options.
        options: Vec<DatabaseOption>,
    },
    /// ALTER DATABASE … WITH options
    Alter {
        /// Which.
        name: Name,
        /// What changes.
        options: Vec<DatabaseOption>,
    },
    /// ALTER DATABASE … RENAME TO
    Rename {
        /// Which.
        name: Name,
        /// The new name.
        to: Name,
    },
    /// ALTER DATABASE … OWNER TO
    Owner {
        /// Which.
        name: Name,
        /// The new owner.
        owner: RoleReference,
    },
    /// DROP DATABASE
    Drop {
        /// Which.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
        /// FORCE: sessions in it are ended.
        force: bool,
    },
    /// FLASHBACK DATABASE: what it was stands in its place.
    Flashback {
        /// Which.
        name: Name,
        /// The moment: a string or a number.
        to: String,
    },
}

/// ALTER ROLE … SET, ALTER DATABASE … SET.
#[derive(Debug, Clone)]
pub struct DefaultsStatement {
    /// ALTER ROLE, not ALTER DATABASE.
    pub is_of_role: bool,
    /// In sessions of which role; `None`: of any.
    pub role: Option<RoleReference>,
    /// In which database; `None`: in any.
    pub database: Option<Name>,
    /// What changes.
    pub change: SettingChange,
}

/// A change of what a setting is at first.
#[derive(Debug, Clone)]
pub enum SettingChange {
    /// SET
    Set(String, SettingValue),
    /// SET … FROM CURRENT: as it is in the session that says so.
    SetFromCurrent(String),
    /// RESET; ALL is `None`.
    Reset(Option<String>),
}

/// An option of a database.
#[derive(Debug, Clone)]
pub enum DatabaseOption {
    /// OWNER
    Owner(RoleReference),
    /// TEMPLATE
    Template(String),
    /// CLONE: its tables lie over what those of another were.
    Clone {
        /// The other.
        of: String,
        /// AS OF SYSTEM TIME, as text; None: now.
        moment: Option<String>,
    },
    /// IS_TEMPLATE
    IsTemplate(bool),
    /// ALLOW_CONNECTIONS
    AllowConnections(bool),
    /// CONNECTION LIMIT
    ConnectionLimit(i32),
}

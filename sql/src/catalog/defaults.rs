//! What settings are at first in sessions of a role, in a database: `ALTER ROLE … SET`, `ALTER DATABASE … SET`.
//!
//! ```text
//! key   = index key of the catalog's index of defaults: columns database, role (0: any); suffix 0
//! value = protobuf DefaultsRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         database, role, (name, value)*
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use keys::Span;
use prost::Message;

use super::Oid;
use super::home::Home;
use crate::error::{Error, Result};

/// The index id under which these rows stand.
const DEFAULTS: u64 = 34;

/// The newest version of a row that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// Whose sessions, by the oids of a database and a role; 0 is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The database.
    pub database: Oid,
    /// The role.
    pub role: Oid,
}

/// What is said for some sessions: names and values, in the order in which they were said first.
pub type Said = Vec<(String, String)>;

/// Says what a setting is, in the place of what was said of it before.
pub fn say(said: &mut Said, name: String, value: String) {
    match said.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        Some((_, known)) => *known = value,
        None => said.push((name, value)),
    }
}

/// All of them, as of one catalog version.
#[derive(Debug, Clone, Default)]
pub struct SettingDefaults(BTreeMap<Scope, Said>);

impl SettingDefaults {
    /// What is said for exactly these sessions.
    pub fn of(&self, scope: Scope) -> Said {
        self.0.get(&scope).cloned().unwrap_or_default()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, &Said)> {
        self.0.iter().map(|(scope, said)| (*scope, said))
    }

    /// Sets what is said for these sessions; nothing if that is empty.
    pub fn put(&mut self, scope: Scope, said: Said) {
        if said.is_empty() {
            self.0.remove(&scope);
        } else {
            self.0.insert(scope, said);
        }
    }

    /// What holds in a session of a role in a database: what comes later outweighs what came before.
    pub fn in_force(&self, database: Oid, role: Oid) -> Said {
        let scopes = [(0, 0), (database, 0), (0, role), (database, role)];
        let said = scopes
            .iter()
            .filter_map(|(database, role)| self.0.get(&Scope { database: *database, role: *role }));
        said.flatten().cloned().collect()
    }

    /// Takes a row. XX001 if it is damaged, 0A000 if it is newer than this code.
    pub fn take(&mut self, value: &[u8]) -> Result<()> {
        let record = DefaultsRecord::decode(value)
            .map_err(|why| Error::new("XX001", format!("the catalog's row of settings is damaged: {why}")))?;
        if record.version > VERSION {
            let version = record.version;
            let message = format!("a row of settings was written by a newer version (format {version})");
            return Err(Error::new("0A000", message));
        }
        let DefaultsRecord { database, role, settings, .. } = record;
        self.put(Scope { database, role }, settings.into_iter().map(|one| (one.name, one.value)).collect());
        Ok(())
    }
}

/// The key of the row for these sessions.
pub fn key(scope: Scope) -> Bytes {
    Home::FIRST.key(DEFAULTS, &[scope.database, scope.role])
}

/// The keys of all these rows.
pub fn span() -> Span {
    Home::FIRST.span(DEFAULTS)
}

/// The value of the row for these sessions.
pub fn encode(scope: Scope, said: &[(String, String)]) -> Bytes {
    let one = |(name, value): &(String, String)| SettingRecord { name: name.clone(), value: value.clone() };
    let settings = said.iter().map(one).collect();
    let Scope { database, role } = scope;
    DefaultsRecord { version: VERSION, database, role, settings }.encode_to_vec().into()
}

#[derive(Clone, PartialEq, Message)]
struct DefaultsRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    database: u32,
    #[prost(uint32, tag = "3")]
    role: u32,
    #[prost(message, repeated, tag = "4")]
    settings: Vec<SettingRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct SettingRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_more_closely_outweighs() {
        let mut defaults = SettingDefaults::default();
        for (database, role, value) in [(7, 9, "both"), (0, 9, "role"), (7, 0, "database")] {
            let settings = vec![("work_mem".to_owned(), value.to_owned())];
            defaults.take(&encode(Scope { database, role }, &settings)).unwrap();
        }
        let last = |database, role| defaults.in_force(database, role).pop().map(|(_, value)| value);
        assert_eq!(last(7, 9).as_deref(), Some("both"));
        assert_eq!(last(8, 9).as_deref(), Some("role"));
        assert_eq!(last(7, 8).as_deref(), Some("database"));
        assert_eq!(last(8, 8), None);
    }
}

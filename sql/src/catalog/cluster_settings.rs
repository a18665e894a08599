//! Settings of the whole cluster, as of one catalog version: those that are set.
//!
//! ```text
//! key   = index key of the catalog's index of cluster settings: no columns; suffix 0
//! value = protobuf ClusterSettingsRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         (name, value)*
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use super::home::Home;
use crate::error::{Error, Result};

/// The index id under which the row stands.
const CLUSTER_SETTINGS: u64 = 35;

/// The newest version of the row that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// The settings that are set, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterSettings(BTreeMap<String, String>);

impl ClusterSettings {
    /// The value of one, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Each that is set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets one; `None`: it is not set any more.
    pub fn put(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => drop(self.0.insert(name.to_owned(), value.to_owned())),
            None => drop(self.0.remove(name)),
        }
    }

    /// The row's value.
    pub fn encode(&self) -> Bytes {
        let one =
            |(name, value): (&str, &str)| SettingRecord { name: name.to_owned(), value: value.to_owned() };
        let settings = self.iter().map(one).collect();
        ClusterSettingsRecord { version: VERSION, settings }.encode_to_vec().into()
    }

    /// Those of a row. XX001 if it is damaged, 0A000 if it is newer than this code.
    pub fn decode(value: &[u8]) -> Result<Self> {
        let record = ClusterSettingsRecord::decode(value).map_err(|why| {
            Error::new("XX001", format!("the catalog's row of cluster settings is damaged: {why}"))
        })?;
        if record.version > VERSION {
            let version = record.version;
            let message =
                format!("the row of cluster settings was written by a newer version (format {version})");
            return Err(Error::new("0A000", message));
        }
        Ok(Self(record.settings.into_iter().map(|one| (one.name, one.value)).collect()))
    }
}

/// The key of the row.
pub fn key() -> Bytes {
    Home::FIRST.key(CLUSTER_SETTINGS, &[])
}

#[derive(Clone, PartialEq, Message)]
struct ClusterSettingsRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, repeated, tag = "2")]
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
    fn a_row_is_read_back_and_a_newer_one_refused() {
        let mut settings = ClusterSettings::default();
        settings.put("a.b", Some("1"));
        settings.put("c.d", Some("2"));
        settings.put("c.d", None);
        assert_eq!(ClusterSettings::decode(&settings.encode()).unwrap(), settings);
        let newer = ClusterSettingsRecord { version: VERSION + 1, settings: Vec::new() }.encode_to_vec();
        assert_eq!(ClusterSettings::decode(&newer).unwrap_err().sqlstate, "0A000");
        assert!(ClusterSettings::decode(b"\xff").is_err());
    }
}

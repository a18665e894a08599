//! Settings of the whole cluster: what an operator changes once, for all gateways, without starting any of them anew.
//!
//! They are rows of the catalog ([`crate::catalog::cluster_settings`]), so that every gateway has them in force with the next
//! catalog that it sees: at the latest with the next client that connects to it.

use super::definitions::{self, Kind};
use super::value::{self, Before};
use crate::catalog::cluster_settings::ClusterSettings;
use crate::error::{Error, Result};

/// What the settings are called that sessions begin with.
const DEFAULTS: &str = "sql.defaults.";

/// The most connections of each gateway.
pub(crate) const CONNECTIONS_MAX: &str = "gateway.connections_max";

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClusterDefinition {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its value unless it is set.
    pub(crate) default: &'static str,
    kind: Kind,
    /// What it does.
    pub(crate) description: &'static str,
}

/// A setting of sessions whose value at first is one of the cluster's.
const fn of_sessions(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    description: &'static str,
) -> ClusterDefinition {
    ClusterDefinition { name, default, kind, description }
}

/// All of them, by name.
pub(crate) const CLUSTER_SETTINGS: &[ClusterDefinition] = &[
    ClusterDefinition {
        name: CONNECTIONS_MAX,
        default: "0",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        description: "Connections that each gateway takes, if that is less than what it was started with; 0: what it was started with.",
    },
    of_sessions(
        "sql.defaults.default_transaction_isolation",
        "serializable",
        definitions::ISOLATION,
        "What default_transaction_isolation is in a session at first.",
    ),
    of_sessions(
        "sql.defaults.idle_in_transaction_session_timeout",
        "0",
        Kind::Milliseconds,
        "What idle_in_transaction_session_timeout is in a session at first.",
    ),
    of_sessions(
        "sql.defaults.idle_session_timeout",
        "0",
        Kind::Milliseconds,
        "What idle_session_timeout is in a session at first.",
    ),
    of_sessions(
        "sql.defaults.lock_timeout",
        "0",
        Kind::Milliseconds,
        "What lock_timeout is in a session at first.",
    ),
    of_sessions(
        "sql.defaults.log_min_duration_statement",
        "-1",
        Kind::MillisecondsOrNever,
        "What log_min_duration_statement is in a session at first.",
    ),
    of_sessions(
        "sql.defaults.statement_timeout",
        "0",
        Kind::Milliseconds,
        "What statement_timeout is in a session at first.",
    ),
];

impl ClusterDefinition {
    /// `bool`, `integer`, …
    pub(crate) fn type_name(&self) -> &'static str {
        self.kind.type_name()
    }

    /// The least and the most that it takes, or the words.
    pub(crate) fn bounds(&self) -> (Option<i64>, Option<i64>, Option<&'static [&'static str]>) {
        match self.kind {
            Kind::Integer { min, max } => (Some(min), Some(max), None),
            Kind::Milliseconds => (Some(0), Some(i64::from(i32::MAX)), None),
            Kind::MillisecondsOrNever => (Some(-1), Some(i64::from(i32::MAX)), None),
            Kind::Enum(words) => (None, None, Some(words)),
            _ => (None, None, None),
        }
    }

    /// Its value among those that are set.
    pub(crate) fn value(&self, set: &ClusterSettings) -> String {
        set.get(self.name).unwrap_or(self.default).to_owned()
    }
}

/// The setting of this name. 42704 if there is none.
pub(crate) fn find_cluster(name: &str) -> Result<&'static ClusterDefinition> {
    let found = CLUSTER_SETTINGS.iter().find(|known| known.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        Error::new("42704", format!("unrecognized cluster setting \"{name}\""))
            .hint("SHOW CLUSTER SETTINGS lists all.")
    })
}

/// The value as it is kept. 22023 if the setting does not take it.
pub(crate) fn normalise_cluster(setting: &ClusterDefinition, value: &str) -> Result<String> {
    let definition = definitions::Definition {
        name: setting.name,
        default: setting.default,
        kind: setting.kind,
        context: definitions::Context::Superuser,
        reported: false,
        description: setting.description,
    };
    let before = Before { now: setting.default, reset: setting.default };
    value::normalise(&definition, value, before)
}

/// What sessions begin with as far as the cluster's settings say so. What this program does not know, or would not take, it
/// leaves to newer ones.
pub(crate) fn defaults_of_sessions(set: &ClusterSettings) -> impl Iterator<Item = (String, String)> {
    set.iter().filter_map(|(name, value)| {
        let setting = find_cluster(name).ok()?;
        normalise_cluster(setting, value).ok()?;
        Some((name.strip_prefix(DEFAULTS)?.to_owned(), value.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sessions_begin_with_are_settings_of_sessions() {
        for setting in CLUSTER_SETTINGS {
            assert_eq!(normalise_cluster(setting, setting.default).unwrap(), setting.default);
            let Some(name) = setting.name.strip_prefix(DEFAULTS) else { continue };
            let own = definitions::find(name).unwrap();
            assert_eq!((own.default, own.kind), (setting.default, setting.kind), "{name}");
        }
        assert!(CLUSTER_SETTINGS.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn the_docs_name_every_setting() {
        let docs = include_str!("../../../docs/operating.md");
        let missing: Vec<_> = CLUSTER_SETTINGS
            .iter()
            .filter(|setting| !docs.contains(&format!("`{}`", setting.name)))
            .map(|setting| setting.name)
            .collect();
        assert!(missing.is_empty(), "docs/operating.md does not name {missing:?}");
    }

    #[test]
    fn values_of_newer_programs_are_left_to_them() {
        let mut set = ClusterSettings::default();
        set.put("sql.defaults.statement_timeout", Some("5s"));
        set.put("sql.defaults.lock_timeout", Some("a while"));
        set.put("sql.defaults.of_a_newer_program", Some("1"));
        let defaults: Vec<_> = defaults_of_sessions(&set).collect();
        assert_eq!(defaults, [("statement_timeout".to_owned(), "5s".to_owned())]);
    }
}

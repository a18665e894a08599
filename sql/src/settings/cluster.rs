//! Settings of the whole cluster: what an operator changes once, for all gateways, without starting any of them anew.
//!
//! They are rows of the catalog ([`crate::catalog::cluster_settings`]), so that every gateway has them in force with the next
//! catalog that it sees: at the latest with the next client that connects to it.

use std::num::NonZeroU64;
use std::time::Duration;

use super::definitions::{self, Kind};
use super::value::{self, Before};
use crate::catalog::cluster_settings::ClusterSettings;
use crate::error::{Error, Result};

/// How many bytes of files of backups each node writes in a second at most.
const BACKUP_BYTES: &str = "backup.node_bytes_per_second";

/// What the settings are called that sessions begin with.
const DEFAULTS: &str = "sql.defaults.";

/// The most connections of each gateway.
const CONNECTIONS_MAX: &str = "gateway.connections_max";

/// What clients of one address may do in a second at each gateway.
const ADDRESS_BYTES: &str = "gateway.address_bytes_per_second";
const ADDRESS_CONNECTIONS: &str = "gateway.address_connections_per_second";
const ADDRESS_STATEMENTS: &str = "gateway.address_statements_per_second";

/// How long a client may take to prove who it is.
const AUTHENTICATION_TIMEOUT: &str = "gateway.authentication_timeout";

/// How long a statement waits for its turn at a gateway that has more to do than it can.
const QUEUE_TIMEOUT: &str = "gateway.queue_timeout";

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
        name: BACKUP_BYTES,
        default: "0",
        kind: Kind::Integer { min: 0, max: 1 << 40 },
        description: "Bytes of files of backups a second that each node writes at most, 8 MiB at least; 0: as many as leave commits the time they take without.",
    },
    ClusterDefinition {
        name: ADDRESS_BYTES,
        default: "0",
        kind: Kind::Integer { min: 0, max: 1 << 40 },
        description: "Bytes a second that clients of one address may send to and be sent by each gateway; 0: no bound.",
    },
    ClusterDefinition {
        name: ADDRESS_CONNECTIONS,
        default: "0",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        description: "Connections a second that clients of one address may make to each gateway; 0: no bound.",
    },
    ClusterDefinition {
        name: ADDRESS_STATEMENTS,
        default: "0",
        kind: Kind::Integer { min: 0, max: 1_000_000_000 },
        description: "Statements a second that clients of one address may run at each gateway; 0: no bound.",
    },
    ClusterDefinition {
        name: AUTHENTICATION_TIMEOUT,
        default: "15s",
        kind: Kind::Milliseconds,
        description: "How long a client may take until it has proved who it is; 0: 10 minutes, which is the most.",
    },
    ClusterDefinition {
        name: CONNECTIONS_MAX,
        default: "0",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        description: "Connections that each gateway takes, if that is less than what it was started with; 0: what it was started with.",
    },
    ClusterDefinition {
        name: QUEUE_TIMEOUT,
        default: "1s",
        kind: Kind::Milliseconds,
        description: "How long a statement that begins a transaction waits for its turn at a gateway with more to do than it can before it is refused.",
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
    of_sessions(
        "sql.defaults.trace_min_duration",
        "-1",
        Kind::MillisecondsOrNever,
        "What trace_min_duration is in a session at first.",
    ),
    of_sessions(
        "sql.defaults.trace_ratio",
        "0",
        definitions::RATIO,
        "What trace_ratio is in a session at first.",
    ),
    of_sessions(
        "sql.defaults.transaction_timeout",
        "0",
        Kind::Milliseconds,
        "What transaction_timeout is in a session at first.",
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

/// What the cluster's settings say of each gateway; `None`: nothing, it goes by what it was started with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GatewayBounds {
    /// The most connections.
    pub connections_max: Option<usize>,
    /// How long a client may take until it has proved who it is.
    pub authentication_timeout: Option<Duration>,
    /// How long a statement waits for its turn.
    pub queue_timeout: Option<Duration>,
    /// Of one address: statements a second.
    pub address_statements: Option<NonZeroU64>,
    /// Of one address: new connections a second.
    pub address_connections: Option<NonZeroU64>,
    /// Of one address: bytes a second.
    pub address_bytes: Option<NonZeroU64>,
}

/// How many bytes of files of backups each node writes in a second at most; 0: nothing is set.
pub(crate) fn backup_bytes_per_second(set: &ClusterSettings) -> u64 {
    set.get(BACKUP_BYTES).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// No client takes longer to prove who it is.
const AUTHENTICATION_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// What is set for gateways.
pub(crate) fn bounds_of_gateways(set: &ClusterSettings) -> GatewayBounds {
    let amount = |name: &str| set.get(name).and_then(|value| value.parse().ok()).and_then(NonZeroU64::new);
    let wait = |name: &str| {
        let ms = value::parse_milliseconds(set.get(name)?)?;
        Some(Duration::from_millis(u64::try_from(ms).ok()?))
    };
    let bounded = |wait: Duration| match wait.is_zero() {
        true => AUTHENTICATION_TIMEOUT_MAX,
        false => wait.min(AUTHENTICATION_TIMEOUT_MAX),
    };
    GatewayBounds {
        connections_max: amount(CONNECTIONS_MAX).and_then(|most| usize::try_from(most.get()).ok()),
        authentication_timeout: wait(AUTHENTICATION_TIMEOUT).map(bounded),
        queue_timeout: wait(QUEUE_TIMEOUT),
        address_statements: amount(ADDRESS_STATEMENTS),
        address_connections: amount(ADDRESS_CONNECTIONS),
        address_bytes: amount(ADDRESS_BYTES),
    }
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
    fn gateways_go_by_what_is_set_and_no_client_takes_for_ever() {
        let mut set = ClusterSettings::default();
        assert_eq!(bounds_of_gateways(&set), GatewayBounds::default());
        for (name, value) in [
            (CONNECTIONS_MAX, "7"),
            (AUTHENTICATION_TIMEOUT, "0"),
            (QUEUE_TIMEOUT, "250ms"),
            (ADDRESS_STATEMENTS, "5"),
            (ADDRESS_BYTES, "0"),
            (BACKUP_BYTES, "104857600"),
        ] {
            set.put(name, Some(value));
        }
        assert_eq!(backup_bytes_per_second(&set), 100 << 20);
        let bounds = bounds_of_gateways(&set);
        assert_eq!((bounds.connections_max, bounds.address_statements), (Some(7), NonZeroU64::new(5)));
        assert_eq!((bounds.address_bytes, bounds.address_connections), (None, None));
        assert_eq!(bounds.authentication_timeout, Some(AUTHENTICATION_TIMEOUT_MAX));
        assert_eq!(bounds.queue_timeout, Some(Duration::from_millis(250)));
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

//! Views of the cluster as a whole: its nodes and ranges, and what can be set.

use std::fmt::Write as _;

use super::World;
use super::record::{Records, Value};
use crate::catalog::kept;
use crate::settings::CLUSTER_SETTINGS;

/// What `history` is.
const HISTORY: &str =
    "How long all history is kept that nobody wants to be kept for longer: a minute at least, or forever.";

/// `nunatak.nodes`
pub(super) fn nodes(world: &World<'_>, records: &mut Records<'_>) {
    for node in &world.gathered.nodes {
        let locality: Vec<String> =
            node.locality.iter().map(|(tier, place)| format!("{tier}={place}")).collect();
        records.push(&[
            ("node_id", Value::count(node.node_id)),
            ("address", (&node.address).into()),
            ("live", node.live.into()),
            ("locality", locality.join(",").into()),
            ("version", (&node.version).into()),
        ]);
    }
}

/// `nunatak.ranges`
pub(super) fn ranges(world: &World<'_>, records: &mut Records<'_>) {
    let ids = |nodes: &[u64]| {
        Value::Ints(nodes.iter().map(|node| i64::try_from(*node).unwrap_or(i64::MAX)).collect())
    };
    for range in &world.gathered.ranges {
        records.push(&[
            ("range_id", Value::count(range.range_id)),
            ("start_key", shown_key(&range.span.start).into()),
            ("end_key", shown_key(&range.span.end).into()),
            ("leader", range.leader.map_or(Value::Null, Value::count)),
            ("voters", ids(&range.voters)),
            ("learners", ids(&range.learners)),
            ("bytes", range.load.map_or(Value::Null, |load| Value::count(load.bytes))),
            (
                "requests_per_second",
                range.load.map_or(Value::Null, |load| Value::count(load.requests_per_second)),
            ),
        ]);
    }
}

/// `nunatak.settings`
pub(super) fn settings(world: &World<'_>, records: &mut Records<'_>) {
    for setting in world.settings.all() {
        let definition = setting.definition;
        records.push(&[
            ("name", setting.name.into()),
            ("value", (&**setting.value).into()),
            ("default_value", definition.map(|definition| definition.default).into()),
            ("context", definition.map(|definition| definition.context.name()).into()),
            ("description", definition.map(|definition| definition.description).into()),
        ]);
    }
}

/// `nunatak.cluster_settings`
pub(super) fn cluster_settings(world: &World<'_>, records: &mut Records<'_>) {
    for setting in CLUSTER_SETTINGS {
        let (min, max, words) = setting.bounds();
        let words = words
            .map_or(Value::Null, |words| Value::Texts(words.iter().map(|word| (*word).to_owned()).collect()));
        records.push(&[
            ("name", setting.name.into()),
            ("value", setting.value(world.catalog.cluster_settings()).into()),
            ("default_value", setting.default.into()),
            ("type", setting.type_name().into()),
            ("min_value", min.map_or(Value::Null, Value::Int)),
            ("max_value", max.map_or(Value::Null, Value::Int)),
            ("words", words),
            ("description", setting.description.into()),
        ]);
    }
    // The cluster keeps to it without the catalog.
    records.push(&[
        ("name", "history".into()),
        ("value", world.gathered.history_ms.map(kept::shown).into()),
        ("default_value", kept::shown(kept::HISTORY_MS_DEFAULT).into()),
        ("type", "string".into()),
        ("min_value", Value::Null),
        ("max_value", Value::Null),
        ("words", Value::Null),
        ("description", HISTORY.into()),
    ]);
}

/// A key for people: printable ASCII as it is, other bytes as \xNN, a backslash as \\; `None` where there is no end.
pub(crate) fn shown_key(key: &[u8]) -> Option<String> {
    if key.is_empty() {
        return None;
    }
    let mut shown = String::with_capacity(key.len());
    for byte in key {
        match byte {
            b'\\' => shown.push_str("\\\\"),
            b' '..=b'~' => shown.push(char::from(*byte)),
            // Writing to a string never fails.
            _ => drop(write!(shown, "\\x{byte:02x}")),
        }
    }
    Some(shown)
}

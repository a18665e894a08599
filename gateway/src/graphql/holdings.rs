//! What the door holds: its sessions' settings, the schemas of roles, and the room for what is large.

use std::sync::Arc;

use env::task::Scope;

use super::catalog::Schemas;
use crate::connection::Shared;
use crate::door::{Door, Room};

/// How sessions write values, whatever their roles' settings are.
const SETTINGS: &[(&str, &str)] = &[
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
];

/// The door.
pub(crate) struct GraphQl {
    pub(crate) door: Arc<Door>,
    /// Where proofs belong that go on when their requests are given up, and what sockets are asked.
    pub(super) scope: Scope,
    pub(super) schemas: Schemas,
    /// What large requests take, and large answers with their rows. Whoever has both took them in this order.
    pub(super) requests: Room,
    pub(super) answers: Room,
}

impl GraphQl {
    /// What it starts belongs to `scope`.
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope) -> Self {
        let door = Arc::new(Door::new(shared, "graphql", &[]).with_settings(SETTINGS));
        let (requests, answers) = (Room::new(), Room::new());
        Self { door, scope, schemas: Schemas::default(), requests, answers }
    }
}

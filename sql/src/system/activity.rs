//! Views of what sessions do and have done, here and at other gateways.

use client::gateways::{SessionInfo, SessionState};

use super::record::{Records, Value};
use super::{Gathered, World};
use crate::catalog::access::{PG_READ_ALL_STATS_OID, Powers};

/// What those see who may not look at a session.
const HIDDEN: &str = "<insufficient privilege>";

/// Who looks.
struct Onlooker<'a> {
    world: &'a World<'a>,
    powers: Option<Powers>,
}

impl<'a> Onlooker<'a> {
    fn new(world: &'a World<'a>) -> Self {
        let access = world.catalog.access();
        let acting = access.role_named(&world.session.current_user);
        Self { world, powers: acting.map(|role| access.powers(role.oid)) }
    }

    fn role(&self, name: &str) -> Option<u32> {
        self.world.catalog.access().role_named(name).map(|role| role.oid)
    }

    /// Whether the details of what this role does are for it to see.
    fn sees(&self, role: Option<u32>) -> bool {
        self.powers.as_ref().is_some_and(|powers| {
            powers.has(PG_READ_ALL_STATS_OID) || role.is_some_and(|role| powers.has(role))
        })
    }

    fn gathered(&self) -> &'a Gathered {
        &self.world.gathered
    }

    fn is_blocked(&self, session: &SessionInfo) -> bool {
        !self.gathered().everyone.blockers(session).is_empty()
    }

    /// `wait_event_type` and `wait_event`.
    fn wait_event(&self, session: &SessionInfo) -> Option<(&'static str, &'static str)> {
        match session.state() {
            SessionState::Active if self.is_blocked(session) => Some(("Lock", "transactionid")),
            SessionState::Active if session.waits => Some(("IPC", "ClusterAnswer")),
            SessionState::Active => None,
            _ => Some(("Client", "ClientRead")),
        }
    }
}

fn state(session: &SessionInfo) -> &'static str {
    match session.state() {
        SessionState::Idle => "idle",
        SessionState::Active => "active",
        SessionState::InTransaction => "idle in transaction",
        SessionState::InFailedTransaction => "idle in transaction (aborted)",
    }
}

/// A transaction's number, as far as those of PostgreSQL have room for it.
fn xid(id: &[u8]) -> Option<u32> {
    let first: [u8; 4] = id.get(..4)?.try_into().ok()?;
    Some(u32::from_be_bytes(first))
}

fn hex(id: &[u8]) -> Option<String> {
    (!id.is_empty()).then(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn moment(us: Option<i64>) -> Value {
    us.map_or(Value::Null, Value::Moment)
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

pub(super) fn pg_stat_activity(world: &World<'_>, records: &mut Records<'_>) {
    let onlooker = Onlooker::new(world);
    for session in &onlooker.gathered().everyone.sessions {
        let role = onlooker.role(&session.user);
        let mut fields: Vec<(&str, Value)> = vec![
            ("datid", world.catalog.databases().named(&session.database).map(|found| found.oid).into()),
            ("datname", (&session.database).into()),
            ("pid", session.pid.into()),
            ("usesysid", role.into()),
            ("usename", (&session.user).into()),
            ("application_name", (&session.application).into()),
            ("query", HIDDEN.into()),
        ];
        if onlooker.sees(role) {
            fields.pop();
            let wait = onlooker.wait_event(session);
            fields.extend([
                ("client_addr", text(&session.client_address)),
                ("client_port", Value::Int(session.client_port.into())),
                ("backend_start", Value::Moment(session.started_us)),
                ("xact_start", moment(session.transaction_started_us)),
                ("query_start", moment(session.query_started_us)),
                ("state_change", Value::Moment(session.state_changed_us)),
                ("wait_event_type", wait.map(|(kind, _)| kind).into()),
                ("wait_event", wait.map(|(_, event)| event).into()),
                ("state", state(session).into()),
                ("backend_xid", xid(&session.transaction_id).into()),
                ("query_id", if session.query_id == 0 { Value::Null } else { Value::Int(session.query_id) }),
                ("query", (&session.query).into()),
                ("backend_type", "client backend".into()),
            ]);
        }
        records.push(&fields);
    }
}

/// Each transaction has a lock upon itself, and those that wait for it one that is not granted, as row locks show in
/// PostgreSQL. There are no locks of tables.
pub(super) fn pg_locks(world: &World<'_>, records: &mut Records<'_>) {
    let everyone = &world.gathered.everyone;
    for session in everyone.sessions.iter().filter(|session| !session.transaction_id.is_empty()) {
        let mut push = |transaction: &[u8], mode: &str, granted: bool| {
            records.push(&[
                ("locktype", "transactionid".into()),
                ("transactionid", xid(transaction).into()),
                ("virtualtransaction", format!("{}/1", session.pid).into()),
                ("pid", session.pid.into()),
                ("mode", mode.into()),
                ("granted", granted.into()),
                ("fastpath", false.into()),
            ]);
        };
        push(&session.transaction_id, "ExclusiveLock", true);
        for holder in everyone.blockers(session) {
            push(holder, "ShareLock", false);
        }
    }
}

pub(super) fn pg_stat_statements(world: &World<'_>, records: &mut Records<'_>) {
    let onlooker = Onlooker::new(world);
    for counts in &onlooker.gathered().statements {
        let role = onlooker.role(&counts.user);
        let sees = onlooker.sees(role);
        let calls = counts.calls.max(1) as f64;
        let mean = counts.total_ms / calls;
        let deviation = (counts.squares / calls - mean * mean).max(0.0).sqrt();
        records.push(&[
            ("userid", role.into()),
            ("dbid", world.catalog.databases().named(&counts.database).map(|found| found.oid).into()),
            ("toplevel", true.into()),
            ("queryid", if sees { Value::Int(counts.query_id) } else { Value::Null }),
            ("query", if sees { (&counts.query).into() } else { HIDDEN.into() }),
            ("calls", Value::count(counts.calls)),
            ("total_exec_time", Value::Double(counts.total_ms)),
            ("min_exec_time", Value::Double(counts.least_ms)),
            ("max_exec_time", Value::Double(counts.most_ms)),
            ("mean_exec_time", Value::Double(mean)),
            ("stddev_exec_time", Value::Double(deviation)),
            ("rows", Value::count(counts.rows)),
        ]);
    }
}

/// `nunatak.sessions`
pub(super) fn sessions(world: &World<'_>, records: &mut Records<'_>) {
    let onlooker = Onlooker::new(world);
    let everyone = &onlooker.gathered().everyone;
    for session in &everyone.sessions {
        let mut fields: Vec<(&str, Value)> = vec![
            ("pid", session.pid.into()),
            ("user_name", (&session.user).into()),
            ("database", (&session.database).into()),
            ("application", (&session.application).into()),
            ("query", HIDDEN.into()),
        ];
        if onlooker.sees(onlooker.role(&session.user)) {
            fields.pop();
            let blocked_by = everyone.blocking_pids(session).into_iter().map(i64::from).collect();
            fields.extend([
                ("gateway", hex(&session.gateway_id).into()),
                ("client_address", text(&session.client_address)),
                ("client_port", Value::Int(session.client_port.into())),
                ("started", Value::Moment(session.started_us)),
                ("state", state(session).into()),
                ("query", (&session.query).into()),
                ("query_started", moment(session.query_started_us)),
                ("transaction_started", moment(session.transaction_started_us)),
                ("transaction", hex(&session.transaction_id).into()),
                ("waits_for_cluster", session.waits.into()),
                ("blocked_by", Value::Ints(blocked_by)),
            ]);
        }
        records.push(&fields);
    }
}

/// `nunatak.transactions`: those that have locked or written anything.
pub(super) fn transactions(world: &World<'_>, records: &mut Records<'_>) {
    let onlooker = Onlooker::new(world);
    let everyone = &onlooker.gathered().everyone;
    for session in everyone.sessions.iter().filter(|session| !session.transaction_id.is_empty()) {
        if onlooker.sees(onlooker.role(&session.user)) {
            let waits_for = everyone.blockers(session).iter().filter_map(|id| hex(id)).collect();
            records.push(&[
                ("transaction", hex(&session.transaction_id).into()),
                ("pid", session.pid.into()),
                ("user_name", (&session.user).into()),
                ("database", (&session.database).into()),
                ("started", moment(session.transaction_started_us)),
                ("waits_for", Value::Texts(waits_for)),
            ]);
        }
    }
}

/// `nunatak.jobs`: what takes long, of sessions and of nodes.
pub(super) fn jobs(world: &World<'_>, records: &mut Records<'_>) {
    let onlooker = Onlooker::new(world);
    for session in &onlooker.gathered().everyone.sessions {
        if !onlooker.sees(onlooker.role(&session.user)) {
            continue;
        }
        for job in &session.jobs {
            let remaining = job.total.map(|total| total.saturating_sub(job.done));
            records.push(&[
                ("kind", (&job.kind).into()),
                ("object", text(&job.object)),
                ("step", text(&job.step)),
                ("unit", text(&job.unit)),
                ("done", Value::count(job.done)),
                ("remaining", remaining.map_or(Value::Null, Value::count)),
                ("started", Value::Moment(job.started_us)),
                ("pid", session.pid.into()),
                ("user_name", (&session.user).into()),
                ("database", (&session.database).into()),
                ("gateway", hex(&session.gateway_id).into()),
            ]);
        }
    }
    // What nodes are at is nobody's own.
    if !onlooker.sees(None) {
        return;
    }
    for node in &onlooker.gathered().nodes {
        let mut push = |kind: &str, step: &str, unit: &str, remaining: u64| {
            records.push(&[
                ("kind", kind.into()),
                ("object", format!("node {}", node.node_id).into()),
                ("step", step.into()),
                ("unit", unit.into()),
                ("remaining", Value::count(remaining)),
                ("node_id", Value::count(node.node_id)),
            ]);
        };
        if let Some(replicas) = node.leaving {
            push("decommission", "moving replicas", "replicas", replicas);
        }
        if node.stale_bytes > 0 {
            push("encryption", "encrypting anew", "bytes", node.stale_bytes);
        }
    }
}

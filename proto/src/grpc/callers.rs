//! Who may call what, where both ends of a connection show certificates: each process what its certificate says it is for.
//!
//! The authority signs the certificates of clients, too, who log in to gateways and have nothing to ask of a node. What
//! nodes say among themselves (votes, entries, joining, changes of ranges) only a node may say. Who may make no call at all is
//! refused before anything of a message is read: such callers take no room with messages that are large.

use cert::{Identity, Role};
use tonic::{Request, Status};

/// The calls that nodes alone make.
const NODES_OWN: [&str; 10] = [
    "join",
    "node_heartbeat",
    "digest",
    "change_replicas",
    "subsume",
    "vote",
    "transfer",
    "sleep",
    "append",
    "snapshot",
];

/// PERMISSION_DENIED if whoever has connected may not make this call.
pub(super) fn check<T>(request: &Request<T>, call: &str) -> Result<(), Status> {
    let identity = identity(request);
    let role = identity.as_ref().and_then(|identity| identity.role);
    if may_call(role, call) { Ok(()) } else { Err(refused(identity, &format!("the call {call}"))) }
}

/// The same before it is known which call: PERMISSION_DENIED if it may make none.
pub(super) fn check_any(request: Request<()>) -> Result<Request<()>, Status> {
    let identity = identity(&request);
    match identity.as_ref().and_then(|identity| identity.role) {
        Some(Role::Node | Role::Gateway) => Ok(request),
        Some(Role::Client) | None => Err(refused(identity, "calls of nodes")),
    }
}

fn identity<T>(request: &Request<T>) -> Option<Identity> {
    let shown = request.peer_certs()?;
    shown.first().and_then(|shown| Identity::of(shown).ok())
}

fn refused(identity: Option<Identity>, what: &str) -> Status {
    let role = identity.as_ref().and_then(|identity| identity.role);
    let name = identity.and_then(|identity| identity.common_name).unwrap_or_default();
    tracing::warn!(
        what,
        name,
        role = role.map_or("none", Role::name),
        "a call was refused by its certificate"
    );
    Status::permission_denied(format!("the certificate of \"{name}\" does not allow {what}"))
}

fn may_call(role: Option<Role>, call: &str) -> bool {
    match role {
        Some(Role::Node) => true,
        Some(Role::Gateway) => !NODES_OWN.contains(&call),
        Some(Role::Client) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::calls;

    macro_rules! names {
        (@of $(
            $(#[$doc:meta])*
            $call:ident as $name:ident($request:ident) -> $response:ident, $lane:ident, $way:ident;
        )*) => {
            &[$(stringify!($call)),*]
        };
        ($($service:ident of $client:ident { $($rows:tt)* })*) => {
            &[$((stringify!($service), names!(@of $($rows)*))),*]
        };
    }

    /// Each service, and its calls.
    const CALLS: &[(&str, &[&str])] = calls!(names);

    #[test]
    fn what_replication_says_nodes_alone_say() {
        let raft = CALLS.iter().find(|(service, _)| *service == "Raft");
        let (_, calls) = raft.expect("the service");
        assert!(calls.len() >= 3 && calls.iter().all(|call| NODES_OWN.contains(call)), "{calls:?}");
    }

    #[test]
    fn processes_may_what_they_are_for() {
        for call in NODES_OWN {
            assert!(may_call(Some(Role::Node), call) && !may_call(Some(Role::Gateway), call), "{call}");
        }
        for call in ["batch", "stream", "nodes", "history", "hello"] {
            assert!(may_call(Some(Role::Node), call) && may_call(Some(Role::Gateway), call), "{call}");
            assert!(!may_call(Some(Role::Client), call) && !may_call(None, call), "{call}");
        }
    }
}

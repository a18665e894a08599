//! Who may call what, where both ends of a connection show certificates: each process what its certificate says it is for.
//!
//! The authority signs the certificates of clients, too, who log in to gateways and have nothing to ask of a node. What
//! nodes say among themselves (votes, entries, joining) only a node may say.

use cert::{Identity, Role};
use tonic::{Request, Status};

/// The calls that nodes alone make.
const NODES_OWN: [&str; 7] = ["join", "node_heartbeat", "digest", "vote", "transfer", "append", "snapshot"];

/// PERMISSION_DENIED if whoever has connected may not make this call.
pub(super) fn check<T>(request: &Request<T>, call: &str) -> Result<(), Status> {
    let shown = request.peer_certs();
    let identity = shown.as_ref().and_then(|shown| shown.first()).and_then(|shown| Identity::of(shown).ok());
    let role = identity.as_ref().and_then(|identity| identity.role);
    if may_call(role, call) {
        return Ok(());
    }
    let name = identity.and_then(|identity| identity.common_name).unwrap_or_default();
    tracing::warn!(
        call,
        name,
        role = role.map_or("none", Role::name),
        "a call was refused by its certificate"
    );
    Err(Status::permission_denied(format!("the certificate of \"{name}\" does not allow the call {call}")))
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

    #[test]
    fn processes_may_what_they_are_for() {
        for call in ["vote", "append", "join"] {
            assert!(may_call(Some(Role::Node), call) && !may_call(Some(Role::Gateway), call), "{call}");
        }
        for call in ["batch", "stream", "nodes", "history", "hello"] {
            assert!(may_call(Some(Role::Node), call) && may_call(Some(Role::Gateway), call), "{call}");
            assert!(!may_call(Some(Role::Client), call) && !may_call(None, call), "{call}");
        }
    }
}

//! Asking whoever is nearest: what a transaction reads of the past any replica can answer up to what its range's leader has closed.
//!
//! A replica in this process is the nearest, then come those with the most in common with this client's locality; of those that
//! are as near one is drawn. One that does not answer is passed over, and so is one that has the range no more, or in other bounds:
//! where it says who has it, that counts for the next request. Of one that has not come so far the leader knows better: it is
//! asked then, as it is for any other read; but where it is known to be silent the next replica is asked before it.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use env::{clock, trace};
use proto::v1::error::Kind as Refused;
use proto::v1::{BatchRequest, Header, Operation, OperationResult, StaleRange};

use super::{Call, Sender, sent_under};
use crate::moment::{about_now, ms_between};
use crate::router::Route;

/// How long one replica may take to answer. All together may take half of what the request may: the leader may take the rest.
const PATIENCE: Duration = Duration::from_secs(1);

impl Sender {
    /// What a replica near by answers; nothing: the leader is to be asked.
    pub(super) async fn ask_nearest(
        &self,
        route: &Route,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Option<Vec<OperationResult>> {
        let at = call.start_timestamp;
        if route.has_not_come_to(ms_between(at, about_now())) {
            return None;
        }
        let until = clock::now() + call.timeout / 2;
        for (turn, candidate) in (1..).zip(self.router.nearest(route)) {
            if candidate.peer.is_silent() {
                candidate.peer.look(self.router.cluster_id());
                continue;
            }
            let patience = PATIENCE.min(until.saturating_duration_since(clock::now()));
            if patience.is_zero() {
                return None;
            }
            let span = self.span(route, turn);
            let header = Header {
                cluster_id: self.router.cluster_id(),
                range_id: route.range_id(),
                span_epoch: route.descriptor().span_epoch,
                txn_id: call.txn_id.clone(),
                start_timestamp: call.start_timestamp,
                attempt: turn,
                timeout_ms: (patience.as_millis() as u64).max(1),
                catalog_version: call.catalog_version,
                from_follower: true,
                trace: sent_under(span.as_ref()),
                ..Header::default()
            };
            let request = BatchRequest { header: Some(header), operations: operations.clone() };
            let asked = pin!(clock::timeout(patience, candidate.peer.handle.batch(request)));
            let Ok(answer) = trace::within(span, asked).await else {
                candidate.peer.look(self.router.cluster_id());
                continue;
            };
            candidate.peer.note(&answer);
            let Ok(response) = answer else { continue };
            match response.error {
                None => {
                    if route.lead().is_none_or(|(_, lead)| lead.node_id != candidate.node_id) {
                        self.followed.fetch_add(1, Ordering::Relaxed);
                    }
                    return Some(response.results);
                }
                Some(error) => match error.kind {
                    // It is on its way up or down, or of an older program.
                    Some(Refused::NotLeader(_) | Refused::Unavailable(_)) => {}
                    // The range has moved away from it, is another by now, or is not yet what it is elsewhere.
                    Some(Refused::StaleRange(StaleRange { current })) => {
                        self.router.learn(&current);
                        if !self.router.route(route.start()).is_some_and(|known| known.is_same_span(route)) {
                            return None;
                        }
                    }
                    Some(Refused::NotClosed(not_closed)) => {
                        if route.lead().is_none_or(|(_, lead)| lead.peer.is_silent()) {
                            continue;
                        }
                        // Where it has come so far, a lock was in the way of this one.
                        if not_closed.closed_timestamp < at {
                            route.lags(ms_between(not_closed.closed_timestamp, about_now()));
                        }
                        return None;
                    }
                    _ => return None,
                },
            }
        }
        None
    }
}

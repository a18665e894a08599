//! Who serves a range? Of all who miss its leader one asks, and the others wait for what it finds.
//!
//! All candidates are asked at once, so that a node that does not answer holds nobody up. Where one names a leader that
//! does not answer to us, it is asked to pass requests on: the two may reach each other. In between, the directory is
//! looked up again: the range may have got other replicas.

use std::sync::Arc;
use std::time::Duration;

use env::clock;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::Sender;
use super::attempts::Attempts;
use super::watch::{PROBE_PATIENCE, Probe};
use crate::Result;
use crate::router::{Lead, Route};

/// The first pause between two rounds.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How long a round waits for the directory.
const DIRECTORY_PATIENCE: Duration = Duration::from_millis(300);

/// How much longer than the others those may take that did not answer before.
const GRACE: Duration = Duration::from_millis(20);

/// What a search has found.
pub(super) enum Found {
    /// The route names who serves the range.
    Serves,
    /// The range has another descriptor by now.
    Moved(Arc<Route>),
}

impl Sender {
    /// Makes the route name who serves the range, or finds another route; an error once the deadline has passed.
    /// `asked` was of no use.
    pub(super) async fn search(
        &self,
        route: &Arc<Route>,
        asked: Lead,
        attempts: &mut Attempts,
    ) -> Result<Found> {
        let searching = match clock::timeout(attempts.left(), route.searching.lock()).await {
            Ok(searching) => searching,
            Err(_) => return Err(attempts.give_up()),
        };
        if !route.is_asked(asked) {
            return Ok(Found::Serves);
        }
        let mut pause = PAUSE_MIN;
        loop {
            if let Some(moved) = self.moved(route) {
                return Ok(Found::Moved(moved));
            }
            if self.round(route, attempts).await {
                drop(searching);
                return Ok(Found::Serves);
            }
            // Without an answer we go on with what we know.
            let refreshing = self.router.look_up(route.start());
            let _ = clock::timeout(DIRECTORY_PATIENCE, refreshing).await;
            if let Some(moved) = self.moved(route) {
                return Ok(Found::Moved(moved));
            }
            let left = attempts.left();
            if left.is_zero() {
                return Err(attempts.give_up());
            }
            clock::sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The route that has taken the place of `route` in the directory, if one has.
    fn moved(&self, route: &Arc<Route>) -> Option<Arc<Route>> {
        self.router.route(route.start()).filter(|known| !Arc::ptr_eq(known, route))
    }

    /// Asks every candidate once. Whether one serves the range; the route names it then.
    async fn round(&self, route: &Route, attempts: &mut Attempts) -> bool {
        let candidates = route.candidates();
        let patience = PROBE_PATIENCE * attempts.patience();
        let mut asked: FuturesUnordered<_> = (0..candidates.len())
            .map(|place| async move { (place, self.probe(route, place, false, patience).await) })
            .collect();
        let is_silent = |place: usize| candidates.get(place).is_none_or(|found| found.peer.is_silent());
        let mut expected: Vec<usize> = (0..candidates.len()).filter(|place| !is_silent(*place)).collect();
        let wait_for_all = expected.is_empty();
        let mut passing: Vec<usize> = Vec::new();
        while wait_for_all || !expected.is_empty() {
            let Some((place, probed)) = asked.next().await else { break };
            expected.retain(|other| *other != place);
            match probed {
                Probe::Serves => {
                    route.found(place, false);
                    route.heard();
                    return true;
                }
                Probe::NotLeader(hint) if hint.leader_address.is_empty() => {}
                Probe::NotLeader(hint) => {
                    if route.named(&hint).is_none_or(|leader| leader != place && is_silent(leader)) {
                        passing.push(place);
                    }
                }
                Probe::Stale => {}
                Probe::Not(status) => attempts.failed(status),
            }
        }
        // The silent ones have had about as much time as the others took.
        while !passing.is_empty()
            && let Ok(Some((place, probed))) = clock::timeout(GRACE, asked.next()).await
        {
            if matches!(probed, Probe::Serves) {
                route.found(place, false);
                route.heard();
                return true;
            }
        }
        let mut forwarded: FuturesUnordered<_> = passing
            .into_iter()
            .map(|place| async move { (place, self.probe(route, place, true, patience).await) })
            .collect();
        while let Some((place, probed)) = forwarded.next().await {
            if matches!(probed, Probe::Serves) {
                route.found(place, true);
                route.heard();
                return true;
            }
        }
        false
    }

    /// While another node passes requests on: now and then, whether the leader can be reached from here again.
    pub(super) async fn look_for_leader(&self, route: &Route, attempts: &mut Attempts) {
        if !route.look_is_due() {
            return;
        }
        let silent = route.candidates().iter().filter(|candidate| candidate.peer.is_silent());
        let mut all_answer = true;
        for candidate in silent {
            all_answer = false;
            candidate.peer.look(self.router.cluster_id());
        }
        if all_answer {
            self.round(route, attempts).await;
        }
    }
}

//! Waiting for an answer as long as who was asked shows signs of life.
//!
//! A frozen node, and one behind a cut wire, keep their connections open and say nothing. So who has not answered for
//! [`SILENCE`] is asked with an empty batch whether it serves the range still; the same proof of leadership stands
//! before it as before any other. Where many wait for one leader, any answer that one of them gets is a sign for all.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use env::clock::{self, Instant};
use proto::Status;
use proto::v1::error::Kind as Refused;
use proto::v1::{BatchRequest, BatchResponse, Header, NotLeader};

use super::attempts::Attempts;
use super::{Call, Kind, Sender};
use crate::router::{Candidate, Lead, Route, SILENCE, is_lost};

/// How long the answer to a probe may take at first.
pub(super) const PROBE_PATIENCE: Duration = Duration::from_millis(600);

/// What a probe came to.
pub(super) enum Probe {
    /// It serves the range.
    Serves,
    /// It does not lead; it may know who does.
    NotLeader(NotLeader),
    /// It knows the range by other bounds, or not at all. What it knows was taken in.
    Stale,
    /// It cannot serve now.
    Not(Status),
}

impl Sender {
    /// The answer of whom was asked as `lead`; an error if that one is lost, or the deadline has passed.
    pub(super) async fn watch(
        &self,
        route: &Route,
        lead: Lead,
        call: &Call,
        attempts: &mut Attempts,
        asked: impl Future<Output = Result<BatchResponse, Status>>,
    ) -> Result<BatchResponse, Status> {
        let Some(candidate) = route.candidates().get(lead.place) else {
            return Err(Status::unavailable("no such candidate"));
        };
        let mut asked = pin!(asked);
        let patience = attempts.patience();
        // What is asked on the same connection stands behind a large request.
        let mut silence = SILENCE * patience + call.kind.transfer() / 2;
        let silent = |message: &str| {
            Status::deadline_exceeded(format!("{} did not answer{message}", candidate.peer.address))
        };
        loop {
            let left = attempts.left();
            if left.is_zero() {
                return Err(silent(" in time"));
            }
            let since = clock::now();
            if let Ok(answer) = clock::timeout(silence.min(left), asked.as_mut()).await {
                self.noted(candidate, lead, &answer);
                return answer;
            }
            let probed = tokio::select! {
                biased;
                answer = asked.as_mut() => {
                    self.noted(candidate, lead, &answer);
                    return answer;
                }
                probed = self.sign_of_life(route, lead, since, PROBE_PATIENCE * patience) => probed,
            };
            match probed {
                Probe::Serves => {
                    keep_waiting(call, attempts);
                    silence = SILENCE * patience;
                }
                Probe::NotLeader(_) | Probe::Stale => {
                    return Err(silent(" and does not lead the range any more"));
                }
                // Where a call is a function call, whoever is slow to answer is busy, and nobody else would be quicker.
                Probe::Not(_) if candidate.peer.is_in_process && !lead.forwards => {
                    keep_waiting(call, attempts)
                }
                Probe::Not(status) => {
                    attempts.was_silent();
                    return Err(silent(&format!(": {}", status.message())));
                }
            }
        }
    }

    /// Whether whom all ask as `lead` serves the range still: the first to wonder asks, the others hear of it.
    async fn sign_of_life(&self, route: &Route, lead: Lead, since: Instant, patience: Duration) -> Probe {
        let _one = route.probing.lock().await;
        if route.is_asked(lead) && route.heard_since(since) {
            return Probe::Serves;
        }
        let silent = route.candidates().get(lead.place).is_none_or(|asked| asked.peer.is_silent());
        if silent && !lead.forwards {
            return Probe::Not(Status::unavailable("it does not answer others either"));
        }
        let probed = self.probe(route, lead.place, lead.forwards, patience).await;
        if matches!(probed, Probe::Serves) && route.is_asked(lead) {
            route.heard();
        }
        probed
    }

    fn noted(&self, candidate: &Candidate, lead: Lead, answer: &Result<BatchResponse, Status>) {
        // Who passes requests on and fails may still live.
        if lead.forwards && answer.as_ref().is_err_and(is_lost) {
            candidate.peer.look(self.router.cluster_id());
        } else {
            candidate.peer.note(answer);
        }
    }

    /// Asks the candidate at `place` whether it serves the range, or with `forward` whether it reaches who does, and waits
    /// so long for its answer.
    pub(super) async fn probe(
        &self,
        route: &Route,
        place: usize,
        forward: bool,
        patience: Duration,
    ) -> Probe {
        let Some(candidate) = route.candidates().get(place) else {
            return Probe::Not(Status::unavailable("no such candidate"));
        };
        let header = Header {
            cluster_id: self.router.cluster_id(),
            range_id: route.range_id(),
            span_epoch: route.descriptor().span_epoch,
            timeout_ms: patience.as_millis() as u64,
            forward,
            ..Header::default()
        };
        let asked =
            candidate.peer.handle.batch(BatchRequest { header: Some(header), operations: Vec::new() });
        let answer = match clock::timeout(patience, asked).await {
            Ok(answer) => {
                candidate.peer.note(&answer);
                answer
            }
            Err(_) => {
                // It may be the node behind that does not answer.
                if forward {
                    candidate.peer.look(self.router.cluster_id());
                } else {
                    candidate.peer.missed();
                }
                Err(Status::deadline_exceeded(format!("{} did not answer", candidate.peer.address)))
            }
        };
        match answer {
            Ok(BatchResponse { error: None, .. }) => Probe::Serves,
            Ok(BatchResponse { error: Some(error), .. }) => match error.kind {
                Some(Refused::NotLeader(hint)) => Probe::NotLeader(hint),
                Some(Refused::StaleRange(stale)) => {
                    self.router.learn(&stale.current);
                    Probe::Stale
                }
                _ => Probe::Not(Status::unavailable(error.message)),
            },
            Err(status) => Probe::Not(status),
        }
    }
}

fn keep_waiting(call: &Call, attempts: &mut Attempts) {
    if call.kind == Kind::Wait {
        attempts.waited();
    }
}

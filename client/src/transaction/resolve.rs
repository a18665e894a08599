//! What is left to do once the outcome of a transaction over several ranges is known: it is written down on the primary,
//! then done to every key. Nobody waits for it; what is not done is settled by the ranges themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::task;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Decide, DecideResult, Outcome, Resolve, Span, operation};

use super::REROUTES_MAX;
use super::read::mismatch;
use crate::heartbeat::Holding;
use crate::router::Route;
use crate::sender::{Call, Failure, Sender};
use crate::{Client, Error, Result};

/// How long each step is tried.
const TIMEOUT: Duration = Duration::from_secs(5);

/// So many bytes of keys go into one request.
const KEYS_BYTES_MAX: usize = 1 << 20;

/// A transaction that has sent prewrites.
pub(super) struct Settlement {
    pub(super) sender: Arc<Sender>,
    pub(super) call: Call,
    pub(super) txn_id: Bytes,
    pub(super) start_timestamp: u64,
    pub(super) primary: Bytes,
    /// All its other keys, ascending.
    pub(super) others: Vec<Bytes>,
    /// All that it has flushed, if it is a large one.
    pub(super) spans: Vec<Span>,
    /// What keeps it alive at the ranges that it has written to.
    pub(super) _holding: Option<Arc<Holding>>,
}

/// Writes down what becomes of the transaction on its primary; what stands there.
pub(super) async fn decide(
    settlement: &Settlement,
    outcome: Outcome,
    commit_timestamp: u64,
) -> Result<(Outcome, u64), Failure> {
    let Settlement { sender, call, primary, .. } = settlement;
    for _ in 0..REROUTES_MAX {
        let route = sender.route(primary, call.timeout).await?;
        let along = settlement.others.iter().filter(|key| route.holds(key));
        let build = || {
            operation::Operation::Decide(Decide {
                primary: primary.clone(),
                keys: along.clone().cloned().collect(),
                txn_id: settlement.txn_id.clone(),
                start_timestamp: settlement.start_timestamp,
                outcome: outcome.into(),
                commit_timestamp,
                spans: if outcome == Outcome::Committed { settlement.spans.clone() } else { Vec::new() },
            })
        };
        match sender.send(&route, call, build).await {
            Ok(Answer::Decide(DecideResult { outcome, commit_timestamp })) => {
                return match Outcome::try_from(outcome) {
                    Ok(outcome @ (Outcome::Committed | Outcome::Aborted)) => Ok((outcome, commit_timestamp)),
                    _ => Err(mismatch().into()),
                };
            }
            Ok(_) => return Err(mismatch().into()),
            Err(Failure::Rerouted) => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::Rerouted)
}

impl Settlement {
    /// Resolves all of it in the background. Waits only where many others are being resolved still.
    pub(super) async fn resolve_later(self, client: &Client, outcome: Outcome, commit_timestamp: u64) {
        let Ok(turn) = client.resolving.clone().acquire_owned().await else { return };
        drop(task::spawn(async move {
            let start = self.start_timestamp;
            if let Err(error) = self.resolve(outcome, commit_timestamp).await {
                tracing::debug!(start, %error, "a transaction is left to be resolved by its ranges");
            }
            drop(turn);
        }));
    }

    /// Rolls a large transaction back in the background. What does not come about is done by its ranges.
    pub(super) fn roll_back(mut self) -> Option<task::JoinHandle<()>> {
        // Outside of a runtime, as when a process ends, that is all.
        if tokio::runtime::Handle::try_current().is_err() {
            return None;
        }
        self.call.timeout = TIMEOUT;
        Some(task::spawn(async move {
            let start = self.start_timestamp;
            let rolled_back = match decide(&self, Outcome::Aborted, 0).await {
                Ok((outcome, commit_timestamp)) => self.resolve(outcome, commit_timestamp).await,
                Err(failure) => Err(failure.into_error()),
            };
            if let Err(error) = rolled_back {
                tracing::debug!(start, %error, "a large transaction is left to be rolled back by its ranges");
            }
        }))
    }

    async fn resolve(mut self, outcome: Outcome, commit_timestamp: u64) -> Result<()> {
        self.call.timeout = TIMEOUT;
        if outcome == Outcome::Committed && self.spans.is_empty() {
            // Nothing is resolved before this stands.
            let stands = decide(&self, outcome, commit_timestamp).await.map_err(Failure::into_error)?;
            if stands != (outcome, commit_timestamp) {
                let (start, message) =
                    (self.start_timestamp, "a commit was acknowledged that does not stand");
                tracing::error!(start, ?stands, commit_timestamp, message);
                return Err(Error::Invalid { message: message.to_owned() });
            }
        }
        let resolve = Resolve {
            keys: Vec::new(),
            txn_id: self.txn_id.clone(),
            start_timestamp: self.start_timestamp,
            outcome: outcome.into(),
            commit_timestamp,
            ..Resolve::default()
        };
        for span in std::mem::take(&mut self.spans) {
            self.resolve_span(span, &resolve).await?;
        }
        let route = self.sender.route(&self.primary, TIMEOUT).await?;
        // Those of the primary's range were resolved along with it.
        let mut left: Vec<Bytes> = self.others.iter().filter(|key| !route.holds(key)).cloned().collect();
        for _ in 0..REROUTES_MAX {
            if left.is_empty() {
                break;
            }
            left = self.resolve_keys(left, &resolve).await?;
        }
        if !left.is_empty() {
            return Err(Failure::Rerouted.into_error());
        }
        if outcome == Outcome::Committed {
            let forget = Resolve { forget: self.primary.clone(), ..resolve };
            let build = || operation::Operation::Resolve(forget.clone());
            self.sender.send(&route, &self.call, build).await.map_err(Failure::into_error)?;
        }
        Ok(())
    }

    /// Resolves all that was flushed in a span, range by range.
    async fn resolve_span(&self, span: Span, resolve: &Resolve) -> Result<()> {
        let mut left = Some(span);
        let mut reroutes = 0;
        while let Some(span) = left.take() {
            let route = self.sender.route(&span.start, TIMEOUT).await?;
            let build =
                || operation::Operation::Resolve(Resolve { span: Some(span.clone()), ..resolve.clone() });
            match self.sender.send(&route, &self.call, build).await {
                Ok(Answer::Resolve(resolved)) => {
                    left = resolved.resume.map(|resume| Span { start: resume.start, end: resume.end });
                }
                Ok(_) => return Err(mismatch()),
                Err(Failure::Rerouted) if reroutes < REROUTES_MAX => {
                    reroutes += 1;
                    left = Some(span);
                }
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Ok(())
    }

    /// Resolves keys; those that are elsewhere by now.
    async fn resolve_keys(&self, keys: Vec<Bytes>, resolve: &Resolve) -> Result<Vec<Bytes>> {
        let mut requests: Vec<(Arc<Route>, Vec<Bytes>)> = Vec::new();
        let mut open: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for key in keys {
            let route = self.sender.route(&key, TIMEOUT).await?;
            let length = key.len();
            match open.get_mut(&route.range_id()) {
                Some((place, bytes)) if *bytes + length <= KEYS_BYTES_MAX => {
                    *bytes += length;
                    if let Some((_, keys)) = requests.get_mut(*place) {
                        keys.push(key);
                    }
                }
                _ => {
                    open.insert(route.range_id(), (requests.len(), length));
                    requests.push((route, vec![key]));
                }
            }
        }
        let asked = requests.iter().map(|(route, keys)| async move {
            let build = || operation::Operation::Resolve(Resolve { keys: keys.clone(), ..resolve.clone() });
            self.sender.send(route, &self.call, build).await
        });
        let answers = futures::future::join_all(asked).await;
        let mut left = Vec::new();
        for ((_, keys), answer) in requests.into_iter().zip(answers) {
            match answer {
                Ok(_) => {}
                Err(Failure::Rerouted) => left.extend(keys),
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Ok(left)
    }
}

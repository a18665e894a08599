//! Timestamps, many waiters to a request: how a gateway, or a node that does not lead the root range, asks the oracle.
//!
//! One request is in flight. Whoever comes meanwhile waits, and joins the request that is sent when the one in flight
//! has been answered: never one that was sent before the waiter came, because its timestamp could lie below a commit
//! that the waiter has already seen acknowledged. The first of those waiting sends for all of them.
//!
//! In one process a request is a function call, and everybody makes their own.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::v1::TimestampResponse;

/// The waiters that one request may ask for: no oracle gives more timestamps at a time.
const WAITERS_MAX: usize = 1 << 16;

/// A request was dropped by whoever was to send it, together with all that waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request for timestamps was dropped")]
pub struct Dropped;

/// A waiter's turn has come.
enum Turn<E> {
    /// Its timestamp, from a request that another waiter sent.
    Answer(Result<TimestampResponse, E>),
    /// It sends the next request, for the others in the batch too.
    Lead(Batch<E>),
}

/// Gathers requests for timestamps.
///
/// Invariants: while `in_flight`, exactly one [`Batch`] exists; a waiter in `waiting` belongs to no batch.
pub struct Oracle<E> {
    state: Mutex<State<E>>,
}

struct State<E> {
    in_flight: bool,
    waiting: VecDeque<oneshot::Sender<Turn<E>>>,
}

impl<E> Default for Oracle<E> {
    fn default() -> Self {
        Self { state: Mutex::new(State { in_flight: false, waiting: VecDeque::new() }) }
    }
}

impl<E> std::fmt::Debug for Oracle<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oracle").field("waiting", &self.state.lock().waiting.len()).finish_non_exhaustive()
    }
}

/// The right and the duty to send a request. Dropped (answered, or its sender gave up), it goes to the next waiter.
struct Batch<E> {
    /// `None`: another batch has taken over.
    oracle: Option<Arc<Oracle<E>>>,
    followers: VecDeque<oneshot::Sender<Turn<E>>>,
}

impl<E: Clone + From<Dropped>> Oracle<E> {
    /// A timestamp that was handed out after this call began, as the first of an answer. `ask` asks the root's leader for
    /// that many, consecutive.
    ///
    /// # Errors
    /// What `ask` has answered to whoever asked for this waiter.
    pub async fn timestamp<F>(self: &Arc<Self>, ask: impl FnOnce(u32) -> F) -> Result<TimestampResponse, E>
    where
        F: Future<Output = Result<TimestampResponse, E>>,
    {
        match self.enter() {
            Ok(batch) => batch.send(ask).await,
            Err(turn) => match turn.await {
                Ok(Turn::Answer(answer)) => answer,
                Ok(Turn::Lead(batch)) => batch.send(ask).await,
                Err(_) => Err(Dropped.into()),
            },
        }
    }
}

impl<E> Oracle<E> {
    fn enter(self: &Arc<Self>) -> Result<Batch<E>, oneshot::Receiver<Turn<E>>> {
        let mut state = self.state.lock();
        if state.in_flight {
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(sender);
            return Err(receiver);
        }
        state.in_flight = true;
        Ok(Batch { oracle: Some(self.clone()), followers: VecDeque::new() })
    }

    /// The next batch: everybody who waits and is still interested.
    fn next(
        self: &Arc<Self>,
        unanswered: VecDeque<oneshot::Sender<Turn<E>>>,
    ) -> Option<(oneshot::Sender<Turn<E>>, Batch<E>)> {
        let mut state = self.state.lock();
        let mut waiting = unanswered;
        waiting.append(&mut state.waiting);
        waiting.retain(|waiter| !waiter.is_closed());
        if waiting.len() > WAITERS_MAX {
            state.waiting = waiting.split_off(WAITERS_MAX);
        }
        match waiting.pop_front() {
            Some(leader) => Some((leader, Batch { oracle: Some(self.clone()), followers: waiting })),
            None => {
                state.in_flight = false;
                None
            }
        }
    }
}

impl<E: Clone> Batch<E> {
    async fn send<F>(mut self, ask: impl FnOnce(u32) -> F) -> Result<TimestampResponse, E>
    where
        F: Future<Output = Result<TimestampResponse, E>>,
    {
        let count = 1 + self.followers.len() as u32;
        let answer = ask(count).await;
        for (place, follower) in self.followers.drain(..).enumerate() {
            let answer = answer
                .clone()
                .map(|first| TimestampResponse { first: first.first + 1 + place as u64, ..first });
            // A follower that is gone leaves its timestamp unused.
            let _ = follower.send(Turn::Answer(answer));
        }
        answer
    }
}

impl<E> Drop for Batch<E> {
    fn drop(&mut self) {
        let Some(oracle) = self.oracle.take() else { return };
        let mut unanswered = std::mem::take(&mut self.followers);
        while let Some((leader, batch)) = oracle.next(std::mem::take(&mut unanswered)) {
            match leader.send(Turn::Lead(batch)) {
                Ok(()) => return,
                Err(Turn::Lead(mut batch)) => {
                    // The leader left in this moment.
                    unanswered = std::mem::take(&mut batch.followers);
                    batch.oracle = None;
                }
                Err(Turn::Answer(_)) => return,
            }
        }
    }
}

impl From<Dropped> for tonic::Status {
    fn from(dropped: Dropped) -> Self {
        Self::unavailable(dropped.to_string())
    }
}

#[cfg(test)]
mod tests;

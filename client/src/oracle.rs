//! Timestamps, many waiters to a request.
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

use crate::{Error, Result, Timestamp};

/// A waiter's turn has come.
enum Turn {
    /// Its timestamp, from a request that another waiter sent.
    Answer(Result<Timestamp>),
    /// It sends the next request, for the others in the batch too.
    Lead(Batch),
}

/// Gathers requests for timestamps.
///
/// Invariants: while `in_flight`, exactly one [`Batch`] exists; a waiter in `waiting` belongs to no batch.
#[derive(Default)]
pub(crate) struct Oracle {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// The right and the duty to send a request. Dropped (answered, or its sender gave up), it goes to the next waiter.
struct Batch {
    /// `None`: another batch has taken over.
    oracle: Option<Arc<Oracle>>,
    followers: VecDeque<oneshot::Sender<Turn>>,
}

impl Oracle {
    /// A timestamp that was handed out after this call began. `ask` asks the root's leader for that many, consecutive,
    /// and is given the first.
    pub(crate) async fn timestamp<F>(self: &Arc<Self>, ask: impl FnOnce(u32) -> F) -> Result<Timestamp>
    where
        F: Future<Output = Result<Timestamp>>,
    {
        match self.enter() {
            Ok(batch) => batch.send(ask).await,
            Err(turn) => match turn.await {
                Ok(Turn::Answer(answer)) => answer,
                Ok(Turn::Lead(batch)) => batch.send(ask).await,
                Err(_) => Err(Error::Unavailable {
                    message: "the request for timestamps was dropped".to_owned(),
                    source: None,
                }),
            },
        }
    }

    fn enter(self: &Arc<Self>) -> Result<Batch, oneshot::Receiver<Turn>> {
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
        unanswered: VecDeque<oneshot::Sender<Turn>>,
    ) -> Option<(oneshot::Sender<Turn>, Batch)> {
        let mut state = self.state.lock();
        let mut waiting = unanswered;
        waiting.append(&mut state.waiting);
        waiting.retain(|waiter| !waiter.is_closed());
        match waiting.pop_front() {
            Some(leader) => Some((leader, Batch { oracle: Some(self.clone()), followers: waiting })),
            None => {
                state.in_flight = false;
                None
            }
        }
    }
}

impl Batch {
    async fn send<F>(mut self, ask: impl FnOnce(u32) -> F) -> Result<Timestamp>
    where
        F: Future<Output = Result<Timestamp>>,
    {
        let count = 1 + self.followers.len() as u32;
        let answer = ask(count).await;
        for (place, follower) in self.followers.drain(..).enumerate() {
            let answer = answer
                .clone()
                .map(|first| Timestamp { timestamp: first.timestamp + 1 + place as u64, ..first });
            // A follower that is gone leaves its timestamp unused.
            let _ = follower.send(Turn::Answer(answer));
        }
        answer
    }
}

impl Drop for Batch {
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

#[cfg(test)]
mod tests;

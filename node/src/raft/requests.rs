//! The requests of one append stream, and what is known of those that are not answered yet.
//!
//! openraft gives a stream of requests and wants a stream of answers. The requests go to a transport, which may hold
//! on to them longer than anybody reads the answers; while openraft's stream waits for its next entry it holds a lock
//! that the following stream needs. So what the transport holds is a [`Requests`] that is cut off, at once, when the
//! answers are dropped.
//!
//! # Invariants
//!
//! - No more than `IN_FLIGHT_MAX` requests wait for an answer.
//! - Answers come in the order of the requests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use env::clock::Instant;
use futures::Stream;
use openraft::raft::AppendEntriesRequest;
use parking_lot::Mutex;
use proto::v1;
use tokio::sync::Notify;

use super::types::{LogId, Types};
use super::wire::{entry_to_wire, log_id_to_wire, vote_to_wire};

/// Requests of a stream that may wait for an answer at a time; each carries about 1 MiB of entries at most.
const IN_FLIGHT_MAX: usize = 32;

/// A request that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub(super) prev: Option<LogId>,
    pub(super) sent: Instant,
}

struct State<S> {
    input: Option<S>,
    in_flight: VecDeque<InFlight>,
    waker: Option<Waker>,
}

struct Shared<S> {
    state: Mutex<State<S>>,
    sent: Notify,
}

/// What the transport sends.
pub(super) struct Requests<S> {
    shared: Arc<Shared<S>>,
    target: v1::RaftTarget,
}

/// What the reader of the answers holds.
pub(super) struct Answers<S>(Arc<Shared<S>>);

/// The two ends of one stream.
pub(super) fn requests<S>(input: S, target: v1::RaftTarget) -> (Requests<S>, Answers<S>) {
    let state = State { input: Some(input), in_flight: VecDeque::new(), waker: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), sent: Notify::new() });
    (Requests { shared: Arc::clone(&shared), target }, Answers(shared))
}

impl<S: Stream<Item = AppendEntriesRequest<Types>> + Unpin> Stream for Requests<S> {
    type Item = v1::RaftAppendRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.shared.state.lock();
        let full = state.in_flight.len() >= IN_FLIGHT_MAX;
        let Some(input) = &mut state.input else { return Poll::Ready(None) };
        let polled = if full { Poll::Pending } else { Pin::new(input).poll_next(cx) };
        match polled {
            Poll::Pending => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(None) => {
                state.input = None;
                self.shared.sent.notify_one();
                Poll::Ready(None)
            }
            Poll::Ready(Some(request)) => {
                state.in_flight.push_back(InFlight { prev: request.prev_log_id, sent: env::clock::now() });
                drop(state);
                self.shared.sent.notify_one();
                Poll::Ready(Some(to_wire(self.target.clone(), request)))
            }
        }
    }
}

impl<S> Answers<S> {
    /// The request that waits the longest for its answer.
    pub(super) fn oldest(&self) -> Option<InFlight> {
        self.0.state.lock().in_flight.front().copied()
    }

    /// Whether there will be no more answers, since no more requests come and all are answered.
    pub(super) fn is_over(&self) -> bool {
        let state = self.0.state.lock();
        state.input.is_none() && state.in_flight.is_empty()
    }

    /// The next answer has come: the request it belongs to.
    pub(super) fn answered(&self) -> Option<InFlight> {
        let (request, waker) = {
            let mut state = self.0.state.lock();
            (state.in_flight.pop_front(), state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        request
    }

    /// Completes when [`Answers::oldest`] or [`Answers::is_over`] may have changed for the first request.
    pub(super) async fn sent(&self) {
        self.0.sent.notified().await;
    }
}

impl<S> Drop for Answers<S> {
    fn drop(&mut self) {
        let (input, waker) = {
            let mut state = self.0.state.lock();
            (state.input.take(), state.waker.take())
        };
        drop(input);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn to_wire(target: v1::RaftTarget, request: AppendEntriesRequest<Types>) -> v1::RaftAppendRequest {
    v1::RaftAppendRequest {
        target: Some(target),
        vote: Some(vote_to_wire(&request.vote)),
        prev_log_id: request.prev_log_id.as_ref().map(log_id_to_wire),
        entries: request.entries.iter().map(entry_to_wire).collect(),
        leader_commit: request.leader_commit.as_ref().map(log_id_to_wire),
    }
}

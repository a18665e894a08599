//! The requests of one append stream, and what is known of those that are not answered yet.
//!
//! openraft gives a stream of requests and wants a stream of answers. The requests go to a transport, which may hold
//! on to them longer than anybody reads the answers; while openraft's stream waits for its next entry it holds a lock
//! that the following stream needs. So what the transport holds is a [`Requests`] that is cut off, at once, when the
//! answers are dropped.
//!
//! # Invariants
//!
//! - No more than `IN_FLIGHT_MAX` requests wait for an answer, and none is sent while those that wait have
//!   `BYTES_IN_FLIGHT_MAX` or more: what is proposed next stands behind no more than about that.
//! - Answers come in the order of the requests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use env::clock::Instant;
use futures::Stream;
use openraft::EntryPayload;
use openraft::raft::AppendEntriesRequest;
use parking_lot::Mutex;
use proto::v1;
use tokio::sync::Notify;

use super::types::{Entry, LogId, Types};
use super::wire::{entry_to_wire, log_id_to_wire, vote_to_wire};

/// Requests of a stream that may wait for an answer at a time.
const IN_FLIGHT_MAX: usize = 32;

/// Bytes of a stream that may wait for an answer at a time: 0.35 s of 50 Mbit/s, and 170 Mbit/s where a round takes
/// 100 ms.
const BYTES_IN_FLIGHT_MAX: usize = 2 << 20;

/// The slowest link over which a range is replicated: 1 Mbit/s. Patience grows with what is on its way.
const BYTES_PER_SECOND_MIN: u64 = 125_000;

/// What an entry takes beside its command, about.
const ENTRY_BYTES: usize = 64;

/// A request that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub(super) prev: Option<LogId>,
    sent: Instant,
    bytes: usize,
    /// Its own bytes, and those that were on their way before it.
    bytes_ahead: usize,
}

struct State<S> {
    input: Option<S>,
    in_flight: VecDeque<InFlight>,
    bytes_in_flight: usize,
    /// When the newest answer came.
    answered: Option<Instant>,
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
    let state = State {
        input: Some(input),
        in_flight: VecDeque::new(),
        bytes_in_flight: 0,
        answered: None,
        waker: None,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), sent: Notify::new() });
    (Requests { shared: Arc::clone(&shared), target }, Answers(shared))
}

impl<S: Stream<Item = AppendEntriesRequest<Types>> + Unpin> Stream for Requests<S> {
    type Item = v1::RaftAppendRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.shared.state.lock();
        let full = state.in_flight.len() >= IN_FLIGHT_MAX || state.bytes_in_flight >= BYTES_IN_FLIGHT_MAX;
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
                let bytes = bytes(&request);
                state.bytes_in_flight += bytes;
                let in_flight = InFlight {
                    prev: request.prev_log_id,
                    sent: env::clock::now(),
                    bytes,
                    bytes_ahead: state.bytes_in_flight,
                };
                state.in_flight.push_back(in_flight);
                drop(state);
                self.shared.sent.notify_one();
                Poll::Ready(Some(to_wire(self.target.clone(), request)))
            }
        }
    }
}

impl<S> Answers<S> {
    /// When the next answer is due, if a request waits for one: `patience` and the time that what is ahead of it may
    /// take, after it was sent or the last sign of progress.
    pub(super) fn due(&self, patience: Duration) -> Option<Instant> {
        let state = self.0.state.lock();
        let oldest = state.in_flight.front()?;
        let since = state.answered.map_or(oldest.sent, |answered| answered.max(oldest.sent));
        let transfer = oldest.bytes_ahead as u64 * 1_000_000 / BYTES_PER_SECOND_MIN;
        Some(since + patience + Duration::from_micros(transfer))
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
            let request = state.in_flight.pop_front();
            if let Some(request) = &request {
                state.bytes_in_flight = state.bytes_in_flight.saturating_sub(request.bytes);
            }
            state.answered = Some(env::clock::now());
            (request, state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        request
    }

    /// Completes when [`Answers::due`] or [`Answers::is_over`] may have changed for the first request.
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

/// How much of the way a request takes, about.
fn bytes(request: &AppendEntriesRequest<Types>) -> usize {
    let entry = |entry: &Entry| match &entry.payload {
        EntryPayload::Normal(command) => command.0.len() + ENTRY_BYTES,
        EntryPayload::Blank | EntryPayload::Membership(_) => ENTRY_BYTES,
    };
    request.entries.iter().map(entry).sum()
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

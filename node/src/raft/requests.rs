//! The requests of one append stream, and what is known of those that are not answered yet.
//!
//! openraft gives a stream of requests and wants a stream of answers. The requests go to a transport, which may hold
//! on to them longer than anybody reads the answers; while openraft's stream waits for its next entry it holds a lock
//! that the following stream needs. So what the transport holds is a [`Requests`] that is cut off, at once, when the
//! answers are dropped.
//!
//! A request whose only news is that more is committed is held back for a moment: the next one with entries says it too, and
//! under load there always is one. Followers apply that much later, which nobody waits for but who takes over from a leader.
//!
//! # Invariants
//!
//! - What is committed is on its way at most [`COMMIT_HELD_MAX`] after openraft has said so, where there is room.
//! - No more than `IN_FLIGHT_MAX` requests wait for an answer, and none is sent while those that wait have
//!   `BYTES_IN_FLIGHT_MAX` or more: what is proposed next stands behind no more than about that.
//! - Answers come in the order of the requests.
//! - A request is [sent](Acks::sent) when it leaves this stream, and was held by nobody here afterwards.
//! - It says what the leader of its term has [closed](Closings) by then.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use env::clock::Instant;
use futures::Stream;
use openraft::EntryPayload;
use openraft::raft::AppendEntriesRequest;
use parking_lot::Mutex;
use proto::v1;
use tokio::sync::Notify;

use super::acks::{Acks, Sent};
use super::closed::{Closed, Closings};
use super::types::{Entry, LogId, Types};
use super::wire::{closed_to_wire, entry_to_wire, log_id_to_wire, vote_to_wire};

/// Requests of a stream that may wait for an answer at a time.
const IN_FLIGHT_MAX: usize = 32;

/// Bytes of a stream that may wait for an answer at a time: 0.35 s of 50 Mbit/s, and 170 Mbit/s where a round takes
/// 100 ms.
const BYTES_IN_FLIGHT_MAX: usize = 2 << 20;

/// The slowest link over which a range is replicated: 1 Mbit/s. Patience grows with what is on its way.
const BYTES_PER_SECOND_MIN: u64 = 125_000;

/// How long a request that only says what is committed waits for one that has more to say.
const COMMIT_HELD_MAX: Duration = Duration::from_millis(15);

/// What an entry takes beside its command, about.
const ENTRY_BYTES: usize = 64;

/// A request that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub(super) prev: Option<LogId>,
    pub(super) sent: Sent,
    bytes: usize,
    /// Its own bytes, and those that were on their way before it.
    bytes_ahead: usize,
}

/// A request that is held back, and until when.
struct Held {
    request: AppendEntriesRequest<Types>,
    due: Pin<Box<dyn Future<Output = ()> + Send>>,
}

struct State<S> {
    input: Option<S>,
    /// The last entry that the receiver has once all requests have come to it; none before the first.
    sent_up_to: Option<Option<LogId>>,
    held: Option<Held>,
    in_flight: VecDeque<InFlight>,
    bytes_in_flight: usize,
    acks: Arc<Acks>,
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
    closings: Arc<Closings>,
}

/// What the reader of the answers holds.
pub(super) struct Answers<S>(Arc<Shared<S>>);

/// The two ends of one stream.
pub(super) fn requests<S>(
    input: S,
    target: v1::RaftTarget,
    acks: Arc<Acks>,
    closings: Arc<Closings>,
) -> (Requests<S>, Answers<S>) {
    let state = State {
        input: Some(input),
        sent_up_to: None,
        held: None,
        in_flight: VecDeque::new(),
        bytes_in_flight: 0,
        acks,
        answered: None,
        waker: None,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), sent: Notify::new() });
    (Requests { shared: Arc::clone(&shared), target, closings }, Answers(shared))
}

impl<S: Stream<Item = AppendEntriesRequest<Types>> + Unpin> Stream for Requests<S> {
    type Item = v1::RaftAppendRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.shared.state.lock();
        if state.in_flight.len() >= IN_FLIGHT_MAX || state.bytes_in_flight >= BYTES_IN_FLIGHT_MAX {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Some(request) = ready!(state.poll_request(cx)) else {
            self.shared.sent.notify_one();
            return Poll::Ready(None);
        };
        state.note_sent(&request);
        drop(state);
        self.shared.sent.notify_one();
        let closed = self.closings.told(request.vote.leader_id.term);
        Poll::Ready(Some(to_wire(self.target.clone(), request, closed)))
    }
}

impl<S: Stream<Item = AppendEntriesRequest<Types>> + Unpin> State<S> {
    /// The next request to send.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Option<AppendEntriesRequest<Types>>> {
        while let Some(input) = &mut self.input {
            match Pin::new(input).poll_next(cx) {
                Poll::Ready(Some(request)) if self.may_wait(&request) => self.hold(request),
                Poll::Ready(Some(request)) => {
                    // It says all that the one held back says.
                    self.held = None;
                    return Poll::Ready(Some(request));
                }
                Poll::Ready(None) => self.input = None,
                Poll::Pending => {
                    self.waker = Some(cx.waker().clone());
                    let Some(held) = &mut self.held else { return Poll::Pending };
                    ready!(held.due.as_mut().poll(cx));
                    break;
                }
            }
        }
        Poll::Ready(self.held.take().map(|held| held.request))
    }

    /// Whether a request says nothing but what is committed.
    fn may_wait(&self, request: &AppendEntriesRequest<Types>) -> bool {
        request.entries.is_empty() && self.sent_up_to == Some(request.prev_log_id)
    }

    /// Holds a request back; one that is held already says less.
    fn hold(&mut self, request: AppendEntriesRequest<Types>) {
        let due = self.held.take().map(|held| held.due);
        let due = due.unwrap_or_else(|| Box::pin(env::clock::sleep(COMMIT_HELD_MAX)));
        self.held = Some(Held { request, due });
    }
}

impl<S> State<S> {
    fn note_sent(&mut self, request: &AppendEntriesRequest<Types>) {
        let bytes = bytes(request);
        self.bytes_in_flight += bytes;
        let in_flight = InFlight {
            prev: request.prev_log_id,
            sent: self.acks.sent(request.vote.leader_id.term),
            bytes,
            bytes_ahead: self.bytes_in_flight,
        };
        self.in_flight.push_back(in_flight);
        self.sent_up_to = Some(request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id));
    }
}

impl<S> Answers<S> {
    /// When the next answer is due, if a request waits for one: `patience` and the time that what is ahead of it may
    /// take, after it was sent or the last sign of progress.
    pub(super) fn due(&self, patience: Duration) -> Option<Instant> {
        let state = self.0.state.lock();
        let oldest = state.in_flight.front()?;
        let since = state.answered.map_or(oldest.sent.at, |answered| answered.max(oldest.sent.at));
        let transfer = oldest.bytes_ahead as u64 * 1_000_000 / BYTES_PER_SECOND_MIN;
        Some(since + patience + Duration::from_micros(transfer))
    }

    /// Whether there will be no more answers, since no more requests come and all are answered.
    pub(super) fn is_over(&self) -> bool {
        let state = self.0.state.lock();
        state.input.is_none() && state.held.is_none() && state.in_flight.is_empty()
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
            ((state.input.take(), state.held.take()), state.waker.take())
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

fn to_wire(
    target: v1::RaftTarget,
    request: AppendEntriesRequest<Types>,
    closed: Option<Closed>,
) -> v1::RaftAppendRequest {
    v1::RaftAppendRequest {
        target: Some(target),
        vote: Some(vote_to_wire(&request.vote)),
        prev_log_id: request.prev_log_id.as_ref().map(log_id_to_wire),
        entries: request.entries.iter().map(entry_to_wire).collect(),
        leader_commit: request.leader_commit.as_ref().map(log_id_to_wire),
        closed: closed.map(closed_to_wire),
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;
    use futures::{FutureExt, StreamExt};

    use super::super::types::{Command, Vote, log_id};
    use super::*;
    use crate::raft::LogPoint;

    fn at(index: u64) -> LogId {
        log_id(LogPoint { term: 1, index })
    }

    /// Entries after `prev`, up to `last`.
    fn request(prev: u64, last: u64, committed: u64) -> AppendEntriesRequest<Types> {
        let entry = |index| Entry { log_id: at(index), payload: EntryPayload::Normal(Command("c".into())) };
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: Some(at(prev)),
            entries: (prev + 1..=last).map(entry).collect(),
            leader_commit: Some(at(committed)),
        }
    }

    fn said(request: &v1::RaftAppendRequest) -> (usize, u64) {
        (request.entries.len(), request.leader_commit.as_ref().unwrap().index)
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_says_what_is_committed_waits_a_moment_for_what_says_more() {
        let (input, requested) = mpsc::unbounded();
        let closings = Arc::new(Closings::default());
        let (mut sent, answers) =
            requests(requested, v1::RaftTarget::default(), Arc::default(), closings.clone());
        let give = |request| input.unbounded_send(request).unwrap();
        // The first of a stream asks where the receiver stands.
        give(request(7, 7, 5));
        assert_eq!(said(&sent.next().now_or_never().unwrap().unwrap()), (0, 5));
        give(request(7, 8, 5));
        assert_eq!(said(&sent.next().now_or_never().unwrap().unwrap()), (1, 5));
        give(request(8, 8, 7));
        assert!(sent.next().now_or_never().is_none());
        give(request(8, 8, 8));
        give(request(8, 10, 8));
        assert_eq!(said(&sent.next().now_or_never().unwrap().unwrap()), (2, 8), "it says both");
        let begun = env::clock::now();
        give(request(10, 10, 9));
        assert!(sent.next().now_or_never().is_none());
        tokio::time::advance(COMMIT_HELD_MAX / 2).await;
        give(request(10, 10, 10));
        assert_eq!(said(&sent.next().await.unwrap()), (0, 10), "the newest, in the time of the first");
        assert!(begun.elapsed() < COMMIT_HELD_MAX + Duration::from_millis(2));
        give(request(10, 10, 10));
        drop(input);
        assert_eq!(said(&sent.next().now_or_never().unwrap().unwrap()), (0, 10), "at the end at once");
        assert!(sent.next().now_or_never().unwrap().is_none());
        assert!(!answers.is_over());
        (0..5).for_each(|_| assert!(answers.answered().is_some()));
        assert!(answers.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn each_message_says_what_the_leader_of_its_term_has_closed() {
        let (input, requested) = mpsc::unbounded();
        let closings = Arc::new(Closings::default());
        let (mut sent, _answers) =
            requests(requested, v1::RaftTarget::default(), Arc::default(), closings.clone());
        let mut closed = |prev, last| {
            input.unbounded_send(request(prev, last, prev)).unwrap();
            sent.next().now_or_never().unwrap().unwrap().closed.map(|closed| closed.timestamp)
        };
        assert_eq!(closed(7, 7), None);
        closings.close(1, Closed { timestamp: 100, index: 7, span_epoch: 1 });
        assert_eq!(closed(7, 8), Some(100));
        closings.close(2, Closed { timestamp: 200, index: 8, span_epoch: 1 });
        assert_eq!(closed(8, 9), None, "it is of another term");
    }
}

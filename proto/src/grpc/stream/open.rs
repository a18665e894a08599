//! A stream's calls at the caller's end: those that wait to be written, and those that wait for their answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::sync::oneshot;
use tonic::{Code, Status};

use super::{BYTES_UNDER_WAY_MAX, CALLS_MAX, Together, cancel};
use crate::grpc::MESSAGE_BYTES_MAX;
use crate::v1::stream_request::Call as Request;
use crate::v1::stream_response::Answer;
use crate::v1::{StreamPart, StreamRequest, StreamResponse};

/// So many places of the queue may have nothing to say.
const IDLE_MAX: usize = 64;

/// Why calls come to nothing.
#[derive(Clone)]
pub(super) enum End {
    /// The stream broke.
    Broken(Status),
    /// The node knows no streams, and has seen none of the calls.
    Unknown,
}

impl End {
    /// Whether a call whose stream broke was carried out cannot be known.
    pub(super) fn into_status(self) -> Status {
        match self {
            Self::Broken(status) => status,
            Self::Unknown => Status::unavailable("the node knows no streams of calls"),
        }
    }
}

/// A stream that is open, or was.
///
/// # Invariants
///
/// - A call's request is kept with it until it is written: what is cancelled before is never written, and its bytes are
///   counted as long as they are kept.
/// - The queue names each call in `calls` whose request is kept once. It is no longer than twice what has to be said, and
///   [`IDLE_MAX`].
/// - Once `ended`, nothing is queued and nobody waits.
#[derive(Default)]
pub(super) struct Open {
    state: Mutex<Waiting>,
    /// The node has shown that it knows streams.
    known: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Queued>,
    /// Requests that are queued and not cancelled, and cancellations.
    to_say: usize,
    /// Who writes, if there was nothing to write.
    writer: Option<Waker>,
    calls: HashMap<u64, Waiter>,
    bytes: usize,
    last_id: u64,
    ended: Option<End>,
}

/// What is to be written.
#[derive(Debug, Clone, Copy)]
enum Queued {
    /// The request of the call with this id; nothing, if it was cancelled.
    Request(u64),
    /// That nobody waits any more for the call with this id.
    Cancel(u64),
}

/// A call under way.
struct Waiter {
    /// Until it is written.
    request: Option<Request>,
    answer: oneshot::Sender<Result<Answer, End>>,
    bytes: usize,
    /// What has arrived of an answer that comes in pieces.
    parts: BytesMut,
}

impl Open {
    /// Whether the node has shown that it knows streams.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    pub(super) fn is_known_now(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().ended.is_some()
    }

    /// A request is on its way; it comes back if there is no room for it.
    pub(super) fn enter<Q: Together>(self: &Arc<Self>, request: Q, bytes: usize) -> Result<Call, Q> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if let Some(end) = &state.ended {
            // It ended in this moment.
            let _ = answer.send(Err(end.clone()));
            return Ok(Call { open: self.clone(), id: 0, receiver });
        }
        if state.calls.len() >= CALLS_MAX || state.bytes + bytes > BYTES_UNDER_WAY_MAX {
            return Err(request);
        }
        state.last_id += 1;
        let id = state.last_id;
        state.bytes += bytes;
        let request = Some(request.into_call());
        state.calls.insert(id, Waiter { request, answer, bytes, parts: BytesMut::new() });
        let writer = state.queue(Queued::Request(id));
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Ok(Call { open: self.clone(), id, receiver })
    }

    /// What is to be written next; nothing more once the stream has ended.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<StreamRequest>> {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return Poll::Ready(None);
        }
        match state.next() {
            Some(request) => Poll::Ready(Some(request)),
            None => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Nobody waits for the call any more.
    fn cancel(&self, id: u64) {
        let writer = {
            let mut state = self.state.lock();
            state.remove(id).and_then(|waiter| state.take_back(id, &waiter))
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// A message came. One that makes no sense ends the call that it answers, and no other.
    pub(super) fn arrived(&self, message: StreamResponse) {
        let StreamResponse { id, answer } = message;
        let answer = match answer {
            Some(Answer::Part(part)) => self.part(id, part).transpose(),
            Some(answer) => Some(Ok(answer)),
            None => Some(Err(Status::internal("an answer without content"))),
        };
        let Some(answer) = answer else { return };
        let (waiter, writer) = {
            let mut state = self.state.lock();
            // Who cancelled the call has left.
            let Some(waiter) = state.remove(id) else { return };
            // The node may have more to say to it.
            let writer = if answer.is_err() { state.take_back(id, &waiter) } else { None };
            (waiter, writer)
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        // Who waits may leave in this moment.
        let _ = waiter.answer.send(answer.map_err(End::Broken));
    }

    /// A piece of an answer; the answer, if it was the last one.
    fn part(&self, id: u64, part: StreamPart) -> Result<Option<Answer>, Status> {
        let whole: Bytes = {
            let mut state = self.state.lock();
            let Some(waiter) = state.calls.get_mut(&id) else { return Ok(None) };
            if waiter.parts.len() + part.bytes.len() > MESSAGE_BYTES_MAX {
                return Err(Status::out_of_range("an answer is too large"));
            }
            waiter.parts.extend_from_slice(&part.bytes);
            if !part.last {
                return Ok(None);
            }
            waiter.parts.split().freeze()
        };
        let whole = StreamResponse::decode(whole)
            .map_err(|error| Status::internal(format!("decoding an answer: {error}")))?;
        match whole.answer {
            Some(answer) if !matches!(answer, Answer::Part(_)) => Ok(Some(answer)),
            _ => Err(Status::internal("an answer in pieces without content")),
        }
    }

    /// Nothing more is sent, nobody waits any longer.
    pub(super) fn end(&self, end: End) {
        let (calls, writer) = {
            let mut state = self.state.lock();
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(end.clone());
            state.queue.clear();
            (state.to_say, state.bytes) = (0, 0);
            (std::mem::take(&mut state.calls), state.writer.take())
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        for waiter in calls.into_values() {
            let _ = waiter.answer.send(Err(end.clone()));
        }
    }
}

impl Waiting {
    /// Queues what has to be said; who is to be woken for it.
    fn queue(&mut self, queued: Queued) -> Option<Waker> {
        self.queue.push_back(queued);
        self.to_say += 1;
        if self.queue.len() > 2 * self.to_say + IDLE_MAX {
            let calls = &self.calls;
            let is_kept = |id: &u64| calls.get(id).is_some_and(|waiter| waiter.request.is_some());
            self.queue.retain(|queued| match queued {
                Queued::Request(id) => is_kept(id),
                Queued::Cancel(_) => true,
            });
        }
        self.writer.take()
    }

    /// What is to be said next.
    fn next(&mut self) -> Option<StreamRequest> {
        while let Some(queued) = self.queue.pop_front() {
            let request = match queued {
                Queued::Cancel(id) => cancel(id),
                Queued::Request(id) => {
                    let Some(call) = self.calls.get_mut(&id).and_then(|waiter| waiter.request.take()) else {
                        continue;
                    };
                    StreamRequest { id, cancel: false, call: Some(call) }
                }
            };
            self.to_say -= 1;
            return Some(request);
        }
        None
    }

    /// Nobody waits for a call any more, as far as this end is concerned.
    fn remove(&mut self, id: u64) -> Option<Waiter> {
        let waiter = self.calls.remove(&id)?;
        self.bytes -= waiter.bytes;
        self.to_say -= usize::from(waiter.request.is_some());
        Some(waiter)
    }

    /// The node is told that nobody waits for a call that was removed, if it knows of it; who is to be woken for that.
    fn take_back(&mut self, id: u64, removed: &Waiter) -> Option<Waker> {
        if removed.request.is_some() { None } else { self.queue(Queued::Cancel(id)) }
    }
}

/// A call under way; dropped before it is answered, it is cancelled.
pub(super) struct Call {
    open: Arc<Open>,
    id: u64,
    receiver: oneshot::Receiver<Result<Answer, End>>,
}

impl Call {
    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> Result<Answer, End> {
        let answer = (&mut self.receiver).await;
        let answer =
            answer.unwrap_or_else(|_| Err(End::Broken(Status::unavailable("the stream is gone"))))?;
        match answer {
            Answer::Failure(failure) => {
                let code = Code::from_i32(i32::try_from(failure.code).unwrap_or(i32::MAX));
                Err(End::Broken(Status::new(code, failure.message)))
            }
            answer => Ok(answer),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Answered, it is not known any more.
        self.open.cancel(self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;

    use super::*;
    use crate::v1::{TimestampRequest, TimestampResponse};

    fn open() -> Arc<Open> {
        Arc::default()
    }

    fn enter(open: &Arc<Open>, bytes: usize) -> Option<Call> {
        open.enter(TimestampRequest::default(), bytes).ok()
    }

    /// What is written now: each request by its id, each cancellation by its id below zero.
    fn written(open: &Open) -> Vec<i64> {
        let cx = Context::from_waker(noop_waker_ref());
        let mut written = Vec::new();
        while let Poll::Ready(Some(request)) = open.poll_next(&cx) {
            written.push(if request.cancel { -(request.id as i64) } else { request.id as i64 });
        }
        written
    }

    fn part(id: u64, bytes: Vec<u8>, last: bool) -> StreamResponse {
        StreamResponse { id, answer: Some(Answer::Part(StreamPart { bytes: bytes.into(), last })) }
    }

    fn timestamp(id: u64) -> StreamResponse {
        StreamResponse { id, answer: Some(Answer::Timestamp(TimestampResponse::default())) }
    }

    #[test]
    fn a_call_that_is_cancelled_before_it_is_written_never_is() {
        let open = open();
        let (first, second, third) = (enter(&open, 1), enter(&open, 1), enter(&open, 1));
        drop(second);
        assert_eq!(written(&open), [1, 3]);
        drop(first);
        assert_eq!(written(&open), [-1]);
        drop(third);
        assert_eq!(written(&open), [-3]);
    }

    #[test]
    fn what_is_kept_is_counted_and_what_is_cancelled_is_not_kept() {
        let open = open();
        let half = BYTES_UNDER_WAY_MAX / 2;
        for _ in 0..10_000 {
            let (first, second) = (enter(&open, half), enter(&open, half));
            assert!(first.is_some() && second.is_some() && enter(&open, 1).is_none());
            let state = open.state.lock();
            let kept: usize = state.calls.values().map(|waiter| waiter.bytes).sum();
            assert_eq!((kept, state.calls.len()), (state.bytes, 2));
            assert!(state.queue.len() <= 2 * state.to_say + IDLE_MAX, "{} in the queue", state.queue.len());
            // `state` goes before the calls do.
            drop(state);
        }
        assert_eq!(written(&open), [] as [i64; 0]);
        let state = open.state.lock();
        assert_eq!((state.bytes, state.to_say), (0, 0));
    }

    #[tokio::test]
    async fn an_answer_that_makes_no_sense_ends_its_own_call_alone() {
        let senseless = [
            vec![StreamResponse { id: 1, answer: None }],
            vec![part(1, vec![0xff; 9], true)],
            vec![part(1, part(1, vec![1], true).encode_to_vec(), true)],
            vec![part(1, vec![0; MESSAGE_BYTES_MAX], false), part(1, vec![0], false), part(1, vec![0], true)],
        ];
        for messages in senseless {
            let open = open();
            let (Some(wrong), Some(other)) = (enter(&open, 1), enter(&open, 1)) else { panic!("no room") };
            assert_eq!(written(&open), [1, 2]);
            let what = format!("{:?}", messages[0].answer.as_ref().map(|answer| answer.encoded_len()));
            messages.into_iter().for_each(|message| open.arrived(message));
            assert!(!open.has_ended(), "{what}");
            let Err(End::Broken(status)) = wrong.answer().await else { panic!("{what}") };
            assert!(matches!(status.code(), Code::Internal | Code::OutOfRange), "{status:?}");
            assert_eq!(written(&open), [-1], "the node need not go on with it");
            open.arrived(timestamp(2));
            assert!(other.answer().await.is_ok(), "{what}");
            assert_eq!(open.state.lock().bytes, 0);
        }
    }

    #[tokio::test]
    async fn once_it_has_ended_nothing_is_written() {
        let open = open();
        let Some(call) = enter(&open, 1) else { panic!("no room") };
        open.end(End::Unknown);
        assert_eq!(written(&open), [] as [i64; 0]);
        assert!(matches!(call.answer().await, Err(End::Unknown)));
        let Some(late) = enter(&open, 1) else { panic!("no room") };
        assert!(matches!(late.answer().await, Err(End::Unknown)));
        assert_eq!(open.state.lock().queue.len(), 0);
    }
}

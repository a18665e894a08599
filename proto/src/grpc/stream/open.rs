//! A stream's calls at the caller's end: those that wait to be written, and those that wait for their answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::sync::oneshot;
use tonic::{Code, Status};

use super::{BYTES_UNDER_WAY_MAX, CALLS_MAX, Together, cancel};
use crate::grpc::MESSAGE_BYTES_MAX;
use crate::v1::stream_response::Answer;
use crate::v1::{StreamPart, StreamRequest, StreamResponse};

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
/// Invariants: a call in `waiting` was queued before; once `ended`, nothing is queued and nobody waits.
#[derive(Default)]
pub(super) struct Open {
    state: Mutex<Waiting>,
    /// The node has shown that it knows streams.
    known: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<StreamRequest>,
    /// Who writes, if there was nothing to write.
    writer: Option<Waker>,
    calls: HashMap<u64, Waiter>,
    bytes: usize,
    last_id: u64,
    ended: Option<End>,
}

/// A call under way.
struct Waiter {
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
        state.calls.insert(id, Waiter { answer, bytes, parts: BytesMut::new() });
        state.queue.push_back(StreamRequest { id, cancel: false, call: Some(request.into_call()) });
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Ok(Call { open: self.clone(), id, receiver })
    }

    /// What is to be written, put into `to`; `false`: the stream has ended. If there is nothing, `writer` is woken when
    /// there is.
    pub(super) fn take(&self, to: &mut VecDeque<StreamRequest>, writer: &Waker) -> bool {
        let mut state = self.state.lock();
        std::mem::swap(&mut state.queue, to);
        if to.is_empty() {
            state.writer = Some(writer.clone());
        }
        state.ended.is_none()
    }

    /// Nobody waits for the call any more.
    fn cancel(&self, id: u64) {
        let mut state = self.state.lock();
        let Some(waiter) = state.calls.remove(&id) else { return };
        state.bytes -= waiter.bytes;
        state.queue.push_back(cancel(id));
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// A message came; an error ends the stream.
    pub(super) fn arrived(&self, message: StreamResponse) -> Result<(), Status> {
        let StreamResponse { id, answer } = message;
        let Some(answer) = answer else { return Err(Status::internal("an answer without content")) };
        let answer = match answer {
            Answer::Part(part) => match self.part(id, part)? {
                Some(whole) => whole,
                None => return Ok(()),
            },
            answer => answer,
        };
        let waiter = {
            let mut state = self.state.lock();
            let waiter = state.calls.remove(&id);
            state.bytes -= waiter.as_ref().map_or(0, |waiter| waiter.bytes);
            waiter
        };
        // Who cancelled the call has left, and may leave in this moment.
        if let Some(waiter) = waiter {
            let _ = waiter.answer.send(Ok(answer));
        }
        Ok(())
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
            state.bytes = 0;
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

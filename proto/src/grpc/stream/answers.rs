//! The node's end: calls are answered where they arrive, and beside each other if they have to wait.
//!
//! A call that can be answered at once is, by the task that reads the stream, which so wakes nobody. One that is found to
//! wait goes on as a task of its own; one that may be long, or comes while the disk is slow, is such a task from the
//! beginning. Nothing that waits for the stream's reader to take its answers is held up in its work.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use env::clock;
use futures::{FutureExt as _, Stream};
use prost::Message as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tonic::Status;

use super::{BYTES_UNDER_WAY_MAX, CALLS_MAX, PART_BYTES, answer};
use crate::grpc::aborting::Aborting;
use crate::service::NodeService;
use crate::v1::operation::Operation;
use crate::v1::stream_request::Call;
use crate::v1::stream_response::Answer;
use crate::v1::{StreamFailure, StreamPart, StreamRequest, StreamResponse};

/// How many answers are gathered before they leave.
const GATHERED_MAX: usize = 16;

/// How many small answers go between two pieces of large ones.
const SMALL_PER_PART: usize = 8;

/// A request for so many keys is answered by a task of its own.
const KEYS_LONG: usize = 16;

/// A call that has kept the stream for so long has met the disk, or worse.
const SLOW: Duration = Duration::from_micros(200);

/// After that so many calls are tasks of their own.
const CALLS_APART: usize = 64;

/// Where calls are carried out.
#[derive(Clone, Debug)]
pub(in crate::grpc) struct Runtimes {
    /// Key-value requests have threads of their own: none is carried out where the stream is read.
    pub(in crate::grpc) batches: Option<Handle>,
    /// Where the stream is read.
    pub(in crate::grpc) own: Handle,
}

/// The messages of a stream as they arrive.
type Requests = Pin<Box<dyn Stream<Item = Result<StreamRequest, Status>> + Send>>;

/// A call being carried out.
type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The answers to a stream of calls. Dropped, it ends the calls that are under way.
///
/// Invariants: an id stands in `under_way` as long as its task may still tell its answer; `bytes` is the sum of theirs and of
/// those held back.
pub(in crate::grpc) struct Answers {
    service: Arc<dyn NodeService>,
    runtimes: Runtimes,
    /// `None`: no more will come.
    requests: Option<Requests>,
    under_way: HashMap<u64, UnderWay>,
    /// Calls that may have large answers, with their bytes, while answers pile up.
    held_back: VecDeque<(StreamRequest, usize)>,
    bytes: usize,
    told: mpsc::UnboundedReceiver<(u64, Answer)>,
    tell: mpsc::UnboundedSender<(u64, Answer)>,
    /// Answers that go in pieces: one of each in turn.
    large: VecDeque<(u64, Bytes)>,
    large_bytes: usize,
    small_since_part: usize,
    gathered: usize,
    apart: usize,
}

/// A call that is a task of its own.
struct UnderWay {
    _task: Aborting<()>,
    bytes: usize,
}

impl Answers {
    pub(in crate::grpc) fn new(
        service: Arc<dyn NodeService>,
        runtimes: Runtimes,
        requests: Requests,
    ) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            service,
            runtimes,
            requests: Some(requests),
            under_way: HashMap::new(),
            held_back: VecDeque::new(),
            bytes: 0,
            told,
            tell,
            large: VecDeque::new(),
            large_bytes: 0,
            small_since_part: 0,
            gathered: 0,
            apart: 0,
        }
    }

    /// The next answer that is known, or that a request has at once.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<StreamResponse, Status>>> {
        if self.small_since_part >= SMALL_PER_PART
            && let Some(part) = self.part()
        {
            return Poll::Ready(Some(Ok(part)));
        }
        loop {
            let (id, answer) = match self.told.poll_recv(cx) {
                Poll::Ready(Some((id, answer))) => {
                    // Cancelled in this moment: nobody waits for it.
                    let Some(done) = self.under_way.remove(&id) else { continue };
                    self.bytes -= done.bytes;
                    (id, answer)
                }
                _ => match self.request(cx) {
                    Poll::Ready(Some(Ok(request))) => match self.begin(request, cx) {
                        Ok(Some(answered)) => answered,
                        Ok(None) => continue,
                        Err(status) => return Poll::Ready(Some(Err(status))),
                    },
                    Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                    Poll::Ready(None) | Poll::Pending => break,
                },
            };
            if let Some(small) = self.small(id, answer) {
                return Poll::Ready(Some(Ok(small)));
            }
        }
        match self.part() {
            Some(part) => Poll::Ready(Some(Ok(part))),
            None if self.requests.is_none() && self.under_way.is_empty() && self.held_back.is_empty() => {
                Poll::Ready(None)
            }
            None => Poll::Pending,
        }
    }

    /// The next request: one that was held back once there is room for its answer, or one that arrives. After an error there
    /// is none.
    fn request(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<StreamRequest, Status>>> {
        if self.large_bytes <= BYTES_UNDER_WAY_MAX
            && let Some((request, bytes)) = self.held_back.pop_front()
        {
            self.bytes -= bytes;
            return Poll::Ready(Some(Ok(request)));
        }
        let Some(requests) = &mut self.requests else { return Poll::Ready(None) };
        let request = std::task::ready!(requests.as_mut().poll_next(cx));
        if !matches!(request, Some(Ok(_))) {
            self.requests = None;
        }
        Poll::Ready(request)
    }

    /// A request arrived: its answer if it has one at once. An error ends the stream.
    fn begin(
        &mut self,
        request: StreamRequest,
        cx: &mut Context<'_>,
    ) -> Result<Option<(u64, Answer)>, Status> {
        let StreamRequest { id, cancel, call } = request;
        if cancel {
            if let Some(cancelled) = self.under_way.remove(&id) {
                self.bytes -= cancelled.bytes;
            }
            if let Some(place) = self.held_back.iter().position(|(held, _)| held.id == id)
                && let Some((_, bytes)) = self.held_back.remove(place)
            {
                self.bytes -= bytes;
            }
            self.large.retain(|(large, _)| *large != id);
            self.large_bytes = self.large.iter().map(|(_, left)| left.len()).sum();
            return Ok(None);
        }
        let Some(call) = call else {
            // A call that a later version knows.
            return Ok(Some((id, failure(&Status::unimplemented("the node does not know the call")))));
        };
        if self.under_way.contains_key(&id) || self.held_back.iter().any(|(held, _)| held.id == id) {
            return Err(self.refuse(Status::invalid_argument("two calls of one id")));
        }
        let bytes = call.encoded_len();
        if self.under_way.len() + self.held_back.len() >= CALLS_MAX
            || self.bytes + bytes > 2 * BYTES_UNDER_WAY_MAX
        {
            return Err(self.refuse(Status::resource_exhausted("too many calls are under way")));
        }
        if self.large_bytes > BYTES_UNDER_WAY_MAX
            && matches!(&call, Call::Batch(batch) if is_long(&batch.operations))
        {
            // Answers pile up: what may make more of them waits, and nothing else does.
            self.bytes += bytes;
            self.held_back.push_back((StreamRequest { id, cancel, call: Some(call) }, bytes));
            return Ok(None);
        }
        let apart = match (&call, &self.runtimes.batches) {
            (Call::Batch(_), Some(batches)) => Some(batches.clone()),
            (Call::Batch(batch), None) if self.apart > 0 || is_long(&batch.operations) => {
                self.apart = self.apart.saturating_sub(1);
                Some(self.runtimes.own.clone())
            }
            _ => None,
        };
        let service = self.service.clone();
        let mut work: Work = Box::pin(async move {
            // A defect of one call is its own: the others on the stream go on.
            let answered = AssertUnwindSafe(answer(&*service, call)).catch_unwind().await;
            let answered =
                answered.unwrap_or_else(|_| Err(Status::internal("the call ended in a defect of the node")));
            answered.unwrap_or_else(|status| failure(&status))
        });
        let runtime = match apart {
            Some(runtime) => runtime,
            None => {
                let began = clock::now();
                if let Poll::Ready(answer) = work.as_mut().poll(cx) {
                    if began.elapsed() > SLOW {
                        self.apart = CALLS_APART;
                    }
                    return Ok(Some((id, answer)));
                }
                self.runtimes.own.clone()
            }
        };
        let tell = self.tell.clone();
        let task = Aborting::spawn_on(&runtime, async move {
            // The stream may end in this moment.
            let _ = tell.send((id, work.await));
        });
        self.bytes += bytes;
        self.under_way.insert(id, UnderWay { _task: task, bytes });
        Ok(None)
    }

    /// Ends the stream, and with it what is under way.
    fn refuse(&mut self, status: Status) -> Status {
        tracing::warn!(%status, "a stream of calls was ended");
        self.requests = None;
        self.under_way.clear();
        self.held_back.clear();
        self.large.clear();
        self.large_bytes = 0;
        self.bytes = 0;
        status
    }

    /// The message of an answer; a large one is put aside, to go in pieces.
    fn small(&mut self, id: u64, answer: Answer) -> Option<StreamResponse> {
        let response = StreamResponse { id, answer: Some(answer) };
        if response.encoded_len() <= PART_BYTES {
            self.small_since_part += 1;
            return Some(response);
        }
        let whole = Bytes::from(response.encode_to_vec());
        self.large_bytes += whole.len();
        self.large.push_back((id, whole));
        None
    }

    /// The next piece of a large answer.
    fn part(&mut self) -> Option<StreamResponse> {
        let (id, mut left) = self.large.pop_front()?;
        self.small_since_part = 0;
        let bytes = left.split_to(left.len().min(PART_BYTES));
        self.large_bytes -= bytes.len();
        let part = StreamPart { bytes, last: left.is_empty() };
        if !part.last {
            self.large.push_back((id, left));
        }
        Some(StreamResponse { id, answer: Some(Answer::Part(part)) })
    }
}

impl Stream for Answers {
    type Item = Result<StreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.gathered >= GATHERED_MAX {
            // What has nothing to say lets go what it has said.
            self.gathered = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = self.next(cx);
        self.gathered = if next.is_ready() { self.gathered + 1 } else { 0 };
        next
    }
}

fn failure(status: &Status) -> Answer {
    let code = i32::from(status.code()).unsigned_abs();
    Answer::Failure(StreamFailure { code, message: status.message().to_owned() })
}

/// Whether operations may take long, and may not hold up others.
fn is_long(operations: &[crate::v1::Operation]) -> bool {
    operations.iter().any(|operation| match &operation.operation {
        Some(Operation::Get(get)) => get.keys.len() >= KEYS_LONG,
        Some(Operation::Lock(lock)) => lock.keys.len() >= KEYS_LONG,
        Some(Operation::Commit(commit)) => commit.checks.len() + commit.writes.len() >= KEYS_LONG,
        Some(
            Operation::Scan(_)
            | Operation::Versions(_)
            | Operation::Changes(_)
            | Operation::Export(_)
            | Operation::Validate(_)
            | Operation::Reclaim(_)
            | Operation::EraseHistory(_)
            | Operation::Measure(_)
            | Operation::Ingest(_),
        ) => true,
        _ => false,
    })
}

//! Many calls on one long-lived stream: what is asked often goes beside others.
//!
//! A call of its own costs HTTP/2 a stream, headers both ways, and a task or two at each end. On a [stream](v1::StreamRequest)
//! that stays open it is one message each way, and messages that are ready at the same time leave as one piece of data:
//! tonic gathers what a stream has ready until it has nothing more. Nothing waits for company.
//!
//! ```text
//! callers ─▶ [Calls]: waiting to be written ─▶ stream.proto ─▶ [Answers]: polled once where it arrives,
//! callers ◀─ [Calls]: by id                 ◀─              ◀─           a task of its own if it has to wait
//! ```
//!
//! Each lane has a stream of its own, so that the stream's order holds nothing up: large requests take calls of their own,
//! large answers go in pieces between small ones, a call that has to wait stands beside the others. What is dropped by its
//! caller is cancelled at the other end. A stream that breaks ends its calls as broken calls end, and opens again with the
//! next one.

mod answers;
mod calls;
mod open;
mod outgoing;

use tonic::Status;

pub(super) use answers::{Answers, Runtimes};
pub(super) use calls::Calls;

use crate::service::NodeService;
use crate::v1::stream_request::Call;
use crate::v1::stream_response::Answer;
use crate::v1::{self, StreamRequest};

/// The largest request that goes on a stream.
pub(super) const REQUEST_BYTES_MAX: usize = crate::lane::BULK_BYTES;

/// The largest message of a stream: a request, or a piece of an answer, with room around it.
pub(super) const STREAM_MESSAGE_BYTES_MAX: usize = 1 << 20;

/// How many calls of one stream are under way: as many as there are sessions that may wait for locks.
const CALLS_MAX: usize = 1 << 16;

/// How many bytes the requests of one stream that are under way have at most; a node takes twice as much.
const BYTES_UNDER_WAY_MAX: usize = 32 << 20;

/// An answer that is larger than this goes in pieces of so much.
const PART_BYTES: usize = 32 << 10;

/// A request that goes on a stream.
pub(super) trait Together: Clone + Send + Sized {
    /// What answers it.
    type Answer: Send;

    /// The request as it stands in a message.
    fn into_call(self) -> Call;

    /// The answer from a message; `None`: it answers something else.
    fn answered(answer: Answer) -> Option<Self::Answer>;
}

macro_rules! together {
    ($($name:ident $variant:ident($request:ident) -> $response:ident;)*) => {
        $(impl Together for v1::$request {
            type Answer = v1::$response;

            fn into_call(self) -> Call {
                Call::$variant(self)
            }

            fn answered(answer: Answer) -> Option<Self::Answer> {
                match answer {
                    Answer::$variant(answer) => Some(answer),
                    _ => None,
                }
            }
        })*

        /// What `service` answers to a call.
        async fn answer(service: &dyn NodeService, call: Call) -> Result<Answer, Status> {
            match call {
                $(Call::$variant(request) => service.$name(request).await.map(Answer::$variant),)*
            }
        }
    };
}

together! {
    batch Batch(BatchRequest) -> BatchResponse;
    timestamp Timestamp(TimestampRequest) -> TimestampResponse;
    wait Wait(WaitRequest) -> WaitResponse;
}

/// The message that ends a call nobody waits for any more.
fn cancel(id: u64) -> StreamRequest {
    StreamRequest { id, cancel: true, call: None }
}

#[cfg(test)]
mod tests;

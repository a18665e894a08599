//! The caller's end: a stream that opens with the first call, and again after it broke.

use std::sync::Arc;
use std::time::Duration;

use env::clock::{self, Instant};
use parking_lot::Mutex;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::open::{End, Open};
use super::outgoing::Outgoing;
use super::{REQUEST_BYTES_MAX, STREAM_MESSAGE_BYTES_MAX, Together};
use crate::v1::StreamResponse;
use crate::v1::calls_client::CallsClient;

/// How long a node that knows no streams is believed to know none.
const UNKNOWN: Duration = Duration::from_secs(30);

/// The calls that go to one node on one lane, and the stream that carries them, opened with the first.
#[derive(Default)]
pub(in crate::grpc) struct Calls {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Open>>,
    unknown_until: Option<Instant>,
}

impl Calls {
    /// What the node answers. The request comes back if it cannot go on the stream: it is too large, too much is under way,
    /// or the node knows no streams.
    pub(in crate::grpc) async fn ask<Q: Together>(
        &self,
        request: Q,
        bytes: usize,
        connect: impl FnOnce() -> Result<Channel, Status>,
    ) -> Result<Result<Q::Answer, Status>, Q> {
        if bytes > REQUEST_BYTES_MAX {
            return Err(request);
        }
        let open = match self.open(connect) {
            Ok(Some(open)) => open,
            Ok(None) => return Err(request),
            Err(status) => return Ok(Err(status)),
        };
        let kept = if open.is_known() { None } else { Some(request.clone()) };
        let answer = open.enter(request, bytes)?.answer().await;
        match (answer, kept) {
            (Ok(answer), _) => {
                Ok(Q::answered(answer).ok_or_else(|| Status::internal("the answer is one to something else")))
            }
            (Err(End::Unknown), Some(request)) => {
                self.state.lock().unknown_until = Some(clock::now() + UNKNOWN);
                Err(request)
            }
            (Err(end), _) => Ok(Err(end.into_status())),
        }
    }

    /// The open stream; none with a node that knows none.
    fn open(&self, connect: impl FnOnce() -> Result<Channel, Status>) -> Result<Option<Arc<Open>>, Status> {
        let mut state = self.state.lock();
        if let Some(open) = &state.open
            && !open.has_ended()
        {
            return Ok(Some(open.clone()));
        }
        if state.unknown_until.is_some_and(|until| clock::now() < until) {
            return Ok(None);
        }
        let client = CallsClient::new(connect()?).max_decoding_message_size(STREAM_MESSAGE_BYTES_MAX);
        let open = Arc::new(Open::default());
        state.open = Some(open.clone());
        drop(env::task::spawn(read(Ends(open.clone()), client)));
        Ok(Some(open))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(open) = self.state.get_mut().open.take() {
            open.end(End::Broken(Status::unavailable("nobody uses the connection any more")));
        }
    }
}

/// Ends the stream with the task that reads it, however that ends.
struct Ends(Arc<Open>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end(End::Broken(Status::unavailable("the stream's task was ended")));
    }
}

/// Opens the stream and hands out answers until it ends.
async fn read(open: Ends, mut client: CallsClient<Channel>) {
    let open = &open.0;
    let end = match client.stream(Outgoing::new(open.clone())).await {
        Ok(answers) => {
            open.is_known_now();
            End::Broken(hand_out(open, answers.into_inner()).await)
        }
        Err(status) if status.code() == Code::Unimplemented => End::Unknown,
        Err(status) => End::Broken(broken(&status)),
    };
    open.end(end);
}

/// Hands out answers; why no more come.
async fn hand_out(open: &Open, mut answers: Streaming<StreamResponse>) -> Status {
    loop {
        match answers.message().await {
            Ok(Some(message)) => open.arrived(message),
            Ok(None) => return Status::unavailable("the node has ended the stream"),
            Err(status) => return broken(&status),
        }
    }
}

/// Whatever ended the stream, it says nothing about the calls that were on it.
fn broken(status: &Status) -> Status {
    tracing::debug!(%status, "a stream of calls broke");
    Status::unavailable(format!("the stream broke: {}", status.message()))
}

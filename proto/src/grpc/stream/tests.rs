//! The node's end of a stream, with a node that waits for what is asked to wait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use env::clock;
use futures::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::{Answers, BYTES_UNDER_WAY_MAX, PART_BYTES, Runtimes, cancel};
use crate::service::NodeService;
use crate::v1::stream_request::Call;
use crate::v1::stream_response::Answer;
use crate::v1::{
    BatchRequest, BatchResponse, Operation, Scan, StreamRequest, StreamResponse, TimestampRequest,
    TimestampResponse, WaitRequest, WaitResponse, operation,
};

/// Answers timestamps at once, a wait with a cycle of as many bytes as its number, or never if that is 0. A batch of nothing
/// meets a defect.
struct Node;

#[async_trait]
impl NodeService for Node {
    async fn timestamp(&self, request: TimestampRequest) -> Result<TimestampResponse, Status> {
        Ok(TimestampResponse { first: request.count.into(), catalog_version: 0 })
    }

    async fn wait(&self, request: WaitRequest) -> Result<WaitResponse, Status> {
        if request.wait_number == 0 {
            std::future::pending::<()>().await;
        }
        let cycle = "c".repeat(request.wait_number as usize);
        Ok(WaitResponse { cycle, ..WaitResponse::default() })
    }

    async fn batch(&self, request: BatchRequest) -> Result<BatchResponse, Status> {
        assert!(!request.operations.is_empty(), "a defect");
        Ok(BatchResponse::default())
    }
}

fn batch(id: u64, operations: Vec<Operation>) -> StreamRequest {
    let call = Call::Batch(BatchRequest { header: None, operations });
    StreamRequest { id, cancel: false, call: Some(call) }
}

fn scan(id: u64) -> StreamRequest {
    batch(id, vec![Operation { operation: Some(operation::Operation::Scan(Scan::default())) }])
}

fn timestamp(id: u64) -> StreamRequest {
    let call = Call::Timestamp(TimestampRequest { count: id as u32, ..TimestampRequest::default() });
    StreamRequest { id, cancel: false, call: Some(call) }
}

fn wait(id: u64, bytes: u64, waiter: usize) -> StreamRequest {
    let wait = WaitRequest { wait_number: bytes, waiter: vec![0; waiter].into(), ..WaitRequest::default() };
    StreamRequest { id, cancel: false, call: Some(Call::Wait(wait)) }
}

/// The answers to requests that have all arrived; more may come.
fn answers(requests: impl IntoIterator<Item = StreamRequest>) -> Answers {
    let requests: Vec<_> = requests.into_iter().map(Ok).collect();
    let requests = futures::stream::iter(requests).chain(futures::stream::pending());
    Answers::new(Arc::new(Node), Runtimes { batches: None, own: Handle::current() }, Box::pin(requests))
}

async fn next(
    answers: &mut (impl Stream<Item = Result<StreamResponse, Status>> + Unpin),
) -> Result<StreamResponse, Status> {
    clock::timeout(Duration::from_secs(5), answers.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn pieces_of_large_answers_go_between_small_ones() {
    let large = PART_BYTES as u64 * 10;
    let requests = [wait(1, large, 0), wait(2, large, 0)].into_iter().chain((3..100).map(timestamp));
    let mut answers = answers(requests);
    let (mut small, mut pieces, mut bytes, mut whole) = (0, [0; 2], 0, 0);
    while whole < 2 {
        let message = next(&mut answers).await.unwrap();
        match message.answer.unwrap() {
            Answer::Timestamp(_) => small += 1,
            Answer::Part(part) => {
                assert!(part.bytes.len() <= PART_BYTES);
                pieces[message.id as usize - 1] += 1;
                assert!(pieces[0].max(pieces[1]) - pieces[0].min(pieces[1]) <= 1, "{pieces:?}");
                bytes += part.bytes.len();
                whole += usize::from(part.last);
                assert!(small >= 97.min(8 * (pieces[0] + pieces[1] - 1)), "{small} small before {pieces:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(small, 97);
    assert!(bytes > 2 * large as usize && bytes < 2 * large as usize + 64);
}

#[tokio::test]
async fn what_is_asked_twice_ends_the_stream() {
    let mut answers = answers([wait(1, 0, 0), wait(1, 0, 0)]);
    assert_eq!(next(&mut answers).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn more_than_its_bound_ends_the_stream() {
    let mut answers = answers((0..80).map(|id| wait(id, 0, 1 << 20)));
    assert_eq!(next(&mut answers).await.unwrap_err().code(), Code::ResourceExhausted);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn what_was_cancelled_makes_room() {
    let calls = (0..200).flat_map(|id| [wait(id, 0, 1 << 20), cancel(id)]);
    let mut answers = answers(calls.chain([timestamp(1000)]));
    assert_eq!(next(&mut answers).await.unwrap().id, 1000);
}

#[tokio::test]
async fn a_call_of_a_later_version_is_unknown_by_itself() {
    let mut answers = answers([StreamRequest { id: 7, cancel: false, call: None }, timestamp(8)]);
    match next(&mut answers).await.unwrap() {
        StreamResponse { id: 7, answer: Some(Answer::Failure(failure)) } => {
            assert_eq!(failure.code, Code::Unimplemented as u32);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(next(&mut answers).await.unwrap().id, 8);
}

#[tokio::test]
async fn after_the_last_request_what_is_under_way_is_answered_still() {
    let requests = futures::stream::iter([Ok(wait(1, 5, 0)), Ok(timestamp(2))]);
    let runtimes = Runtimes { batches: None, own: Handle::current() };
    let answers: Vec<_> = Answers::new(Arc::new(Node), runtimes, Box::pin(requests)).collect().await;
    assert_eq!(answers.len(), 2);
}

#[tokio::test]
async fn while_answers_pile_up_only_what_may_add_to_them_waits() {
    let large = BYTES_UNDER_WAY_MAX as u64 / 4 * 3;
    let mut answers =
        answers([wait(1, large, 0), wait(2, large, 0), scan(3), scan(4), cancel(4), timestamp(5)]);
    let (mut bytes, mut in_time, mut scanned) = (0, false, false);
    while !scanned {
        let message = next(&mut answers).await.unwrap();
        match message.answer.unwrap() {
            Answer::Timestamp(_) => in_time = true,
            Answer::Part(part) => bytes += part.bytes.len(),
            Answer::Batch(_) => {
                assert_eq!(message.id, 3);
                assert!(in_time && bytes >= BYTES_UNDER_WAY_MAX / 2, "after {bytes} bytes");
                scanned = true;
            }
            other => panic!("{other:?}"),
        }
    }
    let rest = answers.by_ref().take_while(|message| {
        let is_part = matches!(message.as_ref().unwrap().answer, Some(Answer::Part(_)));
        futures::future::ready(is_part)
    });
    let rest = clock::timeout(Duration::from_secs(5), async { rest.count().await }).await;
    assert!(rest.is_err(), "nothing comes but parts, and what was cancelled never");
}

#[tokio::test]
async fn a_defect_ends_one_call_alone() {
    let mut answers = answers([wait(1, 0, 0), batch(2, Vec::new()), timestamp(3)]);
    let failed = next(&mut answers).await.unwrap();
    let Some(Answer::Failure(failure)) = failed.answer else { panic!("{failed:?}") };
    assert_eq!((failed.id, failure.code), (2, Code::Internal as u32));
    assert_eq!(next(&mut answers).await.unwrap().id, 3);
}

//! Streams over a simulated connection: messages arrive in order or the connection breaks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use env::clock::{self, Instant};
use env::{random, watch};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tonic::Status;

use super::remote::{Carried, Remote, spawn_here};
use super::{Fate, broken};
use crate::lane::Lane;
use crate::service::{RequestStream, ResponseStream};
use crate::v1::{RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk, RaftSnapshotResponse};

/// How many messages are under way in one direction before the sender waits.
const WINDOW: usize = 256;

/// Who reads a message so much later than it arrived was stopped meanwhile.
const STOPPED: Duration = Duration::from_millis(100);

/// The longest that a message waits for its turn where much has arrived meanwhile.
const TURN_US_MAX: u64 = 3_000;

/// A connection that carries a stream; both ends learn when it broke.
#[derive(Clone)]
struct Connection {
    broken: Arc<watch::Sender<bool>>,
}

impl Connection {
    fn new() -> Self {
        Self { broken: Arc::new(watch::Sender::new(false)) }
    }

    fn break_off(&self) {
        self.broken.send_replace(true);
    }

    async fn broken(&self) {
        let mut receiver = self.broken.subscribe();
        // The sender lives in self.
        let _ = receiver.wait_for(|broken| *broken).await;
    }
}

/// A message on its way; the end of a stream travels as one too.
type OnItsWay<T> = (Instant, Option<Result<T, Status>>);

/// The sending end: takes messages from `input` and puts them on the wire until the connection breaks, the input ends
/// or the other end lost interest.
async fn pump<T: Carried>(
    remote: Remote,
    lane: Lane,
    connection: Connection,
    mut input: Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>,
    wire: mpsc::Sender<OnItsWay<T>>,
) {
    let mut last = clock::now();
    loop {
        let item = tokio::select! {
            biased;
            () = connection.broken() => return,
            () = wire.closed() => return,
            () = remote.breaks() => return connection.break_off(),
            item = input.next() => item,
        };
        let bytes = item.as_ref().and_then(|item| item.as_ref().ok()).map_or(0, T::encoded_len);
        let Fate::Arrives(delay) = remote.send(lane, bytes) else {
            clock::sleep(remote.wire.notice()).await;
            return connection.break_off();
        };
        last = last.max(clock::now() + delay);
        let ended = item.is_none();
        if wire.send((last, item)).await.is_err() || ended {
            return;
        }
    }
}

/// The receiving end. Without the sender's word that it ended, the stream ends with an error.
fn arrivals<T: Carried>(
    remote: Remote,
    connection: Connection,
    kind: &'static str,
    wire: mpsc::Receiver<OnItsWay<T>>,
) -> BoxStream<'static, Result<T, Status>> {
    let state = Some((remote, connection, wire));
    futures::stream::unfold(state, move |state| async move {
        let (remote, connection, mut wire) = state?;
        let arrived = tokio::select! {
            biased;
            () = connection.broken() => None,
            arrived = wire.recv() => arrived,
        };
        if let Some((at, item)) = arrived {
            clock::sleep_until(at).await;
            take_turn(at).await;
            if !remote.wire.is_cut(&remote.from, &remote.to) {
                let item = item?;
                let item =
                    item.and_then(|message| remote.wire.deliver(&remote.from, &remote.to, kind, &message));
                let rest = item.is_ok().then_some((remote, connection, wire));
                return Some((item, rest));
            }
        }
        connection.break_off();
        clock::sleep(remote.wire.notice()).await;
        Some((Err(broken(&remote.from, &remote.to)), None))
    })
    .boxed()
}

/// Whoever was stopped finds messages on all its connections, and reads them in any order, with other work in between.
async fn take_turn(arrived: Instant) {
    if clock::now() > arrived + STOPPED && random::below(2) == 0 {
        clock::sleep(Duration::from_micros(random::below(TURN_US_MAX))).await;
    }
}

/// Starts the caller's half of a stream; gives the callee's end of it.
fn requests<T: Carried>(
    remote: &Remote,
    lane: Lane,
    connection: &Connection,
    kind: &'static str,
    input: RequestStream<T>,
) -> RequestStream<T> {
    let (sender, receiver) = mpsc::channel(WINDOW);
    spawn_here(pump(remote.clone(), lane, connection.clone(), Box::pin(input.map(Ok)), sender));
    let arrivals = arrivals(remote.clone(), connection.clone(), kind, receiver);
    Box::pin(arrivals.scan((), |(), message| futures::future::ready(message.ok())))
}

/// The append stream of one (range, follower).
pub(super) async fn append(
    remote: &Remote,
    input: RequestStream<RaftAppendRequest>,
) -> Result<ResponseStream<RaftAppendResponse>, Status> {
    let lane = remote.appends;
    remote.arrive(remote.send(lane, 0)).await?;
    let Some(node) = remote.wire.node(&remote.to) else {
        return Err(Status::unavailable(format!("{} refuses the connection", remote.to)));
    };
    let connection = Connection::new();
    let requests = requests(remote, lane, &connection, "raft_append", input);
    let (sender, receiver) = mpsc::channel(WINDOW);
    let back = remote.back();
    let (pumped, broken) = (back.clone(), connection.clone());
    drop(node.scope.spawn_on(&Handle::current(), async move {
        let output: Pin<Box<dyn Stream<Item = _> + Send>> = match node.service.raft_append(requests).await {
            Ok(output) => output,
            Err(status) => Box::pin(futures::stream::iter([Err(status)])),
        };
        pump(pumped, lane, broken, output, sender).await;
    }));
    Ok(arrivals(back, connection, "raft_append", receiver))
}

/// A snapshot, chunk by chunk.
pub(super) async fn snapshot(
    remote: &Remote,
    input: RequestStream<RaftSnapshotChunk>,
) -> Result<RaftSnapshotResponse, Status> {
    let lane = Lane::Snapshots;
    remote.arrive(remote.send(lane, 0)).await?;
    let Some(node) = remote.wire.node(&remote.to) else {
        return Err(Status::unavailable(format!("{} refuses the connection", remote.to)));
    };
    let connection = Connection::new();
    let chunks = requests(remote, lane, &connection, "raft_snapshot", input);
    let handling =
        node.scope.spawn_on(&Handle::current(), async move { node.service.raft_snapshot(chunks).await });
    let answer = remote.handled(handling).await?;
    remote.answer("raft_snapshot", lane, answer).await
}

//! gRPC on a real port of the loopback interface.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use env::clock;
use env::task::{self, JoinHandle};
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::Code;

use super::echo::{Echo, append, appended, get, value};
use crate::grpc::{GrpcNetwork, MESSAGE_BYTES_MAX, ServeError, ServeOptions, serve, serve_apart};
use crate::service::Network as _;
use crate::v1::{DirectoryRequest, NodeHeartbeatRequest, RaftVoteRequest, RangeDescriptor, Span};

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

async fn start(address: &str) -> Server {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let serving = task::spawn(serve(Arc::new(Echo::default()), listener, ServeOptions::default(), shutdown));
    Server { address, stop, serving }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_streams_are_answered() {
    let server = start("127.0.0.1:0").await;
    let node = GrpcNetwork::new(None).connect(&server.address.to_string());
    let response = node.batch(get("key")).await.unwrap();
    assert_eq!(value(&response).unwrap(), "key");

    let status = node.directory(DirectoryRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "directory"));

    let requests = futures::stream::iter((0..1000).map(append));
    let answers = node.raft_append(Box::pin(requests)).await.unwrap();
    let indices: Vec<u64> = answers.map(|answer| appended(&answer.unwrap())).collect().await;
    assert_eq!(indices, (0..1000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_is_reached_again() {
    let server = start("127.0.0.1:0").await;
    let address = server.address.to_string();
    let node = GrpcNetwork::new(None).connect(&address);
    node.batch(get("a")).await.unwrap();
    server.stop.send(()).unwrap();
    server.serving.await.unwrap().unwrap();
    let status = node.batch(get("b")).await.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::Cancelled), "{status:?}");

    let _server = start(&address).await;
    let mut attempts = 0;
    while let Err(status) = node.batch(get("c")).await {
        attempts += 1;
        assert!(attempts < 100, "{status:?}");
        clock::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_idle_streams() {
    let server = start("127.0.0.1:0").await;
    let node = GrpcNetwork::new(None).connect(&server.address.to_string());
    let mut answers = node.raft_append(Box::pin(futures::stream::pending())).await.unwrap();
    server.stop.send(()).unwrap();
    let ended = clock::timeout(Duration::from_secs(2), answers.next()).await.unwrap();
    assert!(!matches!(ended, Some(Ok(_))));
    clock::timeout(Duration::from_secs(2), server.serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_pass_and_too_large_ones_are_refused_by_name() {
    let server = start("127.0.0.1:0").await;
    let node = GrpcNetwork::new(None).connect(&server.address.to_string());
    let large = vec![b'x'; 60 << 20];
    let response = node.batch(get(large)).await.unwrap();
    assert_eq!(value(&response).unwrap().len(), 60 << 20);

    let status = node.batch(get(vec![b'x'; MESSAGE_BYTES_MAX])).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("too large"), "{status:?}");
    node.batch(get("still there")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_that_names_many_ranges_passes() {
    let server = start("127.0.0.1:0").await;
    let node = GrpcNetwork::new(None).connect(&server.address.to_string());
    let span = Some(Span { start: vec![b'x'; 100].into(), end: vec![b'y'; 100].into() });
    let range = |range_id| RangeDescriptor { range_id, span: span.clone(), ..RangeDescriptor::default() };
    let led = (0..100_000).map(range).collect();
    let status = node
        .node_heartbeat(NodeHeartbeatRequest { led, ..NodeHeartbeatRequest::default() })
        .await
        .unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "node_heartbeat"));
}

/// Sends bytes as they are; what came back until the server closed the connection.
async fn send_raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let read = clock::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the server neither answered nor hung up");
    answer
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn garbage_loses_its_connection_and_nothing_else() {
    let server = start("127.0.0.1:0").await;
    let garbage: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    send_raw(server.address, &garbage).await;
    send_raw(server.address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // An HTTP/2 connection whose first frame claims 16 MiB.
    let huge = [PREFACE, &[0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0], &garbage].concat();
    let answer = send_raw(server.address, &huge).await;
    // GOAWAY (type 7) with FRAME_SIZE_ERROR (6).
    assert!(answer.windows(4).any(|window| window == [0, 0, 0, 6]), "{answer:?}");

    let node = GrpcNetwork::new(None).connect(&server.address.to_string());
    node.batch(get("still there")).await.unwrap();
    assert!(!server.serving.is_finished());
}

/// A literal header field without indexing (HPACK).
fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_message_is_garbage_or_claims_gigabytes_is_answered_with_a_status() {
    let server = start("127.0.0.1:0").await;
    let headers = |path| {
        [
            header(":method", "POST"),
            header(":scheme", "http"),
            header(":path", path),
            header(":authority", "x"),
            header("content-type", "application/grpc"),
            header("te", "trailers"),
        ]
        .concat()
    };
    // A message is a flag, its length, and its bytes.
    let garbage = [&[0, 0, 0, 0, 5][..], &[0xff; 5]].concat();
    let gigabytes = [&[0, 0xff, 0xff, 0xff, 0xff][..], &[0; 5]].concat();
    let truncated = vec![0, 0, 0, 1, 0, 7, 7];
    let messages = [garbage, gigabytes, truncated];
    let paths = ["/nunatak.v1.Kv/Batch", "/nunatak.v1.Calls/Stream"];
    for (path, message) in paths.iter().flat_map(|path| messages.iter().map(move |message| (path, message))) {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request =
            [PREFACE, &frame(4, 0, 0, &[]), &frame(1, 4, 1, &headers(path)), &frame(0, 1, 1, message)]
                .concat();
        stream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        let answered = async {
            // Header names travel Huffman-coded; a HEADERS frame (type 1) that ends the stream (flag 1) is the answer.
            while !answer.windows(2).any(|window| window == [1, 5]) {
                let length = stream.read(&mut part).await.unwrap();
                assert!(length > 0, "the connection was closed: {answer:?}");
                answer.extend_from_slice(&part[..length]);
            }
        };
        clock::timeout(Duration::from_secs(10), answered).await.unwrap();
    }
    let node = GrpcNetwork::new(None).connect(&server.address.to_string());
    node.batch(get("still there")).await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_is_called_so() {
    let node = GrpcNetwork::new(None).connect("not an address");
    let status = node.batch(get("a")).await.unwrap_err();
    // Nobody is there; it may be hearsay, and is no reason to give up what is asked.
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("not an address"), "{status:?}");
}

#[test]
fn batches_that_fill_the_nodes_threads_hold_up_no_vote() {
    let node_threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let service = Echo { spins: Duration::from_secs(1), ..Echo::default() };
    let (bound, address) = std::sync::mpsc::channel();
    node_threads.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        bound.send(listener.local_addr().unwrap()).unwrap();
        serve_apart(Arc::new(service), listener, ServeOptions::default(), std::future::pending()).await
    });
    let address = address.recv().unwrap().to_string();
    let own = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    own.block_on(async {
        let network = GrpcNetwork::new(None);
        let busy: Vec<_> = (0..3)
            .map(|_| {
                task::spawn({
                    let node = network.connect(&address);
                    async move { node.batch(get("key")).await }
                })
            })
            .collect();
        clock::sleep(Duration::from_millis(300)).await;
        let begun = clock::now();
        let status = network.connect(&address).raft_vote(RaftVoteRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(begun.elapsed() < Duration::from_millis(500), "answered after {:?}", begun.elapsed());
        for batch in busy {
            batch.await.unwrap().unwrap();
        }
    });
    node_threads.shutdown_background();
}

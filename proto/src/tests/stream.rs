//! Calls that go together on one stream, on a real port of the loopback interface.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use env::{clock, task};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status};

use super::echo::{Echo, get, value};
use crate::grpc::{GrpcNetwork, ServeOptions, serve, serve_apart};
use crate::service::{Network as _, NodeService};
use crate::v1::kv_server::{Kv, KvServer};
use crate::v1::{BatchRequest, BatchResponse, TimestampRequest, TimestampResponse};

/// Echoes, but what begins with "wait" only when it may, and for "large" with 20 MiB.
struct Waits {
    echo: Echo,
    may_answer: Semaphore,
    waiting: AtomicU64,
    ended: AtomicU64,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            echo: Echo::default(),
            may_answer: Semaphore::new(0),
            waiting: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }
}

/// Counts the end of a call, however it ends.
struct Counts<'a>(&'a AtomicU64);

impl Drop for Counts<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl NodeService for Waits {
    async fn batch(&self, request: BatchRequest) -> Result<BatchResponse, Status> {
        let answer = self.echo.batch(request).await?;
        let key = value(&answer).unwrap_or_default();
        if key.starts_with(b"wait") {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let _ended = Counts(&self.ended);
            self.may_answer.acquire().await.unwrap().forget();
        }
        if key.starts_with(b"large") {
            return self.echo.batch(get(vec![7; 20 << 20])).await;
        }
        Ok(answer)
    }

    async fn timestamp(&self, request: TimestampRequest) -> Result<TimestampResponse, Status> {
        match request.count {
            0 => Err(Status::failed_precondition("n2:1")),
            count => Ok(TimestampResponse { first: u64::from(count), catalog_version: 0 }),
        }
    }
}

/// A node on threads of its own, that can be killed.
struct Node {
    service: Arc<Waits>,
    address: SocketAddr,
    threads: Runtime,
}

impl Node {
    /// With replication on other threads still, or not.
    fn start(address: &str, apart: bool) -> Self {
        let threads = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let service = Arc::new(Waits::default());
        let serves: Arc<dyn NodeService> = service.clone();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        threads.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let never = std::future::pending();
            match apart {
                true => serve_apart(serves, listener, ServeOptions::default(), never).await,
                false => serve(serves, listener, ServeOptions::default(), never).await,
            }
        });
        Self { service, address, threads }
    }

    fn connect(&self) -> Arc<dyn NodeService> {
        GrpcNetwork::new(None).connect(&self.address.to_string())
    }

    fn kill(self) {
        self.threads.shutdown_background();
    }
}

fn run(test: impl AsyncFnOnce()) {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test());
}

/// Until a counter is there.
async fn reaches(counter: &AtomicU64, count: u64) {
    let reached = async {
        while counter.load(Ordering::SeqCst) < count {
            clock::sleep(Duration::from_millis(2)).await;
        }
    };
    let in_time = clock::timeout(Duration::from_secs(10), reached).await;
    assert!(in_time.is_ok(), "{} instead of {count}", counter.load(Ordering::SeqCst));
}

#[test]
fn many_calls_at_once_are_answered_each_with_its_own_answer() {
    for apart in [false, true] {
        let node = Node::start("127.0.0.1:0", apart);
        run(async || {
            let client = node.connect();
            let mut calls: FuturesUnordered<_> = (0..2000u32)
                .map(|number| {
                    let client = client.clone();
                    task::spawn(async move {
                        let key = number.to_be_bytes().to_vec();
                        assert_eq!(value(&client.batch(get(key.clone())).await.unwrap()).unwrap(), key);
                        let request = TimestampRequest { count: number + 1, ..TimestampRequest::default() };
                        assert_eq!(client.timestamp(request).await.unwrap().first, u64::from(number) + 1);
                    })
                })
                .collect();
            while let Some(call) = calls.next().await {
                call.unwrap();
            }
        });
        assert_eq!(node.service.echo.batches.load(Ordering::Relaxed), 2000);
        node.kill();
    }
}

#[test]
fn a_status_comes_back_as_it_was_given() {
    let node = Node::start("127.0.0.1:0", false);
    run(async || {
        let status = node.connect().timestamp(TimestampRequest::default()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "n2:1"));
    });
    node.kill();
}

#[test]
fn calls_that_wait_hold_up_no_other() {
    for apart in [false, true] {
        let node = Node::start("127.0.0.1:0", apart);
        run(async || {
            let client = node.connect();
            let waiting: Vec<_> = (0..100)
                .map(|_| {
                    let client = client.clone();
                    task::spawn(async move { client.batch(get("wait")).await })
                })
                .collect();
            reaches(&node.service.waiting, 100).await;
            for _ in 0..10 {
                client.batch(get("short")).await.unwrap();
            }
            node.service.may_answer.add_permits(100);
            for call in waiting {
                assert_eq!(value(&call.await.unwrap().unwrap()).unwrap(), "wait");
            }
        });
        node.kill();
    }
}

#[test]
fn a_dropped_call_ends_at_the_node_too() {
    for apart in [false, true] {
        let node = Node::start("127.0.0.1:0", apart);
        run(async || {
            let client = node.connect();
            for number in 1..=20 {
                let client = client.clone();
                let call = task::spawn(async move { client.batch(get("wait")).await });
                reaches(&node.service.waiting, number).await;
                call.abort();
                reaches(&node.service.ended, number).await;
            }
            client.batch(get("short")).await.unwrap();
        });
        node.kill();
    }
}

#[test]
fn a_stream_that_breaks_ends_its_calls_and_opens_again() {
    let node = Node::start("127.0.0.1:0", false);
    run(async || {
        let (client, address) = (node.connect(), node.address.to_string());
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let client = client.clone();
                task::spawn(async move { client.batch(get("wait")).await })
            })
            .collect();
        reaches(&node.service.waiting, 10).await;
        let service = node.service.clone();
        node.kill();
        for call in waiting {
            assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
        }
        reaches(&service.ended, 10).await;
        assert_eq!(client.batch(get("nobody")).await.unwrap_err().code(), Code::Unavailable);
        let node = Node::start(&address, false);
        let mut attempts = 0;
        while let Err(status) = client.batch(get("again")).await {
            attempts += 1;
            assert!(attempts < 100, "{status:?}");
            clock::sleep(Duration::from_millis(50)).await;
        }
        node.kill();
    });
}

#[test]
fn a_large_answer_holds_up_no_small_one() {
    let node = Node::start("127.0.0.1:0", false);
    run(async || {
        let client = node.connect();
        let large = {
            let client = client.clone();
            task::spawn(async move { client.batch(get("large")).await })
        };
        let mut beside = 0;
        while !large.is_finished() {
            client.batch(get("small")).await.unwrap();
            beside += 1;
        }
        assert_eq!(value(&large.await.unwrap().unwrap()).unwrap().len(), 20 << 20);
        // Held up, the first would come behind it.
        assert!(beside > 2, "{beside} small answers beside a large one");
    });
    node.kill();
}

#[test]
fn more_than_a_stream_carries_goes_beside_it() {
    let node = Node::start("127.0.0.1:0", false);
    run(async || {
        let client = node.connect();
        let key = [&b"wait"[..], &vec![0; 60 << 10]].concat();
        let waiting: Vec<_> = (0..700)
            .map(|_| {
                let (client, key) = (client.clone(), key.clone());
                task::spawn(async move { client.batch(get(key)).await })
            })
            .collect();
        reaches(&node.service.waiting, 700).await;
        client.batch(get("short")).await.unwrap();
        node.service.may_answer.add_permits(700);
        for call in waiting {
            assert_eq!(value(&call.await.unwrap().unwrap()).unwrap(), key);
        }
    });
    node.kill();
}

/// A node of an older version.
struct Old(Echo);

#[async_trait]
impl Kv for Old {
    async fn batch(&self, request: Request<BatchRequest>) -> Result<Response<BatchResponse>, Status> {
        self.0.batch(request.into_inner()).await.map(Response::new)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_knows_no_streams_is_asked_without() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder().add_service(KvServer::new(Old(Echo::default())));
    let serving = task::spawn(server.serve_with_incoming(incoming));
    let client = GrpcNetwork::new(None).connect(&address);
    let calls = (0..50u8).map(|number| {
        let client = client.clone();
        async move {
            assert_eq!(value(&client.batch(get(vec![number])).await.unwrap()).unwrap(), [number].as_slice())
        }
    });
    futures::future::join_all(calls).await;
    client.batch(get("later")).await.unwrap();
    assert!(!serving.is_finished());
}

#[test]
fn no_connection_outlives_its_server() {
    for apart in [false, true] {
        run(async || {
            let service = Arc::new(Waits::default());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let shutdown = async move { drop(stopped.await) };
            let (serves, options) = (service.clone() as Arc<dyn NodeService>, ServeOptions::default());
            let serving = task::spawn(async move {
                match apart {
                    true => serve_apart(serves, listener, options, shutdown).await,
                    false => serve(serves, listener, options, shutdown).await,
                }
            });
            // One on the stream of small calls, one as a call of its own.
            let client = GrpcNetwork::new(None).connect(&address);
            let large = [b"wait".to_vec(), vec![0; 1 << 20]].concat();
            let calls: Vec<_> = [b"wait".to_vec(), large]
                .into_iter()
                .map(|key| {
                    let client = client.clone();
                    task::spawn(async move { client.batch(get(key)).await })
                })
                .collect();
            reaches(&service.waiting, 2).await;
            stop.send(()).unwrap();
            let served = clock::timeout(Duration::from_secs(10), serving).await;
            served.expect("it stops").unwrap().unwrap();
            reaches(&service.ended, 2).await;
            for call in calls {
                let answered = clock::timeout(Duration::from_secs(5), call).await;
                let answered = answered.expect("its caller hears of it").unwrap();
                assert!(answered.is_err(), "{answered:?}");
            }
        });
    }
}

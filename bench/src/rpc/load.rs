//! Callers that ask one batch after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::{clock, task};
use proto::grpc::GrpcNetwork;
use proto::v1::kv_client::KvClient;
use proto::v1::{BatchRequest, Get, Header, Operation, operation};
use proto::{Network as _, NodeService};
use tonic::transport::{Channel, Endpoint};

use super::process::{Node, Used, own};
use crate::failure::{Failure, Result};

/// How calls go to the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Each as a call of its own.
    Alone,
    /// All on one stream.
    Together,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Together => "together",
        }
    }
}

/// What callers have done in a while.
pub(crate) struct Measured {
    pub(crate) calls: f64,
    pub(crate) seconds: f64,
    pub(crate) client: Used,
    pub(crate) node: Used,
}

/// How calls get to the node.
#[derive(Clone)]
enum Handle {
    Alone(KvClient<Channel>),
    Together(Arc<dyn NodeService>),
}

impl Handle {
    fn new(way: Way, address: &str) -> Result<Self> {
        Ok(match way {
            Way::Alone => {
                let endpoint = Endpoint::from_shared(format!("http://{address}"));
                let endpoint = endpoint.map_err(|error| Failure::Rpc(error.to_string()))?;
                Self::Alone(KvClient::new(endpoint.tcp_nodelay(true).connect_lazy()))
            }
            Way::Together => Self::Together(GrpcNetwork::new(None).connect(address)),
        })
    }

    async fn ask(&mut self, request: BatchRequest) -> Result<()> {
        let answer = match self {
            Self::Alone(client) => client.batch(request).await.map(tonic::Response::into_inner),
            Self::Together(node) => node.batch(request).await,
        };
        match answer {
            Ok(answer) if answer.results.len() == 1 => Ok(()),
            Ok(_) => Err(Failure::Rpc("the answer is empty".to_owned())),
            Err(status) => Err(Failure::Rpc(status.to_string())),
        }
    }
}

/// As a gateway reads a row.
fn request(bytes: usize) -> BatchRequest {
    let header = Header {
        cluster_id: Bytes::from_static(&[1; 16]),
        range_id: 2,
        span_epoch: 1,
        txn_id: Bytes::from_static(&[2; 16]),
        start_timestamp: 1 << 60,
        timeout_ms: 30_000,
        ..Header::default()
    };
    let get = Get { keys: vec![Bytes::from(vec![b'k'; bytes])], ..Get::default() };
    BatchRequest {
        header: Some(header),
        operations: vec![Operation { operation: Some(operation::Operation::Get(get)) }],
    }
}

/// So many callers, for so long.
pub(crate) fn measure(
    node: &Node,
    way: Way,
    callers: usize,
    bytes: usize,
    duration: Duration,
) -> Result<Measured> {
    let start = |source| Failure::Start { program: "the callers".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(start)?;
    runtime.block_on(async {
        let mut handle = Handle::new(way, &node.address)?;
        for _ in 0..1000 {
            handle.ask(request(bytes)).await?;
        }
        let (calls, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (began, client, served) = (clock::now(), own(), node.used());
        let tasks = (0..callers).map(|_| {
            let (mut handle, calls, stop) = (handle.clone(), calls.clone(), stop.clone());
            task::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    handle.ask(request(bytes)).await?;
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Failure>(())
            })
        });
        let tasks: Vec<_> = tasks.collect();
        clock::sleep(duration).await;
        let measured = Measured {
            calls: calls.load(Ordering::Relaxed) as f64,
            seconds: began.elapsed().as_secs_f64(),
            client: own().since(client),
            node: node.used().since(served),
        };
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.map_err(|error| Failure::Rpc(error.to_string()))??;
        }
        Ok(measured)
    })
}

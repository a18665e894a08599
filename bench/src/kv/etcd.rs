//! Three members of etcd, asked in its own protocol: the few messages of it that single keys need, with the fields that
//! are read here.
//!
//! ```text
//! /etcdserverpb.KV/Range           key 1 → kvs 2 { key 1, value 5 }       linearizable unless told otherwise
//! /etcdserverpb.KV/Put             key 1, value 2 → (header)
//! /etcdserverpb.Maintenance/Status → header 1 { member_id 2 }, leader 4
//! ```

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::{Server, Store};
use crate::cluster::{DiskWork, address, counter};
use crate::failure::{Failure, Result};
use crate::process::{Process, free_port, pause};

/// Connections to the leader that clients share: with one alone it is slower.
const CONNECTIONS: usize = 8;

/// How long it may take until it has a leader.
const SECONDS: u64 = 30;

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// One call.
async fn call<Q, A>(channel: Channel, path: &'static str, request: Q) -> Result<A, Status>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec: ProstCodec<Q, A> = ProstCodec::default();
    let path = PathAndQuery::from_static(path);
    grpc.unary(Request::new(request), path, codec).await.map(tonic::Response::into_inner)
}

fn connect(port: u16) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", address(port)));
    let endpoint = endpoint.map_err(|error| Failure::Engine { engine: "etcd", source: Box::new(error) })?;
    Ok(endpoint.tcp_nodelay(true).connect_lazy())
}

/// What is installed, if it is.
pub(super) fn version() -> Option<String> {
    let output = Command::new("etcd").arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// Three `etcd` processes.
pub(super) struct Members {
    ports: Vec<u16>,
    processes: Vec<Process>,
    store: Arc<Connections>,
}

impl Members {
    pub(super) fn start(folder: &Path, runtime: &Runtime) -> Result<Self> {
        let ports = vec![free_port()?, free_port()?, free_port()?];
        let peers = [free_port()?, free_port()?, free_port()?];
        let url = |port: u16| format!("http://{}", address(port));
        let members: Vec<String> =
            peers.iter().enumerate().map(|(number, port)| format!("m{number}={}", url(*port))).collect();
        let mut processes = Vec::new();
        for (number, (port, peer)) in ports.iter().zip(peers).enumerate() {
            let name = format!("m{number}");
            let mut command = Command::new("etcd");
            command.args(["--name", &name, "--data-dir"]).arg(folder.join(format!("etcd-{name}")));
            for (flag, value) in [
                ("--listen-client-urls", url(*port)),
                ("--advertise-client-urls", url(*port)),
                ("--listen-peer-urls", url(peer)),
                ("--initial-advertise-peer-urls", url(peer)),
                ("--initial-cluster", members.join(",")),
                ("--initial-cluster-state", "new".to_owned()),
                // Its data is bounded otherwise, and a long run fills it.
                ("--quota-backend-bytes", (8u64 << 30).to_string()),
                ("--logger", "zap".to_owned()),
                ("--log-level", "error".to_owned()),
            ] {
                command.args([flag, &value]);
            }
            processes.push(Process::start(&mut command, &folder.join(format!("etcd-{name}.log")))?);
        }
        let leader = runtime.block_on(leader(&ports))?;
        let _entered = runtime.enter();
        let channels = (0..CONNECTIONS).map(|_| connect(leader)).collect::<Result<_>>()?;
        let store = Arc::new(Connections { channels, next: AtomicUsize::new(0) });
        Ok(Self { ports, processes, store })
    }

    fn counter(&self, name: &str) -> Result<f64> {
        self.ports.iter().map(|port| counter(*port, name)).sum()
    }
}

/// The port of the member that leads.
async fn leader(ports: &[u16]) -> Result<u16> {
    for _ in 0..SECONDS * 5 {
        for port in ports {
            let status = StatusRequest {};
            let answer = call(connect(*port)?, "/etcdserverpb.Maintenance/Status", status).await;
            let answer: StatusResponse = answer.unwrap_or_default();
            let own = answer.header.unwrap_or_default().member_id;
            if own != 0 && own == answer.leader {
                return Ok(*port);
            }
        }
        pause(Duration::from_millis(200));
    }
    Err(Failure::NotReady { what: "etcd".to_owned(), seconds: SECONDS })
}

impl Server for Members {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn processes(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    /// Of its log and of its backend's commits, each of which syncs.
    fn disk_work(&self) -> Result<DiskWork> {
        let fsyncs = self.counter("etcd_disk_wal_fsync_duration_seconds_count")?
            + self.counter("etcd_disk_backend_commit_duration_seconds_count")?;
        Ok(DiskWork { fsyncs, bytes_written: f64::NAN })
    }

    fn raft_messages(&self) -> Result<Option<f64>> {
        Ok(None)
    }
}

/// Connections to the leader, used in turn.
struct Connections {
    channels: Vec<Channel>,
    next: AtomicUsize,
}

impl Connections {
    fn channel(&self) -> Result<Channel, String> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len().max(1);
        self.channels.get(next).cloned().ok_or_else(|| "no connection".to_owned())
    }
}

#[async_trait]
impl Store for Connections {
    async fn put(&self, key: Bytes, value: Bytes) -> Result<(), String> {
        let put = PutRequest { key, value };
        let answer: Result<PutResponse, Status> = call(self.channel()?, "/etcdserverpb.KV/Put", put).await;
        answer.map(drop).map_err(|status| status.to_string())
    }

    async fn get(&self, key: Bytes) -> Result<Option<Bytes>, String> {
        let range = RangeRequest { key };
        let answer: Result<RangeResponse, Status> =
            call(self.channel()?, "/etcdserverpb.KV/Range", range).await;
        let found = answer.map_err(|status| status.to_string())?.kvs;
        Ok(found.into_iter().next().map(|found| found.value))
    }
}

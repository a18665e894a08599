//! Three nodes of ours, used as a gateway uses them.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use client::{Client, ClientOptions, TransactionOptions};
use proto::grpc::GrpcNetwork;
use tokio::runtime::Runtime;

use super::{Server, Store};
use crate::cluster::{self, DiskWork};
use crate::failure::{Failure, Result};

/// Below this nothing of SQL lies: `/kv`, in the keyspace of data.
const PREFIX: &[u8] = &[keys::keyspace::DATA, 0xfe];

/// Three `nunatak node` processes.
pub(super) struct Nodes {
    nodes: cluster::Nodes,
    client: Client,
}

impl Nodes {
    pub(super) fn start(binary: &Path, folder: &Path, runtime: &Runtime) -> Result<Self> {
        let nodes = cluster::Nodes::start(binary, &folder.join("nodes"), &[])?;
        nodes.await_replicas()?;
        let network = Arc::new(GrpcNetwork::new(None));
        let client = Client::new(network, nodes.addresses().to_vec(), ClientOptions::default());
        let ready = runtime.block_on(client.ready());
        ready.map_err(|error| Failure::Engine { engine: "nunatak", source: Box::new(error) })?;
        Ok(Self { nodes, client })
    }
}

impl Server for Nodes {
    fn name(&self) -> &'static str {
        "nunatak"
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.client.clone())
    }

    fn processes(&self) -> Vec<u32> {
        self.nodes.ids()
    }

    fn disk_work(&self) -> Result<DiskWork> {
        self.nodes.disk_work()
    }

    fn raft_messages(&self) -> Result<Option<f64>> {
        self.nodes
            .counter("nunatak_raft_messages_total")
            .map(|count| Some(count).filter(|count| *count > 0.0))
    }
}

fn key(key: &[u8]) -> Bytes {
    Bytes::from([PREFIX, key].concat())
}

#[async_trait]
impl Store for Client {
    async fn put(&self, name: Bytes, value: Bytes) -> Result<(), String> {
        let mut transaction = self.begin(TransactionOptions::default());
        transaction.put(key(&name), value);
        transaction.commit().await.map(drop).map_err(|error| error.to_string())
    }

    async fn get(&self, name: Bytes) -> Result<Option<Bytes>, String> {
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = self.begin(options);
        let value = transaction.get(key(&name)).await.map_err(|error| error.to_string())?;
        transaction.commit().await.map_err(|error| error.to_string())?;
        Ok(value)
    }
}

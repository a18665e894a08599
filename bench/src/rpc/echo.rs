//! The node that answers with what it was asked, in a process of its own.

use std::sync::Arc;

use async_trait::async_trait;
use proto::grpc::{ServeOptions, serve_apart};
use proto::v1::*;
use proto::{NodeService, Status};
use tokio::net::TcpListener;

use crate::failure::{Failure, Result};

/// The node; it prints its address and serves until it is killed.
#[derive(clap::Args)]
pub(crate) struct Task {}

struct Echo;

#[async_trait]
impl NodeService for Echo {
    async fn batch(&self, request: BatchRequest) -> std::result::Result<BatchResponse, Status> {
        let keys = request.operations.into_iter().flat_map(|operation| match operation.operation {
            Some(operation::Operation::Get(get)) => get.keys,
            _ => Vec::new(),
        });
        let versions = keys.map(|key| Version { value: Some(key), timestamp: 1 }).collect();
        let result = OperationResult {
            result: Some(operation_result::Result::Get(GetResult { versions, read_at: 0 })),
        };
        Ok(BatchResponse { results: vec![result], error: None })
    }
}

/// Serves.
pub(crate) fn run(_task: &Task) -> Result<()> {
    let port = |source| Failure::File { path: "127.0.0.1:0".into(), source };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(port)?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(port)?;
        println!("{}", listener.local_addr().map_err(port)?);
        serve_apart(Arc::new(Echo), listener, ServeOptions::default(), std::future::pending())
            .await
            .map_err(|error| Failure::Rpc(error.to_string()))
    })
}

//! A node that answers with what it was asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use tonic::Status;

use crate::service::{NodeService, RequestStream, ResponseStream};
use crate::v1::*;

/// Counts its batches; answers a Get with its keys as values, and an append stream with one answer each.
#[derive(Default)]
pub(super) struct Echo {
    pub(super) batches: AtomicU64,
    /// A batch keeps its thread busy for so long.
    pub(super) spins: Duration,
}

#[async_trait]
impl NodeService for Echo {
    async fn batch(&self, request: BatchRequest) -> Result<BatchResponse, Status> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let begun = env::clock::now();
        while begun.elapsed() < self.spins {
            std::hint::spin_loop();
        }
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

    async fn raft_append(
        &self,
        requests: RequestStream<RaftAppendRequest>,
    ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
        let answers = requests.map(|request| {
            let matched = request.prev_log_id.unwrap_or_default();
            Ok(RaftAppendResponse {
                result: Some(raft_append_response::Result::Matched(matched)),
                conflict_at: None,
            })
        });
        Ok(answers.boxed())
    }

    async fn raft_snapshot(
        &self,
        mut chunks: RequestStream<RaftSnapshotChunk>,
    ) -> Result<RaftSnapshotResponse, Status> {
        while let Some(chunk) = chunks.next().await {
            if chunk.end.is_some() {
                return Ok(RaftSnapshotResponse { vote: chunk.vote });
            }
        }
        Err(Status::aborted("the snapshot broke off"))
    }
}

/// A request for one key.
pub(super) fn get(key: impl Into<bytes::Bytes>) -> BatchRequest {
    let get = Get { keys: vec![key.into()], at: 1 };
    BatchRequest {
        header: None,
        operations: vec![Operation { operation: Some(operation::Operation::Get(get)) }],
    }
}

/// The first value of an answer.
pub(super) fn value(response: &BatchResponse) -> Option<bytes::Bytes> {
    match response.results.first()?.result.as_ref()? {
        operation_result::Result::Get(got) => got.versions.first()?.value.clone(),
        _ => None,
    }
}

/// An append request that carries nothing but a number.
pub(super) fn append(index: u64) -> RaftAppendRequest {
    RaftAppendRequest { prev_log_id: Some(RaftLogId { term: 1, index }), ..RaftAppendRequest::default() }
}

/// That number, from the answer.
pub(super) fn appended(response: &RaftAppendResponse) -> u64 {
    match &response.result {
        Some(raft_append_response::Result::Matched(id)) => id.index,
        _ => u64::MAX,
    }
}

//! One endpoint's handle on another: all its methods.

use std::sync::Arc;

use async_trait::async_trait;
use tonic::Status;

use super::remote::Remote;
use super::stream;
use crate::calls::calls;
use crate::lane::Lane;
use crate::service::{NodeService, RequestStream, ResponseStream};
use crate::v1::{self, RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk, RaftSnapshotResponse};

/// Every call is a message on its lane, and another one back.
macro_rules! remote {
    ($($service:ident of $client:ident { $(
        $(#[$doc:meta])*
        $call:ident as $name:ident($request:ident) -> $response:ident, $lane:ident, $way:ident;
    )* })*) => {
        #[async_trait]
        impl NodeService for Remote {
            $($(async fn $name(&self, request: v1::$request) -> Result<v1::$response, Status> {
                let handler = |node: Arc<dyn NodeService>, request| async move { node.$name(request).await };
                let lane = Lane::$lane.beside(self.appends);
                self.unary(stringify!($name), lane, request, handler).await
            })*)*

            async fn raft_append(
                &self,
                requests: RequestStream<RaftAppendRequest>,
            ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
                stream::append(self, requests).await
            }

            async fn raft_snapshot(
                &self,
                chunks: RequestStream<RaftSnapshotChunk>,
            ) -> Result<RaftSnapshotResponse, Status> {
                stream::snapshot(self, chunks).await
            }
        }
    };
}

calls!(remote);

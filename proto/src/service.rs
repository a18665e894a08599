//! The one interface between processes: what a node answers, and how it is reached.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::Stream;
use tonic::Status;

use crate::calls::calls;
use crate::v1::{self, RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk, RaftSnapshotResponse};

/// A stream of requests, ended by the sender.
pub type RequestStream<T> = Pin<Box<dyn Stream<Item = T> + Send + 'static>>;

/// A stream of answers, ended by the receiver or by a [`Status`].
pub type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// The interface, from the table of calls and the streams.
macro_rules! node_service {
    ($($service:ident of $client:ident { $(
        $(#[$doc:meta])*
        $call:ident as $name:ident($request:ident) -> $response:ident, $lane:ident, $way:ident;
    )* })*) => {
        /// What a node answers: key-value requests, the cluster's services, the operator's calls, replication. A call that
        /// an implementation leaves out is answered with `Unimplemented`, as by a node of an older version.
        ///
        /// A [`Status`] speaks of the transport or of the node as a whole (unavailable, deadline exceeded, wrong cluster,
        /// not the root leader: `FailedPrecondition`, with the leader's address as its message); what a range has to say
        /// about a key-value request stands in the [`BatchResponse`](v1::BatchResponse).
        #[async_trait]
        pub trait NodeService: Send + Sync + 'static {
            $($(
                $(#[$doc])*
                async fn $name(&self, request: v1::$request) -> Result<v1::$response, Status> {
                    let _ = request;
                    Err(Status::unimplemented(stringify!($name)))
                }
            )*)*

            /// The long-lived append stream of one (range, follower); answers come in the order of the requests.
            async fn raft_append(
                &self,
                requests: RequestStream<RaftAppendRequest>,
            ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
                let _ = requests;
                Err(Status::unimplemented("raft_append"))
            }

            /// Streams a snapshot to a follower that fell behind.
            async fn raft_snapshot(
                &self,
                chunks: RequestStream<RaftSnapshotChunk>,
            ) -> Result<RaftSnapshotResponse, Status> {
                let _ = chunks;
                Err(Status::unimplemented("raft_snapshot"))
            }
        }
    };
}

calls!(node_service);

/// Reaches nodes by address.
pub trait Network: Send + Sync + 'static {
    /// A handle on the node at `address` (host:port). Connects lazily and reconnects by itself; a node that cannot
    /// be reached shows in the calls' [`Status`].
    fn connect(&self, address: &str) -> Arc<dyn NodeService>;

    /// As [`Network::connect`], for what must not wait behind others' bytes: appended entries that are heartbeats, which
    /// are empty, and what replication asks a store. They take the connection that votes take.
    fn connect_urgent(&self, address: &str) -> Arc<dyn NodeService> {
        self.connect(address)
    }

    /// Whether a call to `address` is a function call, so that gathering several into one gains nothing, and whoever is
    /// slow to answer is busy, not out of reach.
    fn is_in_process(&self, address: &str) -> bool {
        let _ = address;
        false
    }
}

//! The service as a client in this process calls it: with all that a call goes through but a connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service as Serve};

use super::entrance::Entrance;
use super::holdings::Kv;
use crate::door::Caller;

/// What a generated client can be made of, in place of a channel. Its clones are one connection.
#[derive(Clone)]
pub struct KvService {
    entrance: Entrance,
    caller: Caller,
}

impl KvService {
    /// The service as it is called from there.
    pub(crate) fn new(kv: &Arc<Kv>, peer: SocketAddr) -> Self {
        Self { entrance: Entrance::new(kv.clone()), caller: Caller::new(peer, None) }
    }
}

impl Serve<Request<Body>> for KvService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.entrance.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.extensions_mut().insert(self.caller.clone());
        self.entrance.call(request)
    }
}

//! Who calls is settled by a call's metadata, before anything of its message is read: who is not let in takes no room with
//! messages that are large. Who is let in takes of the room that all share.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::kv::kv_server::KvServer;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service as Serve};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::holdings::Kv;
use super::service::Service;
use super::{message, status};
use crate::door::Caller;

/// What stands before the service.
#[derive(Clone)]
pub(super) struct Entrance {
    kv: Arc<Kv>,
    service: KvServer<Service>,
}

impl Entrance {
    pub(super) fn new(kv: Arc<Kv>) -> Self {
        let service = KvServer::new(Service(kv.clone()))
            .max_decoding_message_size(api::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(api::MESSAGE_BYTES_MAX);
        Self { kv, service }
    }
}

impl NamedService for Entrance {
    const NAME: &'static str = <KvServer<Service> as NamedService>::NAME;
}

impl Serve<Request<Body>> for Entrance {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (kv, mut service) = (self.kv.clone(), self.service.clone());
        let caller = request.extensions().get::<Caller>().cloned();
        let metadata = MetadataMap::from_headers(request.headers().clone());
        Box::pin(async move {
            let admitted = match caller {
                Some(caller) => {
                    let admitted = caller.guest(&kv.door, &kv.scope, &metadata).await;
                    admitted.map_err(|error| status::of(&error))
                }
                None => Err(Status::new(Code::Internal, "the connection is not known")),
            };
            match admitted {
                Ok(guest) => {
                    request.extensions_mut().insert(guest);
                    let (parts, body) = request.into_parts();
                    match message::receive(&kv.room, body).await {
                        Ok((body, share)) => {
                            let answer = service.call(Request::from_parts(parts, body)).await;
                            drop(share);
                            answer
                        }
                        Err(status) => Ok(refused(&kv, status)),
                    }
                }
                Err(status) => Ok(refused(&kv, status)),
            }
        })
    }
}

fn refused(kv: &Kv, status: Status) -> Response<Body> {
    kv.door.metrics.requests.increment(1);
    kv.door.metrics.errors.increment(1);
    tracing::debug!(code = ?status.code(), message = status.message(), "a call is not let in");
    status.into_http()
}

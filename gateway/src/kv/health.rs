//! gRPC's health checks: whether the gateway serves, and reaches its cluster.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use api::health::health_check_response::ServingStatus;
use api::health::{HealthCheckRequest, HealthCheckResponse, health_server};
use async_trait::async_trait;
use futures::Stream;
use tonic::{Request, Response, Status};

use super::holdings::Kv;
use crate::registry::Phase;

/// The services that are here.
const SERVICES: [&str; 3] = ["", "nunatak.kv.v1.Kv", "grpc.health.v1.Health"];

/// How often a watcher's answer is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// What tonic calls.
#[derive(Clone)]
pub(super) struct Health(pub(super) Arc<Kv>);

async fn status(kv: &Kv) -> ServingStatus {
    if *kv.door.registry.phase().borrow() != Phase::Running {
        return ServingStatus::NotServing;
    }
    if kv.reaches_cluster().await { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status as i32 }
}

#[async_trait]
impl health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("there is no such service here"));
        }
        Ok(Response::new(answer(status(&self.0).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let is_known = SERVICES.contains(&request.get_ref().service.as_str());
        let begun = (self.0.clone(), None::<ServingStatus>);
        let changes = futures::stream::unfold(begun, move |(kv, told)| async move {
            loop {
                let now = match is_known {
                    true => status(&kv).await,
                    false => ServingStatus::ServiceUnknown,
                };
                if told != Some(now) {
                    return Some((Ok(answer(now)), (kv, Some(now))));
                }
                // Nothing changes any more.
                if *kv.door.registry.phase().borrow() != Phase::Running {
                    return None;
                }
                env::clock::sleep(LOOK).await;
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

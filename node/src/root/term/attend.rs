//! What gateways ask each other: held requests around the [relay](super::super::relay), and who waits for whom.

use std::time::Duration;

use bytes::Bytes;
use env::clock;
use proto::Status;
use proto::v1::{AskGatewaysRequest, AskGatewaysResponse, AttendRequest, AttendResponse, LockWait};
use tokio::sync::Notify;

use super::RootTerm;
use crate::root::relay::{Full, GatewayId};

/// No request is held for longer.
const HELD_MAX: Duration = Duration::from_secs(2);

impl RootTerm {
    /// A gateway attends: it is answered once it is asked something, or its time is up.
    pub(crate) async fn attend(&self, request: AttendRequest) -> Result<AttendResponse, Status> {
        self.prove_leadership().await?;
        let gateway = gateway_id(&request.gateway_id)?;
        let attend = |answers| self.relay.lock().attend(clock::now(), gateway, answers).map_err(full);
        let (questions, wake) = attend(request.answers)?;
        if !questions.is_empty() {
            return Ok(AttendResponse { questions });
        }
        let held = Duration::from_millis(request.hold_ms.into()).min(HELD_MAX);
        self.hold(held, &wake).await?;
        Ok(AttendResponse { questions: attend(Vec::new())?.0 })
    }

    /// A gateway asks all others that attend.
    pub(crate) async fn ask_gateways(
        &self,
        request: AskGatewaysRequest,
    ) -> Result<AskGatewaysResponse, Status> {
        self.prove_leadership().await?;
        let asker = gateway_id(&request.gateway_id)?;
        let question = request.question.ok_or_else(|| Status::invalid_argument("nothing is asked"))?;
        let patience = Duration::from_millis(request.patience_ms.into()).min(HELD_MAX);
        let asked = self.relay.lock().ask(clock::now(), asker, &question, patience).map_err(full)?;
        if !asked.is_answered {
            // Who is silent is left out.
            self.hold(patience, &asked.done).await?;
        }
        let answers = self.relay.lock().take(asked.number);
        let waits = self.detector.lock().waits(clock::now());
        let waits = waits.into_iter().map(|(waiter, holders)| LockWait {
            waiter: Bytes::copy_from_slice(&waiter),
            holders: holders.iter().map(|holder| Bytes::copy_from_slice(holder)).collect(),
        });
        Ok(AskGatewaysResponse { answers, waits: waits.collect() })
    }

    /// Waits so long, or until it is woken; not beyond the term.
    async fn hold(&self, time: Duration, wake: &Notify) -> Result<(), Status> {
        let mut over = self.over.subscribe();
        tokio::select! {
            biased;
            _ = async { over.wait_for(|over| *over).await.is_ok() } => Err(Status::unavailable("another leads the root range by now")),
            _ = clock::timeout(time, wake.notified()) => Ok(()),
        }
    }
}

fn gateway_id(id: &Bytes) -> Result<GatewayId, Status> {
    id.as_ref().try_into().map_err(|_| Status::invalid_argument("a gateway's id has 16 bytes"))
}

fn full(full: Full) -> Status {
    Status::resource_exhausted(format!("there are too many {}", full.0))
}

//! What the root range's leader says about history: how long it is kept, and how far ranges may go.

use proto::Status;
use proto::v1::root_command::Kind;
use proto::v1::{
    GatewayHeartbeatRequest, GatewayHeartbeatResponse, HistoryRequest, HistoryResponse, Horizon,
    SetHistoryCommand,
};

use super::RootTerm;
use crate::root::history::HISTORY_MS_MIN;

/// Refuses a history that is too short to be meant, unless the caller insists; 0 is for ever.
pub(crate) fn check_history(history_ms: u64, short: bool) -> Result<(), Status> {
    if history_ms == 0 || history_ms >= HISTORY_MS_MIN || short {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "history is kept for at least {} seconds, or for ever",
        HISTORY_MS_MIN / 1000
    )))
}

impl RootTerm {
    /// A gateway says what its open transactions need.
    pub(crate) async fn gateway_heartbeat(
        &self,
        request: GatewayHeartbeatRequest,
    ) -> Result<GatewayHeartbeatResponse, Status> {
        self.prove_leadership().await?;
        let gateway = request.gateway_id.as_ref().try_into();
        let gateway = gateway.map_err(|_| Status::invalid_argument("a gateway's id has 16 bytes"))?;
        let reported = self.holds.lock().report(env::clock::now(), gateway, request.oldest);
        reported.map_err(|full| Status::resource_exhausted(full.to_string()))?;
        let Horizon { safe_point, step_ms, .. } = self.horizon().unwrap_or_default();
        Ok(GatewayHeartbeatResponse { safe_point, newest: self.oracle.last(), step_ms })
    }

    /// What ranges may keep no more; None if nothing may move, or if this may not be the leader any more.
    pub(crate) fn horizon(&self) -> Option<Horizon> {
        // A timestamp of its own: what is handed out later is above it, whatever the clock does.
        let newest = self.oracle.next(self.now_ms(), 1).ok()?;
        let history_ms = self.state.lock().history_ms();
        let horizon = self.holds.lock().horizon(env::clock::now(), newest, history_ms)?;
        // Gateways may have reported to another leader by now.
        self.group.lease_valid(self.term).then_some(horizon)
    }

    /// How long history is kept, and for how long from now on.
    pub(crate) async fn history(&self, request: HistoryRequest) -> Result<HistoryResponse, Status> {
        if let Some(history_ms) = request.set_ms {
            check_history(history_ms, request.short_history)?;
            self.run(Kind::SetHistory(SetHistoryCommand { history_ms })).await?;
        } else {
            self.prove_leadership().await?;
        }
        let history_ms = self.state.lock().history_ms();
        let held = match history_ms {
            0 => 0,
            history_ms => self.holds.lock().held_ms(self.oracle.last(), history_ms),
        };
        Ok(HistoryResponse {
            history_ms,
            safe_point: self.horizon().map_or(0, |horizon| horizon.safe_point),
            held_by_gateways_ms: held,
        })
    }
}

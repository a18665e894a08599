//! What the root range's leader says about history: how long it is kept, and how far ranges may go.

use proto::Status;
use proto::v1::root_command::Kind;
use proto::v1::{
    GatewayHeartbeatRequest, GatewayHeartbeatResponse, HistoryRequest, HistoryResponse, Horizon,
    KeepHistoryCommand, KeepHistoryRequest, KeepHistoryResponse, KeptHistory, SetHistoryCommand,
};

use super::RootTerm;
use crate::range::state::{FORMAT_BRANCHES, FORMAT_ERASED, FORMAT_KEPT};
use crate::root::history::{self, HISTORY_MS_MIN};

/// So many spans may be kept for longer: all nodes are told of them once a second.
const KEPT_MAX: usize = 1000;

/// What a program does that knows of no branches.
const KNOWS_NO_BRANCHES: &str = "knows of no clones";

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

/// Refuses spans that are none, or too many.
fn check_kept(kept: &[KeptHistory]) -> Result<(), Status> {
    if kept.len() > KEPT_MAX {
        return Err(Status::invalid_argument(format!(
            "history of {} spans is to be kept for longer, at most {KEPT_MAX} may be",
            kept.len()
        )));
    }
    let data = keys::sql::data_span();
    let mut reached = data.start;
    for one in kept {
        let span = one.span.clone().unwrap_or_default();
        if span.start < reached || span.end <= span.start || span.end > data.end {
            return Err(Status::invalid_argument("spans that are kept for longer ascend, each by itself"));
        }
        reached = span.end;
    }
    Ok(())
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
        let (history_ms, kept) = {
            let state = self.state.lock();
            (state.history_ms(), state.kept().to_vec())
        };
        let mut holds = self.holds.lock();
        let horizon = holds.horizon(env::clock::now(), newest, history_ms)?;
        let horizon = Horizon { kept: holds.kept(&kept), ..horizon };
        drop(holds);
        // Gateways may have reported to another leader by now.
        self.group.lease_valid(self.term).then_some(horizon)
    }

    /// What nodes are told: how far ranges may go. As long as that is nowhere, they are told all the same what is kept for longer.
    pub(crate) fn told_horizon(&self) -> Option<Horizon> {
        self.horizon().or_else(|| {
            let unmoved = {
                let state = self.state.lock();
                history::unmoved(state.history_ms(), state.kept())
            };
            self.group.lease_valid(self.term).then_some(unmoved)
        })
    }

    /// A gateway says which spans' history is kept for longer, or asks how long all other is.
    pub(crate) async fn keep_history(
        &self,
        request: KeepHistoryRequest,
    ) -> Result<KeepHistoryResponse, Status> {
        let KeepHistoryRequest { version, kept, set_ms, erases, branches, heeds_branches, .. } = request;
        if erases {
            self.check_programs(FORMAT_ERASED, "shows history that was erased")?;
        }
        if branches && !self.state.lock().keeps_branches() {
            self.check_programs(FORMAT_BRANCHES, KNOWS_NO_BRANCHES)?;
        }
        if let Some(history_ms) = set_ms {
            check_history(history_ms, false)?;
            self.run(Kind::SetHistory(SetHistoryCommand { history_ms })).await?;
        }
        if version == 0 {
            self.prove_leadership().await?;
        } else {
            check_kept(&kept)?;
            let (known, is_same, keeps_branches) = {
                let state = self.state.lock();
                let is_same = state.kept() == kept && state.keeps_branches() == branches;
                (state.kept_version(), is_same, state.keeps_branches())
            };
            if keeps_branches && !heeds_branches {
                let message =
                    format!("who runs a program that {KNOWS_NO_BRANCHES} would have theirs forgotten");
                return Err(Status::invalid_argument(message));
            }
            if version <= known || (is_same && kept.is_empty()) {
                self.prove_leadership().await?;
                if branches && !keeps_branches {
                    // What is in force was read later, perhaps by such a program.
                    let message = "something else was said lately of what is to be kept for longer";
                    return Err(Status::unavailable(message));
                }
            } else {
                match branches {
                    _ if is_same => {}
                    true => self.check_programs(FORMAT_BRANCHES, KNOWS_NO_BRANCHES)?,
                    false => self.check_programs(FORMAT_KEPT, "keeps all history equally long")?,
                }
                // Also where it is in force already: else an earlier version that comes later, to another leader perhaps, would have
                // forgotten what somebody has just been told is kept. One that comes after it was said that nothing is does no harm.
                let command = KeepHistoryCommand { version, kept, branches, heeds_branches };
                self.run(Kind::KeepHistory(command)).await?;
            }
        }
        let history_ms = self.state.lock().history_ms();
        let safe_point = self.horizon().map_or(0, |horizon| horizon.safe_point);
        let newest = self.oracle.last();
        let heeds_branches = true;
        Ok(KeepHistoryResponse { history_ms, safe_point, newest, may_erase: erases, heeds_branches })
    }

    /// That every node that lives reads a format, as far as it has said so; `what` does one that does not.
    fn check_programs(&self, format: u32, what: &str) -> Result<(), Status> {
        let view = self.view.lock();
        let state = self.state.lock();
        let heeds = |node_id: u64| {
            let seen = view.seen.get(&node_id);
            seen.is_some_and(|seen| seen.newest_format >= format) || self.is_dead(&view, node_id)
        };
        match state.nodes().find(|node| !heeds(node.node_id)) {
            None => Ok(()),
            Some(node) => Err(Status::unavailable(format!(
                "node {} runs a program that {what}, or has not said which it runs yet",
                node.node_id
            ))),
        }
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

//! What gateways ask each other, by way of the root range's leader: which sessions there are, to end one, to look for
//! notifications.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use env::task::boxed;
pub use proto::v1::gateway_question::Kind;
use proto::v1::{AskGatewaysRequest, AttendRequest};
pub use proto::v1::{
    GatewayAnswer, GatewayQuestion, JobInfo, NotifiedQuestion, SessionInfo, SessionState, SessionsQuestion,
    SignalQuestion, StatementCounts, StatementsQuestion, UsageCounts, UsageQuestion,
};

use crate::{Client, Result};

/// How long an attendance is held. With the way there and back it is less than what any node is waited for that is asked something of
/// the root range: else the leader itself would be taken for silent.
const HELD_MS: u32 = 250;

/// How long those are waited for that are asked. The same holds.
const PATIENCE_MS: u32 = 300;

/// How long a call may take in all.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What all other gateways have answered.
#[derive(Debug, Default)]
pub struct Heard {
    /// The answers of those that were not silent.
    pub answers: Vec<GatewayAnswer>,
    /// The transactions that wait for locks, each with those that it waits for.
    pub waits: BTreeMap<Bytes, Vec<Bytes>>,
}

impl Client {
    /// What the cluster knows this client by.
    pub fn gateway_id(&self) -> &Bytes {
        self.horizon.gateway_id()
    }

    /// Answers what others have asked, and hears what they ask now; empty if that is nothing for a while. To be called again
    /// and again: a client that does not is not asked.
    ///
    /// # Errors
    /// The root range's leader cannot be reached.
    #[boxed]
    pub async fn attend(&self, answers: &[GatewayAnswer]) -> Result<Vec<GatewayQuestion>> {
        let asked = self.sender.ask_root(TIMEOUT, |node, cluster_id, forward| {
            let gateway_id = self.gateway_id().clone();
            let answers = answers.to_vec();
            let request = AttendRequest { cluster_id, gateway_id, answers, hold_ms: HELD_MS, forward };
            async move { node.attend(request).await }
        });
        Ok(asked.await?.questions)
    }

    /// Asks all other clients that attend.
    ///
    /// # Errors
    /// The root range's leader cannot be reached.
    #[boxed]
    pub async fn ask_gateways(&self, kind: Kind) -> Result<Heard> {
        let asked = self.sender.ask_root(TIMEOUT, |node, cluster_id, forward| {
            let gateway_id = self.gateway_id().clone();
            let question = Some(GatewayQuestion { number: 0, kind: Some(kind) });
            let request =
                AskGatewaysRequest { cluster_id, gateway_id, question, patience_ms: PATIENCE_MS, forward };
            async move { node.ask_gateways(request).await }
        });
        let answer = asked.await?;
        let waits = answer.waits.into_iter().map(|wait| (wait.waiter, wait.holders));
        Ok(Heard { answers: answer.answers, waits: waits.collect() })
    }
}

//! `nunatak init`: makes a cluster of the nodes that wait for it.

use std::time::Duration;

use clap::Args;
use proto::v1::InitRequest;
use proto::{Code, Network, Status};

use super::NODE_ADDRESS;
use super::refusal::{nobody_is_behind, refused, wrong_port};
use crate::address::Address;
use crate::failure::Failure;
use crate::history::History;
use crate::output::outln;
use crate::security::PeerArguments;

/// Initialise a cluster, once.
///
/// Asks the node at --host to make the cluster; the other nodes then join it. Harmless if that was done before. A node
/// that is starting is waited for.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A node of the cluster
    #[arg(long, env = "NUNATAK_HOST", value_name = "ADDR", default_value = NODE_ADDRESS)]
    pub(crate) host: Address,

    #[command(flatten)]
    pub(crate) security: PeerArguments,

    /// Wait this long for the node to answer
    #[arg(long, env = "NUNATAK_WAIT", value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,

    /// How long what was overwritten or deleted can still be read: 90s, 10min, 1h, 7d, forever [default: 1h]
    #[arg(long, env = "NUNATAK_HISTORY", value_name = "TIME")]
    pub(crate) history: Option<History>,

    /// Take a history of less than a minute, too
    #[arg(long, env = "NUNATAK_SHORT_HISTORY", hide = true)]
    pub(crate) short_history: bool,
}

/// Pause between attempts to reach the node.
const RETRY: Duration = Duration::from_millis(200);

/// How long one attempt may take: making a cluster is a few writes.
const ATTEMPT: Duration = Duration::from_secs(30);

impl Init {
    /// Asks and says what came of it.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let node = proto::grpc::GrpcNetwork::new(self.security.for_nodes()?).connect(self.host.as_str());
        let request = InitRequest {
            history_ms: self.history.map(|history| history.0),
            short_history: self.short_history,
        };
        let deadline = env::clock::now() + Duration::from_secs(self.wait);
        let mut told = false;
        let answer = loop {
            let asked = env::clock::timeout(ATTEMPT, node.init(request)).await;
            let status = match asked.unwrap_or_else(|_| Err(Status::unavailable("no answer in time"))) {
                Ok(answer) => break answer,
                Err(status) => status,
            };
            let may_come = status.code() == Code::Unavailable || nobody_is_behind(&self.host, &status).await;
            if !may_come || env::clock::now() >= deadline {
                return Err(refused(node.as_ref(), &self.host, &status).await);
            }
            // That will not get better.
            if let Some(failure) = wrong_port(&self.host).await {
                return Err(failure);
            }
            if !std::mem::replace(&mut told, true) {
                let (host, wait, why) = (&self.host, self.wait, status.message());
                eprintln!("nunatak: waiting up to {wait} s for the node at {host}: {why}");
            }
            env::clock::sleep(RETRY).await;
        };
        let id: String = answer.cluster_id.iter().map(|byte| format!("{byte:02x}")).collect();
        if answer.already_initialised {
            outln!("Cluster {id} is already initialised.");
        } else {
            outln!("Cluster {id} is initialised.");
        }
        Ok(())
    }
}

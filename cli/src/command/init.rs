//! `nunatak init`: makes a cluster of the nodes that wait for it.

use clap::Args;
use proto::v1::InitRequest;
use proto::{Code, Network};

use super::NODE_ADDRESS;
use crate::address::Address;
use crate::failure::Failure;
use crate::output::outln;

/// Initialise a cluster, once.
///
/// Asks the node at --host to make the cluster; the other nodes then join it. Harmless if that was done before.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A node of the cluster
    #[arg(long, env = "NUNATAK_HOST", value_name = "ADDR", default_value = NODE_ADDRESS)]
    pub(crate) host: Address,
}

impl Init {
    /// Asks and says what came of it.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let node = proto::grpc::GrpcNetwork::new(None).connect(self.host.as_str());
        let answer = node.init(InitRequest {}).await.map_err(|status| refused(&self.host, &status))?;
        let id: String = answer.cluster_id.iter().map(|byte| format!("{byte:02x}")).collect();
        if answer.already_initialised {
            outln!("Cluster {id} is already initialised.");
        } else {
            outln!("Cluster {id} is initialised.");
        }
        Ok(())
    }
}

/// A node that cannot be reached is a wrong address; what a node answers is not.
pub(crate) fn refused(host: &Address, status: &proto::Status) -> Failure {
    match status.code() {
        Code::Unavailable => Failure::usage(format!("cannot reach a node at {host}: {}", status.message())),
        _ => Failure::failed(format!("the node at {host} answers: {}", status.message())),
    }
}

//! A gateway: an endpoint of the network with a client, and the scope of its workers.

use std::future::Future;

use client::{Client, ClientOptions};
use env::task::{JoinHandle, Scope};
use tokio::runtime::Handle;

use super::cluster::Cluster;

/// A gateway.
pub(super) struct Gateway {
    client: Client,
    scope: Scope,
}

impl Gateway {
    pub(super) fn new(number: u32, cluster: &Cluster) -> Self {
        let network = cluster.network().for_endpoint(&name(number));
        let client = Client::new(network, cluster.addresses(), ClientOptions::default());
        Self { client, scope: Scope::new() }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.scope.spawn_on(&Handle::current(), work)
    }
}

/// The name of a gateway's endpoint.
pub(super) fn name(number: u32) -> String {
    format!("gateway-{number}")
}

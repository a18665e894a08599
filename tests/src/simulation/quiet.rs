//! A cluster to which nothing happens, and a session on it: what do statements cost in requests?

use std::sync::Arc;
use std::time::Duration;

use env::{clock, simulation};
use proto::NodeService;
use proto::simulated::SimulatedNetwork;

use super::cluster::Cluster;
use super::gateway::{Gateway, name};
use super::scenario::Scenario;

/// The cluster, three nodes of it, and a driver's connection to a gateway's session.
pub struct Quiet {
    /// The connection.
    pub session: tokio_postgres::Client,
    /// The gateway's client.
    pub client: client::Client,
    network: SimulatedNetwork,
}

/// Requests of the gateway, each of them a round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// To ranges.
    pub ranges: u64,
    /// To the oracle.
    pub oracle: u64,
}

impl Quiet {
    /// What the gateway asks while `work` is done.
    pub async fn count<T>(&self, work: impl Future<Output = T>) -> (T, RoundTrips) {
        let before = self.asked();
        let done = work.await;
        let after = self.asked();
        let trips = RoundTrips { ranges: after.ranges - before.ranges, oracle: after.oracle - before.oracle };
        (done, trips)
    }

    /// A node as an operator reaches it.
    pub fn node(&self, number: u32) -> Arc<dyn NodeService> {
        self.network.for_endpoint("operator").connect(&format!("n{number}:1"))
    }

    /// How many messages go to and fro in so long a time.
    pub async fn messages_in(&self, time: Duration) -> u64 {
        let before = self.network.counts().messages;
        clock::sleep(time).await;
        self.network.counts().messages - before
    }

    fn asked(&self) -> RoundTrips {
        let asked = |what| self.network.requests(&name(1), what);
        RoundTrips { ranges: asked("batch"), oracle: asked("timestamp") }
    }
}

/// Runs `test` with such a cluster.
pub fn quiet(test: impl AsyncFnOnce(&Quiet)) {
    quiet_over("calm", test);
}

/// The same, its ranges cut as a scenario has them.
pub fn quiet_over(scenario: &str, test: impl AsyncFnOnce(&Quiet)) {
    quiet_with(scenario, |_| {}, test);
}

/// The same, with the scenario changed.
pub fn quiet_with(scenario: &str, change: impl FnOnce(&mut Scenario), test: impl AsyncFnOnce(&Quiet)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread").block_on(async {
        let _simulation = simulation::enter(1);
        let scenario = Scenario::all().into_iter().find(|known| known.name == scenario);
        let mut scenario = scenario.expect("the scenario");
        scenario.network.loss_per_10_000 = 0;
        scenario.network.slow_per_mille = 0;
        scenario.network.duplicates_per_mille = 0;
        change(&mut scenario);
        let mut cluster = Cluster::new(&scenario);
        cluster.form().await.expect("a cluster");
        let gateway = Gateway::new(1, &cluster);
        cluster.wait_serving(gateway.client()).await;
        clock::sleep(Duration::from_secs(3)).await;
        let (session, client) = (gateway.connect().await, gateway.client());
        let quiet = Quiet { session, client, network: cluster.network().clone() };
        test(&quiet).await;
        drop(quiet);
        cluster.end();
    });
}

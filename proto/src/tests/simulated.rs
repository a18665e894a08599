//! The simulated network.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use env::task::Scope;
use env::{clock, simulation};
use futures::StreamExt as _;
use tonic::Code;

use super::echo::{Echo, append, appended, get, value};
use crate::service::NodeService;
use crate::simulated::{Counts, Faults, SimulatedNetwork};

/// Runs `test` in a simulation of its own.
fn simulate<T>(seed: u64, test: impl AsyncFnOnce(SimulatedNetwork) -> T) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let _simulation = simulation::enter(seed);
        test(SimulatedNetwork::new(Faults::none())).await
    })
}

fn node(network: &SimulatedNetwork, address: &str) -> (Arc<Echo>, Scope) {
    let (echo, scope) = (Arc::new(Echo::default()), Scope::new());
    network.register(address, echo.clone(), scope.clone());
    (echo, scope)
}

async fn code<T>(call: impl Future<Output = Result<T, tonic::Status>>) -> Code {
    call.await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[test]
fn a_cut_direction_carries_nothing_and_the_other_one_does() {
    simulate(1, async |network| {
        let (echo, _) = node(&network, "n1");
        let client = network.for_endpoint("g1").connect("n1");
        assert_eq!(value(&client.batch(get("a")).await.unwrap()).unwrap(), "a");
        network.cut("n1", "g1");
        assert_eq!(code(client.batch(get("b"))).await, Code::Unavailable);
        assert_eq!(echo.batches.load(Ordering::Relaxed), 2, "the request arrived, its answer did not");
        network.heal_all();
        network.cut("g1", "n1");
        assert_eq!(code(client.batch(get("c"))).await, Code::Unavailable);
        assert_eq!(echo.batches.load(Ordering::Relaxed), 2);
        network.heal("g1", "n1");
        assert_eq!(code(client.batch(get("d"))).await, Code::Ok);
    });
}

#[test]
fn a_crashed_node_stops_in_the_middle_of_its_answers() {
    simulate(2, async |network| {
        let (_, scope) = node(&network, "n1");
        let client = network.for_endpoint("n2").connect("n1");
        let requests = futures::stream::iter([append(1)]).chain(futures::stream::pending());
        let mut answers = client.raft_append(Box::pin(requests)).await.unwrap();
        assert_eq!(appended(&answers.next().await.unwrap().unwrap()), 1);
        scope.end();
        network.unregister("n1");
        assert_eq!(answers.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
        assert_eq!(code(client.batch(get("a"))).await, Code::Unavailable);
        let _restarted = node(&network, "n1");
        assert_eq!(code(client.batch(get("a"))).await, Code::Ok);
    });
}

#[test]
fn a_cut_breaks_an_idle_stream_after_a_while() {
    simulate(3, async |network| {
        let _node = node(&network, "n1");
        let client = network.for_endpoint("n2").connect("n1");
        let mut answers = client.raft_append(Box::pin(futures::stream::pending())).await.unwrap();
        network.cut("n1", "n2");
        let ended = clock::timeout(Duration::from_secs(5), answers.next()).await.unwrap();
        assert_eq!(ended.unwrap().unwrap_err().code(), Code::Unavailable);
    });
}

#[test]
fn messages_of_a_stream_keep_their_order() {
    simulate(4, async |network| {
        network.set_faults(Faults { loss_per_10_000: 0, ..Faults::some() });
        let _node = node(&network, "n1");
        let client = network.for_endpoint("n2").connect("n1");
        let requests = futures::stream::iter((0..500).map(append));
        let answers = client.raft_append(Box::pin(requests)).await.unwrap();
        let indices: Vec<u64> = answers.map(|answer| appended(&answer.unwrap())).collect().await;
        assert_eq!(indices, (0..500).collect::<Vec<_>>());
    });
}

#[test]
fn a_seed_run_twice_has_equal_traces_and_another_seed_has_not() {
    let run = |seed| {
        simulate(seed, async |network: SimulatedNetwork| -> Counts {
            network.set_faults(Faults { loss_per_10_000: 500, duplicates_per_mille: 100, ..Faults::some() });
            let _node = node(&network, "n1");
            let calls = (0..200u32).map(|number| {
                let client: Arc<dyn NodeService> = network.for_endpoint("g1").connect("n1");
                async move { code(client.batch(get(number.to_be_bytes().to_vec()))).await }
            });
            futures::future::join_all(calls).await;
            network.counts()
        })
    };
    let counts = run(5);
    assert!(counts.lost > 0 && counts.duplicated > 0 && counts.slow > 0, "{counts:?}");
    assert_eq!(counts, run(5));
    assert_ne!(counts.trace, run(6).trace);
}

#[test]
fn a_link_with_a_bandwidth_carries_lane_by_lane_in_order() {
    simulate(7, async |network| {
        network.set_faults(Faults { bytes_per_second: 1_000_000, ..Faults::none() });
        let _node = node(&network, "n1");
        let client = network.for_endpoint("g1").connect("n1");
        let took = async |bytes: usize| {
            let began = clock::now();
            client.batch(get(vec![0; bytes])).await.unwrap();
            clock::now().duration_since(began).as_millis()
        };
        // There and, as an echo, back.
        let large = took(1_000_000).await;
        assert!((2_000..2_100).contains(&large), "{large} ms");
        let (first, second, small) = futures::join!(took(1_000_000), took(1_000_000), took(1_000));
        assert!((3_000..4_200).contains(&second) && first < second, "{first} ms, {second} ms");
        assert!(small < 100, "{small} ms: a small request waits on no large one's lane");
    });
}

//! What ranges cost that nobody asks anything: counted on the wire, in the whole cluster.

use std::time::Duration;

use nunatak_tests::simulation::{Quiet, Scenario, quiet_with};
use proto::v1::{RangeStatus, RangesRequest};

/// By then those that sleep have given back what it takes to be awake, and ended their streams.
const CLOSING: Duration = Duration::from_secs(10);

/// So long nobody asks anything.
const WHILE: Duration = Duration::from_secs(60);

/// Of the replicas on all nodes, the root range's left out: how many there are, and how many sleep. In one range gateways look after
/// things.
async fn replicas(cluster: &Quiet) -> (usize, usize) {
    let (mut all, mut asleep) = (0, 0);
    for number in 1..=3 {
        let ranges = cluster.node(number).ranges(RangesRequest::default()).await.unwrap().ranges;
        let is_data = |range: &RangeStatus| range.descriptor.as_ref().is_some_and(|range| range.range_id > 1);
        let held: Vec<_> = ranges.iter().filter(|range| is_data(range) && range.replica_id != 0).collect();
        all += held.len();
        asleep += held.iter().filter(|range| range.asleep).count();
    }
    (all, asleep)
}

/// The messages of a minute in which nobody asks anything, in a cluster with so many ranges beside the first, all asleep; and how
/// many replicas those are.
fn asleep(pieces: u64) -> (u64, usize) {
    let mut found = None;
    let cut = |scenario: &mut Scenario| {
        scenario.pieces = pieces;
        scenario.sleep_after_ms = Some(2_000);
    };
    quiet_with("calm", cut, async |cluster| {
        let mut all = replicas(cluster).await;
        for _ in 0..300 {
            if all.1 >= 3 * pieces as usize {
                break;
            }
            env::clock::sleep(Duration::from_secs(1)).await;
            all = replicas(cluster).await;
        }
        assert!(all.1 >= 3 * pieces as usize, "those that nobody asks anything fall asleep: {all:?}");
        env::clock::sleep(CLOSING).await;
        let messages = cluster.messages_in(WHILE).await;
        let after = replicas(cluster).await;
        assert!(after.1 >= 3 * pieces as usize, "and stay so: {after:?}");
        // Whoever asks something finds it awake soon.
        cluster
            .session
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let row = cluster.session.query_one("SELECT a FROM t", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 1);
        let awake = replicas(cluster).await;
        assert!(awake.1 < awake.0, "who is asked is awake");
        found = Some((messages, all.1));
    });
    found.unwrap()
}

#[test]
fn ranges_asleep_cost_no_messages_of_their_own() {
    // Enough of them that each node leads some.
    let (few, few_replicas) = asleep(10);
    let (many, many_replicas) = asleep(100);
    println!("{few} messages for {few_replicas} replicas asleep, {many} for {many_replicas}, in {WHILE:?}");
    assert!(many_replicas >= 300 && few_replicas < 40);
    assert!(
        many <= few + few / 10,
        "{few} messages for {few_replicas} replicas asleep, {many} for {many_replicas}"
    );
}

//! Leaders that a replica has to make sure of, at stores that take their time to answer.

use super::*;

impl TestCluster {
    /// From now on every store takes so long to say who it is.
    fn delay_hellos(&self, ms: u64) {
        for store in self.stores.values() {
            store.service.hello_ms.store(ms, Ordering::Relaxed);
        }
    }
}

#[test]
fn whoever_has_voted_for_a_leader_asks_nobody_about_it() {
    for seed in 0..4 {
        simulate(seed, || async {
            let mut cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            cluster.delay_hellos(3_600_000);
            let old = cluster.leader().await.id;
            cluster.crash(old);
            cluster.put("b", "2").await;
            assert_eq!(cluster.settle().await.len(), 2);
        });
    }
}

#[test]
fn what_a_store_has_confirmed_is_known_although_nobody_waited_for_it() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            let old = cluster.leader().await.id;
            let (next, away) = (old % 3 + 1, (old + 1) % 3 + 1);
            for other in [old, next] {
                cluster.network.cut_both(&address(away), &address(other));
            }
            cluster.stores[&old].group().transfer_leader(next).await.unwrap();
            // Longer than a heartbeat, or an appended entry, waits.
            cluster.delay_hellos(800);
            cluster.network.heal_all();
            cluster.put("b", "2").await;
            assert_eq!(cluster.settle().await.len(), 2);
        });
    }
}

#[test]
fn a_new_replica_is_made_although_nobody_waits_for_the_confirmation() {
    simulate(1, || async {
        let cluster = TestCluster::start(2).await;
        cluster.put("a", "1").await;
        cluster.delay_hellos(800);
        let leader = cluster.stores[&1].group();
        leader.add_learner(2, Store { node_id: 2 }, leader.membership_point()).await.unwrap();
        leader.wait_caught_up(2).await.unwrap();
    });
}

/// The new leader of the two that are left after a crash, cut off from the other at first, or once it has served; how long
/// it takes after that until somebody serves.
async fn gap(seed: u64, at_first: bool) -> Duration {
    let mut cluster = TestCluster::replicated(3).await;
    cluster.put("a", "1").await;
    let old = cluster.leader().await.id;
    cluster.crash(old);
    let leads = |cluster: &TestCluster| cluster.stores.values().any(|store| store.group().role().is_leader);
    while !leads(&cluster) {
        env::clock::sleep(Duration::from_millis(1)).await;
    }
    if !at_first {
        cluster.put("b", "2").await;
    }
    let left: Vec<u64> = cluster.stores.keys().copied().collect();
    cluster.network.cut_both(&address(left[0]), &address(left[1]));
    env::clock::sleep(Duration::from_millis(1_800 + seed * 200)).await;
    cluster.network.heal_all();
    let healed = env::clock::now();
    cluster.leader().await;
    healed.elapsed()
}

#[test]
fn a_leader_that_lost_its_quorum_for_long_is_not_silent_when_it_is_back() {
    for seed in 0..12 {
        for at_first in [true, false] {
            let took = simulate(seed, || gap(seed, at_first));
            assert!(took < Duration::from_millis(3_200), "{took:?} ({seed}, at first: {at_first})");
        }
    }
}

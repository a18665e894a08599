//! The leader's lease, across partitions and restarts.

use env::canary::{self, Canary};

use super::*;

/// Cuts the leader off and restarts both followers at once, which have then forgotten the lease that they granted. One
/// of them campaigns. While the old leader believes in its lease nobody else may lead.
async fn restart_followers_behind_the_leader(seed: u64) -> bool {
    let mut cluster = TestCluster::replicated(3).await;
    cluster.put("a", "old").await;
    let old = cluster.leader().await.group();
    let (id, term) = (old.replica_id(), old.role().term);
    let followers: Vec<u64> = [1, 2, 3].into_iter().filter(|other| *other != id).collect();
    env::clock::sleep(Duration::from_millis(seed % 300)).await;
    for follower in &followers {
        cluster.network.cut_both(&address(id), &address(*follower));
    }
    for follower in &followers {
        cluster.restart(*follower).await;
    }
    let groups: Vec<_> = followers.iter().map(|follower| cluster.stores[follower].group()).collect();
    groups[0].raft.trigger().elect(false).await.unwrap();
    let mut stale = false;
    while old.lease_valid(term) {
        stale |= groups.iter().any(|group| group.role().is_leader);
        env::clock::sleep(Duration::from_millis(10)).await;
    }
    // And afterwards the group goes on.
    cluster.network.heal_all();
    cluster.put("a", "new").await;
    assert_eq!(cluster.settle().await["a"], "new");
    stale
}

#[test]
fn restarted_followers_elect_nobody_while_the_old_leader_holds_its_lease() {
    let stale: Vec<u64> =
        (0..5).filter(|seed| simulate(*seed, || restart_followers_behind_the_leader(*seed))).collect();
    // The defect on purpose must show, or this test would prove nothing.
    assert_eq!(
        !stale.is_empty(),
        canary::sings(Canary::LeaseWithoutFence),
        "two leaders could answer: {stale:?}"
    );
}

#[test]
fn a_leader_that_is_cut_off_loses_its_lease_before_another_leads() {
    simulate(3, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        let old = cluster.leader().await.group();
        let (id, term) = (old.replica_id(), old.role().term);
        let others: Vec<_> = cluster.stores.values().filter(|store| store.id != id).collect();
        for other in &others {
            cluster.network.cut_both(&address(id), &address(other.id));
        }
        while !others.iter().any(|store| store.group().role().is_leader) {
            env::clock::sleep(Duration::from_millis(1)).await;
        }
        assert!(!old.lease_valid(term));
        assert!(old.read_index().await.is_err());
    });
}

#[test]
fn a_follower_holds_no_lease() {
    simulate(4, || async {
        let cluster = TestCluster::replicated(3).await;
        let leader = cluster.leader().await;
        let term = leader.group().role().term;
        for store in cluster.stores.values() {
            assert_eq!(store.group().lease_valid(term), store.id == leader.id);
            assert!(!store.group().lease_valid(term + 1));
        }
    });
}

//! Changes of voters that their leader left half done.

use std::collections::BTreeSet;

use super::*;

/// Three voters of four stores; the leader has begun to replace `gone` by replica 4, and stops there.
async fn half_done(gone: u64) -> TestCluster {
    let mut cluster = TestCluster::start(3).await;
    cluster.replicate().await;
    cluster.open(4, MemoryDisk::new()).await;
    cluster.put("key", "value").await;
    let leader = cluster.leader().await.group();
    leader.add_learner(4, Store { node_id: 4 }, leader.membership_point()).await.unwrap();
    leader.wait_caught_up(4).await.unwrap();
    let old = BTreeSet::from([1, 2, 3]);
    let mut new: BTreeSet<u64> = old.iter().copied().filter(|id| *id != gone).collect();
    new.insert(4);
    let stores: BTreeMap<u64, Store> = (1..=4).map(|id| (id, Store { node_id: id })).collect();
    let joint = openraft::Membership::new(vec![old, new], stores).unwrap();
    let raft = leader.instance.open().await.unwrap();
    raft.append_membership(joint, openraft::EntryPayload::Blank, []).await.unwrap();
    assert!(leader.membership().is_joint());
    cluster
}

/// Has whoever leads bring the change to its end, with a lease or without: one that is to vote no more has none, and goes by
/// itself once the change is made.
async fn finish(cluster: &TestCluster) -> Membership {
    for _ in 0..200 {
        for group in cluster.stores.values().filter_map(|store| store.host.group(RANGE)) {
            if group.role().is_leader && group.finish_change().await.is_ok() && !group.membership().is_joint()
            {
                return group.membership();
            }
        }
        env::clock::sleep(Duration::from_millis(100)).await;
    }
    panic!("the change is still half done");
}

#[test]
fn a_change_that_was_left_half_done_is_finished_by_whoever_leads_next() {
    simulate(3, || async {
        let mut cluster = half_done(3).await;
        let leader = cluster.leader().await.id;
        cluster.restart(leader).await;
        let membership = finish(&cluster).await;
        assert_eq!(membership.configs, [BTreeSet::from([1, 2, 4])]);
        assert!(!membership.replicas.contains_key(&3));
        cluster.put("key", "after").await;
    });
}

#[test]
fn a_leader_that_is_to_go_has_no_lease_and_finishes_the_change_before_it_does() {
    simulate(6, || async {
        let cluster = half_done(1).await;
        let leader = cluster.stores[&1].group();
        let role = leader.role();
        assert!(role.is_leader && !leader.lease_valid(role.term));
        let membership = finish(&cluster).await;
        assert_eq!(membership.configs, [BTreeSet::from([2, 3, 4])]);
        cluster.put("key", "after").await;
        assert_ne!(cluster.leader().await.id, 1);
    });
}

#[test]
fn a_change_towards_a_store_that_died_is_taken_back() {
    simulate(4, || async {
        let mut cluster = half_done(3).await;
        cluster.crash(4);
        env::clock::sleep(Duration::from_secs(4)).await;
        assert_eq!(finish(&cluster).await.configs, [BTreeSet::from([1, 2, 3])]);
        cluster.put("key", "after").await;
    });
}

#[test]
fn a_change_decided_upon_an_older_membership_is_refused() {
    simulate(5, || async {
        let mut cluster = TestCluster::start(2).await;
        let leader = cluster.leader().await.group();
        let known = leader.membership_point();
        leader.add_learner(2, Store { node_id: 2 }, known).await.unwrap();
        let late = leader.add_learner(9, Store { node_id: 2 }, known).await;
        assert!(matches!(late, Err(ChangeError::Refused(_))), "{late:?}");
        assert!(matches!(leader.remove_learner(2, known).await, Err(ChangeError::Refused(_))));
        leader.remove_learner(2, leader.membership_point()).await.unwrap();
        assert_eq!(leader.membership().replicas.len(), 1);
        cluster.crash(2);
    });
}

#[test]
fn a_change_that_is_refused_leaves_the_leader_its_lease() {
    simulate(5, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        let leader = cluster.leader().await.group();
        let (term, known) = (leader.role().term, leader.membership_point().unwrap());
        let others = [1, 2, 3].into_iter().filter(|id| *id != leader.replica_id()).collect();
        let stale = Some(LogPoint { index: known.index - 1, ..known });
        let refused = leader.change_voters(others, stale).await;
        assert!(matches!(refused, Err(ChangeError::Refused(_))), "{refused:?}");
        env::clock::sleep(Duration::from_secs(1)).await;
        assert!(leader.lease_valid(term));
    });
}

//! Leaders that cannot do their work, and give it up.

use super::*;

/// Waits until another store than `old` leads.
async fn other_leader(cluster: &TestCluster, old: u64) -> u64 {
    for _ in 0..600 {
        for store in cluster.stores.values().filter(|store| store.id != old) {
            let role = store.group().role();
            if role.is_leader && store.group().lease_valid(role.term) {
                return store.id;
            }
        }
        env::clock::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody has taken over in 6 seconds");
}

#[test]
fn a_leader_whose_disk_answers_nothing_is_followed_by_another() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            let hung = cluster.leader().await.id;
            let store = &cluster.stores[&hung];
            let (group, term) = (store.group(), store.group().role().term);
            store.scope.hold_blocking(true);
            let waiting = env::task::spawn({
                let group = group.clone();
                async move { group.propose(Bytes::from_static(b"b=2")).await }
            });
            let next = other_leader(&cluster, hung).await;
            assert!(!group.lease_valid(term));
            cluster.stores[&next].group().propose(Bytes::from_static(b"c=3")).await.unwrap();
            assert!(group.is_unfit());
            // While it hangs nobody hands leadership to it.
            cluster.stores[&next].group().transfer_leader(hung).await.unwrap_err();
            store.scope.hold_blocking(false);
            let _ = waiting.await;
            env::clock::sleep(Duration::from_secs(5)).await;
            assert!(!group.is_unfit());
            assert_eq!(cluster.settle().await["c"], "3");
        });
    }
}

#[test]
fn a_leader_that_cannot_read_its_data_hands_over_and_stays_behind() {
    for seed in 0..4 {
        simulate(seed, || async {
            let mut cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            let damaged = cluster.leader().await.id;
            assert!(cluster.stores[&damaged].group().report_damage("a block does not check"));
            let next = other_leader(&cluster, damaged).await;
            assert_eq!(cluster.stores[&damaged].host.failures().len(), 1);
            cluster.put("b", "2").await;
            // The other two are enough, and one of them leads whatever happens.
            cluster.restart(next).await;
            for _ in 0..500 {
                assert!(!cluster.stores[&damaged].group().role().is_leader);
                env::clock::sleep(Duration::from_millis(20)).await;
            }
            assert_ne!(cluster.leader().await.id, damaged);
            assert_eq!(cluster.settle().await.len(), 2);
        });
    }
}

#[test]
fn a_sole_voter_leads_whatever_it_cannot_read() {
    simulate(1, || async {
        let cluster = TestCluster::start(1).await;
        assert!(!cluster.stores[&1].group().report_damage("a block does not check"));
        env::clock::sleep(Duration::from_secs(30)).await;
        cluster.put("a", "1").await;
        assert!(cluster.leader().await.group().role().is_leader);
    });
}

#[test]
fn a_leader_that_nobody_took_over_from_is_started_anew() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            let leader = cluster.leader().await.id;
            let to = leader % 3 + 1;
            for store in cluster.stores.values().filter(|store| store.id != leader) {
                store.service.damaged_by_transfer.store(true, Ordering::Relaxed);
            }
            cluster.stores[&leader].group().transfer_leader(to).await.unwrap_err();
            env::clock::timeout(Duration::from_secs(8), cluster.put("b", "2")).await.unwrap();
        });
    }
}

#[test]
fn where_only_damaged_replicas_are_left_one_of_them_leads() {
    for seed in 0..4 {
        simulate(seed, || async {
            let mut cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            cluster.settle().await;
            let leader = cluster.leader().await.id;
            for store in cluster.stores.values().filter(|store| store.id != leader) {
                store.group().report_damage("a block does not check");
            }
            env::clock::sleep(Duration::from_secs(1)).await;
            cluster.crash(leader);
            cluster.put("b", "2").await;
            assert_eq!(cluster.settle().await.len(), 2);
        });
    }
}

#[test]
fn a_leader_that_could_not_read_once_gives_way_and_is_fit_again() {
    simulate(1, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        let old = cluster.leader().await.id;
        let group = cluster.stores[&old].group();
        assert!(group.report_unread("the disk is away"));
        other_leader(&cluster, old).await;
        assert!(group.unfit().is_some());
        env::clock::sleep(Duration::from_secs(31)).await;
        assert_eq!(group.unfit(), None);
        assert!(cluster.stores[&old].host.failures().is_empty());
        cluster.leader().await.group().transfer_leader(old).await.unwrap();
    });
}

#[test]
fn leadership_is_handed_to_one_that_is_fit_to_lead() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            cluster.settle().await;
            let leader = cluster.leader().await.id;
            let damaged = (1..=3).rev().find(|id| *id != leader).unwrap();
            cluster.stores[&damaged].group().report_damage("a block does not check");
            env::clock::sleep(Duration::from_millis(300)).await;
            let to = cluster.stores[&leader].group().hand_over().await.unwrap();
            assert_eq!(to, 6 - leader - damaged);
            cluster.stores[&to].group().report_damage("a block does not check");
        });
    }
}

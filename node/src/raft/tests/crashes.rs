//! Crashes that drop what was not synced: nothing acknowledged is lost, and the replicas agree.

use super::*;

/// Writers that go on through anything; each acknowledged write is noted.
async fn write(cluster: &TestCluster, acknowledged: &mut BTreeMap<String, String>, from: u64, count: u64) {
    for n in from..from + count {
        let (key, value) = (format!("key {:03}", n % 50), format!("value {n}"));
        cluster.put(&key, &value).await;
        acknowledged.insert(key, value);
    }
}

fn check(acknowledged: &BTreeMap<String, String>, content: &BTreeMap<String, String>) {
    for (key, value) in acknowledged {
        assert_eq!(content.get(key), Some(value), "an acknowledged write of {key} is lost");
    }
}

#[test]
fn a_single_replica_restarts_with_all_that_was_acknowledged() {
    for seed in 0..3 {
        simulate(seed, || async {
            let mut cluster = TestCluster::start(1).await;
            let mut acknowledged = BTreeMap::new();
            for round in 0..4 {
                write(&cluster, &mut acknowledged, round * 40, 40).await;
                if round == 2 {
                    cluster.stores[&1].db.flush().unwrap();
                    write(&cluster, &mut acknowledged, 1000, 10).await;
                }
                cluster.restart(1).await;
                check(&acknowledged, &cluster.leader().await.content());
            }
        });
    }
}

#[test]
fn the_leader_crashes_over_and_over_and_nothing_acknowledged_is_lost() {
    for seed in 0..3 {
        simulate(seed, || async {
            let mut cluster = TestCluster::replicated(3).await;
            let mut acknowledged = BTreeMap::new();
            for round in 0..4 {
                write(&cluster, &mut acknowledged, round * 30, 15).await;
                let leader = cluster.leader().await;
                let (id, group) = (leader.id, leader.group());
                // On its way when the leader dies: may or may not be there afterwards.
                let lost =
                    env::task::spawn(async move { group.propose(Bytes::from_static(b"in flight=1")).await });
                env::clock::sleep(Duration::from_micros(env::random::below(4000))).await;
                let disk = cluster.crash(id);
                lost.abort();
                write(&cluster, &mut acknowledged, round * 30 + 15, 15).await;
                cluster.open(id, disk).await;
            }
            check(&acknowledged, &cluster.settle().await);
        });
    }
}

#[test]
fn all_stores_crash_at_once_and_nothing_acknowledged_is_lost() {
    for seed in 0..3 {
        simulate(seed, || async {
            let mut cluster = TestCluster::replicated(3).await;
            let mut acknowledged = BTreeMap::new();
            for round in 0..3 {
                write(&cluster, &mut acknowledged, round * 30, 30).await;
                if round == 1 {
                    cluster.leader().await.db.flush().unwrap();
                }
                let disks: Vec<_> = [1, 2, 3].map(|id| (id, cluster.crash(id))).into();
                for (id, disk) in disks {
                    cluster.open(id, disk).await;
                }
                check(&acknowledged, &cluster.settle().await);
            }
        });
    }
}

#[test]
fn a_lossy_network_loses_nothing_that_was_acknowledged() {
    for seed in 0..3 {
        simulate(seed, || async {
            let mut cluster = TestCluster::start_with(3, Faults::some(), 64 << 20).await;
            cluster.replicate().await;
            let mut acknowledged = BTreeMap::new();
            for round in 0..3 {
                write(&cluster, &mut acknowledged, round * 40, 40).await;
                let id = 1 + env::random::below(3);
                let other = 1 + id % 3;
                cluster.network.cut_both(&address(id), &address(other));
                write(&cluster, &mut acknowledged, round * 40 + 1000, 20).await;
                cluster.network.heal_all();
                cluster.restart(id).await;
            }
            check(&acknowledged, &cluster.settle().await);
        });
    }
}

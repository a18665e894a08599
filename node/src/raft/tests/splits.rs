//! Ranges that are divided: the replicas of the new one stand beside the others', and all others begin with a snapshot.

use super::super::claims::Born;
use super::super::{progress, types};
use super::*;

const CHILD: u64 = 8;

/// The new range of a command: `8:11:12:13` has the heirs 11, 12, 13 of the replicas 1, 2, 3, each on the store of that number.
pub(super) fn child(split: &str) -> Child {
    let mut numbers = split.split(':').map(|number| number.parse::<u64>().unwrap());
    let range_id = numbers.next().unwrap();
    let heirs: BTreeMap<u64, u64> = (1..).zip(numbers).collect();
    let membership = Membership {
        configs: vec![heirs.values().copied().collect()],
        replicas: heirs.iter().map(|(of, heir)| (*heir, Store { node_id: *of })).collect(),
    };
    let spans = vec![(data_key(range_id, "").into(), data_key(range_id + 1, "").into())];
    Child { range_id, membership, heirs, rows: Vec::new(), spans }
}

async fn split(cluster: &TestCluster) {
    let group = cluster.leader().await.group();
    group.propose(Bytes::from_static(b"split>8:11:12:13")).await.unwrap();
}

/// The new range's leader among the stores, once there is one.
async fn child_leader(cluster: &TestCluster) -> (u64, Arc<Group>) {
    for _ in 0..2000 {
        for store in cluster.stores.values() {
            let Some(group) = store.host.group(CHILD) else { continue };
            let role = group.role();
            if role.is_leader && group.wait_term_applied(role.term).await.is_ok() {
                return (store.id, group);
            }
        }
        env::clock::sleep(Duration::from_millis(5)).await;
    }
    panic!("the new range has no leader");
}

/// Waits until the new range holds on all of the stores what its leader has.
async fn settle_child(cluster: &TestCluster, stores: &[u64]) -> BTreeMap<String, String> {
    let (id, leader) = child_leader(cluster).await;
    let content = cluster.stores[&id].content_of(CHILD);
    for store in stores.iter().map(|id| &cluster.stores[id]) {
        let applied = async {
            while store.host.group(CHILD).is_none_or(|group| group.applied_index() < leader.applied_index()) {
                env::clock::sleep(Duration::from_millis(20)).await;
            }
        };
        env::clock::timeout(Duration::from_secs(60), applied).await.unwrap();
        assert_eq!(store.content_of(CHILD), content, "store {}", store.id);
    }
    content
}

#[test]
fn a_divided_range_goes_on_as_two_at_once() {
    simulate(1, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("before", "1").await;
        let leader = cluster.leader().await.id;
        let began = env::clock::now();
        split(&cluster).await;
        let (id, group) = child_leader(&cluster).await;
        assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
        assert_eq!(id, leader);
        assert_eq!(group.replica_id(), 10 + leader);
        assert_eq!(group.membership_index(), 10);
        group.propose(Bytes::from_static(b"after=2")).await.unwrap();
        cluster.put("after", "3").await;
        assert_eq!(settle_child(&cluster, &[1, 2, 3]).await.len(), 2);
        assert_eq!(cluster.settle().await.len(), 2);
    });
}

#[test]
fn a_replica_from_elsewhere_begins_with_a_snapshot_of_what_was_inherited() {
    simulate(2, || async {
        let mut cluster = TestCluster::replicated(3).await;
        split(&cluster).await;
        let (_, group) = child_leader(&cluster).await;
        group.propose(Bytes::from_static(b"after=2")).await.unwrap();
        cluster.open(4, MemoryDisk::new()).await;
        let known = group.membership_point();
        let known = group.add_learner(14, Store { node_id: 4 }, known).await.unwrap();
        group.wait_caught_up(14).await.unwrap();
        group.change_voters(vec![11, 12, 14], Some(known)).await.unwrap();
        let content = settle_child(&cluster, &[1, 2, 4]).await;
        assert_eq!(content.keys().collect::<Vec<_>>(), ["after", "inherited"]);
        assert_eq!(cluster.stores[&4].apply.installed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_crash_at_any_moment_of_a_division_is_mended() {
    for seed in 0..12 {
        simulate(seed, || async {
            let mut cluster = TestCluster::replicated(3).await;
            let leader = cluster.leader().await.group();
            let dividing = env::task::spawn(async move {
                let _ = leader.propose(Bytes::from_static(b"split>8:11:12:13")).await;
            });
            env::clock::sleep(Duration::from_micros(env::random::below(15_000))).await;
            let victims: &[u64] = if seed % 2 == 0 { &[1, 2, 3] } else { &[2] };
            let disks: Vec<_> = victims.iter().map(|id| (*id, cluster.crash(*id))).collect();
            dividing.abort();
            for (id, disk) in disks {
                cluster.open(id, disk).await;
            }
            cluster.put("after", "1").await;
            if cluster.settle().await.len() == 1
                && cluster.stores.values().all(|s| s.host.group(CHILD).is_none())
            {
                // It was not logged.
                split(&cluster).await;
            }
            let (_, group) = child_leader(&cluster).await;
            group.propose(Bytes::from_static(b"after=2")).await.unwrap();
            assert_eq!(settle_child(&cluster, &[1, 2, 3]).await.len(), 2);
            for id in 1..=3 {
                cluster.restart(id).await;
            }
            assert_eq!(settle_child(&cluster, &[1, 2, 3]).await.len(), 2);
        });
    }
}

#[test]
fn state_without_a_log_is_a_new_replica_that_has_promised_nothing() {
    simulate(4, || async {
        let mut cluster = TestCluster::replicated(3).await;
        split(&cluster).await;
        child_leader(&cluster).await;
        settle_child(&cluster, &[1, 2, 3]).await;
        let mut disk = cluster.crash(3);
        // As if the process had ended between the flush and the first record.
        {
            let db = open_db(&disk);
            let membership = types::raft_membership(&child("8:11:12:13").membership).unwrap();
            let mut batch = WriteBatch::new();
            progress::Applied::seed(membership).put(9, 23, &progress::Applied::default(), &mut batch);
            db.write(batch, lsm::WriteOptions::UNLOGGED_UNPACED).unwrap();
            db.flush().unwrap();
            db.close().unwrap();
        }
        disk = disk.crash(CrashMode::Strict);
        cluster.open(3, disk).await;
        assert_eq!(cluster.stores[&3].host.group(9).unwrap().replica_id(), 23);
        settle_child(&cluster, &[1, 2, 3]).await;
    });
}

#[test]
fn a_replica_that_was_behind_divides_when_it_comes_there() {
    simulate(5, || async {
        let mut cluster = TestCluster::replicated(3).await;
        let behind = if cluster.leader().await.id == 3 { 2 } else { 3 };
        let others: Vec<u64> = (1..=3).filter(|id| *id != behind).collect();
        let disk = cluster.crash(behind);
        split(&cluster).await;
        let (_, group) = child_leader(&cluster).await;
        group.propose(Bytes::from_static(b"after=2")).await.unwrap();
        settle_child(&cluster, &others).await;
        cluster.open(behind, disk).await;
        cluster.put("more", "1").await;
        assert_eq!(settle_child(&cluster, &[1, 2, 3]).await.len(), 2);
        cluster.restart(behind).await;
        assert_eq!(settle_child(&cluster, &[1, 2, 3]).await.len(), 2);
    });
}

#[test]
fn a_new_ranges_replica_that_was_removed_does_not_come_back() {
    simulate(6, || async {
        let cluster = TestCluster::replicated(3).await;
        let store = &cluster.stores[&3];
        store.host.add_empty(CHILD, 13).await.unwrap();
        store.host.remove(CHILD, 13).await.unwrap();
        split(&cluster).await;
        settle_child(&cluster, &[1, 2]).await;
        cluster.settle().await;
        assert!(store.host.group(CHILD).is_none() && store.content_of(CHILD).is_empty());
        // As if it had been removed after the entry was applied, and before it was started.
        store.host.raise(Born { range_id: CHILD, replica_id: 13, beside: RANGE }).await.unwrap();
        assert!(store.host.group(CHILD).is_none());
    });
}

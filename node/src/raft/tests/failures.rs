//! Replicas that stop: for a command that they cannot read, or because they were given up.

use super::*;

/// Waits until `done` says so.
async fn wait_until(done: impl Fn() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        env::clock::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within a minute");
}

#[test]
fn a_replica_stops_at_a_command_that_it_cannot_read() {
    simulate(1, || async {
        let mut cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        cluster.settle().await;
        let old = if cluster.leader().await.id == 2 { 3 } else { 2 };
        cluster.stores[&old].apply.old.store(true, Ordering::Relaxed);
        let proposed = cluster.put("new", "1").await;
        cluster.put("b", "2").await;
        wait_until(|| !cluster.stores[&old].host.failures().is_empty()).await;
        let store = &cluster.stores[&old];
        let failure = store.host.failures().remove(0);
        assert_eq!((failure.range_id, failure.replica_id), (RANGE, old));
        assert!(failure.why.contains("it is new"), "{}", failure.why);
        assert!(store.group().applied_index() < proposed.index);
        assert_eq!(store.content().len(), 1, "something behind the command was applied");
        // Nothing was swallowed: a program that knows the command goes on where this one stopped.
        cluster.restart(old).await;
        assert_eq!(cluster.settle().await.len(), 3);
    });
}

#[test]
fn a_replica_that_stops_by_mishap_is_started_again() {
    simulate(2, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        cluster.settle().await;
        let shaky = if cluster.leader().await.id == 2 { 3 } else { 2 };
        let apply = &cluster.stores[&shaky].apply;
        apply.old.store(true, Ordering::Relaxed);
        cluster.put("new", "1").await;
        // It is started again at once; what kept it from going on is over then.
        wait_until(|| apply.installed.load(Ordering::Relaxed) == 1).await;
        apply.old.store(false, Ordering::Relaxed);
        assert_eq!(cluster.settle().await.len(), 2);
        assert!(cluster.stores[&shaky].host.failures().is_empty());
    });
}

#[test]
fn a_removed_replica_writes_nothing_any_more() {
    for seed in 0..20 {
        simulate(seed, || async {
            let cluster = TestCluster::replicated(3).await;
            let leader = cluster.leader().await;
            let gone = if leader.id == 2 { 3 } else { 2 };
            let group = leader.group();
            let writer = env::task::spawn(async move {
                for n in 0..500 {
                    let group = group.clone();
                    let command = Bytes::from(format!("key {n}={}", "x".repeat(2000)));
                    env::task::spawn(async move { group.propose(command).await });
                    env::clock::sleep(Duration::from_micros(100)).await;
                }
            });
            env::clock::sleep(Duration::from_micros(env::random::below(40_000))).await;
            let store = &cluster.stores[&gone];
            store.host.remove(RANGE, store.id).await.unwrap();
            assert!(store.content().is_empty());
            writer.abort();
            env::clock::sleep(Duration::from_millis(100)).await;
            assert!(store.content().is_empty(), "seed {seed}: written after the end");
            assert_eq!(store.db.get(&state_key(RANGE)).unwrap(), None, "seed {seed}");
            store.host.add_empty(RANGE, 10).await.unwrap();
        });
    }
}

#[test]
fn a_store_that_has_ended_applies_nothing_more() {
    simulate(1, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        for store in cluster.stores.values() {
            let group = store.group();
            store.host.shutdown().await;
            assert!(group.instance.has_ended(), "openraft's worker could write still");
        }
    });
}

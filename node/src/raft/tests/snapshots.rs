//! Followers that fell behind the log, and a log that stays within its bound.

use super::*;

/// A bound that a hundred writes pass.
const LOG_BYTES_MAX: u64 = 256 << 10;

async fn write_much(cluster: &TestCluster, from: u64, count: u64) {
    let value = "x".repeat(4000);
    for n in from..from + count {
        cluster.put(&format!("key {n:05}"), &value).await;
    }
}

async fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        env::clock::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited for a minute in vain");
}

#[test]
fn a_follower_behind_the_log_gets_a_snapshot() {
    simulate(1, || async {
        let mut cluster = TestCluster::start_with(3, Faults::none(), LOG_BYTES_MAX).await;
        cluster.replicate().await;
        write_much(&cluster, 0, 10).await;
        let behind = if cluster.leader().await.id == 3 { 2 } else { 3 };
        let disk = cluster.crash(behind);
        write_much(&cluster, 10, 190).await;
        let leader = cluster.leader().await.group();
        wait_until(|| leader.log.bounds().0.is_some_and(|purged| purged.index() > 20)).await;
        cluster.open(behind, disk).await;
        assert_eq!(cluster.settle().await.len(), 200);
        assert_eq!(cluster.stores[&behind].apply.installed.load(Ordering::Relaxed), 1);
        // What was installed is there after a crash, and the log fits it.
        write_much(&cluster, 200, 5).await;
        cluster.restart(behind).await;
        write_much(&cluster, 205, 5).await;
        assert_eq!(cluster.settle().await.len(), 210);
    });
}

#[test]
fn a_crash_at_any_moment_of_an_installation_is_redone() {
    for seed in 0..4 {
        simulate(seed, || async {
            let mut cluster = TestCluster::start_with(3, Faults::none(), LOG_BYTES_MAX).await;
            cluster.replicate().await;
            let behind = if cluster.leader().await.id == 3 { 2 } else { 3 };
            let disk = cluster.crash(behind);
            write_much(&cluster, 0, 150).await;
            let leader = cluster.leader().await.group();
            wait_until(|| leader.log.bounds().0.is_some_and(|purged| purged.index() > 20)).await;
            cluster.open(behind, disk).await;
            if seed % 2 == 0 {
                env::clock::sleep(Duration::from_micros(env::random::below(200_000))).await;
            } else {
                wait_until(|| cluster.stores[&behind].apply.installed.load(Ordering::Relaxed) == 1).await;
            }
            cluster.restart(behind).await;
            write_much(&cluster, 150, 5).await;
            assert_eq!(cluster.settle().await.len(), 155);
        });
    }
}

#[test]
fn the_log_stays_within_its_bound_and_an_idle_group_pins_nothing() {
    simulate(2, || async {
        let mut cluster = TestCluster::start_with(1, Faults::none(), LOG_BYTES_MAX).await;
        let idle = cluster.stores[&1].host.create(GroupSeed { range_id: 9, replica_id: 4 }).await.unwrap();
        idle.propose(Bytes::from_static(b"idle=1")).await.unwrap();
        write_much(&cluster, 0, 500).await;
        let host = cluster.stores[&1].host.clone();
        let bytes = || host.log.segments().iter().map(|segment| segment.bytes).sum::<u64>();
        wait_until(|| bytes() <= LOG_BYTES_MAX).await;
        assert!(host.log.segments()[0].number > 1, "no segment was freed");
        let term = idle.role().term;
        drop((idle, host));
        cluster.restart(1).await;
        assert_eq!(cluster.leader().await.content().len(), 500);
        let idle = cluster.stores[&1].host.group(9).unwrap();
        let mut role = idle.watch();
        role.wait_for(|role| role.is_leader).await.unwrap();
        assert!(idle.role().term > term, "the vote was forgotten");
        idle.propose(Bytes::from_static(b"idle=2")).await.unwrap();
    });
}

#[test]
fn a_learner_of_a_purged_group_begins_with_a_snapshot() {
    simulate(3, || async {
        let cluster = TestCluster::start_with(2, Faults::none(), LOG_BYTES_MAX).await;
        write_much(&cluster, 0, 200).await;
        let leader = cluster.leader().await.group();
        wait_until(|| leader.log.bounds().0.is_some_and(|purged| purged.index() > 20)).await;
        cluster.replicate().await;
        assert_eq!(cluster.settle().await.len(), 200);
        assert_eq!(cluster.stores[&2].apply.installed.load(Ordering::Relaxed), 1);
    });
}

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
    groups[0].instance.open().await.unwrap().trigger().elect(false).await.unwrap();
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

/// What a leader still says after it was stopped, while another one was elected and has committed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stale {
    /// It held its lease.
    lease: bool,
    /// It was proven to lead.
    index: bool,
}

/// Stops the leader while the others' answers are on their way to it, and lets it go on once another one has committed
/// something. Then the clock moves with everything that it does.
async fn wake_a_leader_with_answers_on_their_way(seed: u64) -> Stale {
    let cluster = TestCluster::replicated(3).await;
    cluster.put("a", "old").await;
    let (old, scope) = {
        let store = cluster.leader().await;
        (store.group(), store.scope.clone())
    };
    let (id, term) = (old.replica_id(), old.role().term);
    // An answer is waited for the longer the more there is to send.
    for n in 0..6 {
        let (old, command) = (old.clone(), Bytes::from(format!("{n}={}", "x".repeat(300_000))));
        env::task::spawn(async move { old.propose(command).await });
        env::clock::sleep(Duration::from_millis(1)).await;
    }
    env::clock::sleep(Duration::from_millis(seed % 4)).await;
    scope.freeze();
    let others: Vec<_> =
        cluster.stores.values().filter(|store| store.id != id).map(TestStore::group).collect();
    let mut turn = 0;
    while others[turn % 2].propose(Bytes::from_static(b"a=new")).await.is_err() {
        env::clock::sleep(Duration::from_millis(1)).await;
        turn += 1;
    }
    let mut stale = Stale::default();
    let read = env::task::spawn({
        let old = old.clone();
        async move { old.read_index().await }
    });
    scope.thaw();
    for _ in 0..5_000 {
        env::task::yield_now().await;
        tokio::time::advance(Duration::from_micros(10)).await;
        stale.lease |= old.lease_valid(term);
    }
    stale.index = matches!(read.await.unwrap(), Ok(proven) if proven == term);
    cluster.put("b", "1").await;
    assert_eq!(cluster.settle().await["a"], "new");
    stale
}

#[test]
fn a_leader_that_was_stopped_is_not_led_astray_by_answers_to_what_it_sent_before() {
    let wake = |seed| simulate(seed, || wake_a_leader_with_answers_on_their_way(seed));
    let woken: Vec<Stale> = (0..24).map(wake).collect();
    let (lease, index) = (woken.iter().any(|stale| stale.lease), woken.iter().any(|stale| stale.index));
    assert_eq!((lease, index), (false, false), "by its lease, by a quorum: {woken:?}");
}

/// Its heartbeats keep the others from electing somebody, and so do entries that are sent again and again since nobody acknowledges
/// them. Whoever reads or writes there does not have it send more.
#[test]
fn a_leader_that_is_heard_and_hears_nobody_falls_silent_until_another_is_elected() {
    for (seed, writes) in (0..8).map(|seed| (seed, seed % 2 == 1)) {
        simulate(seed, || async {
            let cluster = TestCluster::replicated(3).await;
            cluster.put("a", "1").await;
            let old = cluster.leader().await.group();
            let (id, term) = (old.replica_id(), old.role().term);
            let others: Vec<_> = cluster.stores.values().filter(|store| store.id != id).collect();
            for other in &others {
                cluster.network.cut(&address(other.id), &address(id));
            }
            let writing = writes.then(|| {
                let old = old.clone();
                env::task::spawn(async move { old.propose_in(term, Bytes::from_static(b"c=1")).await })
            });
            let replaced = async {
                let leads = |store: &&TestStore| store.group().role().is_leader;
                while !others.iter().any(leads) {
                    let _ = env::clock::timeout(Duration::from_millis(50), old.read_index()).await;
                    env::clock::sleep(Duration::from_millis(10)).await;
                }
            };
            env::clock::timeout(Duration::from_secs(12), replaced)
                .await
                .expect("nobody can reach the one who leads");
            assert!(!old.lease_valid(term));
            cluster.network.heal_all();
            cluster.put("b", "2").await;
            let content = cluster.settle().await;
            let wrote = match writing {
                Some(writing) => writing.await.unwrap().is_ok(),
                None => false,
            };
            assert_eq!(content["b"], "2");
            assert!(!wrote || content.contains_key("c"), "it said that it has written");
        });
    }
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

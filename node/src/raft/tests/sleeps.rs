//! Groups asleep: what they cost, what wakes them, and that nobody answers for a range because it slept.

use env::canary::{self, Canary};

use super::*;

pub(super) const AFTER: Duration = Duration::from_secs(5);

/// So many groups sleep beside the first one.
const MANY: u64 = 200;

/// Three stores with a voter each, where groups sleep.
async fn sleeping_cluster() -> TestCluster {
    let cluster = begin(Some(AFTER)).await;
    asleep(&cluster).await;
    cluster
}

pub(super) async fn begin(after: Option<Duration>) -> TestCluster {
    let network = SimulatedNetwork::new(Faults::none());
    let cluster = TestCluster::start_sleeping(3, network, 64 << 20, after).await;
    cluster.replicate().await;
    cluster.put("a", "1").await;
    cluster
}

/// Has store 1 lead many groups more.
async fn begin_many(cluster: &TestCluster) {
    for range_id in 100..100 + MANY {
        let leader = cluster.stores[&1].host.create(GroupSeed { range_id, replica_id: 1 }).await.unwrap();
        for id in [2, 3] {
            leader.add_learner(id, Store { node_id: id }, leader.membership_point()).await.unwrap();
            leader.wait_caught_up(id).await.unwrap();
        }
        leader.change_voters(vec![1, 2, 3], leader.membership_point()).await.unwrap();
    }
}

/// Whether what stands above replication has something to do.
fn set_busy(cluster: &TestCluster, busy: bool) {
    cluster.stores.values().for_each(|store| store.apply.busy.store(busy, Ordering::Relaxed));
}

fn all_sleep(cluster: &TestCluster) -> bool {
    cluster.stores.values().all(|store| store.host.groups().iter().all(|group| group.is_asleep()))
}

/// Waits until all groups of all stores sleep.
pub(super) async fn asleep(cluster: &TestCluster) {
    let falling = async {
        while !all_sleep(cluster) {
            env::clock::sleep(Duration::from_millis(50)).await;
        }
    };
    env::clock::timeout(AFTER * 8, falling).await.expect("all groups fall asleep");
}

/// Whether a store's groups all sleep, and have no instance.
pub(super) fn is_closed(store: &TestStore) -> bool {
    let groups = store.host.groups();
    store.host.sleepers.closed() == groups.len()
        && groups.iter().all(|group| group.is_asleep() && group.instance.if_open().is_none())
}

/// Waits until those of all stores are closed.
pub(super) async fn closed(cluster: &TestCluster) {
    let closing = async {
        while !cluster.stores.values().all(is_closed) {
            env::clock::sleep(Duration::from_millis(50)).await;
        }
    };
    env::clock::timeout(AFTER * 8, closing).await.expect("all are closed");
}

/// The store that leads the range, in the newest term that anybody knows of.
pub(super) fn leading(cluster: &TestCluster) -> Option<(u64, u64)> {
    let roles = cluster.stores.values().map(|store| (store.id, store.group().role()));
    let newest = roles.filter(|(_, role)| role.is_leader).max_by_key(|(_, role)| role.term);
    newest.map(|(id, role)| (id, role.term))
}

/// The messages of so long a time.
async fn messages(cluster: &TestCluster, time: Duration) -> u64 {
    let before = cluster.network.counts().messages;
    env::clock::sleep(time).await;
    cluster.network.counts().messages - before
}

#[test]
fn what_sleeps_costs_a_message_between_two_stores_however_many_there_are() {
    simulate(1, || async {
        let cluster = begin(Some(AFTER)).await;
        closed(&cluster).await;
        let one = messages(&cluster, Duration::from_secs(30)).await;
        set_busy(&cluster, true);
        begin_many(&cluster).await;
        let up = messages(&cluster, Duration::from_secs(2)).await;
        assert!(up > MANY * 2 * 2, "{up} messages while they are up");
        set_busy(&cluster, false);
        // Streams that end are said to.
        closed(&cluster).await;
        let (log, written) = (cluster.stores[&1].host.log_syncs(), cluster.stores[&1].host.log_appended());
        let many = messages(&cluster, Duration::from_secs(30)).await;
        assert!(all_sleep(&cluster));
        assert!(one > 0 && many <= one + one / 10, "{one} messages for one group, {many} for {}", 1 + MANY);
        assert_eq!(
            (cluster.stores[&1].host.log_syncs(), cluster.stores[&1].host.log_appended()),
            (log, written)
        );
    });
}

#[test]
fn whoever_writes_or_reads_wakes_all_of_it_and_it_sleeps_again() {
    simulate(2, || async {
        let cluster = sleeping_cluster().await;
        let (id, term) = leading(&cluster).unwrap();
        let group = cluster.stores[&id].group();
        for round in 0..6 {
            env::clock::sleep(Duration::from_millis(700 * round)).await;
            let begun = env::clock::now();
            if round % 2 == 0 {
                group.propose_in(term, Bytes::from(format!("key {round}=value"))).await.unwrap();
            } else {
                assert_eq!(group.read_index().await.unwrap(), term);
            }
            assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
            env::clock::sleep(Duration::from_millis(1)).await;
            assert!(group.lease_valid(term), "what wakes it gives the lease back");
            env::clock::sleep(Duration::from_secs(2)).await;
            assert!(cluster.stores.values().all(|store| !store.group().is_asleep()), "round {round}");
            asleep(&cluster).await;
        }
        assert_eq!(leading(&cluster), Some((id, term)));
        assert_eq!(cluster.settle().await.len(), 4);
    });
}

/// What openraft does with a leader that nobody has answered for long depends on how long that is.
#[test]
fn however_long_it_slept_whoever_wakes_it_finds_its_leader_in_office() {
    for seed in 0..24 {
        simulate(seed, || async {
            let cluster = sleeping_cluster().await;
            let before = leading(&cluster).unwrap();
            let (id, term) = before;
            let group = cluster.stores[&id].group();
            env::clock::sleep(Duration::from_millis(300 + seed * 450)).await;
            let begun = env::clock::now();
            match seed % 4 {
                0 => group.propose_in(term, Bytes::from_static(b"b=2")).await.map(drop).unwrap(),
                1 => assert_eq!(group.read_index().await.unwrap(), term),
                2 => group.rouse().await,
                // The others first, of whom their leader does not know.
                _ => {
                    let others = cluster.stores.values().filter(|store| store.id != id);
                    others.for_each(|store| store.group().wake());
                }
            }
            assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
            assert!(seed % 4 == 3 || group.holds_lease(term), "what wakes it gives the lease back");
            env::clock::sleep(Duration::from_secs(4)).await;
            assert!(cluster.stores.values().all(|store| !store.group().is_asleep()));
            assert!(group.holds_lease(term));
            asleep(&cluster).await;
            assert_eq!(leading(&cluster), Some(before), "nobody had to be elected");
        });
    }
}

#[test]
fn many_who_ask_at_once_find_it_awake() {
    simulate(2, || async {
        let cluster = sleeping_cluster().await;
        let (id, term) = leading(&cluster).unwrap();
        let group = cluster.stores[&id].group();
        env::clock::sleep(Duration::from_secs(3)).await;
        let ask = |n: u64| {
            let group = group.clone();
            env::task::spawn(async move {
                match n % 3 {
                    0 => group.propose_in(term, Bytes::from(format!("{n}={n}"))).await.map(drop).unwrap(),
                    1 => assert_eq!(group.read_index().await.unwrap(), term),
                    // Who goes away while it asks for all of them.
                    _ => {
                        let _ = env::clock::timeout(Duration::ZERO, group.rouse()).await;
                    }
                }
            })
        };
        let asked: Vec<_> = (0..30).rev().map(ask).collect();
        for asked in asked {
            asked.await.unwrap();
        }
        assert_eq!(leading(&cluster), Some((id, term)));
        assert_eq!(cluster.settle().await.len(), 11);
    });
}

#[test]
fn a_follower_that_is_read_does_not_sleep_and_wakes_the_others_where_what_is_closed_is_not_enough() {
    simulate(5, || async {
        let cluster = sleeping_cluster().await;
        let (id, term) = leading(&cluster).unwrap();
        let (leader, follower) = (cluster.stores[&id].group(), cluster.stores[&(id % 3 + 1)].group());
        env::clock::sleep(Duration::from_secs(3)).await;
        follower.note_follower_read(true);
        assert!(follower.is_asleep(), "what is closed is enough");
        follower.note_follower_read(false);
        assert!(!follower.is_asleep());
        env::clock::sleep(Duration::from_secs(2)).await;
        assert!(leader.holds_lease(term), "its leader wakes");
        for _ in 0..40 {
            follower.note_follower_read(true);
            env::clock::sleep(AFTER / 4).await;
            assert!(!follower.is_asleep() && leader.holds_lease(term));
        }
        asleep(&cluster).await;
        assert_eq!(leading(&cluster), Some((id, term)));
    });
}

#[test]
fn who_reads_by_the_lease_keeps_it_up() {
    simulate(2, || async {
        let cluster = sleeping_cluster().await;
        let (id, term) = leading(&cluster).unwrap();
        let group = cluster.stores[&id].group();
        group.read_index().await.unwrap();
        for _ in 0..40 {
            assert!(group.lease_valid(term) && !group.is_asleep());
            env::clock::sleep(AFTER / 4).await;
        }
    });
}

#[test]
fn who_has_something_to_do_does_not_sleep() {
    simulate(3, || async {
        let cluster = begin(Some(AFTER)).await;
        set_busy(&cluster, true);
        env::clock::sleep(AFTER * 4).await;
        assert!(cluster.stores.values().all(|store| !store.group().is_asleep()));
        set_busy(&cluster, false);
        asleep(&cluster).await;
    });
}

#[test]
fn no_group_sleeps_where_one_store_does_not_know_of_it() {
    simulate(4, || async {
        let mut cluster = begin(Some(AFTER)).await;
        let follower = if leading(&cluster).unwrap().0 == 3 { 2 } else { 3 };
        let disk = cluster.crash(follower);
        cluster.sleep_after = None;
        cluster.open(follower, disk).await;
        for _ in 0..30 {
            env::clock::sleep(Duration::from_secs(1)).await;
            let (leader, term) = leading(&cluster).unwrap();
            let group = cluster.stores[&leader].group();
            assert!(!group.is_asleep() && !cluster.stores[&follower].group().is_asleep());
            assert!(group.holds_lease(term));
        }
    });
}

/// Whether a leader that dies while all sleep is replaced within three seconds.
async fn is_replaced(seed: u64) -> bool {
    let mut cluster = sleeping_cluster().await;
    let (id, term) = leading(&cluster).unwrap();
    env::clock::sleep(Duration::from_millis(seed * 137)).await;
    cluster.crash(id);
    let died = env::clock::now();
    while leading(&cluster).is_none_or(|(_, now)| now <= term) {
        if died.elapsed() > Duration::from_secs(3) {
            return false;
        }
        env::clock::sleep(Duration::from_millis(10)).await;
    }
    cluster.put("b", "2").await;
    cluster.leader().await.content().len() == 2
}

#[test]
fn a_leader_that_dies_asleep_is_replaced_as_soon_as_any() {
    let late: Vec<u64> = (0..10).filter(|seed| !simulate(*seed, || is_replaced(*seed))).collect();
    // The defect on purpose must show, or this test would prove nothing.
    assert_eq!(!late.is_empty(), canary::sings(Canary::SleepsThroughDeath), "nobody leads: {late:?}");
}

#[test]
fn a_dead_followers_node_keeps_nobody_awake_and_wakes_its_leader_when_it_comes_back() {
    for seed in 0..4 {
        simulate(seed, || async {
            let mut cluster = begin(Some(AFTER)).await;
            let before = leading(&cluster).unwrap();
            let dead = if before.0 == 3 { 2 } else { 3 };
            let disk = cluster.crash(dead);
            env::clock::sleep(AFTER * 3).await;
            assert!(!cluster.stores[&before.0].group().is_asleep(), "nobody says that it is dead");
            cluster
                .stores
                .values()
                .for_each(|store| store.host.note_living([(dead, false)].into_iter(), false));
            asleep(&cluster).await;
            cluster.put("b", "2").await;
            asleep(&cluster).await;
            cluster.open_at(dead, 2, &address(dead), disk).await;
            env::clock::sleep(Duration::from_secs(8)).await;
            assert_eq!(leading(&cluster), Some(before), "nobody had to be elected");
            cluster.stores.values().for_each(|store| store.host.note_living(std::iter::empty(), false));
            assert_eq!(cluster.settle().await.len(), 2, "it has caught up");
            asleep(&cluster).await;
        });
    }
}

#[test]
fn who_asks_a_follower_whose_leader_is_gone_wakes_it() {
    simulate(9, || async {
        let mut cluster = sleeping_cluster().await;
        let (id, _) = leading(&cluster).unwrap();
        let follower = cluster.stores[&(id % 3 + 1)].group();
        follower.note_asked();
        assert!(follower.is_asleep(), "its leader lives");
        cluster.crash(id);
        env::clock::sleep(Duration::from_millis(1_600)).await;
        follower.note_asked();
        assert!(!follower.is_asleep());
    });
}

/// A follower's process begins anew, while all sleep.
async fn restart_a_follower(seed: u64, generation: u64) {
    let mut cluster = sleeping_cluster().await;
    let before = leading(&cluster).unwrap();
    let follower = if before.0 == 3 { 2 } else { 3 };
    env::clock::sleep(Duration::from_millis(seed * 137)).await;
    let disk = cluster.crash(follower);
    env::clock::sleep(Duration::from_millis(seed * 400)).await;
    cluster.open_at(follower, generation, &address(follower), disk).await;
    env::clock::sleep(Duration::from_secs(8)).await;
    assert_eq!(leading(&cluster), Some(before), "nobody had to be elected");
    asleep(&cluster).await;
    assert_eq!(leading(&cluster), Some(before));
    cluster.put("b", "2").await;
    assert_eq!(cluster.settle().await.len(), 2);
}

#[test]
fn a_follower_that_begins_anew_finds_its_leader() {
    for seed in 0..6 {
        simulate(seed, || restart_a_follower(seed, 1));
        simulate(seed, || restart_a_follower(seed, 2));
    }
}

#[test]
fn a_leader_that_begins_anew_wakes_the_others() {
    for seed in 0..6 {
        simulate(seed, || async {
            let mut cluster = sleeping_cluster().await;
            let (id, term) = leading(&cluster).unwrap();
            let disk = cluster.crash(id);
            // Too short for its silence to be noticed.
            env::clock::sleep(Duration::from_millis(seed * 50)).await;
            cluster.open_at(id, 2, &address(id), disk).await;
            let begun = env::clock::now();
            while leading(&cluster).is_none_or(|(_, now)| now <= term) {
                env::clock::sleep(Duration::from_millis(10)).await;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
            cluster.put("b", "2").await;
            asleep(&cluster).await;
            assert_eq!(cluster.settle().await.len(), 2);
        });
    }
}

#[test]
fn a_follower_that_cannot_be_reached_by_its_leader_does_not_unseat_it() {
    simulate(5, || async {
        let cluster = sleeping_cluster().await;
        let before = leading(&cluster).unwrap();
        let follower = if before.0 == 3 { 2 } else { 3 };
        cluster.network.cut_both(&address(before.0), &address(follower));
        env::clock::sleep(Duration::from_secs(20)).await;
        assert_eq!(leading(&cluster), Some(before));
        cluster.network.heal_all();
        cluster.put("b", "2").await;
        asleep(&cluster).await;
        assert_eq!(cluster.settle().await.len(), 2);
    });
}

#[test]
fn of_many_that_begin_anew_only_some_may_campaign_at_a_time_and_those_that_are_asked() {
    simulate(3, || async {
        let mut cluster = begin(Some(AFTER)).await;
        begin_many(&cluster).await;
        asleep(&cluster).await;
        let before = cluster.stores[&1].host.groups().len();
        let disk = cluster.crash(2);
        cluster.open_at(2, 2, &address(2), disk).await;
        let last = cluster.stores[&2].host.group(100 + MANY - 1).unwrap();
        let turns = || {
            let groups = cluster.stores[&2].host.groups();
            groups.iter().filter(|group| group.has_turn.load(Ordering::Relaxed)).count()
        };
        assert_eq!(turns(), 0);
        last.note_asked();
        assert_eq!(turns(), 1);
        while turns() == 1 {
            env::clock::sleep(Duration::from_millis(10)).await;
        }
        assert!(turns() < before, "{} of {before}", turns());
        env::clock::sleep(Duration::from_secs(1)).await;
        assert_eq!(turns(), before);
        asleep(&cluster).await;
        let kept = cluster.stores[&1].host.groups().iter().filter(|group| group.role().is_leader).count();
        assert_eq!(kept, before, "nobody had to be elected");
    });
}

/// Cuts a leader asleep off, has the others elect another one and commit, and asks the old one; whether it answers as a leader.
async fn ask_a_leader_that_slept() -> bool {
    let cluster = sleeping_cluster().await;
    let (id, term) = leading(&cluster).unwrap();
    let others: Vec<u64> = cluster.stores.keys().copied().filter(|other| *other != id).collect();
    for other in &others {
        cluster.network.cut_both(&address(id), &address(*other));
    }
    while leading(&cluster).is_none_or(|(_, now)| now <= term) {
        env::clock::sleep(Duration::from_millis(10)).await;
    }
    let (newer, _) = leading(&cluster).unwrap();
    cluster.stores[&newer].group().propose(Bytes::from_static(b"a=new")).await.unwrap();
    let old = cluster.stores[&id].group();
    let answers = old.lease_valid(term);
    if !answers {
        assert!(old.read_index().await.is_err());
    }
    cluster.network.heal_all();
    assert_eq!(cluster.settle().await["a"], "new");
    asleep(&cluster).await;
    answers
}

#[test]
fn a_leader_that_slept_answers_nothing_before_it_has_proven_that_it_leads() {
    let stale: Vec<u64> = (0..5).filter(|seed| simulate(*seed, ask_a_leader_that_slept)).collect();
    // The defect on purpose must show, or this test would prove nothing.
    assert_eq!(
        !stale.is_empty(),
        canary::sings(Canary::SleepsWithLease),
        "two leaders could answer: {stale:?}"
    );
}

/// Waits until another one leads than in `term`; its store.
async fn deposed(cluster: &TestCluster, term: u64) -> u64 {
    loop {
        match leading(cluster) {
            Some((id, newer)) if newer > term => return id,
            _ => env::clock::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[test]
fn a_leader_that_slept_out_of_reach_hears_of_the_next_one_though_that_one_sleeps() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = sleeping_cluster().await;
            // So that none of the stores takes another for one that has begun anew.
            for to in [1, 2, 3] {
                let (id, _) = leading(&cluster).unwrap();
                cluster.stores[&id].group().transfer_leader(to).await.unwrap();
                asleep(&cluster).await;
            }
            let (id, term) = leading(&cluster).unwrap();
            let others: Vec<u64> = cluster.stores.keys().copied().filter(|other| *other != id).collect();
            others.iter().for_each(|other| cluster.network.cut_both(&address(id), &address(*other)));
            let newer = deposed(&cluster, term).await;
            cluster.stores[&newer].group().propose(Bytes::from_static(b"b=2")).await.unwrap();
            others
                .iter()
                .for_each(|other| cluster.stores[other].host.note_living([(id, false)].into_iter(), false));
            let falling = async {
                while !all_sleep(&cluster) {
                    env::clock::sleep(Duration::from_millis(50)).await;
                }
            };
            env::clock::timeout(AFTER * 8, falling).await.expect("nobody waits for who is silent");
            assert!(cluster.stores[&id].group().role().is_leader, "it knows nothing of that");
            cluster.network.heal_all();
            env::clock::sleep(Duration::from_secs(4)).await;
            assert!(!cluster.stores[&id].group().role().is_leader);
            others.iter().for_each(|other| cluster.stores[other].host.note_living(std::iter::empty(), false));
            assert_eq!(cluster.settle().await.len(), 2, "it has caught up");
            asleep(&cluster).await;
        });
    }
}

#[test]
fn a_leader_that_is_heard_and_hears_nobody_is_replaced() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = sleeping_cluster().await;
            let (id, term) = leading(&cluster).unwrap();
            for other in [1, 2, 3].into_iter().filter(|other| *other != id) {
                cluster.network.cut(&address(other), &address(id));
            }
            let replaced = env::clock::timeout(Duration::from_secs(6), deposed(&cluster, term)).await;
            assert_ne!(replaced.expect("nobody can reach the one who leads"), id);
            cluster.network.heal_all();
            cluster.put("b", "2").await;
            assert_eq!(cluster.settle().await.len(), 2);
            asleep(&cluster).await;
        });
    }
}

/// Who asks for it to be awake, and then does what says so to nobody, as a change of replicas, finds it awake still.
#[test]
fn who_rouses_a_group_uses_it() {
    simulate(6, || async {
        let cluster = begin(Some(AFTER)).await;
        let group = cluster.stores[&leading(&cluster).unwrap().0].group();
        for _ in 0..40 {
            group.rouse().await;
            env::clock::sleep(AFTER / 4).await;
            assert!(!group.is_asleep());
        }
        asleep(&cluster).await;
    });
}

#[test]
fn leadership_is_handed_over_out_of_sleep() {
    simulate(6, || async {
        let cluster = sleeping_cluster().await;
        let (id, _) = leading(&cluster).unwrap();
        let group = cluster.stores[&id].group();
        assert_eq!(group.near().len(), 3);
        group.wake();
        assert_eq!(group.near().len(), 3, "it has heard nobody since");
        asleep(&cluster).await;
        let to = if id == 3 { 2 } else { 3 };
        group.transfer_leader(to).await.unwrap();
        assert_eq!(cluster.leader().await.id, to);
        asleep(&cluster).await;
        cluster.stores[&to].group().set_draining(true);
        env::clock::sleep(AFTER * 3).await;
        assert!(!cluster.stores[&to].group().is_asleep(), "who leaves does not sleep");
        assert_ne!(cluster.stores[&to].group().hand_over().await.unwrap(), to);
        cluster.stores[&to].group().set_draining(false);
        asleep(&cluster).await;
    });
}

#[test]
fn a_lone_replica_sleeps_by_itself_and_keeps_its_lease() {
    simulate(7, || async {
        let network = SimulatedNetwork::new(Faults::none());
        let cluster = TestCluster::start_sleeping(1, network, 64 << 20, Some(AFTER)).await;
        asleep(&cluster).await;
        let group = cluster.stores[&1].group();
        let term = group.role().term;
        assert!(group.lease_valid(term) && group.is_asleep());
        group.propose_in(term, Bytes::from_static(b"a=1")).await.unwrap();
        assert!(!group.is_asleep());
        asleep(&cluster).await;
        assert_eq!(cluster.stores[&1].content()["a"], "1");
    });
}

#[test]
fn whoever_speaks_for_another_has_nobody_sleep() {
    simulate(8, || async {
        let cluster = begin(Some(Duration::from_secs(3600))).await;
        let (id, term) = leading(&cluster).unwrap();
        let others: Vec<u64> = [1, 2, 3].into_iter().filter(|other| *other != id).collect();
        let (follower, third) = (others[0], others[1]);
        let group = cluster.stores[&follower].group();
        let last = cluster.settle().await.len() as u64;
        assert_eq!(last, 1);
        let point = group.applied_point().unwrap();
        let target = |from: u64| v1::RaftTarget {
            cluster_id: Bytes::from_static(b"cluster of tests"),
            node_id: follower,
            generation: 1,
            from_node_id: from,
            from_generation: 1,
            ..v1::RaftTarget::default()
        };
        let asked = v1::RaftSleep {
            range_id: RANGE,
            replica_id: follower,
            from_replica_id: id,
            term,
            last_log_id: Some(v1::RaftLogId { term: point.term, index: point.index }),
        };
        let host = &cluster.stores[&follower].host;
        let ask = |from: u64, asked: v1::RaftSleep| {
            host.on_sleep(&v1::RaftSleepRequest {
                target: Some(target(from)),
                epoch: 7,
                asked: vec![asked],
                woken: vec![],
                unheard: false,
            })
        };
        let older = v1::RaftLogId { term: point.term, index: point.index - 1 };
        for (from, wrong) in [
            (third, asked),
            (third, v1::RaftSleep { from_replica_id: third, ..asked }),
            (id, v1::RaftSleep { term: term + 1, ..asked }),
            (id, v1::RaftSleep { replica_id: id, ..asked }),
            (id, v1::RaftSleep { range_id: RANGE + 1, ..asked }),
            (id, v1::RaftSleep { last_log_id: Some(older), ..asked }),
            (id, v1::RaftSleep { last_log_id: None, ..asked }),
        ] {
            assert_eq!(ask(from, wrong).unwrap().asleep, [0; 0], "{wrong:?}");
            assert!(!group.is_asleep());
        }
        assert!(host.on_sleep(&v1::RaftSleepRequest::default()).is_err());
        // Its leader is up: it hears of it soon.
        assert_eq!(ask(id, asked).unwrap().asleep, [RANGE]);
        assert!(group.is_asleep());
        let wake = |from| v1::RaftSleepRequest {
            target: Some(target(from)),
            epoch: 7,
            asked: vec![],
            woken: vec![RANGE],
            unheard: false,
        };
        host.on_sleep(&wake(third)).unwrap();
        assert!(group.is_asleep(), "it does not sleep on that word");
        env::clock::sleep(Duration::from_secs(2)).await;
        assert!(!group.is_asleep());
        assert_eq!(leading(&cluster), Some((id, term)));
    });
}

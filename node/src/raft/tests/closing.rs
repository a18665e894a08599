//! Groups whose instance is closed, for they have slept for long: whoever uses one finds it as it was, and nothing is lost by it.

use super::sleeps::{AFTER, asleep, begin, closed, is_closed, leading};
use super::*;

/// Three stores with a voter each, asleep and closed.
async fn closed_cluster() -> TestCluster {
    let cluster = begin(Some(AFTER)).await;
    closed(&cluster).await;
    cluster
}

/// How many snapshots, and starts after an error, the stores have seen.
fn replaced(cluster: &TestCluster) -> u64 {
    cluster.stores.values().map(|store| store.apply.installed.load(Ordering::Relaxed)).sum()
}

#[test]
fn whoever_uses_it_finds_it_as_it_was_and_it_is_closed_again() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = closed_cluster().await;
            let before = leading(&cluster).unwrap();
            let (id, term) = before;
            let (group, replaced_before) = (cluster.stores[&id].group(), replaced(&cluster));
            for round in 0..8 {
                let written = cluster.stores[&id].host.log_appended();
                let began = env::clock::now();
                match round % 4 {
                    0 => assert_eq!(group.read_index().await.unwrap(), term),
                    1 => group.rouse().await,
                    2 => {
                        let command = Bytes::from(format!("key {round}=value"));
                        assert_eq!(group.propose_in(term, command).await.unwrap().term, term);
                    }
                    // The others first, of whom their leader does not know.
                    _ => {
                        let others = cluster.stores.values().filter(|store| store.id != id);
                        others.for_each(|store| store.group().wake());
                    }
                }
                assert!(began.elapsed() < Duration::from_millis(200), "{round}: {:?}", began.elapsed());
                if round % 4 != 2 {
                    assert_eq!(
                        cluster.stores[&id].host.log_appended(),
                        written,
                        "{round}: nothing is written"
                    );
                }
                assert!(
                    round % 4 == 3 || group.holds_lease(term),
                    "{round}: what wakes it gives the lease back"
                );
                env::clock::sleep(Duration::from_secs(4)).await;
                assert!(cluster.stores.values().all(|store| !store.group().is_asleep()), "{round}");
                closed(&cluster).await;
                assert_eq!(leading(&cluster), Some(before), "{round}: nobody had to be elected");
            }
            assert_eq!(cluster.settle().await.len(), 3);
            assert_eq!(replaced(&cluster), replaced_before, "nobody was sent a snapshot");
        });
    }
}

#[test]
fn who_only_looks_is_answered_from_what_was_known() {
    simulate(1, || async {
        let cluster = begin(Some(AFTER)).await;
        asleep(&cluster).await;
        let look = |cluster: &TestCluster| {
            let look = |store: &TestStore| {
                let group = store.group();
                (
                    (group.role(), group.membership(), group.membership_point()),
                    (group.applied_point(), group.log_bytes(), group.progress().len(), group.near()),
                    store.host.held(RANGE),
                )
            };
            cluster.stores.values().map(look).collect::<Vec<_>>()
        };
        let known = look(&cluster);
        closed(&cluster).await;
        assert_eq!(look(&cluster), known);
        assert!(cluster.stores.values().all(is_closed), "which opens nothing");
        assert!(cluster.stores.values().all(|store| store.host.failures().is_empty()));
    });
}

#[test]
fn a_lone_replica_is_closed_and_leads_again() {
    simulate(2, || async {
        let network = SimulatedNetwork::new(Faults::none());
        let cluster = TestCluster::start_sleeping(1, network, 64 << 20, Some(AFTER)).await;
        closed(&cluster).await;
        let group = cluster.stores[&1].group();
        let term = group.role().term;
        assert!(group.role().is_leader && !group.holds_lease(term));
        group.propose_in(term, Bytes::from_static(b"a=1")).await.unwrap();
        assert!(group.holds_lease(term));
        closed(&cluster).await;
        assert_eq!(group.read_index().await.unwrap(), term);
        assert_eq!(cluster.stores[&1].content()["a"], "1");
    });
}

/// Many use it just as it is closed, or opened, or closed again.
#[test]
fn who_comes_as_it_is_closed_is_served() {
    for seed in 0..6 {
        simulate(seed, || async {
            let cluster = begin(Some(AFTER)).await;
            let before = leading(&cluster).unwrap();
            let (id, term) = before;
            let group = cluster.stores[&id].group();
            for round in 0..12 {
                asleep(&cluster).await;
                let pause = CLOSE_AFTER - Duration::from_millis(50);
                env::clock::sleep(pause + Duration::from_micros(env::random::below(700_000))).await;
                let ask = |n: u64| {
                    let (group, store) = (group.clone(), cluster.stores[&(1 + n % 3)].group());
                    env::task::spawn(async move {
                        env::clock::sleep(Duration::from_micros(env::random::below(5_000))).await;
                        match n % 4 {
                            0 => {
                                let command = Bytes::from(format!("{round} {n}=x"));
                                group.propose_in(term, command).await.map(drop).unwrap();
                            }
                            1 => assert_eq!(group.read_index().await.unwrap(), term),
                            2 => store.wake(),
                            // Who goes away while it waits.
                            _ => {
                                let patience = Duration::from_micros(env::random::below(1_000));
                                let _ = env::clock::timeout(patience, store.instance.open()).await;
                            }
                        }
                    })
                };
                for asked in (0..1 + env::random::below(12)).map(ask).collect::<Vec<_>>() {
                    asked.await.unwrap();
                }
                assert_eq!(leading(&cluster), Some(before), "round {round}");
            }
            let content = cluster.settle().await;
            assert!(content.len() > 1, "{}", content.len());
            closed(&cluster).await;
        });
    }
}

/// Whether a leader that dies while all are closed is replaced within three seconds.
async fn is_replaced(seed: u64) -> bool {
    let mut cluster = closed_cluster().await;
    let (id, term) = leading(&cluster).unwrap();
    env::clock::sleep(Duration::from_millis(seed * 137)).await;
    let disk = cluster.crash(id);
    let died = env::clock::now();
    while leading(&cluster).is_none_or(|(_, now)| now <= term) {
        if died.elapsed() > Duration::from_secs(3) {
            return false;
        }
        env::clock::sleep(Duration::from_millis(10)).await;
    }
    cluster.put("b", "2").await;
    cluster.open_at(id, 2, &address(id), disk).await;
    assert_eq!(cluster.settle().await.len(), 2);
    closed(&cluster).await;
    true
}

#[test]
fn a_leader_that_dies_closed_is_replaced_as_soon_as_any() {
    let late: Vec<u64> = (0..10).filter(|seed| !simulate(*seed, || is_replaced(*seed))).collect();
    assert_eq!(late, [0; 0], "nobody leads");
}

#[test]
fn stores_that_die_with_their_groups_closed_have_lost_nothing() {
    for seed in 0..8 {
        simulate(seed, || async {
            let mut cluster = begin(Some(AFTER)).await;
            for n in 0..20 {
                cluster.put(&format!("key {n}"), "value").await;
            }
            closed(&cluster).await;
            let victims: &[u64] = if seed % 2 == 0 { &[1, 2, 3] } else { &[2] };
            let disks: Vec<_> = victims.iter().map(|id| (*id, cluster.crash(*id))).collect();
            for (id, disk) in disks {
                cluster.open_at(id, 2, &address(id), disk).await;
            }
            cluster.put("b", "2").await;
            assert_eq!(cluster.settle().await.len(), 22);
            closed(&cluster).await;
        });
    }
}

/// A leader that was cut off while all were closed, and was deposed, begins again as a leader in its store's memory alone.
#[test]
fn a_leader_deposed_while_it_was_closed_answers_nothing() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = closed_cluster().await;
            let (id, term) = leading(&cluster).unwrap();
            let others: Vec<u64> = cluster.stores.keys().copied().filter(|other| *other != id).collect();
            others.iter().for_each(|other| cluster.network.cut_both(&address(id), &address(*other)));
            while leading(&cluster).is_none_or(|(_, now)| now <= term) {
                env::clock::sleep(Duration::from_millis(10)).await;
            }
            let (newer, _) = leading(&cluster).unwrap();
            cluster.stores[&newer].group().propose(Bytes::from_static(b"a=new")).await.unwrap();
            let old = cluster.stores[&id].group();
            assert!(!old.lease_valid(term) && old.role().is_leader, "it knows nothing of that");
            assert!(old.read_index().await.is_err() && !old.holds_lease(term));
            let lost = old.clone();
            let proposed =
                env::task::spawn(async move { lost.propose_in(term, Bytes::from_static(b"a=lost")).await });
            env::clock::sleep(Duration::from_millis(seed * 300)).await;
            cluster.network.heal_all();
            assert!(proposed.await.unwrap().is_err());
            assert_eq!(cluster.settle().await["a"], "new");
            closed(&cluster).await;
        });
    }
}

#[test]
fn replicas_change_and_leadership_moves_out_of_closed_groups() {
    for seed in 0..3 {
        simulate(seed, || async {
            let mut cluster = closed_cluster().await;
            let (id, _) = leading(&cluster).unwrap();
            let to = if id == 3 { 2 } else { 3 };
            cluster.stores[&id].group().transfer_leader(to).await.unwrap();
            assert_eq!(cluster.leader().await.id, to);
            closed(&cluster).await;
            cluster.open(4, MemoryDisk::new()).await;
            let leader = cluster.stores[&to].group();
            let known = leader.add_learner(4, Store { node_id: 4 }, leader.membership_point()).await.unwrap();
            leader.wait_caught_up(4).await.unwrap();
            let left: Vec<u64> = [1, 2, 3, 4].into_iter().filter(|other| *other != id).collect();
            leader.change_voters(left, Some(known)).await.unwrap();
            cluster.stores[&id].host.remove(RANGE, id).await.unwrap();
            assert_eq!(cluster.stores[&id].host.sleepers.closed(), 0);
            cluster.crash(id);
            closed(&cluster).await;
            cluster.put("b", "2").await;
            assert_eq!(cluster.settle().await.len(), 2);
        });
    }
}

#[test]
fn a_closed_replica_is_removed_and_a_store_of_closed_groups_ends() {
    simulate(3, || async {
        let cluster = closed_cluster().await;
        let (id, _) = leading(&cluster).unwrap();
        let gone = if id == 3 { 2 } else { 3 };
        let store = &cluster.stores[&gone];
        let (group, mut role) = (store.group(), store.group().watch());
        store.host.remove(RANGE, gone).await.unwrap();
        assert!(group.instance.has_ended() && group.instance.open().await.is_err());
        role.wait_for(|role| role.leader.is_none()).await.unwrap();
        assert!(store.content().is_empty());
        let leader = cluster.stores[&id].group();
        cluster.stores[&id].host.shutdown().await;
        assert!(leader.instance.has_ended() && leader.instance.open().await.is_err());
        assert!(matches!(leader.propose(Bytes::from_static(b"b=2")).await, Err(ProposeError::Fatal(_))));
    });
}

#[test]
fn a_range_is_divided_out_of_closed_groups() {
    simulate(4, || async {
        let cluster = closed_cluster().await;
        let (id, term) = leading(&cluster).unwrap();
        cluster.stores[&id].group().propose_in(term, Bytes::from_static(b"split>8:11:12:13")).await.unwrap();
        closed(&cluster).await;
        for store in cluster.stores.values() {
            assert_eq!((store.content_of(8).len(), store.host.groups().len()), (1, 2));
        }
        let child = |store: &TestStore| store.host.group(8).filter(|group| group.role().is_leader);
        let child = cluster.stores.values().find_map(child).unwrap();
        child.propose(Bytes::from_static(b"b=2")).await.unwrap();
        closed(&cluster).await;
        cluster.stores.values().for_each(|store| assert_eq!(store.content_of(8).len(), 2));
    });
}

/// What lies in the log for closed groups goes as others write; and though their state was not flushed as they were closed, what is
/// applied and on no disk does not.
#[test]
fn the_log_of_closed_groups_is_kept_short_and_nothing_goes_that_is_not_flushed() {
    for seed in 0..3 {
        simulate(seed, || async {
            let network = SimulatedNetwork::new(Faults::none());
            let mut cluster = TestCluster::start_sleeping(3, network, 256 << 10, Some(AFTER)).await;
            cluster.replicate().await;
            for n in 0..10 {
                cluster.put(&format!("key {n}"), &"x".repeat(2000)).await;
            }
            closed(&cluster).await;
            let (id, term) = leading(&cluster).unwrap();
            let replaced_before = replaced(&cluster);
            // What was opened again knows as well what is flushed.
            cluster.stores[&id].group().rouse().await;
            closed(&cluster).await;
            // Another range, on all stores, of which each is the only replica.
            for store in cluster.stores.values() {
                let seed = GroupSeed { range_id: 100 + store.id, replica_id: 1 };
                let other = store.host.create(seed).await.unwrap();
                for n in 0..200 {
                    let command = Bytes::from(format!("{}={}", n % 10, "x".repeat(4000)));
                    other.propose(command).await.unwrap();
                }
            }
            env::clock::sleep(Duration::from_secs(2)).await;
            for store in cluster.stores.values() {
                let (group, segments) = (store.group(), store.host.log.segments());
                assert!(segments[0].number > 1, "store {}: no segment was freed", store.id);
                let (purged, last) = group.log.bounds();
                assert!(store.id != id || purged < last, "a leader keeps an entry");
            }
            if seed == 2 {
                let disks: Vec<_> = [1, 2, 3].map(|id| (id, cluster.crash(id))).into();
                for (id, disk) in disks {
                    cluster.open_at(id, 2, &address(id), disk).await;
                }
            } else {
                let proposed = cluster.stores[&id].group().propose_in(term, Bytes::from_static(b"b=2")).await;
                assert_eq!(proposed.unwrap().term, term);
                assert_eq!(
                    replaced(&cluster),
                    replaced_before + 3,
                    "beside the other ranges nobody began anew"
                );
            }
            cluster.put("b", "3").await;
            assert_eq!(cluster.settle().await.len(), 11);
        });
    }
}

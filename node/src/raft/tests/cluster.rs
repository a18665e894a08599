//! Groups that work: commit, growth, transfer, group commit.

use super::*;

#[test]
fn a_single_replica_commits_and_applies() {
    simulate(1, || async {
        let cluster = TestCluster::start(1).await;
        let group = cluster.stores[&1].group();
        let role = group.role();
        assert!(role.is_leader);
        assert!(group.lease_valid(role.term));
        let proposed = group.propose_in(role.term, Bytes::from_static(b"a=1")).await.unwrap();
        assert_eq!(proposed.term, role.term);
        assert_eq!(proposed.reply, "a=1");
        assert_eq!(group.applied_index(), proposed.index);
        group.read_index().await.unwrap();
        assert_eq!(cluster.stores[&1].content()["a"], "1");
    });
}

#[test]
fn a_command_of_another_term_is_refused() {
    simulate(1, || async {
        let cluster = TestCluster::start(1).await;
        let group = cluster.stores[&1].group();
        let term = group.role().term;
        let refused = group.propose_in(term - 1, Bytes::from_static(b"a=1")).await;
        assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");
        assert!(cluster.stores[&1].content().is_empty());
    });
}

#[test]
fn a_group_grows_to_three_and_replicates() {
    simulate(2, || async {
        let cluster = TestCluster::start(3).await;
        cluster.put("before", "1").await;
        cluster.replicate().await;
        let membership = cluster.stores[&1].group().membership();
        assert_eq!(membership.replicas().filter(|replica| replica.voter).count(), 3);
        assert!(!membership.is_joint());
        for n in 0..100 {
            cluster.put(&format!("key {n}"), "value").await;
        }
        assert_eq!(cluster.settle().await.len(), 101);
        assert_eq!(cluster.stores[&2].apply.added.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn proposals_at_once_share_syncs() {
    simulate(3, || async {
        let cluster = TestCluster::start(1).await;
        let store = &cluster.stores[&1];
        let before = store.host.log_syncs();
        let group = store.group();
        let puts = (0..200).map(|n| {
            let group = group.clone();
            env::task::spawn(
                async move { group.propose(Bytes::from(format!("key {n}=value"))).await.unwrap() },
            )
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
        let syncs = store.host.log_syncs() - before;
        assert!(syncs <= 5, "{syncs} syncs for 200 proposals made at once");
    });
}

#[test]
fn a_commit_takes_one_message_to_each_follower_and_one_back() {
    simulate(3, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "0").await;
        let group = cluster.leader().await.group();
        let (commits, before) = (300, cluster.network.counts().messages);
        for n in 0..commits {
            group.propose(Bytes::from(format!("key {n}=value"))).await.unwrap();
        }
        let messages = cluster.network.counts().messages - before;
        let followers = 2;
        // What is left are heartbeats.
        assert!(messages * 10 <= commits * followers * 22, "{messages} messages for {commits} commits");
        // The last one is told without another that would say it, too.
        let index = group.applied_index();
        for store in cluster.stores.values() {
            let group = store.group();
            let applied = env::clock::timeout(Duration::from_millis(100), group.wait_applied(index)).await;
            applied.expect("in time").unwrap();
        }
    });
}

#[test]
fn a_commit_writes_its_effect_and_how_far_it_was_applied() {
    simulate(3, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "0").await;
        cluster.settle().await;
        let rows = |store: &TestStore| {
            let row = |key: &[u8]| store.db.get(key).unwrap().unwrap();
            (row(&state_key(RANGE)), row(&apply::replica_key(RANGE)))
        };
        for store in cluster.stores.values() {
            let (sequence, (_, replica)) = (store.db.sequence(), rows(store));
            for _ in 0..10 {
                cluster.put("a", "1").await;
                cluster.settle().await;
            }
            assert_eq!(store.db.sequence() - sequence, 20, "two entries each");
            let (applied, unchanged) = rows(store);
            assert!(applied.len() <= 16, "{} bytes", applied.len());
            assert_eq!(unchanged, replica);
        }
        let leader = cluster.leader().await;
        let gone = if leader.id == 3 { 2 } else { 3 };
        let (group, before) = (leader.group(), rows(leader).1);
        let left = [1, 2, 3].into_iter().filter(|id| *id != gone).collect();
        group.change_voters(left, group.membership_point()).await.unwrap();
        assert_ne!(rows(leader).1, before, "it changes with the membership");
    });
}

#[test]
fn whatever_becomes_of_a_proposal_it_is_settled_once() {
    simulate(3, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "0").await;
        let leader = cluster.leader().await;
        let (id, group, term) = (leader.id, leader.group(), leader.group().role().term);
        let settled = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let propose = |group: &Arc<Group>, term: u64, n: u64| {
            let (group, settled) = (group.clone(), settled.clone());
            async move {
                let settle = move |outcome: Result<Proposed, ProposeError>| {
                    let what = match outcome {
                        Ok(_) => "applied",
                        Err(ProposeError::NotLeader { .. }) => "not leader",
                        Err(ProposeError::Ambiguous) => "ambiguous",
                        Err(ProposeError::Fatal(_)) => "fatal",
                    };
                    settled.lock().push((n, what));
                };
                // Nobody waits any more once it is proposed.
                group.propose_with(Some(term), Bytes::from(format!("key {n}=value")), settle).await.unwrap();
            }
        };
        let until = |count: usize| {
            let settled = settled.clone();
            async move {
                while settled.lock().len() < count {
                    env::clock::sleep(Duration::from_millis(1)).await;
                }
            }
        };
        propose(&group, term, 1).await;
        until(1).await;
        propose(&group, term - 1, 2).await;
        let follower = cluster.stores.values().find(|store| store.id != id).unwrap();
        propose(&follower.group(), term, 3).await;
        until(3).await;
        for store in cluster.stores.values().filter(|store| store.id != id) {
            cluster.network.cut_both(&address(id), &address(store.id));
        }
        propose(&group, term, 4).await;
        while !cluster.stores.values().any(|store| store.id != id && store.group().role().is_leader) {
            env::clock::sleep(Duration::from_millis(1)).await;
        }
        cluster.network.heal_all();
        until(4).await;
        let leader = cluster.leader().await;
        let (term, group) = (leader.group().role().term, leader.group());
        for store in cluster.stores.values().filter(|store| store.id != leader.id) {
            cluster.network.cut_both(&address(leader.id), &address(store.id));
        }
        propose(&group, term, 5).await;
        env::clock::sleep(Duration::from_millis(20)).await;
        leader.host.shutdown().await;
        until(5).await;
        env::clock::sleep(Duration::from_secs(5)).await;
        let expected = [(1, "applied"), (2, "not leader"), (3, "not leader"), (4, "ambiguous"), (5, "fatal")];
        assert_eq!(*settled.lock(), expected);
        assert_eq!(cluster.stores[&id].content()["key 1"], "value");
    });
}

#[test]
fn leadership_is_transferred_and_the_lease_ends_before() {
    simulate(4, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        let old = cluster.leader().await.group();
        let term = old.role().term;
        let to = if old.replica_id() == 2 { 3 } else { 2 };
        let target = cluster.stores[&to].group();
        let transfer = env::task::spawn({
            let old = old.clone();
            async move { old.transfer_leader(to).await }
        });
        while !target.role().is_leader {
            env::clock::sleep(Duration::from_micros(100)).await;
            assert!(!(target.role().is_leader && old.lease_valid(term)));
        }
        transfer.await.unwrap().unwrap();
        assert!(!old.lease_valid(term));
        assert_eq!(cluster.leader().await.id, to);
        cluster.put("b", "2").await;
        assert_eq!(cluster.settle().await.len(), 2);
    });
}

#[test]
fn a_transfer_to_a_replica_that_is_down_leaves_a_working_leader() {
    simulate(5, || async {
        let mut cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        let leader = cluster.leader().await.id;
        let to = if leader == 2 { 3 } else { 2 };
        cluster.crash(to);
        cluster.put("b", "2").await;
        env::clock::sleep(Duration::from_secs(1)).await;
        let refused = cluster.stores[&leader].group().transfer_leader(to).await;
        assert!(matches!(refused, Err(ChangeError::Refused(_))), "{refused:?}");
        cluster.put("c", "3").await;
        assert_eq!(cluster.leader().await.content().len(), 3);
    });
}

#[test]
fn messages_for_others_are_refused() {
    simulate(6, || async {
        let cluster = TestCluster::replicated(2).await;
        let host = &cluster.stores[&2].host;
        let target = v1::RaftTarget {
            cluster_id: Bytes::from_static(b"cluster of tests"),
            range_id: RANGE,
            replica_id: 2,
            from_replica_id: 1,
            node_id: 2,
            generation: 1,
            from_node_id: 1,
            from_generation: 1,
        };
        let other_store = v1::RaftTarget { node_id: 3, ..target.clone() };
        let later_process = v1::RaftTarget { generation: 2, ..target.clone() };
        let nobody = v1::RaftTarget { from_node_id: 77, ..target.clone() };
        let vote = v1::RaftVoteRequest {
            vote: Some(v1::RaftVote { term: 99, replica_id: 1, committed: false }),
            ..Default::default()
        };
        let ask = |target| host.on_vote(v1::RaftVoteRequest { target, ..vote.clone() });
        let other_cluster = v1::RaftTarget { cluster_id: Bytes::from_static(b"other"), ..target.clone() };
        assert_eq!(ask(Some(other_cluster)).await.unwrap_err().code(), proto::Code::PermissionDenied);
        let other_replica = v1::RaftTarget { replica_id: 3, ..target.clone() };
        assert_eq!(ask(Some(other_replica)).await.unwrap_err().code(), proto::Code::NotFound);
        let other_range = v1::RaftTarget { range_id: 99, ..target.clone() };
        assert_eq!(ask(Some(other_range)).await.unwrap_err().code(), proto::Code::NotFound);
        for stray in [other_store, later_process] {
            assert_eq!(ask(Some(stray)).await.unwrap_err().code(), proto::Code::FailedPrecondition);
        }
        assert_eq!(ask(Some(nobody)).await.unwrap_err().code(), proto::Code::Unavailable);
        assert_eq!(ask(None).await.unwrap_err().code(), proto::Code::InvalidArgument);
        let empty = v1::RaftVoteRequest { target: Some(target), ..Default::default() };
        assert_eq!(host.on_vote(empty).await.unwrap_err().code(), proto::Code::InvalidArgument);
        assert!(host.group(99).is_none());
    });
}

#[test]
fn a_removal_that_comes_late_leaves_the_next_replica_alone() {
    simulate(8, || async {
        let cluster = TestCluster::start(2).await;
        let host = &cluster.stores[&2].host;
        host.add_empty(RANGE, 2).await.unwrap();
        host.remove(RANGE, 2).await.unwrap();
        host.add_empty(RANGE, 3).await.unwrap();
        host.remove(RANGE, 2).await.unwrap();
        assert_eq!(host.group(RANGE).map(|group| group.replica_id()), Some(3));
    });
}

#[test]
fn a_removed_replica_never_comes_back_under_its_id() {
    simulate(7, || async {
        let mut cluster = TestCluster::replicated(3).await;
        cluster.put("a", "1").await;
        cluster.settle().await;
        let gone = if cluster.leader().await.id == 2 { 3 } else { 2 };
        let voters: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != gone).collect();
        let leader = cluster.leader().await.group();
        leader.change_voters(voters, leader.membership_point()).await.unwrap();
        cluster.stores[&gone].host.remove(RANGE, gone).await.unwrap();
        assert!(cluster.stores[&gone].content().is_empty());
        let again = cluster.stores[&gone].host.add_empty(RANGE, gone).await;
        assert!(matches!(again, Err(RaftError::Removed { .. })), "{again:?}");
        cluster.restart(gone).await;
        assert!(cluster.stores[&gone].host.group(RANGE).is_none());
        assert!(cluster.stores[&gone].content().is_empty());
        let again = cluster.stores[&gone].host.add_empty(RANGE, gone).await;
        assert!(matches!(again, Err(RaftError::Removed { .. })), "{again:?}");
        let store = Store { node_id: gone };
        let leader = cluster.leader().await.group();
        leader.add_learner(10, store, leader.membership_point()).await.unwrap();
        leader.wait_caught_up(10).await.unwrap();
        assert_eq!(cluster.stores[&gone].group().replica_id(), 10);
        assert_eq!(cluster.settle().await.len(), 1);
    });
}

/// A busy minute: what was delivered when, and what came of it.
fn trace(seed: u64) -> (u64, u64) {
    simulate(seed, || async {
        let mut cluster = TestCluster::start_with(3, Faults::some(), 256 << 10).await;
        cluster.replicate().await;
        for round in 0..3 {
            for n in 0..30 {
                cluster.put(&format!("key {n}"), &"x".repeat(3000 + round)).await;
            }
            cluster.restart(1 + env::random::below(3)).await;
        }
        cluster.settle().await;
        let counts = cluster.network.counts();
        (counts.trace, counts.messages)
    })
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..2 {
        assert_eq!(trace(seed), trace(seed));
    }
}

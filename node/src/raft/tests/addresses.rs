//! Stores that change their addresses, and what comes to the wrong one.

use super::*;

/// As if the stores had changed their addresses in the meantime: this is what a store knows of them wrongly.
fn mistake(cluster: &TestCluster, store: u64, one: u64, other: u64) {
    let known = &cluster.stores[&store].host.addresses;
    known.take(&at(one, 2, &address(other)));
    known.take(&at(other, 2, &address(one)));
}

fn correct(cluster: &TestCluster, store: u64, one: u64, other: u64) {
    let known = &cluster.stores[&store].host.addresses;
    known.take(&at(one, 3, &address(one)));
    known.take(&at(other, 3, &address(other)));
    // The generations above were made up for the book's sake; the processes must be as new.
    for id in [one, other] {
        cluster.stores[&id].host.addresses.set_own(id, 3);
    }
}

#[test]
fn what_comes_to_the_wrong_store_destroys_nothing() {
    simulate(3, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("key", "before").await;
        cluster.settle().await;
        let leader = cluster.leader().await.id;
        let (one, other) = match leader {
            1 => (2, 3),
            2 => (1, 3),
            _ => (1, 2),
        };
        mistake(&cluster, leader, one, other);
        env::clock::sleep(Duration::from_secs(10)).await;
        for id in [one, other] {
            assert_eq!(cluster.stores[&id].group().replica_id(), id, "each still holds its own replica");
            assert_eq!(cluster.stores[&id].content().len(), 1, "and its data");
        }
        correct(&cluster, leader, one, other);
        cluster.put("key", "after").await;
        assert_eq!(cluster.settle().await["key"], "after");
    });
}

#[test]
fn a_store_that_has_moved_is_found_where_it_is_known_to_be_now() {
    simulate(4, || async {
        let mut cluster = TestCluster::replicated(3).await;
        cluster.put("key", "before").await;
        let moved = cluster.leader().await.id % 3 + 1;
        let disk = cluster.crash(moved);
        cluster.open_at(moved, 2, "elsewhere:1", disk).await;
        for store in cluster.stores.values() {
            store.host.addresses.take(&at(moved, 2, "elsewhere:1"));
        }
        cluster.put("key", "after").await;
        assert_eq!(cluster.settle().await["key"], "after");
    });
}

#[test]
fn a_made_up_term_or_leader_is_not_believed() {
    simulate(5, || async {
        let cluster = TestCluster::replicated(3).await;
        cluster.put("key", "value").await;
        let leader = cluster.leader().await;
        let (follower, term) = (&cluster.stores[&(leader.id % 3 + 1)], leader.group().role().term);
        let third = 6 - leader.id - follower.id;
        let target = v1::RaftTarget {
            cluster_id: follower.host.cluster_id.clone(),
            range_id: RANGE,
            replica_id: follower.id,
            from_replica_id: third,
            node_id: follower.id,
            generation: 1,
            from_node_id: third,
            from_generation: 1,
        };
        let vote = |term| v1::RaftVoteRequest {
            target: Some(target.clone()),
            vote: Some(v1::RaftVote { term, replica_id: third, committed: false }),
            last_log_id: Some(v1::RaftLogId { term, index: u64::MAX }),
            pre_vote: false,
            leadership_transfer: true,
        };
        for absurd in [u64::MAX, u64::MAX - 1, 1 << 40] {
            assert!(follower.host.on_vote(vote(absurd)).await.is_err());
        }
        let append = v1::RaftAppendRequest {
            target: Some(target.clone()),
            vote: Some(v1::RaftVote { term: term + 1, replica_id: third, committed: true }),
            ..v1::RaftAppendRequest::default()
        };
        let mut answers = follower.host.on_append(Box::pin(futures::stream::iter([append]))).await.unwrap();
        let answer = futures::StreamExt::next(&mut answers).await.unwrap();
        assert_eq!(answer.unwrap_err().code(), proto::Code::PermissionDenied);
        assert_eq!(follower.group().role().term, term);
        assert_eq!(follower.group().role().leader.unwrap().replica_id, leader.id);
    });
}

#[test]
fn a_vote_that_somebody_gets_in_the_leaders_name_does_not_confuse_it() {
    for seed in 0..4 {
        simulate(seed, || async {
            let cluster = TestCluster::replicated(3).await;
            cluster.put("key", "value").await;
            let leader = cluster.leader().await;
            let (follower, term) = (&cluster.stores[&(leader.id % 3 + 1)], leader.group().role().term);
            let made_up = v1::RaftVoteRequest {
                target: Some(v1::RaftTarget {
                    cluster_id: follower.host.cluster_id.clone(),
                    range_id: RANGE,
                    replica_id: follower.id,
                    from_replica_id: leader.id,
                    node_id: follower.id,
                    generation: 1,
                    from_node_id: leader.id,
                    from_generation: 1,
                }),
                vote: Some(v1::RaftVote { term: term + 1, replica_id: leader.id, committed: false }),
                last_log_id: Some(v1::RaftLogId { term, index: 1 << 20 }),
                pre_vote: false,
                leadership_transfer: true,
            };
            assert!(follower.host.on_vote(made_up).await.unwrap().granted);
            cluster.put("key", "after").await;
            let all = cluster.settle().await;
            assert_eq!(all["key"], "after");
            assert!(cluster.leader().await.group().role().term > term);
        });
    }
}

//! Leaders and replicas moved about by an operator: no statement fails, and each call may be made again.

use std::cell::Cell;
use std::time::Duration;

use client::{Client, TransactionOptions};
use env::clock;
use nunatak_tests::processes::{Cluster, await_ready, installed, psql, run};
use nunatak_tests::simulation::{Quiet, quiet_over};
use proto::v1::{
    AddReplicaRequest, DecommissionRequest, DirectoryRequest, DrainRequest, MoveReplicaRequest, NodeState,
    RangeDescriptor, RemoveReplicaRequest, TransferLeaderRequest,
};
use serde_json::Value;

/// How long a statement may take while a leader is handed over.
const STATEMENT_MAX: Duration = Duration::from_millis(300);

/// The slowest of what was done meanwhile, and how much that was.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    count: u32,
    slowest: Duration,
}

/// Increments counters of several ranges in one transaction, until it is told to stop.
async fn write(client: &Client, stop: &Cell<bool>) -> Done {
    let keys = [&b"account/"[..], b"list/a", b"transfer/"].map(|name| keys::sql::kv_key(1, name));
    let mut done = Done::default();
    while !stop.get() {
        let began = clock::now();
        let mut transaction = client.begin(TransactionOptions::default());
        for key in &keys {
            let value = transaction.get(key.clone()).await.expect("a read");
            let value = value.map_or(0, |value| u32::from_be_bytes(value.as_ref().try_into().unwrap()));
            transaction.put(key.clone(), (value + 1).to_be_bytes().to_vec().into());
        }
        transaction.commit().await.expect("a commit");
        done = Done { count: done.count + 1, slowest: done.slowest.max(began.elapsed()) };
        clock::sleep(Duration::from_millis(3)).await;
    }
    done
}

/// The same by SQL.
async fn write_sql(session: &tokio_postgres::Client, stop: &Cell<bool>) -> Done {
    let mut done = Done::default();
    while !stop.get() {
        let began = clock::now();
        session.batch_execute("UPDATE counter SET n = n + 1 WHERE id = 1").await.expect("an update");
        session.simple_query("SELECT n FROM counter").await.expect("a read");
        done = Done { count: done.count + 1, slowest: done.slowest.max(began.elapsed()) };
        clock::sleep(Duration::from_millis(3)).await;
    }
    done
}

/// Does `work` while others write; what they have done.
async fn while_others_write(cluster: &Quiet, work: impl Future<Output = ()>) -> [Done; 2] {
    let stop = Cell::new(false);
    let work = async {
        work.await;
        stop.set(true);
    };
    let (keys, rows, ()) =
        futures::join!(write(&cluster.client, &stop), write_sql(&cluster.session, &stop), work);
    [keys, rows]
}

async fn ranges(cluster: &Quiet) -> Vec<RangeDescriptor> {
    cluster.node(1).directory(DirectoryRequest::default()).await.expect("the directory").ranges
}

async fn make_table(cluster: &Quiet) {
    let script = "CREATE TABLE counter (id int PRIMARY KEY, n int); INSERT INTO counter VALUES (1, 0)";
    cluster.session.batch_execute(script).await.expect("a table");
}

#[test]
fn nodes_that_drain_one_after_the_other_fail_no_statement() {
    quiet_over("borders", async |cluster| {
        make_table(cluster).await;
        let drains = async {
            for node_id in [1, 2, 3, 1] {
                for already in [false, true] {
                    let drain = DrainRequest { node_id, ..DrainRequest::default() };
                    assert_eq!(cluster.node(2).drain(drain).await.expect("a drain").already, already);
                }
                let began = clock::now();
                while ranges(cluster).await.iter().any(|range| range.leader_node_id == node_id) {
                    assert!(began.elapsed() < Duration::from_secs(5), "node {node_id} leads still");
                    clock::sleep(Duration::from_millis(20)).await;
                }
                clock::sleep(Duration::from_secs(3)).await;
                let led =
                    ranges(cluster).await.iter().filter(|range| range.leader_node_id == node_id).count();
                assert_eq!(led, 0, "it takes nothing new");
                let end = DrainRequest { node_id, cancel: true, passed_on: false };
                let answer = cluster.node(3).drain(end).await.expect("its end");
                assert_eq!(answer.node.map(|node| node.state()), Some(NodeState::Serving));
                // It may be led there again once it has heard of that.
                clock::sleep(Duration::from_secs(2)).await;
            }
        };
        for done in while_others_write(cluster, drains).await {
            assert!(done.count > 300 && done.slowest <= STATEMENT_MAX, "{done:?}");
        }
    });
}

#[test]
fn leaders_that_an_operator_moves_fail_no_statement() {
    quiet_over("borders", async |cluster| {
        make_table(cluster).await;
        let transfers = async {
            for turn in 0..4 {
                for range in ranges(cluster).await {
                    let node_id = 1 + (range.leader_node_id + turn % 2) % 3;
                    let request = TransferLeaderRequest { range_id: range.range_id, node_id };
                    for already in [false, true] {
                        let answer = cluster.node(1 + turn as u32 % 3).transfer_leader(request).await;
                        let answer = answer.expect("a transfer");
                        assert_eq!(answer.range.map(|range| range.leader_node_id), Some(node_id));
                        assert_eq!(answer.already, already);
                    }
                }
            }
        };
        for done in while_others_write(cluster, transfers).await {
            assert!(done.count > 10 && done.slowest <= STATEMENT_MAX, "{done:?}");
        }
    });
}

/// `nunatak admin` over a cluster of processes, in JSON.
fn admin(cluster: &Cluster, arguments: &[&str]) -> Result<Value, String> {
    let host = &cluster.addresses[0];
    let answer = run(&[&["admin"], arguments, &["--host", host, "--format", "json"]].concat())?;
    serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))
}

fn holders(answer: &Value) -> Vec<u64> {
    let replicas = answer["range"]["replicas"].as_array().expect("replicas");
    let mut nodes: Vec<u64> =
        replicas.iter().map(|replica| replica["node_id"].as_u64().expect("a node")).collect();
    nodes.sort_unstable();
    nodes
}

#[test]
fn an_operator_moves_a_cluster_of_processes_about() {
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(folder.path(), 4, 0);
    let ranges =
        run(&["admin", "ranges", "--host", &cluster.addresses[0], "--format", "json"]).expect("ranges");
    let ranges: Value = serde_json::from_str(&ranges).expect("JSON");
    let range =
        ranges.as_array().expect("a list").iter().find(|range| range["range_id"] == 2).expect("the data");
    let held: Vec<u64> = range["replicas"]
        .as_array()
        .expect("replicas")
        .iter()
        .filter_map(|r| r["node_id"].as_u64())
        .collect();
    let spare = (1..=4).find(|node| !held.contains(node)).expect("a node without");
    let (leader, spare) =
        (range["leader_node_id"].as_u64().expect("a leader").to_string(), spare.to_string());
    // The leader's own replica moves: it hands over first.
    for (time, already) in [(0, false), (1, true)] {
        let moved = admin(&cluster, &["move", "2", &leader, &spare]).expect("a move");
        assert_eq!(moved["already"], already, "{time}: {moved}");
        assert_eq!(holders(&moved).len(), 3);
        assert!(!holders(&moved).iter().any(|node| node.to_string() == leader), "{moved}");
    }
    for already in [false, true] {
        let led = admin(&cluster, &["transfer-leader", "2", &spare]).expect("a transfer");
        assert_eq!(
            (&led["already"], &led["range"]["leader_node_id"]),
            (&already.into(), &spare.parse::<u64>().unwrap().into())
        );
    }
    for already in [false, true] {
        let added = admin(&cluster, &["add-replica", "2", &leader]).expect("one more");
        assert_eq!((added["already"].as_bool(), holders(&added)), (Some(already), vec![1, 2, 3, 4]));
    }
    for already in [false, true] {
        let removed = admin(&cluster, &["remove-replica", "2", &spare]).expect("one less");
        assert_eq!((removed["already"].as_bool(), holders(&removed).len()), (Some(already), 3));
    }
    for (wrong, said) in [
        (&["transfer-leader", "9", "1"][..], "no range 9"),
        (&["transfer-leader", "2", "9"], "no node 9"),
        (&["transfer-leader", "2", &spare], "add-replica 2"),
        (&["add-replica", "2", "9"], "no node 9"),
        (&["move", "2", &spare, "9"], "no node 9"),
        (&["drain", "9"], "no node 9"),
        (&["decommission", "9"], "no node 9"),
    ] {
        let refused = admin(&cluster, wrong).expect_err("it cannot be");
        assert!(refused.contains(said), "{wrong:?}: {refused}");
    }
    let emptied = admin(&cluster, &["decommission", "3"]).expect("an empty node");
    assert_eq!(
        (&emptied["node"]["state"], &emptied["node"]["replicas"]),
        (&"decommissioned".into(), &0.into())
    );
    let refused = admin(&cluster, &["decommission", "2"]).expect_err("three are needed");
    assert!(refused.contains("2 other nodes would be left"), "{refused}");
    let refused = admin(&cluster, &["add-replica", "2", "3"]).expect_err("it takes nothing");
    assert!(refused.contains("recommission 3"), "{refused}");
    assert_eq!(admin(&cluster, &["recommission", "3"]).expect("a node")["node"]["state"], "live");
    assert_eq!(admin(&cluster, &["drain", "3"]).expect("a drain")["node"]["leaders"], 0);
    // Another node than the root range's leader hears of it with its next heartbeat.
    await_ready("the news", &cluster.nodes[0], || {
        admin(&cluster, &["nodes"]).is_ok_and(|nodes| nodes[2]["state"] == "draining")
    });
    assert_eq!(admin(&cluster, &["drain", "3", "--cancel"]).expect("its end")["node"]["state"], "live");
    cluster.check_consistency().expect("replicas that are alike");
}

#[test]
fn what_is_so_is_left_and_what_cannot_be_is_refused() {
    quiet_over("calm", async |cluster| {
        let range = ranges(cluster).await.into_iter().find(|range| range.range_id == 2).expect("the data");
        let leader = range.leader_node_id;
        let [one, other] = [1 + leader % 3, 1 + (leader + 1) % 3];
        let node = cluster.node(leader as u32);
        let added =
            node.add_replica(AddReplicaRequest { range_id: 2, node_id: one }).await.expect("it is there");
        assert!(added.already);
        let removed = RemoveReplicaRequest { range_id: 2, node_id: 9 };
        assert!(node.remove_replica(removed).await.is_err(), "there is no such node");
        let moved = MoveReplicaRequest { range_id: 2, from_node_id: other, to_node_id: one };
        assert!(node.move_replica(moved).await.is_err(), "the other is there already");
        let removed = RemoveReplicaRequest { range_id: 2, node_id: other };
        let removed = node.remove_replica(removed).await.expect("one goes");
        assert!(!removed.already && removed.range.is_some_and(|range| range.replicas.len() == 2));
        let needed = DecommissionRequest { node_id: one, ..DecommissionRequest::default() };
        assert!(
            node.decommission(needed).await.is_err(),
            "ranges have three replicas, and there are three nodes"
        );
    });
}

/// Whichever node or gateway is asked, and whichever node leads.
#[test]
fn what_is_asked_most_is_told_by_everybody() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(folder.path(), 3, 1);
    let sql = &cluster.gateways[0].address;
    let ask = |text: &str| psql(sql, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    ask(
        "create table t (a int primary key, n int); insert into t select a, 0 from generate_series(1, 100) a",
    );
    ask("alter table t split at values (50)");
    // The root range's keys are the last ones.
    let behind = "select range_id from nunatak.ranges where end_key is not null and start_key <> 'r'";
    let hot = ask(&format!("{behind} order by start_key desc limit 1"));
    let told_by = |host: &str| {
        let answer =
            run(&["admin", "ranges", "--by-load", "--host", host, "--format", "json"]).expect("ranges");
        let ranges: Value = serde_json::from_str(&answer).expect("JSON");
        let first = &ranges.as_array().expect("a list")[0];
        (first["range_id"].to_string(), first["requests_per_second"].as_u64(), first["bytes"].as_u64())
    };
    let updates = "begin; update t set n = n + 1 where a = 99; commit;".repeat(50);
    await_ready("a hot range", &cluster.nodes[0], || {
        ask(&updates);
        cluster.addresses.iter().all(|host| {
            let (range, rate, bytes) = told_by(host);
            range == hot && rate.is_some_and(|rate| rate > 0) && bytes.is_some()
        })
    });
    let first = "select range_id from nunatak.ranges order by requests_per_second desc nulls last limit 1";
    assert_eq!(ask(first), hot);
}

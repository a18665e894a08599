//! A cluster that has lost the majority of its nodes for good goes on with what one store has.

use std::path::Path;

use nunatak_tests::processes::{Cluster, Process, await_ready, free_address, psql, run};
use serde_json::Value;

fn json(arguments: &[&str]) -> Result<Value, String> {
    let answer = run(&[arguments, &["--format", "json"]].concat())?;
    serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))
}

/// The ids of the nodes, in the order of their places.
fn node_ids(cluster: &Cluster) -> Vec<u64> {
    let nodes = json(&["admin", "nodes", "--host", &cluster.addresses[0]]).expect("the nodes");
    let nodes = nodes.as_array().expect("a list").clone();
    let id_of = |address: &String| {
        let node = nodes.iter().find(|node| node["address"] == address.as_str()).expect("the node");
        node["node_id"].as_u64().expect("its id")
    };
    cluster.addresses.iter().map(id_of).collect()
}

fn one_more(folder: &Path, name: &str, join: &str) -> Process {
    let (data, listen, http) = (folder.join(name), free_address(), free_address());
    let data = data.to_str().expect("a UTF-8 path");
    let arguments = ["node", "--data", data, "--listen", &listen, "--join", join, "--http", &http];
    Process::start(&arguments, &folder.join(format!("{name}.log")))
}

#[test]
fn one_store_of_three_goes_on_and_the_lost_ones_stay_away() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 1);
    let sql = |cluster: &Cluster, script: &str| psql(&cluster.gateways[0].address, script);
    sql(&cluster, "create table t (a int primary key); insert into t select generate_series(1, 1000)")
        .expect("a table");
    let ids = node_ids(&cluster);
    let (lost, data) = (format!("{},{}", ids[1], ids[2]), folder.path().join("node0"));
    let data = data.to_str().expect("a UTF-8 path");
    let recover = ["admin", "unsafe-recover", "--data", data, "--lost", &lost];
    cluster.nodes[1].kill();
    cluster.nodes[2].kill();
    let refused = json(&[&recover[..], &["--yes"]].concat()).expect_err("the node runs");
    assert!(refused.contains("in use"), "{refused}");
    cluster.nodes[0].kill();
    let refused = run(&recover).expect_err("nobody has confirmed it");
    assert!(refused.contains("Given up for good") && refused.contains("nothing was done"), "{refused}");
    let own = format!("{}", ids[0]);
    let refused = run(&["admin", "unsafe-recover", "--data", data, "--lost", &own, "--yes"]);
    assert!(refused.expect_err("it is here").contains("said to be lost"));
    for recovered in [2, 0] {
        let answer = json(&[&recover[..], &["--yes"]].concat()).expect("what it came to");
        assert!(answer["recovered"].as_u64().is_some_and(|count| count.min(2) == recovered), "{answer}");
    }
    cluster.nodes[0].restart();
    await_ready("SQL", &cluster.nodes[0], || {
        sql(&cluster, "select count(*) from t").is_ok_and(|count| count == "1000")
    });
    sql(&cluster, "insert into t values (1001)").expect("an insert");
    await_ready("a leader of every range", &cluster.nodes[0], || {
        run(&["admin", "check-coverage", "--host", &cluster.addresses[0]]).is_ok()
    });
    // A store that was given up finds that out, and its process ends.
    cluster.nodes[1].restart();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !cluster.nodes[1].has_ended() {
        assert!(std::time::Instant::now() < deadline, "it goes on: {}", cluster.nodes[1].log());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(cluster.nodes[1].log().contains("given up"), "{}", cluster.nodes[1].log());
    let _more = ["node3", "node4"].map(|name| one_more(folder.path(), name, &cluster.addresses[0]));
    await_ready("three replicas of every range", &cluster.nodes[0], || {
        let ranges = cluster.ranges();
        !ranges.is_empty() && ranges.iter().all(|range| range.voters == 3)
    });
    cluster.check_consistency().expect("replicas that are alike");
    assert_eq!(sql(&cluster, "select count(*) from t").expect("an answer"), "1001");
}

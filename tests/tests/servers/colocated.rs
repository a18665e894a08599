//! `nunatak node --sql`: nodes that are gateways, too, as real processes.

use std::path::Path;
use std::time::Duration;

use nunatak_tests::ledger::{self, Ledger};
use nunatak_tests::processes::{Cluster, await_ready, connect, installed, psql};

/// Writes must go on within this time after a node was killed or asked to end.
const FAILOVER_MAX: Duration = Duration::from_secs(5);

/// Established TCP connections of which this loopback port is one end.
fn connections(port: &str) -> usize {
    const ESTABLISHED: &str = "01";
    let port = format!(":{:04X}", port.parse::<u16>().expect("a port"));
    let table = std::fs::read_to_string(Path::new("/proc/net/tcp")).expect("the connections");
    let is_one = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let ends: Vec<_> = fields.by_ref().take(2).collect();
        ends.iter().any(|end| end.ends_with(&port)) && fields.next() == Some(ESTABLISHED)
    };
    table.lines().filter(is_one).count()
}

#[test]
fn requests_to_the_own_ranges_touch_no_socket() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start_with_sql(folder.path(), 1);
    let (sql, node) = (&cluster.sql[0], &cluster.addresses[0]);
    psql(sql, "create table t (a int primary key, b int)").expect("a table");
    for number in 0..50 {
        psql(sql, &format!("insert into t values ({number}, 1)")).expect("a row");
        psql(sql, &format!("update t set b = b + 1 where a = {number}")).expect("a change");
    }
    assert_eq!(psql(sql, "select count(*), sum(b) from t"), Ok("50|100".to_owned()));
    let port = node.rsplit_once(':').expect("host:port").1;
    assert_eq!(connections(port), 0, "nobody is connected to the node's port");
}

#[test]
fn clients_are_served_at_any_node_and_lose_nothing_when_one_is_killed_or_ends() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start_with_sql(folder.path(), 3);
    let addresses = cluster.sql.clone();
    for statement in ledger::TABLES.split_inclusive(';') {
        psql(&addresses[0], statement).expect("the ledger's tables");
    }
    for address in &addresses {
        assert_eq!(psql(address, "select 1"), Ok("1".to_owned()), "SQL on {address}");
    }
    let load = Ledger::start(&addresses, 6).expect("the load");
    load.await_progress(FAILOVER_MAX).expect("the load begins");

    let killed = cluster.leader();
    cluster.nodes[killed].kill();
    load.await_progress(FAILOVER_MAX).expect("writes go on through the other nodes");
    cluster.nodes[killed].restart();
    // The next one can only hand over to who is there, and has what it has missed.
    let back = &cluster.nodes[killed];
    await_ready("the node", back, || psql(&addresses[killed], "select 1").is_ok());
    std::thread::sleep(Duration::from_secs(3));

    let ended = cluster.leader();
    assert_eq!(cluster.nodes[ended].terminate(), Some(0), "{}", cluster.nodes[ended].log());
    load.await_progress(FAILOVER_MAX).expect("writes go on through the other nodes");
    cluster.nodes[ended].restart();
    load.await_progress(FAILOVER_MAX).expect("writes go on");

    let report = load.stop();
    assert!(report.acknowledged.len() > 100, "a load that hardly ran shows nothing");
    ledger::audit(&addresses[killed], &report).expect("the audit");
    println!("{}", cluster.check_consistency().expect("the replicas agree"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_ends_lets_its_clients_finish_before_it_hands_over() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start_with_sql(folder.path(), 1);
    psql(&cluster.sql[0], "create table t (a int primary key)").expect("a table");
    let session = connect(&cluster.sql[0]).await;
    session.batch_execute("begin; insert into t values (1)").await.expect("an open block");
    let mut node = cluster.nodes.remove(0);
    let ending = tokio::task::spawn_blocking(move || (node.terminate(), node));
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.batch_execute("insert into t values (2)").await.expect("the node still answers");
    session.batch_execute("commit").await.expect("the block is let finish");
    let (status, mut node) = ending.await.expect("the end");
    assert_eq!(status, Some(0), "{}", node.log());
    node.restart();
    let address = cluster.sql[0].clone();
    await_ready("the node", &node, || psql(&address, "select 1").is_ok());
    assert_eq!(psql(&address, "select count(*) from t"), Ok("2".to_owned()));
}

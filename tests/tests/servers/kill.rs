//! `kill -9` of leaders, of everything at once, and of a gateway in the middle of a transaction.

use std::time::{Duration, Instant};

use nunatak_tests::ledger::{self, Ledger};
use nunatak_tests::processes::{Cluster, connect, installed, psql, start_single};

/// Writes must go on within this time after a leader was killed.
const FAILOVER_MAX: Duration = Duration::from_secs(5);

fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

fn make_tables(address: &str) {
    for statement in ledger::TABLES.split_inclusive(';') {
        psql(address, statement).expect("the ledger's tables");
    }
}

#[test]
fn killing_the_leader_five_times_loses_nothing_acknowledged() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 2);
    let addresses: Vec<_> = cluster.gateways.iter().map(|gateway| gateway.address.clone()).collect();
    make_tables(&addresses[0]);
    let load = Ledger::start(&addresses, 8).expect("the load");
    load.await_progress(FAILOVER_MAX).expect("the load begins");
    for time in 1..=5 {
        let leader = cluster.leader();
        cluster.nodes[leader].kill();
        let failover = load.await_progress(FAILOVER_MAX).expect("writes go on");
        println!(
            "kill {time}: node {leader}, writes went on after {failover:?}, {} so far",
            load.acknowledged()
        );
        pause(Duration::from_secs(5));
        cluster.nodes[leader].restart();
        pause(Duration::from_secs(4));
    }
    let report = load.stop();
    println!("{} acknowledged, {} refused", report.acknowledged.len(), report.refused);
    assert!(report.acknowledged.len() > 500, "a load that hardly ran shows nothing");
    ledger::audit(&addresses[1], &report).expect("the audit");
    println!("{}", cluster.check_consistency().expect("the replicas agree"));
}

#[test]
fn killing_everything_at_once_loses_nothing_acknowledged() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 2);
    let addresses: Vec<_> = cluster.gateways.iter().map(|gateway| gateway.address.clone()).collect();
    make_tables(&addresses[0]);
    let load = Ledger::start(&addresses, 8).expect("the load");
    load.await_progress(FAILOVER_MAX).expect("the load begins");
    pause(Duration::from_secs(3));
    for node in &mut cluster.nodes {
        node.kill();
    }
    for gateway in &mut cluster.gateways {
        gateway.process.kill();
    }
    let report = load.stop();
    assert!(report.acknowledged.len() > 100, "a load that hardly ran shows nothing");
    for node in &mut cluster.nodes {
        node.restart();
    }
    for gateway in &mut cluster.gateways {
        gateway.process.restart();
        gateway.await_sql();
    }
    ledger::audit(&addresses[0], &report).expect("the audit");
    println!("{}", cluster.check_consistency().expect("the replicas agree"));
}

#[test]
fn a_single_node_keeps_what_it_acknowledged() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut single = start_single(folder.path());
    make_tables(&single.address);
    let mut acknowledged = std::collections::BTreeSet::new();
    for round in 0..2 {
        let load = Ledger::start(std::slice::from_ref(&single.address), 8).expect("the load");
        load.await_progress(FAILOVER_MAX).expect("the load begins");
        pause(Duration::from_secs(2));
        single.process.kill();
        let report = load.stop();
        assert!(report.acknowledged.len() > 100, "a load that hardly ran shows nothing");
        single.process.restart();
        single.await_sql();
        ledger::audit(&single.address, &report).expect("the audit");
        acknowledged.extend(report.acknowledged);
        let move_away = format!(
            "update ledger_history set number = -1 - number - {round} * 1000000000::bigint where number >= 0"
        );
        psql(&single.address, &move_away).expect("room for the next round's numbers");
    }
    assert_eq!(single.process.terminate(), Some(0), "SIGTERM drains and exits 0");
}

#[test]
fn a_killed_gateway_leaves_no_lock_behind() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 2);
    let (first, second) = (cluster.gateways[0].address.clone(), cluster.gateways[1].address.clone());
    psql(&first, "create table t (k int primary key, v int)").expect("a table");
    psql(&first, "insert into t values (1, 0)").expect("a row");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let holder = runtime.block_on(async {
        let client = connect(&first).await;
        client.batch_execute("begin; update t set v = 1 where k = 1").await.expect("the lock");
        client
    });
    cluster.gateways[0].process.kill();
    let begun = Instant::now();
    let updated = psql(&second, "update t set v = 2 where k = 1 returning v");
    println!("the lock of the killed gateway was gone after {:?}", begun.elapsed());
    assert_eq!(updated.as_deref(), Ok("2"));
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "a lock outlived its gateway by {:?}",
        begun.elapsed()
    );
    drop(holder);
}

//! PostgreSQL's own pgbench, unmodified, against one node and against three with two gateways.
//!
//! Whatever way the tables were filled and the statements were sent: no transaction fails, and afterwards the four
//! sums agree. `NUNATAK_PGBENCH_SECONDS` sets how long each run takes.
//!
//! Asked for thrice as much as it can do, a node does about as much as ever, and no transaction takes longer inside.

use nunatak_tests::processes::{Cluster, installed, pgbench, psql, start_single};

fn seconds() -> String {
    std::env::var("NUNATAK_PGBENCH_SECONDS").unwrap_or_else(|_| "2".to_owned())
}

fn assert_sums_agree(address: &str) {
    let sums = psql(
        address,
        "select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches),
                (select sum(tbalance) from pgbench_tellers), (select coalesce(sum(delta), 0) from pgbench_history)",
    )
    .expect("the sums");
    let sums: Vec<_> = sums.split('|').collect();
    assert!(sums.len() == 4 && sums.iter().all(|sum| *sum == sums[0] && !sum.is_empty()), "{sums:?}");
}

fn run_all_modes(addresses: &[&str]) {
    let seconds = seconds();
    for initialise in [&["-i", "-s", "1", "-q"][..], &["-i", "-I", "dtGvp", "-s", "1", "-q"][..]] {
        pgbench(addresses[0], initialise).expect("pgbench -i");
        let accounts = psql(addresses[0], "select count(*), min(aid), max(aid) from pgbench_accounts");
        assert_eq!(accounts.as_deref(), Ok("100000|1|100000"));
    }
    for mode in ["simple", "extended", "prepared"] {
        for script in [&[][..], &["-S"][..]] {
            for address in addresses {
                let mut arguments = vec!["-n", "-M", mode, "-c", "8", "-j", "2", "-T", &seconds];
                arguments.extend(script);
                let printed = pgbench(address, &arguments).expect("pgbench");
                assert!(printed.contains("number of failed transactions: 0 "), "{printed}");
                assert!(!printed.contains("number of transactions actually processed: 0"), "{printed}");
            }
        }
        assert_sums_agree(addresses[0]);
    }
    let deltas = psql(addresses[0], "select count(*) > 0 from pgbench_history");
    assert_eq!(deltas.as_deref(), Ok("t"), "TPC-B left a history");
}

#[test]
fn one_node_serves_pgbench_without_a_failed_transaction() {
    if !installed("pgbench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let single = start_single(folder.path());
    run_all_modes(&[&single.address]);
}

#[test]
fn three_nodes_serve_pgbench_through_two_gateways() {
    if !installed("pgbench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(folder.path(), 3, 2);
    run_all_modes(&[&cluster.gateways[0].address, &cluster.gateways[1].address]);
    cluster.check_consistency().expect("the replicas agree");
}

/// The number behind these words.
fn figure(printed: &str, words: &str) -> f64 {
    let rest = printed.split_once(words).unwrap_or_else(|| panic!("no '{words}' in {printed}")).1;
    let number = rest.split_whitespace().next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number behind '{words}' in {printed}"))
}

#[test]
fn who_is_asked_for_thrice_as_much_does_as_much_as_ever() {
    if !installed("pgbench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let single = start_single(folder.path());
    pgbench(&single.address, &["-i", "-s", "1", "-q"]).expect("pgbench -i");
    let seconds = seconds();
    // Within two seconds much is chance.
    let part = if seconds.parse::<u32>().expect("seconds") >= 10 { 0.8 } else { 0.5 };
    let load = ["-n", "-M", "prepared", "-c", "200", "-j", "2", "-T", &seconds];
    for script in ["-S", "-N"] {
        let peak = pgbench(&single.address, &[&load[..], &[script][..]].concat()).expect("pgbench");
        let (most, usual) = (figure(&peak, "tps = "), figure(&peak, "latency average = "));
        let rate = format!("{:.0}", most * 3.0);
        let asked = [&load[..], &[script, "-R", &rate, "-L", "1000"][..]].concat();
        let over = pgbench(&single.address, &asked).expect("pgbench");
        assert!(over.contains("number of failed transactions: 0 "), "{over}");
        let done = figure(&over, "tps = ");
        assert!(done >= most * part, "{done} instead of {most} transactions a second: {over}");
        // What is late before it is sent is pgbench's own.
        let took = figure(&over, "latency average = ") - figure(&over, "rate limit schedule lag: avg ");
        assert!(took <= usual * 2.0 + 50.0, "{took} ms instead of {usual} ms: {over}");
    }
}

//! Garbage goes, in the real binary: rows that are updated again and again, dropped tables, what an operator may set.
//!
//! `NUNATAK_GARBAGE_MINUTES` plays the long form: hot updates (or with `NUNATAK_GARBAGE_WORKLOAD=tpcb` pgbench's TPC-B at
//! scale 5) with a history of 30 s, and prints a line per minute; `NUNATAK_GARBAGE_SVG` names the file of its plot.

use std::path::Path;
use std::time::{Duration, Instant};

use nunatak_tests::plot::{Panel, svg};
use nunatak_tests::processes::{Cluster, Listener, installed, pgbench, psql, run, start_single_with};

/// Small memtables and a short log, so that seconds show what hours would.
const SMALL: [&str; 4] = ["--memtable-bytes", "1000000", "--raft-log-bytes", "2000000"];

/// How long the short form updates.
const SECONDS: u64 = 12;

fn forgetful(folder: &Path, history: &str, sizes: &[&str]) -> Listener {
    start_single_with(folder, &[&["--short-history", "--history", history], sizes].concat())
}

/// Bytes of all files below a directory.
fn directory_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        // Gone meanwhile.
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

/// How long a statement takes, in ms, the best of five.
fn best_ms(address: &str, statement: &str) -> f64 {
    let times = (0..5).map(|_| {
        let lines = psql(address, &format!("EXPLAIN ANALYZE {statement}")).expect("a plan");
        let time =
            lines.lines().find_map(|line| line.trim().strip_prefix("Execution Time: ")?.strip_suffix(" ms"));
        time.expect("its time").parse::<f64>().expect("a number")
    });
    times.fold(f64::MAX, f64::min)
}

fn await_within(seconds: u64, what: &str, server: &Listener, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}, after {seconds} s:\n{}", server.process.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn make_hot(address: &str) {
    psql(address, "CREATE TABLE hot (id int PRIMARY KEY, n bigint, pad text)").expect("a table");
    psql(address, "INSERT INTO hot SELECT g, 0, repeat('x', 50) FROM generate_series(1, 1000) g")
        .expect("rows");
}

#[test]
fn hot_updates_end_with_a_directory_that_stops_growing_and_scans_as_fast_as_at_first() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let server = forgetful(folder.path(), "2s", &SMALL);
    make_hot(&server.address);
    let scan = "SELECT sum(n) FROM hot";
    let first_ms = best_ms(&server.address, scan);
    let (begun, mut sizes, mut rounds) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        psql(&server.address, "UPDATE hot SET n = n + 1").expect("an update");
        rounds += 1;
        sizes.push(directory_bytes(&data));
    }
    let third = sizes.len() / 3;
    let most = |sizes: &[u64]| sizes.iter().copied().max().unwrap_or(0);
    let (middle, last) = (most(&sizes[third..2 * third]), most(&sizes[2 * third..]));
    println!("{rounds} updates of 1000 rows; at most {middle} bytes, then {last}");
    assert!(last < middle * 5 / 4 + 1_000_000, "it still grows: {sizes:?}");
    assert_eq!(psql(&server.address, scan), Ok((rounds * 1000).to_string()));

    await_within(60, "a scan is slow", &server, || {
        let now_ms = best_ms(&server.address, scan);
        println!("a scan takes {now_ms:.2} ms, at first {first_ms:.2}");
        now_ms < first_ms * 2.0 + 1.0
    });
    psql(&server.address, "DELETE FROM hot").expect("a deletion");
    await_within(60, "a scan of nothing is slow", &server, || {
        best_ms(&server.address, "SELECT count(*) FROM hot") < first_ms / 2.0 + 0.5
    });
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[test]
fn what_was_dropped_or_truncated_gives_its_room_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let mut server = forgetful(folder.path(), "2s", &SMALL);
    let (address, tables) = (server.address.clone(), data.join("engine"));
    let empty = directory_bytes(&tables);
    for table in ["dropped", "truncated", "kept"] {
        psql(&address, &format!("CREATE TABLE {table} (id int PRIMARY KEY, v text)")).expect("a table");
        let rows =
            "SELECT g, (SELECT string_agg((random() * (g + s))::text, '') FROM generate_series(1, 20) s)";
        let insert = format!("INSERT INTO {table} {rows} FROM generate_series(1, 5000) g");
        psql(&address, &insert).expect("rows");
    }
    psql(&address, "CREATE INDEX by_v ON kept (v)").expect("an index");
    let sum = psql(&address, "SELECT sum(length(v)) FROM kept");
    let full = directory_bytes(&tables);
    psql(&address, "DROP TABLE dropped").expect("dropped");
    psql(&address, "TRUNCATE truncated").expect("truncated");
    psql(&address, "DROP INDEX by_v").expect("dropped");
    let reclaimed = |server: &Listener| server.process.log().matches("a dropped index is given back").count();
    await_within(60, "three indexes are given back", &server, || reclaimed(&server) >= 3);
    // The rows of one table of three, its index gone.
    let bound = empty + (full - empty) / 2;
    await_within(60, "the room does not come back", &server, || directory_bytes(&tables) < bound);
    println!("{empty} bytes, {full} with three tables and an index, {} with one", directory_bytes(&tables));
    server.process.kill();
    server.process.restart();
    server.await_sql();
    assert_eq!(psql(&address, "SELECT sum(length(v)) FROM kept"), sum);
    assert_eq!(psql(&address, "SELECT count(*) FROM truncated").as_deref(), Ok("0"));
    psql(&address, "INSERT INTO truncated VALUES (1, 'new')").expect("it is a table as before");
}

#[test]
fn what_lies_below_a_clone_stays_until_the_clone_goes() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = forgetful(folder.path(), "2s", &SMALL);
    let address = server.address.clone();
    let run = |statement: &str| psql(&address, statement).expect(statement);
    run("CREATE TABLE t (id int PRIMARY KEY, v int)");
    run("INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g");
    run("CREATE TABLE c CLONE t");
    run("UPDATE t SET v = 0");
    run("DROP TABLE t");
    // Longer than history, and what holds it, last.
    std::thread::sleep(Duration::from_secs(10));
    let given_back =
        |server: &Listener| server.process.log().matches("a dropped index is given back").count();
    assert_eq!((run("SELECT sum(v) FROM c").as_str(), given_back(&server)), ("500500", 0));
    run("CREATE TABLE d CLONE c");
    run("DROP TABLE c");
    server.process.kill();
    server.process.restart();
    server.await_sql();
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(run("SELECT sum(v) FROM d"), "500500");
    run("DROP TABLE d");
    await_within(60, "the clones, and what is below them, are given back", &server, || {
        given_back(&server) >= 3
    });
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[test]
fn what_tables_were_longer_ago_than_the_cluster_knows_is_cloned() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = forgetful(folder.path(), "2s", &SMALL);
    let run = |statement: &str| psql(&server.address, statement).expect(statement);
    run("ALTER DATABASE postgres SET (history = 'forever')");
    run("CREATE TABLE s (id serial PRIMARY KEY, v int)");
    run("COMMENT ON TABLE s IS 'numbered'");
    run("INSERT INTO s (v) SELECT g FROM generate_series(1, 3) g");
    std::thread::sleep(Duration::from_millis(50));
    let moment = run("SELECT clock_timestamp()");
    std::thread::sleep(Duration::from_millis(50));
    run("DELETE FROM s");
    std::thread::sleep(Duration::from_secs(10));
    run(&format!("CREATE TABLE earlier CLONE s AS OF SYSTEM TIME '{moment}'"));
    assert_eq!(run("SELECT count(*) FROM earlier"), "3");
    assert_eq!(run("INSERT INTO earlier (v) VALUES (4) RETURNING id > 3"), "t");
    run(&format!("CREATE DATABASE as_it_was CLONE postgres AS OF SYSTEM TIME '{moment}'"));
    assert_eq!(run("SELECT count(*) FROM pg_database WHERE datname = 'as_it_was'"), "1");
    // What nobody has kept is not to be had, whoever would keep it from now on.
    run("ALTER DATABASE postgres RESET (history)");
    std::thread::sleep(Duration::from_secs(10));
    let late = format!("CREATE TABLE late CLONE s AS OF SYSTEM TIME '{moment}'");
    let refused = psql(&server.address, &late).expect_err("what is forgotten");
    assert!(refused.contains("kept"), "{refused}");
}

#[test]
fn an_operator_says_how_long_history_is_kept() {
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(folder.path(), 1, 1);
    let admin = |arguments: &[&str]| {
        run(&[&["admin", "history", "--host", &cluster.addresses[0]], arguments].concat())
    };
    assert!(admin(&[]).expect("an answer").contains("1h"));
    assert!(admin(&["--set", "10min"]).expect("an answer").contains("10min"));
    let refused = admin(&["--set", "10s"]).expect_err("less than a minute is hardly meant");
    assert!(refused.contains("at least 60 seconds"), "{refused}");
    assert!(admin(&["--set", "soon"]).expect_err("no time").contains("'forever'"));
    assert!(admin(&["--set", "forever"]).expect("an answer").contains("forever"));
    let shown = admin(&["--format", "json"]).expect("an answer");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown.get("history_ms").and_then(serde_json::Value::as_u64), Some(0));
}

/// Latencies in µs of the transactions that pgbench has logged under a prefix, ascending; the logs are removed.
fn latencies(folder: &Path) -> Vec<u64> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder").flatten() {
        if entry.file_name().to_string_lossy().starts_with("bench.") {
            let log = std::fs::read_to_string(entry.path()).expect("pgbench's log");
            found.extend(log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
            std::fs::remove_file(entry.path()).expect("the log goes");
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn the_long_form() {
    let Ok(minutes) = std::env::var("NUNATAK_GARBAGE_MINUTES") else { return };
    let minutes: u64 = minutes.parse().expect("a number of minutes");
    if !installed("pgbench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let server = forgetful(folder.path(), "30s", &[]);
    let tpcb = std::env::var("NUNATAK_GARBAGE_WORKLOAD").is_ok_and(|workload| workload == "tpcb");
    let script = folder.path().join("hot.sql");
    let mut arguments = vec!["-n", "-c", "8", "-j", "2", "-T", "60", "-l", "-M", "prepared"];
    let prefix = format!("--log-prefix={}", folder.path().join("bench").display());
    arguments.push(&prefix);
    let scan = if tpcb {
        pgbench(&server.address, &["-i", "-s", "5", "-q"]).expect("pgbench -i");
        "SELECT sum(tbalance) FROM pgbench_tellers"
    } else {
        make_hot(&server.address);
        std::fs::write(&script, "\\set id random(1, 1000)\nUPDATE hot SET n = n + 1 WHERE id = :id;\n")
            .expect("a script");
        arguments.extend(["-f", script.to_str().expect("UTF-8")]);
        "SELECT sum(n) FROM hot"
    };
    println!("minute\ttps\tp99_ms\tdirectory_bytes\tscan_ms");
    let titles = ["transactions per second", "99th percentile, ms", "directory, MB", "scan of a table, ms"];
    let mut panels = titles.map(|title| Panel { title: title.to_owned(), values: Vec::new() });
    for minute in 0..=minutes {
        let mut figures = [None; 4];
        if minute > 0 {
            pgbench(&server.address, &arguments).expect("pgbench");
            let latencies = latencies(folder.path());
            figures[0] = Some(latencies.len() as f64 / 60.0);
            figures[1] = latencies.get(latencies.len() * 99 / 100).map(|us| *us as f64 / 1000.0);
        }
        let bytes = directory_bytes(&data);
        figures[2] = Some(bytes as f64 / 1e6);
        figures[3] = Some(best_ms(&server.address, scan));
        let [tps, p99, _, scan_ms] = figures.map(|figure| figure.unwrap_or(f64::NAN));
        println!("{minute}\t{tps:.0}\t{p99:.2}\t{bytes}\t{scan_ms:.2}");
        panels.iter_mut().zip(figures).for_each(|(panel, figure)| panel.values.push(figure));
    }
    if let Some(path) = std::env::var_os("NUNATAK_GARBAGE_SVG") {
        let title = if tpcb { "pgbench TPC-B, scale 5" } else { "updates of 1000 hot rows" };
        std::fs::write(path, svg(&format!("{title}, history of 30 s"), "minutes", &panels))
            .expect("the plot");
    }
}

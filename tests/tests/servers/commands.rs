//! The binary's commands as a person or a script meets them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nunatak_tests::processes::{Process, await_ready, binary, free_address, installed, psql, start_single};
use nunatak_tests::throttle::{SlowLink, Speed};

fn nunatak(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

/// Exit status 2 and one line that says `words`.
fn assert_refused(output: &Output, words: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
    assert!(complaint.contains(words), "{complaint}");
}

/// Status and body of a page.
fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a UTF-8 path").to_owned()
}

/// Exit status 1 and one line that says `words`.
fn assert_failed(output: &Output, words: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
    assert!(complaint.contains(words), "{complaint}");
}

#[test]
fn who_asks_the_wrong_port_is_told_which_is_the_right_one() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    for (address, what) in [(&server.address, "is a SQL port"), (&server.http, "is an HTTP port")] {
        let started = std::time::Instant::now();
        for question in [&["admin", "nodes"][..], &["admin", "history"], &["init"]] {
            let asked = nunatak(&[question, &["--host", address]].concat());
            assert_refused(&asked, what);
            assert_refused(&asked, "the address that `nunatak node` has as --listen (127.0.0.1:26257");
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
    }
}

#[test]
fn a_node_without_a_cluster_says_how_to_make_one() {
    let folder = tempfile::tempdir().expect("a directory");
    let (listen, http) = (free_address(), free_address());
    let data = path(folder.path(), "data");
    let arguments = ["node", "--data", &data, "--listen", &listen, "--join", &listen, "--http", &http];
    let node = Process::start(&arguments, &folder.path().join("node.log"));
    await_ready("the node's port", &node, || TcpStream::connect(&listen).is_ok());
    for question in ["nodes", "ranges", "check-consistency", "history"] {
        let asked = nunatak(&["admin", question, "--host", &listen]);
        assert_failed(&asked, "runs, but belongs to no cluster yet");
        assert_failed(&asked, &format!("`nunatak init --host {listen}`"));
    }
}

#[test]
fn what_is_asked_wrongly_is_one_line_and_exit_2() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = path(folder.path(), "nunatak.toml");
    std::fs::write(&config, "[start-single]\nlistn = '127.0.0.1:1'\n").expect("a file");
    let file = path(folder.path(), "file");
    let directory = folder.path().to_str().expect("a UTF-8 path").to_owned();
    std::fs::write(&file, "").expect("a file");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    let nobody = free_address();
    let url = format!("postgresql://{nobody}/");
    let refusals: [(&[&str], &str); 12] = [
        (&["start-single"], "--data"),
        (&["start-single", "--data", "d", "--listn", "x"], "--listn"),
        (&["start-single", "--data", "d", "--listen", "nowhere"], "nowhere"),
        (&["start-single", "--data", "d", "--listen", &taken], "in use"),
        (&["start-single", "--data", &file, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"], "file"),
        (&["start-single", "--config", &config], "listn"),
        (&["demo", "--config", "/nowhere"], "/nowhere"),
        (&["sql", "--url", &url, "-e", "SELECT 1"], "cannot connect"),
        (&["init", "--host", &nobody, "--wait", "0"], &nobody),
        (&["admin", "nodes", "--host", &nobody], &nobody),
        (&["lsm", "stats", "--data", "/nowhere"], "/nowhere does not exist"),
        (&["lsm", "stats", "--data", &directory], "is not the data directory of a node"),
    ];
    for (arguments, words) in refusals {
        assert_refused(&nunatak(arguments), words);
    }
}

#[test]
fn a_data_directory_belongs_to_one_process_and_outlives_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut first = start_single(folder.path());
    let data = path(folder.path(), "data");
    let second =
        nunatak(&["start-single", "--data", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    assert_refused(&second, "in use by another process");
    psql(&first.address, "CREATE TABLE kept (a int PRIMARY KEY); INSERT INTO kept VALUES (7)")
        .expect("a row");
    assert_eq!(get(&first.http, "/health").map(|page| page.0), Some(200));
    assert_eq!(get(&first.http, "/ready").map(|page| page.0), Some(200));
    let (status, metrics) = get(&first.http, "/metrics").expect("a page");
    assert_eq!(status, 200);
    assert!(metrics.contains("nunatak_sql_statements_total"), "{metrics}");
    assert_eq!(first.process.terminate(), Some(0), "{}", first.process.log());
    first.process.restart();
    first.await_sql();
    assert_eq!(psql(&first.address, "SELECT a FROM kept").as_deref(), Ok("7"));
}

#[test]
fn a_node_that_waits_for_its_cluster_is_healthy_and_not_ready() {
    let folder = tempfile::tempdir().expect("a directory");
    let (listen, http) = (free_address(), free_address());
    let data = path(folder.path(), "data");
    let arguments = ["node", "--data", &data, "--listen", &listen, "--join", &listen, "--http", &http];
    let mut node = Process::start(&arguments, &folder.path().join("node.log"));
    await_ready("HTTP", &node, || get(&http, "/health").is_some_and(|page| page.0 == 200));
    let (status, reason) = get(&http, "/ready").expect("a page");
    assert_eq!(status, 503);
    assert!(reason.contains("not ready: ") && reason.len() > "not ready: \n".len(), "{reason}");
    let first = nunatak(&["init", "--host", &listen]);
    assert!(first.status.success(), "{first:?}");
    let again = nunatak(&["init", "--host", &listen]);
    assert!(
        again.status.success() && String::from_utf8_lossy(&again.stdout).contains("already"),
        "{again:?}"
    );
    await_ready("the node", &node, || get(&http, "/ready").is_some_and(|page| page.0 == 200));
    let nodes = nunatak(&["admin", "nodes", "--host", &listen, "--format", "json"]);
    let nodes: serde_json::Value = serde_json::from_slice(&nodes.stdout).expect("JSON");
    assert_eq!(nodes.as_array().map(Vec::len), Some(1), "{nodes}");
    assert_eq!(node.terminate(), Some(0), "{}", node.log());
}

#[test]
fn init_gateway_and_node_wait_for_each_other_and_say_so() {
    let folder = tempfile::tempdir().expect("a directory");
    let (listen, sql) = (free_address(), free_address());
    let gateway = Process::start(
        &["gateway", "--listen", &sql, "--join", &listen, "--http", &free_address()],
        &folder.path().join("gateway.log"),
    );
    // What stands before a node, as a balancer does, takes connections before the node is there, and ends them.
    let link = SlowLink::start(&listen, Speed { bits_per_second: 1 << 30, delay: Duration::from_millis(1) });
    let inits = [listen.clone(), link.address.clone()]
        .map(|host| std::thread::spawn(move || nunatak(&["init", "--host", &host])));
    await_ready("the gateway's line", &gateway, || gateway.log().contains("waiting for the cluster"));
    let data = path(folder.path(), "data");
    let node = Process::start(
        &["node", "--data", &data, "--listen", &listen, "--join", &listen, "--http", &free_address()],
        &folder.path().join("node.log"),
    );
    for init in inits {
        let made = init.join().expect("init ends");
        assert!(made.status.success(), "{made:?}");
        assert!(String::from_utf8_lossy(&made.stderr).contains("waiting up to"), "{made:?}");
    }
    await_ready("SQL", &gateway, || psql(&sql, "SELECT 1").as_deref() == Ok("1"));
    assert!(node.log().contains("waiting"), "{}", node.log());
}

#[test]
fn demo_runs_statements_and_exits_with_their_status() {
    let demo = |sql: &[&str]| {
        let mut arguments = vec!["demo", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        sql.iter().for_each(|sql| arguments.extend(["-e", sql]));
        nunatak(&arguments)
    };
    let good = demo(&[
        "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
        "SELECT sum(a) AS total FROM t",
    ]);
    let printed = String::from_utf8_lossy(&good.stdout);
    assert!(good.status.success(), "{good:?}");
    assert!(printed.contains(" total \n-------\n     3\n(1 row)"), "{printed}");
    let bad = demo(&["SELECT 1/0", "SELECT 'unreached'"]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(String::from_utf8_lossy(&bad.stderr).contains("division by zero"), "{bad:?}");
    assert!(!String::from_utf8_lossy(&bad.stdout).contains("unreached"), "{bad:?}");
}

#[test]
fn the_demo_of_history_shows_all_of_it_in_a_minute() {
    let begun = std::time::Instant::now();
    let tour = nunatak(&["demo", "--with", "history", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let printed = String::from_utf8_lossy(&tour.stdout);
    assert!(tour.status.success(), "{tour:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
    for shown in [
        "FLASHBACK TABLE orders",
        "UNDROP TABLE",
        "RESTORE DATABASE shop AS shop_then",
        " axe  |      2",
        "{\"id\": \"t1\", \"tags\": [\"door\"], \"state\": \"open\"}",
        "SOFT_DELETE",
    ] {
        assert!(printed.contains(shown), "{shown} is missing in: {printed}");
    }
    assert!(nunatak(&["demo", "--with", "magic"]).status.code() == Some(2));
}

#[test]
fn settings_come_from_flags_then_variables_then_the_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let (in_file, in_variable, http) = (free_address(), free_address(), free_address());
    let config = path(folder.path(), "nunatak.toml");
    let data = path(folder.path(), "data");
    std::fs::write(&config, format!("listen = '{in_file}'\n[start-single]\ndata = '{data}'\n"))
        .expect("a file");
    let mut child = Command::new(binary())
        .args(["start-single", "--http", &http, "--config", &config])
        .env("NUNATAK_LISTEN", &in_variable)
        .env("NUNATAK_HTTP", "127.0.0.1:1")
        .stdin(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while get(&http, "/ready").is_none_or(|page| page.0 != 200) {
        assert!(std::time::Instant::now() < deadline, "not ready in time");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(TcpStream::connect(&in_variable).is_ok());
    assert!(TcpStream::connect(&in_file).is_err());
    child.kill().expect("the process can be killed");
    child.wait().expect("the process can be waited for");
}

#[test]
fn the_shell_runs_files_and_psql_describes_tables() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    let script = path(folder.path(), "script.sql");
    let text = "CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL DEFAULT 'x', c numeric(10,2) UNIQUE);\n\
        COPY t FROM stdin;\n1\tone\t1.5\n2\ttwo;\t\\N\n\\.\n\\dt\n\\d t\nSELECT * FROM t ORDER BY a;\n\
        SELECT nothing;\nSELECT 'unreached';\n";
    std::fs::write(&script, text).expect("a file");
    let url = format!("postgresql://postgres@{}/postgres", server.address);
    // Nobody reads: the shell ends, quietly.
    let mut unread = Command::new(binary())
        .args(["sql", "--url", &url, "-e", "SELECT generate_series(1, 10000)"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(unread.stdout.take());
    let unread = unread.wait_with_output().expect("it ends");
    assert_eq!(unread.status.code(), Some(141), "{unread:?}");
    assert!(unread.stderr.is_empty(), "{unread:?}");
    let output = nunatak(&["sql", "--url", &url, "-f", &script]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(printed.contains("COPY 2"), "{printed}");
    assert!(printed.contains(" public | t    | table"), "{printed}");
    assert!(printed.contains(" c      | numeric(10,2)"), "{printed}");
    assert!(printed.contains("\"t_pkey\" PRIMARY KEY, btree (a)"), "{printed}");
    assert!(printed.contains(" 2 | two; |"), "{printed}");
    assert!(!printed.contains("unreached"), "{printed}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains("ERROR:  column \"nothing\" does not exist\nLINE 1: SELECT nothing\n"),
        "{complaint}"
    );
    if installed("psql") {
        for command in ["\\dt", "\\d", "\\l", "\\du"] {
            psql(&server.address, command).unwrap_or_else(|error| panic!("{command}: {error}"));
        }
        let described = psql(&server.address, "\\d t").expect("a description");
        assert!(described.contains("numeric(10,2)"), "{described}");
    }
}

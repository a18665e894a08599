//! `nunatak drift` over a directory, as somebody meets it who has nothing else: its answers, its lock, `kill -9`, and what the
//! doctor finds.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nunatak_tests::processes::binary;
use serde_json::{Value, json};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("drift").args(arguments).stdin(Stdio::null());
    // Where a server has its data is nothing that these commands ask for.
    command.env("NUNATAK_DATA", "/nowhere").env_remove("NUNATAK_URL");
    command
}

fn output(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary runs")
}

/// What it prints.
fn run(arguments: &[&str]) -> String {
    let output = output(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The one line of why it does not.
fn refused(arguments: &[&str], status: i32) -> String {
    let output = output(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {complaint}");
    complaint
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a UTF-8 path").to_owned()
}

#[test]
fn a_directory_keeps_documents_and_what_was_done_to_them() {
    let folder = tempfile::tempdir().expect("a directory");
    let (shop, file) = (path(folder.path(), "shop"), path(folder.path(), "orders.jsonl"));
    refused(&["sql", "-d", &shop, "-e", "SNAPSHOT t"], 2);
    assert!(refused(&["doctor"], 2).contains("-d or --url is missing"));
    run(&["init", &shop]);
    let script = path(folder.path(), "shop.driftql");
    let statements = "-- no semicolons\nCREATE TABLE orders (pk=id, INDEX(status))\n\
        INSERT INTO orders {\"id\": \"o1\", \"status\": \"open\", \"total\": 9.50}\n\
        BEGIN TRANSACTION ISOLATION LEVEL SNAPSHOT\nPATCH orders KEY \"o1\" SET {\"status\": \"paid\"}\nCOMMIT\n";
    std::fs::write(&script, statements).expect("a script");
    assert_eq!(run(&["sql", "-d", &shop, "-f", &script]).lines().count(), 5);
    std::fs::write(
        &file,
        "\u{feff}{\"id\": \"o2\", \"status\": \"open\"}\n\n{\"id\": \"o3\", \"status\": \"open\"}\n",
    )
    .expect("documents");
    assert_eq!(run(&["ingest", "-d", &shop, "-t", "orders", "-f", &file]), "OK 2\n");
    let all = run(&["select", "-d", &shop, "-t", "orders"]);
    assert_eq!(lines(&all)[0], json!({"id": "o1", "status": "paid", "total": 9.5}));
    assert!(all.contains("9.50"), "numbers stay as they were written: {all}");
    let some =
        ["select", "-d", &shop, "--table", "orders", "--where", "status=\"open\"", "--limit", "1", "--json"];
    assert_eq!(
        serde_json::from_str::<Value>(&run(&some)).expect("an array"),
        json!([{"id": "o2", "status": "open"}])
    );
    let events = lines(&run(&["drift", "-d", &shop, "-t", "orders", "--key", "o1"]));
    let told: Vec<_> = events.iter().map(|event| (event["seq"].clone(), event["event"].clone())).collect();
    assert_eq!(told, [(json!(1), json!("INSERT")), (json!(2), json!("PATCH"))]);
    assert_eq!(events[1]["content"], json!({"status": "paid"}));
    for moment in ["@seq:1", events[0]["time"].as_str().expect("a time")] {
        let then = lines(&run(&["select", "-d", &shop, "-t", "orders", "--as-of", moment]));
        assert_eq!(then, [json!({"id": "o1", "status": "open", "total": 9.5})], "{moment}");
    }
    assert_eq!(run(&["snapshot", "-d", &shop, "-t", "orders"]), "OK 3\n");
    run(&["compact", "-d", &shop, "-t", "orders"]);
    run(&["analyze", "-d", &shop]);
    assert!(refused(&["select", "-d", &shop, "-t", "orders", "--as-of", "yesterday"], 1).contains("22007"));
    assert!(refused(&["sql", "-d", &shop, "-e", "PATCH orders KEY 9 SET {}"], 1).contains("P0002"));

    let backups = path(folder.path(), "backups");
    run(&["backup", "create", "-d", &shop, "--to", &backups]);
    run(&["backup", "verify", "--from", &backups]);
    assert!(run(&["backup", "list", "--from", &backups]).contains("full"));
    let other = path(folder.path(), "other");
    run(&["backup", "restore", "--from", &backups, "-d", &other]);
    assert_eq!(run(&["select", "-d", &other, "-t", "orders"]), all);
    assert_eq!(lines(&run(&["drift", "-d", &other, "-t", "orders", "--key", "o1"])).len(), 2);

    // Scripts name directories from where they are run, with whatever an editor puts before them.
    std::fs::write(
        &script,
        "\u{feff}-- nightly\r\nbackup to './here/../there'\r\nSHOW DRIFT orders KEY \"o1\"\r\n",
    )
    .expect("a script");
    std::fs::create_dir(folder.path().join("here")).expect("a directory");
    let nightly =
        command(&["sql", "-d", &shop, "-f", &script]).current_dir(folder.path()).output().expect("it runs");
    assert!(nightly.status.success(), "{}", String::from_utf8_lossy(&nightly.stderr));
    run(&["backup", "verify", "--from", &path(folder.path(), "there")]);
}

/// Whether a process has locked a file.
fn holds_a_lock(id: u32) -> bool {
    let locks = std::fs::read_to_string("/proc/locks").expect("the locks of the machine");
    let id = id.to_string();
    // The fifth word, as in `1: FLOCK  ADVISORY  WRITE 708 00:13:17 0 EOF`.
    locks.lines().any(|line| line.split_whitespace().nth(4) == Some(&*id))
}

#[test]
fn what_was_answered_survives_a_kill_and_nothing_is_half_done() {
    let folder = tempfile::tempdir().expect("a directory");
    let (shop, file) = (path(folder.path(), "shop"), path(folder.path(), "many.jsonl"));
    run(&["init", &shop]);
    run(&["sql", "-d", &shop, "-e", "CREATE TABLE t (pk=id); INSERT INTO t {\"id\": \"first\"}"]);
    let mut documents = String::new();
    for number in 0..200_000 {
        let _ = writeln!(documents, "{{\"id\": {number}, \"text\": \"{number:050}\"}}");
    }
    std::fs::write(&file, documents).expect("documents");
    let mut killed: Child =
        command(&["ingest", "-d", &shop, "-t", "t", "-f", &file]).spawn().expect("it runs");
    let begun = Instant::now();
    while !holds_a_lock(killed.id()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not lock the directory");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(4));
    assert!(refused(&["sql", "-d", &shop, "-e", "SNAPSHOT t"], 2).contains("nunatak"), "it is locked");
    killed.kill().expect("it is killed");
    killed.wait().expect("it has ended");
    let told = run(&["doctor", "-d", &shop]);
    assert!(!told.contains("events say") && !told.contains("missing"), "{told}");
    let counts = "select (select count(*) from t) as documents, count(*) as events, max(seq) as last, \
        (count(*) - 1) % 500 as beyond from t_drift where seq > 0";
    let counts = &lines(&run(&["sql", "-d", &shop, "-e", counts]))[0];
    assert_eq!(counts["documents"], counts["events"], "{counts}");
    assert_eq!((&counts["events"], &counts["beyond"]), (&counts["last"], &json!("0")), "{counts}");
    let first = run(&["select", "-d", &shop, "-t", "t", "--where", "id=first"]);
    assert_eq!(lines(&first), [json!({"id": "first"})]);
}

#[test]
fn the_doctor_writes_down_what_was_done_behind_the_events() {
    let folder = tempfile::tempdir().expect("a directory");
    let shop = path(folder.path(), "shop");
    run(&["init", &shop]);
    let statements = "CREATE TABLE t (pk=id); INSERT INTO t {\"id\": \"a\"}; INSERT INTO t {\"id\": \"b\"}; SET dialect = sql; \
        update t set document = '{\"id\": \"a\", \"n\": 1}' where id = 'a'; delete from t where id = 'b'; \
        insert into t values ('c', '{\"id\": \"c\"}')";
    run(&["sql", "-d", &shop, "-e", statements]);
    // A snapshot of what no event says is none of what was.
    run(&["snapshot", "-d", &shop, "-t", "t"]);
    assert!(run(&["doctor", "-d", &shop]).contains("3 documents"));
    let before = lines(&run(&["select", "-d", &shop, "-t", "t", "--as-of", "@seq:2"]));
    assert_eq!(before, [json!({"id": "a"}), json!({"id": "b"})]);
    assert!(!run(&["doctor", "-d", &shop]).contains("documents were not"));
    let now = lines(&run(&["select", "-d", &shop, "-t", "t"]));
    assert_eq!(now, [json!({"id": "a", "n": 1}), json!({"id": "c"})]);
    assert_eq!(lines(&run(&["select", "-d", &shop, "-t", "t", "--as-of", "@seq:5"])), now);
    assert_eq!(lines(&run(&["drift", "-d", &shop, "-t", "t", "--key", "b"])).len(), 2);
    // The last event is lost: its number is not given again, and what the document is stays known.
    run(&["sql", "-d", &shop, "-e", "delete from t_drift where seq = 5"]);
    for _ in 0..2 {
        assert!(refused(&["doctor", "-d", &shop], 1).contains("lost events"));
    }
    let events = "select seq from t_drift where seq > 0 order by seq";
    let events = lines(&run(&["sql", "-d", &shop, "-e", events]));
    assert_eq!(events, [1, 2, 3, 4, 6].map(|seq| json!({"seq": seq})));
    assert_eq!(lines(&run(&["select", "-d", &shop, "-t", "t"])), now);
}

#[test]
fn damage_is_found_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a directory");
    let shop = path(folder.path(), "shop");
    run(&["init", &shop]);
    let begun = Instant::now();
    let told = run(&["doctor", "-d", &shop]);
    assert!(told.contains("as they were written") && begun.elapsed() < Duration::from_secs(60), "{told}");
    refused(&["doctor", "-d", &path(folder.path(), "nowhere")], 2);
}

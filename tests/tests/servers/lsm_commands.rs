//! `nunatak lsm`, and encrypted data directories, as an operator meets them.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nunatak_tests::processes::{Cluster, Process, await_ready, binary, free_address, run};
use serde_json::Value;

const CANARY: &str = "a-canary-that-sings-in-the-clear";

fn nunatak(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("NUNATAK_ENCRYPTION_KEY").stdin(Stdio::null());
    command.output().expect("the binary runs")
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a UTF-8 path").to_owned()
}

/// A key's file, which nobody else can read.
fn write_key(path: &str, content: impl AsRef<[u8]>) {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).expect("a file");
    file.write_all(content.as_ref()).expect("a file");
}

/// `nunatak lsm` on a directory: what it prints.
fn lsm(data: &str, arguments: &[&str]) -> String {
    let output = nunatak(&[&["lsm"], arguments, &["--data", data]].concat());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    assert_eq!(complaint, "", "{arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The same, refused with this exit status and one line.
fn refused(data: &str, arguments: &[&str], status: i32) -> String {
    let output = nunatak(&[&["lsm"], arguments, &["--data", data]].concat());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
    complaint
}

fn json(data: &str, arguments: &[&str]) -> Value {
    let text = lsm(data, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&text).expect("JSON")
}

struct Single {
    process: Process,
    address: String,
}

impl Single {
    fn start(folder: &Path, data: &str, more: &[&str]) -> Self {
        let address = free_address();
        let arguments = ["start-single", "--data", data, "--listen", &address, "--http", "127.0.0.1:0"];
        let process = Process::start(&[&arguments, more].concat(), &folder.join("node.log"));
        let single = Self { process, address };
        await_ready("SQL", &single.process, || single.sql("SELECT 1").status.success());
        single
    }

    fn sql(&self, statement: &str) -> Output {
        nunatak(&["sql", "--url", &format!("postgresql://{}/", self.address), "-e", statement])
    }

    fn run(&self, statement: &str) -> String {
        let output = self.sql(statement);
        assert!(output.status.success(), "{statement}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn stop(mut self) {
        assert_eq!(self.process.terminate(), Some(0), "{}", self.process.log());
    }
}

/// All files below a directory.
fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).expect("a directory").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

fn with_canary(data: &str) -> Vec<PathBuf> {
    let sings = |path: &PathBuf| {
        let content = std::fs::read(path).expect("a file");
        content.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    };
    files(Path::new(data)).into_iter().filter(sings).collect()
}

fn fill(single: &Single) {
    single.run("CREATE TABLE birds (id int PRIMARY KEY, song text NOT NULL)");
    single.run(&format!("INSERT INTO birds SELECT n, '{CANARY}' || n FROM generate_series(1, 500) n"));
}

#[test]
fn a_stopped_store_is_shown_checked_dumped_and_compacted() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = path(folder.path(), "data");
    let single = Single::start(folder.path(), &data, &[]);
    fill(&single);
    assert!(refused(&data, &["stats"], 2).contains("in use by another process"));
    single.stop();
    // This is how an unencrypted directory looks, in both its parts.
    let sings = with_canary(&data);
    for part in ["raft", "engine"] {
        assert!(sings.iter().any(|path| path.starts_with(Path::new(&data).join(part))), "{part}: {sings:?}");
    }
    let key = path(folder.path(), "key");
    write_key(&key, [1; 32]);
    assert!(refused(&data, &["stats", "--encryption-key-file", &key], 2).contains("not encrypted"));
    let stats = lsm(&data, &["stats"]);
    assert!(stats.contains("keyspace") && stats.contains("encryption: none"), "{stats}");
    let verified = lsm(&data, &["verify"]);
    assert!(verified.contains(" 0 damaged") && verified.contains("raft log: "), "{verified}");
    let tables = lsm(&data, &["dump", "--only", "tables"]);
    assert!(tables.contains("table ") && tables.contains("not encrypted") && !tables.contains(CANARY));
    assert!(lsm(&data, &["dump", "--only", "entries"]).contains(&format!("{CANARY}499")));
    assert!(lsm(&data, &["dump", "--only", "blocks"]).contains("block at "));
    assert!(refused(&data, &["dump", "--table", "999999"], 2).contains("999999"));
    let whole = lsm(&data, &["dump", "--only", "entries", "--format", "json"]);
    let entry: Value = serde_json::from_str(whole.lines().next().expect("an entry")).expect("JSON");
    let key = entry["entry"]["key"].as_str().expect("a key");
    let part = lsm(&data, &["dump", "--only", "entries", "--format", "json", "--to", key]);
    assert!(!part.contains(&format!("\"key\":\"{key}\"")) && part.len() < whole.len());
    lsm(&data, &["compact", "--from", "d", "--to", "e"]);
    let compacted = json(&data, &["compact"]);
    let levels = compacted["levels"].as_array().expect("levels");
    assert!(levels.iter().all(|level| level["level"] == 6), "{compacted}");
    let single = Single::start(folder.path(), &data, &[]);
    assert!(single.run("SELECT count(*) FROM birds").contains("500"));
    single.stop();
}

#[test]
fn damage_is_told_with_its_file_and_exit_1() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = path(folder.path(), "data");
    let single = Single::start(folder.path(), &data, &[]);
    fill(&single);
    single.stop();
    lsm(&data, &["compact"]);
    let tables = files(&Path::new(&data).join("engine/tables"));
    let table = tables.iter().max_by_key(|path| path.metadata().map(|data| data.len()).unwrap_or(0));
    let table = table.expect("a table");
    let mut content = std::fs::read(table).expect("a table");
    content[10] ^= 1;
    std::fs::write(table, content).expect("a table");
    let complaint = refused(&data, &["verify"], 1);
    assert!(
        complaint.contains(table.to_str().expect("a path")) && complaint.contains("corrupt"),
        "{complaint}"
    );
    assert!(refused(&path(folder.path(), "nowhere"), &["verify"], 2).contains("nowhere"));
}

#[test]
fn an_encrypted_node_keeps_nothing_in_the_clear_and_its_keys_can_be_changed() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = path(folder.path(), "data");
    let [first, second, short] = ["first", "second", "short"].map(|name| path(folder.path(), name));
    write_key(&first, format!("{}\n", "0f".repeat(32)));
    write_key(&second, [7; 32]);
    write_key(&short, "secret");
    let [one, two, wrong] = [&first, &second, &short].map(|file| ["--encryption-key-file", file.as_str()]);

    // It begins without encryption.
    let single = Single::start(folder.path(), &data, &[]);
    fill(&single);
    single.stop();
    assert!(!with_canary(&data).is_empty());
    let single = Single::start(folder.path(), &data, &one);
    assert!(single.run("SELECT count(*) FROM birds").contains("500"));
    single.run(&format!("INSERT INTO birds VALUES (1000, '{CANARY}')"));
    single.stop();

    let ask = |arguments: &[&str], key: &[&str]| lsm(&data, &[arguments, key].concat());
    let status = |text: String| -> Value { serde_json::from_str(&text).expect("JSON") };

    let changed = status(ask(&["rotate-key", "--format", "json"], &one));
    assert_eq!(changed["encryption"]["plain_bytes"], 0, "{changed}");
    assert_eq!(changed["encryption"]["keys"].as_array().map(Vec::len), Some(1), "{changed}");
    assert_eq!(with_canary(&data), Vec::<PathBuf>::new());
    let again = status(ask(&["rotate-key", "--format", "json"], &one));
    assert_ne!(again["encryption"]["active"], changed["encryption"]["active"]);

    assert!(refused(&data, &["stats"], 2).contains("open it with the master key"));
    assert!(refused(&data, &[&["stats"], &two[..]].concat(), 2).contains("another master key"));
    assert!(refused(&data, &[&["stats"], &wrong[..]].concat(), 2).contains("not a master key"));
    let start = ["start-single", "--data", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let output = nunatak(&[&start[..], &two].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");

    ask(&["change-master-key", "--new-encryption-key-file", &second], &one);
    assert!(refused(&data, &[&["stats"], &one[..]].concat(), 2).contains("another master key"));
    ask(&["verify"], &two);
    let single = Single::start(folder.path(), &data, &two);
    assert!(single.run("SELECT count(*) FROM birds").contains("501"));
    single.run(&format!("INSERT INTO birds VALUES (1001, '{CANARY}')"));
    single.stop();
    assert_eq!(with_canary(&data), Vec::<PathBuf>::new());
}

#[test]
fn the_key_may_stand_in_a_variable_and_not_in_two_places() {
    let folder = tempfile::tempdir().expect("a directory");
    let (data, file) = (path(folder.path(), "data"), path(folder.path(), "key"));
    write_key(&file, [7; 32]);
    let single = Single::start(folder.path(), &data, &["--encryption-key-file", &file]);
    single.stop();
    let ask = |key: &str, more: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["lsm", "stats", "--data", &data]).args(more).env("NUNATAK_ENCRYPTION_KEY", key);
        command.stdin(Stdio::null()).output().expect("the binary runs")
    };
    let right = "07".repeat(32);
    assert!(ask(&right, &[]).status.success());
    let printing = format!("cat {file}");
    assert!(ask("", &["--encryption-key-command", &printing]).status.success());
    for (output, words) in [
        (ask("", &["--encryption-key-command", "exit 7"]), "it failed (exit status: 7)"),
        (ask("", &["--encryption-key-command", "echo 7777"]), "not a master key"),
        (ask(&right, &["--encryption-key-command", &printing]), "both given"),
        (ask("7777", &[]), "not a master key"),
        (ask(&"08".repeat(32), &[]), "another master key"),
        (ask(&right, &["--encryption-key-file", &file]), "both given"),
    ] {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(words) && !complaint.contains("07070707"), "{complaint}");
    }
}

/// The node of a cluster with one, as `admin nodes` has it.
fn only_node(cluster: &Cluster) -> Value {
    let nodes =
        run(&["admin", "nodes", "--host", &cluster.addresses[0], "--format", "json"]).expect("the nodes");
    let nodes: Value = serde_json::from_str(&nodes).expect("JSON");
    nodes[0].clone()
}

#[test]
fn a_running_node_gets_a_new_data_key_and_tells_how_far_it_is() {
    let folder = tempfile::tempdir().expect("a directory");
    let key = format!("NUNATAK_ENCRYPTION_KEY={}", "0f".repeat(32));
    let cluster = Cluster::start_by(&["env".to_owned(), key], folder.path(), 1, 0);
    let node = &cluster.nodes[0];
    await_ready("what it is encrypted with", node, || {
        only_node(&cluster)["encryption"]["active"].is_string()
    });
    let before = only_node(&cluster)["encryption"].clone();
    assert_eq!((&before["stale_bytes"], &before["keys"]), (&0.into(), &1.into()), "{before}");
    let rotated = run(&["admin", "rotate-key", "--host", &cluster.addresses[0], "--format", "json"]);
    let rotated: Value = serde_json::from_str(&rotated.expect("a new key")).expect("JSON");
    assert_ne!(rotated["active"], before["active"]);
    assert_eq!(rotated["node_id"], 1);
    await_ready("the new key", node, || only_node(&cluster)["encryption"]["active"] == rotated["active"]);
    let table = run(&["admin", "nodes", "--host", &cluster.addresses[0]]).expect("the nodes");
    assert!(table.contains("encryption"), "{table}");
    // One without a key has none to give.
    let other = tempfile::tempdir().expect("a directory");
    let plain = Cluster::start(other.path(), 1, 0);
    let refused = run(&["admin", "rotate-key", "--host", &plain.addresses[0]]).expect_err("not encrypted");
    assert!(refused.contains("the node's directory is not encrypted"), "{refused}");
    assert_eq!(only_node(&plain)["encryption"], Value::Null);
}

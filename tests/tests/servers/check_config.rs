//! `nunatak check-config` finds what a start would refuse, and what would serve nobody.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nunatak_tests::processes::{Process, await_ready, binary, free_address};
use serde_json::{Value, json};

/// Certificates of two authorities, and a data directory.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Self { folder };
        for authority in ["certs", "other"] {
            let dir = place.path(authority);
            for arguments in [
                &["create-ca"][..],
                &["create-node", "127.0.0.1", "*.nodes.example"],
                &["create-gateway", "db.example"],
                &["create-client", "ann"],
            ] {
                let made = run(&[&["cert"], arguments, &["--dir", &dir]].concat());
                assert!(made.status.success(), "{made:?}");
            }
        }
        place
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), text).expect("a file");
        self.path(name)
    }

    /// The three flags, for a certificate and a key below the folder.
    fn tls(&self, certificate: &str, key: &str) -> Vec<String> {
        let (certificate, key, authority) =
            (self.path(certificate), self.path(key), self.path("certs/ca.crt"));
        ["--tls-cert", &certificate, "--tls-key", &key, "--tls-ca", &authority].map(str::to_owned).to_vec()
    }

    fn node(&self, more: &[&str]) -> Vec<String> {
        let data = self.path("data");
        let own = ["node", "--data", &data, "--listen", "127.0.0.1:7101", "--join", "127.0.0.1:7101"];
        [&own, more].concat().into_iter().map(str::to_owned).collect()
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

/// The exit status, and what was found.
fn check(arguments: &[String]) -> (Option<i32>, String) {
    let arguments: Vec<&str> =
        ["check-config"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let output = run(&arguments);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("UTF-8"))
}

fn assert_good(arguments: &[String]) {
    let (status, said) = check(arguments);
    assert!(status == Some(0) && !said.contains("error"), "{arguments:?}: {said}");
}

fn assert_found(arguments: &[String], words: &str) {
    let (status, said) = check(arguments);
    assert!(status == Some(2) && said.contains(words), "{arguments:?} should say {words:?}: {said}");
}

fn set_mode(path: &str, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn what_can_be_started_is_not_objected_to() {
    let place = Place::new();
    assert_good(&place.node(&[]));
    assert_good(&[place.node(&[]), place.tls("certs/node.crt", "certs/node.key")].concat());
    let everywhere =
        ["--listen", "0.0.0.0:7101", "--advertise", "n1.nodes.example:7101", "--http", "0.0.0.0:7102"];
    let everywhere =
        [strings(&["node", "--data", "d", "--join", "n1.nodes.example:7101"]), strings(&everywhere)].concat();
    assert_good(&[everywhere.clone(), place.tls("certs/node.crt", "certs/node.key")].concat());
    assert_good(&[everywhere, strings(&["--insecure"])].concat());
    let gateway = strings(&["gateway", "--listen", "0.0.0.0:7103", "--join", "n1.nodes.example:7101"]);
    assert_good(&[gateway, place.tls("certs/gateway.crt", "certs/gateway.key")].concat());
    assert_good(&[strings(&["init"]), place.tls("certs/gateway.crt", "certs/gateway.key")].concat());
    assert_good(&[strings(&["sql"]), place.tls("certs/client.ann.crt", "certs/client.ann.key")].concat());
    assert_good(&strings(&["start-single", "--data", "d"]));
    assert_good(&strings(&["demo"]));
    assert!(!Path::new(&place.path("data")).exists(), "the check has made something");
}

#[test]
fn flags_variables_and_keys_are_checked_as_the_command_would() {
    let place = Place::new();
    assert_found(&strings(&["node"]), "--data");
    assert_found(&strings(&["nothing"]), "nothing");
    assert_found(&strings(&["check-config", "node"]), "stands before another command");
    assert_found(&strings(&["demo", "--listen", "nowhere"]), "nowhere");
    let config = place.write("nunatak.toml", "listn = 'x'\n[node]\ndata = 'd'\njoyn = 'y'\n");
    let arguments = strings(&["node", "--config", &config]);
    assert_found(&arguments, "unknown key 'listn'");
    assert_found(&arguments, "unknown key 'joyn' in [node]");
    let config =
        place.write("nunatak.toml", "[node]\ndata = 'd'\njoin = ['n1:1']\nlisten = '0.0.0.0:7101'\n");
    let output = run(&["--config", &config, "check-config", "node", "--advertise", "n1:7101"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("1 error"), "{said}");
    assert!(found.contains("could read and write everything"), "{found}");
    let output = Command::new(binary())
        .args(["check-config", "demo"])
        .env("NUNATAK_LISTEN", "0.0.0.0:7101")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn certificates_and_keys_fit_each_other_and_their_purpose() {
    let place = Place::new();
    let node = |certificate: &str, key: &str| [place.node(&[]), place.tls(certificate, key)].concat();
    assert_found(&node("certs/node.crt", "certs/gateway.key"), "--tls-key is not the key to it");
    assert_found(&node("other/node.crt", "other/node.key"), "--tls-ca does not vouch for it");
    assert_found(&node("certs/gateway.crt", "certs/gateway.key"), "says gateway, not node");
    assert_found(&node("certs/client.ann.crt", "certs/client.ann.key"), "says client, not node");
    assert_found(&node("certs/ca.crt", "certs/ca.key"), "it is an authority's certificate");
    assert_found(&node("certs/node.key", "certs/node.key"), "it holds no certificate");
    assert_found(&node("certs/node.crt", "certs/node.crt"), "others can read this private key");
    assert_found(&node("certs/none", "certs/node.key"), "it cannot be read");
    let named =
        [node("certs/node.crt", "certs/node.key"), strings(&["--advertise", "elsewhere:7101"])].concat();
    assert_found(&named, "it stands for 127.0.0.1, *.nodes.example, not for elsewhere");
    let alone = strings(&["--tls-cert", &place.path("certs/node.crt")]);
    assert_found(&[place.node(&[]), alone].concat(), "its key is missing");
    let short = run(&["cert", "create-client", "late", "--days", "0", "--dir", &place.path("certs")]);
    assert!(short.status.success());
    assert_found(
        &[strings(&["sql"]), place.tls("certs/client.late.crt", "certs/client.late.key")].concat(),
        "it has expired",
    );
    set_mode(&place.path("certs/node.key"), 0o644);
    assert_found(&node("certs/node.crt", "certs/node.key"), "chmod 600");
}

#[test]
fn certificates_are_listed_for_programs() {
    let place = Place::new();
    place.write("certs/broken.crt", "no certificate");
    std::fs::write(place.path("certs/a.crt"), [0x30, 0x82, 0xff]).expect("a file that is no text");
    std::fs::create_dir(place.path("certs/b.crt")).expect("a directory");
    let listed = run(&["cert", "list", "--format", "json", "--dir", &place.path("certs")]);
    assert!(listed.status.success(), "{listed:?}");
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let listed = listed.as_array().expect("a list");
    let (unreadable, listed) = listed.split_at(2);
    assert!(unreadable.iter().all(|one| one["readable"] == false), "{unreadable:?}");
    assert_eq!(listed.len(), 5, "{listed:?}");
    assert_eq!(listed[0], json!({ "file": "broken.crt", "readable": false }));
    for (one, file, role, name) in [
        (&listed[2], "client.ann.crt", "client", "ann"),
        (&listed[3], "gateway.crt", "gateway", "db.example"),
        (&listed[4], "node.crt", "node", "127.0.0.1"),
    ] {
        let told = [&one["file"], &one["for"], &one["name"]].map(Value::as_str);
        assert_eq!((told, &one["readable"]), ([file, role, name].map(Some), &Value::Bool(true)));
    }
    assert_eq!((&listed[1]["file"], &listed[1]["for"]), (&json!("ca.crt"), &json!("authority")));
    assert_eq!(listed[4]["hosts"], json!(["127.0.0.1", "*.nodes.example"]));
    assert!((364..=365).contains(&listed[4]["days_left"].as_i64().expect("days")), "{listed:?}");
    let (from, until) = (listed[4]["not_before_s"].as_i64(), listed[4]["not_after_s"].as_i64());
    assert!(from.is_some() && from < until, "{listed:?}");
}

#[test]
fn files_rules_and_addresses_are_looked_at() {
    let place = Place::new();
    let single = |more: &[&str]| [strings(&["start-single"]), strings(more)].concat();
    let file = place.write("file", "");
    assert_found(&single(&["--data", &file]), "is no directory");
    assert_found(&single(&["--data", &format!("{file}/below")]), "is no directory");
    let data = place.path("data");
    assert_found(&single(&["--data", &data, "--history", "3s"]), "at least 60 seconds");
    let hba = place.write("hba.conf", "host all all all\n");
    assert_found(&single(&["--data", &data, "--hba", &hba]), "line 1");
    let hba = place.write("hba.conf", "host all all all trsut\nhost all all samehost trust\nhosts all\n");
    let (status, said) = check(&single(&["--data", &data, "--hba", &hba]));
    assert!(status == Some(2) && said.contains("line 1") && said.contains("line 3"), "{said}");
    let below = format!("{file}/below");
    assert_found(&single(&["--data", &data, "--temp", &below]), &format!("--temp {below}"));
    assert_found(&strings(&["sql", "-f", &below]), "it cannot be read");
    assert_found(&strings(&["sql", "-o", &below]), "it cannot be written");
    let hba = place.write("hba.conf", "hostssl all all all cert\nhost all all samehost trust\n");
    let (status, said) = check(&single(&["--data", &data, "--hba", &hba]));
    assert!(status == Some(0) && said.contains("line 1: nobody can satisfy"), "{said}");
    let key = place.write("master.key", "short");
    assert_found(&single(&["--data", &data, "--encryption-key-file", &key]), "--encryption-key-file");
    assert_found(&single(&["--data", &data, "--audit-log", "/nowhere/audit"]), "--audit-log /nowhere/audit");
    assert_found(&single(&["--data", &data, "--log", "=,="]), "--log");
    assert_found(&single(&["--data", &data, "--listen", "0.0.0.0:7101"]), "nothing would be encrypted");
    assert_found(&single(&["--data", &data, "--http", "0.0.0.0:7101"]), "/metrics asks nobody");
    let trusting = place.write("hba.conf", "host all all all trust\n");
    let beside = single(&["--data", &data, "--hba", &trusting, "--http", "0.0.0.0:7101"]);
    let tls = place.tls("certs/gateway.crt", "certs/gateway.key");
    assert_found(&[beside, tls].concat(), "--http 0.0.0.0:7101 is reachable from elsewhere, and line 1 of --hba");
    assert_found(&single(&["--data", &data, "--http", "127.0.0.1:5433"]), "takes the same port");
    assert_found(&single(&["--data", &data, "--listen", "192.0.2.1:1"]), "cannot listen there");
    assert_found(&place.node(&["--advertise", "0.0.0.0:1"]), "nobody can connect to");
    let unnamed = strings(&["node", "--data", "d", "--join", "a:1", "--listen", "0.0.0.0:1", "--insecure"]);
    assert_found(&unnamed, "--advertise is missing");
}

/// What is refused when it is checked is refused when it is started.
#[test]
fn a_start_refuses_exposed_keys_and_open_listeners() {
    let place = Place::new();
    set_mode(&place.path("certs/node.key"), 0o640);
    // Root's own keys may be a group's to read.
    let is_root = std::fs::metadata(place.path("certs/node.key"))
        .is_ok_and(|key| std::os::unix::fs::MetadataExt::uid(&key) == 0);
    if is_root {
        set_mode(&place.path("certs/node.key"), 0o644);
    }
    let node =
        [place.node(&["--http", "127.0.0.1:0"]), place.tls("certs/node.crt", "certs/node.key")].concat();
    let arguments: Vec<&str> = node.iter().map(String::as_str).collect();
    let refused = run(&arguments);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("others can read this private key"), "{said}");
    let data = place.path("data");
    let single = ["start-single", "--data", &data, "--listen", "127.0.0.1:0", "--http", "0.0.0.0:0"];
    let refused = run(&single);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("/metrics asks nobody"), "{said}");
    let meant: PathBuf = place.folder.path().join("log");
    let http = free_address().replace("127.0.0.1", "0.0.0.0");
    let single = ["start-single", "--data", &data, "--listen", "127.0.0.1:0", "--http", &http, "--insecure"];
    let process = Process::start(&single, &meant);
    await_ready("HTTP", &process, || {
        std::net::TcpStream::connect(http.replace("0.0.0.0", "127.0.0.1")).is_ok()
    });
}

#[test]
fn what_shells_and_readers_know_of_the_command_line_is_made_from_it() {
    for (shell, mark) in
        [("bash", "complete -F"), ("zsh", "#compdef nunatak"), ("fish", "complete -c nunatak")]
    {
        let output = run(&["completions", shell]);
        let script = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(
            output.status.success() && script.contains(mark) && script.contains("start-single"),
            "{shell}"
        );
        assert!(script.contains("tls-cert"), "{shell}");
    }
    let page = String::from_utf8(run(&["man"]).stdout).expect("UTF-8");
    assert!(page.contains(".TH nunatak") && page.contains("start\\-single"), "{page}");
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_str().expect("UTF-8");
    assert!(run(&["man", "--dir", dir]).status.success());
    assert!(folder.path().join("nunatak-node.1").exists());
    assert_eq!(run(&["man", "--dir", "/dev/null/there"]).status.code(), Some(2), "a file is no directory");
}

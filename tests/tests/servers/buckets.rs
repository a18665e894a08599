//! Backups in a bucket that speaks S3, kept by moto's server (PyPI `moto[server]`): made while a node dies, damaged and missing
//! objects, and restoring into another number of nodes.
//!
//! The binary has to be built for buckets: `cargo build -p nunatak --features s3`, whose path is then what `NUNATAK_BINARY` says.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Cluster, binary, free_address, installed, output, psql};

/// What all processes are told to use; every cluster of these tests lets backups lie there.
const BUCKET: &str = "backups";

/// moto's server, with one bucket.
struct Store {
    child: Child,
    address: String,
}

impl Store {
    fn start(folder: &Path) -> Self {
        let address = free_address();
        let (host, port) = address.rsplit_once(':').expect("host:port");
        let log = std::fs::File::create(folder.join("moto.log")).expect("a log file");
        let mut moto = Command::new("moto_server");
        moto.args(["-H", host, "-p", port]).stdin(Stdio::null());
        moto.stdout(log.try_clone().expect("a log file")).stderr(log);
        let child = moto.spawn().expect("moto_server starts");
        let store = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(60);
        while store.ask("PUT", &format!("/{BUCKET}"), b"").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < deadline, "moto_server did not come up: see its log");
            std::thread::sleep(Duration::from_millis(200));
        }
        store
    }

    /// Status and body of an answer. Whoever names nobody may not have objects of others.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: AWS any:any\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let status = String::from_utf8_lossy(answer.get(..end)?).split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.get(end + 4..)?.to_vec()))
    }

    /// The names of the objects that begin so.
    fn objects(&self, prefix: &str) -> Vec<String> {
        let listed = self.ask("GET", &format!("/{BUCKET}?list-type=2&prefix={prefix}"), b"");
        let (status, body) = listed.expect("a list");
        assert_eq!(status, 200);
        let text = String::from_utf8(body).expect("UTF-8");
        text.split("<Key>")
            .skip(1)
            .filter_map(|rest| rest.split_once("</Key>"))
            .map(|(key, _)| key.to_owned())
            .collect()
    }

    /// What each process finds in its environment.
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "any".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "any".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    /// Starts a cluster whose processes know of it.
    fn cluster(&self, folder: &Path, nodes: usize) -> Cluster {
        std::fs::create_dir_all(folder).expect("a directory");
        let mut launcher = vec!["env".to_owned()];
        launcher.extend(self.environment().into_iter().map(|(name, value)| format!("{name}={value}")));
        Cluster::start_by(&launcher, folder, nodes, 1)
    }

    /// Runs a command that asks no cluster.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        output(Command::new(binary()).args(arguments).envs(self.environment()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether all that is needed is there; says aloud what is not.
fn is_possible() -> bool {
    installed("psql") && installed("moto_server")
}

/// Whether the binary was built for buckets; says aloud if not.
fn is_built(address: &str) -> bool {
    match psql(address, &format!("show backups in 's3://{BUCKET}/nothing'")) {
        Ok(answer) => {
            assert_eq!(answer, "");
            true
        }
        Err(error) => {
            assert!(error.contains("was not built"), "{error}");
            println!("skipped: the binary was not built with the feature s3");
            false
        }
    }
}

#[test]
fn a_bucket_keeps_backups_while_a_node_dies_and_gives_them_back_to_one_node() {
    if !is_possible() {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let store = Store::start(folder.path());
    let mut cluster = store.cluster(&folder.path().join("three"), 3);
    let address = cluster.gateways[0].address.clone();
    if !is_built(&address) {
        return;
    }
    let url = format!("s3://{BUCKET}/nightly/shop");
    let sql =
        |statement: &str| psql(&address, statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    sql("create table t (id int primary key, v text)");
    for part in 0..6 {
        sql(&format!(
            "insert into t select n, md5(n::text) || repeat(md5((n * 7)::text), 20) \
             from generate_series({}, {}) n",
            part * 10_000,
            part * 10_000 + 9_999
        ));
    }
    sql("create index on t (v)");
    sql("alter table t split at values (20000), (40000)");
    let leader = cluster.leader();
    let backing_up = std::thread::spawn({
        let (address, url) = (address.clone(), url.clone());
        move || psql(&address, &format!("backup database postgres into '{url}'"))
    });
    std::thread::sleep(Duration::from_millis(300));
    cluster.nodes[leader].kill();
    let taken = backing_up.join().expect("no panic").expect("a backup");
    println!("taken while a node died: {taken}");
    cluster.nodes[leader].restart();
    sql("delete from t where id >= 50000");
    sql("insert into t values (1000000, 'late')");
    sql(&format!("backup database postgres into '{url}' incremental"));
    let shown = sql(&format!("show backups in '{url}'"));
    assert_eq!(shown.lines().count(), 2, "{shown}");
    let sum = sql("select count(*), max(id), md5(string_agg(v, '' order by id)) from t");
    let checked = store.run(&["backup", "verify", &url]).expect("a backup that is whole");
    assert!(checked.starts_with("2 backups"), "{checked}");
    let listed = store.run(&["backup", "list", &url]).expect("backups");
    assert!(listed.contains("database postgres") && listed.contains("incremental"), "{listed}");
    // Others' buckets, and what lies beside the place, are not touched.
    let refused = psql(&address, "backup table t into 's3://another/x'").expect_err("it is not allowed");
    assert!(refused.contains("is not allowed"), "{refused}");
    drop(cluster);

    let single = store.cluster(&folder.path().join("one"), 1);
    let address = single.gateways[0].address.clone();
    let sql =
        |statement: &str| psql(&address, statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    sql(&format!("restore database postgres as old from '{url}'"));
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let mut in_old = Command::new("psql");
    in_old.args(["-X", "-q", "-A", "-t", "-h", host, "-p", port, "-U", "postgres", "-d", "old"]);
    in_old.args(["-c", "select count(*), max(id), md5(string_agg(v, '' order by id)) from t"]);
    assert_eq!(output(&mut in_old).expect("rows"), sum);

    // Damage is found without a cluster, and by whoever restores; both name the object.
    let objects = store.objects("nightly/shop/");
    let damaged = objects.iter().find(|object| object.ends_with(".data")).expect("a file of rows").clone();
    let (status, mut content) = store.ask("GET", &format!("/{BUCKET}/{damaged}"), b"").expect("an object");
    assert_eq!(status, 200);
    let middle = content.len() / 2;
    content[middle] ^= 1;
    store.ask("PUT", &format!("/{BUCKET}/{damaged}"), &content).expect("it is put");
    let name = damaged.rsplit('/').next().expect("a name");
    let found = store.run(&["backup", "verify", &url]).expect_err("it is damaged");
    assert!(found.contains(name), "{found}");
    let refused = psql(&address, &format!("restore database postgres as other from '{url}'"));
    assert!(refused.as_ref().is_err_and(|error| error.contains(name)), "{refused:?}");
    store.ask("DELETE", &format!("/{BUCKET}/{damaged}"), b"").expect("it is deleted");
    let found = store.run(&["backup", "verify", &url]).expect_err("it is missing");
    assert!(found.contains(name) && found.contains("is missing"), "{found}");
    assert_eq!(sql("select count(*) from pg_database where datname = 'other'"), "0");
}

#[test]
fn what_is_encrypted_or_interrupted_lies_in_a_bucket_as_in_a_directory() {
    if !is_possible() {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let store = Store::start(folder.path());
    let cluster = store.cluster(&folder.path().join("one"), 1);
    let address = cluster.gateways[0].address.clone();
    if !is_built(&address) {
        return;
    }
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef".repeat(4)).expect("a key");
    let key = key.to_str().expect("a UTF-8 path");
    let sql =
        |statement: &str| psql(&address, statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    sql("create table t (id int primary key, v text)");
    sql("insert into t select n, 'in plain text ' || n from generate_series(1, 20000) n");
    let url = format!("s3://{BUCKET}/sealed");
    sql(&format!("backup table t into '{url}' with (encryption_key_file = '{key}')"));
    for object in store.objects("sealed/") {
        let (_, content) = store.ask("GET", &format!("/{BUCKET}/{object}"), b"").expect("an object");
        assert!(!content.windows(13).any(|window| window == b"in plain text"), "{object}");
    }
    store.run(&["backup", "verify", &url, "--key-file", key]).expect("it is whole");
    store.run(&["backup", "verify", &url]).expect_err("there is a key to it");
    sql("drop table t");
    sql(&format!("restore table t from '{url}' with (encryption_key_file = '{key}')"));
    assert_eq!(
        sql("select count(*), max(v) from t where v = 'in plain text ' || id"),
        "20000|in plain text 9999"
    );

    // What was cut off is gone on with.
    let url = format!("s3://{BUCKET}/halves");
    let cut = psql(&address, &format!("set statement_timeout = 40; backup table t into '{url}'"));
    if cut.is_err() && sql(&format!("show backups in '{url}'")).contains("unfinished") {
        sql(&format!("backup table t into '{url}' resume"));
    } else if cut.is_err() {
        sql(&format!("backup table t into '{url}'"));
    }
    store.run(&["backup", "verify", &url]).expect("it is whole");

    // A store that is gone is an error that says so, and nothing hangs.
    drop(store);
    let begun = Instant::now();
    psql(&address, &format!("backup table t into '{url}'")).expect_err("nobody answers");
    assert!(begun.elapsed() < Duration::from_secs(180), "{:?}", begun.elapsed());
}

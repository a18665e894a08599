//! Backups of a cluster of real processes: a node killed in the middle, restoring into another number of nodes, and the commands
//! that look at them without a cluster.

use std::path::Path;
use std::process::Command;

use nunatak_tests::processes::{Cluster, binary, installed, psql, run, start_single, start_single_with};

fn url(folder: &Path) -> String {
    format!("file://{}/backups", folder.display())
}

/// The first file below the directory that ends so.
fn file(folder: &Path, ending: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a directory").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.to_string_lossy().ends_with(ending) => return path,
                _ => {}
            }
        }
    }
    panic!("no file ends with {ending}");
}

#[test]
fn a_backup_goes_on_when_a_node_dies_and_comes_back_into_one_node() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let url = url(folder.path());
    let mut cluster = Cluster::start(folder.path(), 3, 1);
    let address = cluster.gateways[0].address.clone();
    let sql =
        |statement: &str| psql(&address, statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    sql("create table t (id int primary key, v text)");
    for part in 0..10 {
        sql(&format!(
            "insert into t select n, md5(n::text) || repeat(md5((n * 7)::text), 20) \
             from generate_series({}, {}) n",
            part * 10_000,
            part * 10_000 + 9_999
        ));
    }
    sql("create index on t (v)");
    sql("alter table t split at values (30000), (60000)");
    let leader = cluster.leader();
    let backing_up = std::thread::spawn({
        let (address, url) = (address.clone(), url.clone());
        move || psql(&address, &format!("backup database postgres into '{url}'"))
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    cluster.nodes[leader].kill();
    let taken = backing_up.join().expect("no panic").expect("a backup");
    println!("taken while a node died: {taken}");
    cluster.nodes[leader].restart();
    sql("delete from t where id >= 50000");
    sql("insert into t values (1000000, 'late')");
    sql(&format!("backup database postgres into '{url}' incremental"));
    let checked = run(&["backup", "verify", &url]).expect("a backup that is whole");
    assert!(checked.starts_with("2 backups"), "{checked}");
    let listed = run(&["backup", "list", &url]).expect("backups");
    assert!(listed.contains("database postgres") && listed.contains("incremental"), "{listed}");
    drop(cluster);
    let apart = folder.path().join("single");
    std::fs::create_dir(&apart).expect("a directory");
    let single = start_single_with(&apart, &["--backup-place", &url]);
    let sql = |statement: &str| {
        psql(&single.address, statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    };
    sql(&format!("restore database postgres as old from '{url}'"));
    let in_old = |statement: &str| {
        let (host, port) = single.address.rsplit_once(':').expect("host:port");
        let output = Command::new("psql")
            .args([
                "-X", "-q", "-A", "-t", "-h", host, "-p", port, "-U", "postgres", "-d", "old", "-c",
                statement,
            ])
            .output()
            .expect("psql runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(in_old("select count(*), max(id) from t"), "50001|1000000");
    assert_eq!(in_old("select count(*) from t where v = 'late'"), "1");
    assert_eq!(in_old("select count(*) from t where v = md5('42') || repeat(md5((42 * 7)::text), 20)"), "1");
    // Damage is found without a cluster, and named.
    let damaged = file(&folder.path().join("backups"), ".data");
    let content = std::fs::read(&damaged).expect("a file");
    std::fs::write(&damaged, &content[..content.len() - 1]).expect("a file");
    let name = damaged.file_name().expect("a name").to_string_lossy().into_owned();
    let output = Command::new(binary()).args(["backup", "verify", &url]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&name));
    std::fs::remove_file(&damaged).expect("a file");
    let output = Command::new(binary()).args(["backup", "verify", &url, "--format", "json"]).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("is missing"));
}

#[test]
fn backups_lie_where_the_operator_lets_them() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    psql(&server.address, "create table t (id int primary key)").expect("a table");
    let place = url(folder.path());
    for statement in [
        format!("backup table t into '{place}'"),
        format!("restore database postgres as d from '{place}'"),
        format!("show backups in '{place}'"),
    ] {
        let refused = psql(&server.address, &statement).expect_err("nothing is allowed");
        assert!(refused.contains("is not allowed") && refused.contains("--backup-place"), "{refused}");
    }
    assert!(!folder.path().join("backups").exists());
    // A place that is none is refused before anything is served.
    let data = folder.path().join("other");
    let mut wrong = Command::new(binary());
    wrong.arg("start-single").arg("--data").arg(&data).args(["--backup-place", "/backups"]);
    let output = wrong.output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--backup-place"));
    assert!(!data.exists());
}

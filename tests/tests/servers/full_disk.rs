//! A disk without room, for real: the binary on a small file system of its own.
//!
//! The file system is a tmpfs in a mount namespace of the test's own, which the kernel takes away with the process that
//! holds it. Where the system does not allow that, the tests say 'skipped' aloud.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Listener, Process, free_address, psql};

/// What a node keeps free.
const RESERVE_MIB: u64 = 256;

/// No step may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file system of a few MiB, seen only by processes that enter its namespace.
struct SmallDisk {
    holder: Child,
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn new(mebibytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let mount = format!(
            "mount -t tmpfs -o size={mebibytes}m nunatak-test {} && echo mounted && exec cat",
            directory.path().display()
        );
        let holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut holder) = holder else {
            println!("skipped: unshare is not installed");
            return None;
        };
        let mut line = String::new();
        let out = holder.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let disk = Self { holder, directory };
        if line.trim() == "mounted" {
            return Some(disk);
        }
        println!("skipped: no file system of one's own can be mounted here");
        None
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What makes a command see the file system.
    fn enter(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", &holder]
            .map(str::to_owned)
            .to_vec()
    }

    fn run(&self, command: &[&str]) -> bool {
        let enter = self.enter();
        let status = Command::new(&enter[0]).args(&enter[1..]).args(command).stderr(Stdio::null()).status();
        status.expect("nsenter runs").success()
    }

    fn resize(&self, mebibytes: u64) {
        let size = format!("remount,size={mebibytes}m");
        assert!(self.run(&["mount", "-o", &size, self.path().to_str().expect("a UTF-8 path")]));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn start(disk: &SmallDisk, log: &Path) -> Listener {
    start_with(disk, log, &[])
}

fn start_with(disk: &SmallDisk, log: &Path, more: &[&str]) -> Listener {
    let (address, http) = (free_address(), free_address());
    let data = disk.path().join("data");
    let data = data.to_str().expect("a UTF-8 path");
    let arguments = ["start-single", "--data", data, "--listen", &address, "--http", &http];
    let process = Process::start_within(&disk.enter(), &[&arguments, more].concat(), log);
    let listener = Listener { process, address, http };
    listener.await_sql();
    listener
}

/// Rows that no compression makes much smaller, from `first` on.
fn insert(address: &str, first: u64, rows: u64) -> Result<String, String> {
    let last = first + rows - 1;
    let statement = format!(
        "INSERT INTO t SELECT g, random()::text || random()::text || random()::text || random()::text || random()::text
         FROM generate_series({first}, {last}) g"
    );
    psql_script(address, &statement)
}

fn psql_script(address: &str, script: &str) -> Result<String, String> {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-h", host, "-p", port, "-U", "postgres", "-d", "postgres"]);
    command.args(["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-c", script]);
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Inserts until the server refuses; how many rows it took, and its complaint.
fn fill(address: &str, taken: &mut u64) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{taken} rows, and the disk is not full");
        match insert(address, *taken + 1, 10_000) {
            Ok(_) => *taken += 10_000,
            Err(complaint) => return complaint,
        }
    }
}

#[test]
fn with_only_the_reserve_left_writes_are_refused_and_reads_go_on() {
    let Some(disk) = SmallDisk::new(RESERVE_MIB + 24) else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let server = start(&disk, &folder.path().join("single.log"));
    psql(&server.address, "CREATE TABLE t (a int PRIMARY KEY, b text)").expect("a table");
    let mut taken = 0;
    let complaint = fill(&server.address, &mut taken);
    let log = server.process.log();
    assert!(complaint.contains("53100") && complaint.contains("kept in reserve"), "{complaint}\n{log}");
    let counted = psql(&server.address, "SELECT count(*), max(a) FROM t").expect("reads go on");
    assert_eq!(counted, format!("{taken}|{taken}"));
    disk.resize(RESERVE_MIB + 200);
    std::thread::sleep(Duration::from_secs(1));
    insert(&server.address, taken + 1, 100).expect("there is room again");
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

/// Wide rows of noise until the server refuses.
fn fill_wide(address: &str, already: u64) -> u64 {
    let noise = "(SELECT string_agg((random() * (g + s))::text, '') FROM generate_series(1, 50) s)";
    let deadline = Instant::now() + PATIENCE;
    let mut taken = already;
    loop {
        assert!(Instant::now() < deadline, "{taken} rows, and the disk is not full");
        let (first, last) = (taken + 1, taken + 500);
        let insert = format!("INSERT INTO t SELECT g, {noise} FROM generate_series({first}, {last}) g");
        match psql_script(address, &insert) {
            Ok(_) => taken = last,
            Err(complaint) => {
                assert!(complaint.contains("53100"), "{complaint}");
                return taken;
            }
        }
    }
}

#[test]
fn a_full_disk_is_emptied_by_delete_truncate_and_drop() {
    const RESERVE: u64 = 24;
    let Some(disk) = SmallDisk::new(RESERVE + 12) else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let reserve = (RESERVE << 20).to_string();
    let sizes =
        ["--disk-reserve-bytes", &reserve, "--memtable-bytes", "2000000", "--raft-log-bytes", "4000000"];
    let server = start_with(
        &disk,
        &folder.path().join("single.log"),
        &[&["--short-history", "--history", "2s"], &sizes[..]].concat(),
    );
    let address = &server.address;
    let create = "CREATE TABLE t (a int PRIMARY KEY, b text)";
    psql(address, create).expect("a table");
    for (round, frees) in ["DELETE FROM t", "TRUNCATE t", "DROP TABLE t"].into_iter().enumerate() {
        // What a statement freed is given back bit by bit: the disk has room before it has all of it.
        let deadline = Instant::now() + PATIENCE;
        let mut taken = fill_wide(address, 0);
        while taken <= 1000 {
            assert!(round > 0, "{taken} rows fit on an empty disk\n{}", server.process.log());
            assert!(Instant::now() < deadline, "{taken} rows fit in round {round}\n{}", server.process.log());
            std::thread::sleep(Duration::from_millis(200));
            taken = fill_wide(address, taken);
        }
        let counted = psql(address, "SELECT count(*) FROM t").expect("reads go on");
        assert_eq!(counted, taken.to_string());
        // What compaction frees meanwhile is filled again.
        let deadline = Instant::now() + PATIENCE;
        let complaint = loop {
            match psql_script(address, "UPDATE t SET b = b || 'more' WHERE a <= 10") {
                Err(complaint) => break complaint,
                Ok(_) => taken = fill_wide(address, taken),
            }
            assert!(Instant::now() < deadline, "{taken} rows, and an update is taken");
        };
        assert!(complaint.contains("53100"), "{complaint}");
        psql(address, frees).expect("what frees room is taken");
        let deadline = Instant::now() + PATIENCE;
        let again = match frees {
            "DROP TABLE t" => create,
            _ => "INSERT INTO t VALUES (0, 'there is room again')",
        };
        while let Err(complaint) = psql_script(address, again) {
            assert!(complaint.contains("53100"), "{complaint}");
            assert!(Instant::now() < deadline, "{frees} frees nothing:\n{}", server.process.log());
            std::thread::sleep(Duration::from_millis(200));
        }
        if frees != "DROP TABLE t" {
            psql(address, "DELETE FROM t").expect("a deletion");
        }
    }
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[test]
fn a_disk_without_any_room_ends_the_process_and_nothing_acknowledged_is_lost() {
    let Some(disk) = SmallDisk::new(RESERVE_MIB + 100) else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = start(&disk, &folder.path().join("single.log"));
    psql(&server.address, "CREATE TABLE t (a int PRIMARY KEY, b text)").expect("a table");
    let mut taken = 0;
    insert(&server.address, 1, 1000).expect("rows");
    taken += 1000;
    // Somebody else takes all that is left at once.
    let ballast = disk.path().join("ballast");
    let ballast = ballast.to_str().expect("a UTF-8 path");
    let of = format!("of={ballast}");
    assert!(!disk.run(&["dd", "if=/dev/zero", &of, "bs=64k", "status=none"]), "the disk is full");
    let complaint = fill(&server.address, &mut taken);
    let log = server.process.log();
    assert!(complaint.contains("53100") || complaint.contains("connection"), "{complaint}\n{log}");
    // A write that nobody refuses: replication's own. It ends the process if the refusal above has not let it get there.
    if !server.process.has_ended() {
        server.process.kill();
        server.process.restart();
        let deadline = Instant::now() + PATIENCE;
        while !server.process.has_ended() {
            assert!(Instant::now() < deadline, "serves on a full disk:\n{}", server.process.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let log = server.process.log();
    assert!(log.contains("No space left on device"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    assert!(disk.run(&["rm", ballast]));
    server.process.restart();
    server.await_sql();
    let counted = psql(&server.address, &format!("SELECT count(*) FROM t WHERE a <= {taken}"));
    assert_eq!(counted.as_deref(), Ok(taken.to_string().as_str()));
    insert(&server.address, 1_000_000, 10).expect("there is room again");
}

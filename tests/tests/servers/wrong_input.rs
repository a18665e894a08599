//! Bytes that no client of ours would send, on every port of the real binary.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Listener, Process, await_ready, free_address, psql, run, start_single};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// How many times each port is bothered.
const ATTEMPTS: u64 = 200;

/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn resident_bytes(process: &Process) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|kibibytes| kibibytes.parse::<u64>().ok()).expect("a number")
        * 1024
}

/// Sends bytes and reads the answer to its end.
fn bother(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The server may have closed the connection before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
        {
            panic!("no end to the answer to {bytes:?}")
        }
        _ => answer,
    }
}

/// A packet that begins as a good one does and goes wrong.
fn broken_conversation(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = Vec::new();
    if random.random_bool(0.7) {
        let body = b"\0\x03\0\0user\0postgres\0\0";
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        for _ in 0..random.random_range(0..6) {
            bytes.push(b"QPBDECHSXdcfpF"[random.random_range(0..14)]);
            let mut body = vec![0; random.random_range(0..40)];
            random.fill_bytes(&mut body);
            let claimed = if random.random_bool(0.8) { body.len() as u32 + 4 } else { random.next_u32() };
            bytes.extend_from_slice(&claimed.to_be_bytes());
            bytes.extend_from_slice(&body);
        }
    }
    let mut noise = vec![0; random.random_range(0..300)];
    random.fill_bytes(&mut noise);
    bytes.extend_from_slice(&noise);
    bytes
}

#[test]
fn noise_on_the_sql_and_http_ports_is_survived() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    let before = resident_bytes(&server.process);
    for seed in 0..ATTEMPTS {
        let mut random = StdRng::seed_from_u64(seed);
        let bytes = broken_conversation(&mut random);
        bother(&server.address, &bytes);
        bother(&server.http, &bytes);
    }
    let gibibyte = [&(1u32 << 30).to_be_bytes()[..], b"\0\x03\0\0"].concat();
    let refused = bother(&server.address, &gibibyte);
    assert!(String::from_utf8_lossy(&refused).contains("invalid length of startup packet"), "{refused:?}");
    assert_eq!(psql(&server.address, "SELECT 1").as_deref(), Ok("1"));
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
    let grown = resident_bytes(&server.process).saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes more");
}

#[test]
fn noise_on_the_grpc_port_is_survived() {
    let folder = tempfile::tempdir().expect("a directory");
    let (listen, http) = (free_address(), free_address());
    let data = folder.path().join("data");
    let data = data.to_str().expect("a UTF-8 path");
    let arguments = ["node", "--data", data, "--listen", &listen, "--join", &listen, "--http", &http];
    let node = Process::start(&arguments, &folder.path().join("node.log"));
    await_ready("init", &node, || run(&["init", "--host", &listen]).is_ok());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for seed in 0..ATTEMPTS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut bytes = if random.random_bool(0.5) { preface.to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&broken_conversation(&mut random));
        bother(&listen, &bytes);
    }
    run(&["admin", "nodes", "--host", &listen]).expect("the node answers");
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

/// The files below a folder, largest first.
fn files(folder: &Path) -> Vec<(u64, std::path::PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            match entry.metadata() {
                Ok(data) if data.is_dir() => folders.push(entry.path()),
                Ok(data) => found.push((data.len(), entry.path())),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found.reverse();
    found
}

#[test]
fn a_damaged_file_is_named_or_not_needed_and_no_answer_is_wrong() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = start_single(folder.path());
    let rows = "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(1, 5000) g";
    psql(&server.address, rows).expect("rows");
    assert_eq!(server.process.terminate(), Some(0), "{}", server.process.log());
    let (data, good) = (folder.path().join("data"), folder.path().join("good"));
    std::fs::rename(&data, &good).expect("the directory as it was");
    let mut named = 0;
    for (length, file) in files(&good).into_iter().filter(|(length, _)| *length > 64) {
        restore(&good, &data);
        let place = data.join(file.strip_prefix(&good).expect("a file below"));
        let mut bytes = std::fs::read(&place).expect("a file");
        bytes[usize::try_from(length).expect("a size") / 2] ^= 0x40;
        std::fs::write(&place, &bytes).expect("a damaged file");
        let name = place.file_name().expect("a name").to_string_lossy().into_owned();
        let logged = server.process.log().len();
        server.process.restart();
        let answer = answer_or_end(&mut server);
        let log = server.process.log().split_off(logged);
        assert!(!log.contains("panicked"), "{name}: {log}");
        match answer {
            Ok(answer) => assert_eq!(answer, "5000|12502500|50|50", "{name} is damaged"),
            Err(error) => {
                let told = log.contains(&name) || error.contains(&name);
                assert!(told, "{name} is damaged, and nobody says so: {error} {log}");
                named += 1;
            }
        }
        server.process.kill();
    }
    assert!(named > 0, "no damage was noticed");
    restore(&good, &data);
    server.process.restart();
    server.await_sql();
    assert_eq!(psql(&server.address, "SELECT count(*) FROM t").as_deref(), Ok("5000"));
}

/// What the table is said to hold, or the last error before the process ended or patience did.
fn answer_or_end(server: &mut Listener) -> Result<String, String> {
    let deadline = Instant::now() + PATIENCE;
    let question =
        "SET statement_timeout = '3s'; SELECT count(*), sum(a), min(length(b)), max(length(b)) FROM t";
    loop {
        match psql(&server.address, question) {
            Ok(answer) => return Ok(answer),
            Err(error) if server.process.has_ended() || Instant::now() > deadline => return Err(error),
            Err(error) if !error.contains("connection to server") => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Makes `to` a copy of the folder `from`.
fn restore(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).expect("the directory goes");
    }
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(copied.success());
}

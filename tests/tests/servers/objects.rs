//! The object protocol against the real binary: its bytes, its table, its bounds, and its clients in Python.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{
    Listener, await_ready, free_address, installed, output, psql, start_single_with,
};
use nunatak_tests::secured::Secured;

/// Longer than this nothing here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway, and where its objects are.
fn start(folder: &tempfile::TempDir) -> (Listener, String) {
    let objects = free_address();
    let server = start_single_with(folder.path(), &["--objects", &objects]);
    (server, objects)
}

/// A client that speaks bytes.
struct Raw(TcpStream);

impl Raw {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self(stream)
    }

    fn send(&mut self, payload: &[u8]) {
        self.0.write_all(&framed(payload)).expect("sent");
    }

    /// An answer without its length.
    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 8];
        self.0.read_exact(&mut length).expect("a length");
        let mut answer = vec![0; usize::try_from(u64::from_be_bytes(length)).expect("a length")];
        self.0.read_exact(&mut answer).expect("an answer");
        answer
    }

    fn ask(&mut self, payload: &[u8]) -> Vec<u8> {
        self.send(payload);
        self.receive()
    }

    /// Everything up to the end of the connection.
    fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It may be reset once what was sent has not all been read.
        let _ = self.0.read_to_end(&mut bytes);
        bytes
    }
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u64).to_be_bytes()[..], payload].concat()
}

fn get(key: &str) -> Vec<u8> {
    [&[0, 0, u8::try_from(key.len()).expect("a short key")][..], key.as_bytes()].concat()
}

fn get_to(key: &str, depth: u8) -> Vec<u8> {
    [&get(key)[..], &[1, 1, depth]].concat()
}

fn set(key: &str, object: &[u8]) -> Vec<u8> {
    [&[1, 0, u8::try_from(key.len()).expect("a short key")][..], key.as_bytes(), object].concat()
}

fn integer(value: i64) -> Vec<u8> {
    [&[1][..], &value.to_be_bytes()].concat()
}

const NULL: &[u8] = b"\0";
const ERROR: &[u8] = b"\xff";

#[test]
fn objects_are_written_and_read_byte_by_byte() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, objects) = start(&folder);
    let mut raw = Raw::connect(&objects);
    // The whole exchange, lengths included, once.
    raw.0.write_all(b"\0\0\0\0\0\0\0\x04\0\0\x01k").expect("sent");
    let mut answer = [0; 9];
    raw.0.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"\0\0\0\0\0\0\0\x01\0");
    for object in [
        &b"\0"[..],
        b"\x01\x80\0\0\0\0\0\0\0",
        b"\x02\0\x02\xc3\xa9",
        b"\x02\0\0",
        b"\x03\0\0",
        b"\x03\0\x03\0\x01\0\0\0\0\0\0\0\x2a\x02\0\x01x",
        b"\x04\0\0",
        b"\x04\0\x02\0\x01a\x06\x01\0\x02bb\x06\0",
        b"\x04\0\x01\0\x05$link\x02\0\x01a",
        b"\x07\x3f\xf8\0\0\0\0\0\0",
        b"\x07\x3f\xf0\0\0\0\0\0\0",
        b"\x07\x80\0\0\0\0\0\0\0",
        b"\x07\x7f\xf0\0\0\0\0\0\0",
        b"\x07\x7e\x37\xe4\x3c\x88\0\x75\x9c",
    ] {
        let before = raw.ask(&get("k"));
        assert_eq!(raw.ask(&set("k", object)), before, "SET answers the object before {object:?}");
        assert_eq!(raw.ask(&get("k")), object);
    }
    // What stands behind the object of a SET is ignored; names of maps come by length and bytes.
    assert_eq!(raw.ask(&set("more", b"\x06\x01and more")), NULL);
    assert_eq!(raw.ask(&get("more")), b"\x06\x01");
    raw.ask(&set("map", b"\x04\0\x03\0\x02bb\0\0\x01c\0\0\x01a\0"));
    assert_eq!(raw.ask(&get("map")), b"\x04\0\x03\0\x01a\0\0\x01c\0\0\x02bb\0");
    assert_eq!(raw.ask(b"\x02\0\x04more"), b"\x06\x01", "DELETE answers the object");
    assert_eq!(raw.ask(b"\x02\0\x04more"), NULL);
    assert_eq!(raw.ask(&get("more")), NULL);
    // Requests that are sent at once are answered in their order.
    let many: Vec<u8> = (0..100).flat_map(|number| framed(&set("many", &integer(number)))).collect();
    raw.0.write_all(&many).expect("sent");
    assert_eq!(raw.receive(), NULL);
    for number in 0..99 {
        assert_eq!(raw.receive(), integer(number));
    }
    // The same in frames of zstd, here of one raw block. A long answer comes in one; what is wrong is answered as ever.
    let frame = |request: &[u8]| {
        let block = (((request.len() as u32) << 3) | 1).to_le_bytes();
        let head = [5, 0x28, 0xb5, 0x2f, 0xfd, 0x20, u8::try_from(request.len()).expect("a short request")];
        [&head[..], &block[..3], request].concat()
    };
    assert_eq!(raw.ask(&frame(&set("zipped", &integer(7)))), NULL);
    assert_eq!(raw.ask(&frame(&get("zipped"))), integer(7));
    assert_eq!(raw.ask(&get("zipped")), integer(7));
    let long = [&b"\x02\x10\0"[..], &[b'x'; 4096]].concat();
    raw.ask(&set("zipped", &long));
    assert_eq!(raw.ask(&get("zipped")), long);
    let zipped = raw.ask(&frame(&get("zipped")));
    assert_eq!(&zipped[..5], b"\x08\x28\xb5\x2f\xfd");
    assert!(zipped.len() < 100, "{zipped:?}");
    assert_eq!(raw.ask(&frame(&set("zipped", b"\x02\0\x01\0"))), ERROR);
    for wrong in [&b"\x05"[..], b"\x05zstd", &frame(b"\xff"), &frame(b"\x05"), &frame(&get("k"))[..9]] {
        let mut raw = Raw::connect(&objects);
        raw.send(wrong);
        assert_eq!(raw.rest(), framed(ERROR), "{wrong:?}");
    }
    raw.send(b"\xff");
    assert_eq!(raw.rest(), b"", "CLOSE has no answer");
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[test]
fn links_are_followed_as_far_as_was_asked_for() {
    let folder = tempfile::tempdir().expect("a directory");
    let (_server, objects) = start(&folder);
    let mut raw = Raw::connect(&objects);
    raw.ask(&set("b", &integer(7)));
    raw.ask(&set("a", b"\x05\0\x01b"));
    raw.ask(&set("l", b"\x03\0\x03\x05\0\x01a\x05\0\x01b\x05\0\x01l"));
    raw.ask(&set("self", b"\x05\0\x04self"));
    raw.ask(&set("lost", b"\x05\0\x07nowhere"));
    assert_eq!(raw.ask(&get("a")), integer(7));
    assert_eq!(raw.ask(&get("l")), b"\x03\0\x03\x05\0\x01a\x05\0\x01b\x05\0\x01l");
    // One hop each: a is a link again, and b has been visited by the second of the list alone.
    let hop = [&b"\x03\0\x03\x05\0\x01b"[..], &integer(7), b"\x05\0\x01l"].concat();
    assert_eq!(raw.ask(&get_to("l", 1)), hop);
    // Further, and b is visited by way of a; l itself stays a link.
    let far = [&b"\x03\0\x03"[..], &integer(7), b"\x05\0\x01b\x05\0\x01l"].concat();
    assert_eq!(raw.ask(&get_to("l", 9)), far);
    assert_eq!(raw.ask(&get_to("self", 255)), b"\x05\0\x04self");
    assert_eq!(raw.ask(&get("lost")), NULL);
    // So is one to what no object can be called.
    let long = [&b"\x05\xff\xff"[..], &b"k".repeat(0xffff)].concat();
    raw.ask(&set("long", &long));
    assert_eq!(raw.ask(&get("long")), NULL);
    raw.ask(&set("long", &[&b"\x03\0\x02"[..], &long, b"\x05\0\x01b"].concat()));
    assert_eq!(raw.ask(&get_to("long", 1)), [&b"\x03\0\x02\0"[..], &integer(7)].concat());
    // More than one answer may look for, all of them to nothing; the connection goes on.
    let links: Vec<u8> = (0..10_001)
        .flat_map(|number| [&b"\x05\0\x05"[..], format!("{number:05}").as_bytes()].concat())
        .collect();
    raw.ask(&set("many", &[&b"\x03\x27\x11"[..], &links].concat()));
    assert_eq!(raw.ask(&get_to("many", 1)), ERROR);
    assert_eq!(raw.ask(&get("a")), integer(7));
}

#[test]
fn objects_are_rows_for_sql() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, objects) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut raw = Raw::connect(&objects);
    for age in 30..40 {
        let object = [&b"\x04\0\x01\0\x03age"[..], &integer(age)].concat();
        raw.ask(&set(&format!("person{age}"), &object));
    }
    raw.ask(&set("link", b"\x05\0\x08person30"));
    raw.ask(&set("float", b"\x07\x3f\xf0\0\0\0\0\0\0"));
    sql("create index by_age on objects.objects ((value ->> 'age'))");
    assert_eq!(sql("select key from objects.objects where value ->> 'age' = '33'"), "person33");
    let oldest = "select key from objects.objects where value ? 'age' order by value -> 'age' desc limit 1";
    assert_eq!(sql(oldest), "person39");
    assert_eq!(sql("select value from objects.objects where key = 'link'"), r#"{"$link": "person30"}"#);
    assert_eq!(sql("select value from objects.objects where key = 'float'"), "1.0");
    assert_eq!(
        sql("select format_type(atttypid, atttypmod) from pg_attribute \
             where attrelid = 'objects.objects'::regclass and attnum > 0 order by attnum"),
        "text\njsonb"
    );
    // What SQL writes is read; what the protocol cannot say is an error, and no more.
    sql(
        r#"insert into objects.objects values ('w', '[null, "x", {"$link": "w"}]'), ('n', null), ('big', '1e40')"#,
    );
    sql(r#"insert into objects.objects values ('long', to_jsonb(repeat('x', 65536)))"#);
    assert_eq!(raw.ask(&get("w")), b"\x03\0\x03\0\x02\0\x01x\x05\0\x01w");
    assert_eq!(raw.ask(&get("n")), NULL);
    for key in ["big", "long"] {
        assert_eq!(raw.ask(&get(key)), ERROR, "{key}");
    }
    assert_eq!(raw.ask(&set("nul", b"\x02\0\x01\0")), ERROR);
    assert_eq!(raw.ask(&get("w")), b"\x03\0\x03\0\x02\0\x01x\x05\0\x01w", "the connection goes on");
    // The table may go, and is made again when it is next used.
    sql("drop table objects.objects");
    let first = raw.ask(&get("w"));
    assert!(first == NULL || first == ERROR, "{first:?}");
    assert_eq!(raw.ask(&get("w")), NULL);
    assert_eq!(sql("select count(*) from objects.objects"), "0");
}

#[test]
fn what_bounds_a_role_in_sql_bounds_it_here() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, objects) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let (mut owner, mut ann) = (Raw::connect(&objects), Raw::connect(&objects));
    owner.ask(&set("k", &integer(7)));
    owner.ask(&set("long", &[&b"\x02\xff\xff"[..], &[b'x'; 65535]].concat()));
    sql("create role ann login; grant usage on schema objects to ann; \
         grant select, insert, update on objects.objects to ann; \
         alter role ann set nunatak.statements_per_second = 5");
    let auth = |role: &str| [&b"\x03\0\x03"[..], role.as_bytes(), b"\0\0"].concat();
    assert_eq!(ann.ask(&auth("ann")), NULL);
    // A request counts once, however many statements it takes.
    assert_eq!(ann.ask(&set("k", &integer(8))), integer(7));
    let refused = (0..50).position(|_| ann.ask(&get("k")) == ERROR);
    assert!(refused.is_some_and(|place| place >= 4), "{refused:?}");
    for _ in 0..50 {
        assert_eq!(owner.ask(&get("k")), integer(8), "others are not held up");
    }
    // Who waits goes on; nothing of what was refused was done.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(ann.ask(&get("k")), integer(8));
    // Bytes count, those that were sent last before a goodbye among them.
    sql("create role ben login; grant usage on schema objects to ben; \
         grant select on objects.objects to ben; alter role ben set nunatak.bytes_per_second = 20000");
    let mut ben = Raw::connect(&objects);
    assert_eq!(ben.ask(&auth("ben")), NULL);
    ben.0.write_all(&[framed(&get("long")), framed(b"\xff")].concat()).expect("sent");
    assert!(ben.rest().len() > 65535);
    let mut ben = Raw::connect(&objects);
    assert_eq!(ben.ask(&auth("ben")), NULL);
    assert_eq!(ben.ask(&get("k")), ERROR, "too much was sent before");
    // New connections count with the first session, and there is none beyond.
    sql("create role cat login; grant usage on schema objects to cat; \
         grant select on objects.objects to cat; alter role cat set nunatak.connections_per_second = 2");
    let comes = || {
        let mut cat = Raw::connect(&objects);
        assert_eq!(cat.ask(&auth("cat")), NULL);
        cat.ask(&get("k")) == integer(8)
    };
    assert!(comes());
    assert!((0..50).any(|_| !comes()), "cat comes as often as it likes");
    // What was done through this door is counted as what was done through that of SQL.
    let counted = "select n_tup_ins >= 2, n_tup_upd >= 1 from pg_stat_user_tables where relname = 'objects'";
    assert_eq!(sql(counted), "t|t");
}

#[test]
fn what_is_malformed_is_answered_and_the_last() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, objects) = start(&folder);
    let error = framed(ERROR);
    for payload in [
        &b"\x04"[..],
        b"\0",
        b"\0\0\0",
        b"\0\0\x05k",
        b"\0\0\x01\xff",
        b"\0\0\x01k\x01\x02\0",
        b"\0\0\x01k\0more",
        b"\x01\0\x01k",
        b"\x01\0\x01k\x08",
        b"\x01\0\x01k\x05\0\0",
        b"\x02\0\x01kmore",
        b"\x03\0\x01k",
    ] {
        let mut raw = Raw::connect(&objects);
        raw.send(payload);
        assert_eq!(raw.rest(), error, "{payload:?}");
    }
    // The last begins as a TLS handshake does, where there is no TLS.
    for length in [0_u64, (8 << 20) + 1, u64::MAX, 0x1603_0100_0000_0000] {
        let mut raw = Raw::connect(&objects);
        raw.0.write_all(&length.to_be_bytes()).expect("sent");
        assert_eq!(raw.rest(), error, "{length}");
    }
    // Deeper than anything nests: no stack is left by it.
    let mut raw = Raw::connect(&objects);
    raw.send(&set("k", &b"\x03\0\x01".repeat(1_000_000)));
    assert_eq!(raw.rest(), error);
    // So is a request that ends before it is whole, to who still listens; one that is whole is answered.
    for part in [&framed(&get("k"))[..11], &[0, 0, 0]] {
        let mut raw = Raw::connect(&objects);
        raw.0.write_all(part).expect("sent");
        raw.0.shutdown(std::net::Shutdown::Write).expect("one side");
        assert_eq!(raw.rest(), error, "{part:?}");
    }
    let mut raw = Raw::connect(&objects);
    raw.send(&get("k"));
    raw.0.shutdown(std::net::Shutdown::Write).expect("one side");
    assert_eq!(raw.rest(), framed(NULL));
    // What went well before is answered, in order.
    let mut raw = Raw::connect(&objects);
    raw.0.write_all(&[framed(&get("k")), framed(b"\x09")].concat()).expect("sent");
    assert_eq!(raw.rest(), [framed(NULL), error].concat());
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[test]
fn garbage_harms_nobody() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, objects) = start(&folder);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..400 {
        let length = usize::try_from(next() % 300).expect("short");
        let mut bytes: Vec<u8> = (0..length).map(|_| (next() >> 32) as u8).collect();
        // Most have a length and a command, so that they come further.
        if round % 4 != 0 && bytes.len() > 9 {
            let inner = bytes.len() as u64 - 8;
            bytes[..8].copy_from_slice(&inner.to_be_bytes());
            bytes[8] = (next() % 6) as u8;
        }
        let mut raw = Raw::connect(&objects);
        // The server may have closed already.
        let _ = raw.0.write_all(&bytes);
        let _ = raw.0.shutdown(std::net::Shutdown::Write);
        raw.rest();
    }
    let mut raw = Raw::connect(&objects);
    assert_eq!(raw.ask(&set("k", &integer(1))), raw.ask(&get("nothing")));
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

/// Every object but the last is the one before another: nobody's write is lost, and none is answered twice.
#[test]
fn writers_of_one_key_form_a_chain() {
    const WRITERS: i64 = 8;
    const WRITES: i64 = 50;
    let folder = tempfile::tempdir().expect("a directory");
    let (_server, objects) = start(&folder);
    Raw::connect(&objects).ask(&get("hot"));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let objects = objects.clone();
            std::thread::spawn(move || {
                let mut raw = Raw::connect(&objects);
                let write = |number| raw.ask(&set("hot", &integer(writer * WRITES + number)));
                (0..WRITES).map(write).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut before = Vec::new();
    for writer in writers {
        before.extend(writer.join().expect("a writer"));
    }
    before.push(Raw::connect(&objects).ask(&get("hot")));
    let all: BTreeSet<Vec<u8>> = before.iter().cloned().collect();
    let written: BTreeSet<Vec<u8>> = (0..WRITERS * WRITES).map(integer).chain([NULL.to_vec()]).collect();
    assert_eq!((all.len(), before.len()), (written.len(), written.len()));
    assert_eq!(all, written);
}

#[test]
fn a_thousand_connections_rest() {
    // What the server inherits, too.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("more files");
    let folder = tempfile::tempdir().expect("a directory");
    let (server, objects) = start(&folder);
    let status = |field: &str| {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field").to_owned();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number")
    };
    let mut first = Raw::connect(&objects);
    assert_eq!(first.ask(&set("k", &integer(1))), NULL);
    let (threads, kib) = (status("Threads:"), status("VmRSS:"));
    let mut silent: Vec<Raw> = (0..1000).map(|_| Raw::connect(&objects)).collect();
    for raw in &mut silent[..500] {
        assert_eq!(raw.ask(&get("k")), integer(1));
    }
    assert!(status("Threads:") <= threads + 8, "connections cost threads");
    // Until those that have asked rest, too.
    std::thread::sleep(Duration::from_secs(12));
    let (most, resting) = (100 << 10, Instant::now());
    let mut grown = status("VmRSS:").saturating_sub(kib);
    while grown >= most && resting.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
        grown = status("VmRSS:").saturating_sub(kib);
    }
    println!("1000 connections: {grown} KiB");
    assert!(grown < most, "{grown} KiB for a thousand connections that rest");
    for raw in &mut silent {
        assert_eq!(raw.ask(&get("k")), integer(1));
    }
}

#[test]
fn what_was_answered_survives_the_gateway() {
    let folder = tempfile::tempdir().expect("a directory");
    let (mut server, objects) = start(&folder);
    let count = Arc::new(AtomicI64::new(-1));
    let writer = {
        let (objects, count) = (objects.clone(), count.clone());
        std::thread::spawn(move || {
            let mut raw = Raw::connect(&objects);
            let mut acknowledged = -1;
            for number in 0..1_000_000 {
                if raw.0.write_all(&framed(&set("counter", &integer(number)))).is_err() {
                    return acknowledged;
                }
                let mut answer = [0; 9];
                if raw.0.read_exact(&mut answer).is_err() {
                    return acknowledged;
                }
                let mut before = vec![0; answer[7] as usize - 1];
                if raw.0.read_exact(&mut before).is_err() {
                    return acknowledged;
                }
                acknowledged = number;
                count.store(number, Ordering::SeqCst);
            }
            acknowledged
        })
    };
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    while count.load(Ordering::SeqCst) < 100 && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    server.process.kill();
    let acknowledged = writer.join().expect("the writer");
    assert!(acknowledged >= 100, "{acknowledged} were written");
    server.process.restart();
    await_ready("objects", &server.process, || TcpStream::connect(&objects).is_ok());
    server.await_sql();
    let kept = Raw::connect(&objects).ask(&get("counter"));
    assert!(
        kept == integer(acknowledged) || kept == integer(acknowledged + 1),
        "{acknowledged} was acknowledged, {kept:?} is kept"
    );
    // An end in order finishes what is under way, and says goodbye.
    let mut raw = Raw::connect(&objects);
    raw.ask(&get("counter"));
    let mut resting = Raw::connect(&objects);
    assert_eq!(server.process.terminate(), Some(0));
    assert_eq!((raw.rest(), resting.rest()), (Vec::new(), Vec::new()));
}

/// The package in the tree.
fn python(arguments: &[&str]) -> Command {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients/python/src");
    let mut command = Command::new("python3");
    command.args(arguments).env("PYTHONPATH", package).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn python_speaks_it() {
    if !installed("python3") {
        return;
    }
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients/python/tests");
    let own = output(python(&["-m", "unittest", "discover", "-s"]).arg(tests));
    assert!(own.is_ok(), "{own:?}");
    let folder = tempfile::tempdir().expect("a directory");
    let (_server, objects) = start(&folder);
    let (host, port) = objects.rsplit_once(':').expect("host:port");
    let command =
        |words: &[&str]| output(python(&["-m", "nunatak_kv", "--host", host, "--port", port]).args(words));
    assert_eq!(command(&["get", "answer"]).as_deref(), Ok("null"));
    assert_eq!(command(&["set", "answer", "int", "42"]).as_deref(), Ok("null"));
    assert_eq!(command(&["set", "answer", r#"{"n": [1, 1.5, true, null, "é"]}"#]).as_deref(), Ok("42"));
    assert_eq!(command(&["link", "here", "answer"]).as_deref(), Ok("null"));
    assert_eq!(command(&["get", "here"]).as_deref(), Ok(r#"{"n": [1, 1.5, true, null, "é"]}"#));
    assert_eq!(command(&["delete", "here"]).as_deref(), Ok(r#"{"$link": "answer"}"#));
    assert!(command(&["set", "answer", "no JSON"]).is_err());
    let script = r#"
import asyncio, sys
from nunatak_kv import AsyncClient, Change, Client, Link, RefusedError, Resolved

host, port = sys.argv[1], int(sys.argv[2])
with Client(host, port) as client:
    assert client.set("ada", {"age": 36, "of": Link("ada")}) is None
    client.link("author", "ada")
    assert client.get("author") == {"age": 36, "of": Link("ada")}
    assert client.get("author", 255) == {"age": 36, "of": Link("ada")}
    try:
        client.set("nul", "\0")
        raise SystemExit("U+0000 was stored")
    except RefusedError:
        pass
    assert client.delete("author") == Link("ada")

async def main():
    async with AsyncClient(host, port) as client:
        await asyncio.gather(*(client.set(f"k{n}", n) for n in range(100)))
        assert await asyncio.gather(*(client.get(f"k{n}") for n in range(100))) == list(range(100))

asyncio.run(main())

def take(events, count):
    changes = []
    for event in events:
        if isinstance(event, Change):
            changes.append((event.key, event.value, event.removed))
        if len(changes) == count:
            return changes

with Client(host, port) as watching, Client(host, port) as client:
    events = watching.watch(prefix="w")
    begun = next(events)
    assert isinstance(begun, Resolved), begun
    client.set("v", 1)
    client.set("w", [1])
    client.set("w", None)
    client.delete("w")
    expected = [("w", [1], False), ("w", None, False), ("w", None, True)]
    assert take(events, 3) == expected
    events.close()

async def again():
    async with AsyncClient(host, port) as client:
        changes = []
        async for event in client.watch("w", since=begun.timestamp):
            if isinstance(event, Change):
                changes.append((event.key, event.value, event.removed))
            if len(changes) == 3:
                return changes

assert asyncio.run(again()) == expected
try:
    with Client(host, port) as client:
        next(client.watch("w", since=(1 << 64) - 1))
    raise SystemExit("the future was watched")
except RefusedError:
    pass
print("done")
"#;
    assert_eq!(output(python(&["-c", script]).args([host, port])).as_deref(), Ok("done"));
    let mut shell = python(&["-m", "nunatak_kv", "--host", host, "--port", port, "shell"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = shell.stdin.take().expect("its input");
    input.write_all(b"set s \"'x y'\"\nget s\n").expect("written");
    input.write_all(b"set s int 1\nget s\nexit\n").expect("written");
    drop(input);
    let out = shell.wait_with_output().expect("its end");
    let lines = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(lines.trim_end().ends_with('1'), "{lines}");
}

#[test]
fn who_comes_has_to_be_who_it_says() {
    if !installed("psql") || !installed("python3") {
        return;
    }
    let server = Secured::start();
    server.run("create user ann password 'k9-true'");
    server.run("create user plain password 'k9-true'");
    let port = server.objects.rsplit_once(':').expect("host:port").1;
    let authority = server.certs.join("ca.crt");
    let command = |role: &str, password: &str, words: &[&str]| {
        let mut command =
            python(&["-m", "nunatak_kv", "--host", "localhost", "--port", port, "--role", role]);
        command.arg("--tls-ca").arg(&authority).env("PGPASSWORD", password);
        output(command.args(words))
    };
    // The superuser makes the table by using it, as nobody else may yet.
    let mut raw = Raw::connect(&server.objects);
    assert_eq!(raw.ask(&set("k", &integer(1))), NULL, "postgres is believed here");
    assert!(command("ann", "k9-false", &["get", "k"]).is_err());
    assert!(command("ann", "k9-true", &["get", "k"]).is_err(), "it has no rights yet");
    server.run("grant usage on schema objects to ann; grant select on objects.objects to ann");
    assert_eq!(command("ann", "k9-true", &["get", "k"]).as_deref(), Ok("1"));
    assert!(command("ann", "k9-true", &["set", "k", "2"]).is_err(), "it may only read");
    server.run("grant insert, update, delete on objects.objects to ann");
    assert_eq!(command("ann", "k9-true", &["set", "k", "2"]).as_deref(), Ok("1"));
    // In plain text, by bytes: right and wrong.
    let auth = |password: &str| {
        let length = u8::try_from(password.len()).expect("short");
        [&b"\x03\0\x05plain\0"[..], &[length], password.as_bytes()].concat()
    };
    let mut raw = Raw::connect(&server.objects);
    assert_eq!(raw.ask(&auth("k9-true")), NULL);
    assert_eq!(raw.ask(&get("k")), ERROR, "plain has no rights");
    let mut raw = Raw::connect(&server.objects);
    raw.send(&auth("k9-false"));
    assert_eq!(raw.rest(), framed(ERROR));
    assert!(!server.process.log().contains("k9-true"), "{}", server.process.log());
}

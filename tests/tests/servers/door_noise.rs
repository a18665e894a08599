//! Conversations of the doors beside SQL's, changed at random on their way, and a thousand clients that say nothing: whoever comes
//! after them is served as before.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Listener, free_address, start_single_with};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How many times each door is bothered.
const ATTEMPTS: u64 = 200;

/// No end may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long calls are given that need not be answered.
const MOMENT: Duration = Duration::from_millis(50);

const CONNECTIONS: usize = 1000;

struct Doors {
    server: Listener,
    objects: String,
    kv: String,
    graphql: String,
}

impl Doors {
    fn open(folder: &tempfile::TempDir) -> Self {
        let [objects, kv, graphql] = [(); 3].map(|()| free_address());
        let arguments = ["--objects", &objects, "--kv", &kv, "--graphql", &graphql];
        let server = start_single_with(folder.path(), &arguments);
        Self { server, objects, kv, graphql }
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.server.process.id());
        let status = std::fs::read_to_string(path).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field").to_owned();
        line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
    }

    /// All of them answer, and nothing has panicked.
    fn are_well(&self) {
        let log = self.server.process.log();
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(talk(&self.objects, &[object_get(), vec![0, 0, 0, 0, 0, 0, 0, 1, 255]].concat()).len(), 9);
        let answer = heard_out(&self.graphql, &post("{ __typename }"));
        assert!(String::from_utf8_lossy(&answer).contains("\"__typename\":\"Query\""), "{answer:?}");
        let begun = Instant::now();
        // The first time what is read may not be written yet.
        while !hears(&prod(&self.kv, &calls()), b"value") {
            assert!(begun.elapsed() < PATIENCE, "the key-value service does not answer");
        }
    }
}

/// Says something and that it was all; what is answered to that.
fn talk(address: &str, bytes: &[u8]) -> Vec<u8> {
    listen(&say(address, bytes, true), bytes)
}

/// The same, where who says that it was all would give it up: the server is the one to end it.
fn heard_out(address: &str, bytes: &[u8]) -> Vec<u8> {
    listen(&say(address, bytes, false), bytes)
}

fn say(address: &str, bytes: &[u8], is_all: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
    // The server may have closed the connection before it has read everything.
    let _ = stream.write_all(bytes);
    if is_all {
        let _ = stream.shutdown(Shutdown::Write);
    }
    stream
}

fn listen(mut stream: &TcpStream, bytes: &[u8]) -> Vec<u8> {
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

/// What is answered to calls for a moment: one who says that it was all has given them up.
fn prod(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(MOMENT)).expect("a bound");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn hears(answer: &[u8], wanted: &[u8]) -> bool {
    answer.windows(wanted.len()).any(|bytes| bytes == wanted)
}

/// The same bytes with some changed, left out, or put in.
fn changed(random: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..bytes.len().max(1));
        let count = random.random_range(1..9);
        match random.random_range(0..4) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.random()),
            1 => drop(bytes.drain(at.min(bytes.len())..(at + count).min(bytes.len()))),
            2 => drop(bytes.splice(at..at, (0..count).map(|_| random.random::<u8>()).collect::<Vec<_>>())),
            _ => bytes.iter_mut().skip(at).take(count).for_each(|byte| *byte = [0, 255, 128, 1][count % 4]),
        }
    }
    bytes
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u64).to_be_bytes()[..], payload].concat()
}

fn object_get() -> Vec<u8> {
    framed(b"\0\0\x04well")
}

/// Every request of the object protocol but WATCH and CLOSE, with objects of every type.
fn objects() -> Vec<u8> {
    let object = b"\x04\0\x03\0\x01a\x03\0\x03\x01\0\0\0\0\0\0\0\x07\x02\0\x01x\0\0\x01b\x05\0\x01k\0\x01c\x03\0\x02\x06\x01\x07\x3f\xf8\0\0\0\0\0\0";
    let set = [&b"\x01\0\x01k"[..], object, b"ignored"].concat();
    let zipped = b"\x05\x28\xb5\x2f\xfd\x20\x04\x21\0\0\0\0\x01k";
    let requests = [&set[..], b"\0\0\x01k\x01\x01\x05", zipped, b"\x02\0\x01k", b"\x03\0\x01a\0\x01b"];
    requests.iter().flat_map(|request| framed(request)).collect()
}

/// A frame of HTTP/2.
fn h2(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A call of the key-value service: its headers as they are, and its message.
fn call(stream: u8, method: &str, message: &[u8]) -> Vec<u8> {
    let path = format!("/nunatak.kv.v1.Kv/{method}");
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path.as_str()),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let fields = headers.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat());
    let fields: Vec<u8> = fields.collect();
    let data = [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
    [h2(1, 4, stream, &fields), h2(0, 1, stream, &data)].concat()
}

/// A client of the key-value service that sets a key and reads it.
fn calls() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(h2(4, 0, 0, &[]));
    bytes.extend(call(1, "Set", b"\x12\x03key\x1a\x05value"));
    bytes.extend(call(3, "Get", b"\x12\x03key"));
    bytes.extend(call(5, "Scan", b"\x12\x01a"));
    bytes
}

fn post(query: &str) -> Vec<u8> {
    let body = serde_json::json!({ "query": query }).to_string();
    let length = body.len();
    format!("POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

const HANDSHAKE: &str = "GET /graphql HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n";

/// A frame of a WebSocket, whose mask leaves everything as it is.
fn message(text: &str) -> Vec<u8> {
    let length = text.len() as u16;
    [&[0x81, 0x80 | 126][..], &length.to_be_bytes(), &[0; 4], text.as_bytes()].concat()
}

const QUERIES: [&str; 4] = [
    "query ($x: Int = 1) { objects_objects(first: $x, where: {and: [{key: {in: [\"a\", \"k\"]}}, {not: {key: {eq: \"b\"}}}]}) \
     { nodes { key value @include(if: true) } edges { cursor } pageInfo { endCursor } } ...q } fragment q on Query { __typename }",
    "mutation { insertObjects_objects(rows: [{key: \"m\", value: {a: [1, 2.5, null]}}]) { count } deleteObjects_objects(where: {}) { count } }",
    "{ __schema { types { name fields { name args { name type { kind ofType { name } } } } } } }",
    "subscription { objects_objects(where: {key: {like: \"a%\"}}) { resolved changes { operation timestamp node { key value } } } }",
];

#[test]
fn what_is_changed_on_its_way_is_answered_or_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let doors = Doors::open(&folder);
    // As they are they are understood.
    doors.are_well();
    assert_eq!(talk(&doors.objects, &objects()).last(), Some(&255), "who says AUTH is nobody");
    let before = doors.status("VmRSS:");
    for seed in 0..ATTEMPTS {
        let mut random = StdRng::seed_from_u64(seed);
        talk(&doors.objects, &changed(&mut random, &objects()));
        prod(&doors.kv, &changed(&mut random, &calls()));
        let query = QUERIES[random.random_range(0..QUERIES.len())].as_bytes();
        let query = changed(&mut random, query);
        let query = String::from_utf8_lossy(&query).into_owned();
        heard_out(&doors.graphql, &post(&query));
        prod(&doors.graphql, &changed(&mut random, &post(&query)));
        let subscribe = serde_json::json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
        let init = message("{\"type\":\"connection_init\"}");
        let messages = [init, message(&subscribe.to_string()), message("{\"type\":\"ping\"}")].concat();
        let messages = if seed % 2 == 0 { changed(&mut random, &messages) } else { messages };
        prod(&doors.graphql, &[HANDSHAKE.as_bytes(), &messages].concat());
    }
    doors.are_well();
    let grown = doors.status("VmRSS:").saturating_sub(before);
    assert!(grown < 256 << 10, "{grown} KiB more");
}

/// Reads so much of an answer that it holds these bytes.
fn read_until(stream: &mut TcpStream, wanted: &[u8]) {
    let (mut answer, begun) = (Vec::new(), Instant::now());
    while !hears(&answer, wanted) {
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).expect("an answer");
        assert!(count > 0, "it is closed after {answer:?}");
        answer.extend(&bytes[..count]);
    }
}

#[test]
fn a_thousand_connections_of_each_door_cost_no_thread() {
    // What the server inherits, too.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("more files");
    let folder = tempfile::tempdir().expect("a directory");
    let doors = Doors::open(&folder);
    doors.are_well();
    let (threads, kib) = (doors.status("Threads:"), doors.status("VmRSS:"));
    // Each has spoken as far as it takes to be known as what it is.
    let hold = |address: &str, said: &[u8], answer: &[u8]| -> Vec<TcpStream> {
        let connections = (0..CONNECTIONS).map(|_| {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
            stream.write_all(said).expect("sent");
            read_until(&mut stream, answer);
            stream
        });
        connections.collect()
    };
    let objects = hold(&doors.objects, &object_get(), b"\0\0\0\0\0\0\0\x01\0");
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &h2(4, 0, 0, &[])].concat();
    // What is answered to settings is that they are known.
    let kv = hold(&doors.kv, &preface, &h2(4, 1, 0, &[]));
    let init = [HANDSHAKE.as_bytes(), &message("{\"type\":\"connection_init\"}")].concat();
    let graphql = hold(&doors.graphql, &init, b"connection_ack");
    assert!(doors.status("Threads:") <= threads + 8, "connections cost threads");
    // Until those that have asked rest, too.
    std::thread::sleep(Duration::from_secs(15));
    let grown = doors.status("VmRSS:").saturating_sub(kib);
    println!("3 x {CONNECTIONS} connections: {grown} KiB");
    assert!(grown < 300 << 10, "{grown} KiB for {CONNECTIONS} connections of each door");
    doors.are_well();
    for mut stream in objects {
        stream.write_all(&object_get()).expect("sent");
        read_until(&mut stream, b"\0\0\0\0\0\0\0\x01\0");
    }
    for mut stream in graphql {
        stream.write_all(&message("{\"type\":\"ping\"}")).expect("sent");
        read_until(&mut stream, b"pong");
    }
    drop(kv);
}

//! What a gateway answers to bytes, good and bad. Statements here need no cluster; whoever logs in is asked about at one.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something unforeseen happens"
)]

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, ClientOptions};
use env::disk::MemoryDisk;
use node::{Node, NodeOptions};
use nunatak_gateway::{Gateway, GatewayOptions};
use proto::inprocess::InProcess;
use sql::{Engine, EngineOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than this nothing here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway, and what it asks.
struct Served {
    gateway: Gateway,
    _node: Arc<Node>,
}

impl Deref for Served {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

async fn start(options: GatewayOptions) -> Served {
    const ADDRESS: &str = "node:1";
    let network = Arc::new(InProcess::new());
    let disk = Arc::new(MemoryDisk::new());
    let node = Node::start(NodeOptions::new(disk, "data", network.clone(), ADDRESS)).await.unwrap();
    network.register(ADDRESS, node.clone());
    node.init(None).await.unwrap();
    node.wait_ready(PATIENCE).await.unwrap();
    Served { gateway: gateway(network, ADDRESS, options).await, _node: node }
}

async fn gateway(network: Arc<InProcess>, address: &str, options: GatewayOptions) -> Gateway {
    let client = Client::new(network, vec![address.to_owned()], ClientOptions::default());
    let engine = Engine::new(client, EngineOptions::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Gateway::start(listener, engine, options).unwrap()
}

/// A client that speaks bytes.
struct Raw(TcpStream);

impl Raw {
    async fn connect(gateway: &Gateway) -> Self {
        Self(TcpStream::connect(gateway.address()).await.unwrap())
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next message: its kind and body. None: the server has closed the connection.
    async fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let receiving = async {
            let kind = self.0.read_u8().await.ok()?;
            let length = self.0.read_u32().await.ok()?;
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).await.ok()?;
            Some((kind, body))
        };
        env::clock::timeout(PATIENCE, receiving).await.expect("an answer in time")
    }

    /// The kinds of the messages up to ReadyForQuery, and the fields of the errors among them.
    async fn until_ready(&mut self) -> (String, Vec<String>) {
        let (mut kinds, mut errors) = (String::new(), Vec::new());
        loop {
            let (kind, body) = self.receive().await.expect("a message");
            kinds.push(char::from(kind));
            if kind == b'E' {
                errors.push(fields(&body));
            }
            if kind == b'Z' {
                return (kinds, errors);
            }
        }
    }

    /// The error that ends the connection.
    async fn last_error(&mut self) -> String {
        let (kind, body) = self.receive().await.expect("an error before the end");
        assert_eq!(kind, b'E');
        assert!(self.receive().await.is_none(), "the connection is closed after a fatal error");
        fields(&body)
    }
}

/// `FATAL 08P01 message`
fn fields(body: &[u8]) -> String {
    let texts: Vec<String> =
        body.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    let field = |code: char| {
        texts
            .iter()
            .find_map(|text| text.strip_prefix(code))
            .unwrap_or_else(|| panic!("no {code} in {texts:?}"))
    };
    format!("{} {} {}", field('V'), field('C'), field('M'))
}

fn startup(code: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = (body.len() as u32 + 8).to_be_bytes().to_vec();
    packet.extend_from_slice(&code.to_be_bytes());
    packet.extend_from_slice(body);
    packet
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

const VERSION_3_0: u32 = 3 << 16;

async fn session(gateway: &Gateway) -> Raw {
    let mut raw = Raw::connect(gateway).await;
    raw.send(&startup(VERSION_3_0, b"user\0ann\0database\0postgres\0\0")).await;
    let (kinds, errors) = raw.until_ready().await;
    assert!(errors.is_empty(), "{errors:?}");
    assert!(kinds.starts_with('R') && kinds.ends_with("KZ"), "{kinds}");
    raw
}

#[tokio::test]
async fn encryption_is_refused_and_the_session_goes_on_without() {
    let gateway = start(GatewayOptions::default()).await;
    let mut raw = Raw::connect(&gateway).await;
    for code in [80_877_103, 80_877_104] {
        raw.send(&startup(code, b"")).await;
        assert_eq!(raw.0.read_u8().await.unwrap(), b'N');
    }
    raw.send(&startup(VERSION_3_0, b"user\0ann\0database\0postgres\0\0")).await;
    assert!(raw.until_ready().await.0.ends_with("KZ"));
}

#[tokio::test]
async fn newer_minor_versions_are_negotiated_down() {
    let gateway = start(GatewayOptions::default()).await;
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&startup(VERSION_3_0 + 2, b"user\0ann\0database\0postgres\0_pq_.new\x001\0\0")).await;
    let (kind, body) = raw.receive().await.unwrap();
    assert_eq!((kind, &body[..]), (b'v', &b"\0\x03\0\0\0\0\0\x01_pq_.new\0"[..]));
    assert!(raw.until_ready().await.0.ends_with("KZ"));
}

#[tokio::test]
async fn what_is_no_startup_packet_is_refused_with_a_reason() {
    let gateway = start(GatewayOptions::default()).await;
    let gibibyte = [&(1u32 << 30).to_be_bytes()[..], &VERSION_3_0.to_be_bytes()].concat();
    let gibibyte_begun = [&gibibyte[..], &vec![7; 4 << 20]].concat();
    let http = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    let refusals = [
        (gibibyte_begun, "FATAL 08P01 invalid length of startup packet"),
        (gibibyte, "FATAL 08P01 invalid length of startup packet"),
        (http, "FATAL 08P01 invalid length of startup packet"),
        (startup(2 << 16, b""), "FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.0"),
        (startup(VERSION_3_0, b"\0"), "FATAL 28000 no PostgreSQL user name specified in startup packet"),
        (
            startup(VERSION_3_0, b"user\0"),
            "FATAL 08P01 invalid startup packet layout: expected terminator as last byte",
        ),
        (
            startup(VERSION_3_0, b"user\0\xff\0\0"),
            "FATAL 22021 invalid byte sequence for encoding \"UTF8\": 0xff",
        ),
        (
            startup(VERSION_3_0, b"user\0a\0replication\0true\0\0"),
            "FATAL 0A000 replication connections are not supported",
        ),
    ];
    for (packet, expected) in refusals {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(&packet).await;
        assert_eq!(raw.last_error().await, expected);
    }
    session(&gateway).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away() {
    let options = GatewayOptions { startup_timeout: Duration::from_millis(50), ..GatewayOptions::default() };
    let gateway = start(options).await;
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&[0, 0]).await;
    assert_eq!(raw.last_error().await, "FATAL 08006 terminating connection due to startup timeout");
}

#[tokio::test]
async fn what_is_no_message_ends_the_session_with_a_reason() {
    let options = GatewayOptions { message_bytes_max: 100_000, ..GatewayOptions::default() };
    let gateway = start(options).await;
    let refusals = [
        (vec![0u8; 64], "FATAL 08P01 invalid frontend message type 0"),
        (b"Q\0\0\0\x03".to_vec(), "FATAL 08P01 invalid message length 3"),
        (
            b"Q\xff\xff\xff\xff".to_vec(),
            "FATAL 54000 a query string of 4294967295 bytes is too long: at most 100000 are allowed",
        ),
        (
            b"d\0\x02\0\0".to_vec(),
            "FATAL 54000 a piece of COPY data of 131072 bytes is too long: at most 100000 are allowed",
        ),
        (
            b"S\0\x01\0\0".to_vec(),
            "FATAL 08P01 message of 65536 bytes of type 'S' is longer than the 10000 that are allowed",
        ),
        (message(b'p', b"secret\0"), "FATAL 08P01 password message without an authentication request"),
    ];
    for (bytes, expected) in refusals {
        let mut raw = session(&gateway).await;
        raw.send(&bytes).await;
        assert_eq!(raw.last_error().await, expected);
    }
    session(&gateway).await;
}

#[tokio::test]
async fn who_sends_too_long_a_statement_to_its_end_is_told_why_it_is_refused() {
    let gateway = start(GatewayOptions::default()).await;
    let statement = |kind: u8| {
        let name: &[u8] = if kind == b'P' { b"\0" } else { b"" };
        message(kind, &[name, b"SELECT '", &vec![b'x'; 80 << 20], b"'\0"].concat())
    };
    for (kind, what) in [(b'Q', "a query string"), (b'P', "a statement to prepare")] {
        let mut raw = session(&gateway).await;
        let mut bytes = statement(kind);
        let length = bytes.len() - 1;
        bytes.extend(message(b'S', b""));
        // As clients do that look for an answer only when they have sent everything; on a slow link, that takes a while.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        raw.send(first).await;
        env::clock::sleep(Duration::from_millis(700)).await;
        raw.send(second).await;
        let expected =
            format!("FATAL 54000 {what} of {length} bytes is too long: at most 67108864 are allowed");
        assert_eq!(raw.last_error().await, expected);
    }
    session(&gateway).await;
}

#[tokio::test]
async fn a_broken_body_is_an_error_and_the_session_goes_on() {
    let gateway = start(GatewayOptions::default()).await;
    let mut raw = session(&gateway).await;
    raw.send(&message(b'Q', b"SELECT '\xff'\0")).await;
    let (kinds, errors) = raw.until_ready().await;
    assert_eq!(
        (kinds.as_str(), errors),
        ("EZ", vec!["ERROR 22021 invalid byte sequence for encoding \"UTF8\": 0xff".to_owned()])
    );
    raw.send(&message(b'Q', b"no terminator")).await;
    assert_eq!(raw.until_ready().await.1, ["ERROR 08P01 invalid string in message"]);
    raw.send(&message(b'F', b"\0\0\0\0")).await;
    let (kinds, errors) = raw.until_ready().await;
    assert_eq!((kinds.as_str(), errors[0].starts_with("ERROR 0A000")), ("EZ", true));
}

#[tokio::test]
async fn after_an_error_nothing_is_answered_until_sync() {
    let gateway = start(GatewayOptions::default()).await;
    let mut raw = session(&gateway).await;
    let series = [
        message(b'B', b"\0nothing\0\0\0\0\0\0\0"),
        message(b'D', b"Sother\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'B', b"broken"),
        message(b'Q', b"SELECT 1\0"),
        message(b'S', b""),
    ];
    raw.send(&series.concat()).await;
    let (kinds, errors) = raw.until_ready().await;
    assert_eq!(kinds, "EZ");
    assert_eq!(errors, ["ERROR 26000 prepared statement \"nothing\" does not exist"]);
    raw.send(&[message(b'C', b"Snothing\0"), message(b'S', b"")].concat()).await;
    assert_eq!(raw.until_ready().await.0, "3Z");
}

#[tokio::test]
async fn clients_beyond_the_bound_are_refused() {
    let gateway = start(GatewayOptions { connections_max: 1, ..GatewayOptions::default() }).await;
    let first = session(&gateway).await;
    let mut second = Raw::connect(&gateway).await;
    second.send(&startup(VERSION_3_0, b"user\0ann\0database\0postgres\0\0")).await;
    assert_eq!(second.last_error().await, "FATAL 53300 sorry, too many clients already");
    drop(first);
    while gateway.connections() > 0 {
        env::clock::sleep(Duration::from_millis(1)).await;
    }
    session(&gateway).await;
}

#[tokio::test]
async fn an_idle_session_ends_at_once_when_the_gateway_stops() {
    let gateway = start(GatewayOptions::default()).await;
    let mut raw = session(&gateway).await;
    let stopping = gateway.shutdown(Duration::from_secs(60));
    let (error, ()) = tokio::join!(raw.last_error(), stopping);
    assert_eq!(error, "FATAL 57P01 terminating connection due to administrator command");
    assert!(TcpStream::connect(gateway.address()).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn terminate_ends_the_session_without_a_word() {
    let gateway = start(GatewayOptions::default()).await;
    let mut raw = session(&gateway).await;
    raw.send(&message(b'X', b"")).await;
    assert!(raw.receive().await.is_none());
}

#[tokio::test]
async fn those_who_say_nothing_count_as_connections() {
    let gateway = start(GatewayOptions { connections_max: 2, ..GatewayOptions::default() }).await;
    let silent = [Raw::connect(&gateway).await, Raw::connect(&gateway).await];
    let counted = async {
        while gateway.connections() < silent.len() {
            env::clock::sleep(Duration::from_millis(5)).await;
        }
    };
    env::clock::timeout(PATIENCE, counted).await.expect("both count");
    let mut third = Raw::connect(&gateway).await;
    third.send(&startup(VERSION_3_0, b"user\0ann\0database\0postgres\0\0")).await;
    assert!(third.last_error().await.starts_with("FATAL 53300"));
    drop(silent);
    let gone = async {
        while gateway.connections() > 0 {
            env::clock::sleep(Duration::from_millis(5)).await;
        }
    };
    env::clock::timeout(PATIENCE, gone).await.expect("neither counts");
    session(&gateway).await;
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_refused() {
    let gateway = start(GatewayOptions::default()).await;
    for packet in [&b"user\0ann\0database\0nosuch\0\0"[..], b"user\0ann\0\0"] {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(&startup(VERSION_3_0, packet)).await;
        assert!(raw.last_error().await.starts_with("FATAL 3D000"));
    }
}

#[tokio::test]
async fn a_gateway_that_knows_of_no_cluster_says_so_in_time() {
    let gateway = gateway(Arc::new(InProcess::new()), "nowhere:1", GatewayOptions::default()).await;
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&startup(VERSION_3_0, b"user\0ann\0database\0postgres\0\0")).await;
    let error = raw.last_error().await;
    assert!(error.starts_with("FATAL ") && !error.starts_with("FATAL XX000"), "{error}");
}

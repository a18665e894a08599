//! GraphQL's subscriptions against the real binary: a WebSocket of plain bytes, and what SQL does meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use api::credentials::Credentials;
use nunatak_tests::processes::{Listener, free_address, installed, psql, start_single_with};
use serde_json::{Value, json};

/// How long something may take that should come soon.
const SOON: Duration = Duration::from_secs(30);

fn start(folder: &tempfile::TempDir) -> (Listener, String) {
    let graphql = free_address();
    let server = start_single_with(folder.path(), &["--graphql", &graphql]);
    (server, graphql)
}

/// A WebSocket.
struct Socket {
    stream: TcpStream,
    head: String,
    rest: Vec<u8>,
}

/// What comes of it.
#[derive(Debug, PartialEq)]
enum Heard {
    Message(Value),
    Close(u16),
    Pong(Vec<u8>),
}

impl Socket {
    /// Asks for a socket with these headers besides, and reads the head of the answer.
    fn ask(address: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a bound");
        let head = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut rest = Vec::new();
        let end = loop {
            if let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).expect("an answer");
            assert!(count > 0, "it is closed");
            rest.extend(&bytes[..count]);
        };
        let head = String::from_utf8(rest.drain(..end).collect()).expect("UTF-8");
        Self { stream, head, rest }
    }

    fn open(address: &str) -> Self {
        let socket = Self::ask(
            address,
            "sec-websocket-version: 13\r\nsec-websocket-protocol: graphql-transport-ws\r\n",
        );
        assert!(socket.head.starts_with("HTTP/1.1 101 "), "{}", socket.head);
        assert!(socket.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{}", socket.head);
        assert!(socket.head.contains("graphql-transport-ws"), "{}", socket.head);
        socket
    }

    /// The same, when the client has said who it is.
    fn of_role(address: &str, role: &str, password: &str) -> Self {
        let mut socket = Self::open(address);
        let said = Credentials { role: role.to_owned(), password: password.to_owned() };
        let said = said.to_metadata().expect("metadata");
        socket.say(&json!({
            "type": "connection_init", "payload": { "Authorization": said.to_str().expect("ASCII") }
        }));
        assert_eq!(socket.hear(), Heard::Message(json!({ "type": "connection_ack" })));
        socket
    }

    fn ready(address: &str) -> Self {
        let mut socket = Self::open(address);
        socket.say(&json!({ "type": "connection_init" }));
        assert_eq!(socket.hear(), Heard::Message(json!({ "type": "connection_ack" })));
        socket
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        let mask = [7, 1, 8, 2];
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(0x80 | length as u8),
            length @ 126..0x1_0000 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        // Whoever has been closed may not read it.
        let _ = self.stream.write_all(&bytes);
    }

    fn say(&mut self, message: &Value) {
        self.send(0x81, message.to_string().as_bytes());
    }

    fn subscribe(&mut self, id: &str, query: &str) {
        self.say(&json!({ "id": id, "type": "subscribe", "payload": { "query": query } }));
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            let mut bytes = [0; 64 << 10];
            let got = self.stream.read(&mut bytes).expect("what was sent");
            assert!(got > 0, "the socket is closed without a word");
            self.rest.extend(&bytes[..got]);
        }
        self.rest.drain(..count).collect()
    }

    /// What comes next; the server's questions whether the client is there are answered.
    fn hear(&mut self) -> Heard {
        loop {
            let head = self.take(2);
            let length = match head[1] {
                126 => u16::from_be_bytes(self.take(2).try_into().expect("two")).into(),
                127 => u64::from_be_bytes(self.take(8).try_into().expect("eight")) as usize,
                length => usize::from(length),
            };
            let payload = self.take(length);
            match head[0] {
                0x81 => return Heard::Message(serde_json::from_slice(&payload).expect("JSON")),
                0x88 => {
                    return Heard::Close(u16::from_be_bytes([payload[0], payload[1]]));
                }
                0x89 => self.send(0x8a, &payload),
                0x8a => return Heard::Pong(payload),
                other => panic!("a frame of {other:x}"),
            }
        }
    }

    fn message(&mut self) -> Value {
        match self.hear() {
            Heard::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The next answers to a subscription of `field`, until so many changes have come: each as its operation, and its row.
    fn changes(&mut self, id: &str, field: &str, count: usize) -> Vec<(String, Value)> {
        let mut changes = Vec::new();
        let begun = Instant::now();
        while changes.len() < count && begun.elapsed() < SOON {
            let mut message = self.message();
            if message["id"] != json!(id) {
                continue;
            }
            assert_eq!(message["type"], json!("next"), "{message}");
            let told = message["payload"]["data"][field]["changes"].take();
            for change in told.as_array().cloned().unwrap_or_default() {
                let operation = change["operation"].as_str().expect("a word").to_owned();
                changes.push((operation, change["node"].clone()));
            }
        }
        assert_eq!(changes.len(), count, "{changes:?}");
        changes
    }

    /// Reads until it is said up to when all was told.
    fn mark(&mut self, field: &str) -> String {
        loop {
            let message = self.message();
            if let Some(mark) = message["payload"]["data"][field]["resolved"].as_str() {
                return mark.to_owned();
            }
        }
    }
}

fn change(operation: &str, node: Value) -> (String, Value) {
    (operation.to_owned(), node)
}

#[test]
fn what_is_committed_is_told_as_it_was_then() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql("create table author (id int primary key, name text not null); \
         create table book (a int, b text, author_id int references author, primary key (a, b)); \
         create index on book (author_id); insert into author values (1, 'Ada'); insert into book values (1, 'x', 1)");
    let mut socket = Socket::ready(&graphql);
    socket.subscribe(
        "a",
        "subscription { author { resolved changes { operation node { id name book { nodes { b } } } } } }",
    );
    let first = socket.mark("author");
    sql("insert into author values (2, 'Ben'), (3, 'Cat')");
    sql("update author set name = 'Bob' where id = 2; insert into book values (1, 'y', 2)");
    sql("delete from author where id = 3");
    let book = |list: Value| json!({ "nodes": list });
    let expected = [
        change("INSERT", json!({ "id": 2, "name": "Ben", "book": book(json!([])) })),
        change("INSERT", json!({ "id": 3, "name": "Cat", "book": book(json!([])) })),
        change("UPDATE", json!({ "id": 2, "name": "Bob", "book": book(json!([{ "b": "y" }])) })),
        change("DELETE", json!({ "id": 3, "name": "Cat", "book": book(json!([])) })),
    ];
    assert_eq!(socket.changes("a", "author", 4), expected);
    // Once more, from the mark on, with a condition: rows come and go with it. The key of another has two columns.
    socket.say(&json!({ "id": "a", "type": "complete" }));
    let query = "subscription ($since: BigInt) { author(since: $since, where: {name: {like: \"B%\"}}) { changes { operation timestamp node { id name } } } }";
    socket.say(&json!({ "id": "b", "type": "subscribe", "payload": { "query": query, "variables": { "since": first } } }));
    let seen = socket.changes("b", "author", 2);
    assert_eq!(seen[0], change("INSERT", json!({ "id": 2, "name": "Ben" })));
    assert_eq!(seen[1], change("UPDATE", json!({ "id": 2, "name": "Bob" })));
    sql("update author set name = 'Dan' where id = 2");
    assert_eq!(socket.changes("b", "author", 1), [change("DELETE", json!({ "id": 2, "name": "Bob" }))]);
    socket.say(&json!({ "id": "b", "type": "complete" }));
    socket.subscribe(
        "c",
        "subscription { book { resolved changes { operation node { a b author { name } } } } }",
    );
    socket.mark("book");
    sql(
        "insert into book values (2, 'x', 1), (2, 'y', null); update book set b = 'z' where a = 1 and b = 'x'; delete from book where a = 2 and b = 'y'",
    );
    let mut seen = socket.changes("c", "book", 3);
    seen.sort_by_key(|(operation, node)| format!("{operation} {node}"));
    let ada = json!({ "name": "Ada" });
    let expected = [
        change("DELETE", json!({ "a": 1, "b": "x", "author": ada })),
        change("INSERT", json!({ "a": 1, "b": "z", "author": ada })),
        change("INSERT", json!({ "a": 2, "b": "x", "author": ada })),
    ];
    assert_eq!(seen, expected);
    // Others are carried out beside it.
    socket.subscribe("d", "{ authorAggregate { count } }");
    let answer =
        json!({ "id": "d", "type": "next", "payload": { "data": { "authorAggregate": { "count": "2" } } } });
    let (mut told, mut done) = (false, false);
    while !done {
        let message = socket.message();
        told |= message == answer;
        done |= message == json!({ "id": "d", "type": "complete" });
    }
    assert!(told);
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[test]
fn the_port_of_health_is_one_to_follow_at_too() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single_with(folder.path(), &[]);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql("create table t (id int primary key)");
    let mut socket = Socket::ready(&server.http);
    socket.subscribe("a", "subscription { t { resolved changes { operation node { id } } } }");
    socket.mark("t");
    // It is no visitor of the port: those who come after it do not take its place.
    let silent: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(&server.http).expect("a connection")).collect();
    sql("insert into t values (1)");
    assert_eq!(socket.changes("a", "t", 1), [change("INSERT", json!({ "id": 1 }))]);
    drop(silent);
    socket.say(&json!({ "id": "a", "type": "complete" }));
    socket.subscribe("b", "mutation { insertT(rows: [{id: 2}]) { count } }");
    let answer = json!({ "id": "b", "type": "next", "payload": { "data": { "insertT": { "count": "1" } } } });
    while socket.message() != answer {}
    assert_eq!(sql("select count(*) from t"), "2");
}

#[test]
fn a_clone_is_followed_as_any_table_and_what_it_is_one_of_is_another() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single_with(folder.path(), &[]);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql("create table o (id int primary key, v int)");
    sql("insert into o values (1, 1), (2, 2), (3, 3)");
    sql("create table t clone o");
    let mut socket = Socket::ready(&server.http);
    socket.subscribe("a", "subscription { t { resolved changes { operation node { id v } } } }");
    socket.mark("t");
    // What is there from the origin, and what is of its own.
    for change in [
        "update t set v = 10 where id = 1",
        "update o set v = 0",
        "delete from t where id = 2",
        "insert into t values (4, 4)",
        "delete from t where id = 4",
        "insert into t values (2, 20)",
    ] {
        sql(change);
    }
    let expected = [
        change("UPDATE", json!({ "id": 1, "v": 10 })),
        change("DELETE", json!({ "id": 2, "v": 2 })),
        change("INSERT", json!({ "id": 4, "v": 4 })),
        change("DELETE", json!({ "id": 4, "v": 4 })),
        change("INSERT", json!({ "id": 2, "v": 20 })),
    ];
    assert_eq!(socket.changes("a", "t", expected.len()), expected);
    assert_eq!(sql("select count(*) from t"), "3");
}

#[test]
fn large_changes_come_in_pieces() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql("create table large (id int primary key, text text)");
    let mut socket = Socket::ready(&graphql);
    socket.subscribe("a", "subscription { large { resolved changes { operation node { id text } } } }");
    socket.mark("large");
    sql("insert into large select n, repeat('x', 200000) from generate_series(1, 100) n");
    let mut ids: Vec<i64> = Vec::new();
    for (operation, node) in socket.changes("a", "large", 100) {
        assert_eq!((operation.as_str(), node["text"].as_str().map(str::len)), ("INSERT", Some(200_000)));
        ids.extend(node["id"].as_i64());
    }
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1..=100));
}

#[test]
fn a_change_that_is_too_large_is_left_out_and_what_follows_is_told() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (server, graphql) = start(&folder);
    let sql = |statement: &str| psql(&server.address, statement).expect("a statement");
    sql("create table heavy (id int primary key, data bytea)");
    let mut socket = Socket::ready(&graphql);
    socket.subscribe("a", "subscription { heavy { resolved changes { operation node { id data } } } }");
    let since = socket.mark("heavy");
    // In hexadecimal digits it is twice as long.
    sql("insert into heavy values (1, ''), (2, decode(repeat('00', 5000000), 'hex')), (3, '')");
    let mut told = Vec::new();
    let mut left_out = Vec::new();
    let mark = loop {
        let Heard::Message(message) = socket.hear() else { panic!("the socket is closed") };
        assert_eq!((&message["id"], &message["type"]), (&json!("a"), &json!("next")), "{message}");
        let payload = &message["payload"];
        if let Some(errors) = payload.get("errors") {
            assert_eq!((&errors[0]["extensions"]["code"], &payload["data"]), (&json!("54000"), &Value::Null));
            left_out.push(errors[0]["extensions"]["detail"].as_str().expect("a detail").to_owned());
            continue;
        }
        let changes = payload["data"]["heavy"]["changes"].as_array().expect("changes");
        told.extend(changes.iter().map(|change| change["node"]["id"].clone()));
        let resolved = payload["data"]["heavy"]["resolved"].as_str();
        if let Some(resolved) = resolved.filter(|_| told.len() == 2 && !left_out.is_empty()) {
            break resolved.to_owned();
        }
    };
    told.sort_by_key(|id| id.as_i64());
    assert_eq!(told, [json!(1), json!(3)]);
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert!(left_out[0].starts_with("A change of "), "{left_out:?}");
    assert!(mark.parse::<u64>().expect("a mark") > since.parse::<u64>().expect("a mark"));
    // It is left out again, by who asks from before on, and by nobody else.
    sql("insert into heavy values (4, '')");
    assert_eq!(socket.changes("a", "heavy", 1), [change("INSERT", json!({ "id": 4, "data": "\\x" }))]);
}

#[test]
fn roles_are_told_what_they_may_see() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql(
        "create table note (id int primary key, owner text, secret text); create role ann login; create role bob login; \
         grant select (id, owner) on note to ann; alter table note enable row level security; \
         create policy own on note using (owner = current_user)",
    );
    let mut ann = Socket::of_role(&graphql, "ann", "");
    ann.subscribe("a", "subscription { note { resolved changes { operation node { id owner } } } }");
    ann.mark("note");
    sql("insert into note values (1, 'bob', 's'), (2, 'ann', 's')");
    assert_eq!(ann.changes("a", "note", 1), [change("INSERT", json!({ "id": 2, "owner": "ann" }))]);
    // A row that the role may not see any more has gone.
    sql("update note set owner = 'bob' where id = 2");
    assert_eq!(ann.changes("a", "note", 1), [change("DELETE", json!({ "id": 2, "owner": "ann" }))]);
    ann.subscribe("b", "subscription { note { changes { node { secret } } } }");
    let refused = loop {
        let message = ann.message();
        if message["id"] == json!("b") {
            break message;
        }
    };
    assert_eq!(
        (&refused["type"], &refused["payload"][0]["message"]),
        (&json!("error"), &json!("Note has no field secret"))
    );
    let mut bob = Socket::of_role(&graphql, "bob", "");
    bob.subscribe("a", "subscription { note { resolved } }");
    assert_eq!(bob.message()["payload"][0]["message"], json!("there is nothing that the role may follow"));
    // What is granted is seen at once, and so is what is taken.
    sql("grant select on note to bob");
    bob.subscribe("a", "subscription { note { resolved } }");
    bob.mark("note");
    sql("revoke select on note from bob");
    let ended = loop {
        let message = bob.message();
        if message["type"] == json!("error") {
            break message;
        }
    };
    assert_eq!(ended["id"], json!("a"), "{ended}");
    // Another name ends it, and a table that is emptied does, and says so.
    sql("create table other (id int primary key)");
    let mut owner = Socket::ready(&graphql);
    owner.subscribe("a", "subscription { other { resolved } }");
    owner.mark("other");
    sql("alter table other rename to another");
    let ended = loop {
        let message = owner.message();
        if message["type"] == json!("error") {
            break message;
        }
    };
    assert_eq!(ended["payload"][0]["extensions"]["code"], json!("55000"), "{ended}");
    sql("truncate note");
    let ended = loop {
        let message = ann.message();
        if message["type"] == json!("error") {
            break message;
        }
    };
    assert_eq!(ended["payload"][0]["extensions"]["code"], json!("55000"), "{ended}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let (mut server, graphql) = start(&folder);
    for (headers, status) in [
        ("sec-websocket-protocol: graphql-transport-ws\r\n", "426"),
        ("sec-websocket-version: 8\r\n", "426"),
        ("sec-websocket-version: 13\r\norigin: http://evil.example\r\n", "403"),
    ] {
        let socket = Socket::ask(&graphql, headers);
        assert!(socket.head.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {}", socket.head);
    }
    // There are clients that look for the name as they have written it.
    let headers = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-ws, graphql-transport-ws\r\n";
    let socket = Socket::ask(&graphql, headers);
    assert!(socket.head.contains("\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"), "{}", socket.head);
    let mut socket =
        Socket::ask(&graphql, "sec-websocket-version: 13\r\nsec-websocket-protocol: graphql-ws\r\n");
    assert_eq!(socket.hear(), Heard::Close(4406));
    let closed = |said: &[Value]| {
        let mut socket = Socket::open(&graphql);
        said.iter().for_each(|message| socket.say(message));
        loop {
            if let Heard::Close(code) = socket.hear() {
                return code;
            }
        }
    };
    let (init, query) = (json!({ "type": "connection_init" }), json!({ "query": "{ __typename }" }));
    assert_eq!(closed(&[json!({ "type": "subscribe", "id": "1", "payload": query })]), 4401);
    assert_eq!(closed(&[init.clone(), init.clone()]), 4429);
    assert_eq!(closed(&[init.clone(), json!({ "type": "start", "id": "1" })]), 4400);
    assert_eq!(closed(&[json!([])]), 4400);
    let wrong = json!({ "type": "connection_init", "payload": { "authorization": "Bearer x" } });
    assert_eq!(closed(&[wrong]), 4403);
    let mut socket = Socket::ready(&graphql);
    socket.send(0x89, b"there?");
    assert_eq!(socket.hear(), Heard::Pong(b"there?".to_vec()));
    socket.say(&json!({ "type": "ping" }));
    assert_eq!(socket.message(), json!({ "type": "pong" }));
    for query in ["{", "{ nothing }", "subscription { nothing { resolved } }"] {
        socket.subscribe("1", query);
        let message = socket.message();
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("1")), "{query}");
    }
    socket.send(0x82, b"bytes");
    assert_eq!(socket.hear(), Heard::Close(1003));
    let mut socket = Socket::ready(&graphql);
    socket.send(0x81, &vec![b' '; (1 << 20) + 1]);
    assert_eq!(socket.hear(), Heard::Close(1009));
    if installed("psql") {
        psql(&server.address, "create table t (id int primary key, system_end int)").expect("a table");
        psql(&server.address, "create table u (id int primary key)").expect("a table");
        let mut socket = Socket::ready(&graphql);
        socket.subscribe("1", "subscription { t { resolved } }");
        assert_eq!(socket.message()["payload"][0]["extensions"]["code"], json!("0A000"));
        for (since, code) in [("\"9000000000000000000\"", "22023"), ("0", "22023")] {
            socket.subscribe("1", &format!("subscription {{ u(since: {since}) {{ resolved }} }}"));
            let message = socket.message();
            assert_eq!(message["payload"][0]["extensions"]["code"], json!(code), "{since}: {message}");
        }
        socket.subscribe("1", "subscription { u { resolved } }");
        socket.mark("u");
        socket.subscribe("1", "subscription { u { resolved } }");
        loop {
            if let Heard::Close(code) = socket.hear() {
                assert_eq!(code, 4409);
                break;
            }
        }
    }
    // Who follows is told when the gateway stops.
    let mut socket = Socket::ready(&graphql);
    assert_eq!(server.process.terminate(), Some(0));
    assert_eq!(socket.hear(), Heard::Close(1001));
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

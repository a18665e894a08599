//! GraphQL against the real binary: plain HTTP to its port, and what SQL says of what came of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use api::credentials::Credentials;
use nunatak_tests::processes::{Listener, free_address, installed, output, psql, start_single_with};
use nunatak_tests::secured::{Secured, text};
use serde_json::{Value, json};

/// A gateway, and where its GraphQL is.
fn start(folder: &tempfile::TempDir) -> (Listener, String) {
    let graphql = free_address();
    let server = start_single_with(folder.path(), &["--graphql", &graphql]);
    (server, graphql)
}

/// An answer: its status, and what stands behind its headers.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Sends bytes on a connection of its own, and reads to its end.
fn exchange(address: &str, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a bound");
    // What is refused early may not be read to its end.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    // One that is closed while something was still on its way there ends with an error behind its answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn post(address: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    exchange(address, &[head.as_bytes(), body.as_bytes()].concat())
}

const JSON: &str = "content-type: application/json\r\n";

/// A client.
struct Client {
    address: String,
    headers: String,
}

impl Client {
    fn of(address: &str) -> Self {
        Self { address: address.to_owned(), headers: JSON.to_owned() }
    }

    fn role(address: &str, role: &str, password: &str) -> Self {
        let said = Credentials { role: role.to_owned(), password: password.to_owned() };
        let said = said.to_metadata().expect("metadata");
        let said = said.to_str().expect("ASCII");
        Self { address: address.to_owned(), headers: format!("{JSON}authorization: {said}\r\n") }
    }

    fn with(&self, query: &str, variables: Value) -> (u16, Value) {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let answer = post(&self.address, &self.headers, &body);
        let body =
            serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}\n{}", answer.head, answer.body));
        (answer.status, body)
    }

    /// What is answered to what is to go well.
    fn data(&self, query: &str) -> Value {
        let (status, mut body) = self.with(query, json!({}));
        assert!(status == 200 && body.get("errors").is_none(), "{query}: {status} {body}");
        body["data"].take()
    }

    /// The code and the message of what is refused.
    fn refused(&self, query: &str) -> (String, String) {
        let (_, body) = self.with(query, json!({}));
        let error = &body["errors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{query}: {body}")).to_owned();
        (text(&error["extensions"]["code"]), text(&error["message"]))
    }
}

const LIBRARY: &str = "create table author (id int primary key, name text not null, born date); \
    create table book (id bigint primary key, author_id int references author on delete cascade, title text, \
        price numeric(8, 2), sold timestamptz, more jsonb); \
    create index on book (author_id); \
    insert into author values (1, 'Ada', '1815-12-10'), (2, 'Ben', null), (3, 'Cat', null); \
    insert into book select n, case when n <= 6 then 1 when n <= 9 then 2 end, 'b' || n, n + 0.5, \
        timestamptz '2026-01-01 00:00:00+00' + n * interval '1 day', jsonb_build_object('n', n) from generate_series(1, 10) n";

#[test]
fn tables_are_asked_with_what_belongs_to_them() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql(LIBRARY);
    let client = Client::of(&graphql);
    assert_eq!(
        client.data("{ book(first: 1) { nodes { id author_id title price sold more __typename } } }"),
        json!({ "book": { "nodes": [{
            "id": "1", "author_id": 1, "title": "b1", "price": "1.50", "sold": "2026-01-02T00:00:00Z", "more": { "n": 1 },
            "__typename": "Book"
        }] } })
    );
    // Both ways, with a page for each author.
    assert_eq!(
        client.data(
            "{ author(orderBy: name_DESC) { nodes { name book(first: 2, orderBy: id_DESC) { nodes { id author { name } } \
             pageInfo { hasNextPage } } bookAggregate { count max { price } sum { id } } } } }"
        ),
        json!({ "author": { "nodes": [
            { "name": "Cat", "book": { "nodes": [], "pageInfo": { "hasNextPage": false } },
              "bookAggregate": { "count": "0", "max": { "price": null }, "sum": { "id": null } } },
            { "name": "Ben", "book": { "nodes": [{ "id": "9", "author": { "name": "Ben" } }, { "id": "8", "author": { "name": "Ben" } }],
              "pageInfo": { "hasNextPage": true } }, "bookAggregate": { "count": "3", "max": { "price": "9.50" }, "sum": { "id": "24" } } },
            { "name": "Ada", "book": { "nodes": [{ "id": "6", "author": { "name": "Ada" } }, { "id": "5", "author": { "name": "Ada" } }],
              "pageInfo": { "hasNextPage": true } }, "bookAggregate": { "count": "6", "max": { "price": "6.50" }, "sum": { "id": "21" } } },
        ] } })
    );
    let ids = |filter: &str| {
        let answer = client.data(&format!("{{ book(where: {filter}) {{ nodes {{ id }} }} }}"));
        let nodes = answer["book"]["nodes"].as_array().expect("rows").clone();
        nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids("{id: {ge: \"3\", lt: 5}}"), "3 4");
    assert_eq!(ids("{title: {like: \"b1%\"}}"), "1 10");
    assert_eq!(ids("{title: {in: [\"b2\", \"b7\", \"x\"]}}"), "2 7");
    assert_eq!(ids("{author_id: {isNull: true}}"), "10");
    assert_eq!(ids("{or: [{id: {eq: 1}}, {and: [{author_id: {eq: 2}}, {not: {id: {ne: 8}}}]}]}"), "1 8");
    assert_eq!(ids("{or: []}"), "");
    assert_eq!(ids("{id: {in: []}}"), "");
    assert_eq!(ids("{sold: {le: \"2026-01-03T00:00:00Z\"}}"), "1 2");
    // A page after the other comes to all of them, whatever the order.
    for order in ["id_ASC", "id_DESC", "[author_id_ASC, title_DESC]", "[author_id_DESC]"] {
        let (mut seen, mut after) = (Vec::new(), "null".to_owned());
        loop {
            let page = client.data(&format!(
                "{{ book(first: 3, orderBy: {order}, after: {after}) {{ edges {{ cursor node {{ id }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
            ));
            let (edges, info) = (page["book"]["edges"].as_array().expect("edges"), &page["book"]["pageInfo"]);
            seen.extend(edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()));
            assert_eq!(edges.first().map(|edge| &edge["cursor"]), Some(&info["startCursor"]));
            assert_eq!(edges.last().map(|edge| &edge["cursor"]), Some(&info["endCursor"]));
            assert_eq!(info["hasPreviousPage"], json!(after != "null"));
            after = info["endCursor"].to_string();
            if info["hasNextPage"] == json!(false) {
                break;
            }
        }
        let mut all = seen.clone();
        all.sort();
        all.dedup();
        assert_eq!((seen.len(), all.len()), (10, 10), "{order}: {seen:?}");
    }
    assert_eq!(
        client.data("{ bookAggregate(where: {author_id: {eq: 1}}) { count min { id sold } avg { price } } }"),
        json!({ "bookAggregate": { "count": "6", "min": { "id": "1", "sold": "2026-01-02T00:00:00Z" },
                                   "avg": { "price": "4.0000000000000000" } } })
    );
    let (status, body) = client.with(
        "query Q($key: AuthorKey!, $no: Boolean = false) { a: authorByKey(key: $key) { name born @include(if: $no) } b: authorByKey(key: {id: 9}) { name } }",
        json!({ "key": { "id": 1 } }),
    );
    assert_eq!((status, body), (200, json!({ "data": { "a": { "name": "Ada" }, "b": null } })));
    let types =
        client.data("{ __type(name: \"Book\") { kind fields { name type { kind name ofType { name } } } } }");
    assert_eq!(
        types["__type"]["fields"][0],
        json!({ "name": "id", "type": { "kind": "NON_NULL", "name": null, "ofType": { "name": "BigInt" } } })
    );
    assert!(
        client.data("{ __schema { types { name } directives { name } } }")["__schema"]["types"]
            .as_array()
            .expect("types")
            .len()
            > 20
    );
    // One statement for each field that leads to a table, however many rows ask.
    sql("select pg_stat_statements_reset()");
    client.data("{ author { nodes { book { nodes { author { name } } } } } }");
    let asked = "select sum(calls) from pg_stat_statements where query ilike '%from public.%' and query not ilike '%pg_stat%'";
    assert_eq!(sql(asked), "3");
}

#[test]
fn changes_of_one_request_are_one_transaction() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql(LIBRARY);
    let client = Client::of(&graphql);
    let changed = client.data(
        "mutation { a: insertAuthor(rows: [{id: 4, name: \"Dan\"}, {id: 5, name: \"Eve\", born: \"2000-01-01\"}]) { count nodes { id born } } \
         b: insertBook(rows: {id: \"11\", author_id: 4, more: {a: [1, \"x\"]}}) { nodes { more author { name } } } \
         c: updateBook(where: {author_id: {eq: 2}}, set: {title: null}) { count nodes { id title } } \
         d: deleteBook(where: {id: {eq: 10}}) { count } }",
    );
    assert_eq!(
        changed,
        json!({
            "a": { "count": "2", "nodes": [{ "id": 4, "born": null }, { "id": 5, "born": "2000-01-01" }] },
            "b": { "nodes": [{ "more": { "a": [1, "x"] }, "author": { "name": "Dan" } }] },
            "c": { "count": "3", "nodes": [{ "id": "7", "title": null }, { "id": "8", "title": null }, { "id": "9", "title": null }] },
            "d": { "count": "1" },
        })
    );
    assert_eq!(sql("select count(*), count(title) from book"), "10|6");
    let (code, _) = client.refused(
        "mutation { a: deleteBook(where: {}) { count } b: insertAuthor(rows: [{id: 1, name: \"again\"}]) { count } }",
    );
    assert_eq!((code.as_str(), sql("select count(*) from book").as_str()), ("23505", "10"));
    let (code, message) = client.refused("mutation { insertAuthor(rows: [{id: 6}]) { count } }");
    assert_eq!(code, "23502", "{message}");
    assert!(
        client.refused("mutation { updateAuthor(where: {}, set: {}) { count } }").1.contains("no values")
    );
    // What is given is a value and nothing else.
    client.data(
        "mutation { updateAuthor(where: {id: {eq: 1}}, set: {name: \"'; drop table book; --\"}) { count } }",
    );
    assert_eq!(
        sql("select name, (select count(*) from book) from author where id = 1"),
        "'; drop table book; --|10"
    );
    // Changes that meet all come to be.
    sql("create table counter (id int primary key, n int); insert into counter values (1, 0)");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..5 {
                    client.data(&format!(
                        "mutation {{ updateCounter(where: {{id: {{eq: 1}}}}, set: {{n: {n}}}) {{ count }} }}"
                    ));
                }
            });
        }
    });
}

#[test]
fn roles_see_what_they_may_and_no_more() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql(LIBRARY);
    sql(
        "create role ann login; grant select (id, name) on author to ann; grant select, update on book to ann; \
         alter table book enable row level security; create policy own on book to ann using (author_id = 2)",
    );
    let (owner, ann) = (Client::of(&graphql), Client::role(&graphql, "ann", ""));
    assert_eq!(
        ann.data("{ author(first: 1) { nodes { id name } } bookAggregate { count } }"),
        json!({
            "author": { "nodes": [{ "id": 1, "name": "Ada" }] }, "bookAggregate": { "count": "3" }
        })
    );
    assert_eq!(owner.data("{ bookAggregate { count } }"), json!({ "bookAggregate": { "count": "10" } }));
    assert_eq!(ann.refused("{ author { nodes { born } } }").1, "Author has no field born");
    assert_eq!(
        ann.refused("mutation { deleteBook(where: {}) { count } }").1,
        "Mutation has no field deleteBook"
    );
    let changed = ann.data("mutation { updateBook(where: {}, set: {title: \"mine\"}) { count } }");
    assert_eq!(changed, json!({ "updateBook": { "count": "3" } }));
    let (code, _) = ann.refused("mutation { updateBook(where: {}, set: {author_id: 1}) { count } }");
    assert_eq!(code, "42501");
    // The schema follows what is granted, and what is made.
    sql("grant select on author to ann");
    assert_eq!(
        ann.data("{ authorByKey(key: {id: 1}) { born } }"),
        json!({ "authorByKey": { "born": "1815-12-10" } })
    );
    assert_eq!(owner.refused("{ shop { nodes { id } } }").1, "Query has no field shop");
    sql("create table shop (id int primary key, \"of author\" int references author)");
    assert_eq!(
        owner.data("{ shop { nodes { id of_author author { name } } } }"),
        json!({ "shop": { "nodes": [] } })
    );
    sql("alter table shop rename column id to number; alter table shop add column open bool default true");
    assert_eq!(owner.data("{ shop { nodes { number open } } }"), json!({ "shop": { "nodes": [] } }));
    sql("drop table shop");
    assert_eq!(owner.refused("{ shop { nodes { number } } }").1, "Query has no field shop");
}

#[test]
fn the_past_is_asked_as_it_was() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sql(LIBRARY);
    std::thread::sleep(Duration::from_millis(50));
    let before = sql("select clock_timestamp()");
    std::thread::sleep(Duration::from_millis(50));
    sql("delete from book where id > 2; update author set name = 'new'");
    let client = Client::of(&graphql);
    let query = "query ($m: String) { author(first: 1, asOf: $m) { nodes { name book(first: 1) { nodes { id } } bookAggregate { count } } } }";
    let (_, body) = client.with(query, json!({ "m": before }));
    let row =
        json!({ "name": "Ada", "book": { "nodes": [{ "id": "1" }] }, "bookAggregate": { "count": "6" } });
    assert_eq!(body, json!({ "data": { "author": { "nodes": [row] } } }));
    let (_, body) = client.with(query, json!({}));
    let row =
        json!({ "name": "new", "book": { "nodes": [{ "id": "1" }] }, "bookAggregate": { "count": "2" } });
    assert_eq!(body, json!({ "data": { "author": { "nodes": [row] } } }));
    // What belongs to a row may be of another moment than the row; what is below that is of the same.
    std::thread::sleep(Duration::from_millis(50));
    let after = sql("select clock_timestamp()");
    let query = "query ($m: String, $a: String) { author(first: 1) { nodes { name \
        book(first: 3, orderBy: id_DESC, asOf: $m) { nodes { id author { name } now: author(asOf: $a) { name } } } \
        bookAggregate(asOf: $m) { count } } } }";
    let (_, body) = client.with(query, json!({ "m": before, "a": after }));
    let book = |id: &str| json!({ "id": id, "author": { "name": "Ada" }, "now": { "name": "new" } });
    let row = json!({
        "name": "new", "book": { "nodes": [book("6"), book("5"), book("4")] }, "bookAggregate": { "count": "6" }
    });
    assert_eq!(body, json!({ "data": { "author": { "nodes": [row] } } }));
    let change = "mutation ($m: String) { updateAuthor(where: {id: {eq: 1}}, set: {name: \"newer\"}) \
        { nodes { name book(first: 1, orderBy: id_DESC, asOf: $m) { nodes { id } } } } }";
    let (_, body) = client.with(change, json!({ "m": before }));
    let row = json!({ "name": "newer", "book": { "nodes": [{ "id": "6" }] } });
    assert_eq!(body, json!({ "data": { "updateAuthor": { "nodes": [row] } } }));
    for refused in [
        "{ author(asOf: \"2999-01-01\") { nodes { id } } }",
        "{ author { nodes { book(asOf: \"2999-01-01\") { nodes { id } } } } }",
    ] {
        assert_eq!(client.refused(refused).0, "22023");
    }
}

#[test]
fn bounds_hold_and_say_so() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    let sql = |text: &str| psql(&server.address, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let client = Client::of(&graphql);
    if installed("psql") {
        sql(LIBRARY);
        sql("create table large (id int primary key, text text); \
             insert into large select n, repeat('x', 100000) from generate_series(1, 200) n");
        let many = "{ author(first: 1000) { nodes { book(first: 1000) { nodes { id } } } } }";
        assert!(client.refused(many).1.contains("100000 are the most"));
        assert!(client.refused("{ author(first: 1001) { nodes { id } } }").1.contains("from 0 to 1000"));
        let (code, message) = client.refused("{ large(first: 200) { nodes { text } } }");
        assert_eq!(code, "54000", "{message}");
        assert_eq!(
            client.data("{ large(first: 1) { nodes { id } } }"),
            json!({ "large": { "nodes": [{ "id": 1 }] } })
        );
        let (status, body) = client.with("{ a: author(asOf: \"1900-01-01\") { nodes { id } } }", json!({}));
        let error = &body["errors"][0];
        assert_eq!((status, &body["data"], &error["path"]), (200, &Value::Null, &json!(["a"])), "{body}");
        assert_eq!(error["locations"], json!([{ "line": 1, "column": 3 }]), "{body}");
        let (code, message) = client.refused("{ author(after: \"x\") { nodes { id } } }");
        assert_eq!((code.as_str(), message.as_str()), ("BAD_REQUEST", "after is no cursor of this order"));
    }
    let (code, message) = client.refused("subscription { author { resolved } }");
    assert_eq!(code, "BAD_REQUEST", "{message}");
    assert!(message.contains("WebSocket"), "{message}");
    for (headers, body, status) in [
        (JSON, "{", 400),
        (JSON, "[]", 400),
        (JSON, "{\"query\": \"{\"}", 400),
        (JSON, "{\"query\": \"{ nothing }\"}", 400),
        (JSON, "\u{1}", 400),
        ("content-type: text/plain\r\n", "{\"query\": \"{ __typename }\"}", 415),
        (
            "content-type: application/json\r\norigin: http://evil.example\r\n",
            "{\"query\": \"{ __typename }\"}",
            403,
        ),
        (
            "content-type: application/json\r\nauthorization: Bearer x\r\n",
            "{\"query\": \"{ __typename }\"}",
            401,
        ),
    ] {
        let answer = post(&graphql, headers, body);
        assert_eq!(answer.status, status, "{headers} {body}: {}", answer.body);
    }
    let long = "x".repeat((1 << 20) + 1);
    assert_eq!(post(&graphql, JSON, &long).status, 413);
    // A length that is not said is found out.
    let chunk = format!("{:x}\r\n{}\r\n", long.len(), long);
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {graphql}\r\nconnection: close\r\n{JSON}transfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(exchange(&graphql, format!("{head}{chunk}0\r\n\r\n").as_bytes()).status, 413);
    let named = format!(
        "POST /graphql HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ncontent-length: 2\r\n{JSON}\r\n{{}}"
    );
    assert_eq!(exchange(&graphql, named.as_bytes()).status, 403);
    let get = |path: &str| {
        exchange(&graphql, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
    };
    assert_eq!((get("/graphql").status, get("/").status), (200, 404));
    assert!(get("/graphql").body.contains("<textarea"));
    // An address may ask, and changes nothing.
    let ask = |query: &str, headers: &str| {
        let head = format!("GET /graphql?query={query} HTTP/1.1\r\nhost: {graphql}\r\nconnection: close\r\n");
        exchange(&graphql, format!("{head}{headers}\r\n").as_bytes())
    };
    let named = ask("%7B__typename%7D", "accept: application/graphql-response+json\r\n");
    assert_eq!((named.status, named.body.as_str()), (200, "{\"data\":{\"__typename\":\"Query\"}}"));
    assert!(named.head.contains("application/graphql-response+json"), "{}", named.head);
    assert!(ask("%7B__typename%7D", "").head.contains("application/json"));
    assert!(ask("%7B__typename%7D", "accept: text/html\r\n").body.contains("<textarea"));
    assert_eq!(ask("%7Bnothing%7D", "").status, 400);
    assert_eq!(ask("mutation%7B__typename%7D", "").status, 405);
    assert_eq!(ask("%7B__typename%7D", "sec-fetch-site: cross-site\r\n").status, 403);
    assert_eq!(ask("%7B__typename%7D", "origin: http://evil.example\r\n").status, 403);
    let put = format!("PUT /graphql HTTP/1.1\r\nhost: {graphql}\r\nconnection: close\r\n\r\n");
    assert_eq!(exchange(&graphql, put.as_bytes()).status, 405);
    // Whoever takes too long is let go, and whoever talks of something else.
    let mut slow = TcpStream::connect(&graphql).expect("a connection");
    slow.write_all(b"POST /graphql HTTP/1.1\r\nhost: ").expect("sent");
    let begun = Instant::now();
    slow.set_read_timeout(Some(Duration::from_secs(60))).expect("a bound");
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    let took = begun.elapsed();
    assert!((Duration::from_secs(20)..Duration::from_secs(50)).contains(&took), "{took:?}");
    for garbage in [
        &b"\0\0\0\0\0\0\0\x01\0"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5],
        &[b'a'; 200_000],
    ] {
        exchange(&graphql, garbage);
    }
    let answer = client.data("{ __typename }");
    assert_eq!(answer, json!({ "__typename": "Query" }));
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[test]
fn who_comes_is_proven() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create role plain login password 'secret'; create table t (id int primary key); grant select on t to plain");
    for address in [&server.graphql, &server.http] {
        let (right, wrong) =
            (Client::role(address, "plain", "secret"), Client::role(address, "plain", "guess"));
        assert_eq!(right.data("{ t { nodes { id } } }"), json!({ "t": { "nodes": [] } }));
        let (status, body) = wrong.with("{ t { nodes { id } } }", json!({}));
        assert_eq!((status, body["errors"][0]["extensions"]["code"].as_str()), (401, Some("28P01")));
        let unknown = Client::role(address, "nobody", "x");
        assert_eq!(unknown.with("{ __typename }", json!({})).0, 401);
    }
    if !installed("curl") {
        return;
    }
    // TLS begins with the first byte, at either port.
    server.run("create role certified login; grant select on t to certified");
    let file = |name: &str| text(&server.certs.join(name)).to_owned();
    let encrypted = |address: &str, who: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--cacert", &file("ca.crt"), "-H", "content-type: application/json"]).args(who);
        let at = format!("https://{address}/graphql");
        output(curl.args(["-d", "{\"query\": \"{ t { nodes { id } } }\"}", &at]))
    };
    let (certificate, key) = (file("client.certified.crt"), file("client.certified.key"));
    for address in [&server.graphql, &server.http] {
        let none = Ok("{\"data\":{\"t\":{\"nodes\":[]}}}".to_owned());
        assert_eq!(encrypted(address, &["--user", "plain:secret"]), none);
        assert_eq!(encrypted(address, &["--cert", &certificate, "--key", &key]), none);
        let refused = encrypted(address, &["--user", "plain:guess"]).expect("an answer");
        assert!(refused.contains("28P01"), "{refused}");
    }
    let mut health = Command::new("curl");
    health.args(["-s", "--cacert", &file("ca.crt"), &format!("https://{}/health", server.http)]);
    assert_eq!(output(&mut health), Ok("ok".to_owned()));
}

/// Asks over a connection that stays: the status, and what stands behind the headers.
fn ask(stream: &mut TcpStream, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.extend(byte);
    }
    let head = String::from_utf8(head).expect("UTF-8").to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).expect("a length")];
    stream.read_exact(&mut body).expect("what was said to come");
    (status, String::from_utf8(body).expect("UTF-8"))
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a bound");
    stream
}

#[test]
fn the_port_of_health_serves_the_same_beside_its_pages() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, graphql) = start(&folder);
    psql(&server.address, "create table t (id int primary key, name text)").expect("a table");
    let (own, beside) = (Client::of(&graphql), Client::of(&server.http));
    let one = json!({ "insertT": { "count": "1" } });
    assert_eq!(beside.data("mutation { insertT(rows: [{id: 1, name: \"a\"}]) { count } }"), one);
    let rows = json!({ "t": { "nodes": [{ "id": 1, "name": "a" }] } });
    for client in [&own, &beside] {
        assert_eq!(client.data("{ t { nodes { id name } } }"), rows);
    }
    assert_eq!(post(&server.http, &format!("{JSON}origin: http://evil.example\r\n"), "{}").status, 403);
    // Whatever is asked over one connection, in turn.
    let request =
        |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.http);
    let get = |path: &str| request("GET", path);
    let mut stream = connect(&server.http);
    for _ in 0..2 {
        assert_eq!(ask(&mut stream, &get("/health")), (200, "ok\n".to_owned()));
        let (status, page) = ask(&mut stream, &get("/graphql"));
        assert!(status == 200 && page.contains("<title>Nunatak: GraphQL</title>"), "{status} {page}");
        assert_eq!(ask(&mut stream, &get("/ready")), (200, "ready\n".to_owned()));
        let answer = "{\"data\":{\"t\":{\"nodes\":[{\"id\":1}]}}}".to_owned();
        assert_eq!(ask(&mut stream, &get("/graphql?query=%7Bt%7Bnodes%7Bid%7D%7D%7D")), (200, answer));
        assert_eq!(ask(&mut stream, &get("/nothing")).0, 404);
        assert_eq!(ask(&mut stream, &request("DELETE", "/health")).0, 405);
        let (status, metrics) = ask(&mut stream, &get("/metrics"));
        let counted = metrics.contains("nunatak_door_requests_total{door=\"graphql\"}");
        assert!(status == 200 && counted, "{metrics}");
    }
    // There are no pages at the port of its own.
    assert_eq!(ask(&mut connect(&graphql), &get("/health")).0, 404);
}

#[test]
fn neither_health_nor_graphql_takes_the_places_of_the_other() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, _) = start(&folder);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.http);
    let asked = get("/graphql?query=%7B__typename%7D");
    let answer = (200, "{\"data\":{\"__typename\":\"Query\"}}".to_owned());
    // Who asks for GraphQL is no visitor from then on: one that has asked for nothing yet stays.
    let mut silent = connect(&server.http);
    let asking: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut client = connect(&server.http);
            assert_eq!(ask(&mut client, &asked), answer);
            client
        })
        .collect();
    assert_eq!(ask(&mut silent, &get("/health")), (200, "ok\n".to_owned()));
    drop((silent, asking));
    // More than the pages have visitors.
    let mut clients: Vec<TcpStream> = (0..80).map(|_| connect(&server.http)).collect();
    for client in clients.iter_mut().rev().take(60) {
        assert_eq!(ask(client, &asked), answer);
    }
    assert_eq!(ask(&mut connect(&server.http), &get("/health")), (200, "ok\n".to_owned()));
    let silent: Vec<TcpStream> = (0..100).map(|_| connect(&server.http)).collect();
    assert_eq!(ask(&mut connect(&server.http), &get("/health")), (200, "ok\n".to_owned()));
    for client in clients.iter_mut().rev().take(60) {
        assert_eq!(ask(client, &asked), answer);
    }
    drop(silent);
}

#[test]
fn what_is_asked_before_the_end_is_answered() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (mut server, graphql) = start(&folder);
    psql(&server.address, "create view slow as select case when pg_sleep(2) is null then 0 else 1 end as id")
        .expect("a view");
    let asking = [graphql, server.http.clone()].map(|address| {
        std::thread::spawn(move || Client::of(&address).with("{ slow { nodes { id } } }", json!({})))
    });
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(server.process.terminate(), Some(0));
    for asking in asking {
        let (status, body) = asking.join().expect("an answer");
        assert_eq!((status, body), (200, json!({ "data": { "slow": { "nodes": [{ "id": 1 }] } } })));
    }
}

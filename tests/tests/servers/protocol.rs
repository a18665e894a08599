//! PostgreSQL's protocol against the real binary: what drivers rely on, in both of its dialects.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt};
use nunatak_tests::processes::{Listener, start_single};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Longer than this nothing here may take.
const PATIENCE: Duration = Duration::from_secs(30);

async fn connect(server: &Listener) -> Client {
    let (host, port) = server.address.rsplit_once(':').expect("host:port");
    let url = format!("postgresql://postgres@{host}:{port}/postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("a session");
    tokio::spawn(connection);
    client
}

/// The one value of a simple query.
async fn value(client: &Client, sql: &str) -> Option<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// A client that speaks bytes.
struct Raw(TcpStream);

impl Raw {
    async fn session(server: &Listener) -> Self {
        let mut raw = Self(TcpStream::connect(&server.address).await.expect("a connection"));
        let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
        packet.extend_from_slice(body);
        raw.0.write_all(&packet).await.expect("sent");
        raw.until_ready().await;
        raw
    }

    async fn send(&mut self, messages: &[(u8, &[u8])]) {
        let mut bytes = Vec::new();
        for (kind, body) in messages {
            bytes.push(*kind);
            bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
            bytes.extend_from_slice(body);
        }
        self.0.write_all(&bytes).await.expect("sent");
    }

    async fn receive(&mut self) -> (u8, Vec<u8>) {
        let receiving = async {
            let kind = self.0.read_u8().await.expect("a message");
            let length = self.0.read_u32().await.expect("its length");
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).await.expect("its body");
            (kind, body)
        };
        tokio::time::timeout(PATIENCE, receiving).await.expect("an answer in time")
    }

    /// The kinds of all messages up to ReadyForQuery with its status, such as `12DCZI`.
    async fn until_ready(&mut self) -> String {
        let mut kinds = String::new();
        loop {
            let (kind, body) = self.receive().await;
            kinds.push(char::from(kind));
            if kind == b'Z' {
                kinds.push(char::from(body[0]));
                return kinds;
            }
        }
    }
}

#[tokio::test]
async fn the_protocol_is_spoken_as_drivers_expect_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    statements_share_one_implicit_transaction(&server).await;
    the_status_follows_the_transaction_block(&server).await;
    values_travel_as_text_and_binary(&server).await;
    errors_carry_their_place(&server).await;
    portals_give_their_rows_in_portions(&server).await;
    a_client_in_a_series_is_not_idle(&server).await;
    a_series_is_one_transaction(&server).await;
    copy_moves_rows_in_and_out(&server).await;
    a_running_statement_can_be_cancelled(&server).await;
    a_string_of_short_statements_can_be_cancelled(&server).await;
    a_client_that_is_gone_leaves_no_lock(&server).await;
}

async fn statements_share_one_implicit_transaction(server: &Listener) {
    let client = connect(server).await;
    client.simple_query("CREATE TABLE together (a int PRIMARY KEY)").await.expect("a table");
    let failed = client
        .simple_query("INSERT INTO together VALUES (1); SELECT 1/0; INSERT INTO together VALUES (2)")
        .await;
    assert_eq!(failed.expect_err("a division by zero").code(), Some(&SqlState::DIVISION_BY_ZERO));
    assert_eq!(value(&client, "SELECT count(*) FROM together").await.as_deref(), Some("0"));
    client
        .simple_query("INSERT INTO together VALUES (1); INSERT INTO together VALUES (2)")
        .await
        .expect("two rows");
    assert_eq!(value(&client, "SELECT count(*) FROM together").await.as_deref(), Some("2"));
    assert!(client.simple_query(" ; -- nothing\n").await.is_ok());
}

async fn the_status_follows_the_transaction_block(server: &Listener) {
    let mut raw = Raw::session(server).await;
    for (sql, kinds) in [
        (&b"\0"[..], "IZI"),
        (b"BEGIN\0", "CZT"),
        (b"SELECT 1\0", "TDCZT"),
        (b"SELECT nothing\0", "EZE"),
        (b"SELECT 1\0", "EZE"),
        (b"ROLLBACK\0", "CZI"),
        (b"BEGIN; SELECT 1; COMMIT; SELECT 2\0", "CTDCCTDCZI"),
    ] {
        raw.send(&[(b'Q', sql)]).await;
        assert_eq!(raw.until_ready().await, kinds, "{}", String::from_utf8_lossy(sql));
    }
}

async fn values_travel_as_text_and_binary(server: &Listener) {
    let client = connect(server).await;
    let sql = "SELECT $1::int2, $2::int4, $3::int8, $4::float4, $5::float8, $6::text, $7::bool, $8::bytea, $9::int4";
    let row = client
        .query_one(
            sql,
            &[
                &-2i16,
                &i32::MAX,
                &i64::MIN,
                &1.5f32,
                &-0.25f64,
                &"grün",
                &true,
                &&b"\0\xff"[..],
                &Option::<i32>::None,
            ],
        )
        .await
        .expect("a row");
    assert_eq!((row.get::<_, i16>(0), row.get::<_, i32>(1), row.get::<_, i64>(2)), (-2, i32::MAX, i64::MIN));
    assert_eq!((row.get::<_, f32>(3), row.get::<_, f64>(4), row.get::<_, &str>(5)), (1.5, -0.25, "grün"));
    assert_eq!((row.get::<_, bool>(6), row.get::<_, &[u8]>(7)), (true, &b"\0\xff"[..]));
    assert_eq!(row.get::<_, Option<i32>>(8), None);
    let text = "SELECT '12.50'::numeric(6,2), '2024-02-29'::date, '\\x00ff'::bytea, 'a'::char(3) || '|', 1e20::float8";
    let messages = client.simple_query(text).await.expect("a row");
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("")).collect::<Vec<_>>())
        }
        _ => None,
    });
    assert_eq!(row.expect("a row"), ["12.50", "2024-02-29", "\\x00ff", "a|", "1e+20"]);
}

async fn errors_carry_their_place(server: &Listener) {
    let client = connect(server).await;
    let error = client.simple_query("SELECT 1,\n  nothing").await.expect_err("no such column");
    let error = error.as_db_error().expect("an error of the server");
    assert_eq!(error.code(), &SqlState::UNDEFINED_COLUMN);
    assert_eq!(error.severity(), "ERROR");
    assert_eq!(error.position(), Some(&tokio_postgres::error::ErrorPosition::Original(13)));
    let error = client.prepare("SELEC 1").await.expect_err("no statement");
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    let error = client.simple_query("SELECT '\u{0}'").await.expect_err("a zero byte");
    assert!(error.as_db_error().is_none_or(|error| error.code() == &SqlState::PROTOCOL_VIOLATION), "{error}");
}

async fn portals_give_their_rows_in_portions(server: &Listener) {
    let mut raw = Raw::session(server).await;
    let parse: (u8, &[u8]) = (b'P', b"s\0SELECT g FROM generate_series(1, 5) g\0\0\0");
    let bind: (u8, &[u8]) = (b'B', b"p\0s\0\0\0\0\0\0\0");
    let two: (u8, &[u8]) = (b'E', b"p\0\0\0\0\x02");
    raw.send(&[parse, bind, (b'D', b"Pp\0"), two, two, two, two, (b'S', b"")]).await;
    assert_eq!(raw.until_ready().await, "12TDDsDDsDCCZI");
    raw.send(&[two, (b'S', b"")]).await;
    assert_eq!(raw.until_ready().await, "EZI", "the portal ended with its transaction");
    raw.send(&[
        (b'Q', b"BEGIN\0"),
        bind,
        two,
        (b'S', b""),
        two,
        (b'C', b"Pp\0"),
        (b'S', b""),
        (b'Q', b"COMMIT\0"),
    ])
    .await;
    let mut kinds = String::new();
    for _ in 0..4 {
        kinds.push_str(&raw.until_ready().await);
    }
    assert_eq!(kinds, "CZT2DDsZTDDs3ZTCZI", "inside a block a portal outlives its Sync");
    raw.send(&[(b'D', b"Ss\0"), (b'H', b"")]).await;
    assert_eq!((raw.receive().await.0, raw.receive().await.0), (b't', b'T'), "Flush sends what is buffered");
    raw.send(&[(b'S', b"")]).await;
    assert_eq!(raw.until_ready().await, "ZI");
}

async fn a_client_in_a_series_is_not_idle(server: &Listener) {
    let mut raw = Raw::session(server).await;
    raw.send(&[(b'Q', b"SET idle_in_transaction_session_timeout = '200ms'\0")]).await;
    assert_eq!(raw.until_ready().await, "CZI");
    let parse: (u8, &[u8]) = (b'P', b"\0SELECT g FROM generate_series(1, 5) g\0\0\0");
    let bind: (u8, &[u8]) = (b'B', b"\0\0\0\0\0\0\0\0");
    raw.send(&[parse, bind, (b'E', b"\0\0\0\0\x01"), (b'H', b"")]).await;
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(raw.receive().await.0);
    }
    assert_eq!(kinds, b"12Ds");
    tokio::time::sleep(Duration::from_millis(600)).await;
    raw.send(&[(b'E', b"\0\0\0\0\x01"), (b'S', b"")]).await;
    assert_eq!(raw.until_ready().await, "DsZI", "it had not been told that the server waits for it");
}

async fn a_series_is_one_transaction(server: &Listener) {
    let client = connect(server).await;
    client.simple_query("CREATE TABLE series (a int PRIMARY KEY)").await.expect("a table");
    let mut raw = Raw::session(server).await;
    let insert: (u8, &[u8]) = (b'P', b"i\0INSERT INTO series VALUES ($1)\0\0\0");
    let bind_1: (u8, &[u8]) = (b'B', b"\0i\0\0\0\0\x01\0\0\0\x011\0\0");
    let bind_2: (u8, &[u8]) = (b'B', b"\0i\0\0\0\0\x01\0\0\0\x012\0\0");
    let execute: (u8, &[u8]) = (b'E', b"\0\0\0\0\0");
    raw.send(&[insert, bind_1, execute, bind_1, execute, bind_2, execute, (b'S', b"")]).await;
    assert_eq!(raw.until_ready().await, "12C2EZI", "the second row is there already");
    assert_eq!(value(&client, "SELECT count(*) FROM series").await.as_deref(), Some("0"));
    raw.send(&[insert, bind_1, execute, bind_2, execute, (b'S', b"")]).await;
    let kinds = raw.until_ready().await;
    assert_eq!(kinds, "EZI", "the name is taken");
    raw.send(&[bind_1, execute, bind_2, execute, (b'S', b"")]).await;
    assert_eq!(raw.until_ready().await, "2C2CZI");
    assert_eq!(value(&client, "SELECT count(*) FROM series").await.as_deref(), Some("2"));
}

async fn copy_moves_rows_in_and_out(server: &Listener) {
    let client = connect(server).await;
    client.simple_query("CREATE TABLE copied (a int PRIMARY KEY, b text)").await.expect("a table");
    let mut sink = std::pin::pin!(client.copy_in("COPY copied FROM STDIN").await.expect("COPY"));
    // Rows may be cut anywhere.
    for piece in ["1\ton", "e\n2\t\\N\n", "3\ta\\tb\n"] {
        sink.send(Bytes::from(piece)).await.expect("data");
    }
    assert_eq!(sink.finish().await.expect("rows"), 3);
    let out = client.copy_out("COPY copied TO STDOUT (FORMAT csv)").await.expect("COPY");
    let pieces: Vec<Bytes> = out.try_collect().await.expect("data");
    assert_eq!(pieces.concat(), b"1,one\n2,\n3,a\tb\n");

    let mut raw = Raw::session(server).await;
    raw.send(&[(b'Q', b"COPY copied FROM STDIN\0")]).await;
    assert_eq!(raw.receive().await.0, b'G');
    raw.send(&[(b'd', b"7\tseven\n"), (b'f', b"enough\0")]).await;
    assert_eq!(raw.until_ready().await, "EZI");
    raw.send(&[(b'Q', b"COPY copied FROM STDIN\0")]).await;
    assert_eq!(raw.receive().await.0, b'G');
    raw.send(&[(b'd', b"no number\tx\n"), (b'd', b"8\ty\n"), (b'c', b"")]).await;
    assert_eq!(raw.until_ready().await, "EZI", "what comes after the error is ignored");
    raw.send(&[(b'Q', b"SELECT 1\0")]).await;
    assert_eq!(raw.until_ready().await, "TDCZI");
    assert_eq!(value(&client, "SELECT count(*) FROM copied").await.as_deref(), Some("3"));
}

async fn a_running_statement_can_be_cancelled(server: &Listener) {
    let (client, watcher) = (connect(server).await, connect(server).await);
    let cancel = client.cancel_token();
    let running = tokio::spawn(async move {
        let outcome = client.simple_query("SELECT count(*) FROM generate_series(1, 100000000000)").await;
        (client, outcome)
    });
    // A request that comes before it has begun would end nothing.
    let begun = Instant::now();
    let under_way = "SELECT count(*) FROM pg_stat_activity \
        WHERE state = 'active' AND query LIKE 'SELECT count(*) FROM generate_series(1, 1000000%'";
    while value(&watcher, under_way).await.as_deref() != Some("1") {
        assert!(begun.elapsed() < PATIENCE, "it does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    cancel.cancel_query(NoTls).await.expect("a cancel request");
    let (client, outcome) =
        tokio::time::timeout(PATIENCE, running).await.expect("an end in time").expect("no panic");
    assert_eq!(outcome.expect_err("cancelled").code(), Some(&SqlState::QUERY_CANCELED));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(value(&client, "SELECT 1").await.as_deref(), Some("1"), "the session goes on");
}

async fn a_string_of_short_statements_can_be_cancelled(server: &Listener) {
    let client = connect(server).await;
    let cancel = client.cancel_token();
    let string = "SET my.own = 1; ".repeat(200_000);
    let running = tokio::spawn(async move {
        let outcome = client.batch_execute(&string).await;
        (client, outcome)
    });
    // A request that comes before the string has arrived cancels nothing.
    let begun = Instant::now();
    while !running.is_finished() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(150)).await;
        cancel.cancel_query(NoTls).await.expect("a cancel request");
    }
    let (client, outcome) =
        tokio::time::timeout(PATIENCE, running).await.expect("an end in time").expect("no panic");
    assert_eq!(outcome.expect_err("cancelled").code(), Some(&SqlState::QUERY_CANCELED));
    // A request that was still on its way when the string ended may end what comes next, once.
    while let Err(error) = client.simple_query("SELECT 1").await {
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "the session goes on");
        assert!(begun.elapsed() < PATIENCE, "the session goes on");
    }
}

async fn a_client_that_is_gone_leaves_no_lock(server: &Listener) {
    let client = connect(server).await;
    client
        .simple_query("CREATE TABLE locked (a int PRIMARY KEY); INSERT INTO locked VALUES (1)")
        .await
        .expect("a row");
    let mut gone = Raw::session(server).await;
    gone.send(&[(b'Q', b"BEGIN; UPDATE locked SET a = 2\0")]).await;
    assert_eq!(gone.until_ready().await, "CCZT");
    drop(gone);
    let waited = Instant::now();
    let update = client.simple_query("UPDATE locked SET a = 3");
    tokio::time::timeout(PATIENCE, update).await.expect("no lock is left").expect("an update");
    assert!(waited.elapsed() < Duration::from_secs(3), "{:?}", waited.elapsed());
}

#[tokio::test]
async fn large_results_and_statements_pass_through() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    let client = connect(&server).await;
    let rows = client
        .query_raw("SELECT g, repeat('x', 100) FROM generate_series(1, 200000) g", std::iter::empty::<i32>());
    let mut rows = std::pin::pin!(rows.await.expect("rows"));
    let mut sum = 0i64;
    while let Some(row) = rows.next().await {
        sum += i64::from(row.expect("a row").get::<_, i32>(0));
    }
    assert_eq!(sum, 200_000 * 200_001 / 2);
    let long = "y".repeat(5 << 20);
    let length = value(&client, &format!("SELECT length('{long}')")).await;
    assert_eq!(length, Some(long.len().to_string()));
}

//! A client of SQL as tests want one: what goes wrong fails the test and names the statement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Longer than this nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects to a gateway.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Runs statements.
pub async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The rows of a query, values joined by commas.
pub async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values: Vec<&str> = (0..row.len()).map(|place| row.get(place).unwrap_or("∅")).collect();
            Some(values.join(","))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// The SQLSTATE of a statement that fails.
pub async fn code(client: &Client, sql: &str) -> SqlState {
    let error = client.simple_query(sql).await.expect_err("an error");
    error.code().cloned().unwrap_or_else(|| panic!("{sql}: {error:?}"))
}

/// The SQLSTATE of a statement that is asked to end until it does: a request that comes before it has begun ends nothing.
pub async fn cancelled(client: &Client, sql: &str) -> SqlState {
    let (token, is_over, began) = (client.cancel_token(), AtomicBool::new(false), Instant::now());
    let running = async {
        let ended = code(client, sql).await;
        is_over.store(true, Ordering::SeqCst);
        ended
    };
    let asking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if is_over.load(Ordering::SeqCst) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{sql} goes on");
            token.cancel_query(NoTls).await.expect("a cancel request");
        }
    };
    let (ended, ()) = tokio::join!(running, asking);
    // The last request may have come too late, and ends what comes next, once.
    while let Err(error) = client.simple_query("select 1").await {
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "the session goes on");
    }
    ended
}

/// Waits until a query answers this.
pub async fn await_rows(client: &Client, sql: &str, wanted: &[&str]) {
    let began = Instant::now();
    loop {
        let found = rows(client, sql).await;
        if found == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{sql}: {found:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

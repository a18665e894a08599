//! LISTEN and NOTIFY beside each other: sessions of two gateways, listeners that do not read, a full queue, gateways that were
//! cut off, and in a cluster of real processes a leader that is killed and a range that is divided.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::TransactionOptions;
use futures::StreamExt;
use keys::sql::TENANT_DEFAULT;
use nunatak_tests::embedded::Embedded;
use nunatak_tests::processes::{Cluster, installed, psql};
use proto::Network;
use proto::grpc::GrpcNetwork;
use proto::v1::SplitRequest;
use sql::EngineOptions;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// How long a notification may take here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A session, and what it is told: channel, payload.
struct Ear {
    client: Client,
    told: UnboundedReceiver<(String, String)>,
}

async fn connect(url: &str) -> Ear {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    let (sender, told) = unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(it) = message {
                let _ = sender.send((it.channel().to_owned(), it.payload().to_owned()));
            }
        }
    });
    Ear { client, told }
}

impl Ear {
    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    async fn code(&self, sql: &str) -> String {
        let error = self.client.batch_execute(sql).await.expect_err(sql);
        error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned())
    }

    /// What it is told next.
    async fn next(&mut self) -> String {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
        told.expect("a notification in time").expect("the session is there").1
    }

    /// The next of these many.
    async fn next_of(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(self.next().await);
        }
        all
    }

    /// Whether it is told nothing for a while.
    async fn hears_nothing(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.told.recv()).await.is_err()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_all_gateways_hear_what_was_committed_in_the_same_order() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let mut ears = [connect(&cluster.url()).await, connect(&other).await, connect(&other).await];
    ears[0].run("create table t (a int primary key)").await;
    for ear in &ears {
        ear.run("listen a").await;
    }
    let mut tasks = Vec::new();
    for task in 0..4 {
        let sender = connect(if task % 2 == 0 { cluster.url() } else { other.clone() }.as_str()).await;
        tasks.push(tokio::spawn(async move {
            for turn in 0..25 {
                match turn % 4 {
                    0 => sender.run(&format!("notify a, '{task} {turn}'")).await,
                    1 => sender.run(&format!("select pg_notify('a', '{task} {turn}')")).await,
                    2 => {
                        let key = task * 100 + turn;
                        let row = format!("insert into t values ({key})");
                        sender.run(&format!("begin; {row}; notify a, '{task} {turn}'; commit")).await;
                    }
                    _ => {
                        sender.run(&format!("begin; notify a, '{task} never'; rollback")).await;
                        sender.run(&format!("notify b, '{task} elsewhere'; notify a, '{task} {turn}'")).await;
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("the task");
    }
    let [first, rest @ ..] = &mut ears;
    let all = first.next_of(100).await;
    for ear in rest {
        assert_eq!(ear.next_of(100).await, all);
    }
    for task in 0..4 {
        let prefix = format!("{task} ");
        let own: Vec<_> = all.iter().filter_map(|told| told.strip_prefix(&prefix)).collect();
        assert_eq!(own, (0..25).map(|turn| turn.to_string()).collect::<Vec<_>>());
    }
    for ear in &mut ears {
        assert!(ear.hears_nothing().await);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_hears_between_its_transactions_and_only_what_it_listens_to() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (mut ear, sender) = (connect(&cluster.url()).await, connect(&other).await);
    sender.run("notify a, 'too early'").await;
    ear.run("listen a; listen b").await;
    // At once, though it asks nothing; the session that sends hears nothing that it does not listen to.
    let began = Instant::now();
    sender.run("notify a, '1'").await;
    assert_eq!(ear.next().await, "1");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Not within a transaction, failed or not.
    for (end, number) in [("commit", "2"), ("rollback", "3")] {
        ear.run("begin; select 1").await;
        if end == "rollback" {
            assert_eq!(ear.code("select 1 / 0").await, "22012");
        }
        sender.run(&format!("notify b, '{number}'")).await;
        assert!(ear.hears_nothing().await);
        ear.run(end).await;
        assert_eq!(ear.next().await, number);
    }
    // Prepared, with parameters.
    let statement = sender.client.prepare("select pg_notify($1, $2)").await.expect("a statement");
    for number in ["4", "5"] {
        sender.client.execute(&statement, &[&"a", &number]).await.expect("a notification");
        assert_eq!(ear.next().await, number);
    }
    // Two transactions that fight for a row: the one that is run again says it once.
    sender.run("create table t (a int primary key, n int); insert into t values (1, 0)").await;
    let rival = connect(&cluster.url()).await;
    rival.run("begin; update t set n = 1").await;
    let waiting = tokio::spawn(async move {
        sender
            .run("with u as (update t set n = n + 1 returning n) select pg_notify('a', n::text) from u")
            .await;
        sender
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    rival.run("commit").await;
    let sender = waiting.await.expect("the task");
    assert_eq!(ear.next().await, "2");
    // Where it listens no more, what was under way is not given.
    ear.run("begin").await;
    sender.run("notify a, 'in vain'; notify b, 'heard'").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    ear.run("unlisten a; commit").await;
    assert_eq!(ear.next().await, "heard");
    ear.run("listen a").await;
    ear.run("begin; listen c; unlisten a; rollback").await;
    sender.run("notify c; notify a, 'still'").await;
    assert_eq!(ear.next().await, "still");
    ear.run("discard all").await;
    sender.run("notify a, 'in vain'").await;
    assert!(ear.hears_nothing().await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_sends_nothing_and_a_conflict_is_answered_as_ever() {
    let cluster = Embedded::start().await;
    let (mut ear, one) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    let two = connect(&cluster.url()).await;
    one.run("create table t (a int primary key, n int); insert into t values (1, 1), (2, 1)").await;
    one.run("create table c (a int references t initially deferred)").await;
    ear.run("listen a").await;
    // Write skew.
    for client in [&one, &two] {
        client.run("begin; select sum(n) from t").await;
    }
    one.run("update t set n = 0 where a = 1; notify a, 'one'").await;
    two.run("update t set n = 0 where a = 2; notify a, 'two'").await;
    one.run("commit").await;
    assert_eq!(two.code("commit").await, "40001");
    assert_eq!(ear.next().await, "one");
    // What is found only at the commit.
    one.run("begin; notify a, 'in vain'; listen a; insert into c values (7)").await;
    assert_eq!(one.code("commit").await, "23503");
    let channels = one.client.query("select * from pg_listening_channels()", &[]).await.expect("channels");
    assert!(channels.is_empty());
    // Others' notifications in between are no conflict for who has read nothing that changed.
    for level in ["serializable", "repeatable read", "read committed"] {
        one.run(&format!("begin isolation level {level}; select * from t; insert into c values (1)")).await;
        one.run("notify a, 'own'").await;
        two.run("notify a, 'other'").await;
        one.run("commit").await;
        assert_eq!(ear.next_of(2).await, ["other", "own"]);
    }
    assert!(ear.hears_nothing().await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_does_not_read_is_ended_and_the_others_are_not() {
    let cluster = Embedded::start().await;
    let (mut ear, sender) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    ear.run("listen a").await;
    // In a transaction it is not told, and what waits for it grows.
    let busy = connect(&cluster.url()).await;
    busy.run("listen a").await;
    busy.run("begin").await;
    // One that does not read its socket.
    let (deaf, mut connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.expect("a connection");
    {
        let mut listening = std::pin::pin!(deaf.batch_execute("listen a"));
        let mut messages = futures::stream::poll_fn(|cx| connection.poll_message(cx));
        loop {
            tokio::select! {
                done = &mut listening => break done.expect("LISTEN"),
                message = messages.next() => { message.expect("a message").expect("no error"); }
            }
        }
    }
    let count = 8_000;
    for turn in 0..count / 500 {
        let numbers = format!("generate_series({}, {})", turn * 500, turn * 500 + 499);
        sender.run(&format!("select pg_notify('a', lpad(n::text, 7900, '-')) from {numbers} n")).await;
    }
    for number in 0..count {
        assert!(ear.next().await.ends_with(&format!("-{number}")));
    }
    let left = "select count(*) from pg_stat_activity where state is not null and query like 'listen a%'";
    let began = Instant::now();
    loop {
        let sessions: i64 = sender.client.query_one(left, &[]).await.expect("the sessions").get(0);
        if sessions == 1 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{sessions} sessions are left");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(busy.client.batch_execute("select 1").await.is_err());
    ear.run("select 1").await;
    drop((deaf, connection));
    cluster.stop().await;
}

/// A key of the queue.
fn key(kind: u8, rest: &[u8]) -> Bytes {
    let prefix = keys::sql::index_prefix(TENANT_DEFAULT, 21);
    [&prefix[..], &[kind], rest, &[keys::sql::SUFFIX_ROW]].concat().into()
}

/// A record of three numbers, as the queue has them.
fn record(second: u64, third: u64) -> Bytes {
    let mut bytes = vec![8, 1];
    for (tag, mut number) in [(16, second), (24, third)] {
        bytes.push(tag);
        while number >= 128 {
            bytes.push(number as u8 | 128);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
    bytes.into()
}

async fn put(client: &client::Client, key: Bytes, value: Option<Bytes>) {
    let mut transaction = client.begin(TransactionOptions::default());
    match value {
        Some(value) => transaction.put(key, value),
        None => transaction.delete(key),
    }
    transaction.commit().await.expect("a commit");
}

async fn usage(ear: &Ear) -> f64 {
    let row = ear.client.query_one("select pg_notification_queue_usage()", &[]).await;
    row.expect("the usage").get(0)
}

/// Waits until the queue is as full as that.
async fn await_usage(ear: &Ear, wanted: impl Fn(f64) -> bool) {
    let began = Instant::now();
    while !wanted(usage(ear).await) {
        assert!(began.elapsed() < PATIENCE, "the queue is {} full", usage(ear).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_more_until_its_readers_have_read() {
    let cluster = Embedded::start().await;
    let raw = cluster.client().await;
    let sender = connect(&cluster.url()).await;
    let mut ear = connect(&cluster.url()).await;
    ear.run("listen a").await;
    // Nobody has to read what is there: it goes by itself.
    sender.run("notify a, '1'; notify b, '2'").await;
    assert_eq!(ear.next().await, "1");
    await_usage(&sender, |usage| usage == 0.0).await;
    // A gateway that reads nothing, though it is there.
    let reader = key(2, &[7; 16]);
    put(&raw, reader.clone(), Some(record(1, u64::MAX >> 20))).await;
    let fill = "select pg_notify('b', lpad(n::text, 7900, '-')) from generate_series(1, 1000) n";
    let mut sent = 0;
    while sender.client.batch_execute(fill).await.is_ok() {
        sent += 1;
        assert!(sent < 10, "the queue has no end");
    }
    assert!(sent >= 7, "{sent}");
    assert!(usage(&sender).await > 0.8);
    assert_eq!(sender.code(fill).await, "54000");
    assert_eq!(sender.code(&format!("begin; create table t (a int); {fill}; commit")).await, "54000");
    sender.run("create table t (a int)").await;
    // What is small has room yet, and is heard.
    sender.run("notify a, '2'").await;
    assert_eq!(ear.next().await, "2");
    put(&raw, reader.clone(), None).await;
    await_usage(&sender, |usage| usage == 0.0).await;
    sender.run(fill).await;
    // One that has not been heard of for long counts no more.
    put(&raw, reader.clone(), Some(record(1, 1))).await;
    sender.run("notify a, '3'").await;
    await_usage(&sender, |usage| usage == 0.0).await;
    let mut transaction = raw.begin(TransactionOptions { read_only: true, ..Default::default() });
    assert_eq!(transaction.get(reader).await.expect("a read"), None);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_for_which_notifications_were_lost() {
    let cluster = Embedded::start().await;
    let raw = cluster.client().await;
    let (ear, idle) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    ear.run("listen a").await;
    // As if others had notified, read and deleted while the gateway was cut off.
    put(&raw, key(3, &[]), Some(record(100, 5000))).await;
    put(&raw, key(1, &[]), Some(record(100, 5000))).await;
    let began = Instant::now();
    while !ear.client.is_closed() {
        assert!(began.elapsed() < PATIENCE, "the session goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    idle.run("select 1").await;
    let mut again = connect(&cluster.url()).await;
    again.run("listen a").await;
    idle.run("notify a, 'here'").await;
    assert_eq!(again.next().await, "here");
    cluster.stop().await;
}

#[test]
fn nothing_is_lost_or_told_twice_when_leaders_die_and_ranges_are_divided() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 2);
    psql(&cluster.gateways[0].address, "create table t (a int primary key)").expect("a table");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = |place: usize| {
        let (host, port) = cluster.gateways[place].address.rsplit_once(':').expect("host:port");
        format!("host={host} port={port} user=postgres dbname=postgres")
    };
    let urls = [url(0), url(1)];
    let mut ears: Vec<Ear> = urls
        .iter()
        .map(|url| {
            runtime.block_on(async {
                let ear = connect(url).await;
                ear.run("listen a").await;
                ear
            })
        })
        .collect();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let senders: Vec<_> = (0..2)
        .map(|sender| {
            let (url, stop) = (urls[sender].clone(), stop.clone());
            runtime.spawn(async move {
                let session = connect(&url).await;
                let (mut sent, mut doubtful, mut number) = (Vec::new(), Vec::new(), 0);
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    number += 1;
                    let said = format!("{sender} {number}");
                    let with_row = format!(
                        "begin; insert into t values ({}); notify a, '{said}'; commit",
                        number * 2 + sender
                    );
                    let sql = if number % 3 == 0 { with_row } else { format!("notify a, '{said}'") };
                    match session.client.batch_execute(&sql).await {
                        Ok(()) => sent.push(said),
                        Err(_) => {
                            // Whether it was committed is not known.
                            doubtful.push(said);
                            let _ = session.client.batch_execute("rollback").await;
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                (sent, doubtful)
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    // The queue's head and its rows come apart.
    runtime.block_on(async {
        let network = GrpcNetwork::new(None);
        let node = network.connect(&cluster.addresses[0]);
        for key in [key(2, &[]), key(4, &[])] {
            let split = node.split(SplitRequest { key, passed_on: false }).await.expect("a range divided");
            assert!(!split.already);
        }
    });
    std::thread::sleep(Duration::from_secs(2));
    let leader = cluster.leader();
    cluster.nodes[leader].kill();
    std::thread::sleep(Duration::from_secs(6));
    cluster.nodes[leader].restart();
    std::thread::sleep(Duration::from_secs(4));
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    runtime.block_on(async {
        let (mut sent, mut doubtful) = (0, Vec::new());
        let mut expected: Vec<Vec<String>> = Vec::new();
        for sender in senders {
            let (own, unknown) = sender.await.expect("the task");
            sent += own.len();
            doubtful.extend(unknown);
            expected.push(own);
        }
        println!("{sent} sent, {} in doubt", doubtful.len());
        assert!(sent > 20);
        connect(&urls[0]).await.run("notify a, 'the end'").await;
        let mut heard: Vec<Vec<String>> = Vec::new();
        for ear in &mut ears {
            let mut all = Vec::new();
            loop {
                match ear.next().await {
                    end if end == "the end" => break,
                    told => all.push(told),
                }
            }
            heard.push(all);
        }
        assert_eq!(heard[0], heard[1], "gateways tell the same in the same order");
        for (sender, expected) in expected.iter().enumerate() {
            let prefix = format!("{sender} ");
            let own: Vec<_> = heard[0]
                .iter()
                .filter(|told| told.starts_with(&prefix) && !doubtful.contains(told))
                .cloned()
                .collect();
            assert_eq!(&own, expected);
        }
        assert!(doubtful.iter().all(|said| heard[0].iter().filter(|told| *told == said).count() <= 1));
    });
}

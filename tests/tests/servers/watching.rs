//! Watches of the key-value service against the real binary: every change once and in order, whatever becomes of ranges, leaders and
//! the gateway; a client that reads slowly; what a role may see; what becomes of a watch whose table goes.

use std::collections::BTreeMap;
use std::time::Duration;

use api::credentials::Credentials;
use api::kv::kv_client::KvClient;
use api::kv::{Change, DeleteRequest, SetRequest, WatchRequest, WatchResponse};
use nunatak_tests::processes::{
    Cluster, Listener, Process, binary, free_address, installed, psql, start_single_with,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

/// How long something may take that should come soon.
const SOON: Duration = Duration::from_secs(30);

async fn connect(address: &str) -> Result<KvClient<Channel>, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    Ok(KvClient::new(endpoint.connect().await?).max_decoding_message_size(api::MESSAGE_BYTES_MAX))
}

async fn set(client: &mut KvClient<Channel>, key: &str, value: &str) -> Result<(), Status> {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    client.set(SetRequest { transaction: 0, key, value }).await.map(drop)
}

fn prefix(prefix: &str, since: u64) -> WatchRequest {
    WatchRequest { prefix: Some(prefix.to_owned().into()), since, ..WatchRequest::default() }
}

/// A call of this role's, which proves nothing.
fn of_role(role: &str, message: WatchRequest) -> Request<WatchRequest> {
    let mut request = Request::new(message);
    let said = Credentials { role: role.to_owned(), password: String::new() }.to_metadata();
    Credentials::put(request.metadata_mut(), said.expect("metadata"));
    request
}

/// A change as the tests write it: the key, and the value unless it was removed.
fn shown(change: &Change) -> (String, Option<String>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&change.key), change.value.as_deref().map(text))
}

/// A watch that is read, as far as it was.
struct Reader {
    answers: Streaming<WatchResponse>,
    /// All that was told, in its order.
    told: Vec<Change>,
    resolved: u64,
}

impl Reader {
    async fn open(client: &mut KvClient<Channel>, request: Request<WatchRequest>) -> Result<Self, Status> {
        let answers = client.watch(request).await?.into_inner();
        let mut reader = Self { answers, told: Vec::new(), resolved: 0 };
        while reader.resolved == 0 {
            reader.read().await?;
        }
        Ok(reader)
    }

    /// Reads a message; what it tells is above all that was resolved before.
    async fn read(&mut self) -> Result<(), Status> {
        let read = tokio::time::timeout(SOON, self.answers.message()).await.expect("a mark in time");
        let answer = read?.expect("no watch ends without a word");
        for change in answer.changes {
            assert!(change.timestamp > self.resolved, "{} after {}", change.timestamp, self.resolved);
            self.told.push(change);
        }
        if answer.resolved > 0 {
            assert!(answer.resolved >= self.resolved);
            self.resolved = answer.resolved;
        }
        Ok(())
    }

    /// Reads until so many changes were told.
    async fn read_to(&mut self, count: usize) -> Vec<(String, Option<String>)> {
        while self.told.len() < count {
            self.read().await.expect("a message");
        }
        self.told.iter().map(shown).collect()
    }

    /// Reads until it ends.
    async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.read().await {
                return status;
            }
        }
    }
}

fn start(folder: &tempfile::TempDir) -> (Listener, String) {
    let kv = free_address();
    let server = start_single_with(folder.path(), &["--kv", &kv]);
    (server, kv)
}

#[tokio::test]
async fn changes_are_told_as_they_are_committed_and_again_from_a_mark() {
    let folder = tempfile::tempdir().expect("a directory");
    let (mut server, kv) = start(&folder);
    let mut client = connect(&kv).await.expect("a connection");
    set(&mut client, "a1", "before").await.expect("set");
    let mut all = Reader::open(&mut client, Request::new(WatchRequest::default())).await.expect("a watch");
    let mut some = Reader::open(&mut client, Request::new(prefix("a", 0))).await.expect("a watch");
    let one = WatchRequest { key: Some("a1".into()), ..WatchRequest::default() };
    let mut one = Reader::open(&mut client, Request::new(one)).await.expect("a watch");
    let begun = some.resolved;
    for (key, value) in [("a1", "1"), ("a1", "2"), ("b", "1"), ("a2", "1")] {
        set(&mut client, key, value).await.expect("set");
    }
    let gone = DeleteRequest { transaction: 0, key: "a1".into() };
    client.delete(gone).await.expect("removed");
    let own = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    let of_a1 = [own("a1", Some("1")), own("a1", Some("2")), own("a1", None)];
    assert_eq!(one.read_to(3).await, of_a1);
    let mut told = some.read_to(4).await;
    told.retain(|(key, _)| key == "a1");
    assert_eq!(told, of_a1);
    assert_eq!(all.read_to(5).await.len(), 5);
    // Who begins again from a mark is told what came since, and nothing else.
    let mut again = Reader::open(&mut client, Request::new(prefix("a", begun))).await.expect("a watch");
    assert_eq!((again.resolved >= begun, again.read_to(4).await.len()), (true, 4));
    let mark = loop {
        one.read().await.expect("a mark");
        if one.told.iter().all(|change| change.timestamp <= one.resolved) {
            break one.resolved;
        }
    };
    let mut later = Reader::open(&mut client, Request::new(prefix("a", mark))).await.expect("a watch");
    set(&mut client, "a3", "1").await.expect("set");
    assert_eq!(later.read_to(1).await, [own("a3", Some("1"))]);
    // What makes no sense, or is still to come.
    let wrong = WatchRequest { key: Some("a".into()), ..prefix("a", 0) };
    for wrong in [wrong, prefix("a", mark + (3_600_000_u64 << 18)), prefix("a", u64::MAX)] {
        let refused = client.watch(wrong).await.expect_err("a refusal");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    // Of long ago nothing is known any more, or the table was not there.
    let old = client.watch(prefix("a", 1_u64 << 18)).await.expect_err("a refusal");
    assert!(matches!(old.code(), Code::OutOfRange | Code::FailedPrecondition), "{old:?}");
    // The end of the gateway is one in order.
    let ended = tokio::task::spawn_blocking(move || server.process.terminate());
    assert_eq!(all.end().await.code(), Code::Unavailable);
    drop((some, one, again, later, client));
    assert_eq!(ended.await.expect("an end"), Some(0));
}

#[tokio::test]
async fn who_reads_slowly_holds_up_itself_alone() {
    let folder = tempfile::tempdir().expect("a directory");
    let (_server, kv) = start(&folder);
    let mut client = connect(&kv).await.expect("a connection");
    set(&mut client, "x", "0").await.expect("set");
    // On a connection of its own: what it does not read stands in that one's way.
    let mut apart = connect(&kv).await.expect("a connection");
    let mut slow = Reader::open(&mut apart, Request::new(prefix("x", 0))).await.expect("a watch");
    let mut quick = Reader::open(&mut client, Request::new(prefix("x", 0))).await.expect("a watch");
    let value = "x".repeat(400_000);
    for number in 0..60 {
        set(&mut client, &format!("x{number:02}"), &value).await.expect("set");
    }
    assert_eq!(quick.read_to(60).await.len(), 60);
    let mut told = slow.read_to(60).await;
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 60);
}

#[tokio::test]
async fn a_role_is_told_what_it_may_see() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, kv) = start(&folder);
    let run = |sql: &str| psql(&server.address, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut client = connect(&kv).await.expect("a connection");
    set(&mut client, "a", "0").await.expect("set");
    run("create role ann login");
    let mut ann = connect(&kv).await.expect("a connection");
    let refused = ann.watch(of_role("ann", prefix("", 0))).await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::PermissionDenied);
    run("grant usage on schema kv to ann; grant select on kv.pairs to ann");
    run("alter table kv.pairs enable row level security");
    run("create policy p on kv.pairs for select to ann using (\"value\" <> 'secret')");
    let mut watch = Reader::open(&mut ann, of_role("ann", prefix("", 0))).await.expect("a watch");
    for (key, value) in [("a", "1"), ("b", "secret"), ("a", "secret"), ("a", "2"), ("c", "1")] {
        set(&mut client, key, value).await.expect("set");
    }
    let mut told = watch.read_to(4).await;
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    let own = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    // What it may not see any more is gone, as far as it can tell.
    let expected = [own("a", Some("1")), own("a", None), own("a", Some("2")), own("c", Some("1"))];
    assert_eq!(told, expected);
    run("revoke select on kv.pairs from ann");
    assert_eq!(watch.end().await.code(), Code::PermissionDenied);
    let mut watch = Reader::open(&mut client, Request::new(prefix("", 0))).await.expect("a watch");
    let mark = watch.resolved;
    run("truncate kv.pairs");
    assert_eq!(watch.end().await.code(), Code::FailedPrecondition);
    let refused = client.watch(prefix("", mark)).await.expect_err("the table is another");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    // The command prints what comes.
    let mut printing = std::process::Command::new(binary());
    printing.args(["kv", "--host", &kv, "watch", "q", "--prefix", "--limit", "2"]);
    let printing = tokio::task::spawn_blocking(move || printing.output().expect("it runs"));
    let mut number = 0;
    while !printing.is_finished() {
        set(&mut client, "q", &number.to_string()).await.expect("set");
        number += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let printed = printing.await.expect("its end");
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(
        printed.lines().count() == 2 && printed.lines().all(|line| line.contains("\tset\tq\t")),
        "{printed}"
    );
}

/// Writes until it succeeds: where the table has gone meanwhile it is made anew for one of the next.
async fn set_at_last(client: &mut KvClient<Channel>, key: &str, value: &str) {
    while set(client, key, value).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How a watch ends that is to end soon.
async fn end_soon(watch: &mut Reader) -> Status {
    tokio::time::timeout(SOON, watch.end()).await.expect("the end of the watch")
}

#[tokio::test]
async fn a_role_whose_sessions_read_behind_in_another_language_is_told_what_is_new() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, kv) = start(&folder);
    let run = |sql: &str| psql(&server.address, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut client = connect(&kv).await.expect("a connection");
    set(&mut client, "a", "0").await.expect("set");
    run("create role bob login");
    run("grant usage on schema kv to bob; grant select on kv.pairs to bob");
    run("alter role bob set default_transaction_read_only = on");
    run("alter role bob set default_transaction_use_follower_reads = on");
    run("alter role bob set dialect = driftql");
    let mut bob = connect(&kv).await.expect("a connection");
    let mut watch = Reader::open(&mut bob, of_role("bob", prefix("a", 0))).await.expect("a watch");
    set(&mut client, "a", "1").await.expect("set");
    assert_eq!(watch.read_to(1).await, [("a".to_owned(), Some("1".to_owned()))]);
}

#[tokio::test]
async fn a_table_that_is_called_otherwise_is_watched_no_more() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, kv) = start(&folder);
    let mut client = connect(&kv).await.expect("a connection");
    set(&mut client, "a", "0").await.expect("set");
    let mut watch = Reader::open(&mut client, Request::new(prefix("", 0))).await.expect("a watch");
    let mark = watch.resolved;
    psql(&server.address, "alter table kv.pairs rename to before").expect("renamed");
    set_at_last(&mut client, "a", "of another table").await;
    assert_eq!(end_soon(&mut watch).await.code(), Code::FailedPrecondition);
    let refused = client.watch(prefix("", mark)).await.expect_err("the table is another");
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn no_mark_lies_above_what_went_with_the_table() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, kv) = start(&folder);
    let mut client = connect(&kv).await.expect("a connection");
    set(&mut client, "x", "0").await.expect("set");
    let begun = Reader::open(&mut client, Request::new(prefix("x", 0))).await.expect("a watch");
    let (since, value) = (begun.resolved, "x".repeat(400_000));
    drop(begun);
    for number in 0..40 {
        set(&mut client, &format!("x{number:02}"), &value).await.expect("set");
    }
    let mut quick = Reader::open(&mut client, Request::new(prefix("x", since))).await.expect("a watch");
    assert_eq!(quick.read_to(40).await.len(), 40);
    // Who does not read is told as much as its connection has room for; the rest is to come when the table has gone.
    let mut apart = connect(&kv).await.expect("a connection");
    let mut slow = Reader::open(&mut apart, Request::new(prefix("x", since))).await.expect("a watch");
    tokio::time::sleep(Duration::from_secs(2)).await;
    psql(&server.address, "drop table kv.pairs").expect("dropped");
    set_at_last(&mut client, "y", "of another table").await;
    assert_eq!(end_soon(&mut slow).await.code(), Code::FailedPrecondition);
    let marked = quick.told.iter().filter(|change| change.timestamp <= slow.resolved);
    let missed: Vec<_> =
        marked.filter(|change| !slow.told.contains(change)).map(|change| &change.key).collect();
    assert!(missed.is_empty(), "{missed:?} lie below the mark {}", slow.resolved);
}

#[tokio::test]
async fn a_clone_is_watched_from_when_it_was_made() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, kv) = start(&folder);
    let run = |sql: &str| psql(&server.address, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut client = connect(&kv).await.expect("a connection");
    for key in ["a", "c"] {
        set(&mut client, key, "0").await.expect("set");
    }
    run("alter table kv.pairs rename to before");
    run("create table kv.pairs clone kv.before");
    set(&mut client, "b", "1").await.expect("set");
    assert_eq!(run("select count(*) from kv.pairs"), "3");
    let mut all = Reader::open(&mut client, Request::new(prefix("", 0))).await.expect("a watch");
    // Of what lies below, too.
    set(&mut client, "a", "2").await.expect("set");
    client.delete(DeleteRequest { transaction: 0, key: "c".into() }).await.expect("removed");
    let own = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    assert_eq!(all.read_to(2).await, [own("a", Some("2")), own("c", None)]);
}

const KEYS: u32 = 20;
const WRITES: u32 = 400;

/// Writes numbers to keys in turn, each until that is acknowledged.
async fn write_all(kv: String) {
    let mut client = None;
    for number in 0..WRITES {
        loop {
            let connected = match client.take() {
                Some(connected) => Ok(connected),
                None => connect(&kv).await,
            };
            if let Ok(mut connected) = connected
                && set(&mut connected, &format!("k{:02}", number % KEYS), &number.to_string()).await.is_ok()
            {
                client = Some(connected);
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// What is told up to the last number of each key, by a client that begins again from its last mark whenever a watch ends. Of what was
/// told behind that mark it forgets all.
async fn watch_all(kv: String, mut since: u64) -> Vec<Change> {
    let mut told: Vec<Change> = Vec::new();
    let is_over = |told: &[Change]| {
        let values: Vec<_> = told.iter().filter_map(|change| shown(change).1).collect();
        (WRITES - KEYS..WRITES).all(|number| values.contains(&number.to_string()))
    };
    loop {
        let opened = match connect(&kv).await {
            Ok(mut client) => Reader::open(&mut client, Request::new(prefix("k", since))).await.ok(),
            Err(_) => None,
        };
        let Some(mut reader) = opened else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        loop {
            let ended = reader.read().await.is_err();
            let resolved = reader.resolved;
            told.extend(reader.told.extract_if(.., |change| change.timestamp <= resolved));
            since = resolved;
            if is_over(&told) {
                return told;
            }
            if ended {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_once_whatever_becomes_of_ranges_leaders_and_gateways() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 0);
    let (sql, http, kv) = (free_address(), free_address(), free_address());
    let join = cluster.addresses.join(",");
    let arguments = ["gateway", "--listen", &sql, "--join", &join, "--http", &http, "--kv", &kv];
    let process = Process::start(&arguments, &folder.path().join("gateway.log"));
    let mut gateway = Listener { process, address: sql, http };
    gateway.await_sql();
    let since = {
        let mut client = connect(&kv).await.expect("a connection");
        set(&mut client, "a", "makes the table").await.expect("set");
        Reader::open(&mut client, Request::new(prefix("k", 0))).await.expect("a watch").resolved
    };
    // What is still to come is none to begin from, be it as near as nodes let clocks be apart.
    let mut client = connect(&kv).await.expect("a connection");
    let refused = client.watch(prefix("k", since + (3_000 << 18))).await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    drop(client);
    let watching = tokio::spawn(watch_all(kv.clone(), since));
    let writing = tokio::spawn(write_all(kv.clone()));
    tokio::task::block_in_place(|| {
        std::thread::sleep(Duration::from_secs(2));
        for border in ["k05", "k12"] {
            let split = format!("alter table kv.pairs split at values ('{border}')");
            psql(&gateway.address, &split).expect("a range divided");
        }
        std::thread::sleep(Duration::from_secs(2));
        let leader = cluster.leader();
        cluster.nodes[leader].kill();
        std::thread::sleep(Duration::from_secs(3));
        cluster.nodes[leader].restart();
        gateway.process.kill();
        std::thread::sleep(Duration::from_secs(1));
        gateway.process.restart();
        gateway.await_sql();
    });
    let within = Duration::from_secs(180);
    tokio::time::timeout(within, writing).await.expect("written in time").expect("written");
    let told = tokio::time::timeout(within, watching).await.expect("told in time").expect("told");
    let mut by_key: BTreeMap<String, Vec<(u64, u32)>> = BTreeMap::new();
    for change in &told {
        let (key, value) = shown(change);
        let number = value.expect("nothing was removed").parse().expect("a number");
        by_key.entry(key).or_default().push((change.timestamp, number));
    }
    assert_eq!(by_key.len(), KEYS as usize);
    for (key, changes) in by_key {
        assert!(changes.is_sorted_by(|one, other| one.0 < other.0), "{key}: {changes:?}");
        // One whose answer was lost was written twice.
        let mut numbers: Vec<u32> = changes.into_iter().map(|(_, number)| number).collect();
        numbers.dedup();
        let first = key.trim_start_matches('k').parse::<u32>().expect("a number");
        let expected: Vec<u32> = (first..WRITES).step_by(KEYS as usize).collect();
        assert_eq!(numbers, expected, "{key}");
    }
}

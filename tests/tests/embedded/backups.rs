//! BACKUP and RESTORE: what comes back is what was there, and what cannot come back is said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::TransactionOptions;
use nunatak_tests::embedded::Embedded;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    drop(tokio::spawn(connection));
    client
}

/// The rows of a query as text.
async fn rows(client: &Client, query: &str) -> Vec<String> {
    let messages = client.simple_query(query).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    let mut rows = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let values: Vec<&str> = (0..row.len()).map(|place| row.get(place).unwrap_or("∅")).collect();
            rows.push(values.join("|"));
        }
    }
    rows
}

async fn run(client: &Client, statements: &[&str]) {
    for statement in statements {
        client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

async fn refused(client: &Client, statement: &str) -> (String, String) {
    let error =
        client.simple_query(statement).await.err().unwrap_or_else(|| panic!("{statement} is carried out"));
    let error = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error:?}"));
    (error.code().code().to_owned(), error.message().to_owned())
}

fn in_database(url: &str, database: &str) -> String {
    url.replace("dbname=postgres", &format!("dbname={database}"))
}

/// A place for backups.
struct Collection(tempfile::TempDir);

impl Collection {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn url(&self) -> String {
        format!("file://{}/backups", self.0.path().display())
    }

    /// All files that end so.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a directory").flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path if path.to_string_lossy().ends_with(ending) => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

const SCHEMA: [&str; 9] = [
    "create type mood as enum ('sad', 'ok', 'happy')",
    "create table parent (id int primary key, name text not null unique)",
    "create table child (id serial primary key, parent int references parent on delete cascade, how mood, \
     at timestamptz default now(), check (id > 0))",
    "create index on child (parent, at desc)",
    "create table loose (n int, big text)",
    "create view happy as select c.id, p.name from child c join parent p on p.id = c.parent where c.how = 'happy'",
    "comment on table parent is 'what others refer to'",
    "insert into parent select n, 'name ' || n from generate_series(1, 300) n",
    "insert into child (parent, how) select n, (case n % 3 when 0 then 'sad' when 1 then 'ok' else 'happy' end)::mood \
     from generate_series(1, 300) n",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_comes_back_under_another_name() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&cluster.url()).await;
    run(&client, &SCHEMA).await;
    run(&client, &[
        "insert into loose select n, repeat('x', 50) from generate_series(1, 2000) n",
        // Too long to be ingested.
        "insert into loose values (0, (select string_agg(md5(n::text), '') from generate_series(1, 8000) n))",
        "create role reader",
        "create policy p on parent to reader using (id < 10)",
    ])
    .await;
    let backup = format!("backup database postgres into '{}'", collection.url());
    assert_eq!(rows(&client, &backup).await.len(), 1);
    // What comes after is not in it.
    run(&client, &["delete from child where id > 100", "insert into parent values (999, 'later')"]).await;
    let restore = format!("restore database postgres as again from '{}'", collection.url());
    let restored = rows(&client, &restore).await;
    assert!(restored[0].contains("|3|"), "three tables: {restored:?}");
    assert_eq!(refused(&client, &restore).await.0, "42P04");
    let again = connect(&in_database(&cluster.url(), "again")).await;
    assert_eq!(rows(&again, "select count(*), max(id), min(name) from parent").await, ["300|300|name 1"]);
    assert_eq!(rows(&again, "select count(*), count(distinct how) from child").await, ["300|3"]);
    assert_eq!(rows(&again, "select count(*) from happy").await, ["100"]);
    assert_eq!(
        rows(&again, "select count(*), sum(length(big)) from loose").await,
        [format!("2001|{}", 2000 * 50 + 8000 * 32)]
    );
    assert_eq!(
        rows(&again, "select obj_description('parent'::regclass, 'pg_class')").await,
        ["what others refer to"]
    );
    assert_eq!(rows(&again, "select count(*) from pg_policy").await, ["0"], "it binds a role by its name");
    // Indexes hold what tables hold, constraints hold, numbers go on.
    assert_eq!(rows(&again, "select id from parent where name = 'name 77'").await, ["77"]);
    assert_eq!(rows(&again, "select id from child where parent = 200 order by at desc").await, ["200"]);
    assert_eq!(refused(&again, "insert into child (parent) values (1000)").await.0, "23503");
    assert_eq!(refused(&again, "insert into parent values (1001, 'name 5')").await.0, "23505");
    assert_eq!(rows(&again, "insert into child (parent) values (1) returning id > 300").await, ["t"]);
    run(&again, &["delete from parent where id = 2"]).await;
    assert_eq!(rows(&again, "select count(*) from child where parent = 2").await, ["0"]);
    // Rows without a key are not written over by those that come.
    run(&again, &["insert into loose select n from generate_series(1, 5000) n"]).await;
    assert_eq!(rows(&again, "select count(*) from loose").await, ["7001"]);
    drop((client, again));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_comes_back_as_of_any_moment_of_its_chain() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&cluster.url()).await;
    let url = collection.url();
    run(
        &client,
        &[
            "create table t (id int primary key, v text)",
            "create index on t (v)",
            "insert into t select n, 'first' from generate_series(1, 100) n",
            &format!("backup table t into '{url}' with (history)"),
            "update t set v = 'second' where id <= 50",
        ],
    )
    .await;
    let between = rows(&client, "select clock_timestamp()::text, pg_sleep(0.05)").await;
    let between = between[0].split('|').next().expect("a moment").to_owned();
    run(
        &client,
        &[
            "delete from t where id > 90",
            "update t set v = 'third' where id <= 10",
            &format!("backup table t into '{url}' incremental with (history)"),
            "insert into t values (1000, 'lost')",
            &format!("backup table t into '{url}' incremental"),
        ],
    )
    .await;
    let shown = rows(&client, &format!("show backups in '{url}'")).await;
    let kinds: Vec<_> = shown.iter().map(|row| row.split('|').nth(1).expect("a kind")).collect();
    assert_eq!(kinds, ["full", "incremental", "incremental"], "{shown:?}");
    assert!(shown[0].starts_with("table postgres.public.t|"), "{shown:?}");
    let second = shown[1].split('|').nth(3).expect("a timestamp").to_owned();
    let taken = refused(&client, &format!("restore table t from '{url}'")).await;
    assert_eq!(taken, ("42P07".to_owned(), "relation \"t\" already exists".to_owned()));
    let sums =
        "select string_agg(v || ' ' || count, ', ' order by v) from (select v, count(*) from t group by v) g";
    for (moment, expected) in [
        (String::new(), "first 40, lost 1, second 40, third 10"),
        (format!("as of system time {second}"), "first 40, second 40, third 10"),
        (format!("as of system time '{between}'"), "first 50, second 50"),
    ] {
        run(&client, &["drop table t", &format!("restore table t from '{url}' {moment}")]).await;
        assert_eq!(rows(&client, sums).await, [expected], "{moment}");
        assert_eq!(rows(&client, "select count(*) from t where v = 'second' and id = 20").await, ["1"]);
    }
    run(&client, &["drop table t", "create type t as enum ('a')"]).await;
    assert_eq!(refused(&client, &format!("restore table t from '{url}'")).await.0, "42710");
    run(&client, &["drop type t"]).await;
    for (statement, code) in [
        (format!("restore table u from '{url}'"), "55000"),
        (format!("restore database postgres as d from '{url}'"), "55000"),
        ("restore table t from 'file:///nowhere/at/all'".to_owned(), "55000"),
        ("restore table t from 's3://bucket'".to_owned(), "0A000"),
        ("restore table t from 'ftp://host'".to_owned(), "22023"),
        (format!("begin; backup cluster into '{url}'"), "25001"),
    ] {
        assert_eq!(refused(&client, &statement).await.0, code, "{statement}");
        let _ = client.simple_query("rollback").await;
    }
    // Before the table was there: either that is known, or history does not reach back so far.
    let before = format!("restore table t from '{url}' as of system time '1970-02-01'");
    let (code, message) = refused(&client, &before).await;
    assert!(matches!(code.as_str(), "55000" | "42P01"), "{code}: {message}");
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_or_filled_anew_is_in_the_next_link() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&cluster.url()).await;
    let url = collection.url();
    run(
        &client,
        &[
            "create table t (id int primary key, v int)",
            "insert into t select n, n % 7 from generate_series(1, 3000) n",
            &format!("backup database postgres into '{url}'"),
            "create table u (id int primary key)",
            "insert into u select n from generate_series(1, 10) n",
            "create index on t (v)",
            "alter table t alter v type bigint",
            "delete from t where id <= 1000",
            &format!("backup database postgres into '{url}' incremental"),
            "truncate u",
            "update t set v = -1 where id = 3000",
            &format!("backup database postgres into '{url}' incremental"),
            &format!("restore database postgres as d from '{url}'"),
        ],
    )
    .await;
    let restored = connect(&in_database(&cluster.url(), "d")).await;
    assert_eq!(rows(&restored, "select count(*), min(id), max(id) from t").await, ["2000|1001|3000"]);
    assert_eq!(rows(&restored, "select id from t where v = -1").await, ["3000"]);
    assert_eq!(rows(&restored, "select count(*) from u").await, ["0"]);
    assert_eq!(
        rows(&restored, "select count(*) from t where v = 3").await,
        rows(&client, "select count(*) from t where v = 3").await
    );
    drop((client, restored));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_comes_back_into_an_empty_one() {
    let old = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&old.url()).await;
    run(&client, &SCHEMA).await;
    run(
        &client,
        &[
            "create role ann login",
            "grant select on parent to ann",
            "create policy p on child for select to ann using (how = 'ok')",
            "alter table child enable row level security",
            "grant select on child to ann",
            "create database shop owner ann",
            "set cluster setting history = '2 hours'",
        ],
    )
    .await;
    let shop = connect(&in_database(&old.url(), "shop")).await;
    run(&shop, &["create table goods (id int primary key)", "insert into goods values (1), (2)"]).await;
    let key = keys::sql::kv_key(1, b"plain");
    let mut transaction = old.client().await.begin(TransactionOptions::default());
    transaction.put(key.clone(), "value".into());
    transaction.commit().await.expect("a commit");
    let backup = format!("backup cluster into '{}'", collection.url());
    assert_eq!(rows(&client, &backup).await.len(), 1);
    let restore = format!("restore cluster from '{}'", collection.url());
    assert_eq!(refused(&client, &restore).await.0, "55000", "this one is not empty");
    drop((client, shop));
    old.stop().await;
    let new = Embedded::start().await;
    let client = connect(&new.url()).await;
    run(&client, &[&restore]).await;
    assert_eq!(rows(&client, "select count(*) from happy").await, ["100"]);
    assert_eq!(rows(&client, "insert into child (parent) values (1) returning id > 300").await, ["t"]);
    // Roles, rights and policies came along.
    run(&client, &["set role ann"]).await;
    assert_eq!(rows(&client, "select count(*) from child").await, ["100"]);
    assert_eq!(refused(&client, "delete from parent").await.0, "42501");
    assert_eq!(refused(&client, &restore).await.0, "42501");
    let shop = connect(&in_database(&new.url(), "shop")).await;
    assert_eq!(rows(&shop, "select count(*) from goods").await, ["2"]);
    assert_eq!(
        rows(&shop, "select pg_get_userbyid(datdba) from pg_database where datname = 'shop'").await,
        ["ann"]
    );
    let mut transaction = new.client().await.begin(TransactionOptions::default());
    assert_eq!(transaction.get(key).await.expect("a read").as_deref(), Some(&b"value"[..]));
    // New objects get oids that no other has.
    run(
        &client,
        &["reset role", "create table fresh (id serial primary key)", "insert into fresh default values"],
    )
    .await;
    let oids = "select count(*) - count(distinct oid) from pg_class";
    assert_eq!(rows(&client, oids).await, ["0"]);
    drop((client, shop, transaction));
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named_and_nothing_of_it_comes_back() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&cluster.url()).await;
    let (url, key_file) = (collection.url(), collection.0.path().join("key"));
    std::fs::write(&key_file, "ab".repeat(32)).expect("a key");
    let with = format!("with (encryption_key_file = '{}')", key_file.display());
    run(
        &client,
        &[
            "create table t (id int primary key, v text)",
            "insert into t select n, 'a-canary-that-sings' from generate_series(1, 1000) n",
            &format!("backup table t into '{url}' {with}"),
            "drop table t",
        ],
    )
    .await;
    let clear = |path: &Path| {
        let content = std::fs::read(path).expect("a file");
        content.windows(8).any(|window| window == b"a-canary")
    };
    assert!(!collection.files("").iter().any(|path| clear(path)), "what is encrypted stands in the clear");
    // Without the key, and with another one.
    assert_eq!(refused(&client, &format!("restore table t from '{url}'")).await.0, "22023");
    let other = collection.0.path().join("other");
    std::fs::write(&other, "cd".repeat(32)).expect("a key");
    let wrong = format!("restore table t from '{url}' with (encryption_key_file = '{}')", other.display());
    assert_eq!(refused(&client, &wrong).await.0, "22023");
    let restore = format!("restore table t from '{url}' {with}");
    for path in collection.files(".data").iter().chain(&collection.files(".manifest")) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let content = std::fs::read(path).expect("a file");
        let mut changed = content.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(path, &changed).expect("a file");
        let (code, message) = refused(&client, &restore).await;
        assert!(code == "XX001" && message.contains(&name), "{message}");
        std::fs::remove_file(path).expect("a file");
        let (code, message) = refused(&client, &restore).await;
        // Without its manifest there is no backup.
        let expected = if name.ends_with(".manifest") { "55000" } else { "58P01" };
        assert_eq!(code, expected, "{message}");
        std::fs::write(path, &content).expect("a file");
    }
    assert_eq!(refused(&client, "select * from t").await.0, "42P01");
    run(&client, &[&restore]).await;
    assert_eq!(rows(&client, "select count(*) from t where v = 'a-canary-that-sings'").await, ["1000"]);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_is_gone_on_with() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&cluster.url()).await;
    let url = collection.url();
    run(
        &client,
        &[
            "create table t (id int primary key, v text)",
            "insert into t select n, repeat(md5(n::text), 20) from generate_series(1, 10000) n",
        ],
    )
    .await;
    let backup = format!("backup table t into '{url}'");
    let worker = connect(&cluster.url()).await;
    let mut is_interrupted = false;
    for _ in 0..10 {
        // Cancelled as soon as it is seen to have begun.
        let mut running = Box::pin(worker.simple_query(&backup));
        let has_failed = loop {
            tokio::select! {
                done = &mut running => break done.is_err(),
                () = tokio::time::sleep(Duration::from_millis(2)) => {
                    let shown = rows(&client, &format!("show backups in '{url}'")).await;
                    if shown.iter().any(|row| row.contains("|unfinished|")) {
                        worker.cancel_token().cancel_query(NoTls).await.expect("a request to cancel");
                    }
                }
            }
        };
        let shown = rows(&client, &format!("show backups in '{url}'")).await;
        is_interrupted = has_failed && shown.iter().any(|row| row.contains("|unfinished|"));
        if is_interrupted {
            break;
        }
    }
    assert!(is_interrupted, "no backup was interrupted after it had begun");
    run(&client, &["update t set v = 'later' where id <= 10"]).await;
    run(&client, &[&format!("{backup} resume"), "drop table t", &format!("restore table t from '{url}'")])
        .await;
    let sums =
        rows(&client, "select count(*), sum(length(v)), count(*) filter (where v = 'later') from t").await;
    assert_eq!(sums, ["10000|6400000|0"], "it is of the moment that it was begun");
    drop((client, worker));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_by_itself_needs_nothing_that_stays_away() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&cluster.url()).await;
    let url = collection.url();
    run(
        &client,
        &[
            "create sequence apart",
            "create type mood as enum ('sad', 'ok')",
            "create table drawn (id int primary key, n bigint default nextval('apart'))",
            "create table judged (id int primary key, v text check (v::mood <> 'sad'))",
            "create table own (id serial primary key, before int references own)",
            "insert into own (before) values (null), (1), (2)",
            &format!("backup database postgres into '{url}'"),
            "drop table drawn, judged, own",
        ],
    )
    .await;
    for (table, needed) in [("drawn", "\"apart\""), ("judged", "\"mood\"")] {
        let (code, message) = refused(&client, &format!("restore table {table} from '{url}'")).await;
        assert!(code == "0A000" && message.contains(needed), "{code}: {message}");
        assert_eq!(refused(&client, &format!("select * from {table}")).await.0, "42P01");
    }
    run(&client, &[&format!("restore table own from '{url}'")]).await;
    assert_eq!(rows(&client, "insert into own (before) values (3) returning id > 3").await, ["t"]);
    assert_eq!(refused(&client, "insert into own (before) values (77)").await.0, "23503");
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_backups_at_a_place_have_one_key() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let (plain, sealed) = (Collection::new(), Collection::new());
    let key_file = sealed.0.path().join("key");
    std::fs::write(&key_file, "ab".repeat(32)).expect("a key");
    let with = format!("with (encryption_key_file = '{}')", key_file.display());
    run(
        &client,
        &[
            "create table t (id int primary key)",
            &format!("backup table t into '{}'", plain.url()),
            &format!("backup table t into '{}' {with}", sealed.url()),
        ],
    )
    .await;
    for (url, with) in [(plain.url(), with.as_str()), (sealed.url(), "")] {
        for statement in [
            format!("backup table t into '{url}' {with}"),
            format!("backup table t into '{url}' incremental {with}"),
            format!("restore database postgres as d from '{url}' {with}"),
            format!("show backups in '{url}' {with}"),
        ] {
            // What was made without the key could have been made by anybody.
            assert_eq!(refused(&client, &statement).await.0, "22023", "{statement}");
        }
    }
    for collection in [&plain, &sealed] {
        assert_eq!((collection.files(".manifest").len(), collection.files(".progress").len()), (1, 0));
    }
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_that_are_made_at_once_are_all_whole() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let (one, other) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    let url = collection.url();
    run(
        &one,
        &[
            "create table t (id int primary key)",
            "insert into t select n from generate_series(1, 1000) n",
            &format!("backup database postgres into '{url}'"),
            "insert into t values (1001)",
        ],
    )
    .await;
    let incremental = format!("backup database postgres into '{url}' incremental");
    let both = tokio::join!(one.simple_query(&incremental), other.simple_query(&incremental));
    // Who comes when a later one is there already is told so.
    let made = [both.0, both.1].into_iter().filter(Result::is_ok).count();
    assert!(made > 0, "neither is made");
    run(&one, &["insert into t values (1002)", &incremental]).await;
    let shown = rows(&one, &format!("show backups in '{url}'")).await;
    assert_eq!(shown.len(), made + 2, "{shown:?}");
    run(&one, &[&format!("restore database postgres as last from '{url}'")]).await;
    let mut expected = vec![("last".to_owned(), "1002")];
    for (number, link) in shown.iter().enumerate() {
        let at = link.split('|').nth(3).expect("a timestamp");
        let name = format!("d{number}");
        let restore = format!("restore database postgres as {name} from '{url}' as of system time {at}");
        run(&one, &[&restore]).await;
        expected.push((
            name,
            if number == 0 {
                "1000"
            } else if number <= made {
                "1001"
            } else {
                "1002"
            },
        ));
    }
    for (database, count) in expected {
        let client = connect(&in_database(&cluster.url(), &database)).await;
        assert_eq!(rows(&client, "select count(*) from t").await, [count], "{database}");
    }
    // Of the same moment there is one.
    let moment = rows(&one, "select clock_timestamp()::text, pg_sleep(0.05)").await;
    let moment = moment[0].split('|').next().expect("a moment").to_owned();
    let same = format!("backup table t into '{url}' as of system time '{moment}'");
    run(&one, &[&same]).await;
    assert_eq!(refused(&one, &same).await.0, "55000");
    drop((one, other));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_than_superusers_make_no_backups() {
    let cluster = Embedded::start().await;
    let collection = Collection::new();
    let client = connect(&cluster.url()).await;
    let url = collection.url();
    run(&client, &["create role ann", "create table t (id int)", "grant all on t to ann", "set role ann"])
        .await;
    for statement in [
        format!("backup table t into '{url}'"),
        format!("restore database postgres as d from '{url}'"),
        format!("show backups in '{url}'"),
    ] {
        assert_eq!(refused(&client, &statement).await.0, "42501", "{statement}");
    }
    assert_eq!(collection.files("").len(), 0);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_scheduled_is_taken_once_and_again() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let (place, gone) = (Collection::new(), Collection::new());
    run(&client, &["create table t (id int primary key)", "insert into t values (1), (2)"]).await;
    let schedule = |name: &str, place: &Collection| {
        let url = place.url();
        format!(
            "create schedule {name} for backup table t into '{url}' with (history) every '1 minute' full every '1 day'"
        )
    };
    run(&client, &[&schedule("minutely", &place)]).await;
    // The first is due at once, the next a minute later: that one follows it.
    let links = format!("show backups in '{}'", place.url());
    let mut kinds = Vec::new();
    for _ in 0..600 {
        kinds = rows(&client, &links).await;
        kinds.retain(|link| !link.contains("unfinished"));
        if kinds.len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(kinds.len() == 2 && kinds[0].contains("full") && kinds[1].contains("incremental"), "{kinds:?}");
    let schedules = rows(&client, "show schedules").await;
    assert_eq!(schedules.len(), 1);
    assert!(schedules[0].starts_with("minutely|table postgres.public.t|file://"), "{schedules:?}");
    assert!(schedules[0].contains("|1 minute|1 day|") && schedules[0].ends_with("|∅"), "{schedules:?}");
    // Who drops it has it stop; what cannot be taken says why.
    run(&client, &["drop schedule minutely", &schedule("lost", &gone), "drop table t"]).await;
    let mut failure = String::new();
    for _ in 0..240 {
        failure = rows(&client, "show schedules").await.remove(0);
        if failure.contains("42P01") || failure.contains("does not exist") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(failure.contains("does not exist"), "{failure}");
    drop(client);
    cluster.stop().await;
}

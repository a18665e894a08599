//! The audit log of a real gateway: what is in it, what is not, and that nothing is answered without it.

mod endings;
mod portals;
mod raw;
mod refusals;
mod streams;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use nunatak_tests::processes::{Listener, installed, start_single_with};
use serde_json::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// Passwords and values that no record may hold.
const SECRETS: [&str; 4] = ["hunter2-a", "hunter2-b", "hunter2-c", "hunter2-d"];

const RULES: &str = "\
host all postgres,auditor 127.0.0.1/32 trust
host all all              127.0.0.1/32 scram-sha-256
";

struct Audited {
    server: Listener,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Audited {
    fn start(more: &[&str]) -> Option<Self> {
        if !installed("psql") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (hba, log) = (folder.path().join("hba.conf"), folder.path().join("audit.jsonl"));
        std::fs::write(&hba, RULES).expect("a file");
        let arguments = ["--hba", text(&hba), "--audit-log", text(&log)];
        let server = start_single_with(folder.path(), &[&arguments, more].concat());
        Some(Self { server, log, _folder: folder })
    }

    async fn try_connect(&self, user: &str, more: &str) -> Result<Client, tokio_postgres::Error> {
        let (host, port) = self.server.address.rsplit_once(':').expect("host:port");
        let parameters = format!("host={host} port={port} user={user} dbname=postgres {more}");
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn connect(&self, user: &str, more: &str) -> Client {
        self.try_connect(user, more).await.unwrap_or_else(|error| panic!("{user}: {error:?}"))
    }

    fn records(&self) -> Vec<Value> {
        read(&self.log)
    }

    /// The record of this role's newest statement, which has been answered.
    fn last_of(&self, user: &str) -> Value {
        let records = self.records();
        let last = records.into_iter().rev().find(|record| record["user"] == user);
        last.unwrap_or_else(|| panic!("no record of {user}"))
    }

    fn count_of(&self, user: &str) -> usize {
        self.records().iter().filter(|record| record["user"] == user).count()
    }

    /// What this role's records say behind the first so many: command, outcome, and the number of rows if there is one.
    fn told_of(&self, user: &str, skipped: usize) -> Vec<String> {
        let shown = |record: &Value| {
            let word = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
            let rows = record["rows"].as_u64().map(|rows| format!(" {rows}")).unwrap_or_default();
            format!("{} {}{rows}", word("command"), word("outcome"))
        };
        let records = self.records();
        records.iter().filter(|record| record["user"] == user).skip(skipped).map(shown).collect()
    }

    /// The same, once the last of them is this one.
    async fn await_told(&self, user: &str, skipped: usize, last: &str) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let told = self.told_of(user, skipped);
            if told.last().is_some_and(|told| told == last) {
                return told;
            }
            assert!(Instant::now() < deadline, "no {last} of {user}: {told:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn hang_up(&self) {
        let pid = self.server.process.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn code(client: &Client, sql: &str) -> SqlState {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().cloned().unwrap_or_else(|| panic!("{sql}: {error:?}"))
}

fn objects(record: &Value) -> Vec<String> {
    let shown = |object: &Value| {
        let access: Vec<&str> =
            object["access"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!("{} {}", object["name"].as_str().unwrap_or_default(), access.join("+")).trim_end().to_owned()
    };
    record["objects"].as_array().into_iter().flatten().map(shown).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_of_statement_is_recorded_without_secrets() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role ann login password 'hunter2-a'").await;
    // Changes of roles and rights always are, though nothing is audited.
    let record = audited.last_of("postgres");
    assert_eq!((record["command"].as_str(), record["class"].as_str()), (Some("CREATE ROLE"), Some("ROLE")));
    assert_eq!(record["statement"], "create role ann login password $1");
    assert_eq!(objects(&record), ["ann"]);
    assert_eq!(record["gateway"].as_str(), Some(audited.server.address.as_str()));
    run(&admin, "create schema s authorization ann; create table hidden (a int)").await;
    let before = audited.count_of("postgres");
    run(&admin, "create table t (a int primary key, b text); insert into t values (1, 'hunter2-b')").await;
    run(&admin, "create view v as select b from t; create sequence q").await;
    assert_eq!(audited.count_of("postgres"), before);
    run(&admin, "grant select, insert, update, delete on t, v to ann; grant select on sequence q to ann")
        .await;
    run(&admin, "alter role ann set nunatak.audit to 'all'").await;
    assert_eq!(objects(&audited.last_of("postgres")), ["ann", "nunatak.audit"]);

    let ann = audited.connect("ann", "password=hunter2-a application_name=shop").await;
    let login = audited.last_of("ann");
    assert_eq!((login["command"].as_str(), login["class"].as_str()), (Some("LOGIN"), Some("SESSION")));
    assert_eq!(login["authentication"], "scram-sha-256");
    assert_eq!(login["application"], "shop");
    assert_eq!(login["encrypted"], false);
    assert!(login["remote"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")));

    for (sql, class, command, touched) in [
        ("select * from t where b = 'hunter2-b'", "READ", "SELECT", vec!["public.t read"]),
        ("select b from v", "READ", "SELECT", vec!["public.v read", "public.t read"]),
        ("select last_value from q", "READ", "SELECT", vec!["public.q read"]),
        ("insert into t values (2, 'hunter2-b')", "WRITE", "INSERT", vec!["public.t write"]),
        ("update t set b = 'hunter2-c' where a = 2", "WRITE", "UPDATE", vec!["public.t read+write"]),
        ("delete from t where a = 2", "WRITE", "DELETE", vec!["public.t read+write"]),
        ("create table s.n (a int, b text default 'hunter2-d')", "DDL", "CREATE TABLE", vec!["s.n"]),
        (
            "create table s.m as select b from v",
            "DDL",
            "CREATE TABLE AS",
            vec!["public.v read", "public.t read", "s.m"],
        ),
        ("alter table s.n add c int", "DDL", "ALTER TABLE", vec!["s.n ddl"]),
        ("create index on s.n (a)", "DDL", "CREATE INDEX", vec!["s.n ddl", "s.n_a_idx"]),
        ("truncate s.n", "WRITE", "TRUNCATE TABLE", vec!["s.n write"]),
        ("drop table s.m", "DDL", "DROP TABLE", vec!["s.m ddl"]),
        ("grant select on s.n to postgres", "ROLE", "GRANT", vec!["s.n ddl", "postgres"]),
        ("alter role ann password 'hunter2-a'", "ROLE", "ALTER ROLE", vec!["ann"]),
        ("set role ann", "SESSION", "SET ROLE", vec!["ann"]),
        ("set my.secret to 'hunter2-d'", "MISC", "SET", vec!["my.secret"]),
        ("select set_config('my.secret', 'hunter2-d', false)", "READ", "SELECT", vec![]),
        ("explain select * from t", "MISC", "EXPLAIN", vec!["public.t"]),
        ("explain analyze select * from t", "READ", "EXPLAIN", vec!["public.t read"]),
        ("notify c, 'hunter2-d'", "MISC", "NOTIFY", vec![]),
    ] {
        run(&ann, sql).await;
        let record = audited.last_of("ann");
        assert_eq!(record["class"], class, "{sql}: {record}");
        assert_eq!(record["command"], command, "{sql}: {record}");
        assert_eq!(record["outcome"], "ok", "{sql}: {record}");
        assert_eq!(objects(&record), touched, "{sql}: {record}");
    }

    // Each statement of a string, and what became of their transaction.
    let before = audited.count_of("ann");
    run(&ann, "insert into t values (10, 'x'); select 1; delete from t where a = 10").await;
    assert_eq!(audited.count_of("ann"), before + 3);
    assert_eq!(code(&ann, "insert into t values (11, 'x'); select 1 / 0").await, SqlState::DIVISION_BY_ZERO);
    let records = audited.records();
    let outcomes: Vec<_> = records
        .iter()
        .filter(|record| record["user"] == "ann")
        .skip(before + 3)
        .map(|record| {
            format!("{} {}", record["command"].as_str().unwrap(), record["outcome"].as_str().unwrap())
        })
        .collect();
    assert_eq!(outcomes, ["INSERT ok", "SELECT 22012", "ROLLBACK ok"]);

    // Failures, wherever they come from.
    for (sql, state, class, touched) in [
        ("selekt 'hunter2-d'", "42601", "UNKNOWN", vec![]),
        ("alter role ann password hunter2", "42601", "UNKNOWN", vec![]),
        ("select * from nothing", "42P01", "READ", vec![]),
        ("select * from hidden", "42501", "READ", vec!["public.hidden read"]),
        ("create role other password 'hunter2-d'", "42501", "ROLE", vec!["other"]),
        ("insert into t values (1, 'twice')", "23505", "WRITE", vec!["public.t write"]),
        ("set nunatak.audit to 'none'", "42501", "SESSION", vec!["nunatak.audit"]),
        ("reset nunatak.audit", "42501", "SESSION", vec!["nunatak.audit"]),
        ("alter role ann set nunatak.audit to 'none'", "42501", "ROLE", vec!["ann", "nunatak.audit"]),
        ("alter role ann reset nunatak.audit", "42501", "ROLE", vec!["ann", "nunatak.audit"]),
        ("alter table s.n set (audit = 'none, read')", "42501", "DDL", vec!["s.n ddl"]),
    ] {
        let before = audited.count_of("ann");
        assert_eq!(code(&ann, sql).await.code(), state, "{sql}");
        let record = audited.last_of("ann");
        assert_eq!(audited.count_of("ann"), before + 1, "{sql}: {record}");
        assert_eq!(
            (record["outcome"].as_str(), record["class"].as_str()),
            (Some(state), Some(class)),
            "{sql}: {record}"
        );
        assert_eq!(objects(&record), touched, "{sql}: {record}");
    }
    run(&ann, "reset all").await;
    run(&ann, "discard all").await;
    let before = audited.count_of("ann");
    run(&ann, "select 1").await;
    assert_eq!(audited.count_of("ann"), before + 1);
    let refused = audited.try_connect("ann", "password=hunter2-a options='-c nunatak.audit=none'").await;
    assert_eq!(refused.err().and_then(|error| error.code().cloned()), Some(SqlState::INSUFFICIENT_PRIVILEGE));
    let record = audited.last_of("ann");
    assert_eq!((record["command"].as_str(), record["outcome"].as_str()), (Some("LOGIN"), Some("42501")));

    extended(&audited, &ann).await;

    // Failed logins, whoever it is.
    for (user, password) in [("ann", "hunter2-b"), ("nobody", "hunter2-c")] {
        let refused = audited.try_connect(user, &format!("password={password}")).await;
        assert_eq!(refused.err().and_then(|error| error.code().cloned()), Some(SqlState::INVALID_PASSWORD));
        let record = audited.last_of(user);
        assert_eq!((record["command"].as_str(), record["outcome"].as_str()), (Some("LOGIN"), Some("28P01")));
        assert!(record["reason"].as_str().is_some_and(|reason| reason.contains("authentication failed")));
    }
    drop(ann);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !audited.records().iter().any(|record| record["command"] == "LOGOUT") {
        assert!(Instant::now() < deadline, "no LOGOUT");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = std::fs::read_to_string(&audited.log).expect("the log");
    for secret in SECRETS.into_iter().chain(["hunter2"]) {
        assert!(!all.contains(secret), "{secret}:\n{all}");
    }
}

/// Prepared statements, portals, COPY and cursors.
async fn extended(audited: &Audited, ann: &Client) {
    let before = audited.count_of("ann");
    let statement = ann.prepare("select b from t where a = $1").await.expect("a statement");
    assert_eq!(audited.count_of("ann"), before);
    for _ in 0..3 {
        ann.query(&statement, &[&1_i32]).await.expect("a row");
    }
    assert_eq!(audited.count_of("ann"), before + 3);
    let record = audited.last_of("ann");
    assert_eq!(
        (record["rows"].as_u64(), record["statement"].as_str()),
        (Some(1), Some("select b from t where a = $1"))
    );
    run(ann, "prepare p (int) as select b from t where a = $1").await;
    run(ann, "execute p(1)").await;
    assert_eq!(objects(&audited.last_of("ann")), ["public.t read"]);

    let sink = ann.copy_in::<_, bytes::Bytes>("copy t from stdin").await.expect("COPY");
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from_static(b"20\thunter2-d\n21\tx\n")).await.expect("data");
    sink.finish().await.expect("the end");
    let record = audited.last_of("ann");
    assert_eq!((record["class"].as_str(), record["command"].as_str()), (Some("WRITE"), Some("COPY")));
    assert_eq!(record["rows"], 2);
    let rows = ann.copy_out("copy t to stdout").await.expect("COPY");
    assert!(std::pin::pin!(rows).count().await > 0);
    let record = audited.last_of("ann");
    assert_eq!(
        (record["class"].as_str(), objects(&record)),
        (Some("READ"), vec!["public.t read".to_owned()])
    );

    let before = audited.count_of("ann");
    run(ann, "begin; declare c cursor for select * from t; fetch 2 from c; move 1 from c; close c; commit")
        .await;
    let records = audited.records();
    let commands: Vec<_> = records
        .iter()
        .filter(|record| record["user"] == "ann")
        .skip(before)
        .map(|record| format!("{} {}", record["command"].as_str().unwrap(), objects(record).join(",")))
        .collect();
    let expected = [
        "BEGIN ",
        "DECLARE CURSOR public.t read",
        "FETCH public.t read",
        "MOVE public.t read",
        "CLOSE CURSOR ",
        "COMMIT ",
    ];
    assert_eq!(commands, expected);

    // Rows that leave before the end are told of before they do.
    let before = audited.count_of("ann");
    run(ann, "select repeat('x', 1000) from generate_series(1, 2000)").await;
    let records = audited.records();
    let outcomes: Vec<_> = records
        .iter()
        .filter(|record| record["user"] == "ann")
        .skip(before)
        .map(|record| record["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["started", "ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_audited_whoever_touches_it() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login; create table t (a int primary key, b text); create view v as select * from t").await;
    run(
        &admin,
        "create view w as select a from v; grant all on t, v, w to auditor; insert into t values (1, 'x')",
    )
    .await;
    run(&admin, "create table other (a int); grant all on other to auditor").await;
    let user = audited.connect("auditor", "").await;
    let through_view = user.prepare("select * from w").await.expect("a statement");
    let direct = user.prepare("select b from t where a = $1").await.expect("a statement");
    user.query(&through_view, &[]).await.expect("rows");
    user.query(&direct, &[&1_i32]).await.expect("rows");
    assert_eq!(audited.count_of("auditor"), 0);
    run(&admin, "alter table t set (audit = 'read')").await;
    let record = audited.last_of("postgres");
    assert_eq!(record["statement"], "alter table t set (audit = $1) /* audit: read */");
    user.query(&direct, &[&1_i32]).await.expect("rows");
    assert_eq!(objects(&audited.last_of("auditor")), ["public.t read"]);
    user.query(&through_view, &[]).await.expect("rows");
    assert_eq!(objects(&audited.last_of("auditor")), ["public.t read", "public.w read", "public.v read"]);
    let before = audited.count_of("auditor");
    run(&user, "insert into t values (2, 'y'); select * from other; insert into other values (1)").await;
    assert_eq!(audited.count_of("auditor"), before);
    run(&user, "insert into other select a from t").await;
    let record = audited.last_of("auditor");
    assert_eq!(
        (record["class"].as_str(), objects(&record)),
        (Some("WRITE"), vec!["public.t read".to_owned(), "public.other write".to_owned()])
    );
    assert_eq!(audited.count_of("auditor"), before + 1);

    // It stays with the table, is shown, and not for its owner to change.
    run(&admin, "alter table t rename to renamed; alter table renamed owner to auditor; alter table renamed add c int").await;
    let rows = admin
        .query("select reloptions[1] from pg_class where relname = 'renamed'", &[])
        .await
        .expect("a row");
    assert_eq!(rows.first().map(|row| row.get::<_, String>(0)).as_deref(), Some("audit=read"));
    let rows = admin.query("select pg_get_tabledef('renamed'::regclass)", &[]).await.expect("a row");
    assert!(rows.first().is_some_and(|row| row.get::<_, String>(0).contains(") WITH (audit = 'read');")));
    for sql in ["alter table renamed set (audit = 'none')", "alter table renamed reset (audit)"] {
        assert_eq!(code(&user, sql).await, SqlState::INSUFFICIENT_PRIVILEGE, "{sql}");
        assert_eq!(audited.last_of("auditor")["outcome"], "42501");
    }
    assert_eq!(
        code(&admin, "alter table renamed set (audit = 'role')").await,
        SqlState::INVALID_PARAMETER_VALUE
    );
    assert_eq!(code(&admin, "alter table v set (audit = 'read')").await, SqlState::FEATURE_NOT_SUPPORTED);
    run(&admin, "alter table renamed reset (audit)").await;
    let before = audited.count_of("auditor");
    user.query("select * from renamed", &[]).await.expect("rows");
    assert_eq!(audited.count_of("auditor"), before);

    // Whoever ends it by dropping the table is recorded, and nobody makes records without bound.
    run(&admin, "alter table renamed set (audit = 'read')").await;
    run(&user, "drop table renamed cascade").await;
    let record = audited.last_of("auditor");
    assert_eq!((record["command"].as_str(), record["outcome"].as_str()), (Some("DROP TABLE"), Some("ok")));
    let many = vec!["auditor"; 50_000].join(", ");
    assert_eq!(code(&user, &format!("grant nobody to {many}")).await, SqlState::UNDEFINED_OBJECT);
    let record = audited.last_of("auditor");
    assert_eq!((objects(&record).len(), record["objects_cut"].as_bool()), (256, Some(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_and_a_kill_lose_nothing_that_was_answered() {
    let Some(mut audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login; create table t (a int primary key); grant all on t to auditor")
        .await;
    run(&admin, "alter role auditor set nunatak.audit to 'write'").await;
    let user = audited.connect("auditor", "").await;
    let insert = user.prepare("insert into t values ($1)").await.expect("a statement");
    let kept = audited.log.with_extension("1");
    for number in 0..200_i32 {
        if number == 100 {
            std::fs::rename(&audited.log, &kept).expect("a rename");
            audited.hang_up();
        }
        user.execute(&insert, &[&number]).await.expect("a row");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while audited.count_of("auditor") == 0 {
        assert!(Instant::now() < deadline, "the file was not opened anew");
        user.execute("update t set a = a where a = 0", &[]).await.expect("a row");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let inserts = |records: Vec<Value>| records.iter().filter(|record| record["command"] == "INSERT").count();
    assert_eq!(inserts(read(&kept)) + inserts(audited.records()), 200);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&audited.log).expect("the log"));
    assert_eq!(mode & 0o777, 0o600);

    // What is answered is written, whenever the process ends.
    let address = audited.server.address.clone();
    let before = inserts(audited.records());
    let answered = Arc::new(AtomicUsize::new(0));
    let load = tokio::spawn({
        let answered = answered.clone();
        async move {
            for number in 1000..1_000_000_i32 {
                if user.execute(&insert, &[&number]).await.is_err() {
                    break;
                }
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while answered.load(Ordering::SeqCst) <= 10 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    audited.server.process.kill();
    load.await.expect("no panic");
    let answered = answered.load(Ordering::SeqCst);
    let written = inserts(audited.records()) - before;
    assert!(answered > 10 && written >= answered, "{answered} were answered by {address}, {written} written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_stops_what_is_audited_or_is_counted() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    for policy in ["wait", "drop"] {
        let Some(folder) = installed("psql").then(|| tempfile::tempdir().expect("a folder")) else { return };
        let server = start_single_with(folder.path(), &["--audit-log", "/dev/full", "--audit-full", policy]);
        let (host, port) = server.address.rsplit_once(':').expect("host:port");
        let parameters = format!("host={host} port={port} user=postgres dbname=postgres");
        let connect = async || {
            let (client, connection) =
                tokio_postgres::connect(&parameters, NoTls).await.expect("a connection");
            tokio::spawn(connection);
            client
        };
        let client = connect().await;
        let first = client.batch_execute("create role a").await;
        let second = connect().await.batch_execute("create role b").await;
        let unaudited = connect().await;
        run(&unaudited, "create table t (a int); insert into t values (1)").await;
        let roles =
            unaudited.query("select 1 from pg_roles where rolname in ('a', 'b')", &[]).await.expect("rows");
        if policy == "wait" {
            assert_eq!(first.expect_err("no answer").code(), Some(&SqlState::IO_ERROR));
            assert_eq!(second.expect_err("refused").code(), Some(&SqlState::IO_ERROR));
            // The first was done before the log was known to fail; the second was not.
            assert_eq!(roles.len(), 1);
        } else {
            first.expect("it goes on");
            second.expect("it goes on");
            assert_eq!(roles.len(), 2);
        }
        assert!(server.process.log().contains("the audit log cannot be written"));
    }
}

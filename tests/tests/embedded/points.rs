//! Statements over one row bypass the operators, and strings that come again the parser, and nobody can tell: the same
//! random statements through a gateway that lets them and through one that does not have the same answers, and leave the
//! same bytes behind.

use std::fmt::Write as _;

use client::{ScanOptions, TransactionOptions};
use nunatak_tests::clients::connect;
use nunatak_tests::embedded::Embedded;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sql::{Engine, EngineOptions, Fetched, Session, SessionParameters};
use tokio_postgres::{Client, SimpleQueryMessage};

const STATEMENTS: usize = 1500;

/// What a statement answers, errors with all their fields included, in words that name no table.
async fn answer(client: &Client, sql: &str, table: &str) -> String {
    let mut told = String::new();
    match client.simple_query(sql).await {
        Ok(messages) => {
            for message in messages {
                match message {
                    SimpleQueryMessage::Row(row) => {
                        let values: Vec<_> = (0..row.len()).map(|place| row.get(place)).collect();
                        let _ = writeln!(told, "{values:?}");
                    }
                    SimpleQueryMessage::CommandComplete(count) => {
                        let _ = writeln!(told, "count {count}");
                    }
                    _ => {}
                }
            }
        }
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
            let _ = writeln!(
                told,
                "{} {} {:?} {:?} {:?} {:?} {:?}",
                error.code().code(),
                error.message(),
                error.detail(),
                error.hint(),
                error.position(),
                error.column(),
                error.constraint(),
            );
        }
    }
    told.replace(table, "t")
}

/// The pieces that statements are made of.
struct Script(StdRng);

impl Script {
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.0.random_range(0..of.len())]
    }

    fn number(&mut self, below: i32) -> i32 {
        self.0.random_range(-1..below)
    }

    fn a(&mut self) -> String {
        match self.number(12) {
            0 => self.pick(&["null", "1.5", "5000000000", "'3'", "2 + 1", "-2147483648"]).to_owned(),
            number => number.to_string(),
        }
    }

    fn b(&mut self) -> &'static str {
        self.pick(&["'x'", "'y'", "''", "'ü'", "null", "lower('X')"])
    }

    /// The condition of one row by its key, often with more than that.
    fn condition(&mut self) -> String {
        let key = format!("a = {} and b = {}", self.a(), self.b());
        match self.number(8) {
            0 => format!("{key} and c > {}", self.number(5)),
            1 => format!("{} = a and b = {} and g in (7, 8)", self.a(), self.b()),
            2 => format!("d = {}", self.number(30)),
            3 => format!("{key} and e like 'e%' and 10 / (g - 7) > 0"),
            4 => format!("{key} and f is not null and a = 1"),
            5 => format!("d = {} and c is not null", self.number(30)),
            _ => key,
        }
    }

    fn value(&mut self, column: &str) -> String {
        match column {
            "c" => self.pick(&["1", "1.00", "1.0", "null", "c + 0.10", "'NaN'", "-1.50"]).to_owned(),
            "d" => match self.number(4) {
                0 => "null".to_owned(),
                1 => "d + 1".to_owned(),
                _ => self.number(30).to_string(),
            },
            "e" => self.pick(&["'e1'", "'e2'", "null", "'too long'", "upper(e)", "default"]).to_owned(),
            "f" => self.pick(&["null", "'2020-01-01 00:00:00+01'", "f + '1 day'"]).to_owned(),
            "g" => self.pick(&["7", "8", "g + 1", "null", "default", "g / (g - 8)"]).to_owned(),
            _ => self.pick(&["'long long long long long text'", "null", "h || e", "b"]).to_owned(),
        }
    }

    fn returning(&mut self) -> &'static str {
        self.pick(&["", "", "returning *", "returning a, g + 1 as more", "returning c, e, h"])
    }

    fn statement(&mut self, table: &str) -> String {
        match self.number(14) {
            -1..=1 => {
                let list = self.pick(&["*", "c", "h, a", "g + a as sum, e, e", "1", "count(*)", "f, b, d"]);
                let tail =
                    self.pick(&["", "", "", "for update", "for share", "limit 1", "for update nowait"]);
                let tail = if list == "count(*)" { "" } else { tail };
                format!("select {list} from {table} where {} {tail}", self.condition())
            }
            2..=6 => {
                let columns = ["c", "d", "e", "f", "g", "h"];
                let first = self.0.random_range(0..columns.len());
                let count = self.0.random_range(1..4);
                let assigned: Vec<String> = (0..count)
                    .map(|place| columns[(first + place * 5) % columns.len()])
                    .map(|column| format!("{column} = {}", self.value(column)))
                    .collect();
                let condition = self.condition();
                format!("update {table} set {} where {condition} {}", assigned.join(", "), self.returning())
            }
            7 => format!("update {table} set a = a + 1 where {}", self.condition()),
            8 => format!("delete from {table} where {} {}", self.condition(), self.returning()),
            9 => self.pick(&["begin", "begin isolation level read committed", "savepoint s"]).to_owned(),
            10 => self.pick(&["commit", "rollback", "rollback to s"]).to_owned(),
            _ => {
                let (a, b, d) = (self.a(), self.b(), self.number(30));
                let (c, e) =
                    (self.pick(&["1", "1.00", "null", "'2.5'"]), self.pick(&["'e3'", "null", "default"]));
                let tail = match self.number(5) {
                    0 => "on conflict do nothing",
                    1 => "on conflict (a, b) do update set g = excluded.g + 1",
                    _ => "",
                };
                format!(
                    "insert into {table} (a, b, c, d, e) values ({a}, {b}, {c}, {d}, {e}) {tail} {}",
                    self.returning()
                )
            }
        }
    }
}

/// The bytes under every index of tables, an index after the other, without what tells the indexes apart.
async fn stored(client: &client::Client) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut transaction =
        client.begin(TransactionOptions { read_only: true, ..TransactionOptions::default() });
    let mut span = keys::sql::data_span();
    span.start = keys::sql::index_prefix(keys::sql::TENANT_DEFAULT, keys::sql::SYSTEM_INDEX_IDS);
    let mut indexes: Vec<Vec<(Vec<u8>, Vec<u8>)>> = Vec::new();
    let mut last = None;
    let mut next = Some(span);
    while let Some(span) = next {
        let page = transaction.scan(span, ScanOptions::default()).await.expect("a page");
        for (key, value) in page.rows {
            let Ok((_, index, columns)) = keys::sql::split_index_key(&key) else { continue };
            if last != Some(index) {
                last = Some(index);
                indexes.push(Vec::new());
            }
            indexes.last_mut().expect("an index").push((columns.to_vec(), value.to_vec()));
        }
        next = page.resume;
    }
    indexes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_over_one_row_do_what_the_operators_do() {
    let mut cluster = Embedded::start().await;
    let apart = EngineOptions { bypasses_operators: false, texts_bytes_max: 0, ..EngineOptions::default() };
    let other = cluster.add_gateway(apart).await;
    let (short, long) = (connect(&cluster.url()).await, connect(&other).await);
    let tables = ["tshort", "tother"];
    for (client, table) in [(&short, tables[0]), (&long, tables[1])] {
        client
            .batch_execute(&format!(
                "create table {table} (a int, b text, c numeric, d int unique, e varchar(5) default 'e0',
                   f timestamptz, g bigint not null default 7, h text, primary key (a, b));
                 create index on {table} (e, c desc);
                 create index on {table} (g)"
            ))
            .await
            .expect("the table");
    }
    let mut script = Script(StdRng::seed_from_u64(7));
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for step in 0..STATEMENTS {
        let seed = script.0.random::<u64>();
        let statement = |table: &str| Script(StdRng::seed_from_u64(seed)).statement(table);
        let (first, second) = (statement(tables[0]), statement(tables[1]));
        let (one, two) = (answer(&short, &first, tables[0]).await, answer(&long, &second, tables[1]).await);
        assert_eq!(one, two, "step {step}: {first}");
        *outcomes.entry(one.chars().take(5).collect()).or_default() += 1;
    }
    for (client, table) in [(&short, tables[0]), (&long, tables[1])] {
        client.batch_execute("rollback").await.expect("no block");
        let rows = answer(client, &format!("select * from {table} order by a, b"), table).await;
        assert!(rows.lines().count() > 5, "{rows}");
    }
    // Enough of all that can happen did happen.
    for wanted in ["count", "23505", "23502", "22012", "25P02"] {
        assert!(outcomes.get(wanted).is_some_and(|times| *times > 5), "{wanted}: {outcomes:?}");
    }
    let indexes = stored(&cluster.client().await).await;
    let (first, second) = indexes.split_at(indexes.len() / 2);
    assert_eq!(first.len(), 4);
    assert_eq!(first, second);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strings_that_come_again_mean_what_they_mean_now() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (one, two) = (connect(&cluster.url()).await, connect(&other).await);
    let ask = async |sql: &str| answer(&one, sql, "t").await;
    two.batch_execute("create table t (a int primary key, b int); insert into t values (1, 10)")
        .await
        .expect("t");
    for a in 1..5 {
        let expected = if a == 1 { "[Some(\"10\")]\ncount 1\n" } else { "count 0\n" };
        assert_eq!(ask(&format!("select b from t where a = {a}")).await, expected);
        assert_eq!(ask(&format!("select b from t where a = '{a}'")).await, expected);
    }
    // A literal that is none is told where it stands.
    let wrong = ask("select b from t where a = 'x'").await;
    assert!(wrong.starts_with("22P02") && wrong.contains("Original(27)"), "{wrong}");
    // What is too long is told, whether there is a row for it or not.
    two.batch_execute(
        "create table limits (a int primary key, v varchar(3), c char(3), n numeric(4, 2), s smallint, i int,
                              f double precision, r real)",
    )
    .await
    .expect("limits");
    for (column, fits, exceeds, state) in [
        ("v", "'ab'", "'abcd'", "22001"),
        ("c", "'ab'", "'abcd'", "22001"),
        ("n", "'1.5'", "'12345'", "22003"),
        ("n", "1.5", "12345.5", "22003"),
        ("n", "15", "12345", "22003"),
        ("n", "-15", "-12345", "22003"),
        ("s", "15", "70000", "22003"),
        ("s", "1.5", "70000.5", "22003"),
        ("i", "15", "3000000000", "22003"),
        ("i", "1.5", "3000000000.5", "22003"),
        ("f", "1.5", "1e400", "22003"),
        ("r", "1.5", "1e40", "22003"),
    ] {
        for _ in 0..3 {
            assert_eq!(ask(&format!("update limits set {column} = {fits} where a = 1")).await, "count 0\n");
        }
        for _ in 0..3 {
            let refused = ask(&format!("update limits set {column} = {exceeds} where a = 1")).await;
            assert!(refused.starts_with(state), "{column} = {exceeds}: {refused}");
        }
    }
    for (condition, exceeds) in [("f = ", "1e400"), ("r < ", "-1e400"), ("f between -5.5 and ", "1e999")] {
        for _ in 0..3 {
            assert_eq!(ask(&format!("select a from limits where {condition}1.5")).await, "count 0\n");
        }
        for _ in 0..3 {
            let refused = ask(&format!("select a from limits where {condition}{exceeds}")).await;
            assert!(refused.starts_with("22003"), "{condition}{exceeds}: {refused}");
        }
    }
    // Numbers of other classes are other types.
    assert_eq!(ask("select b from t where a = 1.0").await, "[Some(\"10\")]\ncount 1\n");
    assert_eq!(ask("select b from t where a = 3000000000").await, "count 0\n");
    // Pages of a list, whatever their places.
    two.batch_execute("create table pages (a int primary key, b int); insert into pages select n, -n from generate_series(1, 9) n")
        .await
        .expect("pages");
    for order in ["a", "b desc"] {
        let page = |limit: &str, offset: &str| {
            format!("select a from pages order by {order} limit {limit} offset {offset}")
        };
        for first in 0..12 {
            let expected: Vec<i32> = (first + 1..first + 4).filter(|number| *number <= 9).collect();
            let rows: String = expected.iter().map(|number| format!("[Some(\"{number}\")]\n")).collect();
            let told = ask(&page("3", &first.to_string())).await;
            assert_eq!(told, format!("{rows}count {}\n", expected.len()), "{order} {first}");
        }
        for (limit, offset, state) in [("-1", "5", "2201W"), ("5", "-1", "2201X"), ("-1", "-1", "2201")] {
            for _ in 0..3 {
                assert!(ask(&page(limit, offset)).await.starts_with(state), "{order} {limit} {offset}");
            }
        }
        let all = i64::MAX.to_string();
        for _ in 0..3 {
            assert!(ask(&page(&all, "5000000000")).await.starts_with("count 0"), "{order}");
            assert!(ask(&page(&all, &all)).await.starts_with("count 0"), "{order}");
        }
    }
    // Positions in lists of columns are no values.
    for (column, row) in [(1, "[Some(\"1\"), Some(\"10\")]"), (2, "[Some(\"1\"), Some(\"10\")]")] {
        for _ in 0..3 {
            let sorted = ask(&format!("select a, b from t order by {column}")).await;
            assert_eq!(sorted, format!("{row}\ncount 1\n"));
        }
    }
    let beyond = ask("select a, b from t order by 3").await;
    assert!(beyond.starts_with("42P10"), "{beyond}");
    // Another gateway makes another table of that name.
    two.batch_execute(
        "drop table t; create table t (a text primary key, b text); insert into t values ('1', 'x')",
    )
    .await
    .expect("another t");
    let untyped = ask("select b from t where a = 1").await;
    assert!(untyped.starts_with("42883") && untyped.contains("Original(25)"), "{untyped}");
    assert_eq!(ask("select b from t where a = '1'").await, "[Some(\"x\")]\ncount 1\n");
    // What a transaction makes is its own.
    for (kind, value) in [("int", "7"), ("text", "seven")] {
        one.batch_execute(&format!("begin; create table u (a int primary key, b {kind})")).await.expect("u");
        for a in 0..3 {
            assert_eq!(ask(&format!("insert into u values ({a}, '{value}')")).await, "count 1\n");
            let row = format!("[Some(\"{value}\")]\ncount 1\n");
            assert_eq!(ask(&format!("select b from u where a = {a}")).await, row);
        }
        one.batch_execute("rollback").await.expect("nothing");
        assert!(ask("select b from u where a = 1").await.starts_with("42P01"));
    }
    cluster.stop().await;
}

/// Runs a string as the simple protocol does; whether it was known.
async fn run(session: &mut Session, sql: &str) -> bool {
    session.message_arrived();
    let recalled = session.recall(sql).await;
    let is_known = recalled.is_some();
    let mut portal = match recalled {
        Some(portal) => portal,
        None => {
            let statement = session.split(sql).await.expect(sql).pop().expect("a statement");
            let prepared = session.prepare_once(statement).await.expect(sql);
            session.execute(&prepared, Vec::new()).await.expect(sql)
        }
    };
    while !matches!(session.fetch(&mut portal, 0).await.expect(sql), Fetched::Whole(..) | Fetched::Done(_)) {}
    session.finish_implicit(false).await.expect(sql);
    is_known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_benchmarks_send_is_known_when_it_comes_again() {
    let cluster = Embedded::start().await;
    let engine = Engine::new(cluster.client().await, EngineOptions::default());
    let user = "postgres".to_owned();
    let parameters = SessionParameters { user, ..SessionParameters::default() };
    let mut session = engine.session(parameters).expect("a session");
    for sql in [
        "create table accounts (aid int primary key, bid int, abalance int, filler char(84))",
        "create table history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
        "create table sbtest (id int primary key, k int not null default 0, c char(120) default '' not null)",
        "create index on sbtest (k)",
    ] {
        run(&mut session, sql).await;
    }
    let known = [
        "SELECT abalance FROM accounts WHERE aid = {};",
        "UPDATE accounts SET abalance = abalance + {} WHERE aid = {};",
        "INSERT INTO history (tid, bid, aid, delta, mtime) VALUES ({}, 1, {}, -{}, CURRENT_TIMESTAMP);",
        "INSERT INTO sbtest (id, k, c) VALUES ({}, {}, 'text {}')",
        "UPDATE sbtest SET c = 'other {}' WHERE id = {}",
        "UPDATE sbtest SET k = k + 1 WHERE id = {}",
        "SELECT c FROM sbtest WHERE id = {}",
        "SELECT c FROM sbtest WHERE id BETWEEN {} AND {}",
        "SELECT SUM(k) FROM sbtest WHERE id BETWEEN {} AND {}",
        "SELECT c FROM sbtest WHERE id BETWEEN {} AND {} ORDER BY c",
        "SELECT DISTINCT c FROM sbtest WHERE id BETWEEN {} AND {} ORDER BY c",
        "SELECT id FROM sbtest WHERE k > {} ORDER BY id LIMIT {}",
        "SELECT id FROM sbtest ORDER BY id LIMIT {} OFFSET {}",
        "SELECT id FROM sbtest ORDER BY c LIMIT {} OFFSET {}",
        "SELECT id FROM sbtest OFFSET {} LIMIT {}",
        "SELECT id FROM sbtest WHERE k BETWEEN -{} AND -{} LIMIT {}",
        "DELETE FROM sbtest WHERE id = {}",
    ];
    for pattern in known {
        for (time, expected) in [(1, false), (2, true), (3, true)] {
            let sql = pattern.replace("{}", &time.to_string());
            assert_eq!(run(&mut session, &sql).await, expected, "{sql}");
        }
    }
    assert!(run(&mut session, "UPDATE accounts SET abalance = abalance + -7 WHERE aid = 1;").await);
    let refused =
        ["SELECT id, k FROM sbtest ORDER BY {}", "SELECT k + {}, count(*) FROM sbtest GROUP BY k + {}"];
    for pattern in refused {
        for _ in 0..3 {
            assert!(!run(&mut session, &pattern.replace("{}", "1")).await, "{pattern}");
        }
    }
    session.close().await;
    cluster.stop().await;
}

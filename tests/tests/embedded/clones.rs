//! Clones: what is written to one is not seen in another, whoever lies over whom, through the real wire.

use std::collections::BTreeMap;
use std::time::Duration;

use nunatak_tests::clients::{code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sql::EngineOptions;
use tokio_postgres::{Client, NoTls};

/// A clone reads so many layers at most.
const LAYERS_MAX: usize = 8;
/// The newest format that programs read which know of no clones.
const FORMAT_BEFORE: u32 = 5;
/// So many tables are there at a time.
const TABLES_MAX: usize = 10;

/// A table as it should be: by `id`, `u`, which is unique, and `v`.
#[derive(Clone, Default)]
struct Model {
    rows: BTreeMap<i32, (Option<i32>, i32)>,
    /// The layers below it.
    layers: usize,
}

impl Model {
    fn shown(&self, wanted: impl Fn(&(Option<i32>, i32)) -> bool) -> Vec<String> {
        let rows = self.rows.iter().filter(|(_, row)| wanted(row));
        rows.map(|(id, (u, v))| format!("{id},{},{v}", u.map_or("∅".to_owned(), |u| u.to_string()))).collect()
    }

    /// The same by `u`, the greatest first, of those that have one.
    fn shown_by_u(&self) -> Vec<String> {
        let mut rows: Vec<_> = self.rows.iter().filter_map(|(id, (u, _))| Some(((*u)?, *id))).collect();
        rows.sort_unstable_by(|one, other| other.cmp(one));
        rows.into_iter().map(|(u, id)| format!("{id},{u}")).collect()
    }
}

/// Tables, and what some of them were.
struct Play {
    random: StdRng,
    tables: BTreeMap<String, Model>,
    moments: Vec<(String, String, Model)>,
    made: usize,
}

impl Play {
    fn any(&mut self) -> String {
        let place = self.random.random_range(0..self.tables.len());
        self.tables.keys().nth(place).expect("a table").clone()
    }

    /// A change of rows, of the model and as a statement.
    fn change(&mut self, name: &str, model: &mut Model) -> String {
        let id = self.random.random_range(0..60);
        let value = self.random.random_range(0..20);
        let rows = &mut model.rows;
        match self.random.random_range(0..12) {
            0 => {
                rows.range_mut(id..id + 9).for_each(|(_, (_, v))| *v += 1);
                format!("update {name} set v = v + 1 where id between {id} and {}", id + 8)
            }
            1 => {
                rows.retain(|own, _| !(id..id + 5).contains(own));
                format!("delete from {name} where id >= {id} and id < {}", id + 5)
            }
            2 => {
                rows.values_mut().filter(|(u, _)| u.is_some_and(|u| u < value)).for_each(|(u, _)| *u = None);
                format!("update {name} set u = null where u < {value}")
            }
            3 => {
                if !rows.contains_key(&(id + 100))
                    && let Some(row) = rows.remove(&id)
                {
                    rows.insert(id + 100, row);
                }
                let is_taken = format!("exists (select from {name} where id = {id} + 100)");
                format!("update {name} set id = id + 100 where id = {id} and not {is_taken}")
            }
            4..=7 => {
                let u = Some(value * 5 + id % 5).filter(|u| u % 7 > 0);
                let is_free = u.is_none() || !rows.values().any(|(own, _)| *own == u);
                if is_free {
                    rows.entry(id).or_insert((u, value));
                }
                let u = u.map_or("null".to_owned(), |u| u.to_string());
                format!("insert into {name} (id, u, v) values ({id}, {u}, {value}) on conflict do nothing")
            }
            8 | 9 => {
                rows.entry(id).and_modify(|(_, v)| *v = value);
                format!("update {name} set v = {value} where id = {id}")
            }
            _ => {
                rows.remove(&id);
                format!("delete from {name} where id = {id}")
            }
        }
    }

    async fn step(&mut self, client: &Client) {
        let name = self.any();
        let mut model = self.tables[&name].clone();
        match self.random.random_range(0..24) {
            0 | 1 if self.tables.len() < TABLES_MAX && model.layers < LAYERS_MAX => {
                let clone = self.name();
                run(client, &format!("create table {clone} clone {name}")).await;
                model.layers += 1;
                self.tables.insert(clone, model);
            }
            2 if self.tables.len() < TABLES_MAX && !self.moments.is_empty() => {
                let place = self.random.random_range(0..self.moments.len());
                let (moment, name, mut then) = self.moments[place].clone();
                if self.tables.contains_key(&name) && then.layers < LAYERS_MAX {
                    let clone = self.name();
                    run(client, &format!("create table {clone} clone {name} as of system time '{moment}'"))
                        .await;
                    then.layers += 1;
                    self.tables.insert(clone, then);
                }
            }
            3 if self.tables.len() > 3 => {
                run(client, &format!("drop table {name}")).await;
                self.tables.remove(&name);
            }
            4 => {
                let moment = "select clock_timestamp()::text, pg_sleep(0.02)";
                tokio::time::sleep(Duration::from_millis(20)).await;
                let moment = client.query_one(moment, &[]).await.expect("a moment").get(0);
                self.moments.push((moment, name, model));
            }
            5 => run(client, &format!("create index on {name} (v)")).await,
            6 => {
                self.made += 1;
                run(client, &format!("alter table {name} add column more{} int default 7", self.made)).await;
            }
            7 => {
                let mut undone = model.clone();
                let change = self.change(&name, &mut undone);
                run(client, &format!("begin; {change}")).await;
                assert_eq!(rows(client, &all(&name)).await, undone.shown(|_| true), "{change}");
                run(client, "rollback").await;
            }
            _ => {
                let change = self.change(&name, &mut model);
                run(client, &change).await;
                self.tables.insert(name, model);
            }
        }
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("t{}", self.made)
    }

    async fn check(&mut self, client: &Client) {
        let name = self.any();
        let model = self.tables[&name].clone();
        assert_eq!(rows(client, &all(&name)).await, model.shown(|_| true), "{name}");
        let backwards = format!("select id, u, v from {name} order by id desc limit 7");
        let expected: Vec<_> = model.shown(|_| true).into_iter().rev().take(7).collect();
        assert_eq!(rows(client, &backwards).await, expected, "{name}");
        let by_u = format!("select id, u from {name} where u is not null order by u desc");
        assert_eq!(rows(client, &by_u).await, model.shown_by_u(), "{name}");
        let v = self.random.random_range(0..20);
        let by_v = format!("select id, u, v from {name} where v = {v} order by id");
        assert_eq!(rows(client, &by_v).await, model.shown(|(_, own)| *own == v), "{name}");
        let id = self.random.random_range(0..60);
        let point = rows(client, &format!("select v from {name} where id = {id}")).await;
        assert_eq!(point, model.rows.get(&id).map(|(_, v)| v.to_string()).into_iter().collect::<Vec<_>>());
    }
}

fn all(name: &str) -> String {
    format!("select id, u, v from {name} order by id")
}

async fn diverge(seed: u64, options: EngineOptions, steps: usize) {
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t0 (id int primary key, u int unique, v int)").await;
    run(&client, "insert into t0 select n, n * 5, n % 20 from generate_series(1, 40) n").await;
    let rows = (1..=40).map(|n| (n, (Some(n * 5), n % 20))).collect();
    let mut play = Play {
        random: StdRng::seed_from_u64(seed),
        tables: BTreeMap::from([("t0".to_owned(), Model { rows, layers: 0 })]),
        moments: Vec::new(),
        made: 0,
    };
    for step in 0..steps {
        play.step(&client).await;
        if step % 3 == 0 {
            play.check(&client).await;
        }
    }
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clones_and_what_they_are_clones_of_go_their_own_ways() {
    diverge(1, EngineOptions::default(), 400).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_they_do_where_indexes_are_built_beside_others_and_no_statement_is_short() {
    let options =
        EngineOptions { ingest_bytes_min: 0, bypasses_operators: false, ..EngineOptions::default() };
    diverge(2, options, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_clone_are_locked_and_conflict_as_others_do() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (one, two) = (connect(&cluster.url()).await, connect(&other).await);
    run(&one, "create table t (id int primary key, v int); insert into t values (1, 10), (2, 20)").await;
    run(&one, "create table c clone t").await;
    run(&one, "begin; update c set v = v + 1 where id = 1").await;
    let waiting = tokio::spawn(async move {
        run(&two, "update c set v = v + 1 where id = 1").await;
        two
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "the row is locked");
    run(&one, "update t set v = 0; commit").await;
    let two = waiting.await.expect("no panic");
    assert_eq!(rows(&two, "select v from c order by id").await, ["12", "20"]);
    assert_eq!(code(&two, "insert into c values (2, 0)").await.code(), "23505");
    // What one has read, and the other has changed, is not as it was.
    for client in [&one, &two] {
        run(client, "begin isolation level serializable; select v from c where id = 2").await;
    }
    run(&one, "update c set v = v + 1 where id = 2; commit").await;
    assert_eq!(code(&two, "update c set v = v + 1 where id = 2").await.code(), "40001");
    run(&two, "rollback").await;
    assert_eq!(rows(&two, "select v from c where id = 2 for update skip locked").await, ["21"]);
    drop((one, two));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_clone_lies_over_more_layers_than_there_may_be() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t0 (id int primary key, v int); insert into t0 values (0, 0)").await;
    for layer in 1..=LAYERS_MAX {
        run(&client, &format!("create table t{layer} clone t{}", layer - 1)).await;
        run(
            &client,
            &format!(
                "insert into t{layer} values ({layer}, {layer}); delete from t{} where id = 0",
                layer - 1
            ),
        )
        .await;
    }
    let expected: Vec<String> = (0..=LAYERS_MAX).map(|id| id.to_string()).collect();
    assert_eq!(rows(&client, &format!("select id from t{LAYERS_MAX} order by id")).await, expected);
    let deeper = format!("create table deeper clone t{LAYERS_MAX}");
    assert_eq!(code(&client, &deeper).await.code(), "0A000");
    let told = rows(&client, "show clones").await;
    assert_eq!(told.len(), LAYERS_MAX);
    assert!(told[0].starts_with("public.t1,public.t0,"), "{told:?}");
    // Whoever writes it anew has it lie over nothing.
    run(&client, &format!("alter table t{LAYERS_MAX} alter column id type bigint using id + 0")).await;
    run(&client, &deeper).await;
    assert_eq!(rows(&client, "select id from deeper order by id").await, expected);
    for layer in 0..=LAYERS_MAX {
        run(&client, &format!("drop table t{layer}")).await;
    }
    assert_eq!(
        rows(&client, "select id from deeper order by id desc limit 1").await,
        [LAYERS_MAX.to_string()]
    );
    drop(client);
    cluster.stop().await;
}

/// A moment behind all that was done before, and before all that is done next.
async fn moment(client: &Client) -> String {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let moment = rows(client, "select clock_timestamp()").await.remove(0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    moment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_shows_nobody_what_the_table_shows_him_no_more() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create role ann; grant create on schema public to ann").await;
    run(&client, "create table t (id int primary key, secret text); insert into t values (1, 's')").await;
    let then = moment(&client).await;
    run(&client, "alter table t drop column secret; grant select on t to ann; set role ann").await;
    let earlier = |name: &str| format!("create table {name} clone t as of system time '{then}'");
    assert_eq!(code(&client, &earlier("earlier")).await.code(), "42501");
    run(&client, "create table now clone t").await;
    assert_eq!(rows(&client, "select * from now").await, ["1"]);
    run(&client, "reset role").await;
    run(&client, &earlier("earlier")).await;
    assert_eq!(rows(&client, "select * from earlier").await, ["1,s"]);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_then_mean_what_they_meant() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create type mood as enum ('ok', 'sad')").await;
    run(&client, "create table t (id int primary key, m mood default 'ok'); insert into t values (1)").await;
    run(&client, "create table u (id int primary key, m mood default 'sad')").await;
    let then = moment(&client).await;
    run(&client, "drop table u").await;
    run(&client, "alter type mood rename value 'ok' to 'fine'").await;
    let earlier = format!("create table earlier clone t as of system time '{then}'");
    assert_eq!(code(&client, &earlier).await.code(), "55000");
    assert_eq!(code(&client, "undrop table u").await.code(), "55000");
    run(&client, "create table now clone t").await;
    run(&client, "insert into now values (2)").await;
    assert_eq!(rows(&client, "select m from now order by id").await, ["fine", "fine"]);
    // Another type has the name.
    run(&client, "alter type mood rename value 'fine' to 'ok'").await;
    run(&client, "alter type mood rename to temper; create type mood as enum ('ok', 'sad')").await;
    assert_eq!(code(&client, &earlier).await.code(), "55000");
    run(&client, "drop type mood; alter type temper rename to mood").await;
    run(&client, &earlier).await;
    run(&client, "insert into earlier values (2)").await;
    assert_eq!(rows(&client, "select m from earlier order by id").await, ["ok", "ok"]);
    drop(client);
    cluster.stop().await;
}

async fn connect_to(cluster: &Embedded, database: &str) -> Client {
    let mut config: tokio_postgres::Config = cluster.url().parse().expect("a URL");
    let (client, connection) = config.dbname(database).connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_cloned_as_it_was() {
    let cluster = Embedded::start().await;
    let first = connect(&cluster.url()).await;
    run(&first, "create database shop").await;
    let shop = connect_to(&cluster, "shop").await;
    for statement in [
        "create type mood as enum ('ok', 'sad')",
        "create table parent (id serial primary key, m mood)",
        "create table child (id int primary key, p int references parent)",
        "create view both_of as select c.id, m from child c join parent p on p.id = c.p",
        "create sequence numbers",
        "comment on table child is 'of then'",
        "insert into parent (m) values ('ok'), ('sad')",
        "insert into child values (10, 1), (20, 2)",
    ] {
        run(&shop, statement).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let moment = rows(&shop, "select clock_timestamp()").await.remove(0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    run(&shop, "delete from child; drop view both_of; comment on table child is 'of now'").await;
    run(&first, &format!("create database earlier clone shop as of system time '{moment}'")).await;
    run(&first, "create database later clone shop").await;
    assert_eq!(code(&first, "create database x clone nosuch").await.code(), "3D000");
    assert_eq!(code(&first, "create database x clone shop template template1").await.code(), "42601");
    let then = connect_to(&cluster, "earlier").await;
    let now = connect_to(&cluster, "later").await;
    assert_eq!(rows(&then, "select id, m from both_of order by id").await, ["10,ok", "20,sad"]);
    assert_eq!(rows(&then, "select obj_description('child'::regclass, 'pg_class')").await, ["of then"]);
    assert_eq!(rows(&now, "select count(*) from child").await, ["0"]);
    assert_eq!(code(&then, "insert into child values (30, 99)").await.code(), "23503");
    run(&then, "insert into parent (m) values ('ok'); update child set p = 2").await;
    assert_eq!(rows(&shop, "select count(*) from parent").await, ["2"]);
    assert_eq!(rows(&now, "select count(*) from parent").await, ["2"]);
    // One step after the other, and what is cloned goes.
    drop(shop);
    run(&first, "drop database shop with (force)").await;
    assert_eq!(rows(&then, "select id, m from both_of order by id").await, ["10,sad", "20,sad"]);
    assert_eq!(rows(&now, "select id, m from parent order by id").await, ["1,ok", "2,sad"]);
    drop((first, then, now));
    cluster.stop().await;
}

/// Runs it once the sessions that have just been closed are gone.
async fn run_once_unused(client: &Client, statement: &str) {
    for _ in 0..200 {
        match client.batch_execute(statement).await {
            Err(error) if error.code().is_some_and(|code| code.code() == "55006") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            ran => return ran.unwrap_or_else(|error| panic!("{statement}: {error:?}")),
        }
    }
    panic!("{statement}: the database stays in use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_goes_back_and_what_it_was_until_then_is_put_aside() {
    let cluster = Embedded::start().await;
    let first = connect(&cluster.url()).await;
    run(&first, "create database shop").await;
    run(&first, "alter database shop set statement_timeout = '7s'").await;
    run(&first, "create role ann").await;
    let shop = connect_to(&cluster, "shop").await;
    run(&shop, "create table t (id int primary key, v text)").await;
    run(&shop, "insert into t values (1, 'one'), (2, 'two')").await;
    let then = moment(&shop).await;
    run(&shop, "delete from t where id = 1").await;
    run(&shop, "alter table t drop column v").await;
    run(&shop, "create table later (a int)").await;
    let back = format!("flashback database shop to '{then}'");
    assert_eq!(code(&shop, &back).await.code(), "55006");
    assert_eq!(code(&first, &back).await.code(), "55006");
    drop(shop);
    run(&first, "begin").await;
    assert_eq!(code(&first, &back).await.code(), "25001");
    run(&first, "rollback; set role ann").await;
    assert_eq!(code(&first, &back).await.code(), "42501");
    run(&first, "reset role").await;
    run_once_unused(&first, &back).await;
    let shop = connect_to(&cluster, "shop").await;
    assert_eq!(rows(&shop, "select id, v from t order by id").await, ["1,one", "2,two"]);
    assert_eq!(rows(&shop, "select count(*) from pg_class where relname = 'later'").await, ["0"]);
    assert_eq!(rows(&shop, "show statement_timeout").await, ["7s"]);
    run(&shop, "insert into t values (3, 'three')").await;
    let before = connect_to(&cluster, "shop_before").await;
    assert_eq!(rows(&before, "select * from t").await, ["2"]);
    drop((shop, before));
    // What was put aside goes, and what came back stays; names that are taken are passed by.
    run_once_unused(&first, "alter database shop_before rename to aside").await;
    run_once_unused(&first, "alter database shop rename to store").await;
    run(&first, "create database shop_before").await;
    run_once_unused(&first, &format!("flashback database aside to '{then}'")).await;
    run_once_unused(&first, "drop database aside_before").await;
    let aside = connect_to(&cluster, "aside").await;
    assert_eq!(rows(&aside, "select count(*) from t").await, ["2"]);
    for (wrong, sqlstate) in [
        ("flashback database nosuch to '-1s'", "3D000"),
        ("flashback database store to 'soon'", "22007"),
        ("flashback database store to '2999-01-01'", "22023"),
        ("flashback database template1 to '-1s'", "0A000"),
        ("flashback database store", "42601"),
    ] {
        assert_eq!(code(&first, wrong).await.code(), sqlstate, "{wrong}");
    }
    drop((first, aside));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_were_granted_since_do_not_open_what_was() {
    let cluster = Embedded::start().await;
    let first = connect(&cluster.url()).await;
    for statement in ["create role ann", "create role bob", "create database shop"] {
        run(&first, statement).await;
    }
    let shop = connect_to(&cluster, "shop").await;
    for statement in [
        "create table narrowed (id int primary key, secret text)",
        "create table guarded (id int primary key)",
        "create table plain (id int primary key)",
        "create view shown as select id from guarded",
        "create view over_it as select id from shown",
        "create view over_all as select id from narrowed",
        "create function told() returns int language sql as 'select 1'",
        "revoke execute on function told() from public",
        "grant create on schema public to bob",
        "set role bob",
        "create table bobs (id int primary key)",
        "reset role",
    ] {
        run(&shop, statement).await;
    }
    let then = moment(&shop).await;
    for statement in [
        "alter table narrowed drop column secret",
        "alter table guarded enable row level security",
        "create or replace view shown as select id from guarded where id > 1",
        "grant select on narrowed, guarded, plain, shown, over_it, over_all to ann",
        "drop function told()",
        "drop table bobs",
    ] {
        run(&shop, statement).await;
    }
    run(&first, &format!("create database earlier clone shop as of system time '{then}'")).await;
    run(&first, "create database later clone shop").await;
    let earlier = connect_to(&cluster, "earlier").await;
    assert_eq!(rows(&earlier, "select tableowner from pg_tables where tablename = 'bobs'").await, ["bob"]);
    run(&earlier, "set role ann").await;
    assert_eq!(rows(&earlier, "select count(*) from plain").await, ["0"]);
    assert_eq!(rows(&earlier, "select count(*) from over_all").await, ["0"]);
    for hidden in ["* from narrowed", "* from guarded", "* from shown", "* from over_it", "told()"] {
        assert_eq!(code(&earlier, &format!("select {hidden}")).await.code(), "42501", "{hidden}");
    }
    let later = connect_to(&cluster, "later").await;
    run(&later, "set role ann").await;
    for table in ["narrowed", "guarded", "plain", "shown", "over_it", "over_all"] {
        assert_eq!(rows(&later, &format!("select count(*) from {table}")).await, ["0"], "{table}");
    }
    drop((first, shop, earlier, later));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_node_runs_an_older_program_nothing_comes_to_lie_over_anything() {
    let options = EngineOptions { ingest_bytes_min: 0, ..EngineOptions::default() };
    let cluster = Embedded::start_older(options, FORMAT_BEFORE).await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int primary key, v int); insert into t values (1, 1), (2, 2)").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let then = rows(&client, "select clock_timestamp()").await.remove(0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    run(&client, "update t set v = 7 where id = 1").await;
    assert_eq!(code(&client, "create table c clone t").await.code(), "57P03");
    assert_eq!(rows(&client, "select count(*) from pg_class where relname = 'c'").await, ["0"]);
    run(&client, &format!("flashback table t to '{then}'")).await;
    assert_eq!(rows(&client, "select id, v from t order by id").await, ["1,1", "2,2"]);
    assert!(rows(&client, "show clones").await.is_empty(), "rows were written");
    drop(client);
    cluster.stop().await;
}

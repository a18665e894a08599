//! Composite types: what of them is refused, their values in binary, and gateways beside each other.

use bytes::{BufMut, Bytes, BytesMut};
use futures::SinkExt;
use nunatak_tests::clients::{connect, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::Client;
use tokio_postgres::types::Kind;

use crate::raw::Raw;

/// A value of fields, each with the OID of its type.
fn value(fields: &[(u32, Option<&[u8]>)]) -> Raw {
    let mut bytes = BytesMut::new();
    bytes.put_i32(fields.len() as i32);
    for (oid, field) in fields {
        bytes.put_u32(*oid);
        bytes.put_i32(field.map_or(-1, |field| field.len() as i32));
        bytes.put_slice(field.unwrap_or_default());
    }
    Raw(bytes.to_vec())
}

async fn code(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned())
}

async fn text(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    });
    row.expect("a row")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_supported_of_composite_types_is_refused() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type pair as (a int, b text); create type free as (a int); create domain blank as bpchar",
    )
    .await;
    run(&client, "create type held as (f free); create type document as (j jsonb)").await;
    run(&client, "create table t (id int primary key, p pair, d document, unique (p))").await;
    run(&client, "create table keyless (p pair); create unique index keyless_p on keyless (p)").await;
    for sql in [
        "create type padded as (c bpchar)",
        "create type padded as (c blank[])",
        "create table k (p pair primary key)",
        "alter table keyless add primary key using index keyless_p",
        "alter table keyless add primary key (p)",
        "create index on t (d)",
        // What is in use keeps its attributes.
        "alter type pair add attribute c jsonb",
        "alter type pair add attribute c int, drop attribute b",
        "alter type pair drop attribute b",
        "alter type pair alter attribute b type varchar",
        "insert into t (id, p.a) select 1, 1",
        "insert into t (id, p.a[1]) values (1, 1)",
        "update t set d.j['a'].b = 1",
        "select '(1,x)'::t",
    ] {
        assert_eq!(code(&client, sql).await, "0A000", "{sql}");
    }
    // What an attribute is of goes with it where nothing can be of the whole type.
    run(&client, "create type mood as enum ('sad'); create type feels as (a int, m mood, n int, o mood)")
        .await;
    run(&client, "drop type mood cascade").await;
    assert_eq!(text(&client, "select '(1,2)'::feels").await, "(1,2)");
    run(&client, "create type mood as enum ('sad'); create type felt as (m mood); create table u (f felt)")
        .await;
    assert_eq!(code(&client, "drop type mood cascade").await, "0A000");
    // A literal that is kept may hold a label, and a view's text one beside a field.
    run(&client, "create table w (f felt default '(sad)')").await;
    assert_eq!(code(&client, "alter type mood rename value 'sad' to 'blue'").await, "0A000");
    run(&client, "drop table w; create view sad as select (f).m from u where (f).m = 'sad'").await;
    assert_eq!(code(&client, "alter type mood rename value 'sad' to 'blue'").await, "0A000");
    run(&client, "drop view sad; alter type mood rename value 'sad' to 'blue'").await;
    // Types stand in each other so deep.
    let mut refused = None;
    for depth in 0..50 {
        let inner = if depth == 0 { "int".to_owned() } else { format!("deep{}", depth - 1) };
        let sql = format!("create type deep{depth} as (x {inner})");
        if client.batch_execute(&sql).await.is_err() {
            refused = Some((depth, code(&client, &sql).await));
            break;
        }
    }
    assert_eq!(refused, Some((32, "0A000".to_owned())));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_are_renamed_while_no_text_names_them() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type pair as (a int, b text); create type holder as (p pair, n int);
        create table t (id int primary key, h holder, p pair default row(0, 'none'), unique (p));
        insert into t values (1, row(row(1, 'x'), 2), row(3, 'y'))",
    )
    .await;
    let shown = "select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 't'::regclass";
    assert_eq!(text(&client, shown).await, "ROW(0, 'none'::text)");
    let rename = "alter type pair rename attribute a to first";
    for (text, away) in [
        ("create view v as select (p).a from t", "drop view v"),
        ("create view v as select (h).n from t", "drop view v"),
        ("alter table t add constraint low check ((p).a < 9)", "alter table t drop constraint low"),
        ("create index by_a on t (((p).a))", "drop index by_a"),
        ("create index few on t (id) where (p).a > 0", "drop index few"),
        ("alter table t add g int generated always as ((p).a) stored", "alter table t drop g"),
        ("alter table t add d int default (('(1,x)'::pair).a)", "alter table t drop d"),
        ("create policy own on t using ((p).a > 0)", "drop policy own on t"),
    ] {
        run(&client, text).await;
        assert_eq!(code(&client, rename).await, "0A000", "{text}");
        run(&client, away).await;
    }
    run(&client, rename).await;
    assert_eq!(text(&client, "select ((h).p).first + (p).first from t").await, "4");
    assert_eq!(text(&client, "select to_json(h) from t").await, r#"{"p":{"first":1,"b":"x"},"n":2}"#);
    run(&client, "insert into t (id) values (2); update t set p.first = 7 where id = 2").await;
    assert_eq!(text(&client, "select p from t where id = 2").await, "(7,none)");
    assert_eq!(code(&client, "select (p).a from t").await, "42703");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_are_added_under_rows() {
    let mut cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let second = connect(&cluster.add_gateway(EngineOptions::default()).await).await;
    run(
        &client,
        "create type pair as (a int, b text); create table t (id int primary key, p pair unique, ps pair[]);
        insert into t values (1, row(1, 'x'), array[row(2, 'y')::pair]), (2, row(1, null), null), (3, null, null)",
    )
    .await;
    let add = "alter type pair add attribute c int, add attribute d text";
    for (text, away) in [
        ("create view v as select p from t", "drop view v"),
        ("alter table t add q pair default row(1, 'x')", "alter table t drop q"),
        ("alter table t add constraint low check ((p).a < 9)", "alter table t drop constraint low"),
        ("create domain pairs as pair", "drop domain pairs"),
        (
            "create type holder as (p pair); create table u (h holder default row(row(1, 'x')))",
            "drop table u; drop type holder",
        ),
    ] {
        run(&client, text).await;
        assert_eq!(code(&client, add).await, "0A000", "{text}");
        run(&client, away).await;
    }
    run(&client, add).await;
    assert_eq!(text(&second, "select string_agg(p::text, ' ' order by id) from t").await, "(1,x,,) (1,,,)");
    assert_eq!(
        text(&client, "select to_json(p) from t where id = 2").await,
        r#"{"a":1,"b":null,"c":null,"d":null}"#
    );
    // What is lacking is NULL, in keys and wherever else values are alike.
    for whole in ["row(1, 'x', null, null)", "row(1, null, null, null)"] {
        assert_eq!(code(&second, &format!("insert into t values (4, {whole})")).await, "23505", "{whole}");
    }
    run(&second, "insert into t values (4, row(1, 'x', 5, null))").await;
    assert_eq!(text(&client, "select string_agg(id::text, '' order by p) from t").await, "4123");
    assert_eq!(text(&client, "select id from t order by p limit 1").await, "4");
    let alike =
        "select count(*) from (select p from t where id = 2 union select row(1, null, null, null)::pair) u";
    assert_eq!(text(&client, alike).await, "1");
    assert_eq!(
        text(&client, "select p = row(1, 'x'::text, null::int, null::text) from t where id = 1").await,
        "t"
    );
    assert_eq!(text(&client, "select p is not null from t where id = 1").await, "f");
    assert_eq!(text(&client, "select (ps[1]).d is null from t where id = 1").await, "t");
    run(&client, "update t set p.d = 'z' where id = 1").await;
    assert_eq!(text(&second, "select p from t where id = 1").await, "(1,x,,z)");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_type_was_called_is_forgotten_within_others() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type mood as enum ('sad', 'happy'); create type pair as (a int, m mood);
        create type holder as (p pair, ps pair[]); create table t (h holder)",
    )
    .await;
    // In the session that renames, too, and before it has committed.
    run(
        &client,
        "begin; alter type mood rename to feeling; alter type pair rename to couple;
        insert into t values (row(row(1, 'sad'), array[row(2, 'happy')::couple]));
        update t set h.p = row(3, 'happy')::couple",
    )
    .await;
    assert_eq!(text(&client, "select ((h).p).m = 'happy'::feeling from t").await, "t");
    run(&client, "commit").await;
    assert_eq!(text(&client, "select (h).p = '(3,happy)'::couple from t").await, "t");
    assert_eq!(text(&client, "select pg_typeof((h).ps) from t").await, "couple[]");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_then_are_not_read_as_values_of_now() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type pair as (a int, b text); create type holder as (ps pair[]);
        create table gone (id int primary key, h holder); insert into gone values (1, row(array[row(1, 'x')::pair]));
        create table kept (id int primary key, p pair); insert into kept values (1, row(1, 'x'))",
    )
    .await;
    let then = text(&client, "select clock_timestamp()").await;
    for sql in [
        "drop table gone",
        "undrop table gone",
        "drop table gone",
        "alter table kept alter p type text using (p).b",
        "alter type holder drop attribute ps",
        "alter type pair drop attribute a",
        "alter type holder add attribute ps pair[]",
    ] {
        run(&client, sql).await;
    }
    assert_eq!(code(&client, "undrop table gone").await, "55000");
    run(&client, "alter table kept alter p type pair using row(p)").await;
    assert_eq!(text(&client, "select (p).b from kept").await, "x");
    let past = format!("select p from kept for system_time as of '{then}'");
    assert_eq!(code(&client, &past).await, "0A000");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_nulls_are_there() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type pair as (a int, b text); create table l (x int);
        create table r (x int, p pair not null default row(null, null));
        insert into l values (1), (2); insert into r values (1)",
    )
    .await;
    let found = "select string_agg(coalesce(r::text, '∅'), ' ' order by l.x) from l left join r using (x)";
    assert_eq!(text(&client, found).await, "(1,\"(,)\") ∅");
    let found = "select string_agg(coalesce(r.tableoid::regclass::text, '∅'), ' ' order by l.x) from l left join r using (x)";
    assert_eq!(text(&client, found).await, "r ∅");
    run(&client, "create table v (p pair); insert into v values ('(1,)'), ('(1,)'), ('(2,x)'), (null)").await;
    let middle = "select percentile_disc(0.5) within group (order by p)::text || mode() within group (order by p) from v";
    assert_eq!(text(&client, middle).await, "(1,)(1,)");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn literals_in_rows_are_read_wherever_a_row_becomes_a_value() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type pair as (a int, b text);
        create table t (id int, p pair default row('1', 'x'), g pair generated always as (row('2', 'y')) stored, c int);
        insert into t (id, c) values (1, 3);
        alter table t alter c type pair using row('4', 'z')",
    )
    .await;
    assert_eq!(
        text(&client, "select row_to_json(t) from t").await,
        r#"{"id":1,"p":{"a":1,"b":"x"},"g":{"a":2,"b":"y"},"c":{"a":4,"b":"z"}}"#
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_fill_values_within_values() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create type pair as (a int, b text); create type holder as (h pair, n int)").await;
    let filled = r#"select jsonb_populate_record(row(row(1, 'x'), 2)::holder, '{"h": {"a": 3}}')"#;
    assert_eq!(text(&client, filled).await, r#"("(3,x)",2)"#);
    for document in [r#"{"h": 5}"#, r#"{"h": [5]}"#, r#"{"h": true}"#] {
        let sql = format!("select jsonb_populate_record(null::holder, '{document}')");
        assert_eq!(code(&client, &sql).await, "22023", "{document}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_go_both_ways_in_binary() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type pair as (a int, b text); create table t (id int primary key, p pair, ps pair[])",
    )
    .await;
    let given = value(&[(23, Some(&[0, 0, 0, 7])), (25, None)]);
    client.execute("insert into t (id, p) values (1, $1)", &[&given]).await.expect("inserted");
    assert_eq!(text(&client, "select p from t").await, "(7,)");
    let statement = client.prepare("select p, ps from t").await.expect("prepared");
    let Some(column) = statement.columns().first() else { panic!("two columns") };
    let Kind::Composite(fields) = column.type_().kind() else { panic!("{:?}", column.type_()) };
    let fields: Vec<(&str, u32)> = fields.iter().map(|field| (field.name(), field.type_().oid())).collect();
    assert_eq!(fields, [("a", 23), ("b", 25)]);
    let rows = client.query(&statement, &[]).await.expect("rows");
    assert_eq!(rows[0].get::<_, Raw>(0), given);
    for wrong in [value(&[(23, None)]), value(&[(20, None), (25, None)])] {
        let error = client.execute("insert into t (id, p) values (2, $1)", &[&wrong]).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("42804"));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_domains_within_others_are_judged_in_binary() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create domain few as int check (value < 10); create domain must as int not null;
        create type pair as (a few, b must); create domain pairs as pair check ((value).b > 0);
        create table t (id int primary key, p pair, d pairs)",
    )
    .await;
    let oid = |name: &'static str| {
        let client = &client;
        async move {
            let oid = text(client, &format!("select '{name}'::regtype::oid")).await;
            oid.parse::<u32>().expect("an oid")
        }
    };
    let (few, must) = (oid("few").await, oid("must").await);
    let pair = |a: u8, b: Option<u8>| {
        let (a, b) = ([0, 0, 0, a], b.map(|b| [0, 0, 0, b]));
        value(&[(few, Some(a.as_slice())), (must, b.as_ref().map(|b| b.as_slice()))])
    };
    client.execute("insert into t values (1, $1, $1::pairs)", &[&pair(7, Some(1))]).await.expect("inserted");
    let rows = client.query("select p, d from t", &[]).await.expect("rows");
    assert_eq!(rows[0].get::<_, Raw>(0), pair(7, Some(1)));
    assert_eq!(rows[0].get::<_, Raw>(1), pair(7, Some(1)));
    for (sql, given, refused) in [
        ("insert into t (id, p) values (2, $1)", pair(10, Some(1)), "23514"),
        ("insert into t (id, p) values (2, $1)", pair(1, None), "23502"),
        ("insert into t (id, d) values (2, $1)", pair(10, Some(1)), "23514"),
        ("insert into t (id, d) values (2, $1)", pair(1, Some(0)), "23514"),
    ] {
        let error = client.execute(sql, &[&given]).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some(refused), "{sql} {given:?}");
    }
    for sql in ["copy t (id, p) from stdin", "copy t (id, d) from stdin"] {
        let mut sink = Box::pin(client.copy_in::<_, Bytes>(sql).await.expect("a sink"));
        let sent = sink.send(Bytes::from_static(b"2\t(10,1)\n")).await;
        let error = match sent {
            Ok(()) => sink.as_mut().finish().await.expect_err(sql),
            Err(error) => error,
        };
        assert_eq!(error.code().map(|code| code.code()), Some("23514"), "{sql}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_gateways_see_what_becomes_of_a_type() {
    let mut cluster = Embedded::start().await;
    let first = connect(&cluster.url()).await;
    let second = connect(&cluster.add_gateway(EngineOptions::default()).await).await;
    run(&first, "create type pair as (a int, b text)").await;
    assert_eq!(text(&second, "select '(1,x)'::pair").await, "(1,x)");
    run(&first, "alter type pair add attribute c int").await;
    assert_eq!(text(&second, "select to_json('(1,x,2)'::pair)").await, r#"{"a":1,"b":"x","c":2}"#);
    run(&first, "alter type pair rename to triple; create table t (p triple)").await;
    run(&second, "insert into t values (row(1, 'x', 3)), ('(2,y,4)')").await;
    run(&second, "update t set p.c = 5 where (p).a = 2").await;
    assert_eq!(text(&first, "select array_agg(p order by p) from t").await, r#"{"(1,x,3)","(2,y,5)"}"#);
    run(&second, "drop type triple cascade").await;
    assert_eq!(code(&first, "select p from t").await, "42703");
    cluster.stop().await;
}

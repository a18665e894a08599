//! The extension `vector`: its type, distances and aggregates, as its documentation has them.

use bytes::{BufMut, BytesMut};
use nunatak_tests::clients::{connect, run};
use nunatak_tests::embedded::Embedded;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, SimpleQueryMessage};

type Failure = Box<dyn std::error::Error + Sync + Send>;

/// A vector in its binary format.
#[derive(Debug, PartialEq)]
struct Reals(Vec<f32>);

impl<'a> FromSql<'a> for Reals {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        let (head, reals) = raw.split_at(4);
        assert_eq!(head, [&(reals.len() as u16 / 4).to_be_bytes()[..], &[0, 0]].concat());
        Ok(Self(reals.as_chunks().0.iter().map(|real| f32::from_be_bytes(*real)).collect()))
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "vector"
    }
}

impl ToSql for Reals {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        out.put_u16(self.0.len() as u16);
        out.put_u16(0);
        self.0.iter().for_each(|real| out.put_f32(*real));
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "vector"
    }

    to_sql_checked!();
}

/// The rows of an answer, each with bars between its values.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let shown = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values: Vec<&str> = (0..row.len()).map(|place| row.get(place).unwrap_or("∅")).collect();
            Some(values.join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(shown).collect()
}

async fn only(client: &Client, sql: &str) -> String {
    rows(client, sql).await.join("\n")
}

async fn error(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.expect_err(sql);
    match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => format!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_come_and_go_with_their_extension() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    assert_eq!(error(&client, "select '[1,2]'::vector").await, "42704 type \"vector\" does not exist");
    assert_eq!(
        error(&client, "select '[1,2]' <-> '[3,4]'").await,
        "42883 operator does not exist: unknown <-> unknown"
    );
    assert_eq!(
        error(&client, "select vector_dims('[1,2]')").await,
        "42883 function vector_dims(unknown) does not exist"
    );
    assert!(error(&client, "select vector('[1,2]')").await.starts_with("42883"));
    assert_eq!(
        only(&client, "select count(*) from pg_type where typname in ('vector', '_vector')").await,
        "0"
    );
    assert_eq!(only(&client, "select count(*) from pg_operator where oprname = '<->'").await, "0");
    // Until then the name is free, and whoever has it keeps it.
    run(&client, "create type vector as enum ('a')").await;
    assert_eq!(only(&client, "select 'a'::vector").await, "a");
    assert_eq!(error(&client, "create extension vector").await, "42710 type \"vector\" already exists");
    run(&client, "drop type vector").await;
    run(&client, "create extension vector").await;
    assert_eq!(
        error(&client, "create type vector as enum ('a')").await,
        "42710 type \"vector\" already exists"
    );
    assert_eq!(
        error(&client, "drop type vector").await,
        "2BP01 cannot drop type vector because extension vector requires it"
    );
    assert_eq!(
        only(
            &client,
            "select t.typname, t.typcategory, t.typlen, t.typtype, n.nspname, a.typname, t.typarray = a.oid \
             from pg_type t join pg_type a on a.typelem = t.oid join pg_namespace n on n.oid = t.typnamespace \
             where t.typname = 'vector'"
        )
        .await,
        "vector|U|-1|b|public|_vector|t"
    );
    assert_eq!(
        only(
            &client,
            "select string_agg(oprname, ' ' order by oprname) from pg_operator \
             where oprleft = 'vector'::regtype and oprnamespace = 'public'::regnamespace"
        )
        .await,
        "* + - < <#> <+> <-> <= <=> <> = > >= ||"
    );
    run(&client, "create table t (id int primary key, v vector(3), w vector[])").await;
    run(&client, "create view close as select id from t where v <-> '[1,2,3]'::vector < 2").await;
    assert_eq!(
        only(
            &client,
            "select format_type(atttypid, atttypmod), atttypmod from pg_attribute \
             where attrelid = 't'::regclass and attnum > 1 order by attnum"
        )
        .await,
        "vector(3)|3\nvector[]|-1"
    );
    assert_eq!(
        only(
            &client,
            "select data_type, udt_schema, udt_name from information_schema.columns \
             where table_name = 't' and column_name = 'v'"
        )
        .await,
        "USER-DEFINED|public|vector"
    );
    assert_eq!(
        error(&client, "drop extension vector").await,
        "2BP01 cannot drop extension vector because other objects depend on it"
    );
    run(&client, "drop extension vector cascade").await;
    assert_eq!(
        only(&client, "select string_agg(attname, ' ') from pg_attribute where attrelid = 't'::regclass and attnum > 0 and not attisdropped")
            .await,
        "id"
    );
    assert!(error(&client, "select * from close").await.starts_with("42P01"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_are_read_and_computed_with() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create extension vector").await;
    for (sql, answer) in [
        (
            "select '[1,2,3]'::vector, vector '[ 1.5, -2e1 ]', '[1e-46,-1e-46]'::vector(2)",
            "[1,2,3]|[1.5,-20]|[0,-0]",
        ),
        (
            "select array[1,2]::vector, array[1.5,2]::vector, '{1.5,2}'::real[]::vector(2)",
            "[1,2]|[1.5,2]|[1.5,2]",
        ),
        ("select '{1.5,2}'::float8[]::vector, '[1,2.5]'::vector::real[]", "[1.5,2]|{1,2.5}"),
        ("select '[1,2]'::vector::text, '[1,2]'::text::vector, vector_dims('[1,2]')", "[1,2]|[1,2]|2"),
        (
            "select '[0,0]'::vector <-> '[3,4]', '[1,2]'::vector <#> '[3,4]', '[1,2]'::vector <+> '[4,6]'",
            "5|-11|7",
        ),
        (
            "select '[1,0]'::vector <=> '[0,2]', '[1,1]'::vector <=> '[-1,-1]', '[1,2]'::vector <=> '[0,0]'",
            "1|2|NaN",
        ),
        (
            "select l2_distance('[0,0]', '[3,4]'), inner_product('[1,2]', '[3,4]'), cosine_distance('[1,2]', '[2,4]'), l1_distance('[0,0]', '[3,4]')",
            "5|11|0|7",
        ),
        (
            "select '[1,2]'::vector + '[3,4]', '[1,2]'::vector - '[3,5]', '[1,2]'::vector * '[3,4]', '[1,2]'::vector || '[3]'",
            "[4,6]|[-2,-3]|[3,8]|[1,2,3]",
        ),
        (
            "select vector_norm('[3,4]'), l2_normalize('[3,4]'), subvector('[1,2,3,4]', 2, 2), binary_quantize('[1,0,-1]')",
            "5|[0.6,0.8]|[2,3]|100",
        ),
        (
            "select '[1,2]'::vector < '[1,3]', '[1,2]'::vector < '[1,2,0]', '[0]'::vector = '[-0]', '[2]'::vector >= '[1,9]'",
            "t|t|t|t",
        ),
        (
            "select avg(v), sum(v) from (values ('[1,2,3]'::vector), ('[3,5,7]'), (null)) x(v)",
            "[2,3.5,5]|[4,7,10]",
        ),
        ("select avg(v), sum(v) from (values ('[1]'::vector)) x(v) where false", "∅|∅"),
        (
            "select count(*) from (select distinct v from (values ('[0,1]'::vector), ('[-0,1]'), ('[1]')) x(v)) y",
            "2",
        ),
        (
            "select to_json('[1,2.5]'::vector), '{\"[1,2]\",NULL}'::vector[], pg_typeof('[1]'::vector)",
            "\"[1,2.5]\"|{\"[1,2]\",NULL}|vector",
        ),
    ] {
        assert_eq!(only(&client, sql).await, answer, "{sql}");
    }
    for (sql, answer) in [
        ("select '1,2'::vector", "22P02 invalid input syntax for type vector: \"1,2\""),
        ("select '[1,]'::vector", "22P02 invalid input syntax for type vector: \"[1,]\""),
        ("select '[]'::vector", "22000 vector must have at least 1 dimension"),
        ("select '[NaN]'::vector", "22000 NaN not allowed in vector"),
        ("select '[Infinity]'::vector", "22000 infinite value not allowed in vector"),
        ("select '[4e38]'::vector", "22003 \"4e38\" is out of range for type vector"),
        ("select '[1,2,3]'::vector(2)", "22000 expected 2 dimensions, not 3"),
        ("select '[1]'::vector(0)", "22023 dimensions for type vector must be at least 1"),
        ("select '[1]'::vector(16001)", "22023 dimensions for type vector cannot exceed 16000"),
        ("select '[1]'::vector(1, 2)", "22023 invalid type modifier"),
        ("select array[[1,2],[3,4]]::vector", "22000 array must be 1-D"),
        ("select array[1,null]::vector", "22004 array must not contain nulls"),
        ("select '{}'::real[]::vector", "22000 vector must have at least 1 dimension"),
        ("select '[1,2]'::vector <-> '[1]'", "22000 different vector dimensions 2 and 1"),
        ("select '[3e38]'::vector + '[3e38]'", "22003 value out of range: overflow"),
        ("select '[1e-37]'::vector * '[1e-37]'", "22003 value out of range: underflow"),
        ("select avg(v) from (values ('[1,2]'::vector), ('[1]')) x(v)", "22000 expected 2 dimensions, not 1"),
        (
            "select array_fill(0, array[16000])::vector || '[1]'",
            "54000 vector cannot have more than 16000 dimensions",
        ),
    ] {
        assert_eq!(error(&client, sql).await, answer, "{sql}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_near_is_found_exactly() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create extension if not exists vector").await;
    run(&client, "create table items (id int primary key, v vector(3), unique (v))").await;
    run(&client, "insert into items select n, array[n, n % 7, 0]::vector from generate_series(1, 300) n")
        .await;
    for (sql, answer) in [
        ("select id from items order by v <-> '[100,2,0]', id limit 3", "100\n99\n101"),
        ("select id, v from items where v <-> '[5,5,0]' < 1", "5|[5,5,0]"),
        ("select id from items where v = '[20,6,0]'", "20"),
        ("select id from items where v > '[299,0,0]' order by v desc", "300\n299"),
        ("select id from items order by v limit 2", "1\n2"),
    ] {
        assert_eq!(only(&client, sql).await, answer, "{sql}");
    }
    assert_eq!(
        error(&client, "insert into items values (301, '[1,1,0]')").await,
        "23505 duplicate key value violates unique constraint \"items_v_key\""
    );
    assert_eq!(
        error(&client, "insert into items values (301, '[1,1]')").await,
        "22000 expected 3 dimensions, not 2"
    );
    assert_eq!(
        error(&client, "create index on items using hnsw (v vector_l2_ops)").await,
        "0A000 an index USING hnsw is not supported"
    );
    assert_eq!(
        error(&client, "create index on items using ivfflat (v)").await,
        "0A000 an index USING ivfflat is not supported"
    );
    let given = Reals(vec![100.0, 2.0, 0.0]);
    let found = client.query("select v, v <-> $1 from items order by v <-> $1 limit 1", &[&given]).await;
    let found = found.expect("rows");
    assert_eq!(found[0].get::<_, Reals>(0), given);
    assert_eq!(found[0].get::<_, f64>(1), 0.0);
    let none = client.query("select $1::vector", &[&Reals(Vec::new())]).await.expect_err("no vector");
    assert_eq!(none.code().map(|code| code.code()), Some("22000"));
    // -0 looks as it was written, and equals 0.
    run(&client, "insert into items values (400, '[-0,0,1]')").await;
    assert_eq!(only(&client, "select v from items where v = '[0,0,1]'").await, "[-0,0,1]");
    cluster.stop().await;
}

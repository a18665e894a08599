//! Ranges of one's own: what of them is refused, and their values in binary.

use nunatak_tests::clients::{connect, run};
use nunatak_tests::embedded::Embedded;
use tokio_postgres::Client;
use tokio_postgres::types::Kind;

use crate::raw::Raw;

async fn code(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_supported_of_ranges_is_refused() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type floatrange as range (subtype = float8); create type pair as (a int, b text); create domain pairs as pair",
    )
    .await;
    run(
        &client,
        "create function apart(float8, float8) returns float8 language sql immutable as 'select $1 - $2'",
    )
    .await;
    for sql in [
        "create type r as range (subtype = int4[])",
        "create type r as range (subtype = pair)",
        "create type r as range (subtype = pairs)",
        "create type r as range (subtype = jsonb)",
        "create type r as range (subtype = bpchar)",
        "create type r as range (subtype = numrange)",
        "create type r as range (subtype = floatrange)",
        "create type r as range (subtype = text, collation = \"de_DE\")",
        "create type r as range (subtype = float8, subtype_diff = apart)",
        "create type r as range (subtype = float8, multirange_type_name = pg_catalog.m)",
        "create type r",
        // There are no multiranges.
        "select '{}'::floatmultirange",
        "select floatmultirange(floatrange(1, 2))",
        "create table m (m floatmultirange)",
        "create domain m as public.floatmultirange",
        "comment on type floatmultirange is 'none'",
        "alter type floatmultirange rename to m",
        "select range_agg(floatrange(1, 2))",
        "select * from floatrange(1, 2)",
    ] {
        assert_eq!(code(&client, sql).await, "0A000", "{sql}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_ranges_go_both_ways_in_binary() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create type floatrange as range (subtype = float8); create type textrange as range (subtype = text)",
    )
    .await;
    run(&client, "create type mood as enum ('sad', 'ok'); create type moodrange as range (subtype = mood)")
        .await;
    // As PostgreSQL's range_send has them.
    let reals =
        [&[2_u8, 0, 0, 0, 8][..], &1.0_f64.to_be_bytes(), &[0, 0, 0, 8], &2.5_f64.to_be_bytes()].concat();
    for (literal, sent) in [
        ("'[1,2.5)'::floatrange", reals.clone()),
        ("'empty'::floatrange", vec![1]),
        ("'(,b]'::textrange", vec![12, 0, 0, 0, 1, b'b']),
        ("'[ok,]'::moodrange", vec![18, 0, 0, 0, 2, b'o', b'k']),
        ("'(,)'::moodrange", vec![24]),
    ] {
        let row = client.query_one(&format!("select {literal}"), &[]).await.expect(literal);
        assert_eq!(row.get::<_, Raw>(0), Raw(sent.clone()), "{literal}");
        assert!(matches!(row.columns()[0].type_().kind(), Kind::Range(_)), "{literal}");
        let kind = literal.split_once("::").expect("a type").1;
        let sql = format!("select $1::{kind} = {literal}");
        let row = client.query_one(&sql, &[&Raw(sent)]).await.expect(&sql);
        assert!(row.get::<_, bool>(0), "{literal}");
    }
    // A lower bound above the upper, a bound that is cut off, a label that there is none of.
    let turned =
        [&[2_u8, 0, 0, 0, 8][..], &2.0_f64.to_be_bytes(), &[0, 0, 0, 8], &1.0_f64.to_be_bytes()].concat();
    for (kind, sent, expected) in [
        ("floatrange", turned, "22000"),
        ("floatrange", reals[..reals.len() - 1].to_vec(), "08P01"),
        ("moodrange", vec![18, 0, 0, 0, 3, b'b', b'a', b'd'], "22P02"),
    ] {
        let error = client.query_one(&format!("select $1::{kind}"), &[&Raw(sent)]).await.expect_err(kind);
        assert_eq!(error.code().expect("a code").code(), expected, "{kind}");
    }
    cluster.stop().await;
}

//! What is SQL, what is not, and where.

use super::ast::{Body, ExprKind, QueryBody, SelectItem};
use super::parse;

fn error(sql: &str) -> String {
    match parse(sql) {
        Ok(statements) => format!("{} statements", statements.len()),
        Err(error) => format!("{} {} @{}", error.sqlstate, error.message, error.position.unwrap_or(0)),
    }
}

#[test]
fn a_query_string_is_split_at_semicolons() {
    let statements = parse("select 1; /* ; */ select ';' ;; -- end;\n").unwrap();
    let texts: Vec<_> = statements.iter().map(|statement| statement.text.as_ref()).collect();
    assert_eq!(texts, ["select 1", "select ';'"]);
    assert!(parse(" ;; -- nothing\n").unwrap().is_empty());
}

#[test]
fn everything_that_pgbench_sends_is_understood() {
    for sql in [
        "drop table if exists pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers",
        "create table pgbench_history(tid int,bid int,aid    int,delta int,mtime timestamp,filler char(22))",
        "create table pgbench_tellers(tid int not null,bid int,tbalance int,filler char(84)) with (fillfactor=100)",
        "create unlogged table pgbench_tellers(tid int not null) with (fillfactor=100)",
        "begin",
        "truncate table pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers",
        "truncate pgbench_history",
        "insert into pgbench_branches(bid,bbalance) values(1,0)",
        "insert into pgbench_tellers(tid,bid,tbalance) select tid, (tid - 1) / 10 + 1, 0 from generate_series(1, 10) as tid",
        "copy pgbench_accounts from stdin with (freeze on)",
        "copy pgbench_accounts from stdin",
        "commit",
        "vacuum analyze pgbench_branches",
        "vacuum pgbench_tellers",
        "alter table pgbench_branches add primary key (bid)",
        "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2;",
        "SELECT abalance FROM pgbench_accounts WHERE aid = 37560;",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP);",
        "END;",
        "BEGIN;",
        "select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 'pgbench_accounts' and o.n is not null group by 1, 2 order by 1 asc limit 1",
    ] {
        assert_eq!(error(sql), "1 statements", "{sql}");
    }
}

#[test]
fn everything_that_psql_sends_is_understood_or_refused_by_name() {
    let mut refused = Vec::new();
    for sql in include_str!("testdata/psql_15.sql").split_inclusive(";\n") {
        match parse(sql) {
            Ok(statements) => assert_eq!(statements.len(), 1, "{sql}"),
            Err(error) if error.sqlstate == "0A000" => refused.push(error.message.clone()),
            Err(error) => panic!("{error:?}\n{sql}"),
        }
    }
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn syntax_errors_name_the_token_and_its_place() {
    assert_eq!(error("select 1 fro t x"), "42601 syntax error at or near \"t\" @14");
    assert_eq!(error("selec 1"), "42601 syntax error at or near \"selec\" @1");
    assert_eq!(error("select"), "42601 syntax error at end of input @7");
    assert_eq!(error("select * from"), "42601 syntax error at end of input @14");
    assert_eq!(error("select 'é', (1"), "42601 syntax error at end of input @15");
    assert_eq!(error("select 1;\nselect 'é' + * 2"), "42601 syntax error at or near \"*\" @24");
    assert_eq!(error("begin foo"), "42601 syntax error at or near \"foo\" @7");
    assert_eq!(error("select 'abc"), "42601 unterminated quoted string at or near \"'abc\" @8");
}

#[test]
fn clauses_that_are_not_implemented_are_refused_by_name() {
    for (sql, clause) in [
        ("select sum(a) over () from t", "OVER"),
        ("with recursive x as (select 1) select * from x", "WITH RECURSIVE"),
        ("create temp table t(a int)", "CREATE TEMPORARY TABLE"),
        ("create table t(a int references u)", "REFERENCES"),
        ("create table t(a int check (a > 0))", "CHECK"),
        ("create view v as select 1", "CREATE VIEW"),
        ("alter table t add column b int", "ALTER TABLE … ADD COLUMN b INT"),
        ("select a from t group by rollup (a)", "ROLLUP"),
        ("create index i on t (a) where b", "a partial index"),
        ("listen x", "LISTEN"),
        ("copy t from '/etc/passwd'", "COPY with a file on the server"),
        ("copy t from stdin (format binary)", "COPY in binary format"),
        ("select * from t tablesample system (10)", "TABLESAMPLE"),
        ("grant select on t to u", "GRANT"),
        ("set role x", "SET ROLE"),
        ("prepare transaction 'x'", "PREPARE TRANSACTION"),
    ] {
        let found = error(sql);
        assert!(found.starts_with(&format!("0A000 {clause} is not supported")), "{sql}: {found}");
    }
}

#[test]
fn long_chains_are_flat_and_deep_nesting_is_refused() {
    let terms = vec!["a = 1"; 900].join(" or ");
    let statements = parse(&format!("select * from t where {terms}")).unwrap();
    let Body::Query(query) = &statements[0].body else { panic!() };
    let QueryBody::Select(select) = &query.body else { panic!() };
    assert!(matches!(&select.filter.as_ref().unwrap().kind, ExprKind::Or(list) if list.len() == 900));
    for sql in [
        format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("select 1{}", "+1".repeat(100_000)),
        format!("select {}1", "- ".repeat(100_000)),
        format!("select {} true", "not ".repeat(100_000)),
        format!("select 1{}", " union select 1".repeat(100_000)),
        format!("select {} 1 {}", "case when true then ".repeat(50_000), " end".repeat(50_000)),
        format!("select 1 from t{}", " join t on true".repeat(50_000)),
        "(".repeat(100_000),
        format!("select {}1", "1 in (".repeat(50_000)),
        format!("select 1{}", "::int".repeat(50_000)),
        format!("select a{}", "[1]".repeat(50_000)),
        format!("select 1 {}", " is null".repeat(50_000)),
    ] {
        assert!(error(&sql).starts_with("54001 "), "{}: {}", &sql[..40], error(&sql));
    }
}

#[test]
fn expressions_know_their_places() {
    let statements = parse("select (a) + -b, not c, f(x), cast(1 as int8)").unwrap();
    let Body::Query(query) = &statements[0].body else { panic!() };
    let QueryBody::Select(select) = &query.body else { panic!() };
    let places: Vec<_> = select
        .items
        .iter()
        .map(|item| match item {
            SelectItem::Expr { expr, .. } => match &expr.kind {
                ExprKind::Binary { operator, right, .. } => (expr.at, operator.at, right.at),
                _ => (expr.at, 0, 0),
            },
            _ => panic!(),
        })
        .collect();
    assert_eq!(places, [(9, 12, 14), (18, 0, 0), (25, 0, 0), (31, 0, 0)]);
}

#[test]
fn commands_that_are_parsed_by_hand() {
    for sql in [
        "begin isolation level repeatable read, read only",
        "start transaction isolation level serializable read write deferrable",
        "set session characteristics as transaction isolation level read committed",
        "set transaction isolation level read uncommitted",
        "commit and chain",
        "rollback to savepoint a",
        "rollback to a",
        "release a",
        "set search_path to public, pg_catalog",
        "set statement_timeout = -1",
        "set local time zone 'Europe/Zurich'",
        "set names 'utf8'",
        "set session authorization_x = 1",
        "set a.b = 'c'",
        "reset all",
        "show transaction isolation level",
        "show all",
        "discard all",
        "deallocate prepare all",
        "deallocate x",
        "prepare x (int, text) as select $1, $2",
        "execute x (1, 'a, b', (select 2))",
        "explain (analyze, costs off, format text) select 1",
        "explain analyze verbose select 1",
        "explain (select 1)",
        "vacuum (full, analyze) t (a, b), u",
        "vacuum",
        "analyze verbose t",
        "copy t (a, b) from stdin with csv header delimiter ';' null as 'x'",
        "copy (select 1) to stdout (format csv, header, quote '''')",
        "copy t to stdout",
        "checkpoint",
        "(select 1)",
        "table t",
        "values (1), (2)",
        "with x as (select 1) insert into t select * from x",
        "insert into t default values",
        "insert into t values (default) on conflict (a) do update set a = excluded.a where t.b returning *",
        "update t set (a, b) = (1, 2) from u where t.a = u.a",
        "delete from t using u where t.a = u.a returning t.*",
        "select interval '1 day', interval '2' hour, date '2020-01-01', timestamp with time zone 'now'",
        "select extract(year from a), position('x' in b), substring(c from 2 for 3), trim(both 'x' from d)",
        "select a[1], array[1, 2], array(select 1), 1 = any (array[1]), 2 <> all (select 3)",
        "select count(distinct a) filter (where b), string_agg(a, ',' order by b desc) from t",
        "select 1 from t for update of t nowait",
        "select current_user, user, current_date, localtimestamp, current_timestamp(3), current_schema",
        "select * from t fetch first 5 rows only",
        "create unique index concurrently if not exists i on t using btree (a desc nulls last, b) with (fillfactor = 70)",
    ] {
        assert_eq!(error(sql), "1 statements", "{sql}");
    }
}

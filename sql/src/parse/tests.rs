//! What is SQL, what is not, and where.

use super::ast::{Body, ExprKind, FunctionText, ObjectStatement, QueryBody, SelectItem};
use super::parse;

fn error(sql: &str) -> String {
    let sql = sql.to_owned();
    let builder = std::thread::Builder::new().stack_size(crate::STACK_BYTES / 2);
    builder.spawn(move || outcome(&sql)).unwrap().join().unwrap()
}

fn outcome(sql: &str) -> String {
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
fn syntax_errors_name_the_token_and_its_place() {
    assert_eq!(error("select 1 fro t x"), "42601 syntax error at or near \"t\" @14");
    assert_eq!(error("selec 1"), "42601 syntax error at or near \"selec\" @1");
    assert_eq!(error("select 1 +"), "42601 syntax error at end of input @11");
    assert_eq!(error("select;"), "1 statements");
    assert_eq!(error("select * from"), "42601 syntax error at end of input @14");
    assert_eq!(error("select 'é', (1"), "42601 syntax error at end of input @15");
    assert_eq!(error("select 1;\nselect 'é' + * 2"), "42601 syntax error at or near \"*\" @24");
    assert_eq!(error("begin foo"), "42601 syntax error at or near \"foo\" @7");
    assert_eq!(error("select 'abc"), "42601 unterminated quoted string at or near \"'abc\" @8");
}

#[test]
fn clauses_that_are_not_implemented_are_refused_by_name() {
    for (sql, clause) in [
        ("alter table t add unique (a) deferrable", "DEFERRABLE"),
        ("create index i on t using gin (a)", "an index USING gin"),
        ("create index on t using hnsw (v vector_l2_ops)", "an index USING hnsw"),
        ("create index on t using ivfflat (v) with (lists = 10)", "an index USING ivfflat"),
        ("create table t (p polygon)", "type polygon"),
        ("select '{}'::tsvector", "type tsvector"),
        ("alter table t enable rule r", "ALTER TABLE ENABLE RULE"),
        ("copy t from '/etc/passwd'", "COPY with a file on the server"),
        ("create function f() returns int language plpgsql as ''", "LANGUAGE plpgsql"),
        ("create function f() returns int security definer language sql as 'select 1'", "SECURITY DEFINER"),
        ("create function f() returns int cost 5 language sql as 'select 1'", "COST"),
        ("create function f(a t.id%type) returns int language sql as 'select 1'", "%TYPE"),
        ("create function f() returns t.id%type language sql as 'select 1'", "%TYPE"),
        ("create function f(variadic a int[]) returns int language sql as 'select 1'", "VARIADIC"),
        (
            "create function f() returns int begin atomic select 1; select 2; end",
            "a function whose body is several statements",
        ),
        ("create procedure p() language sql as ''", "CREATE PROCEDURE"),
        ("alter function f(int) depends on extension e", "DEPENDS ON EXTENSION"),
        ("grant usage on type s to u", "GRANT ON TYPE"),
        ("grant execute on all routines in schema s to u", "GRANT ON ALL ROUTINES"),
        ("alter default privileges grant execute on functions to u", "ALTER DEFAULT PRIVILEGES ON FUNCTIONS"),
        ("create table t (a int, exclude using gist (a with =))", "EXCLUDE"),
        ("create table t (exclude (a with =))", "EXCLUDE"),
        ("alter table t add exclude (a with =)", "EXCLUDE"),
        ("prepare transaction 'x'", "PREPARE TRANSACTION"),
    ] {
        let found = error(sql);
        assert!(found.starts_with(&format!("0A000 {clause} is not supported")), "{sql}: {found}");
    }
}

#[test]
fn long_lists_are_flat_and_deep_nesting_is_refused() {
    let terms = vec!["a = 1"; 5000].join(" or ");
    let statements = parse(&format!("select * from t where {terms}")).unwrap();
    let Body::Query(query) = &statements[0].body else { panic!() };
    let QueryBody::Select(select) = &query.body else { panic!() };
    assert!(matches!(&select.filter.as_ref().unwrap().kind, ExprKind::Or(list) if list.len() == 5000));
    for sql in [
        format!("select 1{}", " union select 1".repeat(5000)),
        format!("select 1{}", " union select 1 except all select 2".repeat(5000)),
        format!("select 1 from {}t", "t, ".repeat(5000)),
        format!("select {}1", "1, ".repeat(1000)),
        format!("select {}1{}", "(".repeat(200), ")".repeat(200)),
        format!("select 1{}", " + 1".repeat(900)),
    ] {
        assert_eq!(error(&sql), "1 statements", "{}", &sql[..40]);
    }
    for sql in [
        format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("select 1{}", "+1".repeat(100_000)),
        format!("select {}1", "- ".repeat(100_000)),
        format!("select {} true", "not ".repeat(100_000)),
        format!("select {} 1 {}", "case when true then ".repeat(50_000), " end".repeat(50_000)),
        format!("select 1 from t{}", " join t on true".repeat(50_000)),
        format!("select 1 from t{}", " join t".repeat(50_000)),
        format!("select 1 from {}t", "(".repeat(50_000)),
        "(".repeat(100_000),
        format!("select {}1", "1 in (".repeat(50_000)),
        format!("select 1{}", "::int".repeat(50_000)),
        format!("select a{}", "[1]".repeat(50_000)),
        format!("select 1 {}", " is null".repeat(50_000)),
        format!("select 1 {}", " at time zone 'utc'".repeat(50_000)),
        format!("select 1 {}", " collate \"C\"".repeat(50_000)),
        format!("select 1 {}", " between 1 and 2 and (1".repeat(50_000)),
        format!("select {}", "f(".repeat(50_000)),
        format!("{}select 1", "with a as (".repeat(50_000)),
        format!("create table t (a int default {}1)", "1+".repeat(50_000)),
        format!("insert into t values ({}1)", "array[".repeat(50_000)),
        format!("copy ({}", "(".repeat(50_000)),
        format!("prepare a as {}", "(".repeat(50_000)),
    ] {
        assert!(error(&sql).starts_with("54001 "), "{}: {}", &sql[..40], error(&sql));
    }
    assert_eq!(error(&"explain ".repeat(10_000)), "42601 syntax error at or near \"explain\" @9");
}

#[test]
fn a_statement_of_too_many_parts_is_refused() {
    let sql = format!("select 1{}", ",1".repeat(2_600_000));
    assert!(error(&sql).starts_with("54000 "), "{}", error(&sql));
    assert_eq!(error(&";".repeat(1 << 20)), "0 statements");
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
fn what_is_refused_is_shown_with_its_place() {
    assert_eq!(error("create index i on t using gist (a)"), "0A000 an index USING gist is not supported @27");
    assert_eq!(error("alter table t enable rule r"), "0A000 ALTER TABLE ENABLE RULE is not supported @15");
    assert_eq!(error("create table t (a xml)"), "0A000 type xml is not supported @19");
    assert_eq!(
        error("select 1 limit 5 fetch first 3 rows only"),
        "42601 syntax error at or near \"fetch\" @18"
    );
    assert_eq!(error("select 'a' 'b'"), "42601 syntax error at or near \"'b'\" @12");
    assert_eq!(error("select 1 < 2 < 3"), "42601 syntax error at or near \"<\" @14");
    assert_eq!(error("explain explain select 1"), "42601 syntax error at or near \"explain\" @9");
    assert_eq!(error("select 1a"), "42601 trailing junk after numeric literal at or near \"1a\" @8");
    assert_eq!(error("select 1.5e+a"), "42601 trailing junk after numeric literal at or near \"1.5e+\" @8");
}

#[test]
fn strings_and_names_have_postgresqls_forms() {
    let value = |sql: &str| {
        let statements = parse(&format!("select {sql}")).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let Body::Query(query) = &statements[0].body else { panic!() };
        let QueryBody::Select(select) = &query.body else { panic!() };
        match &select.items[0] {
            SelectItem::Expr { expr, .. } => match &expr.kind {
                ExprKind::String(text) => text.clone(),
                ExprKind::Column(names) => {
                    names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
                }
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        }
    };
    for (sql, expected) in [
        ("'it''s'", "it's"),
        ("'a'\n  -- more\n 'b'", "ab"),
        (r"E'a\n\x41\101\u00e9\U0001F600\'\\'", "a\nAAé😀'\\"),
        (r"U&'d\0061t\+000061'", "data"),
        ("U&'d!0061' uescape '!'", "da"),
        ("$$it's$$", "it's"),
        ("$a$ $$ $a$", " $$ "),
        ("\"A\"\"b\".C", "A\"b.c"),
        ("U&\"d\\0061\"", "da"),
    ] {
        assert_eq!(value(sql), expected, "{sql}");
    }
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
        "explain (analyse on, costs -1, format 'json', anything) execute x (1)",
        "explain verbose declare c no scroll cursor with hold for table t",
        "explain create temp table u as select 1 with no data",
        "explain refresh materialized view m",
        "explain select 1 into u",
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
        "insert into t select 1, 2 on conflict do nothing",
        "select trim(leading from x), trim(from x), 1 between symmetric 2 and 3, 1 operator(pg_catalog.=) 2 from t",
        "select 1 from t for no key update",
        "select 1 from t for key share of t",
        "select i.indkey[0], (array[1])[1], $1[2] from pg_index i",
        "select from t",
        "select 1 as left, 2 b, 3 \"c\" from ((select 1) union select 2) a, ((select 3)) b, (a join b on true)",
        "select * from a join b join c on true on true cross join d natural left join e",
        "((select 1) limit 1) union (select 2) order by 1",
        "create unique index concurrently if not exists i on t using btree (a desc nulls last, b) with (fillfactor = 70)",
    ] {
        assert_eq!(error(sql), "1 statements", "{sql}");
    }
}

#[test]
fn a_part_of_an_expression_is_small() {
    assert!(size_of::<super::ast::Expr>() <= 72, "{} bytes", size_of::<super::ast::Expr>());
}

/// Pieces of a string with white space and comments between them, and what they mean, from one number.
fn pieced(seed: u64) -> (String, String) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let forms = ["", "E", "e", "U&", "N"];
    let form = forms[below(forms.len())];
    let plain = ["a", " ", "--", "\n", "/*", "é", "\"", "$$", "b;", "u"];
    let mut text = format!("{form}'");
    let mut value = String::new();
    for piece in 0..=below(4) {
        if piece > 0 {
            text.push('\'');
            for _ in 0..below(3) {
                text.push_str([" ", "\t", "-- it's\n", "--''\n", "-- \"a\\'\r"][below(5)]);
            }
            text.push_str(["\n", "\r\n", " -- don't\n", "\n\n"][below(4)]);
            for _ in 0..below(3) {
                text.push_str([" ", "\n", "--'--\n", "-- \\\n"][below(4)]);
            }
            text.push('\'');
        }
        for _ in 0..below(5) {
            let (written, meant) = match (below(4), form) {
                (0, _) => ("''", "'"),
                (1, "E" | "e") => [("\\'", "'"), ("\\\\", "\\"), ("\\n", "\n"), ("\\u0041", "A")][below(4)],
                (1, "U&") => [("\\0041", "A"), ("\\\\", "\\"), ("\\+000042", "B")][below(3)],
                _ => {
                    let plain = plain[below(plain.len())];
                    (plain, plain)
                }
            };
            text.push_str(written);
            value.push_str(meant);
        }
    }
    text.push('\'');
    (text, value)
}

#[test]
fn strings_in_pieces_mean_what_was_put_into_them() {
    for seed in 0..5000 {
        let (text, value) = pieced(seed);
        let statements = parse(&format!("select {text} as x, 1"))
            .unwrap_or_else(|error| panic!("seed {seed}: {text}: {} {}", error.sqlstate, error.message));
        let Body::Query(query) = &statements[0].body else { panic!() };
        let QueryBody::Select(select) = &query.body else { panic!() };
        let Some(SelectItem::Expr { expr, .. }) = select.items.first() else { panic!() };
        let kind = match &expr.kind {
            ExprKind::Cast { operand, .. } => &operand.kind,
            kind => kind,
        };
        assert!(matches!(kind, ExprKind::String(read) if *read == value), "seed {seed}: {text}: {kind:?}");
    }
}

#[test]
fn what_stands_behind_strings_is_read_once() {
    // Neither deep nor long: each of them looks at no more than what stands behind it.
    for sql in [
        format!("select {}", "U&'a' ".repeat(100_000)),
        format!("select {}", "U&'a' UESCAPE ".repeat(100_000)),
        format!("select {}", "U&\"a\" ".repeat(100_000)),
    ] {
        assert!(error(&sql).starts_with("42601"));
    }
}

#[test]
fn functions_are_read_as_they_are_written() {
    let create = |sql: &str| {
        let statements = parse(sql).unwrap_or_else(|error| panic!("{sql}: {}", error.message));
        match statements.into_iter().next().map(|statement| statement.body) {
            Some(Body::Object(object)) => match *object {
                ObjectStatement::CreateFunction(create) => *create,
                other => panic!("{sql}: {other:?}"),
            },
            other => panic!("{sql}: {other:?}"),
        }
    };
    let shown = |sql: &str| {
        let create = create(&format!("create function {sql}"));
        let parameters = create.parameters.iter().map(|own| {
            let name = own.name.as_ref().map_or("-", |name| name.value.as_str());
            format!("{name} {:?} {}{}", own.mode, own.ty.name, if own.default.is_some() { " =" } else { "" })
        });
        let returns = create.returns.as_ref().map_or("-", |ty| ty.name.as_str());
        format!("{} > {returns} {}", parameters.collect::<Vec<_>>().join(", "), create.is_set)
    };
    let body = "language sql as 'select 1'";
    for (sql, expected) in [
        ("f() returns int", " > int4 false"),
        ("f(int, a text) returns setof int", "- In int4, a In text > int4 true"),
        ("f(double precision, double int) returns int", "- In float8, double In int4 > int4 false"),
        ("f(in a int = 1, out b int)", "a In int4 =, b Out int4 > - false"),
        ("f(a inout int default 2) returns null on null input", "a InOut int4 = > - false"),
        ("f(in out a t) returns t", "a InOut t > t false"),
        (
            "f(s.t, \"A b\" s.t) returns table (x int, y text)",
            "- In t, A b In t, x Table int4, y Table text > - true",
        ),
    ] {
        assert_eq!(shown(&format!("{sql} {body}")), expected, "{sql}");
    }
    let text = |sql: &str| create(sql).body;
    let quoted = text("create function f() returns int language sql as $x$select é$x$");
    assert!(matches!(quoted, FunctionText::Quoted { text, at: Some(52) } if text == "select é"));
    let escaped = text("create function f() returns text language sql as 'select ''a'''");
    assert!(matches!(escaped, FunctionText::Quoted { text, at: None } if text == "select 'a'"));
    let returned = text("create function f(a int) returns int strict return a  + 1;");
    assert!(matches!(returned, FunctionText::Return(text) if text == "a  + 1"));
    let atomic = text("create function f() returns int begin atomic select 1  ; end");
    assert!(matches!(atomic, FunctionText::Atomic(text) if text == "select 1"));
    for (sql, expected) in [
        ("create function f() returns int as 'select 1'", "42P13 no language specified"),
        ("create function f() returns int language sql", "42P13 no function body specified"),
        ("create function f() returns int language sql as '' return 1", "42P13 duplicate function body"),
        (
            "create function f() returns int stable volatile return 1",
            "42601 conflicting or redundant options @40",
        ),
        ("select f(a => 1, 2)", "42601 positional argument cannot follow named argument @18"),
        ("select f(a => 1, a := 2)", "42601 argument name \"a\" used more than once @18"),
        ("drop function f, g(int, out x text) cascade", "1 statements"),
        ("grant execute on function f(int), s.g to public", "1 statements"),
        ("grant select on function to u", "1 statements"),
    ] {
        assert!(error(sql).starts_with(expected), "{sql}: {}", error(sql));
    }
}

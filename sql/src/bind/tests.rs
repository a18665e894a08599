//! Statements bound against a catalog.

mod documents;
mod views;

use std::sync::Arc;

use expr::{SessionContext, TypeKind};

use super::{SessionSettings, bind, bind_if_short};
use crate::catalog::{
    CatalogSnapshot, Column, Constraints, FIRST_USER_OID, IndexColumn, IndexConstraint, IndexDescriptor,
    IndexState, ROW_ID_COLUMN, RowSecurity, SearchPath, TableDescriptor, TableKind,
};
use crate::plan::{Bound, Ddl, NewIndexKind, Plan};

/// The catalog after these CREATE TABLE statements.
fn catalog(statements: &[&str]) -> CatalogSnapshot {
    let mut snapshot = CatalogSnapshot::new(1, crate::system::tables(), []);
    let mut next = FIRST_USER_OID;
    let mut id = || {
        next += 1;
        next
    };
    for sql in statements {
        let Plan::Ddl(ddl) = bound(sql, &snapshot).plan else { panic!("{sql}") };
        let Ddl::CreateTable(create) = *ddl else { panic!("{sql}") };
        let indexes = create.indexes.iter().map(|index| IndexDescriptor {
            oid: id(),
            id: u64::from(id()),
            name: index.name.clone(),
            primary: index.kind.is_primary(),
            unique: index.kind.is_unique(),
            columns: index.columns.clone(),
            options: index.options.clone(),
            constraint: index
                .kind
                .is_constraint()
                .then_some(IndexConstraint { oid: 1, primary_key: index.kind == NewIndexKind::PrimaryKey }),
            state: IndexState::Public,
        });
        let table = TableDescriptor {
            indexes: indexes.collect(),
            oid: id(),
            constraints: Constraints::default(),
            row_security: RowSecurity::default(),
            materialised: None,
            audit: create.audit,
            schema: create.schema,
            name: create.name,
            kind: TableKind::Base,
            next_column_id: create.columns.len() as u32 + 1,
            columns: create.columns,
            schema_version: 1,
        };
        table.check().unwrap();
        snapshot = snapshot.with_table(Arc::new(table));
    }
    snapshot
}

fn sample() -> CatalogSnapshot {
    catalog(&[
        "create table t (a int primary key, b varchar(10) default 'x', c numeric(10, 2), d text not null)",
        "create table u (a int, e bigint unique, f timestamptz default now())",
    ])
}

fn try_bind(sql: &str, catalog: &CatalogSnapshot) -> crate::Result<Bound> {
    let statements = crate::parse::parse(sql)?;
    let settings = SessionSettings {
        search_path: &SearchPath::default(),
        context: &SessionContext::default(),
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    bind(&statements[0], catalog, &settings, Some(&[]))
}

fn bound(sql: &str, catalog: &CatalogSnapshot) -> Bound {
    try_bind(sql, catalog).unwrap_or_else(|error| panic!("{error:?}\n{sql}"))
}

/// Columns and parameters of a statement: `a integer, ?column? text ($1 bigint)`.
fn signature(sql: &str) -> String {
    let bound = bound(sql, &sample());
    let columns = bound.columns.unwrap_or_default();
    let columns: Vec<_> =
        columns.iter().map(|column| format!("{} {}", column.name, column.ty.display_name())).collect();
    let parameters: Vec<_> = bound.parameters.iter().map(|ty| ty.display_name()).collect();
    let parameters =
        if parameters.is_empty() { String::new() } else { format!(" ({})", parameters.join(", ")) };
    format!("{}{parameters}", columns.join(", "))
}

fn error(sql: &str) -> String {
    match try_bind(sql, &sample()) {
        Ok(_) => "no error".to_owned(),
        Err(error) => format!("{} {} @{}", error.sqlstate, error.message, error.position.unwrap_or(0)),
    }
}

#[test]
fn everything_that_pgbench_sends_binds() {
    let catalog = catalog(&[
        "create table pgbench_accounts(aid int not null primary key,bid int,abalance int,filler char(84)) with (fillfactor=100)",
        "create table pgbench_branches(bid int not null,bbalance int,filler char(88)) with (fillfactor=100)",
        "create table pgbench_tellers(tid int not null,bid int,tbalance int,filler char(84)) with (fillfactor=100)",
        "create table pgbench_history(tid int,bid int,aid    int,delta int,mtime timestamp,filler char(22))",
    ]);
    for sql in [
        "drop table if exists pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers",
        "truncate table pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers",
        "insert into pgbench_branches(bid,bbalance) values(1,0)",
        "insert into pgbench_tellers(tid,bid,tbalance) select tid, (tid - 1) / 10 + 1, 0 from generate_series(1, 10) as tid",
        "insert into pgbench_accounts(aid,bid,abalance,filler) select aid, (aid - 1) / 100000 + 1, 0, '' from generate_series(1, 100000) as aid",
        "copy pgbench_accounts from stdin with (freeze on)",
        "vacuum analyze pgbench_branches",
        "alter table pgbench_branches add primary key (bid)",
        "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2;",
        "UPDATE pgbench_accounts SET abalance = abalance + -5 WHERE aid = 7;",
        "SELECT abalance FROM pgbench_accounts WHERE aid = 37560;",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP);",
        "select count(*) from pgbench_branches",
        "select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 'pgbench_accounts' and o.n is not null group by 1, 2 order by 1 asc limit 1",
        "begin",
        "end",
    ] {
        bound(sql, &catalog);
    }
    let update = bound("UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2", &catalog);
    assert_eq!(update.parameters, [TypeKind::Int4.into(), TypeKind::Int4.into()]);
}

#[test]
fn result_columns_have_the_names_and_types_of_postgresql() {
    for (sql, expected) in [
        (
            "select 1, 'x', null, 1.5, 3000000000",
            "?column? integer, ?column? text, ?column? text, ?column? numeric, ?column? bigint",
        ),
        ("select * from t", "a integer, b character varying(10), c numeric(10,2), d text"),
        (
            "select t.d, b as bee, a + 1, -a, c::int, upper(d), coalesce(b, 'x') from t",
            "d text, bee character varying(10), ?column? integer, ?column? integer, c integer, upper text, coalesce character varying",
        ),
        (
            "select case when true then 1 end, case a when 1 then 'x' else d end, exists (select 1), array[1, 2], (select a from t) from t",
            "case integer, d text, exists boolean, array integer[], a integer",
        ),
        (
            "select count(*), sum(a), avg(a), min(b), max(c) from t",
            "count bigint, sum bigint, avg numeric, min text, max numeric",
        ),
        (
            "select current_date, current_timestamp, current_user, now()::date",
            "current_date date, current_timestamp timestamp with time zone, current_user name, now date",
        ),
        (
            "select true, '1'::int, cast('2' as bigint), int8 '3'",
            "?column? boolean, int4 integer, int8 bigint, int8 bigint",
        ),
        ("values (1, 'x'), (2.5, null)", "column1 numeric, column2 text"),
        ("select 1 union select 2.5 union all select null", "?column? numeric"),
        ("select a from t union select e from u order by a", "a bigint"),
        (
            "select * from t join u using (a)",
            "a integer, b character varying(10), c numeric(10,2), d text, e bigint, f timestamp with time zone",
        ),
        (
            "select * from t natural left join u",
            "a integer, b character varying(10), c numeric(10,2), d text, e bigint, f timestamp with time zone",
        ),
        ("with x (n) as (select a from t) select n, x.* from x", "n integer, n integer"),
        ("select g, n from generate_series(1, 3) with ordinality as g (g, n)", "g integer, n bigint"),
        ("select generate_series(1, a) from t", "generate_series integer"),
        (
            "insert into t (a, d) values (1, 'x') returning *",
            "a integer, b character varying(10), c numeric(10,2), d text",
        ),
        ("update t set c = c * 2 returning a, c + 1", "a integer, ?column? numeric"),
        ("delete from u returning e", "e bigint"),
    ] {
        assert_eq!(signature(sql), expected, "{sql}");
    }
}

#[test]
fn parameters_get_their_types_from_where_they_stand() {
    for (sql, expected) in [
        ("select * from t where a = $1 and d like $2", "(integer, text)"),
        ("insert into t values ($1, $2, $3, $4)", "(integer, character varying, numeric, text)"),
        ("update t set c = $1 where b = $2", "(numeric, text)"),
        ("select $1", "(text)"),
        ("select $1 + 1, $2::date", "(integer, date)"),
        ("select * from t limit $1 offset $2", "(bigint, bigint)"),
        (
            "select * from t where a in ($1, $2) and c between $3 and $4",
            "(integer, integer, numeric, numeric)",
        ),
        ("select * from t where a = any ($1)", "(integer[])"),
        ("select 1 union select $1", "(integer)"),
        ("insert into t (a, d) select $1, $2", "(integer, text)"),
        ("select coalesce($1, a), case when $2 then $3 else 1.5 end from t", "(integer, boolean, numeric)"),
    ] {
        let found = signature(sql);
        let found = found
            .find('(')
            .filter(|_| found.ends_with(')'))
            .map(|_| found.rsplit_once(" (").map_or(found.as_str(), |(_, p)| p))
            .unwrap_or_default();
        assert_eq!(format!("({}", found.trim_start_matches('(')), expected, "{sql}");
    }
    assert_eq!(error("select $2"), "42P18 could not determine data type of parameter $1 @0");
    assert_eq!(
        error("select $1::int from t where d = $1"),
        "42883 operator does not exist: text = integer @31"
    );
}

#[test]
fn errors_are_postgresqls() {
    let mut wrong = Vec::new();
    for (sql, expected) in [
        ("select * from nope", "42P01 relation \"nope\" does not exist @15"),
        ("select x from t", "42703 column \"x\" does not exist @8"),
        ("select t.x from t", "42703 column t.x does not exist @8"),
        ("select z.a from t", "42P01 missing FROM-clause entry for table \"z\" @8"),
        ("select a from t, u", "42702 column reference \"a\" is ambiguous @8"),
        ("select 1 from t, t", "42712 table name \"t\" specified more than once @0"),
        (
            "select a, count(*) from t",
            "42803 column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function @8",
        ),
        ("select b from t where count(*) > 1", "42803 aggregate functions are not allowed in WHERE @23"),
        ("select sum(count(*)) from t", "42803 aggregate function calls cannot be nested @12"),
        ("select * from t where a", "42804 argument of WHERE must be type boolean, not type integer @23"),
        ("select * from t where d = 1", "42883 operator does not exist: text = integer @25"),
        ("select nope(1)", "42883 function nope(integer) does not exist @8"),
        ("select 1 order by 2", "42P10 ORDER BY position 2 is not in select list @19"),
        (
            "select distinct a from t order by b",
            "42P10 for SELECT DISTINCT, ORDER BY expressions must appear in select list @35",
        ),
        ("select 1 union select 1, 2", "42601 each UNION query must have the same number of columns @23"),
        ("select 1 union select 'x'", "22P02 invalid input syntax for type integer: \"x\" @23"),
        ("insert into t values (1, 2, 3, 4, 5)", "42601 INSERT has more expressions than target columns @35"),
        ("insert into t (a, b) values (1)", "42601 INSERT has more target columns than expressions @19"),
        ("insert into t (a, a) values (1, 2)", "42701 column \"a\" specified more than once @19"),
        ("insert into t (z) values (1)", "42703 column \"z\" of relation \"t\" does not exist @16"),
        (
            "insert into t (a) values (now())",
            "42804 column \"a\" is of type integer but expression is of type timestamp with time zone @27",
        ),
        (
            "insert into t values (1) on conflict (d) do nothing",
            "42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification @0",
        ),
        ("update t set a = 1, a = 2", "42601 multiple assignments to same column \"a\" @0"),
        ("create table t (a int)", "42P07 relation \"t\" already exists @0"),
        ("create table v (a int, a int)", "42701 column \"a\" specified more than once @0"),
        ("create table v (a nope)", "42704 type \"nope\" does not exist @19"),
        ("create table v (a int default 'x')", "22P02 invalid input syntax for type integer: \"x\" @31"),
        ("create table v (a int default b)", "0A000 cannot use column reference in DEFAULT expression @31"),
        ("create table v (a int, primary key (b))", "42703 column \"b\" named in key does not exist @24"),
        ("drop table nope", "42P01 table \"nope\" does not exist @0"),
        (
            "alter table t add primary key (b)",
            "42P16 multiple primary keys for table \"t\" are not allowed @0",
        ),
        ("select (select 1, 2)", "42601 subquery must return only one column @8"),
        ("select a from t where a in (select a, b from t)", "42601 subquery has too many columns @25"),
        ("select * from (select 1)", "42601 subquery in FROM must have an alias @15"),
        (
            "select case when true then 1 else now() end",
            "42804 CASE types timestamp with time zone and integer cannot be matched @28",
        ),
        (
            "select * from t for update of z",
            "42P01 relation \"z\" in FOR UPDATE clause not found in FROM clause @31",
        ),
        ("insert into pg_class values (1)", "42501 permission denied: \"pg_class\" is a system catalog @0"),
    ] {
        let found = error(sql);
        if found != expected {
            wrong.push(format!("{sql}\n  {found}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_table_without_primary_key_gets_a_hidden_one() {
    let catalog = sample();
    let u = catalog.table("public", "u").unwrap();
    assert_eq!(u.columns.last().unwrap().id, ROW_ID_COLUMN);
    assert_eq!(u.primary().unwrap().columns, [IndexColumn::ascending(ROW_ID_COLUMN)]);
    assert_eq!(u.secondary()[0].name, "u_e_key");
    assert!(u.primary_key().is_none());
    let visible: Vec<&Column> = u.visible().map(|(_, column)| column).collect();
    assert_eq!(visible.len(), 3);
}

#[test]
fn correlated_subqueries_read_slots_behind_the_parameters() {
    let catalog = sample();
    let bound = bound("select a, (select max(e) from u where u.a = t.a and e > $1) from t", &catalog);
    assert_eq!((bound.parameters.len(), bound.slots), (1, 2));
    let plan = format!("{:?}", bound.plan);
    assert!(plan.contains("Binding { slot: 1, value: Column { index: 0"), "{plan}");
}

#[test]
fn columns_that_depend_on_a_grouped_primary_key_need_no_aggregate() {
    signature("select t.d, t.b, count(*) from t left join u on u.a = t.a group by t.a order by t.d");
    assert!(error("select e, count(*) from u group by a").starts_with("42803"));
}

/// Statements that take long to bind, though some are short to write.
fn long_to_bind() -> Vec<String> {
    let list = |item: &dyn Fn(usize) -> String, between: &str, count: usize| {
        (0..count).map(item).collect::<Vec<_>>().join(between)
    };
    let doubled = |i: usize| match i.checked_sub(1) {
        None => "c0 as (select 1 x)".to_owned(),
        Some(before) => format!("c{i} as (select p.x from c{before} p, c{before} q)"),
    };
    let ranges = " between false and true)".repeat(13);
    vec![
        format!("select 1 from {}", list(&|i| format!("pg_class c{i}"), ", ", 900)),
        format!("select 1 from t {}", list(&|i| format!("natural join (select 1 a, 2 z) s{i}"), " ", 900)),
        format!("with {} select 1 from c12", list(&doubled, ", ", 13)),
        format!("select {}(1 between 0 and 1){ranges}", "(".repeat(13)),
        format!("select 1 where 1 in ({})", list(&|i| i.to_string(), ", ", 20_000)),
        format!("select array[{}]", list(&|i| i.to_string(), ", ", 20_000)),
        format!("values {}", list(&|i| format!("({i})"), ", ", 20_000)),
        list(&|_| format!("select {}", list(&|i| i.to_string(), ", ", 500)), " union all ", 30),
    ]
}

struct Cancelled;

impl expr::work::Interrupt for Cancelled {
    fn check(&self) -> expr::Result<()> {
        Err(expr::Error::new("57014", "canceling statement due to user request"))
    }
}

/// On the stack that sessions have.
fn on_a_large_stack(run: impl FnOnce() + Send + 'static) {
    let builder = std::thread::Builder::new().stack_size(crate::STACK_BYTES);
    builder.spawn(run).unwrap().join().unwrap();
}

#[test]
fn binding_asks_whether_the_statement_is_still_wanted() {
    on_a_large_stack(|| {
        let catalog = sample();
        for sql in long_to_bind() {
            let outcome = expr::work::under(Arc::new(Cancelled), || try_bind(&sql, &catalog));
            let state = outcome.err().map(|error| error.sqlstate);
            assert_eq!(state, Some("57014"), "{}", sql.chars().take(60).collect::<String>());
        }
    });
}

#[test]
fn what_is_printed_of_an_expression_has_an_end() {
    on_a_large_stack(|| {
        let made = |deep: usize| {
            let text = format!("'{}'", "x".repeat(100_000));
            let doubled =
                (0..deep).fold(text, |inner, _| format!("trim(({inner} between 'a' and 'b')::text)"));
            error(&format!("create domain long as text check ({doubled} <> value)"))
        };
        assert_eq!(made(2), "no error");
        assert!(made(12).starts_with("54001 the statement is too complex"), "{}", made(12));
    });
}

#[test]
fn what_is_short_to_bind_is_told_apart() {
    on_a_large_stack(|| {
        let catalog = sample();
        let settings = SessionSettings {
            search_path: &SearchPath::default(),
            context: &SessionContext::default(),
            row_security: true,
            as_of: None,
            tables_then: None,
        };
        let is_short = |sql: &str| {
            let statements = crate::parse::parse(sql).unwrap();
            bind_if_short(&statements[0], &catalog, &settings, Some(&[])).unwrap().is_some()
        };
        for sql in long_to_bind() {
            assert!(!is_short(&sql), "{}", sql.chars().take(60).collect::<String>());
            bound(&sql, &catalog);
        }
        assert!(is_short("select * from t join u using (a) where b like 'x%' order by f"));
        assert!(is_short(&format!("insert into t (a, d) values {}", ["(1, 'x')"; 200].join(", "))));
        assert!(is_short("select 1 from pg_class c join pg_attribute a on a.attrelid = c.oid"));
    });
}

#[test]
fn what_joins_merge_is_counted() {
    on_a_large_stack(merged_columns);
}

fn merged_columns() {
    let columns = (0..30).map(|i| format!("c{i} int")).collect::<Vec<_>>().join(", ");
    let catalog = catalog(&[&format!("create table w ({columns})")]);
    let joined = |times: usize| {
        let joins: Vec<_> = (0..times).map(|i| format!("natural full join w w{i}")).collect();
        format!("from w {}", joins.join(" "))
    };
    bound(&format!("select * {}", joined(20)), &catalog);
    let state = |sql: String| try_bind(&sql, &catalog).err().map(|error| error.sqlstate);
    assert_eq!(state(format!("select 1 {}", joined(400))), Some("54001"));
}

#[test]
fn a_query_of_with_is_found_by_its_innermost_name() {
    let catalog = sample();
    let with = "with a as (select 1 x), b as (with a as (select 'x'::text x) select * from a)";
    let types = |sql: &str| bound(sql, &catalog).columns.unwrap()[0].ty.kind;
    assert_eq!(types(&format!("{with} select x from b")), TypeKind::Text);
    assert_eq!(types(&format!("{with} select x from a")), TypeKind::Int4);
    let twice = try_bind("with a as (select 1), a as (select 2) select 1", &catalog);
    assert_eq!(twice.unwrap_err().sqlstate, "42712");
}

#[test]
fn windows_go_on_from_each_other_however_many_they_are() {
    let chain: String = (1..20_000).map(|n| format!(", w{n} as (w{})", n - 1)).collect();
    let window = format!("window w0 as (partition by a){chain}");
    bound(&format!("select sum(a) over w19999 from t {window}"), &sample());
    bound(&format!("select a from t {window}"), &sample());
}

#[test]
fn what_the_audit_log_tells_of_statements() {
    use crate::plan::audited::{Audited, command, objects};
    use audit::{Class, Classes};
    let catalog = sample();
    for (sql, class, name, reads, touched) in [
        ("select a from t", Class::Read, "SELECT", true, "public.t read"),
        ("select 1", Class::Read, "SELECT", true, ""),
        ("select a from t for update", Class::Read, "SELECT", true, "public.t read"),
        ("insert into u (a) values (1)", Class::Write, "INSERT", false, "public.u write"),
        ("insert into u (a) select a from t", Class::Write, "INSERT", true, "public.u write, public.t read"),
        ("delete from u where a = 1", Class::Write, "DELETE", true, "public.u read+write"),
        ("truncate u", Class::Write, "TRUNCATE TABLE", false, "public.u write"),
        ("copy u to stdout", Class::Read, "COPY", true, "public.u read"),
        ("copy u from stdin", Class::Write, "COPY", false, "public.u write"),
        ("explain delete from u", Class::Misc, "EXPLAIN", false, "public.u"),
        ("drop table u", Class::Ddl, "DROP TABLE", false, "public.u ddl"),
        ("create table n as select a from t", Class::Ddl, "CREATE TABLE AS", true, "public.t read, public.n"),
        ("set role ann", Class::Session, "SET ROLE", false, "ann"),
        ("begin", Class::Misc, "BEGIN", false, ""),
    ] {
        let bound = bound(sql, &catalog);
        let audited = Audited::of(&bound);
        let shown = objects(&bound)
            .into_iter()
            .map(|object| format!("{} {}", object.name, object.access.join("+")).trim_end().to_owned());
        assert_eq!((audited.class, command(&bound.plan)), (class, name), "{sql}");
        assert_eq!(audited.classes.contains(Class::Read), reads, "{sql}");
        assert_eq!(shown.collect::<Vec<_>>().join(", "), touched, "{sql}");
        assert!(!audited.always && !audited.by_table && audited.classes.meets(Classes::of(class)), "{sql}");
    }
    let always = ["grant select on t to ann", "create role ann password 'x'", "set nunatak.audit = 'read'"];
    for sql in always.into_iter().chain(["alter table t set (audit = 'read')"]) {
        assert!(Audited::of(&bound(sql, &catalog)).always, "{sql}");
    }
}

#[test]
fn which_statements_are_due() {
    use crate::plan::audited::{Audited, is_audited_in};
    use audit::{Class, Classes};
    let plain = catalog(&["create table t (a int primary key)", "create table u (a int primary key)"]);
    // By the session: its class, and READ of whatever reads.
    for (sql, due_for) in [
        ("select 1", "read"),
        ("select a from t", "read"),
        ("insert into t values (1)", "write"),
        ("insert into t select a from u", "read, write"),
        ("update t set a = 1 where a = 2", "read, write"),
        ("truncate t", "write"),
        ("create table n as select a from t", "read, ddl"),
        ("drop table t", "ddl"),
        ("alter table t owner to ann", "all"),
        ("grant select on t to ann", "all"),
        ("set role ann", "session"),
        ("set nunatak.audit = 'none'", "all"),
        ("set application_name = 'x'", "misc"),
        ("drop table t cascade", "all"),
        ("explain delete from t", "misc"),
        ("explain analyze delete from t where a = 1", "read, write"),
        ("fetch 1 from c", "read"),
        ("close c", "misc"),
        ("commit", "misc"),
    ] {
        let audited = Audited::of(&bound(sql, &plain));
        let wanted = Classes::parse(due_for, Classes::ALL).unwrap();
        for class in Class::ALL {
            assert_eq!(audited.is_due(Classes::of(class)), wanted.contains(class), "{sql} {class:?}");
        }
        assert_eq!(audited.is_due(Classes::NONE), audited.always, "{sql}");
    }
    // By a table: what is done to that table, whatever else the statement is. It may have come to be audited since.
    for audit in [Class::Read, Class::Write, Class::Ddl] {
        let of_t = format!("create table t (a int primary key) with (audit = '{}')", audit.word());
        let audited = catalog(&[&of_t, "create table u (a int primary key)"]);
        for (sql, does) in [
            ("select a from t", "read"),
            ("select a from t for update", "read"),
            ("select a from u", "none"),
            ("insert into t values (1)", "write"),
            ("insert into t select a from t", "read, write"),
            ("insert into u select a from t", "read"),
            ("with w as (delete from t where a = 1 returning a) select a from u", "read, write"),
            ("with w as (insert into t values (1)) select a from u", "write"),
            ("select (select max(a) from t) from u", "read"),
            ("delete from t where a = 1", "read, write"),
            ("truncate t", "write"),
            ("copy t to stdout", "read"),
            ("copy t from stdin", "write"),
            ("create index on t (a)", "ddl"),
            ("alter table t add b int", "ddl"),
            ("alter table t rename to s", "ddl"),
            ("comment on table t is 'x'", "ddl"),
            ("explain select a from t", "none"),
            ("explain analyze select a from t", "read"),
        ] {
            let is_due = Classes::parse(does, Classes::ALL).unwrap().contains(audit);
            assert_eq!(Audited::of(&bound(sql, &audited)).by_table, is_due, "{sql} {audit:?}");
            // The table has the same oid in both catalogs.
            let before = bound(sql, &plain);
            assert!(!is_audited_in(&before, &plain), "{sql}");
            assert_eq!(is_audited_in(&before, &audited), is_due, "{sql} {audit:?}");
        }
    }
}

#[test]
fn moments_have_types_and_places() {
    let sql = "select t.a, x.d from t, t for system_time as of $1 x, t for system_time as of $2::interval y";
    assert_eq!(signature(sql), "a integer, d text (timestamp with time zone, interval)");
    let of_all = signature("select * from u as of system time '-1h' where a = $1");
    assert_eq!(of_all, "a integer, e bigint, f timestamp with time zone (integer)");
    for (sql, expected) in [
        (
            "select 1 from t for system_time as of true",
            "42804 a moment of system time must not be of type boolean @39",
        ),
        ("select 1 from t for system_time as of a", "42703 column \"a\" does not exist @39"),
        ("select 1 from t for update of t", "no error"),
        (
            "select 1 from t for system_time as of 'now' for update",
            "0A000 FOR UPDATE of \"t\", which is read as it was, is not supported @0",
        ),
        (
            "select 1 from t as of system time 'now' union select 2",
            "0A000 AS OF SYSTEM TIME of a query within a statement is not supported @35",
        ),
        (
            "insert into u select 1 from t as of system time 'now'",
            "0A000 AS OF SYSTEM TIME of a query within a statement is not supported @49",
        ),
        (
            "select 1 from pg_class for system_time as of 'now'",
            "0A000 FOR SYSTEM_TIME can only be applied to tables and views @15",
        ),
    ] {
        assert_eq!(error(sql), expected, "{sql}");
    }
}

#[test]
fn what_has_changed_is_asked_by_other_statements() {
    let changed =
        "change text, before jsonb, after jsonb (timestamp with time zone, timestamp with time zone)";
    assert_eq!(signature("diff table t between $1 and $2"), changed);
    let of_row = "change text, system_time timestamp with time zone, system_timestamp numeric, system_txn numeric, content jsonb";
    assert_eq!(signature("show changes for row ($1) of t"), format!("{of_row} (integer)"));
    assert_eq!(signature("flashback table t to $1"), " (timestamp with time zone)");
    for (sql, expected) in [
        ("flashback table nosuch to 'now'", "42P01 relation \"nosuch\" does not exist @17"),
        ("flashback table t to", "42601 syntax error at end of input @21"),
        (
            "diff table t between true and 'now'",
            "42804 a moment of system time must not be of type boolean @0",
        ),
        ("show changes for row (1, 2, 3) of t", "42601 the primary key of \"t\" has 1 columns @22"),
        ("show changes for row () of t", "42601 syntax error at or near \")\" @23"),
    ] {
        assert_eq!(error(sql), expected, "{sql}");
    }
}

#[test]
fn backups_are_asked_for_in_whichever_order() {
    for sql in [
        "backup table t into 'file:///b' incremental as of '-1s' with (history)",
        "backup cluster into 'file:///b' as of system time '-1s' incremental",
        "show backups",
        "show backups in 'file:///b'",
    ] {
        assert_eq!(error(sql), "no error", "{sql}");
    }
    assert_eq!(
        error("backup table t into 'file:///b' incremental incremental"),
        "42601 syntax error at or near \"incremental\" @45"
    );
}

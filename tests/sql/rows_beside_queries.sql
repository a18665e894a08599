-- A row beside a query where no query may stand, and lists that are literals beside a varchar.
create table t (a int, b int, v varchar(5));
create index on t (((a, b) = (select 1, 2)));
create index on t (((a, b) < (select 1, 2)));
create table d (x bool default ((1, 2) = (select 1, 2)));
create view w as select v = any ('{a,b}') as a, a = any ('{1,2}') as d, v <> all ('{a}') as f, v like any ('{a%}') as g, 'x' = any ('{x}') as e from t;
select pg_get_viewdef('w'), pg_get_viewdef('w', true);
insert into t values (1, 2, 'a'), (3, 4, 'c'), (null, null, null);
select * from w order by a, d;
select a from t where v = any ('{a,c}') order by a;
select a from t where v > any ('{b}');
select v = any ('{a,NULL}') as n, v = any (null) as z, v = any ('{}') as e from t where a = 3;
select v = any ('a') from t;
select a = any ('{x}') from t;
select v + any ('{a}') from t;
create type mood as enum ('sad', 'happy');
create domain code as varchar(3);
create table e (m mood, c code, r int4range, j jsonb, n name, q char(2));
insert into e values ('sad', 'a', '[1,2)', '1', 'a', 'a');
select m = any ('{sad}') as m, c = any ('{a}') as c, r = any ('{"[1,2)"}') as r, r && any ('{"[1,2)"}') as o, j = any ('{1}') as j, n = any ('{a}') as n, q = any ('{a}') as q from e;
select m = any ('{angry}') from e;
-- No index keeps records that are of no type of their own.
create index on t ((row(a, b)));
create index on t (((a, b)));
create index on t ((case when a > 1 then row(a, b) end));
create index on t (a, (row(a, b)));
create index on t ((v is null), (row(a, b) is null));

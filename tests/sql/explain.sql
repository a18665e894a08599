-- Options of EXPLAIN, what is wrong with them, what can be explained. How statements are planned is each database's own business, but
-- for the plainest.
create table t (a int primary key, b int, c text);
insert into t select g, g % 3, 'x' from generate_series(1, 100) g;
explain (foo) select 1;
explain (foo) select * from missing;
explain (foo bar, costs maybe) select 1;
explain (costs off, generic_plan) select 1;
explain ("costs" off, "Costs" off) select 1;
explain (costs maybe) select 1;
explain (costs 2) select 1;
explain (costs -1) select 1;
explain (costs '1') select 1;
explain (analyse maybe) select 1;
explain (costs off, wal) select 1;
explain (wal, timing, costs off) select 1;
explain (costs off, timing) select 1;
explain (costs off, timing off, wal off, settings, buffers, verbose off, summary off) select 1;
explain (format) select 1;
explain (format foo) select 1;
explain (format 'JSON') select 1;
explain (format 1) select 1;
explain (costs off,) select 1;
explain () select 1;
explain (costs off) ;
explain (analyze select) select 1;
explain (select on) select 1;
explain verbose analyze select 1;
explain explain select 1;
explain (costs off) begin;
explain (costs off) truncate t;
explain (costs off) create index on t (b);
-- Booleans.
explain (analyze 1, costs false, timing 0, summary 'off') select 1;
explain (analyze on, costs OFF, timing 'Off', summary FALSE) select 1;
explain (analyse, costs +0, timing off, summary off) select 1;
explain (costs on, costs 'False') select 1;
-- What has been done.
explain (analyze, costs off, timing off, summary off) select * from t;
explain (analyze, costs off, timing off, summary off) select * from t where b = 1;
explain (analyze, costs off, timing off, summary off) select * from t where b = 7;
explain (analyze, costs off, timing off, summary off) select count(*) from t;
explain (costs off) (select * from t);
-- Documents.
explain (format json, costs off) select 1;
explain (format json, costs off) select * from t as "a ""b""\" where c = e'\\ " \n \t é';
explain (format json, analyze, costs off, timing off, summary off) select * from t where b = 1;
explain (format json, format text, costs off) select 1;
-- What is prepared.
prepare p (int) as select $1 + 1;
explain (costs off) execute p;
explain (costs off) execute p (1);
explain (costs off) execute p ('x');
explain (analyze, costs off, timing off, summary off) execute p (1);
explain (costs off) execute nothing;
explain (foo) execute nothing;
prepare change as delete from t where a = 100;
explain (costs off, format json) execute p (1);
-- Cursors, which are not made.
explain (costs off) declare c cursor for select * from t;
explain (analyze, costs off, timing off, summary off) declare c cursor for select * from t;
explain (costs off) declare c scroll cursor for select * from t for update;
fetch 1 from c;
-- What is made of a query is made if that is run.
explain (costs off) create table u as select * from t;
explain (costs off) create table u as select * from t with no data;
select count(*) from u;
explain (analyze, costs off, timing off, summary off) create table u as select * from t where b = 1;
select count(*) from u;
explain (costs off) create table u as select 1;
explain (costs off) create table if not exists u as select 1;
explain (costs off, format json) create table if not exists u as select 1;
explain (costs off) select 1 into v;
explain (analyze, costs off, timing off, summary off) select b into v from t;
select count(*) from v;
explain (costs off) create materialized view m as select * from t;
explain (costs off) refresh materialized view m;
explain (analyze, costs off, timing off, summary off) create materialized view m as select * from t where b = 2;
select count(*) from m;
explain (costs off) refresh materialized view m;
explain (costs off, format json) refresh materialized view m;
-- Rights are those of the statement, and a transaction that only reads explains what it may not run.
begin transaction read only;
explain (costs off, analyze) delete from t;
rollback;
begin transaction read only;
explain (costs off) create table w as select 1;
rollback;
create role reader;
grant usage on schema public to reader;
set role reader;
explain (costs off) select * from t;
explain (costs off) update t set b = 1;
explain (costs off, analyze, timing off, summary off) create table w as select 1;
explain (costs off) create table w as select 1;
reset role;
revoke usage on schema public from reader;
drop role reader;

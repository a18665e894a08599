-- Queries of WITH: once computed, once for all that name them.
create table t (a int primary key, b int, c text);
insert into t select n, n % 3, 'c' || n from generate_series(1, 20) as n;

with w as (select a, b from t) select * from w where a = 1;
with w as (select a, b from t where a < 6) select x.a, y.a from w as x join w as y on x.a = y.b order by x.a, y.a;
with w as (select random() as r) select count(*) from w as x join w as y on x.r = y.r;
with w as materialized (select random() as r from t) select count(*) from w as x join w as y on x.r = y.r;
with w as not materialized (select a from t) select x.a from w as x, w as y where x.a = 1 and y.a = 2;
with w as (select b, count(*) as n from t group by b) select * from w where n = (select max(n) from w) order by b;
with w as (select b, count(*) as n from t group by b) select b, (select count(*) from w as v where v.n <= w.n) from w order by b;
with v as (select a from t where b = 1), w as (select v.a from v join v as u using (a)) select count(*) from w as x, w as y;
select a, (with w as (select s.a from t as s where s.b = t.b) select count(*) from w as x, w as y) from t where a < 4 order by a;
select a, (with w as (select s.a from t as s where s.b = 1) select count(*) from w as x, w as y where x.a < t.a) from t where a < 4 order by a;
with w as (select a from t union all select a from t) select (select count(*) from w), (select sum(a) from w where a > 5), exists (select 1 from w where a = 30);
with w as (select 1 / (a - 3) as q, a from t) select a from w as x where exists (select 1 from w as y where y.a = x.a) limit 0;
with w (n, m) as (values (1, 2), (3, 4)) select * from w union select m, n from w order by 1;
prepare p as with w as (select a from t where a > $1) select count(*), (select max(a) from w) from w;
execute p(5);
execute p(15);
insert into t with w as (select a + 100 as a from t where b = 0) select x.a, 0, 'x' from w as x where x.a in (select a from w);
select count(*) from t;
with w as (select a from t where b = 0) delete from t where a in (select a from w) and a > (select min(a) from w);
select count(*) from t;

-- A query of WITH is computed once where it is named more than once, or does more than read; else it is part of the query
-- that names it.
create table t (a int primary key, b int, c text);
create index t_b on t (b);

explain (costs off) with w as (select a, b from t) select * from w where a = 1;
explain (costs off) with w as (select a, b from t) select * from w as x join w as y on x.a = y.b where x.a = 1;
explain (costs off) with w as materialized (select a, b from t) select * from w where a = 1;
explain (costs off) with w as not materialized (select a, b from t) select * from w as x, w as y where x.a = 1 and y.a = 2;
explain (costs off) with w as (select random() as r) select * from w where r > 0.5;
explain (costs off) with w as (select a from t where b = 1 for update) select * from w limit 1;
explain (costs off) with w as (select b, count(*) as n from t group by b) select * from w where n = (select max(n) from w);
explain (costs off) select a, (with w as (select b from t as s where s.a = t.b) select count(*) from w as x, w as y) from t where a = 1;
explain (costs off) with v as (select a from t), w as (select a from v) select * from w as x, w as y where x.a = y.a;
create table jobs (id int primary key, state text, prio int);
create index jobs_prio on jobs (state, prio);
explain (costs off) update jobs set state = 'done' where id in (select id from jobs where state = 'new' order by prio limit 2 for update skip locked) returning id;
explain (costs off) delete from jobs where id in (select id from jobs where state = 'new' order by prio limit 2 for update skip locked);
explain (costs off) with w as (select id from jobs where state = 'new' order by prio limit 2 for update skip locked) update jobs set state = 'x' from w where w.id = jobs.id;
explain (costs off) delete from jobs where id = any (array(select id from jobs where state = 'new' order by prio limit 2 for update skip locked));
explain (costs off) with w as (select id from jobs order by id for update skip locked) select * from w limit 1;
drop table jobs;

-- Views with WITH, as the catalog shows them.
create table t (a int primary key, b text, c date, h varchar(10), f boolean);
create table u (a int, d numeric, "Odd Name" text);
create table w (a int, x int[], ts timestamptz, j jsonb);
create view w1 as with q as (select a from t) select * from q;
create view w2 as with q(x, y) as (select a, b from t), r as (select x from q) select r.x, q.y from r join q on q.x = r.x;
create view w3 as with q as materialized (select a from t), r as not materialized (select a from u) select q.a from q, r;
create view w4 as with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select i from n;
create view w5 as with recursive q as (select a, 0 as d from t where a = 1 union select u.a, q.d + 1 from u join q on u.a = q.a + 1) select * from q order by d;
create view w6 as with recursive q as (select a from t union all select u.a from u join q on u.a = q.a + 1) search depth first by a set s select a from q order by s;
create view w7 as with recursive q as (select a from t union all select u.a from u join q on u.a = q.a + 1) search breadth first by a set s select a from q order by s;
create view w10 as with q as (select a from t) select u.a from u where a in (select a from q);
create view w11 as select s.a from (with q as (select a from t) select a from q where a > 1) s;
create view w12 as with q as (select a from t), q2 as (with q3 as (select a from q) select a from q3) select z.a from q2 z;
create view w13 as with q as (values (1, 'a'), (2, 'b')) select column1, column2 from q;
create view w14 as with t as (select a from u) select a from t;
create view w15 as with q as (select a, count(*) as n from t group by a) select x.n, y.n as m from q x, q y where x.a = y.a;
select relname, pg_get_viewdef(oid) from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace order by length(relname), relname;
select relname, pg_get_viewdef(oid, true) from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace order by length(relname), relname;

-- Subqueries and joins over data with NULLs and duplicates: however they are planned, the answers are these.
create table t (a int primary key, b int, c text, n numeric);
create table u (x int, y int, z numeric);
create table v (k bigint, w text);
create table e (x int, y int);
create index u_x on u (x);
insert into t values (1, 10, 'one', 1.0), (2, 20, 'two', 2.00), (3, null, 'three', 3), (4, 20, null, null), (5, 50, 'five', 1.000), (6, 10, 'six', 2.5);
insert into u values (1, 1, 1.00), (1, 2, 2), (2, 5, 7.5), (2, null, 1), (null, 3, 4), (4, 4, null), (9, 9, 9), (1, 2, 2);
insert into v values (1, 'one'), (2, 'zwei'), (3, null), (null, 'null'), (10, 'ten');

-- EXISTS and NOT EXISTS.
select a from t where exists (select 1 from u where u.x = t.a) order by a;
select a from t where not exists (select 1 from u where u.x = t.a) order by a;
select a from t where exists (select * from u where u.x = t.a and u.y > t.a) order by a;
select a from t where not exists (select * from u where u.x = t.a and u.y > t.a) order by a;
select a from t where exists (select 1 from u where u.x = t.a and t.b = 20) order by a;
select a from t where not exists (select 1 from u where u.x = t.a and t.b = 20) order by a;
select a from t where not exists (select 1 from u where u.x = t.b) order by a;
select a from t where exists (select 1 from u where u.x = t.a limit 1) order by a;
select a from t where exists (select 1 from u where u.x = t.a limit 0) order by a;
select a from t where exists (select 1 from u where u.x = t.a offset 1) order by a;
select a from t where exists (select distinct y from u where u.x = t.a order by y) order by a;
select a from t where exists (select count(*) from u where u.x = t.a) order by a;
select a from t where exists (select y from u where u.x = t.a group by y having count(*) > 1) order by a;
select a from t where exists (select 1 from u where u.x = t.a union all select 1 from v where v.k = t.a) order by a;
select a from t where exists (select 1 from u) order by a;
select a from t where not exists (select 1 from e) order by a;
select a from t where exists (select 1 from u left join v on v.k = u.y where u.x = t.a and v.w is null) order by a;
select a from t where exists (select 1 from u left join v on v.k = u.y and v.w = t.c where u.x = t.a and v.w is null) order by a;
select a from t where exists (select 1 from u join v on v.k = u.y where u.x = t.a and v.w = t.c) order by a;
select a from t where exists (select 1 from u where u.x = t.a and exists (select 1 from v where v.k = u.y)) order by a;
select a from t where exists (select 1 from u where u.x = t.a and exists (select 1 from v where v.k = u.y and v.k = t.a)) order by a;
select a from t where exists (select 1 from u where u.x = t.a and not exists (select 1 from v where v.k = u.y)) order by a;
select a from t where exists (select 1 from u where u.x = t.a) and not exists (select 1 from v where v.k = t.a) order by a;
select a from t where exists (select 1 from u where u.x = t.a) or exists (select 1 from v where v.k = t.a) order by a;
select a, exists (select 1 from u where u.x = t.a) as is_there from t order by a;
select a from t where (exists (select 1 from u where u.x = t.a)) = (b = 10) order by a;

-- IN and NOT IN, NULLs on both sides.
select a from t where a in (select x from u) order by a;
select a from t where a not in (select x from u) order by a;
select a from t where a not in (select x from u where x is not null) order by a;
select a from t where b in (select y * 10 from u) order by a;
select a from t where b not in (select y * 10 from u where y is not null) order by a;
select a from t where a in (select k from v) order by a;
select a from t where n in (select z from u) order by a;
select a from t where (a, b) in (select x, y * 10 from u) order by a;
select a from t where a in (select x from u where u.y > t.a) order by a;
select a from t where a in (select x from u where u.y = t.b / 10) order by a;
select a from t where a in (select distinct x from u order by x desc limit 2) order by a;
select a from t where a in (select y from u where u.x = t.a order by y limit 1) order by a;
select a from t where a in (select x from u group by x having sum(y) > 3) order by a;
select a from t where a in (select x from u union select k from v) order by a;
select a from t where a in (select x from u intersect select k from v) order by a;
select a from t where a in (select x from e) order by a;
select a from t where a not in (select x from e) order by a;
select a from t where not (a in (select x from u where x is not null)) order by a;
select a from t where a = any (select x from u where u.z = t.n) order by a;
select a from t where a > all (select x from u where u.y = t.a) order by a;
select a from t where a in (select x from u) and b in (select y * 10 from u) order by a;
select count(*) from t, u where t.a = u.x and t.a in (select k from v) and u.y in (select k from v);
select a, a in (select x from u) as there, b in (select y * 10 from u) as b_there from t order by a;

-- Aggregates of the rows that belong to an outer one.
select a, (select count(*) from u where u.x = t.a) as n, (select sum(y) from u where u.x = t.a) as s from t order by a;
select a, (select coalesce(sum(y), -1) from u where u.x = t.a) as s, (select count(y) + 1 from u where u.x = t.a) as n from t order by a;
select a, (select max(z) from u where u.x = t.a and u.y = t.a) as m from t order by a;
select a, (select count(*) from u where u.x = t.a and u.y > t.a) as n from t order by a;
select a, (select count(*) filter (where y > 1) from u where t.a = x) as n from t order by a;
select a, (select sum(y) from u where u.x = t.a having count(*) > 1) as s from t order by a;
select a, (select sum(y) + t.a from u where u.x = t.a) as s from t order by a;
select a, (select sum(y + t.b) from u where u.x = t.a) as s from t order by a;
select a from t where (select count(*) from u where u.x = t.a) = 0 order by a;
select a from t where b > (select avg(y) from u where u.x = t.a) order by a;
select a from t where n < (select 2 * avg(z) from u where u.x = t.a) order by a;
select a, (select min(z) from u where u.z = t.n) as m from t order by a;
select a, (select count(*) from v where v.k = t.a) as n from t order by a;
select a, (select sum(10 / (y - 9)) from u where u.x = t.a) as s from t order by a;
select a, (select string_agg(w, ',' order by w) from v where v.k = t.a) as s from t order by a;
select a, (select array_agg(y order by y) from u where u.x = t.a) as ys from t order by a;
select x, (select count(*) from t where t.a = u.x and t.b > (select min(y) from u i where i.x = t.a)) as n from u order by x, y;
select a, (select y from u where u.x = t.a and u.y = 4) as y from t order by a;
select a, (select y from u where u.x = t.a) as y from t order by a;
select sum((select count(*) from u where u.x = t.a)) as n from t;
select b, count(*), (select count(*) from u where u.x * 10 = t.b) as n from t group by b order by b;

-- Outer joins, and what rejects their NULLs.
select t.a, u.y from t left join u on u.x = t.a where u.y > 1 order by t.a, u.y;
select t.a, u.y from t left join u on u.x = t.a where u.y is null order by t.a;
select t.a, u.y from t left join u on u.x = t.a where u.y > 1 or u.y is null order by t.a, u.y;
select t.a, u.y from t left join u on u.x = t.a where coalesce(u.y, 0) < 2 order by t.a, u.y;
select t.a, u.y from t right join u on u.x = t.a where t.b > 10 order by t.a, u.y;
select t.a, u.y from t full join u on u.x = t.a where t.b > 10 order by t.a, u.y;
select t.a, u.y from t full join u on u.x = t.a where u.y > 3 order by t.a, u.y;
select t.a, u.y from t full join u on u.x = t.a where t.a < u.y order by t.a, u.y;
select t.a, u.y, v.w from t left join u on u.x = t.a left join v on v.k = u.y where v.w <> 'x' order by t.a, u.y;
select t.a, s.n from t left join (select x, count(*) n from u group by x) s on s.x = t.a order by t.a;
select t.a, s.n from t left join (select x, 7 as n from u) s on s.x = t.a where s.n = 7 order by t.a;
select t.a, l.y from t left join lateral (select y from u where u.x = t.a order by y limit 1) l on true order by t.a;
select t.a, l.n from t, lateral (select count(*) n from u where u.x = t.a) l where l.n > 0 order by t.a;

-- Joins in any order of FROM.
select t.a, u.y, v.w from v, u, t where t.a = u.x and u.y = v.k order by t.a, u.y, v.w;
select t.a, u.y, v.w from t, v, u where t.a = u.x and u.y = v.k and t.b > 5 and v.w <> 'ten' order by t.a, u.y;
select count(*) from t, u, v;
select count(*) from t, u, v where t.a = u.x and v.k > 1;
select count(*) from t p, t q, t r where p.b = q.b and q.b = r.b;
select * from (select a from t) p natural join (select x as a, y from u) q order by a, y;
select t.a, u.x from t, u where (t.a = u.x and u.y = 1) or (t.a = u.x and u.y = 5) order by t.a;
select t.a, u.x from t, u where (t.a = u.x and u.y = 1) or (t.a = u.x) order by t.a, u.y;
select t.a, u.x from t, u where (t.a = u.x and t.b = 10) or (u.x = t.a and t.b = 20) order by t.a, u.y;
select t.a from t where (t.b = 10 and t.c = 'one') or (t.b = 10 and t.c = 'six') order by t.a;
select t.a, s.x from t cross join (values (1), (2)) s (x) where t.a = s.x + 1 order by t.a;
with c as (select x, y from u where y > 1) select p.x, q.y from c p, c q where p.x = q.x order by p.x, p.y, q.y;

-- Errors of rows that are not asked for.
select 1 / (x - x) as e from e;
select case when a > 100 then 1 / (a - a) end as e from t where a < 3;

-- Writing through them.
update t set b = (select sum(y) from u where u.x = t.a) where exists (select 1 from u where u.x = t.a);
select a, b from t order by a;
update t set b = s.n from (select x, count(*)::int n from u group by x) s where s.x = t.a;
select a, b from t order by a;
delete from t where not exists (select 1 from u where u.x = t.a) returning a;
delete from t where a in (select k from v where w is not null) returning a;
select a, b from t order by a;

-- What each rule of the optimiser does, and where it has to leave a plan as it is.
create table t (a int primary key, b int, c text, d int);
create table u (a int, b int, c text, primary key (a, b));
create table v (x int primary key, y int);
create index t_b on t (b);
create unique index t_c_d on t (c, d);

-- A condition on the whole key is a point.
explain (costs off) select * from t where a = 1;
explain (costs off) select * from t where a in (3, 1, 2);
explain (costs off) select * from u where a = 1 and b = 2;
-- Part of the key, or a bound, is a span; the rest filters.
explain (costs off) select * from u where a = 1;
explain (costs off) select * from u where a = 1 and b > 2 and b <= 9;
explain (costs off) select * from u where b = 2;
explain (costs off) select * from t where a between 2 and 5 and d = 3;
explain (costs off) select * from t where a > 2 and a < 5 and a > 3;
-- A secondary index is taken where it leaves less of the table.
explain (costs off) select * from t where b = 1;
explain (costs off) select * from t where c = 'x' and d = 1;
explain (costs off) select * from t where c = 'x';
explain (costs off) select * from t where b = 1 and a = 2;
explain (costs off) select * from t where b > 1;
-- Comparisons with an expression of other rows, or under OR, give no span.
explain (costs off) select * from t where a = d;
explain (costs off) select * from t where a = 1 or d = 2;
explain (costs off) select * from t where a + 0 = 1;
-- Contradictions and NULL read nothing.
explain (costs off) select * from t where a = null;
-- Conditions move into both sides of an inner join, and only to the left of a left join.
explain (costs off) select * from t join v on t.a = v.x where t.b = 1 and v.y = 2;
explain (costs off) select * from t left join v on t.a = v.x where t.b = 1 and v.y = 2;
explain (costs off) select * from t left join v on t.a = v.x and v.y = 2 and t.d = 1;
explain (costs off) select * from t, v where t.d = v.y and t.c = 'x' and t.d > v.x;
explain (costs off) select * from t, v where t.d > v.y;
-- A small left side looks the right side up.
explain (costs off) select * from t join v on v.x = t.d where t.a = 1;
explain (costs off) select * from t left join v on v.x = t.d where t.a in (1, 2);
explain (costs off) select * from v join u on u.a = v.y where v.x = 1;
-- Conditions move through subqueries and groups, not through LIMIT or aggregates.
explain (costs off) select * from (select a, b from t) s where s.a = 1;
explain (costs off) select * from (select a, b from t limit 5) s where s.a = 1;
explain (costs off) select * from (select b, count(*) n from t group by b) s where s.n > 1;
explain (costs off) select b, count(*) from t group by b having b = 1;
-- The order of an index saves a sort, forward and backward.
explain (costs off) select * from t order by a;
explain (costs off) select * from t order by a desc limit 3;
explain (costs off) select * from u where a = 1 order by b;
explain (costs off) select * from u order by a desc, b desc;
explain (costs off) select * from u order by a, b desc;
explain (costs off) select * from t order by c, d limit 1;
-- DISTINCT, set operations, subqueries.
explain (costs off) select distinct b from t;
explain (costs off) select a from t where b = 1 union all select x from v where x = 2;
explain (costs off) select a from t union select x from v;
explain (costs off) select a, (select y from v where v.x = t.d) from t where a = 1;
explain (costs off) select * from t where exists (select 1 from v where v.x = t.d);
explain (costs off) select * from t where a in (select x from v where y = 1);
-- Writes read like queries, and lock what they find.
explain (costs off) update t set d = d + 1 where a = 1;
explain (costs off) update t set d = 0 where b = 1;
explain (costs off) delete from u where a = 1;
explain (costs off) delete from t where a in (select x from v);
explain (costs off) select * from t where a = 1 for update;
explain (costs off) insert into v select a, b from t where b = 3;

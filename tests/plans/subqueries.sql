-- Subqueries that become joins, and those that do not.
create table t (a int primary key, b int, c text, d int);
create table u (a int, b int, c text, primary key (a, b));
create table v (x int primary key, y int);

-- EXISTS, NOT EXISTS, IN.
explain (costs off) select * from t where exists (select 1 from v where v.x = t.d);
explain (costs off) select * from t where not exists (select 1 from v where v.x = t.d and v.y > t.b);
explain (costs off) select * from t where d in (select y from v where x > 1);
explain (costs off) select * from t where a in (select v.x from u join v on v.y = u.b where u.c = t.c);
-- Few rows look theirs up.
explain (costs off) select * from t where a = 1 and exists (select 1 from v where v.x = t.d);
-- Nothing can be hashed, NULLs count, the answer is read: these run for each row, or once.
explain (costs off) select * from t where exists (select 1 from v where v.x > t.d);
explain (costs off) select * from t where d not in (select y from v);
explain (costs off) select * from t where exists (select 1 from v where v.x = t.d) or b = 1;
explain (costs off) select * from t where exists (select 1 from v);
explain (costs off) select * from t where d in (select y from v where v.x = t.a order by y limit 1);
-- A semi join is met where it leaves the most out.
explain (costs off) select * from t, u where t.d = u.a and exists (select 1 from v where v.y = t.b and v.x < 10) and u.c = 'x';
-- Aggregates of the rows that belong to an outer one.
explain (costs off) select a, (select count(*) from u where u.b = t.d) from t;
explain (costs off) select a from t where b > (select max(y) from v where v.y = t.d);
explain (costs off) select a, (select max(b) from u where u.a = t.d) from t where t.a = 1;
explain (costs off) select a, (select sum(1 / b) from u where u.b = t.d) from t;
-- What nobody reads is not computed.
explain (costs off) select count(*) from (select a, (select y from v where v.x = t.d) y from t) s;

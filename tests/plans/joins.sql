-- Which columns are read, in which order tables are joined, and which side is kept. Nothing is known of these tables, so
-- all are of the same size: conditions alone tell them apart.
create table t (a int primary key, b int, c text, d int);
create table u (a int, b int, c text, primary key (a, b));
create table v (x int primary key, y int);
create index t_b on t (b);

-- What FROM's order would make a product of is joined by what connects it.
explain (costs off) select * from t, v, u where t.a = u.a and u.b = v.x;
explain (costs off) select t.a from v, u, t where v.x = t.d and t.b = u.a and u.c = 'x';
explain (costs off) select * from t, u, v;
-- The side of which a condition leaves less is kept.
explain (costs off) select t.a, v.y from t join v on v.y = t.d where t.b = 1;
explain (costs off) select t.a, v.y from t join v on v.y = t.d where v.x = 1;
-- Few rows are looked up in an index, wherever they stand.
explain (costs off) select * from v, t where t.a = v.y and v.x = 1;
explain (costs off) select * from t, v where t.a = v.y and v.x = 1;
-- An outer join is one only as long as its NULLs may survive.
explain (costs off) select * from t left join v on v.x = t.d where v.y = 1;
explain (costs off) select * from t left join v on v.x = t.d where v.y is null;
explain (costs off) select * from t full join v on v.x = t.d where t.b > 1;
-- An equality in every arm of an OR is a key to hash.
explain (costs off) select * from t, v where (t.d = v.x and t.b = 1) or (v.y = 2 and t.d = v.x);
-- Constants are computed once.
explain (costs off) select * from t where a = 1 + 2 * 3;
explain (costs off) select * from t where c = 'x' || 'y' and d = 1 / 0;
-- Rows are locked in the order of FROM.
explain (costs off) select * from t, v where t.d = v.x and v.y = 1 for update;

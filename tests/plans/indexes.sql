-- What an index finds and delivers beside equalities and ranges. Nothing is known of the tables' sizes.
create table t (a int primary key, b int, c text, d int not null);
create table u (a int, b int, c varchar(9), d int, primary key (a, b));
create table parent (id int primary key, name text not null);
create table child (id int primary key, parent int not null, at timestamp not null);
create index t_b on t (b);
create index t_d_b on t (d, b);
create index t_c on t (c);
create index u_c on u (c desc);
create index u_d on u (d nulls first);
create index child_parent on child (parent, at desc);
create index parent_name on parent (name);

-- Elements of an array, NULL, and what begins with a text are spans.
explain (costs off) select * from t where a = any (array[3, 1, 2]);
explain (costs off) select * from t where b = any ('{1,2}'::int[]) and d = 1;
explain (costs off) select * from t where d = 1 and b = any (array[1, 2]);
explain (costs off) select * from t where b is null;
explain (costs off) select * from t where d = 1 and b is null;
explain (costs off) select * from t where c like 'ab%';
explain (costs off) select * from t where c like 'a_c%';
explain (costs off) select * from t where c like 'abc';
explain (costs off) select * from t where c like '%a';
explain (costs off) select * from t where c like '';
explain (costs off) select * from u where c like 'x%';
explain (costs off) select * from t where b is not null;
explain (costs off) select * from t where a <> all (array[1, 2]);
-- So are orders of rows.
explain (costs off) select * from u where (a, b) > (1, 2);
explain (costs off) select * from u where (a, b) <= (1, 2) and a > 0;
explain (costs off) select * from u where (a, d) > (1, 2);
explain (costs off) select * from u where a = 1 and (b, c) > (1, 'x');
explain (costs off) select * from t where (d, b) < (1, 2) and c = 'x';
-- An index saves a sort where a limit asks for few rows, or where it is read anyway.
explain (costs off) select * from t order by b limit 10;
explain (costs off) select * from t order by b desc limit 10;
explain (costs off) select * from t order by b nulls first limit 10;
explain (costs off) select * from t order by b desc nulls last limit 10;
explain (costs off) select * from t order by b;
explain (costs off) select * from t order by b limit 100000;
explain (costs off) select * from t where b is not null order by b desc nulls last limit 1;
explain (costs off) select * from t where b > 3 order by b desc limit 5;
explain (costs off) select * from t where d = 1 order by b limit 5;
explain (costs off) select * from t where d = 1 order by b;
explain (costs off) select * from t where d = 1 order by d, b, a limit 5;
explain (costs off) select * from t where d in (1, 2) order by b limit 5;
explain (costs off) select * from t where c = 'x' order by b limit 5;
explain (costs off) select * from t where c = 'x' order by a limit 5;
explain (costs off) select * from u order by a, b, c limit 5;
explain (costs off) select * from u order by a, c limit 5;
explain (costs off) select * from u order by d nulls first, a, b limit 5;
explain (costs off) select * from u where (a, b) > (1, 2) order by a, b limit 10;
-- A queue locks what it takes.
explain (costs off) select * from t where d = 1 order by b limit 1 for update skip locked;
explain (costs off) select * from t where c = 'x' order by a limit 1 for update skip locked;
-- The first and the last of an index are extremes.
explain (costs off) select min(b) from t;
explain (costs off) select max(b), min(b), max(a) from t;
explain (costs off) select max(b) from t where d = 1;
explain (costs off) select max(b) from t where c = 'x';
explain (costs off) select max(d) from u where c = 'x';
explain (costs off) select max(c) from t where d > 1;
explain (costs off) select max(b), count(*) from t;
explain (costs off) select d, max(b) from t group by d;
explain (costs off) select p.id, (select max(at) from child where parent = p.id) from parent p where p.id = 1;
-- Left rows are looked up in their order as far as they are asked for.
explain (costs off) select * from child c join parent p on p.id = c.parent order by c.id limit 10;
explain (costs off) select * from child c join parent p on p.id = c.parent where p.name = 'x' order by c.id limit 10;
explain (costs off) select * from child c left join parent p on p.id = c.parent order by c.id desc limit 10;
explain (costs off) select * from parent p join child c on p.id = c.parent limit 10;
explain (costs off) select * from parent p join child c on p.id = c.parent where p.name = 'x';
explain (costs off) select * from parent p where exists (select 1 from child c where c.parent = p.id and c.at > now()) limit 3;
-- An answer that does not depend on the row, and few values of a subquery, lead to rows, and so do the few rows of another
-- table: no other rows are read, or locked.
explain (costs off) select * from t where a = (select max(id) from parent);
explain (costs off) select * from t where c = 'x' and b = (select id from parent where name = 'x');
explain (costs off) select * from t where a = (select max(id) from parent) + 1;
explain (costs off) select * from t where a > (select max(id) from parent);
explain (costs off) select * from t where a in (select id from parent where name = 'x' limit 3);
explain (costs off) select * from t where (d, b) in (select id, id from parent where name = 'x' limit 3);
explain (costs off) update t set b = 1 where a = (select a from t where d = 1 order by b limit 1 for update skip locked) returning a;
explain (costs off) delete from t where a in (select a from t where d = 1 order by b limit 5 for update skip locked);
explain (costs off) update t set b = p.id from parent p where t.a = p.id and p.id < 3 and p.name = 'x';
explain (costs off) update t set b = p.id from parent p where t.a = p.id and p.id = 3;
explain (costs off) delete from t using parent p where t.d = p.id and p.id in (1, 2) and t.c = p.name;

-- A row compared with the row that a query answers.
create table t (a int, b int, c text);
insert into t values (1, 2, 'x'), (2, 3, 'y'), (3, null, 'z');
select (1, 2) = (select 1, 2), (1, 2) <> (select 1, 3), (1, 2) < (select 1, 3), (2, 1) >= (select 1, 3);
select a from t where (a, b) = (select u.a, u.b from t u where u.c = 'y');
select a from t where (a, b) <> (select u.a, u.b from t u where u.c = 'y') order by a;
select a from t where (a, b) > (select u.a, u.b from t u where u.c = 'x') order by a;
select a, (a, c) = (select u.a, u.c from t u where u.b = t.b) as same from t order by a;
-- Of no row each part is NULL; of two there is no one.
select (1, 2) = (select 1, 2 where false), (1, 2) <> (select 1, 2 where false);
select (1, 2) = (select a, b from t);
select (1, null) = (select 1, 2), (1, null) = (select 2, 2);
-- As many columns as the row has entries, of types that can be compared.
select (1, 2) = (select 1);
select (1, 2) = (select 1, 2, 3);
select (1, 2) = (select 1, 'x'::text);
select (1, '2') = (select 1, 2);
select row(1) = (select 1);
update t set c = 'w' where (a, b) = (select max(a), 3 from t where b is not null) returning a, b, c;
delete from t where (a, c) = (select 1, 'x') returning a;
select case when (a, c) = (select 2, 'w') then 1 else 0 end from t order by a;
create view v as select a from t where (a, c) = (select 2, 'w');
select * from v;

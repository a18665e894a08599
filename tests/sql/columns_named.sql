-- What an expression names hangs on it, whether the answer does or not.
create type pair as (x int, y text);
create table t (a int, b text, c text, check ((row(a, b)::pair).x > 0), d int generated always as ((row(a, c)::pair).x + 1) stored);
create index t_i on t (((row(a, b)::pair).x));
create index t_j on t (a) where (row(a, b)::pair).x > 0;
select conname, conkey from pg_constraint where conrelid = 't'::regclass order by 1;
alter table t drop column c;
alter table t rename column b to bb;
select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass order by 1;
insert into t values (1, 'x', 'y');
alter table t drop column bb;
select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass order by 1;
select indexname from pg_indexes where tablename = 't' order by 1;
insert into t values (0, 'z');
select * from t order by a;

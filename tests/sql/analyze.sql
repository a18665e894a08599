-- What ANALYZE finds in tables that it reads whole
create table a (id int primary key, d int, t text, n int, b bool, f float8, x text, v varchar(10), m numeric, day date);
insert into a select g, case when g % 4 = 0 then null else g % 10 end, 'v' || (g % 3), g * g % 1000, g % 5 = 0, g / 2.0, null,
  case when g % 2 = 0 then 'even' else 'w' || g end, null, '2020-01-01'::date + (g % 7) from generate_series(1, 1000) g;
select reltuples from pg_class where relname = 'a';
select count(*) from pg_stats where tablename = 'a';
analyze a;
select reltuples from pg_class where relname = 'a';
select attname, inherited, null_frac, avg_width, n_distinct, correlation from pg_stats where tablename = 'a' order by attname;
select attname, most_common_vals, most_common_freqs from pg_stats where tablename = 'a' and attname <> 'n' order by attname;
select attname, histogram_bounds from pg_stats where tablename = 'a' and attname in ('f', 'v', 'day') order by attname;
select schemaname, most_common_vals, histogram_bounds from pg_stats where tablename = 'a' and attname = 'n';
select most_common_elems, most_common_elem_freqs, elem_count_histogram from pg_stats where tablename = 'a' and attname = 't';

-- Columns
create table c (one int, two int);
insert into c values (1, 1), (1, 2), (2, 3), (null, 4);
analyze c (two);
select attname, n_distinct from pg_stats where tablename = 'c' order by 1;
analyze c (one, two), a (id);
select attname, null_frac, n_distinct, most_common_vals, most_common_freqs, histogram_bounds, correlation from pg_stats where tablename = 'c' order by 1;
insert into c select 5, g from generate_series(1, 16) g;
vacuum (analyze) c;
select reltuples from pg_class where relname = 'c';
select attname, null_frac, n_distinct, most_common_vals, most_common_freqs from pg_stats where tablename = 'c' order by 1;
analyze c (one, one);
analyze c (three);
analyze nothing;
vacuum nothing;
vacuum c (one);

-- What is nobody's to look at
create view a_view as select id from a;
analyze a_view;
vacuum a_view;
create role an_reader;
grant select (one) on c to an_reader;
grant usage on schema public to public;
set role an_reader;
analyze c;
vacuum c;
vacuum (analyze) c;
analyze a_view;
select tablename, attname from pg_stats where tablename in ('a', 'c');
reset role;

-- In a block
begin;
analyze c;
commit;
begin;
vacuum c;
rollback;
begin read only;
analyze c;
commit;
create table empty (a int, t text);
analyze empty;
select reltuples from pg_class where relname = 'empty';
select count(*) from pg_stats where tablename = 'empty';
drop view a_view;
drop table a, c, empty;
drop role an_reader;

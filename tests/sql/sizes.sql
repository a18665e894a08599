-- What tables and indexes take. How much that is differs; what holds of it does not.
create table s (a int primary key, b text, c text);
create index s_b on s (b);
create table e (a int primary key);
insert into s select g, md5(g::text), md5((-g)::text) from generate_series(1, 5000) g;
select pg_relation_size('s') between 100000 and 2000000, pg_table_size('s') >= pg_relation_size('s'), pg_relation_size('s', 'main') = pg_relation_size('s');
select pg_relation_size('s_b') > 50000, pg_indexes_size('s') >= pg_relation_size('s_b'), pg_indexes_size('s_b');
select pg_total_relation_size('s') = pg_table_size('s') + pg_indexes_size('s');
select pg_relation_size('e'), pg_table_size('e'), pg_relation_size('s') > pg_relation_size('e');
select pg_database_size(current_database()) > pg_total_relation_size('s'), pg_size_pretty(pg_database_size(current_database())) ~ '^[0-9]+ (kB|MB)$';
select pg_database_size(oid) = pg_database_size(datname) from pg_database where datname = current_database();
select pg_relation_size(424242::oid::regclass), pg_table_size(424242), pg_indexes_size(424242), pg_total_relation_size(424242);
select pg_relation_size('s', 'nosuch');
select pg_database_size('nosuch');
select pg_database_size(424242::oid);
select pg_tablespace_size('pg_default') > 50000, pg_tablespace_size('nosuch');
select relname, pg_table_size(oid) > 50000 from pg_class where relname in ('s', 'e', 's_b') order by 1;
begin;
create table n (a int primary key);
select pg_table_size('n') < 20000;
rollback;
drop table s, e;
select n, pg_size_pretty(n), pg_size_pretty(-n), pg_size_pretty(n::numeric), pg_size_pretty(n + 0.5) from (values (0::bigint), (10239), (10240), (1000000), (10485247), (10485248), (15728640), (10736893952), (1000000000000), (9223372036854775807)) v(n);
select pg_size_pretty(12345678901234567890123::numeric), pg_size_pretty('NaN'::numeric), pg_size_pretty(sum(n)) from (values (1::bigint), (20480)) v(n);
select pg_size_pretty(1000);
-- No table is partitioned.
select * from pg_partition_ancestors('pg_class');
select * from pg_partition_tree('pg_class');
select pg_partition_root('pg_class'), pg_partition_root(null), pg_trigger_depth();

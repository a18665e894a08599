-- What ADD COLUMN gave the rows that were there, they had had before: a new primary key does not change that.
create table t (a int not null, b int not null);
insert into t values (1, 10), (2, 20);
select set_config('h.first', clock_timestamp()::text, false) is not null as kept, pg_sleep(0.02);
alter table t add column c text default 'new', add column d int;
alter table t add primary key (a);
select * from t for system_time as of current_setting('h.first') order by b;
alter table t drop constraint t_pkey, add primary key (b), add column e int not null default 7;
select * from t for system_time as of current_setting('h.first') order by b;
update t set c = null where a = 1;
select * from t order by a;
select a, c from t for system_time as of current_setting('h.first') where c = 'new' order by a;
alter table t alter column e type text;
select * from t order by a;
select a, c, e from t for system_time as of current_setting('h.first') order by a;

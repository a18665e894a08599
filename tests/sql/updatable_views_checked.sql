-- WITH CHECK OPTION: what is written through a view is a row of it.
create table t (a int primary key, b text default 'base', c int default 7);
create view positive as select a, b from t where a > 0 with check option;
insert into positive values (1, 'one');
insert into positive values (-1, 'minus one');
insert into positive values (2, 'two'), (-2, 'minus two');
insert into positive values (null, 'none');
insert into positive (b) values ('none');
update positive set a = -a;
update positive set a = -1 where a = 1;
update positive set a = 10 where a = 1 returning *;
insert into positive values (10, 'again') on conflict (a) do update set a = -10;
insert into positive values (10, 'again') on conflict (a) do update set b = excluded.b returning *;
insert into positive values (10, 'again') on conflict do nothing;
insert into positive values (-10, 'again') on conflict do nothing;
insert into positive values (10, 'duplicate first');
insert into positive select -9, 'nine';
delete from positive where a = 10;
select * from t order by a;

-- NULL is not true.
create view small as select * from t where c < 100 with local check option;
insert into small values (1, 'x', null);
insert into small (a) values (1) returning *;
update small set c = null;
update small set c = 100;
update small set c = 99 returning *;
delete from small;

-- Where there is no WHERE, there is nothing to check.
create view unchecked as select * from t with check option;
insert into unchecked values (-5) returning *;
delete from unchecked;

-- Of views below: all of CASCADED, of LOCAL those that say so themselves.
create view base_none as select * from t where a > 0;
create view base_local as select * from t where a > 0 with local check option;
create view base_cascaded as select * from t where a > 0 with cascaded check option;
create view none_over_none as select * from base_none where c < 10;
create view none_over_local as select * from base_local where c < 10;
create view local_over_none as select * from base_none where c < 10 with local check option;
create view local_over_local as select * from base_local where c < 10 with local check option;
create view cascaded_over_none as select * from base_none where c < 10 with cascaded check option;
create view cascaded_without as select * from base_none with cascaded check option;
create view none_over_cascaded as select * from cascaded_over_none where b > 'a';
create view local_over_cascaded_without as select * from cascaded_without where c < 10 with local check option;
insert into none_over_none values (-1, 'b', 20) returning *;
insert into none_over_local values (-1, 'b', 20);
insert into none_over_local values (1, 'b', 20) returning *;
insert into local_over_none values (2, 'b', 20);
insert into local_over_none values (-2, 'b', 5) returning *;
insert into local_over_local values (3, 'b', 20);
insert into local_over_local values (-3, 'b', 5);
insert into local_over_local values (-3, 'b', 20);
insert into local_over_local values (3, 'b', 5) returning *;
insert into cascaded_over_none values (4, 'b', 20);
insert into cascaded_over_none values (-4, 'b', 5);
insert into cascaded_over_none values (4, 'b', 5) returning *;
insert into cascaded_without values (-5, 'b', 5);
insert into none_over_cascaded values (6, 'a', 5) returning *;
insert into none_over_cascaded values (-6, 'b', 5);
insert into local_over_cascaded_without values (-7, 'b', 5);
insert into local_over_cascaded_without values (7, 'b', 50);
update none_over_local set a = -3 where a = 3;
update local_over_none set a = -3 where a = 3 returning *;
update cascaded_over_none set a = -4 where a = 4;
update none_over_cascaded set c = 50 where a = 4;
delete from cascaded_over_none where a = 4;
select * from t order by a;
delete from t;

-- The condition may ask queries, of the table itself, too.
create table allowed (a int);
insert into allowed values (1), (2);
create view asked as select * from t where a in (select a from allowed) with check option;
insert into asked values (1);
insert into asked values (3);
update asked set a = 2 where a = 1 returning *;
update asked set a = 3 where a = 2;
insert into asked values (2) on conflict (a) do update set a = 3;
insert into asked select a + 1 from allowed where a = 2;
create view alone as select * from t where not exists (select from t other where other.c = t.c and other.a < t.a) with check option;
insert into alone values (5, 'x', 70);
insert into alone values (6, 'x', 70);
insert into alone values (6, 'x', 71);
delete from t;

-- As an option.
create view as_option with (check_option = local) as select * from t where a > 0;
insert into as_option values (-1);
alter view as_option reset (check_option);
insert into as_option values (-1);
alter view as_option set (check_option = cascaded);
insert into as_option values (-2);
create or replace view as_option as select * from t where a > 0;
insert into as_option values (-2);
create or replace view as_option as select * from t where a > 0 with local check option;
insert into as_option values (-3);
alter view as_option set (check_option = 'local');
alter view as_option set (check_option = some);
alter view as_option set (check_option);
alter view as_option set (check_option = local, check_option = local);
alter view as_option set (security_barrier = perhaps);
alter view as_option set (nothing = 1);
alter view as_option reset (nothing);
create view twice with (check_option = local) as select * from t with local check option;
create view wrong with (check_option = all) as select * from t;
select relname, reloptions from pg_class where relname in ('positive', 'small', 'as_option', 'base_none', 'base_cascaded') order by 1;
select table_name, check_option, is_updatable from information_schema.views where table_schema = 'public' and table_name not like '%over%' order by 1;
select pg_get_viewdef('positive');

-- Of what it cannot be said.
create view v_distinct as select distinct a from t with check option;
create view v_group as select a from t group by a with check option;
create view v_with as with x as (select 1) select a from t with check option;
create view v_limit as select a from t limit 1 with check option;
create view v_union as select a from t union select a from allowed with check option;
create view v_count as select count(*) as n from t with check option;
create view v_window as select rank() over (order by a) as n from t with check option;
create view v_sets as select generate_series(1, a) as n from t with check option;
create view v_join as select t.a from t join allowed using (a) with check option;
create view v_values as values (1) with check option;
create view v_computed as select a + 1 as b from t with check option;
create view v_of_distinct as select distinct a from t;
create view v_over_distinct as select a from v_of_distinct with check option;
insert into v_over_distinct values (1);
alter view v_of_distinct set (check_option = local);
alter view v_of_distinct set (security_barrier);

-- Defaults of a view's columns.
create view filled (number, text, other) as select a, b, c from t;
alter view filled alter column text set default 'of the view';
alter view filled alter other set default 1 + 1;
insert into filled (number) values (100) returning *;
insert into filled values (101, default, default) returning *;
insert into filled values (102, null), (103, default) returning *;
insert into filled (number, text) select 104, 'given' returning *;
insert into t (a) values (105) returning *;
update filled set text = default, other = default where number = 102 returning *;
alter view filled alter column text drop default;
insert into filled (number) values (106) returning *;
update filled set text = default where number = 106 returning *;
alter view filled alter column nothing set default 1;
alter view filled alter column text set default a;
alter view filled alter column other set default 'x';
alter view filled alter column other set default (select 1);
alter view if exists nothing alter column other set default 1;
alter table filled alter column text set default 'by table';
create view over_filled as select number, text from filled;
insert into over_filled values (107) returning *;
alter view over_filled alter text set default 'above';
insert into over_filled values (108) returning *;
insert into over_filled (number, text) values (109, default) returning *;
create view plus as select a, a + 1 as next from t;
alter view plus alter next set default 5;
insert into plus (a) values (110);
update plus set a = 111 where a = 110;
create or replace view filled (number, text, other, more) as select a, b, c, a from t;
insert into filled (number) values (112) returning *;
select column_name, column_default from information_schema.columns where table_name = 'filled' order by ordinal_position;
select adnum, pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'filled'::regclass order by 1;
create sequence numbers;
alter view filled alter other set default nextval('numbers');
insert into filled (number) values (113) returning *;
drop sequence numbers;
drop sequence numbers cascade;
insert into filled (number) values (114) returning *;
delete from t where a >= 100;

-- Where rows are refused all the same.
copy positive from stdin;
copy small (a) from stdin;

-- Rows are changed through views that make a row of each row of one table.
create table item (id int primary key, name text default 'unnamed', price numeric(8, 2) not null default 1, tag text unique, gone boolean default false);
insert into item values (1, 'nail', 0.10, 'n', false), (2, 'screw', 0.25, 's', false), (3, 'bolt', 1.50, 'b', true);

-- All columns, in order.
create view all_items as select * from item;
insert into all_items values (4, 'nut', 0.75, 'u', false);
update all_items set price = price * 2 where id = 4;
select * from all_items where id = 4;
delete from all_items where id = 4;
select count(*) from item;

-- Renamed, reordered, some, and computed ones.
create view priced (cost, called, number, twice, name_length) as select price, name, id, price * 2, length(name) from item where not gone;
insert into priced (number, called, cost) values (5, 'washer', 0.05);
insert into priced values (0.20, 'rivet', 6);
insert into priced values (0.20, 'rivet', 7, 1);
insert into priced values (0.20, 'rivet', 7, 1, 1);
insert into priced values (0.20, 'rivet', 7, 1, 1, 1);
insert into priced (number, twice) values (7, 1);
insert into priced (number, id) values (7, 1);
insert into priced (number, number) values (7, 1);
insert into priced (number) values (7, 8);
insert into priced (number, called) values (7);
insert into priced default values;
insert into priced (number) values (7), (8);
insert into priced (number, called) values (9, default), (10, 'ten');
insert into priced (number, called) select id + 100, upper(name) from item where id < 3;
select * from priced order by number;
select * from item order by id;
update priced set cost = cost + 1 where number = 5;
update priced set cost = 9 where number = 3;
update priced set (cost, called) = (3, 'three') where number = 7;
update priced set (cost, called) = (select 4.5, 'four') where number = 8;
update priced set twice = 1;
update priced set name_length = 1 where number = 1;
update priced set price = 1;
update priced set cost = 1, cost = 2;
update priced set cost = 'x';
update priced set cost = true;
update priced set called = default where number = 8 returning *;
delete from priced where number = 3;
delete from priced where twice > 8.9 returning number, twice;
delete from priced where number > 100;
select * from item order by id;

-- The names of the view, not the table's.
update priced set cost = 1 where id = 1;
update priced as p set cost = p.cost + 1 where p.number = 1 returning p.cost, p.twice, p.name_length;
update priced set cost = 1 where priced.number = 1 returning priced.*;
delete from priced p where p.gone;
insert into priced as p (number, called) values (20, 'twenty') returning p.number, p.twice, p.*;
insert into priced (number, called) values (21, 'twenty-one') returning number + 1 as next, called || '!', (select count(*) from priced q where q.number <= priced.number);

-- UPDATE FROM and DELETE USING.
create table change (number int, factor int);
insert into change values (1, 10), (2, 100), (3, 1000);
update priced set cost = cost * factor from change where change.number = priced.number;
with u as (update priced p set called = p.called || c.factor from change c where c.number = p.number and c.factor < 1000 returning p.number, p.called, c.factor) select * from u order by 1;
delete from priced using change where change.number = priced.number and factor = 100 returning priced.number, factor;
update change set factor = cost from priced where priced.number = change.number;
select * from change order by number;
with gone as (delete from priced where number in (20, 21) returning number) select * from gone order by 1;
select * from item order by id;

-- ON CONFLICT: what the view hides may be changed all the same.
insert into priced (number, called) values (1, 'again');
insert into priced (number, called) values (1, 'again') on conflict do nothing;
insert into priced (number, called) values (1, 'again') on conflict (number) do nothing;
insert into priced (number, called) values (1, 'again') on conflict (id) do nothing;
insert into priced (number, called, cost) values (1, 'again', 3) on conflict (number) do update set called = excluded.called || priced.called, cost = excluded.twice returning *;
insert into priced as p (number, called) values (1, 'more') on conflict (number) do update set called = p.called || excluded.name_length where p.cost > 100 returning *;
insert into priced (number, called) values (1, 'more') on conflict (number) do update set twice = 1;
insert into priced (number, called) values (1, 'more') on conflict (number) do update set name = 'x';
insert into priced (number, called) values (3, 'hidden') on conflict (number) do update set called = excluded.called || priced.called returning *;
insert into priced (number, called) values (1, 'more') on conflict (called) do nothing;
insert into priced (number, called) values (1, 'more') on conflict (twice) do nothing;
insert into priced (number, called) values (1, 'more') on conflict on constraint item_pkey do nothing;
insert into priced (number) values (50), (50) on conflict (number) do update set called = 'twice';
select * from item where id in (1, 3, 50) order by id;

-- One column by two names.
create view doubled as select id as a, id as b, name as c from item;
insert into doubled (a, c) values (30, 'a');
insert into doubled (b, c) values (31, 'b');
insert into doubled (a, b) values (32, 33);
insert into doubled values (32, 33);
insert into doubled values (32) returning *;
update doubled set a = 34, b = 35 where a = 30;
update doubled set b = 34 where a = 30 returning *;
delete from doubled where b in (31, 32, 34);

-- Views over views.
create view dear as select number, called as label, cost as worth from priced where cost > 2;
create view dearest (what, n, w) as select label, number, worth from dear where worth > 4;
insert into dearest (n, what, w) values (40, 'forty', 5);
insert into dearest (n, what, w) values (41, 'cheap', 1);
select * from dearest order by n;
update dearest set w = w + 1;
update dearest set what = 'cheap no more' where n = 41;
update dearest set w = 3 where n = 40 returning *;
delete from dearest where n = 40;
delete from dear where number = 40 returning *;
create view computed_below as select twice as t, number from priced;
insert into computed_below values (1, 60);
update computed_below set t = 1;
update computed_below set number = 42 where number = 41 returning *;
create view only_computed as select t from computed_below;
update only_computed set t = 1;
insert into only_computed values (1);
delete from only_computed where t = 2;
select * from item where id > 30 order by id;

-- Through which nothing is changed.
create view v_distinct as select distinct id, name from item;
create view v_group as select id from item group by id;
create view v_having as select 1 as one from item having count(*) > 0;
create view v_union as select id from item union all select number from change;
create view v_with as with x as (select 1) select id from item;
create view v_limit as select id from item limit 3;
create view v_offset as select id from item order by id offset 1;
create view v_count as select count(*) from item;
create view v_sum as select sum(price) as total from item;
create view v_window as select id, row_number() over (order by id) as place from item;
create view v_sets as select id, generate_series(1, 2) as g from item;
create view v_join as select i.id, c.factor from item i join change c on c.number = i.id;
create view v_two as select i.id, c.factor from item i, change c;
create view v_subquery as select id from (select id from item) s;
create view v_values as values (1, 2);
create view v_none as select 1 as one;
create view v_function as select n from generate_series(1, 3) n;
create view v_sample as select id from item tablesample bernoulli (100);
create view v_constant as select 1 as one, 'x' as x from item;
create view v_no_columns as select from item;
create materialized view m as select id from item;
create view v_materialised as select * from m;
create sequence seq;
create view v_sequence as select last_value from seq;
insert into v_distinct values (1, 'x');
update v_distinct set name = 'x';
delete from v_distinct;
update v_distinct set nothing = 'x';
insert into v_group values (1);
update v_having set one = 1;
delete from v_union;
insert into v_with values (1);
update v_limit set id = 1;
delete from v_offset;
insert into v_count values (1);
delete from v_sum;
update v_window set id = 1;
delete from v_sets;
insert into v_join values (1, 1);
update v_two set id = 1;
delete from v_subquery;
insert into v_values values (1, 2);
delete from v_none;
delete from v_function;
update v_sample set id = 1;
insert into v_constant values (1);
update v_constant set one = 1;
insert into v_no_columns default values;
update v_materialised set id = 1;
delete from v_sequence;
create view over_distinct as select id from v_distinct;
update over_distinct set id = 1;
delete from over_distinct;
insert into over_distinct values (1);
merge into priced using change on change.number = priced.number when matched then delete;
truncate priced;
begin;
declare c cursor for select * from item;
delete from priced where current of c;
rollback;
begin;
declare c cursor for select * from item;
update priced set cost = 1 where current of c;
rollback;

-- WHERE may ask queries, ORDER BY and FOR UPDATE make no difference.
create view wanted as select id, name from item i where exists (select from change c where c.number = i.id) order by name;
update wanted set name = 'wanted' where id = 1 returning *;
update wanted set name = 'wanted' where id = 7;
delete from wanted where id = 3 returning id;
insert into wanted values (70, 'not wanted') returning *;
create view locked as select id, name from item for update;
update locked set name = 'locked' where id = 70;
delete from locked where id = 70;

-- A parenthesised query is one like any other.
create view between_parentheses as (select id, name from item);
update between_parentheses set name = 'x' where id = 5 returning *;

-- Prepared statements follow the view.
create view following as select id, name from item where id < 100;
prepare renaming as update following set name = $1 where id = $2 returning *;
execute renaming ('first', 5);
execute renaming ('second', 5);
execute renaming ('third', 5);
create or replace view following as select id, name from item where id < 5;
execute renaming ('fourth', 5);
create or replace view following as select distinct id, name from item;
execute renaming ('fifth', 5);
deallocate renaming;

-- What the table demands.
insert into priced (number, cost) values (80, null);
update priced set cost = null where number = 5;
alter table item add constraint cheap check (price < 1000);
update priced set cost = 1000 where number = 5;
create table part (item int references item, n int generated always as identity, twice int generated always as (item * 2) stored);
create view parts as select item as i, n as number, twice as double from part;
insert into parts (i) values (1);
insert into parts (i) values (1000);
insert into parts (i, number) values (1, 5);
insert into parts (i, number) overriding system value values (1, 5);
insert into parts (i, number) overriding user value values (1, 6) returning *;
insert into parts (i, number) values (1, default) returning *;
insert into parts (i, double) values (1, 5);
insert into parts (i, double) values (1, default) returning *;
update parts set number = 7 where number = 5;
update parts set number = default where number = 5;
update parts set double = default where number = 5;
update parts set i = 5 where number = 5 returning *;
delete from item where id = 5;
select * from part order by n;

-- What becomes of the table is the view's too.
alter table item rename column name to title;
alter table item rename to article;
insert into priced (number, called) values (90, 'renamed') returning *;
update priced set called = 'again' where number = 90 returning *;
alter table article add column more int default 3;
insert into all_items (id) values (91) returning *;
select * from article where id = 91;
alter view priced rename column called to named;
update priced set named = 'named' where number = 90 returning named;
update priced set called = 'named';
delete from dear where number = 90;
alter table article rename to item;
alter table item rename column title to name;

-- Elements and fields.
create table nested (id int primary key, a int[], j jsonb);
create view nests as select j as doc, id as i, a as list from nested;
insert into nests values ('{"a": 1}', 1, '{1,2,3}');
update nests set list[2] = 20, doc['b'] = '2' where i = 1 returning *;
update nests set list[1] = 10, list[3] = 30 where list[2] = 20 returning list;

-- What the catalog says.
select table_name, is_updatable, is_insertable_into, check_option from information_schema.views where table_schema = 'public' order by 1;
select table_name, column_name, is_updatable from information_schema.columns where table_schema = 'public' and table_name in ('priced', 'item', 'dear', 'computed_below', 'v_distinct', 'parts', 'v_constant') order by 1, ordinal_position;
select table_name, table_type, is_insertable_into from information_schema.tables where table_schema = 'public' order by 1;
select c.relname, pg_relation_is_updatable(c.oid, false), pg_relation_is_updatable(c.oid, true) from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm', 'S') order by 1;
select a.attname, pg_column_is_updatable('priced', a.attnum, false) from pg_attribute a where attrelid = 'priced'::regclass order by attnum;
select pg_relation_is_updatable(0, false), pg_column_is_updatable('item', 1::int2, true), pg_column_is_updatable('item', (-1)::int2, true);

-- A view has no columns of the system's; those of its table take no values.
select tableoid from all_items;
update all_items set price = 2 where id = 1 returning tableoid;
create view with_oid as select id, tableoid = 'item'::regclass as own, tableoid as t from item;
update with_oid set t = 1;
update with_oid set own = true;
insert into with_oid (id) values (200) returning id, own;
delete from with_oid where id = 200 and own;

-- Indexes on a table of more than a megabyte, which are built beside all other statements.

create table big (id int primary key, a int, b text, c numeric(10, 2), d date, filler text);

insert into big select g, g % 1000, case when g % 3 = 0 then null else 'b' || g % 700 end, g / 4.0, date '2020-01-01' + g, repeat('x', 100) from generate_series(1, 20000) g;

create index big_a on big (a);

select count(*), sum(id) from big where a = 7;

create index big_b on big (b desc nulls last, a);

select id, a, b from big where b = 'b11' and a < 100 order by a, id;

create index big_lower on big (lower(b)) where a > 500;

select count(*) from big where lower(b) = 'b601' and a > 500;

update big set c = 0.25 where id = 20000;

create unique index big_c on big (c);

select count(*) from pg_class where relname = 'big_c';

update big set c = 5000 where id = 20000;

create unique index big_c on big (c);

insert into big values (20001, 1, 'b1', 0.25);

insert into big values (20001, 1, 'b1', null, null), (20002, 1, 'b1', null, null);

select id, c from big where c is null order by id;

create unique index big_nulls on big (c) nulls not distinct;

delete from big where id = 20002;

create unique index big_nulls on big (c) nulls not distinct;

insert into big values (20003, 1, 'b1', null);

create unique index big_some on big ((a + 1)) where id < 1000;

insert into big values (-1, 6, 'x', -1, null);

alter table big add constraint big_key unique (id, d);

alter table big add constraint big_no_key unique (b, a, id), add constraint big_other unique (c, b);

insert into big values (20005, 1, 'y', 0.25, null) on conflict on constraint big_other do nothing;

insert into big values (7, 1, 'y', 20000, null) on conflict (id) do update set b = 'again' returning id, b, c;

reindex index big_a;

reindex table big;

select count(*), sum(id) from big where a = 7;

select indexrelid::regclass::text, indisunique, indisvalid from pg_index where indrelid = 'big'::regclass order by 1;

select conname, contype, convalidated from pg_constraint where conrelid = 'big'::regclass order by 1;

alter table big alter a type bigint;

select count(*), sum(id) from big where a = 7;

begin isolation level serializable;

create index big_later on big (d, a);

select count(*) from big where d = date '2020-02-29' and a < 500;

rollback;

update big set a = a + 2000 where id % 2 = 0 and id > 1000;

delete from big where id % 5 = 0;

select count(*), sum(id) from big where a = 2008;

create index if not exists big_a on big (id);

create index big_a on big (id);

drop table big;

-- What is volatile is computed once the rows stand in order, and for those alone that are asked for.
create sequence numbers;
create table words (w text, n int);
insert into words select 'w' || lpad((i * 7 % 20)::text, 2, '0'), i from generate_series(1, 20) i;
select nextval('numbers'), w from words order by w limit 3;
select currval('numbers');
select nextval('numbers') as place, n, w from words order by w desc limit 2 offset 1;
select currval('numbers');
select nextval('numbers') + n as sum, n from words where n < 4 order by n desc;
select nextval('numbers') as v, n from words where n < 4 order by v desc;
select nextval('numbers'), count(*) from words group by n % 3 order by n % 3 desc;
create table placed (place bigint, w text);
insert into placed select nextval('numbers'), w from words where n < 5 order by w;
select place - min(place) over () as place, w from placed order by w;
select nextval('numbers') is not null as yes, row_number() over (order by w) as r from words order by r desc limit 2;
-- Functions that make rows, in the list and in GROUP BY.
create table tagged (id int, tags text[]);
insert into tagged values (1, '{a,b}'), (2, '{b,c}'), (3, '{}'), (4, null), (5, '{a,a}');
select unnest(tags) as tag, count(*) from tagged group by unnest(tags) order by 1;
select unnest(tags), count(*), min(id) from tagged group by unnest(tags) order by unnest(tags) desc;
select upper(unnest(tags)), sum(id) from tagged group by upper(unnest(tags)) order by 1;
select unnest(tags) || '!', count(*) from tagged group by unnest(tags) order by 1;
select count(*) from tagged group by unnest(tags) order by 1;
select id, unnest('{1,1,3}'::int[]) as u, count(*) from tagged where id < 3 group by id, unnest('{1,1,3}'::int[]) order by 1, 2;
select id, generate_series(1, 2) as g, count(*) from tagged where id < 3 group by rollup (id, generate_series(1, 2)) order by 1, 2;
select unnest(tags) as tag, count(*) from tagged group by tag, unnest(tags) order by 1;
select unnest(tags), id from tagged group by unnest(tags);
select generate_series(1, 2), generate_series(1, 3), count(*) from tagged where id = 1 group by generate_series(1, 2), generate_series(1, 3) order by 1, 2;

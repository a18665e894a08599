-- Partners of rows that are looked up by their keys, many at once.
create table owner (id int primary key, name text, since date);
create table pet (owner int, number int, name text, primary key (owner, number));
insert into owner select n, 'owner ' || n, date '2020-01-01' + n from generate_series(1, 2000) n where n % 7 <> 0;
insert into pet select n, m, 'pet ' || n || '.' || m from generate_series(1, 500) n, generate_series(1, 3) m;

select v.id, o.name from (values (3), (7), (null), (3), (1999), (5000)) v (id) join owner o on o.id = v.id order by 1;
select v.id, o.name from (values (3), (7), (null), (3), (1999), (5000)) v (id) left join owner o on o.id = v.id order by 1, 2;
select v.id from (values (3), (7), (null), (3), (1999), (5000)) v (id) where exists (select from owner o where o.id = v.id) order by 1;
select v.id from (values (3), (7), (null), (3), (1999), (5000)) v (id) where not exists (select from owner o where o.id = v.id) order by 1;
-- What else is asked of the partner may depend on the row that leads to it.
select v.id, o.name from (values (3, 'owner 3'), (4, 'owner 3'), (5, 'owner 5')) v (id, name) left join owner o on o.id = v.id and o.name = v.name order by 1;
select v.id, o.name from (values (3, 2), (4, 9), (5, 5)) v (id, least) left join owner o on o.id = v.id and o.id > v.least order by 1;
select v.a, v.b, p.name from (values (1, 1), (1, 3), (2, null), (2, 4), (499, 2)) v (a, b) left join pet p on p.owner = v.a and p.number = v.b order by 1, 2;
select v.a, p.name from (values (1), (2), (9999)) v (a) left join pet p on p.owner = v.a and p.number = 2 order by 1;
-- A key of another width; one that no key can be.
select v.id, o.name from (values (3::bigint), (5000000000)) v (id) left join owner o on o.id = v.id order by 1;
select v.id, o.name from (values (3::smallint), (7)) v (id) left join owner o on o.id = v.id order by 1;
-- More rows than one request takes, some of them twice.
select count(*), count(o.id), sum(o.id), min(o.name) from (select n % 2100 as id from generate_series(1, 5000) n limit 5000) v left join owner o on o.id = v.id;
select count(*), sum(p.number) from (select n from generate_series(1, 1000) n limit 200) v join pet p on p.owner = v.n and p.number = v.n % 3 + 1;
select o.id, p.name, q.name from (values (3), (5), (8)) v (id) join owner o on o.id = v.id join pet p on p.owner = o.id and p.number = 1 left join pet q on q.owner = p.owner + 1 and q.number = p.number + 1 order by 1;
-- A LIMIT asks for no more rows: an error of a row that nobody asks for is none.
select v.id, o.name from (values (3), (4), (0)) v (id) join owner o on o.id = 12 / v.id order by v.id desc limit 2;
select o.name from (select 3 - n as d from generate_series(0, 3) n limit 4) v join owner o on o.id = 12 / v.d limit 3;
select o.name from (select 3 - n as d from generate_series(0, 3) n limit 4) v join owner o on o.id = 12 / v.d;
-- What a transaction has written itself is found.
begin;
delete from owner where id = 3;
update owner set name = 'changed' where id = 4;
insert into owner values (7, 'new');
select v.id, o.name from (values (3), (4), (7)) v (id) left join owner o on o.id = v.id order by 1;
rollback;
-- In a subquery for each row of another.
select w.a, (select string_agg(o.name, ', ' order by o.id) from (values (w.a), (w.a + 1)) v (id) join owner o on o.id = v.id) from (values (3), (6), (1999), (3000)) w (a) order by 1;

-- An array that a subquery makes.
select count(*) from owner where id = any (array(select n * 10 from generate_series(1, 100) n));
select id from owner where id = any (array(select n from (values (3), (null), (3), (4)) v (n))) order by 1;
select id from owner where id < 5 and not id = any (array(select n from (values (3), (4)) v (n))) order by 1;
select id from owner where id < 5 and not id = any (array(select n from (values (3), (null)) v (n))) order by 1;
select id from owner where id = any (array(select n from generate_series(1, 0) n));
select id from owner where id = any (array(select n from generate_series(1, 100) n order by n desc limit 3)) order by 1;
select o.id from owner o where o.id < 6 and o.id = any (array(select p.owner + p.number from pet p where p.owner = o.id - 1)) order by 1;
select v.x from (values (1), (2), (5)) v (x) where v.x = any (array(select a from (values ('{1,2}'::int[]), ('{3,4}')) w (a))) order by 1;
select id, id = any (array(select n from (values (3), (null)) v (n))) from owner where id < 5 order by 1;

-- Conditions over both sides of a join.
select o.id, p.number from owner o, pet p where o.id = p.owner and (o.id = 3 and p.number = 1 or o.id = 4 and p.number > 1) order by 1, 2;
select o.id, p.number from owner o left join pet p on o.id = p.owner and (o.id = 3 and p.number = 1 or o.id = 4 and p.number > 1) where o.id < 6 order by 1, 2;
select o.id, p.number from owner o right join pet p on o.id = p.owner and (o.id = 3 and p.number = 1 or o.id = 4 and p.number > 1) where p.owner < 6 order by 2, 1;
select count(*), count(o.id), count(p.owner) from owner o full join pet p on o.id = p.owner and (o.id = 3 and p.number = 1 or o.id = 4 and p.number > 1);
select o.id from owner o where o.id < 6 and exists (select from pet p where o.id = p.owner and (o.id = 3 and p.number = 1 or o.id = 4 and p.number > 1)) order by 1;
select o.id from owner o where o.id < 6 and not exists (select from pet p where o.id = p.owner and (o.id = 3 and p.number = 1 or o.id = 4 and p.number > 1)) order by 1;
select o.id, p.number from owner o, pet p where o.id = p.owner and o.id < 6 and (o.since is null and p.number = 1 or o.name = 'owner 3' and p.name is not null or p.number = 3 and o.name like '%4') order by 1, 2;
select a.id, l.id from owner a, lateral (select b.id from owner b left join pet p on p.owner = b.id and (b.id = a.id and p.number = 2 or b.id = a.id + 1 and p.number = 3) where b.id between a.id and a.id + 1 and p.owner is not null) l where a.id < 5 order by 1, 2;
-- An array of arrays has a dimension more.
select array(select a from (values ('{1,2}'::int[]), ('{3,4}')) w (a));
select array(select a from (values ('{{1,2},{3,4}}'::int[])) w (a));
select array(select a from (values ('{1,2}'::int[]), ('{3}')) w (a));
select array(select a from (values ('{1,2}'::int[]), (null)) w (a));
select array(select a from (values ('{}'::int[])) w (a));
select array(select a from (values ('{1,2}'::int[])) w (a) where false);
select pg_typeof(array(select '{1,2}'::text[]));

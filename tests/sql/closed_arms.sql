-- A subquery in an arm of CASE or COALESCE is asked for the rows whose arm is open, and for no others.
create table t (id int primary key, k text, n int);
insert into t values (1, 'a', 10), (2, 'b', 20), (3, null, 30), (4, 'a', null);
create table u (id int, v int);
insert into u values (1, 100), (2, 200), (2, 201), (3, 300), (3, 301);

-- Of the rows 2 and 3 there are two answers each: nobody asks for them.
select id, case when k = 'a' then (select v from u where u.id = t.id) end from t order by id;
select id, case when k = 'a' then (select v from u where u.id = t.id) else -1 end from t order by id;
select id, case k when 'a' then (select v from u where u.id = t.id) when 'b' then 7 end from t order by id;
select id, case when id > 1 then 0 else (select v from u where u.id = t.id) end from t order by id;
select id, coalesce(n, (select v from u where u.id = t.id)) from t order by id;
select id, coalesce(case when id in (2, 3) then 5 end, (select v from u where u.id = t.id), 0) from t order by id;

-- And where somebody does, there is the error.
select id, case when k = 'b' then (select v from u where u.id = t.id) end from t order by id;
select id, case when k = 'a' then 1 else (select v from u where u.id = t.id) end from t where id <> 2 order by id;

-- Other kinds of subqueries in arms.
select id, case when k = 'a' then exists (select from u where u.id = t.id) end from t order by id;
select id, case when k = 'b' then array(select v from u where u.id = t.id order by v) end from t order by id;
select id, case when k is null then 300 in (select v from u where u.id = t.id) end from t order by id;
select id, case when k is null then (select count(*) from u where u.id = t.id) end from t order by id;
select id, case when k = 'a' then (select max(v) from u where u.id = t.id) when k = 'b' then (select min(v) from u where u.id = t.id) end from t order by id;
select id from t where case when k = 'a' then (select v from u where u.id = t.id) else 1 end = 1 order by id;

-- An answer that is asked for elsewhere, too, is there for all rows.
select id, s.v, case when k = 'b' then s.v end from t, lateral (select (select max(v) from u where u.id = t.id) as v) s order by id;
select id, case when k = 'a' then s.v else 0 end from t, lateral (select (select max(v) from u where u.id = t.id) as v) s order by s.v, id;

-- Nested arms.
select id, case when k is not null then case when k = 'a' then (select v from u where u.id = t.id) else 0 end end from t order by id;
select id, case when k = 'a' then coalesce(n, (select 1 / (u.id - u.id) from u where u.id = 4 - t.id)) end from t where id <> 4 order by id;

-- System catalogs, read again for each row.
create type pair as (a int, b text);
create domain small as int check (value < 10);
select typname,
  case when typtype = 'd' then (select b.typname from pg_type b where b.oid = t.typbasetype) end as base,
  case when typtype = 'c' then (select array_agg(attname order by attnum) from pg_attribute a join pg_class c on a.attrelid = c.oid
    where c.reltype = t.oid and attnum > 0) end as attributes
from pg_type t where typname in ('pair', 'small', 'int4') order by typname;

-- Rows that are grouped, joined, compared, ordered by values that are alike without looking alike, in numbers that get past the first batches.
create table things (id int primary key, small int2, large int8, exact numeric, double float8, fixed char(4), free text, day date, at timestamp);
insert into things select g, g % 5, g % 7, (g % 3)::numeric / 2, case g % 4 when 0 then '-0'::float8 when 1 then 0 when 2 then 'NaN' else 1.5 end,
  case when g % 9 > 0 then 'c' || g % 4 end, case when g % 10 > 0 then 't' || g % 6 end, date '2024-01-01' + g % 40, timestamp '2024-01-01' + g % 400 * interval '1 hour'
  from generate_series(1, 5000) g;

select small, count(*), sum(id), min(free), max(fixed) from things group by small order by small;
select fixed, count(*), count(free), sum(large) from things group by fixed order by fixed;
select double, count(*), count(distinct small) from things group by double order by double;
select exact, count(*), avg(id), sum(exact) from things group by exact order by exact;
select exact * 2.00 doubled, count(*) from things group by exact * 2.00 order by 1;
select fixed, free, count(*) from things group by fixed, free order by fixed, free limit 7;
select small, fixed, count(*) from things group by rollup (small, fixed) order by small nulls last, fixed nulls last, count(*) limit 9;
select count(*), count(free), sum(small), sum(large), sum(exact), avg(double) filter (where double = 1.5), min(day), max(at) from things;
select count(*), sum(small), min(free) from things where false;
select small, count(*) from things where false group by small;
select count(distinct fixed), sum(large), string_agg(distinct free, ',' order by free desc), sum(large) from things;

select v, count(*) from (values ('a'::bpchar), ('a  '), ('b '), ('b'), (null), ('')) v(v) group by v order by count(*), v;
select trim_scale(v) as v, count(*) from (values (1.0), (1.00), (1), (null), (null), ('NaN'), ('NaN')) v(v) group by v order by v;
select v, count(*) from (values ('-0'::float8), ('0'), ('NaN'), ('NaN'), (null)) v(v) group by v order by v;
select v, count(*) from (values (array[1, null]), (array[1, null]), ('[0:1]={1,null}'::int[]), ('{}')) v(v) group by v order by v;
select v, count(*) from (values ('{"a": 1.0}'::jsonb), ('{"a": 1.00}'), ('[]')) v(v) group by v order by count(*);

create sequence drawn;
select count(*), sum(nextval('drawn')), sum(nextval('drawn')), count(distinct small) from things where id <= 10;
select small, count(*), sum(nextval('drawn') * 0), count(distinct large) from things where id <= 10 group by small order by small;
select currval('drawn');
select count(*) from things where id <= 10 and nextval('drawn') > 35;
select nextval('drawn') * 0 + id from things where id <= 3 order by id;
select a.id, b.id from things a join things b on a.id = b.id and nextval('drawn') > 0 where a.id <= 3 order by 1, 2;
select a.id from things a where a.id <= 3 and exists (select from things b where b.id = a.id and nextval('drawn') > 0) order by 1;

create table wide (id int primary key, key char(6), exact numeric(10, 4), small int2);
insert into wide select g, case when g % 8 > 0 then 'c' || g % 5 end, (g % 4)::numeric / 2, g % 6 from generate_series(1, 40) g;
select count(*), sum(t.id), sum(w.id) from things t join wide w on t.fixed = w.key;
select count(*), sum(t.id), sum(w.id) from things t join wide w on t.exact = w.exact;
select count(*), sum(t.id), sum(w.id) from things t join wide w on t.small = w.small and t.fixed = w.key;
select count(*), sum(t.id), sum(w.id) from things t join wide w on t.large + 1 = w.small + 1;
select count(*), sum(t.id), sum(w.id) from things t join wide w on t.fixed = w.key and t.id % 7 > w.id % 5;
select count(*), count(w.id), sum(t.id) from things t left join wide w on t.fixed = w.key and w.id < 10;
select count(*), count(t.id), sum(w.id) from things t right join wide w on t.fixed = w.key and t.id < 10;
select count(*), count(t.id), count(w.id) from things t full join wide w on t.fixed = w.key;
select count(*), sum(id) from things t where exists (select from wide w where w.key = t.fixed);
select count(*), sum(id) from things t where not exists (select from wide w where w.key = t.fixed);
select count(*), sum(id) from wide w where exists (select from things t where w.key = t.fixed and t.id % 11 = w.id % 11);
select count(*), sum(id) from things where fixed in (select key from wide);
select count(*), sum(id) from things where exact not in (select exact from wide where exact < 1);
select count(*), max(a.v::text), max(b.v::text) from (values ('a'::bpchar), ('a '), (null)) a(v) join (values ('a   '::bpchar), ('b')) b(v) on a.v = b.v;
select w.id, t.id from wide w join things t on t.id = w.id * 100 where w.id < 6 order by w.id;

select id, fixed from things order by fixed, id limit 5;
select id, fixed from things order by fixed desc nulls last, id desc limit 5;
select id, double from things order by double, id limit 3;
select id, double from things order by double desc, id limit 3;
select free from things order by free nulls first limit 3;
select exact, id from things order by exact desc, small, large desc, id limit 4 offset 2;
select id from things order by id desc limit 0;
select id from things order by -id limit 3;
select id from things order by small, -id limit 3;
select id from things order by small + 0, 1 / (id - 4000), id limit 3;
select nextval('drawn') - nextval('drawn'), id from things order by 1, id desc limit 2;

select count(*) from things where small = 3 and large <> 2;
select count(*) from things where small > 2.5 and large <= 4::int2;
select count(*) from things where exact = 0.50 or exact >= 1;
select count(*) from things where double = 'NaN' or double < 0.1::float4;
select count(*) from things where fixed = 'c1' and free > 't2';
select count(*) from things where fixed = 'c1  '::char(4);
select count(*) from things where day < timestamp '2024-01-10' and at >= date '2024-01-03';
select count(*) from things where at < timestamptz '2024-01-05 00:00:00+00';
select count(*) from things where free is null and not (small = 2 and id > 100);
select count(*) from things where free = null or small = null;
select count(*) from things where case when small = 0 then false else 10 / small > 3 end;
select count(*) from things where small <> 0 and 10 / small > 3;
select count(*) from things where 10 / small > 3;
select bool_and(id > 0), bool_or(free = 't1') from things;

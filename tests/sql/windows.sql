-- Window functions: partitions, orders, frames, what is computed of them, and what is refused.
create table emp (id int primary key, dept text, salary int, hired date, bonus numeric, rate float8);
insert into emp values
  (1, 'a', 100, '2020-01-01', 1.0, 0.5), (2, 'a', 200, '2020-01-15', 1.25, 1.5), (3, 'a', 200, '2020-02-01', null, null),
  (4, 'b', 50, '2020-01-10', 2.5, 2.5), (5, 'b', null, '2020-03-01', 3.5, 'NaN'), (6, 'b', 75, '2020-03-15', -1, 'Infinity'),
  (7, null, 300, null, 7, -1), (8, 'c', 10, '2019-12-31', 0, 0);
create table empty_table (a int);

select id, row_number() over (order by id) from emp order by id;
select id, dept, rank() over (partition by dept order by salary), dense_rank() over (partition by dept order by salary), row_number() over (partition by dept order by salary, id) from emp order by id;
select id, percent_rank() over (order by salary), cume_dist() over (order by salary) from emp order by id;
select id, ntile(3) over (order by id), ntile(20) over (order by id), ntile(null) over (order by id) from emp order by id;
select id, lag(salary) over w, lead(salary) over w, lag(salary, 2) over w, lead(salary, 1, -1) over w, lag(salary, -1) over w, lag(salary, null) over w, lag(salary, 0) over w from emp window w as (order by id) order by id;
select id, lag(id, 1, 1.5) over (order by id), lead(dept, 1, 'none') over (partition by dept order by id) from emp order by id;
select id, first_value(salary) over w, last_value(salary) over w, nth_value(salary, 2) over w from emp window w as (partition by dept order by id) order by id;
select id, nth_value(id, id) over (order by id rows between unbounded preceding and unbounded following), nth_value(id, null) over () from emp order by id;
select id, sum(salary) over (), sum(salary) over (order by id), sum(salary) over (partition by dept), sum(salary) over (partition by dept order by id) from emp order by id;
select id, count(*) over w, count(salary) over w, avg(salary) over w, min(salary) over w, max(dept) over w from emp window w as (order by salary) order by id;
select id, count(*) filter (where salary > 60) over (partition by dept), array_agg(id) filter (where id % 2 = 0) over (order by id) from emp order by id;
select id, string_agg(dept, ',') over (order by id), bool_and(salary > 60) over (order by id), array_agg(salary) over (partition by dept order by id) from emp order by id;

-- Frames of rows.
select id, sum(id) over (order by id rows 2 preceding), sum(id) over (order by id rows between 1 preceding and 1 following), sum(id) over (order by id rows between 1 following and 2 following), sum(id) over (order by id rows between 3 preceding and 2 preceding) from emp order by id;
select id, sum(id) over (order by id rows between current row and unbounded following), min(bonus) over (order by id rows between 2 preceding and current row), max(bonus) over (order by id rows between current row and 2 following), sum(bonus) over (order by id rows between 1 preceding and 1 following) from emp order by id;
select id, sum(rate) over (order by id rows between 1 preceding and current row), avg(rate) over (order by id rows between 1 preceding and current row) from emp order by id;
select id, array_agg(id) over (order by id rows between 2 preceding and 2 following exclude current row), array_agg(id) over (order by id rows between 2 preceding and 2 following exclude no others) from emp order by id;
select id, count(*) over (order by id rows between 0 preceding and 0 following), sum(id) over (rows between unbounded preceding and 9223372036854775807 following) from emp order by id;
-- Frames of groups.
select id, salary, sum(id) over (order by salary groups 1 preceding), sum(id) over (order by salary groups between 1 following and 2 following), sum(id) over (order by salary groups between 2 preceding and 1 preceding), sum(id) over (order by salary groups current row) from emp order by id;
select id, salary, sum(id) over (order by salary groups between 1 preceding and 1 following exclude group), sum(id) over (order by salary groups between 1 preceding and 1 following exclude ties), count(*) over (order by salary groups between unbounded preceding and 1 following exclude current row) from emp order by id;
-- Frames of values.
select id, salary, sum(id) over (order by salary range between 50 preceding and 50 following), sum(id) over (order by salary desc range between 50 preceding and current row), sum(id) over (order by salary nulls first range between 100 preceding and 10 preceding), sum(id) over (order by salary desc range between 1 following and 100 following) from emp order by id;
select id, hired, array_agg(id) over (order by hired range between '1 month' preceding and current row), array_agg(id) over (order by hired desc range between interval '14 days' preceding and '14 days' following) from emp order by id;
select id, bonus, array_agg(id) over (order by bonus range between 1.5 preceding and 0.0 following), rate, array_agg(id) over (order by rate range between 1 preceding and 1 following) from emp order by id;
select id, array_agg(id) over (order by rate range between 'Infinity' preceding and 1 preceding), first_value(id) over (order by salary range between 60 preceding and 1 preceding), last_value(id) over (order by salary range between 60 preceding and 1 following exclude ties) from emp order by id;
select x, array_agg(x) over (order by x range between interval '1 hour' preceding and interval '1 hour' following) from (values (time '00:30'), ('01:00'), ('12:00'), ('23:30')) v (x) order by x;
select x, array_agg(x) over (order by x range between interval '1 day' preceding and interval '1 day' following) from (values (interval '1 day'), ('30 hours'), ('3 days'), ('1 month')) v (x) order by x;
select x, count(*) over (order by x range between '1 hour' preceding and current row) from generate_series(timestamptz '2020-01-01', '2020-01-01 03:00', '20 minutes') x order by x;
select x, sum(x) over (order by x range between 1 preceding and 1 following) from (values (32767::smallint), (32766), (-32768)) v (x) order by x;
select x, count(*) over (order by x range between 9223372036854775807 preceding and 1 following) from (values (9223372036854775807), (0), (-9223372036854775808)) v (x) order by x;

-- Over groups, and in every place where they may stand.
select dept, sum(salary), rank() over (order by sum(salary) desc nulls last), sum(sum(salary)) over (), count(*) over () from emp group by dept order by dept;
select dept, count(*) filter (where salary > 60) as n, lag(count(*)) over (order by dept) from emp group by dept having count(*) > 1 order by dept;
select id from emp order by row_number() over (order by salary desc nulls last, id) limit 3;
select distinct count(*) over (partition by dept) as n from emp order by n;
select distinct on (rank() over (order by dept)) id, dept from emp order by rank() over (order by dept), id;
select * from (select id, dept, row_number() over (partition by dept order by salary desc nulls last, id) as n from emp) q where n = 1 order by id;
select * from (select id, dept, count(*) over (partition by dept) as n from emp) q where dept = 'a' order by id;
select id, case when row_number() over (order by id) % 2 = 0 then 'even' else 'odd' end, (row_number() over (order by id desc) + 10) * 2 from emp order by id;
select id, (select count(*) from emp e where e.salary < emp.salary), rank() over (order by (select count(*) from emp e where e.salary < emp.salary)) from emp order by id;
select id, row_number() over (order by id) in (select salary / 50 from emp) from emp order by id;
select row_number() over (order by g), g from generate_series(5, 1, -2) g order by 1;
select e.id, sum(f.salary) over (partition by e.dept order by e.id, f.id) from emp e join emp f on e.dept = f.dept order by 1, 2;
select id, row_number() over w, sum(salary) over (w rows between 1 preceding and current row), rank() over (v order by salary) from emp window w as (order by id), v as (partition by dept), u as (v) order by id;
select id, sum(salary) over (partition by dept, salary > 100 order by hired desc nulls last) from emp order by id;
with w as (select id, lag(id) over (order by id) as before from emp) select * from w where before is null or before > 5 order by id;
select row_number() over (), sum(1) over () from empty_table;
select sum(a) over (), count(*) over () from (select sum(a) as a from empty_table) q;
select rank() over (), dense_rank() over (), percent_rank() over (), cume_dist() over (), ntile(2) over (), row_number() over ();
prepare p as select id, sum(salary) over (order by id rows $1 preceding), ntile($2) over (order by id) from emp order by id limit 4;
execute p(1, 2);
execute p(-1, 2);
execute p(1, 0);
select id, sum(id) over (partition by 1 order by 2), count(*) over (order by null) from emp where id < 3 order by id;
insert into emp select 100 + row_number() over (order by id desc), dept from emp where id < 3;
select id, dept from emp where id > 100 order by id;
update emp set salary = q.n from (select id, row_number() over (order by id) as n from emp) q where q.id = emp.id and emp.id > 100 returning emp.id, salary;
delete from emp where id in (select id from (select id, row_number() over (order by id desc) as n from emp) q where n <= 2);
select count(*) from emp;

-- What is refused.
select sum(1) over (rows between current row and 1 preceding);
select sum(1) over (rows between 1 following and current row);
select sum(1) over (rows between unbounded following and current row);
select sum(1) over (rows between 1 following and unbounded preceding);
select sum(1) over (rows 1 following);
select sum(1) over (rows unbounded following);
select sum(1) over w;
select sum(1) over (w partition by 1) from (select 1) x window w as (partition by 1);
select sum(1) over (w order by 1) from (select 1) x window w as (order by 1);
select sum(1) over (w) from (select 1) x window w as (order by 1 rows 1 preceding);
select sum(1) over (w order by 1) from (select 1) x window w as (rows 1 preceding);
select sum(1) from (select 1) x window w as (order by 1), w as (order by 2);
select 1 window v as (w), w as ();
select sum(1) over (range 1 preceding) from (select 1) x;
select sum(1) over (order by a, a range 1 preceding) from (select 1 a) x;
select sum(1) over (order by a range 1 preceding) from (select 'a'::text a) x;
select sum(1) over (order by a range 'a' preceding) from (select 1 a) x;
select sum(1) over (order by a range 1.5 preceding) from (select 1 a) x;
select sum(1) over (order by a range true preceding) from (select 1 a) x;
select sum(1) over (order by a range 1 preceding) from (select now() a) x;
select sum(1) over (groups 1 preceding) from (select 1 a) x;
select sum(1) over (order by a rows a preceding) from (select 1 a) x;
select sum(1) over (order by a rows 'x' preceding) from (select 1 a) x;
select sum(1) over (order by a rows 1.5 preceding) from (select 1 a) x;
select sum(1) over (order by a rows true preceding) from (select 1 a) x;
select sum(1) over (order by a rows -1 preceding) from (select 1 a) x;
select sum(1) over (order by a rows null::int preceding) from (select 1 a) x;
select sum(1) over (order by a range -1 preceding) from (select 1 a) x;
select sum(1) over (order by a range '-1 day' preceding) from (select date '2020-01-01' a) x;
select sum(1) over (order by a rows between 1 preceding and -1 following) from (select 1 a) x;
select a from (select 1 a) x where row_number() over () = 1;
select sum(row_number() over ()) from (select 1 a) x;
select row_number() over (order by row_number() over ()) from (select 1 a) x;
select lag(row_number() over ()) over () from (select 1 a) x;
select row_number();
select row_number() from (select 1 a) x;
select abs(1) over ();
select nosuch(1) over ();
select sum(distinct a) over () from (select 1 a) x;
select string_agg('a', 'b' order by a) over () from (select 1 a) x;
select row_number() filter (where true) over () from (select 1 a) x;
select count() over () from (select 1 a) x;
select a from (select 1 a) x group by row_number() over ();
select row_number() over () r from (select 1 a) x group by r;
select 1 from (select 1 a) x having row_number() over () > 1;
select ntile(0) over ();
select nth_value(1, 0) over ();
select sum(1) over () from emp for update;
select row_number() over (partition by sum(a)), a from (select 1 a) x;
select lag(generate_series(1,3)) over ();
select sum(generate_series(1,3));
select sum(a) filter (where row_number() over () = 1) over () from (select 1 a) x;
select sum(a) filter (where row_number() over () = 1) from (select 1 a) x;
select sum(a) over (rows sum(a) preceding) from (select 1 a) x;
select sum(a) over (rows (row_number() over ()) preceding) from (select 1 a) x;
select 1 limit row_number() over ();
select * from (select 1 a) x join (select 1 b) y on row_number() over () = 1;
select * from generate_series(1, row_number() over ());
values (row_number() over ());
select sum(sum(1) over ()) over ();
select row_number() over (order by a) from (select '{}'::json a) x;
select lag(1, 2, 'x') over ();
update emp set salary = row_number() over ();
delete from emp where rank() over () = 1;
insert into emp (id) values (1) returning row_number() over ();

-- Windows that go on from each other.
select a, sum(a) over w3, count(*) over w2 from (values (1, 2), (2, 1), (3, 2)) x (a, b) window w1 as (partition by b), w2 as (w1), w3 as (w2 order by a) order by a;
select sum(a) over w1 from (select 1 a) x window w1 as (w2), w2 as ();
select sum(a) over w2 from (select 1 a) x window w1 as (order by a), w2 as (w1), w3 as (w2 order by a);
select 1 from (select 1 a) x window w1 as (order by a), w1 as ();

-- What is volatile is computed for each call.
select a = b from (select sum(random()) over () a, sum(random()) over () b from generate_series(1, 3)) x;
select a = b from (select sum(random()) a, sum(random()) b from generate_series(1, 3)) x;

-- Offsets have to make sense where nobody looks at them.
select row_number() over (rows -1 preceding) from (values (1)) x (a);
select rank() over (order by a rows null::int preceding) from (values (1)) x (a);
select sum(a) over (rows -1 preceding) from (values (1)) x (a) where a > 5;

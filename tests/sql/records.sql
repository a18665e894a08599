-- Records: rows as values.
create table t (a int primary key, b text, c numeric);
create table u (x int, y text);
insert into t values (1, 'one', 1.5), (2, 'two', null), (3, null, 3);
insert into u values (1, 'p'), (2, 'q'), (null, null);

select row(1, 2);
select row(1, 'a b', null, '', 'q"q', E'b\\s', true, 1.50, array[1, 2], row(3, null)), (1, 2);
select row();
select row(1);
select (row(1, 'x'::text)).f2;
select (row(1, row(2, 3))).f2;
select (row(1, 2)).*;
select t from t order by a;
select t.* from t order by a;
select (t).b, (t).a + 1 as n, (t.*).c from t order by a;
select (t).* from t order by a;
select row(t.*, 9) from t order by a;
select q from (select a, b from t) q order by a;
select (q).b from (select a, b from t) q order by 1;
select t, u from t left join u on t.a = u.x order by a;
select count(u), count(*), count(t.*) from t left join u on t.a = u.x;
select t.a, u is null, u is not null, (u).y from t left join u on t.a = u.x order by a;
select t is null, t is not null from t order by a;
select row(1, null) is null, row(null, null) is null, row(1, null) is not null, row(1, 2) is not null;
select r is null, r is not null from (values (row(1, null)), (row(null, null)), (row(1, 2)), (null)) v (r);
select row_to_json(t) from t order by a;
select row_to_json(t, true) from t order by a;
select row_to_json(row(1, 'x')), to_json(row(1, 'x')), to_jsonb(t) from t order by a;
select json_agg(t order by a), jsonb_agg(t order by a) from t;
select json_agg(u order by t.a) from t left join u on t.a = u.x;
select array_agg(row(a, b) order by a) from t;
select json_build_object('r', t) from t where a = 1;
select row(1, 2) = row(1, 2), row(1, 2) < row(1, 3), row(1, null) = row(1, null), row(1, 2) <> row(2, 2);
select r = s, r < s, r >= s from (select row(1, 'a'::text) as r, row(1, 'b'::text) as s) q;
select distinct row(a % 2, 'k'::text) from t order by 1;
select row(a % 2), count(*) from t group by 1 order by 1;
select r from (values (row(2, 'b'::text)), (row(1, 'c'::text)), (row(1, 'a'::text)), (null)) v (r) order by r;
select row(1, 2)::text, t::text from t order by a;
select t.b, (select v from (select a, b from t s where s.a = t.a) v) from t order by a;
select (select row(a, b) from t where a = 1);
select a from t where t = row(1, 'one'::text, 1.5);
select max(a) from t where row(a, b) in (select a, b from t);
select (w).b from (select t as w from t) q order by 1;
with w as (select t as r from t) select (r).a, (r).b from w order by 1;
select x.n, (x.r).a from (select row_number() over (order by a) as n, t as r from t) x order by 1;
select (r).a from (select t as r from t union all select t from t) q order by 1;
insert into t values (4, 'four', 4) returning t, (t).b;
update t set b = 'FOUR' where a = 4 returning t;
delete from t where a = 4 returning row(a, b);
select pg_typeof(row(1, 2));
select i.indkey[0] from pg_index i join pg_class c on c.oid = i.indexrelid where c.relname = 't_pkey';

-- What is refused.
select (row(1, 2)).f3;
select (t).nosuch from t;
select (a).b from t;
select (a).* from t;
select (1).x;
select nosuch from t;
select '(1,2)'::record;
select row(1, 2) = row(1, 2, 3);
select a, t from t group by b;
create table v (r record);

-- Records in records and arrays, as text.
select row(row(row('a "b" \c', null), array['x y', 'z"']), '')::text, length(row(row(row(row(row(1)))))::text);
select array[row(1, 'a b'), row(2, null)]::text, concat(row(row(1, 'x y')), '!'), format('%s', row(row('"')));

-- Lines of json_agg are its own, or the document's.
select json_agg(x) from (values (E'\n 1'::json), (E'\n 2'::json)) v (x);
select json_agg(x) from (values (null::int[]), (array[1]), (array[2])) v (x);
select json_agg(x) from (values (1, 'a'), (2, 'b')) x (a, b);

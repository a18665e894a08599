-- Literals.
select '{}'::int4multirange, ' { } '::int4multirange, '{empty}'::int4multirange, '{[1,5], EMPTY ,(7,9)}'::int4multirange;
select '{[5,7),[1,3),[3,4]}'::int8multirange, '{(,2),[10,)}'::int4multirange, '{(,5),[3,)}'::int4multirange;
select '{[1.50,2.0],(2,3)}'::nummultirange, '{[1.0,1.00]}'::nummultirange, '{(1,2),(2,3)}'::nummultirange;
select '{[2024-01-01,2024-01-31],[2024-02-01,2024-03-01)}'::datemultirange;
select '{["2024-01-01 10:00","2024-01-01 12:00"),["2024-01-01 11:00",]}'::tsmultirange;
select '{["\1","2"]}'::int4multirange;
select ''::int4multirange;
select '[1,2)'::int4multirange;
select '{'::int4multirange;
select '{[1,2)'::int4multirange;
select '{["1,2)}'::int4multirange;
select '{,}'::int4multirange;
select '{[1,2),}'::int4multirange;
select '{[1,2) [3,4)}'::int4multirange;
select '{[1,2)} x'::int4multirange;
select '{[1]}'::int4multirange;
select '{[2,1]}'::int4multirange;
select '{[a,b]}'::int4multirange;
-- What is wrong first is said.
select '{[a,b]'::int4multirange;
select '{[2,1],}'::int4multirange;
-- What makes them.
select int4multirange(), int4multirange(int4range(1, 3)), int4multirange(int4range(5, 7), int4range(1, 3), 'empty');
select nummultirange(numrange(1.0, 2), numrange(2, 3.50)), datemultirange(daterange('2024-01-01', null));
select int8multirange(variadic array[int8range(1, 2), int8range(2, 3)]), int4multirange(variadic '{}'::int4range[]);
select int4multirange(null), multirange(int4range(1, 2)), multirange(numrange(2, 2)), multirange(null::int4range);
select int4multirange(int4range(1, 2), null);
select int4multirange(variadic array[null]::int4range[]);
select int4multirange(variadic array[int4range(1, 2), null]);
select int4multirange(variadic array[[int4range(1, 2)], [int4range(3, 4)]]);
select int4multirange(variadic null::int4range[]);
select int4range(1, 3)::int4multirange, numrange(1, 1)::nummultirange, '{[1,2)}'::int4multirange::text;
select '{[1,2)}'::int4multirange::int8multirange;
-- Bounds.
select lower(m), upper(m), lower_inc(m), upper_inc(m), lower_inf(m), upper_inf(m), isempty(m), range_merge(m)
from (values ('{}'::nummultirange), ('{(,1],[2,3)}'), ('{[1.0,2],(5,)}'), ('{(1,2)}')) v(m);
select pg_typeof(lower('{[1,2)}'::int8multirange)), pg_typeof(range_merge('{[1,2)}'::int8multirange)), pg_typeof(multirange(daterange('2024-01-01', '2024-01-02')));
-- Comparisons.
select a, b, a = b, a <> b, a < b, a <= b, a > b, a >= b
from (values ('{}'::int4multirange, '{}'::int4multirange), ('{}', '{[1,2)}'), ('{[1,2)}', '{[1,3)}'), ('{[1,2),[5,6)}', '{[1,2)}'), ('{[1,2),[5,6)}', '{[1,2),[4,5)}'), ('{(,1)}', '{[0,1)}')) v(a, b);
select m from (values ('{[3,4)}'::int4multirange), ('{}'), (null), ('{[1,2),[3,4)}'), ('{[1,2)}'), ('{(,2)}')) v(m) order by m;
select m, count(*) from (values ('{[1,2]}'::nummultirange), ('{[1.0,2.00]}'), ('{}')) v(m) group by m order by count(*);
-- With elements, ranges and each other.
select v, '{[1,5),[10,20)}'::int4multirange @> v, v <@ '{}'::int4multirange from generate_series(0, 20, 5) g(v);
select r, m, m @> r, r <@ m, r @> m, m <@ r, m && r, r && m
from (values (int4range(1, 5)), (int4range(2, 3)), (int4range(4, 11)), ('empty'), (int4range(null, null)), (int4range(5, 10))) a(r),
     (values ('{}'::int4multirange), ('{[1,5),[10,20)}')) b(m);
select r, m, r << m, m << r, r >> m, m >> r, r &< m, m &< r, r &> m, m &> r, r -|- m, m -|- r
from (values (int4range(1, 5)), (int4range(0, 1)), (int4range(20, 25)), (int4range(5, 10)), ('empty'), (int4range(null, 0))) a(r),
     (values ('{}'::int4multirange), ('{[1,5),[10,20)}')) b(m);
select a, b, a @> b, a <@ b, a && b, a << b, a >> b, a &< b, a &> b, a -|- b
from (values ('{}'::nummultirange), ('{[1,2),(3,4]}'), ('{(,1)}')) x(a), (values ('{}'::nummultirange), ('{[1.5,1.7]}'), ('{[2,3]}'), ('{(4,)}')) y(b)
order by a, b;
select a, b, a + b, a - b, a * b
from (values ('{}'::int4multirange), ('{[1,5),[10,20)}'), ('{(,)}')) x(a), (values ('{}'::int4multirange), ('{[2,3),[4,12)}'), ('{[15,)}'), ('{(,)}')) y(b)
order by a, b;
select '{[1,5],[7,9]}'::nummultirange - '{(2,3],[4.0,8)}'::nummultirange, '{(,)}'::nummultirange - '{[1,1],[2.50,2.5]}';
select '{[1,5)}'::int4multirange && '[2,3)', '{[1,5)}'::int4multirange && '{[2,3)}', int4range(1, 5) && '{[2,3)}'::int4multirange;
select '{[1,5)}'::int4multirange @> 2::bigint;
select '{[1,5)}'::int4multirange + int4range(1, 2);
-- Rows and aggregates.
select * from unnest('{[1,2),[5,6)}'::int4multirange) with ordinality;
select unnest('{[1.0,2.50),(5,)}'::nummultirange), unnest('{}'::int4multirange);
select range_agg(r), range_intersect_agg(r) from (values (int4range(1, 5)), (null), (int4range(3, 9)), (int4range(20, 21))) v(r);
select range_agg(m), range_intersect_agg(m) from (values ('{[1,5),[8,9)}'::int4multirange), (null), ('{[3,9)}')) v(m);
select range_agg(r), range_agg(r::nummultirange) from (values (numrange(1, 1)), (null)) v(r);
select range_agg(r) from (values (null::daterange)) v(r);
select range_agg(r) over (order by r) from (values (int4range(1, 2)), (int4range(2, 3)), (int4range(7, 8))) v(r);
-- As columns, in arrays, documents and keys.
create table spans (m nummultirange primary key, d datemultirange unique, a int4multirange[]);
insert into spans values ('{[1.0,2)}', '{[2024-01-01,2024-01-05)}', array['{[1,2)}', '{}']::int4multirange[]), ('{}', null, '{"{[1,2),[4,5)}"}');
insert into spans values ('{[1,2.00)}', null, null);
select * from spans order by m;
select d, a from spans where m = '{[1,2)}';
select to_jsonb(s) from spans s order by m;
update spans set m = m + '{[5,6)}' where m @> 1.5 returning m;
drop table spans;
-- What the catalog says.
select oid, typname, typarray, typtype, typcategory, typalign, typlen from pg_type where typname like '%multirange' and oid < 16384 and typname not like 'anycompatible%' order by oid;
select rngtypid::regtype, rngmultitypid::regtype from pg_range where rngtypid < 16384 order by rngtypid;
select opcname, opcmethod, opcfamily, opcdefault from pg_opclass where opcname = 'multirange_ops' and opcmethod in (403, 405) order by opcmethod;

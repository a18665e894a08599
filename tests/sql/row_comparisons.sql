-- Rows that are written on both sides are compared field by field, everything else as records are: what is refused, where, and by which words.
create type pair as (x int, y text);
create table t (a int, b text, p pair, j json);
insert into t values (1, 'x', '(1,x)', '1'), (2, null, '(2,)', null);
-- As many fields, operators of each, and what they mean together.
select (1, nothing) = (1, 2, 3);
select (1, 2) = (1, 2, 3);
select (1, 2) <> (1, 2, 3);
select (1, 2) >= (1, 2, 3);
select (1, 2) in ((1, 2), (1, 2, 3));
select (1, 2) not in ((1, 2), (1, 2, 3));
select (1, 2) between (1, 1) and (1, 2, 3);
select (1, 2) not between (1, 1, 1) and (1, 2);
select (1, 2) is distinct from (1, 2, 3);
select (1, 2) is not distinct from (1, 2, 3);
select ('a', 'b') ~ ('a', 'b');
select row('a') ~ row('a') as one, row(1) < row(2) as less, row(1) <> row(1) as other;
select (1, 2) + (3, 4);
select ('a', 1) || ('b', 2);
select (a, j) = (1, j) from t;
select (a, j) < (1, j) from t;
-- Fields that are rows are values.
select (1, (2, null::int)) = (1, (2, null::int)) as equal, (1, (2, 3)) < (1, (2, 4)) as less, (1, (2, null::int)) <> (1, (2, 3)) as other;
select (1, (2, 3)) = (1, (2, 3, 4));
select (1, (2, 3)) is distinct from (1, (2, 3, 4));
select (1, (2, 3)) < (1, (2, 'x'::text));
-- NULL in fields.
select (1, null) = (1, 2) as e, (1, null) in ((1, 2), (2, 3)) as i, (1, null) not in ((2, 3)) as n, (1, null) between (1, 1) and (1, 2) as b, (0, null) between (1, 1) and (2, 2) as c;
select (1, 3) between symmetric (1, 4) and (1, 2) as s, (1, 3) not between symmetric (1, 4) and (1, 2) as n;
-- Literals in fields have no type.
select (select row(1, 'x')) = (select row(1, 'x'));
select (select row(1, 'x')) < (select row(1, 'y'));
select (select row(1, 'x')) = (select row(2, 'x')) as e, (select row(1, 'x')) < (select row(2, null)) as l;
select (select row(1, 'x')) = (select row(1, 'x'::text));
select (select row(1, null)) = (select row(1, null));
select p = row(1, 'x') from t;
select p in (row(1, 'x'), row(2, 'y')) from t;
select p in (row(1, 'x', 2)) from t;
select p not in (row(1, 'x', 2), row(1, 2)) from t;
select p in (row(1, 'x'::text), row(2, 'y'::text)) as i, p not in (row(1, 'x'::text), row(2, 'y'::text)) as n from t order by a;
select p in (row(7, 'x', 2)) from t order by a;
select p = any (array[row(1, 'x')]) from t;
select p between row(1, 'x') and row(1, 'y') from t;
select p is distinct from row(1, 'x') from t;
select case p when row(1, 'x') then 1 end from t;
select case row(1, 'x') when row(1, 'x') then 1 end;
select nullif(row(1, 'x'), row(1, 'x'));
select r from (values (row(1, 'x')), (row(1, 'y'))) v (r) order by r;
select row(1, 'x') in (p) from t;
select (1, 'x') in (p, (1, 'x')) from t where a = 2;
select row(1, 'x')::pair, row(null, 1)::pair, row_to_json(row(1, 'x', null)), row(1, 'x', null)::text;
-- Whether something is distinct from NULL asks for no equality.
select j is distinct from null as d, null is not distinct from j as n from t order by a;
select p is distinct from null as d, row(null, null) is distinct from null as r, row(null, null) is not distinct from null as n from t order by a;
select j is distinct from j from t;
select a from t where 1 between j and 2;
-- With the rows of a query by every operator.
select (1, 2) < any (select 1, 3) as l, (1, 2) >= all (select 1, 2 union all select 0, 9) as g, (1, 2) <> all (select 1, 3) as n, (1, 2) = all (select 1, 2) as e, (1, null) <> any (select 1, 2) as u;
select (1, 2) < any (select 1);
select ('a', 'b') ~ any (select 'a', 'b');
select 1 + any (select 1);
select a from t where (a, b) < all (select a + 1, b from t) order by a;
create view v as select a from t where (a, b) < any (select a, b from t) and (a, b) <> all (select a + 5, b from t);
select pg_get_viewdef('v');
create table u (x int, y int);
create view w as select x from u where row(u.*) in (select 1, 2) and row(u.*) < any (select 3, 4) and row(u.*) < row(5, 6);
select pg_get_viewdef('w');
-- Whether the fields of a row are NULL, not what is in them.
select row(p) is null as n, row(p) is not null as o, row(p, null) is null as m, p is null as w, row((p).*) is null as f, row(1, row(null)) is not null as r from (values (row(null, null)::pair), (null::pair), (row(1, null)::pair)) v (p);
-- What is volatile is computed once in each field that is reached.
create sequence drawn;
select (nextval('drawn'), 1) < (1, 2) as equal, (nextval('drawn'), 1) > (1, 2) as behind, (nextval('drawn'), 1) >= (7, 2) as before;
select (nextval('drawn'), nextval('drawn'), 1) <= (4, 5, 1) as equal, (nextval('drawn'), null::int) < (6, 1) as unknown, (null, nextval('drawn'), 1) < (1, 2, 3) as none;
select nextval('drawn');
drop sequence drawn;

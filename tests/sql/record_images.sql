-- Records by how their fields look.
create table i (id int primary key, n numeric, f float8, c char(5), t text, v interval, j jsonb, a int[]);
insert into i values (1, 1.0, 0, 'ab', 'x', '1 day', '{"a": 1, "b": 2}', '{1,2}'), (2, 1.0, 0, 'ab   ', 'x', '1 day', '{"b": 2, "a": 1}', '{1,2}'), (3, 1.00, 0, 'ab', 'x', '1 day', '{"a": 1, "b": 2}', '{1,2}'), (4, 1.0, '-0', 'ab', 'x', '1 day', '{"a": 1, "b": 2}', '{1,2}'), (5, 1.0, 0, 'ab', 'x', '24:00', '{"a": 1, "b": 2}', '{1,2}'), (6, 1.0, 0, 'ab', 'x', '1 day', '{"a": 1, "b": 2}', '[0:1]={1,2}'), (7, 1.0, 0, 'ab', null, '1 day', '{"a": 1, "b": 2}', '{1,2}'), (8, 1.0, 0, 'ab', null, '1 day', '{"a": 1, "b": 2}', '{1,2}');
select x.id, y.id, x.r *= y.r, x.r *<> y.r, x.r = y.r from (select id, row(n, f, c, t, v, j, a) r from i) x, (select id, row(n, f, c, t, v, j, a) r from i) y where x.id <= y.id order by 1, 2;
select x.id, y.id from i x, i y where x *= y order by 1, 2;
select x.r *<= y.r, x.r *>= y.r, x.r *< y.r, x.r *> y.r from (select row(1.0, 'a'::text) r) x, (select row(1.0, 'a'::text) r) y;
select x.r *<= y.r, x.r *>= y.r, x.r *< y.r, x.r *> y.r from (select row(1, null::text) r) x, (select row(1, 'a'::text) r) y;
select (x.r *<= y.r) <> (x.r *> y.r), (x.r *< y.r) <> (x.r *>= y.r) from (select row(1.0, 'a'::text) r) x, (select row(1.00, 'b'::text) r) y;
select record_image_eq(x, x), record_image_ne(x, x) from i x where id = 1;
select null::text is null, x *= null from i x where id = 1;
select x.r *= y.r from (select row(1) r) x, (select row(1::bigint) r) y;
select x.r *= y.r from (select row(1) r) x, (select row(1, 2) r) y;
select x.r *= y.r from (select row(2) r) x, (select row(1, 2) r) y;
select row(1) *= row(1);
select row(1) *= row(1, 2);
select 1 *= 1;
select i *= 'x' from i;
select i.id from i where i operator(pg_catalog.*=) i and id < 3 order by 1;
select oprname, oprcom::int - oid::int, oprnegate::int - oid::int, oprcanmerge, oprcanhash from pg_operator where oprname like '*_%' order by oid;

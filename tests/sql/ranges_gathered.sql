-- range_agg: whatever the order, over windows, of nothing, of what is empty, and of bounds that look different.
select range_agg(r) from (values (int4range(1, 5)), (int4range(4, 9)), (null), ('empty'), (int4range(20, 30)), (int4range(30, 31)), (int4range(0, 1))) v(r);
select range_agg(int4range(i, i + 1)) from generate_series(1, 1000) i;
select range_agg(int4range(i, i + 1) order by i desc) from generate_series(1, 1000) i;
select range_agg(int4range(i, i + 1)) from generate_series(1, 20, 2) i;
select range_agg(int4range(i * 7 % 20, i * 7 % 20 + 1)) from generate_series(1, 20) i;
select range_agg('empty'::int4range) from generate_series(1, 3);
select range_agg(null::int4range) from generate_series(1, 3);
select range_agg(int4range(1, 2)) where false;
select range_agg(int4range(null, i)) from generate_series(1, 5) i;
select range_agg(daterange('2024-01-01', null)), range_agg(daterange(null, null));
select i, range_agg(int4range(i, i + 1)) over (order by i) from generate_series(1, 4) i;
select i, range_agg(int4range(2 * i, 2 * i + 1)) over (order by i) from generate_series(1, 4) i;
select i, range_agg(int4range(i, i + 1)) over (order by i rows 1 preceding) from generate_series(1, 4) i;
select i % 2 as g, range_agg(int4range(i, i + 2)) filter (where i <> 5) from generate_series(1, 9) i group by 1 order by 1;
select range_agg(numrange(a, b)) from (values (1.0, 2.50), (1.00, 2.5), (2.500, 3)) v(a, b);
select range_agg(numrange(a, b)) from (values (2.500, 3), (1.0, 2.50), (1.00, 2.5)) v(a, b);
select range_agg(distinct int4range(i % 3, i)) from generate_series(3, 5) i;
select range_agg(m) from (values ('{[1,5),[9,10)}'::int4multirange), (null), ('{}'), ('{[5,9)}')) v(m);

-- Hashes of 32 bits, and of 64 bits by a seed.
select hashtext(t), hashtextextended(t, 0), hashtextextended(t, 1), hashtextextended(t, -7) from (values (''), ('a'), ('eleven byte'), ('twelve bytes'), ('more than twelve, with an ä')) v(t);
select hashint2(n::int2), hashint4(n), hashint8(n), hashoid(n::oid), hashint4extended(n, 3), hashint8extended(n, 3) from (values (0), (1), (42), (30000)) v(n);
select hashint8(n), hashint8extended(n, 9), hashint8extended(n, -9223372036854775808) from (values (-1), (1099511627776), (-1099511627776), (9223372036854775807)) v(n);
select hashfloat8(f), hashfloat4(f::float4), hashfloat8extended(f, 5) from (values (0::float8), ('-0'), (1.5), (-2.25), ('NaN'), ('Infinity')) v(f);
select hash_numeric(n), hash_numeric_extended(n, 8) from (values (0::numeric), (0.00), (1), (1.00), (-1), (20000), (0.00012), (123456789.987654321), ('NaN'), ('Infinity')) v(n);
select hashname('n'::name), hashbpchar('ab  '::char(9)), hashbpchar('ab'), hashchar('x'), hashcharextended('x', 1), uuid_hash('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
select hashmacaddr('08:00:2b:01:02:04'), hashmacaddr8('08:00:2b:01:02:04:36:49'), hashinet('192.168.1.1/24'), hashinet('::1'), hashinetextended('10.0.0.0/8'::cidr, 2);
select time_hash('11:09:59.5'), timetz_hash('11:09:59+04'), timetz_hash_extended('11:09:59-01:30', 4), interval_hash('1 month 2 days -1 hour'), timestamp_hash('2024-02-29 12:00'), pg_lsn_hash('16/B374D84');
select hashchar((-61)::"char"), hashchar(''), hashcharextended((-128)::"char", 5);
select interval_hash('24 hours') = interval_hash('1 day'), hashtext(null), hashtextextended('a', null);
select hashtext(1);
-- Of what is made of others.
select hash_array(a), hash_array_extended(a, 0), hash_array_extended(a, 5) from (values ('{}'::int4[]), ('{0}'), ('{1,2,3}'), ('{{1,2},{null,4}}')) v(a);
select hash_array('{a,b}'::text[]), hash_array('{t,f}'::bool[]), hash_array('{2024-02-29}'::date[]), hash_array('{\\x01}'::bytea[]), hash_array('{a}'::varchar[]), hash_array('{1}'::xid[]);
select hash_range(r), hash_range_extended(r, 0), hash_range_extended(r, 7) from (values ('empty'::int4range), ('[1,5)'), ('(,3)'), ('[3,)'), ('(,)')) v(r);
select hash_range('[1.50,2]'::numrange), hash_range('[2024-01-01,2024-01-02)'::daterange), hash_range('[2024-01-01 10:00,)'::tsrange);
select hash_multirange(m), hash_multirange_extended(m, 0), hash_multirange_extended(m, 7) from (values ('{}'::int4multirange), ('{[1,5)}'), ('{(,3),[7,9)}')) v(m);
select hash_record(row(1, 'a'::text)), hash_record_extended(row(1, 'a'::text), 0), hash_record_extended(row(1, null::int, array[2]), 9), hash_record(row());
select hash_array('{1}'::money[]);
select hash_array_extended('{}'::money[], 1);
select hash_record(row(1, 2::money));

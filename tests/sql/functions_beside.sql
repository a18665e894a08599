-- Bytes.
select overlay('\x010203'::bytea placing '\xff'::bytea from 2), overlay('\x010203'::bytea placing '\xffee'::bytea from 2 for 0), overlay('\x010203'::bytea placing '\xff'::bytea from 9 for 5);
select overlay('\x010203'::bytea placing '\xff'::bytea from 0);
select ltrim('\x00000102'::bytea, '\x00'::bytea), rtrim('\x01020000'::bytea, '\x0002'::bytea), trim(leading '\x01'::bytea from '\x010201'::bytea), trim('\x01'::bytea from '\x0101'::bytea);
select bit_count('\x1234567890'::bytea), get_bit('\x1234567890'::bytea, 30), get_bit('\x01'::bytea, 0), set_bit('\x1234567890'::bytea, 30, 0), set_bit('\x00'::bytea, 7, 1);
select get_bit('\x01'::bytea, 8);
select set_bit('\x01'::bytea, -1, 1);
select set_bit('\x01'::bytea, 1, 2);
select sha256('\x'::bytea), sha384('abc'::bytea), sha512('abc'::bytea), sha256(null);
select length('\xc3a4'::bytea, 'UTF8'), convert('\xe4'::bytea, 'LATIN1', 'UTF8'), length('\xe4f6'::bytea, 'latin1');
select length('a'::bytea, 'nothing');
-- Trigonometry in degrees.
select x, sind(x), cosd(x), tand(x), cotd(x) from (values (0), (30), (45), (60), (90), (120), (135), (150), (180), (210), (225), (240), (270), (300), (315), (330), (360), (-30), (-90), (-180), (750)) t(x);
select x, asind(x), acosd(x), atand(x) from (values (-1), (-0.5), (0), (0.5), (1)) t(x);
select atan2d(0, 1), atan2d(1, 1), atan2d(1, 0), atan2d(0, -1), atan2d(-1, 0), atan2d(-1, -1);
select sind('nan'), cosd('nan'), tand('nan'), cotd('nan'), asind('nan'), acosd('nan'), atand('nan'), atand('infinity'), atand('-infinity');
select sind('infinity');
select tand('-infinity');
select asind(1.1);
select acosd(-1.1);
-- JSON.
select array_to_json(array[[1, 2], [3, 4]]), array_to_json(array[1, null, 3], true), array_to_json('{}'::int[], true), array_to_json(array['a"b', null]), array_to_json(null::int[]);
select array_to_json(array[[1, 2], [3, 4]], true);
select array_to_json(array_agg(q), true) from (select x as b, x * 2 as c from generate_series(1, 3) x) q;
select jsonb_set_lax('{"a": 1, "b": 2}', '{b}', null), jsonb_set_lax('{"a": 1}', '{b}', null, true, 'use_json_null');
select jsonb_set_lax('{"a": 1, "b": 2}', '{b}', null, true, 'delete_key'), jsonb_set_lax('{"a": 1, "b": 2}', '{b}', null, true, 'return_target'), jsonb_set_lax('{"a": 1}', '{b}', '3', true, 'delete_key'), jsonb_set_lax('{"a": 1}', '{b}', '3', false);
select jsonb_set_lax('{"a": 1}', '{b}', null, true, 'raise_exception');
select jsonb_set_lax('{"a": 1}', '{b}', null, true, null);
select jsonb_set_lax('{"a": 1}', '{b}', null, true, 'no_such_treatment');
select jsonb_set_lax('{"a": 1}', null, '1'), jsonb_set_lax(null, '{a}', '1'), jsonb_set_lax('{"a": 1}', '{b}', '1', null);
-- Buckets of thresholds.
select width_bucket(5, array[1, 3, 6]), width_bucket(0, array[1, 3, 6]), width_bucket(6, array[1, 3, 6]), width_bucket(1, array[]::int[]), width_bucket('b'::text, array['a', 'b', 'c']), width_bucket(2.5, array[1, 2, 3]::float8[]), width_bucket('nan'::float8, array[1, 2, 'infinity']::float8[]);
select width_bucket(5, array[3, null]);
select width_bucket(5, array[[1, 2]]);
select width_bucket(null, array[1]), width_bucket(1, null::int[]);
-- Identifiers and sizes.
select parse_ident('Schemax.Tabley'), parse_ident('"SchemaX"."TableY"'), parse_ident(' first . "  second  " ."   third   ". "  "" x" '), parse_ident('a.b!', false);
select parse_ident('foo.boo[]');
select parse_ident('a..b');
select parse_ident('1020');
select parse_ident('.a');
select parse_ident('a.');
select parse_ident('"a');
select parse_ident('xxx.""');
select pg_size_bytes(s) from (values ('1'), ('123 bytes'), ('1kB'), ('1MB'), (' 1 GB'), ('1.5 GB '), ('1TB'), ('3000 TB'), ('1e6 MB'), ('-.5 kB'), ('99 PB')) t(s);
select pg_size_bytes('1 AB');
select pg_size_bytes('1 AB A ');
select pg_size_bytes('bytes');
select pg_size_bytes('');
select pg_size_bytes('9223372036854775807.9');
select pg_size_bytes('1e100');
select pg_size_bytes('.+912');

-- Values in their binary format.
select int2send(1::int2), int4send(-2), int8send(3), float4send(1.5::float4), float8send(-0.1), boolsend(true), oidsend(7);
select textsend('aé'), byteasend('\x0102'), varcharsend('b'), bpcharsend('c'::char(3)), namesend('d'), charsend('e'), json_send('{"a": 1}'), jsonb_send('{"a":1}');
select date_send('2024-01-02'), time_send('01:02:03'), timestamp_send('2024-01-02 03:04:05'), interval_send('1 mon 2 days 00:00:03'), timetz_send('01:02:03+01');
select numeric_send(123.45), uuid_send('00010203-0405-0607-0809-0a0b0c0d0e0f'), bit_send(B'101'), inet_send('10.0.0.1/8'), macaddr_send('01:02:03:04:05:06');
select float4send('5e-20'), float4send('67e14'), float8send('2.2250738585072014E-308'), cash_send('$1.23'), int4send(null) is null;

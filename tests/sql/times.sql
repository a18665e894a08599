-- Times of day.
select '04:05:06.789'::time, '04:05'::time, '040506'::time, '04:05 PM'::time, '24:00:00'::time, 'allballs'::time, '2024-01-01 04:05:06'::time, '04:05:06+02'::time, time '23:59:59.9999999';
select '25:00:00'::time;
select 'x'::time;
select '2024-01-01'::time;
select '04:05:06.789'::time(1), '04:05:06.789'::time(0);
select time '23:00' + interval '2 hours', time '01:00' - interval '2 hours 30 minutes', interval '1 day 1 hour' + time '12:00', time '10:00' - time '08:30', date '2024-02-29' + time '12:34', time '12:34' + date '2024-02-29';
select '2024-01-01 04:05:06'::timestamp::time, '04:05'::time::interval, '26:03:04'::interval::time, make_time(1, 2, 3.5), '04:05'::time::text;
select extract(hour from time '04:05:06.7'), extract(second from time '04:05:06.7'), extract(epoch from time '01:00'), date_part('minute', time '04:05');
select extract(day from time '04:05');
select make_time(25, 0, 0);
select time '01:00' < '02:00', time '01:00' = '01:00', time '24:00' > time '23:59:59';
create table t (id int primary key, t time, p time(2) default '12:00', a time[]);
insert into t values (1, '04:05:06.789123', '04:05:06.789', '{01:00,"02:00:00.5"}'), (2, '00:00', default, null), (3, '24:00', default, '{}'), (4, null, null, null);
select * from t order by t;
select min(t), max(t), count(t) from t;
create index on t (t);
select id from t where t > '01:00' and t < '23:00';
select * from t where t = '00:00:00';
select column_name, data_type, datetime_precision from information_schema.columns where table_name = 't' order by ordinal_position;
select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attnum > 0 order by attnum;
select to_json(time '04:05'), array_agg(t order by t) from t;
drop table t;
-- Times without separators, and their zones.
select '20240229 040506-08'::timestamptz = '2024-02-29 04:05:06-08', '20240229T040506-08'::timestamptz = '2024-02-29 04:05:06-08', '20240229T0405-0330'::timestamptz = '2024-02-29 04:05-03:30';
select 'J2452271-08'::timestamptz = '2001-12-27 00:00-08', 'J2452271T040506-08'::timestamptz = '2001-12-27 04:05:06-08', '20240229T040506-08'::timestamp;
select '20240229 04:05 040506-08'::timestamptz;
select '040506-08'::timetz, '1999-01-08 04:05'::time;

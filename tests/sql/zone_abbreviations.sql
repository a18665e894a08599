-- Abbreviations of zones: fixed ones, and those that have had one offset and another.
select '2024-01-02 03:04:05 NPT'::timestamptz, '2024-01-02 03:04:05 CLST'::timestamptz, '2024-01-02 03:04:05 novt'::timestamptz;
select '2024-01-02 03:04:05 wib'::timestamptz;
select '2011-03-27 01:30:00 MSK'::timestamptz, '2011-03-27 02:30:00 MSK'::timestamptz, '2015-01-01 00:00 MSK'::timestamptz;
select '2014-10-26 01:30 MSK'::timestamptz, '2014-10-26 00:59 MSK'::timestamptz, '2024-05-05 12:00 VET'::timestamptz;
select timestamp '2011-03-27 02:30:00' at time zone 'MSK', timestamptz '2011-03-26 23:30:00 UTC' at time zone 'MSK';
select date_trunc('day', timestamptz '2001-02-16 20:38:40+00', 'VET'), timezone('NZDT', timestamp '2024-01-01');
select '12:30 NPT'::timetz, '2015-05-05 12:30 MSK'::timetz, '2012-05-05 12:30 MSK'::timetz;
select '2024-01-01 ABC'::timestamptz;
select timestamp '2024-01-01' at time zone 'nowhere';
-- As POSIX writes them: what is ahead of Greenwich has a minus.
select '2001-07-11 10:51:14 GMT-4'::timestamptz, '2001-07-11 10:51:14 UTC+3:30'::timestamptz, '2001-07-11 PST-03:00'::timestamptz;
select '2001-07-11 10:51:14 foo8bar'::timestamptz, '2001-01-11 10:51:14 foo8bar'::timestamptz, '2001-07-11 mst7mdt'::timestamptz;
select timestamp '2024-07-01' at time zone 'EST5EDT', timestamp '2024-07-01' at time zone 'AAA3BBB';
-- Zones go on for ever.
select '205000-07-10 17:32:01 Europe/Helsinki'::timestamptz, timestamptz '205000-01-10 17:32:01+00' at time zone 'Europe/Helsinki';
select timestamptz '205000-07-10 17:32:01+00' at time zone 'Europe/Helsinki', '20500-07-10 America/New_York'::timestamptz;
select make_timestamptz(2020, 1, 2, 3, 4, 5, '+2'), make_timestamptz(2020, 1, 2, 3, 4, 5, '-02:30'), make_timestamptz(2020, 1, 2, 3, 4, 5, '+0545');
select make_timestamptz(2020, 1, 2, 3, 4, 5, 'MSK'), make_timestamptz(2020, 1, 2, 3, 4, 5, 'Asia/Tokyo'), make_timestamptz(2020, 1, 2, 3, 4, 5, 'FOO8');
select make_timestamptz(2020, 1, 2, 3, 4, 5, '2');
select make_timestamptz(2020, 1, 2, 3, 4, 5, '+16');
select make_timestamptz(2020, 1, 2, 3, 4, 5, '+1:60');
select make_timestamptz(2020, 1, 2, 3, 4, 5, '+1:2:3'), make_timestamptz(2020, 1, 2, 3, 4, 5, '+1:');
select make_timestamptz(2020, 1, 2, 3, 4, 5, '+99999999999');
select make_timestamptz(2020, 1, 2, 3, 4, 5, 'nowhere');
-- Parts of dates that are none.
select '[100,200,300]'::timestamp;
select '1999-08-Jan'::date;
select '08-1999'::date;
select '23:59:60.5'::time;
select '23:59:60'::time, '24:00'::time, '2020-01-01 23:59:60'::timestamp, '12:59:60.5'::time;
select '2020-01-01 23:59:60.5'::timestamp;
select 'Mar 12 23:58:48 100000'::timestamp, 'Sat 12 Mar 23:58:48 100000 UTC'::timestamptz;
select '99-Jan-08'::date;
select '2001-12-23t04:05'::timestamp, '20011223t040506'::timestamp, 'J2452271'::date, '2001.357'::date, '08-jan-1999'::date;
select i, to_char(i * interval '1 month', 'RM|rm|FMRM') from generate_series(-13, 13, 3) i;
select to_char(interval '-2 years', 'RM'), to_char(interval '3 years', 'rm'), to_char(interval '1 day', 'RM');
-- Times beyond what a timestamp may be still compare.
set timezone = 'Asia/Tokyo';
select '4714-11-24 BC'::date < '2020-10-05'::timestamptz, '4714-11-24 BC'::timestamp < '2020-10-05'::timestamptz, '4714-11-24 BC'::date >= '2020-10-05'::timestamptz;
set timezone = 'UTC';
select '2202020-10-05'::date > '2020-10-05'::timestamp, '2202020-10-05'::date > '2020-10-05'::timestamptz, '2202020-10-05'::date < 'infinity'::timestamptz;
select '2020-10-05'::date < 'infinity'::timestamptz, 'infinity'::date = 'infinity'::timestamptz, '-infinity'::date < '4714-11-24 BC'::timestamptz;

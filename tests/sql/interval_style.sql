-- Intervals in each style, written and read.
set intervalstyle = 'nonsense';
set intervalstyle = '';
show intervalstyle;
create table spans (n int, i interval);
insert into spans values
    (1, '1 year 2 mons 3 days 04:05:06.789'),
    (2, '-1 year -2 mons -3 days -04:05:06.789'),
    (3, '1 year 2 mons'),
    (4, '-1 year -2 mons'),
    (5, '3 days 04:05:06'),
    (6, '-3 days -04:05:06'),
    (7, '04:05:06'),
    (8, '-00:00:00.5'),
    (9, '0'),
    (10, '1 year -1 days +00:00:01'),
    (11, '-1 mons 2 days -03:00'),
    (12, '-2 days'),
    (13, '1 day'),
    (14, '1 mon 1 day 01:01:01'),
    (15, '1 day -00:00:01'),
    (16, '-1 day 00:00:01'),
    (17, '178000000 years 2147483647 days 2562047788:00:54.775807'),
    (18, '-178000000 years -2147483647 days -2562047788:00:54.775807'),
    (19, '00:01:01'),
    (20, '11 mons -1 sec');
select * from spans order by n;
set intervalstyle = 'postgres_verbose';
show intervalstyle;
select * from spans order by n;
set intervalstyle = sql_standard;
show intervalstyle;
select * from spans order by n;
set intervalstyle = 'ISO_8601';
show intervalstyle;
select * from spans order by n;
select i::text, array[i, i], to_json(i), concat(i, '') from spans where n in (1, 2) order by n;
set intervalstyle = 'postgres_verbose';
select i::text, array[i, i], to_json(i), concat(i, '') from spans where n in (1, 2) order by n;
-- Read back.
set intervalstyle = 'postgres';
select n from spans where i::text::interval <> i;
set intervalstyle = 'postgres_verbose';
select n from spans where i::text::interval <> i;
set intervalstyle = 'sql_standard';
select n from spans where i::text::interval <> i;
set intervalstyle = 'iso_8601';
select n from spans where i::text::interval <> i;
-- A sign before all fields.
set intervalstyle = 'postgres';
select interval '-1-2 3 4:05:06', interval '-1 year 2 mons', interval '-1 2:03:04', interval '-3 4:05', interval '-1 day 2 hours ago';
select interval '-1 year +2 mons', interval '- 1 day 2:00', interval '1 day -2:00', interval '-1-2 +3 -4:05:06';
set intervalstyle = 'sql_standard';
select interval '-1-2 3 4:05:06', interval '-1 year 2 mons', interval '-1 2:03:04', interval '-3 4:05', interval '-1 day 2 hours ago';
select interval '-1 year +2 mons', interval '- 1 day 2:00', interval '1 day -2:00', interval '-1-2 +3 -4:05:06';
set intervalstyle = 'postgres_verbose';
select interval '-1-2 3 4:05:06', interval '-1 2:03:04', interval '@ 1 day 2 hours ago', interval '@ 0';
begin;
set local intervalstyle = 'iso_8601';
select interval '1 day';
rollback;
select interval '1 day';
prepare shown (interval) as select $1, i, i::text from spans where n = 1;
execute shown ('1 day');
set intervalstyle = 'iso_8601';
execute shown ('1 day');
reset intervalstyle;
execute shown ('1 day');
-- Bytes and fractions.
select bytea '\x00ff41', extra from (select 0.1::float8 + 0.2::float8 as extra) t;
set bytea_output = 'escape';
set extra_float_digits = 0;
select bytea '\x00ff41', array[bytea '\x00ff41'], (bytea '\x00ff41')::text, 0.1::float8 + 0.2::float8, (1.0::float4 / 3)::text;
set extra_float_digits = -3;
select 0.1::float8 + 0.2::float8, to_json(1.0::float8 / 3), array[1.0::float8 / 3];
reset bytea_output;
reset extra_float_digits;
select bytea '\x00ff41', 0.1::float8 + 0.2::float8;
-- Where the session's style does not count.
create table kept (a int, i interval default '-1 2:03:04');
set intervalstyle = 'sql_standard';
insert into kept values (1) returning *;
create table kept_too (a int, i interval default '-1 2:03:04');
set intervalstyle = 'postgres';
insert into kept_too values (1) returning *;
create index on spans ((i::text));

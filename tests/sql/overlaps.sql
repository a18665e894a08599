-- Whether two periods have a time in common.
with t(x) as (values (time '01:00'), ('02:00'), ('03:00'), (null))
select a.x, b.x, c.x, d.x, (a.x, b.x) overlaps (c.x, d.x) from t a, t b, t c, t d order by 1, 2, 3, 4;
select (date '2020-01-01', date '2020-02-01') overlaps (date '2020-01-15', date '2020-03-01'), (date '2020-01-01', interval '14 days') overlaps (date '2020-01-15', interval '1 day');
select (timestamp '2020-01-01', timestamp '2020-01-02') overlaps (timestamp '2020-01-02', interval '1 hour'), (timestamp '2020-01-01', interval '1 month') overlaps (timestamp '2020-01-31 23:00', timestamp '2020-03-01');
select (timestamptz '2020-01-01 00:00+00', interval '1 day') overlaps (timestamptz '2020-01-01 23:59+00', null::timestamptz), (null::timestamptz, interval '1 day') overlaps (now(), now()), (time '23:00', interval '2 hours') overlaps (time '00:30', time '00:40');
select row (date '2020-01-01', date '2020-02-01') overlaps (date '2020-01-15', date '2020-03-01') and true, not (time '10:00', time '11:00') overlaps (time '11:00', time '12:00');
select (date '2020-01-01', date '2020-02-01') overlaps (date '2020-01-15', date '2020-03-01', date '2020-03-01');
select overlaps(time '10:00', time '11:00', time '10:30', time '12:00');
select "timestamp"(date '2020-01-01', time '10:00');
set timezone = 'Europe/Berlin';
select timestamptz(date '2020-07-01', time '10:00'), timestamptz(date 'infinity', time '10:00');

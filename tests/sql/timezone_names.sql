-- Zones whose clocks are never changed
select * from pg_timezone_names where name in ('UTC', 'Asia/Tokyo', 'Asia/Kolkata', 'America/Phoenix', 'Etc/GMT+5') order by name;
select count(*) > 400 from pg_timezone_names;
-- and one whose clocks are
set timezone = 'Europe/Zurich';
select name, utc_offset = extract(timezone from now()) * interval '1 second', is_dst = (abbrev = 'CEST') from pg_timezone_names where name = 'Europe/Zurich';
reset timezone;

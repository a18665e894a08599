-- Conditions that keep others from what they fail at, and values that are equal and look different: whatever the planner moves.
create table t (x int);
create table u (id int);
insert into t values (0), (5);
insert into u values (0), (5);

-- A guard below comes before what is asked from above.
select * from (select x from t where x <> 0) q where 10 / x > 1;
select t.x from t join u on u.id = t.x and t.x <> 0 where 10 / t.x > 1;
with q as (select x from t where x <> 0) select x from q where 10 / x > 1;
select x from (select x from t where x <> 0 union all select id from u where id <> 0) q where 10 / x > 1;
select t.x from t where exists (select 1 from u where u.id = t.x and u.id <> 0 and 10 / u.id > 1);

-- EXCEPT takes away what is equal, however it looks.
select x from (select 1.0 as x except select 1.00) q where x::text = '1.0';
select x from (select 1.0 as x except all select 1.00) q where x::text = '1.0';
select x from (select 1.0 as x union all select 2.0 except select 1.00) q where x > 1;

-- What depends on the session is computed by the session's settings.
set datestyle = 'ISO, DMY';
select string_to_array('01/02/2024', ',')::date[];
select '{01/02/2024}'::text[]::date[];
select string_to_array('01/02/2024 10:00', ',')::timestamp[];
reset datestyle;
set extra_float_digits = 0;
select array_append('{}'::float8[], 0.1::float8 + 0.2::float8)::text;
reset extra_float_digits;

-- An aggregate over rows that no outer row asks for fails nobody.
create table w (b int, i interval, pattern text);
insert into w values (1, '1 day', 'a%'), (1, '2 days', 'b%'), (9, '2000000000 months', 'a\'), (9, '2000000000 months', 'a\');
select x, (select sum(i) from w where w.b = t.x) from t order by x;
select x, (select count(*) filter (where 'a' like w.pattern) from w where w.b = t.x) from t order by x;
select x, (select string_agg(pattern, ',' order by pattern) from w where w.b = t.x + 1) from t order by x;
drop table t, u, w;

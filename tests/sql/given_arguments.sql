-- Arguments by name, with defaults for those between them that are not given.
select make_interval(days => 10), make_interval(hours => 2, mins => 3), make_interval(1, secs => 4.5);
select make_interval(weeks := 2, months := 1), make_interval();
select make_date(day => 3, year => 2024, month => 2), make_time(8, sec => 1.5, min => 2);
select make_timestamptz(2024, 2, 3, sec => 6, min => 5, hour => 4);
select make_timestamptz(2024, 2, 3, 4, 5, timezone => 'America/New_York', sec => 6);
select jsonb_set('{"a": 1}', '{b}', '2', create_if_missing => false), jsonb_set('{"a": 1}', replacement => '2', path => '{b}');
select jsonb_set_lax('{"a": 1}', '{a}', null, null_value_treatment => 'delete_key');
select jsonb_insert('{"a": [1, 2]}', '{a, 0}', '9', insert_after => true);
select jsonb_path_query_array('[1, 2, 3]', '$[*] ? (@ > $least)', vars => '{"least": 1}');
select jsonb_path_exists('[1]', 'strict $.a', silent => true);
select v from jsonb_path_query('{"a": 1}', 'strict $.b', silent => true) v;
select parse_ident(str => 'a.b c', strict => false);
select key, value from jsonb_each(from_json => '{"k": 1}');
-- Names that it has not, or that were given already.
select make_interval(day => 1);
select make_interval(1, years => 2);
select make_interval(days => 1, days => 2);
select jsonb_set('{}', path => '{a}');
select lower(string => 'A');
select make_date(1, month => 2, 3);
-- They are kept by place.
create table starts (at timestamp default timestamp '2024-01-01' + make_interval(days => 3));
insert into starts default values;
select * from starts;
-- The last arguments in an array.
select concat(variadic array[1, 2, null, 3]), concat_ws('-', variadic '{a,b}'::text[]);
select concat_ws('-', 'x', variadic array['y']);
select format('%s and %I', variadic array['one', 'Two']), format('nothing', variadic null::text[]);
select concat(variadic '{}'::int[]) = '', concat(variadic null::int[]) is null, concat_ws(null, variadic array['a']) is null;
select json_build_array(variadic array['a', null]), jsonb_build_array(variadic array[1.5, 2]), json_build_array(variadic '{}'::text[]);
select json_build_object(variadic array['a', 'b']), jsonb_build_object(variadic '{a,1,b,2}'::text[]), json_build_object(variadic null::text[]);
select json_build_object(variadic array['a']);
select jsonb_build_object(variadic array['a', 'b', null, 'c']);
select jsonb_extract_path('{"a": {"b": 1}}', variadic array['a', 'b']), json_extract_path_text('{"a": [5, 6]}', variadic '{a,1}');
select jsonb_extract_path('{"a": 1}', variadic array['a', null]) is null, jsonb_extract_path('{"a": 1}', variadic '{}');
select num_nulls(variadic array[1, null, 2]), num_nonnulls(variadic array[1, null, 2]), num_nulls(variadic null::int[]);
select concat_ws(',', variadic a) from (values (array['x', 'y']), ('{z}')) t(a);
select concat(variadic array[array[1, 2], array[3, 4]]);
select concat(variadic array[true, false]), concat(variadic array['2024-01-02'::date]);
select concat(variadic 1);
select concat(variadic '{a}');
select abs(variadic array[1]);
select format(variadic array['a']);
select concat(variadic array[1], 2);
select concat(distinct variadic array[1]);
create table kept (n int, words text[], joined text default concat(variadic array['a', 'b']));
select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'kept'::regclass;
insert into kept (n) values (1);
select * from kept;
-- What is not there is told before what does not fit it.
select no_such_function(*);
select no_such_function(distinct 1);
select no_such_function(1 order by 1);
select lower(distinct 'a');

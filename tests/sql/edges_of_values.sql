-- Documents between brackets.
select ('[1, "2", null]'::jsonb)['1'], ('[1, "2", null]'::jsonb)['-1'], ('{"1": 5}'::jsonb)[1], ('[1]'::jsonb)['x'], ('{"a": {"b": 3}}'::jsonb)['a']['b'];
select ('[1]'::jsonb)[0::smallint], ('{"a": 1}'::jsonb)['a'::varchar], ('{"a": 1}'::jsonb)['a'::char(3)], ('[1]'::jsonb)[null];
select ('[1]'::jsonb)[1.0];
select ('[1]'::jsonb)[true];
select ('[1]'::jsonb)[0::bigint];
select ('[1, 2]'::jsonb)[0:1];
create table documents (j jsonb);
insert into documents values ('{"a": [1, 2]}');
update documents set j['a']['0'] = '7', j['b'] = '"x"';
update documents set j['a'][1.5] = '7';
select j, j['a']['0'], j['a'][1] from documents;
-- One byte.
select '\101'::"char", '\377'::"char", '\000'::"char" = '', '\8'::"char", 'ab'::"char", '\1011'::"char", '\777'::"char";
select '\377'::"char"::text, '\377'::text::"char", '\377'::"char"::int, (-1)::"char", 65::"char", 'é'::"char";
select 200::"char";
-- Arrays in documents.
select * from json_to_record('{"a": [[1, 2], [3, 4]]}') as x(a int[]);
select * from jsonb_to_record('{"a": [[1], [2, 3]]}') as x(a int[]);
select * from jsonb_to_record('{"a": [[[1]], [[1], [2]]]}') as x(a int[]);
-- Widths of format.
select format('>%*s<', 5, 'a'), format('>%*s<', '5', 'a'), format('>%-*s<', 4::smallint, 'a'), format('>%1$*2$s<', 'a', -5), format('>%*s<', null, 'a');
select format('>%*s<', 'x', 'a');
select format('%*0$s', 'a');
select format('>%*s<', 5::bigint, 'a'), format('>%*s<', '3'::varchar, 'a');
-- Numbers at the head of a path.
select '(1).type()'::jsonpath, '1.2.e'::jsonpath, '((($ + 1)).a + ((2)).b)'::jsonpath, '1?(2>3)'::jsonpath, '-(1).abs()'::jsonpath;
select jsonb_path_query('null', '(123).type()'), jsonb_path_query('null', '(-1.5).abs()');
select jsonb_path_query_array(jsonb_build_array(E'a\bc', 'a\bc', 'abc'), '$[*] ? (@ like_regex "a\\bc")');
select E'a\bc' ~ 'a\bc', 'a b' ~ 'a\b', 'ab' ~ '[\b]';
select round(5.5e131071, -131073), round(4.4e131071, -131072), round(-7e131071, -1000000);
select round(5.5e131071, -131072);
select date_bin('1 hour', timestamp '294276-12-30', timestamp '4000-12-20 BC');
select 1.5e+a;
set timezone = 'Asia/Tokyo';
select '4714-11-24 BC'::date::timestamptz;
reset timezone;

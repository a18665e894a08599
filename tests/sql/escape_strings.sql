-- Strings where a backslash means something in all of them.
set standard_conforming_strings = off;
show standard_conforming_strings;
select 'a\nb', 'it\'s', 'c:\\d', 'plain', '';
select E'a\nb', 'x\u0041', 'a'
'b\tc', length('a\\');
select 'a\bb' = E'a\bb', 'a\101', 'a\x41', 'a\q', '\'', 'a''b\'c';
select'x\y'as a, (1)::text||'\\'||'b';
select U&"a" from (select 1 as a) t;
select U&'a';
set escape_string_warning = off;
select 'a\nb', 'a\\b', B'01', X'1F', $$a\b$$;
select 'a' /* 'x\' */, 'b\\' -- 'c\'
;
select "a\b" from (select 1 as "a\b") t where 'a\\' = E'a\\';
-- Errors have their places.
select 'a\nb', 'c\nd' from nosuch;
select 'a\nb', 'c\\d', nosuch;
select 'é\n', 'ab\'' || nosuch('c');
select 'a\u00e', 1;
select 'x' from (select 'a\nb' as v) t where v = 'a\nb' and w;
-- What is kept says the same.
create table escapes (a text default 'd\\e', b text check (b <> 'x\'y'));
create view escaped as select 'a\\nb'::text as v, length('\\') as n;
create function escaping() returns text language sql as 'select \'q\\\\r\'::text';
insert into escapes values (default, 'x\\y');
insert into escapes values (default, 'x\'y');
prepare escaped_statement as select 'a\\b', $1::text;
set standard_conforming_strings = on;
select * from escapes;
select * from escaped;
select escaping();
execute escaped_statement('a\b');
select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'escapes'::regclass;
select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'escapes'::regclass;
-- Which quotes there may be.
set backslash_quote = off;
select 'a\'||'b', E'a''b', E'a\\';
select E'a\'b';
set standard_conforming_strings = off;
select 'a\'b';
select 'a\\', 'b';
set backslash_quote = on;
select 'a\'b', E'a\'b';
set backslash_quote = safe_encoding;
select 'a\'b', E'a\'b';
set backslash_quote = maybe;
reset standard_conforming_strings;
reset backslash_quote;
reset escape_string_warning;
select 'a\b', E'a\\b';

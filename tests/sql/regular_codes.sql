-- Characters by their numbers.
select 'П' ~ '^\x41f$', 'A' ~ '^\x41$', 'Af' ~ '^\x041f$', 'A' ~ '^\x0041$', 'Ag' ~ '^\x41g$', 'é' ~ '^\u00e9$', '😀' ~ '^\U0001F600$';
select regexp_replace('aПb', '\x41f', 'x'), regexp_replace('a-b', '\x2d', '+'), 'a(b' ~ 'a\x28b', 'a.b' ~ 'a\u002eb', 'axb' ~ 'a\u002eb';
select 'x' ~ '[\x41-\x5a]', 'Q' ~ '[\x41-\x5A]', 'П' ~ '[\x41f]', E'\x01' ~ '[\x00-\x1f]', 'a' ~ '[\x00-\x1f]', 'é' ~ '[\x80-\x10ffff]';
select 'a' ~ '\x110000', 'a' ~ '\xd800', 'a' ~ '\U00110000', 'a' ~ '\ud800', 'a' ~ '\x7ffffffe';
select 'a' ~ '\x7fffffff';
select 'a' ~ '[\x7fffffff]';
select 'a' ~ '\x';
select 'a' ~ '\xg';
select 'a' ~ '\u00e';
select 'a' ~ '\U0001F60';
-- The same in octal, unless so many groups have begun.
select E'a\nb' ~ 'a\012b', E'a\nb' ~ 'a\12b', 'a0b' ~ 'a\0600b', 'a00b' ~ 'a\0600b', E'\n' ~ '[\012]', 'a' ~ '\0';
select E'\x018' ~ '^\0018$', E'\x018' ~ '^\018$', '(x)' ~ '\(x\)', 'aa' ~ '(a)\1', E'a\x01' ~ 'a\001';
select 'abcdefghijj' ~ '(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\10', E'aa\x08' ~ '(a)\1\10', E'a\x08' ~ '(a)\10';
select 'a' ~ '\8';
select 'a' ~ '\89';
select 'a' ~ '\18';
select 'a' ~ '[\1]';
select 'a' ~ 'a\';

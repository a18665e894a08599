-- Back references.
select 'bbbbb' ~ '^([bc])\1*$', 'bbcbb' ~ '^([bc])\1*$', 'abcabc' ~ '^(\w+)\1$', 'aa' ~ '(a)\1', 'aA' ~* '^(a)\1$';
select regexp_replace('the the cat sat sat down', '\m(\w+) \1\M', '\1', 'g'), regexp_match('xaabbc', '(a)\1(b)\2');
select substring('foo--bar--' from '(-)\1'), regexp_matches('1-1 2-3 4-4', '(\d)-\1', 'g');
select 'abab' ~ '^(ab){2}$', 'abab' ~ '^(a|ab)(b|)\1';
select 'ab' ~ '(a)\2';
select 'ab' ~ '\1(a)';
select 'xyz' ~ 'x(\w)(?=(\1))';
-- Lookahead, lookbehind.
select 'foobar' ~ 'foo(?=bar)', 'foobaz' ~ 'foo(?=bar)', 'foobaz' ~ 'foo(?!bar)', 'foobar' ~ 'foo(?!bar)';
select 'Passw0rd' ~ '^(?=.*[A-Z])(?=.*\d)(?=.*[a-z]).{8,}$', 'password' ~ '^(?=.*[A-Z])(?=.*\d)(?=.*[a-z]).{8,}$';
select regexp_replace('1234567', '(\d)(?=(\d{3})+$)', '\1,', 'g'), regexp_replace('12', '(\d)(?=(\d{3})+$)', '\1,', 'g');
select regexp_match('price: $100', '(?<=\$)\d+'), regexp_match('100 200', '(?<!\d)2\d*'), 'xa' ~ '(?<!x)a', 'ya' ~ '(?<!x)a';
select regexp_split_to_array('oneTwoThree', '(?<=[a-z])(?=[A-Z])'), regexp_replace('a.b.c', '\.(?!.*\.)', '!');
select regexp_count('banana', 'a(?=n)'), regexp_instr('banana', 'n(?!.*n)'), regexp_substr('key=value', '(?<==).*');
select 'abcd' ~ 'a(?:b(?=c)|x)c', 'abxd' ~ 'a(?:b(?=c)|x)c', 'a' ~ '^(?!$)', '' ~ '^(?!$)', '' ~ '^(?=$)';
select E'a\nb' ~ '^(?=b)', regexp_match(E'a\nb', '^(?=b)b', 'n'), regexp_match('ABAB', '(ab)(?=\M|A)', 'i');
select 'x' ~ '(?=';
select 'x' ~ '(?=a)*';
select 'x' ~ '(a\1';
select 'aaa' ~ '(a)\1{300}';
select 'aaa' ~ '(?=a){2,1}';
-- Parts that take nothing end.
select '' ~ '^(a*)*\1$', 'aa' ~ '^(a*)+\1$', 'b' ~ '^(a*?)*b(?!x)';
select 'aaaaaaaaaaaaaaaaaaaa' ~ '^(a|aa)+(?=b)';
select regexp_replace('aXbXc', '(?<=a)X|X(?=c)', '-', 'g'), 'é1é' ~ '^(.)\d\1$';
select jsonb_path_query_array('["aa", "ab"]', '$[*] ? (@ like_regex "^(.)\\1$")');
create table accounts (name text check (name ~ '^(?!admin)[a-z]+$'));
insert into accounts values ('user'), ('adminx');

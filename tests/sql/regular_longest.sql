-- The longest match of the whole, and then of each part from the left.
select regexp_match('abcd', '(a|ab)(c|bcd)(d*)'), regexp_match('foobarbaz', '(foo|foobar)(bar|baz)*'), substring('xabcx' from 'a|ab|abc'), regexp_match('aaa', 'a|aa|aaa');
select regexp_replace('abab abc', 'a|ab|abc', '-', 'g'), regexp_split_to_array('1, 2,3', ',|, '), regexp_count('aaaa', 'a|aa'), regexp_instr('xxab', 'a|ab', 1, 1, 1);
select regexp_match('ab', 'a?(ab)?'), regexp_match('abc', '(a)?(ab)?(bc|c)*'), regexp_match('xyz', '(x|xy)(yz|z)?'), regexp_match('aab', '(a+)(ab)?');
select regexp_match('December 31', '(Dec|December) ?([0-9]*)'), regexp_match('colour', 'col(o|ou)(r|ur)'), regexp_match('2026-11-30T10', '(\d+)-(\d+)(-\d+)?(T\d+|T)?');
-- A group that repeats is what it was the last time.
select regexp_match('aba', '((a)|(b))*'), regexp_match('abb', '((a)|(b))*'), regexp_match('ab', '((a)|(b)|(ab))*'), regexp_match('abcabc', '(?:(a)|(b)|c)*');
select regexp_match('abab', '(a|b){2,3}'), regexp_match('aaab', '(a|ab)*(b)?'), regexp_match('foofoobar', '(foo|foobar)+'), regexp_match('abcab', '(?:(a)b|(c))+');
select regexp_match('a1b2c3', '(?:([a-z])(\d))+'), regexp_match('1.2.3', '(\d)(\.\d)*'), regexp_match('x=1;y=2;', '((\w)=(\d);)*'), regexp_match('aXbX', '(?:(.)X)*');
select regexp_match('', '(a*)*'), regexp_match('b', '(a*)*'), regexp_match('b', '(a*)+'), regexp_match('', '(a)*'), regexp_match('', '(a*?)*'), regexp_match('', '(a*?)+');
select regexp_match('', '(?:(a*?)b?)*'), regexp_match('ab', '(a|b)*?'), regexp_match('aabb', '(a*?){2,3}b'), regexp_match('b', '(a){0}b'), regexp_match('ab', '()|ab');
select regexp_match('abab', '((a)(b)?)*'), regexp_match('aba', '((a)(b)?)*'), regexp_match('abcde', '(((a)b)c)+(d|de)'), regexp_match('aab', '((a)|b)+');
-- What prefers few.
select regexp_match('<a><b>', '<.+?>'), regexp_match('<a><b>', '<(.+?)>(.*)'), regexp_match('XY1234Z', 'Y*([0-9]{1,3})'), regexp_match('XY1234Z', 'Y*?([0-9]{1,3})');
select regexp_match('abc01234xyz', '(.*)(\d+)(.*)'), regexp_match('abc01234xyz', '(.*?)(\d+)(.*)'), regexp_match('abc01234xyz', '(?:(.*?)(\d+)(.*)){1,1}');
select regexp_match('aaab', '(a+?)(a*)(b?)'), regexp_match('aaab', 'a*?(a+)b'), regexp_match('aaa', '(?:a|aa)*?a{2}'), regexp_match('aab', '(a*?)(a|b)*'), regexp_match('aaaa', '(a??)(a{1,2}?)(a*)');
select regexp_match('abcd', '(a.*?){1,1}(.*)'), regexp_match('foo bar baz', '(\w+?)( \w+)*?'), regexp_match('aXbXc', '^(.*?)X(.*)$'), regexp_match('aXbXc', '^(.*)X(.*?)$'), regexp_match('aabb', '(?:(a+?)|b)*');
select regexp_matches('k1=v1;k2=v2', '(\w+?)=(\w+);?', 'g');
select regexp_matches('aaaa', 'a{1,2}?', 'g');
-- Back references choose among what is left.
select regexp_match('abcabc', '(a|ab)(c|bcd|bc)\1'), regexp_match('aXaX', '((.)X)*\2'), regexp_match('aaaa', '(a+)\1'), regexp_match('aaaaa', '(a*?)\1(a*)'), regexp_match('abab', '^(ab|a)(b|)\1(\2)*$');
select regexp_match('xyxyx', '(x|y)*\1'), regexp_match('aabb', '((.)\2)+'), regexp_match('ababab', '(a(b)?)*\2'), regexp_match('aaa', '(a)\1{2}'), 'aaa' ~ '^(a)(?:\1|b){2}$';
-- Lookaround beside alternatives of unlike length.
select regexp_match('foobar', '(foo|foob)(?=ar)'), regexp_match('price 100 USD', '(\d+|\d)(?= USD)'), regexp_match('abcd', '(?<=a|ab)(c|b|bc)'), regexp_match('aXb', '(?<!X)(b|.)+');
select regexp_replace('1234567.891', '(\d)(?=(\d{3})+(\.|$))', '\1,', 'g'), regexp_match('aé日x', '(?<=é)(.|日x)'), regexp_match('ababX', '(?:ab)+(?=X)|ab');
-- SIMILAR TO takes the shortest, the longest, and what is left.
select similar_to_escape('a#"b*#"c', '#'), similar_to_escape('[a\]b]'), similar_to_escape('\d\x\%'), similar_to_escape('a{2}|b(c)'), similar_to_escape('[a#]b]', '#');
select '5' similar to '\d', ']' similar to '[\]]', substring('xaay' similar '%#"a{2}#"_' escape '#'), substring('foobarbaz' similar 'f#"o*#"%' escape '#'), substring('aaab' similar '#"a{1,2}#"%' escape '#');
select substring('abcabc' similar '(a|ab)#"%#"(c|bc)' escape '#'), substring('aaaa' similar 'a*#"a*#"a*' escape '#');

-- Strings in pieces, and what may stand between them.
select 'a'
-- it's
'b' as comment_with_a_quote;
select 'a'
  -- more
 'b' as comment;
select 'foo' -- c
 'bar' as comment_first;
select 'foo' -- it's
-- isn''t it
 'bar' as comments_first;
select 'a'


'''b'''
  'c' as doubled_quotes;
select E'a\'' -- '
  'b\'\\' as escapes, E'\1'
'01' = E'\00101' as digits_stay_apart;
select U&'\0061' -- it's
'\0062' as unicode, U&'d!0061'
  't!+000061' uescape '!' as with_escape;
select U&'\d83d'
'\de00' as pair_across_pieces;
select E'\ud83d'
'\ude00';
select n'a' -- '
'b' as national;
select 'a' /* c */
'b';
select 'a'
/* c */ 'b';
select 'a' 'b';
select 'a' -- no more
;
select 'a'
-- no more;
;
select $$a$$
'b';
select "a"
'b';
create table strings (a text default 'x' -- it's
 'y');
insert into strings values (default), ('a'
-- it's
'b');
select * from strings;
select E'\ud83dx\ude00';
select E'\ud83d\n\ude00';
select E'\ud83d';
select E'\ud83d\u0041';
select U&'\d83dx\de00';
select U&'\d83d\\\de00';
select U&'\d83d';
select U&"\d83dx\de00";
select E'\ud83d\ude00' as pair, U&'\d83d\de00' as pair;
select 1 as U&"d!0061" uescape '!';
select U&"d!0061ta" uescape '!' from (select 1 as data) q;
select 1 as U&"d\0061ta", 2 as U&"d!0061" uescape 'a';
select 1 as U&"a" uescape;
create table U&"t!0061" uescape '!' (U&"b*0061" uescape '*' int);
select U&"b\0061" from ta;
select E'abc\u00zz';
select E'é\U00ffffff';
select E'abc\udc00';
select E'abc\u0000';
select U&'abc\00zz';
select U&'é\+ffffff';
select U&'abc\dc00';
select U&'é''\d83d\0041';
select U&'abc\0000';
select U&'a' uescape 'ab';
select U&'a' uescape '';
select U&'a' uescape '+';
select U&'a' uescape U&'!';
select U&'a' uescape E'!' as escaped, U&'a!0062' uescape E'!' as escaped;
select U&'a' uescape 1;
select U&'a' uescape ' ';
select U&'!0061' uescape '!' collate "C" as first, 'x' || U&'*0061' uescape '*' as second;

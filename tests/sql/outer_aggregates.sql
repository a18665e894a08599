-- An aggregate over columns of a query around is that query's.
create table outer_rows (a int, b int);
create table inner_rows (c int, d int);
insert into outer_rows values (1, 10), (1, 20), (2, 30);
insert into inner_rows values (1, 1), (3, 5);
select (select count(b) from (values (1)) v(x)) from outer_rows;
select a, (select sum(b) from (values (1)) v(x)) from outer_rows group by a order by a;
select a, (select sum(b + x) from (values (1), (2)) v(x)) from outer_rows where b < 30 order by 1, 2;
select a, (select sum(x) filter (where x < a) from (values (1), (2)) v(x)) from outer_rows order by 1;
select (select count(*) filter (where b > 10) from (values (1)) v(x)) from outer_rows;
select (select count(*) filter (where b > x) from (values (1)) v(x)) from outer_rows;
select a from outer_rows group by a having exists (select 1 from inner_rows where count(b) < d) order by a;
select a from outer_rows group by a having (select max(d) from inner_rows where d < sum(b)) = 5 order by a;
select a, (select (select string_agg(b::text, ',' order by b desc) from (values (1)) w(y)) from (values (1)) v(x)) from outer_rows group by a order by a;
select a, count(*), (select count(*) + max(b) from inner_rows) from outer_rows group by a order by a;
select (select count(b) from inner_rows) from outer_rows;
-- It must be right there.
select a, (select sum(b) from (values (1)) v(x)) from outer_rows;
select a from outer_rows where (select count(b) from inner_rows) > 0;
select sum((select count(b) from inner_rows)) from outer_rows;
select (select sum(count(b)) from inner_rows) from outer_rows;
select (select sum(c + count(b)) from inner_rows) from outer_rows;
select s.n from outer_rows, lateral (select count(b) as n from inner_rows) s;
update outer_rows set a = (select count(b) from inner_rows);
select c from inner_rows where sum(c) > 1;
select (select c from inner_rows where sum(c) > 1) from outer_rows;
drop table outer_rows, inner_rows;

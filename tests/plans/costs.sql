-- What steps are taken for, once ANALYZE has found it. Numbers are masked: how they are written counts.
create table few (id int primary key, kind int, note text);
create table many (id int primary key, few int, state text, at int);
create index many_few on many (few);
insert into few select g, g % 3, 'n' || g from generate_series(1, 30) g;
insert into many select g, 1 + g % 30, case when g % 100 = 0 then 'new' else 'done' end, g from generate_series(1, 6000) g;
analyze;
explain select * from few;
explain select * from many where state = 'new';
explain (costs) select * from few where id = 7;
explain select * from few join many on many.few = few.id where few.note = 'n7';
explain select * from many join few on many.at = few.kind where many.at > 10;
explain values (1), (2);
explain select 1;
explain delete from few where id = 7;
explain delete from few where id = 7 returning id;
explain (costs off) select * from few;
explain select count(*) from few;

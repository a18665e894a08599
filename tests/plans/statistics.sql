-- What ANALYZE has found decides where nothing else is known: which side of a join is kept, what is looked up, what comes first.
create table few (id int primary key, kind int, note text);
create table many (id int primary key, few int, state text, at int);
create index many_few on many (few);
insert into few select g, g % 3, 'n' || g from generate_series(1, 30) g;
insert into many select g, 1 + g % 30, case when g % 100 = 0 then 'new' else 'done' end, g from generate_series(1, 6000) g;
explain (costs off) select * from few join many on many.few = few.kind;
explain (costs off) select * from many join few on many.at = few.kind where many.state = 'new';
explain (costs off) select * from many join few on many.at = few.kind where many.state = 'done';
explain (costs off) select * from few join many on many.few = few.id where few.note = 'n7';
analyze;
explain (costs off) select * from few join many on many.few = few.kind;
explain (costs off) select * from many join few on many.at = few.kind where many.state = 'new';
explain (costs off) select * from many join few on many.at = few.kind where many.state = 'done';
explain (costs off) select * from many join few on many.at = few.kind where many.at > 5990;
explain (costs off) select * from many join few on many.at = few.kind where many.at > 10;
explain (costs off) select * from few join many on many.few = few.id where few.note = 'n7';

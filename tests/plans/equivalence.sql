-- What follows from equalities.
create table a (x int primary key, y int);
create table b (id int primary key, x int, y int);
create table c (id int primary key, x int, z text);
create index b_x on b (x);
create index c_x on c (x);

-- Constants spread over joins.
explain (costs off) select * from a join b on b.x = a.x where a.x = 5;
explain (costs off) select * from a join b on b.x = a.x join c on c.x = b.x where c.x = 5;
explain (costs off) select * from b left join c on c.x = b.x where b.x = 5;
explain (costs off) select * from b left join c on c.x = b.x and c.x = 5;
explain (costs off) select * from b where x in (select x from c) and x = 5;
explain (costs off) select * from b where not exists (select from c where c.x = b.x) and x = 5;
explain (costs off) select * from b full join c on c.x = b.x and b.x = 5;
explain (costs off) select * from b join c on c.x = b.x where b.x = 5 for update of c;
-- Not over other types, nor what is volatile.
explain (costs off) select * from a join b on b.x = a.x::bigint where a.x = 5;
explain (costs off) select * from a join b on b.x = a.x where a.x = (random() * 5)::int;
-- Of equal columns any two may be joined.
insert into a select g, g from generate_series(1, 10) g;
insert into b select g, g % 500, g from generate_series(1, 5000) g;
insert into c select g, g % 500, 'c' from generate_series(1, 5000) g;
analyze;
explain (costs off) select * from b, c, a where b.x = c.x and b.x = a.x and b.y < 4000 and c.id < 20;
-- Two columns of one table that equal the same are compared with it both.
explain (costs off) select * from a, b where b.x = a.x and b.y = a.x;
explain (costs off) select * from a, b, c where b.x = a.x and b.y = a.x and c.x = a.x;

-- Records in recursive queries: the way to find cycles.
create table edges (f int, t int);
insert into edges values (1, 2), (2, 3), (3, 1), (3, 4);
with recursive walk(f, t, is_cycle, path) as (
  select *, false, array[row(e.f, e.t)] from edges e
  union all
  select e.*, row(e.f, e.t) = any (path), path || row(e.f, e.t) from edges e, walk w where e.f = w.t and not is_cycle
) select * from walk order by path;
with recursive r(n, x) as (select 1, row(1, 2) union all select n + 1, row(3, 4, 5) from r where n < 3) select * from r order by n;
with recursive r(n, x) as (select 1, row(1, 2) union all select n + 1, row('a'::text, n) from r where n < 3) select n, x from r order by n;
with recursive r(n, x) as (select 1, 1 union all select n + 1, 1.5 from r where n < 3) select n, x from r;

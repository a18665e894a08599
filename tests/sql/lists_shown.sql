-- Lists in constraints, indexes, generated columns and policies, as the catalog shows them.
create table k (a int, b text, h varchar(10), d numeric, e date,
  constraint c01 check (h in ('a', 'b')), constraint c02 check (h not in ('x')), constraint c03 check (h not in ('x', 'y')),
  constraint c04 check (a in (1, 2)), constraint c05 check (d in (1, 2.5)), constraint c06 check (b in ('x')),
  constraint c07 check (h in ('a', b)), constraint c08 check (b not in (h, 'c')), constraint c09 check (h in ('a', 'b', b)),
  constraint c10 check (e in ('2020-01-01', '2021-01-01')), constraint c11 check (lower(h) in ('a', 'b')),
  constraint c12 check (a::bigint in (1, 2)), constraint c13 check (b not in ('q', 'r')), constraint c14 check (a in (1, 2, a + 1) or b is null));
create index k_1 on k (lower(b)) where h in ('a', 'b');
create unique index k_2 on k ((coalesce(h, 'x')), a) where h not in ('p', 'q');
create table k_g (b text, h varchar(10), i boolean generated always as (h in ('a', 'b')) stored, j boolean default ('x' in ('x', 'y')));
create policy p on k for select using (h in ('a', 'b') and a > 0);
select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'k'::regclass order by conname;
select conname, pg_get_constraintdef(oid, true) from pg_constraint where conrelid = 'k'::regclass order by conname;
select indexname, indexdef from pg_indexes where tablename = 'k' order by indexname;
select adnum, pg_get_expr(adbin, adrelid), pg_get_expr(adbin, adrelid, true) as pretty from pg_attrdef where adrelid = 'k_g'::regclass order by adnum;
select policyname, qual from pg_policies where tablename = 'k';

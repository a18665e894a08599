-- The checks of domains stand among the constraints.
create schema kept;
create domain small as int constraint above check (value > 0) constraint below check (value < 10 and value <> 5) not null;
create domain kept.address as text check (value ~ '^[^@]+@[^@]+$');
create domain free as text default 'x';
select conname, contype, contypid::regtype, connamespace::regnamespace, convalidated, conrelid, conkey, connoinherit, conislocal,
  pg_get_constraintdef(oid) as full, pg_get_constraintdef(oid, true) as pretty
from pg_constraint where contypid <> 0 and connamespace <> 'information_schema'::regnamespace order by conname;
select t.typname, not t.typnotnull as nullable, c.condefs, c.connames
from pg_type t
left join (select contypid, array_agg(pg_get_constraintdef(oid, true) order by conname) as condefs, array_agg(conname::text order by conname) as connames
  from pg_constraint where contypid <> 0 group by contypid) c on c.contypid = t.oid
where t.typtype = 'd' and t.typnamespace::regnamespace::text in ('public', 'kept') order by 1;
select constraint_schema, constraint_name, check_clause from information_schema.check_constraints
where constraint_name in ('above', 'below', 'address_check') order by 2;
alter domain small drop constraint above;
alter domain small add constraint odd check (value % 2 = 1) not valid;
select conname, convalidated, pg_get_constraintdef(oid, true) from pg_constraint where contypid = 'small'::regtype order by conname;
alter domain small rename constraint odd to uneven;
alter domain small validate constraint uneven;
select conname, convalidated, pg_get_constraintdef(oid) from pg_constraint where contypid = 'small'::regtype order by conname;
drop domain small;
select count(*) from pg_constraint where contypid <> 0 and conname = 'uneven';

-- pg_operator, as far as there are operators
select oid, oprname, oprkind, oprcanmerge, oprcanhash, oprleft::regtype, oprright::regtype, oprresult::regtype, oprcode
  from pg_operator where oprname in ('=', '<', '>=', '<>') and oprleft in ('int4'::regtype, 'text'::regtype, 'date'::regtype, 'bit'::regtype, 'money'::regtype, 'anyarray'::regtype, 'jsonb'::regtype)
    and oprright in ('int2'::regtype, 'int4'::regtype, 'text'::regtype, 'date'::regtype, 'timestamp'::regtype, 'bit'::regtype, 'money'::regtype, 'anyarray'::regtype, 'jsonb'::regtype) order by oid;
select o.oprname, o.oprleft::regtype, o.oprright::regtype, c.oprname, c.oprleft::regtype, c.oprright::regtype, n.oprname, n.oprleft::regtype
  from pg_operator o left join pg_operator c on c.oid = o.oprcom left join pg_operator n on n.oid = o.oprnegate
  where o.oprname in ('=', '<>', '<', '<=', '>', '>=', '~~', '!~~*', '~') and o.oprleft in ('int8'::regtype, 'text'::regtype) and o.oprright in ('int8'::regtype, 'int4'::regtype, 'text'::regtype)
  order by o.oid;
select oprname, oprkind, oprleft, oprright::regtype, oprresult::regtype, oprcode from pg_operator where oprkind = 'l' and oprname = '-' and oprright in ('int4'::regtype, 'float8'::regtype) order by oid;
select nspname from pg_operator o join pg_namespace n on n.oid = o.oprnamespace where o.oid = 96;

-- Functions by their names
select 'int4eq'::regproc, 'pg_catalog.int4eq'::regproc, 65::regproc::text, 0::regproc, '-'::regproc::oid, 1397::regproc, 2108::regproc;
select to_regproc('int4eq'), to_regproc('nope'), to_regproc('abs'), to_regproc('pg_catalog.abs');
select 'count'::regproc;
select 'nope'::regproc;
select 'pg_catalog.nope'::regproc;
select 'int4eq'::regproc::oid;

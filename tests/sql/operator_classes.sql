-- Operator classes as the catalog shows them.
select opcname, opcdefault, opcintype::regtype from pg_opclass c join pg_am a on a.oid = opcmethod
where amname = 'btree' and opcname in ('int4_ops', 'text_ops', 'varchar_ops', 'text_pattern_ops', 'varchar_pattern_ops', 'enum_ops', 'array_ops', 'numeric_ops')
order by 1;
select oid, opcname from pg_opclass where not opcdefault and opcmethod = 403 and opcname like '%pattern%' order by oid;
select a.amname, f.opfname, count(*) from pg_opfamily f join pg_opclass c on c.opcfamily = f.oid join pg_am a on a.oid = f.opfmethod
where f.opfname in ('integer_ops', 'datetime_ops', 'text_pattern_ops') group by 1, 2 order by 1, 2;
create type mood as enum ('sad', 'ok');
create table t (id bigint primary key, name text, code varchar(20), mood mood, tags text[], at timestamptz);
create index t_name on t (name text_pattern_ops, code);
create index t_lower on t (lower(name) varchar_pattern_ops);
create index t_mood on t (mood, tags, at desc);
create index t_hash on t using hash (code);
select i.indexrelid::regclass, k.place, o.opcname, o.opcdefault, c.collname
from pg_index i
cross join lateral unnest(i.indclass, i.indcollation) with ordinality k (class, collation_oid, place)
join pg_opclass o on o.oid = k.class
left join pg_collation c on c.oid = k.collation_oid
where i.indrelid = 't'::regclass order by i.indexrelid::regclass::text, k.place;
select count(*) from pg_prepared_xacts;
select count(*) from pg_replication_slots;
select count(*) from information_schema.triggers;
select catalog_name = current_database() as is_here from information_schema.information_schema_catalog_name;
create role some_group;
create role one login in role some_group;
select groname, array(select rolname from pg_roles where oid = any (grolist)) from pg_group where groname = 'some_group';
drop role one, some_group;

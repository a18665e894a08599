-- Arrays of what is named by an OID.
create table t (id int primary key, kinds regtype[], tables regclass[]);
insert into t values (1, '{int4,text,"timestamp with time zone"}', array['t'::regclass, null]), (2, array[23::oid]::regtype[], '{}');
select id, kinds, tables, kinds[3], cardinality(tables) from t order by id;
select id from t where 'integer'::regtype = any (kinds) order by id;
select proargtypes::regtype[] from pg_proc where oid in (936, 1299) order by oid;
select array_agg(x order by x::oid) from (values ('pg_class'::regclass), ('pg_type'), (null)) v(x);
select '{pg_class}'::regclass[]::oid[], array[1247::oid]::regclass[], '{now,int4eq}'::regproc[], '{pg_catalog}'::regnamespace[], pg_typeof('{}'::regrole[]), array['int4'::regtype, null]::text[];
select '{nosuch}'::regtype[];
select '{nosuch}'::regclass[];
select unnest('{text,bool}'::regtype[]);
select typname, typarray from pg_type where typname in ('regproc', 'regclass', 'regtype', 'regnamespace', 'regrole') order by oid;
select x.id, y.id from t x join t y on x.kinds && y.kinds where x.id <> y.id;
-- Functions by their signatures.
select 'abs(int)'::regprocedure, 'abs(integer)'::regprocedure::oid, 'pg_catalog.abs(int4)'::regprocedure, 0::regprocedure, '-'::regprocedure, 99999999::regprocedure, ' "abs" ( "int4" ) '::regprocedure, 'now( )'::regprocedure, 'concat("any")'::regprocedure, 'to_char(timestamp with time zone, text)'::regprocedure, 'substring(text,int,int)'::regprocedure::text, '1299'::regprocedure, 'abs( double precision )'::regprocedure;
select 'now'::regproc::regprocedure, 'now()'::regprocedure::regproc, 1299::bigint::regprocedure, 1299::smallint::regprocedure, 'now()'::regprocedure::int, 'now()'::regprocedure::bigint, 'now()'::regprocedure = 1299::oid, '{now(),abs(int)}'::regprocedure[], 'count()'::regprocedure, 'json_extract_path(json, text[])'::regprocedure;
select 'abs'::regprocedure;
select 'abs(int'::regprocedure;
select 'abs(int)x'::regprocedure;
select ''::regprocedure;
select 'abs(int,)'::regprocedure;
select 'abs(text)'::regprocedure;
select 'abs(int, int)'::regprocedure;
select 'abs(nosuch)'::regprocedure;
select 'nosuch(int)'::regprocedure;
select to_regprocedure('abs(int)'), to_regprocedure('nosuch(int)'), to_regprocedure('abs(text)'), pg_typeof(to_regprocedure('now()'));
select to_regprocedure('abs');
select to_regprocedure('123');
select to_regprocedure('abs(nosuch)');
select oid::regprocedure from pg_proc where proname = 'array_agg' order by oid;
select p::regprocedure from (values (1299::oid), (397)) v(p) where p::regprocedure = 'now()'::regprocedure;
create table f (p regprocedure primary key);
insert into f values ('now()'), ('abs(real)'), (870::regprocedure);
select p, p::oid as number from f order by f.p;
select castsource::regtype, casttarget::regtype, castcontext, castmethod from pg_cast where castsource = 2202 or casttarget = 2202 order by oid;
-- What is named in an array stays what it is.
create view named as select '{t,pg_class}'::regclass[] as tables;
alter table t rename to u;
select * from named;
-- Names in schemas that are not there.
select 'nowhere.now'::regproc;
select 'nowhere.abs(integer)'::regprocedure;
select 'nowhere.t'::regclass;
select to_regproc('nowhere.now'), to_regprocedure('nowhere.abs(integer)'), to_regclass('nowhere.t'), 'pg_catalog.now'::regproc, 'pg_catalog.abs(integer)'::regprocedure;

-- Types of which values are equal or not, and none comes before another: xid. And xid8, which has an order.
create table seen (a int primary key, version xid);
insert into seen values (1, '5'), (2, '6'), (3, '5'), (4, null);
select version, count(*) from seen group by version order by version::text;
select version, count(*) from seen group by 1 having count(*) > 1;
select * from (select distinct version from seen) s order by version::text;
select count(*) from (select distinct version, a > 2 from seen) s;
select version, a, count(*) from seen group by rollup (version, a) order by version::text, a;
select array[version], count(*) from seen group by 1 order by (array[version])::text;
select * from (select version from seen union select '7') s order by version::text;
select * from (select version from seen intersect select '5') s;
select * from (select version from seen where version is not null except select '5') s;
with recursive r (v) as (select '1'::xid union select '1'::xid from r) select * from r;
select a from seen where version in (select version from seen where a = 2);
select a from seen where version not in (select version from seen where a = 2) order by a;
select x.a, y.a from seen x join seen y using (version) order by 1, 2;
select x.a, y.a from seen x full join seen y on x.version = y.version and x.a < y.a order by 1, 2;
select a, (select count(*) from seen y where y.version = x.version) from seen x order by a;
select a from seen where version = any (array['5', '7']::xid[]) order by a;
select distinct on (version::text) a from seen order by version::text, a;

select version from seen order by version;
select version from seen order by 1;
select distinct version from seen order by version;
select array[version] from seen order by 1;
select count(distinct version) from seen;
select array_agg(distinct version) from seen;
select array_agg(version order by version) from seen;
select row_number() over (partition by version) from seen;
select row_number() over (order by version) from seen;
select mode() within group (order by version) from seen;
select min(version) from seen;
select greatest(version, '5') from seen;
select version < '5' from seen;

create index on seen (version);
create unique index on seen (version);
create index on seen (version xid_ops);
create table k (v xid primary key);
create table k (v xid unique);
create index by_version on seen using hash (version);
select a from seen where version = '5' order by a;
update seen set version = '8' where version = '6' returning a;
select a from seen where version in ('6', '8') order by a;
select pg_get_indexdef('by_version'::regclass);
drop index by_version;
create index by_version on seen using hash (version xid_ops);
select pg_get_indexdef('by_version'::regclass);

create table eight (v xid8 primary key);
insert into eight values ('10'), ('9');
select v from eight order by v desc;
select v, count(*) from eight group by v order by v;
select count(distinct v), min(v), max(v) from eight;
create index on eight using hash (v);

select opcname, amname, opcintype::regtype, opcdefault from pg_opclass join pg_am on pg_am.oid = opcmethod where opcintype in ('xid'::regtype, 'xid8'::regtype) order by 1, 2;
select oprname, oprleft::regtype, oprright::regtype, oprcanhash, oprcanmerge from pg_operator where oprleft in ('xid'::regtype, 'xid8'::regtype) order by 1, 2, oprright;

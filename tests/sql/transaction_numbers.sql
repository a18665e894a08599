-- Numbers of transactions.
select '42'::xid, ' 010'::xid, '0xff'::xid, '-1'::xid, ''::xid, 'x'::xid, '7x'::xid, '4294967297'::xid, '42'::xid8, '0xffffffffffffffff'::xid8, '-1'::xid8, '99999999999999999999'::xid8;
select '1'::xid = '1'::xid, '1'::xid <> '2'::xid, '1'::xid = 1, '4294967295'::xid = -1, '1'::xid <> 2, '4294967297'::xid8::xid, '1'::xid in ('1', '2'), '1'::xid is distinct from '1'::xid;
select '1'::xid < '2'::xid;
select 1::xid;
select a < b, a <= b, a = b, a <> b, a >= b, a > b, xid8cmp(a, b) from (values ('1'::xid8, '2'::xid8), ('2', '2'), ('0x8000000000000000', '1')) v(a, b);
select min(n), max(n), count(distinct n) from (values ('3'::xid8), ('0xffffffffffffffff'), ('3'), (null)) v(n);
select n from (values ('3'::xid8), ('0xffffffffffffffff'), ('1')) v(n) order by n desc;
select xidsend('258'), xid8send('258'), to_json('5'::xid), to_json('5'::xid8), array['1', '2']::xid8[], array['1']::xid[];
create table xids (a xid8 primary key, b xid);
insert into xids values ('18446744073709551615', '4294967295'), ('7', '3');
select * from xids order by a;
select b from xids where a > '8';
drop table xids;
-- Snapshots.
select '12:13:'::pg_snapshot, '12:18:14,16'::pg_snapshot, '12:18:14,14'::pg_snapshot, '12:18:14,'::pg_snapshot, txid_snapshot '12:18:14';
select '31:12:'::pg_snapshot;
select '0:1:'::pg_snapshot;
select '12:13:0'::txid_snapshot;
select '12:16:14,13'::pg_snapshot;
select '12:16:16'::pg_snapshot;
select '1:9223372036854775808:3'::pg_snapshot;
select ''::pg_snapshot;
select pg_snapshot_xmin(s), pg_snapshot_xmax(s), array(select pg_snapshot_xip(s)) from (values ('12:18:14,16'::pg_snapshot), ('3:3:')) v(s);
select n, pg_visible_in_snapshot(n::text::xid8, '12:18:14,16'), txid_visible_in_snapshot(n, '12:18:14,16') from generate_series(11, 19) n;
select txid_snapshot_xmin('12:18:14,16'), txid_snapshot_xmax('12:18:14,16'), txid_snapshot_xip('12:18:14,16');
select typname, typlen, typbyval, typalign, typcategory from pg_type where typname in ('xid', 'xid8', 'pg_snapshot', 'txid_snapshot', 'macaddr8') order by 1;

-- Records of unlike fields are refused where joins compare them, fields of types without an order wherever they are compared.
select * from (values (row(1, 2))) a(x) join (values (row(1, 'x'::text))) b(x) on a.x = b.x;
select * from (values (row(1, 2))) a(x) join (values (row(2, 'x'::text))) b(x) on a.x = b.x;
select * from (values (row(1, 2))) a(x) join (values (row(1, 2))) b(x) on a.x = b.x;
select * from (values (row(1, 2))) a(x) join (values (row(1, 2, 3))) b(x) on a.x = b.x;
select * from (values (row(1, 2))) a(x) left join (values (row(1, 2, 3))) b(x) using (x);
select * from (values (row(1, 2))) a(x) left join (values (row(2, 2))) b(x) using (x);
select * from (values (row(1, 2)), (row(4, 5))) a(x) full join (values (row(1, 2, 3)), (row(7, 8, 9))) b(x) using (x);
select * from (values (row(1, 2)), (row(4, 5))) a(x) where x in (select row(1, 2, 3));
select * from (values (row(1, 2)), (row(4, 5))) a(x) where x in (select row(4, 5));
select (select row(1, '1'::json)) = (select row(1, '1'::json));
select (select row(1, '1'::json)) < (select row(1, '1'::json));
select (select row(1, '1'::json)) = (select row(2, '1'::json));
select (select row(1, '1'::xid)) = (select row(1, '1'::xid));
select (select row(1, '1'::xid)) < (select row(1, '1'::xid));
-- What is written is what is refused.
select row(1, '1'::xid) <= row(1, '1'::xid);
select row('1'::xid, 1) > row('1'::xid, 1);
select ('1'::xid, 1) >= ('1'::xid, 1);
select ('1'::json, 1) <= ('1'::json, 1);
select (1, '1'::json) >= (1, '1'::json);
select ('1'::json, 1, 2) between ('1'::json, 1, 2) and ('1'::json, 1, 2);
create table r1 (x xid, a int);
insert into r1 values ('3', 1);
select (x, 1) <= any (select x, 1 from r1) from r1;
select (x, 1) >= all (select x, 1 from r1) from r1;
select (a, 1) >= all (select a, 1 from r1) as least, (a, 1) <> all (select a, 2 from r1) as other from r1;
-- Types that are only equal or not have no family of operators that says what that means of rows.
select ('1'::xid, 1) = ('1'::xid, 1);
select ('1'::xid, 1) <> ('1'::xid, 1);
select row('1'::xid) = row('1'::xid) as one, row('1'::xid) <> row('1'::xid) as other;
select ('1'::xid, 1) is distinct from ('1'::xid, 1);
select (x, 1) = any (select x, 1 from r1) from r1;
select (x, 1) in (select x, 1 from r1) from r1;
select (x, 1) in ((x, 1), (x, 2)) from r1;

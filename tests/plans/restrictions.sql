-- What conditions over both sides of a join say of each; arrays that subqueries make; keys that are looked up together.
create table part (id int primary key, brand text not null, size int not null);
create table item (id int primary key, part int not null references part, quantity int not null);
create table kind (part int not null, kind int not null, name text, primary key (part, kind));

explain (costs off) select * from part p, item i where p.id = i.part and (p.brand = 'a' and i.quantity < 5 or p.brand = 'b' and i.quantity > 7);
explain (costs off) select * from part p, item i where p.id = i.part and p.brand = 'a' and i.quantity < 5 or p.id = i.part and p.brand = 'b';
explain (costs off) select * from part p, item i, kind k where p.id = i.part and k.part = p.id
  and (p.brand = 'a' and i.quantity < 5 and k.name = 'x' or p.brand = 'b' and i.quantity > 7 and k.name = 'y');
-- The side of an outer join that is kept whole is not restricted.
explain (costs off) select * from part p left join item i on p.id = i.part and (p.brand = 'a' and i.quantity < 5 or p.brand = 'b' and i.quantity > 7);
explain (costs off) select * from part p right join item i on p.id = i.part and (p.brand = 'a' and i.quantity < 5 or p.brand = 'b' and i.quantity > 7);
explain (costs off) select * from part p full join item i on p.id = i.part and (p.brand = 'a' and i.quantity < 5 or p.brand = 'b' and i.quantity > 7);
explain (costs off) select * from part p where exists (select from item i where p.id = i.part and (p.brand = 'a' and i.quantity < 5 or p.brand = 'b' and i.quantity > 7));
explain (costs off) select * from part p where not exists (select from item i where p.id = i.part and (p.brand = 'a' and i.quantity < 5 or p.brand = 'b' and i.quantity > 7));
-- An arm that says nothing of a side leaves it whole, and so does what is volatile.
explain (costs off) select * from part p, item i where p.id = i.part and (p.brand = 'a' or i.quantity > 7);
explain (costs off) select * from part p, item i where p.id = i.part and (p.brand = 'a' and random() < 0.5 and i.quantity < 5 or random() < 0.5 and i.quantity > 7);

explain (costs off) select * from item where part = any (array(select id from part where size = 3));
explain (costs off) select * from item where id = any (array(select n from generate_series(1, 3) n));
explain (costs off) select * from item where not part = any (array(select id from part where size = 3));
explain (costs off) select * from item where part <> any (array(select id from part where size = 3));
explain (costs off) select * from item where part = all (array(select id from part where size = 3));
explain (costs off) select part = any (array(select id from part where size = 3)) from item;

explain (costs off) select * from (values (1), (2)) v (id) join part p on p.id = v.id;
explain (costs off) select * from (values (1, 2), (2, 3)) v (a, b) left join kind k on k.part = v.a and k.kind = v.b and k.name <> 'x';

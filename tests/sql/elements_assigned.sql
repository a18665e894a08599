-- Elements of what is of a domain over arrays, and of arrays of domains, are assigned one by one.
CREATE DOMAIN list AS int[] CHECK (array_length(VALUE, 1) < 4);
CREATE DOMAIN few AS int CHECK (VALUE < 10);
CREATE DOMAIN fews AS few[] CHECK (VALUE[1] > 0);
CREATE TABLE t (id int PRIMARY KEY, l list, f fews, g few[]);
INSERT INTO t VALUES (1, '{1,2}', '{1,2}', '{1,2}');
UPDATE t SET l[2] = 5 RETURNING l;
UPDATE t SET l[4] = 5 RETURNING l;
UPDATE t SET l[1:2] = '{7,8}' RETURNING l;
UPDATE t SET f[2] = 9 RETURNING f;
UPDATE t SET f[2] = 10 RETURNING f;
UPDATE t SET f[1] = 0 RETURNING f;
UPDATE t SET g[2] = 10 RETURNING g;
UPDATE t SET g[2] = 9 RETURNING g;
UPDATE t SET l[1] = 'x';
UPDATE t SET g[1] = true;
SELECT l, f, g, l[1], f[1], pg_typeof(f[1]), pg_typeof(g[1]) FROM t;

-- Domains: what they are over, what their values have to be, where they are asked.
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN posint AS int;
CREATE DOMAIN name5 varchar(5) DEFAULT 'anon' NOT NULL CONSTRAINT lower CHECK (VALUE = lower(VALUE)) CHECK (length(VALUE) > 1);
CREATE DOMAIN small AS posint CHECK (VALUE < 100) DEFAULT 7;
CREATE DOMAIN bad AS int NULL NOT NULL;
CREATE DOMAIN tags AS text[] CHECK (array_length(VALUE, 1) < 3);

-- Casts.
SELECT 5::posint, '7'::posint, NULL::posint, 5::posint + 1, 2.6::posint;
SELECT 'x'::posint;
SELECT 'abc'::name5, 'abcdefgh'::name5;
SELECT NULL::name5;
SELECT '{a,b}'::tags, ('{a,b}'::tags)[1];
SELECT '{1,2}'::posint[], ARRAY[1, 2]::posint[];
SELECT pg_typeof(5::posint), pg_typeof(5::posint + 1), pg_typeof('{1}'::posint[]), 'posint'::regtype;
SELECT CASE WHEN true THEN 5::posint ELSE 6 END, COALESCE(NULL, 5::posint), GREATEST(3::posint, 4);
SELECT max(x), min(x), sum(x), count(*) FROM (VALUES (1::posint), (2)) v (x);
SELECT 5::posint = 5, 5::posint IN (4, 5), 5 BETWEEN 1::posint AND 9;
SELECT 'abc'::name5 || 'd', upper('abc'::name5), 'abc'::name5 LIKE 'a%';

-- Tables.
CREATE TABLE t (id posint PRIMARY KEY, n name5, s small, p posint DEFAULT 3);
INSERT INTO t VALUES (1, 'abc', 5, NULL);
INSERT INTO t (id) VALUES (2) RETURNING *;
INSERT INTO t VALUES (3, NULL, 5);
INSERT INTO t VALUES (3, 'abcdefgh', 5);
INSERT INTO t VALUES (3, 'abc', 'x');
INSERT INTO t VALUES (3, 'abc', true);
INSERT INTO t SELECT g, 'row', g FROM generate_series(4, 6) g;
UPDATE t SET p = id + 1, s = DEFAULT WHERE id = 1 RETURNING *;
UPDATE t SET n = DEFAULT WHERE id = 1 RETURNING *;
UPDATE t SET n = NULL WHERE id = 1;
SELECT * FROM t WHERE id = 1;
SELECT id FROM t WHERE id > 4 ORDER BY id DESC;
SELECT s, count(*) FROM t GROUP BY s ORDER BY s NULLS FIRST;
SELECT a.id FROM t a JOIN t b ON a.id = b.s ORDER BY 1;
PREPARE q (int) AS INSERT INTO t VALUES ($1, 'prep') RETURNING id;
EXECUTE q (20);
SELECT column_name, data_type, domain_name, udt_name, character_maximum_length, column_default FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position;
SELECT typname, typtype, typbasetype::regtype, typtypmod, typnotnull, typdefault, typcategory FROM pg_type WHERE typname IN ('posint', 'name5', 'small', 'tags') ORDER BY 1;
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum;

-- What changes.
ALTER DOMAIN posint ADD CONSTRAINT even CHECK (VALUE % 2 = 0);
ALTER DOMAIN posint ADD CONSTRAINT even CHECK (VALUE % 2 = 0) NOT VALID;
ALTER DOMAIN posint VALIDATE CONSTRAINT even;
ALTER DOMAIN posint RENAME CONSTRAINT even TO even_only;
ALTER DOMAIN posint RENAME CONSTRAINT nosuch TO x;
ALTER DOMAIN posint DROP CONSTRAINT even_only;
ALTER DOMAIN posint DROP CONSTRAINT nosuch;
ALTER DOMAIN posint DROP CONSTRAINT IF EXISTS nosuch;
INSERT INTO t (id) VALUES (31) RETURNING *;
ALTER DOMAIN small SET NOT NULL;
ALTER DOMAIN name5 DROP NOT NULL;
ALTER DOMAIN name5 DROP DEFAULT;
INSERT INTO t (id) VALUES (32) RETURNING n;
ALTER DOMAIN name5 SET NOT NULL;
ALTER DOMAIN posint ADD CHECK (VALUE < 1000);
ALTER DOMAIN name5 SET DEFAULT 'none';
INSERT INTO t (id) VALUES (33) RETURNING n;
ALTER DOMAIN nosuch SET DEFAULT 1;
ALTER DOMAIN int4 SET DEFAULT 1;
ALTER DOMAIN posint RENAME TO positive;
SELECT pg_typeof(id) FROM t LIMIT 1;
COMMENT ON DOMAIN positive IS 'above zero';
DROP DOMAIN nosuch;
DROP DOMAIN IF EXISTS nosuch;
DROP DOMAIN tags;
DROP DOMAIN positive;
DROP TABLE t;
DROP DOMAIN positive;
DROP DOMAIN positive CASCADE;
DROP DOMAIN name5;

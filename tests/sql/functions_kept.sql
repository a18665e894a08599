-- Functions in SQL within what is kept: views, defaults, checks, indexes, generated columns, policies; and what goes with them.
CREATE SCHEMA s;
CREATE FUNCTION double(a integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a * 2';
CREATE FUNCTION s.label(a integer, prefix text DEFAULT 'n') RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT prefix || a::text$$;
CREATE FUNCTION is_small(a integer) RETURNS boolean LANGUAGE sql AS 'SELECT a < 100';
CREATE TABLE t (
    id integer PRIMARY KEY,
    n integer DEFAULT double(21) CHECK (is_small(n)),
    label text DEFAULT s.label(double(2), prefix => 'x'),
    twice integer GENERATED ALWAYS AS (double(n) + 1) STORED
);
CREATE INDEX t_double ON t (double(n));
CREATE UNIQUE INDEX t_label ON t (s.label(id), id) WHERE double(n) > 0;
INSERT INTO t (id) VALUES (1);
INSERT INTO t VALUES (2, 5, 'five'), (3, NULL, NULL);
INSERT INTO t VALUES (4, 100);
SELECT * FROM t ORDER BY id;
SELECT id FROM t WHERE double(n) = 84;
SELECT column_name, column_default, generation_expression FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position;
SELECT pg_get_indexdef('t_double'::regclass), pg_get_indexdef('t_label'::regclass);
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass ORDER BY conname;
SELECT attname FROM pg_attribute WHERE attrelid = 't_double'::regclass;
ALTER FUNCTION double(integer) RENAME TO twofold;
ALTER FUNCTION s.label(integer, text) SET SCHEMA public;
CREATE FUNCTION double(a integer) RETURNS integer LANGUAGE sql AS 'SELECT -a';
INSERT INTO t (id) VALUES (5);
SELECT * FROM t WHERE id = 5;
SELECT column_name, column_default, generation_expression FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position;
SELECT pg_get_indexdef('t_double'::regclass), pg_get_indexdef('t_label'::regclass);
DROP FUNCTION twofold(integer);
DROP FUNCTION is_small(integer);
DROP FUNCTION is_small(integer) CASCADE;
INSERT INTO t (id, n) VALUES (6, 1000);
CREATE FUNCTION of_default() RETURNS integer LANGUAGE sql AS 'SELECT 3';
CREATE TABLE u (a integer DEFAULT of_default(), b integer);
CREATE FUNCTION with_default(a integer DEFAULT of_default()) RETURNS integer LANGUAGE sql AS 'SELECT a + 1';
SELECT with_default(), with_default(10);
DROP FUNCTION of_default();
CREATE OR REPLACE FUNCTION of_default() RETURNS integer LANGUAGE sql AS 'SELECT 4';
SELECT with_default();
INSERT INTO u (b) VALUES (1);
SELECT * FROM u;
DROP FUNCTION of_default() CASCADE;
INSERT INTO u (b) VALUES (2);
SELECT * FROM u ORDER BY b;
-- Views.
CREATE FUNCTION rows_of(most integer) RETURNS SETOF integer LANGUAGE sql AS 'SELECT id FROM t WHERE id <= most';
CREATE VIEW v AS SELECT id, double(id) FROM t WHERE double(id) < -1;
CREATE VIEW w AS SELECT r AS x, label(r) AS y FROM rows_of(3) AS r;
SELECT * FROM v ORDER BY id;
SELECT * FROM w ORDER BY x;
ALTER FUNCTION double(integer) RENAME TO minus;
ALTER FUNCTION rows_of(integer) RENAME TO first_rows;
CREATE FUNCTION double(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 0';
SELECT * FROM v ORDER BY id;
SELECT * FROM w ORDER BY x;
CREATE OR REPLACE FUNCTION minus(a integer) RETURNS integer LANGUAGE sql AS 'SELECT -a * 10';
SELECT * FROM v ORDER BY id;
DROP FUNCTION minus(integer);
DROP FUNCTION first_rows;
DROP FUNCTION minus(integer), first_rows CASCADE;
SELECT * FROM v;
CREATE MATERIALIZED VIEW m AS SELECT id, label(id) FROM t;
SELECT * FROM m ORDER BY id LIMIT 2;
DROP FUNCTION label(integer, text);
-- Types and relations.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE FUNCTION better(m mood) RETURNS boolean LANGUAGE sql AS $$SELECT m > 'sad'$$;
CREATE FUNCTION moods() RETURNS SETOF mood LANGUAGE sql AS 'SELECT unnest(enum_range(NULL::mood))';
SELECT better('ok'), better('sad'), better(NULL);
SELECT * FROM moods();
ALTER TYPE mood RENAME TO spirit;
SELECT better('ok');
DROP TYPE spirit;
DROP TYPE spirit CASCADE;
CREATE FUNCTION of_rows() RETURNS SETOF u LANGUAGE sql AS 'SELECT * FROM u';
DROP TABLE u CASCADE;
SELECT * FROM of_rows();
-- Bodies that are written as SQL.
CREATE TABLE k (a integer, b text);
INSERT INTO k VALUES (1, 'one'), (2, 'two');
CREATE FUNCTION returned(a integer) RETURNS integer RETURN a + 1;
CREATE FUNCTION atomic(wanted integer) RETURNS text BEGIN ATOMIC SELECT b FROM k WHERE a = wanted; END;
CREATE FUNCTION atomic_rows() RETURNS SETOF k LANGUAGE sql BEGIN ATOMIC SELECT * FROM k WHERE returned(a) > 2; END;
SELECT returned(1), atomic(2), atomic(9);
SELECT * FROM atomic_rows();
ALTER TABLE k RENAME TO renamed;
ALTER TABLE renamed RENAME COLUMN b TO c;
SELECT atomic(2);
DROP FUNCTION returned(integer);
ALTER TABLE renamed DROP COLUMN c;
DROP TABLE renamed;
DROP TABLE renamed CASCADE;
SELECT atomic(1);

-- How functions in SQL are called: which is meant, STRICT over records, and volatile arguments that nobody names.
CREATE TYPE pair AS (x integer, y text);
CREATE FUNCTION there(p pair) RETURNS integer LANGUAGE sql STRICT AS 'SELECT 1';
CREATE FUNCTION there_rows(p pair) RETURNS SETOF integer LANGUAGE sql STRICT AS 'SELECT 1';
SELECT there(NULL), there(NULL::pair), there(ROW(NULL, NULL)), there(ROW(1, NULL)), there(ROW(1, 'a'));
SELECT count(*) FROM there_rows(NULL);
SELECT count(*) FROM there_rows(ROW(NULL, NULL));
SELECT count(*) FROM there_rows(ROW(1, NULL));
CREATE SEQUENCE numbers;
CREATE FUNCTION ignores(a bigint) RETURNS integer LANGUAGE sql AS 'SELECT 7';
CREATE FUNCTION ignores_strictly(a bigint) RETURNS integer LANGUAGE sql STRICT AS 'SELECT 8';
SELECT ignores(nextval('numbers'));
SELECT currval('numbers');
SELECT ignores_strictly(nextval('numbers'));
SELECT currval('numbers');
CREATE FUNCTION amb(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION amb(integer, integer DEFAULT 5) RETURNS integer LANGUAGE sql AS 'SELECT 2';
SELECT amb(1);
SELECT amb(1, 2);
CREATE FUNCTION swapped(a integer, b text) RETURNS text LANGUAGE sql AS $$SELECT 'ab'$$;
CREATE FUNCTION swapped(b text, a integer) RETURNS text LANGUAGE sql AS $$SELECT 'ba'$$;
SELECT swapped(1, 'x'::text), swapped('x'::text, 1);
SELECT swapped(a => 1, b => 'x'::text);
CREATE SCHEMA first;
CREATE FUNCTION first.amb(integer, integer DEFAULT 5) RETURNS integer LANGUAGE sql AS 'SELECT 3';
SET search_path = first, public;
SELECT amb(1), amb(1, 2);
RESET search_path;
-- A body sees nothing of the WITH around its call, and no more does a view.
CREATE FUNCTION counted(most integer) RETURNS bigint LANGUAGE sql AS 'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < most) SELECT count(*) FROM r';
WITH w AS (SELECT 3 AS x) SELECT x, counted(x) FROM w;
CREATE VIEW five AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r;
WITH w AS (SELECT 3 AS x) SELECT x, (SELECT count(*) FROM five) FROM w;
-- All fields of a parameter.
CREATE FUNCTION fields(p pair) RETURNS pair LANGUAGE sql AS 'SELECT p.*';
CREATE FUNCTION fields_of(p pair, OUT a integer, OUT b text, OUT n integer) LANGUAGE sql AS 'SELECT fields_of.p.x + 1, q.* FROM (SELECT p.y, 2) AS q';
SELECT fields(ROW(1, 'a')), fields(NULL), (fields(ROW(2, NULL))).x;
SELECT * FROM fields_of(ROW(3, 'c'));

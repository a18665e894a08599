-- Enums: their labels, order, indexes, arrays; what may be altered; what depends on them.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE mood AS ENUM ('x');
CREATE TYPE nothing AS ENUM ();
CREATE TYPE long AS ENUM ('0123456789012345678901234567890123456789012345678901234567890123');
CREATE TYPE nosuch.x AS ENUM ('a');

-- Values.
SELECT 'sad'::mood, 'ok'::mood::text, CAST('happy' AS mood), mood 'ok', NULL::mood;
SELECT 'meh'::mood;
SELECT 'sad'::mood < 'ok', 'sad'::mood = 'sad'::mood, 'happy'::mood >= 'ok', 'ok' <> 'ok'::mood;
SELECT 'sad'::mood = 1;
SELECT 'sad'::mood = 'sad'::text;
SELECT 'sad'::text::mood;
SELECT 1::mood;
SELECT 'sad'::mood || 'x';
SELECT 'sad'::mood || 'ok'::mood;
SELECT enum_first(NULL::mood), enum_last('sad'::mood), enum_range(NULL::mood);
SELECT enum_range('ok'::mood, NULL), enum_range(NULL, 'ok'::mood), enum_range('ok'::mood, 'ok'), enum_range('happy'::mood, 'sad');
SELECT enum_first(NULL::nothing);
SELECT enum_range(NULL::nothing);
SELECT enum_cmp('sad'::mood, 'ok'), enum_smaller('sad'::mood, 'ok'), enum_larger('sad'::mood, 'ok');
SELECT pg_typeof('ok'::mood), pg_typeof(ARRAY['ok'::mood]), 'mood'::regtype, 'mood[]'::regtype, to_regtype('nosuch');
SELECT '{ok,sad}'::mood[], ARRAY['ok', 'sad']::mood[], '{ok,meh}'::mood[];
SELECT '{ok,sad}'::mood[], ('{ok,sad}'::mood[])[2], '{ok,sad}'::mood[] @> ARRAY['ok'::mood], 'ok' = ANY ('{sad,ok}'::mood[]);
SELECT array_agg(x ORDER BY x DESC), max(x), min(x), count(DISTINCT x) FROM unnest('{ok,sad,happy,ok}'::mood[]) x;
SELECT CASE WHEN true THEN 'ok'::mood ELSE 'sad' END, COALESCE(NULL, 'ok'::mood), GREATEST('ok'::mood, 'happy', 'sad');
SELECT to_json('ok'::mood), to_jsonb(ARRAY['ok'::mood]), row_to_json(r) FROM (SELECT 'sad'::mood AS m) r;
SELECT 'ok'::mood UNION SELECT 'sad' ORDER BY 1;
SELECT 'a'::nosuchtype;
SELECT 'a'::nosuch.mood;

-- Tables, keys, indexes.
CREATE TABLE people (name text PRIMARY KEY, m mood DEFAULT 'ok', CHECK (m <> 'happy' OR name <> 'Eve'));
CREATE INDEX people_m ON people (m);
CREATE TABLE moods (m mood PRIMARY KEY, n int);
INSERT INTO people VALUES ('Ann', 'happy'), ('Bob', 'sad'), ('Cyd', DEFAULT), ('Dan', NULL);
INSERT INTO people (name) VALUES ('Fay');
INSERT INTO people VALUES ('Gus', 'meh');
INSERT INTO people VALUES ('Gus', 3);
INSERT INTO people VALUES ('Gus', 'ok'::text);
INSERT INTO moods SELECT m, count(*) FROM people WHERE m IS NOT NULL GROUP BY m;
INSERT INTO moods VALUES ('sad', 1);
SELECT * FROM people ORDER BY m DESC NULLS LAST, name DESC;
SELECT name FROM people WHERE m > 'sad' ORDER BY name;
SELECT name FROM people WHERE m IN ('sad', 'happy') ORDER BY name;
SELECT m FROM moods WHERE m >= 'ok' ORDER BY m;
SELECT p.name, moods.n FROM people p JOIN moods USING (m) ORDER BY name;
SELECT min(m), max(m) FROM people;
SELECT m, count(*) FROM people GROUP BY m ORDER BY m;
UPDATE people SET m = 'sad' WHERE name = 'Ann' RETURNING m;
UPDATE moods SET n = 7 WHERE m = 'sad' RETURNING *;
DELETE FROM moods WHERE m = 'happy' RETURNING *;
SELECT enumlabel, enumsortorder FROM pg_enum WHERE enumtypid = 'mood'::regtype ORDER BY enumsortorder;

-- More labels: their order is theirs, in rows and keys that are there as well.
ALTER TYPE mood ADD VALUE 'good' BEFORE 'happy';
ALTER TYPE mood ADD VALUE 'worst' BEFORE 'sad';
ALTER TYPE mood ADD VALUE 'best';
ALTER TYPE mood ADD VALUE 'fair' AFTER 'ok';
ALTER TYPE mood ADD VALUE 'fair';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'fair';
ALTER TYPE mood ADD VALUE 'x' BEFORE 'nosuch';
ALTER TYPE nosuch ADD VALUE 'x';
ALTER TYPE int4 ADD VALUE 'x';
SELECT enum_range(NULL::mood);
INSERT INTO moods VALUES ('good', 1), ('worst', 2), ('best', 3), ('fair', 4);
SELECT * FROM moods ORDER BY m;
SELECT * FROM moods WHERE m BETWEEN 'sad' AND 'good' ORDER BY m DESC;
SELECT enumlabel FROM pg_enum WHERE enumtypid = 'mood'::regtype ORDER BY enumsortorder;

-- What is renamed is renamed in defaults and conditions, too, whatever the search path.
ALTER TYPE mood RENAME VALUE 'ok' TO 'so-so';
ALTER TYPE mood RENAME VALUE 'happy' TO 'glad';
ALTER TYPE mood RENAME VALUE 'ok' TO 'x';
INSERT INTO people (name) VALUES ('Hal') RETURNING m;
INSERT INTO people VALUES ('Eve', 'glad');
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'people'::regclass;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'people'::regclass AND contype = 'c';
SET search_path = pg_catalog;
INSERT INTO public.people (name) VALUES ('Ida') RETURNING name;
INSERT INTO public.people VALUES ('Eve', 'glad');
RESET search_path;
ALTER TYPE mood RENAME TO temper;
INSERT INTO people (name) VALUES ('Jon') RETURNING m;
ALTER TYPE temper RENAME TO mood;
ALTER TYPE mood RENAME VALUE 'so-so' TO 'ok';
ALTER TYPE mood RENAME VALUE 'glad' TO 'happy';

-- What a transaction adds nobody may use before it commits.
BEGIN;
ALTER TYPE mood ADD VALUE 'new';
SELECT 'new'::mood;
ROLLBACK;
BEGIN;
ALTER TYPE mood ADD VALUE 'new';
SELECT enum_last(NULL::mood);
ROLLBACK;
BEGIN;
ALTER TYPE mood ADD VALUE 'newest';
COMMIT;
SELECT 'newest'::mood, enum_last(NULL::mood);
SELECT 'new'::mood;
BEGIN;
CREATE TYPE brief AS ENUM ('a', 'b');
SELECT 'b'::brief;
CREATE TABLE briefs (b brief DEFAULT 'a');
INSERT INTO briefs DEFAULT VALUES RETURNING b;
ROLLBACK;
SELECT 'b'::brief;

DROP TABLE people, moods;
DROP TYPE mood, nothing;

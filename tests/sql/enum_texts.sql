-- Labels within what tables keep: generated columns and expressions of indexes follow what is renamed.
CREATE TYPE st AS ENUM ('new', 'done');
CREATE TABLE j (id int PRIMARY KEY, s st DEFAULT 'new', d bool GENERATED ALWAYS AS (s = 'done') STORED);
CREATE INDEX j_open ON j (id) WHERE s = 'new';
INSERT INTO j (id, s) VALUES (1, 'new'), (2, 'done');
ALTER TYPE st RENAME VALUE 'new' TO 'fresh';
ALTER TYPE st RENAME VALUE 'done' TO 'over';
INSERT INTO j (id, s) VALUES (3, DEFAULT), (4, 'over') RETURNING *;
SELECT pg_get_indexdef('j_open'::regclass);
SELECT id FROM j WHERE s = 'fresh' ORDER BY id;
SET search_path = pg_catalog;
UPDATE public.j SET s = 'over' WHERE id = 1 RETURNING *;
RESET search_path;
DROP TABLE j;
DROP TYPE st;

-- ALTER TABLE of documents: a default is written into those that are there, and given to those that come.
set dialect = driftql;
CREATE TABLE t (pk=id);
INSERT INTO t {"id": "a"};
INSERT INTO t {"id": "b", "state": "old"};
ALTER TABLE t ADD COLUMN state DEFAULT "new";
ALTER TABLE t ADD COLUMN anything;
INSERT INTO t {"id": "c"};
INSERT INTO t {"id": "d", "state": null};
SELECT * FROM t;
CREATE INDEX ON t(state);
SELECT * FROM t WHERE state = "new";
ALTER TABLE t DROP COLUMN state;
INSERT INTO t {"id": "e"};
SELECT * FROM t;
SELECT * FROM t AS OF @seq:5;
ALTER TABLE t DROP COLUMN id;
ANALYZE TABLE t;

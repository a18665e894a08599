//! What is DriftQL, what is left to SQL, and where a statement ends.

use super::super::ast::Body;
use super::super::{Dialect, parse_in, pieces};

/// What each statement is known by.
fn texts(script: &str) -> Vec<String> {
    let statements = parse_in(script, Dialect::DriftQl).unwrap_or_else(|error| panic!("{script}: {error}"));
    statements.iter().map(|statement| statement.text.to_string()).collect()
}

fn text(statement: &str) -> String {
    let mut texts = texts(statement);
    assert_eq!(texts.len(), 1, "{statement}: {texts:?}");
    texts.pop().unwrap_or_default()
}

fn error(script: &str) -> String {
    let error = parse_in(script, Dialect::DriftQl).expect_err(script);
    format!("{} {} @{}", error.sqlstate, error.message, error.position.unwrap_or(0))
}

#[test]
fn every_form_is_read_in_whatever_case_and_spacing() {
    for (written, read) in [
        ("create table Orders(PK=id)", "CREATE TABLE orders (pk=id)"),
        (
            "CREATE TABLE o ( pk = id , INDEX ( a , customerId ) ) ;",
            "CREATE TABLE o (pk=id, INDEX(a, \"customerId\"))",
        ),
        ("create table IF NOT EXISTS o (pk=id)", "CREATE TABLE IF NOT EXISTS o (pk=id)"),
        ("CREATE TABLE if (pk=id)", "CREATE TABLE if (pk=id)"),
        ("DROP TABLE o", "DROP TABLE o"),
        ("drop table if exists S.o cascade", "DROP TABLE IF EXISTS s.o CASCADE"),
        ("DROP TABLE o RESTRICT", "DROP TABLE o"),
        ("create index on o(c)", "CREATE INDEX ON o(c)"),
        (
            "insert into o {\"id\": \"a;b\", \"n\": {\"x\": [1, \"}\"]}}",
            "INSERT INTO o '{\"id\": \"a;b\", \"n\": {\"x\": [1, \"}\"]}}'",
        ),
        ("INSERT INTO o '{\"id\": 1}'", "INSERT INTO o '{\"id\": 1}'"),
        ("PATCH o KEY \"o1\" SET {\"a\": \"it's\"}", "PATCH o KEY '\"o1\"' SET '{\"a\": \"it''s\"}'"),
        ("patch o key 'o1' set {}", "PATCH o KEY '\"o1\"' SET '{}'"),
        ("PATCH o KEY o1 SET{\"a\":null}", "PATCH o KEY '\"o1\"' SET '{\"a\":null}'"),
        ("Soft Delete From o Key -4.5e1", "SOFT DELETE FROM o KEY '-4.5e1'"),
        ("SELECT * FROM o", "SELECT * FROM o"),
        (
            "select*from s.o where a=\"x\" and b = 2 AND c == TRUE limit 5",
            "SELECT * FROM s.o WHERE a = '\"x\"' AND b = '2' AND c = 'true' LIMIT 5",
        ),
        ("SELECT * FROM o AS OF @seq:7", "SELECT * FROM o AS OF @seq:7"),
        ("SELECT * FROM o AS OF \"@seq:7\" LIMIT 1", "SELECT * FROM o AS OF @seq:7 LIMIT 1"),
        ("SELECT * FROM o AS OF '@SEQ:9999999999'", "SELECT * FROM o AS OF @seq:9999999999"),
        (
            "SELECT * FROM \"a\"\"b\" WHERE `c``d` = 'it''s'",
            "SELECT * FROM \"a\"\"b\" WHERE \"c`d\" = '\"it''s\"'",
        ),
        ("SNAPSHOT /* a /* b */ c */ o", "SNAPSHOT o"),
        ("SELECT * FROM o AS OF @now WHERE a = null", "SELECT * FROM o WHERE a = 'null'"),
        ("SELECT * FROM o AS OF \"2026-05-01T12:00:00Z\"", "SELECT * FROM o AS OF '2026-05-01T12:00:00Z'"),
        (
            "SELECT * FROM o FOR SYSTEM_TIME AS OF @SEQ:3 WHERE a = 1",
            "SELECT * FROM o WHERE a = '1' AS OF @seq:3",
        ),
        ("select * from o for system_time as of '@seq:3'", "SELECT * FROM o AS OF @seq:3"),
        ("SHOW DRIFT o KEY \"o1\"", "SHOW DRIFT o KEY '\"o1\"'"),
        ("SNAPSHOT o", "SNAPSHOT o"),
        ("compact o;;", "COMPACT o"),
        ("ALTER TABLE o ADD COLUMN c DEFAULT [1]", "ALTER TABLE o ADD COLUMN c DEFAULT '[1]'"),
        ("alter table o drop column c", "ALTER TABLE o DROP COLUMN c"),
        ("BACKUP TO '/b'", "BACKUP TO '/b'"),
        ("ANALYZE TABLE o", "ANALYZE TABLE o"),
        ("EXPLAIN (COSTS OFF) SELECT * FROM o WHERE a = 1", "EXPLAIN SELECT * FROM o WHERE a = '1'"),
    ] {
        assert_eq!(text(written), read);
    }
}

#[test]
fn a_statement_ends_at_a_semicolon_or_where_a_line_begins_another() {
    let script = "-- a shop\nCREATE TABLE o (pk=id)\nINSERT INTO o {\n  \"id\": 1 }\n\nSELECT * FROM o\n  WHERE id = 1\n\
        BEGIN TRANSACTION ISOLATION LEVEL SNAPSHOT\nSOFT DELETE FROM o KEY 1 /* gone */\nCOMMIT";
    assert_eq!(pieces(script, Dialect::DriftQl).expect("a script").len(), 6);
    assert_eq!(texts(script).len(), 6);
    let script = "select * from a\njoin b using (c)\norder by 1;\nDROP TABLE o\nCASCADE; ROLLBACK\nTO SAVEPOINT s; BEGIN\n\
        READ ONLY\nSELECT * FROM o\nAS OF @seq:1\nLIMIT 2\nSHOW DRIFT o\nKEY 1";
    let expected = [
        "select * from a\njoin b using (c)\norder by 1",
        "DROP TABLE o\nCASCADE",
        "ROLLBACK\nTO SAVEPOINT s",
        "BEGIN\nREAD ONLY",
        "SELECT * FROM o\nAS OF @seq:1\nLIMIT 2",
        "SHOW DRIFT o\nKEY 1",
    ];
    assert_eq!(pieces(script, Dialect::DriftQl).expect("a script"), expected);
    assert_eq!(error("SNAPSHOT o COMPACT o"), "42601 syntax error at or near \"COMPACT\" @12");
}

#[test]
fn what_is_not_driftql_is_sql() {
    for sql in [
        "select 1",
        "SELECT * FROM o ORDER BY 1",
        "SELECT * FROM o JOIN p USING (a)",
        "SELECT a FROM o",
        "SELECT * FROM o AS OF SYSTEM TIME '-1s'",
        "SELECT * FROM o FOR SYSTEM_TIME AS OF '-1s' WHERE a = 1",
        "CREATE TABLE IF NOT EXISTS o (a int)",
        "INSERT INTO o VALUES (1, '{')",
        "INSERT INTO o (a) SELECT 1",
        "CREATE TABLE o (a int)",
        "ALTER TABLE o ADD COLUMN a int DEFAULT 1",
        "SHOW TimeZone",
        "DROP TABLE IF EXISTS o, p",
        "ROLLBACK TO SAVEPOINT a",
        "EXPLAIN SELECT 1",
        "ANALYZE o",
        "SET dialect = sql",
    ] {
        let statements = parse_in(sql, Dialect::DriftQl).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(statements.iter().all(|statement| !matches!(statement.body, Body::Drift(_))), "{sql}");
        assert_eq!(texts(sql), [sql]);
    }
    let script = "SNAPSHOT o; SET dialect = sql; select 1; set dialect to 'driftql'; COMPACT o; select 2";
    assert_eq!(texts(script).len(), 6);
    assert!(parse_in("SET dialect = sql; SNAPSHOT o", Dialect::DriftQl).is_err());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (script, expected) in [
        ("INSERT INTO o {\"a\": 1", "42601 unterminated JSON document @15"),
        ("PATCH o KEY \"a SET {}", "42601 unterminated quoted string @13"),
        ("PATCH o KEY 1 SET 2", "42601 syntax error at or near \"2\" @19"),
        ("PATCH o SET {}", "42601 syntax error at or near \"SET\" @9"),
        (
            "SELECT * FROM o WHERE a > 1",
            "0A000 a condition of DriftQL that is not \"field = value\" is not supported @25",
        ),
        ("SELECT * FROM o AS OF @soon", "42601 syntax error at or near \"soon\" @24"),
        ("SELECT * FROM o AS OF \"@seq:x\"", "22023 \"@seq:x\" is no moment @23"),
        ("SELECT * FROM o AS OF \"@seq:-1\"", "22023 \"@seq:-1\" is no moment @23"),
        ("SNAPSHOT \"\"", "42601 a name is empty @10"),
        (
            "SELECT * FROM o LIMIT 99999999999999999999",
            "22003 \"99999999999999999999\" is out of range for type bigint @23",
        ),
        ("SNAPSHOT o; frobnicate", "42601 syntax error at or near \"frobnicate\" @13"),
        ("é", "42601 syntax error at or near \"é\" @1"),
        ("/* no end", "42601 unterminated /* comment at or near \"/* no end\" @1"),
    ] {
        assert_eq!(error(script), expected, "{script}");
    }
}

/// Numbers that look random, and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn whatever_stands_there_is_read_or_refused() {
    let pieces = [
        "CREATE", "TABLE", "o", "(", "pk", "=", "id", ")", "INDEX", ",", "INSERT", "INTO", "{", "}", "\"",
        "'", "\\", "PATCH", "KEY", "SET", "SOFT", "DELETE", "FROM", "SELECT", "*", "WHERE", "AND", "AS",
        "OF", "@seq:", "@now", "1", "-", ".5e", "LIMIT", "SHOW", "DRIFT", "SNAPSHOT", "COMPACT", "BEGIN",
        "COMMIT", "ALTER", "ADD", "COLUMN", "DEFAULT", "[", "]", "null", "é", "\u{0}", "\n", ";", "--", "/*",
        "*/", "`", "$1", "$$", "BACKUP", "TO", "EXPLAIN",
    ];
    let mut numbers = Numbers(7);
    for _ in 0..20_000 {
        let mut script = String::new();
        for _ in 0..numbers.below(12) {
            script.push_str(pieces[numbers.below(pieces.len())]);
            if numbers.below(3) > 0 {
                script.push(' ');
            }
        }
        let _ = parse_in(&script, Dialect::DriftQl);
        let bytes: Vec<u8> = (0..numbers.below(40)).map(|_| numbers.below(256) as u8).collect();
        let _ = parse_in(&String::from_utf8_lossy(&bytes), Dialect::DriftQl);
    }
}

#[test]
fn values_do_not_stand_in_what_is_told_of_a_statement() {
    let statements = "PATCH o KEY \"hunter2\" SET {\"a\": \"hunter2\"}; SELECT * FROM o WHERE a = \"hunter2\"; \
        SHOW DRIFT o KEY hunter2";
    for text in texts(statements) {
        let told = super::super::redacted(&text, usize::MAX);
        assert!(!told.contains("hunter2"), "{told}");
    }
}

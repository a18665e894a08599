//! Statements of DriftQL.

use super::*;

#[test]
fn changes_of_documents_are_answered_by_tags_of_sql() {
    let catalog = catalog(&[
        "create table o (id text primary key, document jsonb, deleted boolean)",
        "create table o_drift (seq bigint primary key, event text, key text, time timestamptz, content jsonb, \
            document jsonb, counted bigint)",
        "create table o_drift_snapshots (seq bigint, key text, document jsonb, primary key (seq, key))",
    ]);
    let settings = SessionSettings {
        search_path: &SearchPath::default(),
        context: &SessionContext::default(),
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    for (sql, command) in [
        ("INSERT INTO o {\"id\": 1}", "INSERT"),
        ("PATCH o KEY 1 SET {\"a\": 1}", "UPDATE"),
        ("SOFT DELETE FROM o KEY 1", "UPDATE"),
        ("SNAPSHOT o", "INSERT"),
        ("COMPACT o", "INSERT"),
    ] {
        let statements = crate::parse::parse_in(sql, crate::parse::Dialect::DriftQl).unwrap();
        let bound = bind(&statements[0], &catalog, &settings, Some(&[])).unwrap();
        assert_eq!(crate::plan::audited::command(&bound.plan), command, "{sql}");
    }
}

//! Expressions against PostgreSQL: every file of `tests/expressions` holds expressions and what PostgreSQL 15 answers.
//!
//! ```text
//! -- a comment
//! 1 + 2
//!     integer: 3
//! 1 / 0
//!     ! 22012 division by zero
//! ```
//!
//! `sql/tests/expressions/record` writes the answers anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is wrong")]

use std::path::Path;

use nunatak_sql as sql;

use expr::{EvalContext, SessionContext, codec};
use sql::bind::{SessionSettings, bind};
use sql::catalog::{CatalogSnapshot, SearchPath};
use sql::plan::{Node, Plan};

fn answer(expression: &str, catalog: &CatalogSnapshot, context: &SessionContext) -> sql::Result<String> {
    let statements = sql::parse::parse(&format!("SELECT ({expression})"))?;
    let search_path = SearchPath::new(["public".to_owned()]);
    let settings = SessionSettings {
        search_path: &search_path,
        context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let bound = bind(statements.first().unwrap(), catalog, &settings, Some(&[]))?;
    let Plan::Query(node) = bound.plan else { panic!("{expression} is no query") };
    let Node::Project(project) = *node else { panic!("{expression} is no projection: {node:?}") };
    let expression = project.expressions.first().unwrap();
    let value = expression.evaluate(&EvalContext::new(&[], &[], context))?;
    let shown = match value.is_null() {
        true => "NULL".to_owned(),
        false => codec::output(&value, expression.ty(), context).unwrap(),
    };
    Ok(format!("{}: {shown}", expression.ty().kind.display_name()))
}

#[test]
fn expressions_answer_as_postgresql_does() {
    let catalog = CatalogSnapshot::new(1, [], []);
    let mut context = SessionContext::default();
    context.set_time_zone("America/New_York").unwrap();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expressions");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let (mut count, mut differences) = (0, Vec::new());
    for file in files {
        let script = std::fs::read_to_string(&file).unwrap();
        let mut lines = script.lines().filter(|line| !line.is_empty() && !line.starts_with("--"));
        while let (Some(expression), Some(expected)) = (lines.next(), lines.next()) {
            count += 1;
            let found = answer(expression, &catalog, &context)
                .unwrap_or_else(|error| format!("! {} {}", error.report().sqlstate, error.report().message));
            if found != expected.trim_start() {
                differences.push(format!(
                    "{expression}\n    expected {}\n    found    {found}",
                    expected.trim_start()
                ));
            }
        }
    }
    assert!(count > 1000, "only {count} expressions found");
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}

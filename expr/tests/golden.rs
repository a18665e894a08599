//! Expressions against PostgreSQL: every file of `tests/golden` holds expressions and what PostgreSQL 15 answers.
//!
//! ```text
//! -- a comment
//! 1 + 2
//!     integer: 3
//! 1 / 0
//!     ! 22012 division by zero
//! ```
//!
//! `expr/tests/golden/record` writes the answers anew. A line that begins with `--!` says why the expression below it
//! answers otherwise here; its own answer stands behind `    here:`.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod bind;

use std::fmt::Write;
use std::path::Path;

use nunatak_expr as expr;

use expr::text;
use expr::{EvalContext, SessionContext};

/// What an expression answers, as the files write it.
fn answer(sql: &str, session: &SessionContext) -> String {
    let evaluated = bind::bind(sql, session).and_then(|bound| {
        let value = bound.evaluate(&EvalContext::new(&[], &[], session))?;
        Ok((bound.ty(), value))
    });
    match evaluated {
        Ok((ty, value)) => {
            let shown = match value.is_null() {
                true => "NULL".to_owned(),
                false => text::output(&value, ty, session),
            };
            format!("{}: {shown}", ty.kind.display_name())
        }
        Err(error) => format!("! {} {}", error.sqlstate, error.message),
    }
}

fn check(path: &Path) -> (usize, String) {
    let script = std::fs::read_to_string(path).unwrap();
    let mut session = SessionContext::default();
    session.set_time_zone("America/New_York").unwrap();
    let mut differences = String::new();
    let mut count = 0;
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.starts_with("--") {
            continue;
        }
        let recorded =
            lines.next_if(|line| line.starts_with("    ")).map(str::trim_start).unwrap_or_default();
        let here = lines
            .next_if(|line| line.starts_with("    here: "))
            .and_then(|line| line.strip_prefix("    here: "));
        let expected = here.unwrap_or(recorded);
        let found = answer(line, &session);
        count += 1;
        if found != expected {
            writeln!(differences, "{line}\n    expected {expected}\n    found    {found}").unwrap();
        }
    }
    (count, differences)
}

#[test]
fn expressions_answer_as_postgresql_does() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let (mut count, mut report) = (0, String::new());
    for file in &files {
        let (checked, differences) = check(file);
        count += checked;
        if !differences.is_empty() {
            writeln!(report, "== {}\n{differences}", file.file_name().unwrap().to_string_lossy()).unwrap();
        }
    }
    assert!(count > 100, "only {count} expressions found");
    assert!(report.is_empty(), "of {count} expressions some differ:\n{report}");
}

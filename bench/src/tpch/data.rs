//! The rows: made by the generator, loaded by COPY in pieces that a transaction can take.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::process::{feed, output, query};

const TABLES: [&str; 8] =
    ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"];
const SCHEMA: &str = include_str!("queries/schema.sql");
/// Rows of one COPY.
const ROWS_PER_COPY: usize = 50_000;

/// Makes the files of all tables.
pub(super) fn generate(generator: &Path, scale: f64, folder: &Path) -> Result<PathBuf> {
    eprintln!("making rows of scale {scale}");
    output(
        Command::new(generator).arg("csv").args(["-s", &scale.to_string()]).arg("--output-dir").arg(folder),
    )?;
    Ok(folder.to_path_buf())
}

/// Makes the tables and fills them.
pub(super) fn load(port: u16, folder: &Path) -> Result<()> {
    query(port, SCHEMA)?;
    for table in TABLES {
        let path = folder.join(format!("{table}.csv"));
        let failed = |source| Failure::File { path: path.clone(), source };
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads from the real disk")]
        let file = File::open(&path).map_err(failed)?;
        let mut lines = BufReader::new(file).lines().skip(1);
        let copy = format!("copy {table} from stdin with (format csv)");
        loop {
            let mut piece = String::new();
            for line in lines.by_ref().take(ROWS_PER_COPY) {
                piece.push_str(&line.map_err(failed)?);
                piece.push('\n');
            }
            if piece.is_empty() {
                break;
            }
            feed(port, &copy, &piece)?;
        }
    }
    query(port, "analyze").map(drop)
}

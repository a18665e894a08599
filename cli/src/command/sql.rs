//! `nunatak sql`: the SQL shell.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::shell::{self, Script, Server, TlsArguments};

/// Open an SQL shell.
///
/// Without -e and -f it reads statements from the terminal (\? explains the rest), or from standard input.
/// The first error ends -e and -f with exit status 1. A password stands in the URL or in PGPASSWORD.
#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// Where to connect; any PostgreSQL server will do
    #[arg(
        long,
        env = "NUNATAK_URL",
        value_name = "URL",
        default_value = "postgresql://nunatak@127.0.0.1:5433/nunatak"
    )]
    pub(crate) url: String,

    #[command(flatten)]
    pub(crate) tls: TlsArguments,

    /// Run these statements, print their results and exit; may be given many times
    #[arg(short = 'e', long, env = "NUNATAK_EXECUTE", value_name = "SQL")]
    pub(crate) execute: Vec<String>,

    /// Run the statements in this file (after those of -e) and exit; - is standard input
    #[arg(short = 'f', long, env = "NUNATAK_FILE", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

impl Sql {
    /// Runs the scripts or the shell.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut scripts: Vec<Script> = self.execute.into_iter().map(Script::Text).collect();
        scripts.extend(self.file.map(|path| match path.to_str() {
            Some("-") => Script::StandardInput,
            _ => Script::File(path),
        }));
        let server = Server { url: self.url, tls: self.tls.connector()? };
        if scripts.is_empty() {
            return shell::run_interactive(&server).await;
        }
        shell::run_script(&server, scripts).await
    }
}

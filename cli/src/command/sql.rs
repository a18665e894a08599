//! `nunatak sql`: the SQL shell.

use std::path::PathBuf;

use clap::Args;

use super::kv::{KV_ADDRESS, Kv, Task};
use crate::address::Address;
use crate::failure::Failure;
use crate::shell::{self, Format, Options, Script, Server, Target, TlsArguments};

/// Open an SQL shell, or run statements.
///
/// Without -c and -f it reads statements from the terminal, as psql does, or from standard input. \? lists its commands:
/// \d describes, \x turns wide rows, \copy moves data, \e opens your editor; Tab completes; long results go to $PAGER.
///
/// A password stands in the URL or in PGPASSWORD, or is asked for at a terminal.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nunatak sql                                            a shell at 127.0.0.1:5433\n  \
    nunatak sql -U ann -d postgres -H db.example -p 5433   elsewhere\n  \
    nunatak sql -c 'select * from t' --format csv > t.csv  one statement, for a program\n  \
    nunatak sql -c '\\d t'                                  a table's columns, indexes, constraints\n  \
    nunatak sql -v day=2026-01-31 -f report.sql            a file in which :'day' stands for that day\n  \
    nunatak sql -v ON_ERROR_STOP=off -f dump.sql           a file whose errors do not end it\n  \
    nunatak sql --kv                                       keys and values of the gateway's --kv\n\n\
    Exit status: 0 all went well, 1 a statement of -c failed, 2 no connection or a wrong flag, 3 a script failed \
    (-f, standard input).")]
pub(crate) struct Sql {
    /// Where to connect; any PostgreSQL server will do
    #[arg(
        long,
        env = "NUNATAK_URL",
        value_name = "URL",
        default_value = "postgresql://nunatak@127.0.0.1:5433/nunatak"
    )]
    pub(crate) url: String,

    /// The host, in place of the URL's
    #[arg(short = 'H', long, value_name = "HOST")]
    pub(crate) hostname: Option<String>,

    /// The port, in place of the URL's
    #[arg(short = 'p', long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// A shell of keys and values: connect to the gateway's key-value service [default: 127.0.0.1:7228] and read lines such as
    /// get KEY (help lists them) in place of SQL; of the other flags -U, -c, -f and those of security count then
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = KV_ADDRESS)]
    #[arg(conflicts_with_all = ["hostname", "port", "dbname", "expanded", "tuples_only", "null", "output", "set"])]
    pub(crate) kv: Option<Address>,

    /// The role, in place of the URL's
    #[arg(short = 'U', long, value_name = "NAME")]
    pub(crate) username: Option<String>,

    /// The database, in place of the URL's
    #[arg(short = 'd', long, value_name = "NAME")]
    pub(crate) dbname: Option<String>,

    #[command(flatten)]
    pub(crate) tls: TlsArguments,

    /// Run these statements, print their results and exit; may be given many times
    #[arg(
        short = 'e',
        visible_short_alias = 'c',
        long,
        visible_alias = "command",
        env = "NUNATAK_EXECUTE",
        value_name = "SQL"
    )]
    pub(crate) execute: Vec<String>,

    /// Run the statements in this file (after those of -c) and exit; - is standard input
    #[arg(short = 'f', long, env = "NUNATAK_FILE", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// How results look
    #[arg(long, env = "NUNATAK_FORMAT", value_name = "FORMAT", default_value = "table")]
    #[arg(help_heading = "Output")]
    pub(crate) format: Format,

    /// One value a line, as \x does
    #[arg(short = 'x', long, help_heading = "Output")]
    pub(crate) expanded: bool,

    /// Rows alone, without names and counts
    #[arg(short = 't', long, help_heading = "Output")]
    pub(crate) tuples_only: bool,

    /// What stands for NULL
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = "Output")]
    pub(crate) null: String,

    /// Results go to this file
    #[arg(short = 'o', long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<String>,

    /// Set a variable, as \set does; may be given many times
    #[arg(short = 'v', long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Sql {
    /// Runs the scripts or the shell.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if let Some(host) = self.kv.clone() {
            return self.run_kv(host).await;
        }
        let mut scripts: Vec<Script> = self.execute.into_iter().map(Script::Text).collect();
        scripts.extend(self.file.map(|path| match path.to_str() {
            Some("-") => Script::StandardInput,
            _ => Script::File(path),
        }));
        let instead =
            Target { host: self.hostname, port: self.port, user: self.username, database: self.dbname };
        let server = Server { url: self.url, tls: self.tls.connector()?, instead, ..Server::default() };
        let options = Options {
            format: self.format,
            expanded: self.expanded,
            rows_only: self.tuples_only,
            null: self.null,
            output: self.output,
            variables: self.set,
        };
        if scripts.is_empty() {
            return shell::run_interactive(&server, &options).await;
        }
        shell::run_script(&server, scripts, &options).await
    }

    /// The shell of keys and values.
    async fn run_kv(self, host: Address) -> Result<(), Failure> {
        let mut lines = self.execute;
        let is_input = self.file.as_ref().is_some_and(|path| path.to_str() == Some("-"));
        if let Some(path) = self.file.filter(|_| !is_input) {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
            // A file of no lines is not the terminal.
            lines.extend(text.lines().map(str::to_owned).chain([String::new()]));
        }
        if is_input && !lines.is_empty() {
            return Err(Failure::usage("--kv takes lines of -c, or of standard input"));
        }
        let TlsArguments { tls_ca, tls_cert, tls_key } = self.tls;
        let kv = Kv { task: Task::Shell { lines }, host, username: self.username, tls_ca, tls_cert, tls_key };
        kv.run().await
    }
}

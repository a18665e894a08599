//! `nunatak drift`: documents whose every change is kept, over a directory of one's own or over a cluster.
//!
//! ```text
//! place    where the documents are: a directory, whose node runs in this process, or a URL
//! talk     statements of DriftQL, run one after the other, and what they answer as JSON
//! doctor   whether files are whole, and events and documents say the same
//! ```

mod doctor;
mod place;
mod talk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::AuditLog;
use clap::{Args, Subcommand};
use env::pool::PoolHandle;
use expr::datum::json::Json;
use expr::functions::quote::{identifier, literal};

use super::backup::Backup;
use crate::failure::Failure;
use crate::output::outln;
use place::{Opened, Place, With, url};
use talk::{Script, Shown};

/// Keep documents, and every change of them.
///
/// The documents are in a directory (-d), which nothing else may use meanwhile, or in a cluster (--url). What is answered is
/// JSON, a document or an event a line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nunatak drift init shop\n  \
    nunatak drift sql -d shop -e 'CREATE TABLE orders (pk=id, INDEX(status))'\n  \
    nunatak drift ingest -d shop -t orders -f orders.jsonl\n  \
    nunatak drift select -d shop -t orders --where 'status=\"paid\"' --as-of @seq:7\n  \
    nunatak drift drift -d shop -t orders --key o1")]
pub(crate) struct Drift {
    #[command(subcommand)]
    task: Task,
}

/// What is to be done.
#[derive(Debug, Clone, Subcommand)]
enum Task {
    /// Make a directory ready
    Init {
        /// The directory
        directory: PathBuf,
    },
    /// Run statements of DriftQL, or of SQL
    Sql {
        #[command(flatten)]
        place: Place,

        /// These; may be given many times
        #[arg(short = 'e', long, value_name = "DRIFTQL")]
        execute: Vec<String>,

        /// Those in this file, behind them
        #[arg(short = 'f', long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Insert the documents of a file, one a line
    Ingest {
        #[command(flatten)]
        place: Place,

        /// The table
        #[arg(short = 't', long, value_name = "TABLE")]
        table: String,

        /// The file
        #[arg(short = 'f', long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Print documents
    Select {
        #[command(flatten)]
        place: Place,

        /// The table
        #[arg(short = 't', long, value_name = "TABLE")]
        table: String,

        /// Those with these values alone: 'status="paid" AND customer="ada"'
        #[arg(short = 'w', long = "where", value_name = "CONDITION")]
        condition: Option<String>,

        /// As they were: @seq:N, @now, or a time such as 2026-05-01T12:00:00Z
        #[arg(long, value_name = "MOMENT")]
        as_of: Option<String>,

        /// So many
        #[arg(short = 'l', long, value_name = "N")]
        limit: Option<u32>,

        /// As one array
        #[arg(long)]
        json: bool,
    },
    /// Print all that was done to a document
    Drift {
        #[command(flatten)]
        place: Place,

        /// The table
        #[arg(short = 't', long, value_name = "TABLE")]
        table: String,

        /// The document's key
        #[arg(short = 'k', long, value_name = "KEY")]
        key: String,
    },
    /// Keep all documents of a table as they are now, so that they can be read as of now quickly
    Snapshot {
        #[command(flatten)]
        place: Place,

        /// The table
        #[arg(short = 't', long, value_name = "TABLE")]
        table: String,
    },
    /// The same, and forget the snapshots before; no event is forgotten
    Compact {
        #[command(flatten)]
        place: Place,

        /// The table
        #[arg(short = 't', long, value_name = "TABLE")]
        table: String,
    },
    /// Check files, events and documents, and mend what can be mended; exit status 1 if something cannot
    Doctor {
        #[command(flatten)]
        place: Place,
    },
    /// Look at tables, for better plans
    Analyze {
        #[command(flatten)]
        place: Place,

        /// The table; all of them if none is given
        #[arg(short = 't', long, value_name = "TABLE")]
        table: Option<String>,
    },
    /// Make and restore backups
    Backup {
        #[command(subcommand)]
        task: BackupTask,
    },
}

/// What is to be done about backups.
#[derive(Debug, Clone, Subcommand)]
enum BackupTask {
    /// Back everything up
    Create {
        #[command(flatten)]
        place: Place,

        /// Into this directory, or a URL
        #[arg(long, alias = "destination", value_name = "DIR")]
        to: String,

        /// What has changed since the one before alone
        #[arg(long)]
        incremental: bool,
    },
    /// Restore the newest backup into a directory, or a cluster, in which there is nothing yet
    Restore {
        #[command(flatten)]
        place: Place,

        /// The directory of the backup, or its URL
        #[arg(long, alias = "backup", value_name = "DIR")]
        from: String,
    },
    /// Show the backups of a directory
    List {
        /// The directory, or a URL
        #[arg(long, alias = "path", value_name = "DIR")]
        from: String,
    },
    /// Read every file of the backups of a directory and check it
    Verify {
        /// The directory, or a URL
        #[arg(long, alias = "backup", value_name = "DIR")]
        from: String,
    },
}

impl Drift {
    /// Whether a node and a gateway run in this process.
    pub(crate) fn is_embedded(&self) -> bool {
        match &self.task {
            Task::Init { .. } => true,
            Task::Sql { place, .. }
            | Task::Ingest { place, .. }
            | Task::Select { place, .. }
            | Task::Drift { place, .. }
            | Task::Snapshot { place, .. }
            | Task::Compact { place, .. }
            | Task::Doctor { place }
            | Task::Analyze { place, .. }
            | Task::Backup { task: BackupTask::Create { place, .. } | BackupTask::Restore { place, .. } } => {
                place.data.is_some()
            }
            Task::Backup { task: BackupTask::List { .. } | BackupTask::Verify { .. } } => false,
        }
    }

    /// Does it and prints the answer.
    pub(crate) async fn run(self, pool: PoolHandle, audit: Arc<AuditLog>) -> Result<(), Failure> {
        let with = With::new(pool, audit);
        match self.task {
            Task::Init { directory } => {
                Opened::make(&directory, with).await?.close().await?;
                outln!("{} is ready", directory.display());
                Ok(())
            }
            Task::Sql { place, execute, file } => {
                let mut scripts = execute;
                if let Some(file) = &file {
                    scripts.push(read(file)?);
                }
                if scripts.is_empty() {
                    return Err(Failure::usage("-e or -f is missing: what is to be run"));
                }
                let scripts: Vec<Script<'_>> =
                    scripts.iter().map(|text| Script::read(text, &place)).collect::<Result<_, _>>()?;
                let places: Vec<String> = scripts.iter().flat_map(Script::places).cloned().collect();
                let opened = Opened::open(&place, with.backups_at(&places)?).await?;
                let mut outcome = Ok(());
                for script in &scripts {
                    outcome = script.run(opened.client()).await;
                    if outcome.is_err() {
                        break;
                    }
                }
                opened.close_after(outcome).await
            }
            Task::Ingest { place, table, file } => {
                let opened = Opened::open(&place, with).await?;
                let outcome = talk::ingest(opened.client(), &named(&table), &file).await;
                opened.close_after(outcome).await
            }
            Task::Select { place, table, condition, as_of, limit, json } => {
                let mut statement = format!("SELECT * FROM {}", named(&table));
                if let Some(condition) = condition {
                    statement.push_str(&format!(" WHERE {condition}"));
                }
                match as_of {
                    Some(mark) if mark.starts_with('@') => statement.push_str(&format!(" AS OF {mark}")),
                    Some(time) => statement.push_str(&format!(" AS OF {}", expr::json::quoted(&time))),
                    None => {}
                }
                if let Some(limit) = limit {
                    statement.push_str(&format!(" LIMIT {limit}"));
                }
                let shown = if json { Shown::Array } else { Shown::Lines };
                one(&place, with, &statement, shown).await
            }
            Task::Drift { place, table, key } => {
                let statement = format!("SHOW DRIFT {} KEY {}", named(&table), keyed(&key));
                one(&place, with, &statement, Shown::Lines).await
            }
            Task::Snapshot { place, table } => {
                one(&place, with, &format!("SNAPSHOT {}", named(&table)), Shown::Lines).await
            }
            Task::Compact { place, table } => {
                one(&place, with, &format!("COMPACT {}", named(&table)), Shown::Lines).await
            }
            Task::Analyze { place, table } => {
                let statement = match table {
                    Some(table) => format!("ANALYZE TABLE {}", named(&table)),
                    None => "ANALYZE".to_owned(),
                };
                one(&place, with, &statement, Shown::Lines).await
            }
            Task::Doctor { place } => {
                if let Some(data) = &place.data {
                    doctor::check_files(data)?;
                }
                let opened = Opened::open(&place, with).await?;
                let outcome = doctor::check_tables(opened.client()).await;
                opened.close_after(outcome).await
            }
            Task::Backup { task } => backup(task, with).await,
        }
    }
}

async fn backup(task: BackupTask, with: With) -> Result<(), Failure> {
    match task {
        BackupTask::Create { place, to, incremental } => {
            let incremental = if incremental { " INCREMENTAL" } else { "" };
            let to = url(&to)?;
            let statement = format!("BACKUP CLUSTER INTO {}{incremental}", literal(&to));
            one(&place, with.backups_at(&[to])?, &statement, Shown::Lines).await
        }
        BackupTask::Restore { place, from } => {
            let from = url(&from)?;
            let statement = format!("RESTORE CLUSTER FROM {}", literal(&from));
            let with = with.backups_at(&[from])?;
            let opened = match &place.data {
                Some(directory) => Opened::make(directory, with).await?,
                None => Opened::open(&place, with).await?,
            };
            let outcome = talk::statement(opened.client(), &statement, Shown::Lines).await;
            opened.close_after(outcome).await
        }
        BackupTask::List { from } => Backup::list(url(&from)?).run().await,
        BackupTask::Verify { from } => Backup::verify(url(&from)?).run().await,
    }
}

/// Runs one statement.
async fn one(place: &Place, with: With, statement: &str, shown: Shown) -> Result<(), Failure> {
    talk::check_single(statement)?;
    let opened = Opened::open(place, with).await?;
    let outcome = talk::statement(opened.client(), statement, shown).await;
    opened.close_after(outcome).await
}

/// A table's name as DriftQL takes it: what is a word stays one.
fn named(table: &str) -> String {
    match table.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
        true => table.to_owned(),
        false => identifier(table),
    }
}

/// A key: the text that it is stored as, which may stand between JSON's quotes. `1e5` and `1.50` are texts, too, and no numbers that
/// would be other keys.
fn keyed(key: &str) -> String {
    match expr::json::parse(key) {
        Ok(Json::String(_)) => key.trim().to_owned(),
        _ => expr::json::quoted(key),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    // Some editors put a mark there that says nothing.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::{keyed, named};

    #[test]
    fn keys_and_names_are_what_they_look_like() {
        assert_eq!(
            [keyed("o1"), keyed("42"), keyed("\"42\""), keyed("it's"), keyed("12e4567")],
            ["\"o1\"", "\"42\"", "\"42\"", "\"it's\"", "\"12e4567\""]
        );
        assert_eq!([named("orders"), named("My Orders")], ["orders", "\"My Orders\""]);
    }
}

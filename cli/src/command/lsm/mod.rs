//! `nunatak lsm`: the stored data of a node that has stopped.

mod dump;
mod stats;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::admin::OutputFormat;
use crate::encryption::{EncryptionArguments, printed};
use crate::escape::{Key, parse_key};
use crate::failure::{Failure, chain};
use crate::process::refused;

/// Look into, check and mend the stored data of a node that has stopped.
///
/// The node's recovery runs first, as when it starts. Keys are written as printable ASCII, with \xNN for other bytes.
#[derive(Debug, Args)]
pub(crate) struct Lsm {
    #[command(subcommand)]
    pub(crate) task: Task,

    /// The node's directory
    #[arg(long, global = true, env = "NUNATAK_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) encryption: EncryptionArguments,

    /// How the answer is printed
    #[arg(long, global = true, env = "NUNATAK_FORMAT", value_name = "FORMAT", default_value = "table")]
    pub(crate) format: OutputFormat,
}

/// What is to be done.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Task {
    /// Show levels, bytes, entries and keys in use
    Stats,
    /// Read every block and log record and check them; exit status 1 if any is damaged
    Verify,
    /// Print tables, their blocks and their entries
    Dump(dump::Dump),
    /// Compact everything, or a span of keys, as far down as it goes
    Compact(Span),
    /// Encrypt everything with a new data key, and forget the old ones; also what was not encrypted before
    RotateKey,
    /// Seal the data keys with another master key; the present one opens nothing any more
    ChangeMasterKey {
        /// The file with the new key
        #[arg(long, value_name = "FILE", required_unless_present = "new_encryption_key_command")]
        new_encryption_key_file: Option<PathBuf>,

        /// The command that prints it
        #[arg(long, value_name = "COMMAND", conflicts_with = "new_encryption_key_file")]
        new_encryption_key_command: Option<String>,
    },
}

/// A span of keys.
#[derive(Debug, Clone, Args)]
pub(crate) struct Span {
    /// From this key on
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    from: Option<Key>,

    /// Up to this key, without it
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    to: Option<Key>,
}

/// Above every key: keys are shorter.
const END: &[u8] = &[0xff; 65 << 10];

impl Span {
    /// First key, and first key behind; None: all keys.
    fn bounds(&self) -> Option<(&[u8], &[u8])> {
        match (&self.from, &self.to) {
            (None, None) => None,
            (from, to) => {
                Some((from.as_ref().map_or(&[], |key| &key.0), to.as_ref().map_or(END, |key| &key.0)))
            }
        }
    }
}

impl Lsm {
    /// Does it and prints the answer.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let data = self.data.ok_or_else(|| Failure::usage("--data is missing: the node's directory"))?;
        let encryption = self.encryption.source()?;
        if matches!(self.task, Task::RotateKey | Task::ChangeMasterKey { .. }) && encryption.is_none() {
            return Err(Failure::usage("--encryption-key-file is missing: the present master key"));
        }
        let new_key = match &self.task {
            Task::ChangeMasterKey { new_encryption_key_file, new_encryption_key_command } => {
                match (new_encryption_key_file, new_encryption_key_command) {
                    (Some(file), _) => Some(lsm::KeySource::File(file.clone())),
                    (None, Some(command)) => Some(printed("--new-encryption-key-command", command)?),
                    (None, None) => None,
                }
            }
            _ => None,
        };
        let disk: Arc<dyn env::disk::Disk> = Arc::new(env::disk::RealDisk::new());
        let store = match self.task {
            Task::RotateKey => node::OfflineStore::open_encrypting(disk, data, encryption),
            _ => node::OfflineStore::open(disk, data, encryption),
        };
        let store = store.map_err(|error| refused(&error))?;
        let out = &mut io::stdout().lock();
        let done = match self.task {
            Task::Stats => stats::print(&store, self.format, out),
            Task::Verify => verify::run(&store, self.format, out),
            Task::Dump(dump) => dump.print(store.db(), self.format, out),
            Task::Compact(span) => {
                match span.bounds() {
                    None => store.db().compact()?,
                    Some((start, end)) => store.db().compact_span(start, end)?,
                }
                stats::print(&store, self.format, out)
            }
            Task::RotateKey => {
                store.db().rotate_data_key()?;
                store.db().encrypt_anew()?;
                stats::print(&store, self.format, out)
            }
            Task::ChangeMasterKey { .. } => {
                new_key.map_or(Ok(()), |key| store.db().set_master_key(&key)).map_err(Problem::from)
            }
        };
        match done {
            // Whoever reads has had enough.
            Err(Problem::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(Problem::Output(error)) => Err(Failure::failed(format!("cannot write the answer: {error}"))),
            Err(Problem::Failure(failure)) => Err(failure),
            Ok(()) => Ok(()),
        }
    }
}

/// Why printing ended early.
enum Problem {
    Output(io::Error),
    Failure(Failure),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<lsm::Error> for Problem {
    fn from(error: lsm::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl From<lsm::Error> for Failure {
    fn from(error: lsm::Error) -> Self {
        match error {
            lsm::Error::Key { .. } => Self::usage(chain(&error)),
            error => Self::failed(chain(&error)),
        }
    }
}

/// A value as one line of JSON.
fn line(out: &mut dyn Write, value: &serde_json::Value) -> io::Result<()> {
    writeln!(out, "{value}")
}

/// A data key as files and messages name it.
fn data_key(number: u64) -> String {
    format!("{number:016x}")
}

//! `nunatak kv`: keys and values of a gateway's key-value service.

mod dialogue;
mod order;
mod service;
mod shell;

use std::path::PathBuf;

use api::kv::WatchRequest;
use clap::{Args, Subcommand};

use self::dialogue::Dialogue;
use self::service::Service;
use self::shell::Shell;
use crate::address::Address;
use crate::escape::{Key, escape, parse_key};
use crate::failure::Failure;
use crate::output::outln;

/// The address of the key-value service unless told otherwise.
pub(crate) const KV_ADDRESS: &str = "127.0.0.1:7228";

/// Read and write keys of a gateway's key-value service (its --kv).
///
/// Keys and values are written as printable ASCII, with \xNN for other bytes and \\ for a backslash. They are the rows
/// of the table kv.pairs. A key that begins with - stands behind --, as in nunatak kv get -- -key, and all flags before it. A
/// password stands in PGPASSWORD.
#[derive(Debug, Args)]
pub(crate) struct Kv {
    #[command(subcommand)]
    pub(crate) task: Task,

    /// The gateway's key-value service
    #[arg(long, global = true, env = "NUNATAK_KV_HOST", value_name = "ADDR", default_value = KV_ADDRESS)]
    pub(crate) host: Address,

    /// The role to work as [default: the superuser on loopback, where it is believed]
    #[arg(short = 'U', long, global = true, value_name = "NAME")]
    pub(crate) username: Option<String>,

    /// The authority that has signed the gateway's certificate: the connection is encrypted then
    #[arg(long, global = true, env = "NUNATAK_TLS_CA", value_name = "FILE", help_heading = "Security")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Show this certificate (PEM)
    #[arg(long, global = true, env = "NUNATAK_TLS_CERT", value_name = "FILE", help_heading = "Security")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key to --tls-cert
    #[arg(long, global = true, env = "NUNATAK_TLS_KEY", value_name = "FILE", help_heading = "Security")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Task {
    /// Print the value of a key; exit status 1 if there is none
    Get {
        /// The key; one that begins with - stands behind --
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
    },
    /// Put a value in place of what was there
    Set {
        /// The key; one that begins with - stands behind --
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
        /// Its value
        #[arg(value_name = "VALUE", value_parser = parse_key, allow_hyphen_values = true)]
        value: Key,
    },
    /// Print keys and their values, a tab between them, in the order of the keys
    Scan {
        /// From this key on; one that begins with - stands behind --
        #[arg(value_name = "START", value_parser = parse_key)]
        start: Option<Key>,
        /// Up to this key, without it
        #[arg(value_name = "END", value_parser = parse_key)]
        end: Option<Key>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        limit: u64,
        /// The last of them first
        #[arg(long)]
        reverse: bool,
    },
    /// Print changes as they are committed: the timestamp, set or delete, the key, the value, tabs between them
    ///
    /// It goes on until it is stopped. Where it ends with an error it says from when on to watch again.
    Watch {
        /// This key, or with --prefix all that begin with it, or with --end from it on; all keys if there is none. One
        /// that begins with - stands behind --
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Option<Key>,
        /// All keys that begin with KEY
        #[arg(long, requires = "key", conflicts_with = "end")]
        prefix: bool,
        /// All keys from KEY on up to this one, without it; one that begins with - is said by --end=-key
        #[arg(long, value_name = "END", value_parser = parse_key, requires = "key")]
        end: Option<Key>,
        /// What was committed after this timestamp [default: after now]
        #[arg(long, value_name = "TIMESTAMP", default_value_t = 0, hide_default_value = true)]
        since: u64,
        /// Print up to when all was told, too, as the timestamp and resolved
        #[arg(long)]
        marks: bool,
        /// End after so many changes
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        limit: u64,
    },
    /// Remove a key; exit status 1 if there was none
    Delete {
        /// The key; one that begins with - stands behind --
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
    },
    /// Work in one transaction, by lines from the terminal or standard input
    ///
    /// A line is get KEY, set KEY VALUE, delete KEY, scan (from START, to END), commit or rollback. The end of the input commits;
    /// an error rolls back, and is the exit status.
    Txn {
        /// Nothing is to be changed
        #[arg(long)]
        read_only: bool,
    },
    /// Open a shell, or carry out lines; the same as nunatak sql --kv
    ///
    /// Each line is a transaction by itself, unless one was begun; help lists what there is to say. Lines that are not typed end with
    /// the first error.
    Shell {
        /// Carry out this line and exit; may be given many times
        #[arg(short = 'c', long = "command", value_name = "LINE")]
        lines: Vec<String>,
    },
}

impl Kv {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut service = Service::connect(&self).await?;
        match self.task {
            Task::Get { key } => match service.get(0, key.0).await? {
                Some(value) => outln!("{}", escape(&value)),
                None => return Err(Failure::failed("there is no such key")),
            },
            Task::Set { key, value } => service.set(0, key.0, value.0).await?,
            Task::Scan { start, end, limit, reverse } => {
                let span = (start.map(|key| key.0), end.map(|key| key.0));
                service.scan(0, span, limit, reverse).await?;
            }
            Task::Watch { key, prefix, end, since, marks, limit } => {
                let request = watched(key, prefix, end, since);
                service.watch(request, marks, limit).await?;
            }
            Task::Delete { key } => {
                if !service.delete(0, key.0).await? {
                    return Err(Failure::failed("there was no such key"));
                }
            }
            Task::Txn { read_only } => Dialogue::begin(service, read_only).await?.hold().await?,
            Task::Shell { lines } => Shell::new(service).run(lines).await?,
        }
        Ok(())
    }
}

/// What is to be watched.
fn watched(key: Option<Key>, is_prefix: bool, end: Option<Key>, since: u64) -> WatchRequest {
    let all = WatchRequest { since, ..WatchRequest::default() };
    let Some(Key(key)) = key else { return all };
    match end {
        Some(Key(end)) => WatchRequest { start: key.into(), end: end.into(), ..all },
        None if is_prefix => WatchRequest { prefix: Some(key.into()), ..all },
        None => WatchRequest { key: Some(key.into()), ..all },
    }
}

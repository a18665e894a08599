//! `nunatak kv`: keys and values of a gateway's key-value service.

mod dialogue;
mod order;
mod service;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::dialogue::Dialogue;
use self::service::Service;
use crate::address::Address;
use crate::escape::{Key, escape, parse_key};
use crate::failure::Failure;
use crate::output::outln;

/// The address of the key-value service unless told otherwise.
const KV_ADDRESS: &str = "127.0.0.1:7228";

/// Read and write keys of a gateway's key-value service (its --kv).
///
/// Keys and values are written as printable ASCII, with \xNN for other bytes and \\ for a backslash. They are the rows
/// of the table kv.pairs. A password stands in PGPASSWORD.
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
        /// The key
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
    },
    /// Put a value in place of what was there
    Set {
        /// The key
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
        /// Its value
        #[arg(value_name = "VALUE", value_parser = parse_key)]
        value: Key,
    },
    /// Print keys and their values, a tab between them, in the order of the keys
    Scan {
        /// From this key on
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
    /// Remove a key; exit status 1 if there was none
    Delete {
        /// The key
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
            Task::Delete { key } => {
                if !service.delete(0, key.0).await? {
                    return Err(Failure::failed("there was no such key"));
                }
            }
            Task::Txn { read_only } => Dialogue::begin(service, read_only).await?.hold().await?,
        }
        Ok(())
    }
}

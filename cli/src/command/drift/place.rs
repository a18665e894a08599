//! Where documents are: in a directory, whose node and gateway run in this process as long as the command does, or in a
//! cluster.
//!
//! A directory is one that `nunatak start-single --data` could serve. Its lock keeps a second process out, and nothing listens:
//! whoever may read the directory, and nobody else on the machine, has its documents. What was answered as done is on disk.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::AuditLog;
use backup::Places;
use clap::Args;
use env::clock;
use env::pool::PoolHandle;
use env::task::JoinHandle;
use proto::inprocess::InProcess;
use tokio_postgres::Client;

use super::super::start_single::NODE;
use crate::failure::{Failure, chain};
use crate::process::{CLOSED_LAG_MS, OwnSql, Storage, StorageOptions};
use crate::shell::{self, Server, TlsArguments};

/// How long a client may take to leave.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// What every session says first.
const GREETING: &str = "SET dialect = driftql; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'";

/// The flags of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// The directory
    // No variable names it: that of a server would win over a --url that was written.
    #[arg(short = 'd', long, aliases = ["source", "target"], value_name = "DIR")]
    pub(super) data: Option<PathBuf>,

    /// The cluster, if no directory is given
    #[arg(long, env = "NUNATAK_URL", value_name = "URL")]
    pub(super) url: Option<String>,

    #[command(flatten)]
    pub(super) tls: TlsArguments,
}

/// What a node and a gateway in this process work with.
pub(super) struct With {
    pool: PoolHandle,
    audit: Arc<AuditLog>,
    /// Where backups may lie.
    places: Places,
}

impl With {
    pub(super) fn new(pool: PoolHandle, audit: Arc<AuditLog>) -> Self {
        Self { pool, audit, places: Places::default() }
    }

    /// The same where backups may lie at these URLs, which whoever runs this process has named, and nowhere else.
    pub(super) fn backups_at(self, urls: &[String]) -> Result<Self, Failure> {
        let places = Places::of(urls).map_err(|error| Failure::usage(chain(&error)))?;
        Ok(Self { places, ..self })
    }
}

/// Why the directory cannot be looked into, and what makes one.
fn unreadable(directory: &Path, error: &std::io::Error) -> String {
    let directory = directory.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{directory} does not exist: nunatak drift init {directory} makes it")
        }
        _ => format!("{directory}: {error}"),
    }
}

/// A connection, and what is behind it.
pub(super) struct Opened {
    client: Client,
    embedded: Option<Embedded>,
}

/// What runs in this process.
struct Embedded {
    /// Ends once the client has taken its leave.
    talk: JoinHandle<()>,
    sql: OwnSql,
    storage: Storage,
}

impl Opened {
    /// Opens what there is.
    pub(super) async fn open(place: &Place, with: With) -> Result<Self, Failure> {
        match (&place.data, &place.url) {
            (Some(directory), _) => {
                let mut entries = std::fs::read_dir(directory)
                    .map_err(|error| Failure::usage(unreadable(directory, &error)))?;
                if entries.next().is_none() {
                    let directory = directory.display();
                    return Err(Failure::usage(format!(
                        "there is nothing in {directory}: nunatak drift init {directory} makes it ready"
                    )));
                }
                Self::make(directory, with).await
            }
            (None, Some(url)) => {
                let tls = place.tls.connector()?;
                let server = Server { url: url.clone(), tls, ..Server::default() };
                Ok(Self { client: greeted(shell::connect(&server).await?).await?, embedded: None })
            }
            (None, None) => Err(Failure::usage("-d or --url is missing: where the documents are")),
        }
    }

    /// Opens a directory, and makes it ready if there is nothing in it.
    pub(super) async fn make(directory: &Path, with: With) -> Result<Self, Failure> {
        let network = Arc::new(InProcess::new());
        let storage = Storage::start(StorageOptions {
            data: directory.to_owned(),
            network: network.clone(),
            address: NODE.to_owned(),
            join: Vec::new(),
            locality: Default::default(),
            closed_lag: Duration::from_millis(CLOSED_LAG_MS),
            encryption: None,
            sizes: Default::default(),
            backup_places: with.places.clone(),
        })
        .await?;
        network.register(NODE, storage.service());
        storage.init().await?;
        let sql = OwnSql::start(network, NODE, directory, with.pool, with.audit, with.places);
        sql.wait_until_ready().await?;
        let (client, talk) = shell::connect_over(sql.connect()).await?;
        let client = greeted(client).await?;
        Ok(Self { client, embedded: Some(Embedded { talk, sql, storage }) })
    }

    /// What asks it.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Ends what runs in this process.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let Self { client, embedded } = self;
        drop(client);
        let Some(Embedded { talk, sql, storage }) = embedded else { return Ok(()) };
        // A session that is ended from the other side says so.
        let _ = clock::timeout(LEAVE_MAX, talk).await;
        sql.shutdown().await;
        storage.shutdown().await
    }

    /// The same, once something has come out.
    pub(super) async fn close_after(self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        let closed = self.close().await;
        outcome.and(closed)
    }
}

/// The URL of a directory of this machine, whose path may begin where this process is.
pub(super) fn url(place: &str) -> Result<String, Failure> {
    if place.contains("://") {
        return Ok(place.to_owned());
    }
    let path = absolute(place).map_err(|error| Failure::usage(format!("{place}: {error}")))?;
    Ok(format!("file://{}", path.display()))
}

/// A path from the root, without parts that lead out of it again.
fn absolute(place: &str) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(place)?;
    if !path.components().any(|part| part == Component::ParentDir) {
        return Ok(path);
    }
    // What it leads to need not be there yet.
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(_), Some(folder), Some(name)) => Ok(folder.canonicalize()?.join(name)),
        (found, _, _) => found,
    }
}

async fn greeted(client: Client) -> Result<Client, Failure> {
    client.batch_execute(GREETING).await.map_err(|error| Failure::failed(chain(&error)))?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn directories_are_named_from_the_root() {
        assert_eq!(url("file:///x").unwrap(), "file:///x");
        assert_eq!(url("/x/y").unwrap(), "file:///x/y");
        let here = url("x").unwrap();
        assert!(here.starts_with("file:///") && here.ends_with("/x"), "{here}");
        assert_eq!(url("/tmp/../x").unwrap(), "file:///x");
        assert!(url("").is_err());
    }
}

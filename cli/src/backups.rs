//! Where backups may lie.

use backup::Places;
use clap::Args;

use crate::failure::Failure;

/// The flag of every command that serves SQL, or writes files of backups.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BackupArguments {
    /// Let superusers have backups written to, and restored from, these places and what is below them [default: none]
    ///
    /// file:///DIR is a directory that all nodes and gateways see, s3://BUCKET/PREFIX a part of a bucket.
    #[arg(long = "backup-place", env = "NUNATAK_BACKUP_PLACE", value_name = "URL,…", value_delimiter = ',')]
    pub(crate) urls: Vec<String>,
}

impl BackupArguments {
    /// The places.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        Places::of(&self.urls).map_err(|error| Failure::usage(format!("--backup-place: {error}")))
    }
}

//! `nunatak backup`: what backups there are at a place, and whether they are whole. No cluster is asked.

use std::path::PathBuf;
use std::sync::Arc;

use backup::{Collection, Finding, Place, SecretKey, Verified};
use clap::{Args, Subcommand};
use client::Moment;
use env::disk::{Disk, RealDisk};
use serde_json::json;
use zeroize::Zeroize as _;

use super::admin::OutputFormat;
use crate::failure::Failure;
use crate::output::{out, outln};
use crate::table::{Alignment, Table};

/// Look at and check backups, without a cluster.
///
/// They are made and restored by SQL: BACKUP … INTO 'file:///…', RESTORE … FROM 'file:///…'.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(subcommand)]
    task: Task,

    /// The file with the key that the backups are encrypted with
    #[arg(long = "key-file", global = true, env = "NUNATAK_BACKUP_KEY_FILE", value_name = "FILE")]
    backup_key_file: Option<PathBuf>,

    /// How the answer is printed
    #[arg(long, global = true, env = "NUNATAK_FORMAT", value_name = "FORMAT", default_value = "table")]
    format: OutputFormat,
}

/// What is to be done.
#[derive(Debug, Clone, Subcommand)]
enum Task {
    /// Show the backups, the oldest first
    List {
        /// Where they are: file:///DIR
        url: String,
    },
    /// Read every file and check it; exit status 1 if any is damaged or missing
    Verify {
        /// Where they are: file:///DIR
        url: String,
    },
}

impl Backup {
    /// Shows what backups there are at a URL.
    pub(super) fn list(url: String) -> Self {
        Self { task: Task::List { url }, backup_key_file: None, format: OutputFormat::Table }
    }

    /// Checks them.
    pub(super) fn verify(url: String) -> Self {
        Self { task: Task::Verify { url }, backup_key_file: None, format: OutputFormat::Table }
    }

    /// Does it and prints the answer.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (Task::List { url } | Task::Verify { url }) = &self.task;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
        let secret = match &self.backup_key_file {
            Some(path) => {
                let wrong = |why: String| Failure::usage(format!("--key-file {}: {why}", path.display()));
                let mut content = disk.read(path).map_err(|error| wrong(error.to_string()))?;
                let key = SecretKey::parse(&content);
                content.zeroize();
                Some(key.map_err(|error| wrong(error.to_string()))?)
            }
            None => None,
        };
        let place = Place::on(disk, url).map_err(Failure::usage)?;
        let collection = Collection::open(place, secret).await.map_err(Failure::failed)?;
        if collection.chains().is_empty() {
            return Err(Failure::failed(format!("there are no backups in {url}")));
        }
        match self.task {
            Task::List { .. } => list(&collection, self.format).await,
            Task::Verify { .. } => verify(&collection, self.format).await,
        }
    }
}

async fn list(collection: &Collection, format: OutputFormat) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("of", Alignment::Left),
        ("kind", Alignment::Left),
        ("moment", Alignment::Left),
        ("system timestamp", Alignment::Right),
        ("files", Alignment::Right),
        ("versions", Alignment::Right),
        ("bytes", Alignment::Right),
    ]);
    let mut all = Vec::new();
    for chain in collection.chains() {
        for link in collection.chain(chain).await.map_err(Failure::failed)? {
            let manifest = &link.manifest;
            let of = manifest.scope.as_ref().map(ToString::to_string).unwrap_or_default();
            let kind = if manifest.since == 0 { "full" } else { "incremental" };
            let ((versions, bytes), files) = (manifest.sizes(), manifest.files.len());
            all.push(json!({
                "of": of,
                "kind": kind,
                "system_timestamp": manifest.at,
                "begins": manifest.begins(),
                "history": manifest.history,
                "encrypted": link.key.is_some(),
                "files": files,
                "versions": versions,
                "bytes": bytes,
            }));
            table.row([
                of,
                kind.to_owned(),
                Moment(manifest.at).to_string(),
                manifest.at.to_string(),
                files.to_string(),
                versions.to_string(),
                bytes.to_string(),
            ]);
        }
    }
    match format {
        OutputFormat::Table => out!("{table}"),
        OutputFormat::Json => outln!("{}", serde_json::Value::from(all)),
    }
    Ok(())
}

async fn verify(collection: &Collection, format: OutputFormat) -> Result<(), Failure> {
    let verified = collection.verify().await.map_err(Failure::failed)?;
    let Verified { links, files, bytes, entries, findings, more } = verified;
    let wrong = (findings.len() as u64).saturating_add(more);
    match format {
        OutputFormat::Table => {
            outln!(
                "{links} backups, {files} files; {bytes} bytes with {entries} versions are as they were written"
            );
            for Finding { name, what } in &findings {
                outln!("{name}: {what}");
            }
        }
        OutputFormat::Json => {
            let findings: Vec<_> = findings
                .iter()
                .map(|Finding { name, what }| json!({ "file": name, "problem": what }))
                .collect();
            let told = json!({
                "backups": links,
                "files": files,
                "bytes": bytes,
                "versions": entries,
                "problems": findings,
                "more_problems": more,
            });
            outln!("{told}");
        }
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("{wrong} files are damaged or missing"))),
    }
}

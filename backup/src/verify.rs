//! Whether all that a collection says it holds is there, and as it was written.

use crate::collection::{Collection, Link};
use crate::error::{Error, Result};
use crate::manifest::{DataFile, Manifest};
use crate::place::Place;
use crate::rows::open;

/// So many findings are told one by one.
const FINDINGS_MAX: usize = 1000;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// So many links are whole, or not.
    pub links: u64,
    /// So many data files they name.
    pub files: u64,
    /// So many bytes those that are as they were written have.
    pub bytes: u64,
    /// So many versions they hold.
    pub entries: u64,
    /// What is wrong, the first of it.
    pub findings: Vec<Finding>,
    /// So much more is.
    pub more: u64,
}

impl Collection {
    /// Reads everything.
    ///
    /// # Errors
    /// No key fits, or the place cannot be read at all. What is wrong with files is among the findings.
    pub async fn verify(&self) -> Result<Verified> {
        let mut verified = Verified::default();
        for chain in self.chains() {
            for at in self.of_chain(chain) {
                verified.links = verified.links.saturating_add(1);
                let name = Manifest::name(chain, at);
                let link = match self.link(chain, at).await {
                    Ok(link) => link,
                    Err(error @ (Error::Key(_) | Error::Newer { .. })) => return Err(error),
                    Err(error) => {
                        verified.found(&name, &error);
                        continue;
                    }
                };
                let since = link.manifest.since;
                if since != 0 && !self.has(chain, since) {
                    verified.found(&name, &Error::Missing(Manifest::name(chain, since)));
                }
                verified.verify_link(self.place(), &link).await;
            }
        }
        Ok(verified)
    }
}

impl Verified {
    async fn verify_link(&mut self, place: &Place, link: &Link) {
        for file in &link.manifest.files {
            self.files = self.files.saturating_add(1);
            match verify_file(place, link, file).await {
                Ok(()) => {
                    self.bytes = self.bytes.saturating_add(file.bytes);
                    self.entries = self.entries.saturating_add(file.entries);
                }
                Err(error) => self.found(&file.name, &error),
            }
        }
    }

    fn found(&mut self, name: &str, error: &Error) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { name: name.to_owned(), what: error.to_string() });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

async fn verify_file(place: &Place, link: &Link, file: &DataFile) -> Result<()> {
    let mut reader = open(place, file, link.key.as_ref()).await?;
    let (mut entries, mut last) = (0_u64, None::<(bytes::Bytes, u64)>);
    let first = |key: &bytes::Bytes, last: &Option<_>| last.is_some() || *key == file.first;
    while let Some(entry) = reader.entry()? {
        let follows = last.as_ref().is_none_or(|(key, timestamp)| {
            *key < entry.key || (*key == entry.key && *timestamp > entry.timestamp)
        });
        if !follows || !first(&entry.key, &last) || entry.timestamp > link.manifest.at {
            return Err(Error::damaged(&file.name, "its versions are not those that its manifest tells of"));
        }
        entries = entries.saturating_add(1);
        last = Some((entry.key, entry.timestamp));
    }
    if entries != file.entries || last.is_none_or(|(key, _)| key != file.last) {
        return Err(Error::damaged(&file.name, "it holds other versions than its manifest tells of"));
    }
    Ok(())
}

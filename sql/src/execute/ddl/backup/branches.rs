//! Files of clones, which the gateway writes itself: no range holds all of their rows.
//!
//! ```text
//! all               what the branch shows at the moment, its own keys and those of the layers below: versions of that moment
//! what has changed  what was written to the branch itself since: below it nothing changes; a mark that a key is gone is a deletion
//! ```
//!
//! So what is read back is a table as any other. As of moments before the backup that holds all of a clone it cannot be had.

use std::time::Duration;

use backup::data::{Writer, Written};
use backup::{DataFile, DataKey, Manifest, Place};
use bytes::Bytes;
use client::{BranchRow, Client, ExportOrder, RowVersion, ScanOptions, Span, VersionsLeft};
use env::clock;

use crate::error::{Error, Result};

/// A file ends with the version that passes so many bytes.
const FILE_BYTES: usize = 4 << 20;

/// So many bytes are read at a time.
const PAGE_BYTES: usize = 1 << 20;

/// What was written of a part of a branch.
pub(super) struct BranchFiles {
    pub(super) files: Vec<DataFile>,
    /// The rows can be had as of each timestamp from this one on.
    pub(super) readable_from: u64,
}

/// Writes a part of a branch: what was committed above `order.since`; 0: all of it. It writes no more than `order.bytes_per_second`.
pub(super) async fn write_branch(
    client: &Client,
    place: &Place,
    order: &ExportOrder,
    part: Span,
) -> Result<BranchFiles> {
    let mut files = Files { place, order, page: Vec::new(), bytes: 0, written: Vec::new() };
    let readable_from = if order.since == 0 {
        put_all(client, &mut files, part).await?;
        order.at
    } else {
        put_changes(client, &mut files, part).await?;
        if order.history { order.since } else { order.at }
    };
    files.end().await?;
    Ok(BranchFiles { files: files.written, readable_from })
}

/// All rows that the branch shows.
async fn put_all(client: &Client, files: &mut Files<'_>, part: Span) -> Result<()> {
    let timestamp = files.order.at;
    let mut past = client.past(timestamp);
    let options = ScanOptions { rows_max: 0, bytes_max: PAGE_BYTES, reverse: false };
    let mut left = Some(part);
    while let Some(span) = left.take() {
        let page = past.scan(span, options).await?;
        for (key, value) in page.rows {
            files.put(RowVersion { key, value: Some(value), timestamp, start_timestamp: 0 }).await?;
        }
        left = page.resume;
    }
    past.rollback().await;
    Ok(())
}

/// What was written to the branch itself, the newest version of each key or, with history, all of them.
async fn put_changes(client: &Client, files: &mut Files<'_>, part: Span) -> Result<()> {
    let ExportOrder { since, at, history, .. } = *files.order;
    let mut last: Option<Bytes> = None;
    let mut left = Some(VersionsLeft::all(part));
    while let Some(wanted) = left.take() {
        let page = client.versions(wanted, since, at, PAGE_BYTES).await?;
        left = page.left;
        for version in page.versions.into_iter().filter(|version| version.timestamp > since) {
            if !history && last.as_ref() == Some(&version.key) {
                continue;
            }
            last = Some(version.key.clone());
            let RowVersion { key, value, timestamp, start_timestamp } = version;
            let value = value.filter(|value| !BranchRow::marks_gone(value));
            files.put(RowVersion { key, value, timestamp, start_timestamp }).await?;
        }
    }
    Ok(())
}

/// Files on their way to the place, one at a time.
struct Files<'o> {
    place: &'o Place,
    order: &'o ExportOrder,
    page: Vec<RowVersion>,
    bytes: usize,
    written: Vec<DataFile>,
}

impl Files<'_> {
    async fn put(&mut self, version: RowVersion) -> Result<()> {
        self.bytes += version.key.len() + version.value.as_ref().map_or(0, Bytes::len);
        self.page.push(version);
        if self.bytes >= FILE_BYTES { self.end().await } else { Ok(()) }
    }

    /// Writes a file of what there is.
    async fn end(&mut self) -> Result<()> {
        self.bytes = 0;
        let page = std::mem::take(&mut self.page);
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(()) };
        let (first, last) = (first.key.clone(), last.key.clone());
        let name = Manifest::new_file_name(self.order.chain, self.order.at);
        let (own, key) = (name.clone(), self.order.key.clone());
        let begun = clock::now();
        let stopping = |_| Error::new("57P01", "the gateway is stopping");
        let made = env::task::blocking(move || make(&own, &key, &page)).await.map_err(stopping)?;
        let Written { content, crc32c, entries } = made?;
        let bytes = content.len() as u64;
        self.place.put(&name, content).await?;
        self.written.push(DataFile { name, first, last, bytes, crc32c, entries });
        if let Some(micros) = bytes.saturating_mul(1_000_000).checked_div(self.order.bytes_per_second) {
            clock::sleep_until(begun + Duration::from_micros(micros)).await;
        }
        Ok(())
    }
}

fn make(name: &str, key: &[u8], versions: &[RowVersion]) -> backup::Result<Written> {
    let key = match key {
        [] => None,
        key => {
            let wrong = || backup::Error::Key("a data key of another length".to_owned());
            Some(DataKey::of(key).ok_or_else(wrong)?)
        }
    };
    let mut writer = Writer::new(name, key.as_ref())?;
    for version in versions {
        writer.put(&version.key, version.timestamp, version.value.as_deref())?;
    }
    writer.finish()
}

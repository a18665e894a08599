//! BACKUP: the leaders of the ranges write files of all that is covered, at one timestamp; then a manifest makes them a backup.
//!
//! What is done stands beside the files every few seconds. Whoever goes on with it (RESUME) has written what is missing, at the same
//! timestamp: as long as history reaches back there, it does not matter how long nobody did.

use std::time::Duration;

use backup::{Collection, Covered, DataFile, DataKey, LINKS_MAX, Link, Manifest, Part, Place, SecretKey};
use bytes::Bytes;
use client::{Client, ExportLeft, ExportOrder, Span, Transaction, TransactionOptions};
use env::{clock, random};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::branches::{BranchFiles, write_branch};
use super::contents::{Contents, contents};
use crate::activity::Job;
use crate::catalog::Oid;
use crate::catalog::cluster_settings::{self, ClusterSettings};
use crate::error::{Error, Result};
use crate::execute::row_ids;
use crate::plan::BackupOf;
use crate::settings::backup_bytes_per_second;

/// So many files are asked for at a time, for each node, and at least and at most: nodes write as many of them at once as they may. More
/// would wait too long where one node has to write all of them.
const UNDER_WAY_OF_NODE: usize = 8;
const UNDER_WAY_MIN: usize = 16;
const UNDER_WAY_MAX: usize = 64;

/// So many parts of clones the gateway writes at a time.
const BRANCHES_UNDER_WAY_MAX: usize = 4;

/// How often it is written down what is done.
const PROGRESS: Duration = Duration::from_secs(5);

/// What is to be taken.
pub(crate) struct Take {
    /// Of what.
    pub(crate) of: BackupOf,
    /// The session's database.
    pub(crate) database: Oid,
    /// Where to.
    pub(crate) place: Place,
    /// As of when; `None`: now.
    pub(crate) at: Option<u64>,
    /// How.
    pub(crate) how: How,
    /// All versions.
    pub(crate) history: bool,
    /// The key that it is sealed with.
    pub(crate) secret: Option<SecretKey>,
}

/// How a backup is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// All of it.
    Full,
    /// What has changed since the one before.
    Incremental,
    /// What is missing of one that was begun.
    Resumed,
}

/// What was taken.
pub(crate) struct Taken {
    /// As of when.
    pub(crate) at: u64,
    /// The manifest.
    pub(crate) manifest: Manifest,
}

/// Takes a backup.
pub(crate) async fn take_backup(client: &Client, order: &Take, job: &Job) -> Result<Taken> {
    // History is kept from its beginning on as long as it is open.
    let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
    let mut holder = client.begin(options);
    let taken = take_held(client, order, &mut holder, job).await;
    holder.rollback().await;
    taken
}

async fn take_held(client: &Client, order: &Take, holder: &mut Transaction, job: &Job) -> Result<Taken> {
    let place = &order.place;
    let newest = holder.read_timestamp().await?;
    let at = order.at.unwrap_or(newest);
    let found = contents_at(client, order, at).await?;
    job.about(found.scope.to_string());
    let collection = Collection::open(place.clone(), order.secret.clone()).await?;
    collection.check_key().await?;
    let begun = match order.how {
        How::Full => begin(&collection, order, found, at, None)?,
        How::Incremental => {
            let last = last_link(&collection, &found.scope, at).await?;
            begin(&collection, order, found, at, Some(&last))?
        }
        How::Resumed => unfinished(&collection, &found.scope).await?,
    };
    let Link { mut manifest, key } = begun;
    let sealing = order.secret.as_ref().zip(key.as_ref());
    let set = holder.get(cluster_settings::key()).await?;
    let set = set.map(|row| ClusterSettings::decode(&row)).transpose()?.unwrap_or_default();
    let export = ExportOrder {
        since: manifest.since,
        at: manifest.at,
        history: manifest.history,
        url: place.url().to_owned(),
        chain: manifest.chain,
        key: key.as_ref().map_or_else(Bytes::new, |key| Bytes::copy_from_slice(key.bytes())),
        bytes_per_second: backup_bytes_per_second(&set),
    };
    let progress = Progress { place, sealing };
    match order.how {
        How::Resumed => progress.put(&mut manifest).await?,
        How::Full | How::Incremental => progress.begin(&manifest).await?,
    }
    let written = write_files(client, &export, &progress, &mut manifest, job).await;
    if let Err(error) = written {
        if let Err(error) = progress.put(&mut manifest).await {
            tracing::debug!(%error, "what is done of a backup could not be written down");
        }
        return Err(error);
    }
    for file in &manifest.files {
        if !place.has(&file.name).await? {
            let message = format!("file \"{}\", which a node has written, is not there", file.name);
            return Err(Error::new("58030", message).hint(
                "A directory for backups has to be one that all nodes and gateways see by the same name.",
            ));
        }
    }
    // What is in the backup has ids below these.
    manifest.oid_next = client.allocate_ids("oid", 1).await?;
    manifest.row_id_next = client.allocate_ids(row_ids::COUNTER, 1).await?;
    manifest.done.clear();
    let name = Manifest::name(manifest.chain, manifest.at);
    place.put(&name, manifest.encode_file(&name, sealing)?).await?;
    if let Err(error) = place.remove(&Manifest::progress_name(manifest.chain, manifest.at)).await {
        // Beside a manifest it says nothing.
        tracing::debug!(%error, "what was done of a backup stands there still");
    }
    Ok(Taken { at: manifest.at, manifest })
}

async fn contents_at(client: &Client, order: &Take, at: u64) -> Result<Contents> {
    let mut past = client.past(at);
    let found = contents(&mut past, &order.of, order.database).await;
    past.rollback().await;
    found
}

/// One of which nothing is done yet, behind another one if it is incremental.
fn begin(
    collection: &Collection,
    order: &Take,
    found: Contents,
    at: u64,
    before: Option<&Link>,
) -> Result<Link> {
    let (chain, since) = before.map_or((at, 0), |link| (link.manifest.chain, link.manifest.at));
    if collection.has(chain, at) || collection.has_begun(chain, at) {
        return Err(Error::new("55000", "there is a backup of that moment already, or one is begun").hint(
            "Another moment, or another place, has one of its own; RESUME goes on with what was begun.",
        ));
    }
    let Contents { scope, databases, spans } = found;
    let is_covered = |link: &Link, span: &Span| {
        let mut covered = link.manifest.covered.iter();
        covered.any(|covered| covered.start <= span.start && covered.end >= span.end)
    };
    let covered = spans.into_iter().map(|span| {
        // Of what the link before does not hold everything is new.
        let since = if before.is_some_and(|link| is_covered(link, &span)) { since } else { 0 };
        Covered { start: span.start, end: span.end, since, readable_from: 0 }
    });
    let manifest = Manifest {
        chain,
        at,
        since,
        history: order.history,
        scope: Some(scope),
        databases,
        covered: covered.collect(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        begun: random::id().to_vec(),
        ..Manifest::default()
    };
    Ok(Link { manifest, key: order.secret.as_ref().map(|_| DataKey::generate()) })
}

/// The newest that is not finished.
async fn unfinished(collection: &Collection, scope: &backup::Scope) -> Result<Link> {
    let unfinished = collection.unfinished().await?;
    let own = unfinished.into_iter().rev().find(|link| link.manifest.scope.as_ref() == Some(scope));
    let missing = || Error::new("55000", format!("there is no backup of {scope} to go on with"));
    let own = own.ok_or_else(missing)?;
    let Manifest { chain, since, .. } = own.manifest;
    if since != 0 && !collection.has(chain, since) {
        let message = format!("the backup that the one of {scope} which was begun last follows is gone");
        return Err(Error::new("55000", message).hint("A backup without RESUME begins anew."));
    }
    Ok(own)
}

/// The link that an incremental one follows.
async fn last_link(collection: &Collection, scope: &backup::Scope, at: u64) -> Result<Link> {
    let mut links = collection.newest(scope).await?;
    if links.len() >= LINKS_MAX {
        let message = format!("there are {} backups since the last full one", links.len());
        return Err(Error::new("54000", message).hint("A backup without INCREMENTAL begins anew."));
    }
    let Some(last) = links.pop() else {
        let message = format!("there is no backup of {scope} to follow");
        return Err(Error::new("55000", message).hint("The first backup is one without INCREMENTAL."));
    };
    if last.manifest.at >= at {
        return Err(Error::new("55000", "there is a later backup already"));
    }
    Ok(last)
}

/// Where it stands what is done.
struct Progress<'a> {
    place: &'a Place,
    sealing: Option<(&'a SecretKey, &'a DataKey)>,
}

impl Progress<'_> {
    /// Writes down that nothing is: whoever else is about to begin the same learns of it.
    async fn begin(&self, manifest: &Manifest) -> Result<()> {
        let name = Manifest::progress_name(manifest.chain, manifest.at);
        Ok(self.place.claim(&name, manifest.encode_file(&name, self.sealing)?).await?)
    }

    /// Writes it down.
    async fn put(&self, manifest: &mut Manifest) -> Result<()> {
        settle(manifest);
        let name = Manifest::progress_name(manifest.chain, manifest.at);
        self.place.put(&name, manifest.encode_file(&name, self.sealing)?).await?;
        let (files, parts) = (manifest.files.len(), manifest.done.len());
        tracing::info!(files, parts, "a backup is being made");
        Ok(())
    }
}

/// Files and parts in the order of their keys. Files of one part stay in theirs: they may begin with the same key.
fn settle(manifest: &mut Manifest) {
    manifest.files.sort_by(|one, other| one.first.cmp(&other.first));
    manifest.done.sort_by(|one, other| one.start.cmp(&other.start));
}

/// A part of a span that one range holds, or held.
struct Piece {
    /// The place of the span.
    number: usize,
    part: Span,
    since: u64,
}

/// The files of a part.
struct Written {
    number: usize,
    part: Part,
    files: Vec<DataFile>,
    /// The rows can be had as of each timestamp from this one on.
    readable_from: u64,
}

/// Has all files written that are missing.
async fn write_files(
    client: &Client,
    order: &ExportOrder,
    progress: &Progress<'_>,
    manifest: &mut Manifest,
    job: &Job,
) -> Result<()> {
    let ranges = client.ranges(&keys::sql::data_span()).await?;
    let borders: Vec<Bytes> = ranges.into_iter().map(|range| range.span.start).collect();
    let mut pieces = Vec::new();
    for (number, covered) in manifest.covered.iter().enumerate() {
        let (span, since) = (Span::new(covered.start.clone(), covered.end.clone()), covered.since);
        for missing in missing(&span, &manifest.done) {
            pieces.extend(parts(&missing, &borders).into_iter().map(|part| Piece { number, part, since }));
        }
    }
    job.step("writing files", "parts", Some(pieces.len() as u64));
    let is_branch = |piece: &Piece| keys::sql::branch_of(&piece.part.start).is_some();
    let (branches, pieces): (Vec<_>, Vec<_>) = pieces.into_iter().partition(is_branch);
    let mut pieces = pieces.into_iter();
    // Where they cannot be counted it goes on as with few.
    let nodes = client.nodes().await.map_or(0, |nodes| nodes.iter().filter(|node| node.live).count());
    let under_way_max = (nodes * UNDER_WAY_OF_NODE).clamp(UNDER_WAY_MIN, UNDER_WAY_MAX);
    let mut under_way = FuturesUnordered::new();
    let mut noted = Noted { progress, manifest, job, told: clock::now() };
    loop {
        while under_way.len() < under_way_max
            && let Some(piece) = pieces.next()
        {
            under_way.push(write_piece(client.clone(), order.clone(), piece));
        }
        let Some(written) = under_way.next().await else { break };
        noted.take(written?).await?;
    }
    let mut branches = branches.into_iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < BRANCHES_UNDER_WAY_MAX
            && let Some(piece) = branches.next()
        {
            under_way.push(write_part_of_branch(client, progress.place, order, piece));
        }
        let Some(written) = under_way.next().await else { break };
        noted.take(written?).await?;
    }
    settle(noted.manifest);
    Ok(())
}

/// What is done, and is written down now and then.
struct Noted<'a> {
    progress: &'a Progress<'a>,
    manifest: &'a mut Manifest,
    job: &'a Job,
    /// When it was.
    told: clock::Instant,
}

impl Noted<'_> {
    async fn take(&mut self, written: Written) -> Result<()> {
        let Written { number, part, files, readable_from } = written;
        if let Some(covered) = self.manifest.covered.get_mut(number) {
            covered.readable_from = covered.readable_from.max(readable_from);
        }
        self.manifest.files.extend(files);
        self.manifest.done.push(part);
        self.job.add(1);
        if self.told.elapsed() >= PROGRESS {
            self.progress.put(self.manifest).await?;
            self.told = clock::now();
        }
        Ok(())
    }
}

/// What of a span is not done; what is, ascends.
fn missing(span: &Span, done: &[Part]) -> Vec<Span> {
    let mut missing = Vec::new();
    let mut start = span.start.clone();
    for part in done.iter().filter(|part| part.end > span.start && part.start < span.end) {
        if part.start > start {
            missing.push(Span::new(start.clone(), part.start.clone()));
        }
        start = start.max(part.end.clone());
    }
    if start < span.end {
        missing.push(Span::new(start, span.end.clone()));
    }
    missing
}

/// A span, cut where ranges begin.
fn parts(span: &Span, borders: &[Bytes]) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut start = span.start.clone();
    for border in borders.iter().filter(|border| **border > span.start && **border < span.end) {
        parts.push(Span { start: std::mem::replace(&mut start, border.clone()), end: border.clone() });
    }
    parts.push(Span { start, end: span.end.clone() });
    parts
}

async fn write_part_of_branch(
    client: &Client,
    place: &Place,
    order: &ExportOrder,
    piece: Piece,
) -> Result<Written> {
    let Piece { number, part, since } = piece;
    // All of them together keep to what a node does.
    let bytes_per_second = order.bytes_per_second.div_ceil(BRANCHES_UNDER_WAY_MAX as u64);
    let order = ExportOrder { since, bytes_per_second, ..order.clone() };
    let whole = Part { start: part.start.clone(), end: part.end.clone() };
    let BranchFiles { files, readable_from } = write_branch(client, place, &order, part).await?;
    Ok(Written { number, part: whole, files, readable_from })
}

async fn write_piece(client: Client, order: ExportOrder, piece: Piece) -> Result<Written> {
    let Piece { number, part, since } = piece;
    let order = ExportOrder { since, ..order };
    let whole = Part { start: part.start.clone(), end: part.end.clone() };
    let mut written = Written { number, part: whole, files: Vec::new(), readable_from: 0 };
    let mut left = Some(ExportLeft::all(part));
    while let Some(wanted) = left.take() {
        let exported = match client.export(wanted, &order).await? {
            Ok(exported) => exported,
            Err(why) => return Err(Error::new("58030", format!("a node cannot write the backup: {why}"))),
        };
        written.readable_from = written.readable_from.max(exported.from);
        if let Some(file) = exported.file {
            let client::ExportedFile { name, first, last, bytes, crc32c, entries } = file;
            written.files.push(DataFile { name, first, last, bytes, crc32c, entries });
        }
        left = exported.left;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_cut_where_ranges_begin() {
        let span = |start: &'static str, end: &'static str| Span { start: start.into(), end: end.into() };
        let borders: Vec<Bytes> = ["", "b", "d", "f"].into_iter().map(Bytes::from).collect();
        assert_eq!(parts(&span("c", "e"), &borders), [span("c", "d"), span("d", "e")]);
        assert_eq!(parts(&span("b", "d"), &borders), [span("b", "d")]);
        assert_eq!(parts(&span("a", "z"), &borders).len(), 4);
    }

    #[test]
    fn what_is_done_is_not_done_again() {
        let span = |start: &'static str, end: &'static str| Span { start: start.into(), end: end.into() };
        let part = |start: &'static str, end: &'static str| Part { start: start.into(), end: end.into() };
        let done = [part("a", "b"), part("c", "e"), part("h", "k")];
        assert_eq!(missing(&span("c", "j"), &done), [span("e", "h")]);
        assert!(missing(&span("d", "e"), &done).is_empty());
        assert_eq!(missing(&span("b", "z"), &done), [span("b", "c"), span("e", "h"), span("k", "z")]);
        assert_eq!(missing(&span("x", "z"), &[]), [span("x", "z")]);
    }
}

//! The rows of a span as of a timestamp, merged from the links of a chain.
//!
//! ```text
//! full          a@5   b@6         c@7
//! incremental         b@9   ─ c@10 (deleted)
//! as of 9       a@5   b@9         c@7
//! ```
//! Each link's files are read one after the other; of a key the newest version counts that is not above the timestamp. At a time one
//! file of each link is in memory.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::collection::Link;
use crate::data::{Entry, Reader};
use crate::error::{Error, Result};
use crate::key::DataKey;
use crate::manifest::{Covered, DataFile, Manifest};
use crate::place::Place;

/// The rows of a span, in the order of their keys.
#[derive(Debug)]
pub struct Rows {
    place: Place,
    start: Bytes,
    end: Bytes,
    at: u64,
    sources: Vec<Source>,
}

/// What a link holds of the span.
#[derive(Debug)]
struct Source {
    files: VecDeque<DataFile>,
    key: Option<DataKey>,
    reader: Option<Reader>,
    head: Option<Entry>,
}

impl Rows {
    /// Those of a span that the last of the links covers.
    ///
    /// # Errors
    /// [`Error::NotCovered`]: it does not, or not as of the timestamp.
    pub async fn of(place: &Place, links: &[Link], start: &Bytes, end: &Bytes, at: u64) -> Result<Self> {
        let not_covered = |what: &str| Error::NotCovered(format!("the backup does not hold {what}"));
        let mut sources = Vec::new();
        for (back, link) in links.iter().rev().enumerate() {
            let covered = covered(&link.manifest, start, end);
            let covered = covered.ok_or_else(|| not_covered("all that is asked for"))?;
            if back == 0 && at < covered.readable_from {
                return Err(not_covered("what is asked for as of that moment"));
            }
            let is_of = |file: &&DataFile| file.first < *end && file.last >= *start;
            let files = link.manifest.files.iter().filter(is_of).cloned().collect();
            sources.push(Source { files, key: link.key.clone(), reader: None, head: None });
            if covered.since == 0 {
                break;
            }
        }
        let (start, end) = (start.clone(), end.clone());
        let mut rows = Self { place: place.clone(), start, end, at, sources };
        for source in &mut rows.sources {
            source.advance(&rows.place).await?;
        }
        Ok(rows)
    }

    /// The next row, key and value; `None`: that were all.
    pub async fn row(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        loop {
            let heads = self.sources.iter().filter_map(|source| source.head.as_ref());
            let Some(key) = heads.map(|head| head.key.clone()).min() else { return Ok(None) };
            let mut newest: Option<Entry> = None;
            for source in &mut self.sources {
                while let Some(entry) = source.head.take_if(|head| head.key == key) {
                    source.advance(&self.place).await?;
                    let is_newer = newest.as_ref().is_none_or(|newest| newest.timestamp < entry.timestamp);
                    if entry.timestamp <= self.at && is_newer {
                        newest = Some(entry);
                    }
                }
            }
            let is_within = key >= self.start && key < self.end;
            if let Some(Entry { value: Some(value), .. }) = newest.filter(|_| is_within) {
                return Ok(Some((key, value)));
            }
        }
    }
}

/// The span of a link that holds all of another one.
fn covered<'a>(manifest: &'a Manifest, start: &Bytes, end: &Bytes) -> Option<&'a Covered> {
    manifest.covered.iter().find(|covered| covered.start <= *start && covered.end >= *end)
}

impl Source {
    /// Goes on to the next version.
    async fn advance(&mut self, place: &Place) -> Result<()> {
        loop {
            if let Some(reader) = &mut self.reader {
                self.head = reader.entry()?;
                if self.head.is_some() {
                    return Ok(());
                }
                self.reader = None;
            }
            let Some(file) = self.files.pop_front() else { return Ok(()) };
            self.reader = Some(open(place, &file, self.key.as_ref()).await?);
        }
    }
}

/// A file, its length and checksum as its manifest says.
pub(crate) async fn open(place: &Place, file: &DataFile, key: Option<&DataKey>) -> Result<Reader> {
    let content = place.get(&file.name, file.bytes).await?;
    if content.len() as u64 != file.bytes {
        let what = format!("it has {} bytes and not {}", content.len(), file.bytes);
        return Err(Error::damaged(&file.name, what));
    }
    if crc32c::crc32c(&content) != file.crc32c {
        return Err(Error::damaged(&file.name, "its checksum is wrong"));
    }
    Reader::new(&file.name, content, key)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use env::disk::MemoryDisk;

    use super::*;
    use crate::data::Writer;

    /// A link with one file for each list of versions.
    async fn link(
        place: &Place,
        at: u64,
        since: u64,
        readable_from: u64,
        files: &[&[(&str, u64, &str)]],
    ) -> Link {
        let covered = Covered { start: "a".into(), end: "z".into(), since, readable_from };
        let mut manifest = Manifest { chain: 5, at, since, covered: vec![covered], ..Manifest::default() };
        for versions in files {
            let name = Manifest::new_file_name(5, at);
            let mut writer = Writer::new(&name, None).unwrap();
            for (key, timestamp, value) in *versions {
                let value = Some(value.as_bytes()).filter(|value| !value.is_empty());
                writer.put(key.as_bytes(), *timestamp, value).unwrap();
            }
            let written = writer.finish().unwrap();
            let key =
                |version: Option<&(&str, u64, &str)>| Bytes::copy_from_slice(version.unwrap().0.as_bytes());
            manifest.files.push(DataFile {
                name: name.clone(),
                first: key(versions.first()),
                last: key(versions.last()),
                bytes: written.content.len() as u64,
                crc32c: written.crc32c,
                entries: written.entries,
            });
            place.put(&name, written.content).await.unwrap();
        }
        Link { manifest, key: None }
    }

    async fn rows(place: &Place, links: &[Link], at: u64) -> Result<String> {
        let mut rows = Rows::of(place, links, &"a".into(), &"z".into(), at).await?;
        let mut found = String::new();
        while let Some((key, value)) = rows.row().await? {
            found += &format!("{}{} ", String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn the_newest_version_of_each_key_counts() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        let full = link(&place, 5, 0, 5, &[&[("a", 1, "1"), ("b", 2, "2")], &[("c", 3, "3")]]).await;
        let next: &[(&str, u64, &str)] = &[("b", 8, "8"), ("b", 6, "6"), ("c", 7, ""), ("d", 9, "9")];
        let next = link(&place, 9, 5, 5, &[next]).await;
        let links = [full, next];
        assert_eq!(rows(&place, &links[..1], 5).await.unwrap(), "a1 b2 c3 ");
        assert_eq!(rows(&place, &links, 9).await.unwrap(), "a1 b8 d9 ");
        assert_eq!(rows(&place, &links, 7).await.unwrap(), "a1 b6 ");
        assert_eq!(rows(&place, &links, 5).await.unwrap(), "a1 b2 c3 ");
        assert!(matches!(rows(&place, &links, 4).await, Err(Error::NotCovered(_))));
    }

    #[tokio::test]
    async fn what_begins_anew_is_not_looked_for_before() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        let mut full = link(&place, 5, 0, 5, &[]).await;
        full.manifest.covered.clear();
        let next = link(&place, 9, 0, 9, &[&[("b", 8, "8")]]).await;
        assert_eq!(rows(&place, &[full, next], 9).await.unwrap(), "b8 ");
    }

    #[tokio::test]
    async fn damaged_and_missing_files_are_named() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        let mut full = link(&place, 5, 0, 5, &[&[("a", 1, "1")]]).await;
        let name = full.manifest.files[0].name.clone();
        let mut content = place.get(&name, 1 << 20).await.unwrap().to_vec();
        content[20] ^= 1;
        place.put(&name, content).await.unwrap();
        let damaged = rows(&place, std::slice::from_ref(&full), 5).await.unwrap_err();
        assert!(matches!(damaged, Error::Damaged { name: own, .. } if own == name));
        full.manifest.files[0].name = Manifest::new_file_name(5, 5);
        assert!(matches!(rows(&place, &[full], 5).await, Err(Error::Missing(_))));
    }
}

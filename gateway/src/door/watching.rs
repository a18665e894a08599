//! Watching a door's table: what is committed to its rows, as the role may see it.
//!
//! ```text
//! Following (which rows have changed, up to when all is told) ──▶ a statement: what of these the role may see ──▶ the door
//! ```
//!
//! What is told of a row that has changed is read by a statement of the client's role, over the versions of that row alone. So rights, row
//! security and audits are those of a scan: a row that is written so that the role may not see it any more has gone, as far as it
//! can tell, and one that it never could see is not told of. Where nothing changes no statement is run.
//!
//! A watch has a session of its own as long as it lasts, and reads nothing ahead of the door.

use std::collections::{HashMap, HashSet};
use std::pin::pin;

use bytes::Bytes;
use client::Watch;
use env::trace::{self, Parent};
use expr::{Array, Datum, Row, TypeKind};
use sql::{Error, WatchedTable};

use super::Door;
use super::following::{Changes, Follower, Following, READS_NOW, Step};
use super::work::{Work, note_failure};

/// So many rows are asked about at once.
const ROWS_AT_ONCE: usize = 256;

/// A table that can be watched.
pub(crate) struct Subject {
    /// What the door calls itself in traces.
    pub(crate) door: &'static str,
    pub(crate) schema: &'static str,
    pub(crate) table: &'static str,
    /// The type of its key: text or bytes.
    pub(crate) key: TypeKind,
    /// Of versions that were current at some moment from one on up to another, and whose key is one of an array's: the key, the value, and
    /// the system timestamps from which and until which each was.
    pub(crate) statement: &'static str,
}

/// Which keys are watched.
pub(crate) struct Wanted {
    pub(crate) start: Datum,
    /// The first that is not; none: all behind are.
    pub(crate) end: Option<Datum>,
    /// What was committed after this timestamp is told; 0: from now on.
    pub(crate) since: u64,
}

/// What has become of a row.
pub(crate) struct Seen {
    pub(crate) key: Bytes,
    /// None: it was removed.
    pub(crate) value: Option<Datum>,
    /// When that was committed.
    pub(crate) timestamp: u64,
}

/// What is told next.
pub(crate) struct Told {
    /// Changes, of each row in the order in which they were committed.
    pub(crate) changes: Vec<Seen>,
    /// Nothing at or below this timestamp is told any more; 0: nothing new.
    pub(crate) resolved: u64,
}

/// A watch.
pub(crate) struct Watching {
    subject: &'static Subject,
    following: Following,
    parent: Option<Parent>,
}

impl Watching {
    /// Begins to watch in a session, which is for nothing else from then on; `bytes` have come with the request.
    ///
    /// # Errors
    /// The role may not read the table. 72000: what has changed since then is kept no more. 22023: that is still to come. 55000: the
    /// table was emptied, renamed or made anew since. 53400: too many are watching.
    pub(crate) async fn begin(
        door: &Door,
        mut work: Work,
        (subject, wanted): (&'static Subject, Wanted),
        bytes: u64,
        parent: Option<Parent>,
    ) -> Result<Self, Error> {
        let place = match Follower::admit(door, &work) {
            Ok(place) => place,
            Err(error) => {
                work.close().await;
                return Err(error);
            }
        };
        let found = find(door, &mut work, subject, &wanted, bytes).await;
        let settled = work.settle().await;
        match found.and_then(|found| settled.map(|()| found)) {
            Ok((watch, table)) => {
                let following = Following::new(place, work, watch, table, ROWS_AT_ONCE);
                Ok(Self { subject, following, parent })
            }
            Err(error) => {
                work.close().await;
                Err(error)
            }
        }
    }

    /// What is to be told next: at first the moment that the watch begins after. A call that is dropped may have lost what it was to tell.
    pub(crate) async fn next(&mut self) -> Result<Told, Error> {
        loop {
            match self.following.next().await? {
                Step::Changed(changes) => {
                    let changes = self.seen(changes).await?;
                    if !changes.is_empty() {
                        return Ok(Told { changes, resolved: 0 });
                    }
                }
                Step::Resolved(resolved) => return Ok(Told { changes: Vec::new(), resolved }),
                Step::OtherCatalog(at) => {
                    // Rights may be gone, though nothing has changed.
                    let nothing = values(at, at, Vec::new())?;
                    self.following.work.once(self.subject.statement, nothing).await?;
                }
            }
        }
    }

    /// The session, to count what it moves by.
    pub(crate) fn work(&self) -> &Work {
        &self.following.work
    }

    /// Ends it, and what it has begun.
    pub(crate) async fn close(self) {
        self.following.work.close().await;
    }

    /// What the role sees of some changes: of each row all that came between two timestamps.
    async fn seen(&mut self, changes: Changes) -> Result<Vec<Seen>, Error> {
        let mut keys: Vec<Datum> = Vec::new();
        let mut named = Vec::with_capacity(changes.len());
        let mut last: Option<Bytes> = None;
        for (stored, timestamp) in changes {
            let key = self.following.table().value(&stored)?;
            named.push((bytes_of(&key)?, timestamp));
            if last.as_ref() != Some(&stored) {
                keys.push(key);
            }
            last = Some(stored);
        }
        let times = || named.iter().map(|(_, timestamp)| *timestamp);
        let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
        let asked = values(from.saturating_sub(1), to, keys)?;
        let mut sighted = Sighted::new(&named);
        let mut span = self.following.work.begin_trace(self.subject.door, self.parent);
        let context = span.as_ref().map(|span| span.context().clone());
        let statement = self.subject.statement;
        let reading = self.following.work.once_each(statement, asked, |row| sighted.take(row));
        let read = trace::under(context, pin!(reading)).await;
        if let Err(error) = &read {
            note_failure(&mut span, error);
        }
        drop(span);
        let settled = self.following.work.settle().await;
        read?;
        settled?;
        let asked = named.len();
        let seen: Vec<Seen> = named.into_iter().filter_map(|at| sighted.seen(at)).collect();
        if seen.len() < asked {
            // The role may not see all of it; or the statement has read a table that has come to be called so meanwhile.
            self.following.lies_there().await?;
        }
        Ok(seen)
    }
}

/// What a statement tells of changes. It tells of what was there before them, too, which may be very much, and of other versions: of
/// that nothing is kept.
struct Sighted {
    /// The changes: the key, and when.
    named: HashSet<(Bytes, u64)>,
    begun: HashMap<(Bytes, u64), Datum>,
    ended: HashSet<(Bytes, u64)>,
}

impl Sighted {
    fn new(named: &[(Bytes, u64)]) -> Self {
        Self { named: named.iter().cloned().collect(), begun: HashMap::new(), ended: HashSet::new() }
    }

    /// A version: its key, its value, from when and until when it was current.
    fn take(&mut self, row: Row) -> Result<(), Error> {
        let [key, value, start, end] = <[Datum; 4]>::try_from(row).map_err(|_| another_table())?;
        let key = bytes_of(&key)?;
        let named = |at: Option<u64>| at.map(|at| (key.clone(), at)).filter(|at| self.named.contains(at));
        let (start, end) = (named(timestamp(&start)), named(timestamp(&end)));
        self.begun.extend(start.map(|start| (start, value)));
        self.ended.extend(end);
        Ok(())
    }

    /// What has become of a row by a change; none: there is nothing to be seen of it.
    fn seen(&mut self, at: (Bytes, u64)) -> Option<Seen> {
        let value = self.begun.remove(&at);
        let is_seen = value.is_some() || self.ended.contains(&at);
        let (key, timestamp) = at;
        is_seen.then_some(Seen { key, value, timestamp })
    }
}

async fn find(
    door: &Door,
    work: &mut Work,
    subject: &Subject,
    wanted: &Wanted,
    bytes: u64,
) -> Result<(Watch, WatchedTable), Error> {
    work.begin_request(subject.statement, bytes, false).await?;
    // The table is there after this, and was at the timestamp that is taken next.
    work.make_ready(&[subject.statement]).await?;
    work.end(Ok::<(), Error>(())).await?;
    work.once(READS_NOW, Row::new()).await?;
    let client = door.shared.engine.client();
    let since = match wanted.since {
        0 => client.timestamp().await?.timestamp,
        since => since,
    };
    // Of no keys: whether the role may, and whether what has come since is kept still.
    work.once(subject.statement, values(since, since, Vec::new())?).await?;
    let table = work.watched((subject.schema, subject.table), subject.key, since).await?;
    let span = table.span(&wanted.start, wanted.end.as_ref())?;
    Ok((client.watch(vec![span], since), table))
}

/// What the statement is asked: versions from one timestamp on up to another, of rows with these keys.
fn values(from: u64, to: u64, keys: Vec<Datum>) -> Result<Row, Error> {
    let moment = |timestamp: u64| {
        let moment = i64::try_from(timestamp).ok().filter(|moment| *moment > 0);
        let wrong = || Error::new("22023", format!("{timestamp} is no system timestamp"));
        moment.map(Datum::Int8).ok_or_else(wrong)
    };
    Ok(vec![moment(from)?, moment(to)?, Datum::Array(keys.into_iter().collect::<Array>())])
}

/// A system timestamp; none of one that is still to come.
fn timestamp(value: &Datum) -> Option<u64> {
    value.as_i64().and_then(|timestamp| u64::try_from(timestamp).ok())
}

/// The bytes of a key.
fn bytes_of(key: &Datum) -> Result<Bytes, Error> {
    match key {
        Datum::Bytea(bytes) => Ok(bytes.clone()),
        key => key.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes())).ok_or_else(another_table),
    }
}

/// Somebody has made another table of it.
fn another_table() -> Error {
    Error::new("42804", "the table that is watched is not one of keys and values")
}

/// The least bytes above all that begin with these; none if nothing is.
pub(crate) fn behind_prefix(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix.get(..=kept)?.to_vec();
    if let Some(last) = behind.last_mut() {
        *last = last.saturating_add(1);
    }
    Some(behind.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_before_is_not_kept() {
        let key = |key: &'static str| Bytes::from_static(key.as_bytes());
        let row = |key: &str, value: &str, start, end: Option<i64>| {
            let end = end.map_or(Datum::Null, Datum::Int8);
            vec![Datum::text(key), Datum::text(value), Datum::Int8(start), end]
        };
        let mut sighted = Sighted::new(&[(key("a"), 20), (key("b"), 20), (key("b"), 30), (key("c"), 30)]);
        for row in [
            row("a", "long ago", 10, Some(20)),
            row("b", "long ago", 10, Some(20)),
            row("b", "then", 20, Some(30)),
            row("b", "now", 30, None),
            row("d", "another", 20, Some(30)),
        ] {
            sighted.take(row).unwrap();
        }
        assert_eq!(sighted.begun.len(), 2);
        let mut value = |of: &'static str, at| {
            let seen = sighted.seen((key(of), at));
            seen.map(|seen| seen.value.map(|value| value.as_str().unwrap().to_owned()))
        };
        assert_eq!(value("a", 20), Some(None), "it was removed");
        assert_eq!(value("b", 20), Some(Some("then".to_owned())));
        assert_eq!(value("b", 30), Some(Some("now".to_owned())));
        assert_eq!(value("c", 30), None, "the role does not see it");
        assert!(sighted.take(vec![Datum::Null]).is_err());
    }

    #[test]
    fn a_prefix_ends_behind_all_that_begin_with_it() {
        assert_eq!(behind_prefix(b"ab").as_deref(), Some(&b"ac"[..]));
        assert_eq!(behind_prefix(b"a\xff\xff").as_deref(), Some(&b"b"[..]));
        assert_eq!((behind_prefix(b""), behind_prefix(b"\xff")), (None, None));
    }
}

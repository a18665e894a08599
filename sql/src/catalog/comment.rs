//! Comments on objects: one row each under `/sys`.
//!
//! ```text
//! key   = index key of the catalog's index of comments: columns class, oid, number of the column or 0; suffix 0
//! value = protobuf CommentRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         class, oid, column
//!         text
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use keys::Span;
use prost::Message;

use super::home::Home;
use super::{ColumnId, Oid};
use crate::error::{Error, Result};

/// The index id under which the rows of comments stand.
const COMMENTS: u64 = 4;

/// The newest version of a comment's row that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// What a comment is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commented {
    /// The catalog that the object is a row of, by its oid.
    pub class: Oid,
    /// The object.
    pub oid: Oid,
    /// The column, or 0.
    pub column: ColumnId,
}

impl Commented {
    /// `pg_proc`: functions.
    pub const FUNCTION: Oid = 1255;
    /// `pg_extension`
    pub const EXTENSION: Oid = 3079;
    /// `pg_type`
    pub const TYPE: Oid = 1247;
    /// `pg_class`: tables, their columns, indexes, sequences, views.
    pub const RELATION: Oid = 1259;
    /// `pg_database`
    pub const DATABASE: Oid = 1262;
    /// `pg_constraint`
    pub const CONSTRAINT: Oid = 2606;
    /// `pg_namespace`
    pub const SCHEMA: Oid = 2615;

    /// Whether it is of the whole cluster, not of one database.
    pub fn is_shared(self) -> bool {
        self.class == Self::DATABASE
    }

    /// The key of its row.
    pub fn key(self, home: Home) -> Bytes {
        let home = if self.is_shared() { Home::FIRST } else { home };
        home.key(COMMENTS, &[self.class, self.oid, self.column])
    }
}

/// The keys of all comments' rows.
pub fn span(home: Home) -> Span {
    home.span(COMMENTS)
}

/// All comments.
#[derive(Debug, Clone, Default)]
pub struct Comments(BTreeMap<Commented, Arc<str>>);

impl Comments {
    /// The comment on something.
    pub fn get(&self, on: Commented) -> Option<&Arc<str>> {
        self.0.get(&on)
    }

    /// Forgets what is not of the whole cluster.
    pub(crate) fn leave_shared(&mut self) {
        self.0.retain(|on, _| on.is_shared());
    }

    /// Those that are on what `keeps` says.
    #[must_use]
    pub fn retained(mut self, keeps: impl Fn(Commented) -> bool) -> Self {
        self.0.retain(|on, _| keeps(*on));
        self
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = (Commented, &Arc<str>)> {
        self.0.iter().map(|(on, text)| (*on, text))
    }

    /// What of an object, and of its columns, is commented on.
    pub fn of(&self, class: Oid, oid: Oid) -> impl Iterator<Item = Commented> {
        let first = Commented { class, oid, column: 0 };
        let last = Commented { class, oid, column: ColumnId::MAX };
        self.0.range(first..=last).map(|(on, _)| *on)
    }

    /// Puts a comment, or takes it away.
    pub fn put(&mut self, on: Commented, text: Option<&str>) {
        match text {
            Some(text) => self.0.insert(on, text.into()),
            None => self.0.remove(&on),
        };
    }

    /// Takes a row. XX001 if it is damaged, 0A000 if it is newer than this code.
    pub fn take(&mut self, value: &[u8]) -> Result<()> {
        let record = CommentRecord::decode(value).map_err(|error| {
            Error::new("XX001", format!("the catalog's row of a comment is damaged: {error}"))
        })?;
        if record.version > VERSION {
            let message = format!("a comment was written by a newer version (format {})", record.version);
            return Err(Error::new("0A000", message));
        }
        let CommentRecord { class, oid, column, text, .. } = record;
        self.0.insert(Commented { class, oid, column }, text.into());
        Ok(())
    }
}

/// The value of a comment's row.
pub fn encode(on: Commented, text: &str) -> Bytes {
    let Commented { class, oid, column } = on;
    CommentRecord { version: VERSION, class, oid, column, text: text.to_owned() }.encode_to_vec().into()
}

#[derive(Clone, PartialEq, Message)]
struct CommentRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    class: u32,
    #[prost(uint32, tag = "3")]
    oid: u32,
    #[prost(uint32, tag = "4")]
    column: u32,
    #[prost(string, tag = "5")]
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let on = |column| Commented { class: Commented::RELATION, oid: 20_000, column };
        let mut comments = Comments::default();
        comments.take(&encode(on(0), "whole")).unwrap();
        comments.take(&encode(on(2), "part")).unwrap();
        assert_eq!(comments.get(on(2)).map(|text| &**text), Some("part"));
        assert_eq!(comments.of(Commented::RELATION, 20_000).collect::<Vec<_>>(), [on(0), on(2)]);
        assert_eq!(comments.of(Commented::RELATION, 20_001).count(), 0);
        comments.put(on(0), None);
        assert_eq!(comments.get(on(0)), None);
        let (key, span) = (on(0).key(Home::FIRST), span(Home::FIRST));
        assert!(key >= span.start && key < span.end);
    }
}

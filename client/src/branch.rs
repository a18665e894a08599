//! Branches: indexes whose keys lie over those of another index, as that was at a moment.
//!
//! ```text
//!   branch             a      c×     e'           what was written to it: × says that a key is gone
//!   over 3 at F        a   b  c   d  e            index 3 as it was at F
//!   over 2 at F' ≤ F                    g         what that lies over itself, if it is a branch, and so on
//!   read               a   b      d  e' g
//! ```
//!
//! A key of a branch is written, locked and relied on as any other. What it does not hold is looked for in the layers below, the
//! uppermost first, under the same rest of the key: what has been read as of a moment stays what it is, so that nothing has to be
//! locked or relied on there. A transaction that began before the moment may come to be seen there as a whole, as long as nobody has
//! read what it writes. What is deleted leaves a mark behind, under which no layer is looked at. All of this is done where a transaction
//! reads and writes ([`crate::Transaction`]): whoever uses one need not know of it.
//!
//! That an index is a branch is told by its id ([`keys::sql::is_branch`]), and over what it lies by a row of its own:
//!
//! ```text
//! key     index 40, id of the branch (u64), suffix 0
//! value   format 1 (u8), how many layers there are (u8), (index id (u64), moment (u64))*, what its maker notes of it
//! ```
//!
//! # Invariants
//! - The row is there before anything else names the branch, does not change, and goes when nobody can read the branch any more.
//! - As long as it is there the history of its layers is kept from their moments on, and none of them is given back.
//! - Moments do not rise from one layer to the next below.
//! - Under a key of a branch nothing is stored that is like the mark, and nothing is deleted but by the mark.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use keys::Span;
use keys::span::prefix_end;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT, index_prefix, index_span};
use parking_lot::Mutex;

use crate::{CommitTimestamp, Error, Result};

/// The index under which the rows of branches stand.
const BRANCHES: u64 = 40;

/// The format of a row.
const FORMAT: u8 = 1;

/// A branch has so many layers at most.
pub const LAYERS_MAX: usize = 8;

/// Of so many branches it is remembered what they lie over.
const KNOWN_MAX: usize = 4096;

/// What stands under a key that is gone: no row (those begin with their format, 1), no columns of a key (0x04, 0x10, 0xef,
/// 0xf4), and not nothing.
const MARK: &[u8] = &[0];

/// What a branch lies over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The index.
    pub index: u64,
    /// As of when.
    pub at: CommitTimestamp,
}

/// What the row of a branch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchRow {
    /// What it lies over, the uppermost first: one layer at least.
    pub layers: Vec<Layer>,
    /// What its maker notes of it.
    pub note: Bytes,
}

impl BranchRow {
    /// The key of a branch's row.
    pub fn key(branch: u64) -> Bytes {
        let mut key = index_prefix(TENANT_DEFAULT, BRANCHES).to_vec();
        key.extend_from_slice(&branch.to_be_bytes());
        key.push(SUFFIX_ROW);
        key.into()
    }

    /// The keys of all rows.
    pub fn span() -> Span {
        index_span(TENANT_DEFAULT, BRANCHES)
    }

    /// The row.
    pub fn encode(&self) -> Bytes {
        let mut value = vec![FORMAT, u8::try_from(self.layers.len()).unwrap_or(u8::MAX)];
        for layer in &self.layers {
            value.extend_from_slice(&layer.index.to_be_bytes());
            value.extend_from_slice(&layer.at.to_be_bytes());
        }
        value.extend_from_slice(&self.note);
        value.into()
    }

    /// Whether a value that stands under a key of a branch says that the key is gone.
    pub fn marks_gone(value: &[u8]) -> bool {
        is_mark(value)
    }

    /// What a row says.
    ///
    /// # Errors
    /// It is damaged, or newer than this code.
    pub fn decode(mut value: Bytes) -> Result<Self> {
        let damaged = || Error::Damaged { message: "what a branch lies over".to_owned() };
        match value.try_get_u8() {
            Ok(FORMAT) => {}
            Ok(newer) => {
                return Err(Error::Unsupported { message: format!("a branch of format {newer}") });
            }
            Err(_) => return Err(damaged()),
        }
        let count = usize::from(value.try_get_u8().map_err(|_| damaged())?);
        if !(1..=LAYERS_MAX).contains(&count) {
            return Err(damaged());
        }
        let mut layers = Vec::with_capacity(count);
        for _ in 0..count {
            let index = value.try_get_u64().map_err(|_| damaged())?;
            let at = value.try_get_u64().map_err(|_| damaged())?;
            layers.push(Layer { index, at });
        }
        Ok(Self { layers, note: value })
    }
}

/// The value that is written for a key of a branch that is deleted.
pub(crate) fn mark() -> Bytes {
    Bytes::from_static(MARK)
}

/// Whether a value under a key of a branch says that the key is gone.
pub(crate) fn is_mark(value: &[u8]) -> bool {
    value == MARK
}

/// A branch, for those who read it.
#[derive(Debug)]
pub(crate) struct Branch {
    /// What its keys begin with.
    prefix: Bytes,
    /// What it lies over, the uppermost first.
    pub(crate) layers: Vec<Below>,
}

/// A layer of a branch, for those who read it.
#[derive(Debug)]
pub(crate) struct Below {
    /// What its keys begin with.
    prefix: Bytes,
    /// As of when.
    pub(crate) at: CommitTimestamp,
}

impl Branch {
    fn new(id: u64, row: &BranchRow) -> Self {
        let below = |layer: &Layer| Below { prefix: index_prefix(TENANT_DEFAULT, layer.index), at: layer.at };
        Self { prefix: index_prefix(TENANT_DEFAULT, id), layers: row.layers.iter().map(below).collect() }
    }

    /// The key of a layer that one of the branch lies over.
    pub(crate) fn down(&self, key: &[u8], layer: &Below) -> Bytes {
        moved(key, &self.prefix, &layer.prefix)
    }

    /// The key of the branch that lies over one of a layer.
    pub(crate) fn up(&self, key: &[u8], layer: &Below) -> Bytes {
        moved(key, &layer.prefix, &self.prefix)
    }

    /// The part of a layer that a part of the branch lies over.
    pub(crate) fn span_down(&self, span: &Span, layer: &Below) -> Span {
        Span { start: self.down(&span.start, layer), end: self.down(&span.end, layer) }
    }

    /// The part of the branch that lies over a part of a layer.
    pub(crate) fn span_up(&self, span: &Span, layer: &Below) -> Span {
        Span { start: self.up(&span.start, layer), end: self.up(&span.end, layer) }
    }
}

impl Below {
    /// All its keys.
    pub(crate) fn span(&self) -> Span {
        Span::prefix(self.prefix.clone())
    }
}

/// The same key of another index; behind all keys of the one, behind all of the other.
fn moved(key: &[u8], from: &[u8], to: &[u8]) -> Bytes {
    match key.strip_prefix(from) {
        Some(rest) => [to, rest].concat().into(),
        None => prefix_end(to),
    }
}

/// The branches that a client has met.
#[derive(Debug, Default)]
pub(crate) struct Branches(Mutex<HashMap<u64, Arc<Branch>>>);

impl Branches {
    /// What is known of one.
    pub(crate) fn known(&self, id: u64) -> Option<Arc<Branch>> {
        self.0.lock().get(&id).cloned()
    }

    /// From now on it is known what the row of one says.
    pub(crate) fn learn(&self, id: u64, row: &BranchRow) -> Arc<Branch> {
        let branch = Arc::new(Branch::new(id, row));
        let mut known = self.0.lock();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(id, branch.clone());
        branch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_and_a_newer_one_refused() {
        let layers = vec![Layer { index: 2000, at: 9 }, Layer { index: 1500, at: 7 }];
        let row = BranchRow { layers, note: Bytes::from_static(b"public.t") };
        let value = row.encode();
        assert_eq!(BranchRow::decode(value.clone()).unwrap(), row);
        let newer = [&[FORMAT + 1][..], &value[1..]].concat();
        assert_eq!(BranchRow::decode(newer.into()).unwrap_err().sqlstate(), "0A000");
        for length in 0..34 {
            assert!(BranchRow::decode(value.slice(..length)).is_err());
        }
        let none = BranchRow { layers: Vec::new(), note: Bytes::new() }.encode();
        assert!(BranchRow::decode(none).is_err());
        assert!(BranchRow::span().contains(&BranchRow::key(7)));
    }

    #[test]
    fn keys_go_down_and_come_up_again() {
        let id = keys::sql::to_branch(3000);
        let row = BranchRow { layers: vec![Layer { index: 2000, at: 9 }], note: Bytes::new() };
        let branch = Branch::new(id, &row);
        let layer = &branch.layers[0];
        let all = index_span(TENANT_DEFAULT, id);
        let lower = index_span(TENANT_DEFAULT, 2000);
        assert_eq!(branch.span_down(&all, layer), lower);
        assert_eq!(branch.span_up(&lower, layer), all);
        let key = [all.start.as_ref(), b"\x10abc\0"].concat();
        let below = branch.down(&key, layer);
        assert!(lower.contains(&below) && below.ends_with(b"\x10abc\0"));
        assert_eq!(branch.up(&below, layer), key);
    }

    #[test]
    fn the_mark_is_nothing_that_is_stored() {
        assert!(is_mark(&mark()));
        for stored in [&b""[..], b"\x01\x01", b"\x10", b"\x04", b"\xef", b"\xf4", b"\0\0"] {
            assert!(!is_mark(stored));
        }
    }
}

//! Reads of branches ([`mod@crate::branch`]): the keys of one over those of the layers below it.
//!
//! What lies below was committed up to a moment that is past, and stays what it is: it is read by transactions of those moments,
//! without locks, and nothing of it is relied on.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use env::task::boxed;
use keys::Span;
use keys::span::successor;
use keys::sql::branch_of;
use proto::v1::KeyValue;

use super::Transaction;
use super::merge::merge;
use crate::branch::{Below, Branch, BranchRow, is_mark};
use crate::{Client, Error, Locked, Result, ScanOptions, ScanPage, TransactionOptions};

/// So many transactions of moments are kept.
const BELOW_MAX: usize = 8;

/// So many times more rows are asked for where all that were found are gone, up to so many.
const WIDER: usize = 8;
const ROWS_WIDE: usize = 4096;

/// What is asked of the layers of one moment: the places of keys, with their branches, and the keys there.
type Asked = (Vec<(usize, Arc<Branch>)>, Vec<Bytes>);

impl Client {
    /// Over what a branch lies: asked for once.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`]: it was given up, and what it held is kept no more.
    pub(crate) async fn branch(&self, id: u64) -> Result<Arc<Branch>> {
        if let Some(known) = self.branches.known(id) {
            return Ok(known);
        }
        let options = TransactionOptions {
            read_only: true,
            timeout: self.options().timeout,
            ..TransactionOptions::default()
        };
        let mut transaction = self.begin(options);
        let row = transaction.get_own(BranchRow::key(id)).await?;
        transaction.rollback().await;
        // It goes when nobody can read the branch any more.
        let gone = || Error::SnapshotTooOld { safe_point: self.safe_point() };
        Ok(self.branches.learn(id, &BranchRow::decode(row.ok_or_else(gone)?)?))
    }

    /// About how many bytes the layers below a branch take, history included.
    #[boxed]
    pub async fn size_below(&self, id: u64) -> Result<u64> {
        let branch = self.branch(id).await?;
        let spans: Vec<Span> = branch.layers.iter().map(Below::span).collect();
        Ok(self.sizes(&spans).await?.into_iter().sum())
    }
}

impl Transaction {
    /// Puts what the layers below hold in the place of what keys of branches do not hold themselves, and nothing where they are
    /// gone. Where layers answer for the first of the keys alone, which takes `bytes_max` or more, the values end there.
    pub(super) async fn look_below(
        &mut self,
        keys: &[Bytes],
        values: &mut Vec<Option<Bytes>>,
        bytes_max: usize,
    ) -> Result<()> {
        // Of what nothing is known yet: its place, and its branch.
        let mut open: Vec<(usize, Arc<Branch>)> = Vec::new();
        for (place, (key, value)) in keys.iter().zip(values.iter_mut()).enumerate() {
            let Some(id) = branch_of(key) else { continue };
            if value.as_deref().is_some_and(is_mark) {
                *value = None;
            } else if value.is_none() {
                open.push((place, self.client.branch(id).await?));
            }
        }
        // All before this place are answered for.
        let mut end = values.len();
        let mut depth = 0;
        while !open.is_empty() {
            let mut asked: BTreeMap<u64, Asked> = BTreeMap::new();
            for (place, branch) in open.drain(..) {
                if let (Some(layer), Some(key)) = (branch.layers.get(depth), keys.get(place)) {
                    let (places, wanted) = asked.entry(layer.at).or_default();
                    wanted.push(branch.down(key, layer));
                    places.push((place, branch));
                }
            }
            for (at, (places, wanted)) in asked {
                let mut below = self.below_at(at);
                let found = below.get_all(wanted, bytes_max, false).await?;
                self.keep_below(below);
                if let Some((first, _)) = places.get(found.len()) {
                    end = end.min(*first);
                }
                for ((place, branch), value) in places.into_iter().zip(found) {
                    match value {
                        None => open.push((place, branch)),
                        Some(value) if is_mark(&value) => {}
                        Some(value) => {
                            if let Some(own) = values.get_mut(place) {
                                *own = Some(value);
                            }
                        }
                    }
                }
            }
            open.retain(|(place, _)| *place < end);
            open.sort_unstable_by_key(|(place, _)| *place);
            depth += 1;
        }
        values.truncate(end);
        Ok(())
    }

    /// The same for keys that were locked.
    pub(super) async fn look_below_locked(&mut self, keys: &[Bytes], locked: &mut [Locked]) -> Result<()> {
        let (mut wanted, mut values) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        for (key, locked) in keys.iter().zip(locked.iter_mut()).filter(|(_, locked)| !locked.skipped) {
            wanted.push(key.clone());
            values.push(locked.value.take());
        }
        self.look_below(&wanted, &mut values, usize::MAX).await?;
        for (locked, value) in locked.iter_mut().filter(|locked| !locked.skipped).zip(values) {
            locked.value = value;
        }
        Ok(())
    }

    /// One page of the rows of a span of a branch.
    ///
    /// Where all that a page has found is gone the next one looks at more: else a scan for one row would ask for each row before it
    /// that was deleted.
    pub(super) async fn scan_branch(
        &mut self,
        id: u64,
        span: Span,
        options: ScanOptions,
        tracks: bool,
    ) -> Result<ScanPage> {
        self.open()?;
        if span.is_empty() {
            return Ok(ScanPage::default());
        }
        let branch = self.client.branch(id).await?;
        let (mut left, mut asked) = (span, options);
        loop {
            let page = self.scan_layers(&branch, left, asked, options.rows_max, tracks).await?;
            match page.resume {
                Some(rest) if page.rows.is_empty() => left = rest,
                _ => return Ok(page),
            }
            // 0 is no bound.
            if asked.rows_max != 0 {
                asked.rows_max = asked.rows_max.saturating_mul(WIDER).min(ROWS_WIDE.max(options.rows_max));
            }
        }
    }

    /// The same, of which nothing is left perhaps: so many rows are asked of each layer as `options` say, and `rows_max` are answered
    /// at most.
    ///
    /// The lowest layer is read first: each reads what of the span those below it have answered for, and lies over them.
    async fn scan_layers(
        &mut self,
        branch: &Branch,
        span: Span,
        options: ScanOptions,
        rows_max: usize,
        tracks: bool,
    ) -> Result<ScanPage> {
        let mut part = span.clone();
        let mut rows: Vec<KeyValue> = Vec::new();
        for layer in branch.layers.iter().rev() {
            let wanted = branch.span_down(&part, layer);
            let mut below = self.below_at(layer.at);
            let (found, covered) = below.scan_committed(&wanted, layer.at, options).await?;
            self.keep_below(below);
            part = branch.span_up(&covered, layer);
            rows.retain(|row| part.contains(&row.key));
            let found = found.into_iter().map(|row| (branch.up(&row.key, layer), row.value));
            let found: Vec<_> = found.map(over).collect();
            let both = merge(rows, found.iter().map(|(key, value)| (key, value)), 0, options.reverse);
            rows = both.rows.into_iter().map(|(key, value)| KeyValue { key, value, timestamp: 0 }).collect();
        }
        // What is relied on is what is answered, and no more: it may be less than was asked for.
        let page = self.scan_own(part.clone(), options, false).await?;
        match page.resume {
            Some(left) if options.reverse => part.start = left.end,
            Some(left) => part.end = left.start,
            None => {}
        }
        rows.retain(|row| part.contains(&row.key));
        let own: Vec<_> = page.rows.into_iter().map(over).collect();
        let both = merge(rows, own.iter().map(|(key, value)| (key, value)), rows_max, options.reverse);
        match both.full_at {
            Some(last) if options.reverse => part.start = last,
            Some(last) => part.end = successor(&last),
            None => {}
        }
        if tracks {
            self.reads.add_span(part.clone());
        }
        let rest = match options.reverse {
            true => Span { start: span.start, end: part.start },
            false => Span { start: part.end, end: span.end },
        };
        Ok(ScanPage { rows: both.rows, resume: (!rest.is_empty()).then_some(rest) })
    }

    /// What reads at a moment.
    fn below_at(&mut self, at: u64) -> Transaction {
        match self.below.iter().position(|below| below.timestamp == at) {
            Some(place) => self.below.swap_remove(place),
            None => {
                let mut below = self.client.past(at);
                below.options.timeout = self.options.timeout;
                below
            }
        }
    }

    /// Its pages that are yet to come are kept, too.
    fn keep_below(&mut self, below: Transaction) {
        if self.below.len() >= BELOW_MAX {
            self.below.remove(0);
        }
        self.below.push(below);
    }
}

/// A row of a layer, as it lies over those below: a key that is gone hides them.
fn over((key, value): (Bytes, Bytes)) -> (Bytes, Option<Bytes>) {
    let value = Some(value).filter(|value| !is_mark(value));
    (key, value)
}

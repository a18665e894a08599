//! What of a transaction lies in which range.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use keys::Span;
use proto::v1::{Check, Write};

use super::Transaction;
use crate::Result;
use crate::router::Route;

/// The key that the catalog version is kept under.
pub(super) static CATALOG_VERSION: LazyLock<Bytes> = LazyLock::new(keys::sql::catalog_version_key);

/// What of a commit lies in one range.
pub(super) struct Part {
    pub(super) route: Arc<Route>,
    /// What it writes there, ascending.
    pub(super) writes: Vec<Write>,
    /// That what it writes is unchanged, ascending.
    pub(super) checks: Vec<Check>,
    /// That what it does not write is unchanged.
    pub(super) relied_on: Vec<Check>,
}

/// Of what is written in one range what one request carries.
pub(super) struct Piece {
    pub(super) writes: Vec<Write>,
    /// That these keys are unchanged.
    pub(super) checks: Vec<Check>,
}

impl Part {
    fn new(route: Arc<Route>) -> Self {
        Self { route, writes: Vec::new(), checks: Vec::new(), relied_on: Vec::new() }
    }

    /// What it writes in pieces, each of so many bytes at most, or of one write.
    pub(super) fn pieces(&self, bytes_max: usize) -> Vec<Piece> {
        pieces(&self.writes, &self.checks, bytes_max)
    }
}

impl Piece {
    /// The keys that it writes.
    pub(super) fn keys(&self) -> Vec<Bytes> {
        self.writes.iter().map(|write| write.key.clone()).collect()
    }

    /// How many bytes it writes.
    pub(super) fn bytes(&self) -> usize {
        self.writes.iter().map(size).sum()
    }
}

fn pieces(writes: &[Write], checks: &[Check], bytes_max: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut bytes = 0;
    for write in writes {
        bytes += size(write);
        match pieces.last_mut() {
            Some(piece) if bytes <= bytes_max => piece.writes.push(write.clone()),
            _ => {
                bytes = size(write);
                pieces.push(Piece { writes: vec![write.clone()], checks: Vec::new() });
            }
        }
    }
    for check in checks {
        let is_below = |piece: &Piece| piece.writes.first().is_some_and(|write| write.key <= check.start);
        let place = pieces.partition_point(is_below).saturating_sub(1);
        if let Some(piece) = pieces.get_mut(place) {
            piece.checks.push(check.clone());
        }
    }
    pieces
}

/// About what a write takes as an intent.
fn size(write: &Write) -> usize {
    /// What its row says beside key and value: its transaction, the primary.
    const ROW_BYTES: usize = 96;
    ROW_BYTES + write.key.len() + write.value.as_ref().map_or(0, Bytes::len)
}

impl Transaction {
    /// Writes, ascending, and checks by the range that they lie in; a check over a border in parts.
    pub(super) async fn parts(&self, writes: Vec<Write>, checks: Vec<Check>) -> Result<Vec<Part>> {
        let written: Vec<Bytes> = writes.iter().map(|write| write.key.clone()).collect();
        let mut parts: BTreeMap<u64, Part> = BTreeMap::new();
        let of = |parts: &mut BTreeMap<u64, Part>, route: &Arc<Route>| {
            parts.entry(route.range_id()).or_insert_with(|| Part::new(route.clone())).route.range_id()
        };
        let mut last: Option<Arc<Route>> = None;
        for write in writes {
            let route = self.route_after(last, &write.key).await?;
            let id = of(&mut parts, &route);
            if let Some(part) = parts.get_mut(&id) {
                part.writes.push(write);
            }
            last = Some(route);
        }
        // Most checks follow each other as the writes do that they are about.
        let mut next = 0;
        for (route, checks) in self.checks_by_range(checks).await? {
            let id = of(&mut parts, &route);
            let Some(part) = parts.get_mut(&id) else { continue };
            for check in checks {
                let place = match written.get(next) {
                    _ if !check.end.is_empty() => None,
                    Some(key) if *key == check.start => Some(next),
                    _ => written.binary_search(&check.start).ok(),
                };
                match place {
                    Some(place) => {
                        next = place + 1;
                        part.checks.push(check);
                    }
                    None => part.relied_on.push(check),
                }
            }
        }
        parts.values_mut().for_each(|part| part.checks.sort_by(|a, b| a.start.cmp(&b.start)));
        // Ranges are told of in the order of their keys.
        let mut parts: Vec<Part> = parts.into_values().collect();
        parts.sort_by(|a, b| a.route.start().cmp(b.route.start()));
        Ok(parts)
    }

    /// Checks by the range that they lie in; one over a border in parts.
    pub(super) async fn checks_by_range(&self, checks: Vec<Check>) -> Result<Vec<(Arc<Route>, Vec<Check>)>> {
        let mut ranges: BTreeMap<u64, (Arc<Route>, Vec<Check>)> = BTreeMap::new();
        let mut last: Option<Arc<Route>> = None;
        for check in checks {
            let mut left = Some(check);
            while let Some(check) = left.take() {
                let route = self.route_after(last, &check.start).await?;
                let (here, rest) = cut(check, route.end());
                ranges.entry(route.range_id()).or_insert_with(|| (route.clone(), Vec::new())).1.push(here);
                (left, last) = (rest, Some(route));
            }
        }
        Ok(ranges.into_values().collect())
    }

    /// The ranges that a span lies in, with what of it lies in each, ascending; at most so many.
    pub(super) async fn ranges_of(&self, span: &Span, ranges_max: usize) -> Result<Vec<(Arc<Route>, Span)>> {
        let mut ranges = Vec::new();
        let mut left = span.clone();
        while !left.is_empty() && ranges.len() < ranges_max {
            let route = self.client.sender.route(&left.start, self.options.timeout).await?;
            let ends = !route.end().is_empty() && route.end() < left.end.as_ref();
            let end = if ends { Bytes::copy_from_slice(route.end()) } else { left.end.clone() };
            ranges.push((route, Span { start: left.start.clone(), end: end.clone() }));
            left.start = end;
        }
        Ok(ranges)
    }

    /// The range that holds the key, which is often the one that held the key before.
    async fn route_after(&self, last: Option<Arc<Route>>, key: &Bytes) -> Result<Arc<Route>> {
        match last.filter(|route| route.holds(key)) {
            Some(route) => Ok(route),
            None => self.client.sender.route(key, self.options.timeout).await,
        }
    }
}

/// Whether a check relies on the key.
pub(super) fn covers(check: &Check, key: &Bytes) -> bool {
    if check.end.is_empty() { check.start == key } else { check.start <= key && *key < check.end }
}

/// What of a check lies below the end of a range, which holds its start, and what is left.
fn cut(check: Check, end: &[u8]) -> (Check, Option<Check>) {
    if check.end.is_empty() || end.is_empty() || check.end.as_ref() <= end {
        return (check, None);
    }
    let border = Bytes::copy_from_slice(end);
    let rest = Check { start: border.clone(), ..check.clone() };
    (Check { end: border, ..check }, Some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: &'static [u8], end: &'static [u8]) -> Check {
        Check { start: Bytes::from_static(start), end: Bytes::from_static(end), since: 7 }
    }

    #[test]
    fn a_check_is_cut_where_a_range_ends() {
        assert_eq!(cut(check(b"a", b""), b"b"), (check(b"a", b""), None));
        assert_eq!(cut(check(b"a", b"b"), b"b"), (check(b"a", b"b"), None));
        assert_eq!(cut(check(b"a", b"c"), b""), (check(b"a", b"c"), None));
        assert_eq!(cut(check(b"a", b"c"), b"b"), (check(b"a", b"b"), Some(check(b"b", b"c"))));
    }

    #[test]
    fn checks_go_with_the_writes_of_their_keys() {
        let key = |number: u8| Bytes::copy_from_slice(&[b'd', number]);
        let write = |number: u8| Write {
            key: key(number),
            value: Some(Bytes::from(vec![0; 500])),
            changes_key: None,
        };
        let check = |number: u8| Check { start: key(number), end: Bytes::new(), since: 7 };
        let writes: Vec<Write> = (0..6).map(write).collect();
        let pieces = pieces(&writes, &(0..6).map(check).collect::<Vec<_>>(), 1300);
        assert_eq!(pieces.len(), 3);
        for piece in pieces {
            assert_eq!(
                piece.keys(),
                piece.checks.iter().map(|check| check.start.clone()).collect::<Vec<_>>()
            );
        }
    }
}

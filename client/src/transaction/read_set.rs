//! What a transaction has read: that nothing of it was changed is checked when it commits.

use bytes::Bytes;
use keys::Span;
use proto::v1::Check;

use crate::router::Route;

/// More keys or spans than this are gathered into wider spans, which may find conflicts where there are none.
const PARTS_MAX: usize = 4096;

/// Keys and spans that were read, all of them at the transaction's one read timestamp.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    keys: Vec<Bytes>,
    spans: Vec<Span>,
}

impl ReadSet {
    pub(crate) fn add_key(&mut self, key: Bytes) {
        if self.keys.last() == Some(&key) {
            return;
        }
        self.keys.push(key);
        if self.keys.len() > PARTS_MAX {
            self.keys.sort_unstable();
            self.keys.dedup();
            if self.keys.len() > PARTS_MAX / 2 {
                for span in gather(self.keys.drain(..).map(Span::key).collect()) {
                    self.add_span(span);
                }
            }
        }
    }

    pub(crate) fn add_span(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        // The pages of a scan continue each other, upwards or downwards.
        if let Some(last) = self.spans.last_mut() {
            if last.covers(&span) {
                return;
            }
            if last.end == span.start {
                last.end = span.end;
                return;
            }
            if span.end == last.start {
                last.start = span.start;
                return;
            }
        }
        self.spans.push(span);
        if self.spans.len() > PARTS_MAX {
            self.spans = gather(std::mem::take(&mut self.spans));
        }
    }

    /// Whether `key` was read.
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|read| read == key) || self.spans.iter().any(|span| span.contains(key))
    }

    /// Whether the range holds all of it.
    pub(crate) fn is_within(&self, route: &Route) -> bool {
        let holds = |span: &Span| route.holds(&span.start) && route.holds_span(&span.start, &span.end);
        self.keys.iter().all(|key| route.holds(key)) && self.spans.iter().all(holds)
    }

    /// What has to be unchanged since `since`, without the keys for which `is_held`.
    pub(crate) fn checks(&self, since: u64, is_held: impl Fn(&Bytes) -> bool) -> Vec<Check> {
        let keys = self.keys.iter().filter(|key| !is_held(key));
        let keys = keys.map(|key| Check { start: key.clone(), end: Bytes::new(), since });
        let spans =
            self.spans.iter().map(|span| Check { start: span.start.clone(), end: span.end.clone(), since });
        keys.chain(spans).collect()
    }
}

/// At most a quarter of the parts allowed, which cover everything that `spans` cover.
fn gather(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by(|a, b| a.start.cmp(&b.start));
    let each = spans.len().div_ceil(PARTS_MAX / 4).max(1);
    let hulls = spans.chunks(each).filter_map(|part| {
        let start = part.first()?.start.clone();
        let end = part.iter().map(|span| &span.end).max()?.clone();
        Some(Span { start, end })
    });
    let mut gathered: Vec<Span> = Vec::new();
    for hull in hulls {
        match gathered.last_mut() {
            Some(last) if hull.start <= last.end => last.end = last.end.clone().max(hull.end),
            _ => gathered.push(hull),
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Bytes {
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    #[test]
    fn pages_of_a_scan_become_one_span() {
        let mut set = ReadSet::default();
        set.add_span(Span::new(key(5), key(7)));
        set.add_span(Span::new(key(7), key(9)));
        set.add_span(Span::new(key(3), key(5)));
        assert_eq!(set.checks(1, |_| false).len(), 1);
        assert!(set.covers(&key(3)) && set.covers(&key(8)) && !set.covers(&key(9)));
    }

    #[test]
    fn many_keys_become_few_spans_that_cover_them() {
        let mut set = ReadSet::default();
        for number in 0..100_000 {
            set.add_key(key(number * 2 % 99_991));
        }
        assert!(set.checks(1, |_| false).len() <= 2 * PARTS_MAX);
        assert!((0..100_000).all(|number| set.covers(&key(number * 2 % 99_991))));
    }
}

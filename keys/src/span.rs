//! Half-open intervals of keys.

use bytes::Bytes;

/// All keys from `start` up to, not including, `end`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The least key.
    pub start: Bytes,
    /// Above the greatest key.
    pub end: Bytes,
}

impl Span {
    /// From `start` up to `end`.
    pub fn new(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { start: start.into(), end: end.into() }
    }

    /// All keys that begin with these bytes.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        Self { end: prefix_end(&start), start }
    }

    /// Just this key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        let start = key.into();
        Self { end: successor(&start), start }
    }

    /// Whether the key lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_ref() <= key && key < self.end.as_ref()
    }

    /// Whether all of the other lies in it.
    pub fn covers(&self, other: &Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether any key lies in both.
    pub fn overlaps(&self, other: &Span) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// What lies in both; None if nothing does.
    pub fn intersection(&self, other: &Span) -> Option<Span> {
        self.overlaps(other).then(|| Span {
            start: self.start.clone().max(other.start.clone()),
            end: self.end.clone().min(other.end.clone()),
        })
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// The least key above `key`.
pub fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

/// The least key above all keys that begin with `prefix`. Of the empty prefix and of 0xff bytes alone there is none
/// and the answer is a key above every keyspace: one 0xff byte more than the prefix.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end.into();
        }
    }
    vec![0xff; prefix.len() + 1].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_spans_exactly_the_keys_that_begin_with_it() {
        let span = Span::prefix(vec![b'a', 0xff]);
        assert!(span.contains(b"a\xff") && span.contains(b"a\xff\xff\xff\xff"));
        assert!(!span.contains(b"a\xfe") && !span.contains(b"b"));
        assert_eq!(prefix_end(b"a\xff").as_ref(), b"b");
        assert!(prefix_end(&[0xff]).as_ref() > [0xff].as_slice());
        assert!(!prefix_end(&[]).is_empty());
    }

    #[test]
    fn a_key_spans_itself_alone() {
        let span = Span::key(&b"k"[..]);
        assert!(span.contains(b"k") && !span.contains(b"k\0") && !span.contains(b"j"));
    }

    #[test]
    fn spans_intersect_where_both_are() {
        let (left, right) = (Span::new(&b"a"[..], &b"m"[..]), Span::new(&b"f"[..], &b"z"[..]));
        assert_eq!(left.intersection(&right), Some(Span::new(&b"f"[..], &b"m"[..])));
        assert_eq!(left.intersection(&Span::new(&b"m"[..], &b"n"[..])), None);
        assert!(left.covers(&Span::new(&b"b"[..], &b"m"[..])) && !left.covers(&right));
    }
}

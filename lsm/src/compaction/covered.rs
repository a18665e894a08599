//! Tables that lie wholly under a newer range delete: nobody can read anything in them, so they go without being read.
//! A pure function from bounds and deletes to a choice.

use bytes::Bytes;

use crate::spans::Spans;

/// A table, as far as range deletes are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub(crate) id: u64,
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
    /// What it deletes of older tables.
    pub(crate) deletes: Spans,
}

/// The tables, by level and number, that range deletes of newer ones cover whole. Level 0 is given from the newest to the
/// oldest.
pub(crate) fn covered(levels: &[Vec<Extent>]) -> Vec<(usize, u64)> {
    let mut newer = Spans::default();
    let mut found = Vec::new();
    for (level, tables) in levels.iter().enumerate() {
        let mut deletes = Vec::new();
        for table in tables {
            if newer.covering(&table.start).is_some_and(|span| table.end <= span.end) {
                found.push((level, table.id));
            }
            if !table.deletes.is_empty() {
                deletes.extend(table.deletes.iter().cloned());
                if level == 0 {
                    newer = Spans::union(newer.iter().cloned().chain(deletes.drain(..)).collect());
                }
            }
        }
        if !deletes.is_empty() {
            newer = Spans::union(newer.iter().cloned().chain(deletes).collect());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::Span;

    /// "1:a-c" is table 1 over [a, c); "!b-d" behind it a delete.
    fn extent(text: &str) -> Extent {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let span = |text: &str| {
            let (start, end) = text.split_once('-').unwrap();
            Span { start: bytes(start), end: bytes(end) }
        };
        let mut parts = text.split('!');
        let (id, bounds) = parts.next().unwrap().split_once(':').unwrap();
        let (bounds, deletes) = (span(bounds), Spans::union(parts.map(span).collect()));
        Extent { id: id.parse().unwrap(), start: bounds.start, end: bounds.end, deletes }
    }

    fn found(levels: &[&[&str]]) -> Vec<(usize, u64)> {
        let levels: Vec<Vec<_>> = levels.iter().map(|l| l.iter().map(|t| extent(t)).collect()).collect();
        covered(&levels)
    }

    #[test]
    fn without_range_deletes_nothing_is_covered() {
        assert_eq!(found(&[&["2:a-c", "1:a-c"], &["3:a-z"]]), []);
    }

    #[test]
    fn what_lies_whole_under_a_newer_delete_is_covered() {
        let levels: &[&[&str]] = &[&["9:a-z", "8:a-z!c-p", "7:d-e", "6:b-d"], &["5:c-d", "4:d-p", "3:p-q"]];
        assert_eq!(found(levels), [(0, 7), (1, 5), (1, 4)]);
    }

    #[test]
    fn a_delete_covers_neither_its_own_table_nor_its_own_level() {
        assert_eq!(found(&[&[], &["5:a-c!a-z", "4:d-p"], &["3:d-p"]]), [(2, 3)]);
    }

    #[test]
    fn deletes_of_several_tables_that_touch_cover_together() {
        assert_eq!(found(&[&["9:a-c!a-c"], &["5:c-f!c-f"], &["3:b-d", "2:d-g"]]), [(2, 3)]);
    }
}

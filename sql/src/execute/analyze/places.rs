//! Where a table is read that is not read whole: in all of its ranges as their sizes say, and in each between the keys of its
//! first and its last row.
//!
//! ```text
//! range  |    first row ........................... last row    |
//!             ^ alike in front, then eight digits of base 256: a place is a number between the two
//! ```
//!
//! Between borders of ranges alone nothing could be interpolated: a border is cut short, while the first byte of a column in a
//! key says only that there is a value.

use bytes::Bytes;
use client::Span;
use env::random;

/// How many bytes of keys are taken for a number.
const DIGITS: usize = 8;

/// A span cut at borders.
pub(super) fn cut(span: &Span, borders: impl Iterator<Item = Bytes>) -> Vec<Span> {
    let within = |border: &Bytes| *border > span.start && (span.end.is_empty() || *border < span.end);
    let mut starts: Vec<Bytes> = borders.filter(within).collect();
    starts.push(span.start.clone());
    starts.sort_unstable();
    starts.dedup();
    let ends: Vec<Bytes> = starts.iter().skip(1).cloned().chain([span.end.clone()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| Span { start, end }).collect()
}

/// How many of about so many pages are read of each of some pieces with these sizes: at equal distances, from a first one that is
/// chosen by a random number.
pub(super) fn shares(sizes: &[u64], pages: usize, chosen: u64) -> Vec<usize> {
    let total = sizes.iter().copied().fold(0, u64::saturating_add);
    let step = total.checked_div(pages as u64).unwrap_or(0).max(1);
    let (mut next, mut end) = (chosen % step, 0_u64);
    let share = |size: &u64| {
        end = end.saturating_add(*size);
        let mut own = 0_usize;
        while next < end {
            own = own.saturating_add(1);
            next = next.saturating_add(step);
        }
        own
    };
    sizes.iter().map(share).collect()
}

/// Keys between two, at random, in order.
pub(super) fn between(first: &[u8], last: &[u8], count: usize) -> Vec<Bytes> {
    let alike = first.iter().zip(last).take_while(|(one, other)| one == other).count();
    let number = |key: &[u8]| {
        let mut digits = [0; DIGITS];
        digits.iter_mut().zip(key.iter().skip(alike)).for_each(|(digit, byte)| *digit = *byte);
        u64::from_be_bytes(digits)
    };
    let (low, high) = (number(first), number(last));
    let front = first.get(..alike).unwrap_or_default();
    let place = |_| {
        let chosen = low.saturating_add(random::below(high.saturating_sub(low).saturating_add(1)));
        let mut key = front.to_vec();
        key.extend_from_slice(&chosen.to_be_bytes());
        Bytes::from(key)
    };
    let mut places: Vec<Bytes> = (0..count).map(place).collect();
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use expr::{Datum, TypeKind};
    use keys::encode::Direction;
    use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT, index_prefix};

    use super::*;

    /// The key of a row with an integer key.
    fn row(number: i32) -> Bytes {
        let mut key = index_prefix(TENANT_DEFAULT, 5000).to_vec();
        let ty = TypeKind::Int4.into();
        expr::key::encode_datum(&Datum::Int4(number), ty, Direction::Ascending, &mut key).unwrap();
        key.push(SUFFIX_ROW);
        key.into()
    }

    #[test]
    fn places_are_spread_over_the_rows() {
        let rows: Vec<Bytes> = (0..10_000).map(|number| row(number * 7)).collect();
        let places = between(&rows[0], &rows[9_999], 1000);
        assert!(places.is_sorted());
        // Which row is the first at a place.
        let found: Vec<usize> = places.iter().map(|place| rows.partition_point(|row| row < place)).collect();
        for tenth in 0..10 {
            let within = found.iter().filter(|row| **row / 1000 == tenth).count();
            assert!((60..150).contains(&within), "{within} places lie in tenth {tenth}");
        }
    }

    #[test]
    fn a_single_row_is_a_place() {
        assert!(between(&row(5), &row(5), 3).iter().all(|place| *place >= row(5)));
        for place in between(b"da", b"db\x10zz", 100) {
            assert!(place.as_ref() >= &b"da"[..], "{place:?}");
        }
    }

    #[test]
    fn a_table_is_cut_where_ranges_begin() {
        let span = |start: &'static [u8], end: &'static [u8]| Span {
            start: Bytes::from_static(start),
            end: Bytes::from_static(end),
        };
        let borders = [&b"a"[..], b"d", b"c", b"b", b"x"].map(Bytes::from_static);
        let pieces = cut(&span(b"b", b"e"), borders.into_iter());
        assert_eq!(pieces, [span(b"b", b"c"), span(b"c", b"d"), span(b"d", b"e")]);
    }

    #[test]
    fn large_pieces_have_more_pages() {
        assert_eq!(shares(&[100, 300, 0, 600], 10, 50), [1, 3, 0, 6]);
        // There are more of them than pages.
        let few = shares(&[10; 1000], 10, 77);
        assert_eq!(few.iter().sum::<usize>(), 10);
        assert_eq!(shares(&[], 10, 5), Vec::<usize>::new());
        assert_eq!(shares(&[0, 0], 10, 5), [0, 0]);
    }
}

//! What it costs to read rows, in rows of a table that are read one after the other.
//!
//! The constants are what was measured of scans, look-ups and sorts of a million narrow rows in one process.

/// A row that an entry of a secondary index leads to.
const FETCH: f64 = 5.0;
/// A span: a request of its own.
const SPAN: f64 = 40.0;
/// A span, where many are asked for in one request.
const SPAN_OF_MANY: f64 = 15.0;
/// A row by its key, where many are asked for in one request.
const POINT: f64 = 6.0;
/// A row of a hash join that is kept.
const KEPT: f64 = 3.5;
/// A row of a hash join that looks for those that are kept.
const PROBE: f64 = 1.5;
/// A comparison of a sort.
const COMPARISON: f64 = 0.1;

/// So many rows are asked for by a LIMIT whose number is not known while planning.
pub(super) const PAGE_ROWS: f64 = 100.0;

/// Reading so many rows of spans of an index.
pub(super) fn scan(spans: usize, rows: f64, is_primary: bool) -> f64 {
    spans as f64 * SPAN + read(rows, is_primary)
}

/// Reading so many rows of an index that lie beside each other.
fn read(rows: f64, is_primary: bool) -> f64 {
    if is_primary { rows } else { rows * FETCH }
}

/// Looking up what has one key: so many rows, or the row itself.
pub(super) fn look_up(rows: f64, is_point: bool, is_primary: bool) -> f64 {
    if is_point { POINT } else { SPAN_OF_MANY + read(rows, is_primary) }
}

/// Sorting so many rows.
pub(super) fn sort(rows: f64) -> f64 {
    rows * rows.max(2.0).log2() * COMPARISON
}

/// Looking for so many rows among so many that are kept by their hashes.
pub(super) fn hash(streamed: f64, kept: f64) -> f64 {
    streamed * PROBE + kept * KEPT
}

/// Comparing so many pairs of rows.
pub(super) fn pairs(pairs: f64) -> f64 {
    pairs * COMPARISON
}

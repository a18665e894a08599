//! A page of committed rows seen through the transaction's own writes.

use std::iter::Peekable;

use bytes::Bytes;
use proto::v1::KeyValue;

/// The rows of a page after the buffered writes of the same stretch of keys were laid over it.
pub(crate) struct Merged {
    pub(crate) rows: Vec<(Bytes, Bytes)>,
    /// The last row, if there was no room for what comes after it.
    pub(crate) full_at: Option<Bytes>,
}

/// Lays `writes` over `committed`, both in the scan's direction, up to `rows_max` rows (0 = no bound).
pub(crate) fn merge<'a>(
    committed: Vec<KeyValue>,
    writes: impl Iterator<Item = (&'a Bytes, &'a Option<Bytes>)>,
    rows_max: usize,
    reverse: bool,
) -> Merged {
    let mut rows = Vec::with_capacity(committed.len());
    let mut committed = committed.into_iter().map(|row| (row.key, row.value)).peekable();
    let mut writes = writes.peekable();
    while let Some(row) = next(&mut committed, &mut writes, reverse) {
        let Some(row) = row else { continue };
        if rows_max != 0 && rows.len() == rows_max {
            let full_at = rows.last().map(|(key, _): &(Bytes, Bytes)| key.clone());
            return Merged { rows, full_at };
        }
        rows.push(row);
    }
    Merged { rows, full_at: None }
}

/// The next key's row, `Some(None)` if the transaction has deleted it.
fn next<'a>(
    committed: &mut Peekable<impl Iterator<Item = (Bytes, Bytes)>>,
    writes: &mut Peekable<impl Iterator<Item = (&'a Bytes, &'a Option<Bytes>)>>,
    reverse: bool,
) -> Option<Option<(Bytes, Bytes)>> {
    let order = match (committed.peek(), writes.peek()) {
        (Some((committed, _)), Some((written, _))) => {
            let order = committed.cmp(*written);
            if reverse { order.reverse() } else { order }
        }
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => return None,
    };
    if order.is_lt() {
        return committed.next().map(Some);
    }
    if order.is_eq() {
        committed.next();
    }
    writes.next().map(|(key, value)| value.clone().map(|value| (key.clone(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn committed(keys: &[&'static str]) -> Vec<KeyValue> {
        keys.iter().map(|k| KeyValue { key: key(k), value: key("old"), timestamp: 1 }).collect()
    }

    fn shown(merged: &Merged) -> String {
        let rows = merged
            .rows
            .iter()
            .map(|(k, v)| format!("{}={}", String::from_utf8_lossy(k), String::from_utf8_lossy(v)));
        rows.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn own_writes_replace_add_and_remove_rows() {
        let writes = [(key("a"), Some(key("new"))), (key("b"), None), (key("c"), Some(key("new")))];
        let merged = merge(committed(&["b", "c", "d"]), writes.iter().map(|(k, v)| (k, v)), 0, false);
        assert_eq!(shown(&merged), "a=new c=new d=old");
    }

    #[test]
    fn descending_order_is_kept() {
        let writes = [(key("e"), Some(key("new"))), (key("b"), None)];
        let merged = merge(committed(&["d", "b", "a"]), writes.iter().map(|(k, v)| (k, v)), 0, true);
        assert_eq!(shown(&merged), "e=new d=old a=old");
    }

    #[test]
    fn a_full_page_says_where_it_stopped() {
        let writes = [(key("a"), Some(key("new")))];
        let merged = merge(committed(&["b", "c"]), writes.iter().map(|(k, v)| (k, v)), 2, false);
        assert_eq!(shown(&merged), "a=new b=old");
        assert_eq!(merged.full_at, Some(key("b")));
    }
}

//! Cursors: where a row stands in an order, as a text that only this door reads.
//!
//! Base64 of a JSON array: what the order is, and the row's values of the columns that it is by. A cursor of another order is refused, for it
//! would lead somewhere else. It holds nothing secret, and is believed in nothing: its values become parameters of conditions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use expr::datum::json::Json;
use expr::json::quoted;

use super::model::Table;
use super::refusal::Refused;

/// Longer ones are none: rows have no more room.
const CURSOR_BYTES_MAX: usize = 64 << 10;

/// A column that rows are ordered by, by its place, and whether from the largest value to the smallest.
pub(super) type Ordered = (usize, bool);

/// What an order is called within a cursor.
fn signature(table: &Table, order: &[Ordered]) -> String {
    let named = order.iter().filter_map(|(place, is_descending)| {
        let column = table.columns.get(*place)?;
        Some(format!("{}{}", if *is_descending { '-' } else { '+' }, column.number))
    });
    named.collect()
}

/// The cursor of a row with these values.
pub(super) fn encode(table: &Table, order: &[Ordered], values: &[Option<String>]) -> String {
    let mut json = format!("[{}", quoted(&signature(table, order)));
    for value in values {
        json.push(',');
        json.push_str(&value.as_ref().map_or("null".to_owned(), |value| quoted(value)));
    }
    json.push(']');
    URL_SAFE_NO_PAD.encode(json)
}

/// The values that a cursor of this order holds.
pub(super) fn decode(table: &Table, order: &[Ordered], cursor: &str) -> Result<Vec<Option<String>>, Refused> {
    let wrong = || Refused::new("after is no cursor of this order");
    if cursor.len() > CURSOR_BYTES_MAX {
        return Err(wrong());
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let json =
        json.and_then(|json| expr::json::parse_within(&json, CURSOR_BYTES_MAX).ok()).ok_or_else(wrong)?;
    let Json::Array(items) = json else { return Err(wrong()) };
    let mut items = items.into_iter();
    match items.next() {
        Some(Json::String(said)) if *said == *signature(table, order) => {}
        _ => return Err(wrong()),
    }
    let values: Option<Vec<_>> = items
        .map(|item| match item {
            Json::Null => Some(None),
            Json::String(text) if !text.contains('\0') => Some(Some(text.into_string())),
            _ => None,
        })
        .collect();
    values.filter(|values| values.len() == order.len()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::model::tests::library;
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_in_its_order_alone() {
        let book = &library()[1];
        let (order, values) = ([(2, true), (0, false)], [None, Some("7\"".to_owned())]);
        let cursor = encode(book, &order, &values);
        assert_eq!(decode(book, &order, &cursor).unwrap(), values);
        assert!(decode(book, &[(2, false), (0, false)], &cursor).is_err());
        assert!(decode(book, &order, "").is_err());
        assert!(decode(book, &order, &encode(book, &order, &values[..1])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let book = &library()[1];
            let _ = decode(book, &[(0, false)], &URL_SAFE_NO_PAD.encode(&bytes));
            let _ = decode(book, &[(0, false)], &String::from_utf8_lossy(&bytes));
        }
    }
}

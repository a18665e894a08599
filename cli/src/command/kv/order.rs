//! A line of a transaction: what it orders.

use crate::escape::parse_key;

/// What a line orders.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    Nothing,
    Get(Vec<u8>),
    Set(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Scan(Option<Vec<u8>>, Option<Vec<u8>>),
    Commit,
    Rollback,
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Result<Order, String> {
    let (word, rest) = split(line.trim());
    let key = |text: &str| match text {
        "" => Err(format!("{word} takes a key")),
        text => parse_key(text).map(|key| key.0),
    };
    let only = |text: &str| {
        if text.contains(char::is_whitespace) {
            return Err(format!("{word} takes one key: a blank in it is written \\x20"));
        }
        key(text)
    };
    match word {
        "" => Ok(Order::Nothing),
        "get" => only(rest).map(Order::Get),
        "delete" => only(rest).map(Order::Delete),
        "set" => {
            let (name, value) = split(rest);
            Ok(Order::Set(key(name)?, parse_key(value)?.0))
        }
        "scan" => {
            let (start, end) = split(rest);
            let bound = |text: &str| if text.is_empty() { Ok(None) } else { only(text).map(Some) };
            Ok(Order::Scan(bound(start)?, bound(end)?))
        }
        "commit" if rest.is_empty() => Ok(Order::Commit),
        "rollback" if rest.is_empty() => Ok(Order::Rollback),
        _ => Err(format!(
            "'{word}' is none of get KEY, set KEY VALUE, delete KEY, scan [START [END]], commit, rollback"
        )),
    }
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_orders() {
        let bytes = |text: &str| text.as_bytes().to_vec();
        for (line, order) in [
            ("  ", Order::Nothing),
            ("get a", Order::Get(bytes("a"))),
            ("set a b c ", Order::Set(bytes("a"), bytes("b c"))),
            ("set a", Order::Set(bytes("a"), bytes(""))),
            ("delete \\x00", Order::Delete(vec![0])),
            ("scan", Order::Scan(None, None)),
            ("scan a", Order::Scan(Some(bytes("a")), None)),
            ("scan a  b", Order::Scan(Some(bytes("a")), Some(bytes("b")))),
            ("commit", Order::Commit),
            ("rollback", Order::Rollback),
        ] {
            assert_eq!(parse(line), Ok(order), "{line}");
        }
        for wrong in ["get", "get a b", "set", "delete", "scan a b c", "commit now", "put a b", "get \\n"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

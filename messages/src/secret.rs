//! Messages that hold a secret: whoever prints one does not tell it.

use std::fmt;

use crate::v1::Export;

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { span, since, at, history, below, url, chain, key: _, bytes_per_second } = self;
        f.debug_struct("Export")
            .field("span", span)
            .field("since", since)
            .field("at", at)
            .field("history", history)
            .field("below", below)
            .field("url", url)
            .field("chain", chain)
            .field("bytes_per_second", bytes_per_second)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        let export =
            Export { key: vec![211; 32].into(), url: "file:///backups".to_owned(), ..Export::default() };
        let operation = crate::v1::operation::Operation::Export(export);
        let printed = format!("{operation:?}");
        assert!(
            printed.contains("file:///backups") && !printed.contains("211") && !printed.contains("\\xd3")
        );
    }
}

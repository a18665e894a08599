//! Whether a transaction is open, as the prompt shows it. The client library keeps the server's word for it to itself,
//! so it is told from what was sent and how it ended.

use super::splitter::words;

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Block {
    /// Outside of a transaction block.
    #[default]
    None,
    /// In one.
    Open,
    /// In one that has failed.
    Failed,
}

impl Block {
    /// The prompt's mark.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::None => "=",
            Self::Open => "*",
            Self::Failed => "!",
        }
    }

    /// After a statement that went well.
    #[must_use]
    pub(super) fn after(self, statement: &str) -> Self {
        let words = words(statement);
        let has = |word: &str| words.iter().any(|other| other == word);
        let pair = |a: &str, b: &str| words.windows(2).any(|pair| pair == [a, b]);
        match words.first().map(String::as_str) {
            Some("begin") => Self::Open,
            Some("start") if has("transaction") => Self::Open,
            Some("rollback") if has("to") => Self::Open,
            Some("rollback" | "commit") if has("prepared") => self,
            Some("prepare") if words.get(1).is_some_and(|word| word == "transaction") => Self::None,
            Some("commit" | "end" | "rollback" | "abort") if pair("and", "chain") => Self::Open,
            Some("commit" | "end" | "rollback" | "abort") => Self::None,
            _ => self,
        }
    }

    /// The tag of a statement that went well, where it is not what the statement asks for: a transaction that has failed
    /// is rolled back, whoever commits it.
    pub(super) fn tag(self, statement: &str) -> Option<&'static str> {
        let first = words(statement).into_iter().next().unwrap_or_default();
        (self == Self::Failed && matches!(first.as_str(), "commit" | "end")).then_some("ROLLBACK")
    }

    /// After a query string of which `done` statements went well and the next one did not.
    #[must_use]
    pub(super) fn after_failure(self, failed: Option<&String>) -> Self {
        let first = failed.and_then(|statement| words(statement).first().cloned()).unwrap_or_default();
        match self {
            Self::None => Self::None,
            // A transaction that cannot commit is over; one that had failed goes back whatever COMMIT says.
            Self::Open | Self::Failed if matches!(first.as_str(), "commit" | "end") => Self::None,
            Self::Open | Self::Failed => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_failed_is_not_said_to_be_committed() {
        assert_eq!(Block::Failed.tag("/* at last */ COMMIT and chain"), Some("ROLLBACK"));
        assert_eq!(Block::Failed.tag("end"), Some("ROLLBACK"));
        assert_eq!((Block::Failed.tag("rollback"), Block::Open.tag("commit")), (None, None));
    }

    #[test]
    fn blocks_open_fail_and_end() {
        let script = [
            ("select 1", true, "="),
            ("BEGIN isolation level serializable", true, "*"),
            ("savepoint a", true, "*"),
            ("select 1/0", false, "!"),
            ("rollback to a", true, "*"),
            ("select 1/0", false, "!"),
            ("select 1", false, "!"),
            ("commit", true, "="),
            ("start transaction", true, "*"),
            ("commit and chain", true, "*"),
            ("commit", false, "="),
            ("begin", true, "*"),
            ("/* over */ end", true, "="),
            ("select 'begin'", false, "="),
        ];
        let mut block = Block::default();
        for (statement, well, mark) in script {
            let text = statement.to_owned();
            block = if well { block.after(statement) } else { block.after_failure(Some(&text)) };
            assert_eq!(block.mark(), mark, "{statement}");
        }
    }
}

//! Where statements end: at semicolons outside of quotes, comments and parentheses' business.

/// A part of a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A statement without its semicolon.
    Statement(&'a str),
    /// A line that begins with a backslash.
    Meta(&'a str),
}

/// Takes a script apart.
///
/// # Invariants
/// - `rest` begins where the last piece ended.
pub(super) struct Splitter<'a> {
    rest: &'a str,
}

impl<'a> Splitter<'a> {
    /// Begins with the whole script.
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next statement or command; None at the end.
    pub(super) fn next_piece(&mut self) -> Option<Piece<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with('\\') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                return Some(Piece::Meta(self.take(end).trim()));
            }
            let (end, ended) = statement_end(self.rest);
            let statement = self.take(end);
            if ended {
                self.take(1);
            }
            if has_content(statement) {
                return Some(Piece::Statement(statement.trim()));
            }
        }
    }

    /// The lines that follow a COPY FROM STDIN, up to `\.` on a line of its own.
    pub(super) fn take_copy_data(&mut self) -> &'a str {
        let line_end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.take(line_end);
        let mut end = 0;
        for line in self.rest.split_inclusive('\n') {
            if line.trim_end_matches(['\n', '\r']) == "\\." {
                let data = self.take(end);
                self.take(line.len());
                return data;
            }
            end += line.len();
        }
        self.take(end)
    }

    fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

/// The statements of a query string.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut splitter = Splitter::new(text);
    let mut statements = Vec::new();
    while let Some(piece) = splitter.next_piece() {
        match piece {
            Piece::Statement(statement) | Piece::Meta(statement) => statements.push(statement.to_owned()),
        }
    }
    statements
}

/// Whether a person has finished: a command, nothing, or statements that all end.
pub(super) fn is_complete(text: &str) -> bool {
    let mut rest = text.trim();
    if rest.is_empty() || rest.starts_with('\\') {
        return true;
    }
    while has_content(rest) {
        let (end, ended) = statement_end(rest);
        if !ended {
            return false;
        }
        rest = rest.get(end + 1..).unwrap_or("");
    }
    true
}

/// Whether a statement takes the data that follows it.
pub(super) fn is_copy_from_stdin(statement: &str) -> bool {
    let words = statement.to_ascii_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    words.first() == Some(&"copy")
        && words.windows(2).any(|pair| matches!(pair, ["from", last] if last.starts_with("stdin")))
}

/// Where the first statement's semicolon stands (or the end of the text), and whether there is one.
fn statement_end(text: &str) -> (usize, bool) {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = match rest.as_bytes() {
            [b';', ..] => return (at, true),
            [b'\'', ..] => quoted(rest, '\'', is_escape_string(text, at)),
            [b'"', ..] => quoted(rest, '"', false),
            [b'-', b'-', ..] => rest.find('\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => comment(rest),
            [b'$', ..] => dollar_quoted(rest),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += skipped.max(1);
    }
    (text.len(), false)
}

/// The length of a quoted text; one that does not end goes to the end.
fn quoted(text: &str, quote: char, backslashes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if backslashes && character == '\\' {
            characters.next();
        } else if character == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return at + 1;
            }
        }
    }
    text.len() + 1
}

/// Whether the quote at `at` opens an `E'…'`.
fn is_escape_string(text: &str, at: usize) -> bool {
    let mut before = text.get(..at).unwrap_or("").chars().rev();
    matches!(before.next(), Some('e' | 'E'))
        && !before.next().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The length of a comment; comments nest.
fn comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len() + 1
}

/// The length of `$tag$…$tag$`, or of the dollar sign.
fn dollar_quoted(text: &str) -> usize {
    let Some(tag_end) = text.get(1..).and_then(|rest| rest.find('$')).map(|at| at + 2) else { return 1 };
    let tag = text.get(..tag_end).unwrap_or("");
    let name = tag.trim_matches('$');
    let is_tag = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return 1;
    }
    match text.get(tag_end..).and_then(|rest| rest.find(tag)) {
        Some(at) => tag_end + at + tag.len(),
        None => text.len() + 1,
    }
}

/// Whether there is anything but blanks and comments.
fn has_content(statement: &str) -> bool {
    let mut rest = statement.trim_start();
    loop {
        let skipped = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest).min(rest.len())
        } else {
            return !rest.is_empty();
        };
        rest = rest.get(skipped..).unwrap_or("").trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_end_a_statement() {
        let script =
            "SELECT ';', \"a;b\" -- c;\n; SELECT $$x;y$$, $t$;$t$ /* ; /* ; */ */; SELECT E'\\';' ; ; -- end";
        assert_eq!(
            split(script),
            ["SELECT ';', \"a;b\" -- c;", "SELECT $$x;y$$, $t$;$t$ /* ; /* ; */ */", "SELECT E'\\';'"]
        );
    }

    #[test]
    fn parameters_are_no_dollar_quotes() {
        assert_eq!(split("SELECT $1; SELECT $2"), ["SELECT $1", "SELECT $2"]);
    }

    #[test]
    fn a_person_has_finished_when_every_statement_has() {
        for done in ["", "\\dt", "SELECT 1;", "SELECT 1; -- x", "SELECT 1; SELECT ';';"] {
            assert!(is_complete(done), "{done}");
        }
        for open in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "SELECT 1 /* ;", "SELECT $$;"] {
            assert!(!is_complete(open), "{open}");
        }
    }

    #[test]
    fn copy_data_is_taken_up_to_its_end() {
        let mut splitter = Splitter::new("COPY t FROM stdin;\n1\ta;\n2\tb\n\\.\nSELECT 1;");
        assert_eq!(splitter.next_piece(), Some(Piece::Statement("COPY t FROM stdin")));
        assert_eq!(splitter.take_copy_data(), "1\ta;\n2\tb\n");
        assert_eq!(splitter.next_piece(), Some(Piece::Statement("SELECT 1")));
        assert!(is_copy_from_stdin("copy t (a) from STDIN with (freeze on)"));
        assert!(!is_copy_from_stdin("copy t to stdout"));
    }
}

//! Where statements end: at semicolons, or at a command, outside of quotes, comments and parentheses.

use super::lexer::{Token, token};

/// A part of a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A statement without its semicolon.
    Statement(&'a str),
    /// What stands before a command on the way to a statement's end, or before the end of the text.
    Open(&'a str),
    /// A command: from its backslash to the end of the line.
    Command(&'a str),
}

/// Takes a script apart.
///
/// # Invariants
/// - `rest` begins where the last piece ended.
pub(super) struct Splitter<'a> {
    rest: &'a str,
}

/// What a statement ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Semicolon,
    Backslash,
    Text,
    /// The end of the text, within a quote, a comment or parentheses.
    Within,
}

impl<'a> Splitter<'a> {
    /// Begins with the whole script.
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next piece; None at the end.
    pub(super) fn next_piece(&mut self) -> Option<Piece<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with('\\') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                return Some(Piece::Command(self.take(end).trim()));
            }
            let (at, end) = statement_end(self.rest);
            let statement = self.take(at).trim();
            if end == End::Semicolon {
                self.take(1);
            }
            if has_content(statement) {
                return Some(match end {
                    End::Semicolon => Piece::Statement(statement),
                    End::Backslash | End::Text | End::Within => Piece::Open(statement),
                });
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
            Piece::Statement(text) | Piece::Open(text) | Piece::Command(text) => {
                statements.push(text.to_owned());
            }
        }
    }
    statements
}

/// Whether a person has finished: a command, nothing, or statements that all end. `before` is what is open already.
pub(super) fn is_complete(before: &str, text: &str) -> bool {
    if before.is_empty() && (text.trim().is_empty() || bare_word(text).is_some()) {
        return true;
    }
    let whole = format!("{before}\n{text}");
    let mut rest = whole.trim();
    while has_content(rest) {
        if rest.starts_with('\\') {
            return true;
        }
        let (at, end) = statement_end(rest);
        match end {
            End::Semicolon => rest = rest.get(at + 1..).unwrap_or("").trim_start(),
            End::Backslash => return true,
            End::Text | End::Within => return false,
        }
    }
    true
}

/// `help`, `exit` or `quit` alone, which people enter in all innocence.
pub(super) fn bare_word(text: &str) -> Option<&'static str> {
    let word = text.trim().trim_end_matches(';').trim_end();
    let known = [("help", "\\?"), ("exit", "\\q"), ("quit", "\\q")];
    known.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, command)| command)
}

/// Whether a statement takes the data that follows it.
pub(super) fn is_copy_from_stdin(statement: &str) -> bool {
    is_copy(statement, "from", "stdin")
}

/// Whether a statement answers with data.
pub(super) fn is_copy_to_stdout(statement: &str) -> bool {
    is_copy(statement, "to", "stdout")
}

fn is_copy(statement: &str, direction: &str, what: &str) -> bool {
    let words = words(statement);
    words.first().is_some_and(|word| word == "copy")
        && words.windows(2).any(|pair| matches!(pair, [first, last] if first == direction && last == what))
}

/// The words of a statement in small letters, without what quotes and comments hold.
pub(super) fn words(statement: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some((kind, length, _)) = token(statement, at) {
        if kind == Token::Word {
            words.push(statement.get(at..at + length).unwrap_or("").to_lowercase());
        }
        at += length;
    }
    words
}

/// What the next line begins within, as psql's prompt marks it: a quote, a comment, parentheses, or a statement alone.
pub(super) fn open_mark(text: &str) -> &'static str {
    let (mut at, mut depth) = (0, 0usize);
    while let Some((kind, length, ended)) = token(text, at) {
        let first = text.as_bytes().get(at);
        match (kind, first) {
            (Token::Comment, _) if !ended => return "*",
            (Token::Name, _) if !ended => return "\"",
            (Token::Text, Some(b'$')) if !ended => return "$",
            (Token::Text, _) if !ended => return "'",
            (Token::Sign, Some(b'(')) => depth += 1,
            (Token::Sign, Some(b')')) => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += length;
    }
    if depth > 0 { "(" } else { "-" }
}

/// The body of a function that stands in no quotes: `CREATE [OR REPLACE] FUNCTION … BEGIN ATOMIC …; END`.
#[derive(Default)]
struct Body {
    /// The statement's first words.
    first: Vec<String>,
    /// How many ENDs have yet to come.
    depth: usize,
}

impl Body {
    /// A word outside of parentheses.
    fn note(&mut self, word: &str) {
        let word = word.to_lowercase();
        let first: Vec<&str> = self.first.iter().map(String::as_str).collect();
        let makes_one = matches!(
            first.as_slice(),
            ["create", "function" | "procedure", ..] | ["create", "or", "replace", "function" | "procedure"]
        );
        match word.as_str() {
            "begin" if makes_one => self.depth += 1,
            "case" if self.depth > 0 => self.depth += 1,
            "end" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.first.len() < 4 {
            self.first.push(word);
        }
    }
}

/// Where the first statement ends, and how.
fn statement_end(text: &str) -> (usize, End) {
    let mut at = 0;
    let mut depth = 0usize;
    let mut body = Body::default();
    while let Some((kind, length, ended)) = token(text, at) {
        if !ended {
            return (text.len(), End::Within);
        }
        match (kind, text.as_bytes().get(at)) {
            (Token::Word, _) if depth == 0 => body.note(text.get(at..at + length).unwrap_or("")),
            (Token::Sign, Some(b';')) if depth == 0 && body.depth == 0 => return (at, End::Semicolon),
            (Token::Sign, Some(b'\\')) => return (at, End::Backslash),
            (Token::Sign, Some(b'(')) => depth += 1,
            (Token::Sign, Some(b')')) => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += length;
    }
    (text.len(), if depth == 0 { End::Text } else { End::Within })
}

/// Whether there is anything but blanks and comments.
fn has_content(statement: &str) -> bool {
    let mut at = 0;
    while let Some((kind, length, _)) = token(statement, at) {
        let piece = statement.get(at..at + length).unwrap_or("");
        if kind != Token::Comment && !piece.trim().is_empty() {
            return true;
        }
        at += length;
    }
    false
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
    fn a_rule_in_parentheses_is_one_statement() {
        assert_eq!(split("CREATE RULE r AS DO (a; b); c"), ["CREATE RULE r AS DO (a; b)", "c"]);
    }

    #[test]
    fn a_function_is_one_statement_whatever_stands_in_it() {
        let one = "create or replace function f(n int) returns int begin atomic select case when n > 0 then 1 end; end";
        assert_eq!(split(&format!("{one}; begin; end")), [one, "begin", "end"]);
        assert!(!is_complete("", "create function f() returns int begin atomic select 1;"));
    }

    #[test]
    fn the_mark_says_within_what_the_next_line_is() {
        for (text, mark) in [
            ("select 1", "-"),
            ("select 'a", "'"),
            ("select \"a", "\""),
            ("select $f$ ' ", "$"),
            ("select /* 'x", "*"),
            ("select (1, ')'", "("),
            ("select (1) -- (", "-"),
        ] {
            assert_eq!(open_mark(text), mark, "{text}");
        }
    }

    #[test]
    fn commands_stand_by_themselves_or_behind_an_open_statement() {
        let mut splitter = Splitter::new("\\dt\nSELECT '\\x' \\gx\nSELECT 2;\\q");
        let mut pieces = Vec::new();
        while let Some(piece) = splitter.next_piece() {
            pieces.push(piece);
        }
        let expected = [
            Piece::Command("\\dt"),
            Piece::Open("SELECT '\\x'"),
            Piece::Command("\\gx"),
            Piece::Statement("SELECT 2"),
            Piece::Command("\\q"),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_person_has_finished_when_every_statement_has() {
        let finished =
            ["", "\\dt", "SELECT 1;", "SELECT 1; -- x", "SELECT 1; SELECT ';';", "SELECT 1 \\gx", "quit"];
        for done in finished {
            assert!(is_complete("", done), "{done}");
        }
        for open in
            ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "SELECT 1 /* ;", "SELECT $$;", "SELECT (1;"]
        {
            assert!(!is_complete("", open), "{open}");
        }
        assert!(is_complete("SELECT '", "';"));
        assert!(!is_complete("SELECT", "help"));
    }

    #[test]
    fn copy_data_is_taken_up_to_its_end() {
        let mut splitter = Splitter::new("COPY t FROM stdin;\n1\ta;\n2\tb\n\\.\nSELECT 1;");
        assert_eq!(splitter.next_piece(), Some(Piece::Statement("COPY t FROM stdin")));
        assert_eq!(splitter.take_copy_data(), "1\ta;\n2\tb\n");
        assert_eq!(splitter.next_piece(), Some(Piece::Statement("SELECT 1")));
        assert!(is_copy_from_stdin("copy t (a) from STDIN with (freeze on)"));
        assert!(!is_copy_from_stdin("copy t to stdout"));
        assert!(is_copy_to_stdout("/* all */ copy (select 'from stdin') to stdout(format csv)"));
    }
}

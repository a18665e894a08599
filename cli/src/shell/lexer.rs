//! The tokens of SQL, as far as the shell must tell them apart: what quotes and comments hold is nobody's business.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A word: a keyword or a name without quotes.
    Word,
    /// A quoted text.
    Text,
    /// A quoted name.
    Name,
    /// A comment.
    Comment,
    /// One other character.
    Sign,
}

/// The token at `at`: what it is, how many bytes it takes, and whether it ends. None at the end of the text.
pub(super) fn token(text: &str, at: usize) -> Option<(Token, usize, bool)> {
    let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
    let (token, length) = match rest.as_bytes() {
        [b'\'', ..] => (Token::Text, quoted(rest, '\'', is_escape_string(text, at))),
        [b'"', ..] => (Token::Name, quoted(rest, '"', false)),
        [b'-', b'-', ..] => (Token::Comment, Some(rest.find('\n').unwrap_or(rest.len()))),
        [b'/', b'*', ..] => (Token::Comment, comment(rest)),
        [b'$', ..] => match dollar_quoted(rest) {
            Some(1) => (Token::Sign, Some(1)),
            length => (Token::Text, length),
        },
        // A name may hold dollar signs, if it does not begin with one.
        _ => match rest.find(|c: char| !is_word(c) && c != '$').unwrap_or(rest.len()) {
            0 => (Token::Sign, rest.chars().next().map(char::len_utf8)),
            length => (Token::Word, Some(length)),
        },
    };
    Some((token, length.unwrap_or(rest.len()).max(1), length.is_some()))
}

/// Whether a name without quotes may hold it.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace())
}

/// The length of a quoted text; None: it does not end.
fn quoted(text: &str, quote: char, backslashes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if backslashes && character == '\\' {
            characters.next();
        } else if character == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Whether the quote at `at` opens an `E'…'`.
fn is_escape_string(text: &str, at: usize) -> bool {
    let mut before = text.get(..at).unwrap_or("").chars().rev();
    matches!(before.next(), Some('e' | 'E')) && !before.next().is_some_and(is_word)
}

/// The length of a comment; comments nest. None: it does not end.
fn comment(text: &str) -> Option<usize> {
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
                return Some(at);
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// The length of `$tag$…$tag$`, or of the dollar sign. None: it does not end.
fn dollar_quoted(text: &str) -> Option<usize> {
    let Some(tag_end) = text.get(1..).and_then(|rest| rest.find('$')).map(|at| at + 2) else {
        return Some(1);
    };
    let tag = text.get(..tag_end).unwrap_or("");
    let name = tag.trim_matches('$');
    if !name.chars().all(is_word) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(1);
    }
    let end = text.get(tag_end..).and_then(|rest| rest.find(tag))?;
    Some(tag_end + end + tag.len())
}

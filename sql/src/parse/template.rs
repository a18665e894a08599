//! A statement's text with its literals taken out: what all runs of it have in common, whatever it is.
//!
//! ```text
//! select 'a', b from t where c = $1 and d in (1, 2)   ─▶   select $2, b from t where c = $1 and d in ($3, $4)
//! ```
//!
//! Only tokens are looked at. Unlike [`super::Normalised`], the result is to be read, never run.

use std::hash::{DefaultHasher, Hasher as _};

use super::lexer::{Kind, Lexer, Token};

/// What is known of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// The beginning of its text.
    pub(crate) beginning: String,
    /// The same wherever the whole text is the same.
    pub(crate) hash: u64,
}

/// The text with `$n` for each literal, numbered behind the parameters that it has, and without what stands around it. So
/// many bytes of it are kept, however long it is.
pub(crate) fn template(text: &str, bytes_max: usize) -> Template {
    let text = text.trim().trim_end_matches(';').trim_end();
    let mut number = if text.contains('$') { last_parameter(text) } else { 0 };
    let (mut hasher, mut beginning, mut is_whole) = (DefaultHasher::new(), String::new(), true);
    let mut take = |piece: &str| {
        hasher.write(piece.as_bytes());
        if is_whole {
            let mut end = piece.len().min(bytes_max.saturating_sub(beginning.len()));
            is_whole = end == piece.len();
            while !piece.is_char_boundary(end) {
                end = end.saturating_sub(1);
            }
            beginning.push_str(piece.get(..end).unwrap_or_default());
        }
    };
    let mut lexer = Lexer::new(text);
    let mut taken = 0;
    let end = loop {
        let token = lexer.token();
        match token.kind {
            Kind::End => break text.len(),
            // Nobody knows what would be taken out of the rest.
            Kind::Broken => break token.start,
            Kind::Number | Kind::String | Kind::Bits => {
                number = number.saturating_add(1);
                take(text.get(taken..token.start).unwrap_or_default());
                take(&format!("${number}"));
                taken = token.end();
            }
            _ => {}
        }
    };
    take(text.get(taken..end).unwrap_or_default());
    Template { beginning, hash: hasher.finish() }
}

/// The text of a statement that was understood, without literals and comments: `$n` stands for each literal.
pub(crate) fn redacted(text: &str, bytes_max: usize) -> String {
    let mut number = last_parameter(text);
    pieces(text, bytes_max, |token| match token.kind {
        Kind::Number | Kind::String | Kind::Bits => {
            number = number.saturating_add(1);
            format!("${number}")
        }
        _ => token.text.to_owned(),
    })
}

/// What of a text may be told that is no SQL: its keywords and punctuation. Whatever else it holds may be a password that
/// stands where none should.
pub(crate) fn keywords_alone(text: &str, bytes_max: usize) -> String {
    pieces(text, bytes_max, |token| match token.kind {
        Kind::Symbol | Kind::Operator => token.text.to_owned(),
        Kind::Word if !token.keyword.is_empty() => token.keyword.to_owned(),
        _ => "…".to_owned(),
    })
}

/// What a statement begins with, in capitals: one keyword, or two of a definition.
pub(crate) fn first_words(text: &str) -> String {
    let mut lexer = Lexer::new(text);
    let (first, second) = (lexer.token().keyword, lexer.token().keyword);
    match first {
        "create" | "alter" | "drop" | "comment" | "refresh" | "set" | "reset" if !second.is_empty() => {
            format!("{first} {second}").to_uppercase()
        }
        _ => first.to_uppercase(),
    }
}

/// A text token by token, as `shown` shows each, a space where there was anything between two. It ends where a string may end
/// elsewhere if backslashes mean something in it: what follows may be part of it.
fn pieces(text: &str, bytes_max: usize, mut shown: impl FnMut(&Token<'_>) -> String) -> String {
    let (mut lexer, mut pieces, mut end) = (Lexer::new(text), String::new(), 0);
    loop {
        let token = lexer.token();
        if token.kind == Kind::End {
            return pieces;
        }
        let piece = if token.kind == Kind::Broken { "…".to_owned() } else { shown(&token) };
        if pieces.len().saturating_add(piece.len()) >= bytes_max || token.kind == Kind::Broken {
            pieces.push('…');
            return pieces;
        }
        if end > 0 && token.start > end {
            pieces.push(' ');
        }
        pieces.push_str(&piece);
        if token.kind == Kind::String
            && token.text.starts_with(['\'', 'n', 'N'])
            && token.text.contains("\\'")
        {
            pieces.push('…');
            return pieces;
        }
        end = token.end();
    }
}

/// The highest number of a parameter.
fn last_parameter(text: &str) -> u32 {
    let (mut lexer, mut last) = (Lexer::new(text), 0);
    loop {
        let token = lexer.token();
        match token.kind {
            Kind::End | Kind::Broken => return last,
            Kind::Parameter => last = last.max(token.text.trim_start_matches('$').parse().unwrap_or(0)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    fn template(text: &str) -> String {
        super::template(text, usize::MAX).beginning
    }

    #[test]
    fn literals_are_taken_out_and_nothing_else() {
        assert_eq!(
            template(" select 'a''b', b1 from \"t 1\" where c = $2 and d in (1, 2.5e3) -- 7\n;"),
            "select $3, b1 from \"t 1\" where c = $2 and d in ($4, $5) -- 7"
        );
        assert_eq!(template("alter role a password 'secret'"), "alter role a password $1");
        assert_eq!(template("select $$x$$, E'\\'', b'1'"), "select $1, $2, $3");
        assert_eq!(template(""), "");
        assert_eq!(template("select 1, 'x"), "select $1, ");
    }

    #[test]
    fn what_is_told_of_a_text_holds_neither_literals_nor_comments() {
        let redacted = |text: &str| super::redacted(text, usize::MAX);
        assert_eq!(
            redacted("  select 'a''b', b1 /* x */ from \"t 1\" -- y\n where c=$2 and d in (1,2.5e3) "),
            "select $3, b1 from \"t 1\" where c=$2 and d in ($4,$5)"
        );
        assert_eq!(redacted("select 'it\\'s secret'"), "select $1…");
        assert_eq!(redacted("select $q$x$q$, E'\\'', U&'x', x'1f'"), "select $1, $2, $3, $4");
        let alone = |text: &str| super::keywords_alone(text, usize::MAX);
        assert_eq!(alone("alter role Ann PASSWORD secret"), "alter role … password …");
        assert_eq!(alone("selekt a, \"b\" from 'c"), "… …, … from…");
        assert_eq!(super::redacted("select abcdefgh", 10), "select…");
        assert_eq!(super::first_words(" /* a */ create Unique index"), "CREATE UNIQUE");
        assert_eq!(super::first_words("frobnicate 'x'"), "");
        assert_eq!(super::first_words("select a from t"), "SELECT");
    }

    #[test]
    fn of_long_texts_the_beginning_is_kept_and_all_counts() {
        let long = |behind: &str| super::template(&format!("select 1, 'é', {behind}"), 10);
        let (one, other) = (long("2"), long("3, 4"));
        assert_eq!((one.beginning.as_str(), other.beginning.as_str()), ("select $1,", "select $1,"));
        assert_ne!(one.hash, other.hash);
        assert_eq!(one, long("5"));
        // A letter is not cut in two, and nothing stands behind the gap.
        assert_eq!(super::template("select é, 1", 8).beginning, "select ");
    }
}

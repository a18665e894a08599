//! A statement's text with its literals taken out: what all runs of it have in common, whatever it is.
//!
//! ```text
//! select 'a', b from t where c = $1 and d in (1, 2)   ─▶   select $2, b from t where c = $1 and d in ($3, $4)
//! ```
//!
//! Only tokens are looked at. Unlike [`super::Normalised`], the result is to be read, never run.

use std::hash::{DefaultHasher, Hasher as _};

use super::lexer::{Kind, Lexer};

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

//! Variables of the shell: `\set NAME VALUE`, and `:NAME`, `:'NAME'`, `:"NAME"` in statements.

use std::collections::BTreeMap;

use super::lexer::{Token, is_word, token};

/// Bytes that all values together may take.
const BYTES_MAX: usize = 16 << 20;

/// The variables by name.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// Sets one. False: there is no room.
    pub(super) fn set(&mut self, name: &str, value: String) -> bool {
        let held: usize = self.values.values().map(String::len).sum();
        let fits = held + value.len() <= BYTES_MAX;
        if fits {
            self.values.insert(name.to_owned(), value);
        }
        fits
    }

    /// Forgets one.
    pub(super) fn unset(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether it is on: `default` where it is not set.
    pub(super) fn is_on(&self, name: &str, default: bool) -> bool {
        self.get(name).map_or(default, |value| !matches!(value, "off" | "0" | "false" | "no"))
    }

    /// All of them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.values.iter()
    }

    /// Whether a name may stand behind a colon.
    pub(super) fn is_name(name: &str) -> bool {
        !name.is_empty() && name.chars().all(is_word)
    }

    /// A statement with values in the place of variables. What is no variable's name stays as it is, as in `a[1:n]`.
    pub(super) fn substitute(&self, text: &str) -> String {
        if self.values.is_empty() {
            return text.to_owned();
        }
        let mut result = String::with_capacity(text.len());
        let mut at = 0;
        while let Some((kind, length, _)) = token(text, at) {
            let piece = text.get(at..at + length).unwrap_or("");
            at += length;
            if kind == Token::Sign && piece == ":" {
                // `::` is a cast, `:=` names an argument.
                if text.get(at..).is_some_and(|rest| rest.starts_with(':')) {
                    result.push_str("::");
                    at += 1;
                    continue;
                }
                if let Some((value, length)) = self.named(text, at) {
                    result.push_str(&value);
                    at += length;
                    continue;
                }
            }
            result.push_str(piece);
        }
        result
    }

    /// The value for what stands at `at`, behind a colon, and how long that is.
    pub(super) fn named(&self, text: &str, at: usize) -> Option<(String, usize)> {
        let (kind, length, ended) = token(text, at)?;
        let piece = text.get(at..at + length)?;
        let inner = piece.get(1..length.checked_sub(1)?.max(1)).unwrap_or("");
        let value = match kind {
            Token::Word => self.get(piece)?.to_owned(),
            Token::Text if ended && piece.starts_with('\'') => literal(self.get(inner)?),
            Token::Name if ended => quoted_name(self.get(inner)?),
            _ => return None,
        };
        Some((value, length))
    }
}

/// A text as SQL has it.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A name as SQL has it, in quotes.
pub(super) fn quoted_name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_their_values_outside_of_quotes() {
        let mut variables = Variables::default();
        assert!(variables.set("n", "7".to_owned()));
        assert!(variables.set("who", "o'hara".to_owned()));
        let text = "select :n, :'who', :\"who\", ':n', a[1:n], 1::n, $$:n$$, :none -- :n";
        let expected = "select 7, 'o''hara', \"o'hara\", ':n', a[17], 1::n, $$:n$$, :none -- :n";
        assert_eq!(variables.substitute(text), expected);
        assert!(variables.set("w", "a\\b".to_owned()));
        assert_eq!(variables.substitute("select :'w'"), "select  E'a\\\\b'");
    }

    #[test]
    fn values_are_bounded() {
        let mut variables = Variables::default();
        assert!(!variables.set("n", "x".repeat(BYTES_MAX + 1)));
        assert_eq!(variables.get("n"), None);
    }
}

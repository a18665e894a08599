//! The query string as tokens that know their places.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::error::{Error, Result};

/// Operators and keywords that lengthen a chain of operations, in one place between parentheses and commas: as deep
/// would the tree be that the grammar makes of them.
const CHAIN_MAX: usize = 2000;
/// Parentheses, brackets and CASEs within each other.
const NESTING_MAX: usize = 64;

/// A query string.
pub(super) struct Source<'a> {
    sql: &'a str,
    /// Byte offset of each character; empty if the string is ASCII and they are the same.
    bytes: Vec<usize>,
    /// The character (from 0) that each line begins with.
    lines: Vec<usize>,
    /// All tokens but white space and comments.
    pub(super) tokens: Vec<Placed>,
}

/// A token and its place.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) token: TokenWithSpan,
    /// Characters from 1.
    pub(super) at: usize,
    /// The first byte, from 0.
    pub(super) start: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(sql: &'a str) -> Result<Self> {
        let bytes =
            if sql.is_ascii() { Vec::new() } else { sql.char_indices().map(|(byte, _)| byte).collect() };
        let newlines = sql.chars().enumerate().filter(|(_, c)| *c == '\n');
        let lines = std::iter::once(0).chain(newlines.map(|(place, _)| place.saturating_add(1))).collect();
        let mut source = Self { sql, bytes, lines, tokens: Vec::new() };
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
            .tokenize_with_location()
            .map_err(|error| source.lexical_error(&error.message, error.location))?;
        source.tokens = tokens
            .into_iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
            .map(|token| {
                let at = source.at(token.span.start);
                Placed { at, start: source.byte(at), token }
            })
            .collect();
        source.check_depth()?;
        Ok(source)
    }

    /// The place, in characters from 1, of a location; the string's end for the empty one.
    pub(super) fn at(&self, location: Location) -> usize {
        let line = usize::try_from(location.line).unwrap_or(usize::MAX).checked_sub(1);
        let column = usize::try_from(location.column).unwrap_or(usize::MAX);
        match line.and_then(|line| self.lines.get(line)) {
            Some(start) => start.saturating_add(column),
            None => self.end(),
        }
    }

    /// The place behind the last character.
    fn end(&self) -> usize {
        let characters = if self.bytes.is_empty() { self.sql.len() } else { self.bytes.len() };
        characters.saturating_add(1)
    }

    /// The byte offset of a place.
    fn byte(&self, at: usize) -> usize {
        let character = at.saturating_sub(1);
        if self.bytes.is_empty() {
            return character.min(self.sql.len());
        }
        self.bytes.get(character).copied().unwrap_or(self.sql.len())
    }

    /// The text from one token up to, not including, another, without white space around it.
    pub(super) fn text(&self, from: usize, to: usize) -> &'a str {
        let start = self.tokens.get(from).map_or(self.sql.len(), |token| token.start);
        let end = self.tokens.get(to).map_or(self.sql.len(), |token| token.start);
        self.sql.get(start..end).unwrap_or_default().trim()
    }

    /// The place of the token that stands `count` tokens before the one at `at`.
    pub(super) fn before(&self, at: usize, count: usize) -> usize {
        let place = self.tokens.partition_point(|token| token.at < at);
        place.checked_sub(count).and_then(|place| self.tokens.get(place)).map_or(at, |token| token.at)
    }

    /// The place of the token behind the one at `at`.
    pub(super) fn after(&self, at: usize) -> usize {
        let place = self.tokens.partition_point(|token| token.at <= at);
        self.tokens.get(place).map_or(at, |token| token.at)
    }

    /// The place of the word before the nearest parenthesis that opens before `at`: a call by its first argument.
    pub(super) fn call_before(&self, at: usize) -> usize {
        let place = self.tokens.partition_point(|token| token.at < at);
        let before = self.tokens.get(..place).unwrap_or_default();
        let opening = before.iter().rposition(|token| token.token.token == Token::LParen);
        let word = opening.and_then(|place| place.checked_sub(1)).and_then(|place| self.tokens.get(place));
        word.map_or(at, |token| token.at)
    }

    /// The place of the `::` that follows the operand at `at`, behind as many others of its own.
    pub(super) fn cast_after(&self, at: usize, others: usize) -> usize {
        let place = self.tokens.partition_point(|token| token.at < at);
        let mut depth = 0_usize;
        let casts = self.tokens.get(place..).unwrap_or_default().iter().filter(|placed| {
            match placed.token.token {
                Token::LParen | Token::LBracket => depth = depth.saturating_add(1),
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && placed.token.token == Token::DoubleColon
        });
        casts.map(|placed| placed.at).nth(others).unwrap_or(at)
    }

    /// The place of the first token of a sequence of words and symbols, in lower case.
    pub(super) fn sequence(&self, words: &[&str]) -> usize {
        self.sequence_from(0, words)
    }

    /// The same from the place `at` on.
    pub(super) fn sequence_from(&self, at: usize, words: &[&str]) -> usize {
        let texts = |placed: &[Placed]| {
            placed
                .iter()
                .zip(words)
                .all(|(placed, word)| placed.token.token.to_string().to_lowercase() == *word)
        };
        let mut windows =
            self.tokens.windows(words.len()).filter(|window| window.first().is_some_and(|t| t.at >= at));
        windows.find(|window| texts(window)).and_then(|window| window.first()).map_or(at, |token| token.at)
    }

    /// `syntax error at or near "x"` where token `place` stands, or at the end of the input.
    pub(super) fn syntax_error(&self, place: usize) -> Error {
        let Some(token) = self.tokens.get(place) else {
            return Error::new("42601", "syntax error at end of input").at(self.end());
        };
        let text = self.token_text(place);
        Error::new("42601", format!("syntax error at or near \"{text}\"")).at(token.at)
    }

    /// The text of a token as it was written.
    pub(super) fn token_text(&self, place: usize) -> &'a str {
        let Some(token) = self.tokens.get(place) else { return "" };
        let end = self.byte(self.at(token.token.span.end));
        self.sql.get(token.start..end).unwrap_or_default().trim()
    }

    /// The parser's message ends with the location of what it did not expect.
    pub(super) fn parser_error(&self, message: &str) -> Error {
        let located = message.rsplit_once(" at Line: ").and_then(|(_, location)| {
            let (line, column) = location.split_once(", Column: ")?;
            Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
        });
        match located {
            Some(location) => {
                let at = self.at(location);
                self.syntax_error(self.tokens.partition_point(|token| token.at < at))
            }
            None if message.contains("EOF") => self.syntax_error(usize::MAX),
            None => Error::new("42601", format!("syntax error: {message}")),
        }
    }

    fn lexical_error(&self, message: &str, location: Location) -> Error {
        let at = self.at(location);
        let rest = self.sql.get(self.byte(at)..).unwrap_or_default();
        let what = if message.starts_with("Unterminated string") {
            "unterminated quoted string"
        } else if message.starts_with("Unterminated dollar") {
            "unterminated dollar-quoted string"
        } else if message.starts_with("Expected close delimiter") {
            "unterminated quoted identifier"
        } else if message.contains("comment") {
            "unterminated /* comment"
        } else {
            return Error::new("42601", format!("syntax error: {message}")).at(at);
        };
        Error::new("42601", format!("{what} at or near \"{rest}\"")).at(at)
    }

    /// Refuses what would make a tree so deep that walking it exhausts the stack.
    fn check_depth(&self) -> Result<()> {
        let mut chains = vec![0_usize];
        for placed in &self.tokens {
            let nesting = chains.len();
            match (&placed.token.token, chains.last_mut()) {
                (Token::LParen | Token::LBracket, _) => chains.push(0),
                (Token::RParen | Token::RBracket, _) if nesting > 1 => {
                    chains.pop();
                }
                (Token::Comma | Token::SemiColon, Some(chain)) => *chain = 0,
                (token, Some(chain)) if lengthens(token) => *chain = chain.saturating_add(1),
                _ => {}
            }
            if chains.len() > NESTING_MAX || chains.last().is_some_and(|chain| *chain > CHAIN_MAX) {
                return Err(too_deep().at(placed.at));
            }
        }
        Ok(())
    }
}

/// 54001: the statement is nested more deeply than the stack allows for.
pub(super) fn too_deep() -> Error {
    Error::new("54001", "stack depth limit exceeded")
        .detail("The statement nests expressions, queries or operators too deeply.")
}

fn lengthens(token: &Token) -> bool {
    match token {
        Token::Word(word) if word.quote_style.is_none() => {
            const LENGTHENING: [&str; 13] = [
                "and",
                "or",
                "not",
                "is",
                "in",
                "like",
                "ilike",
                "between",
                "case",
                "join",
                "union",
                "intersect",
                "except",
            ];
            LENGTHENING.iter().any(|keyword| word.value.eq_ignore_ascii_case(keyword))
        }
        Token::Word(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::Placeholder(_)
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::LBracket => false,
        _ => true,
    }
}

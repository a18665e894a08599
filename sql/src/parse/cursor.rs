//! A place among the tokens of a statement, for what is parsed by hand.

use sqlparser::tokenizer::Token;

use super::ast::{Name, QualifiedName};
use super::source::Source;
use crate::error::{Error, Result};

/// Longest name in bytes; what is longer is cut off, as PostgreSQL does.
const NAME_BYTES_MAX: usize = 63;

/// Reads tokens from `next` up to `end`.
pub(super) struct Cursor<'s, 'a> {
    pub(super) source: &'s Source<'a>,
    pub(super) next: usize,
    pub(super) end: usize,
}

impl<'s, 'a> Cursor<'s, 'a> {
    pub(super) fn new(source: &'s Source<'a>, next: usize, end: usize) -> Self {
        Self { source, next, end }
    }

    /// The next token.
    pub(super) fn peek(&self) -> Option<&'s Token> {
        self.peek_at(0)
    }

    /// The token `ahead` of the next.
    pub(super) fn peek_at(&self, ahead: usize) -> Option<&'s Token> {
        let place = self.next.saturating_add(ahead);
        if place >= self.end {
            return None;
        }
        self.source.tokens.get(place).map(|placed| &placed.token.token)
    }

    /// Where the next token stands.
    pub(super) fn at(&self) -> usize {
        self.source.tokens.get(self.next).map_or(0, |placed| placed.at)
    }

    /// The next token if it is an unquoted word, in lower case.
    pub(super) fn word(&self) -> Option<String> {
        self.word_at(0)
    }

    /// The same, `ahead` of the next.
    pub(super) fn word_at(&self, ahead: usize) -> Option<String> {
        match self.peek_at(ahead)? {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// Moves past one token.
    pub(super) fn advance(&mut self) {
        self.next = self.next.saturating_add(1);
    }

    /// Whether all tokens are read.
    pub(super) fn is_at_end(&self) -> bool {
        self.next >= self.end
    }

    /// Reads the keyword if it is next.
    pub(super) fn accept(&mut self, keyword: &str) -> bool {
        let accepted = self.word().is_some_and(|word| word == keyword);
        if accepted {
            self.advance();
        }
        accepted
    }

    /// Reads the keywords if they are next, all of them.
    pub(super) fn accept_all(&mut self, keywords: &[&str]) -> bool {
        let accepted = keywords
            .iter()
            .enumerate()
            .all(|(ahead, keyword)| self.word_at(ahead).is_some_and(|word| word == *keyword));
        if accepted {
            self.next = self.next.saturating_add(keywords.len());
        }
        accepted
    }

    /// Reads the keyword.
    pub(super) fn expect(&mut self, keyword: &str) -> Result<()> {
        if self.accept(keyword) { Ok(()) } else { Err(self.error()) }
    }

    /// Reads the token if it is next.
    pub(super) fn accept_token(&mut self, token: &Token) -> bool {
        let accepted = self.peek() == Some(token);
        if accepted {
            self.advance();
        }
        accepted
    }

    /// Reads the token.
    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.accept_token(token) { Ok(()) } else { Err(self.error()) }
    }

    /// All tokens have to be read now.
    pub(super) fn finish(&self) -> Result<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.error()) }
    }

    /// A syntax error at the next token.
    pub(super) fn error(&self) -> Error {
        let place =
            if self.is_at_end() && self.end >= self.source.tokens.len() { usize::MAX } else { self.next };
        self.source.syntax_error(place)
    }

    /// Reads a name.
    pub(super) fn name(&mut self) -> Result<Name> {
        let at = self.at();
        let Some(Token::Word(word)) = self.peek() else { return Err(self.error()) };
        let value = fold(&word.value, word.quote_style.is_some());
        self.advance();
        Ok(Name { value, at })
    }

    /// Reads a name that may be qualified.
    pub(super) fn qualified_name(&mut self) -> Result<QualifiedName> {
        let first = self.name()?;
        if !self.accept_token(&Token::Period) {
            return Ok(QualifiedName { schema: None, name: first });
        }
        let name = self.name()?;
        if self.peek() == Some(&Token::Period) {
            return Err(Error::unsupported("a table name with a database").at(first.at));
        }
        Ok(QualifiedName { schema: Some(first), name })
    }

    /// Reads names between parentheses.
    pub(super) fn name_list(&mut self) -> Result<Vec<Name>> {
        self.expect_token(&Token::LParen)?;
        let mut names = vec![self.name()?];
        while self.accept_token(&Token::Comma) {
            names.push(self.name()?);
        }
        self.expect_token(&Token::RParen)?;
        Ok(names)
    }

    /// Reads a string if one is next.
    pub(super) fn string(&mut self) -> Option<String> {
        let text = match self.peek()? {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
            Token::DollarQuotedString(text) => text.value.clone(),
            _ => return None,
        };
        self.advance();
        Some(text)
    }

    /// The place of the parenthesis that closes the one that is next.
    pub(super) fn closing(&self) -> Result<usize> {
        let mut depth = 0_usize;
        for place in self.next..self.end {
            match self.source.tokens.get(place).map(|placed| &placed.token.token) {
                Some(Token::LParen) => depth = depth.saturating_add(1),
                Some(Token::RParen) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(place);
                    }
                }
                _ => {}
            }
        }
        Err(self.source.syntax_error(usize::MAX))
    }
}

/// A name as it is stored: in lower case unless it was quoted, at most 63 bytes.
pub(super) fn fold(name: &str, quoted: bool) -> String {
    let mut folded = if quoted { name.to_owned() } else { name.to_lowercase() };
    let mut end = folded.len().min(NAME_BYTES_MAX);
    while !folded.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    folded.truncate(end);
    folded
}

//! A place among the tokens of a query string, and how deep and how large what is read from there may become.
//!
//! # Invariants
//! - No tree that is made of the tokens is higher than [`HEIGHT_MAX`]: whatever walks it may recurse.
//! - No query string makes more than [`TOKENS_MAX`] tokens: a tree takes about a hundred bytes for each.

use super::ast::{Name, Persistence, QualifiedName};
use super::keyword::Category;
use super::lexer::{Kind, Lexer, Token};
use crate::error::{Error, Result};

/// How high a tree may become: parentheses, operators and queries within each other, counted together.
pub(super) const HEIGHT_MAX: usize = 1000;
/// How many tokens a query string may have.
const TOKENS_MAX: usize = 5_000_000;
/// A statement takes as much memory as so many tokens, however short it is.
const STATEMENT_TOKENS: usize = 16;
/// How many tokens can be looked at before they are read.
const AHEAD: usize = 5;

/// Reads tokens.
pub(super) struct Cursor<'a> {
    sql: &'a str,
    lexer: Lexer<'a>,
    ahead: [Token<'a>; AHEAD],
    tokens: usize,
    /// The byte behind the last token that was read.
    end: usize,
    /// How deep the parser is.
    depth: usize,
    /// How high the tree is that is being made.
    height: usize,
    /// Where the rows of the query that a statement is are to go.
    pub(super) into: Destination,
}

/// INTO of a query: where its rows go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Destination {
    /// There is none, and may be none.
    #[default]
    Refused,
    /// The SELECT that comes first may have one.
    Allowed,
    /// The table, and how long it is to be there.
    Table(QualifiedName, Persistence),
}

impl<'a> Cursor<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        let mut lexer = Lexer::new(sql);
        let ahead = std::array::from_fn(|_| lexer.token());
        Self { sql, lexer, ahead, tokens: 0, end: 0, depth: 0, height: 0, into: Destination::Refused }
    }

    /// The next token.
    pub(super) fn peek(&self) -> &Token<'a> {
        let [next, ..] = &self.ahead;
        next
    }

    /// The token `ahead` of the next; at most four.
    pub(super) fn peek_at(&self, ahead: usize) -> &Token<'a> {
        debug_assert!(ahead < AHEAD, "only so many tokens can be looked at");
        self.ahead.get(ahead).unwrap_or_else(|| self.peek())
    }

    /// Where the next token stands.
    pub(super) fn at(&self) -> usize {
        self.peek().at
    }

    /// Where the next token stands: its byte, its character.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.start(), self.at())
    }

    /// Goes on elsewhere in the same string.
    pub(super) fn go_on_at(&mut self, (byte, at): (usize, usize)) {
        self.lexer = Lexer::starting_at(self.sql, byte, at);
        self.ahead = std::array::from_fn(|_| self.lexer.token());
        self.end = byte;
    }

    /// The byte that the next token begins with.
    pub(super) fn start(&self) -> usize {
        self.peek().start
    }

    /// The text from a byte up to the last token that was read.
    pub(super) fn text_from(&self, start: usize) -> &'a str {
        self.sql.get(start..self.end.max(start)).unwrap_or_default()
    }

    /// The next token if it is a keyword.
    pub(super) fn keyword(&self) -> &'static str {
        self.peek().keyword
    }

    /// Whether the next token is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.peek().keyword == keyword
    }

    /// Whether the next tokens are these keywords.
    pub(super) fn are(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(ahead, keyword)| self.peek_at(ahead).keyword == *keyword)
    }

    /// Whether the next token is this symbol or operator.
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.peek().is_symbol(symbol)
    }

    /// The next token if it is a word without quotes, in lower case.
    pub(super) fn word(&self) -> Option<String> {
        let token = self.peek();
        (token.kind == Kind::Word).then(|| token.text.to_ascii_lowercase())
    }

    /// Moves past one token, and answers it.
    pub(super) fn advance(&mut self) -> Token<'a> {
        let token = *self.peek();
        self.tokens = self.tokens.saturating_add(1);
        self.end = token.end();
        self.ahead.rotate_left(1);
        if let Some(last) = self.ahead.last_mut() {
            *last = self.lexer.token();
        }
        token
    }

    /// Whether a statement ends here.
    pub(super) fn is_at_end(&self) -> bool {
        let token = self.peek();
        token.kind == Kind::End || token.is_symbol(";")
    }

    /// Reads the keyword if it is next.
    pub(super) fn accept(&mut self, keyword: &str) -> bool {
        let accepted = self.is(keyword);
        if accepted {
            self.advance();
        }
        accepted
    }

    /// Reads a word that is no keyword of PostgreSQL's if it is next.
    pub(super) fn accept_word(&mut self, word: &str) -> bool {
        let token = self.peek();
        let accepted = token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word);
        if accepted {
            self.advance();
        }
        accepted
    }

    /// Reads the keywords if they are next, all of them.
    pub(super) fn accept_all(&mut self, keywords: &[&str]) -> bool {
        let accepted = self.are(keywords);
        if accepted {
            for _ in keywords {
                self.advance();
            }
        }
        accepted
    }

    /// Reads one of the keywords if it is next.
    pub(super) fn accept_one_of(&mut self, keywords: &[&str]) -> Option<&'static str> {
        let keyword = self.keyword();
        keywords.contains(&keyword).then(|| self.advance().keyword)
    }

    /// Reads the keyword.
    pub(super) fn expect(&mut self, keyword: &str) -> Result<()> {
        if self.accept(keyword) { Ok(()) } else { Err(self.error()) }
    }

    /// Reads the symbol or operator if it is next.
    pub(super) fn accept_symbol(&mut self, symbol: &str) -> bool {
        let accepted = self.is_symbol(symbol);
        if accepted {
            self.advance();
        }
        accepted
    }

    /// Reads the symbol or operator.
    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.error()) }
    }

    /// The statement has to end here.
    pub(super) fn finish(&self) -> Result<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.error()) }
    }

    /// A syntax error at the next token.
    pub(super) fn error(&self) -> Error {
        self.error_at(self.peek())
    }

    /// A syntax error at a token.
    pub(super) fn error_at(&self, token: &Token<'_>) -> Error {
        match token.kind {
            Kind::Broken => {
                self.lexer.error.as_deref().cloned().unwrap_or_else(|| Error::internal("a token was lost"))
            }
            Kind::End => Error::new("42601", "syntax error at end of input").at(token.at),
            _ => Error::new("42601", format!("syntax error at or near \"{}\"", token.text)).at(token.at),
        }
    }

    /// 0A000 at the next token.
    pub(super) fn unsupported(&self, clause: impl std::fmt::Display) -> Error {
        Error::unsupported(clause).at(self.at())
    }

    /// 0A000 if one of these keywords is next, named by them.
    pub(super) fn refuse(&self, keywords: &[&str]) -> Result<()> {
        if self.are(keywords) { Err(self.unsupported(keywords.join(" ").to_uppercase())) } else { Ok(()) }
    }

    /// Reads a name of a column or a table.
    pub(super) fn name(&mut self) -> Result<Name> {
        match self.peek().category {
            Category::Unreserved | Category::ColumnName => self.label(),
            Category::FunctionName | Category::Reserved => Err(self.error()),
        }
    }

    /// Reads a name that may be any word.
    pub(super) fn label(&mut self) -> Result<Name> {
        let token = *self.peek();
        if !matches!(token.kind, Kind::Word | Kind::Quoted) {
            return Err(self.error());
        }
        self.advance();
        Ok(Name { value: token.name()?, at: token.at })
    }

    /// Reads a name that may be qualified.
    pub(super) fn qualified_name(&mut self) -> Result<QualifiedName> {
        let first = self.name()?;
        if !self.accept_symbol(".") {
            return Ok(QualifiedName { schema: None, name: first });
        }
        let name = self.label()?;
        if self.is_symbol(".") {
            return Err(Error::unsupported("a name with a database").at(first.at));
        }
        Ok(QualifiedName { schema: Some(first), name })
    }

    /// Reads the name of a function.
    pub(super) fn qualified_function(&mut self) -> Result<QualifiedName> {
        match self.peek().category {
            Category::Unreserved | Category::FunctionName if self.peek_at(1).is_symbol("(") => {
                Ok(QualifiedName { schema: None, name: self.label()? })
            }
            _ => self.qualified_name(),
        }
    }

    /// Reads names between parentheses.
    pub(super) fn name_list(&mut self) -> Result<Vec<Name>> {
        self.expect_symbol("(")?;
        let names = self.list(|cursor| cursor.name())?;
        self.expect_symbol(")")?;
        Ok(names)
    }

    /// Reads items between commas, at least one.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept_symbol(",") {
            items.push(item(self)?);
        }
        items.shrink_to_fit();
        Ok(items)
    }

    /// Reads a string if one is next.
    pub(super) fn string(&mut self) -> Result<Option<String>> {
        if self.peek().kind != Kind::String {
            return Ok(None);
        }
        self.advance().string().map(Some)
    }

    /// Begins another statement of the query string.
    pub(super) fn begin_statement(&mut self) -> Result<()> {
        self.tokens = self.tokens.saturating_add(STATEMENT_TOKENS);
        if self.tokens > TOKENS_MAX { Err(self.too_large()) } else { Ok(()) }
    }

    /// How high the highest tree is that was read.
    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// Reads a part of a tree that parts of its own kind may stand in: one level deeper, and one higher.
    pub(super) fn level<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.tokens > TOKENS_MAX {
            return Err(self.too_large());
        }
        let beside = std::mem::take(&mut self.height);
        self.depth = self.depth.saturating_add(1);
        if self.depth > HEIGHT_MAX {
            return Err(self.too_deep());
        }
        let read = read(self)?;
        self.depth = self.depth.saturating_sub(1);
        self.higher()?;
        self.height = self.height.max(beside);
        Ok(read)
    }

    /// Puts what was read at this level under something else.
    pub(super) fn higher(&mut self) -> Result<()> {
        self.height = self.height.saturating_add(1);
        if self.depth.saturating_add(self.height) > HEIGHT_MAX { Err(self.too_deep()) } else { Ok(()) }
    }

    fn too_deep(&self) -> Error {
        Error::new("54001", "stack depth limit exceeded")
            .detail(format!(
                "The statement nests operators, expressions or queries more than {HEIGHT_MAX} deep."
            ))
            .hint("Shorten the chain or split the statement; lists (AND, OR, IN, VALUES, UNION) may be long.")
            .at(self.at())
    }

    fn too_large(&self) -> Error {
        Error::new("54000", "the statement is too large")
            .detail(format!("It has more than {TOKENS_MAX} words, numbers and signs."))
            .hint("Split it, pass values as parameters, or load rows by COPY.")
    }
}

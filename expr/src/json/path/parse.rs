//! Reads SQL/JSON paths.

use super::lex::{Kind, Token, ended, tokens};
use super::{Arithmetic, Comparison, Condition, Head, Item, Method, Path, Step};
use crate::error::{Error, Result};
use crate::numeric;
use crate::regular::like_regex;

/// How deep a path nests at most.
const DEPTH_MAX: usize = 200;

/// Reads a path.
///
/// # Errors
/// 42601: it is none; 22P02: it is empty; 2201B: a pattern in it is none.
pub(crate) fn parse(text: &str) -> Result<Path> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(Error::new("22P02", format!("invalid input syntax for type jsonpath: \"{text}\"")));
    }
    let mut parser = Parser { tokens, at: 0, depth: 0, subscripts: 0, filters: 0 };
    let lax = !parser.accept_word("strict");
    if lax {
        parser.accept_word("lax");
    }
    let item = parser.any()?.into_item();
    match parser.peek() {
        None => Ok(Path { lax, item }),
        Some(_) => Err(parser.error()),
    }
}

/// What was read, either of which may turn out to be wanted.
enum Read {
    Item(Item),
    Condition(Condition),
}

impl Read {
    fn into_item(self) -> Item {
        match self {
            Self::Item(item) => item,
            Self::Condition(condition) => {
                Item { head: Head::Condition(Box::new(condition)), steps: Vec::new() }
            }
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// In how many subscripts it stands.
    subscripts: usize,
    /// In how many filters it stands.
    filters: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn error(&self) -> Error {
        match self.tokens.get(self.at) {
            Some(token) if !token.shown.is_empty() => {
                Error::new("42601", format!("syntax error at or near \"{}\" of jsonpath input", token.shown))
            }
            _ => ended("syntax error"),
        }
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Kind::Symbol(found)) if *found == symbol)
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.accept(symbol) { Ok(()) } else { Err(self.error()) }
    }

    /// Whether a keyword is next. `null`, `true` and `false` are words in small letters alone.
    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.accept_word(word) { Ok(()) } else { Err(self.error()) }
    }

    /// Reads what nests.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH_MAX {
            return Err(Error::new("54001", "stack depth limit exceeded")
                .with_detail(format!("A jsonpath nests at most {DEPTH_MAX} deep.")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// A condition or an item.
    fn any(&mut self) -> Result<Read> {
        self.deeper(|parser| {
            let mut left = parser.conjunction()?;
            while parser.is("||") {
                let one = parser.condition_of(left)?;
                parser.at += 1;
                let right = parser.conjunction()?;
                let other = parser.condition_of(right)?;
                left = Read::Condition(Condition::Or(Box::new(one), Box::new(other)));
            }
            Ok(left)
        })
    }

    fn condition(&mut self) -> Result<Condition> {
        let read = self.any()?;
        self.condition_of(read)
    }

    fn condition_of(&self, read: Read) -> Result<Condition> {
        match read {
            Read::Condition(condition) => Ok(condition),
            Read::Item(_) => Err(self.error()),
        }
    }

    fn item_of(&self, read: Read) -> Result<Item> {
        match read {
            Read::Item(item) => Ok(item),
            Read::Condition(_) => Err(self.error()),
        }
    }

    fn conjunction(&mut self) -> Result<Read> {
        let mut left = self.predicate()?;
        while self.is("&&") {
            let one = self.condition_of(left)?;
            self.at += 1;
            let right = self.predicate()?;
            let other = self.condition_of(right)?;
            left = Read::Condition(Condition::And(Box::new(one), Box::new(other)));
        }
        Ok(left)
    }

    fn predicate(&mut self) -> Result<Read> {
        if self.accept("!") {
            return self.deeper(|parser| {
                let condition = match parser.is("(") {
                    true => {
                        parser.at += 1;
                        let condition = parser.condition()?;
                        parser.expect(")")?;
                        condition
                    }
                    false => parser.exists()?,
                };
                Ok(Read::Condition(Condition::Not(Box::new(condition))))
            });
        }
        if self.is_word("exists") {
            return self.exists().map(Read::Condition);
        }
        let left = self.sum()?;
        let comparison = match self.peek() {
            Some(Kind::Symbol("==")) => Comparison::Equal,
            Some(Kind::Symbol("!=")) => Comparison::NotEqual,
            Some(Kind::Symbol("<")) => Comparison::Less,
            Some(Kind::Symbol("<=")) => Comparison::LessOrEqual,
            Some(Kind::Symbol(">")) => Comparison::Greater,
            Some(Kind::Symbol(">=")) => Comparison::GreaterOrEqual,
            _ if self.is_word("starts") => {
                let value = self.item_of(left)?;
                self.at += 1;
                self.expect_word("with")?;
                let start = match self.peek() {
                    Some(Kind::String(_) | Kind::Variable(_)) => self.primary()?,
                    _ => return Err(self.error()),
                };
                let start = self.item_of(start)?;
                return Ok(Read::Condition(Condition::StartsWith(value, start)));
            }
            _ if self.is_word("like_regex") => {
                let value = self.item_of(left)?;
                self.at += 1;
                return self.like_regex(value).map(Read::Condition);
            }
            _ => return Ok(left),
        };
        let left = self.item_of(left)?;
        self.at += 1;
        let right = self.sum()?;
        let right = self.item_of(right)?;
        Ok(Read::Condition(Condition::Compare(comparison, left, right)))
    }

    fn string(&mut self) -> Result<Box<str>> {
        let Some(Kind::String(text)) = self.peek() else { return Err(self.error()) };
        let text = text.as_str().into();
        self.at += 1;
        Ok(text)
    }

    fn like_regex(&mut self, value: Item) -> Result<Condition> {
        let pattern = self.string()?;
        let mut flags = String::new();
        if self.accept_word("flag") {
            for flag in self.string()?.chars() {
                match flag {
                    'i' | 's' | 'm' | 'x' | 'q' if flags.contains(flag) => {}
                    'i' | 's' | 'm' | 'x' | 'q' => flags.push(flag),
                    other => {
                        let detail =
                            format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.");
                        let error = Error::new("42601", "invalid input syntax for type jsonpath");
                        return Err(error.with_detail(detail));
                    }
                }
            }
        }
        // In the order in which PostgreSQL writes them.
        let flags: String = "ismxq".chars().filter(|flag| flags.contains(*flag)).collect();
        like_regex(&pattern, &flags)?;
        Ok(Condition::LikeRegex { value, pattern, flags: flags.into() })
    }

    fn exists(&mut self) -> Result<Condition> {
        self.expect_word("exists")?;
        self.expect("(")?;
        let read = self.any()?;
        let item = self.item_of(read)?;
        self.expect(")")?;
        Ok(Condition::Exists(item))
    }

    fn sum(&mut self) -> Result<Read> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(Kind::Symbol("+")) => Arithmetic::Add,
                Some(Kind::Symbol("-")) => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            left = self.arithmetic(left, operator, Self::product)?;
        }
    }

    fn product(&mut self) -> Result<Read> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek() {
                Some(Kind::Symbol("*")) => Arithmetic::Multiply,
                Some(Kind::Symbol("/")) => Arithmetic::Divide,
                Some(Kind::Symbol("%")) => Arithmetic::Remainder,
                _ => return Ok(left),
            };
            left = self.arithmetic(left, operator, Self::signed)?;
        }
    }

    fn arithmetic(
        &mut self,
        left: Read,
        operator: Arithmetic,
        operand: impl FnOnce(&mut Self) -> Result<Read>,
    ) -> Result<Read> {
        let left = self.item_of(left)?;
        // A chain of operators nests as much as parentheses do.
        if self.at > 4 * DEPTH_MAX {
            return Err(Error::new("54001", "stack depth limit exceeded"));
        }
        self.at += 1;
        let right = operand(self)?;
        let right = self.item_of(right)?;
        let head = Head::Arithmetic(operator, Box::new(left), Box::new(right));
        Ok(Read::Item(Item { head, steps: Vec::new() }))
    }

    fn signed(&mut self) -> Result<Read> {
        let minus = self.is("-");
        if !minus && !self.is("+") {
            return self.accessed();
        }
        self.at += 1;
        self.deeper(|parser| {
            let read = parser.signed()?;
            let operand = parser.item_of(read)?;
            let head = match operand {
                Item { head: Head::Number(number), steps } if steps.is_empty() => {
                    Head::Number(if minus { numeric::negate(&number) } else { number })
                }
                operand => Head::Sign { minus, operand: Box::new(operand) },
            };
            Ok(Read::Item(Item { head, steps: Vec::new() }))
        })
    }

    /// What a path begins with, and its steps.
    fn accessed(&mut self) -> Result<Read> {
        let mut read = self.primary()?;
        loop {
            let step = match self.peek() {
                Some(Kind::Symbol("[")) => self.elements()?,
                Some(Kind::Symbol("?")) => {
                    self.at += 1;
                    self.expect("(")?;
                    self.filters += 1;
                    let condition = self.condition();
                    self.filters -= 1;
                    let condition = condition?;
                    self.expect(")")?;
                    Step::Filter(condition)
                }
                Some(Kind::Symbol(".")) => self.member()?,
                _ => return Ok(read),
            };
            let mut item = read.into_item();
            item.steps.push(step);
            read = Read::Item(item);
        }
    }

    fn primary(&mut self) -> Result<Read> {
        let Some(kind) = self.peek().cloned() else { return Err(self.error()) };
        let head = match kind {
            Kind::Symbol("$") => Head::Root,
            Kind::Symbol("@") => {
                if self.filters == 0 {
                    return Err(Error::new("42601", "@ is not allowed in root expressions"));
                }
                Head::Current
            }
            Kind::Symbol("(") => {
                self.at += 1;
                let inner = self.any()?;
                self.expect(")")?;
                if let Read::Condition(condition) = inner {
                    if self.accept_word("is") {
                        self.expect_word("unknown")?;
                        return Ok(Read::Condition(Condition::IsUnknown(Box::new(condition))));
                    }
                    return Ok(Read::Condition(condition));
                }
                return Ok(inner);
            }
            Kind::Number(number) => Head::Number(number),
            Kind::String(text) => Head::String(text.into()),
            Kind::Variable(name) => Head::Variable(name.into()),
            Kind::Word(word) if word == "null" => Head::Null,
            Kind::Word(word) if word == "true" => Head::Bool(true),
            Kind::Word(word) if word == "false" => Head::Bool(false),
            Kind::Word(word) if word.eq_ignore_ascii_case("last") => {
                if self.subscripts == 0 {
                    return Err(Error::new("42601", "LAST is allowed only in array subscripts"));
                }
                Head::Last
            }
            Kind::Word(_) | Kind::Symbol(_) => return Err(self.error()),
        };
        self.at += 1;
        Ok(Read::Item(Item { head, steps: Vec::new() }))
    }

    fn elements(&mut self) -> Result<Step> {
        self.at += 1;
        if self.accept("*") {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        self.subscripts += 1;
        let ranges = self.ranges();
        self.subscripts -= 1;
        let ranges = ranges?;
        self.expect("]")?;
        Ok(Step::Elements(ranges))
    }

    fn ranges(&mut self) -> Result<Vec<(Item, Option<Item>)>> {
        let mut ranges = Vec::new();
        loop {
            let from = self.subscript()?;
            let to = if self.accept_word("to") { Some(self.subscript()?) } else { None };
            ranges.push((from, to));
            if !self.accept(",") {
                return Ok(ranges);
            }
        }
    }

    fn subscript(&mut self) -> Result<Item> {
        self.deeper(|parser| {
            let read = parser.sum()?;
            parser.item_of(read)
        })
    }

    /// What stands behind a point.
    fn member(&mut self) -> Result<Step> {
        self.at += 1;
        if self.accept("**") {
            return self.below();
        }
        if self.accept("*") {
            return Ok(Step::AnyKey);
        }
        let key = match self.peek() {
            Some(Kind::String(key)) => {
                let key = key.as_str().into();
                self.at += 1;
                return Ok(Step::Key(key));
            }
            Some(Kind::Word(key)) => key.clone(),
            _ => return Err(self.error()),
        };
        self.at += 1;
        if !self.is("(") {
            return Ok(Step::Key(key.into()));
        }
        let name = key.to_ascii_lowercase();
        if name == "datetime" {
            self.at += 1;
            let template = if self.is(")") { None } else { Some(self.string()?) };
            self.expect(")")?;
            return Ok(Step::Datetime(template));
        }
        let method = Method::named(&name).ok_or_else(|| self.error())?;
        self.at += 1;
        self.expect(")")?;
        Ok(Step::Method(method))
    }

    fn below(&mut self) -> Result<Step> {
        if !self.accept("{") {
            return Ok(Step::Below { first: Some(0), last: None });
        }
        let first = self.level()?;
        let last = if self.accept_word("to") { self.level()? } else { first };
        self.expect("}")?;
        Ok(Step::Below { first, last })
    }

    /// A level; `None` is `last`.
    fn level(&mut self) -> Result<Option<u32>> {
        if self.accept_word("last") {
            return Ok(None);
        }
        let Some(Kind::Number(number)) = self.peek() else { return Err(self.error()) };
        let mut text = String::new();
        numeric::write(number, &mut text);
        let level = text.parse().map_err(|_| self.error())?;
        self.at += 1;
        Ok(Some(level))
    }
}

//! Regular expressions with back references or lookaround, as a tree. What is read is already in the regex crate's spelling; that
//! crate is asked what a bracket expression matches.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

use super::{Flags, invalid, too_complex};
use crate::error::Result;

/// How deep groups nest.
const DEPTH_MAX: usize = 100;
/// The most times that `{m,n}` says.
const REPEATS_MAX: u32 = 255;
/// How many unlike bracket expressions there may be, and what each may take, in bytes.
const CLASSES_MAX: usize = 100;
const CLASS_BYTES_MAX: usize = 256 << 10;

/// A part of an expression.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Character(char),
    /// `.`
    Any,
    /// `[…]`, by its place among all.
    Class(usize),
    Edge(Edge),
    /// `(…)`, `(?:…)`: with its number if it has one.
    Group(Box<Node>, Option<usize>),
    /// `(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)`
    Look {
        node: Box<Node>,
        behind: bool,
        negated: bool,
    },
    /// `\1`
    Back(usize),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        /// `None`: any number.
        most: Option<u32>,
        lazy: bool,
    },
}

/// A place between characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// `^`
    Start,
    /// `$`
    End,
    /// `\A`
    TextStart,
    /// `\z`
    TextEnd,
    /// `\b`
    Word,
    /// `\B`
    NoWord,
    /// `\b{start}`
    WordStart,
    /// `\b{end}`
    WordEnd,
}

/// An expression.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    pub(super) classes: Vec<Regex>,
    /// How many numbered groups there are.
    pub(super) groups: usize,
}

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    flags: Flags,
    classes: Vec<Regex>,
    /// Their places, by how they are written.
    places: HashMap<String, usize>,
    groups: usize,
    /// The numbers of those that are not closed yet.
    open: Vec<usize>,
    /// Within lookaround, whose groups have no numbers.
    looks: usize,
    depth: usize,
}

/// Reads an expression.
///
/// # Errors
/// 2201B
pub(super) fn read(pattern: &str, flags: Flags) -> Result<Tree> {
    let rest = pattern.chars().peekable();
    let mut reader = Reader {
        rest,
        flags,
        classes: Vec::new(),
        places: HashMap::new(),
        groups: 0,
        open: Vec::new(),
        looks: 0,
        depth: 0,
    };
    let root = reader.alternatives()?;
    match reader.rest.next() {
        None => Ok(Tree { root, classes: reader.classes, groups: reader.groups }),
        Some(_) => Err(invalid("parentheses () not balanced")),
    }
}

impl Reader<'_> {
    fn accept(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// What stands up to a closing parenthesis, or the end.
    fn alternatives(&mut self) -> Result<Node> {
        if self.depth >= DEPTH_MAX {
            return Err(too_complex());
        }
        self.depth += 1;
        let mut branches = vec![self.sequence()?];
        while self.accept('|') {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match branches.len() {
            1 => branches.pop().unwrap_or(Node::Sequence(Vec::new())),
            _ => Node::Alternatives(branches),
        })
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut items = Vec::new();
        while let Some(next) = self.rest.peek().copied() {
            match next {
                '|' | ')' => break,
                c if self.flags.extended && c.is_whitespace() => {
                    self.rest.next();
                }
                '#' if self.flags.extended => while self.rest.next_if(|c| *c != '\n').is_some() {},
                _ => {
                    let item = self.item()?;
                    items.push(self.repeated(item)?);
                }
            }
        }
        Ok(Node::Sequence(items))
    }

    fn item(&mut self) -> Result<Node> {
        Ok(match self.rest.next() {
            Some('.') => Node::Any,
            Some('^') => Node::Edge(Edge::Start),
            Some('$') => Node::Edge(Edge::End),
            Some('[') => self.class()?,
            Some('(') => self.group()?,
            Some('\\') => self.escape()?,
            Some('*' | '+' | '?' | '{') | None => return Err(invalid("quantifier operand invalid")),
            Some(c) => Node::Character(c),
        })
    }

    /// What follows `(`.
    fn group(&mut self) -> Result<Node> {
        let mut look = None;
        let mut has_number = self.looks == 0;
        if self.accept('?') {
            has_number = false;
            let behind = self.accept('<');
            match self.rest.next() {
                Some(':') if !behind => {}
                Some('=') => look = Some((behind, false)),
                Some('!') => look = Some((behind, true)),
                _ => return Err(invalid("quantifier operand invalid")),
            }
        }
        let number = has_number.then(|| {
            self.groups += 1;
            self.groups
        });
        self.open.extend(number);
        self.looks += usize::from(look.is_some());
        let node = Box::new(self.alternatives()?);
        self.looks -= usize::from(look.is_some());
        if number.is_some() {
            self.open.pop();
        }
        if !self.accept(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        Ok(match look {
            Some((behind, negated)) => Node::Look { node, behind, negated },
            None => Node::Group(node, number),
        })
    }

    /// What follows `[`, whose brackets within are escaped, but for those of named classes.
    fn class(&mut self) -> Result<Node> {
        let mut text = String::from("[");
        let mut is_first = true;
        loop {
            let c = self.rest.next().ok_or_else(|| invalid("brackets [] not balanced"))?;
            text.push(c);
            match c {
                '\\' => text.extend(self.rest.next()),
                '[' => {
                    for c in self.rest.by_ref() {
                        text.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                }
                ']' if !is_first => break,
                _ => {}
            }
            is_first = is_first && c == '^';
        }
        if let Some(place) = self.places.get(&text) {
            return Ok(Node::Class(*place));
        }
        let place = self.classes.len();
        if place >= CLASSES_MAX {
            return Err(too_complex());
        }
        let class = RegexBuilder::new(&format!("^(?:{text})$"))
            .case_insensitive(self.flags.fold)
            .dot_matches_new_line(true)
            .size_limit(CLASS_BYTES_MAX)
            .build()
            .map_err(|_| invalid("invalid character range"))?;
        self.classes.push(class);
        self.places.insert(text, place);
        Ok(Node::Class(place))
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Node> {
        let wrong = || invalid("invalid escape \\ sequence");
        let c = self.rest.next().ok_or_else(wrong)?;
        Ok(match c {
            '1'..='9' => {
                let mut number = c.to_digit(10).unwrap_or(0) as usize;
                // A second digit counts if there are so many groups.
                if let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10))
                    && number * 10 + digit as usize <= self.groups
                {
                    self.rest.next();
                    number = number * 10 + digit as usize;
                }
                if number > self.groups || self.open.contains(&number) || self.looks > 0 {
                    return Err(invalid("invalid backreference number"));
                }
                Node::Back(number)
            }
            'A' => Node::Edge(Edge::TextStart),
            'z' => Node::Edge(Edge::TextEnd),
            'B' => Node::Edge(Edge::NoWord),
            'b' if self.accept('{') => {
                let mut name = String::new();
                while let Some(c) = self.rest.next_if(|c| *c != '}') {
                    name.push(c);
                }
                self.rest.next();
                Node::Edge(if name == "start" { Edge::WordStart } else { Edge::WordEnd })
            }
            'b' => Node::Edge(Edge::Word),
            'n' => Node::Character('\n'),
            't' => Node::Character('\t'),
            'r' => Node::Character('\r'),
            'f' => Node::Character('\u{c}'),
            'v' => Node::Character('\u{b}'),
            'a' => Node::Character('\u{7}'),
            'x' => Node::Character(self.code(2).ok_or_else(wrong)?),
            'u' => Node::Character(self.code(4).ok_or_else(wrong)?),
            'U' => Node::Character(self.code(8).ok_or_else(wrong)?),
            c if c.is_ascii_alphanumeric() => return Err(wrong()),
            c => Node::Character(c),
        })
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + self.rest.next().and_then(|c| c.to_digit(16))?;
        }
        char::from_u32(code)
    }

    /// An item with the quantifier behind it.
    fn repeated(&mut self, item: Node) -> Result<Node> {
        let is_quantified = matches!(self.rest.peek(), Some('*' | '+' | '?' | '{'));
        if is_quantified && matches!(item, Node::Look { .. } | Node::Edge(_)) {
            return Err(invalid("quantifier operand invalid"));
        }
        let (least, most) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.rest.next();
                let bounds = self.bounds()?;
                return self.quantified(item, bounds);
            }
            _ => return Ok(item),
        };
        self.rest.next();
        self.quantified(item, (least, most))
    }

    fn quantified(&mut self, item: Node, (least, most): (u32, Option<u32>)) -> Result<Node> {
        let lazy = self.accept('?');
        if matches!(self.rest.peek(), Some('*' | '+' | '?')) {
            return Err(invalid("quantifier operand invalid"));
        }
        Ok(Node::Repeat { node: Box::new(item), least, most, lazy })
    }

    /// What follows `{`.
    fn bounds(&mut self) -> Result<(u32, Option<u32>)> {
        let wrong = || invalid("invalid repetition count(s)");
        let least = self.count().ok_or_else(wrong)?;
        let most = match self.accept(',') {
            false => Some(least),
            true if self.rest.peek() == Some(&'}') => None,
            true => Some(self.count().ok_or_else(wrong)?),
        };
        let fits = least <= REPEATS_MAX && most.is_none_or(|most| most <= REPEATS_MAX && least <= most);
        match self.accept('}') && fits {
            true => Ok((least, most)),
            false => Err(wrong()),
        }
    }

    fn count(&mut self) -> Option<u32> {
        let mut count = None;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            count = Some(count.unwrap_or(0_u32).saturating_mul(10).saturating_add(digit));
        }
        count
    }
}

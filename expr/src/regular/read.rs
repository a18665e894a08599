//! A regular expression as a tree: PostgreSQL's advanced ones, with their options, comments and escapes.

use std::iter::Peekable;
use std::str::Chars;

use super::class::{self, Class};
use super::code::{self, Edge, Escaped};
use super::{Flags, invalid};
use crate::error::{Error, Result};

/// How deep groups nest.
const DEPTH_MAX: usize = 100;
/// The most times that `{m,n}` says.
const REPEATS_MAX: u32 = 255;

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
        /// Whether many are preferred to few; `None`: it is as its part prefers.
        many: Option<bool>,
    },
}

/// An expression.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    pub(super) classes: Vec<Class>,
    /// How many numbered groups there are.
    pub(super) groups: usize,
    /// Whether it looks around, or refers back.
    pub(super) looks: bool,
}

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    flags: Flags,
    classes: Vec<Class>,
    groups: usize,
    /// The numbers of those that are not closed yet.
    open: Vec<usize>,
    /// Within lookaround, whose groups have no numbers.
    inside: usize,
    looks: bool,
    depth: usize,
}

/// Reads an expression; what it says of its own flags is added to them.
///
/// # Errors
/// 2201B
pub(super) fn read(pattern: &str, flags: &mut Flags) -> Result<Tree> {
    let pattern = match pattern.strip_prefix("***") {
        Some(rest) => match rest.split_at_checked(1) {
            Some(("=", literal)) => return Ok(literally(literal)),
            Some((":", advanced)) => advanced,
            _ => return Err(wrong_operand()),
        },
        None if flags.literal => return Ok(literally(pattern)),
        None => pattern,
    };
    let pattern = options(pattern, flags)?;
    if flags.literal {
        return Ok(literally(pattern));
    }
    let rest = pattern.chars().peekable();
    let (classes, open) = (Vec::new(), Vec::new());
    let mut reader =
        Reader { rest, flags: *flags, classes, groups: 0, open, inside: 0, looks: false, depth: 0 };
    let root = reader.alternatives()?;
    match reader.rest.next() {
        None => {
            let Reader { classes, groups, looks, .. } = reader;
            Ok(Tree { root, classes, groups, looks })
        }
        Some(_) => Err(unbalanced()),
    }
}

fn literally(text: &str) -> Tree {
    let root = Node::Sequence(text.chars().map(Node::Character).collect());
    Tree { root, classes: Vec::new(), groups: 0, looks: false }
}

/// Reads `(?letters)`; what follows is left.
fn options<'p>(pattern: &'p str, flags: &mut Flags) -> Result<&'p str> {
    let Some(inside) = pattern.strip_prefix("(?") else { return Ok(pattern) };
    let letters = inside.bytes().take_while(u8::is_ascii_alphabetic).count();
    if letters == 0 {
        return Ok(pattern);
    }
    let wrong = || invalid("invalid embedded option");
    let (letters, rest) = inside.split_at_checked(letters).ok_or_else(wrong)?;
    let rest = rest.strip_prefix(')').ok_or_else(wrong)?;
    // What is no option here is one of functions alone.
    if letters.contains('g') {
        return Err(wrong());
    }
    flags.add(letters).map_err(|_| wrong())?;
    Ok(rest)
}

fn wrong_operand() -> Error {
    invalid("quantifier operand invalid")
}

fn wrong_count() -> Error {
    invalid("invalid repetition count(s)")
}

fn unbalanced() -> Error {
    invalid("parentheses () not balanced")
}

impl Reader<'_> {
    fn accept(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// Whether this stands here. It is read then.
    fn accept_all(&mut self, wanted: &str) -> bool {
        let mut ahead = self.rest.clone();
        let stands = wanted.chars().all(|c| ahead.next() == Some(c));
        if stands {
            self.rest = ahead;
        }
        stands
    }

    /// Passes over comments, and over blanks where they mean nothing.
    fn skip(&mut self) {
        loop {
            if self.accept_all("(?#") {
                while self.rest.next().is_some_and(|c| c != ')') {}
                continue;
            }
            match self.rest.peek() {
                Some(c) if self.flags.extended && c.is_whitespace() => {
                    self.rest.next();
                }
                Some('#') if self.flags.extended => while self.rest.next_if(|c| *c != '\n').is_some() {},
                _ => return,
            }
        }
    }

    /// What stands up to a closing parenthesis, or the end.
    fn alternatives(&mut self) -> Result<Node> {
        if self.depth >= DEPTH_MAX {
            return Err(invalid("regular expression is too complex"));
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
        loop {
            self.skip();
            match self.rest.peek() {
                None | Some('|' | ')') => return Ok(Node::Sequence(items)),
                Some(_) => {
                    let item = self.item()?;
                    self.skip();
                    items.push(self.repeated(item)?);
                }
            }
        }
    }

    fn item(&mut self) -> Result<Node> {
        Ok(match self.rest.next() {
            Some('.') => Node::Any,
            Some('^') => Node::Edge(Edge::Start),
            Some('$') => Node::Edge(Edge::End),
            Some('[') if self.accept_all("[:<:]]") => Node::Edge(Edge::WordStart),
            Some('[') if self.accept_all("[:>:]]") => Node::Edge(Edge::WordEnd),
            Some('[') => {
                let class = class::read(&mut self.rest, self.flags, self.groups)?;
                self.class(class)
            }
            Some('(') => self.group()?,
            Some('\\') => self.escape()?,
            Some('*' | '+' | '?') | None => return Err(wrong_operand()),
            Some('{') if self.begins_bounds() => return Err(wrong_operand()),
            Some(c) => Node::Character(c),
        })
    }

    fn class(&mut self, class: Class) -> Node {
        self.classes.push(class);
        Node::Class(self.classes.len() - 1)
    }

    /// What follows `(`.
    fn group(&mut self) -> Result<Node> {
        let mut look = None;
        let mut has_number = self.inside == 0;
        if self.accept('?') {
            has_number = false;
            let behind = self.accept('<');
            match self.rest.next() {
                Some(':') if !behind => {}
                Some('=') => look = Some((behind, false)),
                Some('!') => look = Some((behind, true)),
                _ => return Err(wrong_operand()),
            }
        }
        let number = has_number.then(|| {
            self.groups += 1;
            self.groups
        });
        self.open.extend(number);
        self.inside += usize::from(look.is_some());
        let node = Box::new(self.alternatives()?);
        self.inside -= usize::from(look.is_some());
        if number.is_some() {
            self.open.pop();
        }
        if !self.accept(')') {
            return Err(unbalanced());
        }
        Ok(match look {
            Some((behind, negated)) => {
                self.looks = true;
                Node::Look { node, behind, negated }
            }
            None => Node::Group(node, number),
        })
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Node> {
        Ok(match code::escape(&mut self.rest)? {
            Escaped::Character(c) => Node::Character(c),
            Escaped::Edge(edge) => Node::Edge(edge),
            Escaped::Class { letter, negated } => {
                let class = Class { negated, ..Class::of_escape(letter) };
                self.class(class)
            }
            Escaped::Digit(digit) => match code::back_reference(digit, &mut self.rest, self.groups) {
                Some(number) => {
                    if number > self.groups || self.open.contains(&number) || self.inside > 0 {
                        return Err(invalid("invalid backreference number"));
                    }
                    self.looks = true;
                    Node::Back(number)
                }
                None => Node::Character(code::character(code::octal(digit, &mut self.rest)?)?),
            },
        })
    }

    /// Whether a `{` that was read begins `{m,n}`: a digit follows, where blanks mean nothing behind them.
    fn begins_bounds(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        while self.flags.extended && ahead.next_if(|c| c.is_whitespace()).is_some() {}
        ahead.peek().is_some_and(char::is_ascii_digit)
    }

    /// An item with the quantifier behind it.
    fn repeated(&mut self, item: Node) -> Result<Node> {
        let bounds = match self.rest.peek() {
            Some('*') => Some((0, None)),
            Some('+') => Some((1, None)),
            Some('?') => Some((0, Some(1))),
            Some('{') => None,
            _ => return Ok(item),
        };
        let before = self.rest.clone();
        self.rest.next();
        if bounds.is_none() && !self.begins_bounds() {
            // A brace like any other character.
            self.rest = before;
            return Ok(item);
        }
        if matches!(item, Node::Look { .. } | Node::Edge(_)) {
            return Err(wrong_operand());
        }
        let (least, most, exactly) = match bounds {
            Some((least, most)) => (least, most, false),
            None => self.bounds()?,
        };
        let few = self.accept('?');
        Ok(Node::Repeat { node: Box::new(item), least, most, many: (!exactly).then_some(!few) })
    }

    /// What follows `{`; and whether it is a single number.
    fn bounds(&mut self) -> Result<(u32, Option<u32>, bool)> {
        let least = self.count()?;
        let mut mark = self.mark()?;
        let exactly = mark == '}';
        let mut most = Some(least);
        if mark == ',' {
            most = if self.begins_bounds() { Some(self.count()?) } else { None };
            mark = self.mark()?;
        }
        match mark == '}' && most.is_none_or(|most| least <= most) {
            true => Ok((least, most, exactly)),
            false => Err(wrong_count()),
        }
    }

    /// The next character within braces.
    fn mark(&mut self) -> Result<char> {
        while self.flags.extended && self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.next().ok_or_else(|| invalid("braces {} not balanced"))
    }

    fn count(&mut self) -> Result<u32> {
        let mut count = 0_u32;
        let mut digit = self.mark()?;
        loop {
            count = count.saturating_mul(10).saturating_add(digit.to_digit(10).ok_or_else(wrong_count)?);
            match self.rest.next_if(char::is_ascii_digit) {
                Some(next) => digit = next,
                None if count > REPEATS_MAX => return Err(wrong_count()),
                None => return Ok(count),
            }
        }
    }
}

//! Regular expressions: PostgreSQL's advanced ones, which prefer the longest match of the whole, and then that of each part from
//! the left.
//!
//! An expression is read into a tree ([`read`]). The regex crate, which matches in linear time and prefers the first way that
//! matches, gets it in its own spelling ([`spell`]): it tells whether and where there is a match, and where its preferences are as good
//! as PostgreSQL's all of it. Of other expressions it tells the beginning; where the match ends is found by following all ways at once
//! ([`reach`]), and the places of groups by dividing it ([`piece`], [`dissect`]). With lookaround and back references, which
//! the crate has not, each beginning is tried.

mod class;
mod code;
mod dissect;
mod found;
mod piece;
mod program;
mod reach;
mod read;
mod spell;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use dissect::{Dissection, Span};
use piece::Piece;
use program::{Maker, Program};
use reach::Reach;
use read::Tree;

pub(crate) use found::{Found, Groups};

/// A compiled expression.
#[derive(Debug)]
pub(crate) enum Regular {
    /// The crate finds what PostgreSQL does.
    Linear(Regex),
    /// A match is divided by us.
    Divided(Box<Divided>),
}

/// An expression whose matches are divided.
#[derive(Debug)]
pub(crate) struct Divided {
    /// Tells where a match may begin; `None`: anywhere.
    linear: Option<Regex>,
    program: Program,
    root: Piece,
    groups: usize,
    flags: Flags,
}

impl Regular {
    /// Whether it matches anywhere.
    ///
    /// # Errors
    /// The statement is to end, or takes too much.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Self::Linear(regex) => Ok(regex.is_match(text)),
            Self::Divided(divided) => match &divided.linear {
                Some(regex) => Ok(regex.is_match(text)),
                None => Ok(divided.find(text, 0)?.is_some()),
            },
        }
    }

    /// The first match that begins at a byte or behind it.
    ///
    /// # Errors
    /// As [`Self::is_match`].
    pub(crate) fn groups<'t>(&self, text: &'t str, from: usize) -> Result<Option<Groups<'t>>> {
        Ok(match self {
            Self::Linear(regex) => regex.captures_at(text, from).map(|captures| {
                let span = |group: Option<regex::Match<'_>>| group.map(|group| (group.start(), group.end()));
                Groups::new(text, captures.iter().map(span).collect())
            }),
            Self::Divided(divided) => divided.find(text, from)?.map(|spans| Groups::new(text, spans)),
        })
    }
}

impl Divided {
    fn find(&self, text: &str, from: usize) -> Result<Option<Vec<Span>>> {
        let reach = Reach::new(&self.program, self.flags, text);
        let mut dissection = Dissection { reach, spans: Vec::new() };
        let mut begin = from;
        loop {
            if let Some(regex) = &self.linear {
                let Some(found) = regex.find_at(text, begin) else { return Ok(None) };
                begin = found.start();
            }
            if self.matches_at(&mut dissection, begin)? {
                return Ok(Some(dissection.spans));
            }
            match dissection.reach.after(begin) {
                Some(after) => begin = after,
                None => return Ok(None),
            }
        }
    }

    /// Whether there is a match that begins at a place. The ends that it may have are tried as the expression prefers them: only back
    /// references let one fail.
    fn matches_at(&self, dissection: &mut Dissection<'_, '_>, begin: usize) -> Result<bool> {
        let few = self.root.traits.few;
        let (mut least, mut stop) = (begin, dissection.reach.text.len());
        loop {
            let end = match few {
                true => dissection.reach.shortest(self.root.from, begin, least, stop)?,
                false => dissection.reach.longest(self.root.from, begin, stop)?,
            };
            let Some(end) = end else { return Ok(false) };
            dissection.spans.clear();
            dissection.spans.resize(self.groups + 1, None);
            if dissection.divide(&self.root, begin, end)? {
                if let Some(whole) = dissection.spans.first_mut() {
                    *whole = Some((begin, end));
                }
                return Ok(true);
            }
            let next = if few { dissection.reach.after(end) } else { dissection.reach.before(end) };
            match next {
                Some(next) if few => least = next,
                Some(next) if next >= begin => stop = next,
                _ => return Ok(false),
            }
        }
    }
}

/// 2201B
fn invalid(reason: &str) -> Error {
    Error::new("2201B", format!("invalid regular expression: {reason}"))
}

/// How a regular expression is to be read and applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Flags {
    pub(crate) fold: bool,
    /// `n`, `w`: lines have a beginning and an end of their own.
    pub(crate) anchors: bool,
    /// `n`, `p`: what stands for any character does not for the end of a line.
    pub(crate) stops: bool,
    pub(crate) extended: bool,
    pub(crate) global: bool,
    /// `q`: no special characters.
    pub(crate) literal: bool,
}

impl Flags {
    /// From the letters that functions take.
    pub(crate) fn parse(letters: &str) -> Result<Self> {
        let mut flags = Flags::default();
        flags.add(letters)?;
        Ok(flags)
    }

    /// What letters say, which outweighs what was said before.
    fn add(&mut self, letters: &str) -> Result<()> {
        for letter in letters.chars() {
            match letter {
                'i' => self.fold = true,
                'c' => self.fold = false,
                'n' | 'm' => (self.anchors, self.stops) = (true, true),
                'p' => (self.anchors, self.stops) = (false, true),
                'w' => (self.anchors, self.stops) = (true, false),
                's' => (self.anchors, self.stops) = (false, false),
                'x' => self.extended = true,
                't' => self.extended = false,
                'g' => self.global = true,
                'q' => self.literal = true,
                'e' | 'b' => {}
                other => {
                    return Err(Error::new(
                        "22023",
                        format!("invalid regular expression option: \"{other}\""),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Compiled expressions that a thread keeps.
const CACHED_MAX: usize = 64;

/// The longest expression, in bytes: its tree takes a thousand times as much where a few characters name many.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// How large the regex crate may make an expression, and how deep what we spell for it nests.
const LINEAR_BYTES_MAX: usize = 4 << 20;
const NESTED_MAX: u32 = 1_000;

thread_local! {
    static CACHE: RefCell<HashMap<(String, Flags), Arc<Regular>>> = RefCell::new(HashMap::new());
}

/// The expression, made for this thread at its first use.
pub(crate) fn compile(pattern: &str, flags: Flags) -> Result<Arc<Regular>> {
    CACHE.with_borrow_mut(|cache| {
        let key = (pattern.to_owned(), flags);
        if let Some(regex) = cache.get(&key) {
            return Ok(regex.clone());
        }
        let regular = build(pattern, flags)?;
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        let regular = Arc::new(regular);
        cache.insert(key, regular.clone());
        Ok(regular)
    })
}

fn build(pattern: &str, mut flags: Flags) -> Result<Regular> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(invalid("regular expression is too complex"));
    }
    let tree = read::read(pattern, &mut flags)?;
    let linear = if tree.looks { None } else { Some(linear(&tree, flags)?) };
    let alike = spell::finds_alike(&tree.root);
    let linear = match linear {
        Some(regex) if alike => return Ok(Regular::Linear(regex)),
        linear => linear,
    };
    let Tree { root, classes, groups, .. } = tree;
    let mut maker = Maker::new(classes, &root);
    let root = piece::divide(&root, &mut maker)?;
    let program = maker.finish();
    Ok(Regular::Divided(Box::new(Divided { linear, program, root, groups, flags })))
}

/// The expression as the regex crate has it.
fn linear(tree: &Tree, flags: Flags) -> Result<Regex> {
    RegexBuilder::new(&spell::spell(tree)?)
        .case_insensitive(flags.fold)
        .multi_line(flags.anchors)
        .dot_matches_new_line(!flags.stops)
        .nest_limit(NESTED_MAX)
        .size_limit(LINEAR_BYTES_MAX)
        .build()
        .map_err(|_| invalid("regular expression is too complex"))
}

fn wrong_escape() -> Error {
    invalid("invalid escape \\ sequence")
}

/// The expression of `like_regex` in a jsonpath, with the letters of its flags.
///
/// # Errors
/// 2201B: it is none. 0A000: `x` is among the flags.
pub(crate) fn like_regex(pattern: &str, letters: &str) -> Result<Arc<Regular>> {
    let has = |letter| letters.contains(letter);
    if has('q') {
        return compile(pattern, Flags { fold: has('i'), literal: true, ..Flags::default() });
    }
    if has('x') {
        return Err(Error::new(
            "0A000",
            "XQuery \"x\" flag (expanded regular expressions) is not implemented",
        ));
    }
    compile(pattern, Flags { fold: has('i'), anchors: has('m'), stops: !has('s'), ..Flags::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups of the first match, `-` for one that takes no part; the whole if there are none.
    fn found(text: &str, pattern: &str) -> String {
        let regular = compile(pattern, Flags::default()).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let Some(groups) = regular.groups(text, 0).unwrap() else { return "none".to_owned() };
        let skip = usize::from(groups.len() > 1);
        let shown = groups.iter().skip(skip).map(|group| group.map_or("-", |group| group.as_str()));
        shown.collect::<Vec<_>>().join(",")
    }

    /// What PostgreSQL 15 finds.
    #[test]
    fn matches_and_groups_are_postgresqls() {
        for (text, pattern, expected) in [
            ("abcd", "(a|ab)(c|bcd)(d*)", "ab,c,d"),
            ("xabcx", "a|ab|abc", "abc"),
            ("ab", "a?(ab)?", "ab"),
            ("aba", "((a)|(b))*", "a,a,-"),
            ("abcabc", "(?:(a)|(b)|c)*", "-,-"),
            ("", "(a*)*", ""),
            ("", "(a*?)*", "-"),
            ("aba", "((a)(b)?)*", "a,a,-"),
            ("abc01234xyz", "(.*?)(\\d+)(.*)", "abc,0,"),
            ("abc01234xyz", "(?:(.*?)(\\d+)(.*)){1,1}", "abc,01234,xyz"),
            ("abcabc", "(a|ab)(c|bcd|bc)\\1", "ab,c"),
            ("xyxyx", "(x|y)*\\1", "none"),
            ("bab", "()|((|(.*b)(c?)|.)+)(\\5{1,2}?)*", "-,bab,,-,-,-"),
            ("abcd", "(?<=a|ab)(c|b|bc)", "bc"),
            ("baac", "(?:b|.){2}(?:c|a)??", "baa"),
            ("a b", "[[:<:]]b", "b"),
            ("b", "[[.a.]-[.c.]]", "b"),
        ] {
            assert_eq!(found(text, pattern), expected, "{pattern} in {text:?}");
        }
    }

    #[test]
    fn what_would_take_too_much_to_read_is_refused() {
        // Nothing, so many times that nobody could wait for it.
        let nothing = (0..12).fold(String::new(), |inner, _| format!("(?:{inner}){{255}}"));
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        for pattern in [format!("(?=a){nothing}"), nothing, long] {
            let refused = compile(&pattern, Flags::default()).unwrap_err();
            assert_eq!(refused.sqlstate, "2201B", "{}", pattern.len());
        }
    }

    /// Where the crate has other preferences the match is divided by us.
    #[test]
    fn the_crate_finds_what_prefers_alike() {
        let is_linear =
            |pattern: &str| matches!(*compile(pattern, Flags::default()).unwrap(), Regular::Linear(_));
        for pattern in ["a+(b*)c?", "<.*?>", "(\\d+)-(\\d+)", "[a-z]+@[a-z]+", "^(cat|dog)s*$", "a|b"] {
            assert!(is_linear(pattern), "{pattern}");
        }
        for pattern in ["a|ab", "(a)*", "a*?b*", "a*(ab)?", "x*(cat|dog)", "(a)\\1", "a(?=b)"] {
            assert!(!is_linear(pattern), "{pattern}");
        }
    }
}

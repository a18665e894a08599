//! How far the parts of an expression reach in a text: all ways are followed at once, so that it takes time that grows with the
//! text and the number of steps alone.

use super::Flags;
use super::code::Edge;
use super::program::{Program, Step};
use crate::error::Result;
use crate::work;

/// What looking at a character costs, in bytes' worth, and what each way that goes on there.
const CHARACTER_BYTES: usize = 16;
const WAY_BYTES: usize = 4;

/// A text that parts of an expression are matched with.
pub(super) struct Reach<'p, 't> {
    program: &'p Program,
    flags: Flags,
    pub(super) text: &'t str,
    /// For each step the round in which it was taken last.
    taken: Vec<usize>,
    round: usize,
    /// Steps to be taken.
    open: Vec<usize>,
}

impl<'p, 't> Reach<'p, 't> {
    pub(super) fn new(program: &'p Program, flags: Flags, text: &'t str) -> Self {
        Self { program, flags, text, taken: vec![0; program.steps.len()], round: 0, open: Vec::new() }
    }

    /// The last place up to `stop` where a match of a part ends that begins at a place.
    ///
    /// # Errors
    /// The statement is to end.
    pub(super) fn longest(&mut self, part: usize, begin: usize, stop: usize) -> Result<Option<usize>> {
        let mut last = None;
        self.follow(part, begin, stop, |end| {
            last = Some(end);
            true
        })?;
        Ok(last)
    }

    /// The first such place from `least` on, up to `stop`.
    ///
    /// # Errors
    /// The statement is to end.
    pub(super) fn shortest(
        &mut self,
        part: usize,
        begin: usize,
        least: usize,
        stop: usize,
    ) -> Result<Option<usize>> {
        let mut first = None;
        self.follow(part, begin, stop, |end| {
            first = (end >= least).then_some(end);
            first.is_none()
        })?;
        Ok(first)
    }

    /// Tells where matches end, in their order, as long as more are wanted.
    fn follow(
        &mut self,
        part: usize,
        begin: usize,
        stop: usize,
        mut ends: impl FnMut(usize) -> bool,
    ) -> Result<()> {
        let (mut here, mut next) = (Vec::new(), Vec::new());
        let mut at = begin;
        self.round += 1;
        let mut is_end = self.take(part, at, &mut here)?;
        loop {
            if is_end && !ends(at) || at >= stop || here.is_empty() {
                return Ok(());
            }
            let Some(c) = self.next(at) else { return Ok(()) };
            is_end = self.advance(c, &mut at, &mut here, &mut next)?;
        }
    }

    /// Goes over a character with all ways. Whether one has come to its end.
    fn advance(
        &mut self,
        c: char,
        at: &mut usize,
        here: &mut Vec<usize>,
        next: &mut Vec<usize>,
    ) -> Result<bool> {
        work::step(CHARACTER_BYTES + WAY_BYTES * here.len())?;
        *at += c.len_utf8();
        self.round += 1;
        let mut is_end = false;
        for step in here.drain(..) {
            if self.accepts(step, c) {
                is_end |= self.take(step + 1, *at, next)?;
            }
        }
        std::mem::swap(here, next);
        Ok(is_end)
    }

    /// Takes a step and all that follow it without a character. Those that wait for one are added to `waiting`.
    fn take(&mut self, step: usize, at: usize, waiting: &mut Vec<usize>) -> Result<bool> {
        let mut is_end = false;
        let program = self.program;
        self.open.push(step);
        while let Some(step) = self.open.pop() {
            let (Some(taken), Some(kind)) = (self.taken.get_mut(step), program.steps.get(step)) else {
                continue;
            };
            if std::mem::replace(taken, self.round) == self.round {
                continue;
            }
            match *kind {
                Step::Character(_) | Step::Any | Step::Class(_) => waiting.push(step),
                Step::Go(to) => self.open.push(to),
                Step::Both(one, other) => self.open.extend([one, other]),
                Step::Edge(edge) if self.is_at(edge, at) => self.open.push(step + 1),
                Step::Edge(_) => {}
                Step::Look { from, negated, behind, length_max } => {
                    let mut looking = Reach::new(program, self.flags, self.text);
                    let found = match behind {
                        false => looking.shortest(from, at, at, self.text.len())?.is_some(),
                        true => looking.ends_here(from, at, length_max)?,
                    };
                    if found != negated {
                        self.open.push(step + 1);
                    }
                }
                Step::End => is_end = true,
            }
        }
        Ok(is_end)
    }

    /// Whether a match of a part ends at a place.
    fn ends_here(&mut self, part: usize, at: usize, length_max: Option<usize>) -> Result<bool> {
        let before = self.text.get(..at).unwrap_or_default();
        let length_max = length_max.unwrap_or(usize::MAX);
        let mut from = match length_max {
            0 => at,
            length => before.char_indices().rev().nth(length - 1).map_or(0, |(place, _)| place),
        };
        let (mut here, mut next) = (Vec::new(), Vec::new());
        self.round += 1;
        let mut is_end = self.take(part, from, &mut here)?;
        while from < at {
            let Some(c) = self.next(from) else { break };
            is_end = self.advance(c, &mut from, &mut here, &mut next)?;
            // A match may begin here, too.
            is_end |= self.take(part, from, &mut here)?;
        }
        Ok(is_end)
    }

    /// The place one character further.
    pub(super) fn after(&self, at: usize) -> Option<usize> {
        self.next(at).map(|c| at + c.len_utf8())
    }

    /// The place one character back.
    pub(super) fn before(&self, at: usize) -> Option<usize> {
        self.last(at).map(|c| at - c.len_utf8())
    }

    /// The character behind a place.
    fn next(&self, at: usize) -> Option<char> {
        self.text.get(at..).and_then(|rest| rest.chars().next())
    }

    /// The character before a place.
    fn last(&self, at: usize) -> Option<char> {
        self.text.get(..at).and_then(|before| before.chars().next_back())
    }

    /// Whether a step goes over a character.
    fn accepts(&self, step: usize, c: char) -> bool {
        match self.program.steps.get(step) {
            Some(Step::Character(wanted)) => *wanted == c || self.flags.fold && is_like(*wanted, c),
            Some(Step::Any) => !(self.flags.stops && c == '\n'),
            Some(Step::Class(place)) => {
                self.program.classes.get(*place).is_some_and(|class| class.has(c, self.flags.fold))
            }
            _ => false,
        }
    }

    fn is_at(&self, edge: Edge, at: usize) -> bool {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (before, behind) = (self.last(at), self.next(at));
        match edge {
            Edge::TextStart => before.is_none(),
            Edge::TextEnd => behind.is_none(),
            Edge::Start => before.is_none() || self.flags.anchors && before == Some('\n'),
            Edge::End => behind.is_none() || self.flags.anchors && behind == Some('\n'),
            Edge::Word => is_word(before) != is_word(behind),
            Edge::NoWord => is_word(before) == is_word(behind),
            Edge::WordStart => !is_word(before) && is_word(behind),
            Edge::WordEnd => is_word(before) && !is_word(behind),
        }
    }

    /// Whether texts are the same, or differ in their case alone where that does not count.
    pub(super) fn is_same(&self, one: &str, other: &str) -> bool {
        let (mut one, mut other) = (one.chars(), other.chars());
        loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a == b || self.flags.fold && is_like(a, b) => {}
                _ => return false,
            }
        }
    }
}

/// Whether two characters differ in their case alone.
fn is_like(one: char, other: char) -> bool {
    one.to_lowercase().eq(other.to_lowercase())
}

//! Matches regular expressions with back references or lookaround: one way after the other is tried, so that it may take long.
//! Each step counts as work, and what is remembered of ways back is bounded.

use super::Flags;
use super::program::{Program, Step};
use super::read::Edge;
use crate::error::{Error, Result};
use crate::work;

/// How many ways back are remembered at most.
const WAYS_MAX: usize = 1 << 22;

/// Where a group begins and ends, if it is part of the match.
type Group = Option<(usize, usize)>;

/// What is undone, or tried, when a way fails.
enum Back {
    /// Goes on from this step at this place.
    Try(usize, usize),
    /// A slot is as it was.
    Slot(usize, Option<usize>),
}

/// A text that an expression is matched with.
pub(super) struct Walk<'p, 't> {
    program: &'p Program,
    flags: Flags,
    text: &'t str,
    slots: Vec<Option<usize>>,
    /// How many ways back are remembered around the look that is taken.
    held: usize,
}

impl<'p, 't> Walk<'p, 't> {
    pub(super) fn new(program: &'p Program, flags: Flags, text: &'t str) -> Self {
        Self { program, flags, text, slots: Vec::new(), held: 0 }
    }

    /// The first match that begins at a byte or behind it: where it and its groups begin and end.
    ///
    /// # Errors
    /// The statement is to end; 54000: too much has to be remembered.
    pub(super) fn find(mut self, from: usize) -> Result<Option<Vec<Group>>> {
        let mut start = from;
        loop {
            self.slots = vec![None; self.program.slots];
            if let Some(end) = self.attempt(0, start, None)? {
                let groups = (1..=self.program.groups).map(|group| self.span(group));
                return Ok(Some(std::iter::once(Some((start, end))).chain(groups).collect()));
            }
            match self.next(start) {
                Some(c) => start += c.len_utf8(),
                None => return Ok(None),
            }
        }
    }

    fn slot(&self, slot: usize) -> Option<usize> {
        self.slots.get(slot).copied().flatten()
    }

    fn span(&self, group: usize) -> Group {
        self.slot(2 * group).zip(self.slot(2 * group + 1))
    }

    /// The character behind a place.
    fn next(&self, at: usize) -> Option<char> {
        self.text.get(at..).and_then(|rest| rest.chars().next())
    }

    /// The character before a place.
    fn last(&self, at: usize) -> Option<char> {
        self.text.get(..at).and_then(|before| before.chars().next_back())
    }

    /// Where a match from a step on ends that begins at a place; `wanted`: it has to end there.
    fn attempt(&mut self, from: usize, start: usize, wanted: Option<usize>) -> Result<Option<usize>> {
        let mut ways: Vec<Back> = Vec::new();
        let (mut step, mut at) = (from, start);
        loop {
            work::part()?;
            let program = self.program;
            let taken = match program.steps.get(step).copied() {
                None => return Err(Error::internal("a regular expression without an end")),
                Some(Step::End) => match wanted.is_none_or(|wanted| wanted == at) {
                    true => return Ok(Some(at)),
                    false => None,
                },
                Some(Step::Go(to)) => Some((to, at)),
                Some(Step::Either(first, second)) => {
                    ways.push(Back::Try(second, at));
                    Some((first, at))
                }
                Some(Step::Remember(slot)) => {
                    ways.push(Back::Slot(slot, self.slot(slot)));
                    if let Some(slot) = self.slots.get_mut(slot) {
                        *slot = Some(at);
                    }
                    Some((step + 1, at))
                }
                Some(Step::Moved { slot, behind }) => {
                    Some((if self.slot(slot) == Some(at) { behind } else { step + 1 }, at))
                }
                Some(Step::Edge(edge)) => self.is_at(edge, at).then_some((step + 1, at)),
                Some(Step::Look { behind, negated, next }) => {
                    self.held += ways.len();
                    let found = match behind {
                        false => self.attempt(step + 1, at, None)?.is_some(),
                        true => self.ends_here(step + 1, at)?,
                    };
                    self.held -= ways.len();
                    (found != negated).then_some((next, at))
                }
                Some(Step::Back(group)) => self.repeats(group, at)?.map(|at| (step + 1, at)),
                Some(one) => {
                    self.next(at).filter(|c| self.takes(one, *c)).map(|c| (step + 1, at + c.len_utf8()))
                }
            };
            if self.held + ways.len() > WAYS_MAX {
                let message = "regular expression takes too much memory";
                return Err(Error::new("54000", message));
            }
            match taken {
                Some(taken) => (step, at) = taken,
                None => loop {
                    match ways.pop() {
                        None => return Ok(None),
                        Some(Back::Try(from, place)) => {
                            (step, at) = (from, place);
                            break;
                        }
                        Some(Back::Slot(slot, before)) => {
                            if let Some(slot) = self.slots.get_mut(slot) {
                                *slot = before;
                            }
                        }
                    }
                },
            }
        }
    }

    /// Whether a match from a step on ends at a place.
    fn ends_here(&mut self, from: usize, at: usize) -> Result<bool> {
        let mut start = at;
        loop {
            if self.attempt(from, start, Some(at))?.is_some() {
                return Ok(true);
            }
            match self.last(start) {
                Some(c) => start -= c.len_utf8(),
                None => return Ok(false),
            }
        }
    }

    /// Whether a step takes a character.
    fn takes(&self, step: Step, c: char) -> bool {
        match step {
            Step::Character(wanted) => wanted == c || self.flags.fold && is_like(wanted, c),
            Step::Any => !(self.flags.stops && c == '\n'),
            Step::Class(place) => {
                let mut held = [0; 4];
                let class = self.program.classes.get(place);
                class.is_some_and(|class| class.is_match(c.encode_utf8(&mut held)))
            }
            _ => false,
        }
    }

    /// The place behind the text of a group, if that stands here again.
    fn repeats(&self, group: usize, at: usize) -> Result<Option<usize>> {
        let Some((start, end)) = self.span(group) else { return Ok(None) };
        let text = self.text.get(start..end).unwrap_or_default();
        work::spend(text.len())?;
        let rest = self.text.get(at..).unwrap_or_default();
        if !self.flags.fold {
            return Ok(rest.starts_with(text).then_some(at + text.len()));
        }
        let mut here = rest.chars();
        let mut behind = at;
        for wanted in text.chars() {
            match here.next() {
                Some(c) if c == wanted || is_like(wanted, c) => behind += c.len_utf8(),
                _ => return Ok(None),
            }
        }
        Ok(Some(behind))
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
}

/// Whether two characters differ in their case alone.
fn is_like(one: char, other: char) -> bool {
    one.to_lowercase().eq(other.to_lowercase())
}

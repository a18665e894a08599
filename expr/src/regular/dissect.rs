//! Where the groups of a match are: the match is known, and is divided among the pieces of the expression, each of which takes as
//! much, or as little, as it prefers, the first of them first. The ways are those of Henry Spencer's engine.

use super::piece::{Part, Piece};
use super::reach::Reach;
use crate::error::{Error, Result};
use crate::work;

/// Of how many repetitions ends are remembered at most.
const REPEATS_MAX: usize = 1 << 22;

/// Where a group begins and ends, if it is part of the match.
pub(super) type Span = Option<(usize, usize)>;

/// A match that is divided.
pub(super) struct Dissection<'p, 't> {
    pub(super) reach: Reach<'p, 't>,
    /// Of all groups, that of the whole match the first.
    pub(super) spans: Vec<Span>,
}

impl Dissection<'_, '_> {
    /// Whether a piece matches just this text; its groups are then known.
    ///
    /// # Errors
    /// The statement is to end; 54000: too much has to be remembered.
    pub(super) fn divide(&mut self, piece: &Piece, begin: usize, end: usize) -> Result<bool> {
        work::part()?;
        let matches = match &piece.part {
            Part::Plain => true,
            Part::Back { group, least, most } => self.repeats(*group, *least, *most, begin, end)?,
            Part::Then(first, second) if first.traits.few => self.then_few(first, second, begin, end)?,
            Part::Then(first, second) => self.then_many(first, second, begin, end)?,
            Part::Either(pieces) => self.either(pieces, begin, end)?,
            Part::Repeat { piece, least, most } => {
                self.repeat(piece, usize_of(*least), most.map(usize_of), begin, end)?
            }
            Part::Group(piece) => self.divide(piece, begin, end)?,
        };
        if matches && let Some(span) = piece.group.and_then(|group| self.spans.get_mut(group)) {
            *span = Some((begin, end));
        }
        Ok(matches)
    }

    /// Whether a piece may match just this text.
    fn spans_all(&mut self, piece: &Piece, begin: usize, end: usize) -> Result<bool> {
        Ok(self.reach.longest(piece.from, begin, end)? == Some(end))
    }

    fn both(&mut self, first: &Piece, second: &Piece, ends: [usize; 3]) -> Result<bool> {
        let [begin, middle, end] = ends;
        if !self.spans_all(second, middle, end)? {
            return Ok(false);
        }
        if self.divide(first, begin, middle)? && self.divide(second, middle, end)? {
            return Ok(true);
        }
        self.forget(first);
        self.forget(second);
        Ok(false)
    }

    fn then_many(&mut self, first: &Piece, second: &Piece, begin: usize, end: usize) -> Result<bool> {
        let mut stop = end;
        while let Some(middle) = self.reach.longest(first.from, begin, stop)? {
            if self.both(first, second, [begin, middle, end])? {
                return Ok(true);
            }
            match self.reach.before(middle) {
                Some(before) if before >= begin => stop = before,
                _ => break,
            }
        }
        Ok(false)
    }

    fn then_few(&mut self, first: &Piece, second: &Piece, begin: usize, end: usize) -> Result<bool> {
        let mut least = begin;
        while let Some(middle) = self.reach.shortest(first.from, begin, least, end)? {
            if self.both(first, second, [begin, middle, end])? {
                return Ok(true);
            }
            match self.reach.after(middle) {
                Some(after) if after <= end => least = after,
                _ => break,
            }
        }
        Ok(false)
    }

    fn either(&mut self, pieces: &[Piece], begin: usize, end: usize) -> Result<bool> {
        for piece in pieces {
            if self.spans_all(piece, begin, end)? && self.divide(piece, begin, end)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a piece matches so many times in this text, the last time's groups being those of the match. Nothing is matched
    /// with no characters unless there are too few of them otherwise.
    fn repeat(
        &mut self,
        piece: &Piece,
        least: usize,
        most: Option<usize>,
        begin: usize,
        end: usize,
    ) -> Result<bool> {
        let few = piece.traits.few;
        if few && least == 0 && begin == end {
            return Ok(true);
        }
        let at_least = least.max(1);
        let length = self.distance(begin, end);
        let at_most = length.min(most.unwrap_or(usize::MAX)).max(at_least);
        let mut ends = vec![begin];
        let mut verified = 0;
        let mut number = 1;
        let mut limit = if few { begin } else { end };
        while number > 0 {
            work::part()?;
            if ends.len() > REPEATS_MAX {
                return Err(Error::new("54000", "regular expression takes too much memory"));
            }
            let from = place(&ends, number - 1);
            let lacks = |number: usize| at_least.saturating_sub(number);
            let found = if few {
                let may_be_empty = || lacks(number) > 0 && lacks(number) >= self.distance(limit, end);
                if limit == from && limit != end && !may_be_empty() {
                    limit = self.reach.after(limit).unwrap_or(end);
                }
                if number >= at_most {
                    limit = end;
                }
                self.reach.shortest(piece.from, from, limit, end)?
            } else {
                self.reach.longest(piece.from, from, limit)?
            };
            let is_found = match found {
                None => {
                    number -= 1;
                    false
                }
                Some(found) => {
                    ends.truncate(number);
                    ends.push(found);
                    verified = verified.min(number - 1);
                    if found != end && number >= at_most {
                        number -= 1;
                        false
                    } else if found != end {
                        let may_be_empty = || lacks(number) > 0 && lacks(number) >= self.distance(found, end);
                        if few || found != from || may_be_empty() {
                            number += 1;
                            limit = if few { found } else { end };
                            continue;
                        }
                        false
                    } else {
                        number >= at_least
                    }
                }
            };
            if is_found {
                match self.verify(piece, &ends, verified)? {
                    None => return Ok(true),
                    Some(failed) => {
                        verified = failed - 1;
                        number = failed;
                    }
                }
            }
            // Another end for the last of those that can have one.
            while number > 0 {
                let (from, found) = (place(&ends, number - 1), place(&ends, number));
                if few {
                    if found < end {
                        limit = self.reach.after(found).unwrap_or(end);
                        break;
                    }
                } else if found > from {
                    limit = self.reach.before(found).unwrap_or(from);
                    let is_needed = number < at_least && lacks(number) >= self.distance(from, end);
                    if limit > from || is_needed {
                        break;
                    }
                }
                number -= 1;
            }
        }
        Ok(least == 0 && begin == end)
    }

    /// The first repetition whose groups cannot be as its ends say, of those that are not known to.
    fn verify(&mut self, piece: &Piece, ends: &[usize], verified: usize) -> Result<Option<usize>> {
        for (number, pair) in ends.windows(2).enumerate().skip(verified) {
            let [from, to] = pair else { continue };
            self.forget(piece);
            if !self.divide(piece, *from, *to)? {
                return Ok(Some(number + 1));
            }
        }
        Ok(None)
    }

    /// How many characters there are between two places.
    fn distance(&self, from: usize, to: usize) -> usize {
        self.reach.text.get(from..to).map_or(0, |between| between.chars().count())
    }

    /// Whether the text of a group stands here so many times.
    fn repeats(
        &mut self,
        group: usize,
        least: u32,
        most: Option<u32>,
        begin: usize,
        end: usize,
    ) -> Result<bool> {
        let Some((from, to)) = self.spans.get(group).copied().flatten() else { return Ok(false) };
        let text = self.reach.text;
        let (wanted, here) =
            (text.get(from..to).unwrap_or_default(), text.get(begin..end).unwrap_or_default());
        work::spend(here.len())?;
        if wanted.is_empty() {
            return Ok(here.is_empty());
        }
        let length = wanted.chars().count();
        let (mut rest, mut times) = (here, 0_usize);
        while !rest.is_empty() {
            let cut = rest.char_indices().nth(length).map_or(rest.len(), |(place, _)| place);
            let (first, behind) = rest.split_at_checked(cut).unwrap_or((rest, ""));
            if !self.reach.is_same(wanted, first) {
                return Ok(false);
            }
            (rest, times) = (behind, times + 1);
        }
        Ok(times >= usize_of(least) && most.is_none_or(|most| times <= usize_of(most)))
    }

    /// Forgets the groups of a piece.
    fn forget(&mut self, piece: &Piece) {
        if let Some(span) = piece.group.and_then(|group| self.spans.get_mut(group)) {
            *span = None;
        }
        match &piece.part {
            Part::Plain | Part::Back { .. } => {}
            Part::Then(first, second) => {
                self.forget(first);
                self.forget(second);
            }
            Part::Either(pieces) => pieces.iter().for_each(|piece| self.forget(piece)),
            Part::Repeat { piece, .. } | Part::Group(piece) => self.forget(piece),
        }
    }
}

fn place(ends: &[usize], number: usize) -> usize {
    ends.get(number).copied().unwrap_or_default()
}

fn usize_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

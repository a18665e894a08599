//! Regular expressions with back references or lookaround, as steps that [`super::walk`] takes.

use regex::Regex;

use super::read::{Edge, Node, Tree};
use super::too_complex;
use crate::error::Result;

/// How many steps an expression may have.
const STEPS_MAX: usize = 20_000;
/// How many parts of an expression are made into steps, those that are repeated each time, and those of which there are none.
const PARTS_MAX: usize = 10 * STEPS_MAX;

/// One step. Those that name none go on with the next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Character(char),
    Any,
    Class(usize),
    Edge(Edge),
    /// Remembers the place in a slot.
    Remember(usize),
    /// Goes on with `behind` at the place that a slot remembers: a repeated part that took nothing is not tried again.
    Moved {
        slot: usize,
        behind: usize,
    },
    /// Goes on with the first, and if that fails with the second.
    Either(usize, usize),
    Go(usize),
    /// What follows, up to its end, has to match here, or must not; then it goes on from `next`.
    Look {
        behind: bool,
        negated: bool,
        next: usize,
    },
    /// The same text as that of a group.
    Back(usize),
    /// The end, of the whole or of what a look is after.
    End,
}

/// An expression.
///
/// # Invariants
/// - Slots 2g and 2g + 1 are where group g begins and ends; group 0 has none.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) classes: Vec<Regex>,
    pub(super) groups: usize,
    pub(super) slots: usize,
    /// How many parts have been made into steps.
    parts: usize,
}

impl Program {
    /// # Errors
    /// 2201B: it is too large.
    pub(super) fn of(tree: Tree) -> Result<Self> {
        let slots = 2 * (tree.groups + 1);
        let mut program =
            Self { steps: Vec::new(), classes: tree.classes, groups: tree.groups, slots, parts: 0 };
        program.add(&tree.root)?;
        program.push(Step::End)?;
        Ok(program)
    }

    fn push(&mut self, step: Step) -> Result<usize> {
        if self.steps.len() >= STEPS_MAX {
            return Err(too_complex());
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn set(&mut self, place: usize, step: Step) {
        if let Some(slot) = self.steps.get_mut(place) {
            *slot = step;
        }
    }

    fn add(&mut self, node: &Node) -> Result<()> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(too_complex());
        }
        match node {
            Node::Character(c) => self.push(Step::Character(*c)).map(drop),
            Node::Any => self.push(Step::Any).map(drop),
            Node::Class(place) => self.push(Step::Class(*place)).map(drop),
            Node::Edge(edge) => self.push(Step::Edge(*edge)).map(drop),
            Node::Back(group) => self.push(Step::Back(*group)).map(drop),
            Node::Sequence(items) => items.iter().try_for_each(|item| self.add(item)),
            Node::Group(node, None) => self.add(node),
            Node::Group(node, Some(number)) => {
                self.push(Step::Remember(2 * number))?;
                self.add(node)?;
                self.push(Step::Remember(2 * number + 1)).map(drop)
            }
            Node::Look { node, behind, negated } => {
                let look = self.push(Step::End)?;
                self.add(node)?;
                let next = self.push(Step::End)? + 1;
                self.set(look, Step::Look { behind: *behind, negated: *negated, next });
                Ok(())
            }
            Node::Alternatives(branches) => self.alternatives(branches),
            Node::Repeat { node, least, most, lazy } => {
                for _ in 0..*least {
                    self.add(node)?;
                }
                match most {
                    None => self.any_number(node, *lazy),
                    Some(most) => self.at_most(node, most.saturating_sub(*least), *lazy),
                }
            }
        }
    }

    fn alternatives(&mut self, branches: &[Node]) -> Result<()> {
        let mut ends = Vec::with_capacity(branches.len());
        for (number, branch) in branches.iter().enumerate() {
            if number + 1 == branches.len() {
                self.add(branch)?;
                break;
            }
            let choice = self.push(Step::End)?;
            self.add(branch)?;
            ends.push(self.push(Step::End)?);
            self.set(choice, Step::Either(choice + 1, self.steps.len()));
        }
        let behind = self.steps.len();
        ends.into_iter().for_each(|end| self.set(end, Step::Go(behind)));
        Ok(())
    }

    fn any_number(&mut self, node: &Node, lazy: bool) -> Result<()> {
        let slot = self.slots;
        self.slots += 1;
        let choice = self.push(Step::End)?;
        self.push(Step::Remember(slot))?;
        self.add(node)?;
        let moved = self.push(Step::End)?;
        let behind = self.push(Step::Go(choice))? + 1;
        self.set(moved, Step::Moved { slot, behind });
        self.set(choice, either(choice + 1, behind, lazy));
        Ok(())
    }

    fn at_most(&mut self, node: &Node, most: u32, lazy: bool) -> Result<()> {
        let mut choices = Vec::new();
        for _ in 0..most {
            choices.push(self.push(Step::End)?);
            self.add(node)?;
        }
        let behind = self.steps.len();
        choices.into_iter().for_each(|choice| self.set(choice, either(choice + 1, behind, lazy)));
        Ok(())
    }
}

fn either(more: usize, behind: usize, lazy: bool) -> Step {
    if lazy { Step::Either(behind, more) } else { Step::Either(more, behind) }
}

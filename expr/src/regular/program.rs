//! Parts of a regular expression as steps, of which many are taken at once: what [`super::reach`] follows through a text.

use super::class::Class;
use super::code::Edge;
use super::invalid;
use super::read::Node;
use crate::error::Result;

/// How many steps an expression may have.
const STEPS_MAX: usize = 100_000;

/// How many parts of an expression are made into steps, those that are repeated each time, and those of which there are none.
const PARTS_MAX: usize = 10 * STEPS_MAX;

/// One step. Those that name none go on with the next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Character(char),
    Any,
    Class(usize),
    Edge(Edge),
    /// What the steps from there on match has to stand here, or must not.
    Look {
        from: usize,
        negated: bool,
        /// It has to end here, instead of beginning.
        behind: bool,
        /// How many characters it takes at most, if that is bounded.
        length_max: Option<usize>,
    },
    /// Goes on with both.
    Both(usize, usize),
    Go(usize),
    /// The part is matched.
    End,
}

/// The parts of an expression.
///
/// # Invariants
/// - No part's steps lead into another's: whoever begins at the first of a part ends at its own [`Step::End`].
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) classes: Vec<Class>,
}

/// Makes a program.
pub(super) struct Maker<'r> {
    program: Program,
    /// The parts so far.
    parts: usize,
    /// The whole expression.
    root: &'r Node,
}

impl<'r> Maker<'r> {
    pub(super) fn new(classes: Vec<Class>, root: &'r Node) -> Self {
        Self { program: Program { steps: Vec::new(), classes }, parts: 0, root }
    }

    pub(super) fn finish(self) -> Program {
        self.program
    }

    /// Adds a part, and says where it begins.
    ///
    /// # Errors
    /// 2201B: it is too large.
    pub(super) fn part(&mut self, node: &Node) -> Result<usize> {
        let mut looks = Vec::new();
        let from = self.program.steps.len();
        self.add(node, false, &mut looks)?;
        self.push(Step::End)?;
        for (place, look) in looks {
            let Node::Look { node, behind, negated } = look else { continue };
            let from = self.part(node)?;
            let length_max = length_max(node);
            self.set(place, Step::Look { from, negated: *negated, behind: *behind, length_max });
        }
        Ok(from)
    }

    fn push(&mut self, step: Step) -> Result<usize> {
        if self.program.steps.len() >= STEPS_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        self.program.steps.push(step);
        Ok(self.program.steps.len() - 1)
    }

    fn set(&mut self, place: usize, step: Step) {
        if let Some(slot) = self.program.steps.get_mut(place) {
            *slot = step;
        }
    }

    /// Adds the steps of a node. `loosely`: in the place of a back reference, where conditions of the group do not count.
    /// Lookaround gets its steps behind the part.
    fn add<'n>(&mut self, node: &'n Node, loosely: bool, looks: &mut Vec<(usize, &'n Node)>) -> Result<()> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        match node {
            Node::Character(c) => self.push(Step::Character(*c)).map(drop),
            Node::Any => self.push(Step::Any).map(drop),
            Node::Class(place) => self.push(Step::Class(*place)).map(drop),
            Node::Edge(_) | Node::Look { .. } if loosely => Ok(()),
            Node::Edge(edge) => self.push(Step::Edge(*edge)).map(drop),
            Node::Look { .. } => {
                let place = self.push(Step::End)?;
                looks.push((place, node));
                Ok(())
            }
            Node::Back(group) => {
                // Of whatever text the group may have: whether it is the same is asked of a match.
                let Some(inside) = group_of(self.root, *group) else { return Ok(()) };
                self.add(inside, true, &mut Vec::new())
            }
            Node::Sequence(items) => items.iter().try_for_each(|item| self.add(item, loosely, looks)),
            Node::Group(node, _) => self.add(node, loosely, looks),
            Node::Alternatives(branches) => {
                let mut ends = Vec::with_capacity(branches.len());
                for (number, branch) in branches.iter().enumerate() {
                    if number + 1 == branches.len() {
                        self.add(branch, loosely, looks)?;
                        break;
                    }
                    let choice = self.push(Step::End)?;
                    self.add(branch, loosely, looks)?;
                    ends.push(self.push(Step::End)?);
                    self.set(choice, Step::Both(choice + 1, self.program.steps.len()));
                }
                let behind = self.program.steps.len();
                ends.into_iter().for_each(|end| self.set(end, Step::Go(behind)));
                Ok(())
            }
            Node::Repeat { node, least, most, .. } => {
                for _ in 0..*least {
                    self.add(node, loosely, looks)?;
                }
                let mut choices = Vec::new();
                for _ in 0..most.map_or(1, |most| most.saturating_sub(*least)) {
                    choices.push(self.push(Step::End)?);
                    self.add(node, loosely, looks)?;
                }
                if let (None, Some(choice)) = (most, choices.first()) {
                    self.push(Step::Go(*choice))?;
                }
                let behind = self.program.steps.len();
                choices.into_iter().for_each(|choice| self.set(choice, Step::Both(choice + 1, behind)));
                Ok(())
            }
        }
    }
}

/// What stands in a numbered group.
fn group_of(node: &Node, wanted: usize) -> Option<&Node> {
    match node {
        Node::Group(inside, number) if *number == Some(wanted) => Some(inside),
        Node::Group(node, _) | Node::Look { node, .. } | Node::Repeat { node, .. } => group_of(node, wanted),
        Node::Sequence(nodes) | Node::Alternatives(nodes) => {
            nodes.iter().find_map(|node| group_of(node, wanted))
        }
        Node::Character(_) | Node::Any | Node::Class(_) | Node::Edge(_) | Node::Back(_) => None,
    }
}

/// How many characters a part takes at most.
fn length_max(node: &Node) -> Option<usize> {
    match node {
        Node::Character(_) | Node::Any | Node::Class(_) => Some(1),
        Node::Edge(_) | Node::Look { .. } => Some(0),
        Node::Back(_) => None,
        Node::Group(node, _) => length_max(node),
        Node::Sequence(items) => {
            items.iter().try_fold(0_usize, |sum, item| Some(sum.saturating_add(length_max(item)?)))
        }
        Node::Alternatives(branches) => {
            branches.iter().try_fold(0, |most, branch| Some(length_max(branch)?.max(most)))
        }
        Node::Repeat { node, most, .. } => {
            let times = usize::try_from((*most)?).ok()?;
            Some(length_max(node)?.saturating_mul(times))
        }
    }
}

//! What connects the inputs of a group of joins: its conditions, by the inputs that they ask, with the part of all pairs that they leave.

use expr::Expr;

use crate::logical::{ColumnSet, Node};
use crate::optimise::equivalence::{Classes, is_settled};
use crate::optimise::estimate::{Estimates, equal_columns};

/// Conditions between the same inputs.
pub(super) struct Edge {
    pub(super) conditions: Vec<Condition>,
    /// A bit for each.
    pub(super) inputs: u64,
    /// The least part of all pairs that equalities between the inputs leave.
    least: f64,
}

/// A condition of an edge.
pub(super) struct Condition {
    pub(super) is: Expr,
    /// The columns that it compares are of this class: of several such conditions between two parts one is enough, as the
    /// columns within each part are equal already.
    class: Option<usize>,
    pub(super) is_equality: bool,
    /// The part of all pairs that meets it.
    part: f64,
}

impl Edge {
    /// Whether it connects two parts of the inputs.
    pub(super) fn is_between(&self, first: u64, second: u64) -> bool {
        self.inputs & !(first | second) == 0 && self.inputs & first != 0 && self.inputs & second != 0
    }

    /// The part of all pairs that meets those of its conditions that count.
    fn part(&self, counts: &mut dyn FnMut(&Condition) -> bool) -> f64 {
        let (mut equal, mut other) = (1.0, 1.0);
        for condition in self.conditions.iter().filter(|condition| counts(condition)) {
            *if condition.is_equality { &mut equal } else { &mut other } *= condition.part;
        }
        // All columns of a key together have no more values than there are rows.
        equal.max(self.least) * other
    }
}

/// Counts of the conditions of each class the first alone.
pub(super) fn first_of_each_class() -> impl FnMut(&Condition) -> bool {
    let mut met = Vec::new();
    move |condition| match condition.class {
        Some(class) if met.contains(&class) => false,
        class => {
            met.extend(class);
            true
        }
    }
}

/// The part of all pairs that meets the conditions of edges.
pub(super) fn part_of<'e>(edges: impl Iterator<Item = &'e Edge>) -> f64 {
    let mut counts = first_of_each_class();
    edges.map(|edge| edge.part(&mut counts)).product()
}

/// The inputs that conditions ask, a bit for each.
pub(super) fn asked<'e>(conditions: impl IntoIterator<Item = &'e Expr>, made: &[ColumnSet]) -> u64 {
    let mut asked = 0_u64;
    for condition in conditions {
        for column in condition.columns() {
            let input = made.iter().position(|made| made.contains(column));
            asked |= input.map_or(0, |bit| 1 << bit);
        }
    }
    asked
}

/// The conditions of a group, and what they imply, by the inputs that they ask.
pub(super) fn edges(
    mut conditions: Vec<Expr>,
    inputs: &[Node],
    made: &[ColumnSet],
    estimates: &Estimates<'_>,
) -> Vec<Edge> {
    let classes = Classes::new(&conditions, made);
    conditions.extend(classes.implied(&conditions));
    let mut edges: Vec<Edge> = Vec::new();
    for is in conditions {
        let of = asked([&is], made);
        let (class, is_equality) = (classes.of(&is), equal_columns(&is).is_some());
        let condition = Condition { is, class, is_equality, part: 1.0 };
        match edges.iter_mut().find(|edge| edge.inputs == of) {
            Some(edge) => edge.conditions.push(condition),
            None => edges.push(Edge { conditions: vec![condition], inputs: of, least: 0.0 }),
        }
    }
    for edge in &mut edges {
        let asked =
            (0..).zip(inputs).filter(|(bit, _)| edge.inputs & (1 << bit) != 0).map(|(_, input)| input);
        let asked: Vec<&Node> = asked.collect();
        if let [left, right] = *asked.as_slice() {
            edge.least = 1.0 / estimates.whole(left).max(estimates.whole(right));
            for condition in &mut edge.conditions {
                if !is_settled(&condition.is, left, right) {
                    condition.part = estimates.pairs((left, 1.0), (right, 1.0), [&condition.is]);
                }
            }
        }
    }
    edges
}

//! In which order the inputs of a group are joined.
//!
//! Of the pairs that a condition connects, the one with the fewest rows comes first, until one is left (greedy operator ordering;
//! Fegaras, "A New Heuristic for Optimizing Large Queries"). That knows nothing of what a join costs, and of what comes after
//! it. So for few inputs all orders without products are looked at, too: the best one of each set of inputs is the best one of two sets
//! that it divides into (Selinger et al., "Access Path Selection in a Relational Database Management System"; divisions as by Vance and
//! Maier). It is taken where it costs much less: else the order does not depend on what is guessed.

use crate::logical::Node;
use crate::optimise::cost;
use crate::optimise::estimate::{Estimates, has_index, rows_max};

use super::edges::{Edge, part_of};

/// So many inputs at most are joined in all orders: each more takes three times as long.
const SEARCHED_MAX: usize = 8;

/// An order that costs less than this part of the greedy one is taken.
const WORTH: f64 = 0.7;

/// Two parts of the inputs, a bit for each, that are joined.
pub(super) type Step = (u64, u64);

/// An input and how many rows it has.
#[derive(Clone, Copy)]
pub(super) struct Input<'n> {
    pub(super) node: &'n Node,
    pub(super) rows: f64,
}

/// What is joined one after the other, until one part is left.
pub(super) fn steps(inputs: &[Input<'_>], edges: &[Edge], estimates: &Estimates<'_>) -> Vec<Step> {
    let greedy = greedy(inputs, edges);
    if !(3..=SEARCHED_MAX).contains(&inputs.len()) {
        return greedy;
    }
    let mut search = Search { inputs, edges, estimates, best: Vec::new() };
    search.all();
    search.better_than(&greedy).unwrap_or(greedy)
}

/// Joins what has the fewest rows.
fn greedy(inputs: &[Input<'_>], edges: &[Edge]) -> Vec<Step> {
    let mut parts: Vec<(u64, f64)> = (0..).zip(inputs).map(|(bit, input)| (1 << bit, input.rows)).collect();
    let mut edges: Vec<&Edge> = edges.iter().collect();
    let mut steps = Vec::with_capacity(parts.len());
    while let Some((left, right, rows)) = fewest(&parts, &edges) {
        let (second, _) = parts.remove(right);
        let (first, _) = parts.remove(left);
        parts.insert(left, (first | second, rows.max(1.0)));
        edges.retain(|edge| edge.inputs & !(first | second) != 0);
        steps.push((first, second));
    }
    steps
}

/// The places of the pair to be joined next, and the rows that it has.
fn fewest(parts: &[(u64, f64)], edges: &[&Edge]) -> Option<(usize, usize, f64)> {
    let mut best: Option<(bool, f64, usize, usize)> = None;
    for (left, (first, first_rows)) in parts.iter().enumerate() {
        for (right, (second, second_rows)) in parts.iter().enumerate().skip(left.saturating_add(1)) {
            let between = || edges.iter().copied().filter(|edge| edge.is_between(*first, *second));
            let apart = between().next().is_none();
            let rows = first_rows * second_rows * part_of(between());
            let is_better = best.is_none_or(|(others_apart, fewest, ..)| match (apart, others_apart) {
                (false, true) => true,
                (true, false) => false,
                _ => rows < fewest,
            });
            if is_better {
                best = Some((apart, rows, left, right));
            }
        }
    }
    best.map(|(_, rows, left, right)| (left, right, rows))
}

/// All sets of a few inputs.
struct Search<'s> {
    inputs: &'s [Input<'s>],
    edges: &'s [Edge],
    estimates: &'s Estimates<'s>,
    /// By the bits of a set; none where it cannot be joined without a product.
    best: Vec<Option<Best>>,
}

/// The best way to a set of inputs.
#[derive(Clone, Copy)]
struct Best {
    rows: f64,
    cost: f64,
    /// None: it is one input.
    step: Option<Step>,
}

impl Search<'_> {
    /// Finds the best way to each set, smaller ones first.
    fn all(&mut self) {
        let all = self.whole();
        self.best.push(None);
        for set in 1..=all {
            let found = if set.is_power_of_two() { self.input(set) } else { self.divided(set) };
            self.best.push(found);
        }
    }

    /// The set of all inputs.
    fn whole(&self) -> u64 {
        (1_u64 << self.inputs.len()) - 1
    }

    fn of(&self, set: u64) -> Option<Best> {
        *self.best.get(usize::try_from(set).ok()?)?
    }

    fn one(&self, set: u64) -> Option<Input<'_>> {
        self.inputs.get(set.trailing_zeros() as usize).copied().filter(|_| set.is_power_of_two())
    }

    fn input(&self, set: u64) -> Option<Best> {
        let Input { node, rows } = self.one(set)?;
        // Few keys are looked up, whatever stands beside them.
        let cost = rows_max(node).map_or_else(|| self.estimates.read(node), |rows| rows as f64);
        Some(Best { rows, cost: cost.max(rows), step: None })
    }

    fn divided(&self, set: u64) -> Option<Best> {
        let mut best: Option<Best> = None;
        // Each division once: the first input stays in the first part.
        let lowest = set & set.wrapping_neg();
        let others = set ^ lowest;
        let mut some = others;
        while some != 0 {
            some = (some - 1) & others;
            let (first, second) = (lowest | some, others ^ some);
            // All ways to a set make the same rows, and so are taken to make as many.
            let Some((rows, cost)) = self.joined(first, second, best.map(|best| best.rows)) else { continue };
            if best.is_none_or(|best| cost < best.cost) {
                best = Some(Best { rows, cost, step: Some((first, second)) });
            }
        }
        best
    }

    /// How many rows two sets make if they are joined, unless that is known, and what that costs; none if nothing connects them.
    fn joined(&self, first: u64, second: u64, rows: Option<f64>) -> Option<(f64, f64)> {
        let (left, right) = (self.of(first)?, self.of(second)?);
        let between = || self.edges.iter().filter(|edge| edge.is_between(first, second));
        between().next()?;
        let part = part_of(between());
        let rows = rows.unwrap_or_else(|| (left.rows * right.rows * part).max(1.0));
        let is_hashed = between().flat_map(|edge| &edge.conditions).any(|condition| condition.is_equality);
        let pairs = if is_hashed {
            cost::hash(left.rows.max(right.rows), left.rows.min(right.rows))
        } else {
            cost::pairs(left.rows * right.rows)
        };
        let mut least = left.cost + right.cost + pairs;
        for (few, table) in [((left, first), second), ((right, second), first)] {
            if let Some(cost) = self.looked_up(few, table, part) {
                least = least.min(cost);
            }
        }
        Some((rows, least + rows))
    }

    /// What it costs to look up in a table what belongs to each row of a set, if that is thought of.
    fn looked_up(&self, (few, set): (Best, u64), table: u64, part: f64) -> Option<f64> {
        let node = self.one(table).map(|input| input.node).filter(|node| matches!(node, Node::Get(_)))?;
        let between = self.edges.iter().filter(|edge| edge.is_between(set, table));
        let conditions: Vec<_> =
            between.flat_map(|edge| &edge.conditions).map(|condition| &condition.is).collect();
        if !has_index(node, &conditions) {
            return None;
        }
        let cost = self.estimates.look_ups(few.rows, part, node, &conditions);
        (cost < self.estimates.whole(node)).then_some(few.cost + cost)
    }

    /// The best order of all inputs, if it costs much less than another one.
    fn better_than(&self, others: &[Step]) -> Option<Vec<Step>> {
        let best = self.of(self.whole())?;
        // What each part has cost that was joined in the other order.
        let mut costs: Vec<(u64, f64)> = Vec::new();
        for (first, second) in others {
            let cost_of = |set: u64| {
                let joined = costs.iter().find(|(joined, _)| *joined == set).map(|(_, cost)| *cost);
                joined.or_else(|| self.of(set).map(|found| found.cost))
            };
            let more = |set: u64| Some(cost_of(set)? - self.of(set)?.cost);
            let rows = self.of(first | second)?.rows;
            let (_, cost) = self.joined(*first, *second, Some(rows))?;
            costs.push((first | second, cost + more(*first)? + more(*second)?));
        }
        let (_, cost) = *costs.last()?;
        (best.cost < cost * WORTH).then(|| {
            let mut steps = Vec::with_capacity(others.len());
            self.follow(self.whole(), &mut steps);
            steps
        })
    }

    /// Writes down how a set is joined. No deeper than there are inputs.
    fn follow(&self, set: u64, steps: &mut Vec<Step>) {
        if let Some((first, second)) = self.of(set).and_then(|best| best.step) {
            self.follow(first, steps);
            self.follow(second, steps);
            steps.push((first, second));
        }
    }
}

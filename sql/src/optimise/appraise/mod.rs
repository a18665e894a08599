//! What each step of a finished plan is taken for: how many rows it makes, of how many bytes, and what that costs. EXPLAIN shows it.
//!
//! It is a function of the plan alone, by the formulas that the plan was chosen by ([`super::estimate`], [`super::cost`]), over the
//! steps that have come of it: a scan makes what its spans and its filter leave, the right side of a look-up what belongs to
//! one left row. So a plan that is only run carries none of it. What has no cost of its own in the model costs what it reads.
//!
//! Of a table of which policies hide rows nothing is told that ANALYZE has found of values.

mod scan;
mod width;

use std::collections::{HashMap, HashSet};

use expr::{Datum, Expr};

use super::condition::conjuncts;
use super::cost;
use super::estimate::{
    Estimates, ROUND_ROWS, ROUNDS, ROWS_MIN, TableSizes, groups, joined, limited, met, pairs_left,
};
use super::selectivity::{self, Known};
use crate::catalog::IndexId;
use crate::plan::walk::{children, roots};
use crate::plan::{Aggregate, Apply, ApplyKind, Join, JoinStrategy, Limit, Node, NodeId, Plan};

/// No more rows are believed in, nor is a higher cost: so much can be written as a number everywhere.
const MOST: f64 = 1e100;

/// What a step is taken for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Appraisal {
    /// How many rows it makes, each time that it is run.
    pub(crate) rows: f64,
    /// What it costs until the first of them is there.
    pub(crate) startup: f64,
    /// What all of them cost.
    pub(crate) total: f64,
    /// About how many bytes a row has.
    pub(crate) width: f64,
}

/// What the steps of a plan are taken for.
#[derive(Debug, Default)]
pub(crate) struct Appraisals(HashMap<NodeId, Found>);

impl Appraisals {
    /// What a node is taken for, if it was looked at.
    pub(crate) fn of(&self, node: &Node) -> Option<Appraisal> {
        self.0.get(&NodeId::of(node)).map(|found| found.appraisal)
    }
}

/// The tables that a plan reads, by their primary indexes.
pub(crate) fn tables(plan: &Plan) -> Vec<IndexId> {
    let mut tables = Vec::new();
    let mut open = roots(plan);
    while let Some(node) = open.pop() {
        match node {
            Node::Scan(scan) => tables.extend(scan.table.primary().map(|primary| primary.id)),
            Node::Past(past) => tables.extend(past.scan.table.primary().map(|primary| primary.id)),
            _ => {}
        }
        open.extend(children(node));
    }
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// What the steps of a plan are taken for, if its tables are so large.
pub(crate) fn appraise(plan: &Plan, sizes: &TableSizes) -> Appraisals {
    let estimates = Estimates::new(sizes);
    let mut appraiser = Appraiser { estimates, found: HashMap::new(), looked_up: HashSet::new() };
    for node in roots(plan) {
        appraiser.node(node);
    }
    Appraisals(appraiser.found)
}

/// What was found of a node.
#[derive(Debug, Clone, Copy)]
struct Found {
    appraisal: Appraisal,
    /// How many rows it makes, where that may be less than one.
    rows: f64,
    /// How many columns they have.
    columns: usize,
}

impl Found {
    /// So many rows of what is found, at the same cost.
    fn with(self, rows: f64) -> Self {
        Self { rows, ..self }
    }

    /// The same, which takes all of it before the first row is there, and costs so much more.
    fn blocking(mut self, more: f64) -> Self {
        self.appraisal.total += more;
        self.appraisal.startup = self.appraisal.total;
        self
    }
}

struct Appraiser<'s> {
    estimates: Estimates<'s>,
    found: HashMap<NodeId, Found>,
    /// The scans of what belongs to the left rows of a join, of which many are asked for in one request.
    looked_up: HashSet<NodeId>,
}

impl Appraiser<'_> {
    fn node(&mut self, node: &Node) -> Found {
        if let Node::Join(join) = node {
            self.looked_up.extend(looked_up(join).map(NodeId::of));
        }
        let below: Vec<Found> = children(node).into_iter().map(|child| self.node(child)).collect();
        let mut found = self.over(node, &below);
        (found.columns, found.appraisal.width) = width::of(node, &self.estimates, |child| {
            let found = self.found.get(&NodeId::of(child));
            found.map_or((0, 0.0), |found| (found.columns, found.appraisal.width))
        });
        let bounded =
            |number: f64, least: f64| if number.is_nan() { MOST } else { number.clamp(least, MOST) };
        found.appraisal.rows = bounded(found.rows, 1.0);
        found.appraisal.startup = bounded(found.appraisal.startup, 0.0);
        found.appraisal.total = bounded(found.appraisal.total, found.appraisal.startup);
        found.rows = bounded(found.rows, 0.0);
        self.found.insert(NodeId::of(node), found);
        found
    }

    /// What a node is taken for whose inputs are taken for this; its columns are told beside.
    fn over(&self, node: &Node, below: &[Found]) -> Found {
        let input = below.first().copied().unwrap_or_else(|| made(ROWS_MIN, 0.0));
        match node {
            Node::Scan(scan) => {
                let is_looked_up = self.looked_up.contains(&NodeId::of(node));
                scan::scan(scan, is_looked_up, &self.estimates)
            }
            Node::Past(past) => scan::past(&past.scan, &self.estimates),
            Node::VirtualScan(scan) => {
                let rows = self.estimates.rows_of_table(&scan.table);
                made(rows * self.part(&scan.filter, |_| None), rows)
            }
            Node::FunctionScan(_) => made(ROWS_MIN, 0.0),
            Node::Values(values) => made(values.rows.len() as f64, 0.0),
            Node::Filter(filter) => {
                let part = self.part([&filter.predicate], |column| self.known(column, &filter.input));
                input.with(input.rows * part)
            }
            Node::ProjectSet(_) => input.with(input.rows * ROWS_MIN),
            Node::Join(join) => self.join(join, below),
            Node::Apply(apply) => apply_over(apply, below),
            Node::Aggregate(aggregate) => {
                input.with(self.groups(aggregate, input.appraisal.rows)).blocking(0.0)
            }
            Node::Sort(_) => input.blocking(cost::sort(input.appraisal.rows)),
            Node::Limit(limit) => limit_over(limit, input),
            Node::SetOperation(_) => {
                let right = below.get(1).map_or(0.0, |right| right.appraisal.total);
                let mut found = input;
                found.appraisal.startup += right;
                found.appraisal.total += right;
                found
            }
            Node::Append(_) => {
                let sum = |of: fn(&Found) -> f64| below.iter().map(of).sum::<f64>() + 0.0;
                let mut found = input.with(sum(|found| found.rows));
                found.appraisal.total = sum(|found| found.appraisal.total);
                found
            }
            Node::Recursive(_) => {
                let round = below.get(1).map_or(0.0, |round| round.appraisal.total);
                let mut found = input.with(input.rows * ROUNDS);
                found.appraisal.total += round * ROUNDS;
                found
            }
            Node::Working(_) => made(ROUND_ROWS, 0.0),
            Node::Modify(_) => input.with(ROUND_ROWS).blocking(0.0),
            Node::Project(_) | Node::Window(_) | Node::LockRows(_) | Node::Distinct(_) | Node::Common(_) => {
                input
            }
        }
    }

    fn groups(&self, aggregate: &Aggregate, rows: f64) -> f64 {
        if aggregate.keys.is_empty() && aggregate.sets.is_empty() {
            return 1.0;
        }
        let values = aggregate.keys.iter().map(|key| match key {
            Expr::Column { index, .. } => self.known(*index, &aggregate.input),
            _ => None,
        });
        groups(rows, values, aggregate.sets.len())
    }

    fn join(&self, join: &Join, below: &[Found]) -> Found {
        let [left, right] = below else { return made(ROWS_MIN, 0.0) };
        let width = left.columns;
        let known = |column: usize| match column.checked_sub(width) {
            None => self.known(column, &join.left),
            Some(column) => self.known(column, &join.right),
        };
        let of_left = |column: usize| if column < width { known(column) } else { None };
        let of_right = |column: usize| if column < width { None } else { known(column) };
        let mut conditions = join.condition.clone().map_or_else(Vec::new, conjuncts);
        let left_rows = left.appraisal.rows;
        let mut right_rows = right.appraisal.rows;
        let mut startup = left.appraisal.startup;
        let mut total = left.appraisal.total;
        let mut is_dependent = false;
        match &join.strategy {
            JoinStrategy::Hash { left_keys, right_keys } => {
                conditions.extend(equalities(left_keys, right_keys, width));
                startup += right.appraisal.total;
                total += right.appraisal.total;
            }
            JoinStrategy::NestedLoop => {
                startup += right.appraisal.total;
                total += right.appraisal.total + cost::pairs(left_rows * right_rows);
            }
            // The right side is what belongs to one left row.
            JoinStrategy::Dependent { .. } => {
                is_dependent = true;
                right_rows = right.rows;
                startup += right.appraisal.startup;
                total += left_rows * right.appraisal.total;
            }
        }
        let pairs = || pairs_left(left_rows * right_rows, &conditions, &known);
        let has_partner = || match is_dependent {
            true => pairs_left(right_rows, &conditions, &known).min(1.0),
            false => met(&conditions, &of_left, right_rows, &of_right),
        };
        let rows = joined(join.kind, (left_rows, right_rows), pairs, has_partner);
        Found { appraisal: Appraisal { rows, startup, total, width: 0.0 }, rows, columns: 0 }
    }

    /// The part of rows of which conditions hold.
    fn part<'c, 's>(
        &'s self,
        conditions: impl IntoIterator<Item = &'c Expr>,
        known: impl Fn(usize) -> Option<Known<'s>>,
    ) -> f64 {
        let parts: Vec<Expr> = conditions.into_iter().cloned().flat_map(conjuncts).collect();
        selectivity::part(&parts, &known)
    }

    /// What is known of a column of a node's rows.
    fn known(&self, column: usize, node: &Node) -> Option<Known<'_>> {
        if !self.estimates.look() {
            return None;
        }
        match node {
            Node::Scan(scan) => scan::known(scan, *scan.columns.get(column)?, &self.estimates),
            Node::Past(past) => scan::known(&past.scan, *past.scan.columns.get(column)?, &self.estimates),
            Node::Project(project) => match project.expressions.get(column)? {
                Expr::Column { index, .. } => self.known(*index, &project.input),
                _ => None,
            },
            Node::Join(join) => match join.kind.answers() {
                (true, true) => {
                    let width = self.found.get(&NodeId::of(&join.left))?.columns;
                    match column.checked_sub(width) {
                        None => self.known(column, &join.left),
                        Some(column) => self.known(column, &join.right),
                    }
                }
                (true, false) => self.known(column, &join.left),
                (false, _) => self.known(column, &join.right),
            },
            Node::Aggregate(aggregate) => {
                let key = aggregate.keys.get(column)?;
                if aggregate.keys.len() == 1 {
                    let values = self.found.get(&NodeId::of(node))?.appraisal.rows;
                    return Some(Known { values, kind: key.ty().kind, statistics: None });
                }
                match key {
                    Expr::Column { index, .. } => self.known(*index, &aggregate.input),
                    _ => None,
                }
            }
            Node::Filter(filter) => self.known(column, &filter.input),
            Node::Sort(sort) => self.known(column, &sort.input),
            Node::Limit(limit) => self.known(column, &limit.input),
            Node::LockRows(lock) => self.known(column, &lock.input),
            Node::Distinct(distinct) => self.known(column, &distinct.input),
            Node::Window(window) => self.known_of_first(column, &window.input),
            Node::Apply(apply) => self.known_of_first(column, &apply.input),
            Node::ProjectSet(set) => self.known_of_first(column, &set.input),
            Node::VirtualScan(_)
            | Node::FunctionScan(_)
            | Node::Values(_)
            | Node::Append(_)
            | Node::SetOperation(_)
            | Node::Common(_)
            | Node::Recursive(_)
            | Node::Working(_)
            | Node::Modify(_) => None,
        }
    }

    /// The same where the input's columns come first, and others behind them.
    fn known_of_first(&self, column: usize, input: &Node) -> Option<Known<'_>> {
        let width = self.found.get(&NodeId::of(input))?.columns;
        if column < width { self.known(column, input) } else { None }
    }
}

/// The scan that a join looks its left rows up by, if it does.
fn looked_up(join: &Join) -> Option<&Node> {
    let right = join.right.as_ref();
    match (&join.strategy, right) {
        (JoinStrategy::Dependent { .. }, Node::Scan(_)) => Some(right),
        (JoinStrategy::Dependent { .. }, Node::Project(project)) => {
            Some(project.input.as_ref()).filter(|input| matches!(input, Node::Scan(_)))
        }
        _ => None,
    }
}

/// So many rows, all of which cost so much.
fn made(rows: f64, total: f64) -> Found {
    Found { appraisal: Appraisal { rows, startup: 0.0, total, width: 0.0 }, rows, columns: 0 }
}

/// The keys of a hash join as conditions of its pairs, whose right columns stand behind so many left ones.
fn equalities(left: &[Expr], right: &[Expr], width: usize) -> Vec<Expr> {
    let pairs = left.iter().zip(right).filter_map(|(left, right)| {
        let equals = expr::operators::equality(left.ty().kind)?;
        let mut right = right.clone();
        right.rewrite(&mut |part| {
            if let Expr::Column { index, .. } = part {
                *index = index.saturating_add(width);
            }
        });
        Some(Expr::call(equals, vec![left.clone(), right], expr::TypeKind::Bool))
    });
    pairs.collect()
}

/// Subqueries that depend on the row are run once for each, the others once.
fn apply_over(apply: &Apply, below: &[Found]) -> Found {
    let mut inputs = below.iter().copied();
    let mut found = inputs.next().unwrap_or_else(|| made(ROWS_MIN, 0.0));
    let rows = found.appraisal.rows;
    for (subquery, own) in apply.subqueries.iter().zip(inputs) {
        let each = match subquery.kind {
            // Its first row is enough.
            ApplyKind::Exists => {
                let Appraisal { rows, startup, total, .. } = own.appraisal;
                startup + (total - startup) / rows.max(1.0)
            }
            ApplyKind::Scalar(_) | ApplyKind::Any { .. } | ApplyKind::Array(_) => own.appraisal.total,
        };
        found.appraisal.total += if subquery.bindings.is_empty() { each } else { rows * each };
    }
    found
}

/// Of what the input costs behind its first row, as much as is read.
fn limit_over(limit: &Limit, input: Found) -> Found {
    let rows = limited(input.rows, limit.limit.as_ref());
    let skipped = match limit.offset.as_ref() {
        Some(Expr::Literal { value: Datum::Int8(rows), .. }) => *rows as f64,
        _ => 0.0,
    };
    let read = ((rows + skipped) / input.rows.max(1.0)).min(1.0);
    let mut found = input.with(rows);
    let Appraisal { startup, total, .. } = input.appraisal;
    found.appraisal.total = startup + (total - startup) * read;
    found
}

#[cfg(test)]
mod tests {
    use expr::TypeKind;

    use super::*;
    use crate::plan::{Sort, Subquery, Values};

    fn one_row() -> Node {
        Node::Values(Values::one_row())
    }

    #[test]
    fn a_limit_costs_what_is_read_of_its_input() {
        let rows = |rows| Some(Expr::literal(Datum::Int8(rows), TypeKind::Int8));
        let limit = |limit, offset| Limit { input: Box::new(one_row()), limit, offset };
        let input = made(1000.0, 1000.0);
        let found = limit_over(&limit(rows(10), rows(40)), input);
        assert_eq!((found.rows, found.appraisal.total), (10.0, 50.0));
        assert_eq!(limit_over(&limit(None, None), input).appraisal.total, 1000.0);
        // What has to be there before its first row costs all of it.
        assert_eq!(limit_over(&limit(rows(10), None), input.blocking(5.0)).appraisal.total, 1005.0);
    }

    #[test]
    fn a_subquery_that_depends_on_the_row_costs_as_often_as_there_are_rows() {
        let subquery =
            |bindings| Subquery { node: one_row(), bindings, kind: ApplyKind::Scalar(TypeKind::Int4.into()) };
        let slot = crate::plan::Binding { slot: 0, value: Expr::null(TypeKind::Int4) };
        let apply = Apply {
            input: Box::new(one_row()),
            subqueries: vec![subquery(Vec::new()), subquery(vec![slot])],
        };
        let found = apply_over(&apply, &[made(100.0, 100.0), made(1.0, 7.0), made(1.0, 3.0)]);
        assert_eq!((found.rows, found.appraisal.total), (100.0, 100.0 + 7.0 + 300.0));
    }

    #[test]
    fn every_node_of_a_plan_is_appraised() {
        let sort = Sort { input: Box::new(one_row()), keys: Vec::new(), limit: None };
        let plan = Plan::Query(Box::new(Node::Sort(sort)));
        let appraisals = appraise(&plan, &TableSizes::default());
        for node in roots(&plan).into_iter().flat_map(|root| std::iter::once(root).chain(children(root))) {
            let Appraisal { rows, startup, total, width } = appraisals.of(node).unwrap();
            assert!(rows == 1.0 && startup <= total && total < 1.0 && width == 0.0, "{node:?}");
        }
    }
}

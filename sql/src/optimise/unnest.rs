//! Subqueries that are run once per row become joins.
//!
//! ```text
//! WHERE EXISTS (… WHERE b = outer.a)       semi join on b = outer.a; NOT EXISTS: anti join
//! WHERE x IN (SELECT y …)                  semi join on x = y
//! WHERE x = ANY (ARRAY(SELECT y …))        the same
//! (SELECT sum(z) … WHERE b = outer.a)      left join on b = outer.a with the sums of all b
//! ```
//!
//! What a subquery asks of the outer row moves up into the join's conditions (Neumann and Kemper, "Unnesting Arbitrary
//! Queries", for the forms that occur most). A subquery stays as it is if it is volatile, takes locks, asks in another
//! form, or has nothing that can be hashed; and where so few rows ask that looking each up reads less.

use expr::functions::FunctionId;
use expr::operators::{Comparison, comparison};
use expr::{Datum, Expr, TypeKind};

use super::condition::{conjuncts, may_fail, may_move};
use super::equality::equal_sides;
use super::estimate::{Estimates, LOOKUPS_MAX, has_index, rows_max};
use super::lift::{Lift, Matters};
use crate::logical::walk::{
    children_mut, columns_free, columns_made, columns_read, expressions, is_pure, readers, walk,
};
use crate::logical::{Apply, ColumnId, ColumnSet, Columns, Compute, Join, Limit, Node, Output, Subquery};
use crate::plan::{AggregateCall, ApplyKind, JoinKind};

/// So many subqueries of a statement are tried; each that becomes a join makes the plan a node deeper.
const TRIES_MAX: usize = 128;
/// A subquery that asks more than this of the outer row stays one.
const ASKING_MAX: usize = 1000;
/// So many rows may be held where an index leads to those that are asked for: about a quarter of what a statement may hold.
const HELD_ROWS_MAX: f64 = 250_000.0;
/// How much of a table may be read instead of looking one row up.
const LOOKUP_ROWS: f64 = 20.0;

/// Turns what subqueries of a tree it can into joins; whether it has.
pub(super) fn unnest(output: &mut Output, columns: &mut Columns, estimates: &Estimates<'_>) -> bool {
    let mut has_subqueries = false;
    walk(&output.node, &mut |node| has_subqueries |= matches!(node, Node::Apply(_)));
    if !has_subqueries {
        return false;
    }
    let columns_len = columns.len();
    let mut unnesting = Unnesting {
        columns,
        estimates,
        readers: readers(output, columns_len),
        tries: TRIES_MAX,
        wanted: None,
        has_changed: false,
    };
    unnesting.node(&mut output.node, None);
    unnesting.has_changed
}

struct Unnesting<'u> {
    columns: &'u mut Columns,
    estimates: &'u Estimates<'u>,
    /// How often each column is read.
    readers: Vec<usize>,
    /// How many subqueries may still be tried.
    tries: usize,
    /// No more rows of the node at hand will be asked for.
    wanted: Option<usize>,
    has_changed: bool,
}

impl Unnesting<'_> {
    /// What is deeper first. `wanted`: no more of the node's rows will be asked for.
    fn node(&mut self, node: &mut Node, wanted: Option<usize>) {
        let below = match node {
            Node::Limit(limit) => rows_taken(limit),
            Node::Compute(_) | Node::Apply(_) | Node::LockRows(_) => wanted,
            _ => None,
        };
        for (place, child) in children_mut(node).into_iter().enumerate() {
            self.node(child, below.filter(|_| place == 0));
        }
        self.wanted = wanted;
        match node {
            Node::Filter(_) => {
                self.wanted = None;
                self.filter(node);
            }
            Node::Apply(_) => self.scalars(node),
            _ => {}
        }
    }

    /// Conditions that are subqueries' answers.
    fn filter(&mut self, node: &mut Node) {
        let Node::Filter(filter) = node else { return };
        let Node::Apply(apply) = filter.input.as_mut() else { return };
        let mut input = apply.input.take();
        let mut kept = Vec::with_capacity(apply.subqueries.len());
        let answers: ColumnSet = apply.subqueries.iter().map(|subquery| subquery.column).collect();
        for subquery in std::mem::take(&mut apply.subqueries) {
            let joined = match self.asked_by(&filter.conditions, subquery.column) {
                Some(kind) => self.existence(input, subquery, kind, &answers),
                None => self.element(input, subquery, &filter.conditions, &answers),
            };
            input = match joined {
                Ok((joined, answer)) => {
                    let asks = |condition: &Expr| {
                        is_answer(condition, answer) || element_of(condition, answer).is_some()
                    };
                    filter.conditions.retain(|condition| !asks(condition));
                    self.has_changed = true;
                    joined
                }
                Err((input, subquery)) => {
                    kept.push(subquery);
                    input
                }
            };
        }
        let (conditions, barrier) = (std::mem::take(&mut filter.conditions), filter.barrier);
        if !kept.is_empty() {
            input = Node::Apply(Apply { input: Box::new(input), subqueries: kept });
        }
        *node = input.refiltered(conditions, barrier);
    }

    /// The join that a condition asks for by being an answer, or its opposite, which nobody else reads.
    fn asked_by(&self, conditions: &[Expr], answer: ColumnId) -> Option<JoinKind> {
        if self.tries == 0 || self.readers.get(answer) != Some(&1) {
            return None;
        }
        conditions.iter().find(|condition| is_answer(condition, answer)).map(|condition| match condition {
            Expr::Not(_) => JoinKind::Anti,
            _ => JoinKind::Semi,
        })
    }

    /// A subquery whose rows are made an array, of which a condition asks whether an element equals something: as one that asks
    /// it of the rows.
    #[expect(clippy::result_large_err, reason = "what cannot be joined is given back")]
    fn element(
        &mut self,
        input: Node,
        subquery: Subquery,
        conditions: &[Expr],
        answers: &ColumnSet,
    ) -> Result<(Node, ColumnId), (Node, Subquery)> {
        let is_read_once = self.tries > 0 && self.readers.get(subquery.column) == Some(&1);
        let ApplyKind::Array(_) = subquery.kind else { return Err((input, subquery)) };
        let asked = conditions.iter().find_map(|condition| element_of(condition, subquery.column));
        let (Some((operand, equals)), [row], true) = (asked, subquery.rows.columns.as_slice(), is_read_once)
        else {
            return Err((input, subquery));
        };
        let ty = self.columns.ty(*row);
        if ty.element().is_some() {
            // Its elements are those of the arrays that it is made of.
            return Err((input, subquery));
        }
        let element = Expr::Column { index: *row, ty };
        let test = Expr::call(equals, vec![operand.clone(), element], TypeKind::Bool);
        let (rows, column, array) = (subquery.rows, subquery.column, subquery.kind);
        let of_rows = Subquery { rows, column, kind: ApplyKind::Any { test } };
        let joined = self.existence(input, of_rows, JoinKind::Semi, answers);
        joined.map_err(|(input, of_rows)| (input, Subquery { kind: array, ..of_rows }))
    }

    /// A subquery of which it only counts whether it has a fitting row, as a join.
    #[expect(clippy::result_large_err, reason = "what cannot be joined is given back")]
    fn existence(
        &mut self,
        input: Node,
        subquery: Subquery,
        kind: JoinKind,
        answers: &ColumnSet,
    ) -> Result<(Node, ColumnId), (Node, Subquery)> {
        let test = match &subquery.kind {
            ApplyKind::Exists => None,
            // NULL is not true, but NOT NULL is not true either.
            ApplyKind::Any { test } if kind == JoinKind::Semi => Some(test.clone()),
            ApplyKind::Any { .. } | ApplyKind::Scalar(_) | ApplyKind::Array(_) => {
                return Err((input, subquery));
            }
        };
        self.tries = self.tries.saturating_sub(1);
        let free = columns_free(&subquery.rows.node);
        let asked = free.iter().chain(columns_read(&test));
        let asks_answers = asked.into_iter().any(|column| answers.contains(column));
        let made = columns_made(&input);
        let outer: ColumnSet = free.iter().filter(|column| made.contains(*column)).collect();
        // What does not depend on the row is run once either way, whatever it does.
        let is_alone = outer.iter().next().is_none();
        let is_still = (is_alone || is_pure(&subquery.rows.node)) && test.iter().all(may_move);
        if asks_answers || !is_still {
            return Err((input, subquery));
        }
        let matters = if test.is_none() { Matters::Existence } else { Matters::Values };
        let lift = Lift { outer: &outer, matters };
        let inner = columns_made(&subquery.rows.node);
        let mut asking = Vec::new();
        lift.asking(&subquery.rows.node, &mut asking);
        let mut conditions: Vec<Expr> = test.into_iter().flat_map(conjuncts).collect();
        let hashed = |condition: &Expr| equal_sides(condition, &made, &inner).is_some();
        // A value is not computed of rows that the subquery would not have looked at, if that may end the statement.
        let mut may_err = false;
        if !asking.is_empty() {
            walk(&subquery.rows.node, &mut |node| {
                if let Node::Compute(compute) = node {
                    may_err |= compute.computed.iter().any(|(_, expression)| may_fail(expression));
                }
            });
        }
        if may_err
            || asking.len() > ASKING_MAX
            || !lift.can(&subquery.rows.node)
            || !conditions.iter().chain(asking.iter().copied()).any(hashed)
            || self.is_looked_up(&input, &subquery.rows.node, &asking)
        {
            return Err((input, subquery));
        }
        let Subquery { rows, column, .. } = subquery;
        let right = lift.lift(rows.node, &mut conditions);
        let join = Join { kind, left: input, right, lateral: false, asked: false, conditions };
        Ok((Node::Join(Box::new(join)), column))
    }

    /// Whether running the subquery for each row reads less than joining all of its rows, or holds less: through an index, or
    /// because there is but one row.
    fn is_looked_up(&self, input: &Node, rows: &Node, asking: &[&Expr]) -> bool {
        if asking.is_empty() {
            return false;
        }
        let rows_max = rows_max(input).into_iter().chain(self.wanted).min();
        if rows_max.is_some_and(|rows| rows <= 1) {
            return true;
        }
        let asked = self.estimates.rows(input).min(self.wanted.map_or(f64::INFINITY, |rows| rows as f64));
        has_index(rows, asking)
            && (rows_max.is_some_and(|rows| rows <= LOOKUPS_MAX)
                || asked * LOOKUP_ROWS < self.estimates.read(rows)
                || asked.min(self.estimates.read(rows)) > HELD_ROWS_MAX)
    }

    /// Subqueries that answer an aggregate over the rows that belong to the outer one.
    fn scalars(&mut self, node: &mut Node) {
        let Node::Apply(apply) = node else { return };
        let mut input = apply.input.take();
        let mut kept = Vec::with_capacity(apply.subqueries.len());
        let answers: ColumnSet = apply.subqueries.iter().map(|subquery| subquery.column).collect();
        for subquery in std::mem::take(&mut apply.subqueries) {
            input = match self.aggregate(input, subquery, &answers) {
                Ok(joined) => {
                    self.has_changed = true;
                    joined
                }
                Err((input, subquery)) => {
                    kept.push(subquery);
                    input
                }
            };
        }
        *node = if kept.is_empty() {
            input
        } else {
            Node::Apply(Apply { input: Box::new(input), subqueries: kept })
        };
    }

    #[expect(clippy::result_large_err, reason = "what cannot be joined is given back")]
    fn aggregate(
        &mut self,
        input: Node,
        subquery: Subquery,
        answers: &ColumnSet,
    ) -> Result<Node, (Node, Subquery)> {
        if self.tries == 0 || !matches!(subquery.kind, ApplyKind::Scalar(_)) {
            return Err((input, subquery));
        }
        self.tries = self.tries.saturating_sub(1);
        let free = columns_free(&subquery.rows.node);
        let made = columns_made(&input);
        let outer: ColumnSet = free.iter().filter(|column| made.contains(*column)).collect();
        let asks_answers = free.iter().any(|column| answers.contains(column));
        if asks_answers || outer.iter().next().is_none() || !is_pure(&subquery.rows.node) {
            return Err((input, subquery));
        }
        // What is computed of the aggregates is computed above the join, of NULLs where there are no rows.
        let mut below = &subquery.rows.node;
        while let Node::Compute(compute) = below {
            below = &compute.input;
        }
        let Node::Aggregate(aggregate) = below else { return Err((input, subquery)) };
        let asks_outside = columns_read(expressions(below)).into_iter().any(|column| outer.contains(column));
        if !aggregate.is_one_row() || asks_outside {
            return Err((input, subquery));
        }
        // What is computed of rows that belong to no outer row must not end the statement.
        let mut may_err = false;
        walk(below, &mut |node| may_err |= expressions(node).into_iter().any(may_fail));
        may_err |= aggregate.calls.iter().any(|(_, call)| may_overflow(call));
        if may_err {
            return Err((input, subquery));
        }
        let lift = Lift { outer: &outer, matters: Matters::Rows };
        let inner = columns_made(&aggregate.input);
        let mut asking = Vec::new();
        lift.asking(&aggregate.input, &mut asking);
        let sides: Option<Vec<(Expr, Expr)>> =
            asking.iter().map(|condition| equal_sides(condition, &made, &inner)).collect();
        let sides = sides.filter(|sides| {
            (1..=ASKING_MAX).contains(&sides.len()) && sides.iter().all(|(_, right)| groups(right))
        });
        let Some(sides) = sides else { return Err((input, subquery)) };
        if !lift.can(&aggregate.input) || self.is_looked_up(&input, &aggregate.input, &asking) {
            return Err((input, subquery));
        }
        let Subquery { rows: Output { node, columns }, column, .. } = subquery;
        let mut computed = Vec::new();
        let mut below = node;
        while let Node::Compute(Compute { input, computed: own }) = below {
            computed.push(own);
            below = *input;
        }
        let Node::Aggregate(mut aggregate) = below else { return Ok(input) };
        aggregate.input = lift.lift(aggregate.input, &mut Vec::new());
        let mut conditions = Vec::with_capacity(sides.len());
        for (left, right) in sides {
            let ty = right.ty();
            let key = self.columns.add(ty);
            aggregate.keys.push((key, right));
            let Some(equals) = expr::operators::equality(ty.kind) else { continue };
            conditions.push(Expr::call(equals, vec![left, self.columns.read(key)], TypeKind::Bool));
        }
        // No rows are counted as none, everything else is NULL of them.
        let mut counts = Vec::new();
        for (count, call) in &mut aggregate.calls {
            if call.function.function().name == "count" {
                let counted = self.columns.add(call.ty);
                let args = vec![self.columns.read(counted), Expr::literal(Datum::Int8(0), TypeKind::Int8)];
                counts.push((*count, Expr::Coalesce { args, ty: call.ty }));
                *count = counted;
            }
        }
        let right = Node::Aggregate(aggregate);
        let kind = JoinKind::Left;
        let join = Join { kind, left: input, right, lateral: false, asked: true, conditions };
        let mut node = Node::Join(Box::new(join));
        let answer = columns.first().map(|first| (column, self.columns.read(*first)));
        let above =
            std::iter::once(counts).chain(computed.into_iter().rev()).chain([answer.into_iter().collect()]);
        for computed in above.filter(|computed| !computed.is_empty()) {
            node = Node::Compute(Compute { input: Box::new(node), computed });
        }
        Ok(node)
    }
}

/// How many rows a limit takes of its input, if that is known.
fn rows_taken(limit: &Limit) -> Option<usize> {
    let count = |rows: &Expr| match rows {
        Expr::Literal { value: Datum::Int8(rows), .. } => usize::try_from(*rows).ok(),
        _ => None,
    };
    let skipped = limit.offset.as_ref().map_or(Some(0), count)?;
    count(limit.limit.as_ref()?)?.checked_add(skipped)
}

/// Whether a condition is an answer, or its opposite.
fn is_answer(condition: &Expr, answer: ColumnId) -> bool {
    match condition {
        Expr::Not(operand) => matches!(operand.as_ref(), Expr::Column { index, .. } if *index == answer),
        condition => matches!(condition, Expr::Column { index, .. } if *index == answer),
    }
}

/// Of `x = ANY (answer)`: `x`, and the equality.
fn element_of(condition: &Expr, answer: ColumnId) -> Option<(&Expr, FunctionId)> {
    match condition {
        Expr::AnyAll { operand, array, operator, all: false }
            if comparison(*operator) == Some(Comparison::Equal)
                && matches!(array.as_ref(), Expr::Column { index, .. } if *index == answer) =>
        {
            Some((operand, *operator))
        }
        _ => None,
    }
}

/// Whether an aggregate may end in an error of its own: sums of floating-point numbers and of intervals get there, and what
/// gathers whole values, of which a group that nobody asks for may have more than there is memory.
fn may_overflow(call: &AggregateCall) -> bool {
    let is_float_or_interval = |argument: &Expr| {
        matches!(argument.ty().kind, TypeKind::Float4 | TypeKind::Float8 | TypeKind::Interval)
    };
    match call.function.function().name {
        "sum" | "avg" => call.arguments.iter().any(is_float_or_interval),
        "string_agg" | "array_agg" => true,
        _ => false,
    }
}

/// Whether rows with equal values of a key fall into one group, and those of one group are equal.
fn groups(key: &Expr) -> bool {
    expr::operators::equality(key.ty().kind).is_some()
}

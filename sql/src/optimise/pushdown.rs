//! Conditions move down to where the rows come from.
//!
//! A condition stays where it is if evaluating it earlier could change the answer: it is volatile, it reads a column
//! that exists only above, or it would take rows away from the side of an outer join that is kept whole.

use std::collections::HashMap;

use expr::Expr;

use super::condition::may_move;
use super::leakproof;
use super::nulls::rejects;
use crate::logical::walk::{children_mut, columns_free, columns_made, columns_read};
use crate::logical::{Aggregate, Apply, ColumnId, ColumnSet, DistinctKind, Filter, Join, Node, Output};
use crate::plan::{JoinKind, budget};

/// How many filters may be put between the subqueries of one [`Apply`]; each makes the plan two nodes deeper.
const SPLITS_MAX: usize = 8;
/// A condition is not rewritten in terms of what a projection computes if that makes it larger than this many parts.
const PARTS_MAX: usize = 4096;

/// How many parts of expressions pushing down may add to a plan: a condition is copied into each input of a UNION, and
/// grows by what a projection computes.
const COPIES_MAX: usize = 500_000;

/// Moves every condition of the tree as far down as it can go. If the statement is to end meanwhile, it stops.
pub(super) fn push_down(node: &mut Node) {
    let mut pushing = Pushing { parts: COPIES_MAX, is_wanted: true, outer: ColumnSet::default() };
    pushing.push(node, Vec::new());
}

/// Moves conditions over a node's columns into it, as far down as they can go.
pub(super) fn push_into(node: &mut Node, conditions: Vec<Expr>) {
    let mut pushing = Pushing { parts: COPIES_MAX, is_wanted: true, outer: ColumnSet::default() };
    pushing.within(node, conditions);
}

/// Takes away what hid rows and has given all of that to the scans, or to the joins that it has become. Only once nothing more
/// is to move.
pub(super) fn drop_spent(node: &mut Node) {
    while let Node::Filter(filter) = node
        && filter.conditions.is_empty()
    {
        *node = filter.input.take();
        if !matches!(node, Node::Get(_)) {
            veil(node);
        }
    }
    children_mut(node).into_iter().for_each(drop_spent);
}

/// What the node's tables answer are not only rows that may be seen.
fn veil(node: &mut Node) {
    if let Node::Get(get) = node {
        get.veiled |= get.shielded;
    }
    children_mut(node).into_iter().for_each(veil);
}

struct Pushing {
    /// How many parts may still be added.
    parts: usize,
    /// Nobody has said that the statement is to end.
    is_wanted: bool,
    /// Columns of rows around the node at hand that it reads.
    outer: ColumnSet,
}

fn size(conditions: &[Expr]) -> usize {
    conditions.iter().map(budget::parts).fold(0, usize::saturating_add)
}

/// Which inputs of a join a condition reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

impl Pushing {
    /// Takes room for copies, if there is any.
    fn take(&mut self, parts: usize) -> bool {
        let left = self.parts.checked_sub(parts);
        self.parts = left.unwrap_or(self.parts);
        left.is_some()
    }

    /// Counts a look at all parts of conditions; false if the statement is to end.
    fn look(&mut self, conditions: &[Expr]) -> bool {
        self.is_wanted = self.is_wanted && expr::work::parts(size(conditions).saturating_add(1)).is_ok();
        self.is_wanted
    }

    /// Applies `conditions`, over the node's output, as deep as possible.
    fn push(&mut self, node: &mut Node, conditions: Vec<Expr>) {
        if !self.look(&conditions) {
            return above(node, conditions);
        }
        match node {
            Node::Filter(_) => self.push_filter(node, conditions),
            Node::Compute(compute) => {
                let (mut through, mut stay) = (Vec::new(), Vec::new());
                let computed = by_column(&compute.computed, &conditions);
                for condition in conditions {
                    match self.over_input(condition, &computed) {
                        Ok(over) => through.push(over),
                        Err(condition) => stay.push(condition),
                    }
                }
                self.push(&mut compute.input, through);
                above(node, stay);
            }
            Node::ProjectSet(set) => {
                let mut made: ColumnSet = set.functions.iter().map(|(column, _)| *column).collect();
                made.extend(set.ordinality);
                let is_below = |condition: &Expr| {
                    may_move(condition)
                        && !condition.columns().into_iter().any(|column| made.contains(column))
                };
                let (through, stay): (Vec<_>, Vec<_>) = conditions.into_iter().partition(is_below);
                self.push(&mut set.input, through);
                above(node, stay);
            }
            Node::Join(join) => {
                let stay = self.push_join(join, conditions);
                above(node, stay);
            }
            Node::Apply(_) => self.push_apply(node, conditions),
            Node::Aggregate(aggregate) => {
                let stay = self.push_aggregate(aggregate, conditions);
                above(node, stay);
            }
            Node::Window(window) => {
                // A whole partition is there, or none of it.
                let common: ColumnSet = columns_read(&window.partition_by).into_iter().collect();
                let is_common = |condition: &Expr| {
                    may_move(condition)
                        && condition
                            .columns()
                            .into_iter()
                            .all(|column| common.contains(column) || self.outer.contains(column))
                };
                let is_plain = window.partition_by.iter().all(|key| matches!(key, Expr::Column { .. }));
                let (through, stay): (Vec<_>, Vec<_>) =
                    conditions.into_iter().partition(|condition| is_plain && is_common(condition));
                self.push(&mut window.input, through);
                above(node, stay);
            }
            Node::Sort(sort) => self.push(&mut sort.input, conditions),
            // Whom nobody asks for is not locked.
            Node::LockRows(input) => self.push(input, conditions),
            Node::Distinct(distinct) if matches!(distinct.kind, DistinctKind::All(_)) => {
                self.push(&mut distinct.input, conditions);
            }
            Node::Append(_) | Node::SetOperation(_) => self.push_inputs(node, conditions),
            Node::Get(get) => get.filter.extend(conditions),
            Node::Distinct(_)
            | Node::Limit(_)
            | Node::Function(_)
            | Node::Values(_)
            | Node::Common(_)
            | Node::Recursive(_)
            | Node::Working(_)
            | Node::Modify(_) => {
                children_mut(node).into_iter().for_each(|child| self.push(child, Vec::new()));
                above(node, conditions);
            }
        }
    }

    /// Its own conditions first: what is asked from above may count on them.
    fn push_filter(&mut self, node: &mut Node, conditions: Vec<Expr>) {
        let Node::Filter(Filter { input, conditions: own, barrier }) = node else { return };
        let (mut movable, fixed): (Vec<_>, Vec<_>) = std::mem::take(own).into_iter().partition(may_move);
        let barrier = *barrier;
        *node = input.take();
        if barrier {
            // What hides rows comes before whatever might tell of them, however far down it goes itself.
            // Behind it, in the condition of one scan, nothing is asked of what it hides.
            let behind = matches!(node, Node::Get(_));
            let passes =
                |condition: &Expr| fixed.is_empty() && (behind || leakproof::is_leakproof(condition));
            let (through, stay): (Vec<_>, Vec<_>) = conditions.into_iter().partition(passes);
            movable.extend(through);
            self.push(node, movable);
            *node = node.take().refiltered(fixed, true);
            return above(node, stay);
        }
        if fixed.is_empty() {
            movable.extend(conditions);
            return self.push(node, movable);
        }
        // What is volatile sees the rows that it saw before: nothing passes it from above.
        self.push(node, movable);
        above(node, fixed);
        above(node, conditions);
    }

    /// A condition over what is computed as one over the input; the condition itself if it has to stay.
    fn over_input(&mut self, condition: Expr, computed: &HashMap<ColumnId, &Expr>) -> Result<Expr, Expr> {
        if self.parts == 0 {
            return Err(condition);
        }
        let own = budget::parts(&condition);
        let mut parts = own;
        for column in condition.columns() {
            match computed.get(&column) {
                Some(expression) if may_move(expression) => {
                    parts = parts.saturating_add(budget::parts(expression));
                }
                Some(_) => return Err(condition),
                None => {}
            }
        }
        if parts > PARTS_MAX {
            return Err(condition);
        }
        if !self.take(parts.saturating_sub(own)) {
            // Nor is it looked for any more how large the others would become.
            self.parts = 0;
            return Err(condition);
        }
        Ok(substitute(condition, |column| computed.get(&column).map(|expression| (*expression).clone())))
    }

    /// Conditions that read only the input, or only the answers of the first subqueries, are met before the others run.
    fn push_apply(&mut self, node: &mut Node, conditions: Vec<Expr>) {
        let Node::Apply(apply) = node else { return };
        let mut unknown: ColumnSet = apply.subqueries.iter().map(|subquery| subquery.column).collect();
        let is_met = |condition: &Expr, unknown: &ColumnSet| {
            !condition.columns().into_iter().any(|column| unknown.contains(column))
        };
        let (below, mut rest): (Vec<_>, Vec<_>) =
            conditions.into_iter().partition(|condition| is_met(condition, &unknown));
        self.push(&mut apply.input, below);
        for subquery in &mut apply.subqueries {
            self.within(&mut subquery.rows.node, Vec::new());
        }
        let mut subqueries = std::mem::take(&mut apply.subqueries).into_iter().peekable();
        let mut splits = 0;
        *node = apply.input.take();
        let mut together = Vec::new();
        while let Some(subquery) = subqueries.next() {
            unknown.remove(subquery.column);
            together.push(subquery);
            let splits_here = splits < SPLITS_MAX && rest.iter().any(|condition| is_met(condition, &unknown));
            if splits_here || subqueries.peek().is_none() {
                let input = Box::new(node.take());
                *node = Node::Apply(Apply { input, subqueries: std::mem::take(&mut together) });
                let (now, later): (Vec<_>, Vec<_>) =
                    rest.into_iter().partition(|condition| is_met(condition, &unknown));
                above(node, now);
                rest = later;
                splits += 1;
            }
        }
        above(node, rest);
    }

    /// Pushes into what reads the rows around it.
    fn within(&mut self, node: &mut Node, conditions: Vec<Expr>) {
        let mut free = columns_free(node);
        free.subtract(&self.outer);
        self.outer.extend(free.iter());
        self.push(node, conditions);
        self.outer.subtract(&free);
    }

    /// Conditions on the keys of groups hold of each of their rows.
    fn push_aggregate(&mut self, aggregate: &mut Aggregate, conditions: Vec<Expr>) -> Vec<Expr> {
        // A key is NULL in the groups of a set that does not have it.
        if !aggregate.sets.is_empty() {
            return conditions;
        }
        let (mut through, mut stay) = (Vec::new(), Vec::new());
        let calls: ColumnSet = aggregate.calls.iter().map(|(column, _)| *column).collect();
        let keys = by_column(&aggregate.keys, &conditions);
        for condition in conditions {
            if aggregate.keys.is_empty()
                || condition.columns().into_iter().any(|column| calls.contains(column))
            {
                stay.push(condition);
                continue;
            }
            match self.over_input(condition, &keys) {
                Ok(over) => through.push(over),
                Err(condition) => stay.push(condition),
            }
        }
        self.push(&mut aggregate.input, through);
        stay
    }

    /// Each input of a UNION and its like gets the conditions, over its own columns.
    /// Into every input. Not into those of EXCEPT: of equal values that look different a condition may tell the one from the
    /// other, and the one that it leaves out takes the other away.
    fn push_inputs(&mut self, node: &mut Node, conditions: Vec<Expr>) {
        let is_except = matches!(node, Node::SetOperation(operation) if !operation.intersect);
        let (conditions, kept) = if is_except { (Vec::new(), conditions) } else { (conditions, Vec::new()) };
        let count = children_mut(node).len();
        let copies = count.saturating_sub(1).saturating_mul(size(&conditions));
        let (copied, stay) =
            if self.take(copies) { (conditions, Vec::new()) } else { (Vec::new(), conditions) };
        let (inputs, columns): (Vec<&mut Output>, &Vec<ColumnId>) = match node {
            Node::Append(append) => (append.inputs.iter_mut().collect(), &append.columns),
            Node::SetOperation(operation) => {
                let operation = operation.as_mut();
                (vec![&mut operation.left, &mut operation.right], &operation.columns)
            }
            _ => return,
        };
        for input in inputs {
            let own: HashMap<ColumnId, ColumnId> = if copied.is_empty() {
                HashMap::new()
            } else {
                columns.iter().copied().zip(input.columns.iter().copied()).collect()
            };
            let over = |condition: &Expr| {
                condition.clone().map_columns(&|column| own.get(&column).copied().unwrap_or(column))
            };
            self.push(&mut input.node, copied.iter().map(over).collect());
        }
        above(node, stay);
        above(node, kept);
    }

    /// The conditions that have to stay above the join.
    fn push_join(&mut self, join: &mut Join, conditions: Vec<Expr>) -> Vec<Expr> {
        let own = std::mem::take(&mut join.conditions);
        if conditions.is_empty() && own.is_empty() {
            self.push(&mut join.left, Vec::new());
            self.push_right(join, Vec::new());
            return Vec::new();
        }
        let made = columns_made(&join.right);
        let outer = &self.outer;
        let side = |condition: &Expr| {
            let read = condition.columns();
            if !read.iter().any(|column| made.contains(*column)) {
                Side::Left
            } else if read.iter().all(|column| made.contains(*column) || outer.contains(*column)) {
                Side::Right
            } else {
                Side::Both
            }
        };
        let is_right = |column: ColumnId| made.contains(column);
        let is_left = |column: ColumnId| !made.contains(column) && !outer.contains(column);
        let (left_counts, right_counts) = (
            conditions.iter().any(|condition| rejects(condition, &is_left)),
            conditions.iter().any(|condition| rejects(condition, &is_right)),
        );
        // Rows that a join has filled with NULLs do not survive what rejects NULLs.
        join.kind = match (join.kind, left_counts, right_counts) {
            (JoinKind::Left, _, true) | (JoinKind::Right, true, _) | (JoinKind::Full, true, true) => {
                JoinKind::Inner
            }
            (JoinKind::Full, true, false) => JoinKind::Left,
            (JoinKind::Full, false, true) => JoinKind::Right,
            (kind, ..) => kind,
        };
        let (keeps_left, keeps_right) = match join.kind {
            JoinKind::Inner | JoinKind::Semi | JoinKind::RightSemi => (false, false),
            JoinKind::Left | JoinKind::Anti => (true, false),
            JoinKind::Right | JoinKind::RightAnti => (false, true),
            JoinKind::Full => (true, true),
        };
        let (mut left, mut right, mut pairs, mut stay) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // Its own, first: a row of the side that is kept whole stays, matched or not.
        for condition in own {
            match side(&condition) {
                _ if !may_move(&condition) => pairs.push(condition),
                Side::Left if !keeps_left => left.push(condition),
                Side::Right if !keeps_right => right.push(condition),
                _ => pairs.push(condition),
            }
        }
        // From above: a row that an outer join fills with NULLs must still meet the condition as such.
        for condition in conditions {
            match side(&condition) {
                Side::Left if !keeps_right => left.push(condition),
                Side::Right if !keeps_left => right.push(condition),
                _ if join.kind == JoinKind::Inner && may_move(&condition) => pairs.push(condition),
                _ => stay.push(condition),
            }
        }
        self.push(&mut join.left, left);
        self.push_right(join, right);
        join.conditions = pairs;
        stay
    }

    fn push_right(&mut self, join: &mut Join, conditions: Vec<Expr>) {
        if join.lateral {
            self.within(&mut join.right, conditions);
        } else {
            self.push(&mut join.right, conditions);
        }
    }
}

/// Puts the node under a filter, if there is anything to filter by.
fn above(node: &mut Node, conditions: Vec<Expr>) {
    if !conditions.is_empty() {
        *node = node.take().filtered(conditions);
    }
}

/// What is computed, by its column; nothing if nobody asks.
fn by_column<'e>(computed: &'e [(ColumnId, Expr)], conditions: &[Expr]) -> HashMap<ColumnId, &'e Expr> {
    if conditions.is_empty() {
        return HashMap::new();
    }
    computed.iter().map(|(column, expression)| (*column, expression)).collect()
}

/// The condition with columns replaced.
fn substitute(mut condition: Expr, replacement: impl Fn(ColumnId) -> Option<Expr>) -> Expr {
    condition.rewrite(&mut |part| {
        if let Expr::Column { index, .. } = part
            && let Some(replacement) = replacement(*index)
        {
            *part = replacement;
        }
    });
    condition
}

#[cfg(test)]
mod tests {
    use expr::SessionContext;

    use crate::bind::{SessionSettings, bind};
    use crate::catalog::{CatalogSnapshot, SearchPath};
    use crate::optimise::{Rules, TableSizes};
    use crate::plan::budget::PlanSize;
    use crate::plan::{Bound, Node, Plan};

    fn optimised(sql: &str) -> Bound {
        let statements = crate::parse::parse(sql).unwrap();
        let settings = SessionSettings {
            search_path: &SearchPath::default(),
            context: &SessionContext::default(),
            row_security: true,
            as_of: None,
            tables_then: None,
        };
        let catalog = CatalogSnapshot::new(1, [], []);
        let mut bound = bind(&statements[0], &catalog, &settings, Some(&[])).unwrap();
        crate::optimise::optimise(&mut bound, &TableSizes::default(), Rules::ALL).unwrap();
        bound
    }

    fn repeated(item: &str, between: &str, times: usize) -> String {
        vec![item; times].join(between)
    }

    #[test]
    fn a_short_condition_goes_into_every_input() {
        for operation in [" union all ", " intersect "] {
            let inputs = repeated("(select 1 a offset 0)", operation, 100);
            let Plan::Query(node) =
                optimised(&format!("select * from ({inputs}) q where a in (1, 2, 3)")).plan
            else {
                panic!()
            };
            assert!(matches!(*node, Node::Append(_) | Node::SetOperation(_)), "{node:?}");
        }
    }

    /// What is broad may be combined with what is long: the plan grows by neither times the other.
    #[test]
    fn breadth_times_length_is_bounded() {
        let list = repeated("1", ", ", 2000);
        for sql in [
            format!(
                "select * from ({}) q where a in ({list})",
                repeated("(select 1 a offset 0)", " union all ", 1000)
            ),
            format!(
                "select * from ({}) q where a in ({list})",
                repeated("(select 1 a offset 0)", " intersect ", 1000)
            ),
            format!(
                "select * from (select {} a from (select 1 x) s) q where {}",
                repeated("x", " + ", 500),
                repeated("a <> 1", " and ", 3000)
            ),
        ] {
            let size = PlanSize::of_plan(&mut optimised(&sql).plan);
            assert!(size.bytes() < 200 << 20, "{size:?} {}", &sql[..60]);
        }
    }
}

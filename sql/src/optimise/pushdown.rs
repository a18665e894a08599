//! Conditions move down to where the rows come from.
//!
//! A condition stays where it is if evaluating it earlier could change the answer: it is volatile, it reads a column
//! that exists only above, or it would take rows away from the side of an outer join that is kept whole.

use expr::operators::Comparison;
use expr::{Expr, TypeKind};

use super::condition::{add, all, conjuncts, may_move, reads_only, substitute};
use super::take;
use crate::plan::walk::children_mut;
use crate::plan::{Aggregate, Apply, Filter, Join, JoinKind, JoinStrategy, Node, budget};

/// How many filters may be put between the subqueries of one [`Apply`]; each makes the plan two nodes deeper.
const SPLITS_MAX: usize = 8;
/// A condition is not rewritten in terms of what a projection computes if that makes it larger than this many parts.
const PARTS_MAX: usize = 4096;

/// How many parts of expressions pushing down may add to a plan: a condition is copied into each input of a UNION, and
/// grows by what a projection computes.
const COPIES_MAX: usize = 500_000;

/// Moves every condition of the tree as far down as it can go. If the statement is to end meanwhile, it stops.
pub(super) fn push_down(node: &mut Node) {
    push(node, Vec::new(), &mut Room { parts: COPIES_MAX, is_wanted: true });
}

/// What may still be added.
struct Room {
    parts: usize,
    /// Nobody has said that the statement is to end.
    is_wanted: bool,
}

impl Room {
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
}

fn size(conditions: &[Expr]) -> usize {
    conditions.iter().map(budget::parts).fold(0, usize::saturating_add)
}

/// Applies `conditions`, over the node's output, as deep as possible.
fn push(node: &mut Node, mut conditions: Vec<Expr>, room: &mut Room) {
    if !room.look(&conditions) {
        return above(node, conditions);
    }
    match node {
        Node::Filter(filter) => {
            let predicate = std::mem::replace(&mut filter.predicate, Expr::literal(true, TypeKind::Bool));
            let (movable, fixed): (Vec<_>, Vec<_>) = conjuncts(predicate).into_iter().partition(may_move);
            *node = take(&mut filter.input);
            if fixed.is_empty() {
                conditions.extend(movable);
                return push(node, conditions, room);
            }
            // What is volatile sees the rows that it saw before: nothing passes it from above.
            push(node, movable, room);
            above(node, fixed);
            above(node, conditions);
        }
        Node::Project(project) => {
            let (mut through, mut stay) = (Vec::new(), Vec::new());
            for condition in conditions {
                match over_input(&condition, &project.expressions, room) {
                    Some(over) => through.push(over),
                    None => stay.push(condition),
                }
            }
            push(&mut project.input, through, room);
            above(node, stay);
        }
        Node::Join(join) => {
            let stay = push_join(join, conditions, room);
            above(node, stay);
        }
        Node::Apply(_) => push_apply(node, conditions, room),
        Node::Aggregate(aggregate) => {
            let stay = push_aggregate(aggregate, conditions, room);
            above(node, stay);
        }
        Node::Sort(sort) if sort.limit.is_none() => push(&mut sort.input, conditions, room),
        Node::Distinct(distinct) if distinct.on.is_none() => push(&mut distinct.input, conditions, room),
        Node::Append(_) | Node::SetOperation(_) => {
            let inputs = children_mut(node);
            let copies = inputs.len().saturating_sub(1).saturating_mul(size(&conditions));
            let (copied, stay) =
                if room.take(copies) { (conditions, Vec::new()) } else { (Vec::new(), conditions) };
            for input in inputs {
                push(input, copied.clone(), room);
            }
            above(node, stay);
        }
        Node::VirtualScan(scan) => add(&mut scan.filter, conditions),
        Node::Scan(scan) if scan.limit.is_none() => {
            if scan.lock.is_some() {
                add(&mut scan.recheck, conditions.clone());
            }
            add(&mut scan.filter, conditions);
        }
        Node::Sort(_)
        | Node::Distinct(_)
        | Node::Limit(_)
        | Node::Scan(_)
        | Node::FunctionScan(_)
        | Node::Values(_) => {
            children_mut(node).into_iter().for_each(|child| push(child, Vec::new(), room));
            above(node, conditions);
        }
    }
}

/// Puts the node under a filter, if there is anything to filter by.
fn above(node: &mut Node, conditions: Vec<Expr>) {
    if let Some(predicate) = all(conditions) {
        let input = Box::new(take(node));
        *node = Node::Filter(Filter { input, predicate });
    }
}

/// A condition over what a projection computes as one over its input.
fn over_input(condition: &Expr, expressions: &[Expr], room: &mut Room) -> Option<Expr> {
    if room.parts == 0 {
        return None;
    }
    let own = budget::parts(condition);
    let mut parts = own;
    for column in condition.columns() {
        let expression = expressions.get(column).filter(|expression| may_move(expression))?;
        parts = parts.saturating_add(budget::parts(expression));
    }
    let fits = parts <= PARTS_MAX;
    if fits && !room.take(parts.saturating_sub(own)) {
        // Nor is it looked for any more how large the others would become.
        room.parts = 0;
        return None;
    }
    fits.then(|| substitute(condition.clone(), expressions))
}

/// Conditions that read only the input, or only the answers of the first subqueries, are met before the others run.
fn push_apply(node: &mut Node, conditions: Vec<Expr>, room: &mut Room) {
    let Node::Apply(apply) = node else { return };
    let width = apply.input.width();
    let (below, mut rest): (Vec<_>, Vec<_>) =
        conditions.into_iter().partition(|condition| reads_only(condition, |column| column < width));
    push(&mut apply.input, below, room);
    apply.subqueries.iter_mut().for_each(|subquery| push(&mut subquery.node, Vec::new(), room));
    let mut subqueries = std::mem::take(&mut apply.subqueries).into_iter().peekable();
    let mut known = width;
    let mut splits = 0;
    *node = take(&mut apply.input);
    let mut together = Vec::new();
    while let Some(subquery) = subqueries.next() {
        together.push(subquery);
        known = known.saturating_add(1);
        let met = |condition: &Expr| reads_only(condition, |column| column < known);
        let splits_here = splits < SPLITS_MAX && rest.iter().any(met);
        if splits_here || subqueries.peek().is_none() {
            let input = Box::new(take(node));
            *node = Node::Apply(Apply { input, subqueries: std::mem::take(&mut together) });
            let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(met);
            above(node, now);
            rest = later;
            splits += 1;
        }
    }
    above(node, rest);
}

/// Conditions on the keys of groups hold of each of their rows.
fn push_aggregate(aggregate: &mut Aggregate, conditions: Vec<Expr>, room: &mut Room) -> Vec<Expr> {
    let (mut through, mut stay) = (Vec::new(), Vec::new());
    for condition in conditions {
        match over_input(&condition, &aggregate.keys, room) {
            Some(over) if !aggregate.keys.is_empty() => through.push(over),
            _ => stay.push(condition),
        }
    }
    push(&mut aggregate.input, through, room);
    stay
}

/// The conditions that have to stay above the join.
fn push_join(join: &mut Join, conditions: Vec<Expr>, room: &mut Room) -> Vec<Expr> {
    let width = join.left.width();
    let of_left = |condition: &Expr| reads_only(condition, |column| column < width);
    let of_right = |condition: &Expr| {
        let read = condition.columns();
        !read.is_empty() && read.iter().all(|column| *column >= width)
    };
    let (keeps_left, keeps_right) = match join.kind {
        JoinKind::Inner => (false, false),
        JoinKind::Left => (true, false),
        JoinKind::Right => (false, true),
        JoinKind::Full => (true, true),
    };
    let (mut left, mut right, mut pairs, mut stay) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // From above: a row that an outer join fills with NULLs must still meet the condition as such.
    for condition in conditions {
        if of_left(&condition) && !keeps_right {
            left.push(condition);
        } else if of_right(&condition) && !keeps_left {
            right.push(condition);
        } else if join.kind == JoinKind::Inner && may_move(&condition) {
            pairs.push(condition);
        } else {
            stay.push(condition);
        }
    }
    // Its own: a row of the side that is kept whole stays, matched or not.
    for condition in join.condition.take().map_or_else(Vec::new, conjuncts) {
        if !may_move(&condition) {
            pairs.push(condition);
        } else if of_left(&condition) && !keeps_left {
            left.push(condition);
        } else if of_right(&condition) && !keeps_right {
            right.push(condition);
        } else {
            pairs.push(condition);
        }
    }
    let right: Vec<_> = right
        .into_iter()
        .map(|condition| condition.map_columns(&|column| column.saturating_sub(width)))
        .collect();
    push(&mut join.left, left, room);
    push(&mut join.right, right, room);
    if matches!(join.strategy, JoinStrategy::NestedLoop) {
        pairs = hash_equal_keys(join, pairs, width);
    }
    join.condition = all(pairs);
    stay
}

/// Turns `left = right` conditions into keys to hash; what remains is checked of each pair.
fn hash_equal_keys(join: &mut Join, pairs: Vec<Expr>, width: usize) -> Vec<Expr> {
    let (mut left_keys, mut right_keys, mut remaining) = (Vec::new(), Vec::new(), Vec::new());
    for pair in pairs {
        match equal_sides(&pair, width) {
            Some((left, right)) => {
                left_keys.push(left);
                right_keys.push(right);
            }
            None => remaining.push(pair),
        }
    }
    if !left_keys.is_empty() {
        join.strategy = JoinStrategy::Hash { left_keys, right_keys };
    }
    remaining
}

/// The sides of an equality between the two inputs of a join, each over its own input.
fn equal_sides(pair: &Expr, width: usize) -> Option<(Expr, Expr)> {
    let Expr::Call { function, args, .. } = pair else { return None };
    let [first, second] = args.as_slice() else { return None };
    if expr::operators::comparison(*function) != Some(Comparison::Equal) || !may_move(pair) {
        return None;
    }
    let side = |expression: &Expr, left: bool| {
        let read = expression.columns();
        !read.is_empty() && read.iter().all(|column| (*column < width) == left)
    };
    let (left, right) = match () {
        () if side(first, true) && side(second, false) => (first, second),
        () if side(second, true) && side(first, false) => (second, first),
        () => return None,
    };
    let right = right.clone().map_columns(&|column| column.saturating_sub(width));
    widen(left.clone(), right)
}

/// Both sides in one type: equal already, or integers of different widths.
fn widen(left: Expr, right: Expr) -> Option<(Expr, Expr)> {
    let (a, b) = (left.ty().kind, right.ty().kind);
    if a == b {
        return Some((left, right));
    }
    let is_integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
    if !is_integer(a) || !is_integer(b) {
        return None;
    }
    let wide = |operand: Expr| match operand.ty().kind {
        TypeKind::Int8 => operand,
        _ => Expr::Cast { operand: Box::new(operand), to: TypeKind::Int8.into(), explicit: false },
    };
    Some((wide(left), wide(right)))
}

#[cfg(test)]
mod tests {
    use expr::SessionContext;

    use crate::bind::{SessionSettings, bind};
    use crate::catalog::{CatalogSnapshot, SearchPath};
    use crate::plan::budget::PlanSize;
    use crate::plan::{Bound, Node, Plan};

    fn optimised(sql: &str) -> Bound {
        let statements = crate::parse::parse(sql).unwrap();
        let settings =
            SessionSettings { search_path: &SearchPath::default(), context: &SessionContext::default() };
        let catalog = CatalogSnapshot::new(1, [], []);
        let mut bound = bind(&statements[0], &catalog, &settings, Some(&[])).unwrap();
        crate::optimise::optimise(&mut bound);
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
            let Node::Project(project) = *node else { panic!("{node:?}") };
            assert!(matches!(*project.input, Node::Append(_) | Node::SetOperation(_)), "{project:?}");
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

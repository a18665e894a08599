//! About how many bytes rows have: what types say, and what ANALYZE has found, as PostgreSQL counts them.

use expr::{Expr, Type, TypeKind};

use crate::optimise::estimate::Estimates;
use crate::plan::{GroupingSet, Node, Scan};

/// A value of a type without a length.
const UNKNOWN: f64 = 32.0;
/// Texts that may be longer than this are not, as a rule.
const LONG: f64 = 1000.0;
/// What a character takes at most.
const CHARACTER_BYTES: usize = 4;

/// How many columns a node's rows have, and how many bytes. `of`: those of its inputs.
pub(super) fn of(node: &Node, estimates: &Estimates<'_>, of: impl Fn(&Node) -> (usize, f64)) -> (usize, f64) {
    let none = (0, 0.0);
    match node {
        Node::Scan(scan) => of_scan(scan, estimates),
        Node::Past(past) => of_scan(&past.scan, estimates),
        Node::VirtualScan(_)
        | Node::FunctionScan(_)
        | Node::Values(_)
        | Node::Working(_)
        | Node::Modify(_) => and(none, node.types()),
        Node::Project(project) => and(none, project.expressions.iter().map(Expr::ty)),
        Node::ProjectSet(set) => {
            let ordinality = set.ordinality.then_some(Type::plain(TypeKind::Int8));
            and(of(&set.input), set.functions.iter().map(|function| function.ty).chain(ordinality))
        }
        Node::Join(join) => {
            let (left, right) = join.kind.answers();
            let side = |is_answered: bool, input: &Node| if is_answered { of(input) } else { none };
            let (left, right) = (side(left, &join.left), side(right, &join.right));
            (left.0.saturating_add(right.0), left.1 + right.1)
        }
        Node::Apply(apply) => {
            and(of(&apply.input), apply.subqueries.iter().map(|subquery| subquery.kind.ty()))
        }
        Node::Aggregate(aggregate) => {
            let marks = GroupingSet::marks_of(&aggregate.sets);
            let marks = std::iter::repeat_n(Type::plain(TypeKind::Int4), marks);
            let keys = aggregate.keys.iter().map(Expr::ty);
            and(none, keys.chain(marks).chain(aggregate.calls.iter().map(|call| call.ty)))
        }
        Node::Window(window) => and(of(&window.input), window.calls.iter().map(|call| call.ty)),
        Node::Filter(filter) => of(&filter.input),
        Node::Sort(sort) => of(&sort.input),
        Node::Limit(limit) => of(&limit.input),
        Node::LockRows(lock) => of(&lock.input),
        Node::Distinct(distinct) => of(&distinct.input),
        Node::Append(append) => append.inputs.first().map_or(none, &of),
        Node::SetOperation(operation) => of(&operation.left),
        Node::Common(common) => of(&common.input),
        Node::Recursive(recursive) => of(&recursive.first),
    }
}

/// So many columns, which have so many bytes, and those of these types behind them.
fn and((columns, bytes): (usize, f64), types: impl IntoIterator<Item = Type>) -> (usize, f64) {
    let more = |(columns, bytes): (usize, f64), ty: Type| (columns.saturating_add(1), bytes + width(ty));
    types.into_iter().fold((columns, bytes), more)
}

fn of_scan(scan: &Scan, estimates: &Estimates<'_>) -> (usize, f64) {
    // The sum of nothing is -0.
    let bytes = scan.columns.iter().map(|place| width_of_column(scan, *place, estimates)).sum::<f64>() + 0.0;
    (scan.columns.len(), bytes)
}

fn width_of_column(scan: &Scan, place: usize, estimates: &Estimates<'_>) -> f64 {
    let Some(column) = scan.table.columns.get(place) else { return UNKNOWN };
    let found = match scan.shielded {
        true => None,
        false => estimates.statistics_of_column(&scan.table, place),
    };
    match found.map(|found| found.width).filter(|width| *width > 0) {
        Some(width) if column.ty.kind.length() < 0 => f64::from(width),
        _ => width(column.ty),
    }
}

fn width(ty: Type) -> f64 {
    match (ty.kind.length(), ty.length()) {
        (bytes, _) if bytes > 0 => f64::from(bytes),
        (_, None) => UNKNOWN,
        (_, Some(characters)) => {
            let most = characters.saturating_mul(CHARACTER_BYTES).saturating_add(CHARACTER_BYTES) as f64;
            // Blanks fill it up.
            if most <= UNKNOWN || ty.kind == TypeKind::Bpchar {
                most
            } else {
                UNKNOWN + (most.min(LONG) - UNKNOWN) / 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_postgresql() {
        assert_eq!(
            [TypeKind::Int4, TypeKind::Int8, TypeKind::Text].map(|kind| width(kind.into())),
            [4.0, 8.0, 32.0]
        );
        let varchar = |n: i32| width(Type { modifier: n + 4, ..Type::plain(TypeKind::Varchar) });
        assert_eq!([3, 10, 1000].map(varchar), [16.0, 38.0, 516.0]);
        assert_eq!(width(Type { modifier: 14, ..Type::plain(TypeKind::Bpchar) }), 44.0);
    }
}

//! What a scan of a stored table is taken for: what of the table its spans and its filter leave.

use expr::operators::{equality, find};
use expr::{Expr, TypeKind};

use super::{Found, made};
use crate::optimise::condition::conjuncts;
use crate::optimise::cost;
use crate::optimise::estimate::Estimates;
use crate::optimise::selectivity::{self, Known};
use crate::plan::{KeyBound, KeyPart, KeySpan, Scan};

/// What is known of a column of a scan's table, by its place there.
pub(super) fn known<'e>(scan: &Scan, place: usize, estimates: &'e Estimates<'_>) -> Option<Known<'e>> {
    Some(match scan.shielded {
        true => estimates.guessed_of_column(&scan.table, place),
        false => estimates.known_of_column(&scan.table, place),
    })
}

/// A scan by itself, or of what belongs to one of many rows that are looked up.
pub(super) fn scan(scan: &Scan, is_looked_up: bool, estimates: &Estimates<'_>) -> Found {
    let table = estimates.rows_of_table(&scan.table);
    let index = scan.table.index(scan.index);
    let is_primary = index.is_some_and(|index| index.primary);
    let known = |place: usize| known(scan, place, estimates);
    let filter = scan.filter.clone().map_or_else(Vec::new, conjuncts);
    let filter: Vec<Expr> = filter.into_iter().map(|condition| over_table(condition, scan)).collect();
    let Some(spans) = &scan.spans else {
        let rows = table * selectivity::part(&filter, &known);
        return made(rows, cost::scan(1, table, is_primary));
    };
    let places: Vec<usize> = index.into_iter().flat_map(|index| scan.table.key_columns(index)).collect();
    let (mut rows, mut read) = (0.0_f64, 0.0_f64);
    for span in spans {
        let mut conditions = said(span, &places, scan);
        read += table * selectivity::part(&conditions, &known);
        conditions.extend(filter.iter().cloned());
        rows += table * selectivity::part(&conditions, &known);
    }
    let is_of_points = index.is_some_and(|index| spans.iter().all(|span| span.point(index).is_some()));
    let (count, read) = (spans.len() as f64, read.min(table));
    let total = if is_of_points && is_primary {
        cost::look_up(1.0, true, true) * count
    } else if is_looked_up {
        cost::look_up(read / count.max(1.0), false, is_primary) * count
    } else {
        cost::scan(spans.len(), read, is_primary)
    };
    made(rows.min(table), total)
}

/// A scan of what was, as if that was like what is. Its filter is the whole condition, that of its spans too.
pub(super) fn past(scan: &Scan, estimates: &Estimates<'_>) -> Found {
    let filter = scan.filter.clone().map_or_else(Vec::new, conjuncts);
    let filter: Vec<Expr> = filter.into_iter().map(|condition| over_table(condition, scan)).collect();
    let part = selectivity::part(&filter, &|place| known(scan, place, estimates));
    let read = self::scan(scan, false, estimates);
    made(estimates.rows_of_table(&scan.table) * part, read.appraisal.total)
}

/// A condition over a scan's rows as one over its table's.
fn over_table(mut condition: Expr, scan: &Scan) -> Expr {
    condition.rewrite(&mut |part| {
        if let Expr::Column { index, .. } = part
            && let Some(place) = scan.columns.get(*index)
        {
            *index = *place;
        }
    });
    condition
}

/// What a span says of the columns of its index, which stand at these places.
fn said(span: &KeySpan, places: &[usize], scan: &Scan) -> Vec<Expr> {
    let columns: Vec<Expr> = places.iter().filter_map(|place| column(*place, scan)).collect();
    let mut conditions = Vec::new();
    let mut rest = columns.iter();
    for part in &span.prefix {
        let Some(column) = rest.next() else { return conditions };
        conditions.extend(match part {
            KeyPart::Equal(value) => compared("=", column, value),
            KeyPart::OneOf(array) => equality(column.ty().kind).map(|operator| Expr::AnyAll {
                operand: Box::new(column.clone()),
                array: Box::new(array.clone()),
                operator,
                all: false,
            }),
            KeyPart::Null => Some(Expr::IsNull { operand: Box::new(column.clone()), negated: false }),
        });
    }
    let Some(column) = rest.next() else { return conditions };
    let bound = |bound: &Option<KeyBound>, operators: [&str; 2]| {
        let bound = bound.as_ref()?;
        let [with, without] = operators;
        compared(if bound.inclusive { with } else { without }, column, bound.values.first()?)
    };
    conditions.extend(bound(&span.lower, [">=", ">"]));
    conditions.extend(bound(&span.upper, ["<=", "<"]));
    if span.not_null {
        conditions.push(Expr::IsNull { operand: Box::new(column.clone()), negated: true });
    }
    conditions
}

/// A column of a scan's table, or what an index has computed in its place.
fn column(index: usize, scan: &Scan) -> Option<Expr> {
    let ty = match scan.table.columns.get(index) {
        Some(column) => column.ty,
        None => {
            let (_, own) = scan.table.key_expressions().find(|(place, _)| *place == index)?;
            own.ty
        }
    };
    Some(Expr::Column { index, ty })
}

fn compared(operator: &str, column: &Expr, value: &Expr) -> Option<Expr> {
    let kind = column.ty().kind;
    let found = find(operator, Some(kind), value.ty().kind).or_else(|| find(operator, Some(kind), kind));
    let function = match found {
        Some(found) => found.function,
        // Types that were made have it, too.
        None => equality(kind).filter(|_| operator == "=")?,
    };
    Some(Expr::call(function, vec![column.clone(), value.clone()], TypeKind::Bool))
}

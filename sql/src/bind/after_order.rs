//! What of a select list is computed once the rows stand in order, and so only for those that are asked for: volatile
//! calls, as in PostgreSQL. `SELECT nextval('s'), x FROM t ORDER BY x` numbers the rows in their order.

use std::collections::HashMap;

use expr::Expr;
use expr::functions::Volatility;

use crate::plan::{Node, Project, Sort, SortKey};

/// Which of the columns wait for the order; `None`: none does.
pub(super) fn waiting(expressions: &[Expr], keys: &[SortKey], visible: usize) -> Option<Vec<bool>> {
    if keys.is_empty() {
        return None;
    }
    let is_key = |place: usize| {
        keys.iter().any(|key| matches!(key.expression, Expr::Column { index, .. } if index == place))
    };
    let waits: Vec<bool> = expressions
        .iter()
        .enumerate()
        .map(|(place, expression)| {
            place < visible && !is_key(place) && expression.volatility() == Volatility::Volatile
        })
        .collect();
    waits.contains(&true).then_some(waits)
}

/// The rows of `input` in the order of `keys`, which are places among the expressions, and then as the first of these.
pub(super) fn sorted_first(
    input: Node,
    expressions: Vec<Expr>,
    mut keys: Vec<SortKey>,
    waits: &[bool],
    visible: usize,
) -> Node {
    let mut early: Vec<Expr> = Vec::with_capacity(expressions.len());
    let mut places = Vec::with_capacity(expressions.len());
    for (expression, waits) in expressions.iter().zip(waits) {
        places.push(early.len());
        if !waits {
            early.push(expression.clone());
        }
    }
    let place_of = |place: usize| places.get(place).copied().unwrap_or(place);
    for key in &mut keys {
        if let Expr::Column { index, .. } = &mut key.expression {
            *index = place_of(*index);
        }
    }
    // What is computed later reads columns of its own.
    let mut read: HashMap<usize, usize> = HashMap::new();
    let mut late = Vec::with_capacity(visible);
    for (place, (mut expression, waits)) in expressions.into_iter().zip(waits).enumerate().take(visible) {
        if !waits {
            late.push(Expr::Column { index: place_of(place), ty: expression.ty() });
            continue;
        }
        expression.rewrite(&mut |part| {
            if let Expr::Column { index, ty } = part {
                let known = read.entry(*index).or_insert_with(|| {
                    early.push(Expr::Column { index: *index, ty: *ty });
                    early.len().saturating_sub(1)
                });
                *index = *known;
            }
        });
        late.push(expression);
    }
    let computed = Node::Project(Project { input: Box::new(input), expressions: early });
    let sorted = Node::Sort(Sort { input: Box::new(computed), keys, limit: None });
    Node::Project(Project { input: Box::new(sorted), expressions: late })
}

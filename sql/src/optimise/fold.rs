//! Calls whose arguments are constants are computed once, while planning.
//!
//! An error is not raised here: the row whose expression it is may never be asked for.

use expr::{EvalContext, Expr, SessionContext};

use super::condition::is_true;
use crate::logical::Node;
use crate::logical::walk::{children_mut, expressions_mut};

/// A value that takes more than this stays as the expression that makes it.
const BYTES_MAX: usize = 1024;

/// Folds the constants of a tree. A condition that has become TRUE vanishes.
pub(super) fn fold(node: &mut Node) {
    fold_node(node, &mut None);
}

/// What is folded depends on no session: one is made where something is.
fn fold_node(node: &mut Node, session: &mut Option<SessionContext>) {
    for child in children_mut(node) {
        fold_node(child, session);
    }
    for expression in expressions_mut(node) {
        expression.rewrite(&mut |part| fold_part(part, session));
    }
    match node {
        Node::Get(get) => get.filter.retain(|condition| !is_true(condition)),
        Node::Join(join) => join.conditions.retain(|condition| !is_true(condition)),
        Node::Filter(filter) => {
            filter.conditions.retain(|condition| !is_true(condition));
            if filter.conditions.is_empty() {
                *node = filter.input.take();
            }
        }
        _ => {}
    }
}

/// An expression with its constants computed.
pub(super) fn folded(mut expression: Expr) -> Expr {
    expression.rewrite(&mut |part| fold_part(part, &mut None));
    expression
}

fn fold_part(part: &mut Expr, session: &mut Option<SessionContext>) {
    let is_short = match part {
        Expr::Call { function, .. } => !function.makes_long_values(),
        Expr::Cast { .. } => true,
        _ => false,
    };
    let is_literal = |part: &&Expr| matches!(part, Expr::Literal { .. });
    if !is_short || !part.children().iter().all(is_literal) || !part.is_constant() {
        return;
    }
    let session = session.get_or_insert_with(SessionContext::default);
    if let Ok(value) = part.evaluate(&EvalContext::new(&[], &[], session))
        && value.size_bytes() <= BYTES_MAX
    {
        *part = Expr::Literal { value, ty: part.ty() };
    }
}

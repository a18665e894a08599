//! Records of unlike fields, which have no order among each other: PostgreSQL finds them where it makes rows distinct or groups
//! them, for it sorts records then. A hash would tell them apart without a word, so rows that may hold some are sorted before;
//! and pairs that may be of such are compared one by one.

use expr::{Expr, Type, TypeKind};

use super::Placement;
use crate::logical::walk::walk;
use crate::logical::{Node, Output};
use crate::optimise::condition::may_move;
use crate::plan::{self, SortKey};

impl Placement<'_> {
    /// Whether among values of these types that rows of a node have there may be records of unlike fields: those whose shape
    /// nobody knows, and those of several inputs.
    pub(super) fn may_be_unlike(&self, types: impl IntoIterator<Item = Type>, input: &Node) -> bool {
        let shapes: Vec<i32> =
            types.into_iter().filter(|ty| is_of_records(*ty)).map(|ty| ty.modifier).collect();
        !shapes.is_empty() && (shapes.iter().any(|shape| *shape < 0) || self.mixes(input))
    }

    /// Whether inputs come together whose records are of unlike shapes.
    fn mixes(&self, node: &Node) -> bool {
        let shapes = |input: &Output| -> Vec<Type> {
            let types = input.columns.iter().map(|column| self.columns.ty(*column));
            types.filter(|ty| is_of_records(*ty)).collect()
        };
        let mut mixes = false;
        walk(node, &mut |node| {
            if let Node::Append(append) = node {
                let mut inputs = append.inputs.iter().map(shapes);
                let first = inputs.next().unwrap_or_default();
                mixes |= inputs.any(|other| other != first);
            }
        });
        mixes
    }
}

/// Whether two values that are compared may be records of unlike fields.
pub(super) fn may_be_unlike_pair(one: Type, other: Type) -> bool {
    is_of_records(one) && is_of_records(other) && (one.modifier < 0 || one.modifier != other.modifier)
}

fn is_of_records(ty: Type) -> bool {
    matches!(ty.kind, TypeKind::Record | TypeKind::RecordArray)
}

/// The order of these values; none where they cannot be computed twice.
pub(super) fn order_of(values: &[Expr]) -> Vec<SortKey> {
    let key = |value: &Expr| SortKey { expression: value.clone(), descending: false, nulls_first: false };
    if values.iter().all(may_move) { values.iter().map(key).collect() } else { Vec::new() }
}

/// The rows in the order of these values.
pub(super) fn sorted(input: plan::Node, values: &[Expr]) -> plan::Node {
    let keys = order_of(values);
    if keys.is_empty() {
        return input;
    }
    plan::Node::Sort(plan::Sort { input: Box::new(input), keys, limit: None })
}

//! UNION, INTERSECT, EXCEPT: a list of operations becomes as few nodes as it has meanings, not one upon the other for
//! each.
//!
//! ```text
//! a UNION ALL b UNION ALL c    Append(a, b, c)
//! a UNION ALL b UNION c        Unique(Append(a, b, c)): what is made distinct once need not be before
//! a EXCEPT b EXCEPT c          a without Append(b, c)
//! a INTERSECT b INTERSECT c    a balanced tree
//! ```

use expr::casts::CastContext;
use expr::{Type, resolve};

use super::Binder;
use super::coerce::placed;
use super::query::{BoundQuery, QueryColumn};
use crate::error::{Error, Result};
use crate::parse::ast::{QueryBody, SetBranch, SetOperationKind};
use crate::plan::{Append, Distinct, Node, SetOperation, budget};

impl Binder<'_> {
    /// Operations from the left.
    pub(super) fn set_operations(
        &mut self,
        first: &QueryBody,
        rest: &[SetBranch],
        lateral: bool,
    ) -> Result<BoundQuery> {
        let mut left = self.query_body(first, lateral)?;
        let mut depth = budget::measure(&left.node).0;
        let alike = |one: &SetBranch, next: &SetBranch| {
            one.kind == next.kind && (one.all == next.all || one.kind == SetOperationKind::Union)
        };
        for run in rest.chunk_by(alike) {
            let mut inputs = Vec::with_capacity(run.len());
            for branch in run {
                let right = self.query_body(&branch.body, lateral)?;
                depth = depth.max(budget::measure(&right.node).0);
                inputs.push(right);
            }
            // Each run adds at most two nodes above its inputs, or as many as a balanced tree has levels.
            depth = depth.saturating_add(2);
            budget::check_depth(depth)?;
            left = self.run_of_operations(left, inputs, run)?;
        }
        Ok(left)
    }

    /// Operations of one kind.
    fn run_of_operations(
        &mut self,
        mut left: BoundQuery,
        mut inputs: Vec<BoundQuery>,
        run: &[SetBranch],
    ) -> Result<BoundQuery> {
        let Some(operation) = run.first() else { return Err(Error::internal("an operation without inputs")) };
        let word = operation.kind.keyword();
        let mut types = left.node.types();
        for right in &inputs {
            if right.columns.len() != types.len() {
                let message = format!("each {word} query must have the same number of columns");
                let at = right.columns.first().map_or(0, |column| column.at);
                return Err(Error::new("42601", message).at(at));
            }
            for ((own, other), column) in types.iter_mut().zip(right.node.types()).zip(&right.columns) {
                let common =
                    resolve::common_type(word, &[own.kind, other.kind]).map_err(placed(column.at))?;
                *own = if *own == other && own.kind == common { *own } else { Type::plain(common) };
            }
        }
        for input in std::iter::once(&mut left).chain(&mut inputs) {
            self.retype_all(input, &types)?;
        }
        let columns = left.columns.into_iter().map(|column| QueryColumn { origin: None, ..column }).collect();
        let mut nodes: Vec<Node> = vec![left.node];
        nodes.extend(inputs.into_iter().map(|input| input.node));
        let node = match operation.kind {
            SetOperationKind::Union => union(nodes, run),
            SetOperationKind::Intersect => intersection(nodes, operation.all),
            SetOperationKind::Except => {
                let right = append(nodes.split_off(1));
                Node::SetOperation(SetOperation {
                    intersect: false,
                    all: operation.all,
                    left: Box::new(append(nodes)),
                    right: Box::new(right),
                })
            }
        };
        Ok(BoundQuery { node, columns })
    }

    fn retype_all(&mut self, input: &mut BoundQuery, types: &[Type]) -> Result<()> {
        for (place, ty) in types.iter().enumerate() {
            let at = input.columns.get(place).map_or(0, |column| column.at);
            self.retype(&mut input.node, place, *ty, CastContext::Implicit, at)?;
        }
        Ok(())
    }
}

/// The rows of all of these.
fn append(mut inputs: Vec<Node>) -> Node {
    if inputs.len() == 1
        && let Some(only) = inputs.pop()
    {
        return only;
    }
    Node::Append(Append { inputs })
}

/// What stands up to the last UNION without ALL is made distinct there; the rest follows as it is.
fn union(mut inputs: Vec<Node>, run: &[SetBranch]) -> Node {
    let Some(last) = run.iter().rposition(|branch| !branch.all) else { return append(inputs) };
    let rest = inputs.split_off(last.saturating_add(2).min(inputs.len()));
    let distinct = Node::Distinct(Distinct { input: Box::new(append(inputs)), on: None });
    append(std::iter::once(distinct).chain(rest).collect())
}

fn intersection(mut inputs: Vec<Node>, all: bool) -> Node {
    if inputs.len() <= 1 {
        return append(inputs);
    }
    let right = inputs.split_off(inputs.len().div_ceil(2));
    Node::SetOperation(SetOperation {
        intersect: true,
        all,
        left: Box::new(intersection(inputs, all)),
        right: Box::new(intersection(right, all)),
    })
}

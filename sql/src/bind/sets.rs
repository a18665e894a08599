//! UNION, INTERSECT, EXCEPT: a list of operations becomes as few nodes as it has meanings, not one upon the other for
//! each.
//!
//! ```text
//! a UNION ALL b UNION ALL c    Append(a, b, c)
//! a UNION ALL b UNION c        Unique(Append(a, b, c)): what is made distinct once need not be before
//! a EXCEPT b EXCEPT c          a without Append(b, c)
//! a INTERSECT b INTERSECT c    a balanced tree
//! ```
//!
//! All of it where the types stay the same from one operation to the next; each change of them begins anew.

use expr::casts::CastContext;
use expr::{Type, resolve};

use super::Binder;
use super::coerce::placed;
use super::query::{BoundQuery, QueryColumn, Retyped};
use super::types::comparable;
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
        let bars = |branch: &SetBranch| match branch.kind {
            SetOperationKind::Union => None,
            SetOperationKind::Intersect => branch.all.then_some("INTERSECT"),
            SetOperationKind::Except => Some("EXCEPT"),
        };
        let left = match rest.iter().filter(|branch| branch.all).find_map(bars) {
            Some(reason) => self.barred(reason, |binder| binder.query_body(first, lateral))?,
            None => self.query_body(first, lateral)?,
        };
        let mut depth = budget::measure(&left.node).0;
        let mut run = Run::new(left);
        for branch in rest {
            let right = match bars(branch) {
                Some(reason) => self.barred(reason, |binder| binder.query_body(&branch.body, lateral))?,
                None => self.query_body(&branch.body, lateral)?,
            };
            let types = common_types(&run.types, branch.kind, &right)?;
            if !branch.all || branch.kind != SetOperationKind::Union {
                let columns = types.iter().zip(&run.left.columns);
                columns.into_iter().try_for_each(|(ty, column)| comparable(*ty, "an equality", column.at))?;
            }
            if !run.takes(branch, &types) {
                // Each run adds at most two nodes above its inputs, or as many as a balanced tree has levels.
                depth = depth.saturating_add(2);
                budget::check_depth(depth)?;
                run = Run::new(self.run_of_operations(run)?);
            }
            depth = depth.max(budget::measure(&right.node).0);
            run.push(branch, right, types);
        }
        budget::check_depth(depth.saturating_add(2))?;
        self.run_of_operations(run)
    }

    /// UNION of two queries.
    pub(super) fn union_of(
        &mut self,
        left: BoundQuery,
        branch: &SetBranch,
        right: BoundQuery,
    ) -> Result<BoundQuery> {
        let types = self.common_types(&left, branch.kind, &right)?;
        if !branch.all {
            let columns = types.iter().zip(&left.columns);
            columns.into_iter().try_for_each(|(ty, column)| comparable(*ty, "an equality", column.at))?;
        }
        let mut run = Run::new(left);
        run.push(branch, right, types);
        self.run_of_operations(run)
    }

    /// The types of what an operation makes of two queries.
    pub(super) fn common_types(
        &self,
        left: &BoundQuery,
        kind: SetOperationKind,
        right: &BoundQuery,
    ) -> Result<Vec<Type>> {
        common_types(&left.node.types(), kind, right)
    }

    /// Operations of one kind over one list of types.
    fn run_of_operations(&mut self, run: Run<'_>) -> Result<BoundQuery> {
        let Run { mut left, mut inputs, types, branches } = run;
        let Some(operation) = branches.first() else { return Ok(left) };
        for input in std::iter::once(&mut left).chain(&mut inputs) {
            self.retype_all(input, &types)?;
        }
        let columns = left.columns.into_iter().map(|column| QueryColumn { origin: None, ..column }).collect();
        let mut nodes: Vec<Node> = vec![left.node];
        nodes.extend(inputs.into_iter().map(|input| input.node));
        let node = match operation.kind {
            SetOperationKind::Union => union(nodes, &branches),
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
        let at = |column: usize| input.columns.get(column).map_or(0, |column| column.at);
        let changes: Vec<Retyped> = types
            .iter()
            .enumerate()
            .map(|(column, to)| Retyped { column, to: *to, at: at(column) })
            .collect();
        self.retype_columns(&mut input.node, &changes, CastContext::Implicit)
    }
}

/// Operations that become one node.
///
/// Each operation has types of its own, those of its two sides, and what it makes distinct or takes away it compares
/// as these. So a run ends where the types change: what it has made is cast only then.
struct Run<'a> {
    left: BoundQuery,
    inputs: Vec<BoundQuery>,
    /// Of what the run makes.
    types: Vec<Type>,
    branches: Vec<&'a SetBranch>,
}

impl<'a> Run<'a> {
    fn new(left: BoundQuery) -> Self {
        let types = left.node.types();
        Self { left, inputs: Vec::new(), types, branches: Vec::new() }
    }

    /// Whether the operation can be one of the run's.
    fn takes(&self, branch: &SetBranch, types: &[Type]) -> bool {
        let Some(last) = self.branches.last() else { return true };
        let alike =
            last.kind == branch.kind && (last.all == branch.all || branch.kind == SetOperationKind::Union);
        alike && self.types.iter().zip(types).all(|(own, next)| own.kind == next.kind)
    }

    fn push(&mut self, branch: &'a SetBranch, right: BoundQuery, types: Vec<Type>) {
        self.branches.push(branch);
        self.inputs.push(right);
        self.types = types;
    }
}

/// The types of what an operation makes of columns of these types and `right`.
fn common_types(own: &[Type], kind: SetOperationKind, right: &BoundQuery) -> Result<Vec<Type>> {
    let word = kind.keyword();
    if right.columns.len() != own.len() {
        let message = format!("each {word} query must have the same number of columns");
        let at = right.columns.first().map_or(0, |column| column.at);
        return Err(Error::new("42601", message).at(at));
    }
    let pairs = own.iter().zip(right.node.types()).zip(&right.columns);
    let common = pairs.map(|((own, other), column)| {
        let common = resolve::common_type(word, &[own.kind, other.kind]).map_err(placed(column.at))?;
        Ok(if *own == other && own.kind == common { *own } else { Type::plain(common) })
    });
    common.collect()
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
fn union(mut inputs: Vec<Node>, branches: &[&SetBranch]) -> Node {
    let Some(last) = branches.iter().rposition(|branch| !branch.all) else { return append(inputs) };
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

//! Builds the operators of a plan's tree.

use std::collections::HashMap;
use std::sync::Arc;

use super::BoxOperator;
use super::aggregate::AggregateOperator;
use super::append::AppendOperator;
use super::apply::ApplyOperator;
use super::basic::{FilterOperator, LimitOperator, ProjectOperator};
use super::distinct::{DistinctOnOperator, DistinctOperator};
use super::group::Padded;
use super::hash_join::HashJoinOperator;
use super::join::Shape;
use super::lock_rows::LockRowsOperator;
use super::look_up::{Finding, LookUpOperator, looked_up};
use super::measured::Measured;
use super::nested_loop::{DependentOperator, NestedLoopOperator};
use super::past::PastOperator;
use super::project_set::ProjectSetOperator;
use super::recursive::{RecursiveOperator, WorkingOperator, WorkingRows};
use super::scan::ScanOperator;
use super::set_operation::SetOperator;
use super::sort::SortOperator;
use super::source::{FunctionOperator, FunctionState, ValuesOperator, VirtualOperator};
use super::versions::VersionsOperator;
use super::window::{RunningOperator, WindowOperator};
use super::with::{CommonOperator, SharedRows, WithOperator, shared};
use crate::error::{Error, Result};
use crate::execute::spill::Cursor;
use crate::execute::truth::{Counted, Truths};
use crate::execute::walk::walk;
use crate::plan::{Common, Join, JoinStrategy, Node, Plan, When};

/// The operators of a tree.
pub(crate) fn build(node: &Node) -> Result<BoxOperator> {
    build_counted(node, None)
}

/// The same; what they do is counted, if that is wanted.
pub(crate) fn build_counted(node: &Node, truths: Option<&Arc<Truths>>) -> Result<BoxOperator> {
    let refused: BuildModify =
        Arc::new(|_, _| Err(Error::internal("a query of WITH that changes rows, below the top")));
    let mut building = Building::new(refused, truths.cloned());
    let root = building.node(node)?;
    let common: Vec<SharedRows> = building.common.into_values().collect();
    Ok(if common.is_empty() { root } else { Box::new(WithOperator { root, common }) })
}

/// Makes an operator of what changes rows.
pub(crate) type BuildModify = Arc<dyn Fn(&Plan, &mut Building) -> Result<BoxOperator> + Send + Sync>;

/// Builds operators that share what they name.
pub(crate) struct Building {
    modify: BuildModify,
    /// The queries of WITH that were met.
    common: HashMap<usize, SharedRows>,
    /// What the rounds of recursive queries around work on.
    working: HashMap<usize, WorkingRows>,
    /// Where it is counted what operators do.
    truths: Option<Arc<Truths>>,
    /// The same of the queries of WITH that were met, in the order of their trees.
    counted: HashMap<usize, Vec<Counted>>,
}

impl Building {
    /// Of a statement whose changing parts are built so.
    pub(crate) fn new(modify: BuildModify, truths: Option<Arc<Truths>>) -> Self {
        let (common, working, counted) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { modify, common, working, truths, counted }
    }

    /// The operators of a tree.
    pub(crate) fn node(&mut self, node: &Node) -> Result<BoxOperator> {
        let operator: BoxOperator = match node {
            Node::Modify(plan) => self.modify.clone()(plan, self)?,
            Node::Scan(scan) => Box::new(ScanOperator::new(scan)?),
            Node::Past(past) => match &past.when {
                When::At(moment) => Box::new(PastOperator::new(&past.scan, moment)),
                When::During(versions) => Box::new(VersionsOperator::new(&past.scan, versions)),
            },
            Node::VirtualScan(scan) => Box::new(VirtualOperator::new(scan)),
            Node::FunctionScan(scan) => Box::new(FunctionOperator {
                function: scan.function.clone(),
                arguments: scan.arguments.clone(),
                ordinality: scan.ordinality,
                state: FunctionState::Pending,
            }),
            Node::Values(values) => Box::new(ValuesOperator { rows: values.rows.clone(), given: 0 }),
            Node::Filter(filter) => {
                Box::new(FilterOperator::new(self.node(&filter.input)?, filter.predicate.clone()))
            }
            Node::Project(project) => {
                Box::new(ProjectOperator::new(self.node(&project.input)?, project.expressions.clone()))
            }
            Node::ProjectSet(set) => Box::new(ProjectSetOperator::new(self.node(&set.input)?, set)),
            Node::Join(join) => self.join(join)?,
            Node::Apply(apply) => Box::new(ApplyOperator::new(
                self.node(&apply.input)?,
                apply.input.width(),
                apply
                    .subqueries
                    .iter()
                    .map(|subquery| Ok((self.node(&subquery.node)?, subquery)))
                    .collect::<Result<_>>()?,
            )),
            Node::Aggregate(aggregate) => Box::new(AggregateOperator::new(
                self.node(&aggregate.input)?,
                aggregate.keys.clone(),
                aggregate.sets.clone(),
                aggregate.calls.clone(),
            )),
            Node::Window(window) if RunningOperator::suits(window) => {
                Box::new(RunningOperator::new(self.node(&window.input)?, window))
            }
            Node::Window(window) => Box::new(WindowOperator::new(self.node(&window.input)?, window)),
            Node::Sort(sort) => {
                Box::new(SortOperator::new(self.node(&sort.input)?, sort.keys.clone(), sort.limit.clone()))
            }
            Node::Limit(limit) => Box::new(LimitOperator {
                input: self.node(&limit.input)?,
                limit: limit.limit.clone(),
                offset: limit.offset.clone(),
                left: None,
            }),
            Node::LockRows(lock) => {
                let (input, again) = (self.node(&lock.input)?, self.node(&lock.again)?);
                Box::new(LockRowsOperator::new(input, again, lock)?)
            }
            Node::Distinct(distinct) => {
                let input = self.node(&distinct.input)?;
                match &distinct.on {
                    None => Box::new(DistinctOperator::new(input, &distinct.input.types())),
                    Some(columns) => {
                        let types = distinct.input.types();
                        let compared: Vec<_> =
                            columns.iter().filter_map(|column| types.get(*column).copied()).collect();
                        Box::new(DistinctOnOperator::new(input, columns.clone(), Padded::of(&compared)))
                    }
                }
            }
            Node::Append(append) => Box::new(AppendOperator::new(
                append.inputs.iter().map(|input| self.node(input)).collect::<Result<_>>()?,
            )),
            Node::Common(common) => {
                let shared = match self.common.get(&common.id) {
                    Some(shared) => shared.clone(),
                    None => {
                        let shared = shared(self.node(&common.input)?);
                        self.common.insert(common.id, shared.clone());
                        shared
                    }
                };
                self.count_copies(common);
                Box::new(CommonOperator { shared, given: Cursor::default() })
            }
            Node::Recursive(recursive) => {
                let first = self.node(&recursive.first)?;
                let working = WorkingRows::default();
                let around = self.working.insert(recursive.id, working.clone());
                let round = self.node(&recursive.round)?;
                if let Some(around) = around {
                    self.working.insert(recursive.id, around);
                }
                let padded = Padded::of(&recursive.first.types());
                Box::new(RecursiveOperator::new(first, round, working, padded, recursive.all))
            }
            Node::Working(working) => {
                let rows = self.working.get(&working.id).cloned();
                let working = rows.ok_or_else(|| Error::internal("a round without its query"))?;
                Box::new(WorkingOperator { working, given: 0 })
            }
            Node::SetOperation(operation) => Box::new(SetOperator::new(
                self.node(&operation.left)?,
                self.node(&operation.right)?,
                Padded::of(&operation.left.types()),
                operation.intersect,
                operation.all,
            )),
        };
        Ok(match &self.truths {
            Some(truths) => Box::new(Measured::new(operator, node, truths)),
            None => operator,
        })
    }

    /// What the operators of a query of WITH do, which are built once, counts for each copy of it.
    fn count_copies(&mut self, common: &Common) {
        let Some(truths) = &self.truths else { return };
        match self.counted.get(&common.id) {
            None => {
                let mut all = Vec::new();
                walk(&common.input, &mut |node| all.push(truths.counted(node)));
                self.counted.insert(common.id, all);
            }
            Some(all) => {
                let mut all = all.iter();
                walk(&common.input, &mut |node| {
                    if let Some(counted) = all.next() {
                        truths.count_there(node, counted);
                    }
                });
            }
        }
    }

    fn join(&mut self, join: &Join) -> Result<BoxOperator> {
        let left = self.node(&join.left)?;
        let shape = Shape {
            kind: join.kind,
            left_width: join.left.width(),
            right_width: join.right.width(),
            condition: join.condition.clone(),
        };
        if let JoinStrategy::Dependent { bindings } = &join.strategy
            && let Some(scan) = looked_up(&join.right)
        {
            let counted = self.truths.as_ref().map(|truths| Finding::new(&join.right, truths));
            return Ok(Box::new(LookUpOperator::new(left, scan, bindings, shape, counted)?));
        }
        let right = self.node(&join.right)?;
        Ok(match &join.strategy {
            JoinStrategy::NestedLoop => Box::new(NestedLoopOperator::new(left, right, shape)),
            JoinStrategy::Hash { left_keys, right_keys } => {
                let keeps_order = is_ordered(&join.left);
                let (left_keys, right_keys) = (left_keys.clone(), right_keys.clone());
                Box::new(HashJoinOperator::new(left, right, left_keys, right_keys, shape, keeps_order))
            }
            JoinStrategy::Dependent { bindings } => Box::new(DependentOperator {
                left,
                right,
                bindings: bindings.clone(),
                shape,
                batch: Vec::new().into_iter(),
                current: None,
            }),
        })
    }
}

/// Whether somebody counts on the rows of a node coming in the order of an index.
fn is_ordered(node: &Node) -> bool {
    match node {
        Node::Scan(scan) => scan.ordered,
        Node::Filter(filter) => is_ordered(&filter.input),
        Node::Project(project) => is_ordered(&project.input),
        Node::Join(join) => is_ordered(&join.left),
        _ => false,
    }
}

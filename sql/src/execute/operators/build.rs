//! Builds the operators of a plan's tree.

use std::collections::HashSet;

use super::BoxOperator;
use super::aggregate::AggregateOperator;
use super::apply::ApplyOperator;
use super::basic::{DistinctOperator, FilterOperator, LimitOperator, ProjectOperator};
use super::hash_join::HashJoinOperator;
use super::join::Shape;
use super::nested_loop::{DependentOperator, NestedLoopOperator};
use super::scan::ScanOperator;
use super::set_operation::{AppendOperator, SetOperator};
use super::sort::SortOperator;
use super::source::{FunctionOperator, FunctionState, ValuesOperator, VirtualOperator};
use crate::error::Result;
use crate::plan::{Join, JoinStrategy, Node};

/// The operators of a tree.
pub(crate) fn build(node: &Node) -> Result<BoxOperator> {
    Ok(match node {
        Node::Scan(scan) => Box::new(ScanOperator::new(scan)?),
        Node::VirtualScan(scan) => Box::new(VirtualOperator {
            table: scan.table.clone(),
            columns: scan.columns.clone(),
            filter: scan.filter.clone(),
            done: false,
        }),
        Node::FunctionScan(scan) => Box::new(FunctionOperator {
            function: scan.function.clone(),
            arguments: scan.arguments.clone(),
            ordinality: scan.ordinality,
            state: FunctionState::Pending,
        }),
        Node::Values(values) => Box::new(ValuesOperator { rows: values.rows.clone(), given: 0 }),
        Node::Filter(filter) => {
            Box::new(FilterOperator { input: build(&filter.input)?, predicate: filter.predicate.clone() })
        }
        Node::Project(project) => Box::new(ProjectOperator {
            input: build(&project.input)?,
            expressions: project.expressions.clone(),
            rest: Vec::new(),
        }),
        Node::Join(join) => build_join(join)?,
        Node::Apply(apply) => Box::new(ApplyOperator::new(
            build(&apply.input)?,
            apply.input.width(),
            apply
                .subqueries
                .iter()
                .map(|subquery| Ok((build(&subquery.node)?, subquery)))
                .collect::<Result<_>>()?,
        )),
        Node::Aggregate(aggregate) => Box::new(AggregateOperator::new(
            build(&aggregate.input)?,
            aggregate.keys.clone(),
            aggregate.calls.clone(),
        )),
        Node::Sort(sort) => {
            Box::new(SortOperator::new(build(&sort.input)?, sort.keys.clone(), sort.limit.clone()))
        }
        Node::Limit(limit) => Box::new(LimitOperator {
            input: build(&limit.input)?,
            limit: limit.limit.clone(),
            offset: limit.offset.clone(),
            left: None,
        }),
        Node::Distinct(distinct) => Box::new(DistinctOperator {
            input: build(&distinct.input)?,
            on: distinct.on.clone(),
            seen: HashSet::new(),
            bytes: 0,
        }),
        Node::Append(append) => {
            Box::new(AppendOperator::new(append.inputs.iter().map(build).collect::<Result<_>>()?))
        }
        Node::SetOperation(operation) => Box::new(SetOperator::new(
            build(&operation.left)?,
            build(&operation.right)?,
            operation.intersect,
            operation.all,
        )),
    })
}

fn build_join(join: &Join) -> Result<BoxOperator> {
    let (left, right) = (build(&join.left)?, build(&join.right)?);
    let shape = Shape {
        kind: join.kind,
        left_width: join.left.width(),
        right_width: join.right.width(),
        condition: join.condition.clone(),
    };
    Ok(match &join.strategy {
        JoinStrategy::NestedLoop => Box::new(NestedLoopOperator::new(left, right, shape)),
        JoinStrategy::Hash { left_keys, right_keys } => {
            Box::new(HashJoinOperator::new(left, right, left_keys.clone(), right_keys.clone(), shape))
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

//! Rows as sets: without duplicates, of several inputs.

use expr::Expr;

use super::unlike::sorted;
use super::{Placed, Placement};
use crate::error::{Error, Result};
use crate::logical::{
    Append, ColumnId, ColumnSet, Common, Distinct, DistinctKind, Output, Recursive, SetOperation,
};
use crate::plan;

impl Placement<'_> {
    pub(super) fn distinct(&mut self, distinct: Distinct) -> Result<Placed> {
        match distinct.kind {
            DistinctKind::All(mut columns) => {
                let mut seen = ColumnSet::default();
                columns.retain(|column| seen.insert(*column));
                let types = columns.iter().map(|column| self.columns.ty(*column));
                let is_unlike = self.may_be_unlike(types.clone(), &distinct.input);
                let values: Vec<Expr> =
                    types.enumerate().map(|(index, ty)| Expr::Column { index, ty }).collect();
                let mut input = self.output(Output { node: distinct.input, columns: columns.clone() })?;
                if is_unlike {
                    input = sorted(input, &values);
                }
                let node = plan::Node::Distinct(plan::Distinct { input: Box::new(input), on: None });
                Ok(Placed { node, row: columns })
            }
            DistinctKind::On(columns) => {
                let input = self.below(&columns, |placement| placement.node(distinct.input))?;
                let place = |column: &ColumnId| input.row.iter().position(|own| own == column);
                let on: Option<Vec<usize>> = columns.iter().map(place).collect();
                if on.is_none() {
                    return Err(Error::internal("a column of DISTINCT ON is not there"));
                }
                let node = plan::Node::Distinct(plan::Distinct { input: Box::new(input.node), on });
                Ok(Placed { node, row: input.row })
            }
        }
    }

    pub(super) fn append(&mut self, append: Append) -> Result<Placed> {
        let wanted: Vec<usize> = (0..)
            .zip(&append.columns)
            .filter(|(_, column)| self.is_wanted(**column))
            .map(|(at, _)| at)
            .collect();
        let chosen = |columns: &[ColumnId]| -> Vec<ColumnId> {
            wanted.iter().filter_map(|place| columns.get(*place).copied()).collect()
        };
        let mut inputs = Vec::with_capacity(append.inputs.len());
        for input in append.inputs {
            let columns = chosen(&input.columns);
            inputs.push(self.output(Output { node: input.node, columns })?);
        }
        let row = chosen(&append.columns);
        Ok(Placed { node: plan::Node::Append(plan::Append { inputs }), row })
    }

    pub(super) fn common(&mut self, common: Common) -> Result<Placed> {
        let node = plan::Node::Common(plan::Common {
            id: common.id,
            name: common.name,
            materialized: Some(true),
            is_shared: common.is_shared,
            input: Box::new(self.output(common.rows)?),
        });
        Ok(Placed { node, row: common.columns })
    }

    pub(super) fn recursive(&mut self, recursive: Recursive) -> Result<Placed> {
        let node = plan::Node::Recursive(plan::Recursive {
            id: recursive.id,
            all: recursive.all,
            first: Box::new(self.output(recursive.first)?),
            round: Box::new(self.output(recursive.round)?),
        });
        Ok(Placed { node, row: recursive.columns })
    }

    pub(super) fn set_operation(&mut self, operation: SetOperation) -> Result<Placed> {
        let node = plan::Node::SetOperation(plan::SetOperation {
            intersect: operation.intersect,
            all: operation.all,
            left: Box::new(self.output(operation.left)?),
            right: Box::new(self.output(operation.right)?),
        });
        Ok(Placed { node, row: operation.columns })
    }
}

//! Rows from tables, functions and lists.

use super::{Placed, Placement};
use crate::catalog::TableKind;
use crate::error::{Error, Result};
use crate::logical::walk::columns_read;
use crate::logical::{ColumnId, Function, Get, Values};
use crate::optimise::condition::all;
use crate::plan;

impl Placement<'_> {
    pub(super) fn get(&mut self, get: Get) -> Result<Placed> {
        let wanted = |placement: &mut Self| {
            let wanted = get.columns.iter().copied().filter(|(column, _)| placement.is_wanted(*column));
            Ok(wanted.unzip())
        };
        let (row, places): (Vec<ColumnId>, Vec<usize>) = self.below(&columns_read(&get.filter), wanted)?;
        self.enter(&row);
        let filter = all(self.all_over(get.filter)?);
        let node = match (get.table.kind, get.table.primary()) {
            (TableKind::Base | TableKind::Materialised, Some(primary)) => {
                let scan = plan::Scan {
                    index: primary.id,
                    alias: get.alias,
                    spans: None,
                    columns: places,
                    recheck: filter.clone().filter(|_| get.lock.is_some()),
                    filter,
                    lock: get.lock,
                    passing: false,
                    shielded: get.shielded,
                    veiled: get.veiled || get.shielded && self.veiled,
                    reverse: false,
                    ordered: false,
                    limit: None,
                    table: get.table,
                };
                match get.past {
                    None => plan::Node::Scan(Box::new(scan)),
                    Some(when) => plan::Node::Past(Box::new(plan::PastScan { scan, when })),
                }
            }
            (TableKind::Base | TableKind::Materialised, None) => {
                return Err(Error::internal("a table without a primary index"));
            }
            (TableKind::View, _) => return Err(Error::internal("a view has no rows of its own")),
            (TableKind::Virtual | TableKind::Sequence, _) => plan::Node::VirtualScan(plan::VirtualScan {
                table: get.table,
                alias: get.alias,
                columns: places,
                filter,
            }),
        };
        Ok(Placed { node, row })
    }

    pub(super) fn function(&mut self, function: Function) -> Result<Placed> {
        self.enter(&[]);
        let node = plan::Node::FunctionScan(plan::FunctionScan {
            function: function.function,
            arguments: self.all_over(function.arguments)?,
            types: function.types,
            ordinality: function.ordinality,
        });
        Ok(Placed { node, row: function.columns })
    }

    pub(super) fn values(&mut self, values: Values) -> Result<Placed> {
        self.enter(&[]);
        let types = values.columns.iter().map(|column| self.columns.ty(*column)).collect();
        let rows = values.rows.into_iter().map(|row| self.all_over(row)).collect::<Result<_>>()?;
        Ok(Placed { node: plan::Node::Values(plan::Values { rows, types }), row: values.columns })
    }
}

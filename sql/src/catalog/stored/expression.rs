//! The record of an expression over a row.

use prost::Message;

use crate::catalog::RowExpression;

#[derive(Clone, PartialEq, Message)]
pub(super) struct RowExpressionRecord {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, repeated, tag = "2")]
    columns: Vec<u32>,
}

pub(super) fn record(expression: &RowExpression) -> RowExpressionRecord {
    RowExpressionRecord { text: expression.text.clone(), columns: expression.columns.clone() }
}

pub(super) fn row_expression(record: RowExpressionRecord) -> RowExpression {
    RowExpression { text: record.text, columns: record.columns }
}

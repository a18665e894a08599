//! The records of indexes.

use expr::Type;
use prost::Message;

use super::expression::{self, RowExpressionRecord};
use crate::catalog::object::Kinds;
use crate::catalog::{
    IndexColumn, IndexConstraint, IndexDescriptor, IndexExpression, IndexId, IndexMethod, IndexOptions,
    IndexPart, IndexState,
};

#[derive(Clone, PartialEq, Message)]
pub(super) struct IndexRecord {
    #[prost(uint32, tag = "1")]
    oid: u32,
    #[prost(uint64, tag = "2")]
    id: u64,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(bool, tag = "4")]
    primary: bool,
    #[prost(bool, tag = "5")]
    unique: bool,
    #[prost(bool, tag = "6")]
    write_only: bool,
    #[prost(message, repeated, tag = "7")]
    columns: Vec<IndexColumnRecord>,
    #[prost(message, optional, tag = "8")]
    constraint: Option<ConstraintRecord>,
    #[prost(uint32, repeated, tag = "9")]
    included: Vec<u32>,
    #[prost(message, optional, tag = "10")]
    predicate: Option<IndexExpressionRecord>,
    #[prost(bool, tag = "11")]
    nulls_not_distinct: bool,
    /// A method by its place in [`METHODS`].
    #[prost(uint32, tag = "12")]
    method: u32,
}

impl IndexRecord {
    /// Where its entries are.
    pub(super) fn id(&self) -> IndexId {
        self.id
    }
}

#[derive(Clone, PartialEq, Message)]
struct IndexColumnRecord {
    /// Not heeded beside an expression.
    #[prost(uint32, tag = "1")]
    column: u32,
    #[prost(bool, tag = "2")]
    descending: bool,
    #[prost(bool, tag = "3")]
    nulls_first: bool,
    #[prost(message, optional, tag = "4")]
    expression: Option<IndexExpressionRecord>,
    #[prost(string, optional, tag = "5")]
    class: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct IndexExpressionRecord {
    #[prost(message, optional, tag = "1")]
    kept: Option<RowExpressionRecord>,
    #[prost(uint32, tag = "2")]
    type_oid: u32,
    #[prost(sint32, tag = "3")]
    type_modifier: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ConstraintRecord {
    #[prost(uint32, tag = "1")]
    oid: u32,
    #[prost(bool, tag = "2")]
    primary_key: bool,
}

const METHODS: [IndexMethod; 2] = [IndexMethod::Btree, IndexMethod::Hash];

fn expression_record(expression: &IndexExpression) -> IndexExpressionRecord {
    IndexExpressionRecord {
        kept: Some(expression::record(&expression.kept)),
        type_oid: expression.ty.kind.oid(),
        type_modifier: expression.ty.modifier,
    }
}

fn index_expression(record: IndexExpressionRecord, kinds: &Kinds) -> Option<IndexExpression> {
    Some(IndexExpression {
        kept: expression::row_expression(record.kept?),
        ty: Type { kind: kinds.find(record.type_oid)?, modifier: record.type_modifier },
        bound: None,
    })
}

fn column_record(key: &IndexColumn) -> IndexColumnRecord {
    let (column, expression) = match &key.part {
        IndexPart::Column(column) => (*column, None),
        IndexPart::Expression(expression) => (0, Some(expression_record(expression))),
    };
    IndexColumnRecord {
        column,
        descending: key.descending,
        nulls_first: key.nulls_first,
        expression,
        class: key.class.clone(),
    }
}

fn column(record: IndexColumnRecord, kinds: &Kinds) -> Option<IndexColumn> {
    let part = match record.expression {
        None => IndexPart::Column(record.column),
        Some(expression) => IndexPart::Expression(index_expression(expression, kinds)?),
    };
    Some(IndexColumn {
        part,
        class: record.class,
        descending: record.descending,
        nulls_first: record.nulls_first,
    })
}

pub(super) fn record(index: &IndexDescriptor) -> IndexRecord {
    let IndexOptions { included, predicate, nulls_not_distinct, method } = &index.options;
    let method = (0..).zip(METHODS).find(|(_, own)| own == method).map_or(0, |(number, _)| number);
    IndexRecord {
        oid: index.oid,
        id: index.id,
        name: index.name.clone(),
        primary: index.primary,
        unique: index.unique,
        write_only: index.state == IndexState::WriteOnly,
        columns: index.columns.iter().map(column_record).collect(),
        constraint: index
            .constraint
            .map(|constraint| ConstraintRecord { oid: constraint.oid, primary_key: constraint.primary_key }),
        included: included.clone(),
        predicate: predicate.as_ref().map(expression_record),
        nulls_not_distinct: *nulls_not_distinct,
        method,
    }
}

/// `None`: something in it is of a kind that is unknown.
pub(super) fn index(record: IndexRecord, kinds: &Kinds) -> Option<IndexDescriptor> {
    let predicate = match record.predicate {
        None => None,
        Some(predicate) => Some(index_expression(predicate, kinds)?),
    };
    Some(IndexDescriptor {
        oid: record.oid,
        id: record.id,
        name: record.name,
        primary: record.primary,
        unique: record.unique,
        columns: record.columns.into_iter().map(|own| column(own, kinds)).collect::<Option<_>>()?,
        options: IndexOptions {
            included: record.included,
            predicate,
            nulls_not_distinct: record.nulls_not_distinct,
            method: METHODS.get(usize::try_from(record.method).ok()?).copied()?,
        },
        constraint: record
            .constraint
            .map(|constraint| IndexConstraint { oid: constraint.oid, primary_key: constraint.primary_key }),
        state: if record.write_only { IndexState::WriteOnly } else { IndexState::Public },
    })
}

//! What the row of a view holds, and that of whatever else keeps a query.

use expr::Type;
use prost::Message;

use super::super::{CheckOption, Kinds, ViewColumn, ViewDescriptor, ViewOptions, ViewRelation};

#[derive(Clone, PartialEq, Message)]
pub(in crate::catalog) struct ViewRecord {
    #[prost(message, repeated, tag = "1")]
    columns: Vec<ViewColumnRecord>,
    #[prost(string, tag = "2")]
    query: String,
    #[prost(message, repeated, tag = "3")]
    relations: Vec<ViewRelationRecord>,
    #[prost(bool, tag = "4")]
    invoker: bool,
    #[prost(uint32, repeated, tag = "5")]
    types: Vec<u32>,
    #[prost(message, repeated, tag = "6")]
    grouped_by: Vec<KeyRecord>,
    #[prost(uint32, repeated, tag = "7")]
    pinned: Vec<u32>,
    #[prost(bool, tag = "8")]
    barrier: bool,
    /// 0: none, 1: LOCAL, 2: CASCADED.
    #[prost(uint32, tag = "9")]
    check: u32,
}

/// A constraint of a table.
#[derive(Clone, PartialEq, Message)]
struct KeyRecord {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(uint32, tag = "2")]
    constraint: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ViewColumnRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    type_oid: u32,
    #[prost(sint32, tag = "3")]
    type_modifier: i32,
    #[prost(string, optional, tag = "4")]
    default: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ViewRelationRecord {
    #[prost(string, optional, tag = "1")]
    schema: Option<String>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    oid: u32,
    #[prost(message, repeated, tag = "4")]
    columns: Vec<NamedColumnRecord>,
    #[prost(uint32, repeated, tag = "5")]
    read: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedColumnRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
}

pub(in crate::catalog) fn view_record(view: &ViewDescriptor) -> ViewRecord {
    let column = |column: &ViewColumn| ViewColumnRecord {
        name: column.name.clone(),
        type_oid: column.ty.kind.oid(),
        type_modifier: column.ty.modifier,
        default: column.default.clone(),
    };
    let relation = |relation: &ViewRelation| ViewRelationRecord {
        schema: relation.schema.clone(),
        name: relation.name.clone(),
        oid: relation.oid,
        columns: relation
            .columns
            .iter()
            .map(|(id, name)| NamedColumnRecord { id: *id, name: name.clone() })
            .collect(),
        read: relation.read.clone(),
    };
    ViewRecord {
        columns: view.columns.iter().map(column).collect(),
        query: view.query.clone(),
        relations: view.relations.iter().map(relation).collect(),
        invoker: view.options.invoker,
        barrier: view.options.barrier,
        check: match view.options.check {
            None => 0,
            Some(CheckOption::Local) => 1,
            Some(CheckOption::Cascaded) => 2,
        },
        types: view.types.clone(),
        pinned: view.pinned.clone(),
        grouped_by: view
            .grouped_by
            .iter()
            .map(|(table, constraint)| KeyRecord { table: *table, constraint: *constraint })
            .collect(),
    }
}

pub(in crate::catalog) fn view(record: ViewRecord, kinds: &Kinds) -> Option<ViewDescriptor> {
    let column = |record: ViewColumnRecord| {
        let kind = kinds.find(record.type_oid)?;
        let ty = Type { kind, modifier: record.type_modifier };
        Some(ViewColumn { name: record.name, ty, default: record.default })
    };
    let relation = |record: ViewRelationRecord| ViewRelation {
        schema: record.schema,
        name: record.name,
        oid: record.oid,
        columns: record.columns.into_iter().map(|column| (column.id, column.name)).collect(),
        read: record.read,
    };
    let check = match record.check {
        0 => None,
        1 => Some(CheckOption::Local),
        2 => Some(CheckOption::Cascaded),
        _ => return None,
    };
    Some(ViewDescriptor {
        columns: record.columns.into_iter().map(column).collect::<Option<_>>()?,
        query: record.query,
        relations: record.relations.into_iter().map(relation).collect(),
        options: ViewOptions { invoker: record.invoker, barrier: record.barrier, check },
        types: record.types,
        pinned: record.pinned,
        grouped_by: record.grouped_by.into_iter().map(|key| (key.table, key.constraint)).collect(),
    })
}

//! The records of constraints that no index enforces.

use prost::Message;

use crate::catalog::{Action, Check, ForeignKey};

#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckRecord {
    #[prost(uint32, tag = "1")]
    oid: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    expression: String,
    #[prost(uint32, repeated, tag = "4")]
    columns: Vec<u32>,
    #[prost(bool, tag = "5")]
    not_validated: bool,
    #[prost(bool, tag = "6")]
    no_inherit: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ForeignKeyRecord {
    #[prost(uint32, tag = "1")]
    oid: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, repeated, tag = "3")]
    columns: Vec<u32>,
    #[prost(uint32, tag = "4")]
    parent: u32,
    #[prost(uint32, repeated, tag = "5")]
    parent_columns: Vec<u32>,
    #[prost(uint32, tag = "6")]
    parent_index: u32,
    #[prost(bool, tag = "7")]
    match_full: bool,
    /// An action by its place in [`ACTIONS`].
    #[prost(uint32, tag = "8")]
    on_update: u32,
    #[prost(uint32, tag = "9")]
    on_delete: u32,
    #[prost(uint32, repeated, tag = "10")]
    set_columns: Vec<u32>,
    #[prost(bool, tag = "11")]
    deferrable: bool,
    #[prost(bool, tag = "12")]
    deferred: bool,
    #[prost(bool, tag = "13")]
    not_validated: bool,
}

const ACTIONS: [Action; 5] =
    [Action::NoAction, Action::Restrict, Action::Cascade, Action::SetNull, Action::SetDefault];

fn number(action: Action) -> u32 {
    (0..).zip(ACTIONS).find(|(_, own)| *own == action).map_or(0, |(number, _)| number)
}

fn action(number: u32) -> Option<Action> {
    ACTIONS.get(usize::try_from(number).ok()?).copied()
}

pub(super) fn check_record(check: &Check) -> CheckRecord {
    CheckRecord {
        oid: check.oid,
        name: check.name.clone(),
        expression: check.expression.clone(),
        columns: check.columns.clone(),
        not_validated: !check.validated,
        no_inherit: check.no_inherit,
    }
}

pub(super) fn check(record: CheckRecord) -> Check {
    Check {
        oid: record.oid,
        name: record.name,
        expression: record.expression,
        columns: record.columns,
        validated: !record.not_validated,
        no_inherit: record.no_inherit,
    }
}

pub(super) fn foreign_key_record(key: &ForeignKey) -> ForeignKeyRecord {
    ForeignKeyRecord {
        oid: key.oid,
        name: key.name.clone(),
        columns: key.columns.clone(),
        parent: key.parent,
        parent_columns: key.parent_columns.clone(),
        parent_index: key.parent_index,
        match_full: key.match_full,
        on_update: number(key.on_update),
        on_delete: number(key.on_delete),
        set_columns: key.set_columns.clone(),
        deferrable: key.deferrable,
        deferred: key.deferred,
        not_validated: !key.validated,
    }
}

/// `None`: it has an action that is not known.
pub(super) fn foreign_key(record: ForeignKeyRecord) -> Option<ForeignKey> {
    Some(ForeignKey {
        oid: record.oid,
        name: record.name,
        columns: record.columns,
        parent: record.parent,
        parent_columns: record.parent_columns,
        parent_index: record.parent_index,
        match_full: record.match_full,
        on_update: action(record.on_update)?,
        on_delete: action(record.on_delete)?,
        set_columns: record.set_columns,
        deferrable: record.deferrable,
        deferred: record.deferred,
        validated: !record.not_validated,
    })
}

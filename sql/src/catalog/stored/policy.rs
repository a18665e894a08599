//! The records of row-level security.

use prost::Message;

use crate::catalog::object::Kinds;
use crate::catalog::object::stored::{ViewRecord, view, view_record};
use crate::catalog::{Policy, PolicyCommand, PolicyCondition, RowSecurity};

#[derive(Clone, PartialEq, Message)]
pub(super) struct RowSecurityRecord {
    #[prost(bool, tag = "1")]
    enabled: bool,
    #[prost(bool, tag = "2")]
    forced: bool,
    #[prost(message, repeated, tag = "3")]
    policies: Vec<PolicyRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct PolicyRecord {
    #[prost(uint32, tag = "1")]
    oid: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(bool, tag = "3")]
    restrictive: bool,
    /// A command by its place in [`PolicyCommand::TABLE`].
    #[prost(uint32, tag = "4")]
    command: u32,
    #[prost(uint32, repeated, tag = "5")]
    roles: Vec<u32>,
    #[prost(message, optional, tag = "6")]
    using: Option<ConditionRecord>,
    #[prost(message, optional, tag = "7")]
    check: Option<ConditionRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ConditionRecord {
    #[prost(message, optional, tag = "1")]
    written: Option<ViewRecord>,
    #[prost(string, tag = "2")]
    table: String,
    #[prost(message, repeated, tag = "3")]
    columns: Vec<ColumnNameRecord>,
    #[prost(uint32, repeated, tag = "4")]
    read: Vec<u32>,
    #[prost(bool, tag = "5")]
    asks: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ColumnNameRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
}

/// `None`: there is nothing of it.
pub(super) fn record(security: &RowSecurity) -> Option<RowSecurityRecord> {
    (!security.is_empty()).then(|| RowSecurityRecord {
        enabled: security.enabled,
        forced: security.forced,
        policies: security.policies.iter().map(policy_record).collect(),
    })
}

fn policy_record(policy: &Policy) -> PolicyRecord {
    let number = (0..).zip(PolicyCommand::TABLE).find(|(_, (command, ..))| *command == policy.command);
    PolicyRecord {
        oid: policy.oid,
        name: policy.name.clone(),
        restrictive: !policy.permissive,
        command: number.map_or(0, |(number, _)| number),
        roles: policy.roles.clone(),
        using: policy.using.as_ref().map(condition_record),
        check: policy.check.as_ref().map(condition_record),
    }
}

fn condition_record(condition: &PolicyCondition) -> ConditionRecord {
    let columns = condition.columns.iter();
    ConditionRecord {
        written: Some(view_record(&condition.written)),
        table: condition.table.clone(),
        columns: columns.map(|(id, name)| ColumnNameRecord { id: *id, name: name.clone() }).collect(),
        read: condition.read.clone(),
        asks: condition.asks,
    }
}

/// `None`: it has something that is not known.
pub(super) fn row_security(record: RowSecurityRecord, kinds: &Kinds) -> Option<RowSecurity> {
    let policies = record.policies.into_iter().map(|own| policy(own, kinds));
    Some(RowSecurity {
        enabled: record.enabled,
        forced: record.forced,
        policies: policies.collect::<Option<_>>()?,
    })
}

fn policy(record: PolicyRecord, kinds: &Kinds) -> Option<Policy> {
    let (command, ..) = PolicyCommand::TABLE.get(usize::try_from(record.command).ok()?)?;
    let conditions = |own: Option<ConditionRecord>| match own {
        None => Some(None),
        Some(own) => condition(own, kinds).map(Some),
    };
    Some(Policy {
        oid: record.oid,
        name: record.name,
        permissive: !record.restrictive,
        command: *command,
        roles: record.roles,
        using: conditions(record.using)?,
        check: conditions(record.check)?,
    })
}

fn condition(record: ConditionRecord, kinds: &Kinds) -> Option<PolicyCondition> {
    Some(PolicyCondition {
        written: view(record.written?, kinds)?,
        table: record.table,
        columns: record.columns.into_iter().map(|column| (column.id, column.name)).collect(),
        read: record.read,
        asks: record.asks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ViewDescriptor, ViewOptions, ViewRelation};

    #[test]
    fn what_was_written_is_read_back() {
        let condition = PolicyCondition {
            written: ViewDescriptor {
                columns: Vec::new(),
                query: "team in (select m.team from member m)".into(),
                relations: vec![ViewRelation {
                    schema: None,
                    name: "member".into(),
                    oid: 20_000,
                    columns: vec![(1, "team".into())],
                    read: vec![1],
                }],
                grouped_by: vec![(20_000, 20_003)],
                options: ViewOptions::default(),
                types: vec![20_001],
                pinned: vec![20_004],
            },
            table: "note".into(),
            columns: vec![(1, "id".into()), (3, "team".into())],
            read: vec![3],
            asks: true,
        };
        let policies = PolicyCommand::TABLE.iter().map(|(command, keyword, _)| Policy {
            oid: 20_002,
            name: (*keyword).into(),
            permissive: *command != PolicyCommand::All,
            command: *command,
            roles: vec![0, 10],
            using: Some(condition.clone()),
            check: (*command == PolicyCommand::Update).then(|| condition.clone()),
        });
        let security = RowSecurity { enabled: true, forced: true, policies: policies.collect() };
        let bytes = record(&security).unwrap().encode_to_vec();
        let read = RowSecurityRecord::decode(&*bytes).unwrap();
        assert_eq!(row_security(read, &Kinds::default()), Some(security));
        assert!(record(&RowSecurity::default()).is_none());
        let unknown = PolicyRecord { command: 5, ..PolicyRecord::default() };
        assert!(policy(unknown, &Kinds::default()).is_none());
    }
}

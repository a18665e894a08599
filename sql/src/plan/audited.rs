//! What the audit log tells of a statement: its class, its command, and the objects that it touches.
//!
//! The objects are those whose rights are asked for ([`super::Needs`]), what views read among them, and what definitions
//! name. A statement is recorded where its session, or a table that it touches, is audited for what it does; changes of
//! roles and rights, and of what is audited, always.

use audit::{Class, Classes, Object};

use super::{
    AccessChange, AlterTable, BackupCommand, Bound, Command, Ddl, Discard, FunctionChange, KeepOf, Modify,
    Need, Notifying, ObjectChange, Plan, SessionCommand, Target,
};
use crate::catalog::access::{Right, Rights};
use crate::catalog::{CatalogSnapshot, TableDescriptor};
use crate::parse::ast::{self, AccessStatement, Body, DatabaseStatement};
use crate::settings::AUDIT;

/// When a statement is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audited {
    /// Its class.
    pub class: Class,
    /// The classes of a session that it falls under.
    pub classes: Classes,
    /// It is recorded whatever is audited.
    pub always: bool,
    /// A table that it touches is audited for what it does to it.
    pub by_table: bool,
}

impl Audited {
    /// Of a statement that is bound.
    pub fn of(bound: &Bound) -> Self {
        let class = class(&bound.plan);
        let reads =
            class != Class::Misc && bound.needs.iter().any(|need| access(bound, need).contains(Class::Read));
        let of_reading = if reads { Classes::of(Class::Read) } else { Classes::NONE };
        Self {
            class,
            classes: Classes::of(class).or(of_reading),
            always: is_always_told(&bound.plan),
            by_table: touched(bound).any(|(table, access)| table.audit.meets(access)),
        }
    }

    /// Whether it is recorded in a session that is audited for these classes.
    pub fn is_due(&self, session: Classes) -> bool {
        self.always || self.by_table || session.meets(self.classes)
    }

    /// Of one that could not be bound.
    pub fn of_body(body: &Body) -> Self {
        let (class, always) = match body {
            Body::Query(_) | Body::Declare(_) | Body::Fetch(_) => (Class::Read, false),
            Body::Insert(_) | Body::Update(_) | Body::Delete(_) | Body::Merge(_) | Body::Truncate(_) => {
                (Class::Write, false)
            }
            Body::Copy(copy) if matches!(**copy, ast::Copy::From { .. }) => (Class::Write, false),
            Body::Copy(_) => (Class::Read, false),
            Body::CreateTable(_)
            | Body::CreateTableAs(_)
            | Body::Object(_)
            | Body::CreateIndex(_)
            | Body::Reindex(_)
            | Body::AlterTable(_)
            | Body::SplitAt { .. } => (Class::Ddl, false),
            Body::History(statement) => (class_of_history(statement), false),
            Body::Drift(statement) => (class_of_drift(statement), false),
            Body::Backup(statement) => match statement.command {
                ast::BackupCommand::Take { .. } | ast::BackupCommand::Schedule { .. } => (Class::Read, true),
                ast::BackupCommand::Restore { .. } => (Class::Ddl, true),
                ast::BackupCommand::Unschedule { .. } => (Class::Misc, true),
                ast::BackupCommand::Show | ast::BackupCommand::ShowSchedules => (Class::Misc, false),
            },
            Body::Access(statement) => (class_of_access(statement), true),
            Body::SetRole { .. } | Body::SetSessionAuthorization { .. } => (Class::Session, false),
            Body::Set { name, .. } | Body::Reset(Some(name)) => class_of_setting(name),
            _ => (Class::Misc, false),
        };
        Self { class, classes: Classes::of(class), always, by_table: false }
    }
}

/// Whether a table that the statement touches is audited for that by what this catalog says of it.
pub fn is_audited_in(bound: &Bound, catalog: &CatalogSnapshot) -> bool {
    touched(bound)
        .any(|(table, access)| catalog.table_by_oid(table.oid).is_some_and(|newer| newer.audit.meets(access)))
}

/// The relations that a statement touches, and what it does to each.
fn touched(bound: &Bound) -> impl Iterator<Item = (&TableDescriptor, Classes)> {
    let needed = bound.needs.iter().map(|need| (need.table.as_ref(), access(bound, need)));
    needed.chain(defined(&bound.plan))
}

/// What a statement does to a table by the rights that it takes.
fn access(bound: &Bound, need: &Need) -> Classes {
    let is_told_alone = matches!(bound.plan, Plan::Explain { analyze: false, .. });
    let holds =
        |rights: &[Right]| need.rights.without(need.rights.without(Rights::of_all(rights))) != Rights::NONE;
    let mut classes = Classes::NONE;
    if is_told_alone {
        return classes;
    }
    if holds(&[Right::Select]) {
        classes = classes.or(Classes::of(Class::Read));
    }
    // Without such a statement it is a lock that UPDATE is asked for.
    if class(&bound.plan) == Class::Write
        && holds(&[Right::Insert, Right::Update, Right::Delete, Right::Truncate])
    {
        classes = classes.or(Classes::of(Class::Write));
    }
    classes
}

/// The relations that a definition, or TRUNCATE, is about.
fn defined(plan: &Plan) -> Vec<(&TableDescriptor, Classes)> {
    match plan {
        Plan::Ddl(ddl) => match ddl.as_ref() {
            Ddl::Truncate(truncate) => {
                truncate.tables.iter().map(|table| (table.as_ref(), Classes::of(Class::Write))).collect()
            }
            Ddl::CreateIndex(create) => vec![of_ddl(&create.table)],
            Ddl::Refresh(refresh) => vec![of_ddl(&refresh.table)],
            Ddl::Reindex(reindex) => reindex.indexes.iter().map(|(table, _)| of_ddl(table)).collect(),
            Ddl::AlterTable(alter) => vec![of_ddl(&alter.from)],
            Ddl::Object(change) => match change {
                ObjectChange::AlterView { relation, .. } | ObjectChange::SetSchema { relation, .. } => {
                    vec![of_ddl(relation)]
                }
                ObjectChange::Clone { of, .. } => vec![of_ddl(of)],
                ObjectChange::Rename { object, .. } => relation_of(object).map(of_ddl).into_iter().collect(),
                ObjectChange::Comment { owned: Some(object), .. } => {
                    relation_of(object).map(of_ddl).into_iter().collect()
                }
                ObjectChange::Drop { targets, .. } => {
                    targets.iter().filter_map(relation_of).map(of_ddl).collect()
                }
                _ => Vec::new(),
            },
            Ddl::Access(change) => change.tables.iter().map(|table| of_ddl(table)).collect(),
            Ddl::CreateTable(_) | Ddl::CreateTableAs(_) | Ddl::Nothing { .. } => Vec::new(),
        },
        Plan::Session(command) => match command.as_ref() {
            SessionCommand::SplitAt { table, .. } => vec![of_ddl(table)],
            SessionCommand::EraseHistory(erase) => vec![of_ddl(&erase.table)],
            SessionCommand::KeepHistory(keep) => match &keep.of {
                KeepOf::Table(_, table) => vec![of_ddl(table)],
                KeepOf::Cluster | KeepOf::Database(_) => Vec::new(),
            },
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn of_ddl(table: &TableDescriptor) -> (&TableDescriptor, Classes) {
    (table, Classes::of(Class::Ddl))
}

fn relation_of(target: &Target) -> Option<&TableDescriptor> {
    match target {
        Target::Relation(table) | Target::Index { table, .. } => Some(table),
        Target::Schema { .. } | Target::Type { .. } | Target::Extension { .. } | Target::Function { .. } => {
            None
        }
    }
}

fn class(plan: &Plan) -> Class {
    match plan {
        Plan::Query(_) => Class::Read,
        Plan::Modify(modify) => match modify.as_ref() {
            Modify::CopyTo(_) => Class::Read,
            _ => Class::Write,
        },
        Plan::Ddl(ddl) => match ddl.as_ref() {
            Ddl::Truncate(_) => Class::Write,
            Ddl::Access(change) => class_of_access(&change.statement),
            Ddl::AlterTable(alter) if changes_policies(alter) || alter.owner.is_some() => Class::Role,
            _ => Class::Ddl,
        },
        Plan::Explain { plan, analyze: true, .. } => class(plan),
        Plan::Explain { .. } | Plan::Empty => Class::Misc,
        Plan::Session(command) => match command.as_ref() {
            SessionCommand::SetRole { .. }
            | SessionCommand::SetSessionAuthorization { .. }
            | SessionCommand::Discard(Discard::All)
            | SessionCommand::Reset(None) => Class::Session,
            SessionCommand::Set { name, .. } | SessionCommand::Reset(Some(name)) => class_of_setting(name).0,
            SessionCommand::Declare(_) | SessionCommand::Fetch(_) => Class::Read,
            SessionCommand::SplitAt { .. }
            | SessionCommand::KeepHistory(_)
            | SessionCommand::EraseHistory(_)
            | SessionCommand::Steps { .. } => Class::Ddl,
            SessionCommand::Backup(order) => match order.command {
                BackupCommand::Take { .. } | BackupCommand::Schedule { .. } => Class::Read,
                BackupCommand::Restore { .. } => Class::Ddl,
                BackupCommand::Unschedule { .. } | BackupCommand::Show | BackupCommand::ShowSchedules => {
                    Class::Misc
                }
            },
            _ => Class::Misc,
        },
    }
}

/// Whether it changes who sees which rows.
fn changes_policies(alter: &AlterTable) -> bool {
    alter.from.row_security != alter.to.row_security
}

fn class_of_history(statement: &ast::HistoryStatement) -> Class {
    match statement {
        ast::HistoryStatement::Keep { .. }
        | ast::HistoryStatement::Erase(_)
        | ast::HistoryStatement::Clone { .. }
        | ast::HistoryStatement::Undrop(_) => Class::Ddl,
        ast::HistoryStatement::Flashback { .. } => Class::Write,
        ast::HistoryStatement::Diff { .. } | ast::HistoryStatement::Changes { .. } => Class::Read,
        ast::HistoryStatement::Show | ast::HistoryStatement::Clones => Class::Misc,
    }
}

fn class_of_drift(statement: &ast::DriftStatement) -> Class {
    use ast::DriftStatement as Drift;
    match statement {
        Drift::CreateTable { .. } | Drift::DropTable { .. } | Drift::CreateIndex { .. } => Class::Ddl,
        Drift::Insert { .. }
        | Drift::Patch { .. }
        | Drift::SoftDelete { .. }
        | Drift::Snapshot(_)
        | Drift::Compact(_)
        | Drift::AddColumn { .. }
        | Drift::DropColumn { .. } => Class::Write,
        Drift::Select { .. } | Drift::Show { .. } | Drift::Backup(_) => Class::Read,
        Drift::Analyze(_) => Class::Misc,
    }
}

fn class_of_access(statement: &AccessStatement) -> Class {
    match statement {
        AccessStatement::Database(DatabaseStatement::Owner { .. }) => Class::Role,
        AccessStatement::Database(_) => Class::Ddl,
        AccessStatement::ClusterSetting { .. } => Class::Misc,
        _ => Class::Role,
    }
}

/// The class of a change of a setting, and whether it is always recorded.
fn class_of_setting(name: &str) -> (Class, bool) {
    match name {
        AUDIT => (Class::Session, true),
        "role" | "session_authorization" => (Class::Session, false),
        _ => (Class::Misc, false),
    }
}

/// Whether it is a table that is audited, or that has policies.
fn is_guarded(target: &Target) -> bool {
    match target {
        Target::Relation(table) => !table.audit.is_empty() || !table.row_security.is_empty(),
        _ => false,
    }
}

/// A change of roles or rights, or of what is audited.
fn is_always_told(plan: &Plan) -> bool {
    match plan {
        Plan::Ddl(ddl) => match ddl.as_ref() {
            Ddl::Access(_) => true,
            Ddl::AlterTable(alter) => {
                alter.owner.is_some() || alter.from.audit != alter.to.audit || changes_policies(alter)
            }
            Ddl::CreateTable(create) => !create.audit.is_empty(),
            // What goes by CASCADE is not known here: it may be audited, or a policy.
            Ddl::Object(ObjectChange::Drop { targets, cascade, .. }) => {
                *cascade || targets.iter().any(is_guarded)
            }
            // What is audited of the one is of the other.
            Ddl::Object(ObjectChange::Clone { of, .. }) => !of.audit.is_empty(),
            // So was what comes back, perhaps.
            Ddl::Object(ObjectChange::Undrop { .. }) => true,
            // What comes later is recorded under the new name.
            Ddl::Object(ObjectChange::Rename { object, .. }) => is_guarded(object),
            Ddl::Object(ObjectChange::SetSchema { relation, .. }) => !relation.audit.is_empty(),
            _ => false,
        },
        Plan::Session(command) => match command.as_ref() {
            SessionCommand::Set { name, .. } | SessionCommand::Reset(Some(name)) => class_of_setting(name).1,
            // What leaves is everything, the tables that are audited and the passwords' verifiers too; with what comes back come
            // roles, rights and policies, perhaps.
            SessionCommand::Backup(order) => !order.only_shows(),
            // Nothing else tells afterwards that there was something.
            SessionCommand::EraseHistory(_) => true,
            _ => false,
        },
        _ => false,
    }
}

/// The command of a statement, as its tag names it.
pub fn command(plan: &Plan) -> &'static str {
    match plan {
        Plan::Empty => "",
        Plan::Query(_) => "SELECT",
        Plan::Explain { .. } => "EXPLAIN",
        Plan::Modify(modify) => match modify.as_ref() {
            Modify::Insert(_) => Command::Insert.keyword(),
            Modify::Update(_) => Command::Update.keyword(),
            Modify::Delete(_) => Command::Delete.keyword(),
            Modify::Merge(_) => Command::Merge.keyword(),
            Modify::Compound(compound) => compound.command.keyword(),
            Modify::CopyFrom(_) | Modify::CopyTo(_) => "COPY",
        },
        Plan::Ddl(ddl) => match ddl.as_ref() {
            Ddl::CreateTable(_) => "CREATE TABLE",
            Ddl::CreateTableAs(create) if create.create.materialised.is_some() => "CREATE MATERIALIZED VIEW",
            Ddl::CreateTableAs(_) => "CREATE TABLE AS",
            Ddl::Truncate(_) => "TRUNCATE TABLE",
            Ddl::CreateIndex(_) => "CREATE INDEX",
            Ddl::Refresh(_) => "REFRESH MATERIALIZED VIEW",
            Ddl::Reindex(_) => "REINDEX",
            Ddl::AlterTable(_) => "ALTER TABLE",
            Ddl::Object(change) => change.command(),
            Ddl::Access(change) => change.command(),
            Ddl::Nothing { tag } => tag,
        },
        Plan::Session(command) => command_of_session(command),
    }
}

fn command_of_session(command: &SessionCommand) -> &'static str {
    match command {
        SessionCommand::Begin(..) => "BEGIN",
        SessionCommand::Commit { .. } => "COMMIT",
        SessionCommand::Rollback { .. } => "ROLLBACK",
        SessionCommand::RollbackTo(_) => "ROLLBACK TO",
        SessionCommand::Savepoint(_) => "SAVEPOINT",
        SessionCommand::Release(_) => "RELEASE",
        SessionCommand::SetConstraints { .. } => "SET CONSTRAINTS",
        SessionCommand::SetTransaction(_)
        | SessionCommand::SetSessionCharacteristics(_)
        | SessionCommand::Set { .. } => "SET",
        SessionCommand::SetRole { .. } => "SET ROLE",
        SessionCommand::SetSessionAuthorization { .. } => "SET SESSION AUTHORIZATION",
        SessionCommand::Reset(_) => "RESET",
        SessionCommand::Show(_)
        | SessionCommand::ShowAll
        | SessionCommand::ShowNodes
        | SessionCommand::ShowHistory
        | SessionCommand::ShowClones
        | SessionCommand::ShowRanges(_) => "SHOW",
        SessionCommand::SplitAt { .. } => "ALTER TABLE",
        SessionCommand::Steps { tag, .. } => tag,
        SessionCommand::KeepHistory(keep) => keep.command(),
        SessionCommand::EraseHistory(_) => "ERASE HISTORY",
        SessionCommand::Backup(order) => order.command(),
        SessionCommand::Prepare { .. } => "PREPARE",
        SessionCommand::Execute { .. } => "EXECUTE",
        SessionCommand::Deallocate(_) => "DEALLOCATE",
        SessionCommand::Declare(_) => "DECLARE CURSOR",
        SessionCommand::Fetch(fetch) if fetch.is_move => "MOVE",
        SessionCommand::Fetch(_) => "FETCH",
        SessionCommand::Close(_) => "CLOSE CURSOR",
        SessionCommand::Notifying(Notifying::Listen(_)) => "LISTEN",
        SessionCommand::Notifying(Notifying::Unlisten(_)) => "UNLISTEN",
        SessionCommand::Notifying(_) => "NOTIFY",
        SessionCommand::Discard(_) => "DISCARD",
        SessionCommand::Maintain(maintain) if maintain.vacuum => "VACUUM",
        SessionCommand::Maintain(_) => "ANALYZE",
        SessionCommand::LockTable { .. } => "LOCK TABLE",
        SessionCommand::NoEffect { tag } => tag,
    }
}

/// A record names so many objects.
pub const OBJECTS_MAX: usize = 256;

/// So much of a name is recorded: a schema's and that of what stands in it have room.
const NAME_BYTES_MAX: usize = 160;

/// The objects that a statement touches, each with what is done to it; one more than [`OBJECTS_MAX`] at most. Those that are
/// audited themselves come first.
pub fn objects(bound: &Bound) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    let is_audited = |(table, _): &(&TableDescriptor, Classes)| !table.audit.is_empty();
    let (audited, others_touched): (Vec<_>, Vec<_>) = touched(bound).partition(is_audited);
    for (table, access) in audited.into_iter().chain(others_touched) {
        if objects.len() > OBJECTS_MAX {
            return objects;
        }
        let name = format!("{}.{}", table.schema, table.name);
        let words = access.iter().map(Class::word);
        match objects.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                for word in words {
                    if !known.access.contains(&word) {
                        known.access.push(word);
                    }
                }
            }
            None => objects.push(Object { kind: table.kind.word(), name, access: words.collect() }),
        }
    }
    let more = others(&bound.plan).into_iter().map(|(kind, mut name)| {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        Object { kind, name, access: Vec::new() }
    });
    objects.extend(more.take((OBJECTS_MAX + 1).saturating_sub(objects.len())));
    objects
}

/// What a statement names beside relations that are there.
fn others(plan: &Plan) -> Vec<(&'static str, String)> {
    match plan {
        Plan::Ddl(ddl) => match ddl.as_ref() {
            Ddl::CreateTable(create) => vec![("table", format!("{}.{}", create.schema, create.name))],
            Ddl::CreateTableAs(create) => {
                let create = &create.create;
                let kind = if create.materialised.is_some() { "materialized view" } else { "table" };
                vec![(kind, format!("{}.{}", create.schema, create.name))]
            }
            Ddl::CreateIndex(create) => {
                vec![("index", format!("{}.{}", create.table.schema, create.index.name))]
            }
            Ddl::Object(change) => others_of_change(change),
            Ddl::Access(change) => AccessChange::subjects(change),
            _ => Vec::new(),
        },
        Plan::Session(command) => match command.as_ref() {
            SessionCommand::SetRole { role, .. } | SessionCommand::SetSessionAuthorization { role, .. } => {
                role.iter().map(|role| ("role", role.clone())).collect()
            }
            SessionCommand::Set { name, .. } | SessionCommand::Reset(Some(name)) => {
                vec![("setting", name.clone())]
            }
            SessionCommand::Backup(order) => order.subject().into_iter().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn others_of_change(change: &ObjectChange) -> Vec<(&'static str, String)> {
    let named = |target: &Target| match target {
        Target::Relation(_) => None,
        Target::Schema { name, .. } => Some(("schema", name.clone())),
        Target::Type { kind } => Some(("type", kind.display_name().to_owned())),
        Target::Extension { name, .. } => Some(("extension", name.clone())),
        Target::Function { name, .. } => Some(("function", name.clone())),
        Target::Index { table, name, .. } => Some(("index", format!("{}.{name}", table.schema))),
    };
    match change {
        ObjectChange::CreateSequence { sequence } => {
            vec![("sequence", format!("{}.{}", sequence.schema, sequence.name))]
        }
        ObjectChange::AlterSequence { sequence, .. } => {
            vec![("sequence", format!("{}.{}", sequence.schema, sequence.name))]
        }
        ObjectChange::CreateView { schema, name, .. } => vec![("view", format!("{schema}.{name}"))],
        ObjectChange::Undrop { schema, name } | ObjectChange::Clone { schema, name, .. } => {
            vec![("table", format!("{schema}.{name}"))]
        }
        ObjectChange::CreateSchema { name, .. } => name.iter().map(|name| ("schema", name.clone())).collect(),
        ObjectChange::CreateExtension { name, .. } => vec![("extension", name.clone())],
        ObjectChange::Function(
            FunctionChange::Create { schema, name, .. } | FunctionChange::Alter { schema, name, .. },
        ) => vec![("function", format!("{schema}.{name}"))],
        ObjectChange::Rename { object, .. } => named(object).into_iter().collect(),
        ObjectChange::Comment { owned: Some(object), .. } => named(object).into_iter().collect(),
        ObjectChange::Drop { targets, .. } => targets.iter().filter_map(named).collect(),
        _ => Vec::new(),
    }
}

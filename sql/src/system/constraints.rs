//! Views of constraints.

use super::World;
use super::deparse;
use super::record::{Records, Value};
use super::relations::schema_oid;
use crate::catalog::object::types::DomainDescriptor;
use crate::catalog::object::{ObjectDescriptor, TypeDescriptor};
use crate::catalog::{
    Action, CatalogSnapshot, ColumnId, ForeignKey, IndexColumn, TableDescriptor, named, spelled,
};

/// A constraint of a table, whatever enforces it.
pub(super) struct Constraint<'a> {
    pub(super) table: &'a TableDescriptor,
    pub(super) oid: u32,
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) columns: Vec<ColumnId>,
    pub(super) validated: bool,
    pub(super) no_inherit: bool,
    /// The oid of the index that enforces it, or 0.
    pub(super) index: u32,
    /// The condition of a check.
    pub(super) expression: Option<&'a str>,
    pub(super) foreign: Option<&'a ForeignKey>,
}

/// What a constraint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    PrimaryKey,
    Unique,
    Check,
    ForeignKey,
}

impl Kind {
    const fn letter(self) -> &'static str {
        match self {
            Self::PrimaryKey => "p",
            Self::Unique => "u",
            Self::Check => "c",
            Self::ForeignKey => "f",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::PrimaryKey => "PRIMARY KEY",
            Self::Unique => "UNIQUE",
            Self::Check => "CHECK",
            Self::ForeignKey => "FOREIGN KEY",
        }
    }
}

/// The constraints of a table.
pub(super) fn of_table(table: &TableDescriptor) -> Vec<Constraint<'_>> {
    let keys = table.indexes.iter().filter_map(|index| {
        let constraint = index.constraint?;
        Some(Constraint {
            table,
            oid: constraint.oid,
            name: &index.name,
            kind: if constraint.primary_key { Kind::PrimaryKey } else { Kind::Unique },
            columns: index.columns.iter().filter_map(IndexColumn::column).collect(),
            validated: true,
            no_inherit: true,
            index: index.oid,
            expression: None,
            foreign: None,
        })
    });
    let checks = table.constraints.checks.iter().map(|check| Constraint {
        table,
        oid: check.oid,
        name: &check.name,
        kind: Kind::Check,
        columns: check.columns.clone(),
        validated: check.validated,
        no_inherit: check.no_inherit,
        index: 0,
        expression: Some(&check.expression),
        foreign: None,
    });
    let foreign = table.constraints.foreign_keys.iter().map(|key| Constraint {
        table,
        oid: key.oid,
        name: &key.name,
        kind: Kind::ForeignKey,
        columns: key.columns.clone(),
        validated: key.validated,
        no_inherit: true,
        index: key.parent_index,
        expression: None,
        foreign: Some(key),
    });
    keys.chain(checks).chain(foreign).collect()
}

fn all<'a>(world: &'a World<'_>) -> impl Iterator<Item = Constraint<'a>> {
    world.catalog.tables().flat_map(|table| of_table(table))
}

fn column_name(table: &TableDescriptor, id: ColumnId) -> Option<&str> {
    Some(table.columns.get(table.column_by_id(id)?)?.name.as_str())
}

pub(super) fn pg_constraint(world: &World<'_>, records: &mut Records<'_>) {
    for constraint in all(world) {
        let table = constraint.table;
        let numbers =
            |columns: &[ColumnId]| columns.iter().map(|column| i64::from(*column)).collect::<Vec<_>>();
        let own = numbers(&constraint.columns);
        let foreign = constraint.foreign;
        let match_type = |key: &ForeignKey| if key.match_full { "f" } else { "s" };
        let set_columns = foreign.map(|key| numbers(&key.set_columns)).filter(|columns| !columns.is_empty());
        records.push(&[
            ("oid", constraint.oid.into()),
            ("conname", constraint.name.into()),
            ("connamespace", schema_oid(world, table).into()),
            ("contype", constraint.kind.letter().into()),
            ("convalidated", constraint.validated.into()),
            ("conrelid", table.oid.into()),
            ("conindid", constraint.index.into()),
            ("condeferrable", foreign.is_some_and(|key| key.deferrable).into()),
            ("condeferred", foreign.is_some_and(|key| key.deferred).into()),
            ("confrelid", foreign.map_or(0, |key| key.parent).into()),
            ("confupdtype", foreign.map_or(" ", |key| key.on_update.letter()).into()),
            ("confdeltype", foreign.map_or(" ", |key| key.on_delete.letter()).into()),
            ("confmatchtype", foreign.map_or(" ", match_type).into()),
            ("conislocal", true.into()),
            ("connoinherit", constraint.no_inherit.into()),
            ("conkey", if own.is_empty() { Value::Null } else { Value::Ints(own) }),
            ("confkey", foreign.map_or(Value::Null, |key| Value::Ints(numbers(&key.parent_columns)))),
            ("confdelsetcols", set_columns.map_or(Value::Null, Value::Ints)),
            ("conbin", constraint.expression.into()),
        ]);
    }
    push_domain_checks(world, records);
}

/// The checks of domains, which belong to no table.
fn push_domain_checks(world: &World<'_>, records: &mut Records<'_>) {
    for (object, domain) in domains(world.catalog) {
        for check in &domain.checks {
            records.push(&[
                ("oid", check.oid.into()),
                ("conname", (&check.name).into()),
                ("connamespace", world.catalog.objects().schema_oid(&object.schema).unwrap_or(0).into()),
                ("contype", Kind::Check.letter().into()),
                ("convalidated", check.validated.into()),
                ("contypid", object.oid.into()),
                ("confupdtype", " ".into()),
                ("confdeltype", " ".into()),
                ("confmatchtype", " ".into()),
                ("conislocal", true.into()),
                ("conbin", (&check.expression).into()),
            ]);
        }
    }
}

fn domains(catalog: &CatalogSnapshot) -> impl Iterator<Item = (&ObjectDescriptor, &DomainDescriptor)> {
    catalog.objects().types().filter_map(|(object, made)| match made {
        TypeDescriptor::Domain(own) => Some((object.as_ref(), own)),
        TypeDescriptor::Enum(_) | TypeDescriptor::Composite(_) | TypeDescriptor::Range(_) => None,
    })
}

/// The check of a domain that has this oid, as `pg_get_constraintdef` prints it. `pretty`: without parentheses that make no
/// difference, as far as it can tell them.
pub(super) fn domain_definition(
    catalog: &CatalogSnapshot,
    oid: u32,
    pretty: impl Fn(&DomainDescriptor, &str) -> Option<String>,
) -> Option<String> {
    let (own, check) = domains(catalog)
        .find_map(|(_, own)| own.checks.iter().find(|check| check.oid == oid).map(|check| (own, check)))?;
    let shown = pretty(own, &check.expression);
    let not_valid = if check.validated { "" } else { " NOT VALID" };
    Some(format!("CHECK ({}){not_valid}", shown.as_deref().unwrap_or(&check.expression)))
}

/// NOT NULL of columns, which the standard calls checks: their name and column.
fn not_nulls<'a>(world: &World<'_>, table: &'a TableDescriptor) -> Vec<(String, &'a str)> {
    let schema = schema_oid(world, table);
    table
        .visible()
        .filter(|(_, column)| column.not_null && table.kind == crate::catalog::TableKind::Base)
        .map(|(_, column)| (format!("{schema}_{}_{}_not_null", table.oid, column.id), column.name.as_str()))
        .collect()
}

fn yes_or_no(value: bool) -> Value {
    if value { "YES" } else { "NO" }.into()
}

pub(super) fn table_constraints(world: &World<'_>, records: &mut Records<'_>) {
    let database = &*world.session.database;
    let mut push = |table: &TableDescriptor, name: &str, kind: Kind, foreign: Option<&ForeignKey>| {
        records.push(&[
            ("constraint_catalog", database.into()),
            ("constraint_schema", world.schema(&table.schema).into()),
            ("constraint_name", name.into()),
            ("table_catalog", database.into()),
            ("table_schema", world.schema(&table.schema).into()),
            ("table_name", (&table.name).into()),
            ("constraint_type", kind.words().into()),
            ("is_deferrable", yes_or_no(foreign.is_some_and(|key| key.deferrable))),
            ("initially_deferred", yes_or_no(foreign.is_some_and(|key| key.deferred))),
            ("enforced", yes_or_no(true)),
            ("nulls_distinct", if kind == Kind::Unique { yes_or_no(true) } else { Value::Null }),
        ]);
    };
    for table in world.catalog.tables() {
        for constraint in of_table(table) {
            push(table, constraint.name, constraint.kind, constraint.foreign);
        }
        for (name, _) in not_nulls(world, table) {
            push(table, &name, Kind::Check, None);
        }
    }
}

pub(super) fn check_constraints(world: &World<'_>, records: &mut Records<'_>) {
    let database = &*world.session.database;
    for table in world.catalog.tables() {
        let mut push = |name: &str, clause: String| {
            records.push(&[
                ("constraint_catalog", database.into()),
                ("constraint_schema", world.schema(&table.schema).into()),
                ("constraint_name", name.into()),
                ("check_clause", clause.into()),
            ]);
        };
        for constraint in of_table(table) {
            if let Some(expression) = constraint.expression {
                let by_name = |oid| world.session.catalog.reg_name(expr::TypeKind::Regclass, oid);
                let text = named::shown(expression, by_name);
                let text = spelled::by_name(world.catalog, &world.settings.hot().search_path, &text);
                push(constraint.name, format!("({text})"));
            }
        }
        for (name, column) in not_nulls(world, table) {
            push(&name, format!("{column} IS NOT NULL"));
        }
    }
    for (object, domain) in domains(world.catalog) {
        for check in &domain.checks {
            let path = &world.settings.hot().search_path;
            let clause = spelled::by_name(world.catalog, path, &check.expression);
            records.push(&[
                ("constraint_catalog", database.into()),
                ("constraint_schema", world.schema(&object.schema).into()),
                ("constraint_name", (&check.name).into()),
                ("check_clause", format!("({clause})").into()),
            ]);
        }
    }
}

pub(super) fn key_column_usage(world: &World<'_>, records: &mut Records<'_>) {
    let database = &*world.session.database;
    for constraint in all(world).filter(|constraint| constraint.kind != Kind::Check) {
        let table = constraint.table;
        for (number, column) in (1u32..).zip(&constraint.columns) {
            let Some(name) = column_name(table, *column) else { continue };
            let place = constraint.foreign.and_then(|key| unique_place(world, key, number));
            records.push(&[
                ("constraint_catalog", database.into()),
                ("constraint_schema", world.schema(&table.schema).into()),
                ("constraint_name", constraint.name.into()),
                ("table_catalog", database.into()),
                ("table_schema", world.schema(&table.schema).into()),
                ("table_name", (&table.name).into()),
                ("column_name", name.into()),
                ("ordinal_position", number.into()),
                ("position_in_unique_constraint", place.into()),
            ]);
        }
    }
}

pub(super) fn constraint_column_usage(world: &World<'_>, records: &mut Records<'_>) {
    let database = &*world.session.database;
    for constraint in all(world) {
        // Of a foreign key it is what is referenced.
        let (table, columns) = match constraint.foreign {
            None => (constraint.table, &constraint.columns),
            Some(key) => match world.catalog.table_by_oid(key.parent) {
                Some(parent) => (parent.as_ref(), &key.parent_columns),
                None => continue,
            },
        };
        for name in columns.iter().filter_map(|column| column_name(table, *column)) {
            records.push(&[
                ("table_catalog", database.into()),
                ("table_schema", world.schema(&table.schema).into()),
                ("table_name", (&table.name).into()),
                ("column_name", name.into()),
                ("constraint_catalog", database.into()),
                ("constraint_schema", world.schema(&constraint.table.schema).into()),
                ("constraint_name", constraint.name.into()),
            ]);
        }
    }
}

/// Where the column that one of a foreign key references stands in the key that it references.
fn unique_place(world: &World<'_>, key: &ForeignKey, number: u32) -> Option<u32> {
    let (_, index) = world.catalog.index_by_oid(key.parent_index)?;
    let column = key.parent_columns.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
    (1u32..).zip(&index.columns).find(|(_, own)| own.column() == Some(*column)).map(|(place, _)| place)
}

pub(super) fn referential_constraints(world: &World<'_>, records: &mut Records<'_>) {
    let database = &*world.session.database;
    for constraint in all(world) {
        let Some(key) = constraint.foreign else { continue };
        let unique = world.catalog.index_by_oid(key.parent_index);
        let unique = unique.filter(|(_, index)| index.constraint.is_some());
        records.push(&[
            ("constraint_catalog", database.into()),
            ("constraint_schema", world.schema(&constraint.table.schema).into()),
            ("constraint_name", constraint.name.into()),
            ("unique_constraint_catalog", unique.map(|_| database).into()),
            ("unique_constraint_schema", unique.map(|(table, _)| world.schema(&table.schema)).into()),
            ("unique_constraint_name", unique.map(|(_, index)| &index.name).into()),
            ("match_option", if key.match_full { "FULL" } else { "NONE" }.into()),
            ("update_rule", key.on_update.words().into()),
            ("delete_rule", key.on_delete.words().into()),
        ]);
    }
}

/// Makes the condition of a check on a table read best.
pub(super) type Pretty<'f> = dyn Fn(&TableDescriptor, &str) -> Option<String> + 'f;

/// The constraint as SQL would declare it. `pretty` makes a condition read best; `parent` is the table of an oid, and
/// whether its bare name means it.
pub(super) fn definition<'p>(
    table: &TableDescriptor,
    oid: u32,
    pretty: Option<&Pretty<'_>>,
    parent: &dyn Fn(u32) -> Option<(&'p TableDescriptor, bool)>,
) -> Option<String> {
    let constraint = of_table(table).into_iter().find(|constraint| constraint.oid == oid)?;
    if let Some(key) = constraint.foreign {
        return foreign_definition(table, key, parent);
    }
    let Some(expression) = constraint.expression else {
        let index = table.indexes.iter().find(|index| index.oid == constraint.index)?;
        return deparse::constraint(table, index);
    };
    let shown = pretty.and_then(|pretty| pretty(table, expression));
    let mut text = format!("CHECK ({})", shown.as_deref().unwrap_or(expression));
    if constraint.no_inherit {
        text.push_str(" NO INHERIT");
    }
    if !constraint.validated {
        text.push_str(" NOT VALID");
    }
    Some(text)
}

/// `FOREIGN KEY (a) REFERENCES t(b) ON DELETE CASCADE`
fn foreign_definition<'p>(
    table: &TableDescriptor,
    key: &ForeignKey,
    parent: &dyn Fn(u32) -> Option<(&'p TableDescriptor, bool)>,
) -> Option<String> {
    let names = |table: &TableDescriptor, columns: &[ColumnId]| -> String {
        let names = columns.iter().filter_map(|column| column_name(table, *column));
        names.map(deparse::quote_name).collect::<Vec<_>>().join(", ")
    };
    let (parent, is_visible) = parent(key.parent)?;
    let schema = if is_visible { String::new() } else { format!("{}.", deparse::quote_name(&parent.schema)) };
    let mut text = format!(
        "FOREIGN KEY ({}) REFERENCES {schema}{}({})",
        names(table, &key.columns),
        deparse::quote_name(&parent.name),
        names(parent, &key.parent_columns)
    );
    if key.match_full {
        text.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if action != Action::NoAction {
            text.push_str(&format!(" ON {event} {}", action.words()));
        }
    }
    if !key.set_columns.is_empty() {
        text.push_str(&format!(" ({})", names(table, &key.set_columns)));
    }
    if key.deferrable {
        text.push_str(" DEFERRABLE");
    }
    if key.deferred {
        text.push_str(" INITIALLY DEFERRED");
    }
    if !key.validated {
        text.push_str(" NOT VALID");
    }
    Some(text)
}

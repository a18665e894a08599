//! The columns that tables have beside their own: PostgreSQL's, and those of versions.
//!
//! Who has written a row (`xmin`) is read with it: a statement that names the column reads tables that have it
//! ([`crate::catalog::writer`]). Who has changed or deleted one (`xmax`) is known of the statement's own changes alone, behind
//! the rows that RETURNING is over; nobody has changed any other row that is seen. Locks are not told.

use std::sync::Arc;

use expr::{Datum, Expr, TypeKind, resolve};

use super::Binder;
use super::level::{Clause, WithoutSystemColumns};
use super::scope::{Relation, Scope, ScopeColumn};
use crate::catalog::versioned::SystemColumn;
use crate::catalog::writer::{WRITER_COLUMN, unasked, with_writer};
use crate::catalog::{Column, IndexMethod, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::Name;
use crate::plan::walk::children_mut;
use crate::plan::{Node, Values};

/// The number of the column that says who has written a row.
const WRITER_NUMBER: i16 = -2;

/// PostgreSQL's: `pg_attribute.attname`, `attnum`, and the type.
const COLUMNS: [(&str, i16, &str); 6] = [
    ("ctid", -1, "tid"),
    ("xmin", WRITER_NUMBER, "xid"),
    ("cmin", -3, "cid"),
    ("xmax", -4, "xid"),
    ("cmax", -5, "cid"),
    ("tableoid", -6, "oid"),
];

/// Whether PostgreSQL has a column of this name beside the columns of tables.
pub(super) fn is_postgres(name: &str) -> bool {
    COLUMNS.iter().any(|(own, ..)| *own == name)
}

/// The number of a column; 0: it is none of PostgreSQL's.
fn number(name: &str) -> i16 {
    COLUMNS.iter().find(|(own, ..)| *own == name).map_or(0, |(_, number, _)| *number)
}

/// Whether a column says who has written a row.
pub(super) fn is_writer(column: &ScopeColumn) -> bool {
    column.origin.is_some_and(|(_, number)| number == WRITER_NUMBER)
}

/// That a clause over rows that have no system columns names none.
///
/// # Errors
/// 42P10 or 0A000 if it does.
pub(super) fn check_own_row(clause: &Clause, names: &[Name]) -> Result<()> {
    match clause.without_system_columns {
        None | Some(WithoutSystemColumns::MergeWhen) => Ok(()),
        Some(clause) => refuse(clause, names),
    }
}

/// That a clause may name a system column that there is.
///
/// # Errors
/// 42P10 if it may not.
pub(super) fn check_named(clause: &Clause, names: &[Name]) -> Result<()> {
    clause.without_system_columns.map_or(Ok(()), |clause| refuse(clause, names))
}

fn refuse(clause: WithoutSystemColumns, names: &[Name]) -> Result<()> {
    let Some(name) = names.last().filter(|name| is_postgres(&name.value)) else { return Ok(()) };
    if clause != WithoutSystemColumns::Index && name.value == "tableoid" {
        return Ok(());
    }
    let column = format!("system column \"{}\"", name.value);
    let message = match clause {
        WithoutSystemColumns::Index => return Err(no_index()),
        WithoutSystemColumns::Check => format!("{column} reference in check constraint is invalid"),
        WithoutSystemColumns::Generation => format!("cannot use {column} in column generation expression"),
        WithoutSystemColumns::MergeWhen => format!("cannot use {column} in MERGE WHEN condition"),
    };
    Err(Error::new("42P10", message).at(names.first().map_or(0, |name| name.at)))
}

/// That a column that is assigned to is no system column: a view may have one of its own that is called so.
///
/// # Errors
/// 0A000 if it is one.
pub(super) fn check_assigned(relation: &TableDescriptor, name: &Name) -> Result<()> {
    if is_postgres(&name.value) && relation.column_by_name(&name.value).is_none() {
        let message = format!("cannot assign to system column \"{}\"", name.value);
        return Err(Error::unsupported_as(message).at(name.at));
    }
    Ok(())
}

/// That a column that is to be changed, which is none of the table's own, is no system column.
///
/// # Errors
/// 0A000 if it is one.
pub(super) fn check_altered(name: &Name, verb: &str) -> Result<()> {
    match is_postgres(&name.value) {
        true => Err(Error::unsupported_as(format!("cannot {verb} system column \"{}\"", name.value))),
        false => Ok(()),
    }
}

/// That the part of a key is no system column.
///
/// # Errors
/// 42704 or 0A000 if it is one.
pub(super) fn check_indexed(name: &Name, method: IndexMethod) -> Result<()> {
    let Some((.., ty)) = COLUMNS.iter().find(|(own, ..)| *own == name.value) else { return Ok(()) };
    // Those two types alone have no order in PostgreSQL, and both have a hash.
    if method != IndexMethod::Btree || !matches!(*ty, "xid" | "cid") {
        return Err(no_index());
    }
    let message = format!("data type {ty} has no default operator class for access method \"btree\"");
    Err(Error::new("42704", message).hint(
        "You must specify an operator class for the index or define a default operator class for the data type.",
    ))
}

fn no_index() -> Error {
    Error::unsupported_as("index creation on system columns is not supported")
}

/// Which of the columns a statement may name of which something has to be made ready.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Named {
    /// `xmin`
    writer: bool,
    /// `xmax`
    pub(super) changer: bool,
}

impl Named {
    /// By the text of the statement.
    pub(super) fn by(text: &str) -> Self {
        let mut named = Self::default();
        for word in text.as_bytes().windows(4) {
            named.writer |= word.eq_ignore_ascii_case(b"xmin");
            named.changer |= word.eq_ignore_ascii_case(b"xmax");
        }
        named
    }
}

/// The column of this name that a table has beside its own; `None`: there is none, or one of a table's own is called so.
///
/// # Errors
/// 42702 if several tables have it.
pub(super) fn find(scope: &Scope, names: &[Name]) -> Result<Option<ScopeColumn>> {
    let Some((name, qualifiers)) = names.split_last().filter(|(name, _)| is_one(&name.value)) else {
        return Ok(None);
    };
    let is_own = |relation: &Relation| relation.columns.iter().any(|column| column.name == name.value);
    let (schema, table) = match qualifiers {
        [] => {
            let mut found = None;
            if scope.named(&name.value).next().is_some() {
                return Ok(None);
            }
            for relation in &scope.relations {
                if let Some(column) = of(relation, name)?
                    && found.replace(column).is_some()
                {
                    let message = format!("column reference \"{}\" is ambiguous", name.value);
                    return Err(Error::new("42702", message).at(name.at));
                }
            }
            return Ok(found);
        }
        [table] => (None, table),
        [schema, table] => (Some(schema.value.as_str()), table),
        _ => return Ok(None),
    };
    match scope.relation(schema, &table.value).filter(|relation| !is_own(relation)) {
        Some(relation) => of(relation, name),
        None => Ok(None),
    }
}

/// Whether tables have a column of this name beside their own.
fn is_one(name: &str) -> bool {
    is_postgres(name) || SystemColumn::is_name(name)
}

/// The column of one item of FROM; `None`: that is no table, but a view or what a query answers.
fn of(relation: &Relation, name: &Name) -> Result<Option<ScopeColumn>> {
    if let Some(column) = relation.beside.iter().find(|column| column.name == name.value) {
        return Ok(Some(column.clone()));
    }
    let Some(table) = relation.table.as_ref().filter(|table| table.kind != TableKind::View) else {
        return Ok(None);
    };
    let is_of_versions = relation.beside.iter().any(|column| SystemColumn::is_name(&column.name));
    match name.value.as_str() {
        other if SystemColumn::is_name(other) => Ok(None),
        "tableoid" => of_all(relation, name, Datum::Oid(table.oid), TypeKind::Oid).map(Some),
        "xmax" if table.kind.is_stored() && !is_of_versions => {
            of_all(relation, name, Datum::Oid(0), TypeKind::Xid).map(Some)
        }
        other => Err(Error::unsupported(format!("system column \"{other}\"")).at(name.at)),
    }
}

/// What is the same for all rows of a table; NULL where an outer join has none.
fn of_all(relation: &Relation, name: &Name, value: Datum, kind: TypeKind) -> Result<ScopeColumn> {
    let value = Expr::literal(value, kind);
    let value = match (relation.nullable, relation.never_null()) {
        (false, _) => value,
        (true, Some(column)) => {
            let missing = resolve::is_missing(column.value.clone());
            let branches = vec![(missing, Expr::null(kind))];
            Expr::Case { operand: None, branches, otherwise: Some(Box::new(value)), ty: kind.into() }
        }
        (true, None) => {
            let what =
                format!("{} of a table without columns that are NOT NULL in an outer join", name.value);
            return Err(Error::unsupported(what).at(name.at));
        }
    };
    let origin = relation.table.as_ref().map(|table| (table.oid, number(&name.value)));
    Ok(ScopeColumn { name: name.value.clone(), value, origin })
}

/// Who has written a row, whose number a scan answers at this place, if that is what the column is.
pub(super) fn writer(table: &TableDescriptor, column: &Column, index: usize) -> Option<ScopeColumn> {
    (column.id == WRITER_COLUMN).then(|| ScopeColumn {
        name: column.name.clone(),
        value: Expr::Column { index, ty: column.ty },
        origin: Some((table.oid, WRITER_NUMBER)),
    })
}

/// From now on `xmax` of the first item of FROM is what stands at this place of the row.
pub(super) fn tell_changer(scope: &mut Scope, index: usize) {
    if let Some(relation) = scope.relations.first_mut() {
        let value = Expr::Column { index, ty: TypeKind::Xid.into() };
        let origin = relation.table.as_ref().map(|table| (table.oid, number("xmax")));
        relation.beside.push(ScopeColumn { name: "xmax".to_owned(), value, origin });
    }
}

/// Of the rows that the first leaf of a tree reads nobody asks who has written them.
pub(super) fn ask_no_writer(node: &mut Node) -> Result<()> {
    let lost = || Error::internal("the rows to change are read by no scan");
    let mut first = node;
    while !matches!(first, Node::Scan(_)) {
        first = children_mut(first).into_iter().next().ok_or_else(lost)?;
    }
    match std::mem::replace(first, Node::Values(Values::one_row())) {
        Node::Scan(mut scan) => {
            scan.table = unasked(&scan.table);
            *first = Node::Scan(scan);
            Ok(())
        }
        _ => Err(lost()),
    }
}

impl Binder<'_> {
    /// The table, with who has written each of its rows if the statement may ask for that.
    ///
    /// What texts name that stand for others, such as bodies of functions, is not asked; nor is who has written rows of the past.
    pub(super) fn with_writer(&self, table: Arc<TableDescriptor>) -> Arc<TableDescriptor> {
        let is_asked = self.system_columns.writer
            && table.kind.is_stored()
            && self.past.is_none()
            && self.frames.is_empty()
            && self.within_view.is_none();
        if is_asked { Arc::new(with_writer(&table)) } else { table }
    }
}

//! INSERT, UPDATE, DELETE.

use super::super::ast::{
    Assignment, Body, CommonTable, ConflictTarget, ConflictUpdate, Delete, Expr, ExprKind, Insert, Name,
    OnConflict, Overriding, QualifiedName, SelectItem, TableExpr, Update,
};
use super::super::cursor::Cursor;
use super::expression::expression;
use super::from::table_expr;
use super::query::{condition, is_alias, query, select_items, starts_query};
use crate::error::{Error, Result};

/// INSERT.
pub(in super::super) fn insert(cursor: &mut Cursor<'_>) -> Result<Body> {
    insert_after(cursor, Vec::new())
}

/// UPDATE.
pub(in super::super) fn update(cursor: &mut Cursor<'_>) -> Result<Body> {
    update_after(cursor, Vec::new())
}

/// DELETE.
pub(in super::super) fn delete(cursor: &mut Cursor<'_>) -> Result<Body> {
    delete_after(cursor, Vec::new())
}

/// INSERT after WITH.
pub(super) fn insert_after(cursor: &mut Cursor<'_>, with: Vec<CommonTable>) -> Result<Body> {
    cursor.advance();
    cursor.expect("into")?;
    let table = cursor.qualified_name()?;
    let alias = if cursor.accept("as") { Some(cursor.name()?) } else { None };
    let columns = if cursor.is_symbol("(") && !opens_source(cursor) {
        cursor.advance();
        let columns = cursor.list(target)?;
        cursor.expect_symbol(")")?;
        Some(columns)
    } else {
        None
    };
    let overriding = overriding(cursor)?;
    let source = if columns.is_none() && cursor.accept_all(&["default", "values"]) {
        None
    } else {
        Some(query(cursor)?)
    };
    let on_conflict = if cursor.is("on") { Some(on_conflict(cursor)?) } else { None };
    let returning = returning(cursor)?;
    Ok(Body::Insert(Box::new(Insert {
        with,
        table,
        alias,
        columns,
        overriding,
        source,
        on_conflict,
        returning,
    })))
}

/// OVERRIDING … VALUE, if it is next.
fn overriding(cursor: &mut Cursor<'_>) -> Result<Option<Overriding>> {
    if !cursor.accept("overriding") {
        return Ok(None);
    }
    let overriding = match cursor.accept_one_of(&["system", "user"]) {
        Some("system") => Overriding::System,
        Some(_) => Overriding::User,
        None => return Err(cursor.error()),
    };
    cursor.expect("value")?;
    Ok(Some(overriding))
}

/// Whether the parenthesis that is next opens a query rather than a list of columns.
fn opens_source(cursor: &Cursor<'_>) -> bool {
    let next = cursor.peek_at(1);
    next.is_symbol("(")
        || starts_query(next) && (next.keyword != "values" || cursor.peek_at(2).is_symbol("("))
}

/// A column that a value is given to.
fn target(cursor: &mut Cursor<'_>) -> Result<Name> {
    let name = cursor.name()?;
    if cursor.is_symbol(".") {
        return Err(Error::unsupported("a qualified name as the target of an assignment").at(name.at));
    }
    if cursor.is_symbol("[") {
        return Err(Error::unsupported("an assignment to an element of an array").at(name.at));
    }
    Ok(name)
}

fn on_conflict(cursor: &mut Cursor<'_>) -> Result<OnConflict> {
    let at = cursor.at();
    cursor.expect("on")?;
    cursor.expect("conflict")?;
    let target = if cursor.accept_all(&["on", "constraint"]) {
        ConflictTarget::Constraint(cursor.name()?)
    } else if cursor.is_symbol("(") {
        let columns = conflict_columns(cursor)?;
        if cursor.is("where") {
            return Err(cursor.unsupported("ON CONFLICT with WHERE"));
        }
        ConflictTarget::Columns(columns)
    } else {
        ConflictTarget::Any
    };
    cursor.expect("do")?;
    if cursor.accept("nothing") {
        return Ok(OnConflict { target, update: None, at });
    }
    cursor.expect("update")?;
    if matches!(target, ConflictTarget::Any) {
        let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
        return Err(Error::new("42601", message).hint("For example, ON CONFLICT (column_name).").at(at));
    }
    cursor.expect("set")?;
    let assignments = assignments(cursor)?;
    let filter = condition(cursor)?;
    Ok(OnConflict { target, update: Some(ConflictUpdate { assignments, filter }), at })
}

fn conflict_columns(cursor: &mut Cursor<'_>) -> Result<Vec<Name>> {
    cursor.expect_symbol("(")?;
    let columns = cursor.list(|cursor| {
        let at = cursor.at();
        if cursor.is_symbol("(") || cursor.peek_at(1).is_symbol("(") {
            return Err(cursor.unsupported("ON CONFLICT over an expression"));
        }
        let name = cursor.name()?;
        if cursor.is("collate") || !cursor.is_symbol(",") && !cursor.is_symbol(")") {
            return Err(Error::unsupported("a collation or an operator class in ON CONFLICT").at(at));
        }
        Ok(name)
    })?;
    cursor.expect_symbol(")")?;
    Ok(columns)
}

/// `a = 1, (b, c) = (2, 3)`
fn assignments(cursor: &mut Cursor<'_>) -> Result<Vec<Assignment>> {
    let mut assignments = Vec::new();
    loop {
        if cursor.is_symbol("(") {
            several(cursor, &mut assignments)?;
        } else {
            let column = target(cursor)?;
            cursor.expect_symbol("=")?;
            assignments.push(Assignment { column, value: expression(cursor)? });
        }
        if !cursor.accept_symbol(",") {
            return Ok(assignments);
        }
    }
}

fn several(cursor: &mut Cursor<'_>, assignments: &mut Vec<Assignment>) -> Result<()> {
    cursor.advance();
    let columns = cursor.list(target)?;
    cursor.expect_symbol(")")?;
    cursor.expect_symbol("=")?;
    let value = expression(cursor)?;
    let at = value.at;
    let values: Vec<Expr> = match value.kind {
        ExprKind::Row(values) => values,
        ExprKind::Subquery(_) => return Err(Error::unsupported("SET of several columns from a query").at(at)),
        _ => {
            let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
            return Err(Error::new("0A000", message).at(at));
        }
    };
    if columns.len() != values.len() {
        let message = "number of columns does not match number of values";
        return Err(Error::new("42601", message).at(at));
    }
    assignments.extend(columns.into_iter().zip(values).map(|(column, value)| Assignment { column, value }));
    Ok(())
}

/// UPDATE after WITH.
pub(super) fn update_after(cursor: &mut Cursor<'_>, with: Vec<CommonTable>) -> Result<Body> {
    cursor.advance();
    let (table, alias) = changed_table(cursor)?;
    cursor.expect("set")?;
    let assignments = assignments(cursor)?;
    let from = if cursor.accept("from") { tables(cursor)? } else { Vec::new() };
    let filter = condition(cursor)?;
    let returning = returning(cursor)?;
    Ok(Body::Update(Box::new(Update { with, table, alias, assignments, from, filter, returning })))
}

/// DELETE after WITH.
pub(super) fn delete_after(cursor: &mut Cursor<'_>, with: Vec<CommonTable>) -> Result<Body> {
    cursor.advance();
    cursor.expect("from")?;
    let (table, alias) = changed_table(cursor)?;
    let using = if cursor.accept("using") { tables(cursor)? } else { Vec::new() };
    let filter = condition(cursor)?;
    let returning = returning(cursor)?;
    Ok(Body::Delete(Box::new(Delete { with, table, alias, using, filter, returning })))
}

fn tables(cursor: &mut Cursor<'_>) -> Result<Vec<TableExpr>> {
    cursor.list(table_expr)
}

/// `ONLY t AS a`, `ONLY (t) AS a`
fn changed_table(cursor: &mut Cursor<'_>) -> Result<(QualifiedName, Option<Name>)> {
    let only = cursor.accept("only");
    let between = only && cursor.accept_symbol("(");
    let table = cursor.qualified_name()?;
    if between {
        cursor.expect_symbol(")")?;
    }
    if !only {
        cursor.accept_symbol("*");
    }
    let bare = !cursor.is("set") && is_alias(cursor.peek());
    let alias = if cursor.accept("as") || bare { Some(cursor.name()?) } else { None };
    Ok((table, alias))
}

fn returning(cursor: &mut Cursor<'_>) -> Result<Option<Vec<SelectItem>>> {
    if cursor.accept("returning") { select_items(cursor).map(Some) } else { Ok(None) }
}

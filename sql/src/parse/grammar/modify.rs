//! INSERT, UPDATE, DELETE.

use super::super::ast::{
    Assignment, AssignmentTarget, Body, CommonTable, ConflictTarget, ConflictUpdate, Delete, Expr, ExprKind,
    Insert, Name, OnConflict, Overriding, QualifiedName, SelectItem, TableExpr, TargetPart, Update,
};
use super::super::cursor::Cursor;
use super::expression::expression;
use super::from::table_expr;
use super::index;
use super::primary::subscript;
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
pub(super) fn overriding(cursor: &mut Cursor<'_>) -> Result<Option<Overriding>> {
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

/// What a value is given to.
pub(super) fn target(cursor: &mut Cursor<'_>) -> Result<AssignmentTarget> {
    let column = cursor.name()?;
    let mut parts = Vec::new();
    loop {
        if cursor.accept_symbol(".") {
            parts.push(TargetPart::Field(cursor.label()?));
        } else if cursor.is_symbol("[") {
            let mut subscripts = Vec::new();
            while cursor.is_symbol("[") {
                subscripts.push(subscript(cursor)?);
            }
            parts.push(TargetPart::Subscripts(subscripts));
        } else {
            return Ok(AssignmentTarget { column, parts });
        }
    }
}

fn on_conflict(cursor: &mut Cursor<'_>) -> Result<OnConflict> {
    let mut at = cursor.at();
    cursor.expect("on")?;
    cursor.expect("conflict")?;
    let target = if cursor.accept_all(&["on", "constraint"]) {
        ConflictTarget::Constraint(cursor.name()?)
    } else if cursor.is_symbol("(") {
        at = cursor.at();
        cursor.expect_symbol("(")?;
        let parts = cursor.list(index::part)?;
        cursor.expect_symbol(")")?;
        ConflictTarget::Key { parts, filter: condition(cursor)? }
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

/// `a = 1, (b, c) = (2, 3)`
pub(super) fn assignments(cursor: &mut Cursor<'_>) -> Result<Vec<Assignment>> {
    let mut assignments = Vec::new();
    loop {
        if cursor.is_symbol("(") {
            several(cursor, &mut assignments)?;
        } else {
            let target = target(cursor)?;
            cursor.expect_symbol("=")?;
            assignments.push(Assignment { target, value: expression(cursor)? });
        }
        if !cursor.accept_symbol(",") {
            return Ok(assignments);
        }
    }
}

fn several(cursor: &mut Cursor<'_>, assignments: &mut Vec<Assignment>) -> Result<()> {
    cursor.advance();
    let targets = cursor.list(target)?;
    cursor.expect_symbol(")")?;
    cursor.expect_symbol("=")?;
    let value = expression(cursor)?;
    let at = value.at;
    let values: Vec<Expr> = match value.kind {
        ExprKind::Row(values) => values,
        ExprKind::Subquery(query) => {
            let (query, count) = (std::sync::Arc::new(*query), targets.len());
            let column =
                |place| ExprKind::RowQuery { query: query.clone(), place, count, compared: false }.at(at);
            (0..count).map(column).collect()
        }
        _ => {
            let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
            return Err(Error::new("0A000", message).at(at));
        }
    };
    if targets.len() != values.len() {
        let message = "number of columns does not match number of values";
        return Err(Error::new("42601", message).at(at));
    }
    assignments.extend(targets.into_iter().zip(values).map(|(target, value)| Assignment { target, value }));
    Ok(())
}

/// UPDATE after WITH.
pub(super) fn update_after(cursor: &mut Cursor<'_>, with: Vec<CommonTable>) -> Result<Body> {
    cursor.advance();
    let (table, alias) = changed_table(cursor)?;
    cursor.expect("set")?;
    let assignments = assignments(cursor)?;
    let from = if cursor.accept("from") { tables(cursor)? } else { Vec::new() };
    let (filter, current_of) = changed_rows(cursor)?;
    let returning = returning(cursor)?;
    Ok(Body::Update(Box::new(Update {
        with,
        table,
        alias,
        assignments,
        from,
        filter,
        current_of,
        returning,
    })))
}

/// DELETE after WITH.
pub(super) fn delete_after(cursor: &mut Cursor<'_>, with: Vec<CommonTable>) -> Result<Body> {
    cursor.advance();
    cursor.expect("from")?;
    let (table, alias) = changed_table(cursor)?;
    let using = if cursor.accept("using") { tables(cursor)? } else { Vec::new() };
    let (filter, current_of) = changed_rows(cursor)?;
    let returning = returning(cursor)?;
    Ok(Body::Delete(Box::new(Delete { with, table, alias, using, filter, current_of, returning })))
}

/// `WHERE …`, or `WHERE CURRENT OF c`
fn changed_rows(cursor: &mut Cursor<'_>) -> Result<(Option<Expr>, Option<Name>)> {
    if cursor.accept_all(&["where", "current", "of"]) {
        return Ok((None, Some(cursor.name()?)));
    }
    Ok((condition(cursor)?, None))
}

fn tables(cursor: &mut Cursor<'_>) -> Result<Vec<TableExpr>> {
    cursor.list(table_expr)
}

/// `ONLY t AS a`, `ONLY (t) AS a`
pub(super) fn changed_table(cursor: &mut Cursor<'_>) -> Result<(QualifiedName, Option<Name>)> {
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

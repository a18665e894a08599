//! MERGE.

use super::super::ast::{
    Body, CommonTable, Insert, Merge, MergeAction, MergeWhen, Name, QualifiedName, QueryBody,
};
use super::super::cursor::Cursor;
use super::expression::{expression, expressions};
use super::from::table_expr;
use super::modify::{assignments, changed_table, overriding, target};
use super::query::plain;
use crate::error::Result;

/// MERGE.
pub(in super::super) fn merge(cursor: &mut Cursor<'_>) -> Result<Body> {
    merge_after(cursor, Vec::new())
}

/// MERGE after WITH.
pub(super) fn merge_after(cursor: &mut Cursor<'_>, with: Vec<CommonTable>) -> Result<Body> {
    cursor.advance();
    cursor.expect("into")?;
    let (table, alias) = changed_table(cursor)?;
    cursor.expect("using")?;
    let source = table_expr(cursor)?;
    cursor.expect("on")?;
    let on = expression(cursor)?;
    let mut whens = vec![when(cursor, &table, alias.as_ref())?];
    while cursor.is("when") {
        whens.push(when(cursor, &table, alias.as_ref())?);
    }
    Ok(Body::Merge(Box::new(Merge { with, table, alias, source, on, whens })))
}

fn when(cursor: &mut Cursor<'_>, table: &QualifiedName, alias: Option<&Name>) -> Result<MergeWhen> {
    cursor.expect("when")?;
    let matched = !cursor.accept("not");
    cursor.expect("matched")?;
    let condition = if cursor.accept("and") { Some(expression(cursor)?) } else { None };
    cursor.expect("then")?;
    let action = match cursor.keyword() {
        "update" if matched => {
            cursor.advance();
            cursor.expect("set")?;
            MergeAction::Update(assignments(cursor)?)
        }
        "delete" if matched => {
            cursor.advance();
            MergeAction::Delete
        }
        "insert" if !matched => MergeAction::Insert(Box::new(insert(cursor, table, alias)?)),
        "do" => {
            cursor.advance();
            cursor.expect("nothing")?;
            MergeAction::Nothing
        }
        _ => return Err(cursor.error()),
    };
    Ok(MergeWhen { matched, condition, action })
}

fn insert(cursor: &mut Cursor<'_>, table: &QualifiedName, alias: Option<&Name>) -> Result<Insert> {
    cursor.advance();
    let columns = if cursor.accept_symbol("(") {
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
        let at = cursor.at();
        cursor.expect("values")?;
        cursor.expect_symbol("(")?;
        let row = expressions(cursor)?;
        cursor.expect_symbol(")")?;
        Some(plain(QueryBody::Values(vec![row]), at))
    };
    Ok(Insert {
        with: Vec::new(),
        table: table.clone(),
        alias: alias.cloned(),
        columns,
        overriding,
        source,
        on_conflict: None,
        returning: None,
    })
}

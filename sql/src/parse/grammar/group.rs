//! GROUP BY.

use super::super::ast::{Expr, ExprKind, GroupBy, GroupItem};
use super::super::cursor::Cursor;
use super::expression::expression;
use crate::error::Result;

/// GROUP BY, or nothing.
pub(super) fn group_by(cursor: &mut Cursor<'_>) -> Result<Option<GroupBy>> {
    if !cursor.accept("group") {
        return Ok(None);
    }
    cursor.expect("by")?;
    let distinct = cursor.accept("distinct");
    if !distinct {
        cursor.accept("all");
    }
    let items = cursor.list(item)?;
    Ok(Some(GroupBy { distinct, items }))
}

fn item(cursor: &mut Cursor<'_>) -> Result<GroupItem> {
    cursor.level(|cursor| {
        let at = cursor.at();
        let opens = cursor.peek_at(1).is_symbol("(");
        match cursor.keyword() {
            "rollup" if opens => Ok(GroupItem::Rollup(elements(cursor)?, at)),
            "cube" if opens => Ok(GroupItem::Cube(elements(cursor)?, at)),
            "grouping" if cursor.peek_at(1).keyword == "sets" => {
                cursor.advance();
                cursor.advance();
                cursor.expect_symbol("(")?;
                let items = cursor.list(item)?;
                cursor.expect_symbol(")")?;
                Ok(GroupItem::Sets(items))
            }
            _ if cursor.is_symbol("(") && cursor.peek_at(1).is_symbol(")") => {
                cursor.advance();
                cursor.advance();
                Ok(GroupItem::Keys(Vec::new()))
            }
            _ => {
                let is_row = cursor.is("row");
                let key = expression(cursor)?;
                Ok(match key.kind {
                    ExprKind::Row(_) if !is_row => GroupItem::Keys(keys(key)),
                    _ => GroupItem::Key(key),
                })
            }
        }
    })
}

/// What stands between the parentheses of ROLLUP and CUBE.
fn elements(cursor: &mut Cursor<'_>) -> Result<Vec<Vec<Expr>>> {
    cursor.advance();
    cursor.expect_symbol("(")?;
    let elements = cursor.list(|cursor| {
        let is_row = cursor.is("row");
        let key = expression(cursor)?;
        Ok(if is_row { vec![key] } else { keys(key) })
    })?;
    cursor.expect_symbol(")")?;
    Ok(elements)
}

/// `(a, b)` is a and b.
fn keys(key: Expr) -> Vec<Expr> {
    match key.kind {
        ExprKind::Row(items) => items.into_iter().flat_map(keys).collect(),
        kind => vec![Expr { kind, at: key.at }],
    }
}

//! CREATE TYPE and ALTER TYPE.

use super::super::ast::{Body, ObjectKind, ObjectName, ObjectStatement, TypeStatement};
use super::super::cursor::Cursor;
use super::object;
use crate::error::Result;

fn body(statement: TypeStatement) -> Result<Body> {
    Ok(Body::Object(Box::new(ObjectStatement::Type(statement))))
}

fn label(cursor: &mut Cursor<'_>) -> Result<String> {
    cursor.string()?.ok_or_else(|| cursor.error())
}

/// After CREATE TYPE.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Body> {
    let name = cursor.qualified_name()?;
    if cursor.is_at_end() {
        return Err(cursor.unsupported("a shell type"));
    }
    if cursor.is_symbol("(") {
        return Err(cursor.unsupported("CREATE TYPE of a base type"));
    }
    cursor.expect("as")?;
    if cursor.is("range") {
        return Err(cursor.unsupported("CREATE TYPE AS RANGE"));
    }
    if cursor.is_symbol("(") {
        return Err(cursor.unsupported("CREATE TYPE of a composite type"));
    }
    cursor.expect("enum")?;
    cursor.expect_symbol("(")?;
    let labels = if cursor.is_symbol(")") { Vec::new() } else { cursor.list(label)? };
    cursor.expect_symbol(")")?;
    body(TypeStatement::CreateEnum { name, labels })
}

/// After ALTER TYPE.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    let name = cursor.qualified_name()?;
    if cursor.accept_all(&["add", "value"]) {
        let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
        let added = label(cursor)?;
        let beside = match cursor.accept_one_of(&["before", "after"]) {
            Some(word) => Some((word == "before", label(cursor)?)),
            None => None,
        };
        return body(TypeStatement::AddLabel { name, label: added, if_not_exists, beside });
    }
    if cursor.accept_all(&["rename", "value"]) {
        let from = label(cursor)?;
        cursor.expect("to")?;
        return body(TypeStatement::RenameLabel { name, from, to: label(cursor)? });
    }
    if cursor.are(&["rename", "attribute"])
        || cursor.are(&["add", "attribute"])
        || cursor.are(&["drop", "attribute"])
        || cursor.are(&["alter", "attribute"])
    {
        return Err(cursor.unsupported("ALTER TYPE of an attribute"));
    }
    let object = ObjectName { kind: ObjectKind::Type, name, if_exists: false };
    object::alter_any(cursor, object)
}

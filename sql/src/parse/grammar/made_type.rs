//! CREATE TYPE and ALTER TYPE.

use super::super::ast::{
    AttributeAction, AttributeDefinition, Body, ObjectKind, ObjectName, ObjectStatement, QualifiedName,
    TypeStatement,
};
use super::super::cursor::Cursor;
use super::alter::cascade;
use super::definition::collation;
use super::object;
use super::types::type_name;
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
    if cursor.accept_symbol("(") {
        let attributes = if cursor.is_symbol(")") { Vec::new() } else { cursor.list(attribute)? };
        cursor.expect_symbol(")")?;
        return body(TypeStatement::CreateComposite { name, attributes });
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
    if cursor.accept_all(&["rename", "attribute"]) {
        let from = cursor.name()?;
        cursor.expect("to")?;
        let action = AttributeAction::Rename { from, to: cursor.name()? };
        cascade(cursor);
        return body(TypeStatement::AlterAttributes { name, actions: vec![action] });
    }
    if ["add", "drop", "alter"].iter().any(|word| cursor.are(&[*word, "attribute"])) {
        return alter_attributes(cursor, name);
    }
    let object = ObjectName { kind: ObjectKind::Type, name, if_exists: false };
    object::alter_any(cursor, object)
}

/// A name and a type.
fn attribute(cursor: &mut Cursor<'_>) -> Result<AttributeDefinition> {
    let name = cursor.name()?;
    let ty = type_name(cursor)?;
    if cursor.is("collate") {
        collation(cursor)?;
    }
    Ok(AttributeDefinition { name, ty })
}

/// ADD, DROP and ALTER ATTRIBUTE, one or several. CASCADE is about tables that are made OF a type, which there are not.
fn alter_attributes(cursor: &mut Cursor<'_>, name: QualifiedName) -> Result<Body> {
    let actions = cursor.list(|cursor| {
        let action = if cursor.accept_all(&["add", "attribute"]) {
            AttributeAction::Add(attribute(cursor)?)
        } else if cursor.accept_all(&["drop", "attribute"]) {
            let if_exists = cursor.accept_all(&["if", "exists"]);
            AttributeAction::Drop { name: cursor.name()?, if_exists }
        } else {
            cursor.expect("alter")?;
            cursor.expect("attribute")?;
            let name = cursor.name()?;
            cursor.accept_all(&["set", "data"]);
            cursor.expect("type")?;
            let ty = type_name(cursor)?;
            if cursor.is("collate") {
                collation(cursor)?;
            }
            AttributeAction::Alter(AttributeDefinition { name, ty })
        };
        cascade(cursor);
        Ok(action)
    })?;
    body(TypeStatement::AlterAttributes { name, actions })
}

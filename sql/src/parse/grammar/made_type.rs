//! CREATE TYPE and ALTER TYPE.

use super::super::ast::{
    AttributeAction, AttributeDefinition, Body, CreateRange, ObjectKind, ObjectName, ObjectStatement,
    QualifiedName, RangeAttribute, TypeName, TypeStatement,
};
use super::super::cursor::Cursor;
use super::alter::cascade;
use super::definition::collation;
use super::expression::any_name;
use super::object;
use super::types::type_name;
use crate::error::{Error, Result};

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
    if cursor.accept("range") {
        return range(cursor, name);
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

/// After AS RANGE.
fn range(cursor: &mut Cursor<'_>, name: QualifiedName) -> Result<Body> {
    let mut made = CreateRange { name, subtype: None, attributes: Vec::new() };
    cursor.expect_symbol("(")?;
    cursor.list(|cursor| range_attribute(cursor, &mut made))?;
    cursor.expect_symbol(")")?;
    body(TypeStatement::CreateRange(Box::new(made)))
}

fn range_attribute(cursor: &mut Cursor<'_>, made: &mut CreateRange) -> Result<()> {
    let label = cursor.label()?;
    let attribute = match label.value.as_str() {
        "subtype" => None,
        "subtype_opclass" => Some(RangeAttribute::OperatorClass),
        "collation" => Some(RangeAttribute::Collation),
        "canonical" => Some(RangeAttribute::Canonical),
        "subtype_diff" => Some(RangeAttribute::Difference),
        "multirange_type_name" => Some(RangeAttribute::Multirange),
        other => return Err(Error::new("42601", format!("type attribute \"{other}\" not recognized"))),
    };
    let is_given = match attribute {
        None => made.subtype.is_some(),
        Some(attribute) => made.attributes.iter().any(|(own, _)| *own == attribute),
    };
    if is_given {
        return Err(Error::new("42601", "conflicting or redundant options").at(label.at));
    }
    if !cursor.accept_symbol("=") {
        return Err(Error::new("42601", format!("{} requires a parameter", label.value)));
    }
    match attribute {
        None => made.subtype = Some(subtype(cursor)?),
        Some(attribute) => made.attributes.push((attribute, any_name(cursor)?)),
    }
    Ok(())
}

/// A type, or its name in quotes.
fn subtype(cursor: &mut Cursor<'_>) -> Result<TypeName> {
    let at = cursor.at();
    match cursor.string()? {
        Some(name) => Ok(TypeName { schema: None, name, modifiers: Vec::new(), array: false, at }),
        None => type_name(cursor),
    }
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

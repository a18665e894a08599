//! CREATE DOMAIN and ALTER DOMAIN.

use super::super::ast::{
    AlterDomain, Body, CheckDefinition, CreateDomain, DefaultDefinition, DomainAction, ObjectKind,
    ObjectName, ObjectStatement, TypeStatement,
};
use super::super::cursor::Cursor;
use super::constraint::{attributes, check};
use super::definition::collation;
use super::expression::{expression, restricted};
use super::object;
use super::types::type_name;
use crate::error::{Error, Result};

fn body(statement: TypeStatement) -> Result<Body> {
    Ok(Body::Object(Box::new(ObjectStatement::Type(statement))))
}

/// After CREATE DOMAIN.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Body> {
    let name = cursor.qualified_name()?;
    cursor.accept("as");
    let ty = type_name(cursor)?;
    let mut made = CreateDomain { name, ty, default: None, not_null: false, checks: Vec::new() };
    let mut said = None;
    while !cursor.is_at_end() {
        let at = cursor.at();
        if cursor.is("collate") {
            collation(cursor)?;
            continue;
        }
        if cursor.accept("default") {
            if made.default.is_some() {
                return Err(Error::new("42601", "multiple default expressions"));
            }
            let start = cursor.start();
            let expr = restricted(cursor)?;
            made.default = Some(DefaultDefinition { expr, text: cursor.text_from(start).to_owned() });
            continue;
        }
        let name = if cursor.accept("constraint") { Some(cursor.name()?) } else { None };
        if cursor.is("check") {
            made.checks.push(condition(cursor, name, at)?);
            continue;
        }
        let wanted = cursor.accept("not");
        cursor.expect("null")?;
        if said.is_some_and(|said| said != wanted) {
            return Err(Error::new("42601", "conflicting NULL/NOT NULL constraints"));
        }
        said = Some(wanted);
        made.not_null |= wanted;
    }
    body(TypeStatement::CreateDomain(Box::new(made)))
}

fn condition(
    cursor: &mut Cursor<'_>,
    name: Option<super::super::ast::Name>,
    at: usize,
) -> Result<CheckDefinition> {
    let mut check = check(cursor, name, None, at)?;
    let attributes = attributes(cursor, false)?;
    if attributes.deferrable == Some(true) || attributes.deferred == Some(true) {
        return Err(Error::new("0A000", "specifying constraint deferrability not supported for domains"));
    }
    check.not_valid = attributes.not_valid;
    Ok(check)
}

/// After ALTER DOMAIN.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    let name = cursor.qualified_name()?;
    let at = cursor.at();
    let action = if cursor.accept_all(&["set", "default"]) {
        let start = cursor.start();
        let expr = expression(cursor)?;
        DomainAction::SetDefault(Some(DefaultDefinition { expr, text: cursor.text_from(start).to_owned() }))
    } else if cursor.accept_all(&["drop", "default"]) {
        DomainAction::SetDefault(None)
    } else if cursor.accept_all(&["set", "not", "null"]) {
        DomainAction::NotNull(true)
    } else if cursor.accept_all(&["drop", "not", "null"]) {
        DomainAction::NotNull(false)
    } else if cursor.accept("add") {
        let named = if cursor.accept("constraint") { Some(cursor.name()?) } else { None };
        DomainAction::Add(condition(cursor, named, at)?)
    } else if cursor.accept_all(&["drop", "constraint"]) {
        let if_exists = cursor.accept_all(&["if", "exists"]);
        let name = cursor.name()?;
        object::cascades(cursor);
        DomainAction::Drop { name, if_exists }
    } else if cursor.accept_all(&["rename", "constraint"]) {
        let from = cursor.name()?;
        cursor.expect("to")?;
        DomainAction::Rename { from, to: cursor.name()? }
    } else if cursor.accept_all(&["validate", "constraint"]) {
        DomainAction::Validate(cursor.name()?)
    } else {
        return object::alter_any(cursor, ObjectName { kind: ObjectKind::Domain, name, if_exists: false });
    };
    body(TypeStatement::AlterDomain(Box::new(AlterDomain { name, action })))
}

//! CREATE, ALTER and DROP POLICY, and what ALTER TABLE says of row-level security.

use super::super::access;
use super::super::ast::{
    Body, DefaultDefinition, ObjectStatement, PolicyAction, PolicyConditions, PolicyStatement, RoleReference,
    RowSecurityChange,
};
use super::super::cursor::Cursor;
use super::expression::expression;
use crate::catalog::PolicyCommand;
use crate::error::{Error, Result};

/// After CREATE POLICY.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Body> {
    statement(cursor, false, |cursor, _| {
        let permissive = if cursor.accept("as") { permissive(cursor)? } else { true };
        let command = if cursor.accept("for") { command(cursor)? } else { PolicyCommand::All };
        let roles = roles(cursor)?.unwrap_or_default();
        Ok(PolicyAction::Create { permissive, command, roles, conditions: conditions(cursor)? })
    })
}

/// After ALTER POLICY.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    statement(cursor, true, |cursor, if_exists| {
        if cursor.accept_all(&["rename", "to"]) {
            // IF EXISTS makes no difference to PostgreSQL here.
            return Ok(PolicyAction::Rename { to: cursor.name()? });
        }
        if if_exists {
            return Err(cursor.error());
        }
        let roles = roles(cursor)?;
        Ok(PolicyAction::Alter { roles, conditions: conditions(cursor)? })
    })
}

/// After DROP POLICY.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Body> {
    statement(cursor, true, |cursor, if_exists| {
        // Nothing depends on a policy.
        cursor.accept_one_of(&["cascade", "restrict"]);
        Ok(PolicyAction::Drop { if_exists })
    })
}

fn statement(
    cursor: &mut Cursor<'_>,
    may_be_missing: bool,
    action: impl FnOnce(&mut Cursor<'_>, bool) -> Result<PolicyAction>,
) -> Result<Body> {
    let if_exists = may_be_missing && cursor.accept_all(&["if", "exists"]);
    let name = cursor.name()?;
    cursor.expect("on")?;
    let table = cursor.qualified_name()?;
    let action = action(cursor, if_exists)?;
    Ok(Body::Object(Box::new(ObjectStatement::Policy(Box::new(PolicyStatement { name, table, action })))))
}

fn permissive(cursor: &mut Cursor<'_>) -> Result<bool> {
    let word = cursor.label()?;
    match word.value.as_str() {
        "permissive" => Ok(true),
        "restrictive" => Ok(false),
        other => Err(Error::new("42601", format!("unrecognized row security option \"{other}\""))
            .hint("Only PERMISSIVE or RESTRICTIVE policies are supported currently.")
            .at(word.at)),
    }
}

fn command(cursor: &mut Cursor<'_>) -> Result<PolicyCommand> {
    let keyword = cursor.keyword().to_uppercase();
    let found = PolicyCommand::TABLE.iter().find(|(_, own, _)| *own == keyword);
    let (command, ..) = found.ok_or_else(|| cursor.error())?;
    cursor.advance();
    Ok(*command)
}

/// TO, if it is next.
fn roles(cursor: &mut Cursor<'_>) -> Result<Option<Vec<RoleReference>>> {
    if cursor.accept("to") { cursor.list(access::reference).map(Some) } else { Ok(None) }
}

fn conditions(cursor: &mut Cursor<'_>) -> Result<PolicyConditions> {
    let using = if cursor.accept("using") { Some(condition(cursor)?) } else { None };
    let check = if cursor.accept_all(&["with", "check"]) { Some(condition(cursor)?) } else { None };
    Ok(PolicyConditions { using, check })
}

fn condition(cursor: &mut Cursor<'_>) -> Result<DefaultDefinition> {
    cursor.expect_symbol("(")?;
    let start = cursor.start();
    let expr = expression(cursor)?;
    let text = cursor.text_from(start).to_owned();
    cursor.expect_symbol(")")?;
    Ok(DefaultDefinition { expr, text })
}

/// An action of ALTER TABLE, if it is next.
pub(super) fn row_security(cursor: &mut Cursor<'_>) -> Option<RowSecurityChange> {
    const ACTIONS: [(&[&str], RowSecurityChange); 4] = [
        (&["enable", "row", "level", "security"], RowSecurityChange::Enable),
        (&["disable", "row", "level", "security"], RowSecurityChange::Disable),
        (&["force", "row", "level", "security"], RowSecurityChange::Force),
        (&["no", "force", "row", "level", "security"], RowSecurityChange::NoForce),
    ];
    ACTIONS.iter().find(|(words, _)| cursor.accept_all(words)).map(|(_, change)| *change)
}

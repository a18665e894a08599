//! Constraints of tables and columns.

use super::super::ast::{
    CheckDefinition, DefaultDefinition, ForeignKeyDefinition, KeyDefinition, Name, TableConstraints,
};
use super::super::cursor::Cursor;
use super::definition::{parameters, tablespace};
use super::expression::expression;
use super::index::{INDEX_PARAMETERS, included, nulls_not_distinct};
use crate::catalog::Action;
use crate::error::{Error, Result};

/// What may stand behind any constraint.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attributes {
    pub(super) deferrable: Option<bool>,
    pub(super) deferred: Option<bool>,
    pub(super) not_valid: bool,
    pub(super) no_inherit: bool,
}

impl Attributes {
    pub(super) fn is_deferrable(self) -> bool {
        self.deferrable.unwrap_or(self.deferred == Some(true))
    }

    pub(super) fn is_deferred(self) -> bool {
        self.deferred == Some(true)
    }
}

/// Whether a constraint of a table begins with the token `ahead` of the next; EXCLUDE may be a column's name.
pub(super) fn begins_constraint(cursor: &Cursor<'_>, ahead: usize) -> bool {
    let behind = cursor.peek_at(ahead.saturating_add(1));
    match cursor.peek_at(ahead).keyword {
        "constraint" | "unique" | "primary" | "check" | "foreign" => true,
        "exclude" => behind.keyword == "using" || behind.is_symbol("("),
        _ => false,
    }
}

/// A constraint of a table.
pub(super) fn table_constraint(cursor: &mut Cursor<'_>) -> Result<TableConstraints> {
    let at = cursor.at();
    let name = if cursor.accept("constraint") { Some(cursor.name()?) } else { None };
    let mut constraints = TableConstraints::default();
    match cursor.keyword() {
        "primary" | "unique" => {
            let (primary, nulls_not_distinct) = key_words(cursor)?;
            let index = if cursor.accept_all(&["using", "index"]) { Some(cursor.name()?) } else { None };
            let columns = if index.is_none() { cursor.name_list()? } else { Vec::new() };
            let included = key_clauses(cursor)?;
            let key = KeyDefinition { name, primary, columns, included, nulls_not_distinct, index, at };
            constraints.keys.push(key);
        }
        "check" => {
            let mut check = check(cursor, name, None, at)?;
            let attributes = attributes(cursor, false)?;
            refuse_deferral(attributes, "CHECK")?;
            check.not_valid = attributes.not_valid;
            check.no_inherit = attributes.no_inherit;
            constraints.checks.push(check);
        }
        "foreign" => {
            cursor.advance();
            cursor.expect("key")?;
            let columns = cursor.name_list()?;
            let mut key = references(cursor, name, columns, at)?;
            let attributes = attributes(cursor, false)?;
            if attributes.no_inherit {
                let message = "FOREIGN KEY constraints cannot be marked NO INHERIT";
                return Err(Error::new("0A000", message).at(at));
            }
            key.deferrable = attributes.is_deferrable();
            key.deferred = attributes.is_deferred();
            key.not_valid = attributes.not_valid;
            constraints.foreign_keys.push(key);
        }
        "exclude" => return Err(cursor.unsupported("EXCLUDE")),
        _ => return Err(cursor.error()),
    }
    Ok(constraints)
}

/// A constraint of a column whose words are next, if one is.
pub(super) fn column_constraint(
    cursor: &mut Cursor<'_>,
    column: &Name,
    name: Option<&Name>,
    at: usize,
    constraints: &mut TableConstraints,
) -> Result<bool> {
    match cursor.keyword() {
        "primary" | "unique" => {
            let (primary, nulls_not_distinct) = key_words(cursor)?;
            let included = key_clauses(cursor)?;
            let (name, columns) = (name.cloned(), vec![column.clone()]);
            let key = KeyDefinition { name, primary, columns, included, nulls_not_distinct, index: None, at };
            constraints.keys.push(key);
        }
        "check" => {
            let mut check = check(cursor, name.cloned(), Some(column), at)?;
            check.no_inherit = cursor.accept_all(&["no", "inherit"]);
            constraints.checks.push(check);
        }
        "references" => {
            let mut key = references(cursor, name.cloned(), vec![column.clone()], at)?;
            let attributes = attributes(cursor, true)?;
            if attributes.not_valid || attributes.no_inherit {
                return Err(cursor.error());
            }
            key.deferrable = attributes.is_deferrable();
            key.deferred = attributes.is_deferred();
            constraints.foreign_keys.push(key);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

pub(super) fn check(
    cursor: &mut Cursor<'_>,
    name: Option<Name>,
    column: Option<&Name>,
    at: usize,
) -> Result<CheckDefinition> {
    cursor.expect("check")?;
    cursor.expect_symbol("(")?;
    let start = cursor.start();
    let expr = expression(cursor)?;
    let text = cursor.text_from(start).to_owned();
    cursor.expect_symbol(")")?;
    Ok(CheckDefinition {
        name,
        condition: DefaultDefinition { expr, text },
        column: column.map(|column| column.value.clone()),
        not_valid: false,
        no_inherit: false,
        is_kept: false,
        at,
    })
}

/// `REFERENCES t (a) MATCH FULL ON DELETE CASCADE`
fn references(
    cursor: &mut Cursor<'_>,
    name: Option<Name>,
    columns: Vec<Name>,
    at: usize,
) -> Result<ForeignKeyDefinition> {
    cursor.expect("references")?;
    let parent = cursor.qualified_name()?;
    let parent_columns = if cursor.is_symbol("(") { cursor.name_list()? } else { Vec::new() };
    let mut match_full = false;
    if cursor.accept("match") {
        let at = cursor.at();
        match cursor.accept_one_of(&["full", "simple", "partial"]) {
            Some("full") => match_full = true,
            Some("partial") => return Err(Error::new("0A000", "MATCH PARTIAL not yet implemented").at(at)),
            Some(_) => {}
            None => return Err(cursor.error()),
        }
    }
    let (mut on_update, mut on_delete, mut set_columns) = (None, None, Vec::new());
    while cursor.is("on") {
        let at = cursor.advance().at;
        match cursor.accept_one_of(&["update", "delete"]) {
            Some("update") if on_update.is_none() => {
                let (action, columns) = action(cursor)?;
                if !columns.is_empty() {
                    let message = "a column list with SET NULL is only supported for ON DELETE actions";
                    let message = message.replace("SET NULL", action.words());
                    return Err(Error::new("0A000", message).at(at));
                }
                on_update = Some(action);
            }
            Some("delete") if on_delete.is_none() => {
                let (action, columns) = action(cursor)?;
                on_delete = Some(action);
                set_columns = columns;
            }
            _ => return Err(cursor.error()),
        }
    }
    Ok(ForeignKeyDefinition {
        name,
        columns,
        parent,
        parent_columns,
        match_full,
        on_update: on_update.unwrap_or_default(),
        on_delete: on_delete.unwrap_or_default(),
        set_columns,
        deferrable: false,
        deferred: false,
        not_valid: false,
        at,
    })
}

fn action(cursor: &mut Cursor<'_>) -> Result<(Action, Vec<Name>)> {
    if cursor.accept_all(&["no", "action"]) {
        return Ok((Action::NoAction, Vec::new()));
    }
    match cursor.accept_one_of(&["restrict", "cascade", "set"]) {
        Some("restrict") => Ok((Action::Restrict, Vec::new())),
        Some("cascade") => Ok((Action::Cascade, Vec::new())),
        Some(_) => {
            let action = match cursor.accept_one_of(&["null", "default"]) {
                Some("null") => Action::SetNull,
                Some(_) => Action::SetDefault,
                None => return Err(cursor.error()),
            };
            let columns = if cursor.is_symbol("(") { cursor.name_list()? } else { Vec::new() };
            Ok((action, columns))
        }
        None => Err(cursor.error()),
    }
}

/// `NOT DEFERRABLE INITIALLY IMMEDIATE NOT VALID NO INHERIT`, in any order.
pub(super) fn attributes(cursor: &mut Cursor<'_>, of_column: bool) -> Result<Attributes> {
    let twice = |column: &'static str| if of_column { column } else { "conflicting constraint properties" };
    let deferrable_twice = twice("multiple DEFERRABLE/NOT DEFERRABLE clauses not allowed");
    let initially_twice = twice("multiple INITIALLY IMMEDIATE/DEFERRED clauses not allowed");
    let mut attributes = Attributes::default();
    loop {
        let at = cursor.at();
        let conflict = |what: &str| Err(Error::new("42601", what.to_owned()).at(at));
        if cursor.accept_all(&["not", "deferrable"]) {
            if attributes.deferrable == Some(true) || attributes.deferred == Some(true) {
                return conflict(deferrable_twice);
            }
            attributes.deferrable = Some(false);
        } else if cursor.accept("deferrable") {
            if attributes.deferrable == Some(false) {
                return conflict(deferrable_twice);
            }
            attributes.deferrable = Some(true);
        } else if cursor.accept_all(&["initially", "deferred"]) {
            if attributes.deferred == Some(false) {
                return conflict(initially_twice);
            }
            if attributes.deferrable == Some(false) {
                return conflict("constraint declared INITIALLY DEFERRED must be DEFERRABLE");
            }
            attributes.deferred = Some(true);
        } else if cursor.accept_all(&["initially", "immediate"]) {
            if attributes.deferred == Some(true) {
                return conflict(initially_twice);
            }
            attributes.deferred = Some(false);
        } else if cursor.accept_all(&["not", "valid"]) {
            attributes.not_valid = true;
        } else if cursor.accept_all(&["no", "inherit"]) {
            attributes.no_inherit = true;
        } else {
            return Ok(attributes);
        }
    }
}

fn refuse_deferral(attributes: Attributes, kind: &str) -> Result<()> {
    if attributes.is_deferrable() || attributes.is_deferred() {
        let message = format!("{kind} constraints cannot be marked DEFERRABLE");
        return Err(Error::new("0A000", message));
    }
    Ok(())
}

/// Whether it is PRIMARY KEY, or UNIQUE, and whether NULLS NOT DISTINCT.
fn key_words(cursor: &mut Cursor<'_>) -> Result<(bool, bool)> {
    let primary = cursor.advance().keyword == "primary";
    if primary {
        cursor.expect("key")?;
        return Ok((true, false));
    }
    Ok((false, nulls_not_distinct(cursor)))
}

/// What follows the columns of a key; the included ones.
fn key_clauses(cursor: &mut Cursor<'_>) -> Result<Vec<Name>> {
    let included = included(cursor)?;
    if cursor.accept("with") {
        parameters(cursor, &INDEX_PARAMETERS)?;
    }
    if cursor.accept_all(&["using", "index"]) {
        if !cursor.is("tablespace") {
            return Err(cursor.error());
        }
        tablespace(cursor)?;
    }
    while deferral(cursor)? {}
    Ok(included)
}

/// NOT DEFERRABLE, INITIALLY IMMEDIATE: what every unique key is.
pub(super) fn deferral(cursor: &mut Cursor<'_>) -> Result<bool> {
    cursor.refuse(&["deferrable"])?;
    cursor.refuse(&["initially", "deferred"])?;
    Ok(cursor.accept_all(&["not", "deferrable"]) || cursor.accept_all(&["initially", "immediate"]))
}

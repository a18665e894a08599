//! ALTER TABLE.

use super::super::access;
use super::super::ast::{
    AlterAction, AlterTable, Body, DefaultDefinition, Expr, HistoryOf, Name, ObjectKind, ObjectName,
    TableConstraints,
};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::constraint::{attributes, begins_constraint, table_constraint};
use super::definition::{
    collation, column, parameters, reset_parameters, reset_table_parameters, table_parameters, tablespace,
    unsupported_object,
};
use super::expression::{expression, expressions};
use super::past::{keep_history, keeps_history};
use super::types::type_name;
use super::{domain, function, made_type, object, policy};
use crate::error::{Error, Result};

/// Parameters of columns that are accepted without effect.
const COLUMN_PARAMETERS: [&str; 2] = ["n_distinct", "n_distinct_inherited"];

/// ALTER.
pub(in super::super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.advance().at;
    let kind = match cursor.keyword() {
        "index" => ObjectKind::Index,
        "sequence" => ObjectKind::Sequence,
        "schema" => ObjectKind::Schema,
        "view" => ObjectKind::View,
        "materialized" if cursor.peek_at(1).keyword == "view" => {
            cursor.advance();
            ObjectKind::MaterialisedView
        }
        "table" => ObjectKind::Table,
        "type" => {
            cursor.advance();
            return made_type::alter(cursor);
        }
        "domain" => {
            cursor.advance();
            return domain::alter(cursor);
        }
        "function" => {
            cursor.advance();
            return function::alter(cursor);
        }
        "default" if cursor.peek_at(1).keyword == "privileges" => {
            cursor.advance();
            cursor.advance();
            return access::default_privileges(cursor);
        }
        "policy" => {
            cursor.advance();
            return policy::alter(cursor);
        }
        _ => return Err(unsupported_object(cursor, "ALTER", at)),
    };
    cursor.advance();
    if kind != ObjectKind::Table {
        return object::alter(cursor, kind);
    }
    if cursor.are(&["all", "in", "tablespace"]) {
        return Err(cursor.unsupported("ALTER TABLE ALL IN TABLESPACE"));
    }
    let if_exists = cursor.accept_all(&["if", "exists"]);
    cursor.accept("only");
    let name = cursor.qualified_name()?;
    cursor.accept_symbol("*");
    if cursor.accept_word("split") {
        cursor.expect("at")?;
        cursor.expect("values")?;
        return Ok(Body::SplitAt { table: name, rows: cursor.list(split_row)? });
    }
    if keeps_history(cursor) {
        if if_exists {
            return Err(cursor.unsupported("SET (history) with IF EXISTS"));
        }
        return keep_history(cursor, HistoryOf::Table(name));
    }
    let object = ObjectName { kind, name, if_exists };
    if let Some(statement) = object::alteration(cursor, &object)? {
        return Ok(statement);
    }
    let actions = if cursor.is("rename") { vec![rename(cursor)?] } else { cursor.list(action)? };
    if let [AlterAction::Owner(owner)] = actions.as_slice() {
        return Ok(object::owner(object, owner.clone()));
    }
    let ObjectName { name, if_exists, .. } = object;
    Ok(Body::AlterTable(Box::new(AlterTable { name, if_exists, actions })))
}

/// RENAME of a part of a table.
fn rename(cursor: &mut Cursor<'_>) -> Result<AlterAction> {
    cursor.expect("rename")?;
    if cursor.accept("constraint") {
        let from = cursor.name()?;
        cursor.expect("to")?;
        return Ok(AlterAction::RenameConstraint { from, to: cursor.name()? });
    }
    cursor.accept("column");
    let from = cursor.name()?;
    cursor.expect("to")?;
    Ok(AlterAction::RenameColumn { from, to: cursor.name()? })
}

fn action(cursor: &mut Cursor<'_>) -> Result<AlterAction> {
    match cursor.keyword() {
        "add" => {
            if begins_constraint(cursor, 1) {
                cursor.advance();
                return Ok(AlterAction::AddConstraint(table_constraint(cursor)?));
            }
            cursor.advance();
            cursor.accept("column");
            let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
            let mut constraints = TableConstraints::default();
            let column = Box::new(column(cursor, &mut constraints)?);
            Ok(AlterAction::AddColumn { column, constraints, if_not_exists })
        }
        "drop" if cursor.peek_at(1).keyword == "constraint" => {
            cursor.advance();
            cursor.advance();
            let if_exists = cursor.accept_all(&["if", "exists"]);
            let name = cursor.name()?;
            Ok(AlterAction::DropConstraint { name, if_exists, cascade: cascade(cursor) })
        }
        "drop" => {
            cursor.advance();
            cursor.accept("column");
            let if_exists = cursor.accept_all(&["if", "exists"]);
            let name = cursor.name()?;
            Ok(AlterAction::DropColumn { name, if_exists, cascade: cascade(cursor) })
        }
        "alter" if cursor.peek_at(1).keyword == "constraint" => {
            cursor.advance();
            cursor.advance();
            let name = cursor.name()?;
            let at = cursor.at();
            let attributes = attributes(cursor, false)?;
            if attributes.not_valid || attributes.no_inherit {
                return Err(crate::error::Error::new(
                    "0A000",
                    "this option of ALTER CONSTRAINT is not supported",
                )
                .at(at));
            }
            let (deferrable, deferred) = (attributes.is_deferrable(), attributes.is_deferred());
            Ok(AlterAction::AlterConstraint { name, deferrable, deferred })
        }
        "alter" => {
            cursor.advance();
            cursor.accept("column");
            alter_column(cursor)
        }
        "validate" if cursor.peek_at(1).keyword == "constraint" => {
            cursor.advance();
            cursor.advance();
            Ok(AlterAction::Validate(cursor.name()?))
        }
        "owner" if cursor.peek_at(1).keyword == "to" => {
            cursor.advance();
            cursor.advance();
            Ok(AlterAction::Owner(access::reference(cursor)?))
        }
        _ => {
            if let Some(change) = policy::row_security(cursor) {
                return Ok(AlterAction::RowSecurity(change));
            }
            match without_effect(cursor)? {
                Some(action) => Ok(action),
                None => Err(unsupported_action(cursor)),
            }
        }
    }
}

/// An action that changes nothing here, if one is next; or one of parameters, most of which change nothing.
fn without_effect(cursor: &mut Cursor<'_>) -> Result<Option<AlterAction>> {
    let action =
        |shown: &'static str| Ok(Some(AlterAction::WithoutEffect { column: None, index: None, shown }));
    let of_index =
        |index, shown: &'static str| Ok(Some(AlterAction::WithoutEffect { column: None, index, shown }));
    for (word, shown) in [("set", "SET"), ("reset", "RESET")] {
        if cursor.is(word) && cursor.peek_at(1).is_symbol("(") {
            cursor.advance();
            let audit =
                if word == "set" { table_parameters(cursor)? } else { reset_table_parameters(cursor)? };
            return match audit {
                Some(classes) => Ok(Some(AlterAction::Audit(classes))),
                None => action(shown),
            };
        }
    }
    if cursor.accept_all(&["set", "logged"]) {
        return action("SET LOGGED");
    }
    // A table that survives a crash is more than UNLOGGED asks for.
    if cursor.accept_all(&["set", "unlogged"]) {
        return action("SET UNLOGGED");
    }
    if cursor.accept_all(&["set", "without", "cluster"]) {
        return action("SET WITHOUT CLUSTER");
    }
    if cursor.accept_all(&["cluster", "on"]) {
        return of_index(Some(cursor.name()?), "CLUSTER ON");
    }
    if cursor.accept_all(&["replica", "identity"]) {
        if cursor.accept_all(&["using", "index"]) {
            return of_index(Some(cursor.name()?), "REPLICA IDENTITY");
        }
        return match cursor.accept_one_of(&["default", "full", "nothing"]) {
            Some(_) => action("REPLICA IDENTITY"),
            None => Err(cursor.error()),
        };
    }
    if cursor.accept_all(&["set", "access", "method"]) {
        let method = cursor.name()?;
        return match method.value.as_str() {
            "heap" => action("SET ACCESS METHOD"),
            other => Err(Error::new("42704", format!("access method \"{other}\" does not exist"))),
        };
    }
    // There are no triggers but those that keep foreign keys in PostgreSQL, which nobody turns off here.
    if matches!(cursor.keyword(), "enable" | "disable")
        && cursor.peek_at(1).keyword == "trigger"
        && cursor.peek_at(2).keyword == "user"
    {
        (0..3).for_each(|_| {
            cursor.advance();
        });
        return action("ENABLE TRIGGER");
    }
    if cursor.is("set") && cursor.peek_at(1).keyword == "tablespace" {
        cursor.advance();
        tablespace(cursor)?;
        return action("SET TABLESPACE");
    }
    Ok(None)
}

/// What of a column changes nothing here, if that is next.
fn column_without_effect(cursor: &mut Cursor<'_>, name: &Name) -> Result<Option<AlterAction>> {
    let action = |shown: &'static str| {
        Ok(Some(AlterAction::WithoutEffect { column: Some(name.clone()), index: None, shown }))
    };
    if cursor.accept_all(&["set", "statistics"]) {
        cursor.accept_symbol("-");
        return match cursor.advance().kind {
            Kind::Number => action("ALTER COLUMN ... SET STATISTICS"),
            _ => Err(cursor.error()),
        };
    }
    if cursor.accept_all(&["set", "storage"]) {
        let word = cursor.label()?.value;
        if !matches!(word.to_ascii_lowercase().as_str(), "plain" | "external" | "extended" | "main") {
            return Err(Error::new("22023", format!("invalid storage type \"{word}\"")));
        }
        return action("ALTER COLUMN ... SET STORAGE");
    }
    if cursor.accept_all(&["set", "compression"]) {
        cursor.label()?;
        return action("ALTER COLUMN ... SET COMPRESSION");
    }
    for word in ["set", "reset"] {
        if cursor.is(word) && cursor.peek_at(1).is_symbol("(") {
            cursor.advance();
            match word {
                "set" => parameters(cursor, &COLUMN_PARAMETERS).map(drop)?,
                _ => reset_parameters(cursor).map(drop)?,
            }
            return action("ALTER COLUMN ... SET");
        }
    }
    Ok(None)
}

/// Behind ALTER COLUMN.
fn alter_column(cursor: &mut Cursor<'_>) -> Result<AlterAction> {
    let name = cursor.name()?;
    if cursor.accept_all(&["set", "default"]) {
        let start = cursor.start();
        let expr = expression(cursor)?;
        let text = cursor.text_from(start).to_owned();
        return Ok(AlterAction::SetDefault { name, default: Some(DefaultDefinition { expr, text }) });
    }
    if cursor.accept_all(&["drop", "default"]) {
        return Ok(AlterAction::SetDefault { name, default: None });
    }
    if cursor.accept_all(&["drop", "expression"]) {
        return Ok(AlterAction::DropExpression { name, if_exists: cursor.accept_all(&["if", "exists"]) });
    }
    if cursor.accept_all(&["set", "not", "null"]) {
        return Ok(AlterAction::SetNotNull { name, not_null: true });
    }
    if cursor.accept_all(&["drop", "not", "null"]) {
        return Ok(AlterAction::SetNotNull { name, not_null: false });
    }
    if cursor.accept("type") || cursor.accept_all(&["set", "data", "type"]) {
        let ty = type_name(cursor)?;
        if cursor.is("collate") {
            collation(cursor)?;
        }
        let using = if cursor.accept("using") { Some(expression(cursor)?) } else { None };
        return Ok(AlterAction::SetType { name, ty, using });
    }
    if let Some(action) = object::identity_action(cursor)? {
        return Ok(AlterAction::Identity { name, action });
    }
    if let Some(action) = column_without_effect(cursor, &name)? {
        return Ok(action);
    }
    let (first, second) = (cursor.keyword(), cursor.peek_at(1).keyword);
    if first.is_empty() {
        return Err(cursor.error());
    }
    Err(cursor.unsupported(format!("ALTER COLUMN {first} {second}").trim_end().to_uppercase()))
}

/// CASCADE (true) or RESTRICT.
pub(super) fn cascade(cursor: &mut Cursor<'_>) -> bool {
    cursor.accept_one_of(&["cascade", "restrict"]) == Some("cascade")
}

/// A row of SPLIT AT VALUES.
fn split_row(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>> {
    cursor.expect_symbol("(")?;
    let row = expressions(cursor)?;
    cursor.expect_symbol(")")?;
    Ok(row)
}

/// An action of ALTER TABLE by its first words.
fn unsupported_action(cursor: &Cursor<'_>) -> crate::error::Error {
    let next = cursor.peek_at(1).keyword;
    let shown = match cursor.keyword() {
        "" => return cursor.error(),
        word @ ("set" | "enable" | "disable" | "no" | "replica" | "force" | "attach" | "detach"
        | "cluster")
            if !next.is_empty() =>
        {
            format!("{word} {next}")
        }
        word @ ("set" | "reset" | "inherit" | "of" | "not") => word.to_owned(),
        _ => return cursor.error(),
    };
    cursor.unsupported(format!("ALTER TABLE {}", shown.to_uppercase()))
}

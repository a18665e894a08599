//! ALTER TABLE.

use super::super::access;
use super::super::ast::{
    AlterAction, AlterTable, Body, DefaultDefinition, Expr, ObjectKind, ObjectName, TableConstraints,
};
use super::super::cursor::Cursor;
use super::constraint::{attributes, begins_constraint, table_constraint};
use super::definition::{collation, column, unsupported_object};
use super::expression::{expression, expressions};
use super::object;
use super::types::type_name;
use crate::error::Result;

/// ALTER.
pub(in super::super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.advance().at;
    let kind = match cursor.keyword() {
        "index" => ObjectKind::Index,
        "sequence" => ObjectKind::Sequence,
        "schema" => ObjectKind::Schema,
        "view" => ObjectKind::View,
        "table" => ObjectKind::Table,
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
        _ => Err(unsupported_action(cursor)),
    }
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

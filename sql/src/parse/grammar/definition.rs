//! CREATE TABLE, CREATE INDEX, DROP, TRUNCATE.

use super::super::ast::{
    Body, ColumnDefinition, CreateIndex, CreateTable, DefaultDefinition, IndexColumn, Name, ObjectKind,
    TableConstraints, Truncate,
};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::super::option::option_value;
use super::alter::cascade;
use super::constraint::{begins_constraint, column_constraint, deferral, table_constraint};
use super::expression::{any_name, restricted};
use super::object;
use super::query::direction;
use super::types::type_name;
use crate::error::{Error, Result};

/// Storage parameters of tables that are accepted without effect.
const TABLE_PARAMETERS: [&str; 3] = ["fillfactor", "autovacuum_enabled", "toast_tuple_target"];
/// The same of indexes.
pub(super) const INDEX_PARAMETERS: [&str; 2] = ["fillfactor", "deduplicate_items"];

/// CREATE.
pub(in super::super) fn create(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.advance().at;
    let replace = cursor.accept_all(&["or", "replace"]);
    let global = cursor.accept_one_of(&["global", "local"]).is_some();
    if cursor.accept_one_of(&["temp", "temporary"]).is_some() || global {
        return Err(Error::unsupported(format!("CREATE TEMPORARY {}", object(cursor))).at(at));
    }
    // A table that survives a crash is more than UNLOGGED asks for.
    cursor.accept("unlogged");
    if !replace && cursor.accept("sequence") {
        return object::create_sequence(cursor);
    }
    if !replace && cursor.accept("schema") {
        return object::create_schema(cursor);
    }
    if cursor.accept("view") {
        return object::create_view(cursor, replace);
    }
    let unique = cursor.is("unique");
    if !replace && cursor.accept("table") {
        return create_table(cursor);
    }
    if !replace && (cursor.accept("index") || cursor.accept_all(&["unique", "index"])) {
        return create_index(cursor, unique);
    }
    Err(unsupported_object(cursor, "CREATE", at))
}

/// What a definition is of, in capitals: one word or two.
fn object(cursor: &Cursor<'_>) -> String {
    const FIRST: [&str; 7] = ["materialized", "event", "foreign", "access", "text", "user", "default"];
    let first = cursor.keyword();
    let second = cursor.peek_at(1).keyword;
    let two = FIRST.contains(&first) && !second.is_empty();
    let shown = if two { format!("{first} {second}") } else { first.to_owned() };
    shown.to_uppercase()
}

/// 0A000 for a definition of something that we do not have; 42601 if PostgreSQL has it neither.
pub(super) fn unsupported_object(cursor: &Cursor<'_>, verb: &str, at: usize) -> Error {
    const OBJECTS: [&str; 32] = [
        "access",
        "aggregate",
        "cast",
        "collation",
        "constraint",
        "conversion",
        "database",
        "default",
        "domain",
        "event",
        "extension",
        "foreign",
        "function",
        "group",
        "language",
        "materialized",
        "operator",
        "owned",
        "policy",
        "procedure",
        "publication",
        "recursive",
        "role",
        "rule",
        "schema",
        "sequence",
        "server",
        "statistics",
        "subscription",
        "tablespace",
        "text",
        "transform",
    ];
    let known = OBJECTS.contains(&cursor.keyword())
        || matches!(
            cursor.keyword(),
            "trigger" | "type" | "user" | "view" | "procedural" | "trusted" | "large"
        )
        || matches!(cursor.keyword(), "routine" | "system" | "index" | "privileges");
    if known { Error::unsupported(format!("{verb} {}", object(cursor))).at(at) } else { cursor.error() }
}

fn create_table(cursor: &mut Cursor<'_>) -> Result<Body> {
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = cursor.qualified_name()?;
    let names_alone =
        cursor.is_symbol("(") && (cursor.peek_at(2).is_symbol(",") || cursor.peek_at(2).is_symbol(")"));
    if cursor.is("as") || names_alone {
        return object::create_table_as(cursor, name, if_not_exists);
    }
    if cursor.is("partition") {
        return Err(cursor.unsupported("PARTITION OF"));
    }
    if cursor.is("of") {
        return Err(cursor.unsupported("CREATE TABLE OF a type"));
    }
    cursor.expect_symbol("(")?;
    let mut columns = Vec::new();
    let (mut constraints, mut of_table) = (TableConstraints::default(), TableConstraints::default());
    if !cursor.is_symbol(")") {
        loop {
            match cursor.keyword() {
                _ if begins_constraint(cursor, 0) => of_table.append(table_constraint(cursor)?),
                "like" => return Err(cursor.unsupported("LIKE in CREATE TABLE")),
                _ => columns.push(column(cursor, &mut constraints)?),
            }
            if !cursor.accept_symbol(",") {
                break;
            }
        }
    }
    cursor.expect_symbol(")")?;
    constraints.append(of_table);
    table_clauses(cursor)?;
    Ok(Body::CreateTable(Box::new(CreateTable { name, if_not_exists, columns, constraints })))
}

/// What may follow the columns.
fn table_clauses(cursor: &mut Cursor<'_>) -> Result<()> {
    loop {
        match cursor.keyword() {
            "inherits" => return Err(cursor.unsupported("INHERITS")),
            "partition" => return Err(cursor.unsupported("PARTITION BY")),
            "using" => return Err(cursor.unsupported("a table access method")),
            "on" => return Err(cursor.unsupported("ON COMMIT")),
            "as" => return Err(cursor.unsupported("CREATE TABLE AS")),
            "tablespace" => tablespace(cursor)?,
            "with" => {
                cursor.advance();
                parameters(cursor, &TABLE_PARAMETERS)?;
            }
            "without" => {
                cursor.advance();
                if cursor.word().as_deref() != Some("oids") {
                    return Err(cursor.error());
                }
                cursor.advance();
            }
            _ => return Ok(()),
        }
    }
}

/// `TABLESPACE pg_default`: the one there is.
pub(super) fn tablespace(cursor: &mut Cursor<'_>) -> Result<()> {
    let at = cursor.advance().at;
    let name = cursor.name()?;
    if name.value == "pg_default" { Ok(()) } else { Err(Error::unsupported("TABLESPACE").at(at)) }
}

/// `(fillfactor = 70)`: accepted without effect if PostgreSQL knows them.
pub(super) fn parameters(cursor: &mut Cursor<'_>, known: &[&str]) -> Result<()> {
    cursor.expect_symbol("(")?;
    cursor.list(|cursor| {
        let mut name = cursor.label()?;
        if cursor.accept_symbol(".") {
            name = Name { value: format!("{}.{}", name.value, cursor.label()?.value), at: name.at };
        }
        let is_oids = name.value == "oids";
        if cursor.accept_symbol("=") {
            let minus = cursor.accept_symbol("-");
            let value = option_value(cursor)?;
            if value.is_none() {
                return Err(cursor.error());
            }
            let off = matches!(
                value.as_deref().map(str::to_ascii_lowercase).as_deref(),
                Some("false" | "off" | "0")
            );
            if is_oids && off && !minus {
                return Ok(());
            }
        }
        if is_oids {
            return Err(Error::new("0A000", "tables declared WITH OIDS are not supported").at(name.at));
        }
        if known.contains(&name.value.as_str()) {
            return Ok(());
        }
        let message = format!("unrecognized parameter \"{}\"", name.value);
        Err(Error::new("22023", message).at(name.at))
    })?;
    cursor.expect_symbol(")")
}

/// A column with its constraints.
pub(super) fn column(
    cursor: &mut Cursor<'_>,
    constraints: &mut TableConstraints,
) -> Result<ColumnDefinition> {
    let name = cursor.name()?;
    let ty = type_name(cursor)?;
    let mut definition =
        ColumnDefinition { name, ty, not_null: false, default: None, identities: Vec::new() };
    loop {
        let at = cursor.at();
        let constraint = if cursor.accept("constraint") { Some(cursor.name()?) } else { None };
        match cursor.keyword() {
            "not" if cursor.peek_at(1).keyword == "null" => {
                cursor.advance();
                cursor.advance();
                definition.not_null = true;
            }
            "null" => {
                cursor.advance();
            }
            "default" => {
                cursor.advance();
                let start = cursor.start();
                let expr = restricted(cursor)?;
                let text = cursor.text_from(start).to_owned();
                definition.default = Some(DefaultDefinition { expr, text });
            }
            "collate" => collation(cursor)?,
            "generated" if object::begins_identity(cursor) => {
                definition.identities.push(object::identity(cursor)?);
            }
            "generated" => return Err(cursor.unsupported("GENERATED")),
            word @ ("storage" | "compression") => return Err(cursor.unsupported(word.to_uppercase())),
            _ if column_constraint(cursor, &definition.name, constraint.as_ref(), at, constraints)? => {}
            _ if constraint.is_some() => return Err(cursor.error()),
            _ if deferral(cursor)? => {}
            _ => return Ok(definition),
        }
    }
}

/// `COLLATE "C"`: there is no other order.
pub(super) fn collation(cursor: &mut Cursor<'_>) -> Result<()> {
    let at = cursor.advance().at;
    let name = any_name(cursor)?;
    if matches!(name.name.value.as_str(), "default" | "C" | "POSIX") {
        return Ok(());
    }
    Err(Error::unsupported(format!("COLLATE \"{}\"", name.name.value)).at(at))
}

pub(super) fn nulls_distinct(cursor: &mut Cursor<'_>) -> Result<()> {
    cursor.refuse(&["nulls", "not", "distinct"])?;
    cursor.accept_all(&["nulls", "distinct"]);
    Ok(())
}

fn create_index(cursor: &mut Cursor<'_>, unique: bool) -> Result<Body> {
    cursor.accept("concurrently");
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = if cursor.is("on") && !if_not_exists { None } else { Some(cursor.name()?) };
    cursor.expect("on")?;
    cursor.accept("only");
    let table = cursor.qualified_name()?;
    if cursor.accept("using") {
        let method = cursor.name()?;
        if method.value != "btree" {
            return Err(Error::unsupported("an index other than btree").at(method.at));
        }
    }
    cursor.expect_symbol("(")?;
    let columns = cursor.list(index_column)?;
    cursor.expect_symbol(")")?;
    cursor.refuse(&["include"])?;
    nulls_distinct(cursor)?;
    if cursor.accept("with") {
        parameters(cursor, &INDEX_PARAMETERS)?;
    }
    if cursor.is("tablespace") {
        tablespace(cursor)?;
    }
    if cursor.is("where") {
        return Err(cursor.unsupported("a partial index"));
    }
    Ok(Body::CreateIndex(Box::new(CreateIndex { name, table, unique, if_not_exists, columns })))
}

fn index_column(cursor: &mut Cursor<'_>) -> Result<IndexColumn> {
    if cursor.is_symbol("(") || cursor.peek_at(1).is_symbol("(") {
        return Err(cursor.unsupported("an index over an expression"));
    }
    let name = cursor.name()?;
    if cursor.is("collate") {
        collation(cursor)?;
    }
    let token = *cursor.peek();
    let ends = matches!(token.keyword, "asc" | "desc" | "nulls") || token.kind == Kind::Symbol;
    if !ends && matches!(token.kind, Kind::Word | Kind::Quoted) {
        return Err(cursor.unsupported("an operator class"));
    }
    let (descending, nulls_first) = direction(cursor)?;
    Ok(IndexColumn { name, descending, nulls_first })
}

/// DROP.
pub(in super::super) fn drop(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.advance().at;
    let kind = match cursor.keyword() {
        "table" => ObjectKind::Table,
        "sequence" => ObjectKind::Sequence,
        "schema" => ObjectKind::Schema,
        "view" => ObjectKind::View,
        "index" => ObjectKind::Index,
        _ => return Err(unsupported_object(cursor, "DROP", at)),
    };
    cursor.advance();
    if kind == ObjectKind::Index {
        cursor.accept("concurrently");
    }
    object::drop(cursor, kind)
}

/// TRUNCATE.
pub(in super::super) fn truncate(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    cursor.accept("table");
    let names = cursor.list(|cursor| {
        cursor.accept("only");
        let name = cursor.qualified_name()?;
        cursor.accept_symbol("*");
        Ok(name)
    })?;
    let restart = cursor.accept_all(&["restart", "identity"]);
    if !restart {
        cursor.accept_all(&["continue", "identity"]);
    }
    Ok(Body::Truncate(Truncate { names, restart, cascade: cascade(cursor) }))
}

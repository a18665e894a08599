//! CREATE TABLE, CREATE INDEX, DROP, TRUNCATE.

use std::collections::HashSet;

use audit::Classes;

use super::super::ast::{
    Body, ColumnDefinition, CreateTable, DefaultDefinition, LikeParts, Name, ObjectKind, Persistence,
    TableConstraints, TableLike, Truncate,
};
use super::super::cursor::Cursor;
use super::super::option::option_value;
use super::alter::cascade;
use super::constraint::{begins_constraint, column_constraint, deferral, table_constraint};
use super::expression::{any_name, restricted};
use super::index;
use super::persistence::{on_commit, persistence};
use super::types::type_name;
use super::{domain, function, made_type, object, past, policy, view};
use crate::catalog::OnCommit;
use crate::error::{Error, Result};

/// Storage parameters of tables: accepted without effect but for [`AUDIT`].
const TABLE_PARAMETERS: [&str; 25] = [
    AUDIT,
    "autovacuum_analyze_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_enabled",
    "autovacuum_freeze_max_age",
    "autovacuum_freeze_min_age",
    "autovacuum_freeze_table_age",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_multixact_freeze_min_age",
    "autovacuum_multixact_freeze_table_age",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_insert_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "fillfactor",
    "log_autovacuum_min_duration",
    "parallel_workers",
    "toast.autovacuum_enabled",
    "toast_tuple_target",
    "user_catalog_table",
    "vacuum_index_cleanup",
    "vacuum_truncate",
    "toast.vacuum_truncate",
];

/// CREATE.
pub(in super::super) fn create(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.advance().at;
    let replace = cursor.accept_all(&["or", "replace"]);
    let persistence = persistence(cursor)?;
    if persistence.is_temporary() && !matches!(cursor.keyword(), "table" | "sequence" | "view" | "recursive")
    {
        return Err(cursor.error());
    }
    if !replace && cursor.accept("sequence") {
        return object::create_sequence(cursor, persistence);
    }
    if !replace && cursor.accept("schema") {
        return object::create_schema(cursor);
    }
    if cursor.accept("function") {
        return function::create(cursor, replace);
    }
    if cursor.accept("view") {
        return view::create_view(cursor, replace, persistence);
    }
    if !replace && cursor.accept_all(&["materialized", "view"]) {
        return object::create_materialised_view(cursor);
    }
    if !replace && cursor.accept("type") {
        return made_type::create(cursor);
    }
    if !replace && cursor.accept("extension") {
        return object::create_extension(cursor);
    }
    if !replace && cursor.accept("domain") {
        return domain::create(cursor);
    }
    if !replace && cursor.accept("policy") {
        return policy::create(cursor);
    }
    let unique = cursor.is("unique");
    if !replace && cursor.accept("table") {
        return create_table(cursor, persistence);
    }
    if !replace && (cursor.accept("index") || cursor.accept_all(&["unique", "index"])) {
        return index::create(cursor, unique);
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
    const OBJECTS: [&str; 30] = [
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
        "group",
        "language",
        "materialized",
        "operator",
        "owned",
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

fn create_table(cursor: &mut Cursor<'_>, persistence: Persistence) -> Result<Body> {
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = cursor.qualified_name()?;
    let names_alone =
        cursor.is_symbol("(") && (cursor.peek_at(2).is_symbol(",") || cursor.peek_at(2).is_symbol(")"));
    if cursor.is("as") || cursor.are(&["on", "commit"]) || names_alone {
        return object::create_table_as(cursor, name, if_not_exists, persistence);
    }
    if cursor.accept_word("clone") {
        return past::clone_table(cursor, name, if_not_exists, persistence);
    }
    if cursor.is("partition") {
        return Err(cursor.unsupported("PARTITION OF"));
    }
    if cursor.is("of") {
        return Err(cursor.unsupported("CREATE TABLE OF a type"));
    }
    cursor.expect_symbol("(")?;
    let (mut columns, mut likes) = (Vec::new(), Vec::new());
    let (mut constraints, mut of_table) = (TableConstraints::default(), TableConstraints::default());
    if !cursor.is_symbol(")") {
        loop {
            match cursor.keyword() {
                _ if begins_constraint(cursor, 0) => of_table.append(table_constraint(cursor)?),
                "like" => likes.push(like(cursor, columns.len())?),
                _ => columns.push(column(cursor, &mut constraints)?),
            }
            if !cursor.accept_symbol(",") {
                break;
            }
        }
    }
    cursor.expect_symbol(")")?;
    constraints.append(of_table);
    let (audit, on_commit) = table_clauses(cursor)?;
    let create =
        CreateTable { name, if_not_exists, columns, likes, constraints, audit, persistence, on_commit };
    Ok(Body::CreateTable(Box::new(create)))
}

/// `LIKE t INCLUDING ALL EXCLUDING INDEXES`
fn like(cursor: &mut Cursor<'_>, before: usize) -> Result<TableLike> {
    cursor.expect("like")?;
    let table = cursor.qualified_name()?;
    let mut parts = LikeParts::default();
    while let Some(word) = cursor.accept_one_of(&["including", "excluding"]) {
        let wanted = word == "including";
        let part = cursor.word().ok_or_else(|| cursor.error())?;
        match part.as_str() {
            "all" => {
                parts = LikeParts {
                    comments: wanted,
                    constraints: wanted,
                    defaults: wanted,
                    generated: wanted,
                    identity: wanted,
                    indexes: wanted,
                };
            }
            "comments" => parts.comments = wanted,
            "constraints" => parts.constraints = wanted,
            "defaults" => parts.defaults = wanted,
            "generated" => parts.generated = wanted,
            "identity" => parts.identity = wanted,
            "indexes" => parts.indexes = wanted,
            // There is nothing of the kind to take along.
            "compression" | "statistics" | "storage" => {}
            _ => return Err(cursor.error()),
        }
        cursor.advance();
    }
    Ok(TableLike { table, before, parts })
}

/// What may follow the columns; what of the table is to be recorded in the audit log, and ON COMMIT.
fn table_clauses(cursor: &mut Cursor<'_>) -> Result<(Classes, Option<OnCommit>)> {
    let (mut audit, mut at_commit) = (Classes::NONE, None);
    loop {
        match cursor.keyword() {
            "inherits" => return Err(cursor.unsupported("INHERITS")),
            "partition" => return Err(cursor.unsupported("PARTITION BY")),
            "using" => return Err(cursor.unsupported("a table access method")),
            "on" => match on_commit(cursor)? {
                Some(wanted) if at_commit.is_none() => at_commit = Some(wanted),
                _ => return Err(cursor.error()),
            },
            "as" => return Err(cursor.unsupported("CREATE TABLE AS")),
            "tablespace" => tablespace(cursor)?,
            "with" => {
                cursor.advance();
                audit = table_parameters(cursor)?.unwrap_or(audit);
            }
            "without" => {
                cursor.advance();
                if cursor.word().as_deref() != Some("oids") {
                    return Err(cursor.error());
                }
                cursor.advance();
            }
            _ => return Ok((audit, at_commit)),
        }
    }
}

/// `TABLESPACE pg_default`: the one there is.
pub(super) fn tablespace(cursor: &mut Cursor<'_>) -> Result<()> {
    let at = cursor.advance().at;
    let name = cursor.name()?;
    if name.value == "pg_default" { Ok(()) } else { Err(Error::unsupported("TABLESPACE").at(at)) }
}

/// Which parameter of a table says what of it is recorded in the audit log.
const AUDIT: &str = "audit";

/// `(audit = 'read')`: parameters of a table; what `audit` is to be, if that is among them.
pub(super) fn table_parameters(cursor: &mut Cursor<'_>) -> Result<Option<Classes>> {
    let given = parameters(cursor, &TABLE_PARAMETERS)?;
    let Some((_, value)) = given.into_iter().find(|(name, _)| name == AUDIT) else { return Ok(None) };
    // A parameter without a value is one that is true.
    match Classes::parse(value.as_deref().unwrap_or("true"), Classes::OF_TABLES) {
        Ok(classes) => Ok(Some(classes)),
        Err(word) => Err(Error::new("22023", format!("invalid value for parameter \"{AUDIT}\": \"{word}\""))
            .hint("Available values: none, all, read, write, ddl.")),
    }
}

/// `RESET (audit)`; what `audit` is then, if that is among them.
pub(super) fn reset_table_parameters(cursor: &mut Cursor<'_>) -> Result<Option<Classes>> {
    let given = reset_parameters(cursor)?;
    Ok(given.iter().any(|name| name == AUDIT).then_some(Classes::NONE))
}

/// The parameters that RESET names, be they known or not: what is not there can be taken away.
pub(super) fn reset_parameters(cursor: &mut Cursor<'_>) -> Result<Vec<String>> {
    cursor.expect_symbol("(")?;
    let named = cursor.list(|cursor| {
        let name = parameter_name(cursor)?;
        match cursor.accept_symbol("=") {
            true => Err(Error::new("42601", "RESET must not include values for parameters")),
            false => Ok(name.value),
        }
    })?;
    cursor.expect_symbol(")")?;
    Ok(named)
}

/// `fillfactor`, `toast.autovacuum_enabled`
fn parameter_name(cursor: &mut Cursor<'_>) -> Result<Name> {
    let name = cursor.label()?;
    if !cursor.accept_symbol(".") {
        return Ok(name);
    }
    Ok(Name { value: format!("{}.{}", name.value, cursor.label()?.value), at: name.at })
}

/// Parameters of something that has no rows of its own to tell about.
pub(super) fn unaudited_parameters(cursor: &mut Cursor<'_>, what: &str) -> Result<()> {
    let at = cursor.at();
    let given = parameters(cursor, &TABLE_PARAMETERS)?;
    if given.iter().any(|(name, _)| name == AUDIT) {
        return Err(Error::unsupported(format!("the parameter audit of a {what}")).at(at));
    }
    Ok(())
}

/// `(fillfactor = 70)`: of names that PostgreSQL knows, and accepted without effect unless the caller makes one of them.
pub(super) fn parameters(cursor: &mut Cursor<'_>, known: &[&str]) -> Result<Vec<(String, Option<String>)>> {
    let given = listed_parameters(cursor, known)?;
    let twice = {
        let mut names = HashSet::new();
        given.iter().map(|(name, _)| name).find(|name| !names.insert(name.as_str())).cloned()
    };
    match twice {
        Some(name) => Err(Error::new("22023", format!("parameter \"{name}\" specified more than once"))),
        None => Ok(given),
    }
}

fn listed_parameters(cursor: &mut Cursor<'_>, known: &[&str]) -> Result<Vec<(String, Option<String>)>> {
    cursor.expect_symbol("(")?;
    let given = cursor.list(|cursor| {
        let name = parameter_name(cursor)?;
        let is_oids = name.value == "oids";
        let mut value = None;
        if cursor.accept_symbol("=") {
            let minus = cursor.accept_symbol("-");
            value = option_value(cursor)?;
            if value.is_none() {
                return Err(cursor.error());
            }
            let off = matches!(
                value.as_deref().map(str::to_ascii_lowercase).as_deref(),
                Some("false" | "off" | "0")
            );
            if is_oids && off && !minus {
                return Ok((name.value, None));
            }
        }
        if is_oids {
            return Err(Error::new("0A000", "tables declared WITH OIDS are not supported").at(name.at));
        }
        if known.contains(&name.value.as_str()) {
            return Ok((name.value, value));
        }
        let message = format!("unrecognized parameter \"{}\"", name.value);
        Err(Error::new("22023", message))
    })?;
    cursor.expect_symbol(")")?;
    Ok(given)
}

/// A column with its constraints.
pub(super) fn column(
    cursor: &mut Cursor<'_>,
    constraints: &mut TableConstraints,
) -> Result<ColumnDefinition> {
    let name = cursor.name()?;
    let ty = type_name(cursor)?;
    let mut definition = ColumnDefinition {
        name,
        ty,
        not_null: false,
        nullable: false,
        conflict_at: None,
        collated_at: None,
        default: None,
        identities: Vec::new(),
        generations: Vec::new(),
    };
    loop {
        let at = cursor.at();
        let constraint = if cursor.accept("constraint") { Some(cursor.name()?) } else { None };
        match cursor.keyword() {
            "not" if cursor.peek_at(1).keyword == "null" => {
                cursor.advance();
                cursor.advance();
                definition.not_null = true;
                conflicts(&mut definition, at);
            }
            "null" => {
                cursor.advance();
                definition.nullable = true;
                conflicts(&mut definition, at);
            }
            "default" => {
                cursor.advance();
                let start = cursor.start();
                let expr = restricted(cursor)?;
                let text = cursor.text_from(start).to_owned();
                definition.default = Some(DefaultDefinition { expr, text });
            }
            "collate" => {
                collation(cursor)?;
                definition.collated_at = Some(at);
            }
            "generated" if object::begins_identity(cursor) => {
                definition.identities.push(object::identity(cursor)?);
                conflicts(&mut definition, at);
            }
            "generated" => definition.generations.push(object::generation(cursor)?),
            word @ ("storage" | "compression") => return Err(cursor.unsupported(word.to_uppercase())),
            _ if column_constraint(cursor, &definition.name, constraint.as_ref(), at, constraints)? => {}
            _ if constraint.is_some() => return Err(cursor.error()),
            _ if deferral(cursor)? => {}
            _ => return Ok(definition),
        }
    }
}

/// Notes that what stands here of a column does not go with whether NULL was allowed before.
fn conflicts(definition: &mut ColumnDefinition, at: usize) {
    if definition.nullable && (definition.not_null || !definition.identities.is_empty()) {
        definition.conflict_at.get_or_insert(at);
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

/// DROP.
pub(in super::super) fn drop(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.advance().at;
    if cursor.accept("policy") {
        return policy::drop(cursor);
    }
    if cursor.accept("function") {
        return function::drop(cursor);
    }
    let kind = match cursor.keyword() {
        "table" => ObjectKind::Table,
        "sequence" => ObjectKind::Sequence,
        "schema" => ObjectKind::Schema,
        "view" => ObjectKind::View,
        "materialized" if cursor.peek_at(1).keyword == "view" => {
            cursor.advance();
            ObjectKind::MaterialisedView
        }
        "index" => ObjectKind::Index,
        "type" => ObjectKind::Type,
        "domain" => ObjectKind::Domain,
        "extension" => ObjectKind::Extension,
        _ => return Err(unsupported_object(cursor, "DROP", at)),
    };
    cursor.advance();
    let concurrently = kind == ObjectKind::Index && cursor.accept("concurrently");
    object::drop(cursor, kind, concurrently)
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

//! Schemas, sequences and what relations have in common: CREATE, ALTER, DROP; identity columns.

use super::super::access;
use super::super::ast::{
    AccessStatement, Body, CommentTarget, CreateTableAs, DefaultDefinition, GenerationDefinition,
    IdentityAction, IdentityDefinition, Name, ObjectKind, ObjectName, ObjectStatement, Persistence,
    QualifiedName, RoleReference, SequenceOption, SequenceOptionKind,
};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::alter::cascade;
use super::definition::{tablespace, unaudited_parameters};
use super::expression::expression;
use super::function::function_name;
use super::persistence::on_commit;
use super::query::query;
use super::types::type_name;
use super::view::alter_view;
use crate::error::{Error, Result};

fn body(statement: ObjectStatement) -> Result<Body> {
    Ok(Body::Object(Box::new(statement)))
}

/// After CREATE SEQUENCE.
pub(super) fn create_sequence(cursor: &mut Cursor<'_>, persistence: Persistence) -> Result<Body> {
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = cursor.qualified_name()?;
    let options = sequence_options(cursor)?;
    body(ObjectStatement::CreateSequence { name, if_not_exists, options, persistence })
}

/// After CREATE EXTENSION. Which version is asked for makes no difference: there is one of each.
pub(super) fn create_extension(cursor: &mut Cursor<'_>) -> Result<Body> {
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = cursor.name()?;
    cursor.accept("with");
    let mut schema = None;
    loop {
        if cursor.accept("schema") {
            schema = Some(cursor.name()?);
        } else if cursor.accept("version") {
            if cursor.string()?.is_none() {
                cursor.name()?;
            }
        } else if !cursor.accept("cascade") {
            break;
        }
    }
    body(ObjectStatement::CreateExtension { name, if_not_exists, schema })
}

/// After CREATE SCHEMA.
pub(super) fn create_schema(cursor: &mut Cursor<'_>) -> Result<Body> {
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = if cursor.is("authorization") { None } else { Some(cursor.name()?) };
    let owner = if cursor.accept("authorization") { Some(access::reference(cursor)?) } else { None };
    if matches!(cursor.keyword(), "create" | "grant") {
        return Err(cursor.unsupported("CREATE SCHEMA with elements"));
    }
    body(ObjectStatement::CreateSchema { name, if_not_exists, owner })
}

/// After CREATE TABLE and its name, where AS or ON COMMIT follows, or names of columns alone.
pub(super) fn create_table_as(
    cursor: &mut Cursor<'_>,
    name: QualifiedName,
    if_not_exists: bool,
    persistence: Persistence,
) -> Result<Body> {
    let columns = if cursor.is_symbol("(") { cursor.name_list()? } else { Vec::new() };
    let on_commit = on_commit(cursor)?;
    cursor.expect("as")?;
    if cursor.is("execute") {
        return Err(cursor.unsupported("CREATE TABLE AS EXECUTE"));
    }
    let query = query(cursor)?;
    let with_data = with_data(cursor);
    let create =
        CreateTableAs { name, if_not_exists, columns, query, with_data, view: None, persistence, on_commit };
    Ok(Body::CreateTableAs(Box::new(create)))
}

/// WITH NO DATA (false), or WITH DATA.
fn with_data(cursor: &mut Cursor<'_>) -> bool {
    if cursor.accept_all(&["with", "no", "data"]) {
        return false;
    }
    cursor.accept_all(&["with", "data"]);
    true
}

/// After CREATE MATERIALIZED VIEW.
pub(super) fn create_materialised_view(cursor: &mut Cursor<'_>) -> Result<Body> {
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = cursor.qualified_name()?;
    let columns = if cursor.is_symbol("(") { cursor.name_list()? } else { Vec::new() };
    if cursor.accept("using") {
        let method = cursor.name()?;
        if method.value != "heap" {
            let message = format!("access method \"{}\" does not exist", method.value);
            return Err(Error::new("42704", message));
        }
    }
    if cursor.accept("with") {
        unaudited_parameters(cursor, "materialized view")?;
    }
    if cursor.is("tablespace") {
        tablespace(cursor)?;
    }
    cursor.expect("as")?;
    let start = cursor.start();
    let query = query(cursor)?;
    let view = Some(cursor.text_from(start).to_owned());
    let with_data = with_data(cursor);
    let (persistence, on_commit) = (Persistence::Permanent, None);
    let create =
        CreateTableAs { name, if_not_exists, columns, query, with_data, view, persistence, on_commit };
    Ok(Body::CreateTableAs(Box::new(create)))
}

/// REFRESH MATERIALIZED VIEW.
pub(in super::super) fn refresh(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    cursor.expect("materialized")?;
    cursor.expect("view")?;
    let concurrently = cursor.accept("concurrently");
    let name = cursor.qualified_name()?;
    body(ObjectStatement::Refresh { name, concurrently, with_data: with_data(cursor) })
}

/// COMMENT ON.
pub(in super::super) fn comment(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.advance().at;
    cursor.expect("on")?;
    let kind = match cursor.keyword() {
        "table" => Some(ObjectKind::Table),
        "sequence" => Some(ObjectKind::Sequence),
        "view" => Some(ObjectKind::View),
        "materialized" if cursor.peek_at(1).keyword == "view" => Some(ObjectKind::MaterialisedView),
        "schema" => Some(ObjectKind::Schema),
        "index" => Some(ObjectKind::Index),
        "type" => Some(ObjectKind::Type),
        "domain" => Some(ObjectKind::Domain),
        "extension" => Some(ObjectKind::Extension),
        _ => None,
    };
    let on = if let Some(kind) = kind {
        cursor.advance();
        if kind == ObjectKind::MaterialisedView {
            cursor.expect("view")?;
        }
        let name = match kind {
            ObjectKind::Schema | ObjectKind::Extension => {
                QualifiedName { schema: None, name: cursor.name()? }
            }
            _ => cursor.qualified_name()?,
        };
        CommentTarget::Object(ObjectName { kind, name, if_exists: false })
    } else if cursor.accept("column") {
        let unqualified = || Error::new("42601", "column name must be qualified");
        let dotted = cursor.peek_at(1).is_symbol(".");
        let owner = if dotted { owned_by(cursor)? } else { return Err(unqualified()) };
        let (table, column) = owner.ok_or_else(unqualified)?;
        CommentTarget::Column(table, column)
    } else if cursor.accept("constraint") {
        let name = cursor.name()?;
        cursor.expect("on")?;
        if cursor.is("domain") {
            return Err(cursor.unsupported("COMMENT ON CONSTRAINT of a domain"));
        }
        CommentTarget::Constraint { name, table: cursor.qualified_name()? }
    } else if cursor.accept("function") {
        CommentTarget::Function(function_name(cursor)?)
    } else if cursor.accept("database") {
        CommentTarget::Database(cursor.name()?)
    } else if cursor.keyword().is_empty() {
        return Err(cursor.error());
    } else {
        return Err(Error::unsupported(format!("COMMENT ON {}", cursor.keyword().to_uppercase())).at(at));
    };
    cursor.expect("is")?;
    let text =
        if cursor.accept("null") { None } else { Some(cursor.string()?.ok_or_else(|| cursor.error())?) };
    body(ObjectStatement::Comment { on, text })
}

/// After ALTER and the kind of what is no table.
pub(super) fn alter(cursor: &mut Cursor<'_>, kind: ObjectKind) -> Result<Body> {
    let if_exists = kind != ObjectKind::Schema && cursor.accept_all(&["if", "exists"]);
    let name = match kind {
        ObjectKind::Schema => QualifiedName { schema: None, name: cursor.name()? },
        _ => cursor.qualified_name()?,
    };
    let object = ObjectName { kind, name, if_exists };
    if let Some(statement) = alteration(cursor, &object)? {
        return Ok(statement);
    }
    if kind != ObjectKind::Index && cursor.accept_all(&["owner", "to"]) {
        let role = access::reference(cursor)?;
        return Ok(owner(object, role));
    }
    if kind == ObjectKind::View
        && let Some(statement) = alter_view(cursor, &object)?
    {
        return Ok(statement);
    }
    let word = cursor.keyword();
    let unsupported = match kind {
        ObjectKind::View if matches!(word, "set" | "reset") => Some("VIEW"),
        ObjectKind::MaterialisedView if !word.is_empty() => Some("MATERIALIZED VIEW"),
        ObjectKind::Index if !word.is_empty() => Some("INDEX"),
        _ => None,
    };
    if let Some(what) = unsupported {
        return Err(cursor.unsupported(format!("ALTER {what} {}", word.to_uppercase())));
    }
    if kind != ObjectKind::Sequence || cursor.is_at_end() || cursor.are(&["set"]) {
        return Err(cursor.error());
    }
    let ObjectName { name, if_exists, .. } = object;
    let options = sequence_options(cursor)?;
    body(ObjectStatement::AlterSequence { name, if_exists, options })
}

/// RESTRICT or CASCADE, where nothing can depend on what goes.
pub(super) fn cascades(cursor: &mut Cursor<'_>) {
    cascade(cursor);
}

/// RENAME TO, SET SCHEMA or OWNER TO.
pub(super) fn alter_any(cursor: &mut Cursor<'_>, object: ObjectName) -> Result<Body> {
    if let Some(statement) = alteration(cursor, &object)? {
        return Ok(statement);
    }
    if !cursor.accept_all(&["owner", "to"]) {
        return Err(cursor.error());
    }
    let role = access::reference(cursor)?;
    Ok(owner(object, role))
}

/// RENAME TO, SET SCHEMA, if one of them is next.
pub(super) fn alteration(cursor: &mut Cursor<'_>, object: &ObjectName) -> Result<Option<Body>> {
    let object = object.clone();
    if cursor.accept_all(&["rename", "to"]) {
        return body(ObjectStatement::Rename { object, to: cursor.name()? }).map(Some);
    }
    let has_schema = !matches!(object.kind, ObjectKind::Schema | ObjectKind::Index);
    if has_schema && cursor.accept_all(&["set", "schema"]) {
        return body(ObjectStatement::SetSchema { object, schema: cursor.name()? }).map(Some);
    }
    Ok(None)
}

/// OWNER TO.
pub(super) fn owner(object: ObjectName, owner: RoleReference) -> Body {
    Body::Access(Box::new(AccessStatement::Owner { object, owner }))
}

/// After DROP and the kind of what is dropped.
pub(super) fn drop(cursor: &mut Cursor<'_>, kind: ObjectKind, concurrently: bool) -> Result<Body> {
    let if_exists = cursor.accept_all(&["if", "exists"]);
    let names: Vec<QualifiedName> = match kind {
        ObjectKind::Schema | ObjectKind::Extension => {
            cursor.list(|cursor| Ok(QualifiedName { schema: None, name: cursor.name()? }))?
        }
        _ => cursor.list(Cursor::qualified_name)?,
    };
    let cascade = cascade(cursor);
    body(ObjectStatement::Drop { kind, names, if_exists, cascade, concurrently })
}

/// Whether GENERATED … AS IDENTITY is next.
pub(super) fn begins_identity(cursor: &Cursor<'_>) -> bool {
    let behind = if cursor.peek_at(1).keyword == "by" { 4 } else { 3 };
    cursor.is("generated") && cursor.peek_at(behind).keyword == "identity"
}

/// GENERATED … AS IDENTITY.
pub(super) fn identity(cursor: &mut Cursor<'_>) -> Result<IdentityDefinition> {
    let at = cursor.at();
    let always = generated(cursor)?;
    cursor.expect("as")?;
    cursor.expect("identity")?;
    let mut options = Vec::new();
    if cursor.accept_symbol("(") {
        options = sequence_options(cursor)?;
        cursor.expect_symbol(")")?;
    }
    Ok(IdentityDefinition { always, options, at })
}

/// `GENERATED ALWAYS AS (a * 2) STORED`
pub(super) fn generation(cursor: &mut Cursor<'_>) -> Result<GenerationDefinition> {
    let at = cursor.at();
    let by_default = cursor.peek_at(1).at;
    let always = generated(cursor)?;
    cursor.expect("as")?;
    cursor.expect_symbol("(")?;
    let start = cursor.start();
    let expr = expression(cursor)?;
    let text = cursor.text_from(start).to_owned();
    cursor.expect_symbol(")")?;
    cursor.expect("stored")?;
    if !always {
        let message = "for a generated column, GENERATED ALWAYS must be specified";
        return Err(Error::new("42601", message).at(by_default));
    }
    Ok(GenerationDefinition { expression: DefaultDefinition { expr, text }, at })
}

/// GENERATED ALWAYS (true) or BY DEFAULT.
fn generated(cursor: &mut Cursor<'_>) -> Result<bool> {
    cursor.expect("generated")?;
    let always = cursor.accept("always");
    if !always {
        cursor.expect("by")?;
        cursor.expect("default")?;
    }
    Ok(always)
}

/// What ALTER COLUMN does about an identity, if that is next: after the column's name.
pub(super) fn identity_action(cursor: &mut Cursor<'_>) -> Result<Option<IdentityAction>> {
    const OPTIONS: [&str; 9] =
        ["generated", "increment", "minvalue", "maxvalue", "start", "restart", "cache", "cycle", "no"];
    if cursor.accept("add") {
        return identity(cursor).map(|identity| Some(IdentityAction::Add(identity)));
    }
    if cursor.accept_all(&["drop", "identity"]) {
        return Ok(Some(IdentityAction::Drop { if_exists: cursor.accept_all(&["if", "exists"]) }));
    }
    if cursor.is("restart") || cursor.is("set") && OPTIONS.contains(&cursor.peek_at(1).keyword) {
        return set_identity(cursor).map(Some);
    }
    Ok(None)
}

fn set_identity(cursor: &mut Cursor<'_>) -> Result<IdentityAction> {
    let mut always = None;
    let mut options = Vec::new();
    while cursor.is("set") || cursor.is("restart") {
        if cursor.is("restart") {
            options.extend(sequence_option(cursor)?);
            continue;
        }
        let at = cursor.advance().at;
        if cursor.is("generated") {
            if always.replace(generated(cursor)?).is_some() {
                return Err(Error::new("42601", "conflicting or redundant options").at(at));
            }
        } else {
            options.push(sequence_option(cursor)?.ok_or_else(|| cursor.error())?);
        }
    }
    Ok(IdentityAction::Set { always, options })
}

/// Options as long as there are any, each at most once.
pub(super) fn sequence_options(cursor: &mut Cursor<'_>) -> Result<Vec<SequenceOption>> {
    let mut options: Vec<SequenceOption> = Vec::new();
    while let Some(option) = sequence_option(cursor)? {
        let same = |other: &SequenceOption| {
            std::mem::discriminant(&other.kind) == std::mem::discriminant(&option.kind)
        };
        if options.iter().any(same) {
            return Err(Error::new("42601", "conflicting or redundant options").at(option.at));
        }
        options.push(option);
    }
    Ok(options)
}

fn sequence_option(cursor: &mut Cursor<'_>) -> Result<Option<SequenceOption>> {
    let at = cursor.at();
    let keyword = cursor.keyword();
    let kind = match keyword {
        "as" => {
            cursor.advance();
            SequenceOptionKind::As(type_name(cursor)?)
        }
        "increment" => {
            cursor.advance();
            cursor.accept("by");
            SequenceOptionKind::Increment(integer(cursor)?)
        }
        "minvalue" | "maxvalue" | "cache" => {
            cursor.advance();
            let value = integer(cursor)?;
            match keyword {
                "minvalue" => SequenceOptionKind::Min(Some(value)),
                "maxvalue" => SequenceOptionKind::Max(Some(value)),
                _ => SequenceOptionKind::Cache(value),
            }
        }
        "start" => {
            cursor.advance();
            cursor.accept("with");
            SequenceOptionKind::Start(integer(cursor)?)
        }
        "restart" => {
            cursor.advance();
            let with = cursor.accept("with");
            let number = cursor.peek().kind == Kind::Number || matches!(cursor.peek().text, "-" | "+");
            SequenceOptionKind::Restart(if with || number { Some(integer(cursor)?) } else { None })
        }
        "cycle" => {
            cursor.advance();
            SequenceOptionKind::Cycle(true)
        }
        "no" => {
            cursor.advance();
            let Some(what) = cursor.accept_one_of(&["minvalue", "maxvalue", "cycle"]) else {
                return Err(cursor.error());
            };
            match what {
                "minvalue" => SequenceOptionKind::Min(None),
                "maxvalue" => SequenceOptionKind::Max(None),
                _ => SequenceOptionKind::Cycle(false),
            }
        }
        "owned" => {
            cursor.advance();
            cursor.expect("by")?;
            SequenceOptionKind::OwnedBy(owned_by(cursor)?)
        }
        "sequence" => {
            cursor.advance();
            cursor.expect("name")?;
            SequenceOptionKind::Name(cursor.qualified_name()?)
        }
        _ => return Ok(None),
    };
    Ok(Some(SequenceOption { kind, at }))
}

/// `table.column`, `schema.table.column`, NONE.
fn owned_by(cursor: &mut Cursor<'_>) -> Result<Option<(QualifiedName, Name)>> {
    let mut parts = vec![cursor.name()?];
    while cursor.accept_symbol(".") {
        parts.push(cursor.label()?);
    }
    let column = parts.pop();
    match (parts.len(), column) {
        (0, Some(name)) if name.value == "none" => Ok(None),
        (1 | 2, Some(column)) => {
            let name = parts.pop().ok_or_else(|| cursor.error())?;
            Ok(Some((QualifiedName { schema: parts.pop(), name }, column)))
        }
        (0, _) => Err(Error::new("42601", "invalid OWNED BY option")
            .hint("Specify OWNED BY table.column or OWNED BY NONE.")),
        _ => Err(cursor.unsupported("a name with a database")),
    }
}

fn integer(cursor: &mut Cursor<'_>) -> Result<i64> {
    let sign = match cursor.peek().text {
        "-" => "-",
        "+" => "",
        _ => return number(cursor, ""),
    };
    cursor.advance();
    number(cursor, sign)
}

fn number(cursor: &mut Cursor<'_>, sign: &str) -> Result<i64> {
    if cursor.peek().kind != Kind::Number {
        return Err(cursor.error());
    }
    let text = format!("{sign}{}", cursor.advance().text);
    text.parse().map_err(|_| {
        let whole = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        let (sqlstate, message) = match whole {
            true => ("22003", format!("value \"{text}\" is out of range for type bigint")),
            false => ("22P02", format!("invalid input syntax for type bigint: \"{text}\"")),
        };
        Error::new(sqlstate, message)
    })
}

//! CREATE, ALTER and DROP ROLE; GRANT and REVOKE.

use super::ast::{
    AccessStatement, Body, DefaultPrivileges, DefaultsStatement, FunctionName, Grant, GrantObjects,
    GrantRoles, Name, NamedRight, Password, RoleOption, RoleReference, RoleStatement,
};
use super::cursor::Cursor;
use super::lexer::Kind;
use super::setting::change_of_default;
use crate::catalog::access::DefaultAclKind;
use crate::error::{Error, Result};

fn body(statement: AccessStatement) -> Result<Body> {
    Ok(Body::Access(Box::new(statement)))
}

/// Whether CREATE, ALTER or DROP is next, and of a role.
pub(super) fn is_about_roles(cursor: &Cursor<'_>) -> bool {
    let mapping = cursor.peek_at(2).keyword == "mapping";
    matches!(cursor.peek_at(1).keyword, "role" | "user" | "group") && !mapping
}

/// After CREATE.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Body> {
    let kind = cursor.advance().keyword;
    let name = role_name(cursor)?;
    cursor.accept("with");
    let options = options(cursor, true)?;
    body(AccessStatement::Role(RoleStatement::Create { name, login: kind == "user", options }))
}

/// After ALTER.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    let kind = cursor.advance().keyword;
    if kind != "group" && cursor.accept("all") {
        return defaults(cursor, None);
    }
    let role = reference(cursor)?;
    if let RoleReference::Named(name) = &role
        && cursor.accept_all(&["rename", "to"])
    {
        let to = role_name(cursor)?;
        return body(AccessStatement::Role(RoleStatement::Rename { role: name.clone(), to }));
    }
    if kind == "group"
        && let Some(verb) = cursor.accept_one_of(&["add", "drop"])
    {
        cursor.expect("user")?;
        let members = cursor.list(reference)?;
        let RoleReference::Named(name) = role else {
            return Err(cursor.unsupported("ALTER GROUP of this role"));
        };
        let revoke = verb == "drop";
        let membership = GrantRoles { revoke, roles: vec![name], members, admin: false, grantor: None };
        return body(AccessStatement::Membership(membership));
    }
    if cursor.is("set") || cursor.is("reset") || cursor.is("in") {
        return defaults(cursor, Some(role));
    }
    cursor.accept("with");
    let options = options(cursor, false)?;
    body(AccessStatement::Role(RoleStatement::Alter { role, options }))
}

/// ALTER ROLE, after the role.
fn defaults(cursor: &mut Cursor<'_>, role: Option<RoleReference>) -> Result<Body> {
    let database = match cursor.accept_all(&["in", "database"]) {
        true => Some(cursor.name()?),
        false => None,
    };
    let change = change_of_default(cursor)?;
    body(AccessStatement::Defaults(DefaultsStatement { is_of_role: true, role, database, change }))
}

/// After DROP.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let if_exists = cursor.accept_all(&["if", "exists"]);
    let roles = cursor.list(reference)?;
    body(AccessStatement::Role(RoleStatement::Drop { roles, if_exists }))
}

/// Options up to the statement's end, each at most once.
fn options(cursor: &mut Cursor<'_>, creates: bool) -> Result<Vec<RoleOption>> {
    let mut options: Vec<RoleOption> = Vec::new();
    while !cursor.is_at_end() {
        let at = cursor.at();
        let option = option(cursor, creates)?;
        if options.iter().any(|other| std::mem::discriminant(other) == std::mem::discriminant(&option)) {
            return Err(Error::new("42601", "conflicting or redundant options").at(at));
        }
        options.push(option);
    }
    Ok(options)
}

fn option(cursor: &mut Cursor<'_>, creates: bool) -> Result<RoleOption> {
    let at = cursor.at();
    let Some(word) = cursor.word() else { return Err(cursor.error()) };
    let error = cursor.error();
    cursor.advance();
    Ok(match word.as_str() {
        "superuser" => RoleOption::Superuser(true),
        "nosuperuser" => RoleOption::Superuser(false),
        "inherit" => RoleOption::Inherit(true),
        "noinherit" => RoleOption::Inherit(false),
        "createrole" => RoleOption::CreateRole(true),
        "nocreaterole" => RoleOption::CreateRole(false),
        "createdb" => RoleOption::CreateDatabase(true),
        "nocreatedb" => RoleOption::CreateDatabase(false),
        "login" => RoleOption::Login(true),
        "nologin" => RoleOption::Login(false),
        "replication" => RoleOption::Replication(true),
        "noreplication" => RoleOption::Replication(false),
        "bypassrls" => RoleOption::BypassRls(true),
        "nobypassrls" => RoleOption::BypassRls(false),
        "connection" => {
            cursor.expect("limit")?;
            RoleOption::ConnectionLimit(integer(cursor)?)
        }
        "encrypted" => {
            cursor.expect("password")?;
            RoleOption::Password(Some(password(cursor)?))
        }
        "password" if cursor.accept("null") => RoleOption::Password(None),
        "password" => RoleOption::Password(Some(password(cursor)?)),
        "unencrypted" => {
            return Err(Error::new("0A000", "UNENCRYPTED PASSWORD is no longer supported")
                .hint("Remove UNENCRYPTED to store the password in encrypted form instead.")
                .at(at));
        }
        "valid" => {
            cursor.expect("until")?;
            RoleOption::ValidUntil(cursor.string()?.ok_or_else(|| cursor.error())?)
        }
        "sysid" if creates => {
            integer(cursor)?;
            RoleOption::SystemId
        }
        "in" if creates => {
            if cursor.accept_one_of(&["role", "group"]).is_none() {
                return Err(cursor.error());
            }
            RoleOption::InRole(cursor.list(reference)?)
        }
        "role" if creates => RoleOption::Members(cursor.list(reference)?),
        "user" => RoleOption::Members(cursor.list(reference)?),
        "admin" if creates => RoleOption::Admins(cursor.list(reference)?),
        _ => {
            return Err(match error.message.starts_with("syntax error") && is_misspelt_option(&word) {
                true => Error::new("42601", format!("unrecognized role option \"{word}\"")).at(at),
                false => error,
            });
        }
    })
}

/// PostgreSQL takes any identifier for an option and refuses it by name; keywords are syntax errors.
fn is_misspelt_option(word: &str) -> bool {
    super::keyword::find(word).is_none()
}

fn integer(cursor: &mut Cursor<'_>) -> Result<i64> {
    let negative = cursor.accept_symbol("-");
    if cursor.peek().kind != Kind::Number {
        return Err(cursor.error());
    }
    let error = cursor.error();
    let number: i64 = cursor.advance().text.parse().map_err(|_| error)?;
    Ok(if negative { number.saturating_neg() } else { number })
}

fn password(cursor: &mut Cursor<'_>) -> Result<Password> {
    let text = cursor.string()?.ok_or_else(|| cursor.error())?;
    Ok(Password(zeroize::Zeroizing::new(text)))
}

/// The name of a role to be: neither what stands for others nor what is kept for the system.
fn role_name(cursor: &mut Cursor<'_>) -> Result<Name> {
    match reference(cursor)? {
        RoleReference::Named(name) => Ok(name),
        RoleReference::Public(at) => Err(Error::new("42939", "role name \"public\" is reserved").at(at)),
        RoleReference::CurrentUser => {
            Err(Error::new("42939", "CURRENT_USER cannot be used as a role name here"))
        }
        RoleReference::SessionUser => {
            Err(Error::new("42939", "SESSION_USER cannot be used as a role name here"))
        }
    }
}

/// A role.
pub(super) fn reference(cursor: &mut Cursor<'_>) -> Result<RoleReference> {
    if cursor.accept_one_of(&["current_user", "current_role"]).is_some() {
        return Ok(RoleReference::CurrentUser);
    }
    if cursor.accept("session_user") {
        return Ok(RoleReference::SessionUser);
    }
    let name = cursor.name()?;
    match name.value.as_str() {
        "public" => Ok(RoleReference::Public(name.at)),
        "none" => Err(Error::new("42939", "role name \"none\" is reserved").at(name.at)),
        _ => Ok(RoleReference::Named(name)),
    }
}

/// Reads the name of a function with the types of its arguments.
type ReadFunction = fn(&mut Cursor<'_>) -> Result<FunctionName>;

/// After GRANT.
pub(super) fn grant(cursor: &mut Cursor<'_>, function: ReadFunction) -> Result<Body> {
    let rights = cursor.list(named_right)?;
    if cursor.accept("to") {
        let roles = roles(rights)?;
        let members = cursor.list(reference)?;
        let admin = cursor.accept_all(&["with", "admin", "option"]);
        let grantor = granted_by(cursor)?;
        let grant = GrantRoles { revoke: false, roles, members, admin, grantor };
        return body(AccessStatement::Membership(grant));
    }
    let objects = objects(cursor, function)?;
    cursor.expect("to")?;
    let grantees = grantees(cursor)?;
    let option = cursor.accept_all(&["with", "grant", "option"]);
    let grantor = granted_by(cursor)?;
    body(AccessStatement::Rights(Grant {
        revoke: false,
        rights,
        objects,
        grantees,
        option,
        grantor,
        cascade: false,
    }))
}

/// After REVOKE.
pub(super) fn revoke(cursor: &mut Cursor<'_>, function: ReadFunction) -> Result<Body> {
    let option = cursor.accept_all(&["grant", "option", "for"]);
    let admin = !option && cursor.accept_all(&["admin", "option", "for"]);
    let rights = cursor.list(named_right)?;
    if !option && cursor.accept("from") {
        let roles = roles(rights)?;
        let members = cursor.list(reference)?;
        let grantor = granted_by(cursor)?;
        // What a member has let others into stays as it is, as in PostgreSQL 15.
        cursor.accept_one_of(&["cascade", "restrict"]);
        let grant = GrantRoles { revoke: true, roles, members, admin, grantor };
        return body(AccessStatement::Membership(grant));
    }
    if admin {
        return Err(cursor.error());
    }
    let objects = objects(cursor, function)?;
    cursor.expect("from")?;
    let grantees = grantees(cursor)?;
    let grantor = granted_by(cursor)?;
    let cascade = cursor.accept_one_of(&["cascade", "restrict"]) == Some("cascade");
    body(AccessStatement::Rights(Grant { revoke: true, rights, objects, grantees, option, grantor, cascade }))
}

/// After ALTER DEFAULT PRIVILEGES.
pub(super) fn default_privileges(cursor: &mut Cursor<'_>) -> Result<Body> {
    let (mut of, mut within) = (None, None);
    loop {
        let at = cursor.at();
        let again = if cursor.accept_all(&["for", "role"]) || cursor.accept_all(&["for", "user"]) {
            of.replace(cursor.list(reference)?).is_some()
        } else if cursor.accept_all(&["in", "schema"]) {
            within.replace(cursor.list(Cursor::name)?).is_some()
        } else {
            break;
        };
        if again {
            return Err(Error::new("42601", "conflicting or redundant options").at(at));
        }
    }
    let revoke = cursor.accept("revoke");
    if !revoke {
        cursor.expect("grant")?;
    }
    let mut option = revoke && cursor.accept_all(&["grant", "option", "for"]);
    let rights = cursor.list(named_right)?;
    cursor.expect("on")?;
    let kind = DefaultAclKind::TABLE.iter().find(|(_, keyword, ..)| cursor.accept(keyword));
    let kind = match kind {
        Some((kind, ..)) => *kind,
        None if matches!(cursor.keyword(), "functions" | "routines" | "types") => {
            let word = cursor.keyword().to_uppercase();
            return Err(cursor.unsupported(format!("ALTER DEFAULT PRIVILEGES ON {word}")));
        }
        None => return Err(cursor.error()),
    };
    cursor.expect(if revoke { "from" } else { "to" })?;
    let grantees = grantees(cursor)?;
    option |= !revoke && cursor.accept_all(&["with", "grant", "option"]);
    let cascade = revoke && cursor.accept_one_of(&["cascade", "restrict"]) == Some("cascade");
    body(AccessStatement::DefaultPrivileges(DefaultPrivileges {
        roles: of.unwrap_or_default(),
        schemas: within.unwrap_or_default(),
        revoke,
        rights,
        kind,
        grantees,
        option,
        cascade,
    }))
}

/// A right, or a role: which of them it is what follows the list tells.
fn named_right(cursor: &mut Cursor<'_>) -> Result<NamedRight> {
    let right = if cursor.accept("all") {
        cursor.accept("privileges");
        None
    } else {
        let name = match cursor.keyword() {
            "select" | "references" | "create" => cursor.label()?,
            _ => cursor.name()?,
        };
        Some(name)
    };
    let columns = if cursor.is_symbol("(") { cursor.name_list()? } else { Vec::new() };
    Ok(NamedRight { right, columns })
}

fn roles(rights: Vec<NamedRight>) -> Result<Vec<Name>> {
    rights
        .into_iter()
        .map(|right| match right {
            NamedRight { right: Some(name), columns } if columns.is_empty() => Ok(name),
            NamedRight { right: Some(_), .. } => {
                Err(Error::new("0LP01", "column names cannot be included in GRANT/REVOKE ROLE"))
            }
            NamedRight { right: None, .. } => Err(Error::new("42601", "syntax error: ALL is no role")),
        })
        .collect()
}

fn grantees(cursor: &mut Cursor<'_>) -> Result<Vec<RoleReference>> {
    cursor.list(|cursor| {
        cursor.accept("group");
        reference(cursor)
    })
}

fn granted_by(cursor: &mut Cursor<'_>) -> Result<Option<RoleReference>> {
    if cursor.accept_all(&["granted", "by"]) { reference(cursor).map(Some) } else { Ok(None) }
}

/// What stands after ON.
fn objects(cursor: &mut Cursor<'_>, function: ReadFunction) -> Result<GrantObjects> {
    const OTHERS: [&str; 11] = [
        "procedure",
        "routine",
        "type",
        "domain",
        "language",
        "tablespace",
        "foreign",
        "parameter",
        "large",
        "functions",
        "routines",
    ];
    cursor.expect("on")?;
    if cursor.accept("table") {
        return cursor.list(Cursor::qualified_name).map(GrantObjects::Tables);
    }
    if cursor.accept("sequence") {
        return cursor.list(Cursor::qualified_name).map(GrantObjects::Sequences);
    }
    if cursor.accept("schema") {
        return cursor.list(Cursor::name).map(GrantObjects::Schemas);
    }
    if cursor.accept("database") {
        return cursor.list(Cursor::name).map(GrantObjects::Databases);
    }
    let names_another = matches!(cursor.peek_at(1).kind, Kind::Word | Kind::Quoted)
        && !matches!(cursor.peek_at(1).keyword, "to" | "from");
    if names_another && cursor.accept("function") {
        return cursor.list(function).map(GrantObjects::Functions);
    }
    if cursor.is("all") {
        if cursor.accept_all(&["all", "tables", "in", "schema"]) {
            return cursor.list(Cursor::name).map(GrantObjects::TablesIn);
        }
        if cursor.accept_all(&["all", "sequences", "in", "schema"]) {
            return cursor.list(Cursor::name).map(GrantObjects::SequencesIn);
        }
        if cursor.accept_all(&["all", "functions", "in", "schema"]) {
            return cursor.list(Cursor::name).map(GrantObjects::FunctionsIn);
        }
        let what = cursor.peek_at(1).text.to_uppercase();
        return Err(cursor.unsupported(format!("GRANT ON ALL {what}")));
    }
    if names_another && OTHERS.contains(&cursor.keyword()) {
        return Err(cursor.unsupported(format!("GRANT ON {}", cursor.keyword().to_uppercase())));
    }
    cursor.list(Cursor::qualified_name).map(GrantObjects::Tables)
}

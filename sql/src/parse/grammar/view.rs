//! CREATE VIEW, and what ALTER VIEW has of its own.

use super::super::ast::{
    Body, CreateView, DefaultDefinition, ObjectName, ObjectStatement, Persistence, ViewOption,
};
use super::super::cursor::Cursor;
use super::super::option::{boolean, option_value};
use super::definition::reset_parameters;
use super::expression::expression;
use super::query::query;
use crate::catalog::CheckOption;
use crate::error::{Error, Result};

fn body(statement: ObjectStatement) -> Result<Body> {
    Ok(Body::Object(Box::new(statement)))
}

/// After CREATE VIEW.
pub(super) fn create_view(cursor: &mut Cursor<'_>, replace: bool, persistence: Persistence) -> Result<Body> {
    let name = cursor.qualified_name()?;
    let columns = if cursor.is_symbol("(") { cursor.name_list()? } else { Vec::new() };
    let mut options = if cursor.accept("with") { view_options(cursor)? } else { Vec::new() };
    cursor.expect("as")?;
    let start = cursor.start();
    let query = query(cursor)?;
    let text = cursor.text_from(start).to_owned();
    if let Some(check) = check_clause(cursor)? {
        options.push(ViewOption::Check(Some(check)));
    }
    check_once(&options)?;
    let create = CreateView { name, replace, columns, options, query, text, persistence };
    body(ObjectStatement::CreateView(Box::new(create)))
}

/// WITH [CASCADED | LOCAL] CHECK OPTION
fn check_clause(cursor: &mut Cursor<'_>) -> Result<Option<CheckOption>> {
    if !cursor.accept("with") {
        return Ok(None);
    }
    let check = if cursor.accept("local") {
        CheckOption::Local
    } else {
        cursor.accept("cascaded");
        CheckOption::Cascaded
    };
    cursor.expect("check")?;
    cursor.expect("option")?;
    Ok(Some(check))
}

/// What ALTER VIEW does to a view alone, if that is next.
pub(super) fn alter_view(cursor: &mut Cursor<'_>, object: &ObjectName) -> Result<Option<Body>> {
    let object = object.clone();
    if cursor.accept("rename") {
        cursor.accept("column");
        let from = cursor.name()?;
        cursor.expect("to")?;
        return body(ObjectStatement::RenameViewColumn { object, from, to: cursor.name()? }).map(Some);
    }
    if cursor.is("set") && cursor.peek_at(1).is_symbol("(") {
        cursor.advance();
        let options = view_options(cursor)?;
        check_once(&options)?;
        return body(ObjectStatement::SetViewOptions { object, options }).map(Some);
    }
    if cursor.is("reset") && cursor.peek_at(1).is_symbol("(") {
        cursor.advance();
        let named = reset_parameters(cursor)?;
        let options = named.iter().filter_map(|name| match name.as_str() {
            "security_invoker" => Some(ViewOption::Invoker(false)),
            "security_barrier" => Some(ViewOption::Barrier(false)),
            "check_option" => Some(ViewOption::Check(None)),
            _ => None,
        });
        let options = options.collect();
        return body(ObjectStatement::SetViewOptions { object, options }).map(Some);
    }
    if !cursor.accept("alter") {
        return Ok(None);
    }
    cursor.accept("column");
    let column = cursor.name()?;
    let default = if cursor.accept_all(&["drop", "default"]) {
        None
    } else {
        cursor.expect("set")?;
        cursor.expect("default")?;
        let start = cursor.start();
        let expr = expression(cursor)?;
        Some(DefaultDefinition { expr, text: cursor.text_from(start).to_owned() })
    };
    body(ObjectStatement::SetViewDefault { object, column, default }).map(Some)
}

/// `(security_invoker = true)`
fn view_options(cursor: &mut Cursor<'_>) -> Result<Vec<ViewOption>> {
    cursor.expect_symbol("(")?;
    let options = cursor.list(|cursor| {
        let name = cursor.label()?;
        let value = if cursor.accept_symbol("=") { option_value(cursor)? } else { None };
        let flag = || {
            boolean(&name.value, value.as_deref()).map_err(|_| {
                let given = value.as_deref().unwrap_or_default();
                let message = format!("invalid value for boolean option \"{}\": {given}", name.value);
                Error::new("22023", message)
            })
        };
        match name.value.as_str() {
            "security_invoker" => Ok(ViewOption::Invoker(flag()?)),
            "security_barrier" => Ok(ViewOption::Barrier(flag()?)),
            "check_option" => Ok(ViewOption::Check(Some(check_option(value.as_deref())?))),
            other => Err(Error::new("22023", format!("unrecognized parameter \"{other}\""))),
        }
    })?;
    cursor.expect_symbol(")")?;
    Ok(options)
}

fn check_option(value: Option<&str>) -> Result<CheckOption> {
    let given = value.unwrap_or("true");
    let known = [CheckOption::Local, CheckOption::Cascaded];
    known.into_iter().find(|check| check.word().eq_ignore_ascii_case(given)).ok_or_else(|| {
        let message = format!("invalid value for enum option \"check_option\": {given}");
        Error::new("22023", message).detail("Valid values are \"local\" and \"cascaded\".")
    })
}

/// 22023 if an option is given twice.
fn check_once(options: &[ViewOption]) -> Result<()> {
    for (place, option) in options.iter().enumerate() {
        if options.iter().take(place).any(|other| other.name() == option.name()) {
            let message = format!("parameter \"{}\" specified more than once", option.name());
            return Err(Error::new("22023", message));
        }
    }
    Ok(())
}

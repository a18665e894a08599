//! CREATE FUNCTION, ALTER FUNCTION, DROP FUNCTION.

use expr::functions::Volatility;

use super::super::access;
use super::super::ast::{
    AccessStatement, Body, CreateFunction, DefaultDefinition, FunctionAction, FunctionName, FunctionOptions,
    FunctionText, ObjectStatement, ParameterDefinition, TypeName,
};
use super::super::cursor::Cursor;
use super::super::keyword::Category;
use super::super::lexer::Kind;
use super::alter::cascade;
use super::expression::expression;
use super::query::{is_query, query};
use super::types::type_name;
use crate::catalog::object::{Parallel, ParameterMode};
use crate::error::{Error, Result};

/// What may be said of a function in PostgreSQL and not here.
const UNSUPPORTED: [&str; 8] =
    ["cost", "leakproof", "reset", "rows", "set", "support", "transform", "window"];

fn body(statement: ObjectStatement) -> Result<Body> {
    Ok(Body::Object(Box::new(statement)))
}

/// After CREATE FUNCTION.
pub(super) fn create(cursor: &mut Cursor<'_>, replace: bool) -> Result<Body> {
    let name = cursor.qualified_function()?;
    cursor.expect_symbol("(")?;
    let mut parameters = parameters(cursor)?;
    let (mut returns, mut is_set) = (None, false);
    if !is_null_input(cursor) && cursor.accept("returns") {
        if cursor.accept("table") {
            is_set = true;
            cursor.expect_symbol("(")?;
            parameters.extend(cursor.list(table_column)?);
            cursor.expect_symbol(")")?;
        } else {
            is_set = cursor.accept("setof");
            returns = Some(own_type(cursor)?);
        }
    }
    let mut said = Said::default();
    while said.one(cursor, true)? {}
    let written = match cursor.keyword() {
        "return" => Some(returned(cursor)?),
        "begin" => Some(atomic(cursor)?),
        _ => None,
    };
    if said.body.is_some() && written.is_some() {
        return Err(Error::new("42P13", "duplicate function body specified"));
    }
    if said.language.is_none() && written.is_none() {
        return Err(Error::new("42P13", "no language specified"));
    }
    let text = said.body.or(written).ok_or_else(|| Error::new("42P13", "no function body specified"))?;
    let options = said.options;
    let create = CreateFunction { name, replace, parameters, returns, is_set, options, body: text };
    body(ObjectStatement::CreateFunction(Box::new(create)))
}

/// After ALTER FUNCTION.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    let function = function_name(cursor)?;
    let action = if cursor.accept_all(&["rename", "to"]) {
        FunctionAction::Rename(cursor.name()?)
    } else if cursor.accept_all(&["set", "schema"]) {
        FunctionAction::SetSchema(cursor.name()?)
    } else if cursor.accept_all(&["owner", "to"]) {
        let owner = access::reference(cursor)?;
        return Ok(Body::Access(Box::new(AccessStatement::FunctionOwner { function, owner })));
    } else {
        if cursor.is("depends") || cursor.is("no") {
            return Err(cursor.unsupported("DEPENDS ON EXTENSION"));
        }
        let mut said = Said::default();
        if !said.one(cursor, false)? {
            return Err(cursor.error());
        }
        while said.one(cursor, false)? {}
        cursor.accept("restrict");
        FunctionAction::Options(said.options)
    };
    body(ObjectStatement::AlterFunction { function, action })
}

/// After DROP FUNCTION.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Body> {
    let if_exists = cursor.accept_all(&["if", "exists"]);
    let names = cursor.list(function_name)?;
    let cascade = cascade(cursor);
    body(ObjectStatement::DropFunctions { names, if_exists, cascade })
}

/// A function's name, and the types of what it is called with.
pub(in super::super) fn function_name(cursor: &mut Cursor<'_>) -> Result<FunctionName> {
    let name = cursor.qualified_function()?;
    if !cursor.accept_symbol("(") {
        return Ok(FunctionName { name, arguments: None });
    }
    let parameters = parameters(cursor)?;
    if let Some(default) = parameters.iter().find_map(|parameter| parameter.default.as_ref()) {
        return Err(Error::new("42601", "syntax error at a default").at(default.expr.at));
    }
    let inputs = parameters.into_iter().filter(|parameter| parameter.mode.is_input());
    let arguments: Vec<TypeName> = inputs.map(|parameter| parameter.ty).collect();
    Ok(FunctionName { name, arguments: Some(arguments) })
}

/// Parameters, and the parenthesis behind them.
fn parameters(cursor: &mut Cursor<'_>) -> Result<Vec<ParameterDefinition>> {
    let parameters = if cursor.is_symbol(")") { Vec::new() } else { cursor.list(parameter)? };
    cursor.expect_symbol(")")?;
    Ok(parameters)
}

fn parameter(cursor: &mut Cursor<'_>) -> Result<ParameterDefinition> {
    let at = cursor.at();
    let mut mode = parameter_mode(cursor)?;
    let mut name = None;
    if begins_name(cursor) {
        name = Some(cursor.label()?);
        if mode.is_none() {
            mode = parameter_mode(cursor)?;
        }
    }
    let ty = own_type(cursor)?;
    let mut default = None;
    if cursor.accept("default") || cursor.accept_symbol("=") {
        let start = cursor.start();
        let expr = expression(cursor)?;
        default = Some(DefaultDefinition { expr, text: cursor.text_from(start).to_owned() });
    }
    let mode = mode.unwrap_or(ParameterMode::In);
    Ok(ParameterDefinition { name, mode, ty, default, at })
}

/// The type of a parameter, or of what is returned.
fn own_type(cursor: &mut Cursor<'_>) -> Result<TypeName> {
    let ty = type_name(cursor)?;
    if cursor.is_symbol("%") { Err(cursor.unsupported("%TYPE")) } else { Ok(ty) }
}

fn table_column(cursor: &mut Cursor<'_>) -> Result<ParameterDefinition> {
    let at = cursor.at();
    let name = Some(cursor.label()?);
    let ty = own_type(cursor)?;
    Ok(ParameterDefinition { name, mode: ParameterMode::Table, ty, default: None, at })
}

fn parameter_mode(cursor: &mut Cursor<'_>) -> Result<Option<ParameterMode>> {
    cursor.refuse(&["variadic"])?;
    Ok(match cursor.accept_one_of(&["in", "out", "inout"]) {
        Some("in") if cursor.accept("out") => Some(ParameterMode::InOut),
        Some("in") => Some(ParameterMode::In),
        Some("out") => Some(ParameterMode::Out),
        Some(_) => Some(ParameterMode::InOut),
        None => None,
    })
}

/// Whether a parameter's name is next, rather than its type alone.
fn begins_name(cursor: &Cursor<'_>) -> bool {
    let (token, next) = (cursor.peek(), cursor.peek_at(1));
    let may_be_name = match token.kind {
        Kind::Quoted => true,
        Kind::Word => matches!(token.category, Category::Unreserved | Category::FunctionName),
        _ => false,
    };
    let begins_type = matches!(next.kind, Kind::Word | Kind::Quoted)
        && !matches!(next.keyword, "default" | "array")
        && !(token.keyword == "double" && next.keyword == "precision");
    may_be_name && begins_type
}

/// Whether RETURNS NULL ON NULL INPUT is next.
fn is_null_input(cursor: &Cursor<'_>) -> bool {
    cursor.are(&["returns", "null", "on", "null", "input"])
}

/// What is said of a function, as far as it is read.
#[derive(Default)]
struct Said {
    options: FunctionOptions,
    language: Option<String>,
    body: Option<FunctionText>,
    is_secured: bool,
}

impl Said {
    /// Reads what is said next, if anything is; `creates`: it may be what only CREATE FUNCTION takes.
    fn one(&mut self, cursor: &mut Cursor<'_>, creates: bool) -> Result<bool> {
        let at = cursor.at();
        let redundant = || Error::new("42601", "conflicting or redundant options").at(at);
        let is_new = match cursor.keyword() {
            "immutable" | "stable" | "volatile" => {
                let volatility = match cursor.advance().keyword {
                    "immutable" => Volatility::Immutable,
                    "stable" => Volatility::Stable,
                    _ => Volatility::Volatile,
                };
                self.options.volatility.replace(volatility).is_none()
            }
            "strict" => {
                cursor.advance();
                self.options.strict.replace(true).is_none()
            }
            "returns" if is_null_input(cursor) => {
                cursor.accept_all(&["returns", "null", "on", "null", "input"]);
                self.options.strict.replace(true).is_none()
            }
            "called" => {
                cursor.advance();
                for word in ["on", "null", "input"] {
                    cursor.expect(word)?;
                }
                self.options.strict.replace(false).is_none()
            }
            "not" if cursor.peek_at(1).keyword == "leakproof" => {
                cursor.advance();
                cursor.advance();
                true
            }
            "external" | "security" => {
                cursor.accept("external");
                cursor.expect("security")?;
                if cursor.is("definer") {
                    return Err(cursor.unsupported("SECURITY DEFINER"));
                }
                cursor.expect("invoker")?;
                !std::mem::replace(&mut self.is_secured, true)
            }
            "parallel" => {
                cursor.advance();
                let word = cursor.label()?;
                let parallel = Parallel::named(&word.value).ok_or_else(|| {
                    Error::new("42601", "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE")
                })?;
                self.options.parallel.replace(parallel).is_none()
            }
            "language" if creates => {
                cursor.advance();
                let language_at = cursor.at();
                let language = match cursor.string()? {
                    Some(language) => language.to_lowercase(),
                    None => cursor.label()?.value,
                };
                if language != "sql" {
                    return Err(Error::unsupported(format!("LANGUAGE {language}")).at(language_at));
                }
                self.language.replace(language).is_none()
            }
            "as" if creates => {
                cursor.advance();
                self.body.replace(quoted(cursor)?).is_none()
            }
            word if UNSUPPORTED.contains(&word) => return Err(cursor.unsupported(word.to_uppercase())),
            _ => return Ok(false),
        };
        if is_new { Ok(true) } else { Err(redundant()) }
    }
}

/// The string that is a body.
fn quoted(cursor: &mut Cursor<'_>) -> Result<FunctionText> {
    let token = *cursor.peek();
    let text = cursor.string()?.ok_or_else(|| cursor.error())?;
    if cursor.is_symbol(",") {
        return Err(Error::new("42P13", "only one AS item needed for language \"sql\""));
    }
    let before = token.text.find(&text).and_then(|start| token.text.get(..start));
    let at = before.map(|before| token.at.saturating_add(before.chars().count()));
    Ok(FunctionText::Quoted { text, at })
}

/// `RETURN a + b`
fn returned(cursor: &mut Cursor<'_>) -> Result<FunctionText> {
    cursor.expect("return")?;
    let start = cursor.start();
    expression(cursor)?;
    Ok(FunctionText::Return(cursor.text_from(start).to_owned()))
}

/// `BEGIN ATOMIC SELECT a + b; END`
fn atomic(cursor: &mut Cursor<'_>) -> Result<FunctionText> {
    cursor.expect("begin")?;
    cursor.expect("atomic")?;
    while cursor.accept_symbol(";") {}
    let start = cursor.start();
    if cursor.is("end") {
        return Err(cursor.unsupported("a function whose body is empty"));
    }
    if cursor.is("return") {
        return Err(cursor.unsupported("RETURN within BEGIN ATOMIC"));
    }
    if !is_query(cursor) && !cursor.is("with") {
        return Err(cursor.unsupported("a function whose body is no query"));
    }
    query(cursor)?;
    let text = cursor.text_from(start).to_owned();
    cursor.expect_symbol(";")?;
    while cursor.accept_symbol(";") {}
    if !cursor.is("end") && !cursor.is_at_end() {
        return Err(cursor.unsupported("a function whose body is several statements"));
    }
    cursor.expect("end")?;
    Ok(FunctionText::Atomic(text))
}

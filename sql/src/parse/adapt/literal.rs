//! Literals.

use sqlparser::ast as sp;

use super::super::ast::ExprKind;
use super::{refuse, refuse_if};
use crate::error::{Error, Result};

/// A literal's value, or a parameter.
pub(super) fn literal(value: sp::Value) -> Result<ExprKind> {
    Ok(match value {
        sp::Value::Number(number, long) => {
            refuse_if(long, "a number with the suffix L")?;
            ExprKind::Number(number)
        }
        sp::Value::SingleQuotedString(text)
        | sp::Value::EscapedStringLiteral(text)
        | sp::Value::UnicodeStringLiteral(text)
        | sp::Value::NationalStringLiteral(text) => ExprKind::String(text),
        sp::Value::DollarQuotedString(sp::DollarQuotedString { value, tag: _ }) => ExprKind::String(value),
        sp::Value::Boolean(value) => ExprKind::Bool(value),
        sp::Value::Null => ExprKind::Null,
        sp::Value::Placeholder(name) => {
            let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
            match number {
                Some(0) => return Err(Error::new("42P02", "there is no parameter $0")),
                Some(number) if number <= 65_535 => ExprKind::Parameter(number),
                Some(number) => return Err(Error::new("42P02", format!("there is no parameter ${number}"))),
                None => return refuse(format!("the placeholder {name}")),
            }
        }
        other => return refuse(format!("the literal {other}")),
    })
}

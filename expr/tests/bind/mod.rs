//! As much of a binder as expressions without columns need, over [`expr::resolve`]. The real one is the SQL crate's.

use nunatak_expr as expr;

use expr::casts::CastContext;
use expr::resolve;
use expr::{Datum, Error, Expr, Result, SessionContext, Type, TypeKind};
use sqlparser::ast::{self, BinaryOperator, DataType, UnaryOperator, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// The expression that the text means.
pub(crate) fn bind(sql: &str, session: &SessionContext) -> Result<Expr> {
    let dialect = PostgreSqlDialect {};
    let parsed = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| Error::new("42601", error.to_string()))?;
    let bound = Binder { session }.expr(&parsed)?;
    // What is still unknown at the end is text.
    match bound.is_unknown() {
        true => resolve::coerce(bound, TypeKind::Text.into(), CastContext::Implicit, session),
        false => Ok(bound),
    }
}

struct Binder<'a> {
    session: &'a SessionContext,
}

fn unknown(text: &str) -> Expr {
    Expr::literal(text, TypeKind::Unknown)
}

fn type_of(data_type: &DataType) -> Result<Type> {
    let spelled = data_type.to_string().to_ascii_lowercase();
    let (name, arguments) = match (spelled.find('('), spelled.find(')')) {
        (Some(open), Some(close)) => {
            let arguments =
                spelled[open + 1..close].split(',').map(|n| n.trim().parse().unwrap_or(0)).collect();
            (format!("{}{}", spelled[..open].trim_end(), &spelled[close + 1..]), arguments)
        }
        _ => (spelled, Vec::new()),
    };
    let kind = TypeKind::from_name(&name)
        .ok_or_else(|| Error::new("42704", format!("type \"{name}\" does not exist")))?;
    let arguments = match kind {
        TypeKind::Bpchar if arguments.is_empty() && name != "bpchar" => vec![1],
        _ => arguments,
    };
    Ok(Type { kind, modifier: kind.modifier(&arguments)? })
}

impl Binder<'_> {
    fn call(&self, name: &str, args: Vec<Expr>) -> Result<Expr> {
        resolve::function_call(name, args, self.session)
    }

    fn operator(&self, name: &str, left: Expr, right: Expr) -> Result<Expr> {
        resolve::operator_call(name, Some(left), right, self.session)
    }

    fn coerce(&self, expr: Expr, to: impl Into<Type>) -> Result<Expr> {
        resolve::coerce(expr, to.into(), CastContext::Implicit, self.session)
    }

    fn boolean(&self, expr: &ast::Expr, construct: &str) -> Result<Expr> {
        resolve::coerce_boolean(self.expr(expr)?, construct, self.session)
    }

    fn common(&self, construct: &str, exprs: Vec<Expr>) -> Result<(Vec<Expr>, Type)> {
        let kinds: Vec<_> = exprs.iter().map(|expr| expr.ty().kind).collect();
        let ty = Type::plain(resolve::common_type(construct, &kinds)?);
        let coerced: Result<Vec<_>> = exprs.into_iter().map(|expr| self.coerce(expr, ty)).collect();
        Ok((coerced?, ty))
    }

    fn expr(&self, expr: &ast::Expr) -> Result<Expr> {
        use ast::Expr as E;
        match expr {
            E::Nested(inner) => self.expr(inner),
            E::Value(value) => self.value(&value.value),
            E::TypedString(typed) => match &typed.value.value {
                Value::SingleQuotedString(text) => self.cast(unknown(text), type_of(&typed.data_type)?),
                other => Err(Error::new("42601", other.to_string())),
            },
            E::Interval(interval) => self.cast(self.expr(&interval.value)?, TypeKind::Interval.into()),
            E::Cast { expr, data_type, .. } => self.cast(self.expr(expr)?, type_of(data_type)?),
            E::UnaryOp { op: UnaryOperator::Not, expr } => {
                Ok(Expr::Not(Box::new(self.boolean(expr, "NOT")?)))
            }
            E::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
                // A number with its sign is one literal.
                E::Value(value) if matches!(value.value, Value::Number(..)) => {
                    self.value(&Value::Number(format!("-{}", value.value), false))
                }
                operand => resolve::operator_call("-", None, self.expr(operand)?, self.session),
            },
            E::UnaryOp { op, expr } => {
                resolve::operator_call(&op.to_string(), None, self.expr(expr)?, self.session)
            }
            E::BinaryOp { left, op, right } => match op {
                BinaryOperator::And => {
                    Ok(Expr::And(vec![self.boolean(left, "AND")?, self.boolean(right, "AND")?]))
                }
                BinaryOperator::Or => {
                    Ok(Expr::Or(vec![self.boolean(left, "OR")?, self.boolean(right, "OR")?]))
                }
                op => self.operator(&op.to_string(), self.expr(left)?, self.expr(right)?),
            },
            E::IsNull(operand) => Ok(Expr::IsNull { operand: Box::new(self.expr(operand)?), negated: false }),
            E::IsNotNull(operand) => {
                Ok(Expr::IsNull { operand: Box::new(self.expr(operand)?), negated: true })
            }
            E::IsTrue(operand) => self.is(operand, Some(true), false),
            E::IsNotTrue(operand) => self.is(operand, Some(true), true),
            E::IsFalse(operand) => self.is(operand, Some(false), false),
            E::IsNotFalse(operand) => self.is(operand, Some(false), true),
            E::IsUnknown(operand) => self.is(operand, None, false),
            E::IsNotUnknown(operand) => self.is(operand, None, true),
            E::IsDistinctFrom(left, right) => self.distinct(left, right, false),
            E::IsNotDistinctFrom(left, right) => self.distinct(left, right, true),
            E::Between { expr, negated, low, high } => {
                let (low_op, high_op) = if *negated { ("<", ">") } else { (">=", "<=") };
                let low = self.operator(low_op, self.expr(expr)?, self.expr(low)?)?;
                let high = self.operator(high_op, self.expr(expr)?, self.expr(high)?)?;
                Ok(if *negated { Expr::Or(vec![low, high]) } else { Expr::And(vec![low, high]) })
            }
            E::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            E::Like { negated, expr, pattern, escape_char, .. } => {
                self.like(if *negated { "!~~" } else { "~~" }, expr, pattern, escape_char.as_deref())
            }
            E::ILike { negated, expr, pattern, escape_char, .. } => {
                self.like(if *negated { "!~~*" } else { "~~*" }, expr, pattern, escape_char.as_deref())
            }
            E::SimilarTo { negated, expr, pattern, escape_char } => {
                let mut args = vec![self.expr(pattern)?];
                args.extend(escape_char.iter().map(|escape| self.expr(escape)).collect::<Result<Vec<_>>>()?);
                let pattern = self.call("similar_to_escape", args)?;
                self.operator(if *negated { "!~" } else { "~" }, self.expr(expr)?, pattern)
            }
            E::AnyOp { left, compare_op, right, .. } => self.any_all(left, compare_op, right, false),
            E::AllOp { left, compare_op, right } => self.any_all(left, compare_op, right, true),
            E::Extract { field, expr, .. } => {
                self.call("extract", vec![unknown(&field.to_string().to_lowercase()), self.expr(expr)?])
            }
            E::AtTimeZone { timestamp, time_zone } => {
                self.call("timezone", vec![self.expr(time_zone)?, self.expr(timestamp)?])
            }
            E::Ceil { expr, .. } => self.call("ceil", vec![self.expr(expr)?]),
            E::Floor { expr, .. } => self.call("floor", vec![self.expr(expr)?]),
            E::Position { expr, r#in } => self.call("position", vec![self.expr(r#in)?, self.expr(expr)?]),
            E::Substring { expr, substring_from, substring_for, shorthand, .. } => {
                let mut args = vec![self.expr(expr)?];
                match (substring_from, substring_for) {
                    (Some(from), length) => {
                        args.push(self.expr(from)?);
                        args.extend(
                            length.iter().map(|length| self.expr(length)).collect::<Result<Vec<_>>>()?,
                        );
                    }
                    (None, Some(length)) => {
                        args.extend([Expr::literal(1, TypeKind::Int4), self.expr(length)?])
                    }
                    (None, None) => {}
                }
                self.call(if *shorthand { "substr" } else { "substring" }, args)
            }
            E::Trim { trim_where, trim_what, expr, .. } => {
                let name = match trim_where.as_ref().map(ToString::to_string).as_deref() {
                    Some("LEADING") => "ltrim",
                    Some("TRAILING") => "rtrim",
                    _ => "btrim",
                };
                let mut args = vec![self.expr(expr)?];
                args.extend(trim_what.iter().map(|what| self.expr(what)).collect::<Result<Vec<_>>>()?);
                self.call(name, args)
            }
            E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut args = vec![self.expr(expr)?, self.expr(overlay_what)?, self.expr(overlay_from)?];
                args.extend(overlay_for.iter().map(|length| self.expr(length)).collect::<Result<Vec<_>>>()?);
                self.call("overlay", args)
            }
            E::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            E::Array(array) => {
                let items: Result<Vec<_>> = array.elem.iter().map(|item| self.expr(item)).collect();
                let (items, ty) = self.common("ARRAY", items?)?;
                let array = ty.kind.array().ok_or_else(|| Error::unsupported("no such array"))?;
                Ok(Expr::Array { items, ty: array.into() })
            }
            E::CompoundFieldAccess { root, access_chain } => {
                let array = self.expr(root)?;
                match access_chain.as_slice() {
                    [ast::AccessExpr::Subscript(ast::Subscript::Index { index })] => {
                        let ty =
                            Type::plain(array.ty().kind.element().ok_or_else(|| Error::unsupported("[]"))?);
                        let index = self.coerce(self.expr(index)?, TypeKind::Int4)?;
                        Ok(Expr::Subscript { array: Box::new(array), index: Box::new(index), ty })
                    }
                    _ => Err(Error::unsupported("slices")),
                }
            }
            E::Function(function) => self.function(function),
            E::Identifier(name) => self.call(&name.value.to_ascii_lowercase(), Vec::new()),
            other => Err(Error::unsupported(format!("{other:?}"))),
        }
    }

    fn value(&self, value: &Value) -> Result<Expr> {
        match value {
            Value::Number(digits, _) => {
                if let Ok(int) = digits.parse::<i32>() {
                    Ok(Expr::literal(int, TypeKind::Int4))
                } else if let Ok(int) = digits.parse::<i64>() {
                    Ok(Expr::literal(int, TypeKind::Int8))
                } else {
                    Ok(Expr::literal(Datum::Numeric(expr::numeric::parse(digits)?), TypeKind::Numeric))
                }
            }
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Ok(unknown(text)),
            Value::DollarQuotedString(text) => Ok(unknown(&text.value)),
            Value::Boolean(value) => Ok(Expr::literal(*value, TypeKind::Bool)),
            Value::Null => Ok(Expr::null(TypeKind::Unknown)),
            other => Err(Error::new("42601", format!("{other:?}"))),
        }
    }

    fn cast(&self, expr: Expr, to: Type) -> Result<Expr> {
        resolve::coerce(expr, to, CastContext::Explicit, self.session)
    }

    fn is(&self, operand: &ast::Expr, value: Option<bool>, negated: bool) -> Result<Expr> {
        Ok(Expr::IsBool { operand: Box::new(self.boolean(operand, "IS")?), value, negated })
    }

    /// The operands of an operator as it takes them, and its function.
    fn operands(&self, name: &str, left: Expr, right: Expr) -> Result<(Expr, Expr, expr::FunctionId)> {
        match self.operator(name, left, right)? {
            Expr::Call { function, args, .. } => {
                let [left, right] = <[Expr; 2]>::try_from(args).map_err(|_| Error::internal("operands"))?;
                Ok((left, right, function))
            }
            _ => Err(Error::internal("no call")),
        }
    }

    fn distinct(&self, left: &ast::Expr, right: &ast::Expr, negated: bool) -> Result<Expr> {
        let (left, right, equals) = self.operands("=", self.expr(left)?, self.expr(right)?)?;
        Ok(Expr::IsDistinct { left: Box::new(left), right: Box::new(right), equals, negated })
    }

    fn in_list(&self, operand: &ast::Expr, list: &[ast::Expr], negated: bool) -> Result<Expr> {
        let mut all = vec![self.expr(operand)?];
        all.extend(list.iter().map(|item| self.expr(item)).collect::<Result<Vec<_>>>()?);
        let (mut all, ty) = self.common("IN", all)?;
        let operand = all.remove(0);
        let (_, _, equals) = self.operands("=", Expr::null(ty), Expr::null(ty))?;
        Ok(Expr::In { operand: Box::new(operand), items: all, equals, negated })
    }

    fn like(
        &self,
        name: &str,
        value: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let mut pattern = self.expr(pattern)?;
        if let Some(escape) = escape {
            pattern = self.call("like_escape", vec![pattern, self.expr(escape)?])?;
        }
        self.operator(name, self.expr(value)?, pattern)
    }

    fn any_all(&self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr, all: bool) -> Result<Expr> {
        let (left, array) = (self.expr(left)?, self.expr(right)?);
        let array = match array.is_unknown() {
            true => {
                let kind = if left.is_unknown() { TypeKind::Text } else { left.ty().kind };
                self.coerce(array, kind.array().ok_or_else(|| Error::unsupported("ANY"))?)?
            }
            false => array,
        };
        let element = array
            .ty()
            .kind
            .element()
            .ok_or_else(|| Error::new("42809", "op ANY/ALL (array) requires array on right side"))?;
        let (left, item, operator) = self.operands(&op.to_string(), left, Expr::null(element))?;
        let array_kind = item.ty().kind.array().ok_or_else(|| Error::unsupported("ANY"))?;
        let array = self.coerce(array, array_kind)?;
        Ok(Expr::AnyAll { operand: Box::new(left), array: Box::new(array), operator, all })
    }

    fn case(
        &self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let mut operand = operand.map(|operand| self.expr(operand)).transpose()?;
        if operand.as_ref().is_some_and(Expr::is_unknown) {
            operand = operand.map(|operand| self.coerce(operand, TypeKind::Text)).transpose()?;
        }
        let mut results: Vec<Expr> =
            otherwise.map(|otherwise| self.expr(otherwise)).into_iter().collect::<Result<_>>()?;
        let has_else = !results.is_empty();
        let mut tests = Vec::new();
        for when in conditions {
            tests.push(match &operand {
                Some(operand) => {
                    let placeholder = Expr::CaseOperand { ty: operand.ty() };
                    self.operator("=", placeholder, self.expr(&when.condition)?)?
                }
                None => self.boolean(&when.condition, "CASE/WHEN")?,
            });
            results.push(self.expr(&when.result)?);
        }
        let (mut results, ty) = self.common("CASE", results)?;
        let otherwise = has_else.then(|| Box::new(results.remove(0)));
        let branches = tests.into_iter().zip(results).collect();
        Ok(Expr::Case { operand: operand.map(Box::new), branches, otherwise, ty })
    }

    fn function(&self, function: &ast::Function) -> Result<Expr> {
        let name = function.name.to_string().to_ascii_lowercase();
        let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
        let mut args = Vec::new();
        if let ast::FunctionArguments::List(list) = &function.args {
            for arg in &list.args {
                match arg {
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => {
                        args.push(self.expr(expr)?)
                    }
                    other => return Err(Error::unsupported(other.to_string())),
                }
            }
        }
        match name {
            "coalesce" => {
                let (args, ty) = self.common("COALESCE", args)?;
                Ok(Expr::Coalesce { args, ty })
            }
            "greatest" | "least" => {
                let (args, ty) = self.common(&name.to_ascii_uppercase(), args)?;
                Ok(Expr::Extreme { args, greatest: name == "greatest", ty })
            }
            "nullif" => {
                let [left, right] = <[Expr; 2]>::try_from(args).map_err(|_| Error::new("42601", "nullif"))?;
                let (left, right, equals) = self.operands("=", left, right)?;
                let ty = left.ty();
                Ok(Expr::NullIf { left: Box::new(left), right: Box::new(right), equals, ty })
            }
            "current_date" => self.cast(self.call("now", args)?, TypeKind::Date.into()),
            "current_timestamp" => self.call("now", args),
            name => self.call(name, args),
        }
    }
}

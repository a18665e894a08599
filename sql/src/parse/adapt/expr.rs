//! Expressions.
//!
//! The tree of a long chain (`a OR b OR c …`) leans to the left, as deep as it is long. It is unrolled here in a
//! loop, and AND and OR become lists, so that neither we nor what comes after recurses along it.

use sqlparser::ast as sp;

use super::super::ast::{
    Expr, ExprKind, Function, Name, Operator, PatternForm, QualifiedName, Query, TypeName,
};
use super::super::source::too_deep;
use super::literal::literal;
use super::{Adapter, refuse, refuse_if, types};
use crate::error::{Error, Result};

/// An expression and where its text begins, parentheses included.
struct Piece {
    expr: Expr,
    start: usize,
}

impl Piece {
    fn new(kind: ExprKind, at: usize) -> Self {
        Self { expr: Expr { kind, at }, start: at }
    }
}

impl Function {
    /// A call with nothing but arguments.
    pub(super) fn plain(name: QualifiedName, arguments: Vec<Expr>) -> Self {
        Self {
            name,
            arguments,
            star: false,
            distinct: false,
            order_by: Vec::new(),
            filter: None,
            label: None,
        }
    }

    /// A call of one of PostgreSQL's own functions, whatever the search path.
    fn system(name: &str, at: usize, arguments: Vec<Expr>, label: Option<&'static str>) -> Self {
        let part = |value: &str| Name { value: value.to_owned(), at };
        let name = QualifiedName { schema: Some(part("pg_catalog")), name: part(name) };
        Self { label, ..Self::plain(name, arguments) }
    }
}

impl Adapter<'_, '_> {
    pub(super) fn exprs(&self, exprs: Vec<sp::Expr>) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.expr(expr)).collect()
    }

    pub(super) fn expr(&self, expr: sp::Expr) -> Result<Expr> {
        self.piece(expr).map(|piece| piece.expr)
    }

    fn boxed(&self, expr: sp::Expr) -> Result<Box<Expr>> {
        self.expr(expr).map(Box::new)
    }

    fn piece(&self, expr: sp::Expr) -> Result<Piece> {
        self.deeper(|| match expr {
            sp::Expr::BinaryOp { left, op, right } => self.chain(*left, op, *right),
            other => self.primary(other),
        })
    }

    /// A chain of infix operators, from its leftmost operand on.
    fn chain(&self, left: sp::Expr, op: sp::BinaryOperator, right: sp::Expr) -> Result<Piece> {
        let mut rest = vec![(op, right)];
        let mut leftmost = left;
        while let sp::Expr::BinaryOp { left, op, right } = leftmost {
            rest.push((op, *right));
            leftmost = *left;
        }
        let Piece { mut expr, start } = self.piece(leftmost)?;
        let mut depth = self.depth.get();
        for (op, right) in rest.into_iter().rev() {
            let right = self.piece(right)?;
            let at = expr.at;
            let kind = match op {
                sp::BinaryOperator::And => match expr.kind {
                    ExprKind::And(mut list) => {
                        list.push(right.expr);
                        ExprKind::And(list)
                    }
                    kind => ExprKind::And(vec![Expr { kind, at }, right.expr]),
                },
                sp::BinaryOperator::Or => match expr.kind {
                    ExprKind::Or(mut list) => {
                        list.push(right.expr);
                        ExprKind::Or(list)
                    }
                    kind => ExprKind::Or(vec![Expr { kind, at }, right.expr]),
                },
                op => {
                    depth = depth.saturating_add(1);
                    if depth > super::DEPTH_MAX {
                        return Err(too_deep());
                    }
                    let operator =
                        Operator { name: operator_name(&op)?, at: self.source.before(right.start, 1) };
                    ExprKind::Binary { operator, left: Box::new(expr), right: Box::new(right.expr) }
                }
            };
            expr = Expr { kind, at };
        }
        Ok(Piece { expr, start })
    }

    fn primary(&self, expr: sp::Expr) -> Result<Piece> {
        let kind = match expr {
            sp::Expr::Nested(inner) => {
                let inner = self.piece(*inner)?;
                return Ok(Piece { start: self.source.before(inner.start, 1), ..inner });
            }
            sp::Expr::Identifier(ident) => return Ok(self.identifier(ident)),
            sp::Expr::CompoundIdentifier(idents) => {
                let names = self.simple_names(idents);
                let at = names.first().map_or(1, |name| name.at);
                return Ok(Piece::new(ExprKind::Column(names), at));
            }
            sp::Expr::Value(sp::ValueWithSpan { value, span }) => {
                return Ok(Piece::new(literal(value)?, self.source.at(span.start)));
            }
            sp::Expr::UnaryOp { op, expr } => return self.unary(op, *expr),
            sp::Expr::Cast { kind, expr, data_type, format } => {
                return self.cast(kind, *expr, data_type, format);
            }
            sp::Expr::TypedString(sp::TypedString { data_type, value, uses_odbc_syntax }) => {
                refuse_if(uses_odbc_syntax, "{d '…'}")?;
                let value_at = self.source.at(value.span.start);
                let at = self.source.before(value_at, 1);
                let operand = Box::new(Expr { kind: literal(value.value)?, at: value_at });
                ExprKind::Cast { operator_at: at, operand, ty: types::type_name(data_type, at)? }.at(at)
            }
            sp::Expr::Function(function) => return self.function(function),
            sp::Expr::Case { case_token, end_token: _, operand, conditions, else_result } => {
                let branches = conditions.into_iter().map(|sp::CaseWhen { condition, result }| {
                    Ok((self.expr(condition)?, self.expr(result)?))
                });
                let kind = ExprKind::Case {
                    operand: operand.map(|operand| self.boxed(*operand)).transpose()?,
                    branches: branches.collect::<Result<_>>()?,
                    otherwise: else_result.map(|result| self.boxed(*result)).transpose()?,
                };
                return Ok(Piece::new(kind, self.source.at(case_token.0.span.start)));
            }
            sp::Expr::Exists { subquery, negated } => {
                let query = self.query(*subquery)?;
                let at = self.source.before(query.at, if negated { 3 } else { 2 });
                let exists = ExprKind::Exists(Box::new(query)).at(at);
                if negated { ExprKind::Not(Box::new(exists)).at(at) } else { exists }
            }
            sp::Expr::Subquery(query) => {
                let query = self.query(*query)?;
                let at = self.source.before(query.at, 1);
                ExprKind::Subquery(Box::new(query)).at(at)
            }
            sp::Expr::Tuple(items) => {
                let items = items.into_iter().map(|item| self.piece(item)).collect::<Result<Vec<_>>>()?;
                let at = items.first().map_or(1, |item| self.source.before(item.start, 1));
                ExprKind::Row(items.into_iter().map(|item| item.expr).collect()).at(at)
            }
            sp::Expr::Array(sp::Array { elem, named }) => {
                refuse_if(!named, "[…] without ARRAY")?;
                let items = elem.into_iter().map(|item| self.piece(item)).collect::<Result<Vec<_>>>()?;
                let empty = || self.source.sequence(&["array", "[", "]"]);
                let at = items.first().map_or_else(empty, |item| self.source.before(item.start, 2));
                ExprKind::Array(items.into_iter().map(|item| item.expr).collect()).at(at)
            }
            sp::Expr::Interval(interval) => return self.interval(interval),
            other => return self.predicate(other),
        };
        Ok(Piece { start: kind.at, expr: kind })
    }

    /// Expressions that begin with an operand.
    fn predicate(&self, expr: sp::Expr) -> Result<Piece> {
        match expr {
            sp::Expr::IsNull(operand) => {
                self.postfix(*operand, |operand| ExprKind::IsNull { operand, negated: false })
            }
            sp::Expr::IsNotNull(operand) => {
                self.postfix(*operand, |operand| ExprKind::IsNull { operand, negated: true })
            }
            sp::Expr::IsTrue(operand) => self.is_bool(*operand, Some(true), false),
            sp::Expr::IsNotTrue(operand) => self.is_bool(*operand, Some(true), true),
            sp::Expr::IsFalse(operand) => self.is_bool(*operand, Some(false), false),
            sp::Expr::IsNotFalse(operand) => self.is_bool(*operand, Some(false), true),
            sp::Expr::IsUnknown(operand) => self.is_bool(*operand, None, false),
            sp::Expr::IsNotUnknown(operand) => self.is_bool(*operand, None, true),
            sp::Expr::IsDistinctFrom(left, right) => {
                let right = self.boxed(*right)?;
                self.postfix(*left, |left| ExprKind::IsDistinct { left, right, negated: false })
            }
            sp::Expr::IsNotDistinctFrom(left, right) => {
                let right = self.boxed(*right)?;
                self.postfix(*left, |left| ExprKind::IsDistinct { left, right, negated: true })
            }
            sp::Expr::InList { expr, list, negated } => {
                if list.is_empty() {
                    return Err(Error::new("42601", "syntax error at or near \")\""));
                }
                let list = self.exprs(list)?;
                self.postfix(*expr, |operand| ExprKind::InList { operand, list, negated })
            }
            sp::Expr::InSubquery { expr, subquery, negated } => {
                let query = Box::new(self.query(*subquery)?);
                let back = if negated { 3 } else { 2 };
                let operator = Operator { name: "=".into(), at: self.source.before(query.at, back) };
                self.postfix(*expr, |left| ExprKind::QuantifiedQuery {
                    left,
                    operator,
                    query,
                    all: false,
                    negated,
                })
            }
            sp::Expr::Between { expr, negated, low, high } => {
                let (low, high) = (self.boxed(*low)?, self.boxed(*high)?);
                self.postfix(*expr, |operand| ExprKind::Between { operand, low, high, negated })
            }
            sp::Expr::Like { negated, any, expr, pattern, escape_char } => {
                self.like(*expr, *pattern, escape_char, (any, negated, PatternForm::Like))
            }
            sp::Expr::ILike { negated, any, expr, pattern, escape_char } => {
                self.like(*expr, *pattern, escape_char, (any, negated, PatternForm::Insensitive))
            }
            sp::Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                self.like(*expr, *pattern, escape_char, (false, negated, PatternForm::Similar))
            }
            sp::Expr::AnyOp { left, compare_op, right, is_some: _ } => {
                self.quantified(*left, &compare_op, *right, false)
            }
            sp::Expr::AllOp { left, compare_op, right } => self.quantified(*left, &compare_op, *right, true),
            sp::Expr::AtTimeZone { timestamp, time_zone } => {
                let zone = self.expr(*time_zone)?;
                let piece = self.piece(*timestamp)?;
                let at = piece.expr.at;
                let call = Function::system("timezone", at, vec![zone, piece.expr], Some("timezone"));
                Ok(Piece { expr: ExprKind::Function(Box::new(call)).at(at), start: piece.start })
            }
            sp::Expr::Collate { expr, collation } => {
                let collation = self.qualified(collation)?;
                let name_at = collation.schema.as_ref().unwrap_or(&collation.name).at;
                let operator_at = self.source.before(name_at, 1);
                self.postfix(*expr, |operand| ExprKind::Collate { operator_at, operand, collation })
            }
            sp::Expr::CompoundFieldAccess { root, access_chain } => self.subscripts(*root, access_chain),
            other => self.call_like(other),
        }
    }

    /// Functions that the SQL standard spells otherwise.
    fn call_like(&self, expr: sp::Expr) -> Result<Piece> {
        let (name, arguments, label): (&str, Vec<Expr>, Option<&'static str>) = match expr {
            sp::Expr::Extract { field, syntax, expr } => {
                refuse_if(syntax != sp::ExtractSyntax::From, "EXTRACT with a comma")?;
                let operand = self.expr(*expr)?;
                let field = Expr { kind: ExprKind::String(field.to_string().to_lowercase()), at: operand.at };
                ("extract", vec![field, operand], Some("extract"))
            }
            sp::Expr::Ceil { expr, field } => {
                refuse_if(!is_plain_rounding(&field), "CEIL … TO")?;
                ("ceil", vec![self.expr(*expr)?], Some("ceil"))
            }
            sp::Expr::Floor { expr, field } => {
                refuse_if(!is_plain_rounding(&field), "FLOOR … TO")?;
                ("floor", vec![self.expr(*expr)?], Some("floor"))
            }
            sp::Expr::Position { expr, r#in } => {
                ("position", vec![self.expr(*r#in)?, self.expr(*expr)?], Some("position"))
            }
            sp::Expr::Substring { expr, substring_from, substring_for, special: _, shorthand } => {
                let mut arguments = vec![self.expr(*expr)?];
                match (substring_from, substring_for) {
                    (Some(from), length) => {
                        arguments.push(self.expr(*from)?);
                        arguments.extend(length.map(|length| self.expr(*length)).transpose()?);
                    }
                    (None, Some(length)) => {
                        let at = arguments.first().map_or(1, |argument| argument.at);
                        arguments.push(Expr { kind: ExprKind::Number("1".into()), at });
                        arguments.push(self.expr(*length)?);
                    }
                    (None, None) => {}
                }
                (if shorthand { "substr" } else { "substring" }, arguments, None)
            }
            sp::Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    None | Some(sp::TrimWhereField::Both) => "btrim",
                    Some(sp::TrimWhereField::Leading) => "ltrim",
                    Some(sp::TrimWhereField::Trailing) => "rtrim",
                };
                let mut arguments = vec![self.expr(*expr)?];
                arguments.extend(trim_what.map(|what| self.expr(*what)).transpose()?);
                arguments.extend(self.exprs(trim_characters.unwrap_or_default())?);
                (name, arguments, None)
            }
            sp::Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments =
                    vec![self.expr(*expr)?, self.expr(*overlay_what)?, self.expr(*overlay_from)?];
                arguments.extend(overlay_for.map(|length| self.expr(*length)).transpose()?);
                ("overlay", arguments, None)
            }
            sp::Expr::GroupingSets(_) => return refuse("GROUPING SETS"),
            sp::Expr::Cube(_) => return refuse("CUBE"),
            sp::Expr::Rollup(_) => return refuse("ROLLUP"),
            sp::Expr::IsJson { .. } => return refuse("IS JSON"),
            sp::Expr::IsNormalized { .. } => return refuse("IS NORMALIZED"),
            other => return refuse(format!("the expression {other}")),
        };
        let first = arguments.first().map_or(1, |argument| argument.at);
        let at = self.source.call_before(first);
        let call = Function::system(name, at, arguments, label);
        Ok(Piece::new(ExprKind::Function(Box::new(call)), at))
    }

    fn postfix(&self, operand: sp::Expr, kind: impl FnOnce(Box<Expr>) -> ExprKind) -> Result<Piece> {
        let Piece { expr, start } = self.piece(operand)?;
        let at = expr.at;
        Ok(Piece { expr: kind(Box::new(expr)).at(at), start })
    }

    fn is_bool(&self, operand: sp::Expr, value: Option<bool>, negated: bool) -> Result<Piece> {
        self.postfix(operand, |operand| ExprKind::IsBool { operand, value, negated })
    }

    fn like(
        &self,
        operand: sp::Expr,
        pattern: sp::Expr,
        escape: Option<Box<sp::Expr>>,
        (any, negated, form): (bool, bool, PatternForm),
    ) -> Result<Piece> {
        refuse_if(any, "LIKE ANY")?;
        let pattern = self.piece(pattern)?;
        let escape = escape.map(|escape| self.boxed(*escape)).transpose()?;
        let back = usize::from(negated).saturating_add(if form == PatternForm::Similar { 2 } else { 1 });
        let operator_at = self.source.before(pattern.start, back);
        let pattern = Box::new(pattern.expr);
        self.postfix(operand, |operand| ExprKind::Like {
            operator_at,
            operand,
            pattern,
            escape,
            form,
            negated,
        })
    }

    fn quantified(
        &self,
        left: sp::Expr,
        op: &sp::BinaryOperator,
        right: sp::Expr,
        all: bool,
    ) -> Result<Piece> {
        let name = operator_name(op)?;
        match right {
            sp::Expr::Subquery(query) => {
                let query = Box::new(self.query(*query)?);
                let operator = Operator { name, at: self.source.before(query.at, 3) };
                self.postfix(left, |left| ExprKind::QuantifiedQuery {
                    left,
                    operator,
                    query,
                    all,
                    negated: false,
                })
            }
            right => {
                let right = self.piece(right)?;
                let operator = Operator { name, at: self.source.before(right.start, 2) };
                let right = Box::new(right.expr);
                self.postfix(left, |left| ExprKind::QuantifiedArray { left, operator, right, all })
            }
        }
    }

    fn subscripts(&self, root: sp::Expr, chain: Vec<sp::AccessExpr>) -> Result<Piece> {
        let Piece { mut expr, start } = self.piece(root)?;
        if chain.len() > super::DEPTH_MAX.saturating_sub(self.depth.get()) {
            return Err(too_deep());
        }
        for access in chain {
            let at = expr.at;
            let index = match access {
                sp::AccessExpr::Subscript(sp::Subscript::Index { index }) => self.boxed(index)?,
                sp::AccessExpr::Subscript(_) => return refuse("a slice of an array"),
                sp::AccessExpr::Dot(_) => return refuse("a field of a composite value"),
            };
            expr = ExprKind::Subscript { array: Box::new(expr), index }.at(at);
        }
        Ok(Piece { expr, start })
    }

    /// A name, or one of the functions that are written like one.
    fn identifier(&self, ident: sp::Ident) -> Piece {
        let quoted = ident.quote_style.is_some();
        let name = self.name(ident);
        let at = name.at;
        if !quoted && name.value == "default" {
            return Piece::new(ExprKind::Default, at);
        }
        if !quoted && is_value_function(&name.value) {
            let function = value_function(&name.value, at, Vec::new());
            return Piece::new(ExprKind::Function(Box::new(function)), at);
        }
        Piece::new(ExprKind::Column(vec![name]), at)
    }

    fn unary(&self, op: sp::UnaryOperator, operand: sp::Expr) -> Result<Piece> {
        let operand = self.piece(operand)?;
        let at = self.source.before(operand.start, 1);
        let kind = match op {
            sp::UnaryOperator::Not | sp::UnaryOperator::BangNot => ExprKind::Not(Box::new(operand.expr)),
            sp::UnaryOperator::Minus => match operand.expr {
                // The sign belongs to the number: -9223372036854775808 is an int8.
                Expr { kind: ExprKind::Number(number), at: number_at }
                    if number_at == operand.start && !number.starts_with('-') =>
                {
                    ExprKind::Number(format!("-{number}"))
                }
                other => prefix("-", at, other),
            },
            sp::UnaryOperator::Plus => prefix("+", at, operand.expr),
            sp::UnaryOperator::BitwiseNot => prefix("~", at, operand.expr),
            sp::UnaryOperator::PGAbs => prefix("@", at, operand.expr),
            sp::UnaryOperator::PGSquareRoot => prefix("|/", at, operand.expr),
            sp::UnaryOperator::PGCubeRoot => prefix("||/", at, operand.expr),
            other => return refuse(format!("the operator {other}")),
        };
        Ok(Piece::new(kind, at))
    }

    fn cast(
        &self,
        kind: sp::CastKind,
        operand: sp::Expr,
        data_type: sp::DataType,
        format: Option<sp::CastFormat>,
    ) -> Result<Piece> {
        refuse_if(format.is_some(), "CAST … FORMAT")?;
        let before = casts(&operand);
        let piece = self.piece(operand)?;
        match kind {
            sp::CastKind::DoubleColon => {
                let at = piece.expr.at;
                let operator_at = self.source.cast_after(piece.start, before);
                let ty = types::type_name(data_type, self.source.after(operator_at))?;
                Ok(Piece {
                    expr: ExprKind::Cast { operator_at, operand: Box::new(piece.expr), ty }.at(at),
                    start: piece.start,
                })
            }
            sp::CastKind::Cast => {
                let at = self.source.before(piece.start, 2);
                let ty = types::type_name(data_type, at)?;
                Ok(Piece::new(ExprKind::Cast { operator_at: at, operand: Box::new(piece.expr), ty }, at))
            }
            sp::CastKind::TryCast | sp::CastKind::SafeCast => refuse("TRY_CAST"),
        }
    }

    /// `INTERVAL '1 day'`, `INTERVAL '1' DAY`
    fn interval(&self, interval: sp::Interval) -> Result<Piece> {
        let sp::Interval {
            value,
            leading_field,
            leading_precision,
            last_field,
            fractional_seconds_precision,
        } = interval;
        refuse_if(last_field.is_some(), "INTERVAL … TO")?;
        let precision = leading_precision.is_some() || fractional_seconds_precision.is_some();
        refuse_if(precision, "a precision of INTERVAL")?;
        let value = self.piece(*value)?;
        let at = self.source.before(value.start, 1);
        let ExprKind::String(mut text) = value.expr.kind else { return refuse("INTERVAL without a string") };
        if let Some(field) = leading_field {
            refuse_if(text.trim().parse::<i64>().is_err(), "INTERVAL with a field and more than a number")?;
            text = format!("{} {}", text.trim(), field.to_string().to_lowercase());
        }
        let ty = TypeName { schema: None, name: "interval".into(), modifiers: Vec::new(), array: false, at };
        let operand = Box::new(Expr { kind: ExprKind::String(text), at: value.expr.at });
        Ok(Piece::new(ExprKind::Cast { operator_at: at, operand, ty }, at))
    }

    fn function(&self, function: sp::Function) -> Result<Piece> {
        let sp::Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            within_group,
            filter,
            null_treatment,
            over,
        } = function;
        refuse_if(uses_odbc_syntax, "{fn …}")?;
        refuse_if(!matches!(parameters, sp::FunctionArguments::None), "parameters of an aggregate")?;
        refuse_if(!within_group.is_empty(), "WITHIN GROUP")?;
        refuse_if(null_treatment.is_some(), "IGNORE NULLS or RESPECT NULLS")?;
        refuse_if(over.is_some(), "OVER")?;
        let name = self.qualified(name)?;
        let at = name.schema.as_ref().unwrap_or(&name.name).at;
        let filter = filter.map(|filter| self.boxed(*filter)).transpose()?;
        let list = match args {
            sp::FunctionArguments::List(list) => list,
            sp::FunctionArguments::None => {
                let call = value_function(&name.name.value, at, Vec::new());
                return Ok(Piece::new(ExprKind::Function(Box::new(call)), at));
            }
            sp::FunctionArguments::Subquery(query) => return self.function_of_query(&name, *query, at),
        };
        let sp::FunctionArgumentList { duplicate_treatment, args, clauses } = list;
        let mut call = Function::plain(name, Vec::new());
        call.filter = filter;
        call.distinct = duplicate_treatment == Some(sp::DuplicateTreatment::Distinct);
        for arg in args {
            match arg {
                sp::FunctionArg::Unnamed(sp::FunctionArgExpr::Expr(expr)) => {
                    call.arguments.push(self.expr(expr)?)
                }
                sp::FunctionArg::Unnamed(sp::FunctionArgExpr::Wildcard) => call.star = true,
                sp::FunctionArg::Unnamed(sp::FunctionArgExpr::WildcardWithOptions(_)) => {
                    return refuse("an option of *");
                }
                sp::FunctionArg::Unnamed(sp::FunctionArgExpr::QualifiedWildcard(table)) => {
                    let table = self.qualified(table)?;
                    let at = table.name.at;
                    call.arguments.push(ExprKind::TableWildcard(table).at(at));
                }
                sp::FunctionArg::Named { .. } | sp::FunctionArg::ExprNamed { .. } => {
                    return refuse("a named argument");
                }
            }
        }
        for clause in clauses {
            match clause {
                sp::FunctionArgumentClause::OrderBy(order) => call.order_by = self.order_by(order)?,
                other => return refuse(format!("{other} within a call")),
            }
        }
        if call.name.schema.is_none() && call.name.name.value == "row" {
            return Ok(Piece::new(ExprKind::Row(call.arguments), at));
        }
        if call.name.schema.is_none() && is_value_function(&call.name.name.value) {
            call = value_function(&call.name.name.value, at, call.arguments);
        }
        Ok(Piece::new(ExprKind::Function(Box::new(call)), at))
    }

    /// `ARRAY(SELECT …)`
    fn function_of_query(&self, name: &QualifiedName, query: sp::Query, at: usize) -> Result<Piece> {
        let query: Box<Query> = Box::new(self.query(query)?);
        match name {
            QualifiedName { schema: None, name } if name.value == "array" => {
                Ok(Piece::new(ExprKind::ArrayQuery(query), at))
            }
            _ => {
                let at_query = query.at;
                let argument = ExprKind::Subquery(query).at(at_query);
                let call = Function::plain(name.clone(), vec![argument]);
                Ok(Piece::new(ExprKind::Function(Box::new(call)), at))
            }
        }
    }
}

impl ExprKind {
    /// In its place.
    fn at(self, at: usize) -> Expr {
        Expr { kind: self, at }
    }
}

/// How many `::` stand at the end of an expression already.
fn casts(mut expr: &sp::Expr) -> usize {
    let mut count = 0_usize;
    loop {
        expr = match expr {
            sp::Expr::Cast { kind: sp::CastKind::DoubleColon, expr, .. } => {
                count = count.saturating_add(1);
                expr
            }
            sp::Expr::CompoundFieldAccess { root, .. } => root,
            _ => return count,
        };
    }
}

fn prefix(name: &str, at: usize, operand: Expr) -> ExprKind {
    ExprKind::Unary { operator: Operator { name: name.to_owned(), at }, operand: Box::new(operand) }
}

fn is_plain_rounding(field: &sp::CeilFloorKind) -> bool {
    matches!(field, sp::CeilFloorKind::DateTimeField(sp::DateTimeField::NoDateTime))
}

/// Functions that the SQL standard writes without parentheses.
fn is_value_function(name: &str) -> bool {
    matches!(
        name,
        "current_catalog"
            | "current_date"
            | "current_role"
            | "current_schema"
            | "current_time"
            | "current_timestamp"
            | "current_user"
            | "localtime"
            | "localtimestamp"
            | "session_user"
            | "user"
    )
}

/// One of them as a call; the binder knows what each stands for.
fn value_function(name: &str, at: usize, arguments: Vec<Expr>) -> Function {
    let part = Name { value: name.to_owned(), at };
    Function::plain(QualifiedName { schema: None, name: part }, arguments)
}

/// The operator's name as `pg_operator` has it.
fn operator_name(op: &sp::BinaryOperator) -> Result<String> {
    Ok(match op {
        sp::BinaryOperator::NotEq => "<>".to_owned(),
        sp::BinaryOperator::PGCustomBinaryOperator(parts) => match parts.as_slice() {
            [name] => name.clone(),
            [schema, name] if schema.eq_ignore_ascii_case("pg_catalog") => name.clone(),
            _ => return refuse("an operator of another schema than pg_catalog"),
        },
        sp::BinaryOperator::And
        | sp::BinaryOperator::Or
        | sp::BinaryOperator::Xor
        | sp::BinaryOperator::Overlaps
        | sp::BinaryOperator::Match
        | sp::BinaryOperator::Regexp
        | sp::BinaryOperator::Glob
        | sp::BinaryOperator::DuckIntegerDivide
        | sp::BinaryOperator::MyIntegerDivide
        | sp::BinaryOperator::Assignment => return refuse(format!("the operator {op}")),
        other => other.to_string(),
    })
}

//! Expressions as SQL text: readable, and close to what PostgreSQL prints.

use expr::{Datum, Expr, SessionContext, operators};

/// Prints expressions over rows whose columns have these names.
pub(super) struct Printer<'a> {
    pub(super) names: &'a [String],
    pub(super) session: &'a SessionContext,
}

impl Printer<'_> {
    /// The expression as text.
    pub(super) fn print(&self, expression: &Expr) -> String {
        match expression {
            Expr::Literal { value, ty } => self.literal(value, *ty),
            Expr::Column { index, .. } => self
                .names
                .get(*index)
                .cloned()
                .unwrap_or_else(|| format!("column {}", index.saturating_add(1))),
            Expr::Parameter { index, .. } => format!("${}", index.saturating_add(1)),
            Expr::Call { function, args, .. } => self.call(*function, args),
            Expr::And(items) => self.joined(items, " AND "),
            Expr::Or(items) => self.joined(items, " OR "),
            Expr::Not(operand) => format!("(NOT {})", self.print(operand)),
            Expr::IsNull { operand, negated } => {
                format!("({} IS {}NULL)", self.print(operand), not(*negated))
            }
            Expr::IsBool { operand, value, negated } => {
                let word = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                format!("({} IS {}{word})", self.print(operand), not(*negated))
            }
            Expr::IsDistinct { left, right, negated, .. } => {
                let not = if *negated { "NOT " } else { "" };
                format!("({} IS {not}DISTINCT FROM {})", self.print(left), self.print(right))
            }
            Expr::Case { operand, branches, otherwise, .. } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())
            }
            Expr::CaseOperand { .. } => "CASE_TEST".to_owned(),
            Expr::Coalesce { args, .. } => format!("COALESCE({})", self.list(args)),
            Expr::NullIf { left, right, .. } => {
                format!("NULLIF({}, {})", self.print(left), self.print(right))
            }
            Expr::Extreme { args, greatest, .. } => {
                format!("{}({})", if *greatest { "GREATEST" } else { "LEAST" }, self.list(args))
            }
            Expr::In { operand, items, negated, .. } => {
                format!("({} {}IN ({}))", self.print(operand), not(*negated), self.list(items))
            }
            Expr::AnyAll { operand, array, operator, all } => {
                let symbol = symbol(*operator).unwrap_or(operator.name);
                let word = if *all { "ALL" } else { "ANY" };
                format!("({} {symbol} {word} ({}))", self.print(operand), self.print(array))
            }
            Expr::Array { items, .. } => format!("ARRAY[{}]", self.list(items)),
            Expr::Subscript { array, index, .. } => format!("{}[{}]", self.print(array), self.print(index)),
            Expr::Cast { operand, to, .. } => format!("({})::{}", self.print(operand), to.display_name()),
        }
    }

    fn literal(&self, value: &Datum, ty: expr::Type) -> String {
        match value {
            Datum::Null => "NULL".to_owned(),
            Datum::Bool(value) => value.to_string(),
            Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) => expr::text::output(value, ty, self.session),
            value => {
                let text = expr::text::output(value, ty, self.session).replace('\'', "''");
                format!("'{text}'::{}", ty.kind.display_name())
            }
        }
    }

    fn call(&self, function: expr::FunctionId, args: &[Expr]) -> String {
        match (symbol(function), args) {
            (Some(symbol), [left, right]) => format!("({} {symbol} {})", self.print(left), self.print(right)),
            (Some(symbol), [operand]) => format!("({symbol} {})", self.print(operand)),
            _ => format!("{}({})", function.name, self.list(args)),
        }
    }

    fn case(&self, operand: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> String {
        let mut text = "CASE".to_owned();
        if let Some(operand) = operand {
            text.push(' ');
            text.push_str(&self.print(operand));
        }
        for (condition, result) in branches {
            text.push_str(&format!(" WHEN {} THEN {}", self.print(condition), self.print(result)));
        }
        if let Some(otherwise) = otherwise {
            text.push_str(&format!(" ELSE {}", self.print(otherwise)));
        }
        text.push_str(" END");
        text
    }

    /// Several expressions, separated by commas.
    pub(super) fn list(&self, items: &[Expr]) -> String {
        items.iter().map(|item| self.print(item)).collect::<Vec<_>>().join(", ")
    }

    fn joined(&self, items: &[Expr], word: &str) -> String {
        format!("({})", items.iter().map(|item| self.print(item)).collect::<Vec<_>>().join(word))
    }
}

/// The operator that a function computes.
fn symbol(function: expr::FunctionId) -> Option<&'static str> {
    operators::all().iter().find(|operator| operator.function == function).map(|operator| operator.name)
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

//! Expressions as SQL text, as PostgreSQL's `ruleutils.c` prints them: EXPLAIN, `pg_get_expr`, and the text that a
//! column's default is kept as.
//!
//! Every constant says its type unless its form does, so that what is printed means the same wherever it is read. A cast
//! that nobody wrote is shown only where it decides which operator or function is meant.

use crate::codec;
use crate::datum::Datum;
use crate::functions::{FunctionId, quote, range_made, spread};
use crate::operators;
use crate::session::SessionContext;
use crate::tree::{Expr, Subscript};
use crate::types::{Type, TypeKind};

/// How many spaces a line within another construct is set in by.
const INDENT: usize = 4;

/// What is printed beside what is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As EXPLAIN: all parentheses, one line.
    Explain,
    /// As `pg_get_expr`: all parentheses, CASE over several lines.
    Full,
    /// As `pg_get_expr` with `pretty`: the same without parentheses that make no difference.
    Sparing,
}

/// Prints expressions over rows whose columns have these names.
#[derive(Debug, Clone, Copy)]
pub struct Printer<'a> {
    /// The names, or whatever stands for a column.
    pub names: &'a [String],
    /// Which of the names, by place, are more than one word (a subquery, COLLATE): operands that are such stand in parentheses
    /// where parentheses are saved elsewhere.
    pub loose: &'a [usize],
    /// Which of those do so as operands of AND, OR and NOT, too, as a comparison of rows does, which has parentheses of its own already.
    pub apart: &'a [usize],
    /// Which of the names are calls: what is taken out of their arrays stands behind parentheses.
    pub calls: &'a [usize],
    /// How many spaces lines that begin within the expression are set in by.
    pub margin: usize,
    /// How values are written.
    pub session: &'a SessionContext,
    /// See there.
    pub style: Style,
}

impl Printer<'_> {
    /// The expression as text.
    pub fn print(&self, expression: &Expr) -> String {
        let mut writer = Writer { printer: self, out: String::new(), indent: 0 };
        writer.expression(expression, false);
        writer.out
    }

    /// The expression as an operand of words (`AT TIME ZONE`): in parentheses where it needs some there.
    pub fn operand_of_words(&self, expression: &Expr) -> String {
        let mut writer = Writer { printer: self, out: String::new(), indent: 0 };
        writer.operand(expression, Parent::Cast, false);
        writer.out
    }

    /// The expression as an operand of an operator, where a cast that nobody wrote shows, too.
    pub fn operand(&self, expression: &Expr) -> String {
        let mut writer = Writer { printer: self, out: String::new(), indent: 0 };
        writer.operand(expression, Parent::Cast, true);
        writer.out
    }

    /// The expression as an argument of a function, where a cast that nobody wrote shows, too.
    pub fn argument(&self, expression: &Expr) -> String {
        let mut writer = Writer { printer: self, out: String::new(), indent: 0 };
        writer.expression(expression, true);
        writer.out
    }

    /// Several expressions, separated by commas.
    pub fn list(&self, items: &[Expr]) -> String {
        items.iter().map(|item| self.print(item)).collect::<Vec<_>>().join(", ")
    }
}

/// What an expression stands in.
#[derive(Clone, Copy)]
enum Parent<'a> {
    /// AND, OR, NOT, or an operator's or test's expression.
    Expr(&'a Expr),
    /// A cast.
    Cast,
}

struct Writer<'a> {
    printer: &'a Printer<'a>,
    out: String,
    indent: usize,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// The expression. `implicit`: casts that nobody wrote are shown.
    fn expression(&mut self, expression: &Expr, implicit: bool) {
        match expression {
            Expr::Literal { value, ty } => self.literal(value, *ty, true),
            Expr::Column { index, .. } => match self.printer.names.get(*index) {
                Some(name) => self.name(name),
                None => self.push(&format!("column {}", index.saturating_add(1))),
            },
            Expr::Parameter { index, .. } => self.push(&format!("${}", index.saturating_add(1))),
            Expr::Call { function, args, .. } => self.call(expression, *function, args),
            Expr::And(items) => self.junction(expression, items, " AND "),
            Expr::Or(items) => self.junction(expression, items, " OR "),
            Expr::Not(operand) => self.enclosed(|writer| {
                writer.push("NOT ");
                writer.operand(operand, Parent::Expr(expression), false);
            }),
            Expr::IsNull { operand, negated } => self.enclosed(|writer| {
                writer.operand(operand, Parent::Expr(expression), true);
                writer.push(if *negated { " IS NOT NULL" } else { " IS NULL" });
            }),
            Expr::IsBool { operand, value, negated } => self.enclosed(|writer| {
                writer.operand(operand, Parent::Expr(expression), false);
                writer.push(if *negated { " IS NOT " } else { " IS " });
                writer.push(match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                });
            }),
            Expr::IsDistinct { left, right, negated: false, .. } => {
                self.infix(expression, left, "IS DISTINCT FROM", right);
            }
            Expr::IsDistinct { left, right, negated: true, .. } => self.enclosed(|writer| {
                writer.push("NOT ");
                writer.infix(expression, left, "IS DISTINCT FROM", right);
            }),
            Expr::Case { operand, branches, otherwise, ty } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), *ty);
            }
            Expr::CaseOperand { .. } => self.push("CASE_TEST_EXPR"),
            Expr::Coalesce { args, .. } => self.function("COALESCE", args),
            Expr::Checked { operand, ty, .. } => self.checked(operand, *ty),
            Expr::NullIf { left, right, .. } => {
                self.push("NULLIF(");
                self.expression(left, true);
                self.push(", ");
                self.expression(right, true);
                self.push(")");
            }
            Expr::Extreme { args, greatest, .. } => {
                self.function(if *greatest { "GREATEST" } else { "LEAST" }, args);
            }
            Expr::In { operand, items, negated, .. } => self.membership(expression, operand, items, *negated),
            Expr::AnyAll { operand, array, operator, all } => self.enclosed(|writer| {
                writer.operand(operand, Parent::Expr(expression), true);
                writer.push(&format!(" {} ", symbol(*operator).unwrap_or(operator.name)));
                writer.push(if *all { "ALL (" } else { "ANY (" });
                let list = match array.as_ref() {
                    Expr::Array { items, .. } if !items.is_empty() => varchars(operand, items, true),
                    _ => None,
                };
                match list {
                    Some(items) => writer.array_of_varchars(&items),
                    None => writer.operand(array, Parent::Expr(expression), true),
                }
                writer.push(")");
            }),
            Expr::Array { items, ty } => {
                self.push("ARRAY[");
                self.items(items);
                self.push("]");
                if items.is_empty() {
                    self.push(&format!("::{}", ty.display_name()));
                }
            }
            Expr::Subscript { array, subscripts, .. } => {
                let is_bare = match array.as_ref() {
                    Expr::Column { index, .. } => {
                        !self.printer.loose.contains(index) && !self.printer.calls.contains(index)
                    }
                    array => matches!(array, Expr::Field { .. }),
                };
                self.parenthesised(!is_bare, |writer| writer.expression(array, implicit));
                for subscript in subscripts {
                    self.push("[");
                    match subscript {
                        Subscript::Index(index) => self.expression(index, false),
                        Subscript::Slice(lower, upper) => {
                            lower.iter().for_each(|lower| self.expression(lower, false));
                            self.push(":");
                            upper.iter().for_each(|upper| self.expression(upper, false));
                        }
                    }
                    self.push("]");
                }
            }
            Expr::Row { fields, ty, .. } => {
                self.function("ROW", fields);
                if ty.kind.is_composite() {
                    self.push(&format!("::{}", ty.display_name()));
                }
            }
            Expr::Field { record, place, .. } => {
                let is_bare = matches!(**record, Expr::Subscript { .. } | Expr::Field { .. });
                self.parenthesised(!is_bare, |writer| writer.expression(record, implicit));
                self.push(".");
                self.push(&self.field(record.ty().kind, *place));
            }
            // Whose operand is a row of any kind takes it as it is.
            Expr::Cast { operand, to, explicit: false } if to.kind == TypeKind::Record => {
                self.expression(operand, implicit);
            }
            // A domain says nothing of what becomes one of its values without a word.
            Expr::Cast { operand, to, explicit: false } if !implicit && to.kind.is_domain() => {
                self.expression(operand, false);
            }
            Expr::Cast { operand, explicit: false, .. } if !implicit => {
                self.operand(operand, Parent::Cast, false);
            }
            Expr::Cast { operand, to, .. } => self.cast(operand, *to),
        }
    }

    /// What stands for a column: its lines are set in as everything around is.
    fn name(&mut self, name: &str) {
        if name.starts_with('\n') {
            self.out.truncate(self.out.trim_end_matches(' ').len());
        }
        if self.indent == 0 || !name.contains('\n') {
            return self.push(name);
        }
        let line = format!("\n{}", " ".repeat(self.indent));
        self.push(&name.replace('\n', &line));
    }

    /// What a field is called.
    fn field(&self, kind: TypeKind, place: usize) -> String {
        let attributes = self.printer.session.catalog.attributes(kind);
        let name = attributes.as_ref().and_then(|own| own.fields().nth(place)).map(|(name, _)| name);
        name.map_or_else(|| format!("f{}", place.saturating_add(1)), quote::identifier)
    }

    /// An operand, in parentheses of its own where they make a difference.
    fn operand(&mut self, operand: &Expr, parent: Parent<'_>, implicit: bool) {
        let is_simple = match operand {
            Expr::Column { index, .. } if self.printer.apart.contains(index) => false,
            Expr::Column { index, .. } if self.printer.loose.contains(index) => separates(parent),
            _ => is_simple(operand, parent),
        };
        let bare = self.printer.style != Style::Sparing || is_simple;
        self.parenthesised(!bare, |writer| writer.expression(operand, implicit));
    }

    /// What has parentheses around it unless they are saved.
    fn enclosed(&mut self, content: impl FnOnce(&mut Self)) {
        self.parenthesised(self.printer.style != Style::Sparing, content);
    }

    fn parenthesised(&mut self, parentheses: bool, content: impl FnOnce(&mut Self)) {
        if parentheses {
            self.push("(");
        }
        content(self);
        if parentheses {
            self.push(")");
        }
    }

    fn items(&mut self, items: &[Expr]) {
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.push(", ");
            }
            self.expression(item, true);
        }
    }

    fn function(&mut self, name: &str, args: &[Expr]) {
        self.push(name);
        self.push("(");
        self.items(args);
        self.push(")");
    }

    fn call(&mut self, call: &Expr, function: FunctionId, args: &[Expr]) {
        match (symbol(function), args) {
            (Some(symbol), [left, right]) => self.infix(call, left, symbol, right),
            (Some(symbol), [operand]) => self.enclosed(|writer| {
                writer.push(symbol);
                writer.push(" ");
                writer.operand(operand, Parent::Expr(call), true);
            }),
            _ if spread::is_spread(function) => self.spread(function.name, args),
            _ if function == range_made::CONSTRUCTOR => self.function(call.ty().kind.display_name(), args),
            _ => self.function(&quote::identifier(function.name), args),
        }
    }

    /// `f(a, VARIADIC array)`
    fn spread(&mut self, name: &str, args: &[Expr]) {
        let Some((array, first)) = args.split_last() else { return };
        self.push(&quote::identifier(name));
        self.push("(");
        self.items(first);
        self.push(if first.is_empty() { "VARIADIC " } else { ", VARIADIC " });
        self.items(std::slice::from_ref(array));
        self.push(")");
    }

    fn infix(&mut self, whole: &Expr, left: &Expr, symbol: &str, right: &Expr) {
        self.enclosed(|writer| {
            writer.operand(left, Parent::Expr(whole), true);
            writer.push(&format!(" {symbol} "));
            writer.operand(right, Parent::Expr(whole), true);
        });
    }

    fn junction(&mut self, junction: &Expr, items: &[Expr], word: &str) {
        self.enclosed(|writer| {
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    writer.push(word);
                }
                writer.operand(item, Parent::Expr(junction), false);
            }
        });
    }

    /// `x = ANY (ARRAY[…])`: what IN means.
    fn membership(&mut self, whole: &Expr, operand: &Expr, items: &[Expr], negated: bool) {
        if let [only] = items {
            return self.infix(whole, operand, if negated { "<>" } else { "=" }, only);
        }
        self.enclosed(|writer| {
            writer.operand(operand, Parent::Expr(whole), true);
            writer.push(if negated { " <> ALL (" } else { " = ANY (" });
            match (writer.constant_array(items), varchars(operand, items, false)) {
                (Some((value, ty)), _) => writer.literal(&value, ty, true),
                (None, Some(items)) => writer.array_of_varchars(&items),
                (None, None) => writer.function_like_array(items),
            }
            writer.push(")");
        });
    }

    /// What of a list is compared with a `varchar`: an array of them, which as a whole is one of texts.
    fn array_of_varchars(&mut self, items: &[Expr]) {
        self.enclosed(|writer| writer.function_like_array(items));
        self.push("::text[]");
    }

    fn function_like_array(&mut self, items: &[Expr]) {
        self.push("ARRAY[");
        self.items(items);
        self.push("]");
    }

    /// The items as the one value that a plan has of them, if all are constants.
    fn constant_array(&self, items: &[Expr]) -> Option<(Datum, Type)> {
        if self.printer.style != Style::Explain {
            return None;
        }
        let values = items.iter().map(|item| match item {
            Expr::Literal { value, .. } => Some(value.clone()),
            _ => None,
        });
        let ty = items.first()?.ty().kind.array()?;
        Some((Datum::Array(values.collect::<Option<Vec<_>>>()?.into()), ty.into()))
    }

    fn cast(&mut self, operand: &Expr, to: Type) {
        match operand {
            Expr::Literal { value, ty } if ty.kind == to.kind && ty.modifier < 0 => {
                self.literal(value, *ty, false);
            }
            _ => self.enclosed(|writer| writer.operand(operand, Parent::Cast, false)),
        }
        self.push(&format!("::{}", to.display_name()));
    }

    /// A value of a domain, which is asked last of those that it is over.
    fn checked(&mut self, operand: &Expr, to: Type) {
        match operand {
            Expr::Checked { operand, ty, .. } if *ty == to => self.checked(operand, to),
            _ => self.cast(operand, to),
        }
    }

    /// A constant, with its type where its form does not say it; `typed`: it says so at all.
    fn literal(&mut self, value: &Datum, ty: Type, typed: bool) {
        let shown = match value {
            Datum::Null => "NULL".to_owned(),
            Datum::Bool(value) => value.to_string(),
            value => codec::shown(value, ty, self.printer.session),
        };
        let starts_with_digit = shown.starts_with(|c: char| c.is_ascii_digit());
        let (bare, labelled) = match (value, ty.kind) {
            (Datum::Null, _) => (true, true),
            (_, TypeKind::Bool) => (true, false),
            (_, TypeKind::Unknown) => (false, false),
            (_, TypeKind::Int4) => (starts_with_digit, !starts_with_digit),
            (_, TypeKind::Numeric) => {
                let has_form = starts_with_digit && shown.contains(['e', 'E', '.']);
                (has_form, !has_form || ty.modifier >= 0)
            }
            _ => (false, true),
        };
        if bare {
            self.push(&shown);
        } else {
            self.push(&format!("'{}'", shown.replace('\'', "''")));
        }
        if typed && labelled {
            self.push(&format!("::{}", ty.display_name()));
        }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        ty: Type,
    ) {
        if self.printer.style != Style::Explain {
            self.line();
        }
        self.push("CASE");
        if let Some(operand) = operand {
            self.push(" ");
            self.expression(operand, true);
        }
        self.indent = self.indent.saturating_add(INDENT);
        for (condition, result) in branches {
            self.separate();
            self.push("WHEN ");
            self.expression(compared(condition).unwrap_or(condition), false);
            self.push(" THEN ");
            self.expression(result, true);
        }
        self.separate();
        self.push("ELSE ");
        match otherwise {
            Some(otherwise) => self.expression(otherwise, true),
            None => self.literal(&Datum::Null, ty, true),
        }
        self.indent = self.indent.saturating_sub(INDENT);
        self.separate();
        self.push("END");
    }

    /// A new line, or a space where there is only one.
    fn separate(&mut self) {
        if self.printer.style == Style::Explain { self.push(" ") } else { self.line() }
    }

    fn line(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.push("\n");
        self.push(&" ".repeat(self.printer.margin.saturating_add(self.indent)));
    }
}

/// Within `CASE x WHEN y`: y.
fn compared(condition: &Expr) -> Option<&Expr> {
    match condition {
        Expr::Call { args, .. } => match args.as_slice() {
            [Expr::CaseOperand { .. }, value] => Some(value),
            [Expr::Cast { operand, explicit: false, .. }, value] => {
                matches!(**operand, Expr::CaseOperand { .. }).then_some(value)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether an operand can stand in its parent without parentheses (`isSimpleNode`).
fn is_simple(operand: &Expr, parent: Parent<'_>) -> bool {
    match operand {
        Expr::Call { function, .. } => match (symbol(*function), parent) {
            (None, _) => true,
            (Some(own), Parent::Expr(whole @ Expr::Call { function, args, .. })) => {
                let first = args.first().is_some_and(|first| std::ptr::eq(first, operand));
                let binary = arity(operand) == 2 && arity(whole) == 2;
                binary && symbol(*function).is_some_and(|outer| binds_tighter(own, outer, first))
            }
            (Some(_), parent) => separates(parent),
        },
        Expr::IsNull { .. } | Expr::IsBool { .. } | Expr::IsDistinct { .. } => separates(parent),
        // One item is compared by an operator; PostgreSQL knows no more of a comparison with an array.
        Expr::In { items, .. } => items.len() == 1 && separates(parent),
        Expr::AnyAll { .. } => false,
        Expr::And(_) | Expr::Not(_) => matches!(parent, Parent::Expr(Expr::And(_) | Expr::Or(_))),
        Expr::Or(_) => matches!(parent, Parent::Expr(Expr::Or(_))),
        Expr::Cast { operand: inner, to, .. } => {
            use crate::casts::find;
            let calls = to.modifier >= 0 || find(inner.ty().kind, to.kind).is_some_and(|cast| cast.is_call);
            calls || is_simple(inner, Parent::Cast)
        }
        _ => true,
    }
}

/// AND, OR and NOT bind less tightly than anything else.
fn separates(parent: Parent<'_>) -> bool {
    matches!(parent, Parent::Expr(Expr::And(_) | Expr::Or(_) | Expr::Not(_)))
}

fn arity(expression: &Expr) -> usize {
    if let Expr::Call { args, .. } = expression { args.len() } else { 0 }
}

/// Of the basic operators alone PostgreSQL knows which one binds tighter.
fn binds_tighter(own: &str, outer: &str, first: bool) -> bool {
    let level = |symbol| match symbol {
        "+" | "-" => Some(0),
        "*" | "/" | "%" => Some(1),
        _ => None,
    };
    match (level(own), level(outer)) {
        (Some(own), Some(outer)) => own > outer || own == outer && first,
        _ => false,
    }
}

/// The operator that a function computes.
fn symbol(function: FunctionId) -> Option<&'static str> {
    operators::all().iter().find(|operator| operator.function == function).map(|operator| operator.name)
}

/// The items of a list that is compared with a `varchar`, if they are such themselves. What was printed and is read again says the
/// casts of its items: `said`.
fn varchars(operand: &Expr, items: &[Expr], said: bool) -> Option<Vec<Expr>> {
    let inside = |item: &Expr| match item {
        Expr::Cast { operand, to, explicit }
            if (said || !explicit) && to.kind == TypeKind::Text && operand.ty().kind == TypeKind::Varchar =>
        {
            Some((**operand).clone())
        }
        _ => None,
    };
    inside(operand)?;
    items.iter().map(inside).collect()
}

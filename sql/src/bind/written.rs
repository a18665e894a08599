//! A column's default, or a constraint's condition, as PostgreSQL would print it: what is kept of it, and what
//! `pg_get_expr` answers.
//!
//! The expression is bound as ever, except that it stays as it was written ([`Written`]): no constant is computed, and a
//! cast shows whether somebody wrote it. Then it is printed. What the SQL standard has words of its own for
//! (`CURRENT_DATE`, `EXTRACT`, `AT TIME ZONE`) is printed where it is bound, and stands in the tree as a column of which that
//! text is the name; columns of a table, which a constraint may name, come before them.

use expr::functions::quote;
use expr::print::{Printer, Style};
use expr::{Datum, Expr, Type, TypeKind};

use super::placeholder::Stands;
use super::{Binder, SessionSettings};
use crate::catalog::{CatalogSnapshot, SearchPath, named};
use crate::error::{Error, Result};
use crate::parse::{self, ast};
use crate::plan::AggregateCall;

/// An expression is bound to be printed.
#[derive(Debug)]
pub(super) struct Written {
    style: Style,
    /// The names of the row's columns, then the texts of what has words of its own, by the number of the column that
    /// stands for it.
    words: Vec<String>,
}

/// The text of a default, less parentheses that make no difference; `None`: it is no expression. Its column's type matters
/// only where a cast to it leaves parentheses behind, and need not be known.
pub(crate) fn sparing(
    sql: &str,
    ty: Option<Type>,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> Option<String> {
    let expression = parse::parse_expression(sql).ok()?;
    let context = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let mut binder = Binder::new(catalog, &settings);
    let printed = binder.of_kept(|binder| {
        binder.as_written(Style::Sparing, Vec::new(), |binder| match ty {
            Some(ty) => binder.default_expression(&expression, ty, ""),
            None => binder.closed_expression(&expression),
        })
    });
    Some(printed.ok()?.1)
}

impl Binder<'_> {
    /// What is kept of a column's default, which has been found to be right; `None`: it is as without one.
    pub(super) fn kept_default(
        &mut self,
        default: &ast::DefaultDefinition,
        ty: Type,
        column: &str,
    ) -> Result<Option<String>> {
        let printed = self.as_written(Style::Full, Vec::new(), |binder| {
            binder.default_expression(&default.expr, ty, column)
        });
        match printed {
            // Of a domain NULL is no less than another default: it stands before what the domain has.
            Ok((Expr::Literal { value: Datum::Null, .. }, _)) if !ty.kind.is_domain() => Ok(None),
            Ok((_, text)) if self.is_default(&text, ty, column) => Ok(Some(self.by_oid(&text))),
            // It cannot be said in PostgreSQL's way: then as it was said.
            _ => self.as_it_was_said(&default.text).map(Some),
        }
    }

    /// What is kept of an expression that cannot be printed.
    ///
    /// # Errors
    /// 0A000: it calls a function that was made by its name, which does not say for ever which is meant.
    pub(super) fn as_it_was_said(&self, text: &str) -> Result<String> {
        let called = parse::called_in(text);
        let made = called.iter().find(|name| self.catalog.objects().functions_named(name).next().is_some());
        match made {
            Some(name) => {
                Err(Error::unsupported(format!("a call of function {name} in an expression of this kind")))
            }
            None => Ok(self.by_oid(text)),
        }
    }

    /// The text with the oids of relations for their names.
    pub(super) fn by_oid(&self, text: &str) -> String {
        let path = self.settings.search_path;
        named::kept(text, |name| named::find(self.catalog, path, name))
    }

    fn is_default(&mut self, text: &str, ty: Type, column: &str) -> bool {
        parse::parse_expression(text)
            .and_then(|expression| self.of_kept(|binder| binder.default_expression(&expression, ty, column)))
            .is_ok()
    }

    /// What is bound over a row of these columns, as it was written, and its text.
    pub(super) fn as_written(
        &mut self,
        style: Style,
        columns: Vec<String>,
        bind: impl FnOnce(&mut Self) -> Result<Expr>,
    ) -> Result<(Expr, String)> {
        self.written = Some(Written { style, words: columns });
        let bound = bind(self);
        let words = self.written.take().map(|written| written.words).unwrap_or_default();
        let bound = bound?;
        // Whatever the session prefers: the text must mean the same in every session.
        let printer = Printer { names: &words, session: &self.catalog.plain_session(), style };
        let text = printer.print(&bound);
        Ok((bound, text))
    }

    /// The text of what is bound over the row of the query at hand, whose columns are called so; aggregates stand in it with their
    /// arguments. `None`: there is more in it.
    pub(super) fn as_written_of_groups(
        &mut self,
        style: Style,
        columns: &[String],
        bind: impl FnOnce(&mut Self) -> Result<Expr>,
    ) -> Result<Option<String>> {
        self.written = Some(Written { style, words: columns.to_vec() });
        let bound = bind(self);
        let mut words = self.written.take().map(|written| written.words).unwrap_or_default();
        let bound = bound?;
        let session = self.catalog.plain_session();
        let first = words.len();
        for call in self.level()?.aggregates.clone() {
            let printer = Printer { names: &words, session: &session, style };
            let text = aggregate(&call, &printer).unwrap_or_default();
            words.push(text);
        }
        let bound = bound.map_columns(&|index| match Stands::of(index) {
            Stands::Aggregate(place) => first.saturating_add(place),
            _ => index,
        });
        let mut has_names = true;
        bound.walk(&mut |part| {
            if let Expr::Column { index, .. } = part {
                has_names &= words.get(*index).is_some_and(|word| !word.is_empty());
            }
        });
        let printer = Printer { names: &words, session: &session, style };
        Ok(has_names.then(|| printer.print(&bound)))
    }

    /// The call of a function that goes by such a name, as the column that stands for its text. The last arguments have these
    /// names.
    pub(super) fn call_in_words(&mut self, name: &str, args: &[Expr], named: &[ast::Name], ty: Type) -> Expr {
        let Some(written) = &mut self.written else { return Expr::null(ty) };
        let session = self.catalog.plain_session();
        let printer = Printer { names: &written.words, session: &session, style: written.style };
        let unnamed = args.len().saturating_sub(named.len());
        let args = args.iter().enumerate().map(|(place, arg)| {
            let text = printer.argument(arg);
            match place.checked_sub(unnamed).and_then(|place| named.get(place)) {
                Some(name) => format!("{} => {text}", quote::identifier(&name.value)),
                None => text,
            }
        });
        let text = format!("{name}({})", args.collect::<Vec<_>>().join(", "));
        written.words.push(text);
        Expr::Column { index: written.words.len().saturating_sub(1), ty }
    }

    /// What has a collation, or the column that stands for its text.
    pub(super) fn collated_in_words(&mut self, operand: Expr, collation: &str) -> Expr {
        let Some(written) = &mut self.written else { return operand };
        let operand = match operand {
            Expr::Literal { value, ty } if ty.kind == TypeKind::Unknown => {
                Expr::Literal { value, ty: TypeKind::Text.into() }
            }
            operand => operand,
        };
        let session = self.catalog.plain_session();
        let printer = Printer { names: &written.words, session: &session, style: written.style };
        let text = printer.operand_of_words(&operand);
        written.words.push(format!("({text} COLLATE {})", quote::identifier(collation)));
        Expr::Column { index: written.words.len().saturating_sub(1), ty: operand.ty() }
    }

    /// A call in words of the SQL standard, or the column that stands for its text.
    pub(super) fn in_words(&mut self, call: &ast::Function, bound: Expr) -> Expr {
        let Some(written) = &mut self.written else { return bound };
        let session = self.catalog.plain_session();
        let printer = Printer { names: &written.words, session: &session, style: written.style };
        let args = if let Expr::Call { args, .. } = &bound { args.as_slice() } else { &[] };
        let text = in_words(&call.name.name.value, args, &printer).unwrap_or_else(|| word(call));
        written.words.push(text);
        Expr::Column { index: written.words.len().saturating_sub(1), ty: bound.ty() }
    }
}

/// An aggregate with its arguments, unless more is said of it.
fn aggregate(call: &AggregateCall, printer: &Printer<'_>) -> Option<String> {
    if call.filter.is_some() || !call.order_by.is_empty() {
        return None;
    }
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let arguments: Vec<String> = call.arguments.iter().map(|argument| printer.argument(argument)).collect();
    let arguments = if arguments.is_empty() { "*".to_owned() } else { arguments.join(", ") };
    Some(format!("{}({distinct}{arguments})", quote::identifier(call.function.function().name)))
}

/// The call if it has arguments (`get_func_sql_syntax`).
fn in_words(name: &str, args: &[Expr], printer: &Printer<'_>) -> Option<String> {
    let text = |arg| printer.print(arg);
    Some(match (name, args) {
        ("timezone", [zone, time]) => {
            let [time, zone] = [time, zone].map(|arg| printer.operand_of_words(arg));
            format!("({time} AT TIME ZONE {zone})")
        }
        ("extract", [Expr::Literal { value, .. }, from]) => {
            format!("EXTRACT({} FROM {})", value.as_str()?, text(from))
        }
        ("position", [whole, part]) => format!("POSITION(({}) IN ({}))", text(part), text(whole)),
        ("overlay", [whole, part, from]) => {
            format!("OVERLAY({} PLACING {} FROM {})", text(whole), text(part), text(from))
        }
        ("overlay", [whole, part, from, length]) => {
            let [whole, part, from, length] = [whole, part, from, length].map(text);
            format!("OVERLAY({whole} PLACING {part} FROM {from} FOR {length})")
        }
        ("overlaps", [left, left_end, right, right_end]) => {
            let [left, left_end, right, right_end] = [left, left_end, right, right_end].map(text);
            format!("(({left}, {left_end}) OVERLAPS ({right}, {right_end}))")
        }
        ("substring", [whole, from]) => format!("SUBSTRING({} FROM {})", text(whole), text(from)),
        ("substring", [whole, from, length]) => {
            format!("SUBSTRING({} FROM {} FOR {})", text(whole), text(from), text(length))
        }
        ("btrim" | "ltrim" | "rtrim", [whole, rest @ ..]) => {
            let side = match name {
                "ltrim" => "LEADING",
                "rtrim" => "TRAILING",
                _ => "BOTH",
            };
            let characters = rest.first().map(|rest| format!(" {}", text(rest))).unwrap_or_default();
            format!("TRIM({side}{characters} FROM {})", text(whole))
        }
        _ => return None,
    })
}

/// `CURRENT_TIMESTAMP(3)`
fn word(call: &ast::Function) -> String {
    let word = call.name.name.value.to_uppercase();
    match call.arguments.first().map(|argument| &argument.kind) {
        Some(ast::ExprKind::Number(precision)) => format!("{word}({precision})"),
        _ => word,
    }
}

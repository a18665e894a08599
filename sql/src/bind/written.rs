//! A column's default, or a constraint's condition, as PostgreSQL would print it: what is kept of it, and what
//! `pg_get_expr` answers.
//!
//! The expression is bound as ever, except that it stays as it was written ([`Written`]): no constant is computed, and a
//! cast shows whether somebody wrote it. Then it is printed. What the SQL standard has words of its own for
//! (`CURRENT_DATE`, `EXTRACT`, `AT TIME ZONE`) is printed where it is bound, and stands in the tree as a column of which that
//! text is the name; columns of a table, which a constraint may name, come before them.

use expr::functions::quote;
use expr::print::{Printer, Style};
use expr::{Datum, Expr, SessionContext, Type, TypeKind, casts, operators};

use super::{Binder, SessionSettings};
use crate::catalog::{CatalogSnapshot, SearchPath, named};
use crate::error::{Error, Result};
use crate::parse::{self, ast};

/// An expression is bound to be printed.
#[derive(Debug)]
pub(super) struct Written {
    style: Style,
    /// How many spaces its lines are set in by.
    margin: usize,
    /// It may hold what belongs to a query: other queries, aggregates, window functions. They are words then.
    of_query: bool,
    /// The names of the row's columns, then the texts of what has words of its own, by the number of the column that
    /// stands for it.
    words: Vec<String>,
    /// Which of the words are neither a name nor a call.
    loose: Vec<usize>,
    /// Which of those compare rows.
    apart: Vec<usize>,
    /// Which of the words are calls.
    calls: Vec<usize>,
    /// It reads what stands before it in FROM.
    reads_lateral: bool,
}

/// What a word looks like, which decides where it stands in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Like a name.
    Name,
    /// Like the call of a function.
    Call,
    /// A subquery, COLLATE and the like.
    Loose,
    /// A comparison of rows.
    Rows,
}

impl Written {
    /// An expression over a row of a query, whose columns have these names.
    pub(super) fn of_query(style: Style, margin: usize, names: Vec<String>) -> Self {
        Self { margin, of_query: true, ..Self::of_row(style, names) }
    }

    /// An expression by itself.
    fn of_row(style: Style, names: Vec<String>) -> Self {
        Self {
            style,
            margin: 0,
            of_query: false,
            words: names,
            loose: Vec::new(),
            apart: Vec::new(),
            calls: Vec::new(),
            reads_lateral: false,
        }
    }

    /// How far its lines are set in, and how it is printed.
    pub(super) fn layout(&self) -> (usize, Style) {
        (self.margin, self.style)
    }

    /// Notes that it reads what stands before it in FROM.
    pub(super) fn note_lateral(&mut self) {
        self.reads_lateral = true;
    }

    /// Whether it does.
    pub(super) fn reads_lateral(&self) -> bool {
        self.reads_lateral
    }

    /// The printer of what is bound.
    fn printer<'w>(&'w self, session: &'w SessionContext) -> Printer<'w> {
        Printer {
            names: &self.words,
            loose: &self.loose,
            apart: &self.apart,
            calls: &self.calls,
            margin: self.margin,
            session,
            style: self.style,
        }
    }

    /// Adds a word; the column that stands for it.
    fn word(&mut self, text: String, form: Form, ty: Type) -> Expr {
        let index = self.words.len();
        self.words.push(text);
        match form {
            Form::Name => {}
            Form::Call => self.calls.push(index),
            Form::Loose => self.loose.push(index),
            Form::Rows => {
                self.loose.push(index);
                self.apart.push(index);
            }
        }
        Expr::Column { index, ty }
    }

    /// About how long the texts are that stand in an expression, in bytes.
    fn bytes(&self, bound: &Expr) -> usize {
        let mut bytes = 0_usize;
        bound.walk(&mut |part| {
            let own = match part {
                Expr::Column { index, .. } => self.words.get(*index).map_or(0, String::len),
                Expr::Literal { value, .. } => value.size_bytes(),
                _ => 0,
            };
            bytes = bytes.saturating_add(own);
        });
        bytes
    }

    /// What an expression of a query is printed as.
    ///
    /// # Errors
    /// 0A000: a part of it has no words.
    pub(super) fn text(&self, bound: &Expr, session: &SessionContext) -> Result<String> {
        self.check(bound)?;
        Ok(self.printer(session).print(bound))
    }

    /// The same with the casts that nobody wrote.
    pub(super) fn argument(&self, bound: &Expr, session: &SessionContext) -> Result<String> {
        self.check(bound)?;
        Ok(self.printer(session).argument(bound))
    }

    /// The same as a key of GROUP BY or ORDER BY (`get_rule_sortgroupclause`): what is no name is in parentheses, lest it be
    /// read as something else.
    pub(super) fn key(&self, bound: &Expr, session: &SessionContext) -> Result<String> {
        let text = self.argument(bound, session)?;
        let is_bare = match bound {
            Expr::Literal { .. } => true,
            Expr::Column { index, .. } if self.calls.contains(index) => false,
            Expr::Column { index, .. } if self.loose.contains(index) => self.style != Style::Sparing,
            Expr::Column { .. } => true,
            _ => self.style != Style::Sparing && !is_call(bound),
        };
        Ok(if is_bare { text } else { format!("({text})") })
    }

    fn check(&self, bound: &Expr) -> Result<()> {
        let mut has_words = true;
        bound.walk(&mut |part| match part {
            Expr::Column { index, .. } => {
                has_words &= self.words.get(*index).is_some_and(|word| !word.is_empty());
            }
            Expr::Parameter { .. } => has_words = false,
            _ => {}
        });
        if has_words { Ok(()) } else { Err(Error::unsupported("an expression without words")) }
    }
}

/// Whether PostgreSQL computes it by a function, be it written as one or as a cast.
fn is_call(bound: &Expr) -> bool {
    match bound {
        Expr::Call { function, .. } => {
            !operators::all().iter().any(|operator| operator.function == *function)
        }
        Expr::Cast { operand, to, .. } => {
            to.modifier >= 0 || casts::find(operand.ty().kind, to.kind).is_some_and(|cast| cast.is_call)
        }
        _ => false,
    }
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
        self.written = Some(Written::of_row(style, columns));
        let bound = bind(self);
        let written = self.written.take();
        let bound = bound?;
        let written = written.ok_or_else(|| Error::internal("what is printed was lost"))?;
        self.budget.check_texts()?;
        // Whatever the session prefers: the text must mean the same in every session.
        let text = written.printer(&self.catalog.plain_session()).print(&bound);
        Ok((bound, text))
    }

    /// Whether an expression of a query is bound to be printed.
    pub(super) fn is_shown(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.of_query)
    }

    /// What is printed of the expression of a query that is at hand.
    ///
    /// # Errors
    /// XX000: nothing is printed.
    pub(super) fn shown(&self) -> Result<&Written> {
        self.written.as_ref().ok_or_else(|| Error::internal("nothing is printed"))
    }

    /// Takes a copy of an operand, which is printed as often as it stands there.
    ///
    /// # Errors
    /// 54001: it is too much.
    pub(super) fn take_copy(&mut self, operand: &Expr) -> Result<()> {
        if let Some(written) = &self.written {
            self.budget.note_text(written.bytes(operand));
        }
        self.budget.take_copy(operand)
    }

    /// The column that stands for a text.
    pub(super) fn word(&mut self, text: String, form: Form, ty: Type) -> Expr {
        self.budget.note_text(text.len());
        match &mut self.written {
            Some(written) => written.word(text, form, ty),
            None => Expr::null(ty),
        }
    }

    /// The call of a function that goes by such a name, as the column that stands for its text. The last arguments have these
    /// names.
    pub(super) fn call_in_words(&mut self, name: &str, args: &[Expr], named: &[ast::Name], ty: Type) -> Expr {
        let Some(written) = &self.written else { return Expr::null(ty) };
        let session = self.catalog.plain_session();
        let printer = written.printer(&session);
        let unnamed = args.len().saturating_sub(named.len());
        let args = args.iter().enumerate().map(|(place, arg)| {
            let text = printer.argument(arg);
            match place.checked_sub(unnamed).and_then(|place| named.get(place)) {
                Some(name) => format!("{} => {text}", quote::identifier(&name.value)),
                None => text,
            }
        });
        let text = format!("{name}({})", args.collect::<Vec<_>>().join(", "));
        self.word(text, Form::Call, ty)
    }

    /// What has a collation, or the column that stands for its text.
    pub(super) fn collated_in_words(&mut self, operand: Expr, collation: &str) -> Expr {
        let Some(written) = &self.written else { return operand };
        let operand = match operand {
            Expr::Literal { value, ty } if ty.kind == TypeKind::Unknown => {
                Expr::Literal { value, ty: TypeKind::Text.into() }
            }
            operand => operand,
        };
        let session = self.catalog.plain_session();
        let text = written.printer(&session).operand_of_words(&operand);
        let text = format!("{text} COLLATE {}", quote::identifier(collation));
        let text = if written.style == Style::Sparing { text } else { format!("({text})") };
        self.word(text, Form::Loose, operand.ty())
    }

    /// A call in words of the SQL standard, or the column that stands for its text.
    pub(super) fn in_words(&mut self, call: &ast::Function, bound: Expr) -> Expr {
        let Some(written) = &self.written else { return bound };
        let session = self.catalog.plain_session();
        let printer = written.printer(&session);
        let args = if let Expr::Call { args, .. } = &bound { args.as_slice() } else { &[] };
        let name = call.name.name.value.as_str();
        match in_words(name, args, &printer) {
            Some(text) => self.word(text, Form::Call, bound.ty()),
            None if args.is_empty() => self.word(word(call), Form::Name, bound.ty()),
            None => self.call_in_words(&quote::identifier(name), args, &[], bound.ty()),
        }
    }
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
        ("substring", [whole, from]) if from.ty().kind == TypeKind::Int4 => {
            format!("SUBSTRING({} FROM {})", text(whole), text(from))
        }
        ("substring", [whole, from, length]) if from.ty().kind == TypeKind::Int4 => {
            format!("SUBSTRING({} FROM {} FOR {})", text(whole), text(from), text(length))
        }
        ("substring", [whole, pattern, escape]) => {
            format!("SUBSTRING({} SIMILAR {} ESCAPE {})", text(whole), text(pattern), text(escape))
        }
        ("normalize", [whole]) => format!("NORMALIZE({})", text(whole)),
        ("normalize", [whole, Expr::Literal { value, .. }]) => {
            format!("NORMALIZE({}, {})", text(whole), value.as_str()?)
        }
        ("is_normalized", [whole]) => format!("({} IS NORMALIZED)", printer.operand_of_words(whole)),
        ("is_normalized", [whole, Expr::Literal { value, .. }]) => {
            format!("({} IS {} NORMALIZED)", printer.operand_of_words(whole), value.as_str()?)
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

//! What belongs to a query in an expression that is printed: each becomes a word, a column that stands for its text.

use expr::functions::quote::identifier;
use expr::{Expr, SessionContext, Type, TypeKind};

use super::layout::Place;
use super::names::Called;
use crate::bind::Binder;
use crate::bind::expression::kind_of_list;
use crate::bind::placeholder::SUBQUERY_ROW;
use crate::bind::written::{Form, Written};
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind};
use crate::plan::SortKey;

/// What is printed of an expression by itself.
pub(super) fn text(written: &Written, session: &SessionContext, bound: Expr) -> Result<String> {
    written.text(&bound, session)
}

/// What is printed of a key of GROUP BY or ORDER BY.
pub(super) fn key(written: &Written, session: &SessionContext, bound: Expr) -> Result<String> {
    written.key(&bound, session)
}

/// What stands behind a key of ORDER BY.
pub(super) fn direction(descending: bool, nulls_first: bool) -> &'static str {
    match (descending, nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    }
}

impl Binder<'_> {
    /// What is bound over the row of the level at hand, as text.
    pub(super) fn printed<T>(
        &mut self,
        place: Place,
        bind: impl FnOnce(&mut Self) -> Result<T>,
        print: impl FnOnce(&Written, &SessionContext, T) -> Result<String>,
    ) -> Result<String> {
        let names = self.level()?.names.clone();
        let around = self.written.replace(Written::of_query(place.style, place.margin(), names));
        let bound = bind(self);
        let written = std::mem::replace(&mut self.written, around);
        let written = written.ok_or_else(|| Error::internal("what is printed was lost"))?;
        let bound = bound?;
        self.budget.check_texts()?;
        let text = print(&written, &self.catalog.plain_session(), bound)?;
        self.budget.note_text(text.len());
        Ok(text)
    }

    /// A subquery between two texts; `bind` tells what it is.
    pub(in crate::bind) fn query_in_words(
        &mut self,
        query: &ast::Query,
        before: &str,
        behind: &str,
        bind: impl FnOnce(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let written = self.written.take();
        let ty = bind(self).map(|bound| bound.ty());
        self.written = written;
        let text = self.subquery_text(query)?;
        Ok(self.word(format!("{before}{text}{behind}"), Form::Loose, ty?))
    }

    /// A query within the expression at hand.
    fn subquery_text(&mut self, query: &ast::Query) -> Result<String> {
        let (start, style) = self.shown()?.layout();
        let written = self.written.take();
        let text = self.query_text(query, Place { style, start }, Called { given: None, seen: false }, true);
        self.written = written;
        text
    }

    /// `x op ANY (SELECT …)`, `x op ALL (SELECT …)`; `(x, y) IN (SELECT …)`.
    pub(in crate::bind) fn quantified_in_words(
        &mut self,
        left: &ast::Expr,
        operator: &ast::Operator,
        query: &ast::Query,
        all: bool,
    ) -> Result<Expr> {
        let operands = match &left.kind {
            ExprKind::Row(items) => self.row_fields(items)?,
            _ => vec![(self.expression(left)?, left.at)],
        };
        let written = self.written.take();
        let bound = self.inner_query(query);
        self.written = written;
        let (mut bound, _) = bound?;
        let mut texts = Vec::with_capacity(operands.len());
        for (column, (operand, at)) in operands.into_iter().enumerate() {
            let ty = self.settled_output(&mut bound, column, operand.ty())?;
            let row = Expr::Column { index: SUBQUERY_ROW.saturating_add(column), ty };
            let test = self.operator(&operator.name, Some((operand, at)), (row, operator.at), operator.at)?;
            let Expr::Call { args, .. } = test else { return Err(Error::internal("an operator is no call")) };
            let operand = args.first().ok_or_else(|| Error::internal("an operator without operands"))?;
            texts.push(self.shown()?.argument(operand, &self.catalog.plain_session())?);
        }
        let lefts = match texts.as_slice() {
            [only] => only.clone(),
            several => format!("({})", several.join(", ")),
        };
        let word = match (&*operator.name, all) {
            ("=", false) => "IN".to_owned(),
            (name, false) => format!("{name} ANY"),
            (name, true) => format!("{name} ALL"),
        };
        let text = self.subquery_text(query)?;
        Ok(self.word(format!("({lefts} {word} ({text}))"), Form::Loose, TypeKind::Bool.into()))
    }

    /// `ROW(a, b) < ROW(c, d)`
    pub(in crate::bind) fn row_order_in_words(
        &mut self,
        operator: &ast::Operator,
        lefts: Vec<(Expr, usize)>,
        rights: Vec<(Expr, usize)>,
    ) -> Result<Expr> {
        let (mut left_texts, mut right_texts) = (Vec::new(), Vec::new());
        for (one, other) in lefts.into_iter().zip(rights) {
            let Expr::Call { args, .. } = self.operator(&operator.name, Some(one), other, operator.at)?
            else {
                return Err(Error::internal("an operator is no call"));
            };
            let session = self.catalog.plain_session();
            for (text, operand) in [&mut left_texts, &mut right_texts].into_iter().zip(&args) {
                text.push(self.shown()?.argument(operand, &session)?);
            }
        }
        let [left, right] = [left_texts, right_texts].map(|texts| texts.join(", "));
        let text = format!("(ROW({left}) {} ROW({right}))", operator.name);
        Ok(self.word(text, Form::Rows, TypeKind::Bool.into()))
    }

    /// `x IN (a, b)`, x first, as PostgreSQL keeps it: what names no column is one list, of everything else each is compared by
    /// itself.
    pub(in crate::bind) fn list_in_words(
        &mut self,
        items: Vec<(Expr, usize)>,
        (at, negated): (usize, bool),
    ) -> Result<Expr> {
        let mut items = items.into_iter();
        let Some(operand) = items.next() else { return Err(Error::internal("IN without an operand")) };
        let (plain, named): (Vec<_>, Vec<_>) = items.clone().partition(|(item, _)| item.columns().is_empty());
        let kinds = std::iter::once(&operand).chain(&plain).map(|(item, _)| item.ty().kind);
        let is_list = plain.len() > 1 && kind_of_list(&kinds.collect::<Vec<_>>()).is_some();
        let mut whole = match is_list {
            true => {
                let list = std::iter::once(operand.clone()).chain(plain).collect();
                Some(self.in_items(list, (at, negated))?)
            }
            false => None,
        };
        let name = if negated { "<>" } else { "=" };
        let singles = if is_list { named } else { items.collect() };
        for item in singles {
            self.take_copy(&operand.0)?;
            let one = self.operator(name, Some(operand.clone()), item, at)?;
            whole = Some(match whole {
                None => one,
                Some(before) if negated => Expr::And(vec![before, one]),
                Some(before) => Expr::Or(vec![before, one]),
            });
        }
        whole.ok_or_else(|| Error::internal("IN without a list"))
    }

    /// The call of an aggregate.
    pub(in crate::bind) fn aggregate_in_words(
        &mut self,
        call: &ast::Function,
        arguments: &[Expr],
        filter: Option<&Expr>,
        order_by: &[SortKey],
        ty: Type,
    ) -> Result<Expr> {
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let arguments = if call.star { "*".to_owned() } else { self.arguments_text(arguments)? };
        let order = match order_by {
            [] => String::new(),
            keys => format!(" ORDER BY {}", self.keys_text(keys)?),
        };
        let filter = self.filter_text(filter)?;
        let text = format!("{}({distinct}{arguments}{order}{filter})", called(call));
        Ok(self.word(text, Form::Call, ty))
    }

    /// The call of an aggregate with WITHIN GROUP.
    pub(in crate::bind) fn ordered_set_in_words(
        &mut self,
        call: &ast::Function,
        direct: &[Expr],
        order_by: &[SortKey],
        filter: Option<&Expr>,
        ty: Type,
    ) -> Result<Expr> {
        let (direct, keys) = (self.arguments_text(direct)?, self.keys_text(order_by)?);
        let filter = self.filter_text(filter)?;
        let text = format!("{}({direct}) WITHIN GROUP (ORDER BY {keys}{filter})", called(call));
        Ok(self.word(text, Form::Call, ty))
    }

    /// Arguments of a function.
    pub(super) fn arguments_text(&self, arguments: &[Expr]) -> Result<String> {
        let session = self.catalog.plain_session();
        let written = self.shown()?;
        let texts = arguments.iter().map(|argument| written.argument(argument, &session));
        Ok(texts.collect::<Result<Vec<_>>>()?.join(", "))
    }

    /// `) FILTER (WHERE x`
    pub(super) fn filter_text(&self, filter: Option<&Expr>) -> Result<String> {
        let Some(filter) = filter else { return Ok(String::new()) };
        Ok(format!(") FILTER (WHERE {}", self.shown()?.text(filter, &self.catalog.plain_session())?))
    }

    /// ORDER BY within a call or a window.
    pub(super) fn keys_text(&self, keys: &[SortKey]) -> Result<String> {
        let session = self.catalog.plain_session();
        let written = self.shown()?;
        let texts = keys.iter().map(|key| -> Result<String> {
            let text = written.key(&key.expression, &session)?;
            Ok(format!("{text}{}", direction(key.descending, key.nulls_first)))
        });
        Ok(texts.collect::<Result<Vec<_>>>()?.join(", "))
    }
}

/// The name that a call is by.
pub(super) fn called(call: &ast::Function) -> String {
    identifier(&call.name.name.value)
}

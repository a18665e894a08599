//! Plans of query strings: one that has come before is neither parsed nor bound again, whatever its literals are now.
//!
//! A string enters when it comes for the second time. It is then planned twice: as it stands, and with parameters for
//! its literals. Only if the two are the same plan once the values stand in their places are they taken to mean the
//! same; from then on strings with other literals of the same classes (int4, int8, numeric, string) run the second.
//!
//! # Invariants
//! - What is run was planned under the catalog and the search path that are in force, and never over what the
//!   transaction under way has itself created.
//! - The answer is that of the string run by itself, the places of errors included: where a literal does not stand for
//!   a value of its parameter's type, the string is run by itself.
//! - All that a session keeps takes no more than a bound.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use expr::casts::CastContext;
use expr::{Datum, Expr, SessionContext, Type, TypeKind, length, resolve};
use futures::FutureExt as _;
use parking_lot::Mutex;

use super::paging::{self, Page};
use super::portal::{Portal, State};
use super::prepared::{Planned, Prepared, Statement, kind_of};
use super::registry::charge_of;
use super::transaction::Block;
use super::{EngineOptions, Session};
use crate::catalog::CatalogSnapshot;
use crate::error::{Error, Result};
use crate::parse::{self, Dialect, Literal, Normalised};
use crate::plan::{Bound, Modify, Node, Plan, walk};

/// So many strings that have come once are remembered.
const ONCE_MAX: usize = 64;

/// What a session knows of the query strings that it was sent.
pub(super) struct Texts {
    known: HashMap<String, Known>,
    /// The catalog, and the search path's generation, that all of them are true under.
    under: Option<(Arc<CatalogSnapshot>, u64)>,
    bytes: usize,
    bytes_max: usize,
    at_once: bool,
    /// Hashes of what has come once, the oldest first.
    once: VecDeque<u64>,
    /// Counts the uses of all.
    uses: u64,
}

/// What is known of strings that differ in their literals alone.
struct Known {
    /// The statement with parameters; `None`: it does not mean the same.
    prepared: Option<Arc<Prepared>>,
    limits: Limits,
    bytes: usize,
    used: u64,
}

/// What binding asks of literals, whether there are rows or not, by the literal's place.
type Limits = Arc<[(usize, Limit)]>;

/// What a literal has to be.
#[derive(Debug, Clone, PartialEq)]
enum Limit {
    /// It has to fit a column's modifier.
    Modifier(Type),
    /// It can be cast, step by step; explicitly or not.
    Casts(Vec<(Type, bool)>),
    /// With another it makes a number of rows.
    Page(Page),
}

/// How well a string is known.
enum Found {
    /// It is run with parameters.
    Known(Arc<Prepared>, Limits),
    /// It has come before.
    Again,
    /// It is run by itself.
    No,
}

impl Texts {
    pub(super) fn new(options: &EngineOptions) -> Self {
        Self {
            known: HashMap::new(),
            under: None,
            bytes: 0,
            bytes_max: options.texts_bytes_max,
            at_once: options.keeps_texts_at_once,
            once: VecDeque::new(),
            uses: 0,
        }
    }

    fn find(&mut self, key: &str, catalog: &Arc<CatalogSnapshot>, search_path_generation: u64) -> Found {
        self.uses = self.uses.wrapping_add(1);
        let is_under = |(seen, generation): &(Arc<CatalogSnapshot>, u64)| {
            Arc::ptr_eq(seen, catalog) && *generation == search_path_generation
        };
        if !self.under.as_ref().is_some_and(is_under) {
            self.known.clear();
            self.bytes = 0;
            self.under = Some((catalog.clone(), search_path_generation));
        }
        if let Some(known) = self.known.get_mut(key) {
            known.used = self.uses;
            let limits = known.limits.clone();
            return known.prepared.clone().map_or(Found::No, |prepared| Found::Known(prepared, limits));
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        if self.at_once || self.once.contains(&hash) {
            return Found::Again;
        }
        if self.once.len() >= ONCE_MAX {
            self.once.pop_front();
        }
        self.once.push_back(hash);
        Found::No
    }

    fn keep(&mut self, key: &str, known: Known) {
        self.forget(key);
        if known.bytes > self.bytes_max {
            return;
        }
        self.bytes = self.bytes.saturating_add(known.bytes);
        self.known.insert(key.to_owned(), known);
        while self.bytes > self.bytes_max {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &str) {
        if let Some(known) = self.known.remove(key) {
            self.bytes = self.bytes.saturating_sub(known.bytes);
        }
    }
}

impl Session {
    /// A portal over a query string that has come before, to be fetched as any other. `None`: it is to be split and
    /// prepared, which also tells what is wrong with it.
    pub async fn recall(&mut self, sql: &str) -> Option<Portal> {
        // What is kept of strings is what they mean as SQL.
        let hot = self.settings.hot();
        let is_sql = hot.dialect == Dialect::Sql && hot.strings.are_usual();
        if self.texts.bytes_max == 0 || self.transaction.block == Block::Failed || !is_sql {
            return None;
        }
        let normalised = Normalised::of(sql)?;
        self.cancel.check_request().ok()?;
        let catalog = match &self.transaction.open {
            Some(open) if open.raised || !self.own.is_as_committed(open) => return None,
            Some(open) => open.catalog.clone(),
            None => {
                let shared = self.engine.cached_catalog(&mut self.newest, self.database)?;
                self.own.beside(&shared, None)
            }
        };
        let generation = self.settings.search_path_generation();
        let (prepared, limits) = match self.texts.find(normalised.key(), &catalog, generation) {
            Found::Known(prepared, limits) => (prepared, limits),
            Found::Again => self.learn(&normalised, sql, &catalog).boxed().await?,
            Found::No => return None,
        };
        let parameters = values(&normalised.literals, &prepared.parameters, &self.context)?;
        if !fit(&normalised.literals, &parameters, &limits, &prepared.parameters, &self.context) {
            return None;
        }
        let deadline = self.statement_deadline();
        self.queued = None;
        Some(Portal {
            prepared,
            parameters,
            deadline,
            state: State::Pending,
            undescribed: None,
            is_binary: false,
            text: Some(sql.into()),
            answered: 0,
            sending: None,
        })
    }

    /// Finds out whether the string can be run with parameters for its literals.
    async fn learn(
        &mut self,
        normalised: &Normalised,
        sql: &str,
        catalog: &Arc<CatalogSnapshot>,
    ) -> Option<(Arc<Prepared>, Limits)> {
        // What cannot be planned now may be another time.
        let plain = self.plan_text(sql, None, catalog).await.ok()?.1;
        let declared: Vec<Option<TypeKind>> = normalised.literals.iter().map(kind_of_literal).collect();
        let general = self.plan_text(normalised.text(), Some(declared), catalog).await.ok();
        let known = general.and_then(|(statement, mut general)| {
            let values = values(&normalised.literals, &general.bound.parameters, &self.context)?;
            let pages = paging::bound_by_parameters(&mut general.bound.plan, &self.context);
            let mut limits = same_within(&general.bound, &plain.bound, &values, &self.context)?;
            limits.extend(pages.into_iter().map(|page| (page.limit, Limit::Page(page))));
            let limits: Limits = limits.into();
            Some((Arc::new(prepared_of(statement, general)), limits))
        });
        let prepared = known.as_ref().map(|(prepared, _)| prepared.clone());
        let limits = known.as_ref().map(|(_, limits)| limits.clone()).unwrap_or_default();
        let bytes = charge_of(normalised.key(), &prepared).saturating_add(size_of_val(&*limits));
        self.texts.keep(normalised.key(), Known { prepared, limits, bytes, used: self.texts.uses });
        known
    }

    async fn plan_text(
        &mut self,
        sql: &str,
        declared: Option<Vec<Option<TypeKind>>>,
        catalog: &Arc<CatalogSnapshot>,
    ) -> Result<(Statement, Planned)> {
        let statement = only_statement(sql)?;
        let deadline = self.statement_deadline();
        let planned = self.plan(&statement, declared.as_deref(), catalog, deadline).await?;
        Ok((statement, planned))
    }

    /// Binds a portal's query string by itself, for what was known of it is out of date.
    pub(super) async fn bind_text(&mut self, portal: &mut Portal) -> Result<Arc<Planned>> {
        let text = portal.text.take().unwrap_or_default();
        portal.prepared = self.plan_first(only_statement(&text)?, None, false).await?;
        portal.parameters.clear();
        let planned = portal.prepared.planned.lock().clone();
        Ok(planned)
    }
}

fn only_statement(sql: &str) -> Result<Statement> {
    let statement = parse::parse(sql)?.pop();
    statement
        .map(|statement| Statement(Arc::new(statement)))
        .ok_or_else(|| Error::internal("a query string without a statement was planned"))
}

fn prepared_of(statement: Statement, planned: Planned) -> Prepared {
    Prepared {
        counted: Mutex::default(),
        statement,
        declared: Some(planned.bound.parameters.iter().map(|ty| Some(ty.kind)).collect()),
        parameters: planned.bound.parameters.clone(),
        columns: planned.bound.columns.clone(),
        kind: kind_of(&planned.bound),
        is_command: false,
        is_described: false,
        plan_bytes: planned.plan_bytes,
        planned: Mutex::new(Arc::new(planned)),
    }
}

fn kind_of_literal(literal: &Literal) -> Option<TypeKind> {
    match literal {
        Literal::Int4(_) => Some(TypeKind::Int4),
        Literal::Int8(_) => Some(TypeKind::Int8),
        Literal::Numeric(_) => Some(TypeKind::Numeric),
        Literal::String(_) => None,
    }
}

/// Literals as values of their parameters' types; `None` if one of them is none, or if what it is depends on more than
/// the session's settings.
fn values(literals: &[Literal], types: &[Type], context: &SessionContext) -> Option<Vec<Datum>> {
    if literals.len() != types.len() {
        return None;
    }
    let value = |(literal, ty): (&Literal, &Type)| match (literal, ty.kind) {
        (Literal::Int4(value), TypeKind::Int4) => Some(Datum::Int4(*value)),
        (Literal::Int8(value), TypeKind::Int8) => Some(Datum::Int8(*value)),
        (Literal::Numeric(text), TypeKind::Numeric) => expr::codec::input(text, *ty, context).ok(),
        (Literal::String(text), kind) if !kind.innermost().is_reg() => {
            expr::codec::input(text, *ty, context).ok()
        }
        _ => None,
    };
    literals.iter().zip(types).map(value).collect()
}

/// Whether literals, values of these types by now, are what binding asks of them.
fn fit(
    literals: &[Literal],
    values: &[Datum],
    limits: &Limits,
    types: &[Type],
    context: &SessionContext,
) -> bool {
    limits.iter().all(|(place, limit)| {
        let (Some(literal), Some(value), Some(ty)) =
            (literals.get(*place), values.get(*place), types.get(*place))
        else {
            return false;
        };
        let constant = || Expr::Literal { value: value.clone(), ty: *ty };
        let cast = |constant, (to, explicit): &(Type, bool)| {
            resolve::coerce(constant, *to, cast_context(*explicit), context)
        };
        match limit {
            Limit::Modifier(to) if matches!(literal, Literal::String(_)) => {
                length::coerce(value.clone(), *to, false).is_ok()
            }
            Limit::Modifier(to) => cast(constant(), &(*to, false)).is_ok(),
            Limit::Casts(steps) => steps.iter().try_fold(constant(), cast).is_ok(),
            Limit::Page(page) => page.has_sum(values),
        }
    })
}

/// The parameter that casts, and nothing else, are applied to, and those that may fail.
fn casts_of_a_parameter(expression: &Expr) -> Option<(usize, Limit)> {
    let (mut inner, mut steps) = (expression, Vec::new());
    while let Expr::Cast { operand, to, explicit } = inner {
        steps.push((*to, *explicit));
        inner = operand;
    }
    let Expr::Parameter { index, ty } = inner else { return None };
    steps.reverse();
    let from = std::iter::once(*ty).chain(steps.iter().map(|(to, _)| *to));
    let may_fail = from.zip(&steps).any(|(from, (to, _))| !widens(from.kind, to.kind));
    may_fail.then_some((*index, Limit::Casts(steps)))
}

/// Whether every value of a type is one of the other.
fn widens(from: TypeKind, to: TypeKind) -> bool {
    match from {
        TypeKind::Int2 => {
            matches!(
                to,
                TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 | TypeKind::Float4 | TypeKind::Float8
            )
        }
        TypeKind::Int4 => matches!(to, TypeKind::Int4 | TypeKind::Int8 | TypeKind::Float4 | TypeKind::Float8),
        TypeKind::Int8 => matches!(to, TypeKind::Int8 | TypeKind::Float4 | TypeKind::Float8),
        _ => false,
    }
}

fn cast_context(explicit: bool) -> CastContext {
    if explicit { CastContext::Explicit } else { CastContext::Assignment }
}

/// Whether a plan with parameters is the other, which has none, once these values stand in their places; what its literals
/// have to fit then.
fn same_within(
    general: &Bound,
    plain: &Bound,
    values: &[Datum],
    context: &SessionContext,
) -> Option<Vec<(usize, Limit)>> {
    let is_plain = |bound: &Bound| bound.notices.is_empty() && bound.slots == bound.parameters.len();
    if !is_plain(general) || !is_plain(plain) || general.columns != plain.columns || !is_simple(&general.plan)
    {
        return None;
    }
    let mut special = general.plan.clone();
    let (mut is_timeless, mut is_free, mut limits) = (true, true, Vec::new());
    walk::expressions_mut(&mut special, &mut |expression| {
        expression.walk(&mut |part| match part {
            Expr::Literal { value, ty } => is_timeless &= value.is_null() || !reads_the_clock(ty.kind),
            Expr::Cast { operand, to, explicit } if to.modifier >= 0 => match &**operand {
                Expr::Parameter { index, .. } if !explicit => limits.push((*index, Limit::Modifier(*to))),
                operand => is_free &= !holds_a_parameter(operand),
            },
            cast @ Expr::Cast { .. } => limits.extend(casts_of_a_parameter(cast)),
            _ => {}
        });
        expression.rewrite(&mut |part| put_values(part, values, context));
    });
    paging::compute(&mut special);
    let is_same = is_timeless && is_free && format!("{special:?}") == format!("{:?}", plain.plan);
    is_same.then_some(limits)
}

/// Whether a value is still to come.
fn holds_a_parameter(expression: &Expr) -> bool {
    let mut found = false;
    expression.walk(&mut |part| found |= matches!(part, Expr::Parameter { .. }));
    found
}

/// Puts a value in a parameter's place, and computes the casts of constants that binding would have.
fn put_values(part: &mut Expr, values: &[Datum], context: &SessionContext) {
    match part {
        Expr::Parameter { index, ty } => {
            if let Some(value) = values.get(*index) {
                *part = Expr::Literal { value: value.clone(), ty: *ty };
            }
        }
        Expr::Cast { operand, to, explicit } if matches!(**operand, Expr::Literal { .. }) => {
            let cast = cast_context(*explicit);
            if let Ok(folded) = resolve::coerce(operand.as_ref().clone(), *to, cast, context) {
                *part = folded;
            }
        }
        _ => {}
    }
}

/// Whether a literal of the type may have been read at the moment of binding, or in its time zone.
fn reads_the_clock(kind: TypeKind) -> bool {
    let read = kind.innermost();
    read.is_reg()
        || matches!(
            read,
            TypeKind::Date
                | TypeKind::Time
                | TypeKind::Timetz
                | TypeKind::Timestamp
                | TypeKind::Timestamptz
                | TypeKind::Interval
        )
}

/// Whether a plan reads one stored table at most, by operators whose meaning no literal changes.
fn is_simple(plan: &Plan) -> bool {
    let source = match plan {
        Plan::Query(node) => node.as_ref(),
        Plan::Modify(modify) => match modify.as_ref() {
            Modify::Insert(insert) => &insert.source,
            Modify::Update(update) => &update.source,
            Modify::Delete(delete) => &delete.source,
            Modify::Merge(_) | Modify::Compound(_) | Modify::CopyFrom(_) | Modify::CopyTo(_) => return false,
        },
        Plan::Empty | Plan::Ddl(_) | Plan::Explain { .. } | Plan::Session(_) => return false,
    };
    let mut node = source;
    loop {
        node = match node {
            Node::Scan(_) | Node::Values(_) => return true,
            Node::Filter(filter) => &filter.input,
            Node::Project(project) => &project.input,
            Node::Sort(sort) => &sort.input,
            Node::LockRows(lock) => &lock.input,
            Node::Limit(limit) => &limit.input,
            Node::Aggregate(aggregate) => &aggregate.input,
            Node::Distinct(distinct) => &distinct.input,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(bytes: usize, used: u64) -> Known {
        Known { prepared: None, limits: Limits::default(), bytes, used }
    }

    #[test]
    fn strings_enter_at_their_second_use_and_the_least_used_leave() {
        let options = EngineOptions { texts_bytes_max: 100, ..EngineOptions::default() };
        let mut texts = Texts::new(&options);
        let catalog = Arc::new(CatalogSnapshot::default());
        assert!(matches!(texts.find("a", &catalog, 0), Found::No));
        assert!(matches!(texts.find("a", &catalog, 0), Found::Again));
        for (key, bytes) in [("a", 40), ("b", 40)] {
            texts.keep(key, known(bytes, texts.uses));
        }
        assert!(matches!(texts.find("a", &catalog, 0), Found::No));
        texts.keep("c", known(60, texts.uses));
        assert_eq!((texts.bytes, texts.known.contains_key("b")), (100, false));
        texts.keep("d", known(101, texts.uses));
        assert_eq!(texts.known.len(), 2);
        // Under another catalog, or another search path, it is to be found out again.
        assert!(matches!(texts.find("a", &catalog, 1), Found::Again));
        assert_eq!((texts.bytes, texts.known.len()), (0, 0));
        texts.keep("a", known(10, texts.uses));
        assert!(matches!(texts.find("a", &Arc::new(CatalogSnapshot::default()), 1), Found::Again));
        assert_eq!((texts.bytes, texts.known.len()), (0, 0));
    }
}

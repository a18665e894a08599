//! Tables as they were: FOR SYSTEM_TIME says it of one, AS OF SYSTEM TIME of all that a statement or a transaction names.
//!
//! Who may see which rows is decided by the rights and the policies of now; what policies look up is looked up now.

use std::sync::Arc;

use expr::volatility::Volatility;
use expr::{EvalContext, Expr, TypeKind, resolve};

use super::Binder;
use super::coerce::placed;
use super::from::Source;
use super::level::{Clause, Level};
use super::scope::{Scope, ScopeColumn};
use crate::catalog::versioned::{system_places, versions_of};
use crate::catalog::{TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::moment;
use crate::parse::ast::{self, Body, QualifiedName, QueryBody, SystemPeriod, SystemTime};
use crate::plan::walk::{children, children_mut};
use crate::plan::{Moment, Node, PastScan, Values, Versions, When};

/// Where a moment stands.
const MOMENT: Clause = Clause::without_queries("moments of system time", "a moment of system time");

/// Whether versions of the rows are kept that can be asked for.
fn has_past(table: &TableDescriptor) -> bool {
    table.kind.is_stored() && !table.is_temporary()
}

impl Binder<'_> {
    /// AS OF SYSTEM TIME of a statement: what all tables of it are read at that say nothing else.
    pub(super) fn as_of_statement(&mut self, body: &Body) -> Result<()> {
        let Body::Query(query) = body else { return Ok(()) };
        let mut body = &query.body;
        while let QueryBody::Query(inner) = body {
            body = &inner.body;
        }
        if let QueryBody::Select(select) = body
            && let Some(as_of) = &select.as_of
        {
            self.past = Some(When::At(self.moment(as_of)?));
            self.as_of_at = Some(as_of.at);
        }
        Ok(())
    }

    /// That AS OF SYSTEM TIME of a SELECT is that of the statement.
    pub(super) fn check_as_of(&self, select: &ast::Select) -> Result<()> {
        match &select.as_of {
            Some(as_of) if self.as_of_at != Some(as_of.at) => {
                Err(Error::unsupported("AS OF SYSTEM TIME of a query within a statement")
                    .hint("FOR SYSTEM_TIME AS OF behind a table's name says it of that table.")
                    .at(as_of.at))
            }
            _ => Ok(()),
        }
    }

    /// A table of FROM with FOR SYSTEM_TIME; `bind` makes its rows.
    pub(super) fn at_system_time(
        &mut self,
        name: &QualifiedName,
        system_time: &SystemTime,
        bind: impl FnOnce(&mut Self) -> Result<Source>,
    ) -> Result<Source> {
        let at = name.schema.as_ref().unwrap_or(&name.name).at;
        let is_common = name.schema.is_none() && self.common_tables.place(&name.name.value).is_some();
        let table = if is_common { None } else { Some(self.table(name)?) };
        match &table {
            Some(table) if has_past(table) || table.kind == TableKind::View => {}
            Some(table) if table.is_temporary() => {
                return Err(Error::unsupported("FOR SYSTEM_TIME of a temporary table").at(at));
            }
            _ => {
                let message = "FOR SYSTEM_TIME can only be applied to tables and views";
                return Err(Error::unsupported_as(message).at(at));
            }
        }
        let when = match &system_time.period {
            SystemPeriod::AsOf(moment) => When::At(self.moment(moment)?),
            _ if table.as_ref().is_some_and(|table| table.kind == TableKind::View) => {
                return Err(Error::unsupported("versions of a view's rows").at(system_time.at));
            }
            period => When::During(Box::new(self.versions(period)?)),
        };
        let around = self.past.replace(when);
        let source = bind(self);
        self.past = around;
        source
    }

    /// Which versions are meant.
    fn versions(&mut self, period: &SystemPeriod) -> Result<Versions> {
        Ok(match period {
            SystemPeriod::Between(from, to) => {
                Versions::Between { from: self.moment(from)?, to: self.moment(to)?, inclusive: true }
            }
            SystemPeriod::FromTo(from, to) => {
                Versions::Between { from: self.moment(from)?, to: self.moment(to)?, inclusive: false }
            }
            SystemPeriod::ContainedIn(from, to) => {
                Versions::Contained { from: self.moment(from)?, to: self.moment(to)? }
            }
            SystemPeriod::AsOf(_) => return Err(Error::internal("one moment has no versions")),
            SystemPeriod::All => Versions::All,
        })
    }

    /// The rows of a table, or their versions, with what is known of those beside them.
    pub(super) fn scan_then(
        &mut self,
        table: &Arc<TableDescriptor>,
        places: Vec<usize>,
        alias: Option<(&String, Option<&ast::Alias>)>,
    ) -> Result<Source> {
        let wants_versions = matches!(self.past, Some(When::During(_))) && has_past(table);
        if !wants_versions {
            return self.scan(table.clone(), places, alias, None);
        }
        let versions = Arc::new(versions_of(table));
        let mut source = self.scan(versions.clone(), places, alias, None)?;
        let (Node::Scan(scan), Some(relation)) = (&mut source.node, source.scope.relations.first_mut())
        else {
            return Err(Error::internal("a table is read by no scan"));
        };
        for (place, own) in system_places(&versions) {
            let value = Expr::Column { index: scan.columns.len(), ty: own.kind().into() };
            scan.columns.push(place);
            relation.beside.push(ScopeColumn { name: own.name().to_owned(), value, origin: None });
        }
        Ok(source)
    }

    /// The table with the columns that it had when it is meant, where these are wanted; `None`: with those of now. What texts that stand for
    /// others name, and views, has the columns of now.
    pub(super) fn with_columns_then(
        &mut self,
        table: &Arc<TableDescriptor>,
        at: usize,
    ) -> Result<Option<Arc<TableDescriptor>>> {
        let (Some(tables), Some(When::At(moment))) = (self.settings.tables_then, &self.past) else {
            return Ok(None);
        };
        if self.is_made || self.within_view.is_some() || !self.frames.is_empty() || !has_past(table) {
            return Ok(None);
        }
        if table.row_security.enabled {
            let message = "the columns of then of a table with row-level security are not supported";
            return Err(Error::unsupported_as(message).at(at));
        }
        let mut is_given = false;
        moment.value.walk(&mut |part| is_given |= matches!(part, Expr::Parameter { .. }));
        if is_given {
            return Err(Error::unsupported("a parameter as the moment whose columns are wanted").at(at));
        }
        let context = self.settings.context;
        let value = moment.value.evaluate(&EvalContext::new(&[], &[], context))?;
        let wanted = moment::meant(&value, context).map_err(|error| moment::placed(error, moment.at))?;
        let of = (table.oid, wanted.last);
        let Some(then) = tables.get(of) else {
            tables.ask(of);
            return Err(Error::internal("what a table was is not known yet"));
        };
        let is_there = |id| table.visible().any(|(_, column)| column.id == id);
        if then.visible().any(|(_, column)| !is_there(column.id)) {
            // Nobody has rights on what is there no more.
            self.needs.own(table);
        }
        Ok(Some(then))
    }

    /// Those rows of a scan that whoever acts may see, of when the table is meant.
    pub(super) fn seen_then(&mut self, node: Node, table: &Arc<TableDescriptor>) -> Result<Node> {
        let past = self.past.take();
        let seen = self.seen_rows(node, table);
        self.past = past;
        let mut seen = seen?;
        if let Some(when) = self.past.clone().filter(|_| has_past(table)) {
            turn_back(&mut seen, when)?;
        }
        Ok(seen)
    }

    /// A moment. It names no columns and asks no queries, and what it is does not change while the statement runs.
    pub(super) fn moment(&mut self, written: &ast::Expr) -> Result<Moment> {
        let at = written.at;
        let around = std::mem::take(&mut self.levels);
        let level = Level::query(Scope::default(), MOMENT, false);
        let bound = self.at_level(level, |binder| {
            let bound = binder.expression(written)?;
            binder.fitting_moment(bound, at)
        });
        self.levels = around;
        let (value, _) = bound?;
        let mut is_given = false;
        value.walk(&mut |part| is_given |= matches!(part, Expr::Column { .. } | Expr::Parameter { .. }));
        if is_given && !self.frames.is_empty() {
            return Err(Error::unsupported("an argument of a function in a moment of system time").at(at));
        }
        if value.volatility() == Volatility::Volatile {
            return Err(Error::unsupported("a volatile function in a moment of system time").at(at));
        }
        // Of a view's text, or one that is made, positions tell the client nothing.
        let at = if self.within_view.is_some() || self.is_made { 0 } else { at };
        Ok(Moment { value, at })
    }

    /// A value as one of the types that moments have.
    fn fitting_moment(&mut self, value: Expr, at: usize) -> Result<Expr> {
        let kind = value.ty().kind.base();
        if kind == TypeKind::Unknown && !matches!(value, Expr::Parameter { .. }) {
            return self.settle(value, at);
        }
        match kind {
            TypeKind::Unknown | TypeKind::Timestamptz | TypeKind::Timestamp | TypeKind::Date => {
                self.implicit(value, TypeKind::Timestamptz, at)
            }
            TypeKind::Interval => {
                let now = resolve::function_call("statement_timestamp", Vec::new(), self.settings.context);
                let now = now.map_err(placed(at))?;
                self.operator("+", Some((now, at)), (value, at), at)
            }
            TypeKind::Numeric | TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 => {
                self.implicit(value, TypeKind::Numeric, at)
            }
            kind if kind.is_string() => self.implicit(value, TypeKind::Text, at),
            kind => {
                let message = format!("a moment of system time must not be of type {}", kind.display_name());
                Err(Error::new("42804", message).at(at))
            }
        }
    }
}

/// Has the scan that a tree begins with read the past.
fn turn_back(node: &mut Node, when: When) -> Result<()> {
    let lost = || Error::internal("a table is read by no scan");
    let mut first = node;
    while !matches!(first, Node::Scan(_)) {
        first = children_mut(first).into_iter().next().ok_or_else(lost)?;
    }
    match std::mem::replace(first, Node::Values(Values::one_row())) {
        Node::Scan(scan) => *first = Node::Past(Box::new(PastScan { scan: *scan, when })),
        _ => return Err(lost()),
    }
    Ok(())
}

/// The name of a table of the past among those whose rows are to be locked, which `is_meant` knows.
pub(super) fn locked_past<'n>(node: &'n Node, is_meant: &impl Fn(&str) -> bool) -> Option<&'n str> {
    match node {
        Node::Past(past) => Some(past.scan.alias.as_str()).filter(|alias| is_meant(alias)),
        Node::Apply(apply) => locked_past(&apply.input, is_meant),
        Node::Common(_) | Node::Recursive(_) | Node::Working(_) => None,
        other => children(other).into_iter().find_map(|child| locked_past(child, is_meant)),
    }
}

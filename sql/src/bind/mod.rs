//! From the syntax tree to a typed plan: names become columns, operators become functions, every value gets a type.
//!
//! Rules and messages are PostgreSQL's. A [`Binder`] walks one statement:
//!
//! 1. [`from`] makes rows out of tables and tells the [`scope`] what columns they have; [`names`] finds them again,
//!    through the [`level`]s of the queries around.
//! 2. [`expression`] and [`call`] bind expressions over such rows; [`coerce`] makes operands fit and learns the types
//!    of parameters on the way.
//! 3. Subqueries, aggregates and window functions within an expression are put aside, each behind a **placeholder** (a column with a
//!    number far above any row's width), until [`select`] has built the nodes that compute them ([`subquery`],
//!    [`group`], [`grouping`], [`window`]) and knows which column they end up in.
//! 4. [`inlined`] puts the bodies of functions that were made in the place of their calls.
//! 5. [`modify`] with the [`destination`] of rows that are changed, [`copy`], [`ddl`], [`alter`] and [`object`] bind the statements that are no queries; [`written`] prints
//!    defaults, [`check`] constraints. Statements about history ([`rewound`]) and those of DriftQL ([`drift`]) are others,
//!    made as text.
//!
//! A subquery reads columns of outer rows through **slots**: values that its [`crate::plan::Apply`] sets. Slots are
//! numbered behind the statement's parameters once all of those are known.

mod access;
mod after_order;
mod alter;
mod arbiter;
mod assigned_part;
mod assignments;
mod backup;
mod bound;
mod call;
mod check;
mod coerce;
mod column;
mod compound;
mod conflict;
mod copy;
mod current_of;
mod ddl;
mod default_value;
mod definition;
mod destination;
mod drift;
mod erase;
mod explain;
mod expression;
mod field_target;
mod foreign_key;
mod from;
mod given;
mod group;
mod group_keys;
mod grouping;
mod history;
mod index;
mod inlined;
mod label;
mod level;
mod like;
mod limit;
mod lock_rights;
mod merge;
mod modify;
mod names;
mod nesting;
mod new_names;
mod object;
mod operator_class;
mod ordered_set;
mod outer_aggregate;
mod past;
mod placeholder;
mod policy;
mod query;
mod query_windows;
mod range_call;
mod record;
mod recursive;
mod rewound;
mod row_comparison;
mod row_expression;
mod row_security;
mod sample;
mod scope;
mod select;
mod session;
mod sets;
mod show;
mod shown;
mod simple_view;
mod subquery;
mod suggest;
mod system_column;
mod table_function;
mod tables_then;
#[cfg(test)]
mod tests;
mod traversal;
mod types;
mod view_text;
mod window;
mod written;

use expr::{Expr, SessionContext, Type, TypeKind};

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::object::ViewRelation;
use crate::catalog::{CatalogSnapshot, SearchPath, TableDescriptor};
use crate::error::{Error, Notice, Result};
use crate::parse::Statement;
use crate::parse::ast::Body;
use crate::plan::budget::{self, Budget};
use crate::plan::{Bound, Command, CurrentOf, Moment, Needs, Node, OutputColumn, Plan, WayBack, When, walk};

pub(crate) use check::{default_of, rules_of, sparing_condition};
pub(crate) use destination::Changeable;
pub(crate) use index::{index_column_names, key_part_text, settle_indexes, sparing_index_expression};
pub(crate) use object::{domains_of, function_text, judges, sparing_domain_condition};
pub(crate) use policy::policy_text;
pub(crate) use row_expression::sparing_generation;
pub(crate) use tables_then::TableThen;
pub use tables_then::TablesThen;
pub(crate) use view_text::shown_view;
pub(crate) use written::sparing;

/// A statement is short to bind that takes no more looks than this: well below a millisecond.
const SHORT_LOOKS_MAX: usize = 5000;

/// What of a session the meaning of a statement depends on, besides the catalog.
#[derive(Debug, Clone, Copy)]
pub struct SessionSettings<'a> {
    /// Where names are looked up.
    pub search_path: &'a SearchPath,
    /// What literals may depend on: time zone, date style.
    pub context: &'a SessionContext,
    /// `row_security`: whether policies are heeded; else what they would bind is an error.
    pub row_security: bool,
    /// The moment that the transaction is about, if that is not now.
    pub as_of: Option<u64>,
    /// `nunatak.history_columns`: what tables of then were, if they are to have the columns of then.
    pub tables_then: Option<&'a TablesThen>,
}

/// Binds a statement. `declared` are the types of `$1`, `$2` … that the client gave; the others are inferred. `None`: it
/// has no parameters.
pub fn bind(
    statement: &Statement,
    catalog: &CatalogSnapshot,
    settings: &SessionSettings<'_>,
    declared: Option<&[Option<TypeKind>]>,
) -> Result<Bound> {
    let budget = Budget::of_looks(usize::MAX);
    let bound = bind_within(budget, statement, catalog, settings, declared)?;
    bound.ok_or_else(|| Error::internal("a budget without end has ended"))
}

/// The same, if that is short.
pub(crate) fn bind_if_short(
    statement: &Statement,
    catalog: &CatalogSnapshot,
    settings: &SessionSettings<'_>,
    declared: Option<&[Option<TypeKind>]>,
) -> Result<Option<Bound>> {
    bind_within(Budget::of_looks(SHORT_LOOKS_MAX), statement, catalog, settings, declared)
}

fn bind_within(
    budget: Budget,
    statement: &Statement,
    catalog: &CatalogSnapshot,
    settings: &SessionSettings<'_>,
    declared: Option<&[Option<TypeKind>]>,
) -> Result<Option<Bound>> {
    let system_columns = system_column::Named::by(&statement.text);
    let mut binder = Binder { budget, system_columns, ..Binder::new(catalog, settings) };
    if let Some(declared) = declared {
        // A type that was made may be called otherwise by now.
        let of_now = |kind: TypeKind| catalog.objects().kind(kind.oid()).unwrap_or(kind);
        let known = declared.iter().map(|kind| kind.filter(|kind| *kind != TypeKind::Unknown).map(of_now));
        binder.parameters = known.collect();
        binder.has_parameters = true;
    }
    let bound = binder.statement(&statement.body);
    if binder.budget.has_looked_enough() {
        return Ok(None);
    }
    let (plan, columns) = bound?;
    binder.finish(plan, columns).map(Some)
}

/// Binds a column's default as a value of its type. It names no columns and no parameters.
pub fn bind_default(
    sql: &str,
    ty: Type,
    catalog: &CatalogSnapshot,
    settings: &SessionSettings<'_>,
) -> Result<Expr> {
    let expression = crate::parse::parse_expression(sql)?;
    Binder::new(catalog, settings).default_expression(&expression, ty, "")
}

/// Binds one statement.
struct Binder<'a> {
    catalog: &'a CatalogSnapshot,
    settings: &'a SessionSettings<'a>,
    /// The types of parameters as far as they are known.
    parameters: Vec<Option<TypeKind>>,
    /// Whether there can be any where the binder is.
    has_parameters: bool,
    /// The names of the columns of subqueries in expressions, by where these stand.
    subquery_names: HashMap<usize, String>,
    /// The queries that give values to several columns of SET, by where they stand.
    row_queries: HashMap<usize, Expr>,
    /// How many slots there are.
    slots: usize,
    /// The queries around the expression at hand, the innermost last.
    levels: Vec<level::Level>,
    /// The queries of WITH that can be seen, the innermost last.
    common_tables: query::CommonTables,
    /// The first query of WITH that the query at hand has itself, and how many queries are around its FROM, itself included.
    own_with: Option<(usize, usize)>,
    /// The query that is bound next stands between parentheses, and is the one around.
    is_between: bool,
    /// How many queries of WITH there were.
    common_count: usize,
    /// The table that VALUES of INSERT go to: not visible there, but known to messages.
    target: Option<Arc<TableDescriptor>>,
    notices: Vec<Notice>,
    /// The system columns that the statement may name.
    system_columns: system_column::Named,
    /// How often it has asked who has written rows.
    writers_named: usize,
    /// The rights that the statement takes, as far as it is bound.
    needs: Needs,
    /// Who runs what is bound, if not whoever runs the statement: the owner of a materialised view that is refreshed.
    runs_as: Option<crate::catalog::Oid>,
    /// What names mean within a view's query, how deep that stands in others, and what one that is new has named.
    within_view: Option<object::WithinView>,
    /// The made types that were named.
    types_named: std::cell::RefCell<std::collections::BTreeSet<crate::catalog::Oid>>,
    /// A text that the catalog keeps is bound, see [`Binder::of_kept`].
    reads_kept: bool,
    /// In the text at hand made functions are called by oid, and by a name what is built in.
    calls_kept: bool,
    views_deep: usize,
    /// How high the kept texts are together that the query at hand stands in.
    texts_high: usize,
    /// What the body of a function sees that is at hand, the innermost last.
    frames: Vec<inlined::Frame>,
    /// The functions whose bodies the query at hand stands in, the outermost first.
    functions: Vec<crate::catalog::Oid>,
    /// The columns of the row at hand that made functions are given, whatever they do with them.
    columns_given: Vec<usize>,
    /// The schema and the name of the function that is being made.
    made_now: Option<(String, String)>,
    /// Whether the statement keeps a query that it does not run.
    only_keeps: bool,
    /// The views that the query at hand stands in, the outermost first.
    views: Vec<crate::catalog::Oid>,
    /// A view's own query is bound to be written: what of its text changes.
    edits: Option<Vec<crate::parse::Edit>>,
    /// The same of types that are not found without their schemas.
    types_unseen: std::cell::RefCell<Vec<crate::parse::Edit>>,
    /// The constraints that make columns of a new view's query the same within a group: table and constraint.
    grouped_by: Vec<(crate::catalog::Oid, crate::catalog::Oid)>,
    viewed: Vec<ViewRelation>,
    /// The tables whose policies the query at hand stands in.
    policies: Vec<crate::catalog::Oid>,
    /// Of when tables are read that say nothing themselves, if not of now.
    past: Option<When>,
    /// Where the statement's own AS OF SYSTEM TIME stands.
    as_of_at: Option<usize>,
    /// Of what FROM names at hand rows are locked.
    locking: lock_rights::Locking,
    /// WHERE CURRENT OF, by its first slot.
    current_of: Option<CurrentOf>,
    budget: Budget,
    /// The names of queries of WITH that cannot be seen yet, and whether of WITH RECURSIVE, the next one last.
    unready: Vec<(String, bool)>,
    /// Where queries of WITH RECURSIVE may not be read: how many were visible before, and why.
    barriers: Vec<(usize, &'static str)>,
    /// The shapes of records.
    shapes: Vec<Arc<expr::Shape>>,
    /// What relations are called in the queries around the one that is printed.
    naming: Vec<String>,
    /// An expression is bound to be printed.
    written: Option<written::Written>,
    /// Whether the WITH that comes next is that of the statement.
    at_top: bool,
    /// The statement is not the client's own text, but what that stands for.
    is_made: bool,
    /// What `$1`, `$2` … are in that.
    given: Vec<Expr>,
    /// The error of a statement that turns out to change nothing.
    expects: Option<Box<Error>>,
    /// FLASHBACK TABLE
    way_back: Option<Box<WayBack>>,
    /// The queries of WITH that change rows.
    effects: Vec<Node>,
}

impl<'a> Binder<'a> {
    fn new(catalog: &'a CatalogSnapshot, settings: &'a SessionSettings<'a>) -> Self {
        Self {
            catalog,
            settings,
            parameters: Vec::new(),
            has_parameters: false,
            subquery_names: HashMap::new(),
            row_queries: HashMap::new(),
            slots: 0,
            levels: Vec::new(),
            common_tables: query::CommonTables::default(),
            own_with: None,
            is_between: false,
            common_count: 0,
            target: None,
            notices: Vec::new(),
            system_columns: system_column::Named::default(),
            writers_named: 0,
            needs: Needs::default(),
            runs_as: None,
            within_view: None,
            types_named: std::cell::RefCell::default(),
            reads_kept: false,
            calls_kept: false,
            views_deep: 0,
            texts_high: 0,
            frames: Vec::new(),
            functions: Vec::new(),
            columns_given: Vec::new(),
            made_now: None,
            only_keeps: false,
            views: Vec::new(),
            edits: None,
            types_unseen: std::cell::RefCell::default(),
            grouped_by: Vec::new(),
            viewed: Vec::new(),
            policies: Vec::new(),
            past: settings.as_of.map(|at| When::At(Moment::known(at))),
            as_of_at: None,
            locking: lock_rights::Locking::None,
            current_of: None,
            budget: Budget::of_looks(usize::MAX),
            unready: Vec::new(),
            barriers: Vec::new(),
            shapes: Vec::new(),
            naming: Vec::new(),
            written: None,
            at_top: false,
            is_made: false,
            given: Vec::new(),
            expects: None,
            way_back: None,
            effects: Vec::new(),
        }
    }

    fn statement(&mut self, body: &Body) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        self.at_top = matches!(
            body,
            Body::Query(_) | Body::Insert(_) | Body::Update(_) | Body::Delete(_) | Body::Merge(_)
        );
        self.as_of_statement(body)?;
        match body {
            Body::Query(query) => {
                let bound = self.query(query)?;
                let bound = self.settle_outputs(bound)?;
                let columns = bound.output_columns();
                let plan = Plan::Query(Box::new(bound.node));
                Ok((self.with_effects(plan, Command::Select), Some(columns)))
            }
            Body::Insert(insert) => self.changing(|binder| binder.insert(insert), Command::Insert),
            Body::Update(update) => self.changing(|binder| binder.update(update), Command::Update),
            Body::Merge(merge) => self.changing(|binder| binder.merge_rows(merge), Command::Merge),
            Body::Delete(delete) => self.changing(|binder| binder.delete(delete), Command::Delete),
            Body::Copy(copy) => self.copy(copy),
            Body::CreateTable(create) => self.create_table(create),
            Body::CreateTableAs(create) => self.create_table_as(create),
            Body::Truncate(truncate) => self.truncate(truncate),
            Body::Object(statement) => self.object(statement),
            Body::CreateIndex(create) => self.create_index(create),
            Body::Reindex(reindex) => self.reindex(reindex),
            Body::AlterTable(alter) => self.alter_table(alter),
            Body::Access(statement) => self.access(statement),
            Body::ShowObjects(show) => self.show_objects(show),
            Body::History(statement) if !statement.is_for_session() => self.history_statement(statement),
            Body::Drift(statement) => self.drift(statement),
            Body::Explain { body, options } => self.explain(body, options),
            other => self.session_command(other),
        }
    }

    /// Checks that all types are known and numbers the slots.
    fn finish(self, mut plan: Plan, columns: Option<Vec<OutputColumn>>) -> Result<Bound> {
        let mut parameters = Vec::with_capacity(self.parameters.len());
        for (index, kind) in self.parameters.iter().enumerate() {
            let number = index.saturating_add(1);
            let kind = kind.ok_or_else(|| {
                Error::new("42P18", format!("could not determine data type of parameter ${number}"))
            })?;
            parameters.push(Type::plain(kind));
        }
        for root in walk::roots_mut(&mut plan) {
            budget::check_depth(budget::measure(root).0)?;
        }
        placeholder::number_slots(&mut plan, parameters.len());
        let slots = parameters.len().saturating_add(self.slots);
        let mut current_of = self.current_of;
        if let Some(current) = &mut current_of {
            current.slot = current.slot.saturating_add(parameters.len());
        }
        let (notices, needs, expects) = (self.notices, self.needs, self.expects);
        // Who explains it, or keeps it, does not go back.
        let way_back = self.way_back.filter(|_| matches!(plan, Plan::Modify(_)));
        Ok(Bound { plan, parameters, slots, columns, notices, needs, current_of, expects, way_back })
    }
}

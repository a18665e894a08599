//! What the policies of row-level security ask of the rows that a statement reads and writes.
//!
//! ```text
//! reads     Filter (barrier) over the scan: what the statement itself asks stays above, unless it cannot tell anybody anything
//! writes    guards of the plan, judged of each new row, and of rows that ON CONFLICT and MERGE come upon
//! ```
//!
//! Which policies those are depends on who acts, so a plan is good for one role alone: plans are made anew when
//! the role or `row_security` changes, as with the search path, and when roles, memberships or policies do, as with
//! everything in the catalog.

use std::sync::Arc;

use expr::{Datum, Expr, TypeKind};

use super::definition::unplaced;
use super::level::{Clause, Level, PutAside};
use super::lock_rights::Locking;
use super::object::WithinView;
use super::policy::{POLICY, as_view, policy_row};
use super::scope::Scope;
use super::select::first_columns;
use super::{Binder, placeholder};
use crate::catalog::access::{PUBLIC_ROLE, Powers, Right};
use crate::catalog::{PolicyCommand, PolicyCondition, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse;
use crate::plan::{
    Acting, ConflictAction, Filter, GuardCondition, GuardKind, MergeGuards, Node, OnConflict, Project,
    RowGuard, Values,
};

/// How deep the subqueries of policies may lead to other policies and views.
const DEEP_MAX: usize = 64;

/// What policies ask together: one of some conditions.
struct Demand {
    /// The restrictive policy that it is of.
    policy: Option<String>,
    /// True of none of them: false.
    any: Vec<PolicyCondition>,
}

/// Which of a policy's conditions counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Using,
    /// WITH CHECK, or USING where there is none.
    Check,
}

/// Judges rows as they are written: by what policies about a command ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guarding {
    kind: GuardKind,
    command: PolicyCommand,
    counts: Counts,
}

impl Guarding {
    /// New rows, by WITH CHECK.
    pub(super) const fn new_rows(command: PolicyCommand) -> Self {
        Self { kind: GuardKind::New, command, counts: Counts::Check }
    }

    /// New rows, that are to be seen afterwards.
    pub(super) const SEEN: Self =
        Self { kind: GuardKind::New, command: PolicyCommand::Select, counts: Counts::Using };

    /// Rows that are there, by USING.
    pub(super) const fn old_rows(kind: GuardKind, command: PolicyCommand) -> Self {
        Self { kind, command, counts: Counts::Using }
    }
}

impl Binder<'_> {
    /// Whose policies bind whoever acts on a table, if any do.
    ///
    /// # Errors
    /// 42501 if they do and `row_security` is off.
    pub(super) fn bound_by_policies(&self, table: &TableDescriptor) -> Result<Option<Powers>> {
        if !table.row_security.enabled || self.only_keeps || self.edits.is_some() || self.written.is_some() {
            return Ok(None);
        }
        let access = self.catalog.access();
        let role = match self.needs.acting().owner {
            Some(owner) => owner,
            None => {
                let name = &self.settings.context.current_user;
                let found = access.role_named(name).map(|role| role.oid);
                found.ok_or_else(|| Error::new("28000", format!("role \"{name}\" does not exist")))?
            }
        };
        let powers = access.powers(role);
        if !access.heeds_policies(&powers, table) {
            return Ok(None);
        }
        if self.settings.row_security {
            return Ok(Some(powers));
        }
        let message =
            format!("query would be affected by row-level security policy for table \"{}\"", table.name);
        let error = Error::new("42501", message);
        Err(match access.owns(&powers, crate::catalog::access::Object::of(table)) {
            true => error.hint(
                "To disable the policy for the table's owner, use ALTER TABLE NO FORCE ROW LEVEL SECURITY.",
            ),
            false => error,
        })
    }

    /// Rows of a table that whoever acts may see, if rows are locked those too that it may change.
    pub(super) fn seen_rows(&mut self, node: Node, table: &Arc<TableDescriptor>) -> Result<Node> {
        match self.locking {
            Locking::None => self.shielded(node, table, &[PolicyCommand::Select]),
            _ => self.shielded(node, table, &[PolicyCommand::Update, PolicyCommand::Select]),
        }
    }

    /// Those rows of a scan that the policies about some commands, each of them, let whoever acts have.
    pub(super) fn shielded(
        &mut self,
        node: Node,
        table: &Arc<TableDescriptor>,
        commands: &[PolicyCommand],
    ) -> Result<Node> {
        if table.kind != TableKind::Base {
            return Ok(node);
        }
        let Some(powers) = self.bound_by_policies(table)? else { return Ok(node) };
        let Node::Scan(mut scan) = node else {
            return Err(Error::internal("a table is read by no scan"));
        };
        let mut demands = Vec::new();
        for command in commands {
            demands.extend(demanded(table, &powers, *command, Counts::Using));
        }
        scan.shielded = true;
        let width = scan.columns.len();
        // What a policy reads need not be what the statement sees.
        for condition in demands.iter().flat_map(|demand| &demand.any) {
            let read = condition.read.iter().filter_map(|id| table.column_by_id(*id));
            for place in read {
                if !scan.columns.contains(&place) {
                    scan.columns.push(place);
                }
            }
        }
        let places = scan.columns.clone();
        let place_of = |place: usize| places.iter().position(|own| *own == place);
        let (mut predicate, level) = self.by_itself(POLICY, |binder| {
            let mut all = Vec::with_capacity(demands.len());
            for demand in &demands {
                all.push(binder.demand(table, demand, place_of)?);
            }
            Ok(Expr::all(all))
        })?;
        let input = Box::new(self.apply(Node::Scan(scan), level.subqueries, &mut [&mut predicate]));
        Ok(first_columns(Node::Filter(Filter { input, predicate, barrier: true }), width))
    }

    /// The same of the rows that a statement changes, in a tree whose first leaf reads them.
    pub(super) fn shield_target(
        &mut self,
        node: &mut Node,
        table: &Arc<TableDescriptor>,
        commands: &[PolicyCommand],
    ) -> Result<()> {
        let mut first = node;
        while !matches!(first, Node::Scan(_)) {
            first = crate::plan::walk::children_mut(first)
                .into_iter()
                .next()
                .ok_or_else(|| Error::internal("the rows to change are read by no scan"))?;
        }
        let scan = std::mem::replace(first, Node::Values(Values::one_row()));
        *first = self.shielded(scan, table, commands)?;
        Ok(())
    }

    /// What judges rows of a table as they are written.
    pub(super) fn guards(
        &mut self,
        table: &Arc<TableDescriptor>,
        wanted: &[Guarding],
    ) -> Result<Vec<RowGuard>> {
        let Some(powers) = self.bound_by_policies(table)? else { return Ok(Vec::new()) };
        let mut guards = Vec::new();
        for Guarding { kind, command, counts } in wanted {
            for demand in demanded(table, &powers, *command, *counts) {
                let (predicate, level) =
                    self.by_itself(POLICY, |binder| binder.demand(table, &demand, Some))?;
                let condition = self.guard(table, predicate, level.subqueries);
                guards.push(RowGuard { of: demand.policy, kind: *kind, condition, given: Vec::new() });
            }
        }
        Ok(guards)
    }

    /// What judges the rows of an INSERT; what judges those that ON CONFLICT changes is put there.
    pub(super) fn insert_guards(
        &mut self,
        table: &Arc<TableDescriptor>,
        on_conflict: Option<&mut OnConflict>,
    ) -> Result<Vec<RowGuard>> {
        let reads = self.needs.asks(table.oid, Right::Select);
        let mut wanted = vec![Guarding::new_rows(PolicyCommand::Insert)];
        wanted.extend(reads.then_some(Guarding::SEEN));
        if let Some(OnConflict { action: ConflictAction::Update { guards, .. }, .. }) = on_conflict {
            let there = |command| Guarding::old_rows(GuardKind::Conflict, command);
            let mut changes = vec![there(PolicyCommand::Update)];
            changes.extend(reads.then(|| there(PolicyCommand::Select)));
            changes.push(Guarding::new_rows(PolicyCommand::Update));
            changes.extend(reads.then_some(Guarding::SEEN));
            *guards = self.guards(table, &changes)?;
        }
        self.guards(table, &wanted)
    }

    /// What judges the rows of an UPDATE; those that it reads become those alone that it may change.
    pub(super) fn update_guards(
        &mut self,
        node: &mut Node,
        table: &Arc<TableDescriptor>,
    ) -> Result<Vec<RowGuard>> {
        let mut commands = vec![PolicyCommand::Update];
        let mut wanted = vec![Guarding::new_rows(PolicyCommand::Update)];
        // Who looks at rows changes those alone that it sees, and to such alone.
        if self.needs.asks(table.oid, Right::Select) {
            commands.push(PolicyCommand::Select);
            wanted.push(Guarding::SEEN);
        }
        self.shield_target(node, table, &commands)?;
        self.guards(table, &wanted)
    }

    /// What judges the rows of MERGE.
    pub(super) fn merge_guards(&mut self, table: &Arc<TableDescriptor>) -> Result<MergeGuards> {
        let there = |command| Guarding::old_rows(GuardKind::Target, command);
        let (update, delete) = (PolicyCommand::Update, PolicyCommand::Delete);
        let changes = [there(update), Guarding::new_rows(update), Guarding::SEEN];
        let seen = [Guarding::SEEN];
        Ok(MergeGuards {
            update: self.guards(table, &changes)?,
            delete: self.guards(table, &[there(delete)])?,
            insert: self.guards(table, &[Guarding::new_rows(PolicyCommand::Insert)])?,
            seen: self.guards(table, &seen)?,
        })
    }

    /// What judges rows of a table by a condition over them and by the queries that it asks.
    pub(super) fn guard(
        &mut self,
        table: &TableDescriptor,
        mut predicate: Expr,
        asides: Vec<PutAside>,
    ) -> GuardCondition {
        if asides.is_empty() {
            return GuardCondition::Plain(predicate);
        }
        // The row that is judged stands in slots: its subqueries read it there.
        let types = table.types();
        let first = self.slots;
        self.slots = self.slots.saturating_add(types.len());
        let row = (first..).zip(&types).map(|(number, ty)| placeholder::slot(number, *ty)).collect();
        let width = types.len();
        let values = Node::Values(Values { rows: vec![row], types });
        let input = Box::new(self.apply(values, asides, &mut [&mut predicate]));
        let node = Node::Project(Project { input, expressions: vec![predicate] });
        GuardCondition::Asked { node: Box::new(node), slot: placeholder::slot_index(first), width }
    }

    /// What policies ask together of a row, whose columns stand where `place_of` says.
    fn demand(
        &mut self,
        table: &TableDescriptor,
        demand: &Demand,
        place_of: impl Fn(usize) -> Option<usize> + Copy,
    ) -> Result<Expr> {
        let mut any = Vec::with_capacity(demand.any.len());
        for condition in &demand.any {
            any.push(self.kept_policy_condition(table, condition, place_of)?);
        }
        Ok(match any.len() {
            0 => Expr::Literal { value: Datum::Bool(false), ty: TypeKind::Bool.into() },
            1 => any.remove(0),
            _ => Expr::Or(any),
        })
    }

    fn kept_policy_condition(
        &mut self,
        table: &TableDescriptor,
        condition: &PolicyCondition,
        place_of: impl Fn(usize) -> Option<usize>,
    ) -> Result<Expr> {
        let (parsed, height) = parse::parse_measured_expression(&condition.written.query)?;
        self.level()?.scope = policy_row(table, condition, place_of);
        let bind = |binder: &mut Self| {
            let bound = binder.expression(&parsed)?;
            binder.condition(bound, "POLICY", parsed.at)
        };
        if !condition.asks {
            return self.of_kept(|binder| binder.within_text(height, bind));
        }
        if self.policies.contains(&table.oid) {
            let message = format!("infinite recursion detected in policy for relation \"{}\"", table.name);
            return Err(Error::new("42P17", message));
        }
        if self.views_deep >= DEEP_MAX {
            let message = format!("policies lead more than {DEEP_MAX} deep into others");
            return Err(Error::new("54001", message));
        }
        let outer = self.within_view.replace(WithinView::Known(Arc::new(as_view(table, condition))));
        let kept = std::mem::replace(&mut self.reads_kept, false);
        self.policies.push(table.oid);
        self.views_deep = self.views_deep.saturating_add(1);
        let bound = self.within_text(height, bind);
        self.views_deep = self.views_deep.saturating_sub(1);
        self.policies.pop();
        self.reads_kept = kept;
        self.within_view = outer;
        bound
    }

    /// Binds over a row that nothing of the statement sees, and that sees nothing of it; what is left to be computed
    /// stands in the level that is returned.
    pub(super) fn by_itself<T>(
        &mut self,
        clause: Clause,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Level)> {
        let levels = std::mem::take(&mut self.levels);
        // What a function is given is no column, whatever it is called.
        let frames = std::mem::take(&mut self.frames);
        let common = std::mem::take(&mut self.common_tables);
        let unready = std::mem::take(&mut self.unready);
        let barriers = std::mem::take(&mut self.barriers);
        let names = std::mem::take(&mut self.subquery_names);
        let row_queries = std::mem::take(&mut self.row_queries);
        let locking = std::mem::take(&mut self.locking);
        let target = self.target.take();
        let at_top = std::mem::replace(&mut self.at_top, false);
        let owner = self.needs.acting().owner;
        let before = self.needs.act(Acting { owner, within_view: true });
        let level = Level::query(Scope::default(), clause, false);
        let bound = self.without_parameters(|binder| binder.at_level(level, bind));
        self.needs.act(before);
        self.at_top = at_top;
        self.target = target;
        self.locking = locking;
        self.row_queries = row_queries;
        self.subquery_names = names;
        self.barriers = barriers;
        self.unready = unready;
        self.common_tables = common;
        self.frames = frames;
        self.levels = levels;
        bound.map_err(unplaced)
    }
}

/// What the policies about a command ask of a row: all of it.
fn demanded(table: &TableDescriptor, powers: &Powers, command: PolicyCommand, counts: Counts) -> Vec<Demand> {
    let binds = |roles: &[u32]| roles.iter().any(|role| *role == PUBLIC_ROLE || powers.has(*role));
    let policies = &table.row_security.policies;
    let own = policies.iter().filter(|policy| policy.is_about(command) && binds(&policy.roles));
    let (mut any, mut restrictive) = (Vec::new(), Vec::new());
    for policy in own {
        let check = policy.check.as_ref().filter(|_| counts == Counts::Check);
        let Some(condition) = check.or(policy.using.as_ref()) else { continue };
        if policy.permissive {
            any.push(condition.clone());
        } else {
            restrictive.push(Demand { policy: Some(policy.name.clone()), any: vec![condition.clone()] });
        }
    }
    // Where no policy lets a row pass, none does.
    if any.is_empty() {
        restrictive.clear();
    }
    let mut demands = vec![Demand { policy: None, any }];
    demands.extend(restrictive);
    demands
}

//! Rows that are locked: what has to come up with them, and what is asked anew of those that have changed meanwhile.
//!
//! The tree below is cut at its **sources**: the tables, and whatever else its rows are made of, down to which there are but
//! conditions, computed columns, joins and subqueries. What of a source anybody reads comes up with each row, and the keys of
//! what is locked. So the tree can be run again over that row alone: over sources that have one row each, which the slots
//! hold. A subquery that depends on the row is asked again, and so is the right side of a semi or anti join; one that does
//! not, or that is volatile or locks rows itself, has answered once for all.

use std::collections::HashMap;

use expr::{Expr, resolve};

use super::{Placed, Placement};
use crate::error::{Error, Result};
use crate::logical::walk::{columns_free, columns_made, columns_read, expressions, is_pure};
use crate::logical::{
    Apply, ColumnId, ColumnSet, Columns, Compute, Get, Join, Node, Output, Subquery, Values,
};
use crate::plan::{self, Binding, JoinKind, LockStrength, LockTarget, RowLock};

impl Placement<'_> {
    pub(super) fn lock_rows(&mut self, input: Node) -> Result<Placed> {
        let mut level = Level::default();
        level.look(&input, false)?;
        // A scan whose rows go through nothing locks them as it reads. Within what locks rows outside, its lock is not to be
        // taken for one of those.
        let is_direct = is_plain(&input) && !self.locks && !self.is_paged;
        if level.targets.is_empty() || is_direct {
            return self.node(input);
        }
        let carried: ColumnSet = level.made.iter().filter(|column| self.is_wanted(*column)).collect();
        let carried = level.carried(carried);
        let mut again =
            Again { columns: self.columns, carried: &carried, slots: HashMap::new(), next: *self.slots };
        let once_more = again.node(input.clone(), false);
        let Again { slots, next, .. } = again;
        *self.slots = next;
        let read: Vec<ColumnId> = carried.iter().collect();
        let around = std::mem::replace(&mut self.locks, true);
        let Placed { node, row } = self.below(&read, |placement| {
            let input = placement.node(input)?;
            placement.narrow(input)
        })?;
        self.locks = around;
        let stands: HashMap<ColumnId, usize> = row.iter().copied().zip(0..).collect();
        let again = self.output(Output { node: once_more, columns: row.clone() })?;
        let mut slots: Vec<(ColumnId, usize)> = slots.into_iter().collect();
        slots.sort_unstable();
        let binding = |(column, slot): (ColumnId, usize)| -> Result<Binding> {
            let index = stands.get(&column).copied().ok_or_else(lost)?;
            Ok(Binding { slot, value: Expr::Column { index, ty: self.columns.ty(column) } })
        };
        let bindings = slots.into_iter().map(binding);
        let lock = plan::LockRows {
            input: Box::new(node),
            targets: level.targets.iter().map(|target| target.placed(&stands)).collect::<Result<_>>()?,
            wanted: Vec::new(),
            again: Box::new(again),
            bindings: bindings.collect::<Result<_>>()?,
        };
        Ok(Placed { node: plan::Node::LockRows(Box::new(lock)), row })
    }
}

fn lost() -> Error {
    Error::internal("a row that is to be locked lacks what tells it apart")
}

/// Whether a tree is a scan, and what is computed of its rows.
fn is_plain(node: &Node) -> bool {
    match node {
        Node::Compute(compute) => is_plain(&compute.input),
        Node::Get(_) => true,
        _ => false,
    }
}

/// Which subqueries are not asked again: those whose answers are the same for every row, and those of which it makes a
/// difference how often they are run.
fn answered_once(apply: &Apply) -> Vec<bool> {
    let mut made = columns_made(&apply.input);
    made.extend(apply.subqueries.iter().map(|subquery| subquery.column));
    let depends = |subquery: &Subquery| {
        matches!(subquery.kind, plan::ApplyKind::Any { .. })
            || columns_free(&subquery.rows.node).iter().any(|column| made.contains(column))
    };
    let once = |subquery: &Subquery| !depends(subquery) || !is_pure(&subquery.rows.node);
    apply.subqueries.iter().map(once).collect()
}

/// Whether a join that only asks whether its rows have a partner is not asked again: it makes a difference how often the side
/// is run that is asked.
fn keeps_verdict(join: &Join) -> bool {
    match join.kind {
        JoinKind::Semi | JoinKind::Anti => !is_pure(&join.right),
        JoinKind::RightSemi | JoinKind::RightAnti => !is_pure(&join.left),
        JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => false,
    }
}

/// Whether the rows of the right side of a join come up, and whether those of the left do; if so, whether they may be missing.
fn sides(join: &Join) -> (Option<bool>, Option<bool>) {
    match join.kind {
        JoinKind::Left if join.asked => (Some(false), None),
        JoinKind::Inner if join.asked => (Some(false), None),
        JoinKind::Inner => (Some(false), Some(false)),
        JoinKind::Left => (Some(false), Some(true)),
        JoinKind::Right => (Some(true), Some(false)),
        JoinKind::Full => (Some(true), Some(true)),
        JoinKind::Semi | JoinKind::Anti => (Some(false), None),
        JoinKind::RightSemi | JoinKind::RightAnti => (None, Some(false)),
    }
}

/// What a tree whose rows are locked consists of.
#[derive(Default)]
struct Level {
    /// What its sources make.
    made: ColumnSet,
    /// What it reads.
    read: ColumnSet,
    /// By what a row of a table is told from none, where an outer join may have found none.
    there: ColumnSet,
    targets: Vec<Target>,
}

/// A table of which rows are locked.
struct Target {
    get: Get,
    lock: RowLock,
}

impl Level {
    /// `missing`: an outer join may have filled the rows with NULLs.
    fn look(&mut self, node: &Node, missing: bool) -> Result<()> {
        match node {
            Node::Filter(_) | Node::Compute(_) | Node::Sort(_) => {
                self.read.extend(columns_read(expressions(node)));
                crate::logical::walk::children(node)
                    .into_iter()
                    .try_for_each(|child| self.look(child, missing))
            }
            Node::Join(join) => {
                self.read.extend(columns_read(&join.conditions));
                let (left, right) = sides(join);
                for (side, comes_up) in [(&join.left, left), (&join.right, right)] {
                    match comes_up {
                        Some(own) => self.look(side, missing || own)?,
                        None => self.read.extend(columns_free(side).iter()),
                    }
                }
                Ok(())
            }
            Node::Apply(apply) => {
                self.read.extend(columns_read(expressions(node)));
                for (subquery, once) in apply.subqueries.iter().zip(answered_once(apply)) {
                    self.read.extend(columns_free(&subquery.rows.node).iter());
                    self.made.extend(once.then_some(subquery.column));
                }
                self.look(&apply.input, missing)
            }
            Node::Get(get) => {
                self.read.extend(columns_read(&get.filter));
                self.made.extend(get.columns.iter().map(|(column, _)| *column));
                if missing {
                    self.there.extend(key(get).flatten());
                }
                if let Some(lock) = get.lock {
                    if missing {
                        return Err(fills(lock));
                    }
                    let own = Get { filter: Vec::new(), ..get.as_ref().clone() };
                    self.targets.push(Target { get: own, lock });
                }
                Ok(())
            }
            source => {
                self.read.extend(columns_free(source).iter());
                self.made.extend(columns_made(source).iter());
                Ok(())
            }
        }
    }

    /// What has to come up with each row, beside what is wanted of its sources above.
    fn carried(&self, mut carried: ColumnSet) -> ColumnSet {
        carried.extend(self.made.iter().filter(|column| self.read.contains(*column)));
        carried.extend(self.targets.iter().flat_map(|target| key(&target.get)).flatten());
        carried.extend(self.there.iter());
        carried
    }
}

/// PostgreSQL's words for what has no row to lock.
fn fills(lock: RowLock) -> Error {
    let verb = match lock.strength {
        LockStrength::Exclusive => "FOR UPDATE",
        LockStrength::Shared => "FOR SHARE",
    };
    let message = format!("{verb} cannot be applied to the nullable side of an outer join");
    Error::new("0A000", message)
}

/// The columns of a table's primary key.
fn key(get: &Get) -> impl Iterator<Item = Option<ColumnId>> {
    let table = &get.table;
    let places = table.primary().into_iter().flat_map(move |primary| table.key_columns(primary));
    places.map(move |place| get.columns.iter().find(|(_, own)| *own == place).map(|(column, _)| *column))
}

impl Target {
    /// The same where its columns stand in rows.
    fn placed(&self, stands: &HashMap<ColumnId, usize>) -> Result<LockTarget> {
        let key = key(&self.get)
            .map(|column| column.and_then(|column| stands.get(&column).copied()).ok_or_else(lost));
        let columns = self.get.columns.iter();
        let columns = columns.filter_map(|(column, place)| Some((stands.get(column).copied()?, *place)));
        Ok(LockTarget {
            table: self.get.table.clone(),
            lock: self.lock,
            key: key.collect::<Result<_>>()?,
            columns: columns.collect(),
        })
    }
}

/// Makes of a tree the one that is run again over a single row.
struct Again<'a> {
    columns: &'a Columns,
    /// What comes up with the row.
    carried: &'a ColumnSet,
    /// The slots in which it is handed back.
    slots: HashMap<ColumnId, usize>,
    next: usize,
}

impl Again<'_> {
    fn slot(&mut self, column: ColumnId) -> Expr {
        let next = &mut self.next;
        let slot = *self.slots.entry(column).or_insert_with(|| {
            let slot = *next;
            *next = slot.saturating_add(1);
            slot
        });
        Expr::Parameter { index: slot, ty: self.columns.ty(column) }
    }

    fn node(&mut self, node: Node, missing: bool) -> Node {
        match node {
            Node::Filter(mut filter) => {
                *filter.input = self.node(filter.input.take(), missing);
                Node::Filter(filter)
            }
            Node::Compute(mut compute) => {
                *compute.input = self.node(compute.input.take(), missing);
                Node::Compute(compute)
            }
            // There is but one row.
            Node::Sort(sort) => self.node(*sort.input, missing),
            Node::Join(mut join) => {
                let (left, right) = sides(&join);
                if keeps_verdict(&join) {
                    let side = if left.is_some() { &mut join.left } else { &mut join.right };
                    return self.node(side.take(), missing);
                }
                for (side, comes_up) in [(&mut join.left, left), (&mut join.right, right)] {
                    if let Some(own) = comes_up {
                        *side = self.node(side.take(), missing || own);
                    }
                }
                Node::Join(join)
            }
            Node::Apply(apply) => self.apply(apply, missing),
            source => self.source(source, missing),
        }
    }

    fn apply(&mut self, apply: Apply, missing: bool) -> Node {
        let once = answered_once(&apply);
        let mut input = self.node(*apply.input, missing);
        let (answered, asked): (Vec<_>, Vec<_>) =
            apply.subqueries.into_iter().zip(once).partition(|(_, once)| *once);
        let answered = answered.into_iter().map(|(subquery, _)| subquery.column);
        let answered = answered.filter(|column| self.carried.contains(*column)).collect::<Vec<_>>();
        if !answered.is_empty() {
            let computed = answered.into_iter().map(|column| (column, self.slot(column))).collect();
            input = Node::Compute(Compute { input: Box::new(input), computed });
        }
        if asked.is_empty() {
            return input;
        }
        let subqueries = asked.into_iter().map(|(subquery, _)| subquery).collect();
        Node::Apply(Apply { input: Box::new(input), subqueries })
    }

    /// One row, or none where an outer join has found none.
    fn source(&mut self, source: Node, missing: bool) -> Node {
        let made = columns_made(&source);
        let columns: Vec<ColumnId> = made.iter().filter(|column| self.carried.contains(*column)).collect();
        let row = columns.iter().map(|column| self.slot(*column)).collect();
        // No part of a key is NULL; of what has none, one of the columns is taken not to be.
        let telling: Vec<ColumnId> = match &source {
            Node::Get(get) => key(get).flatten().take(1).collect(),
            _ => columns.clone(),
        };
        let is_there = telling.iter().map(|column| resolve::is_there(self.columns.read(*column)));
        let mut conditions = match (missing, telling.as_slice()) {
            (false, _) | (true, []) => Vec::new(),
            (true, [_]) => is_there.collect(),
            (true, _) => vec![Expr::Or(is_there.collect())],
        };
        if let Node::Get(get) = source {
            conditions.extend(get.filter);
        }
        Node::Values(Box::new(Values { rows: vec![row], columns })).filtered(conditions)
    }
}

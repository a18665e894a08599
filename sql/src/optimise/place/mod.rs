//! From the logical plan to the physical one: which columns a node makes, and where in its rows they stand.
//!
//! A column is **wanted** at a node if something above it reads it. So a scan decodes only what is read, an aggregate
//! computes only what is asked for, and what a join, a sort or a nested loop keeps in memory is no wider than what is read
//! above. What a subquery or a LATERAL item reads of an outer row goes through **slots**, numbered behind the statement's
//! parameters.
//!
//! Equalities between the two sides of a join become keys to hash.

mod group;
mod join;
mod lock;
mod row;
mod set;
mod source;
mod subquery;
mod unlike;

use expr::Expr;

use self::row::Frame;
use super::condition::may_move;
use super::estimate::Estimates;
use crate::error::Result;
use crate::logical::walk::columns_read;
use crate::logical::{ColumnId, Columns, Compute, Limit, Node, Output, ProjectSet, Sort};
use crate::plan;

/// Makes the physical plan of a tree, whose rows have exactly the columns that are meant. `slots` counts the values that
/// parameters may name.
pub(super) fn place(
    columns: &Columns,
    output: Output,
    slots: &mut usize,
    estimates: &Estimates<'_>,
) -> Result<plan::Node> {
    let mut placement = Placement {
        columns,
        readers: vec![0; columns.len()],
        places: vec![(0, 0); columns.len()],
        row: 0,
        rows: 0,
        frames: Vec::new(),
        slots,
        locks: false,
        is_paged: false,
        veiled: false,
        estimates,
    };
    placement.output(output)
}

/// A node and the columns of its rows.
struct Placed {
    node: plan::Node,
    row: Vec<ColumnId>,
}

struct Placement<'p> {
    columns: &'p Columns,
    /// How many of the nodes above read a column.
    readers: Vec<u32>,
    /// Where a column stands in a row, and in which one that is.
    places: Vec<(usize, usize)>,
    /// The number of the row that expressions are placed over.
    row: usize,
    /// How many rows have got a number.
    rows: usize,
    /// The rows around, the innermost last.
    frames: Vec<Frame>,
    slots: &'p mut usize,
    /// Rows of the node at hand are locked above.
    locks: bool,
    /// Of its rows some may be skipped, and others not be asked for, and how many is known only when it is run.
    is_paged: bool,
    /// Policies hide rows of the node at hand.
    veiled: bool,
    estimates: &'p Estimates<'p>,
}

impl Placement<'_> {
    fn node(&mut self, node: Node) -> Result<Placed> {
        match node {
            Node::Get(get) => self.get(*get),
            Node::Function(function) => self.function(*function),
            Node::Values(values) => self.values(*values),
            Node::Filter(filter) => {
                let is_told = filter.conditions.is_empty() && matches!(*filter.input, Node::Get(_));
                let around = self.veiled;
                self.veiled |= filter.barrier && !is_told;
                let placed = self.filter(*filter.input, filter.conditions)?;
                self.veiled = around;
                Ok(placed)
            }
            Node::Compute(compute) => self.compute(compute),
            Node::ProjectSet(set) => self.project_set(*set),
            Node::Join(join) => self.join(*join),
            Node::Apply(apply) => self.apply(apply),
            Node::Aggregate(aggregate) => self.aggregate(*aggregate),
            Node::Window(window) => self.window(*window),
            Node::Sort(sort) => self.sort(sort),
            Node::Limit(limit) => self.limit(*limit),
            Node::LockRows(input) => self.lock_rows(*input),
            Node::Distinct(distinct) => self.distinct(*distinct),
            Node::Append(append) => self.append(append),
            Node::SetOperation(operation) => self.set_operation(*operation),
            Node::Common(common) => self.common(*common),
            Node::Recursive(recursive) => self.recursive(*recursive),
            Node::Working(working) => {
                let types = working.columns.iter().map(|column| self.columns.ty(*column)).collect();
                let node = plan::Node::Working(plan::Working { id: working.id, name: working.name, types });
                Ok(Placed { node, row: working.columns })
            }
            Node::Modify(modify) => Ok(Placed { node: plan::Node::Modify(modify.plan), row: modify.columns }),
        }
    }

    fn is_wanted(&self, column: ColumnId) -> bool {
        self.readers.get(column).is_some_and(|readers| *readers > 0)
    }

    /// Places what is below something that reads these columns.
    fn below<T>(&mut self, read: &[ColumnId], place: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        for column in read {
            if let Some(readers) = self.readers.get_mut(*column) {
                *readers = readers.saturating_add(1);
            }
        }
        let placed = place(self)?;
        for column in read {
            if let Some(readers) = self.readers.get_mut(*column) {
                *readers = readers.saturating_sub(1);
            }
        }
        Ok(placed)
    }

    /// Rows of exactly these columns.
    fn output(&mut self, output: Output) -> Result<plan::Node> {
        let placed = self.below(&output.columns, |placement| placement.node(output.node))?;
        self.exactly(placed, &output.columns)
    }

    fn exactly(&mut self, placed: Placed, columns: &[ColumnId]) -> Result<plan::Node> {
        if placed.row == columns {
            return Ok(placed.node);
        }
        self.enter(&placed.row);
        let chosen: Vec<Expr> =
            columns.iter().map(|column| self.over(self.columns.read(*column))).collect::<Result<_>>()?;
        Ok(match placed.node {
            plan::Node::Project(project) if may_choose(&project.expressions, &chosen) => {
                let expression = |chosen: &Expr| match chosen {
                    Expr::Column { index, .. } => project.expressions.get(*index).cloned(),
                    _ => None,
                };
                let expressions = chosen
                    .iter()
                    .map(|chosen| expression(chosen).unwrap_or_else(|| chosen.clone()))
                    .collect();
                plan::Node::Project(plan::Project { input: project.input, expressions })
            }
            node => plan::Node::Project(plan::Project { input: Box::new(node), expressions: chosen }),
        })
    }

    /// The rows without the columns that nothing above reads.
    fn narrow(&mut self, placed: Placed) -> Result<Placed> {
        let row: Vec<ColumnId> =
            placed.row.iter().copied().filter(|column| self.is_wanted(*column)).collect();
        let node = self.exactly(placed, &row)?;
        Ok(Placed { node, row })
    }

    fn filter(&mut self, input: Node, conditions: Vec<Expr>) -> Result<Placed> {
        let read = columns_read(&conditions);
        let Placed { node, row } = self.below(&read, |placement| placement.node(input))?;
        self.enter(&row);
        if conditions.is_empty() {
            return Ok(Placed { node, row });
        }
        let predicate = Expr::all(self.all_over(conditions)?);
        let filter = plan::Filter { input: Box::new(node), predicate, barrier: false };
        Ok(Placed { node: plan::Node::Filter(filter), row })
    }

    fn compute(&mut self, compute: Compute) -> Result<Placed> {
        let is_wanted =
            |(column, expression): &(ColumnId, Expr)| self.is_wanted(*column) || !may_move(expression);
        let computed: Vec<(ColumnId, Expr)> = compute.computed.into_iter().filter(is_wanted).collect();
        if computed.is_empty() {
            return self.node(*compute.input);
        }
        let read = columns_read(computed.iter().map(|(_, expression)| expression));
        let input = self.below(&read, |placement| placement.node(*compute.input))?;
        self.enter(&input.row);
        let mut row = Vec::new();
        let mut expressions = Vec::new();
        for column in &input.row {
            if self.is_wanted(*column) {
                row.push(*column);
                expressions.push(self.over(self.columns.read(*column))?);
            }
        }
        for (column, expression) in computed {
            row.push(column);
            expressions.push(self.over(expression)?);
        }
        let node = plan::Node::Project(plan::Project { input: Box::new(input.node), expressions });
        Ok(Placed { node, row })
    }

    /// All functions stay: how many rows there are depends on each.
    fn project_set(&mut self, set: ProjectSet) -> Result<Placed> {
        let read = columns_read(set.functions.iter().flat_map(|(_, function)| &function.arguments));
        let input = self.below(&read, |placement| {
            let input = placement.node(set.input)?;
            placement.narrow(input)
        })?;
        self.enter(&input.row);
        let mut row = input.row;
        let mut functions = Vec::with_capacity(set.functions.len());
        for (column, function) in set.functions {
            row.push(column);
            functions.push(plan::SetFunction { arguments: self.all_over(function.arguments)?, ..function });
        }
        row.extend(set.ordinality);
        let ordinality = set.ordinality.is_some();
        let node =
            plan::Node::ProjectSet(plan::ProjectSet { input: Box::new(input.node), functions, ordinality });
        Ok(Placed { node, row })
    }

    fn sort(&mut self, sort: Sort) -> Result<Placed> {
        let read = columns_read(sort.keys.iter().map(|key| &key.expression));
        let input = self.below(&read, |placement| {
            let input = placement.node(*sort.input)?;
            placement.narrow(input)
        })?;
        self.enter(&input.row);
        let keys = self.keys_over(sort.keys)?;
        let node = plan::Node::Sort(plan::Sort { input: Box::new(input.node), keys, limit: None });
        Ok(Placed { node, row: input.row })
    }

    fn limit(&mut self, limit: Limit) -> Result<Placed> {
        let is_known = |rows: &Expr| matches!(rows, Expr::Literal { .. });
        let is_paged = match (&limit.limit, &limit.offset) {
            (Some(rows), Some(skipped)) => !is_known(rows) || !is_known(skipped),
            _ => false,
        };
        let around = std::mem::replace(&mut self.is_paged, is_paged);
        let Placed { node, row } = self.node(limit.input)?;
        self.is_paged = around;
        self.enter(&[]);
        let node = plan::Node::Limit(plan::Limit {
            input: Box::new(node),
            limit: limit.limit.map(|rows| self.over(rows)).transpose()?,
            offset: limit.offset.map(|offset| self.over(offset)).transpose()?,
        });
        Ok(Placed { node, row })
    }
}

/// Whether what a projection computes may be chosen from in its place: nothing volatile is lost, nothing is computed twice.
fn may_choose(expressions: &[Expr], chosen: &[Expr]) -> bool {
    let mut times = vec![0_usize; expressions.len()];
    for chosen in chosen {
        if let Expr::Column { index, .. } = chosen
            && let Some(times) = times.get_mut(*index)
        {
            *times = times.saturating_add(1);
        }
    }
    expressions.iter().zip(times).all(|(expression, times)| match expression {
        Expr::Column { .. } | Expr::Literal { .. } | Expr::Parameter { .. } => true,
        expression => times == 1 || times == 0 && may_move(expression),
    })
}

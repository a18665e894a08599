//! Runs plans: operators that make rows, writers that change them, COPY, DDL.
//!
//! An [`Execution`] is a plan made ready to run. It is kept with the prepared statement and rewound for the next run,
//! so that running a statement again costs neither binding nor building. A statement over one row named by its key is a
//! [`PointExecution`] instead, which bypasses the operators.

pub(crate) mod advisory;
pub(crate) mod analyze;
mod answer;
pub(crate) mod cancel;
pub(crate) mod context;
mod copy;
pub(crate) mod ddl;
mod deferred;
mod explain;
mod held_back;
mod key_block;
mod lock;
pub(crate) mod memory;
mod operators;
mod past;
mod point;
pub(crate) mod rights;
pub(crate) mod row_ids;
mod rows;
mod spill;
pub(crate) mod temporary;
pub(crate) mod truth;
mod walk;
mod write;
mod writers;

use std::sync::Arc;

use expr::{Expr, Row};

pub(crate) use copy::{CopyFromExecution, CopyToExecution};
pub(crate) use deferred::{Deferred, DeferredMark};
pub(crate) use explain::{Run, Shown, explain};
pub(crate) use operators::BATCH_BYTES;
pub(crate) use past::table_then;
pub(crate) use point::{PointExecution, PointOutcome};
pub(crate) use rows::{IndexFormat, KeyColumn};
pub(crate) use write::settle_deferred;

use crate::catalog::access::{Right, Rights};
use crate::error::Result;
use crate::plan::{Bound, Modify, Need, Node, Plan, RowGuard};
use context::Context;
use operators::BoxOperator;
use truth::Truths;
use walk::walk;
use write::{CompoundExecution, DeleteExecution, InsertExecution, MergeExecution, UpdateExecution};

/// A plan made ready to run.
pub(crate) enum Execution {
    /// Makes rows.
    Query(BoxOperator),
    /// INSERT
    Insert(Box<InsertExecution>),
    /// UPDATE
    Update(Box<UpdateExecution>),
    /// DELETE
    Delete(Box<DeleteExecution>),
    /// MERGE
    Merge(Box<MergeExecution>),
    /// A statement that changes rows in parts of it.
    Compound(Box<CompoundExecution>),
    /// COPY FROM STDIN
    CopyFrom(Box<CopyFromExecution>),
    /// COPY TO STDOUT
    CopyTo(Box<CopyToExecution>),
}

/// What a writing statement did.
pub(crate) struct Written {
    /// How many rows it wrote.
    pub(crate) count: u64,
    /// The rows of RETURNING.
    pub(crate) returned: Vec<Row>,
}

impl Execution {
    /// Makes a query or a writing plan ready; `None` for what has no rows to run over.
    pub(crate) fn build(plan: &Plan) -> Result<Option<Self>> {
        Self::build_counted(plan, None)
    }

    /// The same; what its operators do is counted, if that is wanted.
    pub(crate) fn build_counted(plan: &Plan, truths: Option<&Arc<Truths>>) -> Result<Option<Self>> {
        let build = |node: &Node| operators::build_counted(node, truths);
        Ok(Some(match plan {
            Plan::Query(node) => Self::Query(build(node)?),
            Plan::Modify(modify) => match modify.as_ref() {
                Modify::Insert(insert) => {
                    let source = build(&insert.source)?;
                    Self::Insert(Box::new(InsertExecution::new(insert, source)?))
                }
                Modify::Update(update) => {
                    let source = build(&update.source)?;
                    Self::Update(Box::new(UpdateExecution::new(update, source)?))
                }
                Modify::Delete(delete) => {
                    let source = build(&delete.source)?;
                    Self::Delete(Box::new(DeleteExecution::new(delete, source)?))
                }
                Modify::Merge(merge) => {
                    let source = build(&merge.source)?;
                    Self::Merge(Box::new(MergeExecution::new(merge, source)?))
                }
                Modify::Compound(compound) => {
                    Self::Compound(Box::new(CompoundExecution::new(compound, truths)?))
                }
                Modify::CopyFrom(copy) => Self::CopyFrom(Box::new(CopyFromExecution::new(copy)?)),
                Modify::CopyTo(copy) => Self::CopyTo(Box::new(CopyToExecution::new(copy)?)),
            },
            Plan::Empty | Plan::Ddl(_) | Plan::Explain { .. } | Plan::Session(_) => return Ok(None),
        }))
    }

    /// The next rows of a query.
    pub(crate) async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        match self {
            Self::Query(operator) => operator.next(cx).await,
            _ => Ok(None),
        }
    }

    /// Runs INSERT, UPDATE or DELETE to its end.
    pub(crate) async fn write(&mut self, cx: &mut Context<'_>) -> Result<Written> {
        let outcome = match self {
            Self::Insert(insert) => insert.run(cx).await?,
            Self::Update(update) => update.run(cx).await?,
            Self::Delete(delete) => delete.run(cx).await?,
            Self::Merge(merge) => merge.run(cx).await?,
            Self::Compound(compound) => compound.run(cx).await?,
            Self::Query(_) | Self::CopyFrom(_) | Self::CopyTo(_) => write::Outcome::default(),
        };
        Ok(Written { count: outcome.count, returned: outcome.returned })
    }

    /// Makes it ready to run again; false if it has to be built anew.
    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Query(operator) => operator.rewind(cx),
            Self::Insert(insert) => insert.rewind(cx),
            Self::Update(update) => update.rewind(cx),
            Self::Delete(delete) => delete.rewind(cx),
            Self::Merge(merge) => merge.rewind(cx),
            Self::Compound(_) | Self::CopyFrom(_) | Self::CopyTo(_) => return false,
        }
        true
    }
}

/// What the session has to know of a plan before it runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits {
    /// It only reads: neither writes nor locks.
    pub(crate) read_only: bool,
    /// It reads system views, so the catalog has to be the newest.
    pub(crate) reads_catalog: bool,
    /// One row may already take long.
    pub(crate) makes_long_values: bool,
    /// It tells how much room tables take, which has to be measured first.
    pub(crate) tells_sizes: bool,
    /// And how much of it history takes.
    pub(crate) tells_history: bool,
}

/// Expressions of more parts than this take long over a single row.
const SHORT_PARTS_MAX: usize = 10_000;

/// The traits of a plan, its expressions' included. (They are only looked at.)
pub(crate) fn traits_of(plan: &mut Plan) -> Traits {
    let (mut makes_long_values, mut tells_sizes, mut tells_history) = (false, false, false);
    let mut parts = 0_usize;
    crate::plan::walk::expressions_mut(plan, &mut |expression| {
        expression.walk(&mut |part| {
            parts = parts.saturating_add(1);
            if let Expr::Call { function, .. } = part {
                makes_long_values |= function.makes_long_values();
                tells_sizes |= crate::system::tells_sizes(function.name);
                tells_history |= crate::system::tells_history(function.name);
            }
        });
    });
    makes_long_values |= parts > SHORT_PARTS_MAX;
    Traits { makes_long_values, tells_sizes, tells_history, ..traits(plan) }
}

/// The traits of a plan.
fn traits(plan: &Plan) -> Traits {
    let mut traits = Traits {
        read_only: false,
        reads_catalog: false,
        makes_long_values: false,
        tells_sizes: false,
        tells_history: false,
    };
    let mut locks = false;
    let mut look = |node: &Node| match node {
        Node::VirtualScan(_) => traits.reads_catalog = true,
        Node::Scan(scan) => locks |= scan.lock.is_some(),
        Node::LockRows(_) => locks = true,
        _ => {}
    };
    match plan {
        Plan::Query(node) => {
            walk(node, &mut look);
            traits.read_only = !locks;
        }
        Plan::Modify(modify) => {
            let asked = modify.guards().into_iter().filter_map(RowGuard::node);
            asked.for_each(|node| walk(node, &mut look));
            match modify.as_ref() {
                Modify::Insert(insert) => walk(&insert.source, &mut look),
                Modify::Update(update) => walk(&update.source, &mut look),
                Modify::Delete(delete) => walk(&delete.source, &mut look),
                Modify::Merge(merge) => walk(&merge.source, &mut look),
                Modify::Compound(compound) => {
                    compound.effects.iter().for_each(|effect| walk(effect, &mut look));
                    let main = self::traits(&compound.main);
                    traits.reads_catalog |= main.reads_catalog;
                }
                Modify::CopyTo(copy) => {
                    walk(&copy.source, &mut look);
                    traits.read_only = !locks;
                }
                Modify::CopyFrom(_) => {}
            }
        }
        Plan::Explain { plan, analyze, .. } => {
            let inner = self::traits(plan);
            // What EXECUTE runs is known only then.
            let reads = inner.read_only && !matches!(**plan, Plan::Session(_));
            return Traits { read_only: reads || !analyze, ..inner };
        }
        Plan::Empty | Plan::Session(_) => traits.read_only = true,
        Plan::Ddl(ddl) => {
            if let crate::plan::Ddl::CreateTableAs(create) = ddl.as_ref() {
                create.source.iter().for_each(|source| walk(source, &mut look));
            }
        }
    }
    traits
}

/// The command that a read-only transaction refuses, in PostgreSQL's words; `None` if it is none. Rows of temporary tables may
/// be written in any.
pub(crate) fn refused_when_read_only(bound: &Bound) -> Option<&'static str> {
    let writes = |need: &&Need| !need.rights.without(Rights::of(Right::Select)).is_empty();
    let refused = refused_plan(&bound.plan)?;
    let is_of_rows = !matches!(bound.plan.done(), Plan::Ddl(_));
    let mut written = bound.needs.iter().filter(writes).peekable();
    let is_own = is_of_rows && written.peek().is_some() && written.all(|need| need.table.is_temporary());
    (!is_own).then_some(refused)
}

fn refused_plan(plan: &Plan) -> Option<&'static str> {
    match plan {
        Plan::Modify(modify) => match modify.as_ref() {
            Modify::Insert(_) => Some("INSERT"),
            Modify::Update(_) => Some("UPDATE"),
            Modify::Delete(_) => Some("DELETE"),
            Modify::Merge(_) => Some("MERGE"),
            Modify::Compound(compound) => Some(compound.command.keyword()),
            Modify::CopyFrom(_) => Some("COPY FROM"),
            Modify::CopyTo(_) => None,
        },
        Plan::Ddl(ddl) => Some(match ddl.as_ref() {
            crate::plan::Ddl::CreateTable(_) => "CREATE TABLE",
            crate::plan::Ddl::CreateTableAs(_) => "CREATE TABLE AS",
            crate::plan::Ddl::Object(change) => change.command(),
            crate::plan::Ddl::Truncate(_) => "TRUNCATE TABLE",
            crate::plan::Ddl::CreateIndex(_) => "CREATE INDEX",
            crate::plan::Ddl::Reindex(_) => "REINDEX",
            crate::plan::Ddl::Refresh(_) => "REFRESH MATERIALIZED VIEW",
            crate::plan::Ddl::AlterTable(_) => "ALTER TABLE",
            crate::plan::Ddl::Access(change) => change.command(),
            crate::plan::Ddl::Nothing { .. } => return None,
        }),
        Plan::Explain { plan, analyze: true, .. } => refused_plan(plan),
        Plan::Query(_) if !traits(plan).read_only => Some("SELECT FOR UPDATE"),
        Plan::Empty | Plan::Query(_) | Plan::Explain { .. } | Plan::Session(_) => None,
    }
}

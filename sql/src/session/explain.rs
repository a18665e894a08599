//! EXPLAIN: a plan is shown, and run before that if it is to be told what its steps do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use env::clock;
use expr::{Datum, Expr, Row};

use super::Session;
use super::portal::{Portal, Running};
use super::prepared::Planned;
use super::run::guard;
use crate::error::{Error, Result};
use crate::execute::memory::Memory;
use crate::execute::truth::{Analysis, Truths};
use crate::execute::{self, Execution};
use crate::optimise;
use crate::plan::{ExplainOptions, Modify, Plan, SessionCommand};

/// Plans that are larger are looked at where that holds nobody up.
const SHORT_PLAN_BYTES: usize = 1 << 20;

/// What is to be shown.
#[derive(Clone, Copy)]
struct Asked {
    /// What a run has done, too.
    analyze: bool,
    options: ExplainOptions,
}

/// What a run has come to.
struct Ran {
    /// How many rows it has answered.
    rows: u64,
    /// How many bytes went to temporary files.
    spilled: u64,
}

impl Session {
    /// What an EXPLAIN answers that was made ready, and the account that it is in.
    pub(super) async fn explain(
        &mut self,
        portal: &Portal,
        planned: &Arc<Planned>,
        values: Vec<Datum>,
    ) -> Result<(VecDeque<Row>, Memory)> {
        let Plan::Explain { plan, analyze, options } = &planned.bound.plan else {
            return Err(Error::internal("something else is explained than EXPLAIN"));
        };
        let asked = Asked { analyze: *analyze, options: *options };
        let lines = match plan.as_ref() {
            Plan::Session(command) => {
                let SessionCommand::Execute { name, arguments } = command.as_ref() else {
                    return Err(Error::internal("a command of the session is explained"));
                };
                self.explain_execute(portal, planned, (name, arguments), asked).await?
            }
            plan => self.print_plan(portal, planned, plan, planned.took, asked, values).await?,
        };
        let mut memory = self.statement_memory();
        memory.reserve(lines.iter().map(String::len).sum())?;
        Ok((lines.into_iter().map(|line| vec![Datum::Text(line.into())]).collect(), memory))
    }

    /// EXPLAIN EXECUTE: what is prepared is made ready as if it was to be run.
    async fn explain_execute(
        &mut self,
        portal: &Portal,
        planned: &Arc<Planned>,
        (name, arguments): (&str, &[(Expr, usize)]),
        asked: Asked,
    ) -> Result<Vec<String>> {
        let Some(inner) = self.registry.statement(name)?.clone() else {
            return self.print_plan(portal, planned, &Plan::Empty, Duration::ZERO, asked, Vec::new()).await;
        };
        let (cancel, deadline) = (self.cancel.clone(), portal.deadline);
        let arguments = async { self.arguments(name, &inner, arguments) };
        let values = guard(&cancel, deadline, arguments).await?;
        if inner.is_command {
            return self.print_plan(portal, planned, &Plan::Empty, Duration::ZERO, asked, Vec::new()).await;
        }
        let mut runs = self.portal_over(&inner, values)?;
        runs.deadline = deadline;
        let begun = clock::now();
        let ready = self.make_ready(&mut runs).await?;
        let took = begun.elapsed();
        if asked.analyze {
            self.auditing.call("EXPLAIN");
        } else {
            // Nothing of it is run.
            self.audit_seen(planned);
        }
        let plan = match &ready.bound.plan {
            Plan::Modify(modify) if matches!(**modify, Modify::CopyFrom(_) | Modify::CopyTo(_)) => {
                &Plan::Empty
            }
            plan @ (Plan::Query(_) | Plan::Modify(_)) => plan,
            Plan::Ddl(_) if asked.analyze => {
                return Err(Error::unsupported("EXPLAIN ANALYZE EXECUTE of a definition"));
            }
            plan @ Plan::Ddl(_) => plan,
            Plan::Empty | Plan::Explain { .. } | Plan::Session(_) => &Plan::Empty,
        };
        let values = self.values_of(&runs, &ready)?;
        self.print_plan(&runs, &ready, plan, took, asked, values).await
    }

    /// Shows a plan that took so long to be made, once it was run if that is asked for.
    async fn print_plan(
        &mut self,
        portal: &Portal,
        planned: &Arc<Planned>,
        plan: &Plan,
        planning: Duration,
        asked: Asked,
        values: Vec<Datum>,
    ) -> Result<Vec<String>> {
        if planned.plan_bytes > SHORT_PLAN_BYTES {
            env::pool::go_to_pool().await;
        }
        let mut appraisals = None;
        if asked.options.costs {
            let sizes = self.sizes_of(&optimise::tables(plan), portal.deadline).await?;
            appraisals = Some(optimise::appraise(plan, &sizes));
        }
        let truths = Truths::new(asked.options.timing);
        let mut run = None;
        if asked.analyze {
            let begun = clock::now();
            let Ran { rows, spilled } = self.run_counted(portal, planned, plan, values, &truths).await?;
            run = Some(execute::Run { truths: &truths, rows, took: begun.elapsed(), spilled });
        }
        let shown = execute::Shown { options: asked.options, appraisals: appraisals.as_ref(), run, planning };
        execute::explain(plan, &self.context, &shown)
    }

    /// Runs a plan for its own sake, and counts what its operators do.
    async fn run_counted(
        &mut self,
        portal: &Portal,
        planned: &Arc<Planned>,
        plan: &Plan,
        values: Vec<Datum>,
        truths: &Arc<Truths>,
    ) -> Result<Ran> {
        let analysis = Analysis::of(Some(Arc::clone(truths)));
        if let Plan::Ddl(ddl) = plan {
            let (tag, spilled) = self.run_ddl(portal, ddl, values, analysis).await?;
            return Ok(Ran { rows: tag.rows(), spilled });
        }
        let Some(execution) = Execution::build_counted(plan, Some(truths))? else {
            return Ok(Ran { rows: 0, spilled: 0 });
        };
        let (memory, generation) = (self.statement_memory(), self.transaction.generation);
        let mut running = Running::new(execution, planned.clone(), values, memory, generation);
        let (execution, mut cx) = self.context_for(&mut running)?;
        cx.analysis = analysis;
        let cancel = cx.cancel.clone();
        let work = async {
            let mut rows = 0_u64;
            if matches!(execution, Execution::Query(_)) {
                while let Some(batch) = execution.next(&mut cx).await? {
                    rows = rows.saturating_add(batch.len() as u64);
                }
            } else {
                rows = execution.write(&mut cx).await?.returned.len() as u64;
            }
            Ok(Ran { rows, spilled: cx.memory.spilled() })
        };
        guard(&cancel, portal.deadline, work).await
    }
}

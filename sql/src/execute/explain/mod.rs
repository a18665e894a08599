//! EXPLAIN: a plan as it is shown.
//!
//! ```text
//! plan ─┬─ steps ─▶ Step ─┬─ text ─▶ one line per step, what it reads indented below it
//!       │                 └─ json ─▶ a document
//!       ├─ what the optimiser takes its nodes for (Appraisals)
//!       └─ what they have really done (Truths)
//! ```
//!
//! Where policies hide rows of what a statement reads, it is not told how many: a scan whose rows they choose does not say what
//! it has left out and read, and where what they ask goes beyond a scan, of all steps only the top one says what it has done.

mod json;
mod lines;
mod names;
mod scan;
mod step;
mod steps;
mod text;
mod truth;

use std::time::Duration;

use expr::SessionContext;

use self::json::Json;
use self::lines::Lines;
use self::step::{Step, Value};
use self::steps::Steps;
use super::truth::{Truth, Truths};
use crate::error::Result;
use crate::optimise::Appraisals;
use crate::plan::{Ddl, ExplainFormat, ExplainOptions, Plan};

/// What is known of a plan that is shown.
pub(crate) struct Shown<'a> {
    /// What is asked for.
    pub(crate) options: ExplainOptions,
    /// What its nodes are taken for.
    pub(crate) appraisals: Option<&'a Appraisals>,
    /// What its run has come to.
    pub(crate) run: Option<Run<'a>>,
    /// How long it took to plan it.
    pub(crate) planning: Duration,
}

impl Shown<'_> {
    /// The steps alone.
    pub(crate) const PLAIN: Self =
        Self { options: ExplainOptions::PLAIN, appraisals: None, run: None, planning: Duration::ZERO };
}

/// What a run has come to.
pub(crate) struct Run<'a> {
    /// What its nodes have done.
    pub(crate) truths: &'a Truths,
    /// How many rows were answered.
    pub(crate) rows: u64,
    /// How long it took.
    pub(crate) took: Duration,
    /// How many bytes went to temporary files.
    pub(crate) spilled: u64,
}

impl Run<'_> {
    /// What the statement has done as a whole.
    fn whole(&self) -> Truth {
        Truth { loops: 1, rows: self.rows, first: self.took, total: self.took, ..Truth::default() }
    }
}

/// The rows of QUERY PLAN.
///
/// # Errors
/// 54000: there is too much to be shown.
pub(crate) fn explain(plan: &Plan, session: &SessionContext, shown: &Shown<'_>) -> Result<Vec<String>> {
    match (Top::of(plan, session, shown)?, shown.options.format) {
        (top, ExplainFormat::Text) => as_text(&top, shown),
        (top, ExplainFormat::Json) => Ok(vec![as_json(top, shown)?]),
    }
}

/// What a plan comes to.
enum Top {
    Step(Box<Step>),
    /// There is nothing to do, for that command.
    Nothing(&'static str),
    /// It has no steps.
    Utility,
}

impl Top {
    fn of(plan: &Plan, session: &SessionContext, shown: &Shown<'_>) -> Result<Self> {
        let mut steps = Steps::new(plan, session, shown);
        let top = match plan {
            Plan::Query(node) => Self::Step(steps.root(node)),
            Plan::Modify(modify) => Self::Step(steps.modify(modify)),
            Plan::Ddl(ddl) => match ddl.as_ref() {
                Ddl::CreateTableAs(create) => match &create.source {
                    Some(source) => Self::Step(steps.root(source)),
                    None => Self::Utility,
                },
                Ddl::Nothing { tag } => Self::Nothing(tag),
                _ => Self::Utility,
            },
            Plan::Explain { plan, .. } => return Self::of(plan, session, shown),
            Plan::Empty | Plan::Session(_) => Self::Utility,
        };
        steps.check()?;
        Ok(top)
    }
}

fn as_text(top: &Top, shown: &Shown<'_>) -> Result<Vec<String>> {
    let mut lines = Lines::default();
    match top {
        Top::Nothing(_) => return Ok(Vec::new()),
        Top::Utility => {
            lines.push("Utility statements have no plan structure".to_owned())?;
            return Ok(lines.into_lines());
        }
        Top::Step(step) => text::write(step, 0, shown.options.timing, &mut lines)?,
    }
    if shown.options.summary {
        lines.push(format!("Planning Time: {:.3} ms", ms(shown.planning)))?;
    }
    if let Some(run) = &shown.run {
        if run.spilled > 0 {
            lines.push(format!("Temporary Files: {} kB", run.spilled.div_ceil(1 << 10)))?;
        }
        if shown.options.summary {
            lines.push(format!("Execution Time: {:.3} ms", ms(run.took)))?;
        }
    }
    Ok(lines.into_lines())
}

fn as_json(top: Top, shown: &Shown<'_>) -> Result<String> {
    let step = match top {
        Top::Nothing(what) => {
            return json::written(&Json::Array(vec![Value::Text(what.to_owned()).into()]));
        }
        Top::Utility => {
            return json::written(&Json::Array(vec![Value::Text("Utility Statement".to_owned()).into()]));
        }
        Top::Step(step) => step,
    };
    let mut members = vec![("Plan", json::of(step, shown.options.timing))];
    if shown.options.summary {
        members.push(("Planning Time", Value::Number(ms(shown.planning), 3).into()));
    }
    if let Some(run) = &shown.run {
        members.push(("Triggers", Json::Array(Vec::new())));
        if run.spilled > 0 {
            members.push(("Temporary Files", Value::Count(run.spilled.div_ceil(1 << 10)).into()));
        }
        if shown.options.summary {
            members.push(("Execution Time", Value::Number(ms(run.took), 3).into()));
        }
    }
    json::written(&Json::Array(vec![Json::Object(members)]))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use expr::{Type, TypeKind};

    use super::*;
    use crate::optimise::{TableSizes, appraise};
    use crate::plan::{Join, JoinKind, JoinStrategy, Limit, Node, STACK_BYTES, Values};

    #[test]
    fn what_would_take_too_much_to_be_shown_is_refused() {
        let types = vec![Type::plain(TypeKind::Int4); 20_000];
        let limited = |input| Node::Limit(Limit { input: Box::new(input), limit: None, offset: None });
        let mut node = Node::Values(Values { rows: Vec::new(), types });
        for _ in 0..120 {
            node = limited(node);
        }
        let plan = Plan::Query(Box::new(node));
        let session = SessionContext::default();
        assert_eq!(explain(&plan, &session, &Shown::PLAIN).unwrap().len(), 121);
        for format in [ExplainFormat::Text, ExplainFormat::Json] {
            let options = ExplainOptions { verbose: true, format, ..ExplainOptions::PLAIN };
            let error = explain(&plan, &session, &Shown { options, ..Shown::PLAIN }).unwrap_err();
            assert_eq!(error.sqlstate, "54000");
        }
    }

    #[test]
    fn what_is_deep_is_appraised_and_shown_on_half_a_stack() {
        let one_row = || Box::new(Node::Values(Values::one_row()));
        let deep = move || {
            let mut node = one_row();
            for _ in 0..2000 {
                let (kind, strategy) = (JoinKind::Inner, JoinStrategy::NestedLoop);
                let join =
                    Join { kind, left: node, right: one_row(), condition: None, strategy, left_rows: 1.0 };
                node = Box::new(Node::Join(join));
            }
            let plan = Plan::Query(node);
            let appraisals = appraise(&plan, &TableSizes::default());
            let session = SessionContext::default();
            for format in [ExplainFormat::Text, ExplainFormat::Json] {
                let options = ExplainOptions { verbose: true, costs: true, format, ..ExplainOptions::PLAIN };
                let shown = Shown { options, appraisals: Some(&appraisals), ..Shown::PLAIN };
                let answer = explain(&plan, &session, &shown);
                // What is so deep may be too long.
                assert!(answer.map_or_else(|error| error.sqlstate == "54000", |lines| !lines.is_empty()));
            }
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES / 2);
        thread.spawn(deep).unwrap().join().unwrap();
    }
}

//! From a plan to the steps that are shown of it.

use std::collections::HashSet;

use expr::print::{Printer, Style};
use expr::{Expr, SessionContext};

use super::lines::{check, is_bounded};
use super::names::{named, names, scan_names};
use super::scan::{self, relation, table_name};
use super::step::{Below, Note, Step, Value};
use super::{Run, Shown, truth};
use crate::catalog::TableDescriptor;
use crate::error::Result;
use crate::execute::truth::Truth;
use crate::execute::walk::walk;
use crate::optimise::Appraisal;
use crate::plan::walk::{children, roots};
use crate::plan::{
    Aggregate, Apply, Common, ConflictAction, Distinct, Insert, Join, JoinKind, JoinStrategy, Modify, Moment,
    Node, Plan, Project, Scan, SetOperation, Sort, SortKey, TableFunction, Versions, When,
};

/// Makes steps of nodes.
pub(super) struct Steps<'a> {
    session: &'a SessionContext,
    shown: &'a Shown<'a>,
    /// Whether columns are named with their tables: there is more than one.
    qualified: bool,
    /// The queries of WITH that were shown.
    common: HashSet<usize>,
    /// Policies hide rows of more than scans: nothing but the top tells what it has done.
    veiled: bool,
    /// What is said of the steps takes so many bytes. Where that is too much no more of them are made.
    bytes: usize,
}

impl<'a> Steps<'a> {
    /// Of a plan.
    pub(super) fn new(plan: &Plan, session: &'a SessionContext, shown: &'a Shown<'a>) -> Self {
        let veiled = shown.run.is_some() && is_veiled(plan);
        Self { session, shown, qualified: false, common: HashSet::new(), veiled, bytes: 0 }
    }

    /// # Errors
    /// 54000: there was too much to be said of them.
    pub(super) fn check(&self) -> Result<()> {
        check(self.bytes)
    }

    /// The step at the top of a query.
    pub(super) fn root(&mut self, node: &Node) -> Box<Step> {
        let mut step = self.tree(node);
        if self.veiled {
            step.truth = self.shown.run.as_ref().map(Run::whole);
        }
        step
    }

    /// The step of what changes rows, at the top.
    pub(super) fn modify(&mut self, modify: &Modify) -> Box<Step> {
        let Modify::Compound(compound) = modify else {
            let mut step = self.changing(modify, |steps, source| steps.tree(source));
            step.truth = self.shown.run.as_ref().map(Run::whole);
            return step;
        };
        let mut step = match compound.main.as_ref() {
            Plan::Query(node) => self.root(node),
            Plan::Modify(main) => self.modify(main),
            _ => Step::new("Result", compound.command.keyword()),
        };
        for effect in &compound.effects {
            if let Node::Common(common) = effect {
                let label = Some(format!("CTE {}", common.name));
                let input = self.tree(&common.input);
                step.below.push(Below { relationship: "InitPlan", label, step: input });
            }
        }
        step
    }

    /// The step of a tree that stands by itself.
    fn tree(&mut self, node: &Node) -> Box<Step> {
        let mut sources = 0;
        walk(node, &mut |node| {
            let is_source =
                matches!(node, Node::Scan(_) | Node::Past(_) | Node::VirtualScan(_) | Node::FunctionScan(_));
            sources += usize::from(is_source);
        });
        self.qualified = sources > 1;
        self.step(node)
    }

    /// What changes rows, above the rows that it is done by.
    fn changing(&mut self, modify: &Modify, source: impl FnOnce(&mut Self, &Node) -> Box<Step>) -> Box<Step> {
        let (operation, table, rows) = match modify {
            Modify::Insert(insert) => ("Insert", &insert.table, &insert.source),
            Modify::Update(update) => ("Update", &update.table, &update.source),
            Modify::Delete(delete) => ("Delete", &delete.table, &delete.source),
            Modify::Merge(merge) => ("Merge", &merge.table, &merge.source),
            Modify::Compound(compound) => return Step::new("ModifyTable", compound.command.keyword()),
            Modify::CopyFrom(copy) => return Step::new("Copy", format!("Copy to {}", copy.table.name)),
            Modify::CopyTo(copy) => {
                return Step::new("Copy", "Copy").over("Outer", source(self, &copy.source));
            }
        };
        let name = table_name(table, self.shown.options.verbose);
        let mut step = Step::new("ModifyTable", format!("{operation} on {name}"));
        step.facts.push(("Operation", Value::Text(operation.to_owned())));
        step.facts.extend(relation(table, &table.name, self.shown.options.verbose));
        if let Modify::Insert(Insert { on_conflict: Some(conflict), .. }) = modify {
            let resolution = match conflict.action {
                ConflictAction::Nothing => "NOTHING",
                ConflictAction::Update { .. } => "UPDATE",
            };
            step.note(Note::of("Conflict Resolution", resolution));
        }
        let answers = modify.returning().is_some();
        let input = source(self, rows);
        step.estimate = input.estimate.map(|own| match answers {
            true => own,
            false => Appraisal { rows: 0.0, width: 0.0, ..own },
        });
        step.over("Outer", input)
    }

    /// The step of a node. Of those that are none of their own, that of what they read.
    fn step(&mut self, node: &Node) -> Box<Step> {
        match node {
            // As in PostgreSQL, computing columns is no step of its own.
            Node::Project(project) => self.project(node, project),
            Node::Apply(apply) => self.apply(node, apply),
            node => self.own_step(node),
        }
    }

    fn own_step(&mut self, node: &Node) -> Box<Step> {
        if !is_bounded(self.bytes) {
            return Step::new("Result", "Result");
        }
        let truth = self.truth(node);
        let counted = truth.as_ref();
        let mut step = match node {
            Node::Scan(scan) => self.scan(scan, counted),
            Node::Past(past) => {
                let mut step = self.scan(&past.scan, counted);
                step.note(self.moments(&past.when));
                step
            }
            Node::VirtualScan(scan) => {
                let on = self.table(&scan.table, &scan.alias);
                let mut step = Step::new("Virtual Scan", format!("Virtual Scan on {on}"));
                step.facts.extend(relation(&scan.table, &scan.alias, self.shown.options.verbose));
                self.filter(&mut step, scan.filter.as_ref(), &names(node, self.has_prefixes()), counted);
                step
            }
            Node::FunctionScan(scan) => match &scan.function {
                TableFunction::Series(function, _) => {
                    let title = format!("Function Scan on {}", function.name);
                    let mut step = Step::new("Function Scan", title);
                    step.facts.push(("Function Name", Value::Text(function.name.to_owned())));
                    step
                }
                TableFunction::Scalar => Step::new("Function Scan", "Function Scan"),
            },
            Node::Values(values) if values.types.is_empty() => Step::new("Result", "Result"),
            Node::Values(values) => {
                Step::new("Values Scan", format!("Values Scan (rows={})", values.rows.len()))
            }
            Node::Filter(filter) => {
                let mut step = Step::new("Filter", "Filter");
                let names = names(&filter.input, self.has_prefixes());
                self.filter(&mut step, Some(&filter.predicate), &names, counted);
                step.over("Outer", self.step(&filter.input))
            }
            Node::ProjectSet(set) => {
                Step::new("ProjectSet", "ProjectSet").over("Outer", self.step(&set.input))
            }
            Node::Join(join) => self.join(join, counted),
            Node::Aggregate(aggregate) => self.aggregate(aggregate, counted),
            Node::Window(window) => {
                Step::new("WindowAgg", "WindowAgg").over("Outer", self.step(&window.input))
            }
            Node::Sort(sort) => self.sort(sort, counted),
            Node::Limit(limit) => Step::new("Limit", "Limit").over("Outer", self.step(&limit.input)),
            Node::LockRows(lock) => {
                let mut step = Step::new("LockRows", "LockRows");
                if let Some(truth) = counted {
                    truth::unlocked(&mut step, truth);
                }
                step.over("Outer", self.step(&lock.input))
            }
            Node::Distinct(distinct) => self.distinct(distinct, counted),
            Node::Append(append) => {
                let mut step = Step::new("Append", "Append");
                for input in &append.inputs {
                    step = step.over("Member", self.step(input));
                }
                step
            }
            Node::SetOperation(operation) => self.set_operation(node, operation, counted),
            Node::Recursive(recursive) => {
                let first = self.step(&recursive.first);
                let round = self.step(&recursive.round);
                Step::new("Recursive Union", "Recursive Union").over("Outer", first).over("Inner", round)
            }
            Node::Modify(plan) => match plan.as_ref() {
                Plan::Modify(modify) => self.changing(modify, |steps, source| steps.step(source)),
                _ => Step::new("Result", "Result"),
            },
            Node::Working(working) => {
                let mut step = Step::new("WorkTable Scan", format!("WorkTable Scan on {}", working.name));
                step.facts.push(("CTE Name", Value::Text(working.name.clone())));
                step
            }
            Node::Common(common) => self.common(common, counted),
            Node::Project(project) => self.step(&project.input),
            Node::Apply(apply) => self.step(&apply.input),
        };
        if let Some(own) = self.appraisal(node) {
            step.estimate = match node {
                // What it changes is estimated from what it reads.
                Node::Modify(_) => step.estimate,
                _ => Some(own),
            };
        }
        if let Some(truth) = counted
            && self.shown.options.buffers
            && matches!(node, Node::Scan(_) | Node::Past(_) | Node::LockRows(_))
            && stored(node).is_none_or(|scan| !scan.shielded)
        {
            truth::reads(&mut step, truth);
        }
        step.truth = truth;
        let bytes = step.notes.iter().map(Note::bytes).fold(step.title.len(), usize::saturating_add);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.tells_outputs() {
            self.output(&mut step, names(node, self.qualified));
        }
        step
    }

    /// The step of what columns are computed of, with the rows that are made of it.
    fn project(&mut self, node: &Node, project: &Project) -> Box<Step> {
        let mut step = self.step(&project.input);
        self.head(&mut step, node);
        if self.tells_outputs() {
            let names = names(&project.input, self.qualified);
            let printer = self.printer(&names);
            let outputs = project.expressions.iter().map(|expression| printer.print(expression)).collect();
            self.output(&mut step, outputs);
        }
        step
    }

    /// The step of what subqueries are asked about, with those below it.
    fn apply(&mut self, node: &Node, apply: &Apply) -> Box<Step> {
        let mut step = self.step(&apply.input);
        self.head(&mut step, node);
        for subquery in &apply.subqueries {
            let kind = if subquery.bindings.is_empty() { "InitPlan" } else { "SubPlan" };
            let own = self.step(&subquery.node);
            step.below.push(Below { relationship: kind, label: Some(kind.to_owned()), step: own });
        }
        if self.tells_outputs() {
            self.output(&mut step, names(node, self.qualified));
        }
        step
    }

    /// What a node that is no step of its own makes of a step's rows: as many, by more work.
    fn head(&self, step: &mut Step, node: &Node) {
        if let Some(own) = self.appraisal(node) {
            step.estimate = Some(own);
        }
        if let Some(truth) = self.truth(node) {
            step.truth = Some(truth);
        }
    }

    fn scan(&mut self, scan: &Scan, counted: Option<&Truth>) -> Box<Step> {
        let verbose = self.shown.options.verbose;
        let mut step = scan::step(scan, self.has_prefixes(), verbose, self.session);
        // How many rows policies hide is not told.
        let told = counted.filter(|_| !scan.shielded);
        self.filter(&mut step, scan.filter.as_ref(), &scan_names(scan, self.has_prefixes()), told);
        if scan.lock.is_some() {
            step.note(Note {
                text: Some("Locks Rows".to_owned()),
                members: vec![("Locks Rows", Value::Flag(true))],
            });
            if let Some(truth) = counted {
                truth::unlocked(&mut step, truth);
            }
        }
        step
    }

    /// Of when rows are read that were.
    fn moments(&self, when: &When) -> Note {
        let print = |moment: &Moment| self.printer(&[]).print(&moment.value);
        let versions = match when {
            When::At(moment) => return Note::of("As Of", print(moment)),
            When::During(versions) => versions.as_ref(),
        };
        let text = match versions {
            Versions::Between { from, to, inclusive } => {
                let joins = if *inclusive { "AND" } else { "TO" };
                format!("{} {joins} {}", print(from), print(to))
            }
            Versions::Contained { from, to } => format!("IN ({}, {})", print(from), print(to)),
            Versions::All => "ALL".to_owned(),
        };
        Note::of("Versions", text)
    }

    fn join(&mut self, join: &Join, counted: Option<&Truth>) -> Box<Step> {
        let name = match &join.strategy {
            JoinStrategy::NestedLoop => "Nested Loop",
            JoinStrategy::Hash { .. } => "Hash Join",
            JoinStrategy::Dependent { .. } => "Dependent Join",
        };
        let kind = match join.kind {
            JoinKind::Inner => "Inner",
            JoinKind::Left => "Left",
            JoinKind::Right => "Right",
            JoinKind::Full => "Full",
            JoinKind::Semi => "Semi",
            JoinKind::Anti => "Anti",
            JoinKind::RightSemi => "Right Semi",
            JoinKind::RightAnti => "Right Anti",
        };
        let title = if join.kind == JoinKind::Inner { name.to_owned() } else { format!("{name} {kind}") };
        let mut step = Step::new(name, title);
        step.facts.push(("Join Type", Value::Text(kind.to_owned())));
        self.conditions(&mut step, join, counted);
        let outer = self.step(&join.left);
        let inner = self.step(&join.right);
        step.over("Outer", outer).over("Inner", inner)
    }

    /// What a join asks of pairs, and how many of them it has left out.
    fn conditions(&self, step: &mut Step, join: &Join, counted: Option<&Truth>) {
        let left = names(&join.left, self.has_prefixes());
        let right = names(&join.right, self.has_prefixes());
        if let JoinStrategy::Hash { left_keys, right_keys } = &join.strategy {
            let (left, right) = (self.printer(&left), self.printer(&right));
            let pairs: Vec<String> = left_keys
                .iter()
                .zip(right_keys)
                .map(|(key, other)| format!("({} = {})", left.operand(key), right.operand(other)))
                .collect();
            step.note(Note::of("Hash Cond", pairs.join(" AND ")));
        }
        if let Some(condition) = &join.condition {
            let pair: Vec<String> = left.into_iter().chain(right).collect();
            step.note(Note::of("Join Filter", self.printer(&pair).print(condition)));
            if let Some(truth) = counted {
                truth::removed(step, "Rows Removed by Join Filter", truth, truth.removed_pairs);
            }
        }
        if let (JoinStrategy::Hash { .. }, Some(truth)) = (&join.strategy, counted) {
            truth::held(step, truth);
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate, counted: Option<&Truth>) -> Box<Step> {
        let is_hashed = !aggregate.keys.is_empty();
        let mut step = Step::new("Aggregate", if is_hashed { "HashAggregate" } else { "Aggregate" });
        let strategy = if is_hashed { "Hashed" } else { "Plain" };
        step.facts.push(("Strategy", Value::Text(strategy.to_owned())));
        if is_hashed {
            let names = names(&aggregate.input, self.has_prefixes());
            let printer = self.printer(&names);
            let keys = aggregate.keys.iter().map(|key| printer.print(key)).collect();
            step.note(Note::list("Group Key", keys));
        }
        if !aggregate.sets.is_empty() {
            let sets = aggregate.sets.len();
            step.note(Note {
                text: Some(format!("Grouping Sets: {sets}")),
                members: vec![("Grouping Sets", Value::Count(sets as u64))],
            });
        }
        if let Some(truth) = counted.filter(|_| is_hashed) {
            truth::held(&mut step, truth);
        }
        step.over("Outer", self.step(&aggregate.input))
    }

    fn sort(&mut self, sort: &Sort, counted: Option<&Truth>) -> Box<Step> {
        let mut step = Step::new("Sort", "Sort");
        let names = names(&sort.input, self.has_prefixes());
        step.note(Note::list("Sort Key", sort_keys(&sort.keys, &self.printer(&names))));
        if let Some(truth) = counted {
            truth::sorted(&mut step, truth, sort.limit.is_some());
        }
        step.over("Outer", self.step(&sort.input))
    }

    fn distinct(&mut self, distinct: &Distinct, counted: Option<&Truth>) -> Box<Step> {
        let mut step = Step::new("Unique", "Unique");
        if let Some(truth) = counted.filter(|_| distinct.on.is_none()) {
            truth::held(&mut step, truth);
        }
        step.over("Outer", self.step(&distinct.input))
    }

    fn set_operation(&mut self, node: &Node, operation: &SetOperation, counted: Option<&Truth>) -> Box<Step> {
        let (title, command) = match operation.intersect {
            true => ("SetOp Intersect", "Intersect"),
            false => ("SetOp Except", "Except"),
        };
        let mut step = Step::new("SetOp", title);
        step.facts.push(("Command", Value::Text(command.to_owned())));
        if let Some(truth) = counted {
            truth::held(&mut step, truth);
        }
        let left = self.step(&operation.left);
        let right = self.step(&operation.right);
        let mut step = step.over("Outer", left).over("Inner", right);
        step.estimate = self.appraisal(node);
        step.truth = counted.cloned();
        if operation.all { step } else { Step::new("Unique", "Unique").over("Outer", step) }
    }

    fn common(&mut self, common: &Common, counted: Option<&Truth>) -> Box<Step> {
        let mut step = Step::new("CTE Scan", format!("CTE Scan on {}", common.name));
        step.facts.push(("CTE Name", Value::Text(common.name.clone())));
        if let Some(truth) = counted {
            truth::aside(&mut step, truth);
        }
        if !self.common.insert(common.id) {
            return step;
        }
        step.over("Subquery", self.step(&common.input))
    }

    /// A condition over the rows of a step whose columns have these names, and how many rows it has left out.
    fn filter(&self, step: &mut Step, condition: Option<&Expr>, names: &[String], counted: Option<&Truth>) {
        let Some(condition) = condition else { return };
        step.note(Note::of("Filter", self.printer(names).print(condition)));
        if let Some(truth) = counted {
            truth::removed(step, "Rows Removed by Filter", truth, truth.removed);
        }
    }

    /// What a step answers, said first; anew where more is made of it.
    fn output(&mut self, step: &mut Step, outputs: Vec<String>) {
        let is_output = |note: &Note| note.members.iter().any(|(name, _)| *name == "Output");
        step.notes.retain(|note| !is_output(note));
        if !outputs.is_empty() {
            let note = Note::list("Output", outputs);
            self.bytes = self.bytes.saturating_add(note.bytes());
            step.notes.insert(0, note);
        }
    }

    fn printer<'n>(&'n self, names: &'n [String]) -> Printer<'n> {
        Printer {
            names,
            loose: &[],
            apart: &[],
            calls: &[],
            margin: 0,
            session: self.session,
            style: Style::Explain,
        }
    }

    fn table(&self, table: &TableDescriptor, alias: &str) -> String {
        named(&table_name(table, self.shown.options.verbose), alias, &table.name)
    }

    /// Whether columns in conditions are named with their tables.
    fn has_prefixes(&self) -> bool {
        self.qualified || self.shown.options.verbose
    }

    /// Whether it is said what steps answer.
    fn tells_outputs(&self) -> bool {
        self.shown.options.verbose && is_bounded(self.bytes)
    }

    fn appraisal(&self, node: &Node) -> Option<Appraisal> {
        self.shown.appraisals.and_then(|appraisals| appraisals.of(node))
    }

    /// What a node has done, if that may be told.
    fn truth(&self, node: &Node) -> Option<Truth> {
        let run = self.shown.run.as_ref().filter(|_| !self.veiled)?;
        Some(run.truths.of(node))
    }
}

/// Whether policies hide rows of what a plan reads by more than a scan's condition.
fn is_veiled(plan: &Plan) -> bool {
    let mut open = roots(plan);
    while let Some(node) = open.pop() {
        if stored(node).is_some_and(|scan| scan.veiled) {
            return true;
        }
        open.extend(children(node));
    }
    false
}

/// How a node reads a stored table, if it does, as it is or as it was.
fn stored(node: &Node) -> Option<&Scan> {
    match node {
        Node::Scan(scan) => Some(scan),
        Node::Past(past) => Some(&past.scan),
        _ => None,
    }
}

fn sort_keys(keys: &[SortKey], printer: &Printer<'_>) -> Vec<String> {
    let key = |key: &SortKey| {
        let mut text = printer.print(&key.expression);
        text.push_str(match (key.descending, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
        text
    };
    keys.iter().map(key).collect()
}

//! EXPLAIN: a plan as text, one line per node, what a node reads indented below it.

mod names;

use std::collections::HashSet;

use expr::SessionContext;
use expr::print::{Printer, Style};

use crate::catalog::TableDescriptor;
use crate::plan::{
    Ddl, Join, JoinKind, JoinStrategy, KeyPart, KeySpan, Modify, Node, Plan, Scan, SortKey, TableFunction,
};
use names::names;

/// The lines of QUERY PLAN.
pub(crate) fn explain(plan: &Plan, session: &SessionContext) -> Vec<String> {
    let mut lines = Lines { lines: Vec::new(), session, qualified: false, shown: HashSet::new() };
    match plan {
        Plan::Query(node) => lines.root(node, 0),
        Plan::Modify(modify) => lines.modify(modify),
        Plan::Ddl(ddl) => lines.lines.push(ddl_name(ddl).to_owned()),
        Plan::Explain { plan, .. } => return explain(plan, session),
        Plan::Empty | Plan::Session(_) => lines.lines.push("Utility Statement".to_owned()),
    }
    lines.lines
}

fn ddl_name(ddl: &Ddl) -> &'static str {
    match ddl {
        Ddl::CreateTable(_) => "Create Table",
        Ddl::CreateTableAs(_) => "Create Table As",
        Ddl::Object(change) => change.command(),
        Ddl::Truncate(_) => "Truncate",
        Ddl::CreateIndex(_) => "Create Index",
        Ddl::Reindex(_) => "Reindex",
        Ddl::Refresh(_) => "Refresh Materialized View",
        Ddl::AlterTable(_) => "Alter Table",
        Ddl::Access(_) => "Access",
        Ddl::Nothing { tag } => tag,
    }
}

/// What is done to which table, and the rows that it is done by.
fn changed(modify: &Modify) -> (String, Option<&Node>) {
    match modify {
        Modify::Insert(insert) => (format!("Insert on {}", insert.table.name), Some(&insert.source)),
        Modify::Update(update) => (format!("Update on {}", update.table.name), Some(&update.source)),
        Modify::Delete(delete) => (format!("Delete on {}", delete.table.name), Some(&delete.source)),
        Modify::Merge(merge) => (format!("Merge on {}", merge.table.name), Some(&merge.source)),
        Modify::Compound(compound) => (compound.command.keyword().to_owned(), None),
        Modify::CopyFrom(copy) => (format!("Copy to {}", copy.table.name), None),
        Modify::CopyTo(copy) => ("Copy".to_owned(), Some(&copy.source)),
    }
}

struct Lines<'a> {
    lines: Vec<String>,
    session: &'a SessionContext,
    /// Whether columns are named with their tables: there is more than one.
    qualified: bool,
    /// The queries of WITH that were shown.
    shown: HashSet<usize>,
}

impl Lines<'_> {
    fn root(&mut self, node: &Node, depth: usize) {
        let mut sources = 0;
        super::walk::walk(node, &mut |node| {
            sources +=
                usize::from(matches!(node, Node::Scan(_) | Node::VirtualScan(_) | Node::FunctionScan(_)));
        });
        self.qualified = sources > 1;
        self.node(node, depth);
    }

    fn modify(&mut self, modify: &Modify) {
        if let Modify::Compound(compound) = modify {
            match compound.main.as_ref() {
                Plan::Query(node) => self.root(node, 0),
                Plan::Modify(main) => self.modify(main),
                _ => {}
            }
            for effect in &compound.effects {
                if let Node::Common(common) = effect {
                    self.note(0, &format!("CTE {}", common.name));
                    self.root(&common.input, 1);
                }
            }
            return;
        }
        let (what, source) = changed(modify);
        self.lines.push(what);
        if let Some(source) = source {
            self.root(source, 1);
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.lines.push(match depth {
            0 => text.to_owned(),
            _ => format!("{}->  {text}", " ".repeat(depth.saturating_mul(6).saturating_sub(4))),
        });
    }

    fn note(&mut self, depth: usize, text: &str) {
        self.lines.push(format!("{}{text}", " ".repeat(depth.saturating_mul(6).saturating_add(2))));
    }

    fn printer<'n>(&'n self, names: &'n [String]) -> Printer<'n> {
        Printer { names, session: self.session, style: Style::Explain }
    }

    /// A condition over the rows of a node whose columns have these names.
    fn condition(&mut self, depth: usize, label: &str, condition: Option<&expr::Expr>, names: &[String]) {
        if let Some(condition) = condition {
            let text = self.printer(names).print(condition);
            self.note(depth, &format!("{label}: {text}"));
        }
    }

    fn node(&mut self, node: &Node, depth: usize) {
        let below = depth.saturating_add(1);
        match node {
            Node::Scan(scan) => self.scan(scan, depth),
            Node::VirtualScan(scan) => {
                self.line(depth, &format!("Virtual Scan on {}", named(&scan.table.name, &scan.alias)));
                let names = names(node, self.qualified);
                self.condition(depth, "Filter", scan.filter.as_ref(), &names);
            }
            Node::FunctionScan(scan) => {
                let name = match &scan.function {
                    TableFunction::Series(function, _) => format!("Function Scan on {}", function.name),
                    TableFunction::Scalar => "Function Scan".to_owned(),
                };
                self.line(depth, &name);
            }
            Node::Values(values) if values.types.is_empty() => self.line(depth, "Result"),
            Node::Values(values) => self.line(depth, &format!("Values Scan (rows={})", values.rows.len())),
            Node::Filter(filter) => {
                self.line(depth, "Filter");
                let names = names(&filter.input, self.qualified);
                self.condition(depth, "Filter", Some(&filter.predicate), &names);
                self.node(&filter.input, below);
            }
            Node::ProjectSet(set) => {
                self.line(depth, "ProjectSet");
                self.node(&set.input, below);
            }
            // As in PostgreSQL, computing columns is no step of its own.
            Node::Project(project) => self.node(&project.input, depth),
            Node::Join(join) => self.join(join, depth),
            Node::Apply(apply) => {
                self.node(&apply.input, depth);
                for subquery in &apply.subqueries {
                    let kind = if subquery.bindings.is_empty() { "InitPlan" } else { "SubPlan" };
                    self.note(depth, kind);
                    self.node(&subquery.node, below);
                }
            }
            Node::Aggregate(aggregate) => {
                let name = if aggregate.keys.is_empty() { "Aggregate" } else { "HashAggregate" };
                self.line(depth, name);
                if !aggregate.keys.is_empty() {
                    let names = names(&aggregate.input, self.qualified);
                    let keys = self.printer(&names).list(&aggregate.keys);
                    self.note(depth, &format!("Group Key: {keys}"));
                }
                if !aggregate.sets.is_empty() {
                    self.note(depth, &format!("Grouping Sets: {}", aggregate.sets.len()));
                }
                self.node(&aggregate.input, below);
            }
            Node::Window(window) => {
                self.line(depth, "WindowAgg");
                self.node(&window.input, below);
            }
            Node::Sort(sort) => {
                self.line(depth, "Sort");
                let names = names(&sort.input, self.qualified);
                let keys = sort_keys(&sort.keys, &self.printer(&names));
                self.note(depth, &format!("Sort Key: {keys}"));
                self.node(&sort.input, below);
            }
            Node::Limit(limit) => {
                self.line(depth, "Limit");
                self.node(&limit.input, below);
            }
            Node::LockRows(lock) => {
                self.line(depth, "LockRows");
                self.node(&lock.input, below);
            }
            Node::Distinct(distinct) => {
                self.line(depth, "Unique");
                self.node(&distinct.input, below);
            }
            Node::Append(append) => {
                self.line(depth, "Append");
                append.inputs.iter().for_each(|input| self.node(input, below));
            }
            Node::SetOperation(operation) => {
                let name = if operation.intersect { "SetOp Intersect" } else { "SetOp Except" };
                self.line(depth, if operation.all { name } else { "Unique" });
                let depth = if operation.all {
                    depth
                } else {
                    self.line(below, name);
                    below
                };
                self.node(&operation.left, depth.saturating_add(1));
                self.node(&operation.right, depth.saturating_add(1));
            }
            Node::Recursive(recursive) => {
                self.line(depth, "Recursive Union");
                self.node(&recursive.first, below);
                self.node(&recursive.round, below);
            }
            Node::Modify(plan) => {
                let Plan::Modify(modify) = plan.as_ref() else { return };
                let (what, source) = changed(modify);
                self.line(depth, &what);
                if let Some(source) = source {
                    self.node(source, below);
                }
            }
            Node::Working(working) => self.line(depth, &format!("WorkTable Scan on {}", working.name)),
            Node::Common(common) => {
                self.line(depth, &format!("CTE Scan on {}", common.name));
                if self.shown.insert(common.id) {
                    self.node(&common.input, below);
                }
            }
        }
    }

    fn join(&mut self, join: &Join, depth: usize) {
        let name = match &join.strategy {
            JoinStrategy::NestedLoop => "Nested Loop",
            JoinStrategy::Hash { .. } => "Hash Join",
            JoinStrategy::Dependent { .. } => "Dependent Join",
        };
        let kind = match join.kind {
            JoinKind::Inner => "",
            JoinKind::Left => " Left",
            JoinKind::Right => " Right",
            JoinKind::Full => " Full",
            JoinKind::Semi => " Semi",
            JoinKind::Anti => " Anti",
            JoinKind::RightSemi => " Right Semi",
            JoinKind::RightAnti => " Right Anti",
        };
        self.line(depth, &format!("{name}{kind}"));
        let left = names(&join.left, self.qualified);
        let right = names(&join.right, self.qualified);
        if let JoinStrategy::Hash { left_keys, right_keys } = &join.strategy {
            let (left, right) = (self.printer(&left), self.printer(&right));
            let pairs: Vec<String> = left_keys
                .iter()
                .zip(right_keys)
                .map(|(key, other)| format!("({} = {})", left.operand(key), right.operand(other)))
                .collect();
            self.note(depth, &format!("Hash Cond: {}", pairs.join(" AND ")));
        }
        let pair: Vec<String> = left.into_iter().chain(right).collect();
        self.condition(depth, "Join Filter", join.condition.as_ref(), &pair);
        let below = depth.saturating_add(1);
        self.node(&join.left, below);
        self.node(&join.right, below);
    }

    fn scan(&mut self, scan: &Scan, depth: usize) {
        let index = scan.table.index(scan.index);
        let name = index.map_or("", |index| index.name.as_str());
        let on = named(&scan.table.name, &scan.alias);
        let backward = if scan.reverse { " Backward" } else { "" };
        let text = match &scan.spans {
            None if index.is_some_and(|index| index.primary) => format!("Seq Scan{backward} on {on}"),
            None => format!("Index Scan{backward} using {name} on {on}"),
            Some(spans) => {
                let is_point = index.is_some_and(|index| spans.iter().all(|span| span.is_of_points(index)));
                let what = if is_point { "Point Get" } else { "Index Scan" };
                format!("{what}{backward} using {name} on {on}")
            }
        };
        self.line(depth, &text);
        if let (Some(spans), Some(index)) = (&scan.spans, index) {
            let columns: Vec<String> = scan
                .table
                .key_columns(index)
                .map(|place| match scan.table.columns.get(place) {
                    Some(column) => qualify(&scan.alias, &column.name, self.qualified),
                    None => key_expression(&scan.table, place),
                })
                .collect();
            let printer = self.printer(&[]);
            let spans: Vec<String> = spans.iter().map(|span| span_text(span, &columns, &printer)).collect();
            self.note(depth, &format!("Index Cond: {}", spans.join(" OR ")));
        }
        let names = names::scan_names(scan, self.qualified);
        self.condition(depth, "Filter", scan.filter.as_ref(), &names);
        if scan.lock.is_some() {
            self.note(depth, "Locks Rows");
        }
    }
}

/// How an expression in an index's key is written.
fn key_expression(table: &TableDescriptor, place: usize) -> String {
    let found = table.key_expressions().find(|(own, _)| *own == place);
    found.map(|(_, expression)| expression.kept.text.clone()).unwrap_or_default()
}

fn span_text(span: &KeySpan, columns: &[String], printer: &Printer<'_>) -> String {
    let mut names = columns.iter().map(String::as_str);
    let mut parts: Vec<String> = Vec::new();
    for part in &span.prefix {
        let name = names.next().unwrap_or("?");
        parts.push(match part {
            KeyPart::Equal(value) => format!("({name} = {})", printer.operand(value)),
            KeyPart::OneOf(array) => format!("({name} = ANY ({}))", printer.print(array)),
            KeyPart::Null => format!("({name} IS NULL)"),
        });
    }
    let rest: Vec<&str> = names.collect();
    for (bound, symbol) in [(&span.lower, ">"), (&span.upper, "<")] {
        if let Some(bound) = bound {
            let equal = if bound.inclusive { "=" } else { "" };
            let part = match (bound.values.as_slice(), rest.as_slice()) {
                ([value], [name, ..]) => format!("({name} {symbol}{equal} {})", printer.operand(value)),
                (values, names) => {
                    let names: Vec<&str> = names.iter().copied().take(values.len()).collect();
                    format!("(ROW({}) {symbol}{equal} ROW({}))", names.join(", "), printer.list(values))
                }
            };
            parts.push(part);
        }
    }
    if span.not_null && span.lower.is_none() && span.upper.is_none() {
        parts.push(format!("({} IS NOT NULL)", rest.first().copied().unwrap_or("?")));
    }
    match parts.as_slice() {
        [part] => part.clone(),
        parts => format!("({})", parts.join(" AND ")),
    }
}

fn sort_keys(keys: &[SortKey], printer: &Printer<'_>) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|key| {
            let mut text = printer.print(&key.expression);
            match (key.descending, key.nulls_first) {
                (false, false) => {}
                (false, true) => text.push_str(" NULLS FIRST"),
                (true, true) => text.push_str(" DESC"),
                (true, false) => text.push_str(" DESC NULLS LAST"),
            }
            text
        })
        .collect();
    keys.join(", ")
}

fn named(table: &str, alias: &str) -> String {
    if table == alias { table.to_owned() } else { format!("{table} {alias}") }
}

fn qualify(alias: &str, name: &str, qualified: bool) -> String {
    if qualified { format!("{alias}.{name}") } else { name.to_owned() }
}

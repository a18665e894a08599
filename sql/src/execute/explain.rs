//! EXPLAIN: a plan as text, one line per node, what a node reads indented below it.

use std::fmt::Write;

use crate::plan::{Ddl, JoinKind, JoinStrategy, Modify, Node, Plan, Scan, SetOperationKind, TableFunction};

/// The lines of QUERY PLAN.
pub(crate) fn explain(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    match plan {
        Plan::Query(node) => put(node, 0, &mut lines),
        Plan::Modify(modify) => put_modify(modify, &mut lines),
        Plan::Ddl(ddl) => lines.push(ddl_name(ddl).to_owned()),
        Plan::Explain { plan, .. } => return explain(plan),
        Plan::Empty | Plan::Session(_) => lines.push("Utility Statement".to_owned()),
    }
    lines
}

fn put_modify(modify: &Modify, lines: &mut Vec<String>) {
    let (what, source) = match modify {
        Modify::Insert(insert) => (format!("Insert on {}", insert.table.name), Some(&insert.source)),
        Modify::Update(update) => (format!("Update on {}", update.table.name), Some(&update.source)),
        Modify::Delete(delete) => (format!("Delete on {}", delete.table.name), Some(&delete.source)),
        Modify::CopyFrom(copy) => (format!("Copy to {}", copy.table.name), None),
        Modify::CopyTo(copy) => ("Copy".to_owned(), Some(&copy.source)),
    };
    lines.push(what);
    if let Some(source) = source {
        put(source, 1, lines);
    }
}

fn ddl_name(ddl: &Ddl) -> &'static str {
    match ddl {
        Ddl::CreateTable(_) => "Create Table",
        Ddl::DropTables(_) => "Drop Table",
        Ddl::Truncate(_) => "Truncate",
        Ddl::CreateIndex(_) => "Create Index",
        Ddl::DropIndexes(_) => "Drop Index",
        Ddl::AddPrimaryKey(_) => "Add Primary Key",
        Ddl::Nothing { tag } => tag,
    }
}

fn line(text: &str, depth: usize) -> String {
    match depth {
        0 => text.to_owned(),
        _ => format!("{}->  {text}", " ".repeat(depth.saturating_mul(6).saturating_sub(4))),
    }
}

fn note(text: &str, depth: usize) -> String {
    format!("{}{text}", " ".repeat(depth.saturating_mul(6).saturating_add(2)))
}

fn put(node: &Node, depth: usize, lines: &mut Vec<String>) {
    let below = depth.saturating_add(1);
    match node {
        Node::Scan(scan) => put_scan(scan, depth, lines),
        Node::VirtualScan(scan) => {
            lines.push(line(&format!("Virtual Scan on {}", named(&scan.table.name, &scan.alias)), depth));
            if scan.filter.is_some() {
                lines.push(note("Filter", depth));
            }
        }
        Node::FunctionScan(scan) => {
            let name = match &scan.function {
                TableFunction::Series(function) => format!("Function Scan on {}", function.name),
                TableFunction::Scalar => "Function Scan".to_owned(),
            };
            lines.push(line(&name, depth));
        }
        Node::Values(values) if values.types.is_empty() => lines.push(line("Result", depth)),
        Node::Values(values) => {
            lines.push(line(&format!("Values Scan (rows={})", values.rows.len()), depth));
        }
        Node::Filter(filter) => {
            lines.push(line("Filter", depth));
            put(&filter.input, below, lines);
        }
        // As in PostgreSQL, computing columns is no step of its own.
        Node::Project(project) => put(&project.input, depth, lines),
        Node::Join(join) => {
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
            };
            lines.push(line(&format!("{name}{kind}"), depth));
            put(&join.left, below, lines);
            put(&join.right, below, lines);
        }
        Node::Apply(apply) => {
            let kind = if apply.bindings.is_empty() { "InitPlan" } else { "SubPlan" };
            put(&apply.input, depth, lines);
            lines.push(note(kind, depth));
            put(&apply.subquery, below, lines);
        }
        Node::Aggregate(aggregate) => {
            let name = if aggregate.keys.is_empty() { "Aggregate" } else { "HashAggregate" };
            lines.push(line(name, depth));
            put(&aggregate.input, below, lines);
        }
        Node::Sort(sort) => {
            lines.push(line("Sort", depth));
            put(&sort.input, below, lines);
        }
        Node::Limit(limit) => {
            lines.push(line("Limit", depth));
            put(&limit.input, below, lines);
        }
        Node::Distinct(distinct) => {
            lines.push(line("Unique", depth));
            put(&distinct.input, below, lines);
        }
        Node::SetOperation(operation) => {
            let name = match operation.kind {
                SetOperationKind::Union => "Append",
                SetOperationKind::Intersect => "SetOp Intersect",
                SetOperationKind::Except => "SetOp Except",
            };
            lines.push(line(name, depth));
            put(&operation.left, below, lines);
            put(&operation.right, below, lines);
        }
    }
}

fn named(table: &str, alias: &str) -> String {
    if table == alias { table.to_owned() } else { format!("{table} {alias}") }
}

fn put_scan(scan: &Scan, depth: usize, lines: &mut Vec<String>) {
    let index = scan.table.index(scan.index);
    let name = index.map_or("", |index| index.name.as_str());
    let on = named(&scan.table.name, &scan.alias);
    let backward = if scan.reverse { " Backward" } else { "" };
    let text = match &scan.spans {
        None if index.is_some_and(|index| index.primary) => format!("Seq Scan{backward} on {on}"),
        None => format!("Index Scan{backward} using {name} on {on}"),
        Some(spans) => {
            let is_point = index.is_some_and(|index| spans.iter().all(|span| span.is_point(index)));
            let what = if is_point { "Point Get" } else { "Index Scan" };
            let mut text = format!("{what}{backward} using {name} on {on}");
            if spans.len() > 1 {
                let _ = write!(text, " (spans={})", spans.len());
            }
            text
        }
    };
    lines.push(line(&text, depth));
    if scan.lock.is_some() {
        lines.push(note("Lock Rows", depth));
    }
    if scan.filter.is_some() {
        lines.push(note("Filter", depth));
    }
}

//! What the columns of a node's rows are called, as far as that can be told from the plan.

use expr::Expr;

use crate::catalog::TableDescriptor;
use crate::plan::{GroupingSet, Node, Scan};

/// The names of a node's columns.
pub(super) fn names(node: &Node, qualified: bool) -> Vec<String> {
    match node {
        Node::Scan(scan) => scan_names(scan, qualified),
        Node::Past(past) => scan_names(&past.scan, qualified),
        Node::VirtualScan(scan) => table_names(&scan.table, &scan.alias, &scan.columns, qualified),
        Node::FunctionScan(scan) => {
            let mut names = vec!["value".to_owned(); scan.types.len()];
            if scan.ordinality {
                names.push("ordinality".to_owned());
            }
            names
        }
        Node::Values(values) => (1..=values.types.len()).map(|number| format!("column{number}")).collect(),
        Node::Project(project) => {
            let input = names(&project.input, qualified);
            project.expressions.iter().map(|expression| expression_name(expression, &input)).collect()
        }
        Node::Aggregate(aggregate) => {
            let input = names(&aggregate.input, qualified);
            let keys = aggregate.keys.iter().map(|key| expression_name(key, &input));
            let calls = aggregate.calls.iter().map(|call| {
                let arguments: Vec<String> =
                    call.arguments.iter().map(|argument| expression_name(argument, &input)).collect();
                let arguments = if arguments.is_empty() { "*".to_owned() } else { arguments.join(", ") };
                format!("{}({arguments})", call.function.function().name)
            });
            let marks = std::iter::repeat_n("GROUPING".to_owned(), GroupingSet::marks_of(&aggregate.sets));
            keys.chain(marks).chain(calls).collect()
        }
        Node::Join(join) => {
            let (left, right) = join.kind.answers();
            let mut all = if left { names(&join.left, qualified) } else { Vec::new() };
            if right {
                all.extend(names(&join.right, qualified));
            }
            all
        }
        Node::Apply(apply) => {
            let mut names = names(&apply.input, qualified);
            names.extend(apply.subqueries.iter().map(|_| "(SubPlan)".to_owned()));
            names
        }
        Node::ProjectSet(set) => {
            let mut all = names(&set.input, qualified);
            let functions = set.functions.iter().map(|function| match &function.function {
                crate::plan::TableFunction::Series(function, _) => function.name.to_owned(),
                crate::plan::TableFunction::Scalar => "?column?".to_owned(),
            });
            all.extend(functions.collect::<Vec<_>>());
            if set.ordinality {
                all.push("ordinality".to_owned());
            }
            all
        }
        Node::Window(window) => {
            let mut all = names(&window.input, qualified);
            let calls =
                window.calls.iter().map(|call| format!("{}(…) OVER (…)", call.function.function().name));
            all.extend(calls.collect::<Vec<_>>());
            all
        }
        Node::Filter(filter) => names(&filter.input, qualified),
        Node::Sort(sort) => names(&sort.input, qualified),
        Node::Limit(limit) => names(&limit.input, qualified),
        Node::LockRows(lock) => names(&lock.input, qualified),
        Node::Distinct(distinct) => names(&distinct.input, qualified),
        Node::Append(append) => {
            append.inputs.first().map(|input| names(input, qualified)).unwrap_or_default()
        }
        Node::SetOperation(operation) => names(&operation.left, qualified),
        Node::Common(common) => names(&common.input, qualified),
        Node::Recursive(recursive) => names(&recursive.first, qualified),
        Node::Modify(plan) => {
            (1..=plan.returning().map_or(0, <[Expr]>::len)).map(|number| format!("column{number}")).collect()
        }
        Node::Working(working) => (1..=working.types.len())
            .map(|number| qualify(&working.name, &format!("column{number}"), qualified))
            .collect(),
    }
}

/// The names of a scan's columns.
pub(super) fn scan_names(scan: &Scan, qualified: bool) -> Vec<String> {
    table_names(&scan.table, &scan.alias, &scan.columns, qualified)
}

fn table_names(table: &TableDescriptor, alias: &str, columns: &[usize], qualified: bool) -> Vec<String> {
    columns
        .iter()
        .filter_map(|place| table.columns.get(*place))
        .map(|column| qualify(alias, &column.name, qualified))
        .collect()
}

fn expression_name(expression: &Expr, input: &[String]) -> String {
    match expression {
        Expr::Column { index, .. } => input.get(*index).cloned().unwrap_or_else(|| "?column?".to_owned()),
        Expr::Call { function, .. } => function.name.to_owned(),
        _ => "?column?".to_owned(),
    }
}

/// A table as it is written, and the name that it goes by in the statement if that is not its own.
pub(super) fn named(written: &str, alias: &str, own: &str) -> String {
    if own == alias { written.to_owned() } else { format!("{written} {alias}") }
}

/// A column's name, with its table's where that has to be told.
pub(super) fn qualify(alias: &str, name: &str, qualified: bool) -> String {
    if qualified { format!("{alias}.{name}") } else { name.to_owned() }
}

//! Scans of stored tables: what they are called, and what of an index they read.

use expr::SessionContext;
use expr::print::{Printer, Style};

use super::names::{named, qualify};
use super::step::{Note, Step, Value};
use crate::catalog::TableDescriptor;
use crate::plan::{KeyPart, KeySpan, Scan};

/// The step of a scan, without its filter. `schema`: the table is named with it.
pub(super) fn step(scan: &Scan, qualified: bool, schema: bool, session: &SessionContext) -> Box<Step> {
    let index = scan.table.index(scan.index);
    let name = index.map_or("", |index| index.name.as_str());
    let on = named(&table_name(&scan.table, schema), &scan.alias, &scan.table.name);
    let backward = if scan.reverse { " Backward" } else { "" };
    let is_whole_table = scan.spans.is_none() && index.is_some_and(|index| index.primary);
    let is_point = match (&scan.spans, index) {
        (Some(spans), Some(index)) => spans.iter().all(|span| span.is_of_points(index)),
        _ => false,
    };
    let kind = match (is_whole_table, is_point) {
        (true, _) => "Seq Scan",
        (false, true) => "Point Get",
        (false, false) => "Index Scan",
    };
    let using = if is_whole_table { String::new() } else { format!(" using {name}") };
    let mut step = Step::new(kind, format!("{kind}{backward}{using} on {on}"));
    if !is_whole_table || scan.reverse {
        let direction = if scan.reverse { "Backward" } else { "Forward" };
        step.facts.push(("Scan Direction", Value::Text(direction.to_owned())));
    }
    if !is_whole_table {
        step.facts.push(("Index Name", Value::Text(name.to_owned())));
    }
    step.facts.extend(relation(&scan.table, &scan.alias, schema));
    if let (Some(spans), Some(index)) = (&scan.spans, index) {
        let columns: Vec<String> = scan
            .table
            .key_columns(index)
            .map(|place| match scan.table.columns.get(place) {
                Some(column) => qualify(&scan.alias, &column.name, qualified),
                None => key_expression(&scan.table, place),
            })
            .collect();
        let printer = Printer {
            names: &[],
            loose: &[],
            apart: &[],
            calls: &[],
            margin: 0,
            session,
            style: Style::Explain,
        };
        let spans: Vec<String> = spans.iter().map(|span| span_text(span, &columns, &printer)).collect();
        step.note(Note::of("Index Cond", spans.join(" OR ")));
    }
    step
}

/// A table's name, with its schema if that is asked for.
pub(super) fn table_name(table: &TableDescriptor, schema: bool) -> String {
    if schema { format!("{}.{}", table.schema, table.name) } else { table.name.clone() }
}

/// Which table a step is about.
pub(super) fn relation(table: &TableDescriptor, alias: &str, schema: bool) -> Vec<(&'static str, Value)> {
    let mut facts = vec![("Relation Name", Value::Text(table.name.clone()))];
    if schema {
        facts.push(("Schema", Value::Text(table.schema.clone())));
    }
    facts.push(("Alias", Value::Text(alias.to_owned())));
    facts
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

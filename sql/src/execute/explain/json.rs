//! Steps as a document, with PostgreSQL's names for what PostgreSQL has, written as it writes them.

use expr::json::quoted;

use super::lines::check;
use super::step::{Below, Step, Value};
use crate::error::Result;

/// A document.
pub(super) enum Json {
    Value(Value),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// The document of a step at the top. `has_times`: how long it took is told.
pub(super) fn of(step: Box<Step>, has_times: bool) -> Json {
    document(step, None, has_times)
}

fn document(step: Box<Step>, place: Option<(&'static str, Option<String>)>, has_times: bool) -> Json {
    let Step { title: _, kind, facts, estimate, truth, notes, below } = *step;
    let mut members: Vec<(&'static str, Json)> = Vec::new();
    let mut put = |name: &'static str, value: Value| members.push((name, value.into()));
    put("Node Type", Value::Text(kind.to_owned()));
    if let Some((relationship, name)) = place {
        put("Parent Relationship", Value::Text(relationship.to_owned()));
        if let Some(name) = name {
            put("Subplan Name", Value::Text(name));
        }
    }
    put("Parallel Aware", Value::Flag(false));
    put("Async Capable", Value::Flag(false));
    for (name, value) in facts {
        put(name, value);
    }
    if let Some(own) = estimate {
        put("Startup Cost", Value::Number(own.startup, 2));
        put("Total Cost", Value::Number(own.total, 2));
        put("Plan Rows", Value::Number(own.rows, 0));
        put("Plan Width", Value::Number(own.width, 0));
    }
    if let Some(truth) = truth {
        if has_times {
            let [first, total] = truth.times_ms();
            put("Actual Startup Time", Value::Number(first, 3));
            put("Actual Total Time", Value::Number(total, 3));
        }
        put("Actual Rows", Value::Number(truth.each(truth.rows as f64), 0));
        put("Actual Loops", Value::Count(truth.loops));
    }
    for (name, value) in notes.into_iter().flat_map(|note| note.members) {
        put(name, value);
    }
    if !below.is_empty() {
        let below = below.into_iter().map(|Below { relationship, label, step }| {
            document(step, Some((relationship, label)), has_times)
        });
        members.push(("Plans", Json::Array(below.collect())));
    }
    Json::Object(members)
}

/// The text of a document.
///
/// # Errors
/// 54000: it is too long.
pub(super) fn written(json: &Json) -> Result<String> {
    let mut out = String::new();
    write(json, 0, &mut out)?;
    Ok(out)
}

fn write(json: &Json, indent: usize, out: &mut String) -> Result<()> {
    check(out.len())?;
    let below = indent.saturating_add(1);
    match json {
        Json::Value(value) => write_value(value, out),
        Json::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                new_line(place > 0, below, out);
                write(item, below, out)?;
            }
            new_line(false, indent, out);
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (place, (name, value)) in members.iter().enumerate() {
                new_line(place > 0, below, out);
                out.push_str(&quoted(name));
                out.push_str(": ");
                write(value, below, out)?;
            }
            new_line(false, indent, out);
            out.push('}');
        }
    }
    Ok(())
}

fn new_line(follows: bool, indent: usize, out: &mut String) {
    out.push_str(if follows { ",\n" } else { "\n" });
    out.extend(std::iter::repeat_n("  ", indent));
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            out.push('[');
            out.push_str(&items.join(", "));
            out.push(']');
        }
        Value::Count(count) => out.push_str(&count.to_string()),
        Value::Number(number, digits) => out.push_str(&format!("{number:.*}", *digits)),
        Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::Note;
    use super::*;
    use crate::optimise::Appraisal;

    fn scan(filter: &str) -> Box<Step> {
        let mut step = Step::new("Seq Scan", "Seq Scan on t");
        step.facts.push(("Relation Name", Value::Text("t".to_owned())));
        step.note(Note::of("Filter", filter));
        step
    }

    #[test]
    fn a_document_is_written_as_postgresql_writes_it() {
        let mut sort = Step::new("Sort", "Sort").over("Outer", scan("(b <> 1)"));
        sort.estimate = Some(Appraisal { rows: 200.0, startup: 40.614, total: 41.1, width: 12.0 });
        sort.note(Note::list("Sort Key", vec!["b".to_owned(), "c DESC".to_owned()]));
        let document = Json::Array(vec![Json::Object(vec![
            ("Plan", of(sort, false)),
            ("Triggers", Json::Array(Vec::new())),
        ])]);
        let text = r#"[
  {
    "Plan": {
      "Node Type": "Sort",
      "Parallel Aware": false,
      "Async Capable": false,
      "Startup Cost": 40.61,
      "Total Cost": 41.10,
      "Plan Rows": 200,
      "Plan Width": 12,
      "Sort Key": ["b", "c DESC"],
      "Plans": [
        {
          "Node Type": "Seq Scan",
          "Parent Relationship": "Outer",
          "Parallel Aware": false,
          "Async Capable": false,
          "Relation Name": "t",
          "Filter": "(b <> 1)"
        }
      ]
    },
    "Triggers": [
    ]
  }
]"#;
        assert_eq!(written(&document).unwrap(), text);
    }

    #[test]
    fn whatever_stands_in_a_statement_a_document_can_be_read() {
        for filter in ["(c = 'a \"b\" \\ \u{1}')", "(\"Name\n\" = E'\\t\r')", "(c ~~ '%\u{7f}é🦀'::text)"]
        {
            let text = written(&of(scan(filter), false)).unwrap();
            let document = expr::json::parse(&text).unwrap();
            let read = document.field("Filter");
            let is_read = matches!(read, Some(expr::datum::json::Json::String(read)) if **read == *filter);
            assert!(is_read, "{read:?} of {text}");
        }
    }

    #[test]
    fn what_is_said_of_no_run_is_no_division_by_none() {
        let mut step = scan("true");
        step.truth = Some(crate::execute::truth::Truth::default());
        let text = written(&of(step, true)).unwrap();
        assert!(text.contains("\"Actual Rows\": 0,") && text.contains("\"Actual Loops\": 0,"), "{text}");
        assert!(expr::json::parse(&text).is_ok());
    }
}

//! EXPLAIN.

use expr::TypeKind;

use super::Binder;
use super::definition::Bound;
use crate::error::{Error, Result};
use crate::parse::ast::{self, Body, ExplainOption, OptionValue};
use crate::plan::{ExplainFormat, ExplainOptions, OutputColumn, Plan};

impl Binder<'_> {
    /// EXPLAIN of a statement. As in PostgreSQL options are judged once that is bound.
    pub(super) fn explain(&mut self, body: &Body, options: &[ExplainOption]) -> Result<Bound> {
        let plan = self.explained(body)?;
        let (analyze, options) = judged(options)?;
        if analyze && matches!(body, Body::CreateTableAs(create) if !create.with_data) {
            return Err(Error::unsupported("EXPLAIN ANALYZE of what is made WITH NO DATA"));
        }
        let kind = match options.format {
            ExplainFormat::Text => TypeKind::Text,
            ExplainFormat::Json => TypeKind::Json,
        };
        let column =
            OutputColumn { name: "QUERY PLAN".to_owned(), ty: kind.into(), table_oid: 0, column_number: 0 };
        Ok((Plan::Explain { plan: Box::new(plan), analyze, options }, Some(vec![column])))
    }

    fn explained(&mut self, body: &Body) -> Result<Plan> {
        match body {
            // No cursor is made, and the query is run to its end.
            Body::Declare(declare) => {
                let bound = self.query(Self::query_of_cursor(declare)?)?;
                let bound = self.settle_outputs(bound)?;
                Ok(Plan::Query(Box::new(bound.node)))
            }
            Body::CreateTableAs(create) if !create.with_data => {
                let with_data = ast::CreateTableAs { with_data: true, ..create.as_ref().clone() };
                Ok(self.create_table_as(&with_data)?.0)
            }
            // What has no steps to be shown need not even be there.
            Body::Object(_) => Ok(Plan::Empty),
            body => Ok(self.statement(body)?.0),
        }
    }
}

/// What options say: whether to run the statement, and what is shown of it. Of an option that is there twice the last counts.
fn judged(options: &[ExplainOption]) -> Result<(bool, ExplainOptions)> {
    let mut shown = ExplainOptions { costs: true, ..ExplainOptions::PLAIN };
    let (mut analyze, mut wal, mut timing, mut summary) = (false, false, None, None);
    for option in options {
        match option.name.value.as_str() {
            "analyze" => analyze = boolean(option)?,
            "verbose" => shown.verbose = boolean(option)?,
            "costs" => shown.costs = boolean(option)?,
            "buffers" => shown.buffers = boolean(option)?,
            "wal" => wal = boolean(option)?,
            // No setting changes how statements are planned.
            "settings" => {
                boolean(option)?;
            }
            "timing" => timing = Some(boolean(option)?),
            "summary" => summary = Some(boolean(option)?),
            "format" => shown.format = format(option)?,
            name => {
                let message = format!("unrecognized EXPLAIN option \"{name}\"");
                return Err(Error::new("42601", message).at(option.name.at));
            }
        }
    }
    for (name, asks) in [("WAL", wal), ("TIMING", timing == Some(true))] {
        if asks && !analyze {
            return Err(Error::new("22023", format!("EXPLAIN option {name} requires ANALYZE")));
        }
    }
    shown.timing = timing.unwrap_or(analyze);
    shown.summary = summary.unwrap_or(analyze);
    Ok((analyze, shown))
}

fn boolean(option: &ExplainOption) -> Result<bool> {
    let refused = || Error::new("42601", format!("{} requires a Boolean value", option.name.value));
    match &option.value {
        None => Ok(true),
        Some(OptionValue::Number(number)) => match number.as_str() {
            "1" => Ok(true),
            "0" => Ok(false),
            _ => Err(refused()),
        },
        Some(OptionValue::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "on" => Ok(true),
            "false" | "off" => Ok(false),
            _ => Err(refused()),
        },
    }
}

fn format(option: &ExplainOption) -> Result<ExplainFormat> {
    let value = match &option.value {
        None => return Err(Error::new("42601", "format requires a parameter")),
        Some(OptionValue::Text(value) | OptionValue::Number(value)) => value.as_str(),
    };
    let at = option.name.at;
    match value {
        "text" => Ok(ExplainFormat::Text),
        "json" => Ok(ExplainFormat::Json),
        "xml" => Err(Error::unsupported("EXPLAIN (FORMAT XML)").at(at)),
        "yaml" => Err(Error::unsupported("EXPLAIN (FORMAT YAML)").at(at)),
        _ => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{value}\"");
            Err(Error::new("22023", message).at(at))
        }
    }
}

//! TABLESAMPLE: a condition on rows that chance decides, or a seed.
//!
//! Rows are chosen one by one, whatever the method: a store of rows in order has no pages that would be a fair sample.

use expr::{Datum, EvalContext, Expr, TypeKind, functions};

use super::Binder;
use super::from::Source;
use super::level::{Clause, Level};
use super::scope::Scope;
use crate::catalog::access::Right;
use crate::catalog::{TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::{self, QualifiedName, Sample};
use crate::plan::{Filter, Node, When};

/// The methods that there are: how many arguments each takes.
const METHODS: [(&str, usize); 2] = [("bernoulli", 1), ("system", 1)];

/// The function that chooses.
const SAMPLED: &str = "tablesample_keeps";

impl Binder<'_> {
    /// Some rows of a table.
    pub(super) fn sampled_table(
        &mut self,
        name: &QualifiedName,
        alias: Option<&ast::Alias>,
        sample: &Sample,
    ) -> Result<Source> {
        let at = sample.method.schema.as_ref().unwrap_or(&sample.method.name).at;
        let is_common = name.schema.is_none() && self.common_tables.place(&name.name.value).is_some();
        let stored = if is_common { None } else { Some(self.table(name)?) };
        let stored = stored.filter(|table| matches!(table.kind, TableKind::Base | TableKind::Materialised));
        let name_at = name.schema.as_ref().unwrap_or(&name.name).at;
        if matches!(self.past, Some(When::During(_))) {
            return Err(Error::unsupported("TABLESAMPLE of versions").at(at));
        }
        let Some(table) = stored else {
            let message = "TABLESAMPLE clause can only be applied to tables and materialized views";
            return Err(Error::new("0A000", message).at(name_at));
        };
        self.needs.add(&table, Right::Select);
        self.needs.name(&table, name_at);
        self.note_viewed(name, &table);
        self.note_item(name, alias);
        self.check_populated(&table)?;
        let table = self.with_writer(table);
        let mut places = self.seen_places(name, &table);
        places.extend(table.writer());
        let key = key_places(&table, &mut places);
        let columns = key.iter().filter_map(|(index, place)| {
            Some(Expr::Column { index: *index, ty: table.columns.get(*place)?.ty })
        });
        let columns: Vec<Expr> = columns.collect();
        let predicate = self.sampled(sample, at, columns)?;
        let alias = alias.map(|alias| (&alias.name.value, Some(alias)));
        let Source { node, scope } = self.scan(table.clone(), places, alias, None)?;
        let input = Box::new(self.seen_then(node, &table)?);
        Ok(Source { node: Node::Filter(Filter { input, predicate, barrier: false }), scope })
    }

    /// Whether a row with this key is chosen.
    fn sampled(&mut self, sample: &Sample, at: usize, key: Vec<Expr>) -> Result<Expr> {
        let name = &sample.method.name.value;
        let is_ours = sample.method.schema.as_ref().is_none_or(|schema| schema.value == "pg_catalog");
        let method = METHODS.iter().find(|(method, _)| is_ours && method == name);
        let Some((_, wanted)) = method else {
            let shown = super::from::shown(&sample.method);
            return Err(Error::new("42704", format!("tablesample method {shown} does not exist")).at(at));
        };
        if sample.arguments.len() != *wanted {
            let message = format!(
                "tablesample method {name} requires {wanted} argument, not {}",
                sample.arguments.len()
            );
            return Err(Error::new("2202H", message).at(at));
        }
        let level = Level::query(Scope::default(), Clause::plain("functions in FROM"), false);
        let (bound, level) = self.at_level(level, |binder| {
            let mut bound = Vec::with_capacity(2);
            let percent = sample.arguments.iter().map(|own| (own, TypeKind::Float4, "TABLESAMPLE"));
            let seed = sample.seed.iter().map(|own| (own, TypeKind::Float8, "REPEATABLE"));
            for (argument, kind, clause) in percent.chain(seed) {
                let value = binder.expression(argument)?;
                let given = value.ty();
                bound.push(binder.implicit(value, kind, argument.at).map_err(|error| {
                    if error.sqlstate != "42846" && error.sqlstate != "42804" {
                        return error;
                    }
                    let message = format!(
                        "argument of {clause} must be type {}, not type {}",
                        kind.display_name(),
                        given.display_name()
                    );
                    Error::new("42804", message).at(argument.at)
                })?);
            }
            Ok(bound)
        })?;
        self.without_subqueries(&level, "TABLESAMPLE")?;
        let mut bound = bound.into_iter();
        let percent = bound.next().ok_or_else(|| Error::internal("a sample without a size"))?;
        // Each row is asked with a seed of its own where there is none.
        let seed = match bound.next() {
            Some(seed) => seed,
            None => call("random", Vec::new())?,
        };
        let mut args = vec![percent, seed];
        args.extend(key);
        self.check_at_once(&args)?;
        call(SAMPLED, args)
    }

    /// What is known to be wrong is refused whatever rows there are.
    fn check_at_once(&self, args: &[Expr]) -> Result<()> {
        let context = EvalContext::new(&[], &[], self.settings.context);
        let known = |arg: &Expr| if arg.is_constant() { arg.evaluate(&context).ok() } else { None };
        let known: Vec<Option<Datum>> = args.iter().take(2).map(known).collect();
        if let [percent, seed] = known.as_slice() {
            functions::check_sample(percent.as_ref(), seed.as_ref())?;
        }
        Ok(())
    }
}

/// Where the columns of the primary key are in what is read, and in the table; what is missing there is added.
fn key_places(table: &TableDescriptor, places: &mut Vec<usize>) -> Vec<(usize, usize)> {
    let key = table.primary().into_iter().flat_map(|primary| primary.columns.iter());
    let key = key.filter_map(|column| table.column_by_id(column.column()?));
    let mut found = Vec::new();
    for place in key {
        let index = places.iter().position(|own| *own == place).unwrap_or_else(|| {
            places.push(place);
            places.len().saturating_sub(1)
        });
        found.push((index, place));
    }
    found
}

fn call(name: &str, args: Vec<Expr>) -> Result<Expr> {
    let function = functions::by_name(name).first();
    let function = *function.ok_or_else(|| Error::internal("a function of samples is missing"))?;
    Ok(Expr::call(function, args, function.result))
}

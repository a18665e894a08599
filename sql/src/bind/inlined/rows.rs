//! Made functions in FROM.

use expr::functions::{self, FunctionKind};
use expr::{Expr, Type, TypeKind};

use super::body::FunctionQuery;
use super::chosen::Chosen;
use super::frame::Argument;
use super::scalar::refuse_words_of_aggregates;
use crate::bind::Binder;
use crate::bind::from::{Source, relation};
use crate::bind::level::{Clause, Level};
use crate::bind::scope::{Scope, ScopeColumn};
use crate::catalog::called;
use crate::error::{Error, Result};
use crate::parse::ast::{self, TableCall};
use crate::plan::{Join, JoinKind, JoinStrategy, Limit, Node, Values};

impl Binder<'_> {
    /// The rows of functions in FROM, if one of them was made: then it stands alone.
    pub(in crate::bind) fn made_rows(
        &mut self,
        calls: &[TableCall],
        ordinality: bool,
        alias: Option<&ast::Alias>,
    ) -> Result<Option<Source>> {
        for call in calls {
            let name = call.call.name.name.value.as_str();
            let is_of_rows = functions::by_name(name).iter().any(|own| own.kind != FunctionKind::Scalar);
            if call.call.in_words || is_of_rows || !self.may_be_made(&call.call) {
                continue;
            }
            let Some((chosen, values)) = self.made_in_from(call)? else { continue };
            let refused = match (calls, ordinality) {
                ([_], false) => None,
                ([_], true) => Some("WITH ORDINALITY of"),
                _ => Some("ROWS FROM with"),
            };
            if let Some(what) = refused {
                let what = format!("{what} function {}", chosen.object.name);
                return Err(Error::unsupported(what).at(call.at));
            }
            return self.rows_of_function(call, &chosen, values, alias).map(Some);
        }
        Ok(None)
    }

    /// The made function that a call in FROM means, and the values of its inputs, which read what stands before it through slots.
    fn made_in_from(&mut self, call: &TableCall) -> Result<Option<(Chosen, Vec<Expr>)>> {
        refuse_words_of_aggregates(&call.call, call.at)?;
        let level = || Level::query(Scope::default(), Clause::plain("functions in FROM"), true);
        let (arguments, inner) = self.at_level(level(), |binder| binder.arguments(&call.call.arguments))?;
        self.without_subqueries(&inner, "an argument of a function in FROM")?;
        let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
        let Some(chosen) = self.chosen(&call.call, &kinds, call.at)? else { return Ok(None) };
        let (values, inner) = self.at_level(level(), |binder| {
            let given = binder.arguments_of(&chosen, arguments)?;
            binder.inputs(&chosen, given)
        })?;
        self.without_subqueries(&inner, "an argument of a function in FROM")?;
        Ok(Some((chosen, values)))
    }

    fn rows_of_function(
        &mut self,
        call: &TableCall,
        chosen: &Chosen,
        values: Vec<Expr>,
        alias: Option<&ast::Alias>,
    ) -> Result<Source> {
        let object = &chosen.object;
        let function = chosen.function()?;
        if self.locking.is_some() {
            let what = format!("FOR UPDATE of what function {} in FROM reads", object.name);
            return Err(Error::unsupported(what).at(call.at));
        }
        let returned = self.returned_by(object)?;
        if let Some((name, _)) = call.definition.iter().flatten().next() {
            let message = match &returned.columns {
                None => "a column definition list is only allowed for functions returning \"record\"",
                Some(_) if function.columns().is_some() => {
                    "a column definition list is redundant for a function with OUT parameters"
                }
                Some(_) => {
                    "a column definition list is redundant for a function returning a named composite type"
                }
            };
            return Err(Error::new("42601", message).at(name.at));
        }
        let body = FunctionQuery::of(function)?;
        let is_plain = self.row_wise(&body).is_some();
        let arguments = Argument::of(object, values);
        let mut node = self.body_rows(object, &body, arguments, (call.at, true))?;
        if !function.is_set {
            node = one_row(node, is_plain && !function.strict);
        }
        let schema = call.call.name.schema.as_ref().map(|schema| schema.value.as_str());
        let own = called::plain(schema, &call.call.name.name.value);
        let name = alias.map_or(own, |alias| alias.name.value.as_str());
        let columns: Vec<(String, Type)> = match returned.columns {
            Some(columns) => columns,
            None => {
                let mut outputs = function.outputs().filter(|output| !output.name.is_empty());
                let own = outputs.next().map(|output| output.name.as_str());
                vec![(own.unwrap_or(name).to_owned(), Type::plain(returned.whole))]
            }
        };
        let columns = columns.into_iter().enumerate();
        let columns = columns.map(|(index, (name, ty))| {
            let value = Expr::Column { index, ty };
            ScopeColumn { name, value, origin: None }
        });
        Ok(Source { scope: relation(name, None, columns.collect(), None, alias)?.into_scope(), node })
    }
}

/// The first row, or one of NULLs. `is_there`: there is one anyhow, and no other.
fn one_row(node: Node, is_there: bool) -> Node {
    if is_there {
        return node;
    }
    let limit = Some(Expr::literal(1_i64, TypeKind::Int8));
    let first = Node::Limit(Limit { input: Box::new(node), limit, offset: None });
    Node::Join(Join {
        kind: JoinKind::Left,
        left: Box::new(Node::Values(Values::one_row())),
        right: Box::new(first),
        strategy: JoinStrategy::NestedLoop,
        condition: None,
        left_rows: 0.0,
    })
}

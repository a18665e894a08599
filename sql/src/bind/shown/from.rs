//! FROM (`get_from_clause_item`): tables, queries, functions and joins, each under the name that it has in the query.

use expr::Expr;
use expr::functions::quote::identifier;

use super::layout::{LISTED, Place, line, put_listed};
use super::names::{Called, Relations, column_list, column_names};
use super::query::{Named, listed};
use crate::bind::Binder;
use crate::bind::from::natural;
use crate::bind::level::{Clause, Level};
use crate::bind::scope::{Relation, Scope};
use crate::error::{Error, Result};
use crate::parse::ast::{self, JoinCondition, JoinKind, QualifiedName, TableCall, TableExpr};

impl Binder<'_> {
    /// The items of FROM.
    pub(super) fn items_text(
        &mut self,
        out: &mut String,
        items: &[TableExpr],
        named: &Named,
        place: Place,
    ) -> Result<()> {
        let mut level = Level::lateral(named.scope.clone());
        level.names.clone_from(&named.columns);
        let mut relations = Relations::new(&named.scope, &named.relations);
        // Within FROM nothing of it is seen but what stands before.
        let own = std::mem::take(&mut self.level()?.scope);
        let printed = self.at_level(level, |binder| {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                texts.push(binder.item_text(item, &mut relations, place)?);
            }
            Ok(texts)
        });
        self.level()?.scope = own;
        let (texts, _) = printed?;
        for (number, text) in texts.iter().enumerate() {
            put_listed(out, text, number == 0, place.start);
        }
        Ok(())
    }

    fn item_text(&mut self, item: &TableExpr, relations: &mut Relations<'_>, place: Place) -> Result<String> {
        match item {
            TableExpr::Table { name, system_time: None, alias, sample } => {
                let (called, relation) = relations.take()?;
                let text = self.table_text(name, alias.as_ref(), (called, relation))?;
                match sample {
                    None => Ok(text),
                    Some(sample) => Ok(format!("{text}{}", self.sample_text(sample)?)),
                }
            }
            TableExpr::Table { .. } => Err(Error::unsupported("to print FOR SYSTEM_TIME")),
            TableExpr::Subquery { query, alias, lateral, .. } => {
                let (called, relation) = relations.take()?;
                let columns = Called { given: None, seen: true };
                let text = self.query_text(query, place.within(), columns, *lateral)?;
                let word = if *lateral { "LATERAL " } else { "" };
                let renames = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
                let names = if renames { column_list(relation) } else { String::new() };
                Ok(format!("{word}({text}) {}{names}", identifier(called)))
            }
            TableExpr::Function { calls, ordinality, .. } => {
                let named = relations.take()?;
                self.functions_text(calls, *ordinality, named, place)
            }
            TableExpr::Join { left, right, kind, condition, .. } => {
                let first = relations.place();
                let left_text = self.item_text(left, relations, place)?;
                let right_text = self.item_text(right, relations, place)?;
                let condition = match condition {
                    JoinCondition::Natural => {
                        let (left, right) = (self.table_expr(left)?.scope, self.table_expr(right)?.scope);
                        JoinCondition::Using(natural(&left, &right, 0))
                    }
                    condition => condition.clone(),
                };
                let on = match &condition {
                    JoinCondition::On(on) => self.on_text(on, item, relations.since(first), place)?,
                    JoinCondition::Using(names) if !names.is_empty() => format!(" USING ({})", listed(names)),
                    _ if *kind == JoinKind::Inner => String::new(),
                    _ => " ON TRUE".to_owned(),
                };
                let is_nested = matches!(**right, TableExpr::Join { .. }) && place.saves_parentheses();
                let mut out = String::from(if place.saves_parentheses() { "" } else { "(" });
                out.push_str(&left_text);
                line(&mut out, place.start, LISTED);
                out.push_str(match kind {
                    JoinKind::Inner if on.is_empty() => " CROSS JOIN ",
                    JoinKind::Inner => " JOIN ",
                    JoinKind::Left => " LEFT JOIN ",
                    JoinKind::Right => " RIGHT JOIN ",
                    JoinKind::Full => " FULL JOIN ",
                });
                out.push_str(&if is_nested { format!("({right_text})") } else { right_text });
                out.push_str(&on);
                out.push_str(if place.saves_parentheses() { "" } else { ")" });
                Ok(out)
            }
        }
    }

    /// ON, over the rows of the join alone.
    fn on_text(
        &mut self,
        on: &ast::Expr,
        join: &TableExpr,
        relations: &[String],
        place: Place,
    ) -> Result<String> {
        let source = self.table_expr(join)?;
        let names = column_names(&source.scope, relations, source.node.width());
        let mut level = Level::query(source.scope, Clause::grouped("JOIN conditions"), false);
        level.names = names;
        let (text, _) = self.at_level(level, |binder| binder.condition_text(on, place))?;
        Ok(if place.saves_parentheses() { format!(" ON {text}") } else { format!(" ON ({text})") })
    }

    fn table_text(
        &self,
        name: &QualifiedName,
        alias: Option<&ast::Alias>,
        (called, relation): (&str, &Relation),
    ) -> Result<String> {
        let is_common = name.schema.is_none() && self.common_tables.place(&name.name.value).is_some();
        let renames = alias.is_some_and(|alias| !alias.columns.is_empty());
        let (mut text, is_own, renames) = if is_common {
            (identifier(&name.name.value), name.name.value == called, renames)
        } else {
            let table = self.table(name)?;
            let own = table.visible().map(|(_, column)| &column.name);
            let differs = !relation.columns.iter().map(|column| &column.name).eq(own);
            (self.name_in_from(&table), table.name == called, renames && differs)
        };
        if alias.is_some() || !is_own {
            text.push_str(&format!(" {}", identifier(called)));
        }
        if renames {
            text.push_str(&column_list(relation));
        }
        Ok(text)
    }

    /// TABLESAMPLE.
    fn sample_text(&mut self, sample: &ast::Sample) -> Result<String> {
        let mut arguments = Vec::with_capacity(sample.arguments.len());
        for argument in &sample.arguments {
            arguments.push(self.alone_text(argument)?);
        }
        let seed = match &sample.seed {
            None => String::new(),
            Some(seed) => format!(" REPEATABLE ({})", self.alone_text(seed)?),
        };
        let method = identifier(&sample.method.name.value);
        Ok(format!(" TABLESAMPLE {method} ({}){seed}", arguments.join(", ")))
    }

    /// Functions beside each other.
    fn functions_text(
        &mut self,
        calls: &[TableCall],
        ordinality: bool,
        (called, relation): (&str, &Relation),
        place: Place,
    ) -> Result<String> {
        let mut texts = Vec::with_capacity(calls.len());
        let mut reads = false;
        let is_unnest = |call: &TableCall| call.call.name.name.value == "unnest" && call.definition.is_none();
        let arguments = |call: &TableCall| call.call.arguments.len();
        let all_unnest = calls.iter().all(is_unnest) && calls.iter().map(arguments).sum::<usize>() > 1;
        for call in calls {
            let (text, reads_more) = self.call_in_from(call, all_unnest, place)?;
            reads |= reads_more;
            texts.push(text);
        }
        let definition = match calls {
            [only] => only.definition.as_deref(),
            _ => None,
        };
        let mut behind = column_list(relation);
        let mut text = match (calls, definition) {
            _ if all_unnest => format!("UNNEST({})", texts.join(", ")),
            ([_], None) => texts.concat(),
            ([_], Some(definition)) if !ordinality => {
                behind = self.definition_text(definition, Some(relation))?;
                texts.concat()
            }
            _ => {
                for (text, call) in texts.iter_mut().zip(calls) {
                    if let Some(definition) = call.definition.as_deref() {
                        text.push_str(&format!(" AS {}", self.definition_text(definition, None)?));
                    }
                }
                format!("ROWS FROM({})", texts.join(", "))
            }
        };
        if ordinality {
            text.push_str(" WITH ORDINALITY");
        }
        let lateral = if reads { "LATERAL " } else { "" };
        Ok(format!("{lateral}{text} {}{behind}", identifier(called)))
    }

    /// A call, or its arguments alone, and whether it reads what stands before it.
    fn call_in_from(
        &mut self,
        call: &TableCall,
        only_arguments: bool,
        place: Place,
    ) -> Result<(String, bool)> {
        let level = Level::query(Scope::default(), Clause::grouped("functions in FROM"), true);
        let mut reads = false;
        let (text, _) = self.at_level(level, |binder| {
            let bind = |binder: &mut Self| -> Result<Vec<Expr>> {
                if !only_arguments {
                    return Ok(vec![binder.function(&call.call, call.at)?]);
                }
                let bound = binder.arguments(&call.call.arguments)?;
                bound.into_iter().map(|(argument, at)| binder.settle(argument, at)).collect()
            };
            binder.printed(place, bind, |written, session, bound: Vec<Expr>| {
                reads = written.reads_lateral();
                let texts = bound.iter().map(|bound| written.argument(bound, session));
                Ok(texts.collect::<Result<Vec<_>>>()?.join(", "))
            })
        })?;
        Ok((text, reads))
    }

    /// `(a integer, b text)`, with the names that the columns of a relation have.
    fn definition_text(
        &self,
        definition: &[(ast::Name, ast::TypeName)],
        relation: Option<&Relation>,
    ) -> Result<String> {
        let mut texts = Vec::with_capacity(definition.len());
        for (place, (name, ty)) in definition.iter().enumerate() {
            let column = relation.and_then(|relation| relation.columns.get(place));
            let name = column.map_or(&name.value, |column| &column.name);
            texts.push(format!("{} {}", identifier(name), self.type_of(ty)?.display_name()));
        }
        Ok(format!("({})", texts.join(", ")))
    }
}

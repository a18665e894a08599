//! GROUP BY: expressions over rows become expressions over groups.

use expr::{Expr, Type};

use super::Binder;
use super::level::{Clause, PutAside};
use super::placeholder::{ARGUMENTS, SUBQUERY, Stands};
use super::scope::Scope;
use super::select::check_columns;
use super::select::{Grouped, Item};
use super::types::comparable;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind};
use crate::plan::same::same;
use crate::plan::{Aggregate, Node};

/// A key of GROUP BY.
#[derive(Debug, Clone)]
pub(super) struct GroupKey {
    /// As expressions over groups have it.
    shown: Expr,
    /// Over rows before they are grouped.
    computed: Expr,
}

impl Binder<'_> {
    /// The keys of GROUP BY: numbers and names of result columns, or expressions.
    pub(super) fn group_keys(&mut self, keys: &[ast::Expr], items: &[Item]) -> Result<Vec<GroupKey>> {
        let mut bound: Vec<GroupKey> = Vec::with_capacity(keys.len());
        for key in keys {
            let expr = match self.group_item(key, items)? {
                Some(place) => match items.get(place) {
                    Some(item) => {
                        self.refuse_aggregates(&item.expr, item.column.at)?;
                        let shown = self.settle(item.expr.clone(), key.at)?;
                        GroupKey { computed: self.before_groups(shown.clone())?, shown }
                    }
                    None => return Err(Error::internal("a group by what is not there")),
                },
                None => {
                    let clause = Clause { sets: true, ..Clause::plain("GROUP BY") };
                    let shown = self.before_grouping(clause, |binder| binder.settled_expression(key))?;
                    GroupKey { computed: shown.clone(), shown }
                }
            };
            if !bound.iter().any(|known| same(&known.shown, &expr.shown)) {
                comparable(expr.shown.ty(), "an equality", key.at)?;
                bound.push(expr);
                check_columns(bound.len())?;
            }
        }
        Ok(bound)
    }

    /// What a result column computes, over rows before they are grouped.
    fn before_groups(&mut self, mut expr: Expr) -> Result<Expr> {
        let mut error = None;
        expr.rewrite(&mut |part| {
            if let Expr::Column { index, .. } = part
                && let Stands::Subquery(number) = Stands::of(*index)
                && number < ARGUMENTS
            {
                match self.move_aside(number) {
                    Ok(moved) => *index = SUBQUERY.saturating_add(moved),
                    Err(refused) => error = Some(refused),
                }
            }
        });
        error.map_or(Ok(expr), Err)
    }

    fn move_aside(&mut self, number: usize) -> Result<usize> {
        let aside = match self.level()?.subqueries.get_mut(number) {
            Some(PutAside::Moved(moved)) => return Ok(*moved),
            Some(aside) => std::mem::replace(aside, PutAside::Moved(0)),
            None => return Err(Error::internal("what was put aside is not there")),
        };
        let mut aside = aside;
        for part in aside.expressions() {
            let taken = std::mem::replace(part, Expr::null(expr::TypeKind::Unknown));
            *part = self.before_groups(taken)?;
        }
        let level = self.level()?;
        let moved = ARGUMENTS.saturating_add(level.argument_subqueries.len());
        level.argument_subqueries.push(aside);
        if let Some(place) = level.subqueries.get_mut(number) {
            *place = PutAside::Moved(moved);
        }
        Ok(moved)
    }

    /// The result column that a key names. A column of FROM goes before a result column of the same name.
    fn group_item(&mut self, key: &ast::Expr, items: &[Item]) -> Result<Option<usize>> {
        match &key.kind {
            ExprKind::Number(digits) => {
                let number: i64 = digits
                    .parse()
                    .map_err(|_| Error::new("42601", "non-integer constant in GROUP BY").at(key.at))?;
                let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
                match place.filter(|place| *place < items.len()) {
                    Some(place) => Ok(Some(place)),
                    None => {
                        let message = format!("GROUP BY position {number} is not in select list");
                        Err(Error::new("42P10", message).at(key.at))
                    }
                }
            }
            ExprKind::String(_) | ExprKind::Null | ExprKind::Bool(_) => {
                Err(Error::new("42601", "non-integer constant in GROUP BY").at(key.at))
            }
            ExprKind::Column(names) => {
                let [name] = names.as_slice() else { return Ok(None) };
                if self.level()?.scope.named(&name.value).next().is_some() {
                    return Ok(None);
                }
                Ok(items.iter().position(|item| item.column.name == name.value))
            }
            _ => Ok(None),
        }
    }

    fn refuse_aggregates(&self, expr: &Expr, at: usize) -> Result<()> {
        let (mut found, mut has_window) = (false, false);
        expr.walk(&mut |part| {
            if let Expr::Column { index, .. } = part {
                found |= matches!(Stands::of(*index), Stands::Aggregate(_));
                has_window |= matches!(Stands::of(*index), Stands::Window(_));
            }
        });
        if has_window {
            let message = "window functions are not allowed in GROUP BY";
            return Err(Error::new("42P20", message).at(at));
        }
        if found {
            let message = "aggregate functions are not allowed in GROUP BY";
            return Err(Error::new("42803", message).at(at));
        }
        Ok(())
    }

    /// Groups the rows of `node`; everything in `grouped` and the subqueries put aside are over groups afterwards.
    pub(super) fn group(&mut self, node: Node, keys: Vec<GroupKey>, grouped: &mut Grouped) -> Result<Node> {
        let (mut keys, mut computed): (Vec<Expr>, Vec<Expr>) =
            keys.into_iter().map(|key| (key.shown, key.computed)).unzip();
        let level = self.level()?;
        let scope = level.scope.clone();
        let references = std::mem::take(&mut level.references);
        let mut calls = std::mem::take(&mut level.aggregates);
        let mut asides = std::mem::take(&mut level.subqueries);
        let argument_asides = std::mem::take(&mut level.argument_subqueries);
        let mut windows = std::mem::take(&mut level.windows);

        let mut over_groups: Vec<&mut Expr> = grouped.items.iter_mut().map(|item| &mut item.expr).collect();
        over_groups.extend(grouped.having.as_mut());
        over_groups.extend(asides.iter_mut().flat_map(PutAside::expressions));
        over_groups.extend(windows.expressions_mut());
        for expr in &over_groups {
            add_dependent_keys(expr, &mut keys, &scope);
        }
        let types: Vec<Type> = keys.iter().map(Expr::ty).collect();
        for expr in over_groups {
            rewrite(expr, &keys, &types).map_err(|index| {
                let at = references.iter().find(|(named, _)| *named == index).map_or(0, |(_, at)| *at);
                let name = scope.describe(index);
                let message = format!(
                    "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
                );
                Error::new("42803", message).at(at)
            })?;
        }
        let level = self.level()?;
        level.subqueries = asides;
        level.windows = windows;

        // Those that depend on others are columns.
        computed.extend(keys.drain(computed.len().min(keys.len())..));
        let mut before: Vec<&mut Expr> = computed.iter_mut().collect();
        for call in &mut calls {
            before.extend(call.arguments.iter_mut());
            before.extend(call.filter.iter_mut());
            before.extend(call.order_by.iter_mut().map(|key| &mut key.expression));
        }
        let asides = (ARGUMENTS..).zip(argument_asides).collect();
        let input = self.apply_some(node, asides, &mut before);
        Ok(Node::Aggregate(Aggregate { input: Box::new(input), keys: computed, calls }))
    }
}

/// The columns of a table whose whole primary key is grouped by are the same within a group: they become keys, too.
fn add_dependent_keys(expr: &Expr, keys: &mut Vec<Expr>, scope: &Scope) {
    if keys.iter().any(|key| same(key, expr)) {
        return;
    }
    if let Expr::Column { index, .. } = expr {
        if matches!(Stands::of(*index), Stands::Column(_)) && depends_on_keys(expr, keys, scope) {
            keys.push(expr.clone());
        }
        return;
    }
    for child in expr.children() {
        add_dependent_keys(child, keys, scope);
    }
}

fn depends_on_keys(column: &Expr, keys: &[Expr], scope: &Scope) -> bool {
    let owner =
        scope.relations.iter().find(|relation| relation.columns.iter().any(|own| same(&own.value, column)));
    let Some(relation) = owner else { return false };
    let Some(primary) = relation.table.as_ref().and_then(|table| table.primary_key()) else { return false };
    primary.columns.iter().all(|key| {
        let number = i16::try_from(key.column).unwrap_or(0);
        relation.columns.iter().any(|own| {
            own.origin.is_some_and(|(_, own)| own == number) && keys.iter().any(|key| same(key, &own.value))
        })
    })
}

/// Makes an expression over rows one over groups; the column that cannot be.
fn rewrite(expr: &mut Expr, keys: &[Expr], types: &[Type]) -> Result<(), usize> {
    if let Some(place) = keys.iter().position(|key| same(key, expr)) {
        let ty = types.get(place).copied().unwrap_or_else(|| expr.ty());
        *expr = Expr::Column { index: place, ty };
        return Ok(());
    }
    if let Expr::Column { index, .. } = expr {
        return match Stands::of(*index) {
            Stands::Aggregate(number) => {
                *index = keys.len().saturating_add(number);
                Ok(())
            }
            Stands::Subquery(_) | Stands::SubqueryRow(_) | Stands::Window(_) => Ok(()),
            Stands::Column(column) => Err(column),
        };
    }
    expr.children_mut().into_iter().try_for_each(|child| rewrite(child, keys, types))
}

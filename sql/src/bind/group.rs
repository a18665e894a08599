//! GROUP BY: expressions over rows become expressions over groups.

use expr::functions::ordered_set;
use expr::{Expr, Type};

use super::Binder;
use super::call::is_same_rows;
use super::group_keys::{GroupKey, Grouping, marked};
use super::level::{Clause, PutAside};
use super::object::WithinView;
use super::placeholder::{ARGUMENTS, SUBQUERY, Stands};
use super::scope::Scope;
use super::select::check_columns;
use super::select::{Grouped, Item};
use super::types::comparable;
use crate::catalog::Oid;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind};
use crate::plan::same::same;
use crate::plan::{Aggregate, Node};

impl Binder<'_> {
    /// A key of GROUP BY: the number or name of a result column, or an expression. Its place among the keys, to which it is
    /// added unless it is there.
    pub(super) fn group_key(
        &mut self,
        key: &ast::Expr,
        items: &[Item],
        keys: &mut Vec<GroupKey>,
    ) -> Result<usize> {
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
                let computed = self.before_grouping(clause, |binder| binder.settled_expression(key))?;
                GroupKey { shown: self.as_in_list(computed.clone())?, computed }
            }
        };
        if let Some(place) = keys.iter().position(|known| same(&known.shown, &expr.shown)) {
            return Ok(place);
        }
        comparable(expr.shown.ty(), "an equality", key.at)?;
        keys.push(expr);
        check_columns(keys.len())?;
        Ok(keys.len().saturating_sub(1))
    }

    /// An expression over rows before they are grouped as result columns have it: functions that make the same rows there as
    /// here are computed here.
    fn as_in_list(&mut self, mut expr: Expr) -> Result<Expr> {
        let level = self.level()?;
        let (listed, before) = (&mut level.subqueries, &level.argument_subqueries);
        expr.rewrite(&mut |part| {
            if let Expr::Column { index, .. } = part
                && let Stands::Subquery(number) = Stands::of(*index)
                && let Some(PutAside::Rows(own)) =
                    number.checked_sub(ARGUMENTS).and_then(|place| before.get(place))
            {
                let is_own = |aside: &PutAside| match aside {
                    PutAside::Rows(known) => is_same_rows(known, own),
                    PutAside::Moved(moved) => *moved == number,
                    PutAside::Subquery(_) => false,
                };
                if let Some(place) = listed.iter().position(is_own) {
                    if let Some(aside) = listed.get_mut(place) {
                        *aside = PutAside::Moved(number);
                    }
                    *index = SUBQUERY.saturating_add(place);
                }
            }
        });
        Ok(expr)
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
            ExprKind::String(_) | ExprKind::Bits(_) | ExprKind::Null | ExprKind::Bool(_) => {
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
                found |= matches!(Stands::of(*index), Stands::Aggregate(_) | Stands::Grouping(_));
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
    pub(super) fn group(&mut self, node: Node, grouping: Grouping, grouped: &mut Grouped) -> Result<Node> {
        let Grouping { keys, mut sets } = grouping;
        let (mut keys, mut computed): (Vec<Expr>, Vec<Expr>) =
            keys.into_iter().map(|key| (key.shown, key.computed)).unzip();
        let level = self.level()?;
        let scope = level.scope.clone();
        let references = std::mem::take(&mut level.references);
        let mut calls = std::mem::take(&mut level.aggregates);
        let asked = std::mem::take(&mut level.groupings);
        let mut asides = std::mem::take(&mut level.subqueries);
        let argument_asides = std::mem::take(&mut level.argument_subqueries);
        let mut windows = std::mem::take(&mut level.windows);

        let mut over_groups: Vec<&mut Expr> = grouped.items.iter_mut().map(|item| &mut item.expr).collect();
        over_groups.extend(grouped.having.as_mut());
        over_groups.extend(asides.iter_mut().flat_map(PutAside::expressions));
        over_groups.extend(windows.expressions_mut());
        let given = keys.len();
        let common = |place: &usize| sets.iter().all(|set| set.contains(place));
        let common: Vec<Expr> =
            (0..given).filter(common).filter_map(|place| keys.get(place).cloned()).collect();
        let mut grouped_by = Vec::new();
        for expr in &over_groups {
            add_dependent_keys(expr, &common, &mut keys, &scope, &mut grouped_by);
        }
        self.note_grouped_by(grouped_by);
        sets.iter_mut().for_each(|set| set.extend(given..keys.len()));
        let is_plain = sets.is_empty();
        let every = || (0..keys.len()).collect();
        let sets = marked(if is_plain { vec![every()] } else { sets }, &asked, &keys)?;
        let sets = if is_plain && asked.is_empty() { Vec::new() } else { sets };
        let types: Vec<Type> = keys.iter().map(Expr::ty).collect();
        for expr in over_groups {
            rewrite(expr, &keys, &types, asked.len()).map_err(|Ungrouped { column: index, is_direct }| {
                let at = references.iter().find(|(named, _)| *named == index).map_or(0, |(_, at)| *at);
                let name = scope.describe(index);
                let message = format!(
                    "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
                );
                let error = Error::new("42803", message).at(at);
                match is_direct {
                    true => error.detail(
                        "Direct arguments of an ordered-set aggregate must use only grouped columns.",
                    ),
                    false => error,
                }
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
        Ok(Node::Aggregate(Aggregate { input: Box::new(input), keys: computed, sets, calls }))
    }

    /// Notes that a new view's query is right because of primary keys: by table and constraint.
    fn note_grouped_by(&mut self, keys: Vec<(Oid, Oid)>) {
        if self.views_deep == 1 && matches!(self.within_view, Some(WithinView::New(_))) {
            for key in keys {
                if !self.grouped_by.contains(&key) {
                    self.grouped_by.push(key);
                }
            }
        }
    }
}

/// The columns of a table whose whole primary key is grouped by, in every set, are the same within a group: they become
/// keys, too; the constraint is noted.
fn add_dependent_keys(
    expr: &Expr,
    common: &[Expr],
    keys: &mut Vec<Expr>,
    scope: &Scope,
    because: &mut Vec<(Oid, Oid)>,
) {
    if keys.iter().any(|key| same(key, expr)) {
        return;
    }
    if let Expr::Column { index, .. } = expr {
        if matches!(Stands::of(*index), Stands::Column(_))
            && let Some(key) = depends_on_keys(expr, common, scope)
        {
            keys.push(expr.clone());
            because.push(key);
        }
        return;
    }
    for child in expr.children() {
        add_dependent_keys(child, common, keys, scope, because);
    }
}

/// The table and the primary key that a column depends on, if all of that is grouped by.
fn depends_on_keys(column: &Expr, keys: &[Expr], scope: &Scope) -> Option<(Oid, Oid)> {
    let owner = scope.relations.iter().find(|relation| {
        let mut columns = relation.columns.iter().chain(&relation.beside);
        columns.any(|own| same(&own.value, column))
    });
    let relation = owner?;
    let table = relation.table.as_ref()?;
    let primary = table.primary_key()?;
    let is_grouped_by = primary.columns.iter().all(|key| {
        let number = key.column().and_then(|column| i16::try_from(column).ok()).unwrap_or(0);
        relation.columns.iter().any(|own| {
            own.origin.is_some_and(|(_, own)| own == number) && keys.iter().any(|key| same(key, &own.value))
        })
    });
    Some((table.oid, primary.constraint?.oid)).filter(|_| is_grouped_by)
}

/// A column that groups do not have.
struct Ungrouped {
    column: usize,
    /// It is asked for beside WITHIN GROUP.
    is_direct: bool,
}

/// Makes an expression over rows one over groups; the column that cannot be.
fn rewrite(expr: &mut Expr, keys: &[Expr], types: &[Type], marks: usize) -> Result<(), Ungrouped> {
    if let Some(place) = keys.iter().position(|key| same(key, expr)) {
        let ty = types.get(place).copied().unwrap_or_else(|| expr.ty());
        *expr = Expr::Column { index: place, ty };
        return Ok(());
    }
    if let Expr::Column { index, .. } = expr {
        return match Stands::of(*index) {
            Stands::Aggregate(number) => {
                *index = keys.len().saturating_add(marks).saturating_add(number);
                Ok(())
            }
            Stands::Grouping(number) => {
                *index = keys.len().saturating_add(number);
                Ok(())
            }
            Stands::Subquery(_) | Stands::SubqueryRow(_) | Stands::Window(_) => Ok(()),
            Stands::Column(column) => Err(Ungrouped { column, is_direct: false }),
        };
    }
    let asks_beside = matches!(expr, Expr::Call { function, .. } if ordered_set::is_finisher(*function));
    let rewritten = expr.children_mut().into_iter().try_for_each(|child| rewrite(child, keys, types, marks));
    rewritten
        .map_err(|Ungrouped { column, is_direct }| Ungrouped { column, is_direct: is_direct || asks_beside })
}

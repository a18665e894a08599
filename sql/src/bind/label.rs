//! The names of result columns, as PostgreSQL chooses them (`FigureColname`).

use std::collections::HashMap;

use expr::TypeKind;

use crate::catalog::called;
use crate::parse::ast::{Expr, ExprKind};

/// The name of a column that was given none. `subqueries` are the names of the columns of those that stand in it, by
/// their places.
pub(super) fn label(expr: &Expr, subqueries: &HashMap<usize, String>) -> String {
    figure(expr, subqueries).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is a strong one: a cast's type names the column only if nothing better does.
fn figure(expr: &Expr, subqueries: &HashMap<usize, String>) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match &expr.kind {
        ExprKind::Column(names) => names.last().map(|name| (name.value.clone(), true)),
        ExprKind::Function(call) => {
            let schema = call.name.schema.as_ref().map(|schema| schema.value.as_str());
            strong(call.label.unwrap_or(called::plain(schema, &call.name.name.value)))
        }
        ExprKind::Cast { operand, ty, .. } => match figure(operand, subqueries) {
            Some((name, true)) => Some((name, true)),
            _ => {
                let kind = TypeKind::from_name(&ty.name);
                let name = kind.map_or_else(|| ty.name.clone(), |kind| kind.name().to_owned());
                Some((name, false))
            }
        },
        ExprKind::Case { otherwise, .. } => {
            match otherwise.as_deref().and_then(|otherwise| figure(otherwise, subqueries)) {
                Some((name, true)) => Some((name, true)),
                _ => Some(("case".to_owned(), false)),
            }
        }
        ExprKind::Collate { operand, .. } => figure(operand, subqueries),
        ExprKind::Subscript { array, .. } => figure(array, subqueries),
        ExprKind::Exists(_) => strong("exists"),
        ExprKind::ArrayQuery(_) | ExprKind::Array(_) => strong("array"),
        ExprKind::Row(_) => strong("row"),
        ExprKind::Field { name, .. } => strong(&name.value),
        ExprKind::TableWildcard(name) => strong(&name.name.value),
        ExprKind::Subquery(_) => subqueries.get(&expr.at).map(|name| (name.clone(), true)),
        _ => None,
    }
}

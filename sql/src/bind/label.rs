//! The names of result columns, as PostgreSQL chooses them (`FigureColname`).

use expr::TypeKind;

use crate::parse::ast::{Expr, ExprKind, Query, QueryBody, SelectItem};

/// The name of a column that was given none.
pub(super) fn label(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is a strong one: a cast's type names the column only if nothing better does.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match &expr.kind {
        ExprKind::Column(names) => names.last().map(|name| (name.value.clone(), true)),
        ExprKind::Function(call) => strong(call.label.unwrap_or(&call.name.name.value)),
        ExprKind::Cast { operand, ty, .. } => match figure(operand) {
            Some((name, true)) => Some((name, true)),
            _ => {
                let kind = TypeKind::from_name(&ty.name);
                let name = kind.map_or_else(|| ty.name.clone(), |kind| kind.name().to_owned());
                Some((name, false))
            }
        },
        ExprKind::Case { otherwise, .. } => match otherwise.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        ExprKind::Collate { operand, .. } => figure(operand),
        ExprKind::Subscript { array, .. } => figure(array),
        ExprKind::Exists(_) => strong("exists"),
        ExprKind::ArrayQuery(_) | ExprKind::Array(_) => strong("array"),
        ExprKind::Row(_) => strong("row"),
        ExprKind::Subquery(query) => of_query(query),
        _ => None,
    }
}

/// The name of a subquery's only column.
fn of_query(query: &Query) -> Option<(String, bool)> {
    match &query.body {
        QueryBody::Select(select) => match select.items.first()? {
            SelectItem::Expr { alias: Some(alias), .. } => Some((alias.value.clone(), true)),
            SelectItem::Expr { expr, alias: None } => figure(expr).map(|(name, _)| (name, true)),
            SelectItem::Wildcard { .. } | SelectItem::TableWildcard(_) => None,
        },
        QueryBody::Query(query) => of_query(query),
        QueryBody::Values(_) => Some(("column1".to_owned(), true)),
        QueryBody::SetOperation { .. } => None,
    }
}

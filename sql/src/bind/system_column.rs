//! The columns that tables have beside their own: PostgreSQL's, and those of versions.

use expr::{Datum, Expr, TypeKind, resolve};

use super::scope::{Relation, Scope, ScopeColumn};
use crate::catalog::TableKind;
use crate::catalog::versioned::SystemColumn;
use crate::error::{Error, Result};
use crate::parse::ast::Name;

/// Those that say where a version of a row stands and who wrote it: there is nothing of the kind.
const UNSUPPORTED: [&str; 5] = ["ctid", "xmin", "cmin", "xmax", "cmax"];

/// The number that `tableoid` has as a column.
const TABLE_OID_NUMBER: i16 = -6;

/// The column of this name that a table has beside its own; `None`: there is none, or one of a table's own is called so.
///
/// # Errors
/// 42702 if several tables have it.
pub(super) fn find(scope: &Scope, names: &[Name]) -> Result<Option<ScopeColumn>> {
    let Some((name, qualifiers)) = names.split_last().filter(|(name, _)| is_one(&name.value)) else {
        return Ok(None);
    };
    let is_own = |relation: &Relation| relation.columns.iter().any(|column| column.name == name.value);
    let (schema, table) = match qualifiers {
        [] => {
            let mut found = None;
            if scope.named(&name.value).next().is_some() {
                return Ok(None);
            }
            for relation in &scope.relations {
                if let Some(column) = of(relation, name)?
                    && found.replace(column).is_some()
                {
                    let message = format!("column reference \"{}\" is ambiguous", name.value);
                    return Err(Error::new("42702", message).at(name.at));
                }
            }
            return Ok(found);
        }
        [table] => (None, table),
        [schema, table] => (Some(schema.value.as_str()), table),
        _ => return Ok(None),
    };
    match scope.relation(schema, &table.value).filter(|relation| !is_own(relation)) {
        Some(relation) => of(relation, name),
        None => Ok(None),
    }
}

/// Whether tables have a column of this name beside their own.
fn is_one(name: &str) -> bool {
    name == "tableoid" || UNSUPPORTED.contains(&name) || SystemColumn::is_name(name)
}

/// The column of one item of FROM; `None`: that is no table, but a view or what a query answers.
fn of(relation: &Relation, name: &Name) -> Result<Option<ScopeColumn>> {
    if SystemColumn::is_name(&name.value) {
        return Ok(relation.beside.iter().find(|column| column.name == name.value).cloned());
    }
    let own = relation.table.as_ref().filter(|table| table.kind != TableKind::View);
    let Some(table) = own else { return Ok(None) };
    if name.value != "tableoid" {
        return Err(Error::unsupported(format!("system column \"{}\"", name.value)).at(name.at));
    }
    let oid = Expr::literal(Datum::Oid(table.oid), TypeKind::Oid);
    let value = match (relation.nullable, relation.never_null()) {
        (false, _) => oid,
        (true, Some(column)) => {
            let missing = resolve::is_missing(column.value.clone());
            let branches = vec![(missing, Expr::null(TypeKind::Oid))];
            let ty = TypeKind::Oid.into();
            Expr::Case { operand: None, branches, otherwise: Some(Box::new(oid)), ty }
        }
        (true, None) => {
            let what = "tableoid of a table without columns that are NOT NULL in an outer join";
            return Err(Error::unsupported(what).at(name.at));
        }
    };
    Ok(Some(ScopeColumn { name: name.value.clone(), value, origin: Some((table.oid, TABLE_OID_NUMBER)) }))
}

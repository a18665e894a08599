//! `INSERT INTO t (c.f, c.g.h) VALUES …`: what is given to fields of one column, and to fields of these, is given to the column, as
//! a row.

use std::borrow::Cow;

use expr::Type;

use super::Binder;
use super::modify::{check_count, is_bare};
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};
use crate::parse::ast::{self, AssignmentTarget, ExprKind, Query, QueryBody, TargetPart};

/// Whether a value is given to a field, or to a part of one.
fn is_field(target: &AssignmentTarget) -> bool {
    matches!(target.parts.first(), Some(TargetPart::Field(_)))
}

/// What a column is given.
struct Given {
    column: AssignmentTarget,
    values: Values,
}

/// Where the value of a column, or of a field, stands in the rows.
enum Values {
    /// Nowhere: it is NULL.
    Missing,
    /// There.
    Whole(usize),
    /// That of each of its fields.
    Fields(Vec<Values>),
}

impl Binder<'_> {
    /// The same INSERT with columns as targets, and no fields of any.
    pub(super) fn whole_targets<'i>(
        &self,
        table: &TableDescriptor,
        insert: &'i ast::Insert,
    ) -> Result<Cow<'i, ast::Insert>> {
        let targets = insert.columns.as_deref().unwrap_or_default();
        let Some(first) = targets.iter().find(|target| is_field(target)) else {
            return Ok(Cow::Borrowed(insert));
        };
        let query = insert.source.as_ref().filter(|query| is_bare(query));
        let Some((query, QueryBody::Values(rows))) = query.map(|query| (query, &query.body)) else {
            return Err(
                Error::unsupported("an INSERT of a query into fields of a column").at(first.column.at)
            );
        };
        let given = self.given(table, targets)?;
        let width = rows.first().map_or(0, Vec::len);
        let mut whole = Vec::with_capacity(rows.len());
        for row in rows {
            let at = || row.get(targets.len()).or(row.last()).map_or(0, |cell| cell.at);
            if row.len() != width {
                let at = row.first().map_or(0, |cell| cell.at);
                return Err(Error::new("42601", "VALUES lists must all be the same length").at(at));
            }
            check_count(row.len(), targets.len(), Some(targets), at)?;
            let cells = given.iter().map(|given| given.values.cell(row, given.column.column.at));
            whole.push(cells.collect::<Result<Vec<_>>>()?);
        }
        let columns = given.into_iter().map(|given| given.column).collect();
        let source = Query { body: QueryBody::Values(whole), ..query.clone() };
        Ok(Cow::Owned(ast::Insert { columns: Some(columns), source: Some(source), ..insert.clone() }))
    }

    fn given(&self, table: &TableDescriptor, targets: &[AssignmentTarget]) -> Result<Vec<Given>> {
        let mut given: Vec<Given> = Vec::with_capacity(targets.len());
        for (place, target) in targets.iter().enumerate() {
            if !is_field(target) {
                given.push(Given { column: target.clone(), values: Values::Whole(place) });
                continue;
            }
            let at = target.column.at;
            let is_given = |given: &Given| {
                matches!(given.values, Values::Whole(_)) && given.column.column.value == target.column.value
            };
            if given.iter().any(is_given) {
                let message = format!("column \"{}\" specified more than once", target.column.value);
                return Err(Error::new("42701", message).at(at));
            }
            let column = self.place(table, &target.column)?;
            let column =
                table.columns.get(column).ok_or_else(|| Error::internal("a target that is no column"))?;
            let is_own = |given: &Given| given.column.column.value == target.column.value;
            if !given.iter().any(is_own) {
                let column = AssignmentTarget { parts: Vec::new(), ..target.clone() };
                given.push(Given { column, values: Values::Missing });
            }
            if let Some(own) = given.iter_mut().find(|given| is_own(given)) {
                self.put(&mut own.values, (column.name.as_str(), column.ty), &target.parts, (place, at))?;
            }
        }
        Ok(given)
    }

    /// Notes where the value stands of what the parts lead to.
    fn put(
        &self,
        values: &mut Values,
        (name, ty): (&str, Type),
        parts: &[TargetPart],
        (place, at): (usize, usize),
    ) -> Result<()> {
        let (field, rest) = match parts {
            [] => {
                *values = Values::Whole(place);
                return Ok(());
            }
            [TargetPart::Field(field), rest @ ..] => (field, rest),
            [TargetPart::Subscripts(_), ..] => {
                return Err(Error::unsupported("an INSERT of an element of a field").at(at));
            }
        };
        let number = self.field_target((name, ty), field, at)?;
        let attributes = self.shape_of(ty).unwrap_or_default();
        match values {
            Values::Missing => {
                let missing = attributes.types().iter().map(|_| Values::Missing);
                *values = Values::Fields(missing.collect());
            }
            Values::Whole(_) => {
                return Err(Error::unsupported("an INSERT of a field and of a part of it").at(at));
            }
            Values::Fields(_) => {}
        }
        let own = if let Values::Fields(fields) = values { fields.get_mut(number) } else { None };
        let (Some(own), Some(ty)) = (own, attributes.types().get(number)) else {
            return Err(Error::internal("a field that is not there"));
        };
        self.put(own, (field.value.as_str(), *ty), rest, (place, at))
    }
}

impl Values {
    /// The value of a row.
    fn cell(&self, row: &[ast::Expr], at: usize) -> Result<ast::Expr> {
        let fields = match self {
            Values::Missing => return Ok(ast::Expr { kind: ExprKind::Null, at }),
            Values::Whole(place) => {
                let given = row.get(*place).cloned();
                return given.ok_or_else(|| Error::internal("a row without a value for each target"));
            }
            Values::Fields(fields) => fields,
        };
        let mut items = Vec::with_capacity(fields.len());
        for field in fields {
            let item = field.cell(row, at)?;
            if matches!(item.kind, ExprKind::Default) {
                return Err(Error::new("0A000", "cannot set a subfield to DEFAULT").at(at));
            }
            items.push(item);
        }
        Ok(ast::Expr { kind: ExprKind::Row(items), at })
    }
}

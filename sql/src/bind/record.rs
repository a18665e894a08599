//! Records: rows as values, their fields, and the shapes that the binder knows them by.
//!
//! A record's type has the number of its shape as a modifier, within the statement.

use std::sync::Arc;

use expr::resolve::Resolved;
use expr::{Expr, Shape, Type, TypeKind};

use super::Binder;
use super::scope::{Relation, ScopeColumn};
use super::select::check_columns;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, Name};

impl Binder<'_> {
    /// The type of records of a shape.
    pub(super) fn record_type(&mut self, shape: &Arc<Shape>) -> Type {
        let known = self.shapes.iter().position(|known| known == shape);
        let place = known.unwrap_or(self.shapes.len());
        if known.is_none() {
            self.shapes.push(shape.clone());
        }
        Type { kind: TypeKind::Record, modifier: i32::try_from(place).unwrap_or(-1) }
    }

    /// The shape of records of this type, if it is known.
    pub(super) fn shape_of(&self, ty: Type) -> Option<Arc<Shape>> {
        let place = usize::try_from(ty.modifier).ok()?;
        if ty.kind == TypeKind::Record { self.shapes.get(place).cloned() } else { None }
    }

    pub(super) fn record(&mut self, fields: Vec<(String, Expr)>) -> Expr {
        let shape = Arc::new(Shape::new(fields.iter().map(|(name, field)| (name.clone(), field.ty()))));
        let ty = self.record_type(&shape);
        Expr::Row { fields: fields.into_iter().map(|(_, field)| field).collect(), shape, ty }
    }

    /// `ROW(…)`
    pub(super) fn row_value(&mut self, items: &[ast::Expr], at: usize) -> Result<Expr> {
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            let spread = match &item.kind {
                ExprKind::TableWildcard(name) => {
                    self.wildcard_of(name)?.into_iter().map(|column| column.value).collect()
                }
                ExprKind::AllFields(operand) => {
                    self.all_fields(operand)?.into_iter().map(|(_, field)| field).collect()
                }
                _ => vec![self.settled_expression(item)?],
            };
            for field in spread {
                fields.push((format!("f{}", fields.len().saturating_add(1)), field));
            }
        }
        check_columns(fields.len())
            .map_err(|_| Error::new("54011", "ROW expressions can have at most 1664 entries").at(at))?;
        Ok(self.record(fields))
    }

    /// `(x).f`
    pub(super) fn field(&mut self, operand: &ast::Expr, name: &Name) -> Result<Expr> {
        let bound = self.expression(operand)?;
        let ty = bound.ty();
        if ty.kind != TypeKind::Record {
            let shown = ty.kind.display_name();
            let message = format!(
                "column notation .{} applied to type {shown}, which is not a composite type",
                name.value
            );
            return Err(Error::new("42809", message).at(operand.at));
        }
        let place = self.shape_of(ty).and_then(|shape| shape.place(&name.value));
        match place {
            Some(place) => self.field_at(bound, place),
            None => {
                let message = match &operand.kind {
                    ExprKind::Column(names) if names.len() == 1 => names
                        .first()
                        .filter(|table| self.sees_relation(table))
                        .map(|table| format!("column {}.{} does not exist", table.value, name.value)),
                    _ => None,
                };
                let unknown = || format!("could not identify column \"{}\" in record data type", name.value);
                Err(Error::new("42703", message.unwrap_or_else(unknown)).at(operand.at))
            }
        }
    }

    pub(super) fn field_at(&mut self, record: Expr, place: usize) -> Result<Expr> {
        if let Expr::Row { fields, .. } = &record {
            return match fields.get(place) {
                Some(field) => Ok(field.clone()),
                None => Err(Error::internal("a field that is not there")),
            };
        }
        let shape = self.shape_of(record.ty());
        let ty = shape.and_then(|shape| shape.types().get(place).copied());
        match ty {
            Some(ty) => Ok(Expr::Field { record: Box::new(record), place, ty }),
            None => Err(Error::internal("a field that is not there")),
        }
    }

    /// `(x).*`: names and values.
    pub(super) fn all_fields(&mut self, operand: &ast::Expr) -> Result<Vec<(String, Expr)>> {
        let bound = self.expression(operand)?;
        let ty = bound.ty();
        if ty.kind != TypeKind::Record {
            let message = format!("type {} is not composite", ty.kind.display_name());
            return Err(Error::new("42809", message));
        }
        let Some(shape) = self.shape_of(ty) else {
            let message = "record type has not been registered";
            return Err(Error::new("42809", message).at(operand.at));
        };
        let names: Vec<String> = shape.fields().map(|(name, _)| name.to_owned()).collect();
        let mut fields = Vec::with_capacity(names.len());
        for (place, name) in names.into_iter().enumerate() {
            self.budget.take_copy(&bound)?;
            fields.push((name, self.field_at(bound.clone(), place)?));
        }
        Ok(fields)
    }

    /// The row of a table, or of another item of FROM, as one value: NULL where an outer join has none.
    pub(super) fn whole_row(&mut self, relation: &Relation, at: usize) -> Result<Expr> {
        let mut fields = Vec::with_capacity(relation.columns.len());
        for ScopeColumn { name, value, origin } in &relation.columns {
            self.budget.take_copy(value)?;
            self.needs.read(*origin);
            for index in value.columns() {
                self.level()?.references.push((index, at));
            }
            fields.push((name.clone(), value.clone()));
        }
        let tests: Vec<Expr> = match relation.never_null() {
            Some(column) => vec![column.value.clone()],
            None => relation.columns.iter().map(|column| column.value.clone()).collect(),
        };
        let row = self.record(fields);
        if !relation.nullable || tests.is_empty() {
            return Ok(row);
        }
        let ty = row.ty();
        let is_null = |operand: Expr| Expr::IsNull { operand: Box::new(operand), negated: false };
        let missing = Expr::all(tests.into_iter().map(is_null));
        let branches = vec![(missing, Expr::null(ty))];
        Ok(Expr::Case { operand: None, branches, otherwise: Some(Box::new(row)), ty })
    }

    /// The shape of the rows of a function that returns records; none if only the call can say it.
    pub(super) fn shape_of_function(&self, resolved: &Resolved) -> Option<Arc<Shape>> {
        if resolved.function.columns.is_empty() {
            return None;
        }
        let element = resolved.args.first().and_then(|kind| kind.element());
        let kind = |kind: TypeKind| match kind {
            TypeKind::AnyElement => element.unwrap_or(TypeKind::Text),
            kind => kind,
        };
        let columns = resolved.function.columns.iter();
        let fields = columns.map(|(name, ty)| ((*name).to_owned(), Type::plain(kind(*ty))));
        Some(Arc::new(Shape::new(fields)))
    }
}

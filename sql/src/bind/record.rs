//! Records: rows as values, their fields, and the shapes that the binder knows them by.
//!
//! A record's type has the number of its shape as a modifier, within the statement; the shape of a composite type stands in
//! the catalog. A row becomes a value of one field by field.

use std::cmp::Ordering;
use std::sync::Arc;

use expr::casts::CastContext;
use expr::functions::Body;
use expr::resolve::{self, Resolved};
use expr::{Datum, Expr, Shape, Type, TypeKind};

use super::Binder;
use super::scope::{Relation, ScopeColumn};
use super::select::check_columns;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, Name, TypeName};

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
        if ty.kind.is_record() && !ty.kind.is_built_in() {
            return self.catalog.objects().attributes(ty.kind);
        }
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
        let fields = self.row_fields(items)?;
        self.row_of_fields(fields, at)
    }

    /// The fields of `ROW(…)`, and where they stand. Their types may still be open.
    pub(super) fn row_fields(&mut self, items: &[ast::Expr]) -> Result<Vec<(Expr, usize)>> {
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            match self.spread(item)? {
                Some(spread) => fields.extend(spread.into_iter().map(|field| (field, item.at))),
                None => fields.push((self.expression(item)?, item.at)),
            }
        }
        Ok(fields)
    }

    /// The row of such fields. A literal stays one of an unknown type, which has no equality.
    pub(super) fn row_of_fields(&mut self, fields: Vec<(Expr, usize)>, at: usize) -> Result<Expr> {
        check_columns(fields.len())
            .map_err(|_| Error::new("54011", "ROW expressions can have at most 1664 entries").at(at))?;
        let mut named = Vec::with_capacity(fields.len());
        for (number, (field, at)) in (1_usize..).zip(fields) {
            let field = match field {
                Expr::Literal { .. } => field,
                field => self.settle(field, at)?,
            };
            named.push((format!("f{number}"), field));
        }
        Ok(self.record(named))
    }

    /// The fields of `t.*` or `(x).*` within a row.
    fn spread(&mut self, item: &ast::Expr) -> Result<Option<Vec<Expr>>> {
        Ok(match &item.kind {
            ExprKind::TableWildcard(name) => {
                Some(self.wildcard_of(name)?.into_iter().map(|column| column.value).collect())
            }
            ExprKind::AllFields(operand) => {
                Some(self.all_fields(operand)?.into_iter().map(|(_, field)| field).collect())
            }
            _ => None,
        })
    }

    /// The expression that is to become a value of a type: what stands in a row becomes what the attributes of a composite
    /// type are, or of that which a domain is over, as long as it is not yet known to be text.
    pub(super) fn expression_as(
        &mut self,
        expr: &ast::Expr,
        to: Type,
        context: CastContext,
        at: usize,
    ) -> Result<Expr> {
        let over = self.beneath(to);
        match &expr.kind {
            ExprKind::Row(items) if over.kind.is_composite() => {
                let row = self.composite(items, over, context, at)?;
                Ok(match row {
                    // It is the domain that is printed.
                    Expr::Row { fields, shape, .. } if over.kind != to.kind => {
                        self.row_as(fields, shape, over, CastContext::Implicit)
                    }
                    row => row,
                })
            }
            _ => self.expression(expr),
        }
    }

    /// `ROW(…)` as a value of a composite type.
    fn composite(&mut self, items: &[ast::Expr], to: Type, context: CastContext, at: usize) -> Result<Expr> {
        self.budget.take_part()?;
        let attributes = self.shape_of(to).ok_or_else(|| Error::internal("a type without attributes"))?;
        let mut given = Vec::with_capacity(items.len());
        for item in items {
            if let Some(spread) = self.spread(item)? {
                given.extend(spread.into_iter().map(|field| (field, item.at)));
                continue;
            }
            let bound = match attributes.types().get(given.len()) {
                Some(ty) => self.expression_as(item, *ty, context, item.at)?,
                None => self.expression(item)?,
            };
            given.push((bound, item.at));
        }
        let kinds: Vec<TypeKind> = given.iter().map(|(field, _)| field.ty().kind).collect();
        if let Some(misfit) = misfit(&kinds, &attributes, context) {
            return Err(Error::from(no_composite(to.kind).with_detail(misfit)).at(at));
        }
        let mut fields = Vec::with_capacity(given.len());
        for ((field, at), ty) in given.into_iter().zip(attributes.types()) {
            fields.push(self.coerce(field, *ty, context, at)?);
        }
        Ok(self.row_as(fields, attributes, to, context))
    }

    /// A row whose fields are attributes of a type as a value of it. What is printed shows a cast only where one was written.
    pub(super) fn row_as(
        &self,
        fields: Vec<Expr>,
        attributes: Arc<Shape>,
        to: Type,
        context: CastContext,
    ) -> Expr {
        if self.written.is_none() || context == CastContext::Explicit {
            return Expr::Row { fields, shape: attributes, ty: to };
        }
        let numbered = (1_u32..).zip(attributes.types());
        let shape = Arc::new(Shape::new(numbered.map(|(number, ty)| (format!("f{number}"), *ty))));
        Expr::Row { fields, shape, ty: TypeKind::Record.into() }
    }

    /// A record as a value of a composite type: a row, of whose fields each becomes an attribute.
    ///
    /// # Errors
    /// 42846: it has others, or they are not known one by one.
    pub(super) fn as_composite(&self, record: Expr, to: Type, context: CastContext) -> expr::Result<Expr> {
        let attributes = self.catalog.objects().attributes(to.kind).unwrap_or_default();
        let Expr::Row { fields, .. } = record else { return Err(no_composite(to.kind)) };
        let kinds: Vec<TypeKind> = fields.iter().map(|field| field.ty().kind).collect();
        if let Some(misfit) = misfit(&kinds, &attributes, context) {
            return Err(no_composite(to.kind).with_detail(misfit));
        }
        let fields = fields.into_iter().zip(attributes.types());
        let fields = fields.map(|(field, ty)| self.convert(field, *ty, context));
        let fields = fields.collect::<expr::Result<Vec<_>>>()?;
        Ok(self.row_as(fields, attributes, to, context))
    }

    /// `(x).f`
    pub(super) fn field(&mut self, operand: &ast::Expr, name: &Name) -> Result<Expr> {
        let bound = self.expression(operand)?;
        let ty = bound.ty();
        if !ty.kind.is_record() {
            let shown = ty.kind.display_name();
            let message = format!(
                "column notation .{} applied to type {shown}, which is not a composite type",
                name.value
            );
            return Err(Error::new("42809", message).at(operand.at));
        }
        let place = self.shape_of(ty).and_then(|shape| shape.place(&name.value));
        match place {
            Some(place) if self.is_printed_row(operand) => Ok(printed_field(bound, place)),
            Some(place) => self.field_at(bound, place),
            None => {
                let message = match &operand.kind {
                    ExprKind::Column(names) if names.len() == 1 => names
                        .first()
                        .filter(|table| self.sees_relation(table))
                        .map(|table| format!("column {}.{} does not exist", table.value, name.value)),
                    _ => None,
                };
                let unknown = || match ty.kind.is_built_in() {
                    true => format!("could not identify column \"{}\" in record data type", name.value),
                    false => {
                        format!("column \"{}\" not found in data type {}", name.value, ty.kind.display_name())
                    }
                };
                Err(Error::new("42703", message.unwrap_or_else(unknown)).at(operand.at))
            }
        }
    }

    pub(super) fn field_at(&mut self, record: Expr, place: usize) -> Result<Expr> {
        if let Expr::Row { fields, ty, .. } = &record
            && !(self.written.is_some() && ty.kind.is_composite())
        {
            return match fields.get(place) {
                Some(field) => Ok(field.clone()),
                None => Err(Error::internal("a field that is not there")),
            };
        }
        let shape = self.shape_of(record.ty());
        let ty = shape.and_then(|shape| shape.types().get(place).copied());
        match ty {
            Some(ty) => Ok(Expr::Field { record: Box::new(record), place, ty: known(ty) }),
            None => Err(Error::internal("a field that is not there")),
        }
    }

    /// Whether it is a row of which a field is printed together with all of it, as PostgreSQL keeps both.
    fn is_printed_row(&self, operand: &ast::Expr) -> bool {
        self.written.is_some() && matches!(operand.kind, ExprKind::Row(_))
    }

    /// `(x).*`: names and values.
    pub(super) fn all_fields(&mut self, operand: &ast::Expr) -> Result<Vec<(String, Expr)>> {
        let bound = self.expression(operand)?;
        let mut fields = self.fields_of(&bound, operand.at)?;
        if self.is_printed_row(operand) {
            for (place, (_, field)) in fields.iter_mut().enumerate() {
                *field = printed_field(bound.clone(), place);
            }
        }
        Ok(fields)
    }

    /// The names and values of the fields of a record.
    pub(super) fn fields_of(&mut self, bound: &Expr, at: usize) -> Result<Vec<(String, Expr)>> {
        let ty = bound.ty();
        if !ty.kind.is_record() {
            let message = format!("type {} is not composite", ty.kind.display_name());
            return Err(Error::new("42809", message));
        }
        let Some(shape) = self.shape_of(ty) else {
            let message = "record type has not been registered";
            return Err(Error::new("42809", message).at(at));
        };
        let names: Vec<String> = shape.fields().map(|(name, _)| name.to_owned()).collect();
        let mut fields = Vec::with_capacity(names.len());
        for (place, name) in names.into_iter().enumerate() {
            self.take_copy(bound)?;
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
        let missing = Expr::all(tests.into_iter().map(resolve::is_missing));
        let branches = vec![(missing, Expr::null(ty))];
        Ok(Expr::Case { operand: None, branches, otherwise: Some(Box::new(row)), ty })
    }

    /// `NULL::t` of a table: a row of its columns that is not there. Nothing that is kept may hold one, which does not follow
    /// what becomes of the table.
    pub(super) fn no_row(&mut self, operand: &ast::Expr, name: &TypeName) -> Result<Option<Expr>> {
        let is_kept = self.written.is_some() || self.reads_kept || self.within_view.is_some();
        if !matches!(operand.kind, ExprKind::Null) || name.array || is_kept {
            return Ok(None);
        }
        let known = self.type_named(name.schema.as_deref(), &name.name);
        if !name.modifiers.is_empty() || known.map_err(|error| error.at(name.at))?.is_some() {
            return Ok(None);
        }
        let Some(table) = self.relation_called(name).cloned() else { return Ok(None) };
        let shape = Shape::new(table.visible().map(|(_, column)| (column.name.clone(), column.ty)));
        let ty = self.record_type(&Arc::new(shape));
        Ok(Some(Expr::null(ty)))
    }

    /// The type of what a function returns for these arguments: a record of which it takes one has the fields of that.
    pub(super) fn result_type(&self, resolved: &Resolved, args: &[Expr]) -> Type {
        let given = resolved.function.args.iter().zip(args);
        let mut given = given.filter(|(declared, _)| **declared == TypeKind::AnyElement);
        match given.next() {
            Some((_, argument))
                if resolved.result == TypeKind::Record
                    && resolved.function.result == TypeKind::AnyElement =>
            {
                argument.ty()
            }
            _ => resolved.result.into(),
        }
    }

    /// The arguments of `json_populate_record` and its like, the first of which says by its value what its fields are.
    ///
    /// # Errors
    /// 0A000: fields are of domains, which nobody would ask.
    pub(super) fn described(&self, resolved: &Resolved, mut args: Vec<Expr>) -> Result<Vec<Expr>> {
        let name = resolved.function.name;
        let fills = matches!(
            name,
            "json_populate_record"
                | "json_populate_recordset"
                | "jsonb_populate_record"
                | "jsonb_populate_recordset"
        );
        let Some(first) = args.first_mut().filter(|_| fills) else { return Ok(args) };
        let ty = first.ty();
        let Some(shape) = self.shape_of(ty).filter(|_| ty.kind == TypeKind::Record) else { return Ok(args) };
        let is_domain = |ty: &Type| ty.kind.element().unwrap_or(ty.kind).is_domain() || ty.kind.is_domain();
        if shape.types().iter().any(is_domain) {
            return Err(Error::unsupported(format!("{name} of a row with columns of domains")));
        }
        if matches!(first, Expr::Literal { value: Datum::Null, .. }) {
            let fields = shape.types().iter().map(|ty| Expr::null(*ty)).collect();
            *first = Expr::Row { fields, shape, ty };
        }
        Ok(args)
    }

    /// The shape of the rows of a function that returns records; none if only the call can say it, or if each row is one
    /// value.
    pub(super) fn shape_of_function(&self, resolved: &Resolved) -> Option<Arc<Shape>> {
        if matches!(resolved.function.body, Body::Table(_)) && resolved.result.is_composite() {
            return self.shape_of(resolved.result.into());
        }
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

/// A field of a row that is to be printed.
fn printed_field(row: Expr, place: usize) -> Expr {
    let ty = match &row {
        Expr::Row { fields, .. } => fields.get(place).map(Expr::ty),
        _ => None,
    };
    let ty = known(ty.unwrap_or(Type::plain(TypeKind::Unknown)));
    Expr::Field { record: Box::new(row), place, ty }
}

/// The type of what was a literal in a row, and is one no more.
fn known(ty: Type) -> Type {
    if ty.kind == TypeKind::Unknown { TypeKind::Text.into() } else { ty }
}

/// That a record is no value of a composite type.
fn no_composite(kind: TypeKind) -> expr::Error {
    expr::Error::new("42846", format!("cannot cast type record to {}", kind.display_name()))
}

/// Why a row of fields of these types is no value of a type with these attributes; `None`: it is.
fn misfit(fields: &[TypeKind], attributes: &Shape, context: CastContext) -> Option<String> {
    match fields.len().cmp(&attributes.len()) {
        Ordering::Less => return Some("Input has too few columns.".to_owned()),
        Ordering::Greater => return Some("Input has too many columns.".to_owned()),
        Ordering::Equal => {}
    }
    let mut pairs = (1..).zip(fields.iter().zip(attributes.types()));
    let (column, (from, to)) =
        pairs.find(|(_, (from, to))| !resolve::can_coerce(**from, to.kind, context))?;
    let (from, to) = (from.display_name(), to.kind.display_name());
    Some(format!("Cannot cast type {from} to {to} in column {column}."))
}

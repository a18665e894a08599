//! Functions in FROM: one, or several row by row beside each other.

use std::sync::Arc;

use expr::functions::FunctionKind;
use expr::resolve::{Callee, Resolved};
use expr::{Datum, Expr, Shape, Type, TypeKind, resolve};

use super::Binder;
use super::coerce::placed;
use super::from::{Source, relation};
use super::level::{Clause, Level};
use super::scope::ScopeColumn;
use crate::error::{Error, Result};
use crate::parse::ast::{self, Name, TableCall, TypeName};
use crate::plan::{FunctionScan, Node, Project, ProjectSet, SetFunction, TableFunction, Values};

/// A function with its arguments, and the columns of its rows.
struct Called {
    name: String,
    function: TableFunction,
    arguments: Vec<Expr>,
    /// Names, where the function or its definition says any.
    columns: Vec<(Option<String>, Type)>,
    /// The composite type of what it returns, if the columns are its attributes.
    composite: Option<Type>,
}

impl Binder<'_> {
    /// Functions in FROM.
    pub(super) fn table_functions(
        &mut self,
        calls: &[TableCall],
        ordinality: bool,
        alias: Option<&ast::Alias>,
    ) -> Result<Source> {
        if let Some(source) = self.made_rows(calls, ordinality, alias)? {
            return Ok(source);
        }
        if let Some(at) = calls.iter().find_map(|call| call.call.variadic) {
            return Err(Error::unsupported("VARIADIC in FROM").at(at));
        }
        let mut called = Vec::with_capacity(calls.len());
        for call in calls {
            // unnest(a, b) is unnest(a) beside unnest(b).
            if call.call.name.name.value == "unnest"
                && call.call.arguments.len() > 1
                && call.call.named.is_empty()
            {
                for argument in &call.call.arguments {
                    let one = ast::Function { arguments: vec![argument.clone()], ..call.call.clone() };
                    called.push(self.table_function(&one, None, call.at)?);
                }
                continue;
            }
            called.push(self.table_function(&call.call, call.definition.as_deref(), call.at)?);
        }
        let first = called.first().map(|called| called.name.clone()).unwrap_or_default();
        let name = alias.map_or(first, |alias| alias.name.value.clone());
        let is_alone = called.len() == 1;
        let mut columns = Vec::new();
        for called in &called {
            for (own, ty) in &called.columns {
                let value = Expr::Column { index: columns.len(), ty: *ty };
                let unnamed = if is_alone { &name } else { &called.name };
                let name = own.as_ref().unwrap_or(unnamed).clone();
                columns.push(ScopeColumn { name, value, origin: None });
            }
        }
        if ordinality {
            let value = Expr::Column { index: columns.len(), ty: TypeKind::Int8.into() };
            columns.push(ScopeColumn { name: "ordinality".into(), value, origin: None });
        }
        let scope = relation(&name, None, columns, None, alias)?.into_scope();
        let mut called = called.into_iter();
        let node = match (called.next(), is_alone) {
            (Some(Called { function, arguments, columns, composite: None, .. }), true) => {
                Node::FunctionScan(FunctionScan {
                    function,
                    arguments,
                    types: columns.into_iter().map(|(_, ty)| ty).collect(),
                    ordinality,
                })
            }
            (first, _) => self.beside(first.into_iter().chain(called).collect(), ordinality),
        };
        Ok(Source { node, scope })
    }

    /// Functions row by row beside each other.
    fn beside(&mut self, called: Vec<Called>, ordinality: bool) -> Node {
        let mut functions = Vec::with_capacity(called.len());
        let mut expressions = Vec::new();
        for (index, one) in called.into_iter().enumerate() {
            let Called { function, arguments, columns, composite, .. } = one;
            let mut fields = |record: Type| {
                let fields = columns.iter().enumerate().map(|(place, (_, ty))| {
                    let record = Box::new(Expr::Column { index, ty: record });
                    Expr::Field { record, place, ty: *ty }
                });
                expressions.extend(fields);
            };
            let (ty, shape) = match (&function, columns.as_slice()) {
                (TableFunction::Series(_, shape), _) if !shape.is_empty() => {
                    let ty = self.record_type(shape);
                    fields(ty);
                    (ty, Some(shape.clone()))
                }
                _ if composite.is_some() => {
                    let ty = composite.unwrap_or(Type::plain(TypeKind::Record));
                    fields(ty);
                    (ty, None)
                }
                (_, [(_, ty), ..]) => {
                    expressions.push(Expr::Column { index, ty: *ty });
                    (*ty, None)
                }
                (_, []) => (Type::plain(TypeKind::Void), None),
            };
            functions.push(SetFunction { function, arguments, ty, shape });
        }
        if ordinality {
            expressions.push(Expr::Column { index: functions.len(), ty: TypeKind::Int8.into() });
        }
        let input = Box::new(Node::Values(Values::one_row()));
        let set = Node::ProjectSet(ProjectSet { input, functions, ordinality });
        Node::Project(Project { input: Box::new(set), expressions })
    }

    fn table_function(
        &mut self,
        call: &ast::Function,
        definition: Option<&[(Name, TypeName)]>,
        at: usize,
    ) -> Result<Called> {
        if self.range_named(call)?.is_some() {
            return Err(Error::unsupported("the constructor of a range in FROM").at(at));
        }
        self.check_schema(call)?;
        let name = call.name.name.value.clone();
        // The arguments see what stands before the function, through slots.
        let level = Level::query(super::scope::Scope::default(), Clause::plain("functions in FROM"), true);
        let (arguments, level) = self.at_level(level, |binder| binder.arguments(&call.arguments))?;
        self.without_subqueries(&level, "an argument of a function in FROM")?;
        let arguments = self.in_their_places(call, arguments, at)?;
        let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
        let callee = resolve::function(&name, &kinds).map_err(placed(at));
        let level = Level::query(super::scope::Scope::default(), Clause::plain("functions in FROM"), true);
        if let Ok(Callee::Function(resolved)) = &callee
            && resolved.function.kind == FunctionKind::Set
        {
            let (arguments, _) = self.at_level(level, |binder| binder.fit(resolved, arguments))?;
            // NULL has its fields from a table that was named.
            let is_named = matches!(arguments.first(), Some(Expr::Literal { value: Datum::Null, .. }));
            let arguments = self.described(resolved, arguments)?;
            let mut renamed = None;
            let shape = match (self.shape_of(self.result_type(resolved, &arguments)), definition) {
                (Some(shape), None) if resolved.result == TypeKind::Record => Some(shape),
                (Some(shape), Some(columns)) if resolved.result == TypeKind::Record => {
                    if is_named {
                        return Err(redundant(columns, at));
                    }
                    let fields = self.defined_fields(columns)?;
                    check_fields(&shape, &fields)?;
                    renamed = Some(Shape::new(fields));
                    Some(shape)
                }
                _ => self.defined_shape(resolved, definition, at)?,
            };
            let result = Type::plain(resolved.result);
            let attributes = self.shape_of(result).filter(|_| shape.is_none());
            let composite = attributes.is_some().then_some(result);
            let columns = match renamed.as_ref().or(shape.as_deref()).or(attributes.as_deref()) {
                Some(shape) => named_columns(shape),
                None => vec![(resolved.function.output.map(str::to_owned), result)],
            };
            let function = TableFunction::Series(resolved.function, shape.unwrap_or_default());
            return Ok(Called { name, function, arguments, columns, composite });
        }
        let (value, level) = self.at_level(level, |binder| {
            if call.arguments.is_empty() {
                binder.function(call, at)
            } else {
                binder.call_by_name(&name, arguments, at)
            }
        })?;
        self.without_subqueries(&level, "an argument of a function in FROM")?;
        if let Some(columns) = definition {
            return Err(only_for_records(columns));
        }
        let composite = Some(value.ty()).filter(|ty| self.shape_of(*ty).is_some());
        let columns = match composite.and_then(|ty| self.shape_of(ty)) {
            Some(attributes) => named_columns(&attributes),
            None => vec![(None, value.ty())],
        };
        Ok(Called { name, function: TableFunction::Scalar, arguments: vec![value], columns, composite })
    }

    /// The shape of a function's rows: its own, or that of the definition behind it.
    fn defined_shape(
        &mut self,
        resolved: &Resolved,
        definition: Option<&[(Name, TypeName)]>,
        at: usize,
    ) -> Result<Option<Arc<Shape>>> {
        match (self.shape_of_function(resolved), definition) {
            (Some(shape), None) => Ok(Some(shape)),
            (Some(_), Some(columns)) if resolved.result.is_composite() => Err(redundant(columns, at)),
            (Some(_), Some(columns)) => {
                let at = columns.first().map_or(at, |(name, _)| name.at);
                let message = "a column definition list is redundant for a function with OUT parameters";
                Err(Error::new("42601", message).at(at))
            }
            (None, None) if resolved.result == TypeKind::Record => {
                let message = "a column definition list is required for functions returning \"record\"";
                Err(Error::new("42601", message).at(at))
            }
            (None, None) => Ok(None),
            (None, Some(columns)) if resolved.result.is_composite() => Err(redundant(columns, at)),
            (None, Some(columns)) if resolved.result != TypeKind::Record => Err(only_for_records(columns)),
            (None, Some(columns)) => Ok(Some(Arc::new(Shape::new(self.defined_fields(columns)?)))),
        }
    }

    /// The fields of a definition.
    fn defined_fields(&mut self, columns: &[(Name, TypeName)]) -> Result<Vec<(String, Type)>> {
        let mut fields: Vec<(String, Type)> = Vec::with_capacity(columns.len());
        for (name, ty) in columns {
            if fields.iter().any(|(known, _)| *known == name.value) {
                let message = format!("column name \"{}\" specified more than once", name.value);
                return Err(Error::new("42701", message).at(name.at));
            }
            fields.push((name.value.clone(), self.column_type(ty, &name.value)?));
        }
        Ok(fields)
    }
}

/// That rows of a shape are of the types that a definition says. 42804 if they are not.
fn check_fields(shape: &Shape, fields: &[(String, Type)]) -> Result<()> {
    let refused = |detail: String| {
        let message = "function return row and query-specified return row do not match";
        Err(Error::new("42804", message).detail(detail))
    };
    let (returned, expected) = (shape.len(), fields.len());
    if returned != expected {
        let attributes = if returned == 1 { "attribute" } else { "attributes" };
        return refused(format!(
            "Returned row contains {returned} {attributes}, but query expects {expected}."
        ));
    }
    for (place, ((_, own), (_, wanted))) in (1..).zip(shape.fields().zip(fields)) {
        if !own.kind.is_same(wanted.kind) {
            let (own, wanted) = (own.kind.display_name(), wanted.kind.display_name());
            let returned = format!("Returned type {own} at ordinal position {place}");
            return refused(format!("{returned}, but query expects {wanted}."));
        }
    }
    Ok(())
}

/// The columns of rows of a shape.
fn named_columns(shape: &Shape) -> Vec<(Option<String>, Type)> {
    shape.fields().map(|(name, ty)| (Some(name.to_owned()), ty)).collect()
}

fn redundant(columns: &[(Name, TypeName)], at: usize) -> Error {
    let at = columns.first().map_or(at, |(name, _)| name.at);
    let message = "a column definition list is redundant for a function returning a named composite type";
    Error::new("42601", message).at(at)
}

fn only_for_records(columns: &[(Name, TypeName)]) -> Error {
    let at = columns.first().map_or(0, |(name, _)| name.at);
    let message = "a column definition list is only allowed for functions returning \"record\"";
    Error::new("42601", message).at(at)
}

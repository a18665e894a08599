//! Functions that were made: their rows of `pg_proc`, their definitions as SQL text, and what their names mean.

use std::sync::Arc;

use expr::functions::{self, FunctionId, Volatility};
use expr::{Datum, Result, TypeKind};

use super::deparse::quote_name;
use super::privileges::Asked;
use super::record::{Records, Value};
use super::{World, roles};
use crate::bind;
use crate::catalog::access::Object;
use crate::catalog::object::{
    FunctionBody, FunctionDescriptor, ObjectDescriptor, Parallel, Parameter, ParameterMode,
};
use crate::catalog::{CatalogSnapshot, Oid, SearchPath, called, named, schema};

/// Functions as one session sees them.
pub(super) struct Made<'a> {
    pub(super) catalog: &'a CatalogSnapshot,
    pub(super) path: &'a SearchPath,
    /// What a type is called.
    pub(super) shown: &'a dyn Fn(TypeKind) -> String,
    /// A kept expression as `pg_get_expr` shows it.
    pub(super) expression: &'a dyn Fn(&str) -> String,
}

impl Made<'_> {
    /// Answers a function of the catalog that is about functions; `None`: it is none of these, or about one that is built in.
    pub(super) fn answer(&self, name: &str, arguments: &[Datum]) -> Option<Datum> {
        let oid = arguments.first().and_then(Datum::as_i64).and_then(|oid| Oid::try_from(oid).ok())?;
        let object = self.catalog.objects().get(oid)?;
        let function = object.function()?;
        Some(match name {
            "pg_function_is_visible" => Datum::Bool(called::is_visible(self.catalog, self.path, object)),
            "pg_get_functiondef" => Datum::text(self.definition(object, function)),
            "pg_get_function_result" => Datum::text(self.result(function)),
            "pg_get_function_arguments" => Datum::text(self.arguments(function, true)),
            "pg_get_function_identity_arguments" => Datum::text(self.arguments(function, false)),
            "pg_get_function_sqlbody" => self.body(object, function).map_or(Datum::Null, Datum::text),
            _ => return None,
        })
    }

    fn arguments(&self, function: &FunctionDescriptor, with_defaults: bool) -> String {
        let listed = function.parameters.iter().filter(|own| own.mode != ParameterMode::Table);
        let listed = listed.map(|own| self.parameter(own, with_defaults));
        listed.collect::<Vec<_>>().join(", ")
    }

    /// `INOUT a integer DEFAULT 1`
    fn parameter(&self, own: &Parameter, with_default: bool) -> String {
        let mode = match own.mode {
            ParameterMode::In | ParameterMode::Table => "",
            ParameterMode::Out => "OUT ",
            ParameterMode::InOut => "INOUT ",
        };
        let name = if own.name.is_empty() { String::new() } else { format!("{} ", quote_name(&own.name)) };
        let default = own.default.as_deref().filter(|_| with_default);
        let default = default.map(|kept| format!(" DEFAULT {}", (self.expression)(kept))).unwrap_or_default();
        format!("{mode}{name}{}{default}", (self.shown)(own.ty))
    }

    fn result(&self, function: &FunctionDescriptor) -> String {
        let columns = function.parameters.iter().filter(|own| own.mode == ParameterMode::Table);
        let columns: Vec<String> = columns.map(|own| self.parameter(own, false)).collect();
        if !columns.is_empty() {
            return format!("TABLE({})", columns.join(", "));
        }
        let set = if function.is_set { "SETOF " } else { "" };
        let relation = function.row_of.and_then(|oid| self.catalog.table_by_oid(oid));
        match relation {
            Some(relation) => {
                let name = quote_name(&relation.name);
                let found = self.catalog.relation_oid(self.path, None, &relation.name);
                match found == Some(relation.oid) {
                    true => format!("{set}{name}"),
                    false => format!("{set}{}.{name}", quote_name(&relation.schema)),
                }
            }
            None => format!("{set}{}", (self.shown)(function.returns)),
        }
    }

    /// A body that is written as SQL.
    fn body(&self, object: &Arc<ObjectDescriptor>, function: &FunctionDescriptor) -> Option<String> {
        let FunctionBody::Query { query, is_return } = &function.body else { return None };
        let text = bind::function_text(object, query, self.catalog, self.path);
        Some(match is_return {
            true => format!("RETURN {}", text.strip_prefix("SELECT ").unwrap_or(&text)),
            false => format!("BEGIN ATOMIC\n {text};\nEND"),
        })
    }

    fn definition(&self, object: &Arc<ObjectDescriptor>, function: &FunctionDescriptor) -> String {
        let name = format!("{}.{}", quote_name(&object.schema), quote_name(&object.name));
        let mut out = format!(
            "CREATE OR REPLACE FUNCTION {name}({})\n RETURNS {}\n LANGUAGE sql\n",
            self.arguments(function, true),
            self.result(function)
        );
        let volatility = match function.volatility {
            Volatility::Immutable => " IMMUTABLE",
            Volatility::Stable => " STABLE",
            Volatility::Volatile => "",
        };
        let parallel = match function.parallel {
            Parallel::Safe => " PARALLEL SAFE",
            Parallel::Restricted => " PARALLEL RESTRICTED",
            Parallel::Unsafe => "",
        };
        let strict = if function.strict { " STRICT" } else { "" };
        let options = format!("{volatility}{parallel}{strict}");
        if !options.is_empty() {
            out.push_str(&options);
            out.push('\n');
        }
        match (self.body(object, function), &function.body) {
            (None, FunctionBody::Text(text)) => {
                let mut tag = "$function".to_owned();
                while text.contains(&tag) {
                    tag.push('x');
                }
                out.push_str(&format!("AS {tag}${text}{tag}$"));
            }
            (body, _) => out.push_str(&body.unwrap_or_default()),
        }
        out.push('\n');
        out
    }
}

/// What `regproc` calls a function: with its schema if the name alone would not say which is meant.
pub(super) fn name(catalog: &CatalogSnapshot, path: &SearchPath, oid: Oid) -> Option<String> {
    let object = catalog.objects().get(oid).filter(|object| object.function().is_some())?;
    let name = quote_name(&object.name);
    match of_name(catalog, path, std::slice::from_ref(&object.name)).as_slice() {
        [only] if *only == oid => Some(name),
        _ => Some(format!("{}.{name}", quote_name(&object.schema))),
    }
}

/// What `regprocedure` calls it.
pub(super) fn signature(catalog: &CatalogSnapshot, path: &SearchPath, oid: Oid) -> Option<String> {
    let object = catalog.objects().get(oid).filter(|object| object.function().is_some())?;
    Some(called::signature(catalog, path, object))
}

/// The functions of a name, built in or made, that are found along a path or in the schema before it.
pub(super) fn of_name(catalog: &CatalogSnapshot, path: &SearchPath, parts: &[String]) -> Vec<Oid> {
    let objects = catalog.objects();
    let (schemas, name): (Vec<&str>, &str) = match parts {
        [name] => (path.lookup(objects).collect(), name),
        [within, name] => (vec![objects.kept_schema(within)], name),
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for within in schemas {
        if within == schema::PG_CATALOG {
            found.extend(functions::by_name(name).iter().map(|own: &FunctionId| own.oid()));
        }
        let made = objects.functions_named(name).filter(|object| object.schema == within);
        found.extend(made.map(|object| object.oid));
    }
    found
}

/// The made function that a name and the types of arguments mean.
pub(super) fn of_signature(
    catalog: &CatalogSnapshot,
    path: &SearchPath,
    name: &str,
    types: &[TypeKind],
) -> Option<Oid> {
    let is_meant = |oid: &Oid| {
        let object = catalog.objects().get(*oid).filter(|object| object.function().is_some());
        object.is_some_and(|object| called::argument_types(catalog, object) == types)
    };
    of_name(catalog, path, &named::parts(name)).into_iter().find(is_meant)
}

impl Asked<'_> {
    /// `has_function_privilege`
    pub(super) fn on_function(&self, arguments: &[Datum]) -> Result<Datum> {
        let (powers, rest) = self.powers(arguments, 2)?;
        let oid = match rest.first().and_then(Datum::as_str) {
            Some(text) => (self.function)(text)?,
            None => rest.first().and_then(Datum::as_i64).and_then(|oid| Oid::try_from(oid).ok()).unwrap_or(0),
        };
        let wanted = super::privileges::rights(rest.get(1), Object::Function(oid))?;
        let made = self.catalog.objects().get(oid).and_then(|object| object.function());
        if made.is_none() && FunctionId::from_oid(oid).is_none() {
            return Ok(Datum::Null);
        }
        Ok(Datum::Bool(self.holds(&powers, Object::Function(oid), None, &wanted)))
    }
}

pub(super) fn pg_proc(world: &World<'_>, records: &mut Records<'_>) {
    for (object, function) in world.catalog.objects().functions() {
        let schema = world.catalog.objects().schema_oid(&object.schema).unwrap_or_default();
        let owner = world.catalog.access().object(Object::Function(object.oid)).owner;
        let inputs: Vec<&Parameter> = function.inputs().collect();
        let types = |own: &[&Parameter]| own.iter().map(|own| i64::from(own.ty.oid())).collect::<Vec<_>>();
        let all: Vec<&Parameter> = function.parameters.iter().collect();
        let has_outputs = function.outputs().next().is_some();
        let has_names = all.iter().any(|own| !own.name.is_empty());
        let defaults: Vec<&str> = all.iter().filter_map(|own| own.default.as_deref()).collect();
        let text = match &function.body {
            FunctionBody::Text(text) => text.as_str(),
            FunctionBody::Query { .. } => "",
        };
        records.push(&[
            ("oid", object.oid.into()),
            ("proname", (&object.name).into()),
            ("pronamespace", schema.into()),
            ("proowner", owner.into()),
            ("prolang", super::LANGUAGE_SQL_OID.into()),
            ("procost", Value::Real(100.0)),
            ("prorows", Value::Real(if function.is_set { 1000.0 } else { 0.0 })),
            ("prokind", "f".into()),
            ("proisstrict", function.strict.into()),
            ("proretset", function.is_set.into()),
            ("provolatile", function.volatility.letter().to_string().into()),
            ("proparallel", function.parallel.letter().to_string().into()),
            ("pronargs", inputs.len().into()),
            ("pronargdefaults", defaults.len().into()),
            ("prorettype", function.returns.oid().into()),
            ("proargtypes", Value::Ints(types(&inputs))),
            ("proallargtypes", if has_outputs { Value::Ints(types(&all)) } else { Value::Null }),
            (
                "proargmodes",
                match has_outputs {
                    true => Value::Texts(all.iter().map(|own| own.mode.letter().to_string()).collect()),
                    false => Value::Null,
                },
            ),
            (
                "proargnames",
                match has_names {
                    true => Value::Texts(all.iter().map(|own| own.name.clone()).collect()),
                    false => Value::Null,
                },
            ),
            ("proargdefaults", if defaults.is_empty() { Value::Null } else { defaults.join(", ").into() }),
            ("prosrc", text.into()),
            (
                "prosqlbody",
                match &function.body {
                    FunctionBody::Query { query, .. } => query.query.as_str().into(),
                    FunctionBody::Text(_) => Value::Null,
                },
            ),
            ("proacl", roles::acl(world.catalog, Object::Function(object.oid))),
        ]);
    }
}

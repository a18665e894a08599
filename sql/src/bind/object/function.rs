//! CREATE FUNCTION, ALTER FUNCTION, and the functions that other statements are about.

use std::sync::Arc;

use expr::casts::CastContext;
use expr::functions::{self, FunctionKind, Volatility};
use expr::{Datum, Expr, Type, TypeKind};

use super::view::WithinView;
use super::{Bound, change, nothing, unplaced};
use crate::bind::bound::BoundQuery;
use crate::bind::from::shown;
use crate::bind::inlined::{Argument, FunctionQuery, ends_without_query};
use crate::bind::{Binder, SessionSettings, placeholder};
use crate::catalog::object::{
    FunctionBody, FunctionDescriptor, ObjectBody, ObjectDescriptor, Parameter, ParameterMode, ViewDescriptor,
    ViewOptions, ViewRelation,
};
use crate::catalog::{CatalogSnapshot, SearchPath, called, depend, schema};
use crate::error::{Error, Notice, Result};
use crate::parse;
use crate::parse::ast::{
    CreateFunction, DefaultDefinition, FunctionAction, FunctionName, FunctionOptions, FunctionText,
    ParameterDefinition, Persistence, TypeName,
};
use crate::plan::{FunctionChange, NO_OID, ObjectChange, Target};

/// So many parameters a function may have, as in PostgreSQL.
const PARAMETERS_MAX: usize = 100;

/// The query of a function's body that is kept as a view's, as it has to be written under a search path.
pub(crate) fn function_text(
    object: &Arc<ObjectDescriptor>,
    query: &ViewDescriptor,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> String {
    let context = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let mut binder = Binder { edits: Some(Vec::new()), ..Binder::new(catalog, &settings) };
    let edits = match binder.known_body(object, query) {
        Ok(()) => binder.taken_edits(),
        // What it was is no query any more: then as it was written.
        Err(_) => Vec::new(),
    };
    let edited = parse::edited(&query.query, edits);
    let text = if parse::parse_query(&edited).is_ok() { &edited } else { &query.query };
    let text = parse::with_names(text, |oid| binder.name_of(oid));
    called::by_name(catalog, search_path, &text)
}

impl Binder<'_> {
    /// CREATE FUNCTION.
    pub(super) fn create_function(&mut self, create: &CreateFunction) -> Result<Bound> {
        let within = self.creation_schema(&create.name, Persistence::Permanent).map_err(unplaced)?;
        if within == schema::TEMPORARY {
            return Err(Error::unsupported("a temporary function").at(create.name.name.at));
        }
        let name = &create.name.name.value;
        if functions::by_name(name).iter().any(|own| own.kind != FunctionKind::Scalar) {
            let what = format!("a function called like the built-in {name}, which is of rows,");
            return Err(Error::unsupported(what).at(create.name.name.at));
        }
        let parameters = self.new_parameters(&create.parameters)?;
        let (returns, row_of) = self.new_returns(create, &parameters)?;
        let options = &create.options;
        let mut function = FunctionDescriptor {
            parameters,
            returns,
            row_of,
            is_set: create.is_set,
            volatility: options.volatility.unwrap_or(Volatility::Volatile),
            strict: options.strict.unwrap_or(false),
            parallel: options.parallel.unwrap_or_default(),
            body: FunctionBody::Text(String::new()),
        };
        if self.is_constructor(&within, name, &types_of(&function)) {
            return Err(match create.replace {
                true => Error::unsupported(format!("replacing the constructor of range {name}"))
                    .at(create.name.name.at),
                false => Error::new(
                    "42723",
                    format!("function \"{name}\" already exists with same argument types"),
                ),
            });
        }
        let known = self.function_of(&within, name, &types_of(&function)).cloned();
        if let Some(known) = &known {
            let path = self.settings.search_path;
            if !create.replace {
                let message = format!("function \"{name}\" already exists with same argument types");
                return Err(Error::new("42723", message));
            }
            let own = known.function().ok_or_else(|| Error::internal("a function that is none"))?;
            let signature = called::signature(self.catalog, path, known);
            check_replaced(own, &function)
                .map_err(|error| error.hint(format!("Use DROP FUNCTION {signature} first.")))?;
        }
        let oid = known.as_ref().map(|known| known.oid);
        let object = ObjectDescriptor {
            oid: oid.unwrap_or(NO_OID),
            schema: within.clone(),
            name: name.clone(),
            body: ObjectBody::Function(Box::new(function.clone())),
        };
        self.made_now = Some((within.clone(), name.clone()));
        let needs = std::mem::take(&mut self.needs);
        let body = self.new_body(&object, &create.body);
        self.needs = needs;
        self.made_now = None;
        function.body = body?;
        if let Some(known) = &known {
            self.check_not_stored(known, &function)?;
        }
        let function = Box::new(function);
        change(ObjectChange::Function(FunctionChange::Create {
            oid,
            schema: within,
            name: name.clone(),
            function,
        }))
    }

    fn new_parameters(&mut self, definitions: &[ParameterDefinition]) -> Result<Vec<Parameter>> {
        if definitions.len() > PARAMETERS_MAX {
            let message = format!("functions cannot have more than {PARAMETERS_MAX} arguments");
            return Err(Error::new("54023", message));
        }
        let mut parameters: Vec<Parameter> = Vec::with_capacity(definitions.len());
        let mut has_default = false;
        for definition in definitions {
            let mode = definition.mode;
            let name = definition.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
            let is_same_side = |own: &Parameter| {
                own.mode.is_input() && mode.is_input() || own.mode.is_output() && mode.is_output()
            };
            if !name.is_empty() && parameters.iter().any(|own| own.name == name && is_same_side(own)) {
                let message = format!("parameter name \"{name}\" used more than once");
                return Err(Error::new("42P13", message));
            }
            let ty = self.parameter_type(&definition.ty, mode)?;
            let mut default = None;
            match &definition.default {
                Some(_) if !mode.is_input() => {
                    return Err(Error::new("42P13", "only input parameters can have default values"));
                }
                Some(written) => {
                    default = Some(self.new_default(written, ty)?);
                    has_default = true;
                }
                None if has_default && mode.is_input() => {
                    let message = "input parameters after one with a default value must also have defaults";
                    return Err(Error::new("42P13", message));
                }
                None => {}
            }
            parameters.push(Parameter { name, mode, ty, default });
        }
        Ok(parameters)
    }

    /// A default as it is kept.
    fn new_default(&mut self, written: &DefaultDefinition, kind: TypeKind) -> Result<String> {
        let ty = Type::plain(kind);
        let bound = self.expression_alone(&written.expr)?;
        let from = bound.ty().kind;
        self.coerce(bound, ty, CastContext::Assignment, written.expr.at).map_err(|error| {
            let (to, from) = (kind.display_name(), from.display_name());
            match error.sqlstate {
                "42846" => {
                    let message = format!("argument of DEFAULT must be type {to}, not type {from}");
                    Error::new("42804", message).at(written.expr.at)
                }
                _ => error,
            }
        })?;
        // One that is NULL is still one.
        Ok(self.kept_default(written, ty, "")?.unwrap_or_else(|| "NULL".to_owned()))
    }

    fn parameter_type(&self, name: &TypeName, mode: ParameterMode) -> Result<TypeKind> {
        let ty = self.type_of(name).map_err(|error| match error.sqlstate {
            "42704" => Error::new("42704", format!("type {} does not exist", type_shown(name))),
            _ => error,
        })?;
        let kind = ty.kind;
        if kind.is_polymorphic() {
            let what = format!("a function with a parameter of type {}", kind.display_name());
            return Err(Error::unsupported(what).at(name.at));
        }
        if !kind.is_storable() {
            let verb = if mode.is_input() { "have arguments of" } else { "return" };
            let message = format!("SQL functions cannot {verb} type {}", kind.display_name());
            return Err(Error::new("42P13", message));
        }
        Ok(kind)
    }

    /// What a function returns, and the relation whose rows that are.
    fn new_returns(
        &mut self,
        create: &CreateFunction,
        parameters: &[Parameter],
    ) -> Result<(TypeKind, Option<u32>)> {
        let mut outputs = parameters.iter().filter(|parameter| parameter.mode.is_output());
        let of_outputs = match (outputs.next(), outputs.next()) {
            (None, _) => None,
            (Some(only), None) => Some(only.ty),
            _ => Some(TypeKind::Record),
        };
        let Some(name) = &create.returns else {
            let returns =
                of_outputs.ok_or_else(|| Error::new("42P13", "function result type must be specified"))?;
            return Ok((returns, None));
        };
        let kind = match self.type_named(name.schema.as_deref(), &name.name)? {
            Some(_) => self.type_of(name)?.kind,
            None => {
                let relation = self.relation_called(name).filter(|_| !name.array && of_outputs.is_none());
                let Some(relation) = relation else {
                    let message = format!("type \"{}\" does not exist", type_shown(name));
                    return Err(Error::new("42704", message));
                };
                if relation.is_temporary() {
                    return Err(
                        Error::unsupported("a function that returns rows of a temporary table").at(name.at)
                    );
                }
                return Ok((TypeKind::Record, Some(relation.oid)));
            }
        };
        if let Some(required) = of_outputs.filter(|required| required.oid() != kind.oid()) {
            let required = required.display_name();
            let message = format!("function result type must be {required} because of OUT parameters");
            return Err(Error::new("42P13", message));
        }
        if kind.is_polymorphic() || kind == TypeKind::Record && of_outputs.is_none() {
            let what = format!("a function that returns {} without OUT parameters", kind.display_name());
            return Err(Error::unsupported(what).at(name.at));
        }
        if kind != TypeKind::Record && !kind.is_storable() {
            let message = format!("SQL functions cannot return type {}", kind.display_name());
            return Err(Error::new("42P13", message));
        }
        Ok((kind, None))
    }

    /// The body of a new function as it is kept, if it answers what it is to.
    fn new_body(&mut self, object: &ObjectDescriptor, written: &FunctionText) -> Result<FunctionBody> {
        match written {
            FunctionText::Quoted { text, at } => {
                if self.checks_bodies() {
                    let placed = |mut error: Error| {
                        let place = error.position.zip(*at);
                        error.position =
                            place.map(|(position, at)| position.saturating_add(at).saturating_sub(1));
                        error
                    };
                    self.check_text(object, text).map_err(placed)?;
                }
                // An empty one answers nothing, whoever checks it.
                let is_empty = text.trim().is_empty();
                let function = object.function().filter(|_| is_empty);
                match function {
                    Some(function) => Err(ends_without_query(function, None)),
                    None => Ok(FunctionBody::Text(text.clone())),
                }
            }
            FunctionText::Return(text) => self.new_query(object, &format!("SELECT {text}"), true),
            FunctionText::Atomic(text) => self.new_query(object, text, false),
        }
    }

    /// `check_function_bodies`
    fn checks_bodies(&self) -> bool {
        let name = [Datum::text("check_function_bodies")];
        let setting = self.settings.context.catalog.call("current_setting", &name);
        setting.ok().and_then(|value| value.as_str().map(|value| value != "off")).unwrap_or(true)
    }

    fn check_text(&mut self, object: &ObjectDescriptor, text: &str) -> Result<()> {
        let Some(body) = FunctionQuery::of_text(text)? else {
            let function = object.function().ok_or_else(|| Error::internal("a function that is none"))?;
            let shown = self.returned_shown(object)?;
            return Err(ends_without_query(function, Some(&shown)));
        };
        let before = self.within_view.take();
        let bound = self.bound_body(object, |binder| binder.query_in(body.query(), false));
        self.within_view = before;
        bound
    }

    /// Binds a body over arguments of which nothing is known but their types, and that it answers what it is to.
    fn bound_body(
        &mut self,
        object: &ObjectDescriptor,
        bind: impl FnOnce(&mut Self) -> Result<BoundQuery>,
    ) -> Result<()> {
        let values = called::argument_types(self.catalog, object).into_iter().map(|kind| {
            let number = self.slots;
            self.slots = number.saturating_add(1);
            placeholder::slot(number, Type::plain(kind))
        });
        let values: Vec<Expr> = values.collect();
        let arguments = Argument::of(object, values);
        let levels = std::mem::take(&mut self.levels);
        let bound = self.within_body(object, arguments, |binder| {
            let bound = bind(binder)?;
            binder.as_returned(object, bound, true)
        });
        self.levels = levels;
        bound.map(|_| ())
    }

    /// A body that is written as SQL, whose names are to mean what they do now.
    fn new_query(&mut self, object: &ObjectDescriptor, text: &str, is_return: bool) -> Result<FunctionBody> {
        self.types_named.borrow_mut().clear();
        self.only_keeps = true;
        let relations = self.noted_body(object, text).map_err(unplaced)?;
        let types = std::mem::take(&mut *self.types_named.borrow_mut()).into_iter().collect();
        let grouped_by = std::mem::take(&mut self.grouped_by);
        let mut pinning = Binder { edits: Some(Vec::new()), ..Binder::new(self.catalog, self.settings) };
        pinning.only_keeps = true;
        pinning.made_now.clone_from(&self.made_now);
        pinning.noted_body(object, text).map_err(unplaced)?;
        let query = parse::edited(text, pinning.taken_edits());
        let query = ViewDescriptor {
            columns: Vec::new(),
            pinned: parse::relations_in(&query),
            query,
            relations,
            grouped_by,
            options: ViewOptions::default(),
            types,
        };
        Ok(FunctionBody::Query { query: Box::new(query), is_return })
    }

    /// Binds a new body, and notes what it names.
    fn noted_body(&mut self, object: &ObjectDescriptor, text: &str) -> Result<Vec<ViewRelation>> {
        let query = parse::parse_query(text)?;
        let outer = self.within_view.replace(WithinView::New(Vec::new()));
        let bound = self.bound_body(object, |binder| binder.query_in(&query, false));
        let within = std::mem::replace(&mut self.within_view, outer);
        bound?;
        let mut relations = match within {
            Some(WithinView::New(relations)) => relations,
            _ => Vec::new(),
        };
        for relation in &mut relations {
            relation.read = self.needs.columns_read(relation.oid);
        }
        Ok(relations)
    }

    /// Binds the body of a function that there is, for what of its text changes.
    fn known_body(&mut self, object: &Arc<ObjectDescriptor>, query: &ViewDescriptor) -> Result<()> {
        let query = parse::parse_query(&query.query)?;
        let before = self.enter_names(object);
        let bound = self.bound_body(object, |binder| binder.query_in(&query, false));
        self.within_view = before;
        bound
    }

    /// 0A000 if rows or keys that are stored hold what a function answered, and it is to answer something else.
    fn check_not_stored(&self, known: &ObjectDescriptor, to: &FunctionDescriptor) -> Result<()> {
        let differs = known.function().is_none_or(|own| {
            own.body != to.body || own.strict != to.strict || own.parameters != to.parameters
        });
        if !differs || !depend::is_stored(self.catalog, known.oid) {
            return Ok(());
        }
        let what =
            format!("changing function {}, which an index or a generated column is made of,", known.name);
        Err(Error::unsupported(what))
    }

    /// The function of this schema and name with these arguments.
    pub(super) fn function_of(
        &self,
        within: &str,
        name: &str,
        types: &[u32],
    ) -> Option<&Arc<ObjectDescriptor>> {
        let mut named = self.catalog.objects().functions_named(name);
        named.find(|object| {
            object.schema == within && object.function().is_some_and(|own| types_of(own) == types)
        })
    }

    /// The function that a statement is about.
    ///
    /// # Errors
    /// There is none, or there are several; nobody has made it.
    pub(in crate::bind) fn function_named(&self, function: &FunctionName) -> Result<Arc<ObjectDescriptor>> {
        let objects = self.catalog.objects();
        let name = &function.name.name.value;
        if let Some(given) = function.name.schema.as_ref()
            && objects.schema_oid(&given.value).is_none()
        {
            return Err(Error::new("3F000", format!("schema \"{}\" does not exist", given.value)));
        }
        let schemas: Vec<&str> = match &function.name.schema {
            Some(given) => vec![objects.kept_schema(&given.value)],
            None => self.settings.search_path.lookup(objects).collect(),
        };
        let Some(arguments) = &function.arguments else {
            let mut found: Vec<&Arc<ObjectDescriptor>> = Vec::new();
            for within in &schemas {
                let own = objects.functions_named(name).filter(|object| object.schema == *within);
                found.extend(own.filter(|object| {
                    let types = object.function().map(types_of);
                    self.function_before(&schemas, within, name, types.as_deref()).is_none()
                }));
            }
            let is_built_in = schemas.contains(&schema::PG_CATALOG) && !functions::by_name(name).is_empty();
            return match found.as_slice() {
                [only] if !is_built_in => Ok((*only).clone()),
                [] if is_built_in => Err(Error::new("42501", format!("must be owner of function {name}"))),
                [] => {
                    let message = format!("could not find a function named \"{}\"", shown(&function.name));
                    Err(Error::new("42883", message))
                }
                _ => {
                    let message = format!("function name \"{}\" is not unique", shown(&function.name));
                    Err(Error::new("42725", message)
                        .hint("Specify the argument list to select the function unambiguously."))
                }
            };
        };
        let mut kinds = Vec::with_capacity(arguments.len());
        for argument in arguments {
            kinds.push(self.type_of(argument).map_err(|error| match error.sqlstate {
                "42704" => Error::new("42704", format!("type \"{}\" does not exist", type_shown(argument))),
                _ => error,
            })?);
        }
        let types: Vec<u32> = kinds.iter().map(|ty| ty.kind.oid()).collect();
        for within in schemas {
            if let Some(found) = self.function_of(within, name, &types) {
                return Ok(found.clone());
            }
            let is_meant = |own: &functions::FunctionId| {
                own.args.iter().map(|kind| kind.oid()).eq(types.iter().copied())
            };
            if within == schema::PG_CATALOG && functions::by_name(name).iter().any(is_meant) {
                return Err(Error::new("42501", format!("must be owner of function {name}")));
            }
        }
        let shown_types: Vec<&str> = kinds.iter().map(|ty| ty.kind.display_name()).collect();
        let message =
            format!("function {}({}) does not exist", shown(&function.name), shown_types.join(", "));
        Err(Error::new("42883", message))
    }

    /// A function of an earlier schema that hides one of these arguments.
    fn function_before(
        &self,
        schemas: &[&str],
        within: &str,
        name: &str,
        types: Option<&[u32]>,
    ) -> Option<&Arc<ObjectDescriptor>> {
        let types = types?;
        let mut before = schemas.iter().take_while(|other| **other != within);
        before.find_map(|other| self.function_of(other, name, types))
    }

    /// ALTER FUNCTION.
    pub(super) fn alter_function(&mut self, name: &FunctionName, action: &FunctionAction) -> Result<Bound> {
        let object = self.function_named(name)?;
        let function = object.function().ok_or_else(|| Error::internal("a function that is none"))?;
        let mut altered = function.clone();
        let (mut within, mut called) = (object.schema.clone(), object.name.clone());
        match action {
            FunctionAction::Options(options) => {
                let FunctionOptions { volatility, strict, parallel } = *options;
                altered.volatility = volatility.unwrap_or(altered.volatility);
                altered.strict = strict.unwrap_or(altered.strict);
                altered.parallel = parallel.unwrap_or(altered.parallel);
                self.check_not_stored(&object, &altered)?;
            }
            FunctionAction::Rename(to) => {
                called.clone_from(&to.value);
                self.check_function_free(&object, &within, &called)?;
            }
            FunctionAction::SetSchema(to) => {
                let Target::Schema { name, .. } = self.schema(to)? else {
                    return Err(Error::internal("a schema that is none"));
                };
                if name == within {
                    return nothing("ALTER FUNCTION");
                }
                self.check_creation_schema(to)?;
                within = name;
                self.check_function_free(&object, &within, &called)?;
            }
        }
        let moves = !matches!(action, FunctionAction::Options(_));
        let (oid, function) = (object.oid, Box::new(altered));
        change(ObjectChange::Function(FunctionChange::Alter {
            oid,
            schema: within,
            name: called,
            function,
            moves,
        }))
    }

    /// Whether a range's constructor takes these types.
    fn is_constructor(&self, within: &str, name: &str, types: &[u32]) -> bool {
        let own = self.range_signature(within, name, types.len());
        own.is_some_and(|own| own.iter().map(|kind| kind.oid()).eq(types.iter().copied()))
    }

    /// 42723 if another function has such a place.
    fn check_function_free(&self, object: &ObjectDescriptor, within: &str, name: &str) -> Result<()> {
        let types = object.function().map(types_of).unwrap_or_default();
        if functions::by_name(name).iter().any(|own| own.kind != FunctionKind::Scalar) {
            return Err(Error::unsupported(format!(
                "a function called like the built-in {name}, which is of rows,"
            )));
        }
        if self.function_of(within, name, &types).is_none() && !self.is_constructor(within, name, &types) {
            return Ok(());
        }
        let kinds = called::argument_types(self.catalog, object);
        let shown: Vec<&str> = kinds.iter().map(|kind| kind.display_name()).collect();
        let message = format!("function {name}({}) already exists in schema \"{within}\"", shown.join(", "));
        Err(Error::new("42723", message))
    }

    /// DROP FUNCTION.
    pub(super) fn drop_functions(
        &mut self,
        names: &[FunctionName],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Bound> {
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            match self.function_named(name) {
                Ok(object) => {
                    let target = Target::Function { oid: object.oid, name: object.name.clone() };
                    if !targets.iter().any(|other| other.address() == target.address()) {
                        targets.push(target);
                    }
                }
                Err(error) if if_exists && matches!(error.sqlstate, "42883" | "3F000" | "42704") => {
                    let message = match (error.sqlstate, &name.arguments) {
                        ("42883", None) => {
                            format!("function {}() does not exist, skipping", shown(&name.name))
                        }
                        _ => format!("{}, skipping", error.message),
                    };
                    self.notices.push(Notice::notice("00000", message));
                }
                Err(error) => return Err(error),
            }
        }
        if targets.is_empty() {
            return nothing("DROP FUNCTION");
        }
        let path = self.settings.search_path.clone();
        change(ObjectChange::Drop { targets, cascade, concurrently: false, path, tag: "DROP FUNCTION" })
    }
}

/// The oids of the types that a function is called with.
fn types_of(function: &FunctionDescriptor) -> Vec<u32> {
    function.inputs().map(|parameter| parameter.ty.oid()).collect()
}

/// A type's name as it is written.
fn type_shown(name: &TypeName) -> String {
    let array = if name.array { "[]" } else { "" };
    match &name.schema {
        Some(schema) => format!("{schema}.{}{array}", name.name),
        None => format!("{}{array}", name.name),
    }
}

/// That a function can be put in the place of another: what others know of that one stays.
fn check_replaced(known: &FunctionDescriptor, new: &FunctionDescriptor) -> Result<()> {
    let is_same = known.returns.oid() == new.returns.oid() && known.row_of == new.row_of;
    if !is_same || known.is_set != new.is_set {
        return Err(Error::new("42P13", "cannot change return type of existing function"));
    }
    let columns = |own: &FunctionDescriptor| {
        let columns = own.columns().unwrap_or_default().into_iter();
        columns.map(|(name, ty)| (name, ty.kind.oid())).collect::<Vec<_>>()
    };
    if columns(known) != columns(new) {
        return Err(Error::new("42P13", "cannot change return type of existing function")
            .detail("Row type defined by OUT parameters is different."));
    }
    for (old, new) in known.inputs().zip(new.inputs()) {
        if !old.name.is_empty() && old.name != new.name {
            let message = format!("cannot change name of input parameter \"{}\"", old.name);
            return Err(Error::new("42P13", message));
        }
        if old.default.is_some() && new.default.is_none() {
            return Err(Error::new("42P13", "cannot remove parameter defaults from existing function"));
        }
    }
    Ok(())
}

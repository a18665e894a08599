//! Which made function a call means (`func_get_detail` of PostgreSQL's `parse_func.c`, manual, 10.3).
//!
//! Built-in functions stand among the others where `pg_catalog` stands in the search path. A function that an earlier schema has
//! with the same types hides those of later ones.

use std::sync::Arc;

use expr::resolve::{self, Meant};
use expr::{Expr, Type, TypeKind};

use crate::bind::Binder;
use crate::catalog::object::{FunctionDescriptor, ObjectDescriptor};
use crate::catalog::{called, schema};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{self, Name};
use crate::plan::Call;

/// What is written like a call and is none: no function of such a name is meant.
const CONSTRUCTS: [&str; 5] = ["coalesce", "greatest", "grouping", "least", "nullif"];

/// A made function that a call means.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) object: Arc<ObjectDescriptor>,
    /// The input that each argument of the call is.
    places: Vec<usize>,
}

impl Chosen {
    /// The function, if it can be called with so many arguments, the last of them of these names.
    fn of(object: &Arc<ObjectDescriptor>, count: usize, named: &[Name]) -> Option<Self> {
        let inputs: Vec<_> = object.function()?.inputs().collect();
        let positional = count.checked_sub(named.len()).filter(|count| *count <= inputs.len())?;
        let mut places: Vec<usize> = (0..positional).collect();
        for name in named {
            let place = inputs.iter().position(|input| !input.name.is_empty() && input.name == name.value)?;
            if places.contains(&place) {
                return None;
            }
            places.push(place);
        }
        let mut rest = inputs.iter().enumerate().filter(|(place, _)| !places.contains(place));
        rest.all(|(_, input)| input.default.is_some()).then(|| Self { object: object.clone(), places })
    }

    /// The types that it takes, in the order of the arguments.
    fn types(&self, binder: &Binder<'_>) -> Vec<TypeKind> {
        let inputs = called::argument_types(binder.catalog, &self.object);
        self.places.iter().filter_map(|place| inputs.get(*place)).map(|kind| kind.base()).collect()
    }

    /// What it is.
    pub(super) fn function(&self) -> Result<&FunctionDescriptor> {
        self.object.function().ok_or_else(|| Error::internal("a function that is none"))
    }
}

impl Binder<'_> {
    /// Whether a call may mean a function that was made.
    pub(super) fn may_be_made(&self, call: &ast::Function) -> bool {
        let name = call.name.name.value.as_str();
        if self.is_kept_call(call) {
            return called::parts(name).is_some();
        }
        // A name meant what is built in when such a text was kept, or an oid would stand there.
        if self.calls_kept || self.is_within_known() {
            return false;
        }
        if call.name.schema.is_none() && CONSTRUCTS.contains(&name) {
            return false;
        }
        // Nobody else tells of arguments by name, or of schemas, that there is no such function.
        let is_unknown = match &call.name.schema {
            Some(given) => {
                !matches!(given.value.as_str(), schema::PG_CATALOG | schema::INFORMATION_SCHEMA)
                    && !self.is_of_extension(&given.value, name)
            }
            None => !call.named.is_empty() && expr::functions::by_name(name).is_empty(),
        };
        is_unknown || self.calls_itself(call) || self.catalog.objects().functions_named(name).next().is_some()
    }

    /// Whether a call is by oid, as kept texts have them.
    pub(in crate::bind) fn is_kept_call(&self, call: &ast::Function) -> bool {
        let is_kept = self.reads_kept || self.is_within_known();
        is_kept && call.name.schema.as_ref().is_some_and(|schema| schema.value == called::SCHEMA)
    }

    /// Whether a call names the function that is being made.
    fn calls_itself(&self, call: &ast::Function) -> bool {
        self.made_now.as_ref().is_some_and(|(within, name)| {
            let given = call.name.schema.as_ref();
            *name == call.name.name.value && given.is_none_or(|given| given.value == *within)
        })
    }

    /// The made function that a call with arguments of these types means; `None`: it means none.
    pub(super) fn chosen(
        &mut self,
        call: &ast::Function,
        kinds: &[TypeKind],
        at: usize,
    ) -> Result<Option<Chosen>> {
        if self.is_kept_call(call) {
            return self.kept_function(call, kinds.len(), at).map(Some);
        }
        if let Some(given) = &call.name.schema
            && self.catalog.objects().schema_oid(&given.value).is_none()
        {
            return Err(
                Error::new("3F000", format!("schema \"{}\" does not exist", given.value)).at(given.at)
            );
        }
        let candidates = self.candidates(call, kinds.len());
        if self.is_cast_to_range(call, kinds, &candidates)? {
            return Ok(None);
        }
        let signatures: Vec<Vec<TypeKind>> = candidates.iter().map(|(types, _)| types.clone()).collect();
        let shown = || self.call_shown(call, kinds);
        let meant = match resolve::choose(&signatures, kinds) {
            Meant::One(place) if is_twice(&signatures, place) => Meant::Many,
            meant => meant,
        };
        let mut is_other = false;
        let chosen = match meant {
            Meant::One(place) => {
                let own = candidates.into_iter().nth(place).and_then(|(_, own)| own);
                is_other = own.is_none();
                own
            }
            Meant::Many => {
                return Err(Error::new("42725", format!("function {} is not unique", shown())).at(at).hint(
                    "Could not choose a best candidate function. You might need to add explicit type casts.",
                ));
            }
            Meant::None => None,
        };
        let given = call.name.schema.as_ref();
        let is_built_in = given.is_none_or(|given| given.value == schema::PG_CATALOG)
            && !expr::functions::by_name(&call.name.name.value).is_empty();
        match chosen {
            Some(chosen) => {
                let is_of_body = !self.frames.is_empty();
                self.needs.call(Call {
                    function: chosen.object.oid,
                    owner: self.runs_as,
                    named_at: Some(if is_of_body { 0 } else { at }),
                });
                self.note_call(&call.name, &chosen.object);
                Ok(Some(chosen))
            }
            None if self.calls_itself(call) => {
                Err(Error::unsupported(format!("recursive call of function {}", call.name.name.value)).at(at))
            }
            None if is_built_in || is_other => Ok(None),
            // A cast may be written so.
            None if call.name.schema.is_none() && kinds.len() == 1 && call.named.is_empty() => Ok(None),
            None => Err(Error::new("42883", format!("function {} does not exist", shown())).at(at).hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            )),
        }
    }

    /// Whether a call of one argument is a cast to a range: unless a function takes just that.
    fn is_cast_to_range(
        &self,
        call: &ast::Function,
        kinds: &[TypeKind],
        candidates: &[(Vec<TypeKind>, Option<Chosen>)],
    ) -> Result<bool> {
        let [from] = kinds else { return Ok(false) };
        if !call.named.is_empty() || candidates.iter().any(|(types, _)| types.as_slice() == [from.base()]) {
            return Ok(false);
        }
        let can_become = |to| {
            *from == TypeKind::Unknown || resolve::can_coerce(*from, to, expr::casts::CastContext::Explicit)
        };
        Ok(self.range_named(call)?.is_some_and(can_become))
    }

    /// `f(integer, b => text)`
    fn call_shown(&self, call: &ast::Function, kinds: &[TypeKind]) -> String {
        let unnamed = kinds.len().saturating_sub(call.named.len());
        let types = kinds.iter().enumerate().map(|(place, kind)| {
            let name = place.checked_sub(unnamed).and_then(|place| call.named.get(place));
            match name {
                Some(name) => format!("{} => {}", name.value, kind.display_name()),
                None => kind.display_name().to_owned(),
            }
        });
        let types = types.collect::<Vec<_>>().join(", ");
        match &call.name.schema {
            Some(schema) => format!("{}.{}({types})", schema.value, call.name.name.value),
            None => format!("{}({types})", call.name.name.value),
        }
    }

    /// The functions that a call may mean, each with its types, those of earlier schemas first; `None`: one that is built in, or
    /// the constructor of a range.
    fn candidates(&self, call: &ast::Function, count: usize) -> Vec<(Vec<TypeKind>, Option<Chosen>)> {
        let name = call.name.name.value.as_str();
        let objects = self.catalog.objects();
        let schemas: Vec<&str> = match &call.name.schema {
            Some(given) => vec![objects.kept_schema(&given.value)],
            None => self.settings.search_path.lookup(objects).collect(),
        };
        let mut candidates: Vec<(Vec<TypeKind>, Option<Chosen>)> = Vec::new();
        for within in schemas {
            let mut own: Vec<(Vec<TypeKind>, Option<Chosen>)> = Vec::new();
            if within == schema::PG_CATALOG && call.named.is_empty() && self.is_in_sight(name) {
                let built_in = resolve::signatures(name, count).into_iter();
                own.extend(built_in.map(|(_, types)| (types, None)));
            }
            let made = objects.functions_named(name).filter(|object| object.schema == within);
            for chosen in made.filter_map(|object| Chosen::of(object, count, &call.named)) {
                own.push((chosen.types(self), Some(chosen)));
            }
            let constructor = self.range_signature(within, name, count).filter(|_| call.named.is_empty());
            if let Some(types) = constructor
                && !own.iter().any(|(known, _)| *known == types)
            {
                own.push((types, None));
            }
            for (types, candidate) in own {
                // Two of one schema that the call fits alike are equally good, whatever else they take.
                let mut others = candidates.iter().filter(|(other, _)| *other == types);
                if !others.any(|(_, known)| !is_beside(known.as_ref(), within)) {
                    candidates.push((types, candidate));
                }
            }
        }
        candidates
    }

    /// The function that a kept text calls by its oid.
    fn kept_function(&mut self, call: &ast::Function, count: usize, at: usize) -> Result<Chosen> {
        let found = called::parts(&call.name.name.value).and_then(|(oid, _)| self.catalog.objects().get(oid));
        let chosen = found.and_then(|object| Chosen::of(object, count, &call.named));
        let chosen = chosen.ok_or_else(|| {
            let message = format!(
                "function {} does not exist",
                called::plain(Some(called::SCHEMA), &call.name.name.value)
            );
            Error::new("42883", message).at(at)
        })?;
        self.needs.call(Call { function: chosen.object.oid, owner: self.runs_as, named_at: None });
        Ok(chosen)
    }

    /// The arguments as the function takes them, in the order of the call.
    pub(super) fn arguments_of(
        &mut self,
        chosen: &Chosen,
        arguments: Vec<(Expr, usize)>,
    ) -> Result<Vec<Expr>> {
        let types = called::argument_types(self.catalog, &chosen.object);
        let mut given = Vec::with_capacity(arguments.len());
        for ((argument, at), place) in arguments.into_iter().zip(&chosen.places) {
            let kind = types.get(*place).copied().unwrap_or(TypeKind::Text);
            given.push(self.implicit(argument, kind, at)?);
        }
        Ok(given)
    }

    /// The values of all inputs: what is given, and defaults.
    pub(super) fn inputs(&mut self, chosen: &Chosen, given: Vec<Expr>) -> Result<Vec<Expr>> {
        let types = called::argument_types(self.catalog, &chosen.object);
        let mut values: Vec<Option<Expr>> = types.iter().map(|_| None).collect();
        for (value, place) in given.into_iter().zip(&chosen.places) {
            if let Some(slot) = values.get_mut(*place) {
                *slot = Some(value);
            }
        }
        let object = chosen.object.clone();
        let inputs: Vec<_> = object.function().into_iter().flat_map(|function| function.inputs()).collect();
        let mut all = Vec::with_capacity(values.len());
        for ((value, input), kind) in values.into_iter().zip(inputs).zip(types) {
            all.push(match (value, &input.default) {
                (Some(value), _) => value,
                (None, Some(default)) => {
                    let parsed = parse::parse_expression(default)?;
                    let ty = Type::plain(kind);
                    self.of_kept(|binder| binder.default_expression(&parsed, ty, &input.name))?
                }
                (None, None) => return Err(Error::internal("an argument without a value")),
            });
        }
        Ok(all)
    }
}

/// Whether there is another signature like that of this place.
fn is_twice(signatures: &[Vec<TypeKind>], place: usize) -> bool {
    let own = signatures.get(place);
    signatures.iter().filter(|other| Some(*other) == own).nth(1).is_some()
}

/// Whether a candidate is one that was made in this schema.
fn is_beside(candidate: Option<&Chosen>, within: &str) -> bool {
    candidate.is_some_and(|chosen| chosen.object.schema == within)
}

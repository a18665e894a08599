//! `r(lower, upper)`, `r(lower, upper, '[]')` and `r(x)`: ranges that were made are called like functions.

use expr::casts::CastContext;
use expr::functions::{self, range_made};
use expr::resolve::{self, Meant};
use expr::{Expr, TypeKind};

use super::Binder;
use super::inlined::refuse_words_of_aggregates;
use crate::catalog::called;
use crate::error::{Error, Result};
use crate::parse::ast;

impl Binder<'_> {
    /// What a call answers, if it is of a range's constructor, or a cast to a range.
    pub(super) fn range_call(&mut self, call: &ast::Function, at: usize) -> Result<Option<Expr>> {
        let Some(kind) = self.range_called(call)? else { return Ok(None) };
        refuse_words_of_aggregates(call, at)?;
        let arguments = self.arguments(&call.arguments)?;
        self.range_made(call, kind, arguments, at).map(Some)
    }

    /// What the call of a range's constructor, or a cast to it, answers for these arguments.
    ///
    /// # Errors
    /// 42883: it takes none such.
    pub(super) fn range_made(
        &mut self,
        call: &ast::Function,
        kind: TypeKind,
        arguments: Vec<(Expr, usize)>,
        at: usize,
    ) -> Result<Expr> {
        self.types_named.borrow_mut().extend(kind.made_oid());
        if !self.is_kept_call(call) {
            let (schema, name) = (call.name.schema.as_ref(), &call.name.name);
            let first = schema.unwrap_or(name);
            self.note_type(schema.map(|schema| schema.value.as_str()), (name.value.as_str(), first.at), kind);
        }
        let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
        let is_plain = call.named.is_empty() && call.variadic.is_none();
        if let [from] = kinds.as_slice()
            && is_plain
            && (*from == TypeKind::Unknown || resolve::can_coerce(*from, kind, CastContext::Explicit))
        {
            let argument = arguments.into_iter().next();
            let (argument, at) = argument.ok_or_else(|| Error::internal("a cast without an operand"))?;
            return self.coerce(argument, kind.into(), CastContext::Explicit, at);
        }
        let subtype = kind.subtype().ok_or_else(|| Error::internal("a range of no type"))?;
        let takes: Vec<TypeKind> =
            [subtype, subtype, TypeKind::Text].into_iter().take(kinds.len().max(2)).collect();
        let fits = takes.len() == kinds.len()
            && resolve::choose(std::slice::from_ref(&takes), &kinds) == Meant::One(0);
        if !fits || !is_plain {
            let shown: Vec<&str> = kinds.iter().map(|kind| kind.display_name()).collect();
            let schema = call.name.schema.as_ref().map(|schema| schema.value.as_str());
            let name = called::plain(schema, &call.name.name.value);
            let message = format!("function {name}({}) does not exist", shown.join(", "));
            return Err(Error::new("42883", message)
                .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
                .at(at));
        }
        let mut args = Vec::with_capacity(takes.len());
        for ((argument, at), kind) in arguments.into_iter().zip(takes) {
            args.push(self.implicit(argument, kind, at)?);
        }
        if self.written.is_some() {
            let object = self.catalog.objects().get(kind.oid());
            let name = object.map(|object| called::kept(object.oid, &object.name)).unwrap_or_default();
            return Ok(self.call_in_words(&name, &args, &[], kind.into()));
        }
        Ok(Expr::Call { function: range_made::CONSTRUCTOR, args, ty: kind.into() })
    }

    /// The range that a call names which names no function that was made: of these the arguments decide.
    ///
    /// # Errors
    /// 0A000: it is a multirange.
    fn range_called(&self, call: &ast::Function) -> Result<Option<TypeKind>> {
        // Kept texts name functions that were made by oid.
        let is_kept = self.is_kept_call(call) || self.calls_kept || self.is_within_known();
        let name = call.name.name.value.as_str();
        match !is_kept && self.catalog.objects().functions_named(name).next().is_some() {
            true => Ok(None),
            false => self.range_named(call),
        }
    }

    /// The range that a call names. A function that is built in is meant before it.
    ///
    /// # Errors
    /// 0A000: it is a multirange.
    pub(super) fn range_named(&self, call: &ast::Function) -> Result<Option<TypeKind>> {
        let name = call.name.name.value.as_str();
        let objects = self.catalog.objects();
        if self.is_kept_call(call) {
            let kind = called::parts(name).and_then(|(oid, _)| objects.kind(oid));
            return Ok(kind.filter(|kind| kind.is_made_range()));
        }
        let is_function = !functions::by_name(name).is_empty();
        let schema = call.name.schema.as_ref().map(|schema| schema.value.as_str());
        // In a view's query a schema may be called otherwise now.
        let is_nowhere = self.viewed_types().is_empty()
            && schema.is_some_and(|schema| objects.schema_oid(schema).is_none());
        if call.in_words || is_function || is_nowhere {
            return Ok(None);
        }
        match self.type_named(schema, name)? {
            None if objects.range_of_multirange(schema, name).is_some() => {
                Err(Error::unsupported(format!("multirange {name}")).at(call.name.name.at))
            }
            kind => Ok(kind.filter(|kind| kind.is_made_range())),
        }
    }

    /// What the constructor of the range of this name in a schema takes of so many arguments; a domain counts as what it is over.
    pub(super) fn range_signature(&self, within: &str, name: &str, count: usize) -> Option<Vec<TypeKind>> {
        let kind = self.catalog.objects().type_named(within, name).filter(|kind| kind.is_made_range())?;
        let subtype = kind.subtype()?.base();
        match count {
            2 => Some(vec![subtype, subtype]),
            3 => Some(vec![subtype, subtype, TypeKind::Text]),
            _ => None,
        }
    }
}

//! The arguments of a call of a built-in function that are given by name (`f(b => 1)`), or in an array (`f(VARIADIC a)`).

use expr::casts::CastContext;
use expr::functions::parameters::{Place, places};
use expr::functions::{self, spread};
use expr::resolve::{self, Resolved};
use expr::{Expr, TypeKind};

use super::Binder;
use crate::error::{Error, Result};
use crate::parse::ast;

/// An argument, and where it stands.
type Argument = (Expr, usize);

/// Aggregates and windows take neither.
pub(super) fn refuse_other_places(call: &ast::Function) -> Result<()> {
    if let Some(name) = call.named.first() {
        return Err(Error::unsupported("a named argument of an aggregate or window function").at(name.at));
    }
    match call.variadic {
        Some(at) => Err(Error::unsupported("VARIADIC of an aggregate or window function").at(at)),
        None => Ok(()),
    }
}

impl Binder<'_> {
    /// The arguments of a call in the places of the parameters whose names the last of them have, with defaults for those between
    /// them that are not given.
    pub(super) fn in_their_places(
        &self,
        call: &ast::Function,
        arguments: Vec<Argument>,
        at: usize,
    ) -> Result<Vec<Argument>> {
        if call.named.is_empty() {
            return Ok(arguments);
        }
        let named: Vec<&str> = call.named.iter().map(|name| name.value.as_str()).collect();
        let mut known = functions::by_name(&call.name.name.value).iter();
        let Some(found) = known.find_map(|function| places(*function, arguments.len(), &named)) else {
            return Err(no_such_function(call, &arguments).at(at));
        };
        let mut arguments: Vec<Option<Argument>> = arguments.into_iter().map(Some).collect();
        let mut placed = Vec::with_capacity(found.len());
        for place in found {
            placed.push(match place {
                Place::Argument(number) => arguments
                    .get_mut(number)
                    .and_then(Option::take)
                    .ok_or_else(|| Error::internal("an argument that stands in two places"))?,
                Place::Default(text) => (Expr::literal(text, TypeKind::Unknown), at),
            });
        }
        Ok(placed)
    }

    /// The call of a function of any number of arguments that is given the last of them in an array.
    pub(super) fn spread_call(
        &mut self,
        call: &ast::Function,
        arguments: Vec<Argument>,
        word_at: usize,
        at: usize,
    ) -> Result<Expr> {
        if !call.named.is_empty() {
            return Err(Error::unsupported("VARIADIC beside a named argument").at(word_at));
        }
        let found = spread::by_name(&call.name.name.value);
        let Some(function) = found.filter(|function| function.args.len() == arguments.len()) else {
            return Err(no_such_function(call, &arguments).at(at));
        };
        let fits = arguments.iter().zip(function.args).all(|((argument, _), kind)| {
            *kind == TypeKind::Any || resolve::can_coerce(argument.ty().kind, *kind, CastContext::Implicit)
        });
        if !fits {
            return Err(no_such_function(call, &arguments).at(at));
        }
        if let Some((array, array_at)) = arguments.last()
            && function.args.last() == Some(&TypeKind::Any)
            && array.ty().kind.base().element().is_none()
        {
            return Err(Error::new("42804", "VARIADIC argument must be an array").at(*array_at));
        }
        let resolved = Resolved { function, args: function.args.to_vec(), result: function.result };
        let args = self.fit(&resolved, arguments)?;
        Ok(Expr::Call { function, args, ty: function.result.into() })
    }
}

/// 42883
fn no_such_function(call: &ast::Function, arguments: &[Argument]) -> Error {
    let unnamed = arguments.len().saturating_sub(call.named.len());
    let shown = arguments.iter().enumerate().map(|(place, (argument, _))| {
        let kind = argument.ty().kind.display_name();
        match place.checked_sub(unnamed).and_then(|place| call.named.get(place)) {
            Some(name) => format!("{} => {kind}", name.value),
            None => kind.to_owned(),
        }
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    let name = &call.name.name.value;
    Error::new("42883", format!("function {name}({shown}) does not exist")).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

//! PostgreSQL's type conversion (manual, chapter 10): which operator, function and common type a statement means,
//! and the casts that make its operands fit. Pure functions on types; [`coerce`] builds expressions.

mod candidates;
mod coercion;
mod polymorphic;
mod presence;

use crate::error::{Error, Result};
use crate::functions::{self, FunctionId};
use crate::operators::{self, Operator};
use crate::session::SessionContext;
use crate::tree::Expr;
use crate::types::TypeKind;

pub use coercion::{can_coerce, coerce, coerce_as_written, coerce_boolean, coerce_literal};
pub use presence::{is_missing, is_there};

/// A function or operator that was chosen.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Which.
    pub function: FunctionId,
    /// What each argument must be coerced to, polymorphic and variadic parameters replaced. "any" stays: such an
    /// argument is taken as it is, even an unknown literal.
    pub args: Vec<TypeKind>,
    /// Of the result, polymorphic ones replaced.
    pub result: TypeKind,
}

/// What a call by name turned out to be.
#[derive(Debug, Clone)]
pub enum Callee {
    /// A function, aggregate or set-returning function (see its `kind`).
    Function(Resolved),
    /// `text(x)`, `int4(x)`: a cast that is written like a call.
    Cast(TypeKind),
}

/// The types of a call as error messages list them: `integer, text`.
fn list(types: &[TypeKind]) -> String {
    types.iter().map(|kind| kind.display_name()).collect::<Vec<_>>().join(", ")
}

/// The function that a call means. 42883 if there is none, 42725 if several are equally good.
pub fn function(name: &str, args: &[TypeKind]) -> Result<Callee> {
    let signatures: Vec<(FunctionId, Vec<TypeKind>)> = functions::by_name(name)
        .iter()
        .filter_map(|function| candidates::parameters(*function, args.len()).map(|types| (*function, types)))
        .collect();
    let actual = args;
    let bases: Vec<TypeKind> = args.iter().map(|kind| kind.base()).collect();
    let args = bases.as_slice();
    if let Some((function, types)) = signatures.iter().find(|(_, types)| types == args) {
        return polymorphic::settle(*function, types, function.result, actual).map(Callee::Function);
    }
    if let [from] = args
        && let Some(to) = TypeKind::all().find(|kind| kind.name() == name && is_called(*kind))
        && (*from == TypeKind::Unknown || can_coerce(*from, to, crate::casts::CastContext::Explicit))
    {
        return Ok(Callee::Cast(to));
    }
    let shown = || format!("{name}({})", list(actual));
    match candidates::choose(&signatures, actual, args) {
        candidates::Choice::One((function, types)) => {
            polymorphic::settle(*function, types, function.result, actual).map(Callee::Function)
        }
        candidates::Choice::None if functions::is_missing(name) => {
            Err(Error::unsupported(format!("function {} is not supported", shown())))
        }
        candidates::Choice::None => Err(Error::new("42883", format!("function {} does not exist", shown()))
            .with_hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            )),
        candidates::Choice::Many => Err(Error::new("42725", format!("function {} is not unique", shown()))
            .with_hint("Could not choose a best candidate function. You might need to add explicit type casts.")),
    }
}

/// Whether a cast to a type may be written like a call. Whoever looks the name up knows of extensions that have functions,
/// but none is called like arrays of its type.
fn is_called(kind: TypeKind) -> bool {
    !kind.is_polymorphic() && (kind.extension().is_none() || kind.element().is_none())
}

/// The parameter types that a call with so many arguments gives each function of this name that can be called with them.
pub fn signatures(name: &str, count: usize) -> Vec<(FunctionId, Vec<TypeKind>)> {
    let functions = functions::by_name(name).iter();
    functions.filter_map(|own| candidates::parameters(*own, count).map(|types| (*own, types))).collect()
}

/// What a call means of several signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// None of them.
    None,
    /// The one of this place.
    One(usize),
    /// Several are equally good.
    Many,
}

/// The one of several signatures that arguments of these types mean: the first that they fit exactly, else the best. A domain
/// counts as what it is over.
pub fn choose(signatures: &[Vec<TypeKind>], args: &[TypeKind]) -> Meant {
    let args: Vec<TypeKind> = args.iter().map(|kind| kind.base()).collect();
    if let Some(exact) = signatures.iter().position(|types| *types == args) {
        return Meant::One(exact);
    }
    let numbered: Vec<(usize, Vec<TypeKind>)> = signatures.iter().cloned().enumerate().collect();
    match candidates::choose(&numbered, &args, &args) {
        candidates::Choice::None => Meant::None,
        candidates::Choice::One((place, _)) => Meant::One(*place),
        candidates::Choice::Many => Meant::Many,
    }
}

/// The operator that `left name right`, or `name right`, means. 42883 if there is none, 42725 if several are
/// equally good.
pub fn operator(
    name: &str,
    left: Option<TypeKind>,
    right: TypeKind,
) -> Result<(&'static Operator, Resolved)> {
    let settle = |operator: &'static Operator| {
        let declared: Vec<TypeKind> = operator.left.into_iter().chain([operator.right]).collect();
        let actual: Vec<TypeKind> = left.into_iter().chain([right]).collect();
        polymorphic::settle(operator.function, &declared, operator.result, &actual)
            .map(|resolved| (operator, resolved))
    };
    // An unknown literal beside another type is first taken to be of that type; a domain counts as what it is over.
    let exact = match (left.map(TypeKind::base), right.base()) {
        (Some(TypeKind::Unknown), right) => operators::find(name, Some(right), right),
        (Some(left), TypeKind::Unknown) => operators::find(name, Some(left), left),
        (left, right) => operators::find(name, left, right),
    };
    if let Some(operator) = exact {
        return settle(operator);
    }
    let signatures: Vec<(&'static Operator, Vec<TypeKind>)> = operators::by_name(name)
        .iter()
        .filter(|operator| operator.left.is_some() == left.is_some())
        .map(|operator| (operator, operator.left.into_iter().chain([operator.right]).collect()))
        .collect();
    let actual: Vec<TypeKind> = left.into_iter().chain([right]).collect();
    let args: Vec<TypeKind> = actual.iter().map(|kind| kind.base()).collect();
    let shown = || match left {
        Some(left) => format!("{} {name} {}", left.display_name(), right.display_name()),
        None => format!("{name} {}", right.display_name()),
    };
    match candidates::choose(&signatures, &actual, &args) {
        candidates::Choice::One((operator, _)) => settle(operator),
        candidates::Choice::None => {
            let hint = match left {
                Some(_) => {
                    "No operator matches the given name and argument types. You might need to add explicit type casts."
                }
                None => {
                    "No operator matches the given name and argument type. You might need to add an explicit type cast."
                }
            };
            Err(Error::new("42883", format!("operator does not exist: {}", shown())).with_hint(hint))
        }
        candidates::Choice::Many => Err(Error::new("42725", format!("operator is not unique: {}", shown()))
            .with_hint(
                "Could not choose a best candidate operator. You might need to add explicit type casts.",
            )),
    }
}

/// The one type of UNION's columns, CASE's results, COALESCE's arguments, VALUES' columns (manual, 10.5).
/// `construct` is for the message: `CASE types text and integer cannot be matched` (42804).
pub fn common_type(construct: &str, types: &[TypeKind]) -> Result<TypeKind> {
    common_type_of(construct, types.iter().copied()).map_err(|mismatch| *mismatch.error)
}

/// A type that does not go with those before it.
#[derive(Debug)]
pub struct Mismatch {
    /// Its place among them, from 0.
    pub place: usize,
    /// 42804
    pub error: Box<Error>,
}

/// The same of types that are looked at once, in their order.
///
/// # Errors
/// The first that does not go with those before it.
pub fn common_type_of(
    construct: &str,
    types: impl IntoIterator<Item = TypeKind>,
) -> std::result::Result<TypeKind, Mismatch> {
    use crate::casts::CastContext::Implicit;
    let mut best = TypeKind::Unknown;
    let mut is_open = false;
    for (place, next) in types.into_iter().enumerate() {
        is_open |= next == TypeKind::Unknown;
        if next == TypeKind::Unknown || best == next {
            continue;
        }
        // Unlike domains meet in what they are over.
        let next = if best == TypeKind::Unknown { next } else { next.base() };
        best = if best == TypeKind::Unknown { best } else { best.base() };
        if best == next {
            continue;
        }
        if best == TypeKind::Unknown {
            best = next;
        } else if best.category() != next.category() {
            let (best, next) = (best.display_name(), next.display_name());
            let message = format!("{construct} types {best} and {next} cannot be matched");
            return Err(Mismatch { place, error: Box::new(Error::new("42804", message)) });
        } else if !best.is_preferred()
            && can_coerce(best, next, Implicit)
            && !can_coerce(next, best, Implicit)
        {
            best = next;
        }
    }
    Ok(match best {
        TypeKind::Unknown => TypeKind::Text,
        // What a literal becomes is no value of a domain.
        best if is_open && best.is_domain() => best.base(),
        best => best,
    })
}

/// The arguments as the chosen function takes them.
pub fn coerce_arguments(args: Vec<Expr>, resolved: &Resolved, session: &SessionContext) -> Result<Vec<Expr>> {
    args.into_iter()
        .zip(&resolved.args)
        .map(|(arg, kind)| match *kind {
            TypeKind::Any => Ok(arg),
            kind => coercion::implicit(arg, kind, session),
        })
        .collect()
}

/// The call of an operator with its operands coerced.
pub fn operator_call(name: &str, left: Option<Expr>, right: Expr, session: &SessionContext) -> Result<Expr> {
    let (_, resolved) = operator(name, left.as_ref().map(|left| left.ty().kind), right.ty().kind)?;
    let args = coerce_arguments(left.into_iter().chain([right]).collect(), &resolved, session)?;
    Ok(Expr::call(resolved.function, args, resolved.result))
}

/// The call of a scalar function, or the cast, that a call by name means, with its arguments coerced. 42809 for
/// aggregates and set-returning functions, whose place the caller decides.
pub fn function_call(name: &str, args: Vec<Expr>, session: &SessionContext) -> Result<Expr> {
    let types: Vec<TypeKind> = args.iter().map(|arg| arg.ty().kind).collect();
    match function(name, &types)? {
        Callee::Cast(to) => match <[Expr; 1]>::try_from(args) {
            Ok([arg]) => coerce(arg, to.into(), crate::casts::CastContext::Explicit, session),
            Err(_) => Err(Error::internal("cast of more than one value")),
        },
        Callee::Function(resolved) if resolved.function.kind == functions::FunctionKind::Scalar => {
            let args = coerce_arguments(args, &resolved, session)?;
            Ok(Expr::call(resolved.function, args, resolved.result))
        }
        Callee::Function(_) => Err(Error::new("42809", format!("{name} is not a scalar function"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::kinds::*;

    fn result(name: &str, left: TypeKind, right: TypeKind) -> Result<TypeKind> {
        operator(name, Some(left), right).map(|(_, resolved)| resolved.result)
    }

    fn takes(name: &str, args: &[TypeKind]) -> Vec<TypeKind> {
        match function(name, args).unwrap() {
            Callee::Function(resolved) => resolved.args,
            Callee::Cast(to) => vec![to],
        }
    }

    #[test]
    fn what_polymorphic_parameters_stand_for_is_told_by_domains_themselves() {
        let few = TypeKind::domain(20_000, Int4, "few");
        let range = TypeKind::range(20_010, few, "fewrange");
        assert_eq!(result("@>", range, few).unwrap(), Bool);
        assert_eq!(result("@>", range, range).unwrap(), Bool);
        assert_eq!(result("@>", range, Unknown).unwrap(), Bool);
        assert_eq!(result("@>", range, Int4).unwrap_err().sqlstate, "42883");
        let mood = TypeKind::made(20_020, TypeKind::Enum, crate::types::Symbol::of("mood"));
        assert_eq!(result("<", mood, Unknown).unwrap(), Bool);
        assert_eq!(result("<", TypeKind::domain(20_030, mood, "d"), Unknown).unwrap_err().sqlstate, "42883");
    }

    #[test]
    fn the_first_type_that_does_not_fit_is_found_in_one_pass() {
        let mut looked_at = 0;
        let types = (0..50_000).map(|place| if place == 40_000 { Bool } else { Int4 });
        let mismatch = common_type_of("ARRAY", types.inspect(|_| looked_at += 1)).unwrap_err();
        assert_eq!((mismatch.place, looked_at), (40_000, 40_001));
        assert_eq!(mismatch.error.message, "ARRAY types integer and boolean cannot be matched");
        let place = |types: &[TypeKind]| {
            common_type_of("CASE", types.iter().copied()).map_err(|mismatch| mismatch.place)
        };
        assert_eq!(place(&[Unknown, Int4, Unknown, Numeric, Text, Bool]), Err(4));
        assert_eq!(place(&[Unknown, Int4, Unknown, Numeric]), Ok(Numeric));
        assert_eq!(place(&[Unknown]), Ok(Text));
    }

    #[test]
    fn operators_are_chosen_as_the_manual_says() {
        assert_eq!(result("+", Int4, Int8).unwrap(), Int8);
        assert_eq!(result("+", Int4, Numeric).unwrap(), Numeric);
        assert_eq!(result("+", Float4, Int4).unwrap(), Float8);
        assert_eq!(result("*", Numeric, Float4).unwrap(), Float8);
        assert_eq!(result("-", Date, Unknown).unwrap(), Int4);
        assert_eq!(result("+", Timestamptz, Unknown).unwrap(), Timestamptz);
        assert_eq!(result("||", Unknown, Unknown).unwrap(), Text);
        assert_eq!(result("||", Text, Int4).unwrap(), Text);
        assert_eq!(result("||", Varchar, Varchar).unwrap(), Text);
        assert_eq!(result("=", Varchar, Unknown).unwrap(), Bool);
        assert_eq!(result("=", Bpchar, Text).unwrap(), Bool);
        assert_eq!(result("^", Int4, Int4).unwrap(), Float8);
        assert_eq!(operator("@", None, Unknown).unwrap().1.result, Float8);
        assert_eq!(result("+", Unknown, Unknown).unwrap_err().sqlstate, "42725");
        assert_eq!(result("+", Text, Int4).unwrap_err().sqlstate, "42883");
    }

    #[test]
    fn functions_are_chosen_as_the_manual_says() {
        assert_eq!(takes("round", &[Int4, Int4]), [Numeric, Int4]);
        assert_eq!(takes("round", &[Int4]), [Float8]);
        assert_eq!(takes("substr", &[Unknown, Int4]), [Text, Int4]);
        assert_eq!(takes("substr", &[Varchar, Int4]), [Text, Int4]);
        assert_eq!(takes("abs", &[Unknown]), [Float8]);
        assert_eq!(takes("text", &[Int4]), [Text]);
        assert_eq!(takes("concat", &[Int4, Unknown, Date]), [Any, Any, Any]);
        assert_eq!(takes("sum", &[Int2]), [Int2]);
        assert_eq!(takes("max", &[Varchar]), [Text]);
        assert_eq!(takes("array_length", &[TextArray, Int4]), [TextArray, Int4]);
        assert_eq!(function("substr", &[Int4, Int4]).unwrap_err().sqlstate, "42883");
        assert_eq!(function("no_such", &[]).unwrap_err().sqlstate, "42883");
    }

    #[test]
    fn the_signature_is_chosen_that_fits_best() {
        let signatures = [vec![Int4], vec![Text], vec![Int8], vec![Int8]];
        assert_eq!(choose(&signatures, &[Int8]), Meant::One(2));
        assert_eq!(choose(&signatures, &[Varchar]), Meant::One(1));
        assert_eq!(choose(&signatures, &[Unknown]), Meant::One(1));
        assert_eq!(choose(&signatures, &[Int2]), Meant::Many);
        assert_eq!(choose(&signatures, &[Date]), Meant::None);
        assert_eq!(choose(&[vec![]], &[]), Meant::One(0));
    }

    #[test]
    fn common_types_are_found() {
        assert_eq!(common_type("CASE", &[Int4, Numeric, Int2]).unwrap(), Numeric);
        assert_eq!(common_type("CASE", &[Unknown, Unknown]).unwrap(), Text);
        assert_eq!(common_type("CASE", &[Unknown, Date]).unwrap(), Date);
        assert_eq!(common_type("UNION", &[Varchar, Text]).unwrap(), Varchar);
        let few = TypeKind::domain(20_000, Int4, "few");
        assert_eq!(common_type("CASE", &[few, few]).unwrap(), few);
        assert_eq!(common_type("CASE", &[Unknown, few]).unwrap(), Int4);
        assert_eq!(common_type("CASE", &[few, Unknown]).unwrap(), Int4);
        let error = common_type("UNION", &[Int4, Text]).unwrap_err();
        assert_eq!(error.message, "UNION types integer and text cannot be matched");
    }
}

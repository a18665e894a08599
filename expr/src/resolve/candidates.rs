//! The choice among overloads: `func_select_candidate` of PostgreSQL's `parse_func.c` (manual, 10.2 and 10.3).

use super::coercion::can_coerce;
use super::polymorphic;
use crate::casts::CastContext::Implicit;
use crate::functions::FunctionId;
use crate::types::{Category, TypeKind};

/// Something with the parameter types that a call would give it.
type Candidate<T> = (T, Vec<TypeKind>);

/// The outcome.
pub(super) enum Choice<'a, T> {
    None,
    One(&'a Candidate<T>),
    Many,
}

/// The parameter types of a function when it is called with so many arguments; None if it cannot be.
pub(super) fn parameters(function: FunctionId, count: usize) -> Option<Vec<TypeKind>> {
    let declared = function.args;
    if function.variadic {
        let (last, first) = declared.split_last()?;
        let repeated = count.checked_sub(first.len()).filter(|repeated| *repeated > 0)?;
        return Some(first.iter().copied().chain(std::iter::repeat_n(*last, repeated)).collect());
    }
    let least = declared.len() - function.defaults.min(declared.len());
    (least..=declared.len()).contains(&count).then(|| declared.iter().copied().take(count).collect())
}

fn all_coerce((actual, args): (&[TypeKind], &[TypeKind]), types: &[TypeKind]) -> bool {
    args.iter().zip(types).all(|(from, to)| can_coerce(*from, *to, Implicit))
        && polymorphic::is_consistent(types, actual)
}

/// Keeps those that score highest.
fn keep_best<T>(candidates: Vec<&Candidate<T>>, score: impl Fn(&[TypeKind]) -> usize) -> Vec<&Candidate<T>> {
    let best = candidates.iter().map(|(_, types)| score(types)).max().unwrap_or(0);
    candidates.into_iter().filter(|(_, types)| score(types) == best).collect()
}

/// The candidate that the arguments mean. `args` are what those of `actual` count as that are domains: only what polymorphic
/// parameters stand for is told by the domains themselves.
pub(super) fn choose<'a, T>(
    candidates: &'a [Candidate<T>],
    actual: &[TypeKind],
    args: &[TypeKind],
) -> Choice<'a, T> {
    let known = |types: &[TypeKind], counts: &dyn Fn(TypeKind, TypeKind) -> bool| {
        args.iter().zip(types).filter(|(arg, to)| **arg != TypeKind::Unknown && counts(**arg, **to)).count()
    };
    let mut left: Vec<_> = candidates.iter().filter(|(_, types)| all_coerce((actual, args), types)).collect();
    if left.len() > 1 {
        left = keep_best(left, |types| known(types, &|arg, to| arg == to));
    }
    if left.len() > 1 {
        // Exact, or a preferred type of the argument's category.
        left = keep_best(left, |types| {
            known(types, &|arg, to| arg == to || to.is_preferred() && to.category() == arg.category())
        });
    }
    if left.len() > 1 && args.contains(&TypeKind::Unknown) {
        left = by_category_of_unknowns(left, args);
    }
    if left.len() > 1
        && args.contains(&TypeKind::Unknown)
        && let Some(only) = by_the_one_known_type(&left, args)
    {
        return Choice::One(only);
    }
    match left.as_slice() {
        [] => Choice::None,
        [one] => Choice::One(one),
        _ => Choice::Many,
    }
}

/// Where arguments are unknown: those whose parameters there are of the one category that all have, or of strings if
/// any is; and of that category's preferred type if any is.
fn by_category_of_unknowns<'a, T>(left: Vec<&'a Candidate<T>>, args: &[TypeKind]) -> Vec<&'a Candidate<T>> {
    let unknown_places: Vec<usize> = args
        .iter()
        .enumerate()
        .filter(|(_, arg)| **arg == TypeKind::Unknown)
        .map(|(place, _)| place)
        .collect();
    let mut wanted: Vec<(usize, Category, bool)> = Vec::new();
    for place in unknown_places {
        let kinds: Vec<TypeKind> = left.iter().filter_map(|(_, types)| types.get(place).copied()).collect();
        let Some(first) = kinds.first().map(|kind| kind.category()) else { return left };
        let category = if kinds.iter().any(|kind| kind.category() == Category::String) {
            Category::String
        } else if kinds.iter().all(|kind| kind.category() == first) {
            first
        } else {
            return left;
        };
        let preferred = kinds.iter().any(|kind| kind.category() == category && kind.is_preferred());
        wanted.push((place, category, preferred));
    }
    let fits = |types: &[TypeKind]| {
        wanted.iter().all(|(place, category, preferred)| {
            types
                .get(*place)
                .is_some_and(|kind| kind.category() == *category && (!preferred || kind.is_preferred()))
        })
    };
    let kept: Vec<_> = left.iter().copied().filter(|(_, types)| fits(types)).collect();
    if kept.is_empty() { left } else { kept }
}

/// If all known arguments are of one type: the only candidate that takes the unknown ones as that type too.
fn by_the_one_known_type<'a, T>(left: &[&'a Candidate<T>], args: &[TypeKind]) -> Option<&'a Candidate<T>> {
    let mut known = args.iter().copied().filter(|arg| *arg != TypeKind::Unknown);
    let first = known.next()?;
    if !known.all(|kind| kind == first) {
        return None;
    }
    let assumed = vec![first; args.len()];
    let mut fitting = left.iter().copied().filter(|(_, types)| all_coerce((&assumed, &assumed), types));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

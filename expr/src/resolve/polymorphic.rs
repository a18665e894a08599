//! anyelement, anyarray, anyrange and their like: what they stand for in a call (manual, 38.2.5).

use super::{Resolved, common_type};
use crate::error::{Error, Result};
use crate::functions::FunctionId;
use crate::types::TypeKind;

/// What the polymorphic parameters of a call stand for.
#[derive(Default)]
struct Bindings {
    /// anyelement, the element of anyarray, and what the bounds of anyrange and anymultirange are.
    element: Option<TypeKind>,
    /// anyarray, where it was given: a vector is not the array of its elements.
    array: Option<TypeKind>,
    /// anyrange, and what anymultirange is made of.
    range: Option<TypeKind>,
    /// anycompatible, and the element of anycompatiblearray.
    compatible: Option<TypeKind>,
}

/// Whether the arguments agree on what the polymorphic parameters stand for.
pub(super) fn is_consistent(declared: &[TypeKind], actual: &[TypeKind]) -> bool {
    bind(declared, actual).is_some()
}

fn bind(declared: &[TypeKind], actual: &[TypeKind]) -> Option<Bindings> {
    let mut bindings = Bindings::default();
    let mut compatible = Vec::new();
    let mut agree = |element: TypeKind| match bindings.element.replace(element) {
        None => true,
        Some(before) => before == element,
    };
    for (declared, actual) in declared.iter().zip(actual) {
        let unknown = *actual == TypeKind::Unknown;
        let fits = match *declared {
            TypeKind::AnyElement | TypeKind::AnyEnum | TypeKind::AnyNonArray if unknown => true,
            TypeKind::AnyNonArray if actual.element().is_some() => false,
            TypeKind::AnyEnum if !actual.is_enum() => false,
            TypeKind::AnyElement | TypeKind::AnyEnum | TypeKind::AnyNonArray => agree(*actual),
            TypeKind::AnyArray if unknown => true,
            TypeKind::AnyArray => {
                bindings.array.get_or_insert(if actual.is_domain() { actual.base() } else { *actual });
                actual.element().is_some_and(&mut agree)
            }
            TypeKind::AnyRange if unknown => true,
            TypeKind::AnyRange => {
                let actual = actual.base();
                *bindings.range.get_or_insert(actual) == actual && actual.subtype().is_some_and(&mut agree)
            }
            TypeKind::AnyMultirange if unknown => true,
            TypeKind::AnyMultirange => match actual.ranges() {
                Some(range) => {
                    *bindings.range.get_or_insert(range) == range && range.subtype().is_some_and(&mut agree)
                }
                None => false,
            },
            TypeKind::AnyCompatible => {
                compatible.push(*actual);
                true
            }
            TypeKind::AnyCompatibleArray if unknown => true,
            TypeKind::AnyCompatibleArray => {
                compatible.extend(actual.element());
                actual.element().is_some()
            }
            _ => true,
        };
        if !fits {
            return None;
        }
    }
    if !compatible.is_empty() {
        bindings.compatible = Some(common_type("", &compatible).ok()?);
    }
    Some(bindings)
}

/// The chosen function with its polymorphic types replaced. 42804 if they cannot be told.
pub(super) fn settle(
    function: FunctionId,
    declared: &[TypeKind],
    result: TypeKind,
    actual: &[TypeKind],
) -> Result<Resolved> {
    if !result.is_polymorphic() && !declared.iter().any(|kind| kind.is_polymorphic()) {
        return Ok(Resolved { function, args: declared.to_vec(), result });
    }
    let undetermined =
        || Error::new("42804", "could not determine polymorphic type because input has type unknown");
    let bindings = bind(declared, actual).ok_or_else(undetermined)?;
    let array_of = |element: Option<TypeKind>| element.and_then(TypeKind::array).ok_or_else(undetermined);
    let replace = |kind: TypeKind| match kind {
        TypeKind::AnyElement | TypeKind::AnyEnum | TypeKind::AnyNonArray => {
            bindings.element.ok_or_else(undetermined)
        }
        TypeKind::AnyArray => bindings.array.map_or_else(|| array_of(bindings.element), Ok),
        TypeKind::AnyRange => bindings.range.ok_or_else(undetermined),
        TypeKind::AnyMultirange => {
            let refused =
                |range: TypeKind| Error::unsupported(format!("the multirange of {}", range.display_name()));
            bindings
                .range
                .ok_or_else(undetermined)
                .and_then(|range| range.multirange().ok_or_else(|| refused(range)))
        }
        TypeKind::AnyCompatible => Ok(bindings.compatible.unwrap_or(TypeKind::Text)),
        TypeKind::AnyCompatibleArray => array_of(bindings.compatible.or(Some(TypeKind::Text))),
        other => Ok(other),
    };
    // A lone unknown for quote_literal(anyelement) and its like is text.
    let args: Result<Vec<_>> = declared.iter().map(|kind| replace(*kind)).collect();
    Ok(Resolved { function, args: args?, result: replace(result)? })
}

//! Records that are compared say themselves what their fields are: PostgreSQL refuses those of unlike types, but only once
//! the fields before them are alike (`record_cmp`, `record_eq`). Values of composite types are of the same fields, and what
//! is joined by its hash is not asked.

use std::cmp::Ordering;

use crate::compare::{Comparison, compare};
use crate::datum::Datum;
use crate::datum::array::Array;
use crate::datum::record::{Record, Shape};
use crate::error::{Error, Result};
use crate::types::{Order, TypeKind};

/// Whether a comparison holds of two values.
///
/// # Errors
/// 42804: they are, or hold, records of unlike fields. 42883: of fields without a type.
#[inline]
pub fn holds(test: Comparison, left: &Datum, right: &Datum) -> Result<bool> {
    Ok(test.holds(order(test, left, right)?))
}

/// The order of two values as a comparison asks for it.
///
/// # Errors
/// 42804: they are, or hold, records of unlike fields. 42883: of fields without a type.
#[inline]
pub fn order(test: Comparison, left: &Datum, right: &Datum) -> Result<Ordering> {
    match (left, right) {
        (Datum::Record(_), Datum::Record(_)) | (Datum::Array(_), Datum::Array(_)) => {
            order_of_parts(test, left, right)
        }
        _ => Ok(compare(left, right)),
    }
}

fn order_of_parts(test: Comparison, left: &Datum, right: &Datum) -> Result<Ordering> {
    match (left, right) {
        (Datum::Record(one), Datum::Record(other)) => match (one.shape(), other.shape()) {
            (Some(shape), Some(other_shape)) => {
                order_of_records(test, (shape.as_ref(), one.as_ref()), (other_shape.as_ref(), other.as_ref()))
            }
            _ => Ok(compare(left, right)),
        },
        (Datum::Array(one), Datum::Array(other)) if holds_records(one) && is_asked(test, one, other) => {
            for (one, other) in one.iter().zip(other.iter()) {
                let order = order(test, one, other)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            Ok(compare(left, right))
        }
        _ => Ok(compare(left, right)),
    }
}

fn order_of_records(
    test: Comparison,
    (one, left): (&Shape, &Record),
    (other, right): (&Shape, &Record),
) -> Result<Ordering> {
    for (place, ((_, one, left), (_, other, right))) in one.of(left).zip(other.of(right)).enumerate() {
        check_types(place, one.kind, other.kind)?;
        check_known(test, one.kind)?;
        let order = order(test, left, right)?;
        if order.is_ne() {
            return Ok(order);
        }
    }
    check_count(left, right)?;
    Ok(Ordering::Equal)
}

/// Whether the elements of an array are records.
fn holds_records(items: &Array) -> bool {
    matches!(items.iter().find(|item| !item.is_null()), Some(Datum::Record(_)))
}

/// Whether elements are looked at: arrays of unlike dimensions are not equal, whatever they hold.
fn is_asked(test: Comparison, left: &Array, right: &Array) -> bool {
    !matches!(test, Comparison::Equal | Comparison::NotEqual) || left.dimensions().eq(right.dimensions())
}

/// That the fields of two records in one place, from 0, are of one type.
///
/// # Errors
/// 42804: they are not.
pub(crate) fn check_types(place: usize, one: TypeKind, other: TypeKind) -> Result<()> {
    if one.is_same(other) {
        return Ok(());
    }
    let (one, other, column) = (one.display_name(), other.display_name(), place.saturating_add(1));
    let message =
        format!("cannot compare dissimilar column types {one} and {other} at record column {column}");
    Err(Error::new("42804", message))
}

/// That a field is of a type that is compared so: not a literal of which nobody has said what it is, nor of a type without an
/// order. Transaction numbers are equal or not, and no more.
fn check_known(test: Comparison, kind: TypeKind) -> Result<()> {
    let is_compared = kind != TypeKind::Unknown && kind.order() != Order::None;
    let what = match test {
        _ if is_compared => return Ok(()),
        Comparison::Equal | Comparison::NotEqual if matches!(kind, TypeKind::Xid | TypeKind::XidArray) => {
            return Ok(());
        }
        Comparison::Equal | Comparison::NotEqual => "an equality operator",
        _ => "a comparison function",
    };
    Err(Error::new("42883", format!("could not identify {what} for type {}", kind.display_name())))
}

/// That two records have as many fields.
///
/// # Errors
/// 42804: they have not.
pub(crate) fn check_count(left: &Record, right: &Record) -> Result<()> {
    match left.fields().len() == right.fields().len() {
        true => Ok(()),
        false => Err(Error::new("42804", "cannot compare record types with different numbers of columns")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn record(fields: &[(TypeKind, Datum)]) -> Datum {
        let shape = Shape::new(fields.iter().map(|(kind, _)| ("f".to_owned(), (*kind).into())));
        let values = fields.iter().map(|(_, value)| value.clone()).collect();
        Datum::Record(Arc::new(Record::new(Arc::new(shape), values).unwrap()))
    }

    fn number(value: i32) -> (TypeKind, Datum) {
        (TypeKind::Int4, Datum::Int4(value))
    }

    #[test]
    fn records_of_unlike_fields_are_refused_once_those_before_them_are_alike() {
        let text = (TypeKind::Text, Datum::from("a"));
        let (numbers, mixed) = (record(&[number(1), number(2)]), record(&[number(1), text.clone()]));
        let refused = |left: &Datum, right: &Datum| holds(Comparison::Equal, left, right).unwrap_err();
        assert_eq!(
            refused(&numbers, &mixed).message,
            "cannot compare dissimilar column types integer and text at record column 2"
        );
        assert_eq!(
            refused(&numbers, &record(&[number(1)])).message,
            "cannot compare record types with different numbers of columns"
        );
        let other = record(&[number(2), text]);
        assert!(!holds(Comparison::Equal, &numbers, &other).unwrap());
        assert!(holds(Comparison::Less, &numbers, &other).unwrap());
    }

    #[test]
    fn fields_without_a_type_are_refused_once_they_are_asked() {
        let of = |number: i32| {
            record(&[(TypeKind::Int4, Datum::Int4(number)), (TypeKind::Unknown, Datum::from("a"))])
        };
        let refused = |test| order(test, &of(1), &of(1)).unwrap_err().message;
        assert_eq!(refused(Comparison::Equal), "could not identify an equality operator for type unknown");
        assert_eq!(refused(Comparison::Less), "could not identify a comparison function for type unknown");
        assert!(holds(Comparison::Less, &of(1), &of(2)).unwrap());
    }

    #[test]
    fn fields_of_types_without_an_order_are_refused() {
        let of = |kind: TypeKind, value: Datum| record(&[number(1), (kind, value)]);
        let refused = |test, record: &Datum| order(test, record, record).map_err(|error| error.message);
        let json = of(TypeKind::Json, Datum::from("1"));
        assert_eq!(
            refused(Comparison::NotEqual, &json).unwrap_err(),
            "could not identify an equality operator for type json"
        );
        let xid = of(TypeKind::Xid, Datum::Oid(1));
        assert_eq!(refused(Comparison::Equal, &xid), Ok(Ordering::Equal));
        assert_eq!(
            refused(Comparison::Less, &xid).unwrap_err(),
            "could not identify a comparison function for type xid"
        );
    }

    #[test]
    fn arrays_are_refused_where_their_records_are() {
        let of = |record: &Datum, count: usize| Datum::Array(vec![record.clone(); count].into());
        let (one, other) = (record(&[number(1)]), record(&[(TypeKind::Int8, Datum::Int8(1))]));
        let (left, right, longer) = (of(&one, 1), of(&other, 1), of(&other, 2));
        assert_eq!(holds(Comparison::Equal, &left, &right).unwrap_err().sqlstate, "42804");
        assert_eq!(holds(Comparison::Less, &left, &right).unwrap_err().sqlstate, "42804");
        assert!(holds(Comparison::NotEqual, &left, &longer).unwrap());
        assert_eq!(holds(Comparison::Less, &left, &longer).unwrap_err().sqlstate, "42804");
        assert!(holds(Comparison::Equal, &left, &of(&one, 1)).unwrap());
    }
}

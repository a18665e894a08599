//! Comparison operators of values that [`crate::compare::compare`] does not compare as they stand: blanks at the end do not
//! count, or a zone does, or so does how what is equal looks.

use std::cmp::Ordering;

use super::arguments::mismatch;
use crate::calendar::{
    DATE_INFINITY, DATE_MINUS_INFINITY, MICROS_PER_DAY, MICROS_PER_SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY, timestamp_is_finite, zone,
};
use crate::compare::compare_padded;
use crate::datum::Datum;
use crate::dissimilar;
use crate::error::Result;
use crate::row;
use crate::session::SessionContext;

/// The order of times of which one has a zone: the other counts in the session's, also where that is beyond what a timestamp
/// may be.
fn compare_zoned(args: &[Datum], session: &SessionContext) -> Result<Ordering> {
    let wide = |micros: i64| match micros {
        TIMESTAMP_INFINITY => i128::MAX,
        TIMESTAMP_MINUS_INFINITY => i128::MIN,
        micros => i128::from(micros),
    };
    let zoned = |local: i128| {
        let near = local.clamp(i128::from(i64::MIN / 2), i128::from(TIMESTAMP_INFINITY - 1));
        let offset = zone::offset_at_local(i64::try_from(near).unwrap_or(0), &session.time_zone);
        local - i128::from(offset) * i128::from(MICROS_PER_SECOND)
    };
    let instant = |value: &Datum| match value {
        Datum::Timestamptz(micros) => Ok(wide(*micros)),
        Datum::Timestamp(micros) if timestamp_is_finite(*micros) => Ok(zoned(wide(*micros))),
        Datum::Timestamp(micros) => Ok(wide(*micros)),
        Datum::Date(DATE_INFINITY) => Ok(i128::MAX),
        Datum::Date(DATE_MINUS_INFINITY) => Ok(i128::MIN),
        Datum::Date(days) => Ok(zoned(i128::from(*days) * i128::from(MICROS_PER_DAY))),
        _ => Err(mismatch()),
    };
    match args {
        [left, right] => Ok(instant(left)?.cmp(&instant(right)?)),
        _ => Err(mismatch()),
    }
}

/// The order of two records by how their fields look as rows store them: 1.0 is not 1.00, and NULL is NULL. 42804 if their
/// fields are not of the same types.
fn compare_images(left: &Datum, right: &Datum) -> Result<Ordering> {
    let (Datum::Record(left), Datum::Record(right)) = (left, right) else { return Err(mismatch()) };
    let image = |value: &Datum| {
        let mut image = Vec::new();
        row::put_values(std::slice::from_ref(value), &mut image);
        image
    };
    let (Some(one), Some(other)) = (left.shape(), right.shape()) else { return Err(mismatch()) };
    for (place, ((_, one, left), (_, other, right))) in one.of(left).zip(other.of(right)).enumerate() {
        dissimilar::check_types(place, one.kind, other.kind)?;
        let order = match (left.is_null(), right.is_null()) {
            (false, false) => image(left).cmp(&image(right)),
            (left, right) => left.cmp(&right),
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    dissimilar::check_count(left, right)?;
    Ok(Ordering::Equal)
}

macro_rules! comparisons {
    ($($blank:ident, $zoned:ident, $image:ident: $test:ident;)*) => {$(
        pub(super) fn $blank(left: &Datum, right: &Datum) -> Result<Datum> {
            Ok(Datum::Bool(compare_padded(left, right).$test()))
        }

        pub(super) fn $zoned(args: &[Datum], session: &SessionContext) -> Result<Datum> {
            Ok(Datum::Bool(compare_zoned(args, session)?.$test()))
        }

        pub(super) fn $image(left: &Datum, right: &Datum) -> Result<Datum> {
            Ok(Datum::Bool(compare_images(left, right)?.$test()))
        }
    )*};
}

comparisons! {
    blank_equal, zoned_equal, image_equal: is_eq;
    blank_not_equal, zoned_not_equal, image_not_equal: is_ne;
    blank_less, zoned_less, image_less: is_lt;
    blank_less_or_equal, zoned_less_or_equal, image_less_or_equal: is_le;
    blank_greater, zoned_greater, image_greater: is_gt;
    blank_greater_or_equal, zoned_greater_or_equal, image_greater_or_equal: is_ge;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::datum::Numeric;
    use crate::datum::record::{Record, Shape};
    use crate::types::TypeKind;

    fn record(fields: &[(TypeKind, Datum)]) -> Datum {
        let shape = Shape::new(fields.iter().map(|(kind, _)| ("f".to_owned(), (*kind).into())));
        let values = fields.iter().map(|(_, value)| value.clone()).collect();
        Datum::Record(Arc::new(Record::new(Arc::new(shape), values).unwrap()))
    }

    #[test]
    fn images_tell_apart_what_is_equal() {
        let number =
            |unscaled: i64, scale| (TypeKind::Numeric, Datum::Numeric(Numeric::finite(unscaled, scale)));
        let null = || (TypeKind::Text, Datum::Null);
        let (one, same, longer) = (
            record(&[number(10, 1), null()]),
            record(&[number(10, 1), null()]),
            record(&[number(100, 2), null()]),
        );
        assert!(image_equal(&one, &same).unwrap().is_true());
        assert!(image_not_equal(&one, &longer).unwrap().is_true());
        let order = compare_images(&one, &longer).unwrap();
        assert_eq!(compare_images(&longer, &one).unwrap(), order.reverse());
        let text = record(&[number(10, 1), (TypeKind::Text, Datum::from("a"))]);
        assert!(image_greater(&one, &text).unwrap().is_true());
        for other in [record(&[number(10, 1)]), record(&[(TypeKind::Int4, Datum::Int4(1)), null()])] {
            assert_eq!(image_equal(&one, &other).unwrap_err().sqlstate, "42804");
        }
    }
}

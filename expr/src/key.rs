//! Values in keys: [`keys::encode`]'s encodings chosen by type.
//!
//! Some values lose their display form in a key (numeric `1.00`, `-0`, intervals): see [`restores`]. char(n) loses its
//! blanks and gets them back from the type's length. Values of composite types say themselves what they are made of:
//! [`mod@record`].

mod record;

use std::sync::Arc;

use bytes::Bytes;
use keys::encode::decimal::{self, Decimal};
use keys::encode::{self, Direction, Malformed};

use crate::datum::array::{Array, DIMENSIONS_MAX, Dimension};
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::keyed;
use crate::numeric;
use crate::types::{Form, Order, Type, TypeKind};

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Error::new("XX001", malformed.to_string())
    }
}

fn mismatch(ty: Type) -> Error {
    Error::internal(format!("value in a key is not of type {}", ty.display_name()))
}

fn no_key(ty: Type) -> Error {
    Error::unsupported(format!("keys of type {}", ty.display_name()))
}

/// Whether values of a type can stand in a key.
pub fn is_possible(kind: TypeKind) -> bool {
    match (kind.form(), kind.element()) {
        (Form::None | Form::Json, _) => false,
        // Whether what it is made of can is for those to find out who know that.
        (Form::Record, _) => !kind.is_built_in(),
        (Form::Array, Some(element)) => is_possible(element),
        _ => kind.order() != Order::None,
    }
}

/// Appends the value as one column of a key. The value must be of the type (0A000 for types that cannot stand in a
/// key, XX000 for another type's value).
pub fn encode_datum(value: &Datum, ty: Type, direction: Direction, out: &mut Vec<u8>) -> Result<()> {
    let row = ty.kind.row();
    match (value, row.form) {
        (Datum::Null, _) => encode::put_null(direction, out),
        (Datum::Int4(v), Form::Int4) => encode::put_column(direction, out, |out| encode::put_i32(*v, out)),
        (Datum::Int8(v), Form::Int8) => encode::put_column(direction, out, |out| encode::put_i64(*v, out)),
        (Datum::Int2(v), Form::Int2) => encode::put_column(direction, out, |out| encode::put_i16(*v, out)),
        (Datum::Text(v), Form::Text) => {
            let text = if row.order == Order::BlankPadded { v.trim_end_matches(' ') } else { v };
            encode::put_column(direction, out, |out| encode::put_bytes(text.as_bytes(), out));
        }
        (Datum::Bool(v), Form::Bool) => encode::put_column(direction, out, |out| encode::put_bool(*v, out)),
        (Datum::Oid(v), Form::Oid) => encode::put_column(direction, out, |out| encode::put_u32(*v, out)),
        (Datum::Float4(v), Form::Float4) => {
            encode::put_column(direction, out, |out| encode::put_f32(*v, out))
        }
        (Datum::Float8(v), Form::Float8) => {
            encode::put_column(direction, out, |out| encode::put_f64(*v, out))
        }
        (Datum::Numeric(v), Form::Numeric) => {
            let number = numeric::to_decimal(v);
            encode::put_column(direction, out, |out| decimal::put(&number, out));
        }
        (Datum::Bytea(v), Form::Bytea) => encode::put_column(direction, out, |out| encode::put_bytes(v, out)),
        (Datum::Keyed(v), Form::Keyed) => {
            encode::put_column(direction, out, |out| encode::put_bytes(v.key(), out));
        }
        (Datum::Date(v), Form::Date) => encode::put_column(direction, out, |out| encode::put_i32(*v, out)),
        (Datum::Timestamp(v), Form::Timestamp) | (Datum::Timestamptz(v), Form::Timestamptz) => {
            encode::put_column(direction, out, |out| encode::put_i64(*v, out));
        }
        (Datum::Interval(v), Form::Interval) => {
            encode::put_column(direction, out, |out| encode::put_i128(v.span_micros(), out));
        }
        (Datum::Uuid(v), Form::Uuid) => encode::put_column(direction, out, |out| out.extend_from_slice(v)),
        (Datum::Array(items), Form::Array) => {
            let mut body = Vec::new();
            put_array(items, ty.element().ok_or_else(|| mismatch(ty))?, &mut body)?;
            encode::put_column(direction, out, |out| out.extend_from_slice(&body));
        }
        (Datum::Record(value), Form::Record) => {
            let mut body = Vec::new();
            record::put(value, &mut body)?;
            encode::put_column(direction, out, |out| out.extend_from_slice(&body));
        }
        (Datum::Json(_), Form::Json) => return Err(no_key(ty)),
        _ => return Err(mismatch(ty)),
    }
    Ok(())
}

/// Appends an array in ascending form:
///
/// ```text
/// (1 element | 2 of a NULL)… 0   number of dimensions (i32)   lengths (i32)…   lower bounds (i32)…
/// ```
fn put_array(items: &Array, element: Type, out: &mut Vec<u8>) -> Result<()> {
    for item in items.iter() {
        if item.is_null() {
            out.push(2);
            continue;
        }
        out.push(1);
        encode_datum(item, element, Direction::Ascending, out)?;
    }
    out.push(0);
    put_dimensions(items, out);
    Ok(())
}

fn put_dimensions(items: &Array, out: &mut Vec<u8>) {
    encode::put_i32(items.dimension_count() as i32, out);
    items.dimensions().for_each(|dimension| encode::put_i32(dimension.length, out));
    items.dimensions().for_each(|dimension| encode::put_i32(dimension.lower, out));
}

fn take_dimensions(input: &mut &[u8], descending: bool) -> Result<Vec<Dimension>> {
    let count = usize::try_from(encode::take_i32(input, descending)?).unwrap_or(usize::MAX);
    if count > DIMENSIONS_MAX {
        return Err(Malformed("array").into());
    }
    let mut numbers =
        || -> Result<Vec<i32>> { (0..count).map(|_| Ok(encode::take_i32(input, descending)?)).collect() };
    let (lengths, lowers) = (numbers()?, numbers()?);
    Ok(lengths.into_iter().zip(lowers).map(|(length, lower)| Dimension { length, lower }).collect())
}

/// Reads what [`put_array`] wrote. A descending one is its complement.
fn take_array(input: &mut &[u8], element: Type, descending: bool) -> Result<Array> {
    let direction = if descending { Direction::Descending } else { Direction::Ascending };
    let mut items = Vec::new();
    loop {
        match encode::take_array(input, descending)? {
            [0] => break,
            [1] => items.push(decode_datum(input, element, direction)?),
            [2] => items.push(Datum::Null),
            _ => return Err(Malformed("array").into()),
        }
    }
    let dimensions = take_dimensions(input, descending)?;
    Array::shaped(items, &dimensions).map_err(|_| Malformed("array").into())
}

/// Reads one column from the front of `input` and moves it on. XX001 if it is no such encoding.
pub fn decode_datum(input: &mut &[u8], ty: Type, direction: Direction) -> Result<Datum> {
    if !encode::take_marker(direction, input)? {
        return Ok(Datum::Null);
    }
    let descending = direction.is_descending();
    Ok(match ty.kind.form() {
        Form::Int4 => Datum::Int4(encode::take_i32(input, descending)?),
        Form::Int8 => Datum::Int8(encode::take_i64(input, descending)?),
        Form::Int2 => Datum::Int2(encode::take_i16(input, descending)?),
        Form::Bool => Datum::Bool(encode::take_bool(input, descending)?),
        Form::Oid => Datum::Oid(encode::take_u32(input, descending)?),
        Form::Float4 => Datum::Float4(encode::take_f32(input, descending)?),
        Form::Float8 => Datum::Float8(encode::take_f64(input, descending)?),
        Form::Numeric => Datum::Numeric(number_of(decimal::take(input, descending)?, ty)),
        Form::Bytea => Datum::Bytea(Bytes::from(encode::take_bytes(input, descending)?)),
        Form::Keyed => {
            let key = encode::take_bytes(input, descending)?;
            keyed::of_key(key.into()).ok_or(Malformed("value that has a key"))?
        }
        Form::Date => Datum::Date(encode::take_i32(input, descending)?),
        Form::Timestamp => Datum::Timestamp(encode::take_i64(input, descending)?),
        Form::Timestamptz => Datum::Timestamptz(encode::take_i64(input, descending)?),
        Form::Interval => {
            // Only a stand-in: the row holds every interval that is not of this form.
            let span = encode::take_i128(input, descending)?;
            Datum::Interval(Interval { months: 0, days: 0, micros: i64::try_from(span).unwrap_or(i64::MAX) })
        }
        Form::Uuid => Datum::Uuid(encode::take_array(input, descending)?),
        Form::Text => Datum::from(take_padded(input, ty, descending)?),
        Form::Array => {
            let element = ty.element().ok_or_else(|| mismatch(ty))?;
            Datum::Array(take_array(input, element, descending)?)
        }
        Form::Record => Datum::Record(Arc::new(record::take(input, descending)?)),
        Form::Json => return Err(no_key(ty)),
        Form::None => return Err(mismatch(ty)),
    })
}

/// Text, which of char(n) has lost the blanks at its end.
fn take_padded(input: &mut &[u8], ty: Type, descending: bool) -> Result<String> {
    let mut text = take_text(input, descending)?;
    if ty.kind.order() == Order::BlankPadded
        && let Some(missing) = ty.length().and_then(|length| length.checked_sub(text.chars().count()))
    {
        text.extend(std::iter::repeat_n(' ', missing));
    }
    Ok(text)
}

fn take_text(input: &mut &[u8], descending: bool) -> Result<String> {
    String::from_utf8(encode::take_bytes(input, descending)?).map_err(|_| Malformed("text").into())
}

/// Moves `input` past one column without decoding it.
pub fn skip_datum(input: &mut &[u8], ty: Type, direction: Direction) -> Result<()> {
    match ty.kind.form() {
        Form::Bytea | Form::Text | Form::Keyed => skip_string(input, direction),
        _ => decode_datum(input, ty, direction).map(|_| ()),
    }
}

fn skip_string(input: &mut &[u8], direction: Direction) -> Result<()> {
    match encode::take_marker(direction, input)? {
        true => Ok(encode::skip_bytes(input, direction.is_descending())?),
        false => Ok(()),
    }
}

/// Whether [`decode_datum`] gives back exactly this value. If not, the row's value must hold the column too.
pub fn restores(value: &Datum, ty: Type) -> bool {
    match value {
        Datum::Float4(v) => *v != 0.0 || v.is_sign_positive(),
        Datum::Float8(v) => *v != 0.0 || v.is_sign_positive(),
        Datum::Numeric(stored) if stored.is_finite() => {
            number_of(numeric::to_decimal(stored), ty).scale() == stored.scale()
        }
        Datum::Text(text) if ty.kind.order() == Order::BlankPadded => {
            ty.length().map_or(!text.ends_with(' '), |length| text.chars().count() == length)
        }
        Datum::Interval(v) => v.months == 0 && v.days == 0,
        Datum::Array(items) => {
            ty.element().is_some_and(|element| items.iter().all(|item| restores(item, element)))
        }
        Datum::Record(_) => record::restores(value),
        Datum::Keyed(own) => {
            let read = keyed::of_key(own.key().clone());
            matches!(read, Some(Datum::Keyed(read)) if read.image() == own.image())
        }
        _ => true,
    }
}

/// The number with the scale of its type, or else with the least that holds it.
fn number_of(value: Decimal, ty: Type) -> Numeric {
    numeric::from_decimal(value, ty.precision_and_scale().map_or(0, |(_, scale)| i64::from(scale)))
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;
    use crate::datum::arbitrary::{KINDS, datum_of};

    /// Whose values stand in keys.
    fn kinds() -> Vec<TypeKind> {
        let others = [TypeKind::Varchar, TypeKind::Int4Array, TypeKind::TextArray];
        KINDS.iter().copied().chain(others).collect()
    }

    const DIRECTIONS: [Direction; 4] = [
        Direction::Ascending,
        Direction::Descending,
        Direction::AscendingNullsFirst,
        Direction::DescendingNullsLast,
    ];

    fn encoded(value: &Datum, kind: TypeKind, direction: Direction) -> Vec<u8> {
        let mut out = Vec::new();
        encode_datum(value, kind.into(), direction, &mut out).unwrap();
        out
    }

    fn pair() -> impl Strategy<Value = (TypeKind, Datum, Datum)> {
        let null_or = |kind| prop_oneof![1 => Just(Datum::Null), 6 => datum_of(kind)];
        prop::sample::select(kinds()).prop_flat_map(move |kind| (Just(kind), null_or(kind), null_or(kind)))
    }

    fn expected(left: &Datum, right: &Datum, direction: Direction) -> Ordering {
        match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if direction.nulls_first() => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) => expected(right, left, direction).reverse(),
            (false, false) if direction.is_descending() => compare(right, left),
            (false, false) => compare(left, right),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn keys_order_as_values_do((kind, left, right) in pair()) {
            for direction in DIRECTIONS {
                let order = encoded(&left, kind, direction).cmp(&encoded(&right, kind, direction));
                prop_assert_eq!(order, expected(&left, &right, direction), "{:?} {:?}", kind, direction);
            }
        }

        #[test]
        fn keys_read_back((kind, left, right) in pair()) {
            for direction in DIRECTIONS {
                let mut bytes = encoded(&left, kind, direction);
                encode_datum(&right, kind.into(), direction, &mut bytes).unwrap();
                let mut input = bytes.as_slice();
                let read = decode_datum(&mut input, kind.into(), direction).unwrap();
                if restores(&left, kind.into()) {
                    let sign = |v: &Datum| format!("{v:?}");
                    prop_assert_eq!(sign(&read), sign(&left));
                } else if kind != TypeKind::Interval {
                    prop_assert_eq!(compare(&read, &left), Ordering::Equal);
                }
                skip_datum(&mut input, kind.into(), direction).unwrap();
                prop_assert!(input.is_empty());
            }
        }

        #[test]
        fn garbage_is_an_error_or_a_value_but_never_a_panic(
            kind in prop::sample::select(kinds()), bytes in prop::collection::vec(any::<u8>(), 0..24)
        ) {
            for direction in DIRECTIONS {
                let mut input = bytes.as_slice();
                let _ = decode_datum(&mut input, kind.into(), direction);
                let mut marked = vec![if direction.is_descending() { !0x10 } else { 0x10 }];
                marked.extend(&bytes);
                let _ = decode_datum(&mut marked.as_slice(), kind.into(), direction);
            }
        }
    }

    #[test]
    fn char_n_gets_its_blanks_back() {
        let ty = Type { kind: TypeKind::Bpchar, modifier: 4 + 5 };
        let mut bytes = Vec::new();
        encode_datum(&Datum::from("ab   "), ty, Direction::Ascending, &mut bytes).unwrap();
        let read = decode_datum(&mut bytes.as_slice(), ty, Direction::Ascending).unwrap();
        assert_eq!(read.as_str(), Some("ab   "));
        assert!(restores(&Datum::from("ab   "), ty));
    }

    #[test]
    fn numeric_gets_its_scale_back_from_the_type() {
        let value = Datum::Numeric(Numeric::finite(1500, 2));
        assert!(restores(&value, Type::numeric(10, 2)));
        assert!(!restores(&value, TypeKind::Numeric.into()));
    }
}

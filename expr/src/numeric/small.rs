//! Arithmetic of numbers of few digits, without a look at the heap. Whatever does not fit is `None`, and left to the general way.

use super::{Numeric, SCALE_MAX};

/// 10^18 is the greatest power that a number of few digits is multiplied by.
const SHIFT_MAX: u16 = 18;

/// Two numbers as integers over the same power of ten, and that.
pub(super) fn aligned(left: &Numeric, right: &Numeric) -> Option<(i128, i128, u16)> {
    let (Numeric::Small { unscaled: left, scale }, Numeric::Small { unscaled: right, scale: other }) =
        (left, right)
    else {
        return None;
    };
    let (left, right) = (i128::from(*left), i128::from(*right));
    if scale == other {
        return Some((left, right, *scale));
    }
    let shift = scale.abs_diff(*other);
    if shift > SHIFT_MAX {
        return None;
    }
    // Below 2^63 × 10^18: no product overflows.
    let factor = 10_i128.pow(u32::from(shift));
    if scale < other { Some((left * factor, right, *other)) } else { Some((left, right * factor, *scale)) }
}

/// left + right
pub(super) fn add(left: &Numeric, right: &Numeric) -> Option<Numeric> {
    let (left, right, scale) = aligned(left, right)?;
    let unscaled = i64::try_from(left + right).ok()?;
    Some(Numeric::Small { unscaled, scale })
}

/// left × right
pub(super) fn multiply(left: &Numeric, right: &Numeric) -> Option<Numeric> {
    let (Numeric::Small { unscaled, scale }, Numeric::Small { unscaled: factor, scale: other }) =
        (left, right)
    else {
        return None;
    };
    let unscaled = unscaled.checked_mul(*factor)?;
    let scale = scale.checked_add(*other).filter(|scale| i64::from(*scale) <= SCALE_MAX)?;
    Some(Numeric::Small { unscaled, scale })
}

/// Whether it surely is a numeric(precision, scale) as it is.
pub(super) fn fits(value: &Numeric, precision: i32, scale: i32) -> bool {
    let Numeric::Small { unscaled, scale: own } = value else { return false };
    i32::from(*own) == scale
        && (precision >= 19 || unscaled.unsigned_abs() < 10_u64.pow(precision.max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::super::{Parts, add, cmp, multiply, negate, subtract};
    use super::*;
    use proptest::prelude::*;

    /// The same number the way that large ones are.
    fn large(value: &Numeric) -> Numeric {
        let parts = Parts::of(value).unwrap();
        Numeric::Large(Box::new(bigdecimal::BigDecimal::new(parts.unscaled, parts.scale)))
    }

    fn number() -> impl Strategy<Value = Numeric> {
        let unscaled = prop_oneof![
            any::<i64>(),
            -1000_i64..1000,
            Just(i64::MIN),
            Just(i64::MAX),
            (0_u32..19).prop_map(|zeros| 10_i64.pow(zeros)),
        ];
        let scale = prop_oneof![0_u16..40, 16_000_u16..=16_383];
        (unscaled, scale).prop_map(|(unscaled, scale)| Numeric::Small { unscaled, scale })
    }

    fn shown(value: &Numeric) -> (String, i64) {
        let mut text = String::new();
        super::super::write(value, &mut text);
        (text, value.scale().unwrap())
    }

    fn hashed(value: &Numeric) -> u64 {
        use std::hash::{DefaultHasher, Hasher};
        let mut hasher = DefaultHasher::new();
        crate::compare::group_hash(&crate::Datum::Numeric(value.clone()), &mut hasher);
        hasher.finish()
    }

    proptest! {
        /// However a number is kept, it is the same number.
        #[test]
        fn small_and_large_are_alike(left in number(), right in number()) {
            let (l, r) = (large(&left), large(&right));
            prop_assert_eq!(cmp(&left, &right), cmp(&l, &r));
            prop_assert_eq!(cmp(&left, &r), cmp(&l, &right));
            prop_assert_eq!(shown(&add(&left, &right).unwrap()), shown(&add(&l, &r).unwrap()));
            prop_assert_eq!(shown(&subtract(&left, &right).unwrap()), shown(&subtract(&l, &right).unwrap()));
            prop_assert_eq!(shown(&multiply(&left, &right).unwrap()), shown(&multiply(&l, &r).unwrap()));
            prop_assert_eq!(shown(&negate(&left)), shown(&negate(&l)));
            prop_assert_eq!((left.signum(), left.bits()), (l.signum(), l.bits()));
            prop_assert_eq!(hashed(&left), hashed(&l));
        }
    }
}

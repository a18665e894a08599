//! Whether a row is in a sample: a hash of its key, and of a seed, stands for chance.

use std::hash::Hasher;

use crate::compare::group_hash;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// `tablesample_keeps(percent, seed, key…)`: whether the row of this key is one of the sample.
pub(super) fn sampled(args: &[Datum]) -> Result<Datum> {
    let (Some(percent), Some(seed)) = (args.first(), args.get(1)) else {
        return Err(Error::internal("a sample without a size"));
    };
    check_sample(Some(percent), Some(seed))?;
    let (Datum::Float4(percent), Datum::Float8(seed)) = (percent, seed) else {
        return Err(Error::internal("the size of a sample is no number"));
    };
    let mut hasher = Mixer::default();
    hasher.write_u64(seed.to_bits());
    args.iter().skip(2).for_each(|column| group_hash(column, &mut hasher));
    // The upper half, so that all of it is below the bound for 100 percent.
    let chance = f64::from((hasher.finish() >> 32) as u32) / (f64::from(u32::MAX) + 1.0);
    Ok(Datum::Bool(chance * 100.0 < f64::from(*percent)))
}

/// What may be said of a sample: how many percent of the rows, and by which seed; `None`: not known yet.
///
/// # Errors
/// 2202H, 2202G
pub fn check_sample(percent: Option<&Datum>, seed: Option<&Datum>) -> Result<()> {
    match percent {
        Some(Datum::Null) => return Err(Error::new("2202H", "TABLESAMPLE parameter cannot be null")),
        Some(Datum::Float4(percent)) if !(0.0..=100.0).contains(percent) => {
            return Err(Error::new("2202H", "sample percentage must be between 0 and 100"));
        }
        _ => {}
    }
    match seed {
        Some(Datum::Null) => Err(Error::new("2202G", "TABLESAMPLE REPEATABLE parameter cannot be null")),
        _ => Ok(()),
    }
}

/// A hash that is the same everywhere and always: bytes by FNV-1a, mixed in the end so that every bit of it is fair.
struct Mixer(u64);

impl Default for Mixer {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mut mixed = self.0;
        for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
            mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
        }
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(percent: f32, seed: f64) -> Vec<i64> {
        let args = |key| [Datum::Float4(percent), Datum::Float8(seed), Datum::Int8(key)];
        (0..10_000).filter(|key| matches!(sampled(&args(*key)), Ok(Datum::Bool(true)))).collect()
    }

    #[test]
    fn as_many_rows_are_chosen_as_were_asked_for() {
        assert!(chosen(0.0, 1.0).is_empty());
        assert_eq!(chosen(100.0, 1.0).len(), 10_000);
        for percent in [1.0, 10.0, 50.0] {
            let (count, wanted) = (chosen(percent, 7.0).len() as f64, f64::from(percent) * 100.0);
            assert!((count - wanted).abs() < 5.0 * wanted.sqrt(), "{count} of {wanted}");
        }
    }

    #[test]
    fn one_seed_chooses_the_same_rows_and_another_others() {
        assert_eq!(chosen(10.0, 3.5), chosen(10.0, 3.5));
        assert_ne!(chosen(10.0, 3.5), chosen(10.0, 4.5));
        let few = chosen(5.0, 3.5);
        let many = chosen(10.0, 3.5);
        assert!(few.iter().all(|key| many.contains(key)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let refused = |percent: Datum, seed: Datum| sampled(&[percent, seed]).unwrap_err().sqlstate;
        assert_eq!(refused(Datum::Null, Datum::Float8(1.0)), "2202H");
        for percent in [-1.0, 100.1, f32::NAN] {
            assert_eq!(refused(Datum::Float4(percent), Datum::Float8(1.0)), "2202H");
        }
        assert_eq!(refused(Datum::Float4(1.0), Datum::Null), "2202G");
    }
}

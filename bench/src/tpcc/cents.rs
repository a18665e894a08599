//! Sums of money on the wire: hundredths, as `numeric` in binary form.
//!
//! ```text
//! groups: u16 │ weight: i16 │ sign: u16 │ digits behind the point: u16 │ one u16 for each group of four digits
//! ```
//!
//! A group counts 10000^(weight less its place).

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// A sum of money in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cents(pub(super) i64);

const NEGATIVE: u16 = 0x4000;
const GROUP: u64 = 10_000;

impl ToSql for Cents {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let magnitude = self.0.unsigned_abs();
        // The last group is what stands behind the point, filled up to four digits.
        let mut groups = vec![magnitude % 100 * 100];
        let mut whole = magnitude / 100;
        while whole > 0 {
            groups.insert(0, whole % GROUP);
            whole /= GROUP;
        }
        out.put_u16(u16::try_from(groups.len())?);
        out.put_i16(i16::try_from(groups.len())? - 2);
        out.put_u16(if self.0 < 0 { NEGATIVE } else { 0 });
        out.put_u16(2);
        for group in groups {
            out.put_u16(u16::try_from(group)?);
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cents {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let mut numbers = raw.chunks_exact(2).map(|pair| match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        });
        let mut next = || numbers.next().ok_or("a numeric that is too short");
        let (count, weight, sign, _) = (next()?, next()? as i16, next()?, next()?);
        if sign != 0 && sign != NEGATIVE {
            return Err("a numeric that is no number".into());
        }
        let mut cents = 0_i64;
        for place in 0..i32::from(count) {
            let group = i64::from(next()?);
            // The groups at and in front of the point count whole hundreds of hundredths; the first behind it has two digits of them.
            match i32::from(weight) - place {
                before @ 0..=3 => cents += group * 100 * (GROUP as i64).pow(before.unsigned_abs()),
                -1 if group % 100 == 0 => cents += group / 100,
                _ if group == 0 => {}
                _ => return Err("a numeric that is no sum of money".into()),
            }
        }
        Ok(Self(if sign == NEGATIVE { -cents } else { cents }))
    }

    accepts!(NUMERIC);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_received() {
        for cents in [0, 1, 99, 100, 12_345, -1000, 99_999_999, 1_000_000, 500_000_000_000] {
            let mut wire = BytesMut::new();
            Cents(cents).to_sql(&Type::NUMERIC, &mut wire).unwrap();
            assert_eq!(Cents::from_sql(&Type::NUMERIC, &wire).unwrap(), Cents(cents));
        }
    }

    #[test]
    fn numbers_look_as_postgresql_sends_them() {
        // 12345.60 and -0.05
        let wire = |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
        let received = |numbers: &[u16]| Cents::from_sql(&Type::NUMERIC, &wire(numbers));
        assert_eq!(received(&[3, 1, 0, 2, 1, 2345, 6000]).unwrap(), Cents(1_234_560));
        assert_eq!(received(&[1, 0xffff, NEGATIVE, 2, 500]).unwrap(), Cents(-5));
        assert_eq!(received(&[0, 0, 0, 2]).unwrap(), Cents(0));
        assert!(received(&[0, 0, 0xc000, 0]).is_err(), "NaN");
        assert!(received(&[1, 0xffff, 0, 4, 1]).is_err(), "a ten-thousandth");
        assert!(received(&[2, 0, 0, 2, 1]).is_err(), "too short");
    }
}

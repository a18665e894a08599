//! Sums of vectors, real by real.

use super::{Accumulator, State, mismatch};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::vector::{self, Vector};

/// `sum`, each sum of which is a real.
pub static SUM: Accumulator = Accumulator::new(
    |state, value, _| add_singles(state, of(value)?),
    |state, other| match other {
        State::Vectors { sums, count } => add_singles(state, (sums, count)),
        _ => Err(mismatch()),
    },
    |state| match state {
        State::Vectors { sums, .. } => vector::of_results(sums.iter().map(|sum| *sum as f32)),
        _ => Err(mismatch()),
    },
);

/// `avg`
pub static AVERAGE: Accumulator = Accumulator::new(
    |state, value, _| add(state, of(value)?),
    |state, other| match other {
        State::Vectors { sums, count } => add(state, (sums, count)),
        _ => Err(mismatch()),
    },
    |state| match state {
        State::Vectors { sums, count } => {
            vector::of_results(sums.iter().map(|sum| (sum / count as f64) as f32))
        }
        _ => Err(mismatch()),
    },
);

/// Sums, and of how many vectors.
type Sums = (Vec<f64>, i64);

fn of(value: &Datum) -> Result<Sums> {
    Ok((Vector::of(value)?.reals().map(f64::from).collect(), 1))
}

fn add(state: &mut State, (values, more): Sums) -> Result<()> {
    match state {
        State::Empty => *state = State::Vectors { sums: values, count: more },
        State::Vectors { sums, .. } if sums.len() != values.len() => {
            return Err(vector::unexpected(sums.len(), values.len()));
        }
        State::Vectors { sums, count } => {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            *count += more;
        }
        _ => return Err(mismatch()),
    }
    Ok(())
}

fn add_singles(state: &mut State, (values, more): Sums) -> Result<()> {
    match state {
        State::Empty => *state = State::Vectors { sums: values, count: more },
        State::Vectors { sums, .. } if sums.len() != values.len() => {
            let (one, other) = (sums.len(), values.len());
            return Err(Error::new("22000", format!("different vector dimensions {one} and {other}")));
        }
        State::Vectors { sums, count } => {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = f64::from(*sum as f32 + value as f32);
            }
            if sums.iter().any(|sum| sum.is_infinite()) {
                return Err(Error::new("22003", "value out of range: overflow"));
            }
            *count += more;
        }
        _ => return Err(mismatch()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(of: &Accumulator, texts: &[&str]) -> Result<String> {
        let mut state = State::Empty;
        for text in texts {
            (of.add)(&mut state, &vector::parse(text)?, &Datum::Null)?;
        }
        let value = (of.finish)(state)?;
        let mut out = String::new();
        Vector::of(&value)?.write(&mut out);
        Ok(out)
    }

    #[test]
    fn sums_and_averages_are_made_real_by_real() {
        assert_eq!(made(&SUM, &["[1,2,3]", "[3,5,7]"]).unwrap(), "[4,7,10]");
        assert_eq!(made(&AVERAGE, &["[1,2,3]", "[3,5,7]"]).unwrap(), "[2,3.5,5]");
        assert_eq!(made(&AVERAGE, &["[3e38]", "[3e38]"]).unwrap(), "[3e+38]");
        assert_eq!(made(&SUM, &["[3e38]", "[3e38]"]).unwrap_err().sqlstate, "22003");
        let message = |of, texts: &[&str]| made(of, texts).unwrap_err().message;
        assert_eq!(message(&AVERAGE, &["[1,2]", "[3]"]), "expected 2 dimensions, not 1");
        assert_eq!(message(&SUM, &["[1,2]", "[3]"]), "different vector dimensions 2 and 1");
    }
}

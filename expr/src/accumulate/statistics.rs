//! Statistics: variances and deviations, exact of integers and numerics, and of pairs of doubles what a line through
//! them says.
//!
//! Of doubles the sums of products of the distances from the mean are kept up to date with each value, which loses far
//! less than sums of squares would (Youngs and Cramer, 1971), in the order in which PostgreSQL adds them, so that the
//! last digit is the same.

use super::{Accumulator, State, mismatch};
use crate::datum::{Datum, Numeric};
use crate::error::{Error, Result};
use crate::numeric;

/// What is kept of values, or of pairs of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// How many.
    pub count: f64,
    /// The sum of the x.
    pub x: f64,
    /// The sum of the squares of the distances of the x from their mean.
    pub xx: f64,
    /// The sum of the y.
    pub y: f64,
    /// The sum of the squares of the distances of the y from their mean.
    pub yy: f64,
    /// The sum of the products of the distances.
    pub xy: f64,
}

impl Moments {
    /// Of no values.
    const NONE: Self = Self { count: 0.0, x: 0.0, xx: 0.0, y: 0.0, yy: 0.0, xy: 0.0 };

    fn add(&mut self, x: f64, y: f64) -> Result<()> {
        let before = *self;
        self.count += 1.0;
        self.x += x;
        self.y += y;
        if before.count > 0.0 {
            let (dx, dy) = (x * self.count - self.x, y * self.count - self.y);
            let weight = 1.0 / (self.count * before.count);
            self.xx += dx * dx * weight;
            self.yy += dy * dy * weight;
            self.xy += dx * dy * weight;
            return self.checked(
                before.x.is_infinite() || x.is_infinite(),
                before.y.is_infinite() || y.is_infinite(),
            );
        }
        // Of what is no number nothing is at a distance.
        if !x.is_finite() {
            (self.xx, self.xy) = (f64::NAN, f64::NAN);
        }
        if !y.is_finite() {
            (self.yy, self.xy) = (f64::NAN, f64::NAN);
        }
        Ok(())
    }

    /// The same of one value: divided once at the end, as PostgreSQL does it.
    fn add_single(&mut self, x: f64) -> Result<()> {
        let before = *self;
        self.count += 1.0;
        self.x += x;
        if before.count > 0.0 {
            let dx = x * self.count - self.x;
            self.xx += dx * dx / (self.count * before.count);
            return self.checked(before.x.is_infinite() || x.is_infinite(), true);
        }
        if !x.is_finite() {
            self.xx = f64::NAN;
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.count == 0.0 {
            *self = *other;
            return Ok(());
        }
        if other.count == 0.0 {
            return Ok(());
        }
        let count = self.count + other.count;
        let dx = self.x / self.count - other.x / other.count;
        let dy = self.y / self.count - other.y / other.count;
        let is_infinite =
            (self.x.is_infinite() || other.x.is_infinite(), self.y.is_infinite() || other.y.is_infinite());
        let (one, two) = (self.count, other.count);
        self.x += other.x;
        self.y += other.y;
        self.xx = self.xx + other.xx + one * two * dx * dx / count;
        self.yy = self.yy + other.yy + one * two * dy * dy / count;
        self.xy = self.xy + other.xy + one * two * dx * dy / count;
        self.count = count;
        self.checked(is_infinite.0, is_infinite.1)
    }

    /// 22003 if a sum has run over, unless an infinite value made it: then nothing is at a distance.
    fn checked(&mut self, x_is_infinite: bool, y_is_infinite: bool) -> Result<()> {
        let overflow = || Err(Error::new("22003", "value out of range: overflow"));
        if self.x.is_infinite() || self.xx.is_infinite() {
            if !x_is_infinite {
                return overflow();
            }
            self.xx = f64::NAN;
        }
        if self.y.is_infinite() || self.yy.is_infinite() {
            if !y_is_infinite {
                return overflow();
            }
            self.yy = f64::NAN;
        }
        if self.xy.is_infinite() {
            if !x_is_infinite && !y_is_infinite {
                return overflow();
            }
            self.xy = f64::NAN;
        }
        Ok(())
    }
}

fn double(value: &Datum) -> Result<f64> {
    match value {
        Datum::Float4(value) => Ok(f64::from(*value)),
        Datum::Float8(value) => Ok(*value),
        _ => Err(mismatch()),
    }
}

fn moments(state: &mut State) -> Result<&mut Moments> {
    if let State::Empty = state {
        *state = State::Moments(Moments::NONE);
    }
    match state {
        State::Moments(moments) => Ok(moments),
        _ => Err(mismatch()),
    }
}

fn merge_moments(state: &mut State, other: State) -> Result<()> {
    match other {
        State::Moments(other) => moments(state)?.merge(&other),
        _ => Err(mismatch()),
    }
}

/// Of doubles, from what is kept of them.
macro_rules! single {
    ($name:ident, $doc:literal, |$m:ident| $value:expr) => {
        #[doc = $doc]
        pub static $name: Accumulator = Accumulator::new(
            |state, value, _| moments(state)?.add_single(double(value)?),
            merge_moments,
            |mut state| {
                let $m = moments(&mut state)?;
                let value: Option<f64> = $value;
                Ok(value.map_or(Datum::Null, Datum::Float8))
            },
        );
    };
}

/// Of pairs (y, x) of doubles; those with a NULL are passed over.
macro_rules! pair {
    ($name:ident, $doc:literal, |$m:ident| $value:expr) => {
        #[doc = $doc]
        pub static $name: Accumulator = Accumulator::new(add_pair, merge_moments, |mut state| {
            let $m = moments(&mut state)?;
            let value: Option<f64> = $value;
            Ok(value.map_or(Datum::Null, Datum::Float8))
        });
    };
}

fn add_pair(state: &mut State, y: &Datum, x: &Datum) -> Result<()> {
    if x.is_null() {
        return Ok(());
    }
    let (y, x) = (double(y)?, double(x)?);
    moments(state)?.add(x, y)
}

/// A value, if a condition holds.
fn only_if(condition: bool, value: f64) -> Option<f64> {
    condition.then_some(value)
}

single!(VARIANCE_POPULATION, "`var_pop` of floats.", |m| Some(m.xx / m.count));
single!(VARIANCE_SAMPLE, "`var_samp` of floats.", |m| only_if(m.count > 1.0, m.xx / (m.count - 1.0)));
single!(DEVIATION_POPULATION, "`stddev_pop` of floats.", |m| Some((m.xx / m.count).sqrt()));
single!(DEVIATION_SAMPLE, "`stddev_samp` of floats.", |m| only_if(
    m.count > 1.0,
    (m.xx / (m.count - 1.0)).sqrt()
));

pair!(SUM_XX, "`regr_sxx`", |m| Some(m.xx));
pair!(SUM_YY, "`regr_syy`", |m| Some(m.yy));
pair!(SUM_XY, "`regr_sxy`", |m| Some(m.xy));
pair!(AVERAGE_X, "`regr_avgx`", |m| Some(m.x / m.count));
pair!(AVERAGE_Y, "`regr_avgy`", |m| Some(m.y / m.count));
pair!(COVARIANCE_POPULATION, "`covar_pop`", |m| Some(m.xy / m.count));
pair!(COVARIANCE_SAMPLE, "`covar_samp`", |m| only_if(m.count > 1.0, m.xy / (m.count - 1.0)));
pair!(CORRELATION, "`corr`", |m| only_if(m.xx != 0.0 && m.yy != 0.0, m.xy / (m.xx * m.yy).sqrt()));
pair!(SLOPE, "`regr_slope`", |m| only_if(m.xx != 0.0, m.xy / m.xx));
pair!(INTERCEPT, "`regr_intercept`", |m| only_if(m.xx != 0.0, (m.y - m.x * m.xy / m.xx) / m.count));
pair!(DETERMINATION, "`regr_r2`", |m| match (m.xx == 0.0, m.yy == 0.0) {
    (true, _) => None,
    // A level line.
    (false, true) => Some(1.0),
    (false, false) => Some((m.xy * m.xy) / (m.xx * m.yy)),
});

/// `regr_count`
pub static COUNT_PAIRS: Accumulator = Accumulator::new(
    |state, _, x| match x {
        Datum::Null => Ok(()),
        _ => super::merge_sums(state, State::Count(1)),
    },
    super::merge_sums,
    super::counted,
)
.counting();

fn add_square(state: &mut State, value: &Datum, _: &Datum) -> Result<()> {
    let value = match value {
        Datum::Numeric(value) => value.clone(),
        value => Numeric::from(value.as_i64().ok_or_else(mismatch)?),
    };
    let squares = numeric::multiply(&value, &value)?;
    merge_squares(state, State::Squares { sum: value, squares, count: 1 })
}

fn merge_squares(state: &mut State, other: State) -> Result<()> {
    match (&mut *state, other) {
        (State::Empty, other) => *state = other,
        (
            State::Squares { sum, squares, count },
            State::Squares { sum: more, squares: more_squares, count: others },
        ) => {
            *sum = numeric::add(sum, &more)?;
            *squares = numeric::add(squares, &more_squares)?;
            *count += others;
        }
        _ => return Err(mismatch()),
    }
    Ok(())
}

/// The variance of what is there: of the whole, or of a sample, of which one value says nothing.
fn exact_variance(state: State, is_sample: bool) -> Result<Option<Numeric>> {
    let State::Squares { sum, squares, count } = state else { return Err(mismatch()) };
    if is_sample && count < 2 {
        return Ok(None);
    }
    if !sum.is_finite() {
        return Ok(Some(Numeric::NaN));
    }
    let number = Numeric::from(count);
    let distance =
        numeric::subtract(&numeric::multiply(&number, &squares)?, &numeric::multiply(&sum, &sum)?)?;
    if distance.signum() <= 0 {
        return Ok(Some(Numeric::from(0)));
    }
    let other = if is_sample { Numeric::from(count.saturating_sub(1)) } else { number.clone() };
    numeric::divide(&distance, &numeric::multiply(&number, &other)?).map(Some)
}

fn exact(state: State, is_sample: bool, finish: fn(Numeric) -> Result<Numeric>) -> Result<Datum> {
    Ok(match exact_variance(state, is_sample)? {
        Some(variance) => Datum::Numeric(finish(variance)?),
        None => Datum::Null,
    })
}

/// The root, with as many digits behind the point as the variance has.
fn root(variance: Numeric) -> Result<Numeric> {
    match variance.scale() {
        Some(scale) => numeric::sqrt_to_scale(&variance, scale),
        None => Ok(variance),
    }
}

/// `var_pop` of integers and numerics.
pub static EXACT_VARIANCE_POPULATION: Accumulator =
    Accumulator::new(add_square, merge_squares, |state| exact(state, false, Ok));
/// `var_samp` of integers and numerics.
pub static EXACT_VARIANCE_SAMPLE: Accumulator =
    Accumulator::new(add_square, merge_squares, |state| exact(state, true, Ok));
/// `stddev_pop` of integers and numerics.
pub static EXACT_DEVIATION_POPULATION: Accumulator =
    Accumulator::new(add_square, merge_squares, |state| exact(state, false, root));
/// `stddev_samp` of integers and numerics.
pub static EXACT_DEVIATION_SAMPLE: Accumulator =
    Accumulator::new(add_square, merge_squares, |state| exact(state, true, root));

//! What aggregates do with values: [`Accumulator`]s, each in three steps, so that a part may be computed beside the data: a
//! value is added to a [`State`], states are merged, the last one is finished. Which aggregate does which, says its row in
//! the table of functions.

pub mod bits;
pub mod extent;
pub mod statistics;
pub mod vectors;

use statistics::Moments;

use crate::calendar::interval;
use crate::compare::{compare, compare_padded};
use crate::datum::array::Array;
use crate::datum::json::Json;
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::json;
use crate::numeric;
use crate::work;

/// What an aggregate has seen so far.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// Nothing yet.
    #[default]
    Empty,
    /// So many.
    Count(i64),
    /// Integers.
    Integers {
        /// Their sum: 2^64 of them could not exceed it.
        sum: i128,
        /// How many.
        count: i64,
    },
    /// Floats.
    Floats {
        /// Their sum.
        sum: f64,
        /// How many.
        count: i64,
    },
    /// Numerics.
    Numerics {
        /// Their sum.
        sum: Numeric,
        /// How many.
        count: i64,
    },
    /// Intervals.
    Intervals {
        /// Their sum.
        sum: Interval,
        /// How many.
        count: i64,
    },
    /// Doubles, or pairs of them, whose spread is asked for.
    Moments(Moments),
    /// Numbers whose spread is asked for, exactly.
    Squares {
        /// Their sum.
        sum: Numeric,
        /// The sum of their squares.
        squares: Numeric,
        /// How many.
        count: i64,
    },
    /// Vectors.
    Vectors {
        /// Their sum, real by real.
        sums: Vec<f64>,
        /// How many.
        count: i64,
    },
    /// The least or greatest, or the truth so far.
    Value(Datum),
    /// All values in order.
    List(Vec<Datum>),
}

impl State {
    /// Whether states like this one may be merged in any grouping, and do not grow with what they have seen.
    pub fn merges_exactly(&self) -> bool {
        !matches!(self, State::Floats { .. } | State::Moments(_) | State::Vectors { .. } | State::List(_))
    }

    /// About how many bytes it takes beside itself.
    #[inline]
    pub fn size_bytes(&self) -> usize {
        match self {
            State::Empty
            | State::Count(_)
            | State::Integers { .. }
            | State::Floats { .. }
            | State::Intervals { .. }
            | State::Moments(_) => 0,
            _ => self.held_bytes(),
        }
    }

    /// How many values it keeps, where it keeps them all.
    #[inline]
    pub fn kept(&self) -> usize {
        if let State::List(items) = self { items.len() } else { 0 }
    }

    /// About how many bytes those take that it keeps behind the first so many.
    #[inline]
    pub fn kept_bytes(&self, from: usize) -> usize {
        let State::List(items) = self else { return 0 };
        items.get(from..).unwrap_or_default().iter().map(Datum::size_bytes).sum()
    }

    fn held_bytes(&self) -> usize {
        match self {
            State::Value(value) => value.size_bytes(),
            State::Numerics { sum, .. } => crate::datum::number_bytes(sum),
            State::Squares { sum, squares, .. } => {
                crate::datum::number_bytes(sum).saturating_add(crate::datum::number_bytes(squares))
            }
            State::List(items) => items.iter().map(Datum::size_bytes).sum(),
            State::Vectors { sums, .. } => sums.len().saturating_mul(size_of::<f64>()),
            _ => 0,
        }
    }
}

/// What an aggregate makes of an argument, so that it needs to know nothing of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// Its text.
    Text,
    /// The value of this function, by its OID, for it.
    Called(u32),
}

/// How an aggregate is computed.
#[derive(Debug)]
pub struct Accumulator {
    /// Rows whose first argument is NULL are passed over.
    pub(crate) is_strict: bool,
    /// Adds a row's arguments, of which there are at most two.
    pub(crate) add: fn(&mut State, &Datum, &Datum) -> Result<()>,
    /// Adds what another state has seen, later rows than this one's; neither is empty.
    pub(crate) merge: fn(&mut State, State) -> Result<()>,
    /// The result of a state that is not empty.
    pub(crate) finish: fn(State) -> Result<Datum>,
    /// What is made of the arguments before they are added.
    pub(crate) prepared: &'static [Prepared],
    /// Over no rows it is zero and not NULL.
    pub(crate) counts: bool,
}

impl Accumulator {
    const fn new(
        add: fn(&mut State, &Datum, &Datum) -> Result<()>,
        merge: fn(&mut State, State) -> Result<()>,
        finish: fn(State) -> Result<Datum>,
    ) -> Self {
        Self { is_strict: true, add, merge, finish, prepared: &[], counts: false }
    }

    /// It sees NULLs, too.
    const fn lenient(mut self) -> Self {
        self.is_strict = false;
        self
    }

    /// Its arguments are made into these.
    const fn over(mut self, prepared: &'static [Prepared]) -> Self {
        self.prepared = prepared;
        self
    }

    /// Over no rows it is zero.
    const fn counting(mut self) -> Self {
        self.counts = true;
        self
    }
}

/// The one of the values that replaces all others.
macro_rules! chosen {
    (|$value:ident, $seen:ident| $replaces:expr) => {
        Accumulator::new(
            |state, $value, _| {
                match state {
                    State::Value($seen) if !$replaces => {}
                    _ => *state = State::Value($value.clone()),
                }
                Ok(())
            },
            |state, other| {
                match (&*state, &other) {
                    (State::Value($seen), State::Value($value)) if !$replaces => {}
                    _ => *state = other,
                }
                Ok(())
            },
            the_value,
        )
    };
}

/// `count(*)`
pub static COUNT_ROWS: Accumulator = Accumulator::new(add_row, merge_sums, counted).lenient().counting();
/// `count(x)`
pub static COUNT_VALUES: Accumulator = Accumulator::new(add_row, merge_sums, counted).counting();
/// `sum` of integers that is a bigint.
pub static SUM_SMALL: Accumulator = Accumulator::new(add_integer, merge_sums, integer_sum);
/// `sum` of money.
pub static SUM_MONEY: Accumulator = Accumulator::new(add_integer, merge_sums, |state| match state {
    State::Integers { sum, .. } => {
        i64::try_from(sum).map(Datum::Int8).map_err(|_| Error::out_of_range("money"))
    }
    _ => Err(mismatch()),
});
/// `sum` of bigints, which is a numeric.
pub static SUM_LARGE: Accumulator = Accumulator::new(add_integer, merge_sums, numeric_sum);
/// `avg` of integers.
pub static AVERAGE_INTEGERS: Accumulator = Accumulator::new(add_integer, merge_sums, average);
/// `sum` of numerics.
pub static SUM_NUMERICS: Accumulator = Accumulator::new(add_numeric, merge_sums, numeric_sum);
/// `avg` of numerics.
pub static AVERAGE_NUMERICS: Accumulator = Accumulator::new(add_numeric, merge_sums, average);
/// `sum` of reals, each sum of which is a real.
pub static SUM_SINGLES: Accumulator = Accumulator::new(
    |state, value, _| merge_singles(state, float(value)?),
    merge_singles,
    |state| match state {
        State::Floats { sum, .. } => Ok(Datum::Float4(sum as f32)),
        _ => Err(mismatch()),
    },
);
/// `sum` of doubles.
pub static SUM_DOUBLES: Accumulator = Accumulator::new(add_float, merge_sums, |state| match state {
    State::Floats { sum, .. } => Ok(Datum::Float8(sum)),
    _ => Err(mismatch()),
});
/// `avg` of floats.
pub static AVERAGE_FLOATS: Accumulator = Accumulator::new(add_float, merge_sums, |state| match state {
    State::Floats { sum, count } => Ok(Datum::Float8(sum / count as f64)),
    _ => Err(mismatch()),
});
/// `sum` of intervals.
pub static SUM_INTERVALS: Accumulator = Accumulator::new(add_interval, merge_sums, |state| match state {
    State::Intervals { sum, .. } => Ok(Datum::Interval(sum)),
    _ => Err(mismatch()),
});
/// `avg` of intervals.
pub static AVERAGE_INTERVALS: Accumulator = Accumulator::new(add_interval, merge_sums, |state| match state {
    State::Intervals { sum, count } => Ok(Datum::Interval(interval::divide(sum, count as f64)?)),
    _ => Err(mismatch()),
});
/// `min`
pub static LEAST: Accumulator = chosen!(|value, seen| compare(value, seen).is_lt());
/// `max`
pub static GREATEST: Accumulator = chosen!(|value, seen| compare(value, seen).is_gt());
/// `min` of texts without case: of those that are equal the last.
pub static LAST_LEAST: Accumulator = chosen!(|value, seen| compare(value, seen).is_le());
/// `max` of texts without case: of those that are equal the last.
pub static LAST_GREATEST: Accumulator = chosen!(|value, seen| compare(value, seen).is_ge());
/// `min` of char(n).
pub static LEAST_PADDED: Accumulator = chosen!(|value, seen| compare_padded(value, seen).is_lt());
/// `max` of char(n).
pub static GREATEST_PADDED: Accumulator = chosen!(|value, seen| compare_padded(value, seen).is_gt());
/// `bool_and`
pub static AND: Accumulator = chosen!(|value, seen| seen.is_true() && !value.is_true());
/// `bool_or`
pub static OR: Accumulator = chosen!(|value, seen| value.is_true() && !seen.is_true());
/// `array_agg`
pub static COLLECT: Accumulator = Accumulator::new(
    |state, value, _| extend(state, [value.clone()]),
    merge_lists,
    |state| Ok(Datum::Array(list(state)?.into())),
)
.lenient();
/// `string_agg`: the list holds delimiters and values by turns.
pub static JOIN: Accumulator = Accumulator::new(
    |state, value, delimiter| extend(state, [delimiter.clone(), value.clone()]),
    merge_lists,
    |state| Ok(Datum::text(list(state)?.iter().skip(1).filter_map(Datum::as_str).collect::<String>())),
);

/// `string_agg` of bytea: the list holds delimiters and values by turns.
pub static JOIN_BYTES: Accumulator = Accumulator::new(
    |state, value, delimiter| extend(state, [delimiter.clone(), value.clone()]),
    merge_lists,
    |state| {
        let mut joined = Vec::new();
        for part in list(state)?.iter().skip(1) {
            if let Datum::Bytea(bytes) = part {
                work::fits(joined.len().saturating_add(bytes.len()))?;
                joined.extend_from_slice(bytes);
            }
        }
        Ok(Datum::Bytea(joined.into()))
    },
);

fn mismatch() -> Error {
    Error::internal("aggregate over values of another type")
}

/// The OIDs of `to_json` and `to_jsonb`.
const TO_JSON: Prepared = Prepared::Called(3176);
const TO_JSONB: Prepared = Prepared::Called(3787);

/// `array_agg` of arrays, which become one with a dimension more.
pub static STACK: Accumulator = Accumulator::new(
    |state, value, _| {
        stackable(value)?;
        extend(state, [value.clone()])
    },
    merge_lists,
    |state| stack(&list(state)?).map(Datum::Array),
)
.lenient();

/// Whether a value may be stacked.
fn stackable(value: &Datum) -> Result<()> {
    match value {
        Datum::Array(array) if array.is_empty() => Err(Error::new("2202E", "cannot accumulate empty arrays")),
        Datum::Array(_) => Ok(()),
        _ => Err(Error::new("22004", "cannot accumulate null arrays")),
    }
}

fn stack(arrays: &[Datum]) -> Result<Array> {
    let unlike = |error: Error| match error.sqlstate {
        "2202E" => Error::new("2202E", "cannot accumulate arrays of different dimensionality"),
        _ => error,
    };
    Array::stacked(arrays).map_err(unlike)
}

/// Arrays as one with a dimension more, as `array_agg` of them makes it; no arrays are an empty one.
///
/// # Errors
/// 2202E, 22004: one of them is empty, NULL, or of another shape than the others.
pub fn stacked(arrays: &[Datum]) -> Result<Array> {
    arrays.iter().try_for_each(stackable)?;
    if arrays.is_empty() { Ok(Array::default()) } else { stack(arrays) }
}

/// `jsonb_agg`
pub static COLLECT_JSONB: Accumulator = Accumulator::new(
    |state, value, _| extend(state, [value.clone()]),
    merge_lists,
    |state| Json::Array(list(state)?.iter().map(document).collect()).checked().map(Datum::json),
)
.lenient()
.over(&[TO_JSONB]);
/// Before a document that `json_agg` is to write in a line of its own: no document begins with it.
pub const JSON_LINE: &str = "\u{b}";

/// `json_agg`
pub static COLLECT_JSON: Accumulator = Accumulator::new(
    |state, value, _| extend(state, [value.clone()]),
    merge_lists,
    |state| {
        let mut out = String::from("[");
        for (place, item) in list(state)?.iter().enumerate() {
            let text = item.as_str().unwrap_or("null");
            let (line, text) = match text.strip_prefix(JSON_LINE) {
                Some(text) if place > 0 => ("\n ", text),
                Some(text) => ("", text),
                None => ("", text),
            };
            out.push_str(if place > 0 { ", " } else { "" });
            work::fits(out.len().saturating_add(text.len()))?;
            out.push_str(line);
            out.push_str(text);
        }
        out.push(']');
        Ok(Datum::from(out))
    },
)
.lenient()
.over(&[TO_JSON]);
/// `jsonb_object_agg`: the list holds keys and values by turns.
pub static COLLECT_JSONB_MEMBERS: Accumulator = Accumulator::new(add_member, merge_lists, |state| {
    let items = list(state)?;
    let pairs = items.chunks_exact(2).filter_map(|pair| Some((pair.first()?.as_str()?, pair.get(1)?)));
    Json::object(pairs.map(|(key, value)| (key.into(), document(value))).collect()).checked().map(Datum::json)
})
.lenient()
.over(&[Prepared::Text, TO_JSONB]);
/// `json_object_agg`: the list holds keys and values by turns.
pub static COLLECT_JSON_MEMBERS: Accumulator = Accumulator::new(add_member, merge_lists, |state| {
    let mut out = String::from("{ ");
    for (place, pair) in list(state)?.chunks_exact(2).enumerate() {
        let text = |at: usize| pair.get(at).and_then(Datum::as_str);
        out.push_str(if place > 0 { ", " } else { "" });
        json::write::string(text(0).unwrap_or_default(), &mut out);
        out.push_str(" : ");
        out.push_str(text(1).unwrap_or("null"));
    }
    out.push_str(" }");
    Ok(Datum::from(out))
})
.lenient()
.over(&[Prepared::Text, TO_JSON]);

fn document(value: &Datum) -> Json {
    match value {
        Datum::Json(json) => json.as_ref().clone(),
        _ => Json::Null,
    }
}

fn add_member(state: &mut State, key: &Datum, value: &Datum) -> Result<()> {
    match key {
        Datum::Null => Err(Error::new("22023", "field name must not be null")),
        key => extend(state, [key.clone(), value.clone()]),
    }
}

// A sum that has begun grows where it stands; what begins one, or does not belong to it, is a state to be merged.

fn add_row(state: &mut State, _: &Datum, _: &Datum) -> Result<()> {
    match state {
        State::Count(count) => {
            *count = count.checked_add(1).ok_or_else(|| Error::out_of_range("bigint"))?;
            Ok(())
        }
        state => merge_sums(state, State::Count(1)),
    }
}

fn add_integer(state: &mut State, value: &Datum, _: &Datum) -> Result<()> {
    let value = i128::from(value.as_i64().ok_or_else(mismatch)?);
    match state {
        State::Integers { sum, count } => {
            *sum += value;
            *count += 1;
            Ok(())
        }
        state => merge_sums(state, State::Integers { sum: value, count: 1 }),
    }
}

fn add_numeric(state: &mut State, value: &Datum, _: &Datum) -> Result<()> {
    let Datum::Numeric(number) = value else { return Err(mismatch()) };
    match state {
        State::Numerics { sum, count } => {
            *sum = numeric::add(sum, number)?;
            *count += 1;
            Ok(())
        }
        state => merge_sums(state, State::Numerics { sum: number.clone(), count: 1 }),
    }
}

fn add_float(state: &mut State, value: &Datum, _: &Datum) -> Result<()> {
    match (state, value) {
        (State::Floats { sum, count }, Datum::Float8(value)) => {
            *sum = checked_sum(*sum, *value, *sum + *value)?;
            *count += 1;
            Ok(())
        }
        (state, value) => merge_sums(state, float(value)?),
    }
}

fn add_interval(state: &mut State, value: &Datum, _: &Datum) -> Result<()> {
    match value {
        Datum::Interval(interval) => merge_sums(state, State::Intervals { sum: *interval, count: 1 }),
        _ => Err(mismatch()),
    }
}

fn float(value: &Datum) -> Result<State> {
    match value {
        Datum::Float4(v) => Ok(State::Floats { sum: f64::from(*v), count: 1 }),
        Datum::Float8(v) => Ok(State::Floats { sum: *v, count: 1 }),
        _ => Err(mismatch()),
    }
}

fn merge_sums(state: &mut State, other: State) -> Result<()> {
    match (&mut *state, other) {
        (State::Empty, other) => *state = other,
        (State::Count(count), State::Count(more)) => {
            *count = count.checked_add(more).ok_or_else(|| Error::out_of_range("bigint"))?;
        }
        (State::Integers { sum, count }, State::Integers { sum: more, count: others }) => {
            *sum += more;
            *count += others;
        }
        (State::Floats { sum, count }, State::Floats { sum: more, count: others }) => {
            *sum = checked_sum(*sum, more, *sum + more)?;
            *count += others;
        }
        (State::Numerics { sum, count }, State::Numerics { sum: more, count: others }) => {
            *sum = numeric::add(sum, &more)?;
            *count += others;
        }
        (State::Intervals { sum, count }, State::Intervals { sum: more, count: others }) => {
            *sum = interval::add(*sum, more)?;
            *count += others;
        }
        _ => return Err(mismatch()),
    }
    Ok(())
}

/// As [`merge_sums`], with a sum that is rounded to a real at each step.
fn merge_singles(state: &mut State, other: State) -> Result<()> {
    match (&mut *state, other) {
        (State::Floats { sum, count }, State::Floats { sum: more, count: others }) => {
            *sum = checked_sum(*sum, more, f64::from((*sum + more) as f32))?;
            *count += others;
            Ok(())
        }
        (_, other) => merge_sums(state, other),
    }
}

fn checked_sum(left: f64, right: f64, total: f64) -> Result<f64> {
    if total.is_infinite() && !left.is_infinite() && !right.is_infinite() {
        return Err(Error::new("22003", "value out of range: overflow"));
    }
    Ok(total)
}

fn counted(state: State) -> Result<Datum> {
    match state {
        State::Count(count) => Ok(Datum::Int8(count)),
        _ => Err(mismatch()),
    }
}

fn integer_sum(state: State) -> Result<Datum> {
    match state {
        State::Integers { sum, .. } => {
            Ok(Datum::Int8(i64::try_from(sum).map_err(|_| Error::out_of_range("bigint"))?))
        }
        _ => Err(mismatch()),
    }
}

fn exact_sum(state: State) -> Result<(Numeric, i64)> {
    match state {
        State::Integers { sum, count } => Ok((Numeric::finite(sum, 0), count)),
        State::Numerics { sum, count } => Ok((sum, count)),
        _ => Err(mismatch()),
    }
}

fn numeric_sum(state: State) -> Result<Datum> {
    exact_sum(state).map(|(sum, _)| Datum::Numeric(sum))
}

fn average(state: State) -> Result<Datum> {
    let (sum, count) = exact_sum(state)?;
    Ok(Datum::Numeric(numeric::divide(&sum, &Numeric::from(count))?))
}

fn the_value(state: State) -> Result<Datum> {
    match state {
        State::Value(value) => Ok(value),
        _ => Err(mismatch()),
    }
}

fn extend<const N: usize>(state: &mut State, values: [Datum; N]) -> Result<()> {
    match state {
        State::List(items) => items.extend(values),
        State::Empty => *state = State::List(values.into()),
        _ => return Err(mismatch()),
    }
    Ok(())
}

fn merge_lists(state: &mut State, other: State) -> Result<()> {
    match (&mut *state, other) {
        (State::Empty, other) => *state = other,
        (State::List(items), State::List(more)) => items.extend(more),
        _ => return Err(mismatch()),
    }
    Ok(())
}

fn list(state: State) -> Result<Vec<Datum>> {
    match state {
        State::List(items) => Ok(items),
        _ => Err(mismatch()),
    }
}

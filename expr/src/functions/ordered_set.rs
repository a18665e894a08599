//! Aggregates of rows in an order (manual, 9.21): percentiles, the most frequent value, and the rank that a row would have.
//!
//! ```text
//! percentile_cont(f) WITHIN GROUP (ORDER BY x)   ─▶   finish(array_agg(x ORDER BY x), f)
//! rank(a, b) WITHIN GROUP (ORDER BY x, y)        ─▶   finish(directions, a, b, array_agg(x …), array_agg(y …))
//! ```
//!
//! The values are collected in their order by an aggregate like any other; what is asked of them is a function of what was
//! collected, that no name in a statement means.

use std::cmp::Ordering;

use super::arguments::{float, mismatch};
use super::{Body, Function, FunctionId, FunctionKind, Volatility};
use crate::calendar::interval;
use crate::compare::compare_of;
use crate::datum::Datum;
use crate::datum::array::Array;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

/// What is asked of rows in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderedSet {
    /// The first value of which so great a part of all is no greater.
    Discrete,
    /// What stands at that place, between two values if need be.
    Continuous,
    /// The most frequent value, of several the first.
    Mode,
    /// The rank that a row would have.
    Rank,
    /// The same, where rows that are alike count once.
    DenseRank,
    /// The rank as a part of all others.
    PercentRank,
    /// Which part of all, itself included, would not come after it.
    CumeDist,
}

impl OrderedSet {
    /// Whether it asks for the place of a row that is not there: its arguments stand beside what is ordered by.
    pub fn is_hypothetical(self) -> bool {
        matches!(self, Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist)
    }

    /// How many arguments stand outside of WITHIN GROUP; of a hypothetical one, as many as inside.
    pub fn direct(self) -> usize {
        usize::from(self != Self::Mode)
    }

    /// What makes the result of the values that were collected.
    pub fn finisher(self) -> FunctionId {
        FunctionId(match self {
            Self::Discrete => &DISCRETE,
            Self::Continuous => &CONTINUOUS,
            Self::Mode => &MODE,
            Self::Rank => &RANK,
            Self::DenseRank => &DENSE_RANK,
            Self::PercentRank => &PERCENT_RANK,
            Self::CumeDist => &CUME_DIST,
        })
    }
}

/// Whether a key comes in descending order, and its NULLs first, as the finishers of hypothetical ranks take it.
pub fn direction(descending: bool, nulls_first: bool) -> i32 {
    i32::from(descending) + 2 * i32::from(nulls_first)
}

/// Whether a function makes the result of such an aggregate.
pub fn is_finisher(function: FunctionId) -> bool {
    let all = [&DISCRETE, &CONTINUOUS, &MODE, &RANK, &DENSE_RANK, &PERCENT_RANK, &CUME_DIST];
    all.iter().any(|finisher| finisher.oid == function.oid())
}

static DISCRETE: Function = finisher(3973, "percentile_disc_final", discrete);
static CONTINUOUS: Function = finisher(3975, "percentile_cont_float8_final", continuous);
static MODE: Function = finisher(3985, "mode_final", mode);
static RANK: Function = finisher(3987, "rank_final", |args, types, _| {
    Ok(Datum::Int8(count(Place::of(args, types)?.before)?.saturating_add(1)))
});
static PERCENT_RANK: Function = finisher(3989, "percent_rank_final", |args, types, _| {
    let place = Place::of(args, types)?;
    let all = place.all as f64;
    Ok(Datum::Float8(if place.all == 0 { 0.0 } else { place.before as f64 / all }))
});
static CUME_DIST: Function = finisher(3991, "cume_dist_final", |args, types, _| {
    let place = Place::of(args, types)?;
    Ok(Datum::Float8((place.not_behind as f64 + 1.0) / (place.all as f64 + 1.0)))
});
static DENSE_RANK: Function = finisher(3993, "dense_rank_final", |args, types, _| {
    Ok(Datum::Int8(count(Place::of(args, types)?.kinds_before)?.saturating_add(1)))
});

const fn finisher(
    oid: u32,
    name: &'static str,
    body: fn(&[Datum], &[Type], &SessionContext) -> Result<Datum>,
) -> Function {
    Function {
        oid,
        name,
        extension: None,
        args: &[TypeKind::Any],
        defaults: 0,
        variadic: true,
        result: TypeKind::Any,
        output: None,
        columns: &[],
        kind: FunctionKind::Scalar,
        volatility: Volatility::Immutable,
        strict: false,
        body: Body::Typed(body),
    }
}

fn count(rows: usize) -> Result<i64> {
    i64::try_from(rows).map_err(|_| Error::out_of_range("bigint"))
}

/// The values that were collected; none if there was no row.
fn collected(value: Option<&Datum>) -> Result<&[Datum]> {
    match value {
        Some(Datum::Array(array)) => Ok(array),
        Some(Datum::Null) => Ok(&[]),
        _ => Err(mismatch()),
    }
}

/// 22003 if that is no part of a whole.
fn part(value: &Datum) -> Result<f64> {
    let part = float(value)?;
    if !(0.0..=1.0).contains(&part) {
        return Err(Error::new("22003", format!("percentile value {part} is not between 0 and 1")));
    }
    Ok(part)
}

/// What stands at a part of all values, or at each of several.
fn percentile(args: &[Datum], at: impl Fn(&[Datum], f64) -> Result<Datum>) -> Result<Datum> {
    let values = collected(args.first())?;
    match args.get(1) {
        Some(Datum::Null) => Ok(Datum::Null),
        Some(Datum::Array(_)) if values.is_empty() => Ok(Datum::Null),
        Some(Datum::Array(parts)) => {
            let parts: &Array = parts;
            parts
                .map(|one| match one {
                    Datum::Null => Ok(Datum::Null),
                    one => at(values, part(one)?),
                })
                .map(Datum::Array)
        }
        Some(one) => {
            let part = part(one)?;
            if values.is_empty() { Ok(Datum::Null) } else { at(values, part) }
        }
        None => Err(mismatch()),
    }
}

fn value_at(values: &[Datum], place: f64) -> Result<&Datum> {
    values.get(place as usize).ok_or_else(mismatch)
}

fn discrete(args: &[Datum], _: &[Type], _: &SessionContext) -> Result<Datum> {
    percentile(args, |values, part| {
        let number = (part * values.len() as f64).ceil().max(1.0);
        value_at(values, number - 1.0).cloned()
    })
}

fn continuous(args: &[Datum], _: &[Type], _: &SessionContext) -> Result<Datum> {
    percentile(args, |values, part| {
        let place = part * (values.len() as f64 - 1.0);
        let (low, high) = (value_at(values, place.floor())?, value_at(values, place.ceil())?);
        let way = place - place.floor();
        match (low, high) {
            _ if place.floor() == place.ceil() => Ok(low.clone()),
            (Datum::Float8(low), Datum::Float8(high)) => Ok(Datum::Float8(low + way * (high - low))),
            (Datum::Interval(low), Datum::Interval(high)) => {
                let distance = interval::subtract(*high, *low)?;
                interval::add(*low, interval::multiply(distance, way)?).map(Datum::Interval)
            }
            _ => Err(mismatch()),
        }
    })
}

/// The type of the elements of an argument.
fn element(types: &[Type], place: usize) -> TypeKind {
    types.get(place).map_or(TypeKind::Unknown, |ty| ty.kind.element().unwrap_or(ty.kind))
}

fn mode(args: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
    let kind = element(types, 0);
    let alike = |left: &Datum, right: &Datum| compare_of(kind, left, right).is_eq();
    let mut most: Option<&[Datum]> = None;
    for run in collected(args.first())?.chunk_by(alike) {
        if most.is_none_or(|most| run.len() > most.len()) {
            most = Some(run);
        }
    }
    Ok(most.and_then(<[Datum]>::first).cloned().unwrap_or_default())
}

/// Where a row would stand.
struct Place {
    /// So many rows there are.
    all: usize,
    /// So many come before it.
    before: usize,
    /// So many do not come after it.
    not_behind: usize,
    /// So many unlike ones come before it.
    kinds_before: usize,
}

/// A key of the order: the values of all rows, and that of the row that is not there.
struct Key<'a> {
    kind: TypeKind,
    direction: i32,
    values: &'a [Datum],
    own: &'a Datum,
}

impl Key<'_> {
    fn order(&self, left: &Datum, right: &Datum) -> Ordering {
        let nulls_first = self.direction & 2 != 0;
        match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if self.direction & 1 != 0 => compare_of(self.kind, right, left),
            (false, false) => compare_of(self.kind, left, right),
        }
    }

    fn value(&self, row: usize) -> &Datum {
        self.values.get(row).unwrap_or(&Datum::Null)
    }
}

impl Place {
    fn of(args: &[Datum], types: &[Type]) -> Result<Self> {
        let directions = collected(args.first())?;
        let keys = directions.len();
        let mut parts = Vec::with_capacity(keys);
        for (place, direction) in directions.iter().enumerate() {
            let at = place.saturating_add(1).saturating_add(keys);
            parts.push(Key {
                kind: element(types, at),
                direction: direction.as_i64().and_then(|flags| i32::try_from(flags).ok()).unwrap_or(0),
                values: collected(args.get(at))?,
                own: args.get(place.saturating_add(1)).ok_or_else(mismatch)?,
            });
        }
        let all = parts.first().map_or(0, |key| key.values.len());
        let order = |row: usize| {
            let orders = parts.iter().map(|key| key.order(key.value(row), key.own));
            orders.fold(Ordering::Equal, Ordering::then)
        };
        let is_new = |row: usize| match row.checked_sub(1) {
            None => true,
            Some(last) => parts.iter().any(|key| key.order(key.value(last), key.value(row)).is_ne()),
        };
        let rows: Vec<usize> = (0..all).collect();
        let before = rows.partition_point(|row| order(*row).is_lt());
        let not_behind = rows.partition_point(|row| order(*row).is_le());
        let kinds_before = (0..before).filter(|row| is_new(*row)).count();
        Ok(Self { all, before, not_behind, kinds_before })
    }
}

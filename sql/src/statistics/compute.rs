//! From a sample of a column's values to what is known of it, as PostgreSQL's `analyze.c` computes it.

use std::cmp::Ordering;

use expr::{Datum, TypeKind, compare};

use super::{ColumnStatistics, TARGET};

/// Wider values are neither common nor in a histogram.
const WIDTH_MAX: usize = 1024;

/// A column of a sample.
#[derive(Debug)]
pub(crate) struct Sampled {
    /// The type.
    pub(crate) kind: TypeKind,
    /// The values, NULLs included, in the order of the rows.
    pub(crate) values: Vec<Datum>,
    /// About how many rows the table has.
    pub(crate) rows: f64,
}

/// A value that occurs more than once.
#[derive(Clone, Copy)]
struct Repeated {
    count: usize,
    first: usize,
}

/// What is known of a column.
pub(crate) fn column(sampled: Sampled) -> ColumnStatistics {
    let Sampled { kind, values, rows } = sampled;
    let taken = values.len();
    let mut known = ColumnStatistics::default();
    if taken == 0 {
        return known;
    }
    let mut total_width = 0_usize;
    let mut there: Vec<(Datum, usize)> = Vec::with_capacity(taken);
    let (mut nulls, mut wide) = (0_usize, 0_usize);
    for value in values {
        if value.is_null() {
            nulls = nulls.saturating_add(1);
            continue;
        }
        let width = width(kind, &value);
        total_width = total_width.saturating_add(width);
        if kind.length() < 0 && width > WIDTH_MAX {
            wide = wide.saturating_add(1);
        } else {
            there.push((value, there.len()));
        }
    }
    let sample = taken as f64;
    let rows = rows.max(sample);
    known.null_fraction = (nulls as f64 / sample) as f32;
    let held = taken.saturating_sub(nulls);
    if held == 0 {
        // PostgreSQL knows nothing of the values then.
        known.width = i32::from(kind.length().max(0));
        return known;
    }
    known.width = match kind.length() {
        fixed if fixed > 0 => i32::from(fixed),
        _ => i32::try_from(total_width / held).unwrap_or(i32::MAX),
    };
    if !kind.is_ordered() {
        return known;
    }
    there.sort_by(|(left, one), (right, other)| by_value(kind, left, right).then(one.cmp(other)));
    let (distinct, repeated) = repetitions(kind, &there);
    let null_part = nulls as f64 / sample;
    known.distinct = distinct_values(distinct, repeated.len(), wide, held, null_part, rows) as f32;
    let mut common = most_common(repeated.clone());
    let is_complete = repeated.len() == distinct && wide == 0 && known.distinct > 0.0;
    if !(is_complete && repeated.len() <= TARGET) {
        let kept = worth_keeping(&common, f64::from(known.distinct), null_part, sample, rows);
        common.truncate(kept);
    }
    known.common = common
        .iter()
        .filter_map(|own| Some((there.get(own.first)?.0.clone(), (own.count as f64 / sample) as f32)))
        .collect();
    known.histogram = histogram(&there, &mut common, distinct);
    known.correlation = correlation(&there);
    known
}

fn by_value(kind: TypeKind, left: &Datum, right: &Datum) -> Ordering {
    compare::compare_of(kind, left, right)
}

/// About how many bytes PostgreSQL takes for a value.
fn width(kind: TypeKind, value: &Datum) -> usize {
    /// A value of variable length has a head of one byte if that says how long it is, else of four.
    const SHORT_MAX: usize = 126;
    let with_head = |bytes: usize| bytes.saturating_add(if bytes <= SHORT_MAX { 1 } else { 4 });
    match (usize::try_from(kind.length()), value) {
        (Ok(fixed), _) => fixed,
        (Err(_), Datum::Text(text)) => with_head(text.len()),
        (Err(_), Datum::Bytea(bytes)) => with_head(bytes.len()),
        (Err(_), value) => value.size_bytes().saturating_sub(size_of::<Datum>()),
    }
}

/// How many values there are in a sample in order, and those that occur more than once.
fn repetitions(kind: TypeKind, there: &[(Datum, usize)]) -> (usize, Vec<Repeated>) {
    let (mut distinct, mut repeated) = (0_usize, Vec::new());
    let mut first = 0;
    for (at, (value, _)) in there.iter().enumerate() {
        let next = there.get(at.saturating_add(1));
        if next.is_some_and(|(next, _)| by_value(kind, value, next).is_eq()) {
            continue;
        }
        let count = at.saturating_add(1).saturating_sub(first);
        distinct = distinct.saturating_add(1);
        if count > 1 {
            repeated.push(Repeated { count, first });
        }
        first = at.saturating_add(1);
    }
    (distinct, repeated)
}

/// How many values the table has: the estimator of Haas and Stokes (IBM Research Report RJ 10025), where some values were
/// found once alone.
fn distinct_values(
    distinct: usize,
    repeated: usize,
    wide: usize,
    held: usize,
    null_part: f64,
    rows: f64,
) -> f64 {
    let values = if repeated == 0 {
        // Whatever occurs once in a sample is taken for unique.
        return -(1.0 - null_part);
    } else if wide == 0 && repeated == distinct {
        distinct as f64
    } else {
        let once = distinct.saturating_sub(repeated).saturating_add(wide) as f64;
        let found = once + repeated as f64;
        let (sample, all) = (held as f64, rows * (1.0 - null_part));
        let estimate = if all > 0.0 { sample * found / ((sample - once) + once * sample / all) } else { 0.0 };
        (estimate.clamp(found, all.max(found)) + 0.5).floor()
    };
    if values > 0.1 * rows { -(values / rows) } else { values }
}

/// The most common first; of equally common ones the lesser.
fn most_common(mut repeated: Vec<Repeated>) -> Vec<Repeated> {
    repeated.sort_by(|one, other| other.count.cmp(&one.count).then(one.first.cmp(&other.first)));
    repeated.truncate(TARGET);
    repeated
}

/// How many of the common values are clearly more common than those that are left out (`analyze_mcv_list`).
fn worth_keeping(common: &[Repeated], distinct: f64, null_part: f64, sample: f64, rows: f64) -> usize {
    if sample >= rows || rows <= 1.0 {
        return common.len();
    }
    let distinct = if distinct < 0.0 { -distinct * rows } else { distinct };
    let mut kept = common.len();
    while let Some(least) = kept.checked_sub(1).and_then(|last| common.get(last)) {
        let others = kept.saturating_sub(1);
        let before: usize = common.iter().take(others).map(|own| own.count).sum();
        let mut part = (1.0 - before as f64 / sample - null_part).clamp(0.0, 1.0);
        let left = distinct - others as f64;
        if left > 1.0 {
            part /= left;
        }
        let all = rows * least.count as f64 / sample;
        let variance = sample * all * (rows - all) * (rows - sample) / (rows * rows * (rows - 1.0));
        if least.count as f64 > part * sample + 2.0 * variance.max(0.0).sqrt() + 0.5 {
            break;
        }
        kept = others;
    }
    kept
}

/// What divides the values that are not common into parts of as many rows.
fn histogram(there: &[(Datum, usize)], common: &mut [Repeated], distinct: usize) -> Vec<Datum> {
    let bounds = distinct.saturating_sub(common.len()).min(TARGET.saturating_add(1));
    if bounds < 2 {
        return Vec::new();
    }
    common.sort_by_key(|own| own.first);
    let mut others: Vec<&Datum> = Vec::with_capacity(there.len());
    let mut skipped = common.iter().peekable();
    for (at, (value, _)) in there.iter().enumerate() {
        while skipped.next_if(|own| own.first.saturating_add(own.count) <= at).is_some() {}
        if skipped.peek().is_none_or(|own| own.first > at) {
            others.push(value);
        }
    }
    let (last, parts) = (others.len().saturating_sub(1), bounds.saturating_sub(1));
    let place = |bound: usize| bound.saturating_mul(last).checked_div(parts).unwrap_or(0);
    (0..bounds).filter_map(|bound| others.get(place(bound)).map(|value| (*value).clone())).collect()
}

/// How far the order of the values is that of the rows.
fn correlation(there: &[(Datum, usize)]) -> Option<f32> {
    let count = there.len() as f64;
    if there.len() < 2 {
        return None;
    }
    let sum = (count - 1.0) * count / 2.0;
    let squares = (count - 1.0) * count * (2.0 * count - 1.0) / 6.0;
    let products: f64 = there.iter().enumerate().map(|(at, (_, row))| at as f64 * *row as f64).sum();
    Some(((count * products - sum * sum) / (count * squares - sum * sum)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = Option<i32>>, rows: f64) -> ColumnStatistics {
        let values = values.into_iter().map(|value| value.map_or(Datum::Null, Datum::Int4)).collect();
        column(Sampled { kind: TypeKind::Int4, values, rows })
    }

    /// The numbers are PostgreSQL 15's for such tables.
    #[test]
    fn a_whole_table_is_known_as_postgresql_knows_it() {
        let keys = of((1..=1000).map(Some), 1000.0);
        assert_eq!((keys.distinct, keys.null_fraction, keys.width), (-1.0, 0.0, 4));
        assert_eq!((keys.common.len(), keys.histogram.len(), keys.correlation), (0, 101, Some(1.0)));
        assert!(matches!(keys.histogram.first(), Some(Datum::Int4(1))));
        assert!(matches!(keys.histogram.last(), Some(Datum::Int4(1000))));
        let digits = of((1..=1000).map(|g| (g % 4 != 0).then_some(g % 10)), 1000.0);
        assert_eq!((digits.distinct, digits.null_fraction), (10.0, 0.25));
        assert_eq!(digits.common.len(), 10);
        assert!(matches!(digits.common.first(), Some((Datum::Int4(1), 0.1))));
        assert!(digits.histogram.is_empty());
        let nothing = of([None, None], 2.0);
        assert_eq!((nothing.distinct, nothing.null_fraction, nothing.correlation), (0.0, 1.0, None));
    }

    #[test]
    fn of_a_sample_what_is_common_by_chance_is_left_out() {
        // Two of each, of a thousand times as many rows: there may be about as many values as were found.
        let pairs = of((0..30_000).map(|g| Some(g / 2)), 30_000_000.0);
        assert_eq!(pairs.distinct, 15_000.0);
        assert!(pairs.common.is_empty());
        let skewed = of((0..30_000).map(|g| Some(if g % 2 == 0 { 0 } else { g })), 30_000_000.0);
        assert!(matches!(skewed.common.as_slice(), [(Datum::Int4(0), 0.5)]));
        assert_eq!(skewed.distinct, 29_972.0);
    }
}

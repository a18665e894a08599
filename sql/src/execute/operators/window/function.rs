//! Functions over partitions and frames that are no aggregates.

use expr::Datum;
use expr::functions::WindowFunction;

use super::Column;
use super::frame::{Ends, Frames, Partition, Place};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::plan::WindowCall;

/// The values for all rows of a partition, and what they take.
pub(super) async fn column(
    cx: &mut Context<'_>,
    call: &WindowCall,
    function: WindowFunction,
    ends: &Ends,
    partition: &Partition<'_>,
) -> Result<(Vec<Datum>, usize)> {
    let mut frames = function.sees_frame().then(|| Frames::new(&call.frame, ends, partition));
    let parts = match (function, partition.rows.first()) {
        (WindowFunction::Ntile, Some(first)) => parts(cx, call, first)?,
        _ => None,
    };
    let mut column = Column::default();
    for place in Place::all(partition) {
        let value = match &mut frames {
            Some(frames) => {
                frames.advance(cx, place).await?;
                of_frame(cx, call, function, partition, frames, place)?
            }
            None => of_partition(cx, call, function, partition, place, parts)?,
        };
        column.push(cx, value)?;
        cx.tick(1).await?;
    }
    Ok(column.into_parts())
}

/// Into how many parts `ntile` divides a partition; of NULL nothing is known.
fn parts(cx: &Context<'_>, call: &WindowCall, row: &[Datum]) -> Result<Option<usize>> {
    let value = argument(cx, call, 0, row)?;
    match value.as_i64() {
        None => Ok(None),
        Some(parts) => match usize::try_from(parts) {
            Ok(parts) if parts > 0 => Ok(Some(parts)),
            _ => Err(Error::new("22014", "argument of ntile must be greater than zero")),
        },
    }
}

fn of_partition(
    cx: &Context<'_>,
    call: &WindowCall,
    function: WindowFunction,
    partition: &Partition<'_>,
    place: Place,
    parts: Option<usize>,
) -> Result<Datum> {
    let number = |rows: usize| Datum::Int8(i64::try_from(rows).unwrap_or(i64::MAX));
    let rows = partition.len();
    Ok(match function {
        WindowFunction::RowNumber => number(place.row.saturating_add(1)),
        WindowFunction::Rank => number(place.first.saturating_add(1)),
        WindowFunction::DenseRank => number(place.group.saturating_add(1)),
        WindowFunction::PercentRank if rows <= 1 => Datum::Float8(0.0),
        WindowFunction::PercentRank => Datum::Float8(place.first as f64 / (rows.saturating_sub(1)) as f64),
        WindowFunction::CumeDist => Datum::Float8(place.end as f64 / rows as f64),
        WindowFunction::Ntile => match parts {
            None => Datum::Null,
            Some(parts) => Datum::Int4(i32::try_from(tile(place.row, rows, parts)).unwrap_or(i32::MAX)),
        },
        WindowFunction::Lag | WindowFunction::Lead => {
            let row = partition.rows.get(place.row).map(Vec::as_slice).unwrap_or_default();
            let by = match call.arguments.get(1) {
                None => 1,
                Some(_) => match argument(cx, call, 1, row)?.as_i64() {
                    Some(by) => by,
                    None => return Ok(Datum::Null),
                },
            };
            let by = if function == WindowFunction::Lag { by.saturating_neg() } else { by };
            let other = i64::try_from(place.row).ok().and_then(|row| row.checked_add(by));
            let other =
                other.and_then(|row| usize::try_from(row).ok()).and_then(|row| partition.rows.get(row));
            match other {
                Some(other) => argument(cx, call, 0, other)?,
                None if call.arguments.len() > 2 => argument(cx, call, 2, row)?,
                None => Datum::Null,
            }
        }
        WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue => {
            return Err(Error::internal("a function of the frame without one"));
        }
    })
}

/// Which of so many parts a row is in; the first ones have a row more where they cannot be of one size.
fn tile(row: usize, rows: usize, parts: usize) -> usize {
    let (size, larger) = (rows / parts, rows % parts);
    let in_larger = larger.saturating_mul(size.saturating_add(1));
    let place = if row < in_larger {
        row / size.saturating_add(1)
    } else {
        larger.saturating_add(row.saturating_sub(in_larger).checked_div(size).unwrap_or(0))
    };
    place.saturating_add(1)
}

fn of_frame(
    cx: &Context<'_>,
    call: &WindowCall,
    function: WindowFunction,
    partition: &Partition<'_>,
    frames: &Frames<'_>,
    place: Place,
) -> Result<Datum> {
    let mut pieces = frames.pieces(place).into_iter().filter(|piece| !piece.is_empty());
    let row = match function {
        WindowFunction::FirstValue => pieces.next().map(|piece| piece.start),
        WindowFunction::LastValue => pieces.next_back().and_then(|piece| piece.end.checked_sub(1)),
        _ => {
            let own = partition.rows.get(place.row).map(Vec::as_slice).unwrap_or_default();
            let Some(number) = argument(cx, call, 1, own)?.as_i64() else { return Ok(Datum::Null) };
            let number = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let Some(mut left) = number else {
                return Err(Error::new("22016", "argument of nth_value must be greater than zero"));
            };
            pieces.find_map(|piece| {
                if left < piece.len() {
                    return piece.start.checked_add(left);
                }
                left = left.saturating_sub(piece.len());
                None
            })
        }
    };
    match row.and_then(|row| partition.rows.get(row)) {
        Some(row) => argument(cx, call, 0, row),
        None => Ok(Datum::Null),
    }
}

fn argument(cx: &Context<'_>, call: &WindowCall, place: usize, row: &[Datum]) -> Result<Datum> {
    match call.arguments.get(place) {
        Some(argument) => cx.evaluate(argument, row),
        None => Err(Error::internal("a window function without its argument")),
    }
}

#[cfg(test)]
mod tests {
    use super::tile;

    #[test]
    fn tiles_differ_by_one_row_at_most() {
        let tiles =
            |rows: usize, parts: usize| (0..rows).map(|row| tile(row, rows, parts)).collect::<Vec<_>>();
        assert_eq!(tiles(7, 3), [1, 1, 1, 2, 2, 3, 3]);
        assert_eq!(tiles(2, 5), [1, 2]);
        assert_eq!(tiles(4, 2), [1, 1, 2, 2]);
    }
}

//! Arrays: elements, and the dimensions they stand in.
//!
//! Most arrays have one dimension and count from 1; they carry no more than their elements. An array without elements
//! has no dimensions. Elements stand in row-major order: the last subscript runs fastest.

use std::ops::Deref;
use std::sync::Arc;

use super::Datum;
use crate::error::{Error, Result};

/// The most dimensions of an array.
pub const DIMENSIONS_MAX: usize = 6;

/// The most elements of an array.
pub const ELEMENTS_MAX: usize = (1 << 27) - 1;

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimension {
    /// How many there are.
    pub length: i32,
    /// The first subscript.
    pub lower: i32,
}

impl Dimension {
    /// The last subscript.
    pub fn upper(&self) -> i32 {
        self.lower.wrapping_add(self.length).wrapping_sub(1)
    }

    /// Where a subscript leads, from 0; None beyond the bounds.
    fn place(&self, subscript: i32) -> Option<usize> {
        let place = i64::from(subscript) - i64::from(self.lower);
        usize::try_from(place).ok().filter(|place| *place < self.length as usize)
    }
}

/// An array; what its elements are is known from its type.
///
/// # Invariants
/// - The product of the dimensions' lengths is the number of elements; there are none exactly if there are no dimensions.
/// - No dimension ends beyond what an int4 holds.
#[derive(Debug, Clone, Default)]
pub struct Array {
    items: Arc<[Datum]>,
    /// None: one dimension from 1, or no elements.
    shape: Option<Arc<[Dimension]>>,
}

impl Array {
    /// Of one dimension that counts from `lower`.
    pub fn from_lower(items: impl Into<Arc<[Datum]>>, lower: i32) -> Self {
        let items = items.into();
        let plain = lower == 1 || items.is_empty();
        let dimension = Dimension { length: items.len() as i32, lower };
        Self { shape: if plain { None } else { Some([dimension].into()) }, items }
    }

    /// With these dimensions. 54000 if a bound is none, XX000 if there are not as many elements as they have room for.
    pub fn shaped(items: impl Into<Arc<[Datum]>>, dimensions: &[Dimension]) -> Result<Self> {
        let items = items.into();
        if items.is_empty() {
            return Ok(Self::default());
        }
        if dimensions.len() > DIMENSIONS_MAX {
            return Err(too_many_dimensions(dimensions.len()));
        }
        let mut count = 1usize;
        for dimension in dimensions {
            let length = usize::try_from(dimension.length).unwrap_or(0);
            count = count.checked_mul(length).filter(|count| *count <= ELEMENTS_MAX).ok_or_else(too_large)?;
            if dimension.lower.checked_add(dimension.length).is_none() {
                return Err(Error::new(
                    "54000",
                    format!("array lower bound is too large: {}", dimension.lower),
                ));
            }
        }
        if count != items.len() {
            return Err(Error::internal("an array of as many elements as its dimensions do not have"));
        }
        let plain = matches!(dimensions, [Dimension { lower: 1, .. }]);
        Ok(Self { items, shape: if plain { None } else { Some(dimensions.into()) } })
    }

    /// Arrays of like dimensions as one that has a dimension more. 2202E if they are not alike.
    pub fn stacked(arrays: &[Datum]) -> Result<Self> {
        let unlike = || {
            Error::new(
                "2202E",
                "multidimensional arrays must have array expressions with matching dimensions",
            )
        };
        let mut shape: Option<Vec<Dimension>> = None;
        let mut items = Vec::new();
        for array in arrays {
            let empty = Self::default();
            let array = match array {
                Datum::Array(array) => array,
                Datum::Null => &empty,
                _ => return Err(Error::internal("an array of what is none")),
            };
            let dimensions: Vec<_> = array.dimensions().collect();
            if shape.get_or_insert_with(|| dimensions.clone()) != &dimensions {
                return Err(unlike());
            }
            items.extend(array.iter().cloned());
        }
        let outer = Dimension { length: i32::try_from(arrays.len()).map_err(|_| too_large())?, lower: 1 };
        let dimensions: Vec<_> = std::iter::once(outer).chain(shape.unwrap_or_default()).collect();
        Self::shaped(items, &dimensions)
    }

    /// The elements in the same dimensions, each replaced.
    pub fn map(&self, replace: impl FnMut(&Datum) -> Result<Datum>) -> Result<Self> {
        let items: Result<Vec<_>> = self.items.iter().map(replace).collect();
        Ok(Self { items: items?.into(), shape: self.shape.clone() })
    }

    /// The elements.
    pub fn items(&self) -> &Arc<[Datum]> {
        &self.items
    }

    /// How many dimensions it has.
    pub fn dimension_count(&self) -> usize {
        match &self.shape {
            Some(shape) => shape.len(),
            None => usize::from(!self.items.is_empty()),
        }
    }

    /// The dimension of this number, from 0.
    pub fn dimension(&self, number: usize) -> Option<Dimension> {
        match &self.shape {
            Some(shape) => shape.get(number).copied(),
            None if number == 0 && !self.items.is_empty() => {
                Some(Dimension { length: self.items.len() as i32, lower: 1 })
            }
            None => None,
        }
    }

    /// All dimensions.
    pub fn dimensions(&self) -> impl DoubleEndedIterator<Item = Dimension> + '_ {
        (0..self.dimension_count()).filter_map(|number| self.dimension(number))
    }

    /// Whether it has one dimension that counts from 1, or none.
    pub fn is_plain(&self) -> bool {
        self.shape.is_none()
    }

    /// The element at these subscripts; None beyond the bounds, or if there are more or fewer of them than dimensions.
    pub fn get_at(&self, subscripts: &[i32]) -> Option<&Datum> {
        if subscripts.len() != self.dimension_count() {
            return None;
        }
        let mut place = 0usize;
        for (dimension, subscript) in self.dimensions().zip(subscripts) {
            place = place * dimension.length as usize + dimension.place(*subscript)?;
        }
        self.items.get(place)
    }

    /// The elements between bounds, one pair for each of the first dimensions, both inclusive; counted from 1. None where
    /// there are more pairs than dimensions or a range is empty.
    pub fn slice(&self, bounds: &[(i32, i32)]) -> Option<Self> {
        let mut taken: Vec<(Dimension, usize, usize)> = Vec::new();
        for (number, dimension) in self.dimensions().enumerate() {
            let (lower, upper) = bounds.get(number).copied().unwrap_or((dimension.lower, dimension.upper()));
            let (lower, upper) = (lower.max(dimension.lower), upper.min(dimension.upper()));
            if lower > upper {
                return None;
            }
            let from = dimension.place(lower)?;
            taken.push((dimension, from, dimension.place(upper)? - from + 1));
        }
        if bounds.len() > taken.len() {
            return None;
        }
        let mut places = vec![0usize];
        for (dimension, from, length) in &taken {
            let width = dimension.length as usize;
            places = places
                .into_iter()
                .flat_map(|place| (0..*length).map(move |at| place * width + from + at))
                .collect();
        }
        let items: Vec<Datum> =
            places.into_iter().filter_map(|place| self.items.get(place).cloned()).collect();
        let dimensions: Vec<_> =
            taken.iter().map(|(_, _, length)| Dimension { length: *length as i32, lower: 1 }).collect();
        Self::shaped(items, &dimensions).ok()
    }
}

/// 54000
pub(crate) fn too_many_dimensions(count: usize) -> Error {
    Error::new(
        "54000",
        format!("number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})"),
    )
}

/// 54000
pub(crate) fn too_large() -> Error {
    Error::new("54000", format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"))
}

impl Deref for Array {
    type Target = [Datum];

    fn deref(&self) -> &[Datum] {
        &self.items
    }
}

impl From<Arc<[Datum]>> for Array {
    fn from(items: Arc<[Datum]>) -> Self {
        Self { items, shape: None }
    }
}

impl From<Vec<Datum>> for Array {
    fn from(items: Vec<Datum>) -> Self {
        Self { items: items.into(), shape: None }
    }
}

impl<const N: usize> From<[Datum; N]> for Array {
    fn from(items: [Datum; N]) -> Self {
        Self { items: items.into(), shape: None }
    }
}

impl FromIterator<Datum> for Array {
    fn from_iter<I: IntoIterator<Item = Datum>>(items: I) -> Self {
        Self { items: items.into_iter().collect(), shape: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Array {
        let items: Vec<Datum> = (0..6).map(Datum::Int4).collect();
        let dimensions = [Dimension { length: 2, lower: 0 }, Dimension { length: 3, lower: 1 }];
        Array::shaped(items, &dimensions).unwrap()
    }

    fn numbers(array: &Array) -> Vec<i64> {
        array.iter().filter_map(Datum::as_i64).collect()
    }

    #[test]
    fn subscripts_lead_to_elements() {
        let grid = grid();
        assert_eq!(grid.get_at(&[1, 2]).and_then(Datum::as_i64), Some(4));
        assert!(grid.get_at(&[2, 1]).is_none());
        assert!(grid.get_at(&[1]).is_none());
        assert!(grid.get_at(&[i32::MIN, i32::MAX]).is_none());
    }

    #[test]
    fn slices_keep_their_dimensions_and_count_from_one() {
        let slice = grid().slice(&[(0, 9), (2, 3)]).unwrap();
        assert_eq!(numbers(&slice), [1, 2, 4, 5]);
        assert!(slice.dimensions().all(|dimension| dimension == Dimension { length: 2, lower: 1 }));
        assert_eq!(numbers(&grid().slice(&[(1, 1)]).unwrap()), [3, 4, 5]);
        assert!(grid().slice(&[(3, 4)]).is_none());
    }

    #[test]
    fn arrays_that_are_none_are_refused() {
        let dimension = |length, lower| Dimension { length, lower };
        assert!(Array::shaped(vec![Datum::Null], &[dimension(2, 1)]).is_err());
        assert!(Array::shaped(vec![Datum::Null], &[dimension(1, i32::MAX)]).is_err());
        assert!(Array::shaped(vec![Datum::Null], &[dimension(1, 1); 7]).is_err());
        assert_eq!(Array::shaped(Vec::new(), &[dimension(1, 1)]).unwrap().dimension_count(), 0);
    }
}

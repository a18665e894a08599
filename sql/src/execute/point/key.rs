//! The key of the one row, or index entry, that a point statement names.

use bytes::Bytes;
use expr::{EvalContext, Expr};
use keys::sql::SUFFIX_ROW;

use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::rows::IndexFormat;
use crate::plan::{Fit, fit};

/// About what the columns of a key take.
const COLUMNS_BYTES: usize = 24;

/// What the columns of a unique index are equal to.
pub(super) struct PointKey {
    index: IndexFormat,
    values: Vec<Expr>,
}

impl PointKey {
    pub(super) fn new(index: IndexFormat, values: &[&Expr]) -> Self {
        Self { index, values: values.iter().copied().cloned().collect() }
    }

    /// The key for the values at hand; `None`: nothing is equal to them.
    pub(super) fn of(&self, cx: &Context<'_>) -> Result<Option<Bytes>> {
        let context = EvalContext::new(&[], cx.values, cx.session);
        let mut key = Vec::with_capacity(self.index.prefix.len() + COLUMNS_BYTES);
        key.extend_from_slice(&self.index.prefix);
        for (value, column) in self.values.iter().zip(&self.index.columns) {
            match fit(value.evaluate(&context)?, column.ty.kind) {
                Fit::Value(datum) => expr::key::encode_datum(&datum, column.ty, column.direction, &mut key)?,
                Fit::Null | Fit::Below | Fit::Above => return Ok(None),
            }
        }
        key.push(SUFFIX_ROW);
        Ok(Some(key.into()))
    }
}

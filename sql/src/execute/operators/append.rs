//! UNION ALL: the rows of inputs one after the other.

use async_trait::async_trait;
use expr::Row;

use super::{BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;

/// The rows of inputs one after the other.
pub(super) struct AppendOperator {
    inputs: Vec<BoxOperator>,
    /// The input that is being read.
    at: usize,
}

impl AppendOperator {
    pub(super) fn new(inputs: Vec<BoxOperator>) -> Self {
        Self { inputs, at: 0 }
    }
}

#[async_trait]
impl Operator for AppendOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        while let Some(input) = self.inputs.get_mut(self.at) {
            if let Some(rows) = input.next(cx).await? {
                return Ok(Some(rows));
            }
            // What it holds is of no use any more.
            input.rewind(cx);
            self.at = self.at.saturating_add(1);
        }
        Ok(None)
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.at = 0;
        self.inputs.iter_mut().for_each(|input| input.rewind(cx));
    }
}

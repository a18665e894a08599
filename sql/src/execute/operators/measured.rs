//! An operator that is looked at while it works: EXPLAIN ANALYZE puts one around each of a plan's.

use async_trait::async_trait;
use env::clock;
use expr::Row;

use super::{BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::truth::{Counted, Truths};
use crate::plan::Node;

/// Counts what an operator does.
pub(super) struct Measured {
    inner: BoxOperator,
    counted: Counted,
    has_times: bool,
    /// It was asked for rows since it was last rewound.
    is_begun: bool,
}

impl Measured {
    /// Around the operator of a node.
    pub(super) fn new(inner: BoxOperator, node: &Node, truths: &Truths) -> Self {
        Self { inner, counted: truths.counted(node), has_times: truths.has_times, is_begun: false }
    }
}

#[async_trait]
impl Operator for Measured {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let around = cx.analysis.at_hand.replace(self.counted.clone());
        let beside = std::mem::take(&mut cx.analysis.spilled_below);
        let spilled = cx.memory.spilled();
        let started = self.has_times.then(clock::now);
        let made = self.inner.next(cx).await;
        let took = started.map(|started| started.elapsed());
        let spilled = cx.memory.spilled().saturating_sub(spilled);
        let mut truth = self.counted.lock();
        truth.spilled = truth.spilled.saturating_add(spilled.saturating_sub(cx.analysis.spilled_below));
        let begun = !std::mem::replace(&mut self.is_begun, true);
        truth.note(made.as_ref().map_or(0, |rows| rows.as_ref().map_or(0, Vec::len)), begun, took);
        cx.analysis.spilled_below = beside.saturating_add(spilled);
        cx.analysis.at_hand = around;
        drop(truth);
        made
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.is_begun = false;
        let around = cx.analysis.at_hand.replace(self.counted.clone());
        self.inner.rewind(cx);
        cx.analysis.at_hand = around;
    }
}

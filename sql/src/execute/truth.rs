//! What the steps of a plan have really done: counted while EXPLAIN ANALYZE runs it.
//!
//! ```text
//! Building ─ wraps each operator ─▶ Measured ─ rows, runs, time, bytes put aside ─▶ Truth of its node
//!                                      └─ tells the context whose turn it is ─▶ what the operator itself notes
//! ```
//!
//! What is not analysed has none of it: no operator is wrapped, and nobody's turn is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::plan::{Node, NodeId};

/// What a step has done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// How often it was begun.
    pub(crate) loops: u64,
    /// The rows that it made, in all runs together.
    pub(crate) rows: u64,
    /// How long it took until its first rows were there.
    pub(crate) first: Duration,
    /// How long it took, with all that it reads.
    pub(crate) total: Duration,
    /// Rows that a condition left out.
    pub(crate) removed: u64,
    /// Pairs that a join's condition left out.
    pub(crate) removed_pairs: u64,
    /// Rows that others held, and that were passed over.
    pub(crate) skipped: u64,
    /// Rows that had changed before they were locked, and were none any more.
    pub(crate) outdated: u64,
    /// The most bytes that it has held at once, where it counts them.
    pub(crate) held: usize,
    /// Bytes that it has put aside.
    pub(crate) spilled: u64,
    /// What it has asked of the ranges, and was answered.
    pub(crate) reads: Reads,
}

/// What was asked of the ranges.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reads {
    /// Pages, or lists of keys.
    pub(crate) requests: u64,
    /// The values that have come.
    pub(crate) values: u64,
    /// Their bytes, and those of keys that came with them.
    pub(crate) bytes: u64,
}

impl Truth {
    /// So many rows were made; `begun`: they are the first since it was begun; `took`: so long did that take.
    pub(crate) fn note(&mut self, rows: usize, begun: bool, took: Option<Duration>) {
        self.loops = self.loops.saturating_add(u64::from(begun));
        self.rows = self.rows.saturating_add(rows as u64);
        let took = took.unwrap_or_default();
        self.total = self.total.saturating_add(took);
        if begun {
            self.first = self.first.saturating_add(took);
        }
    }

    /// Of so much in all runs together, what each has on average.
    pub(crate) fn each(&self, all: f64) -> f64 {
        all / self.loops.max(1) as f64
    }

    /// How long a run took until its first rows were there, and to its end, in milliseconds.
    pub(crate) fn times_ms(&self) -> [f64; 2] {
        [self.first, self.total].map(|time| self.each(time.as_secs_f64() * 1000.0))
    }

    /// So many bytes are held.
    pub(crate) fn note_held(&mut self, bytes: usize) {
        self.held = self.held.max(bytes);
    }

    /// A request was answered by values of so many bytes.
    pub(crate) fn note_read(&mut self, values: impl Iterator<Item = usize>) {
        self.reads.requests = self.reads.requests.saturating_add(1);
        for bytes in values {
            self.reads.values = self.reads.values.saturating_add(1);
            self.reads.bytes = self.reads.bytes.saturating_add(bytes as u64);
        }
    }
}

/// Where a step's truth is counted.
pub(crate) type Counted = Arc<Mutex<Truth>>;

/// The truths of a plan's nodes.
#[derive(Debug)]
pub(crate) struct Truths {
    /// Whether the clock is looked at.
    pub(crate) has_times: bool,
    of: Mutex<HashMap<NodeId, Counted>>,
}

impl Truths {
    /// Of what has not begun.
    pub(crate) fn new(has_times: bool) -> Arc<Self> {
        Arc::new(Self { has_times, of: Mutex::default() })
    }

    /// Where the truth of a node is counted.
    pub(crate) fn counted(&self, node: &Node) -> Counted {
        self.of.lock().entry(NodeId::of(node)).or_default().clone()
    }

    /// The truth of a node is counted where that of another is.
    pub(crate) fn count_there(&self, node: &Node, counted: &Counted) {
        self.of.lock().insert(NodeId::of(node), counted.clone());
    }

    /// The truth of a node by now; nothing of one that was never begun.
    pub(crate) fn of(&self, node: &Node) -> Truth {
        self.of.lock().get(&NodeId::of(node)).map(|counted| counted.lock().clone()).unwrap_or_default()
    }
}

/// Who counts what a statement does, if anybody does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Analysis {
    /// The truths of the plan that is run.
    pub(crate) truths: Option<Arc<Truths>>,
    /// That of the operator whose turn it is.
    pub(crate) at_hand: Option<Counted>,
    /// The bytes that operators below that one have put aside since its turn began.
    pub(crate) spilled_below: u64,
}

impl Analysis {
    /// Of a plan whose operators were built for it.
    pub(crate) fn of(truths: Option<Arc<Truths>>) -> Self {
        Self { truths, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_of_each_run_tell_when_they_were_there() {
        let mut truth = Truth::default();
        let ms = |ms| Some(Duration::from_millis(ms));
        truth.note(10, true, ms(5));
        truth.note(10, false, ms(1));
        truth.note(0, false, ms(1));
        truth.note(0, true, ms(2));
        assert_eq!((truth.loops, truth.rows), (2, 20));
        assert_eq!((truth.first, truth.total), (Duration::from_millis(7), Duration::from_millis(9)));
    }

    #[test]
    fn requests_are_told_from_what_they_find() {
        let mut truth = Truth::default();
        truth.note_read([10, 20].into_iter());
        truth.note_read(std::iter::empty());
        let Reads { requests, values, bytes } = truth.reads;
        assert_eq!((requests, values, bytes), (2, 2, 30));
    }
}

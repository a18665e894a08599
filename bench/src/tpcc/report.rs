//! The figures as Markdown: medians over rounds.

use std::collections::BTreeMap;

use super::terminal::Done;
use super::transactions::Kind;
use crate::figures::{Figures, percentile};

/// What one kind of transaction has shown on a server.
#[derive(Default)]
pub(super) struct Latencies {
    p50_ms: Figures,
    p95_ms: Figures,
    p99_ms: Figures,
    completed: Figures,
    retried: Figures,
}

/// What a server has shown.
#[derive(Default)]
pub(super) struct Outcome {
    tpmc: Figures,
    cpu_us: Figures,
    fsyncs: Figures,
    kinds: BTreeMap<Kind, Latencies>,
}

impl Outcome {
    /// Takes in a round: what was done in so many seconds, and what that took of the processor and the disk.
    pub(super) fn add(&mut self, done: &Done, seconds: f64, cpu_us: f64, fsyncs: f64) {
        let orders = done.tallies.get(&Kind::NewOrder).map_or(0, |tally| tally.committed);
        self.tpmc.add(orders as f64 / seconds * 60.0);
        let transactions = done.tallies.values().map(|tally| tally.latencies_ms.len()).sum::<usize>().max(1);
        self.cpu_us.add(cpu_us / transactions as f64);
        self.fsyncs.add(fsyncs / transactions as f64);
        for (kind, tally) in &done.tallies {
            let figures = self.kinds.entry(*kind).or_default();
            figures.p50_ms.add(percentile(&tally.latencies_ms, 0.5));
            figures.p95_ms.add(percentile(&tally.latencies_ms, 0.95));
            figures.p99_ms.add(percentile(&tally.latencies_ms, 0.99));
            figures.completed.add((tally.committed + tally.rolled_back) as f64);
            figures.retried.add(tally.retried as f64);
        }
    }
}

/// The tables; the last server is what the others are compared with.
pub(super) fn markdown(outcomes: &[(&'static str, Outcome)]) -> String {
    let mut out = "\n| server | tpmC | min … max | of the last one's | CPU µs/txn | fsyncs/txn |\n\
        |---|--:|--:|--:|--:|--:|\n"
        .to_owned();
    let last = outcomes.last().map_or(f64::NAN, |(_, outcome)| outcome.tpmc.median());
    for (server, outcome) in outcomes {
        let tpmc = &outcome.tpmc;
        out += &format!(
            "| {server} | {:.0} | {:.0} … {:.0} | {:.2} | {:.0} | {:.2} |\n",
            tpmc.median(),
            tpmc.min(),
            tpmc.max(),
            tpmc.median() / last,
            outcome.cpu_us.median(),
            outcome.fsyncs.median()
        );
    }
    out += "\n| transaction | server | completed | p50 ms | p95 ms | p99 ms | retried |\n\
        |---|---|--:|--:|--:|--:|--:|\n";
    for kind in Kind::ALL {
        for (server, outcome) in outcomes {
            let Some(figures) = outcome.kinds.get(&kind) else { continue };
            out += &format!(
                "| {kind:?} | {server} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} |\n",
                figures.completed.median(),
                figures.p50_ms.median(),
                figures.p95_ms.median(),
                figures.p99_ms.median(),
                figures.retried.median()
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::terminal::Tally;
    use super::*;

    #[test]
    fn orders_are_counted_by_the_minute_and_without_those_that_were_rolled_back() {
        let outcome = |committed| {
            let tally = Tally { latencies_ms: vec![1.0; 4], committed, rolled_back: 1, retried: 2 };
            let done = Done { tallies: BTreeMap::from([(Kind::NewOrder, tally)]), ordered: committed };
            let mut outcome = Outcome::default();
            outcome.add(&done, 10.0, 400.0, 2.0);
            outcome
        };
        let table = markdown(&[("ours", outcome(3)), ("theirs", outcome(6))]);
        for said in [
            "| ours | 18 | 18 … 18 | 0.50 | 100 | 0.50 |",
            "| theirs | 36 | 36 … 36 | 1.00 |",
            "| NewOrder | ours | 4 | 1.00 | 1.00 | 1.00 | 2 |",
        ] {
            assert!(table.contains(said), "{said}: {table}");
        }
    }
}

//! What one measurement found, and medians over rounds.

use std::collections::BTreeMap;

use super::setting::{Engine, Workload};
use crate::figures::Figures;

/// The figures of one measurement; NaN where one makes no sense.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Bytes written per byte put, log included, until the tree has settled.
    pub(crate) write_amp: f64,
    /// Bytes on disk per live byte.
    pub(crate) space_amp: f64,
    pub(crate) rss_mib: f64,
    /// How long the tree took to settle afterwards.
    pub(crate) settle_s: f64,
    /// Processor time of the workload's own threads per operation: what other programs on the machine disturb least.
    pub(crate) cpu_us: f64,
}

impl Default for Outcome {
    fn default() -> Self {
        Self::from([f64::NAN; 9])
    }
}

impl From<[f64; 9]> for Outcome {
    fn from(figures: [f64; 9]) -> Self {
        let [ops_per_s, p50_us, p99_us, p999_us, write_amp, space_amp, rss_mib, settle_s, cpu_us] = figures;
        Self { ops_per_s, p50_us, p99_us, p999_us, write_amp, space_amp, rss_mib, settle_s, cpu_us }
    }
}

impl Outcome {
    fn figures(&self) -> [f64; 9] {
        [
            self.ops_per_s,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.write_amp,
            self.space_amp,
            self.rss_mib,
            self.settle_s,
            self.cpu_us,
        ]
    }

    /// One line, for the process that asked.
    pub(crate) fn encode(&self) -> String {
        self.figures().map(|figure| figure.to_string()).join("\t")
    }

    pub(crate) fn decode(line: &str) -> Option<Self> {
        let figures: Option<Vec<f64>> = line.trim().split('\t').map(|figure| figure.parse().ok()).collect();
        <[f64; 9]>::try_from(figures?).ok().map(Self::from)
    }
}

/// All outcomes, by workload and engine.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(BTreeMap<(Workload, Engine), Vec<Outcome>>);

impl Outcomes {
    pub(crate) fn add(&mut self, workload: Workload, engine: Engine, outcome: Outcome) {
        self.0.entry((workload, engine)).or_default().push(outcome);
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = (Workload, Engine)> {
        self.0.keys().copied()
    }

    /// Workloads in their order.
    pub(crate) fn workloads(&self) -> Vec<Workload> {
        let mut workloads: Vec<_> = self.0.keys().map(|(workload, _)| *workload).collect();
        workloads.dedup();
        workloads
    }

    /// One figure of all rounds.
    pub(crate) fn figures(
        &self,
        workload: Workload,
        engine: Engine,
        figure: impl Fn(&Outcome) -> f64,
    ) -> Figures {
        let mut figures = Figures::default();
        self.0
            .get(&(workload, engine))
            .into_iter()
            .flatten()
            .for_each(|outcome| figures.add(figure(outcome)));
        figures
    }

    /// The medians of all figures.
    pub(crate) fn median(&self, workload: Workload, engine: Engine) -> Outcome {
        let mut at = 0;
        Outcome::from([0.0; 9].map(|_| {
            at += 1;
            self.figures(workload, engine, |outcome| {
                outcome.figures().get(at - 1).copied().unwrap_or(f64::NAN)
            })
            .median()
        }))
    }

    /// Our median throughput in multiples of a peer's; NaN without both.
    pub(crate) fn ratio(&self, workload: Workload, peer: Engine) -> f64 {
        self.median(workload, Engine::Nunatak).ops_per_s / self.median(workload, peer).ops_per_s
    }

    /// The same against the better peer, by the processor time that an operation costs its thread.
    pub(crate) fn cpu_ratio_to_best(&self, workload: Workload) -> f64 {
        let cost = |engine| self.median(workload, engine).cpu_us;
        cost(Engine::Rocksdb).min(cost(Engine::Fjall)) / cost(Engine::Nunatak)
    }

    /// The same as [`Self::ratio`] against the better peer.
    pub(crate) fn ratio_to_best(&self, workload: Workload) -> f64 {
        self.ratio(workload, Engine::Rocksdb).min(self.ratio(workload, Engine::Fjall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_its_line() {
        let outcome = Outcome { ops_per_s: 12.5, write_amp: 3.0, ..Outcome::default() };
        let decoded = Outcome::decode(&outcome.encode()).unwrap();
        assert_eq!((decoded.ops_per_s, decoded.write_amp), (12.5, 3.0));
        assert!(decoded.p50_us.is_nan() && Outcome::decode("1\t2").is_none());
    }

    #[test]
    fn the_ratio_is_to_the_better_peer() {
        let mut outcomes = Outcomes::default();
        for (engine, ops_per_s) in [(Engine::Nunatak, 6.0), (Engine::Rocksdb, 3.0), (Engine::Fjall, 4.0)] {
            outcomes.add(Workload::Scan, engine, Outcome { ops_per_s, ..Outcome::default() });
        }
        assert_eq!(outcomes.ratio_to_best(Workload::Scan), 1.5);
    }
}

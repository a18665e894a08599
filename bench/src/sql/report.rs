//! The outcomes as Markdown and as tab-separated values.

use super::workload::{Mark, Row};
use super::{Outcomes, PAIRS, SERVERS};
use crate::figures::Figures;

/// Processor time of a prepared point read above PostgreSQL's on one node, and of gateway and nodes together, in
/// microseconds: the marks.
const READ_ABOVE_PEER_US_MAX: f64 = 3.0;
const READ_US_MAX: f64 = 58.0;
const READ: &str = "pgbench -S prepared/8";

fn median(outcomes: &Outcomes, row: &str, server: &'static str, figure: &str) -> f64 {
    let figures = outcomes.get(&(row.to_owned(), server)).and_then(|figures| figures.get(figure));
    figures.map_or(f64::NAN, Figures::median)
}

fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "-".to_owned() }
}

/// Everything.
pub(super) fn markdown(rows: &[Row], outcomes: &Outcomes) -> String {
    format!("{}\n{}\n{}", ratios(rows, outcomes), processor_time(outcomes), figures(rows, outcomes))
}

/// Ours beside its peer, and whether each mark is held.
fn ratios(rows: &[Row], outcomes: &Outcomes) -> String {
    let mut out = "\n| work / clients |".to_owned();
    PAIRS.iter().for_each(|(ours, peer)| out += &format!(" {ours} / {peer} |"));
    out += "\n|---|---|---|---|\n";
    for row in rows {
        out += &format!("| {} |", row.name);
        for (pair, mark) in PAIRS.iter().zip(row.marks) {
            out += &format!(" {} |", ratio(outcomes, &row.name, *pair, mark));
        }
        out += "\n";
    }
    out
}

fn ratio(outcomes: &Outcomes, row: &str, pair: (&'static str, &'static str), mark: Mark) -> String {
    let of = |figure| median(outcomes, row, pair.0, figure) / median(outcomes, row, pair.1, figure);
    let verdict = |held: bool| if held { "held" } else { "**missed**" };
    let tps = of("tps");
    if !tps.is_finite() {
        return "-".to_owned();
    }
    match mark {
        Mark::Throughput(least) => format!("{tps:.2} (≥ {least}: {})", verdict(tps >= least)),
        Mark::Latency(most) => {
            let latency = of("mean_ms");
            format!("latency {latency:.2} × (≤ {most} ×: {})", verdict(latency <= most))
        }
        Mark::ThroughputAndFewerFailed(least) => {
            let failed = |server| median(outcomes, row, server, "failed");
            let (ours, theirs) = (failed(pair.0), failed(pair.1));
            let held = tps >= least && ours < theirs.max(1.0);
            format!("{tps:.2}, failed {ours:.0} / {theirs:.0} (≥ {least}, fewer: {})", verdict(held))
        }
        Mark::None => format!("{tps:.2}"),
        Mark::Skipped => "-".to_owned(),
    }
}

/// What a point read takes of the processor, which other work on the machine changes least.
fn processor_time(outcomes: &Outcomes) -> String {
    let us = |server| median(outcomes, READ, server, "cpu_us_per_txn");
    let mut out = String::new();
    let above = us("nunatak-1") - us("postgres");
    let verdict = |held: bool| if held { "held" } else { "**missed**" };
    if above.is_finite() {
        out += &format!(
            "- {READ}, one node: {:.1} µs, {above:+.1} µs beside PostgreSQL's {:.1} (≤ +{READ_ABOVE_PEER_US_MAX}: {})\n",
            us("nunatak-1"),
            us("postgres"),
            verdict(above <= READ_ABOVE_PEER_US_MAX)
        );
    }
    let all = us("nunatak-3");
    if all.is_finite() {
        let gateways = median(outcomes, READ, "nunatak-3", "gateway_cpu_us_per_txn");
        out += &format!(
            "- {READ}, gateways and nodes: {all:.1} µs, of these {gateways:.1} in gateways (≤ {READ_US_MAX}: {})\n",
            verdict(all <= READ_US_MAX)
        );
    }
    out
}

/// All figures, medians.
fn figures(rows: &[Row], outcomes: &Outcomes) -> String {
    let mut out =
        "| work / clients | server | tps | min … max | mean ms | p50 ms | p99 ms | failed | retried \
        | CPU µs/txn | fsyncs/txn | bytes/txn |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for row in rows {
        for server in SERVERS {
            let Some(figures) = outcomes.get(&(row.name.clone(), server)) else { continue };
            let tps = figures.get("tps").cloned().unwrap_or_default();
            out += &format!("| {} | {server} | {:.0} ", row.name, tps.median());
            out += &format!("| {:.0} … {:.0} |", tps.min(), tps.max());
            for (figure, decimals) in [
                ("mean_ms", 3),
                ("p50_ms", 3),
                ("p99_ms", 2),
                ("failed", 0),
                ("retried", 0),
                ("cpu_us_per_txn", 1),
                ("fsyncs_per_txn", 3),
                ("bytes_per_txn", 0),
            ] {
                out += &format!(
                    " {} |",
                    number(figures.get(figure).map_or(f64::NAN, Figures::median), decimals)
                );
            }
            out += "\n";
        }
    }
    out
}

/// For programs.
pub(super) fn tsv(outcomes: &Outcomes) -> String {
    let mut out = "work\tserver\tfigure\tmedian\tmin\tmax\n".to_owned();
    for ((row, server), figures) in outcomes {
        for (figure, values) in figures {
            let (median, min, max) = (values.median(), values.min(), values.max());
            out += &format!("{row}\t{server}\t{figure}\t{median}\t{min}\t{max}\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::workload::rows;
    use super::*;

    fn outcomes(figures: &[(&'static str, &'static str, f64)]) -> Outcomes {
        let mut outcomes = Outcomes::new();
        for (server, figure, value) in figures {
            outcomes.entry((READ.to_owned(), server)).or_default().entry(figure).or_default().add(*value);
        }
        outcomes
    }

    #[test]
    fn a_mark_is_held_or_missed() {
        let outcomes = outcomes(&[
            ("nunatak-1", "tps", 95.0),
            ("postgres", "tps", 100.0),
            ("nunatak-1", "cpu_us_per_txn", 20.0),
            ("postgres", "cpu_us_per_txn", 18.5),
        ]);
        let row: Vec<_> = rows().into_iter().filter(|row| row.name == READ).collect();
        let markdown = markdown(&row, &outcomes);
        assert!(
            markdown.contains("| pgbench -S prepared/8 | 0.95 (≥ 1: **missed**) | - | - |"),
            "{markdown}"
        );
        assert!(markdown.contains("+1.5 µs beside PostgreSQL's 18.5 (≤ +3: held)"), "{markdown}");
        let failed = ratio(
            &super::tests::outcomes(&[
                ("nunatak-1", "tps", 120.0),
                ("nunatak-1", "failed", 3.0),
                ("postgres", "tps", 100.0),
                ("postgres", "failed", 9.0),
            ]),
            READ,
            PAIRS[0],
            Mark::ThroughputAndFewerFailed(1.0),
        );
        assert_eq!(failed, "1.20, failed 3 / 9 (≥ 1, fewer: held)");
    }
}

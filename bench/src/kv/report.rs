//! The outcomes as Markdown.

use super::{Outcomes, Work};
use crate::figures::Figures;

/// So many times etcd's operations per second: the marks.
fn mark(work: Work, clients: u32) -> f64 {
    match (work, clients) {
        (Work::Put, _) => 1.5,
        (Work::Get, ..8) => 3.0,
        (Work::Get, _) => 4.0,
    }
}

fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "-".to_owned() }
}

/// Ours in multiples of etcd's, and all figures.
pub(super) fn markdown(outcomes: &Outcomes) -> String {
    format!("{}\n{}", ratios(outcomes), figures(outcomes))
}

fn ratios(outcomes: &Outcomes) -> String {
    let mut out = "\n| work | clients | nunatak / etcd |\n|---|--:|---|\n".to_owned();
    let ours = outcomes.iter().filter(|((.., server), _)| *server == "nunatak");
    for ((work, clients, _), figures) in ours {
        let ops = |figures: &std::collections::BTreeMap<&str, Figures>| {
            figures.get("ops").map_or(f64::NAN, Figures::median)
        };
        let Some(theirs) = outcomes.get(&(*work, *clients, "etcd")) else { continue };
        let (ratio, mark) = (ops(figures) / ops(theirs), mark(*work, *clients));
        let verdict = if ratio >= mark { "held" } else { "**missed**" };
        out += &format!("| {work:?} | {clients} | {ratio:.2} (≥ {mark}: {verdict}) |\n");
    }
    out
}

fn figures(outcomes: &Outcomes) -> String {
    let mut out =
        "| work | clients | server | ops/s | min … max | p50 µs | p99 µs | failed | server CPU µs/op \
        | client CPU µs/op | syscalls/op | messages/op | fsyncs/op | bytes/op |\n\
        |---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for ((work, clients, server), figures) in outcomes {
        let ops = figures.get("ops").cloned().unwrap_or_default();
        out += &format!("| {work:?} | {clients} | {server} | {:.0} ", ops.median());
        out += &format!("| {:.0} … {:.0} |", ops.min(), ops.max());
        for (figure, decimals) in [
            ("p50_us", 0),
            ("p99_us", 0),
            ("failed", 0),
            ("server_cpu_us", 1),
            ("client_cpu_us", 1),
            ("syscalls", 1),
            ("messages", 2),
            ("fsyncs", 3),
            ("bytes", 0),
        ] {
            out += &format!(" {} |", number(figures.get(figure).map_or(f64::NAN, Figures::median), decimals));
        }
        out += "\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_held_to_a_multiple_of_theirs() {
        let mut outcomes = Outcomes::new();
        for (work, clients, server, ops) in [
            (Work::Put, 8, "nunatak", 160.0),
            (Work::Put, 8, "etcd", 100.0),
            (Work::Get, 8, "nunatak", 300.0),
            (Work::Get, 8, "etcd", 100.0),
        ] {
            outcomes.entry((work, clients, server)).or_default().entry("ops").or_default().add(ops);
        }
        let ratios = ratios(&outcomes);
        assert!(ratios.contains("| Put | 8 | 1.60 (≥ 1.5: held) |"), "{ratios}");
        assert!(ratios.contains("| Get | 8 | 3.00 (≥ 4: **missed**) |"), "{ratios}");
    }
}

//! The outcomes as a table, as tab-separated values, and as a plot.

use super::outcome::Outcomes;
use super::setting::{Engine, Workload};

const ENGINES: [(Engine, &str); 3] =
    [(Engine::Nunatak, "#1f6feb"), (Engine::Rocksdb, "#d29922"), (Engine::Fjall, "#8b949e")];

/// For people: medians with their spread, then the ratios. Workloads in `unbounded` ran without their memory bound.
pub(crate) fn table(outcomes: &Outcomes, unbounded: &[Workload]) -> String {
    let mut out = format!(
        "\n{:<20} {:<8} {:>10} {:>23} {:>9} {:>9} {:>9} {:>8} {:>6} {:>6} {:>6} {:>7}\n",
        "workload",
        "engine",
        "ops/s",
        "(min … max)",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "cpu us",
        "w-amp",
        "s-amp",
        "MiB",
        "settle"
    );
    for (workload, engine) in outcomes.keys() {
        let median = outcomes.median(workload, engine);
        let ops = outcomes.figures(workload, engine, |outcome| outcome.ops_per_s);
        let name = marked(workload, unbounded);
        out += &format!(
            "{name:<20} {:<8} {:>10.0} {:>23} {:>9} {:>9} {:>9} {:>8} {:>6} {:>6} {:>6.0} {:>7}\n",
            engine.name(),
            ops.median(),
            format!("({:.0} … {:.0})", ops.min(), ops.max()),
            figure(median.p50_us, 2),
            figure(median.p99_us, 1),
            figure(median.p999_us, 1),
            figure(median.cpu_us, 3),
            figure(median.write_amp, 2),
            figure(median.space_amp, 3),
            median.rss_mib,
            figure(median.settle_s, 1),
        );
    }
    out + &ratios(outcomes)
}

fn marked(workload: Workload, unbounded: &[Workload]) -> String {
    let mark = if unbounded.contains(&workload) { "*" } else { "" };
    workload.name() + mark
}

fn figure(value: f64, decimals: usize) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.decimals$}") }
}

/// Our throughput in multiples of the peers', with a bar and the mark.
fn ratios(outcomes: &Outcomes) -> String {
    let mut out = String::new();
    for workload in outcomes.workloads() {
        let best = outcomes.ratio_to_best(workload);
        if best.is_nan() {
            continue;
        }
        let mark = workload.mark().map_or(String::new(), |mark| {
            format!("  mark {mark:.1} {}", if best >= mark { "reached" } else { "missed" })
        });
        out += &format!(
            "{:<20} {:>6.2} x the better peer (rocksdb {}, fjall {}; by processor time {}) {:<30}{mark}\n",
            workload.name(),
            best,
            figure(outcomes.ratio(workload, Engine::Rocksdb), 2),
            figure(outcomes.ratio(workload, Engine::Fjall), 2),
            figure(outcomes.cpu_ratio_to_best(workload), 2),
            "#".repeat((best * 10.0).clamp(0.0, 30.0) as usize),
        );
    }
    let over = |workload| outcomes.median(workload, Engine::Nunatak).ops_per_s;
    let history = over(Workload::Versions100) / over(Workload::Versions0);
    if !history.is_nan() {
        out += &format!("reads at 'now' over 100 old versions: {history:.2} x those over none  mark 0.9\n");
    }
    if out.is_empty() { out } else { format!("\nratios of median ops/s\n{out}") }
}

/// For programs: medians, one line per engine and workload.
pub(crate) fn tsv(outcomes: &Outcomes) -> String {
    let mut out =
        "engine\tworkload\tops_per_s\tp50_us\tp99_us\tp999_us\twrite_amp\tspace_amp\trss_mib\n".to_owned();
    for (workload, engine) in outcomes.keys() {
        let median = outcomes.median(workload, engine);
        let figures = [
            median.ops_per_s,
            median.p50_us,
            median.p99_us,
            median.p999_us,
            median.write_amp,
            median.space_amp,
            median.rss_mib,
        ];
        let figures = figures.map(|value| figure(value, 3)).join("\t");
        out += &format!("{}\t{}\t{figures}\n", engine.name(), workload.name());
    }
    out
}

/// A plot of the throughputs: for each workload a group of bars, its longest the fastest engine.
pub(crate) fn svg(outcomes: &Outcomes) -> String {
    const LEFT: u32 = 170;
    const WIDTH: u32 = 560;
    const BAR: u32 = 12;
    const GAP: u32 = 14;
    let mut body = String::new();
    let mut y = 40;
    for workload in outcomes.workloads() {
        let median = |engine| outcomes.median(workload, engine).ops_per_s;
        let fastest = ENGINES.iter().map(|(engine, _)| median(*engine)).fold(f64::NAN, f64::max);
        body +=
            &format!("<text x='{}' y='{}' text-anchor='end'>{}</text>\n", LEFT - 8, y + BAR, workload.name());
        for (engine, colour) in ENGINES {
            let ops = median(engine);
            if ops.is_nan() {
                continue;
            }
            let length = ops / fastest * f64::from(WIDTH);
            body += &format!(
                "<rect x='{LEFT}' y='{y}' width='{length:.1}' height='{}' fill='{colour}'/>\
                 <text x='{:.1}' y='{}' class='figure'>{ops:.0}</text>\n",
                BAR - 2,
                f64::from(LEFT) + length + 4.0,
                y + BAR - 3,
            );
            y += BAR;
        }
        y += GAP;
    }
    let mut legend = String::new();
    for (at, (engine, colour)) in (0..).zip(ENGINES) {
        let x = LEFT + at * 110;
        legend += &format!(
            "<rect x='{x}' y='12' width='10' height='10' fill='{colour}'/><text x='{}' y='21'>{}</text>\n",
            x + 15,
            engine.name()
        );
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='{y}' font-family='sans-serif' font-size='12'>\n\
         <style>.figure {{ font-size: 9px; fill: #57606a }}</style>\n\
         <rect width='100%' height='100%' fill='white'/>\n{legend}<text x='{}' y='21'>operations per second</text>\n\
         {body}</svg>\n",
        LEFT + WIDTH + 80,
        LEFT + 340,
    )
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::*;

    fn outcomes() -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (engine, ops_per_s) in
            [(Engine::Nunatak, 300.0), (Engine::Rocksdb, 200.0), (Engine::Fjall, 100.0)]
        {
            outcomes.add(
                Workload::Fillseq,
                engine,
                Outcome { ops_per_s, rss_mib: 10.0, ..Outcome::default() },
            );
        }
        outcomes
    }

    #[test]
    fn the_table_tells_whether_a_mark_is_reached() {
        let table = table(&outcomes(), &[]);
        assert!(table.contains("1.50 x the better peer (rocksdb 1.50, fjall 3.00;"), "{table}");
        assert!(table.contains("mark 1.2 reached"), "{table}");
    }

    #[test]
    fn tsv_has_a_line_per_engine_and_workload() {
        let tsv = tsv(&outcomes());
        assert_eq!(tsv.lines().nth(1), Some("nunatak\tfillseq\t300.000\t-\t-\t-\t-\t-\t10.000"));
        assert_eq!(tsv.lines().count(), 4);
    }

    #[test]
    fn the_fastest_engine_has_the_longest_bar() {
        let svg = svg(&outcomes());
        assert!(svg.contains("width='560.0'") && svg.contains("width='186.7'"), "{svg}");
    }
}

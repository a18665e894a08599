//! The outcomes as a table.

use super::{Outcome, Said};
use crate::figures::Figures;

/// The marks: of the geometric mean of all ratios, and of each.
const MEAN_MAX: f64 = 4.0;
const RATIO_MAX: f64 = 10.0;

/// The table, and what is held of the marks.
pub(super) fn markdown(scale: f64, rounds: u32, outcomes: &[Outcome]) -> String {
    let mut out = format!(
        "\n# TPC-H at scale {scale}, {rounds} rounds\n\n| query | nunatak ms | postgres ms | ratio | rows | same |\n\
         |---|---|---|---|---|---|\n"
    );
    let mut ratios = Vec::new();
    for outcome in outcomes {
        let ratio = ratio(outcome);
        ratios.extend(ratio);
        out += &format!(
            "| {} | {} | {} | {} | {} |\n",
            outcome.number,
            time(&outcome.ours),
            time(&outcome.theirs),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            comparison(outcome),
        );
    }
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len().max(1) as f64).exp();
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let verdict = |held: bool| if held { "held" } else { "**missed**" };
    out += &format!(
        "\n- {} of {} queries answered by both\n- geometric mean of the ratios {mean:.2} (≤ {MEAN_MAX}: {})\n\
         - greatest ratio {most:.2} (≤ {RATIO_MAX}: {})\n",
        ratios.len(),
        outcomes.len(),
        verdict(mean <= MEAN_MAX),
        verdict(most <= RATIO_MAX),
    );
    out
}

fn ratio(outcome: &Outcome) -> Option<f64> {
    match (&outcome.ours, &outcome.theirs) {
        (Said::Rows { took_ms: ours, .. }, Said::Rows { took_ms: theirs, .. }) => {
            Some(ours.median() / theirs.median())
        }
        _ => None,
    }
}

fn time(said: &Said) -> String {
    let spread =
        |took_ms: &Figures| format!("{:.1} ({:.1}–{:.1})", took_ms.median(), took_ms.min(), took_ms.max());
    match said {
        Said::Rows { took_ms, .. } => spread(took_ms),
        Said::Failed(why) => why.lines().next().unwrap_or_default().replace('|', "/"),
    }
}

fn comparison(outcome: &Outcome) -> String {
    let (Said::Rows { rows: ours, .. }, Said::Rows { rows: theirs, .. }) = (&outcome.ours, &outcome.theirs)
    else {
        return "- | -".to_owned();
    };
    let same =
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs));
    format!("{} | {}", theirs.len(), if same { "yes" } else { "**no**" })
}

/// Whether two rows say the same: numbers are compared as numbers.
fn alike(ours: &str, theirs: &str) -> bool {
    let same = |ours: &str, theirs: &str| match (ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(ours), Ok(theirs)) => (ours - theirs).abs() <= ours.abs().max(1.0) * 1e-9,
        _ => ours == theirs,
    };
    let (mut ours, mut theirs) = (ours.split('|'), theirs.split('|'));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return true,
            (Some(ours), Some(theirs)) if same(ours, theirs) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(alike("a|1.50|x", "a|1.5|x") && alike("", ""));
        assert!(!alike("a|1.50", "a|1.51") && !alike("a|b", "a") && !alike("1", "a"));
    }
}

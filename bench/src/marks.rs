//! Figures, each beside its mark if it has one.

/// A figure.
pub(crate) struct Row {
    what: String,
    measured: String,
    mark: String,
}

impl Row {
    /// One that is held to nothing.
    pub(crate) fn plain(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), mark: String::new() }
    }

    /// One that is to be no more than this.
    pub(crate) fn at_most(what: impl Into<String>, value: f64, most: f64, unit: &str) -> Self {
        Self::held(what.into(), value, unit, format!("≤ {most}{unit}"), value <= most)
    }

    /// One that is to be no less than this.
    pub(crate) fn at_least(what: impl Into<String>, value: f64, least: f64, unit: &str) -> Self {
        Self::held(what.into(), value, unit, format!("≥ {least}{unit}"), value >= least)
    }

    fn held(what: String, value: f64, unit: &str, mark: String, is_held: bool) -> Self {
        let verdict = if is_held { "held" } else { "**missed**" };
        Self { what, measured: format!("{value:.2}{unit}"), mark: format!("{mark}: {verdict}") }
    }
}

/// All of them.
pub(crate) fn markdown(title: &str, rows: &[Row]) -> String {
    let mut out = format!("# {title}\n\n| what | measured | mark |\n|---|--:|---|\n");
    for Row { what, measured, mark } in rows {
        out += &format!("| {what} | {measured} | {mark} |\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_held_or_missed() {
        let rows = [
            Row::at_most("a", 1.5, 1.5, " ×"),
            Row::at_least("b", 0.5, 0.9, ""),
            Row::at_most("c", f64::NAN, 1.0, ""),
            Row::plain("d", "7"),
        ];
        let table = markdown("Some", &rows);
        for said in [
            "| a | 1.50 × | ≤ 1.5 ×: held |",
            "| b | 0.50 | ≥ 0.9: **missed** |",
            "| c | NaN | ≤ 1: **missed** |",
            "| d | 7 |  |",
        ] {
            assert!(table.contains(said), "{said}: {table}");
        }
    }
}

//! Steps as text: a line for each, what is said of it and what it reads set in below.

use super::lines::Lines;
use super::step::Step;
use crate::error::Result;
use crate::execute::truth::Truth;

/// The lines of a step that stands so deep. `has_times`: how long it took is told.
pub(super) fn write(step: &Step, depth: usize, has_times: bool, lines: &mut Lines) -> Result<()> {
    let mut line = match depth {
        0 => String::new(),
        _ => format!("{}->  ", " ".repeat(depth.saturating_mul(6).saturating_sub(4))),
    };
    line.push_str(&step.title);
    if let Some(own) = &step.estimate {
        line.push_str(&format!(
            "  (cost={:.2}..{:.2} rows={:.0} width={:.0})",
            own.startup, own.total, own.rows, own.width
        ));
    }
    if let Some(truth) = &step.truth {
        line.push_str(&done(truth, has_times));
    }
    lines.push(line)?;
    let indent = " ".repeat(depth.saturating_mul(6).saturating_add(2));
    for note in step.notes.iter().filter_map(|note| note.text.as_ref()) {
        lines.push(format!("{indent}{note}"))?;
    }
    for below in &step.below {
        if let Some(label) = &below.label {
            lines.push(format!("{indent}{label}"))?;
        }
        write(&below.step, depth.saturating_add(1), has_times, lines)?;
    }
    Ok(())
}

/// ` (actual time=0.010..0.020 rows=5 loops=1)`, of one run.
fn done(truth: &Truth, has_times: bool) -> String {
    if truth.loops == 0 {
        return " (never executed)".to_owned();
    }
    let rows = truth.each(truth.rows as f64);
    let loops = truth.loops;
    if !has_times {
        return format!(" (actual rows={rows:.0} loops={loops})");
    }
    let [first, total] = truth.times_ms();
    format!(" (actual time={first:.3}..{total:.3} rows={rows:.0} loops={loops})")
}

//! Curves over time, as SVG: small panels below each other, each with an axis of its own from zero.

/// One panel: what it shows, in which unit, and its values at equal steps.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown, with its unit.
    pub title: String,
    /// `None` where nothing was measured.
    pub values: Vec<Option<f64>>,
}

const LEFT: f64 = 70.0;
const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 90.0;
const GAP: f64 = 46.0;

/// Draws panels that share the axis `along` (with its unit), whose steps are numbered from 0.
pub fn svg(title: &str, along: &str, panels: &[Panel]) -> String {
    let mut body = format!("<text x='{LEFT}' y='20' font-weight='bold'>{title}</text>\n");
    let mut top = 48.0;
    for panel in panels {
        body += &draw(panel, top);
        top += HEIGHT + GAP;
    }
    let steps = panels.iter().map(|panel| panel.values.len()).max().unwrap_or(0);
    for step in (0..steps).step_by(5) {
        let x = across(step, steps);
        body += &format!("<text x='{x:.1}' y='{:.1}' text-anchor='middle'>{step}</text>\n", top - GAP + 16.0);
    }
    body += &format!("<text x='{LEFT}' y='{:.1}'>{along}</text>\n", top - GAP + 34.0);
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='{top}' font-family='sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n{body}</svg>\n",
        LEFT + WIDTH + 20.0,
    )
}

fn across(step: usize, steps: usize) -> f64 {
    LEFT + step as f64 / steps.saturating_sub(1).max(1) as f64 * WIDTH
}

fn draw(panel: &Panel, top: f64) -> String {
    let most = panel.values.iter().flatten().copied().fold(0.0, f64::max);
    let bottom = top + HEIGHT;
    let scale = if most > 0.0 { HEIGHT / most } else { 0.0 };
    let points = panel.values.iter().enumerate().filter_map(|(step, value)| {
        let value = (*value)?;
        Some(format!("{:.1},{:.1}", across(step, panel.values.len()), bottom - value * scale))
    });
    let points: Vec<_> = points.collect();
    format!(
        "<text x='{LEFT}' y='{:.1}'>{}</text>\n\
         <path d='M {LEFT} {top} V {bottom} H {:.1}' fill='none' stroke='#8c959f'/>\n\
         <text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text><text x='{:.1}' y='{bottom}' text-anchor='end'>0</text>\n\
         <polyline points='{}' fill='none' stroke='#0969da' stroke-width='1.5'/>\n",
        top - 8.0,
        panel.title,
        LEFT + WIDTH,
        LEFT - 6.0,
        top + 9.0,
        short(most),
        LEFT - 6.0,
        points.join(" "),
    )
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_the_left_to_the_right_and_up_to_the_top() {
        let panel = Panel { title: "tps".to_owned(), values: vec![None, Some(5.0), Some(10.0)] };
        let drawn = svg("a run", "minutes", &[panel]);
        assert!(drawn.contains("points='380.0,93.0 690.0,48.0'"), "{drawn}");
        assert!(drawn.contains(">10.00</text>"), "{drawn}");
    }
}

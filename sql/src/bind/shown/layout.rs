//! Lines of a query's text, and how far they are set in (`appendContextKeyword`).

use expr::print::Style;

/// How far what stands in a construct is set in beyond it.
pub(super) const INDENT: usize = 8;
/// The same of a line of a list.
pub(super) const LISTED: usize = 4;
/// From here on less is added.
const INDENT_MAX: usize = 40;

/// Where a query stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) style: Style,
    /// How far its lines are set in.
    pub(super) start: usize,
}

impl Place {
    /// The place of what stands within.
    pub(super) fn within(self) -> Self {
        Self { start: self.start.saturating_add(INDENT), ..self }
    }

    /// How far expressions are set in.
    pub(super) fn margin(self) -> usize {
        self.start.saturating_add(INDENT)
    }

    pub(super) fn saves_parentheses(self) -> bool {
        self.style == Style::Sparing
    }
}

/// Begins a line that is set in so far, and `more`.
pub(super) fn line(out: &mut String, level: usize, more: usize) {
    let spaces = match level.checked_sub(INDENT_MAX) {
        None => level,
        Some(beyond) => INDENT_MAX.saturating_add(beyond / (INDENT / 2)) % INDENT_MAX,
    };
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out.push_str(&" ".repeat(spaces.saturating_add(more)));
}

/// Adds a text; one that begins a line of its own needs no space before.
pub(super) fn put(out: &mut String, text: &str) {
    if text.starts_with('\n') {
        out.truncate(out.trim_end_matches(' ').len());
    }
    out.push_str(text);
}

/// A list on one line.
pub(super) fn joined(texts: &[String]) -> String {
    let mut out = String::new();
    for (number, text) in texts.iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        put(&mut out, text);
    }
    out
}

/// Adds an item of a list that has a line for each.
pub(super) fn put_listed(out: &mut String, item: &str, is_first: bool, level: usize) {
    if !is_first {
        out.push(',');
        if !item.starts_with('\n') {
            line(out, level, LISTED);
        }
    }
    put(out, item);
}

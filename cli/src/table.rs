//! Aligned tables as psql draws them.
//!
//! ```text
//!  id | name
//! ----+------
//!   1 | ann
//! ```

use std::fmt;

/// Where a column's values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alignment {
    /// At the left.
    Left,
    /// At the right, as numbers do.
    Right,
}

/// A table in the making.
///
/// # Invariants
/// - Every row has as many cells as there are columns.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Alignment)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&str, Alignment)]) -> Self {
        let columns = columns.iter().map(|(name, alignment)| ((*name).to_owned(), *alignment)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// A table of what a query returned: a column in which every value is a number stands at the right.
    /// `null` stands for NULL.
    pub(crate) fn of_values(names: &[String], rows: Vec<Vec<Option<String>>>, null: &str) -> Self {
        let columns = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let mut values =
                    rows.iter().filter_map(|row| row.get(index).and_then(Option::as_deref)).peekable();
                let numbers = values.peek().is_some() && values.all(is_number);
                (name.clone(), if numbers { Alignment::Right } else { Alignment::Left })
            })
            .collect();
        let mut table = Self { columns, rows: Vec::new() };
        for row in rows {
            table.row(row.into_iter().map(|value| value.unwrap_or_else(|| null.to_owned())));
        }
        table
    }

    /// Appends a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.parse::<f64>().is_ok() && !text.starts_with(['i', 'I', 'n', 'N'])
}

fn width(text: &str) -> usize {
    text.split('\n').map(|line| line.chars().count()).max().unwrap_or(0)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.columns.is_empty() {
            return writeln!(f, "--");
        }
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, (name, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                cells.map(|cell| width(cell)).max().unwrap_or(0).max(width(name))
            })
            .collect();
        let header: Vec<String> = self
            .columns
            .iter()
            .zip(&widths)
            .map(|((name, _), width)| format!(" {name:^width$} ", width = *width))
            .collect();
        writeln!(f, "{}", header.join("|"))?;
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        writeln!(f, "{}", rule.join("+"))?;
        for row in &self.rows {
            self.write_row(f, row, &widths)?;
        }
        Ok(())
    }
}

impl Table {
    /// A row is as high as its highest cell; a line that goes on ends in `+`.
    fn write_row(&self, f: &mut fmt::Formatter<'_>, row: &[String], widths: &[usize]) -> fmt::Result {
        let cells: Vec<Vec<&str>> = row.iter().map(|cell| cell.split('\n').collect()).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        for line in 0..height {
            let mut parts = Vec::with_capacity(cells.len());
            for ((cell, width), (_, alignment)) in cells.iter().zip(widths).zip(&self.columns) {
                let text = cell.get(line).copied().unwrap_or("");
                let mark = if line + 1 < cell.len() { '+' } else { ' ' };
                parts.push(match alignment {
                    Alignment::Left => format!(" {text:<width$}{mark}"),
                    Alignment::Right => format!(" {text:>width$}{mark}"),
                });
            }
            writeln!(f, "{}", parts.join("|").trim_end_matches(' '))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_at_the_right_and_lines_are_kept_apart() {
        let names = ["id".to_owned(), "name".to_owned()];
        let rows =
            vec![vec![Some("1".to_owned()), Some("ann\nlee".to_owned())], vec![Some("10".to_owned()), None]];
        let expected = " id | name \n----+------\n  1 | ann +\n    | lee\n 10 |\n";
        assert_eq!(Table::of_values(&names, rows, "").to_string(), expected);
    }
}

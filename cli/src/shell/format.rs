//! Results as text: aligned, one value a line, CSV, JSON, or bare.

use std::fmt::Write as _;

use clap::ValueEnum;
use tokio_postgres::types::Type;

use crate::table::Table;

/// Rows as they arrive: text, or NULL.
pub(super) type Rows = Vec<Vec<Option<String>>>;

/// How results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people
    #[default]
    Table,
    /// One value a line, for people and wide rows
    Vertical,
    /// Comma-separated values with a header, as COPY writes them
    Csv,
    /// An array of objects per result
    Json,
    /// Values alone, tabs between them
    Raw,
}

impl Format {
    /// Whether counts, titles and tags go with the rows.
    pub(super) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Vertical)
    }
}

/// When rows are written one value a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Expanded {
    /// Never.
    #[default]
    Off,
    /// Always.
    On,
    /// Where they are wider than the terminal.
    Auto,
}

impl Expanded {
    /// As `\x` and `\pset expanded` name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Auto => "auto",
        }
    }
}

/// How results are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Style {
    pub(super) format: Format,
    pub(super) expanded: Expanded,
    /// What stands for NULL, but in JSON.
    pub(super) null: String,
    /// Rows alone: no names, no counts.
    pub(super) rows_only: bool,
    /// Characters in a line of the terminal, if the results go there.
    pub(super) columns: Option<usize>,
}

/// A result in the making: what comes in several pieces is one table, one array, one header.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    style: &'a Style,
    names: Vec<String>,
    /// Of the columns, where they are known.
    types: Vec<Type>,
    rows: usize,
    begun: bool,
    /// One value a line.
    turned: bool,
}

impl<'a> Writer<'a> {
    /// Begins with the columns' names.
    pub(super) fn new(style: &'a Style, names: Vec<String>, types: Vec<Type>) -> Self {
        let turned = style.format == Format::Vertical || style.expanded == Expanded::On;
        Self { style, names, types, rows: 0, begun: false, turned }
    }

    /// Some rows.
    pub(super) fn rows(&mut self, rows: Rows) -> String {
        let first = !std::mem::replace(&mut self.begun, true);
        let count = rows.len();
        let text = match self.style.format {
            Format::Csv => self.csv(rows, first),
            Format::Json => self.json(&rows, first),
            Format::Raw => self.raw(&rows),
            Format::Vertical => self.vertical(&rows),
            Format::Table => self.table(rows),
        };
        self.rows += count;
        text
    }

    /// What comes after the last row.
    pub(super) fn end(&mut self) -> String {
        let begun = std::mem::replace(&mut self.begun, true);
        let mut text = if begun { String::new() } else { self.rows(Vec::new()) };
        match self.style.format {
            Format::Json if self.rows == 0 => text.push_str("[]\n"),
            Format::Json => text.push_str("\n]\n"),
            Format::Csv | Format::Raw => {}
            Format::Table | Format::Vertical if self.style.rows_only => text.push('\n'),
            Format::Table | Format::Vertical if self.turned && self.rows > 0 => text.push('\n'),
            Format::Table | Format::Vertical => {
                let count = self.rows;
                let _ = writeln!(text, "({count} {})\n", if count == 1 { "row" } else { "rows" });
            }
        }
        text
    }

    /// Each piece has its own header, since it has its own widths.
    fn table(&mut self, rows: Rows) -> String {
        if self.turned {
            return self.vertical(&rows);
        }
        let shown = rows.iter().map(|row| row.iter().map(|value| value.as_deref().map(visible)).collect());
        let text = Table::of_values(&self.names, shown.collect(), &self.style.null).to_string();
        let width = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let too_wide = self.style.columns.is_some_and(|columns| width > columns);
        if self.style.expanded == Expanded::Auto && too_wide && !rows.is_empty() {
            self.turned = true;
            return self.vertical(&rows);
        }
        if self.style.rows_only { text.split_inclusive('\n').skip(2).collect() } else { text }
    }

    fn vertical(&self, rows: &Rows) -> String {
        let width = self.names.iter().map(|name| visible(name).chars().count()).max().unwrap_or(0);
        let shown =
            |value: &Option<String>| value.as_deref().map_or_else(|| self.style.null.clone(), visible);
        let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let lines = cells.iter().flatten().flat_map(|cell| cell.split('\n'));
        let values = lines.map(|line| line.chars().count()).max().unwrap_or(0);
        let screen = self.style.columns.unwrap_or(usize::MAX);
        let mut text = String::new();
        for (number, row) in cells.iter().enumerate() {
            if self.style.rows_only {
                if self.rows + number > 0 {
                    text.push('\n');
                }
            } else {
                let title = format!("-[ RECORD {} ]", self.rows + number + 1);
                let rule = format!("{}+{}", "-".repeat(width + 1), "-".repeat(values.min(screen) + 1));
                let rest: String = rule.chars().skip(title.chars().count()).collect();
                let line: String = format!("{title}{rest}").chars().take(screen.max(title.len())).collect();
                let _ = writeln!(text, "{line}");
            }
            for (name, cell) in self.names.iter().zip(row) {
                let mut name = visible(name);
                let mut lines = cell.split('\n').peekable();
                while let Some(line) = lines.next() {
                    let mark = if lines.peek().is_some() { "+" } else { "" };
                    let _ = writeln!(text, "{}", format!("{name:<width$} | {line}{mark}").trim_end());
                    name.clear();
                }
            }
        }
        text
    }

    fn csv(&self, rows: Rows, first: bool) -> String {
        let mut text = String::new();
        if first && !self.style.rows_only {
            csv_line(&mut text, self.names.iter().map(|name| csv_value(name)));
        }
        for row in rows {
            let value = |value: &Option<String>| value.as_deref().map_or(self.style.null.clone(), csv_value);
            csv_line(&mut text, row.iter().map(value));
        }
        text
    }

    fn raw(&self, rows: &Rows) -> String {
        let mut text = String::new();
        for row in rows {
            let values = row.iter().map(|value| value.as_deref().unwrap_or(&self.style.null));
            text.push_str(&values.collect::<Vec<_>>().join("\t"));
            text.push('\n');
        }
        text
    }

    fn json(&self, rows: &Rows, first: bool) -> String {
        let mut text = String::new();
        for (number, row) in rows.iter().enumerate() {
            text.push_str(if first && number == 0 { "[\n  {" } else { ",\n  {" });
            for (column, (name, value)) in self.names.iter().zip(row).enumerate() {
                let comma = if column == 0 { "" } else { ", " };
                let value = json_value(self.types.get(column), value.as_deref());
                let _ = write!(text, "{comma}{}: {value}", json_text(name));
            }
            text.push('}');
        }
        text
    }
}

/// A text that moves no cursor: tabs are blanks, other control characters are spelled, but for the end of a line.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut column = 0;
    for character in text.chars() {
        let spelled = match character {
            '\t' => " ".repeat(8 - column % 8),
            '\r' => "\\r".to_owned(),
            '\n' => {
                column = 0;
                shown.push('\n');
                continue;
            }
            character if character.is_control() => format!("\\x{:02X}", u32::from(character)),
            character => {
                column += 1;
                shown.push(character);
                continue;
            }
        };
        column += spelled.len();
        shown.push_str(&spelled);
    }
    shown
}

fn csv_line(text: &mut String, values: impl Iterator<Item = String>) {
    text.push_str(&values.collect::<Vec<_>>().join(","));
    text.push('\n');
}

/// An empty text is quoted: NULL is not.
fn csv_value(value: &str) -> String {
    if value.is_empty() || value == "\\." || value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// A value: numbers, truth values and JSON as such, all else as text.
fn json_value(kind: Option<&Type>, value: Option<&str>) -> String {
    let Some(value) = value else { return "null".to_owned() };
    match kind {
        Some(&Type::BOOL) => (if value == "t" { "true" } else { "false" }).to_owned(),
        Some(
            &(Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC | Type::OID),
        ) if serde_json::from_str::<serde_json::Number>(value).is_ok() => value.to_owned(),
        Some(&(Type::JSON | Type::JSONB)) => match serde_json::from_str::<serde::de::IgnoredAny>(value) {
            Ok(_) => value.trim().replace(['\n', '\r'], " "),
            Err(_) => json_text(value),
        },
        _ => json_text(value),
    }
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(style: &Style, names: &[&str], types: &[Type], rows: &[&[Option<&str>]]) -> String {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut writer = Writer::new(style, names, types.to_vec());
        let mut text = String::new();
        for row in rows {
            let row = row.iter().map(|value| value.map(str::to_owned)).collect();
            text.push_str(&writer.rows(vec![row]));
        }
        text + &writer.end()
    }

    fn style(format: Format) -> Style {
        Style { format, null: "-".to_owned(), ..Style::default() }
    }

    #[test]
    fn one_value_a_line_as_psql_draws_it() {
        let text = shown(
            &style(Format::Vertical),
            &["a_long_name_here", "b"],
            &[],
            &[&[Some("1"), Some("abc")], &[None, Some("x\ny")]],
        );
        let expected = "-[ RECORD 1 ]----+----\na_long_name_here | 1\nb                | abc\n\
            -[ RECORD 2 ]----+--\na_long_name_here | -\nb                | x+\n                 | y\n\n";
        assert_eq!(text, expected);
        assert_eq!(shown(&style(Format::Vertical), &["a"], &[], &[]), "(0 rows)\n\n");
        let short = shown(&style(Format::Vertical), &["a"], &[], &[&[Some("1")]]);
        assert_eq!(short, "-[ RECORD 1 ]\na | 1\n\n");
    }

    #[test]
    fn csv_tells_null_from_nothing_and_quotes_what_must_be() {
        let style = Style { format: Format::Csv, ..Style::default() };
        let rows: [&[Option<&str>]; 2] =
            [&[Some("x,y"), None, Some("")], &[Some("a\"b"), Some("1\n2"), Some("c")]];
        let expected = "a,b,\"c,d\"\n\"x,y\",,\"\"\n\"a\"\"b\",\"1\n2\",c\n";
        assert_eq!(shown(&style, &["a", "b", "c,d"], &[], &rows), expected);
    }

    #[test]
    fn json_is_json_whatever_the_values() {
        let types = [Type::INT8, Type::NUMERIC, Type::BOOL, Type::JSONB, Type::TEXT];
        let rows: [&[Option<&str>]; 2] = [
            &[Some("12345678901234567"), Some("NaN"), Some("t"), Some("{\"k\": [1]}"), Some("a\"\n\u{1}")],
            &[None, Some("1.50"), Some("f"), None, Some("7")],
        ];
        let text = shown(&style(Format::Json), &["i", "n", "b", "j", "t"], &types, &rows);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[0]["i"], 12_345_678_901_234_567_i64);
        assert_eq!(value[0]["n"], "NaN");
        assert_eq!(value[0]["b"], true);
        assert_eq!(value[0]["j"]["k"][0], 1);
        assert_eq!(value[0]["t"], "a\"\n\u{1}");
        assert!(value[1]["i"].is_null());
        assert_eq!(value[1]["t"], "7");
        assert_eq!(shown(&style(Format::Json), &["a"], &[], &[]), "[]\n");
    }

    #[test]
    fn rows_too_wide_for_the_terminal_are_turned() {
        let mut style = Style { expanded: Expanded::Auto, columns: Some(20), ..Style::default() };
        let wide = "x".repeat(30);
        assert!(shown(&style, &["a"], &[], &[&[Some(&wide)]]).starts_with("-[ RECORD 1 ]"));
        assert!(shown(&style, &["a"], &[], &[&[Some("x")]]).starts_with(" a \n---\n x"));
        style.expanded = Expanded::Off;
        assert!(shown(&style, &["a"], &[], &[&[Some(&wide)]]).starts_with(" "));
    }

    #[test]
    fn values_move_no_cursor() {
        assert_eq!(visible("a\tb\u{1b}[31m\r\n\tc"), "a       b\\x1B[31m\\r\n        c");
        let bare = shown(&style(Format::Raw), &["a", "b"], &[], &[&[Some("1"), None]]);
        assert_eq!(bare, "1\t-\n");
    }
}

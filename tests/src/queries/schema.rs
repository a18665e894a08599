//! Random tables and their rows.

use rand::RngExt;
use rand::rngs::StdRng;

/// The types that occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `int`
    Int,
    /// `bigint`
    Big,
    /// `numeric`
    Numeric,
    /// `text`
    Text,
    /// `boolean`
    Bool,
    /// `double precision`
    Float,
}

impl Kind {
    /// All of them, the frequent ones more than once.
    pub(super) const OFTEN: [Self; 10] = [
        Self::Int,
        Self::Int,
        Self::Int,
        Self::Int,
        Self::Big,
        Self::Numeric,
        Self::Numeric,
        Self::Text,
        Self::Text,
        Self::Bool,
    ];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Big => "bigint",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Bool => "boolean",
            Self::Float => "double precision",
        }
    }

    /// Values that occur in data and as constants.
    fn values(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Int => (&["0", "1", "2", "3", "4", "-1"], &["2147483647", "(-2147483647 - 1)"]),
            Self::Big => (
                &["0", "1", "2", "3", "4", "5000000000"],
                &["9223372036854775807", "(-9223372036854775807 - 1)"],
            ),
            Self::Numeric => (
                &["0", "1", "1.0", "1.00", "2", "2.50", "3", "-1.5"],
                &["'NaN'", "99999999999999999999.5", "0.00000000000000000001"],
            ),
            Self::Text => {
                (&["'a'", "'b'", "'ab'", "''", "'A'", "'ba'"], &["'a%'", "'\u{e9}\u{20ac}'", "'a '"])
            }
            Self::Bool => (&["true", "false"], &["true"]),
            Self::Float => (&["0", "1", "2", "0.5", "3"], &["'NaN'", "'Infinity'", "'-Infinity'", "1e300"]),
        }
    }

    /// A constant of the type.
    pub(super) fn constant(self, random: &mut StdRng) -> String {
        let (often, seldom) = self.values();
        let from = if random.random_range(0..30) == 0 { seldom } else { often };
        let value = from[random.random_range(0..from.len())];
        let is_plain = match self {
            Self::Int => random.random_range(0..2) == 0,
            Self::Bool => true,
            _ => false,
        };
        if is_plain { value.to_owned() } else { format!("{value}::{}", self.name()) }
    }
}

/// A column in reach, as it is written.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What FROM may name.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// Tables, and the statements that make and fill them.
pub(super) fn tables(random: &mut StdRng) -> (Vec<Table>, Vec<String>) {
    let (mut tables, mut setup) = (Vec::new(), Vec::new());
    for number in 0..random.random_range(2..5) {
        let name = format!("t{number}");
        let count = random.random_range(2..5);
        let columns: Vec<Column> = (0..count)
            .map(|place| {
                let kind = match random.random_range(0..14) {
                    0 => Kind::Float,
                    _ => Kind::OFTEN[random.random_range(0..Kind::OFTEN.len())],
                };
                Column { name: format!("c{place}"), kind }
            })
            .collect();
        let has_key = random.random_range(0..2) == 0;
        let mut parts: Vec<String> =
            columns.iter().map(|column| format!("{} {}", column.name, column.kind.name())).collect();
        if has_key {
            parts.insert(0, "k int primary key".to_owned());
        }
        setup.push(format!("create table {name} ({})", parts.join(", ")));
        for column in &columns {
            if random.random_range(0..3) == 0 {
                setup.push(format!("create index on {name} ({})", column.name));
            }
        }
        if random.random_range(0..2) == 0 {
            let mut key = || {
                let column = &columns[random.random_range(0..columns.len())].name;
                let order = ["", "", " desc", " nulls first", " desc nulls last"];
                (column.clone(), order[random.random_range(0..order.len())])
            };
            let (first, second) = (key(), key());
            if first.0 != second.0 {
                setup.push(format!(
                    "create index on {name} ({}{}, {}{})",
                    first.0, first.1, second.0, second.1
                ));
            }
        }
        setup.extend(rows(random, &name, &columns, has_key));
        let key = has_key.then(|| Column { name: "k".to_owned(), kind: Kind::Int });
        tables.push(Table { name, columns: key.into_iter().chain(columns).collect() });
    }
    (tables, setup)
}

fn rows(random: &mut StdRng, name: &str, columns: &[Column], has_key: bool) -> Option<String> {
    let count = match random.random_range(0..8) {
        0 => 0,
        1 => 1,
        2 => random.random_range(10..30),
        _ => random.random_range(3..12),
    };
    let mut rows = Vec::new();
    for key in 0..count {
        let mut cells = Vec::new();
        if has_key {
            cells.push(key.to_string());
        }
        for column in columns {
            let is_null = random.random_range(0..5) == 0;
            cells.push(if is_null { "null".to_owned() } else { column.kind.constant(random) });
        }
        rows.push(format!("({})", cells.join(", ")));
    }
    (!rows.is_empty()).then(|| format!("insert into {name} values {}", rows.join(", ")))
}

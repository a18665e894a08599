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
    /// `inet`
    Inet,
    /// `macaddr`
    Mac,
    /// `varbit`
    Bits,
    /// `money`
    Money,
    /// `pg_lsn`
    Lsn,
    /// `int4range`
    Range,
    /// `numrange`
    Numrange,
    /// `citext`
    Citext,
    /// A composite type, of an `int` x and a `text` y.
    Pair,
}

impl Kind {
    /// Those that occur everywhere, the frequent ones more than once.
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

    /// Those that columns have now and then, and what is asked about them.
    pub(super) const SELDOM: [Self; 10] = [
        Self::Float,
        Self::Inet,
        Self::Mac,
        Self::Bits,
        Self::Money,
        Self::Lsn,
        Self::Range,
        Self::Numrange,
        Self::Citext,
        Self::Pair,
    ];

    /// Whether PostgreSQL has `min` and `max` of it.
    pub(super) fn has_extremes(self) -> bool {
        !matches!(self, Self::Bool | Self::Mac | Self::Bits | Self::Range | Self::Numrange | Self::Pair)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Big => "bigint",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Bool => "boolean",
            Self::Float => "double precision",
            Self::Inet => "inet",
            Self::Mac => "macaddr",
            Self::Bits => "varbit",
            Self::Money => "money",
            Self::Lsn => "pg_lsn",
            Self::Range => "int4range",
            Self::Numrange => "numrange",
            Self::Citext => "citext",
            Self::Pair => "pair",
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
            Self::Inet => (
                &["'10.0.0.1'", "'10.0.0.0/8'", "'10.1.0.0/16'", "'10.1.2.3/16'", "'::1'", "'fe80::/10'"],
                &["'255.255.255.255'", "'::ffff:1.2.3.4'", "'0.0.0.0/0'"],
            ),
            Self::Mac => (
                &["'08:00:2b:01:02:03'", "'08:00:2b:00:00:00'", "'00:00:00:00:00:01'"],
                &["'ff:ff:ff:ff:ff:ff'", "'00:00:00:00:00:00'"],
            ),
            Self::Bits => (
                &["'1'", "'0'", "'101'", "'1010'", "''", "'00000000'"],
                &["'000000001'", "'1111111111111111'"],
            ),
            Self::Money => (
                &["'0'", "'1'", "'1.50'", "'-2.25'", "'1000'"],
                &["'92233720368547758.07'", "'-92233720368547758.08'"],
            ),
            Self::Lsn => (
                &["'0/0'", "'0/1'", "'0/A'", "'1/0'", "'0/FFFFFFFF'"],
                &["'FFFFFFFF/FFFFFFFF'", "'80000000/0'"],
            ),
            Self::Range => (
                &["'empty'", "'[1,3]'", "'[2,4)'", "'(,2)'", "'[3,)'", "'[1,4)'"],
                &["'(,)'", "'[-2147483648,2147483647)'"],
            ),
            Self::Numrange => (
                &["'empty'", "'[1,3]'", "'[1.0,3.00]'", "'(1.50,4)'", "'(,2.5)'", "'[3,)'", "'[2,2.0]'"],
                &["'(,)'", "'[-1e30,NaN]'", "'(-Infinity,1e-20)'"],
            ),
            // None that equals another: which of them stands for a group is promised by nobody.
            Self::Citext => (&["'a'", "'B'", "'c'", "'Ab'", "''"], &["'D%'", "'\u{c9}'"]),
            Self::Pair => (
                &["row(1, 'a')", "row(1, 'b')", "row(2, 'a')", "row(2, null)", "row(null, 'a')"],
                &["row(null, null)", "'(-1,\"a \"\"b\"\"\")'"],
            ),
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
    let made = [
        "create extension if not exists citext",
        "drop type if exists pair",
        "create type pair as (x int, y text)",
        "create or replace function lower_of(a int, b int) returns int language sql strict \
         as 'select case when a < b then a else b end'",
    ];
    let (mut tables, mut setup) = (Vec::new(), made.map(str::to_owned).to_vec());
    for number in 0..random.random_range(2..5) {
        let name = format!("t{number}");
        let count = random.random_range(2..5);
        let columns: Vec<Column> = (0..count)
            .map(|place| {
                let kind = match random.random_range(0..8) {
                    0 => Kind::SELDOM[random.random_range(0..Kind::SELDOM.len())],
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

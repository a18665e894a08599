//! Queries whose answers an index may find: conditions on columns of one table, orders with limits, extremes.

use super::schema::{Column, Table};
use super::{Kind, Writer};

impl Writer {
    /// A query of one table, or of two that are joined, by conditions on their columns.
    pub(super) fn probe(&mut self) -> String {
        let tables = self.tables.clone();
        let table = self.pick(&tables).clone();
        match self.below(10) {
            0..2 => self.extremes(&table),
            2..4 => self.joined_probe(&table, self.pick_other(&tables)),
            _ => {
                let filter = self.probe_filter(&table.columns);
                let columns: Vec<String> = self.some_columns(&table.columns);
                let order = self.probe_order(columns.len());
                format!("select {} from {}{filter}{order}", columns.join(", "), table.name)
            }
        }
    }

    fn pick_other<'t>(&self, tables: &'t [Table]) -> &'t Table {
        &tables[self.names % tables.len()]
    }

    fn joined_probe(&mut self, left: &Table, right: &Table) -> String {
        let columns = |name: &str, table: &Table| -> Vec<Column> {
            let qualified =
                |column: &Column| Column { name: format!("{name}.{}", column.name), kind: column.kind };
            table.columns.iter().map(qualified).collect()
        };
        let (own, other) = (columns("p", left), columns("q", right));
        let pairs: Vec<(&Column, &Column)> = own
            .iter()
            .flat_map(|one| other.iter().map(move |two| (one, two)))
            .filter(|(one, two)| one.kind == two.kind)
            .collect();
        let filter = self.probe_filter(&own);
        let mut shown = self.some_columns(&own);
        shown.extend(self.some_columns(&other));
        let order = self.probe_order(shown.len());
        let join = if pairs.is_empty() {
            "cross join".to_owned()
        } else {
            (*self.pick(&["join", "join", "left join"])).to_owned()
        };
        let on = if pairs.is_empty() {
            String::new()
        } else {
            let (one, two) = self.pick(&pairs);
            let equal = format!(" on {} = {}", one.name, two.name);
            if self.chance(70) {
                equal
            } else {
                let (own, other): ([&[Column]; 1], [&[Column]; 1]) = ([&own], [&other]);
                format!("{equal} and {}", self.arms(&own, &other))
            }
        };
        let (left, right) = (&left.name, &right.name);
        format!("select {} from {left} as p {join} {right} as q{on}{filter}{order}", shown.join(", "))
    }

    fn extremes(&mut self, table: &Table) -> String {
        let filter = self.probe_filter(&table.columns);
        let mut calls = Vec::new();
        for _ in 0..=self.below(2) {
            let fitting: Vec<&Column> =
                table.columns.iter().filter(|column| column.kind.has_extremes()).collect();
            if fitting.is_empty() {
                return format!("select count(*) from {}{filter}", table.name);
            }
            let (function, column) = (*self.pick(&["min", "max"]), self.pick(&fitting).name.clone());
            calls.push(format!("{function}({column})"));
        }
        format!("select {} from {}{filter}", calls.join(", "), table.name)
    }

    fn some_columns(&mut self, columns: &[Column]) -> Vec<String> {
        (0..=self.below(2)).map(|_| self.pick(columns).name.clone()).collect()
    }

    /// By all columns that are shown, so that equal rows look alike.
    fn probe_order(&mut self, columns: usize) -> String {
        if self.chance(20) {
            return String::new();
        }
        let together = *self.pick(&["", " desc"]);
        let mut places: Vec<usize> = (1..=columns).collect();
        if self.chance(30) {
            places.reverse();
        }
        let mut keys = Vec::new();
        for place in places {
            let own = *self.pick(&["", " desc", " nulls first", " desc nulls last"]);
            keys.push(format!("{place}{}", if self.chance(70) { together } else { own }));
        }
        let limit = if self.chance(80) { format!(" limit {}", self.below(6)) } else { String::new() };
        let offset = if self.chance(20) { format!(" offset {}", self.below(3)) } else { String::new() };
        format!(" order by {}{limit}{offset}", keys.join(", "))
    }

    fn probe_filter(&mut self, columns: &[Column]) -> String {
        let mut conditions = Vec::new();
        while self.chance(60) {
            conditions.push(self.probe_condition(columns));
        }
        if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) }
    }

    fn probe_condition(&mut self, columns: &[Column]) -> String {
        let Column { name, kind } = self.pick(columns).clone();
        let value = kind.constant(&mut self.random);
        match self.below(12) {
            0 => format!("{name} is null"),
            1 => format!("{name} is not null"),
            2 | 3 => format!("{name} = {value}"),
            4 => {
                let other = kind.constant(&mut self.random);
                format!("{name} in ({value}, {other})")
            }
            5 | 6 => self.array_condition(columns),
            7 if kind == Kind::Text => {
                let pattern = *self.pick(&["'a%'", "'ab%'", "'b_'", "'a'", "'%'", r"'a\%'", "'\u{e9}%'"]);
                format!("{name} like {pattern}")
            }
            8 | 9 => self.row_order(columns),
            _ => {
                let operator = *self.pick(&["<", "<=", ">", ">="]);
                format!("{name} {operator} {value}")
            }
        }
    }

    /// `column = ANY (array)`
    pub(super) fn array_condition(&mut self, columns: &[Column]) -> String {
        let Column { name, kind } = self.pick(columns).clone();
        let mut items = Vec::new();
        for _ in 0..self.below(4) {
            items.push(if self.chance(15) { "null".to_owned() } else { kind.constant(&mut self.random) });
        }
        format!("{name} = any (array[{}]::{}[])", items.join(", "), kind.name())
    }

    /// `(column, column) < (value, value)`
    pub(super) fn row_order(&mut self, columns: &[Column]) -> String {
        let (first, second) = (self.pick(columns).clone(), self.pick(columns).clone());
        let operator = *self.pick(&["<", "<=", ">", ">="]);
        let one = first.kind.constant(&mut self.random);
        let two = if self.chance(10) {
            format!("null::{}", second.kind.name())
        } else {
            second.kind.constant(&mut self.random)
        };
        format!("({}, {}) {operator} ({one}, {two})", first.name, second.name)
    }
}

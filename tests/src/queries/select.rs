//! Random queries with columns of given types.

use super::schema::{Column, Table};
use super::{Kind, Levels, Writer};

/// How far a statement's parts nest.
const DEPTH: usize = 3;

impl Writer {
    /// A whole statement.
    pub(super) fn statement(&mut self) -> String {
        if self.chance(25) {
            return self.probe();
        }
        let kinds = self.kinds();
        let before = self.tables.len();
        let mut with = Vec::new();
        while with.len() < 2 && self.chance(15) {
            let kinds = self.kinds();
            let name = self.name("w");
            let query = self.query(&kinds, &[], 1);
            let names = columns(&kinds);
            with.push(format!("{name} ({}) as ({query})", list(&names)));
            self.tables.push(Table { name, columns: names });
        }
        let query = self.query(&kinds, &[], DEPTH);
        self.tables.truncate(before);
        if with.is_empty() { query } else { format!("with {} {query}", with.join(", ")) }
    }

    fn kinds(&mut self) -> Vec<Kind> {
        (0..=self.below(3)).map(|_| *self.pick(&Kind::OFTEN)).collect()
    }

    /// A query of columns of any types, for EXISTS.
    pub(super) fn query_like(&mut self, outer: &Levels<'_>, depth: usize) -> String {
        let kinds = self.kinds();
        self.query(&kinds, outer, depth)
    }

    /// A query with columns of these types.
    pub(super) fn query(&mut self, kinds: &[Kind], outer: &Levels<'_>, depth: usize) -> String {
        if depth > 0 && self.chance(12) {
            let operation =
                *self.pick(&["union", "union all", "intersect", "except", "intersect all", "except all"]);
            let (left, right) = (self.query(kinds, outer, depth - 1), self.query(kinds, outer, depth - 1));
            return format!("({left}) {operation} ({right})");
        }
        let select = self.select(kinds, outer, depth);
        if !self.chance(15) {
            return select;
        }
        let keys: Vec<String> = (1..=kinds.len())
            .map(|place| {
                format!("{place}{}", self.pick(&["", "", " desc", " nulls first", " desc nulls last"]))
            })
            .collect();
        let mut query = format!("{select} order by {}", keys.join(", "));
        if self.chance(70) {
            query.push_str(&format!(" limit {}", self.below(5)));
        }
        if self.chance(25) {
            query.push_str(&format!(" offset {}", self.below(3)));
        }
        query
    }

    /// A plain SELECT.
    pub(super) fn select(&mut self, kinds: &[Kind], outer: &Levels<'_>, depth: usize) -> String {
        let (from, own) = self.from(outer, depth);
        let levels = levels(&own, outer);
        let filter = self.filter(&levels, depth);
        if self.chance(20) {
            return self.grouped(kinds, outer, depth, &from, &own, &filter);
        }
        let distinct = if self.chance(12) { "distinct " } else { "" };
        let mut items = Vec::new();
        for kind in kinds {
            items.push(if self.chance(6) {
                self.window(*kind, &own)
            } else {
                self.expression(*kind, &levels, depth)
            });
        }
        format!("select {distinct}{} from {from}{filter}", typed(&items, kinds))
    }

    fn filter(&mut self, levels: &Levels<'_>, depth: usize) -> String {
        if self.chance(40) {
            return String::new();
        }
        let mut conditions = vec![self.condition(levels, depth)];
        while self.chance(20) {
            conditions.push(self.condition(levels, depth.min(1)));
        }
        format!(" where {}", conditions.join(" and "))
    }

    fn grouped(
        &mut self,
        kinds: &[Kind],
        outer: &Levels<'_>,
        depth: usize,
        from: &str,
        own: &[Column],
        filter: &str,
    ) -> String {
        let mut keys: Vec<Column> = Vec::new();
        for _ in 0..=self.below(2) {
            let key = self.pick(own).clone();
            if keys.iter().all(|other| other.name != key.name) {
                keys.push(key);
            }
        }
        let levels = levels(&keys, outer);
        let mut items = Vec::new();
        for kind in kinds {
            let item = if self.chance(40) {
                self.expression(*kind, &levels, depth.min(1))
            } else {
                self.aggregate(*kind, own)
            };
            items.push(item);
        }
        let grouping = self.grouping(&keys);
        let mut query = format!("select {} from {from}{filter} group by {grouping}", typed(&items, kinds));
        if self.chance(30) {
            let kind = *self.pick(&[Kind::Big, Kind::Int, Kind::Text]);
            let having = if self.chance(40) {
                self.condition(&levels, depth.min(1))
            } else {
                let operator = *self.pick(&["=", ">", "<=", "<>"]);
                format!("{} {operator} {}", self.aggregate(kind, own), kind.constant(&mut self.random))
            };
            query.push_str(&format!(" having {having}"));
        }
        query
    }

    /// GROUP BY over keys: all of them, or in every way that makes several sets.
    fn grouping(&mut self, keys: &[Column]) -> String {
        let all = list(keys);
        let Some((first, rest)) = keys.split_first() else { return all };
        match self.below(14) {
            0 => format!("rollup ({all})"),
            1 => format!("cube ({all})"),
            2 => format!("grouping sets (({all}), ({}), ())", first.name),
            3 => format!("grouping sets (({all}), rollup ({}))", first.name),
            4 if !rest.is_empty() => format!("{}, cube ({})", first.name, list(rest)),
            5 => format!("distinct rollup ({all}), rollup ({})", first.name),
            _ => all,
        }
    }

    /// A query of one row: an aggregate, perhaps with something around it.
    pub(super) fn aggregate_query(&mut self, kind: Kind, outer: &Levels<'_>, depth: usize) -> String {
        let (from, own) = self.from(outer, depth.min(1));
        let levels = levels(&own, outer);
        let call = self.aggregate(kind, &own);
        let item = match (kind, self.below(5)) {
            (Kind::Big, 0) => format!("({call} % 5)"),
            (_, 1) => format!("coalesce({call}, {})", kind.constant(&mut self.random)),
            _ => call,
        };
        let filter = self.filter(&levels, depth);
        format!("select {} from {from}{filter}", typed(&[item], &[kind]))
    }

    /// FROM, and the columns that it makes.
    fn from(&mut self, outer: &Levels<'_>, depth: usize) -> (String, Vec<Column>) {
        let (mut from, mut own) = self.item(outer, depth);
        let more = match self.below(10) {
            0..5 => 0,
            5..8 => 1,
            8 => 2,
            _ => 3,
        };
        for _ in 0..more {
            (from, own) = self.joined(from, own, outer, depth);
        }
        (from, own)
    }

    fn joined(
        &mut self,
        from: String,
        own: Vec<Column>,
        outer: &Levels<'_>,
        depth: usize,
    ) -> (String, Vec<Column>) {
        if depth > 0 && self.chance(12) {
            let levels = levels(&own, outer);
            let kinds = self.kinds();
            let (query, name) = (self.query(&kinds, &levels, depth - 1), self.name("l"));
            let made = qualified(&name, &columns(&kinds));
            let item = format!("lateral ({query}) as {name} ({})", list(&columns(&kinds)));
            let all: Vec<Column> = own.into_iter().chain(made).collect();
            if self.chance(40) {
                let condition = self.connection(&all, &[], 0);
                return (format!("{from} left join {item} on {condition}"), all);
            }
            return (format!("{from} cross join {item}"), all);
        }
        let (item, made) = if self.chance(15) {
            let (item, made) = self.item(outer, depth);
            let (item, made) = self.joined(item, made, outer, 0);
            (format!("({item})"), made)
        } else {
            self.item(outer, depth)
        };
        let left = own.clone();
        let all: Vec<Column> = own.into_iter().chain(made.iter().cloned()).collect();
        match self.below(10) {
            0 => (format!("{from} cross join {item}"), all),
            1..5 => {
                let condition = self.connection(&all, outer, depth);
                (format!("{from} join {item} on {condition}"), all)
            }
            5..9 => {
                let kind = if self.chance(65) { "left" } else { "right" };
                let condition = self.connection(&all, outer, 0);
                (format!("{from} {kind} join {item} on {condition}"), all)
            }
            _ => match self.equality(&left, &made) {
                Some(condition) => (format!("{from} full join {item} on {condition}"), all),
                None => (format!("{from} cross join {item}"), all),
            },
        }
    }

    /// The condition of a join, most often with an equality.
    fn connection(&mut self, own: &[Column], outer: &Levels<'_>, depth: usize) -> String {
        let levels = levels(own, outer);
        let condition = match self.equality(own, own) {
            Some(equality) if self.chance(80) => equality,
            _ => return self.condition(&levels, depth.min(1)),
        };
        if self.chance(30) {
            return format!("{condition} and {}", self.condition(&levels, depth.min(1)));
        }
        condition
    }

    /// An equality of two columns.
    fn equality(&mut self, left: &[Column], right: &[Column]) -> Option<String> {
        let first = self.pick(left).clone();
        let integer = |kind| matches!(kind, Kind::Int | Kind::Big);
        let fits = |other: &&Column| {
            other.name != first.name
                && (other.kind == first.kind || integer(other.kind) && integer(first.kind))
        };
        let fitting: Vec<&Column> = right.iter().filter(fits).collect();
        (!fitting.is_empty()).then(|| format!("{} = {}", first.name, self.pick(&fitting).name))
    }

    fn item(&mut self, outer: &Levels<'_>, depth: usize) -> (String, Vec<Column>) {
        match self.below(20) {
            0..3 if depth > 0 => {
                // A subquery in FROM sees the queries around, and not what stands beside it.
                let kinds = self.kinds();
                let (query, name) = (self.query(&kinds, outer, depth - 1), self.name("s"));
                let names = columns(&kinds);
                (format!("({query}) as {name} ({})", list(&names)), qualified(&name, &names))
            }
            3 => {
                let (kinds, name) = (self.kinds(), self.name("v"));
                let mut rows = Vec::new();
                for _ in 0..=self.below(3) {
                    let cells: Vec<String> = kinds
                        .iter()
                        .map(|kind| {
                            let value = if self.chance(15) {
                                "null".to_owned()
                            } else {
                                kind.constant(&mut self.random)
                            };
                            format!("({value})::{}", kind.name())
                        })
                        .collect();
                    rows.push(format!("({})", cells.join(", ")));
                }
                let names = columns(&kinds);
                let item = format!("(values {}) as {name} ({})", rows.join(", "), list(&names));
                (item, qualified(&name, &names))
            }
            4 => {
                let name = self.name("g");
                let made = vec![Column { name: "c0".to_owned(), kind: Kind::Int }];
                (format!("generate_series(0, {}) as {name} (c0)", self.below(4)), qualified(&name, &made))
            }
            _ => {
                let tables = self.tables.clone();
                let (table, name) = (self.pick(&tables), self.name("a"));
                (format!("{} as {name}", table.name), qualified(&name, &table.columns))
            }
        }
    }
}

/// The columns of a query, then those around it.
fn levels<'a>(own: &'a [Column], outer: &Levels<'a>) -> Vec<&'a [Column]> {
    std::iter::once(own).chain(outer.iter().copied()).collect()
}

/// Names for columns of these types.
fn columns(kinds: &[Kind]) -> Vec<Column> {
    kinds.iter().enumerate().map(|(place, kind)| Column { name: format!("c{place}"), kind: *kind }).collect()
}

fn qualified(name: &str, columns: &[Column]) -> Vec<Column> {
    columns
        .iter()
        .map(|column| Column { name: format!("{name}.{}", column.name), kind: column.kind })
        .collect()
}

fn list(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Items of exactly these types.
fn typed(items: &[String], kinds: &[Kind]) -> String {
    let item = |(item, kind): (&String, &Kind)| format!("({item})::{}", kind.name());
    items.iter().zip(kinds).map(item).collect::<Vec<_>>().join(", ")
}

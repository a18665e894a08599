//! Random expressions of a type.

use super::schema::Column;
use super::{Kind, Levels, Writer};

const COMPARISONS: [&str; 10] =
    ["=", "=", "=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from"];

impl Writer {
    /// An expression. `depth` is how far it may nest, subqueries included.
    pub(super) fn expression(&mut self, kind: Kind, levels: &Levels<'_>, depth: usize) -> String {
        if depth == 0 || self.chance(45) {
            return self.leaf(kind, levels);
        }
        let inner = depth - 1;
        match self.below(12) {
            0 => {
                let condition = self.condition(levels, inner);
                let (then, other) =
                    (self.expression(kind, levels, inner), self.expression(kind, levels, inner));
                format!("case when {condition} then {then} else {other} end")
            }
            1 => {
                let (first, second) =
                    (self.expression(kind, levels, inner), self.expression(kind, levels, inner));
                format!("coalesce({first}, {second})")
            }
            2 => {
                let (first, second) = (self.expression(kind, levels, inner), self.leaf(kind, levels));
                format!("nullif({first}, {second})")
            }
            3 if kind != Kind::Bool => {
                let (first, second) = (self.leaf(kind, levels), self.leaf(kind, levels));
                let function = if self.chance(50) { "greatest" } else { "least" };
                format!("{function}({first}, {second})")
            }
            4 | 5 => self.scalar_subquery(kind, levels, inner),
            _ => self.operation(kind, levels, inner),
        }
    }

    fn operation(&mut self, kind: Kind, levels: &Levels<'_>, depth: usize) -> String {
        match kind {
            Kind::Int => {
                let (operand, text) = (self.leaf(Kind::Int, levels), self.leaf(Kind::Text, levels));
                match self.below(6) {
                    0 => format!("({operand} % 3)"),
                    1 => format!("lower_of({operand}, {})", self.leaf(Kind::Int, levels)),
                    2 => format!("length({text})"),
                    3 => format!("({operand} / 2)"),
                    4 => format!("({}).x", self.leaf(Kind::Pair, levels)),
                    _ => format!("(({operand}) & 3)"),
                }
            }
            Kind::Big => {
                let (left, right) = (self.leaf(Kind::Int, levels), self.leaf(Kind::Int, levels));
                let operator = *self.pick(&["+", "-", "*"]);
                format!("(({left})::bigint {operator} ({right})::bigint)")
            }
            Kind::Numeric => {
                let left = self.expression(Kind::Numeric, levels, depth);
                let other = *self.pick(&[Kind::Int, Kind::Big, Kind::Numeric]);
                let right = self.leaf(other, levels);
                let operator = *self.pick(&["+", "-", "*"]);
                format!("({left} {operator} {right})")
            }
            Kind::Text => {
                let operand = self.expression(Kind::Text, levels, depth);
                match self.below(3) {
                    0 => format!("({operand} || {})", self.leaf(Kind::Text, levels)),
                    1 => format!("upper({operand})"),
                    _ => format!("substr({operand}, 1, 1)"),
                }
            }
            Kind::Bool => self.condition(levels, depth),
            Kind::Float => self.leaf(Kind::Float, levels),
            Kind::Inet
            | Kind::Mac
            | Kind::Bits
            | Kind::Money
            | Kind::Lsn
            | Kind::Range
            | Kind::Numrange
            | Kind::Citext
            | Kind::Pair => self.seldom_operation(kind, levels),
        }
    }

    /// What makes a value of one of the types that occur now and then of others.
    fn seldom_operation(&mut self, kind: Kind, levels: &Levels<'_>) -> String {
        let (left, right) = (self.leaf(kind, levels), self.leaf(kind, levels));
        let number = self.leaf(Kind::Int, levels);
        match (kind, self.below(2)) {
            (Kind::Inet, 0) => format!("({left} + {number})"),
            (Kind::Inet, _) => format!("set_masklen({left}, 8)"),
            (Kind::Mac, 0) => format!("trunc({left})"),
            (Kind::Mac, _) => format!("({left} & {right})"),
            (Kind::Bits, 0) => format!("({left} || {right})"),
            (Kind::Bits, _) => format!("(substring({left} from 1 for 2))::varbit"),
            (Kind::Money, 0) => format!("({left} + {right})"),
            (Kind::Money, _) => format!("({left} * {number})"),
            (Kind::Lsn, 0) => format!("({left} + {number})"),
            (Kind::Lsn, _) => format!("pg_lsn({left} - {right})"),
            (Kind::Citext, 0) => format!("greatest({left}, {right})"),
            (Kind::Citext, _) => format!("least({left}, {right})"),
            (Kind::Pair, 0) => format!("row(({left}).x, ({right}).y)::pair"),
            (Kind::Pair, _) => format!("row({number}, ({right}).y)::pair"),
            (_, 0) => format!("({left} * {right})"),
            _ => format!("range_merge({left}, {right})"),
        }
    }

    /// A column, a constant or NULL.
    fn leaf(&mut self, kind: Kind, levels: &Levels<'_>) -> String {
        if self.chance(85)
            && let Some(column) = self.column(kind, levels)
        {
            return column;
        }
        if self.chance(10) {
            return format!("null::{}", kind.name());
        }
        kind.constant(&mut self.random)
    }

    /// A column in reach, more often of the query itself than of those around it.
    fn column(&mut self, kind: Kind, levels: &Levels<'_>) -> Option<String> {
        let own = levels.first().copied().unwrap_or(&[]);
        let all: Vec<&Column> =
            if self.chance(60) { own.iter().collect() } else { levels.iter().copied().flatten().collect() };
        let fitting: Vec<&Column> = all.into_iter().filter(|column| column.kind == kind).collect();
        if fitting.is_empty() { None } else { Some(self.pick(&fitting).name.clone()) }
    }

    /// A condition.
    pub(super) fn condition(&mut self, levels: &Levels<'_>, depth: usize) -> String {
        if depth == 0 {
            return self.comparison(levels, 0);
        }
        let inner = depth - 1;
        match self.below(20) {
            0..3 => {
                let (left, right) = (self.condition(levels, inner), self.condition(levels, inner));
                format!("({left} and {right})")
            }
            3 => {
                let (left, right) = (self.condition(levels, inner), self.condition(levels, inner));
                format!("({left} or {right})")
            }
            4 => self.arms(levels, levels),
            5 => format!("(not {})", self.condition(levels, inner)),
            6 => {
                // A factor in all arms.
                let common = self.comparison(levels, 0);
                let (left, right) = (self.condition(levels, inner), self.condition(levels, inner));
                format!("(({common} and {left}) or ({right} and {common}))")
            }
            7 => {
                let test =
                    *self.pick(&["is true", "is not true", "is false", "is unknown", "is not unknown"]);
                format!("({} {test})", self.condition(levels, inner))
            }
            8 | 9 => {
                let not = if self.chance(40) { "not " } else { "" };
                let query = self.query_like(levels, inner);
                format!("({not}exists ({query}))")
            }
            10 | 11 => {
                let kind = *self.pick(&Kind::OFTEN);
                let not = if self.chance(40) { "not " } else { "" };
                let (operand, query) = (self.leaf(kind, levels), self.query(&[kind], levels, inner));
                format!("({operand} {not}in ({query}))")
            }
            12 => {
                let kinds = [*self.pick(&Kind::OFTEN), Kind::Int];
                let not = if self.chance(30) { "not " } else { "" };
                let (first, second) = (self.leaf(kinds[0], levels), self.leaf(kinds[1], levels));
                let query = self.query(&kinds, levels, inner);
                format!("((({first}), ({second})) {not}in ({query}))")
            }
            13 => {
                let kind = *self.pick(&Kind::OFTEN);
                let (operator, quantifier) =
                    (*self.pick(&["=", "<>", "<", ">="]), *self.pick(&["any", "all"]));
                let (operand, query) = (self.leaf(kind, levels), self.query(&[kind], levels, inner));
                let array = if self.chance(40) { "array" } else { "" };
                format!("({operand} {operator} {quantifier} ({array}({query})))")
            }
            _ => self.comparison(levels, inner),
        }
    }

    /// An OR each of whose arms asks something of both.
    pub(super) fn arms(&mut self, one: &Levels<'_>, other: &Levels<'_>) -> String {
        let arms: Vec<String> = (0..=self.below(2) + 1)
            .map(|_| format!("({} and {})", self.comparison(one, 0), self.comparison(other, 0)))
            .collect();
        format!("({})", arms.join(" or "))
    }

    fn comparison(&mut self, levels: &Levels<'_>, depth: usize) -> String {
        format!("({})", self.bare_comparison(levels, depth))
    }

    fn bare_comparison(&mut self, levels: &Levels<'_>, depth: usize) -> String {
        let own = levels.first().copied().unwrap_or(&[]);
        let seldom: Vec<Kind> =
            own.iter().map(|column| column.kind).filter(|kind| Kind::SELDOM.contains(kind)).collect();
        let kind = if !seldom.is_empty() && self.chance(30) {
            *self.pick(&seldom)
        } else if self.chance(5) {
            *self.pick(&Kind::SELDOM)
        } else {
            *self.pick(&Kind::OFTEN)
        };
        if !own.is_empty() && self.chance(8) {
            return if self.chance(50) { self.array_condition(own) } else { self.row_order(own) };
        }
        let operand = self.expression(kind, levels, depth);
        match self.below(12) {
            0 => format!("{operand} is null"),
            1 => format!("{operand} is not null"),
            2 if kind != Kind::Bool => {
                let not = if self.chance(30) { "not " } else { "" };
                let items: Vec<String> = (0..=self.below(3)).map(|_| self.leaf(kind, levels)).collect();
                format!("{operand} {not}in ({})", items.join(", "))
            }
            3 if kind != Kind::Bool => {
                let (low, high) = (self.leaf(kind, levels), self.leaf(kind, levels));
                format!("{operand} between {low} and {high}")
            }
            4 if kind == Kind::Text => {
                let pattern = *self.pick(&["'a%'", "'%b'", "'_'", "'%'"]);
                format!("{operand} like {pattern}")
            }
            4 if kind == Kind::Citext => {
                let pattern = *self.pick(&["'A%'", "'%b'", "'_'"]);
                format!("{operand} like {pattern}")
            }
            4 if matches!(kind, Kind::Inet | Kind::Range | Kind::Numrange) => {
                let operator = *self.pick(&["&&", "<<", ">>"]);
                format!("{operand} {operator} {}", self.leaf(kind, levels))
            }
            5 if kind == Kind::Range => format!("{operand} @> {}", self.leaf(Kind::Int, levels)),
            5 if kind == Kind::Numrange => format!("{operand} @> {}", self.leaf(Kind::Numeric, levels)),
            5 if matches!(kind, Kind::Int | Kind::Big) => {
                let other = *self.pick(&[Kind::Int, Kind::Big, Kind::Numeric]);
                format!("{operand} = {}", self.leaf(other, levels))
            }
            6 if kind == Kind::Bool => operand,
            _ => {
                let operator = *self.pick(&COMPARISONS);
                format!("{operand} {operator} {}", self.leaf(kind, levels))
            }
        }
    }

    /// A subquery that answers at most one row: an aggregate, or the first of an order.
    fn scalar_subquery(&mut self, kind: Kind, levels: &Levels<'_>, depth: usize) -> String {
        if self.chance(65) {
            return format!("({})", self.aggregate_query(kind, levels, depth));
        }
        let direction = *self.pick(&["", " desc", " nulls first"]);
        format!("({} order by 1{direction} limit 1)", self.select(&[kind], levels, depth))
    }

    /// A call of an aggregate over a query's own columns.
    pub(super) fn aggregate(&mut self, kind: Kind, own: &[Column]) -> String {
        let own: [&[Column]; 1] = [own];
        let levels: &Levels<'_> = &own;
        let call = if self.chance(12) { self.spread(kind, levels) } else { None };
        let call = call.unwrap_or_else(|| self.plain_aggregate(kind, levels));
        if self.chance(12) {
            return format!("{call} filter (where {})", self.comparison(levels, 0));
        }
        call
    }

    /// An aggregate of an order, of bits, or of how far values are apart, if there is one of that type.
    fn spread(&mut self, kind: Kind, levels: &Levels<'_>) -> Option<String> {
        let direction = *self.pick(&["", " desc", " nulls first", " desc nulls last"]);
        Some(match kind {
            Kind::Int => {
                let function = *self.pick(&["bit_and", "bit_or", "bit_xor"]);
                format!("{function}({})", self.leaf(Kind::Int, levels))
            }
            Kind::Big => {
                let (function, value) = (*self.pick(&["rank", "dense_rank"]), self.below(5));
                format!(
                    "{function}({value}) within group (order by {}{direction})",
                    self.leaf(Kind::Int, levels)
                )
            }
            Kind::Numeric => {
                let function = *self.pick(&["var_pop", "var_samp", "stddev", "stddev_pop"]);
                format!("{function}({})", self.leaf(Kind::Int, levels))
            }
            Kind::Text if self.chance(50) => {
                format!("mode() within group (order by {}{direction})", self.leaf(Kind::Text, levels))
            }
            Kind::Text => {
                let part = *self.pick(&["0", "0.25", "0.5", "1"]);
                let value = self.leaf(Kind::Text, levels);
                format!("percentile_disc({part}) within group (order by {value}{direction})")
            }
            _ => return None,
        })
    }

    fn plain_aggregate(&mut self, kind: Kind, levels: &Levels<'_>) -> String {
        match (kind, self.below(6)) {
            (Kind::Big, 0..3) => "count(*)".to_owned(),
            (Kind::Big, 3) => {
                let kind = *self.pick(&Kind::OFTEN);
                format!("count(distinct {})", self.leaf(kind, levels))
            }
            (Kind::Big, 4) => {
                let kind = *self.pick(&Kind::OFTEN);
                format!("count({})", self.leaf(kind, levels))
            }
            (Kind::Big, _) => format!("sum({})", self.leaf(Kind::Int, levels)),
            (Kind::Numeric, 0) => format!("sum({})", self.leaf(Kind::Big, levels)),
            (Kind::Numeric, 1 | 2) => format!("sum({})", self.leaf(Kind::Numeric, levels)),
            (Kind::Numeric, 3) => format!("sum(distinct {})", self.leaf(Kind::Numeric, levels)),
            (Kind::Numeric, 4) => format!("avg({})", self.leaf(Kind::Int, levels)),
            (Kind::Bool, number) => {
                let function = if number < 3 { "bool_and" } else { "bool_or" };
                format!("{function}({})", self.comparison(levels, 0))
            }
            (Kind::Text, 0) => {
                let value = self.leaf(Kind::Text, levels);
                format!("string_agg({value}, ',' order by {value})")
            }
            (Kind::Range | Kind::Numrange, 0..3) => {
                format!("range_intersect_agg({})", self.leaf(kind, levels))
            }
            (kind, _) if !kind.has_extremes() => {
                format!("mode() within group (order by {})", self.leaf(kind, levels))
            }
            (kind, number) => {
                let function = if number < 3 { "min" } else { "max" };
                format!("{function}({})", self.leaf(kind, levels))
            }
        }
    }
}

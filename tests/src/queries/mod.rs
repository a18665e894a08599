//! Random schemas, data and queries, made of a seed, for comparing what different planners make of them.
//!
//! Data has NULLs, duplicates, values that are equal and look different (`1.0` and `1.00`) and extremes, now and then of addresses,
//! strings of bits, money, places in a log and ranges. A query joins in
//! every way, groups by keys and by sets of them, has window functions, subqueries of every form, correlated over several levels, set operations, WITH and LATERAL.
//! Its answer is the same on every run, as a set of rows: a LIMIT stands only above an order of all columns.
//!
//! What is left out on purpose, because PostgreSQL itself promises nothing of it: volatile functions, sums of
//! floating-point numbers, casts that would show which of equal values stands for a group.

mod expression;
mod probe;
mod schema;
mod select;
mod window;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use schema::Kind;
use schema::{Column, Table};

/// Tables with data, and queries over them.
pub struct Case {
    /// Statements that make the tables.
    pub setup: Vec<String>,
    /// The queries.
    pub queries: Vec<String>,
}

impl Case {
    /// The case of a seed.
    pub fn of_seed(seed: u64, queries: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (tables, setup) = schema::tables(&mut random);
        let mut writer = Writer { random, tables, names: 0 };
        let queries = (0..queries).map(|_| writer.statement()).collect();
        Self { setup, queries }
    }
}

/// Writes queries.
struct Writer {
    random: StdRng,
    /// What FROM may name: tables, and the queries of WITH around.
    tables: Vec<Table>,
    /// How many names were given.
    names: usize,
}

/// The columns that an expression may name: those of its own query, then those of the queries around, the nearest first.
type Levels<'a> = [&'a [Column]];

impl Writer {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.random.random_range(0..of.len())]
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }
}

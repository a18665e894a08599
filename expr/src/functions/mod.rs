//! The registry of functions: PostgreSQL's `pg_proc` as far as it is supported, by PostgreSQL's OIDs.

mod arguments;
mod array;
mod bit_string;
mod bytea;
mod citext;
mod comparison;
mod decimal;
mod digest;
mod enumerated;
mod extent;
mod float;
mod hash;
mod hash_composed;
mod identifier;
mod integer;
mod json_make;
mod json_moment;
mod json_path;
mod json_text;
mod jsonb;
mod leakproof;
mod like;
mod lsn;
mod mac;
mod md5;
mod missing;
mod money;
mod multirange;
mod network;
mod number_format;
mod number_parse;
pub mod ordered_set;
mod overlaps;
pub mod parameters;
mod pattern;
mod pattern_place;
pub mod quote;
pub mod range_made;
mod sample;
mod sha224;
mod similar;
pub mod spread;
mod string;
pub mod subscript_assign;
mod system;
mod table;
mod table_json;
mod time;
mod time_field;
mod time_format;
mod time_found;
mod time_of_day;
mod time_parse;
mod time_pattern;
mod trigonometry;
mod unicode;
mod uuid_made;
mod vector;
mod window;
mod xid;
mod zoned_time;

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::LazyLock;

use crate::accumulate::Accumulator;
use crate::compare::Comparison;
use crate::datum::record::Shape;
use crate::datum::{Datum, Row};
use crate::dissimilar;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

pub use crate::volatility::Volatility;
pub use missing::is_missing;
pub use ordered_set::OrderedSet;
pub use sample::check_sample;
pub use window::WindowFunction;

/// A function of the registry. Copied freely; its OID is stable and may be stored and sent.
#[derive(Clone, Copy)]
pub struct FunctionId(&'static Function);

impl FunctionId {
    /// The function of this OID.
    pub fn from_oid(oid: u32) -> Option<Self> {
        BY_OID
            .binary_search_by_key(&oid, |function| function.oid())
            .ok()
            .and_then(|at| BY_OID.get(at))
            .copied()
    }

    /// `pg_proc.oid`.
    pub fn oid(self) -> u32 {
        self.0.oid
    }
}

impl Deref for FunctionId {
    type Target = Function;

    fn deref(&self) -> &Function {
        self.0
    }
}

impl PartialEq for FunctionId {
    fn eq(&self, other: &Self) -> bool {
        self.0.oid == other.0.oid
    }
}

impl Eq for FunctionId {}

impl fmt::Debug for FunctionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.0.name, self.0.oid)
    }
}

/// One row of `pg_proc`, and how it is computed.
#[derive(Debug)]
pub struct Function {
    /// `pg_proc.oid`.
    pub oid: u32,
    /// `proname`.
    pub name: &'static str,
    /// `proargtypes`. Of a variadic function the last stands for any number, none included.
    pub args: &'static [TypeKind],
    /// How many of the last arguments may be left out (`pronargdefaults`).
    pub defaults: usize,
    /// Whether the last argument may be repeated (`provariadic`).
    pub variadic: bool,
    /// `prorettype`; of a set-returning function that of a row.
    pub result: TypeKind,
    /// The name of its only output, if that is not its own.
    pub output: Option<&'static str>,
    /// The columns of the rows that it returns, if it returns records whose fields are known.
    pub columns: &'static [(&'static str, TypeKind)],
    /// What it is.
    pub kind: FunctionKind,
    /// `provolatile`.
    pub volatility: Volatility,
    /// NULL for a NULL argument, without being called (`proisstrict`).
    pub strict: bool,
    /// The extension that it comes with, if it is not always there.
    pub extension: Option<&'static str>,
    /// How it is computed.
    pub body: Body,
}

/// `prokind` and `proretset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// One value for one row.
    Scalar,
    /// See [`crate::aggregate`].
    Aggregate,
    /// See [`crate::series`].
    Set,
    /// One value for one row, of the rows around it.
    Window,
}

/// How a function is computed. The evaluator takes care of strictness first.
#[derive(Clone, Copy)]
pub enum Body {
    /// Of one value.
    One(fn(&Datum) -> Result<Datum>),
    /// Of two values.
    Two(fn(&Datum, &Datum) -> Result<Datum>),
    /// Whether two values are in such an order, that of [`mod@crate::compare`]: one row serves all types that it compares.
    Ordered(Comparison),
    /// Of any number of values.
    Many(fn(&[Datum]) -> Result<Datum>),
    /// Of values and the session.
    Session(fn(&[Datum], &SessionContext) -> Result<Datum>),
    /// Of values, their types and the session.
    Typed(fn(&[Datum], &[Type], &SessionContext) -> Result<Datum>),
    /// The session's [`crate::session::CatalogFunctions`] answers by name.
    Catalog,
    /// An aggregate, by its accumulator.
    Aggregate(&'static Accumulator),
    /// An aggregate of rows in an order.
    OrderedSet(OrderedSet),
    /// Returns rows, made as they are asked for: [`crate::series`].
    Set,
    /// Returns rows, made at once.
    Rows(fn(&[Datum]) -> Result<Vec<Datum>>),
    /// The same, of values and the session.
    SessionRows(fn(&[Datum], &SessionContext) -> Result<Vec<Datum>>),
    /// Returns rows of several columns, of the shape that the call says, made at once.
    Table(fn(&[Datum], &Shape, &SessionContext) -> Result<Vec<Row>>),
    /// Of the rows of a window.
    Window(WindowFunction),
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Body::One(_)
            | Body::Two(_)
            | Body::Ordered(_)
            | Body::Many(_)
            | Body::Session(_)
            | Body::Typed(_) => "computed",
            Body::Catalog => "catalog",
            Body::Aggregate(_) | Body::OrderedSet(_) => "aggregate",
            Body::Set | Body::Rows(_) | Body::SessionRows(_) | Body::Table(_) => "set",
            Body::Window(_) => "window",
        })
    }
}

static BY_OID: LazyLock<Vec<FunctionId>> = LazyLock::new(|| {
    let mut functions: Vec<_> = table::TABLES.iter().copied().flatten().map(FunctionId).collect();
    functions.sort_unstable_by_key(|function| function.oid());
    functions
});

static BY_NAME: LazyLock<HashMap<&'static str, Vec<FunctionId>>> = LazyLock::new(|| {
    let mut functions: HashMap<_, Vec<_>> = HashMap::new();
    for function in BY_OID.iter() {
        functions.entry(function.0.name).or_default().push(*function);
    }
    functions
});

/// All functions, by ascending OID.
pub fn all() -> impl Iterator<Item = FunctionId> {
    BY_OID.iter().copied()
}

/// All functions of a name (in lower case, without a schema), for the resolution of overloads.
pub fn by_name(name: &str) -> &'static [FunctionId] {
    BY_NAME.get(name).map(Vec::as_slice).unwrap_or_default()
}

impl Function {
    /// Whether a short call can make a value that takes long to make and to look at.
    pub fn makes_long_values(&self) -> bool {
        let over_numeric = self.args.first() == Some(&TypeKind::Numeric);
        match self.name {
            "repeat" | "lpad" | "rpad" | "replace" | "regexp_replace" | "format" | "array_fill"
            | "factorial" => true,
            "power" | "pow" | "exp" | "ln" | "log" | "sqrt" | "gcd" | "lcm" | "numeric_power"
            | "numeric_exp" | "numeric_ln" | "numeric_log" | "numeric_sqrt" => over_numeric,
            _ => false,
        }
    }

    /// The value for these arguments, whose types are the call's.
    pub fn call(&self, args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
        if self.strict && args.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        match (self.body, args) {
            (Body::One(function), [value]) => function(value),
            (Body::Two(function), [left, right]) => function(left, right),
            (Body::Ordered(test), [left, right]) => Ok(Datum::Bool(dissimilar::holds(test, left, right)?)),
            (Body::Many(function), args) => function(args),
            (Body::Session(function), args) => function(args, session),
            (Body::Typed(function), args) => function(args, types, session),
            (Body::Catalog, args) => session.catalog.call(self.name, args),
            _ => Err(Error::internal(format!("function {} called as what it is not", self.name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::datum::arbitrary::datum_of;
    use crate::datum::record::Record;
    use std::sync::Arc;

    /// A value for a parameter: small, extreme or odd, so that bounds are met often.
    fn argument(kind: TypeKind) -> BoxedStrategy<Datum> {
        let text = |words: &'static [&'static str]| prop::sample::select(words).prop_map(Datum::from);
        match kind {
            TypeKind::Int2 => prop_oneof![-3i16..10, Just(i16::MIN), Just(i16::MAX)].prop_map(Datum::Int2).boxed(),
            TypeKind::Int4 => prop_oneof![-3i32..10, Just(i32::MIN), Just(i32::MAX)].prop_map(Datum::Int4).boxed(),
            TypeKind::Int8 => prop_oneof![-3i64..10, Just(i64::MIN), Just(i64::MAX)].prop_map(Datum::Int8).boxed(),
            TypeKind::Date => prop_oneof![-3_000_000i32..3_000_000, Just(i32::MIN), Just(i32::MAX), Just(2_145_031_948)]
                .prop_map(Datum::Date)
                .boxed(),
            TypeKind::Timestamp | TypeKind::Timestamptz => {
                let zoned = kind == TypeKind::Timestamptz;
                prop_oneof![
                    -210_000_000_000_000_000i64..9_000_000_000_000_000_000,
                    Just(i64::MIN),
                    Just(i64::MAX),
                    Just(9_223_371_331_199_999_999),
                    Just(-211_813_488_000_000_000),
                ]
                .prop_map(move |micros| if zoned { Datum::Timestamptz(micros) } else { Datum::Timestamp(micros) })
                .boxed()
            }
            TypeKind::Interval => prop_oneof![
                4 => datum_of(TypeKind::Interval),
                1 => prop::sample::select(vec![i32::MIN, i32::MAX, 0]).prop_flat_map(|months| {
                    prop::sample::select(vec![i64::MIN, i64::MAX, 1]).prop_map(move |micros| {
                        Datum::Interval(crate::datum::Interval { months, days: months, micros })
                    })
                }),
            ]
            .boxed(),
            kind if kind.element().is_some() => {
                let element = kind.element().unwrap();
                prop::collection::vec(prop_oneof![1 => Just(Datum::Null), 4 => argument(element)], 0..4)
                    .prop_map(|items| Datum::Array(items.into()))
                    .boxed()
            }
            TypeKind::AnyArray | TypeKind::AnyCompatibleArray => argument(TypeKind::Int4Array),
            TypeKind::AnyRange => argument(TypeKind::Int4Range),
            TypeKind::AnyMultirange => argument(TypeKind::Int4Multirange),
            TypeKind::Record => argument(TypeKind::Int4)
                .prop_map(|value| {
                    let shape = Shape::new([("a".to_owned(), Type::plain(TypeKind::Int4))]);
                    Datum::Record(Arc::new(Record::new(Arc::new(shape), vec![value]).unwrap()))
                })
                .boxed(),
            kind if kind.category() == crate::types::Category::Pseudo => argument(TypeKind::Int4),
            kind if kind.is_string() => prop_oneof![
                3 => datum_of(TypeKind::Text),
                1 => text(&["year", "epoch", "day", "week", "hex", "base64", "escape", "UTF8", "UTC", "EST", "%s", "%1$I %L"]),
                1 => text(&["a%_\\", "\\", "(a|b)*", "[", "^$", "g", "i", "\\1\\&", "YYYY-MM-DD HH24:MI:SS FMDay", "q"]),
            ]
            .boxed(),
            kind if kind.is_reg() => argument(TypeKind::Oid),
            kind => datum_of(kind),
        }
    }

    #[test]
    fn no_function_panics_whatever_it_is_given() {
        let mut runner = TestRunner::deterministic();
        let session = SessionContext::default();
        let mut wrong = Vec::new();
        for function in all().filter(|function| function.kind == FunctionKind::Scalar) {
            let types: Vec<Type> = function.args.iter().map(|kind| Type::plain(*kind)).collect();
            for _ in 0..40 {
                let args: Vec<Datum> = function
                    .args
                    .iter()
                    .map(|kind| argument(*kind).new_tree(&mut runner).unwrap().current())
                    .collect();
                match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    function.call(&args, &types, &session)
                })) {
                    Ok(Err(error)) if error.sqlstate == "XX000" => {
                        wrong.push(format!("{function:?} of {args:?}: {error}"));
                    }
                    Ok(_) => continue,
                    Err(_) => wrong.push(format!("{function:?} of {args:?} panics")),
                }
                break;
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn oids_are_unique() {
        let mut oids: Vec<u32> = all().map(FunctionId::oid).collect();
        let count = oids.len();
        oids.dedup();
        assert_eq!(oids.len(), count);
        assert!(count > 800);
        assert_eq!(FunctionId::from_oid(177).unwrap().name, "int4pl");
    }

    #[test]
    fn signatures_are_unique() {
        for function in all() {
            let twins = by_name(function.name).iter().filter(|other| other.args == function.args);
            assert_eq!(twins.count(), 1, "{function:?}");
        }
    }
}

//! What must mean the same on both sides of the network: PostgreSQL types and values, the row format,
//! scalar functions, typed expressions and their evaluation.
//!
//! # Map, from the bottom up
//!
//! 1. [`types`], [`datum`], [`error`], [`volatility`]: what a value is. [`numeric`], [`calendar`], [`json`], [`bits`],
//!    [`network`], [`mac`], [`lsn`], [`extent`], [`money`], [`vector`], [`citext`], [`xid`]: what the kinds of value that need some arithmetic, or reading, are given.
//! 2. [`session`]: what of a session a value's meaning may depend on (time zone, the transaction's `now`, names).
//! 3. [`mod@compare`]: order, equality, hash; [`dissimilar`]: records that have none among each other. [`length`]: what a type's modifier does to values. [`text`], [`binary`]:
//!    the formats of PostgreSQL's clients; [`codec`]: which of them a type takes.
//! 4. [`key`], [`row`]: values as the key space stores them. [`keyed`]: those that are equal though they look unlike.
//! 5. [`functions`], [`operators`], [`casts`], [`accumulate`], [`aggregate`], [`series`]: what can be done with values, found
//!    by name and types. [`range`]: how far values are apart. [`work`]: what they cost, counted.
//! 6. [`tree`]: the typed expression, [`evaluate`]: its value for a row.
//! 7. [`resolve`]: PostgreSQL's rules (manual, chapter 10) that choose functions, operators and casts.

pub mod accumulate;
pub mod aggregate;
mod binary;
mod bits;
pub mod calendar;
pub mod casts;
mod citext;
pub mod codec;
pub mod compare;
pub mod datum;
pub mod dissimilar;
pub mod encoding;
pub mod error;
pub mod evaluate;
mod extent;
pub mod functions;
pub mod json;
pub mod key;
mod keyed;
pub mod length;
mod lsn;
mod mac;
mod money;
mod network;
pub mod numeric;
pub mod operators;
pub mod print;
pub mod random;
pub mod range;
mod regular;
pub mod resolve;
pub mod row;
pub mod series;
pub mod session;
pub mod text;
pub mod tree;
pub mod types;
mod vector;
pub mod volatility;
pub mod work;
mod xid;

pub use compare::{compare, group_eq, group_hash};
pub use datum::array::Array;
pub use datum::record::{Record, Shape};
pub use datum::{Datum, Interval, Numeric, Row};
pub use error::{Error, Result};
pub use evaluate::EvalContext;
pub use functions::FunctionId;
pub use session::SessionContext;
pub use tree::Expr;
pub use types::{Type, TypeKind};

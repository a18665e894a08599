//! What must mean the same on both sides of the network: PostgreSQL types and values, the row format,
//! scalar functions, typed expressions and their evaluation.

pub mod datum;
pub mod error;
pub mod types;

pub use datum::Datum;
pub use error::{Error, Result};
pub use types::{Type, TypeKind};

//! The registry of functions: PostgreSQL's `pg_proc` as far as it is supported, by PostgreSQL's OIDs.

use std::fmt;
use std::ops::Deref;

use crate::datum::Datum;
use crate::error::Result;
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

/// A function of the registry. Copied freely; its OID is stable and may be stored and sent.
#[derive(Clone, Copy)]
pub struct FunctionId(&'static Function);

impl FunctionId {
    /// The function of this OID.
    pub fn from_oid(oid: u32) -> Option<Self> {
        let _ = oid;
        None
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
    /// What it is.
    pub kind: FunctionKind,
    /// `provolatile`.
    pub volatility: Volatility,
    /// NULL for a NULL argument, without being called (`proisstrict`).
    pub strict: bool,
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
}

/// How often the same arguments give the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// Always.
    Immutable,
    /// Within a statement.
    Stable,
    /// Never.
    Volatile,
}

impl Volatility {
    /// The letter in `pg_proc.provolatile`.
    pub fn letter(self) -> char {
        match self {
            Volatility::Immutable => 'i',
            Volatility::Stable => 's',
            Volatility::Volatile => 'v',
        }
    }
}

/// How a function is computed. The evaluator takes care of strictness first.
#[derive(Clone, Copy)]
pub enum Body {
    /// Of one value.
    One(fn(&Datum) -> Result<Datum>),
    /// Of two values.
    Two(fn(&Datum, &Datum) -> Result<Datum>),
    /// Of any number of values.
    Many(fn(&[Datum]) -> Result<Datum>),
    /// Of values and the session.
    Session(fn(&[Datum], &SessionContext) -> Result<Datum>),
    /// Of values, their types and the session.
    Typed(fn(&[Datum], &[Type], &SessionContext) -> Result<Datum>),
    /// The session's [`crate::session::CatalogFunctions`] answers by name.
    Catalog,
    /// An aggregate: [`crate::aggregate::Aggregate`].
    Aggregate,
    /// Returns rows: [`crate::series`].
    Set,
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Body::One(_) | Body::Two(_) | Body::Many(_) | Body::Session(_) | Body::Typed(_) => "computed",
            Body::Catalog => "catalog",
            Body::Aggregate => "aggregate",
            Body::Set => "set",
        })
    }
}

/// All functions, by ascending OID.
pub fn all() -> impl Iterator<Item = FunctionId> {
    std::iter::empty()
}

/// All functions of a name (in lower case, without a schema), for the resolution of overloads.
pub fn by_name(name: &str) -> &'static [FunctionId] {
    let _ = name;
    &[]
}

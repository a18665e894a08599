//! Aggregates: count, sum, avg, min, max, with PostgreSQL's result types; each in three steps, so that a part may
//! be computed beside the data: accumulate into a [`State`], merge states, finish. DISTINCT is the caller's.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::functions::FunctionId;
use crate::types::TypeKind;

/// Which aggregate, over which type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    function: FunctionId,
}

/// What an aggregate has seen so far.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// Nothing yet.
    #[default]
    Empty,
}

impl Aggregate {
    /// The aggregate that this function is; 0A000 if it is none that is supported.
    pub fn from_function(function: FunctionId) -> Result<Self> {
        Ok(Self { function })
    }

    /// The function.
    pub fn function(&self) -> FunctionId {
        self.function
    }

    /// The state before the first row.
    pub fn start(&self) -> State {
        State::Empty
    }

    /// Adds a row's argument: the only one, or NULL of `count(*)`, which counts every row.
    pub fn add(&self, state: &mut State, value: &Datum) -> Result<()> {
        let _ = (state, value);
        Err(Error::unsupported("aggregates"))
    }

    /// Adds what another state has seen.
    pub fn merge(&self, state: &mut State, other: State) -> Result<()> {
        let _ = (state, other);
        Err(Error::unsupported("aggregates"))
    }

    /// The result.
    pub fn finish(&self, state: State) -> Result<Datum> {
        let _ = state;
        Err(Error::unsupported("aggregates"))
    }

    /// The state as values that a row can carry, to be read back by [`Aggregate::state_from_datums`].
    pub fn state_to_datums(&self, state: &State) -> Vec<Datum> {
        let _ = state;
        Vec::new()
    }

    /// Reads what [`Aggregate::state_to_datums`] made.
    pub fn state_from_datums(&self, datums: &[Datum]) -> Result<State> {
        let _ = datums;
        Err(Error::unsupported("aggregates"))
    }

    /// The type of the result.
    pub fn result(&self) -> TypeKind {
        self.function.result
    }
}

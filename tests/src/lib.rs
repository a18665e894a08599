//! What the tests of the whole stand on: [`processes`] runs the real binary, [`ledger`] loads it and remembers what
//! was acknowledged.

pub mod ledger;
pub mod processes;

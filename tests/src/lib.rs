//! What the tests of the whole stand on: [`processes`] runs the real binary, [`ledger`] loads it and remembers what
//! was acknowledged; [`lan`] gives them hosts of their own, [`throttle`] makes links slow, [`mutation`] makes messages of no
//! sense; [`embedded`] is a cluster in the test's own process, [`clients`] ask it, [`golden`] and [`conversations`] compare with PostgreSQL,
//! [`postgres`] starts one, [`queries`] makes random ones; [`simulation`] runs the whole cluster in one thread under one seed, [`seeds`] plays many; [`plot`] draws long runs.

pub mod clients;
pub mod conversations;
pub mod embedded;
pub mod golden;
pub mod lan;
pub mod ledger;
pub mod mutation;
pub mod plot;
pub mod postgres;
pub mod processes;
pub mod queries;
pub mod secured;
pub mod seeds;
pub mod simulation;
pub mod throttle;

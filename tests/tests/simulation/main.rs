//! Tests in simulated time: the simulation by seeds, and what statements and operators do on its quiet cluster.

mod ranges;
mod round_trips;
mod seeds;
mod sleeping;

//! The deterministic simulation: seeds, floors, replay.
//!
//! `NUNATAK_SIMULATION_SEEDS` says how many seeds are played (20 if it does not), the first 40 of them twice.

use nunatak_tests::seeds::{Seeds, number, replay};

#[test]
fn every_seed_keeps_its_promises() {
    if replay() {
        return;
    }
    let count = number("NUNATAK_SIMULATION_SEEDS").unwrap_or(20);
    let wrong = Seeds { count, twice: 40, ..Seeds::default() }.play();
    assert!(wrong.is_empty(), "these seeds went wrong: {wrong:?}");
}

//! Defects on purpose: for each of them a seed of the simulation goes wrong; soon, or the checkers are asleep.
//!
//! `NUNATAK_CANARY` picks some of them, with commas between; `NUNATAK_SIMULATION_SEED` replays a seed with the one named.
//! What is picked is broken in the whole process: this test has one of its own.

use env::canary::{Canary, pick};
use nunatak_tests::seeds::{Seeds, replay};

/// A canary that so many seeds do not find is lost.
const SEEDS_MAX: u64 = 200;

/// The scenario with the faults that bring a canary to light; none if any does.
fn shows_in(canary: Canary) -> Option<&'static str> {
    match canary {
        Canary::SkipValidation => None,
        Canary::NoFsync => Some("crashes"),
        Canary::LeaseWithoutFence | Canary::LeaseForEver => Some("leases"),
        Canary::ForgetReadsOnRollbackTo => Some("sessions"),
        Canary::SkipUnreadable => Some("disks"),
        Canary::JointForEver => Some("moves"),
        Canary::SkipSafePoint => Some("history"),
        Canary::OracleUnasked => None,
        Canary::AskedUnremembered => None,
        Canary::AskedUnproven | Canary::ServesGivenAway => Some("divisions"),
        Canary::HeldFromTheFuture => None,
        Canary::CommitBelowRead => None,
        Canary::NoRollbackMarker => Some("coordinators"),
        Canary::MergeForgetsReads => Some("merges"),
        Canary::FollowerReadsAhead | Canary::CommitBelowClosed => Some("followers"),
        Canary::SleepsWithLease | Canary::SleepsThroughDeath | Canary::WakesMute => Some("sleepers"),
        Canary::ResolvedEarly => Some("watchers"),
        Canary::BarrenForEver => Some("queue"),
    }
}

#[test]
fn defects_on_purpose_are_found() {
    if replay() {
        return;
    }
    let asked = std::env::var("NUNATAK_CANARY").ok();
    let named = asked.map(|names| {
        let named = |name| Canary::named(name).unwrap_or_else(|| panic!("there is no canary {name}"));
        names.split(',').map(named).collect::<Vec<_>>()
    });
    let mut unseen = Vec::new();
    for canary in named.as_deref().unwrap_or(Canary::ALL) {
        println!("canary {}", canary.name());
        pick(Some(*canary));
        let seeds =
            Seeds { count: SEEDS_MAX, twice: 0, stop: true, scenario: shows_in(*canary), broken: true };
        if seeds.play().is_empty() {
            unseen.push(canary.name());
        }
    }
    assert!(unseen.is_empty(), "{SEEDS_MAX} seeds did not find {unseen:?}");
}

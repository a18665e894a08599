//! The door for randomness: the operating system's in production, the seed's in a simulation.
#![expect(clippy::disallowed_methods, reason = "this module is the door")]

use rand::Rng;

/// Fills `bytes` with random bytes.
pub fn fill(bytes: &mut [u8]) {
    if crate::simulation::with_rng(|rng| rng.fill_bytes(bytes)).is_none() {
        rand::rng().fill_bytes(bytes);
    }
}

/// A random u64.
pub fn next_u64() -> u64 {
    crate::simulation::with_rng(|rng| rng.next_u64()).unwrap_or_else(|| rand::rng().next_u64())
}

/// A random number below `bound`; 0 if `bound` is 0.
pub fn below(bound: u64) -> u64 {
    if bound == 0 { 0 } else { ((u128::from(next_u64()) * u128::from(bound)) >> 64) as u64 }
}

/// Sixteen random bytes, as identifiers of clusters, stores and transactions are.
pub fn id() -> [u8; 16] {
    let mut id = [0; 16];
    fill(&mut id);
    id
}

//! The door for randomness: the operating system's in production, the seed's in a simulation.
#![expect(clippy::disallowed_methods, reason = "this module is the door")]

use std::convert::Infallible;

use rand::{Rng, TryRng};

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

/// This door as a generator, for libraries that ask for one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source;

impl TryRng for Source {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill(bytes);
        Ok(())
    }
}

//! The numbers that `random()` answers: those of chance, until `setseed` asks for the ones that follow from a seed, which are
//! PostgreSQL 15's (`pg_prng.c`: xoroshiro128**, seeded by splitmix64).

use std::sync::{Mutex, PoisonError};

/// The random numbers of a session.
#[derive(Debug, Default)]
pub struct RandomNumbers(Mutex<Option<Generator>>);

#[derive(Debug, Clone, Copy)]
struct Generator(u64, u64);

impl RandomNumbers {
    /// The numbers from now on follow from a seed between -1 and 1.
    pub fn seed(&self, seed: f64) {
        // As many bits as a double has.
        let seed = ((1_u64 << 52) - 1) as f64 * seed;
        let mut state = (seed as i64).cast_unsigned();
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        let generator = Generator(next(), next());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(generator);
    }

    /// The next number, from 0 up to 1.
    pub fn next(&self) -> f64 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_mut() {
            // 52 bits, as PostgreSQL takes.
            Some(generator) => (generator.next() >> 12) as f64 / (1_u64 << 52) as f64,
            // 53 random bits, as many as a double holds.
            None => (env::random::next_u64() >> 11) as f64 / (1_u64 << 53) as f64,
        }
    }
}

impl Generator {
    fn next(&mut self) -> u64 {
        let Self(first, second) = *self;
        let mixed = second ^ first;
        *self = Self(first.rotate_left(24) ^ mixed ^ (mixed << 16), mixed.rotate_left(37));
        first.wrapping_mul(5).rotate_left(7).wrapping_mul(9)
    }
}

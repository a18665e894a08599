//! Keys and values alike for all engines, and which key comes next.

use super::setting::{KEY_BYTES, VALUE_BYTES};

/// The keyspace of the engine that has them.
pub(crate) const PREFIX: u8 = b'u';
/// Random bytes that values are cut from.
const POOL_BYTES: usize = 4 << 20;

/// A key: a prefix that all share, then its number. Numbers are even, so that odd ones are missing.
pub(crate) type Key = [u8; KEY_BYTES];

/// The key of an index.
pub(crate) fn key(index: u64) -> Key {
    encode(index * 2)
}

/// A key that does not exist, between two that do.
pub(crate) fn missing_key(index: u64) -> Key {
    encode(index * 2 + 1)
}

fn encode(number: u64) -> Key {
    let mut key = *b"usertab.\0\0\0\0\0\0\0\0";
    if let Some(tail) = key.last_chunk_mut::<8>() {
        *tail = number.to_be_bytes();
    }
    key
}

/// SplitMix64 (Steele, Lea, Flood 2014): fast, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Values of which half is random and the other half repeats it.
#[derive(Debug)]
pub(crate) struct Values {
    pool: Vec<u8>,
    value: [u8; VALUE_BYTES],
}

impl Values {
    pub(crate) fn new(random: &mut Random) -> Self {
        let pool = std::iter::repeat_with(|| random.next().to_le_bytes()).take(POOL_BYTES / 8);
        Self { pool: pool.flatten().collect(), value: [0; VALUE_BYTES] }
    }

    pub(crate) fn next(&mut self, random: &mut Random) -> &[u8] {
        let at = random.below((POOL_BYTES - VALUE_BYTES) as u64) as usize;
        let (first, second) = self.value.split_at_mut(VALUE_BYTES / 2);
        if let Some(bytes) = self.pool.get(at..at + first.len()) {
            first.copy_from_slice(bytes);
            second.copy_from_slice(bytes);
        }
        &self.value
    }
}

/// The `step`th of all indexes below `count`, each once, in an order without order.
pub(crate) fn shuffled(step: u64, count: u64) -> u64 {
    // A prime above any count in use, so it has no divisor in common with it.
    const STRIDE: u128 = 2_654_435_761;
    ((u128::from(step) * STRIDE + 7) % u128::from(count)) as u64
}

/// Zipf-distributed ranks, scattered over the indexes, as YCSB's 'scrambled Zipfian' (Gray et al., "Quickly Generating
/// Billion-Record Synthetic Databases", SIGMOD 1994).
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    count: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    pub(crate) fn new(count: u64) -> Self {
        let zeta = (1..=count).map(|rank| (rank as f64).powf(-THETA)).sum::<f64>();
        let zeta2 = 1.0 + 0.5f64.powf(THETA);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - zeta2 / zeta);
        Self { count, zeta, alpha: 1.0 / (1.0 - THETA), eta }
    }

    pub(crate) fn next(&self, random: &mut Random) -> u64 {
        let unit = random.unit();
        let scaled = unit * self.zeta;
        let rank = if scaled < 1.0 {
            0
        } else if scaled < 1.0 + 0.5f64.powf(THETA) {
            1
        } else {
            (self.count as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha)) as u64
        };
        mix(rank.min(self.count - 1) + 1) % self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_indexes() {
        assert!(key(1) < missing_key(1) && missing_key(1) < key(2) && key(255) < key(256));
        assert_eq!(key(3).first(), Some(&PREFIX));
    }

    #[test]
    fn shuffling_visits_every_index_once() {
        let mut seen: Vec<u64> = (0..1000).map(|step| shuffled(step, 1000)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn few_keys_of_a_zipf_distribution_take_most() {
        let (zipf, mut random) = (Zipf::new(10_000), Random::new(1));
        let mut counts = vec![0; 10_000];
        for _ in 0..100_000 {
            counts[zipf.next(&mut random) as usize] += 1;
        }
        counts.sort_unstable();
        let top: u32 = counts.iter().rev().take(100).sum();
        assert!((40_000..70_000).contains(&top), "{top}");
    }

    #[test]
    fn half_of_a_value_repeats_the_other() {
        let mut random = Random::new(1);
        let mut values = Values::new(&mut random);
        let value = values.next(&mut random).to_vec();
        assert_eq!(value[..VALUE_BYTES / 2], value[VALUE_BYTES / 2..]);
        assert_ne!(value, values.next(&mut random));
    }
}

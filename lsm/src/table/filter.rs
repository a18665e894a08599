//! A blocked Bloom filter over user keys: one cache line per lookup.
//!
//! ```text
//! payload := line [u8; 64]* | probes u8
//! ```
//! The upper half of a key's 64-bit hash (XXH3) chooses the line, the lower half walks `probes` of its 512 bits.
//! From Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007), as RocksDB's full filters.

use bytes::Bytes;

const LINE_BYTES: usize = 64;
const GOLDEN: u32 = 0x9e37_79b9;

/// The hash of a user key.
#[inline]
pub(crate) fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// The payload of a filter over these hashes.
pub(crate) fn build(hashes: &[u64], bits_per_key: u8) -> Vec<u8> {
    let lines = (hashes.len() * usize::from(bits_per_key)).div_ceil(LINE_BYTES * 8).max(1);
    let probes = (f64::from(bits_per_key) * 0.6).round().clamp(1.0, 12.0) as u8;
    let mut payload = vec![0; lines * LINE_BYTES + 1];
    if let Some((last, bits)) = payload.split_last_mut() {
        *last = probes;
        for hash in hashes {
            let line = line_of(*hash, lines);
            for bit in bits_of(*hash, probes) {
                if let Some(byte) = bits.get_mut(line * LINE_BYTES + bit / 8) {
                    *byte |= 1 << (bit % 8);
                }
            }
        }
    }
    payload
}

fn line_of(hash: u64, lines: usize) -> usize {
    (((hash >> 32) * lines as u64) >> 32) as usize
}

fn bits_of(hash: u64, probes: u8) -> impl Iterator<Item = usize> {
    let mut state = hash as u32;
    (0..probes).map(move |_| {
        state = state.wrapping_mul(GOLDEN);
        (state >> 23) as usize
    })
}

/// A filter that answers 'certainly not' or 'perhaps'.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    payload: Bytes,
    lines: usize,
    probes: u8,
}

impl Filter {
    /// None if the payload is not a filter.
    pub(crate) fn new(payload: Bytes) -> Option<Self> {
        let (probes, bits) = payload.split_last()?;
        if bits.is_empty() || bits.len() % LINE_BYTES != 0 {
            return None;
        }
        Some(Self { lines: bits.len() / LINE_BYTES, probes: *probes, payload: payload.clone() })
    }

    #[inline]
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        let start = line_of(hash, self.lines) * LINE_BYTES;
        let Some(line) = self.payload.get(start..start + LINE_BYTES) else { return true };
        bits_of(hash, self.probes)
            .all(|bit| line.get(bit / 8).is_none_or(|byte| byte & (1 << (bit % 8)) != 0))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_denies_a_key_and_seldom_admits_another() {
        let hashes: Vec<u64> = (0..10_000u32).map(|n| hash(&n.to_le_bytes())).collect();
        let filter = Filter::new(Bytes::from(build(&hashes, 10))).unwrap();
        assert!(hashes.iter().all(|hash| filter.may_contain(*hash)));
        let admitted = (10_000..110_000u32).filter(|n| filter.may_contain(hash(&n.to_le_bytes()))).count();
        assert!(admitted < 1_500, "{admitted} of 100000");
    }

    #[test]
    fn a_payload_of_the_wrong_size_is_refused() {
        assert!(Filter::new(Bytes::new()).is_none());
        assert!(Filter::new(Bytes::from_static(&[1; 64])).is_none());
        assert!(Filter::new(Bytes::from(build(&[], 10))).is_some());
    }
}

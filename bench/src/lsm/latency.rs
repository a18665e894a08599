//! A histogram of latencies: buckets that grow with what they count, each two percent wide.

const SUB_BITS: u32 = 6;
const SUBS: u64 = 1 << SUB_BITS;

/// Counts of latencies in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; ((64 - SUB_BITS) as usize + 1) * SUBS as usize], count: 0 }
    }
}

impl Latencies {
    pub(crate) fn add(&mut self, ns: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(ns)) {
            *bucket += 1;
        }
        self.count += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
        self.count += other.count;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency in microseconds that `share` (0 to 1) of all are at or below; NaN of none.
    pub(crate) fn percentile_us(&self, share: f64) -> f64 {
        let wanted = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle_of(bucket as u64) / 1000.0;
            }
        }
        f64::NAN
    }
}

fn bucket_of(ns: u64) -> usize {
    let Some(shift) = ns.max(1).ilog2().checked_sub(SUB_BITS) else { return ns as usize };
    (u64::from(shift + 1) * SUBS + (ns >> shift) - SUBS) as usize
}

fn middle_of(bucket: u64) -> f64 {
    let Some(shift) = (bucket / SUBS).checked_sub(1) else { return bucket as f64 };
    ((bucket % SUBS + SUBS) as f64 + 0.5) * (1u64 << shift) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_two_percent() {
        let mut latencies = Latencies::default();
        (1..=100_000u64).for_each(|ns| latencies.add(ns));
        for (share, us) in [(0.5, 50.0), (0.99, 99.0), (0.999, 99.9)] {
            assert!((latencies.percentile_us(share) / us - 1.0).abs() < 0.02);
        }
        assert!(Latencies::default().percentile_us(0.5).is_nan());
    }

    #[test]
    fn every_latency_has_a_bucket() {
        for ns in [0, 1, 63, 64, 65, 127, 128, 1 << 40, u64::MAX] {
            let mut latencies = Latencies::default();
            latencies.add(ns);
            assert!(latencies.percentile_us(1.0).is_finite(), "{ns}");
        }
    }
}

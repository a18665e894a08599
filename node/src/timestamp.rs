//! Timestamps as the oracle makes them: 46 bits of milliseconds since the Unix epoch, then 18 bits logical.

/// How many bits count within a millisecond.
pub(crate) const LOGICAL_BITS: u32 = 18;

/// The first timestamp of a millisecond.
pub(crate) const fn from_ms(ms: u64) -> u64 {
    ms << LOGICAL_BITS
}

/// The millisecond that a timestamp falls in.
pub(crate) const fn ms(timestamp: u64) -> u64 {
    timestamp >> LOGICAL_BITS
}

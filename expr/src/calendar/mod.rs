//! Days, times and intervals: the arithmetic behind date, timestamp, timestamptz and interval.

pub mod zone;

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
pub const UNIX_EPOCH_DISTANCE_MICROS: i64 = 946_684_800_000_000;

//! Time zones by name.

use jiff::tz::TimeZone;

/// The zone of this name.
pub fn find(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}
